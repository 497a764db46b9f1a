//! Native syntax: reading never panics and says where each error is; the canonical layout can be read and has itself as layout.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use stead_lang::fmt::format;
use stead_lang::syntax::{SourceFile, parse_file, parse_template};

fuzz_target!(|text: &str| {
    let file = Arc::new(SourceFile::new("fuzz.tf", text));
    let (_, diagnostics) = parse_file(&file);
    for diagnostic in diagnostics.iter() {
        let range = diagnostic.subject.as_ref().expect("every error has a place");
        assert!(range.start.byte <= range.end.byte && range.end.byte as usize <= text.len());
    }
    let _ = parse_template(&file);
    if let Ok(once) = format(&file) {
        let again = format(&Arc::new(SourceFile::new("fuzz.tf", &*once)));
        assert!(again.is_ok(), "the layout can't be read: {once:?}");
    }
});
