//! `checks::native` on random text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stead_fuzz::checks::native;

fuzz_target!(|text: &str| native(text));
