//! `checks::json` on random text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stead_fuzz::checks::json;

fuzz_target!(|text: &str| json(text));
