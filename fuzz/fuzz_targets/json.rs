//! The JSON form: reading never panics, and every error is inside the file.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stead_lang::config::CONFIGURATION;
use stead_lang::decode::body_references;
use stead_lang::syntax::{SourceFile, parse_json_file};

fuzz_target!(|text: &str| {
    let file = Arc::new(SourceFile::new("fuzz.tf.json", text));
    let (body, diagnostics) = parse_json_file(&file, &CONFIGURATION);
    for diagnostic in diagnostics.iter() {
        let range = diagnostic.subject.as_ref().expect("every error has a place");
        assert!(range.start.byte <= range.end.byte && range.end.byte as usize <= text.len());
    }
    let _ = body_references(&body);
});
