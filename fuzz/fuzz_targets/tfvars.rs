//! `checks::tfvars` on random bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stead_fuzz::checks::tfvars;

fuzz_target!(|content: &[u8]| tfvars(content));
