//! Fingerprints of nodes for the first contact, from the environment variable `STEAD_TALOS_FINGERPRINTS`.
//!
//! In maintenance mode nothing proves which machine answers: its console shows the fingerprint of its certificate. The
//! published schema has no attribute for it, and a configuration with one more would not run elsewhere; so it is a variable.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use stead_sdk::{Environment, Error, Fingerprint};
use x509_parser::parse_x509_certificate;

/// `NODE=FINGERPRINT`, separated by commas.
pub(crate) const VARIABLE: &str = "STEAD_TALOS_FINGERPRINTS";

/// What machines are to prove on the first contact; without the variable, nothing.
#[derive(Debug, Default)]
pub(crate) struct Pins(Option<Vec<(String, Pin)>>);

/// A fingerprint, in one of two forms.
#[derive(Debug, PartialEq, Eq)]
enum Pin {
    /// SHA-256 of the whole certificate, in hex, as `openssl` prints it.
    Certificate(Fingerprint),
    /// SHA-256 of the public key, in base64, as the node's console shows it and `talosctl --cert-fingerprint` takes it.
    Key([u8; 32]),
}

impl Pins {
    /// Reads the variable.
    ///
    /// # Errors
    /// When a part of it is not `NODE=FINGERPRINT`.
    pub(crate) fn of(environment: &Environment) -> Result<Pins, Error> {
        let Some(text) = environment.get(VARIABLE) else {
            return Ok(Pins::default());
        };
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        parts
            .map(pin)
            .collect::<Result<_, _>>()
            .map(|pins| Pins(Some(pins)))
    }

    /// Whether the machine at a node's name or address is the one that was meant.
    ///
    /// # Errors
    /// When it is another one, or when nothing is known of it while the variable is set: it names all whom one expects.
    pub(super) fn check(&self, names: [&str; 2], certificate: &[u8]) -> Result<(), Error> {
        let Some(pins) = &self.0 else {
            return Ok(());
        };
        let [name, _] = names;
        let asked = format!("recognise node {name} in maintenance mode");
        let mut known = pins
            .iter()
            .filter(|(of, _)| names.contains(&of.as_str()))
            .peekable();
        if known.peek().is_none() {
            let said = format!("{VARIABLE} is set and does not name it");
            let remedy =
                format!("Add `{name}=FINGERPRINT` with the fingerprint that its console shows.");
            return Err(Error::new(asked, said).remedy(remedy));
        }
        if known.any(|(_, pin)| pin.fits(certificate)) {
            return Ok(());
        }
        let said = format!(
            "it shows a certificate with the SHA-256 {}, which is not the one in {VARIABLE}",
            Fingerprint::of(certificate)
        );
        let remedy = "Compare with the fingerprint on the machine's console: it changes with every start in maintenance mode. \
                      If it differs there too, another machine answers at this address.";
        Err(Error::new(asked, said).remedy(remedy))
    }
}

impl Pin {
    fn fits(&self, certificate: &[u8]) -> bool {
        match self {
            Pin::Certificate(pinned) => Fingerprint::of(certificate) == *pinned,
            Pin::Key(pinned) => parse_x509_certificate(certificate).is_ok_and(|(_, parsed)| {
                let key = parsed.tbs_certificate.subject_pki.raw;
                Sha256::digest(key)[..] == pinned[..]
            }),
        }
    }
}

/// One part of the variable.
fn pin(text: &str) -> Result<(String, Pin), Error> {
    let invalid = || {
        Error::new(
            format!("read {VARIABLE}"),
            format!("{text:?} is not of the form NODE=FINGERPRINT"),
        )
        .remedy(
            "A fingerprint is what the node's console shows (44 characters of base64), or the SHA-256 of its certificate in hex.",
        )
    };
    // Base64 ends with an equals sign itself.
    let (node, fingerprint) = text.split_once('=').ok_or_else(invalid)?;
    let (node, fingerprint) = (node.trim(), fingerprint.trim());
    if node.is_empty() {
        return Err(invalid());
    }
    let key = STANDARD.decode(fingerprint).ok();
    let pin = match key.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        Some(key) => Pin::Key(key),
        None => Pin::Certificate(fingerprint.parse().map_err(|_| invalid())?),
    };
    Ok((node.to_owned(), pin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins(text: &str) -> Result<Pins, Error> {
        Pins::of(&Environment::from_iter([(VARIABLE, text)]))
    }

    #[test]
    fn both_forms_are_read() {
        let hex = "ab".repeat(32);
        let base64 = STANDARD.encode([7; 32]);
        let read = pins(&format!("10.0.0.2={hex}, fd00::1={base64},")).unwrap();
        let expected = vec![
            (
                "10.0.0.2".to_owned(),
                Pin::Certificate(hex.parse().unwrap()),
            ),
            ("fd00::1".to_owned(), Pin::Key([7; 32])),
        ];
        assert_eq!(read.0, Some(expected));
        assert!(pins("").unwrap().0.is_none());
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "10.0.0.2",
            "=abc",
            "10.0.0.2=",
            "10.0.0.2=abcd",
            &format!("10.0.0.2={}", STANDARD.encode([7; 31])),
        ] {
            let error = pins(bad).unwrap_err();
            assert!(error.to_string().contains("NODE=FINGERPRINT"), "{bad}");
        }
    }

    #[test]
    fn a_machine_is_recognised_by_its_certificate_or_its_key() {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let params = rcgen::CertificateParams::new(vec!["a".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let der: &[u8] = certificate.der();
        let whole = Fingerprint::of(der).to_string();
        let of_key = STANDARD.encode(Sha256::digest(
            rcgen::PublicKeyData::subject_public_key_info(&key),
        ));
        let names = ["10.0.0.2", "node.lab"];
        for text in [&whole, &of_key] {
            for name in names {
                pins(&format!("{name}={text}"))
                    .unwrap()
                    .check(names, der)
                    .unwrap();
            }
            let unnamed = pins(&format!("10.0.0.3={text}")).unwrap().check(names, der);
            assert!(unnamed.unwrap_err().said().contains("does not name it"));
        }
        let other = pins(&format!("10.0.0.2={}", "00".repeat(32))).unwrap();
        let error = other.check(names, der).unwrap_err();
        assert!(error.said().contains(&whole));
        Pins::default().check(names, der).unwrap();
    }
}
