//! What fuzzing found, odd texts of our own, and texts nested beyond all reason.

mod checks;
mod nesting;

use std::path::Path;

use checks::{expression, json, native, tfvars};

/// Every target's inputs, given to every target.
#[test]
fn nothing_that_was_found_is_found_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let mut seen = 0;
    for target in ["native", "json", "expression", "tfvars"] {
        for entry in std::fs::read_dir(folder.join(target)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            println!("{}", path.display());
            tfvars(&bytes);
            native(&text);
            json(&text);
            expression(&text);
            seen += 1;
        }
    }
    assert!(seen > 10);
}
