//! The JSON form, as it is read, loaded and decoded.

use std::sync::Arc;

use stead_lang::config::{CONFIGURATION, TESTS, VARIABLES};
use stead_lang::syntax::{SourceFile, parse_json_file};

use super::check_places;
use super::native::{check_decoding, load};

/// Reading says where each error is; loading and decoding end, whatever was read.
pub fn json(text: &str) {
    let file = Arc::new(SourceFile::new("fuzz.tf.json", text));
    for layout in [&VARIABLES, &TESTS, &CONFIGURATION] {
        let (body, diagnostics) = parse_json_file(&file, layout);
        check_places(&diagnostics, text);
        check_decoding(&body);
    }
    load("main.tf.json", text);
    load("main.tftest.json", text);
}
