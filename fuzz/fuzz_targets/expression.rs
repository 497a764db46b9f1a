//! `checks::expression` on random text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stead_fuzz::checks::expression;

fuzz_target!(|text: &str| expression(text));
