//! `checksum=` in an address: `sha256:HEX`, or only the digits, whose number tells the kind.

use std::fmt::Write as _;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::FetchError;

/// Compares a file with what its address says of it.
pub(crate) fn check(wanted: &str, bytes: &[u8]) -> Result<(), FetchError> {
    let (kind, digits) = match wanted.split_once(':') {
        Some((kind, digits)) => (kind, digits),
        None => (
            match wanted.len() {
                32 => "md5",
                40 => "sha1",
                64 => "sha256",
                128 => "sha512",
                _ => "",
            },
            wanted,
        ),
    };
    let found = match kind {
        "md5" => hex(&Md5::digest(bytes)),
        "sha1" => hex(&Sha1::digest(bytes)),
        "sha256" => hex(&Sha256::digest(bytes)),
        "sha512" => hex(&Sha512::digest(bytes)),
        "file" => return Err(FetchError::NotSupported("a checksum in a file".into())),
        _ => {
            return Err(FetchError::Address(format!(
                "\"{wanted}\" is no checksum: write one such as sha256:HEX"
            )));
        }
    };
    if found.eq_ignore_ascii_case(digits) {
        return Ok(());
    }
    Err(FetchError::Checksum {
        expected: digits.to_owned(),
        found,
    })
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_must_match() {
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(check(sha256, b"abc").is_ok());
        assert!(check(&format!("sha256:{sha256}"), b"abc").is_ok());
        assert!(check("md5:900150983cd24fb0d6963f7d28e17f72", b"abc").is_ok());
        assert!(check(sha256, b"abd").is_err());
        assert!(check("sha256:0", b"abc").is_err());
        assert!(check("nonsense", b"abc").is_err());
    }
}
