//! Files of values for variables, in both forms.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use stead_lang::config::vars::read_tfvars;

struct OneFile<'a>(&'a [u8]);

impl stead_lang::Files for OneFile<'_> {
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

fuzz_target!(|bytes: &[u8]| {
    for name in ["fuzz.tfvars", "fuzz.auto.tfvars.json"] {
        let _ = read_tfvars(&OneFile(bytes), Path::new(name));
    }
});
