//! What fuzzing found, odd texts of our own, and texts nested beyond all reason.

mod checks;
mod nesting;

use std::io::Write as _;
use std::path::Path;

use checks::{expression, json, native, tfvars};

/// What reached new parts of the code, some 4,000 short texts: each for its own target.
#[test]
fn the_corpus_is_clean() {
    let texts = |corpus| serde_json::from_str::<Vec<String>>(corpus).unwrap();
    texts(include_str!("native.json"))
        .iter()
        .for_each(|t| native(t));
    texts(include_str!("json.json"))
        .iter()
        .for_each(|t| json(t));
    texts(include_str!("expression.json"))
        .iter()
        .for_each(|t| expression(t));
    texts(include_str!("tfvars.json"))
        .iter()
        .for_each(|t| tfvars(t.as_bytes()));
}

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
            writeln!(std::io::stderr(), "{}", path.display()).unwrap();
            tfvars(&bytes);
            native(&text);
            json(&text);
            expression(&text);
            seen += 1;
        }
    }
    assert!(seen > 10);
}
