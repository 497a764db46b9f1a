//! Checksums of files, computed as they pass.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::sections::hex;

/// All algorithms that the API offers: which one is asked for comes with, before or after the file.
#[derive(Clone, Default)]
pub(crate) struct Sums {
    md5: Md5,
    sha1: Sha1,
    sha224: Sha224,
    sha256: Sha256,
    sha384: Sha384,
    sha512: Sha512,
}

impl Sums {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.sha1.update(bytes);
        self.sha224.update(bytes);
        self.sha256.update(bytes);
        self.sha384.update(bytes);
        self.sha512.update(bytes);
    }

    /// Refuses another checksum than the file's.
    pub(crate) fn verify(&self, algorithm: &str, expected: &str) -> Result<(), String> {
        let got = match algorithm {
            "md5" => hex(&self.md5.clone().finalize()),
            "sha1" => hex(&self.sha1.clone().finalize()),
            "sha224" => hex(&self.sha224.clone().finalize()),
            "sha256" => hex(&self.sha256.clone().finalize()),
            "sha384" => hex(&self.sha384.clone().finalize()),
            "sha512" => hex(&self.sha512.clone().finalize()),
            other => return Err(format!("unknown checksum algorithm '{other}'")),
        };
        if got.eq_ignore_ascii_case(expected) {
            return Ok(());
        }
        Err(format!(
            "checksum mismatch: got '{got}' != expect '{expected}'"
        ))
    }
}
