//! What fuzzing found, and odd texts of our own, read in every way that the fuzz targets (`fuzz/`) read them.

use std::path::Path;
use std::sync::Arc;

use stead_lang::Files;
use stead_lang::config::{CONFIGURATION, vars::read_tfvars};
use stead_lang::decode::body_references;
use stead_lang::expr::evaluate_constant;
use stead_lang::syntax::{
    SourceFile, parse_expression, parse_file, parse_json_file, parse_template,
};
use stead_value::Diagnostics;

struct OneFile<'a>(&'a [u8]);

impl Files for OneFile<'_> {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn list(&self, _: &Path) -> std::io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn exists(&self, _: &Path) -> bool {
        true
    }

    fn walk(&self, _: &Path) -> std::io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

fn check_places(diagnostics: &Diagnostics, text: &str) {
    for diagnostic in diagnostics.iter() {
        let range = diagnostic
            .subject
            .as_ref()
            .expect("every error has a place");
        assert!(range.start.byte <= range.end.byte);
        assert!(range.end.byte as usize <= text.len());
    }
}

#[test]
fn nothing_that_was_found_is_found_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
    let mut seen = 0;
    for target in std::fs::read_dir(folder).unwrap() {
        for entry in std::fs::read_dir(target.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            for name in ["x.tfvars", "x.tfvars.json"] {
                read_tfvars(&OneFile(&bytes), Path::new(name));
            }
            let text = String::from_utf8_lossy(&bytes);
            let file = Arc::new(SourceFile::new("x.tf", &*text));
            check_places(&parse_file(&file).1, &text);
            check_places(&parse_template(&file).1, &text);
            let (expr, diagnostics) = parse_expression(&file);
            check_places(&diagnostics, &text);
            evaluate_constant(&expr);
            if let Ok(once) = stead_lang::fmt::format(&file) {
                let again = stead_lang::fmt::format(&Arc::new(SourceFile::new("x.tf", &*once)));
                assert!(again.is_ok(), "{}: {once:?}", path.display());
            }
            let json = Arc::new(SourceFile::new("x.tf.json", &*text));
            let (body, diagnostics) = parse_json_file(&json, &CONFIGURATION);
            check_places(&diagnostics, &text);
            body_references(&body);
            seen += 1;
        }
    }
    assert!(seen > 10);
}
