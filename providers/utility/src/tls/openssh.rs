//! Keys in OpenSSH's forms: `authorized_keys` lines, fingerprints, and the private key file (OpenSSH's PROTOCOL.key).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::tls::key::armoured;

/// The block size that an unencrypted private section is padded to.
const BLOCK: usize = 8;

/// A public key in SSH's wire form.
pub(crate) struct PublicKey {
    algorithm: String,
    blob: Vec<u8>,
}

/// A `string` of the wire format: length, then bytes.
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend(bytes);
}

/// An `mpint`: no needless zeros, and one zero where the first bit is set, because it is signed.
fn mpint(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
    let digits = bytes.get(start..).unwrap_or_default();
    if digits.first().is_some_and(|b| b & 0x80 != 0) {
        string(out, &[&[0], digits].concat());
    } else {
        string(out, digits);
    }
}

impl PublicKey {
    fn new(algorithm: String, parts: impl FnOnce(&mut Vec<u8>)) -> PublicKey {
        let mut blob = Vec::new();
        string(&mut blob, algorithm.as_bytes());
        parts(&mut blob);
        PublicKey { algorithm, blob }
    }

    pub(crate) fn rsa(exponent: &[u8], modulus: &[u8]) -> PublicKey {
        PublicKey::new("ssh-rsa".into(), |blob| {
            mpint(blob, exponent);
            mpint(blob, modulus);
        })
    }

    /// `curve` is SSH's name of it, `point` the uncompressed point.
    pub(crate) fn ecdsa(curve: &str, point: &[u8]) -> PublicKey {
        PublicKey::new(format!("ecdsa-sha2-{curve}"), |blob| {
            string(blob, curve.as_bytes());
            string(blob, point);
        })
    }

    pub(crate) fn ed25519(key: &[u8]) -> PublicKey {
        PublicKey::new("ssh-ed25519".into(), |blob| string(blob, key))
    }

    /// The line of an `authorized_keys` file, without a comment.
    pub(crate) fn authorized_key(&self) -> String {
        format!("{} {}\n", self.algorithm, STANDARD.encode(&self.blob))
    }

    /// `aa:bb:…`
    pub(crate) fn fingerprint_md5(&self) -> String {
        Md5::digest(&self.blob)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<Vec<_>>()
            .join(":")
    }

    /// `SHA256:…`
    pub(crate) fn fingerprint_sha256(&self) -> String {
        format!(
            "SHA256:{}",
            STANDARD_NO_PAD.encode(Sha256::digest(&self.blob))
        )
    }
}

/// The private section's key part of an RSA key.
pub(crate) fn rsa_secret(n: &[u8], e: &[u8], d: &[u8], qinv: &[u8], p: &[u8], q: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, b"ssh-rsa");
    for number in [n, e, d, qinv, p, q] {
        mpint(&mut out, number);
    }
    out
}

/// The private section's key part of an ECDSA key: the public blob, then the scalar.
pub(crate) fn ecdsa_secret(public: &PublicKey, scalar: &[u8]) -> Vec<u8> {
    let mut out = public.blob.clone();
    mpint(&mut out, scalar);
    out
}

/// The private section's key part of an Ed25519 key.
pub(crate) fn ed25519_secret(public: &[u8], seed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    string(&mut out, b"ssh-ed25519");
    string(&mut out, public);
    string(&mut out, &[seed, public].concat());
    out
}

/// An unencrypted `OPENSSH PRIVATE KEY`.
pub(crate) fn private_pem(public: &PublicKey, secret: &[u8]) -> String {
    let check: [u8; 4] = rand::random();
    let mut section = [check, check].concat();
    section.extend(secret);
    // No comment.
    string(&mut section, b"");
    let padding = (BLOCK - section.len() % BLOCK) % BLOCK;
    section.extend((1u8..).take(padding));
    let mut out = b"openssh-key-v1\0".to_vec();
    // Neither cipher nor key derivation.
    string(&mut out, b"none");
    string(&mut out, b"none");
    string(&mut out, b"");
    out.extend(1u32.to_be_bytes());
    string(&mut out, &public.blob);
    string(&mut out, &section);
    armoured("OPENSSH PRIVATE KEY", &out, 64)
}
