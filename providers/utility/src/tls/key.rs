//! Private keys: making them, and their forms as the published provider writes them.

use ed25519_dalek::SigningKey;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, EncodePublicKey as _, LineEnding};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _};
use rsa::traits::{PrivateKeyParts as _, PublicKeyParts as _};
use stead_sdk::Error;
use stead_sdk::value::Sensitive;

use crate::tls::openssh;

/// A private key.
pub(crate) enum Key {
    Rsa(Box<rsa::RsaPrivateKey>),
    P224(p224::SecretKey),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    P521(p521::SecretKey),
    Ed25519(SigningKey),
}

/// How to make a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Bits of the modulus.
    Rsa(usize),
    P224,
    P256,
    P384,
    P521,
    Ed25519,
}

/// Runs the same code for whichever curve the key is on.
macro_rules! on_curve {
    ($key:expr, $rsa:pat => $on_rsa:expr, $ed:pat => $on_ed:expr, $ec:ident => $on_ec:expr) => {
        match $key {
            Key::Rsa($rsa) => $on_rsa,
            Key::P224($ec) => $on_ec,
            Key::P256($ec) => $on_ec,
            Key::P384($ec) => $on_ec,
            Key::P521($ec) => $on_ec,
            Key::Ed25519($ed) => $on_ed,
        }
    };
}

/// The PKCS#8 form of an Ed25519 key up to the 32 bytes of its seed (RFC 8410, section 7), without the public key, as Go
/// writes it.
const ED25519_PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
/// The SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410, section 4).
const ED25519_SPKI: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The library's messages may describe the key and are not repeated.
fn failed<E>(_: E) -> Error {
    Error::new("encode the key", "the key has no such form")
}

impl Key {
    pub(crate) fn generate(kind: Kind) -> Result<Key, Error> {
        use p256::elliptic_curve::Generate as _;
        let mut rng = rand::rng();
        Ok(match kind {
            Kind::Rsa(bits) => {
                let key = rsa::RsaPrivateKey::new(&mut rng, bits).map_err(|e| {
                    Error::new(format!("generate an RSA key of {bits} bits"), e.to_string())
                })?;
                Key::Rsa(Box::new(key))
            }
            Kind::P224 => Key::P224(p224::SecretKey::generate_from_rng(&mut rng)),
            Kind::P256 => Key::P256(p256::SecretKey::generate_from_rng(&mut rng)),
            Kind::P384 => Key::P384(p384::SecretKey::generate_from_rng(&mut rng)),
            Kind::P521 => Key::P521(p521::SecretKey::generate_from_rng(&mut rng)),
            Kind::Ed25519 => Key::Ed25519(SigningKey::from_bytes(&rand::random())),
        })
    }

    /// Reads a key in any of the PEM forms that [`Key::pem`] and [`Key::pkcs8`] write.
    pub(crate) fn parse(pem: &str) -> Option<Key> {
        if let Ok(key) = rsa::RsaPrivateKey::from_pkcs1_pem(pem)
            .or_else(|_| rsa::RsaPrivateKey::from_pkcs8_pem(pem))
        {
            return Some(Key::Rsa(Box::new(key)));
        }
        if let Some(key) = ed25519_from_pem(pem) {
            return Some(Key::Ed25519(key));
        }
        macro_rules! curve {
            ($variant:ident, $curve:ident) => {
                if let Ok(key) = $curve::SecretKey::from_sec1_pem(pem)
                    .or_else(|_| $curve::SecretKey::from_pkcs8_pem(pem).map_err(|_| ()))
                {
                    return Some(Key::$variant(key));
                }
            };
        }
        curve!(P224, p224);
        curve!(P256, p256);
        curve!(P384, p384);
        curve!(P521, p521);
        None
    }

    /// `RSA`, `ECDSA` or `ED25519`.
    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Key::Rsa(_) => "RSA",
            Key::Ed25519(_) => "ED25519",
            _ => "ECDSA",
        }
    }

    /// The traditional PEM form: PKCS#1 for RSA, SEC 1 for ECDSA, PKCS#8 for Ed25519.
    pub(crate) fn pem(&self) -> Result<Sensitive<String>, Error> {
        let text = on_curve!(self,
            key => key.to_pkcs1_pem(LineEnding::LF).map_err(failed)?.to_string(),
            key => armoured("PRIVATE KEY", &ed25519_pkcs8(key), 64),
            key => key.to_sec1_pem(LineEnding::LF).map_err(failed)?.to_string());
        Ok(text.into())
    }

    /// The PKCS#8 form as PEM.
    pub(crate) fn pkcs8(&self) -> Result<Sensitive<String>, Error> {
        let text = on_curve!(self,
            key => key.to_pkcs8_pem(LineEnding::LF).map_err(failed)?.to_string(),
            key => armoured("PRIVATE KEY", &ed25519_pkcs8(key), 64),
            key => key.to_pkcs8_pem(LineEnding::LF).map_err(failed)?.to_string());
        Ok(text.into())
    }

    /// The SubjectPublicKeyInfo in DER form.
    pub(crate) fn public_der(&self) -> Result<Vec<u8>, Error> {
        Ok(on_curve!(self,
            key => key.to_public_key().to_public_key_der().map_err(failed)?.into_vec(),
            key => [ED25519_SPKI.as_slice(), key.verifying_key().as_bytes()].concat(),
            key => key.public_key().to_public_key_der().map_err(failed)?.into_vec()))
    }

    /// The public key as SSH sends it; `None` for P-224, which SSH does not have.
    pub(crate) fn ssh_public(&self) -> Option<openssh::PublicKey> {
        let point = |name: &'static str, point: &[u8]| openssh::PublicKey::ecdsa(name, point);
        Some(match self {
            Key::Rsa(key) => openssh::PublicKey::rsa(&key.e_bytes(), &key.n_bytes()),
            Key::Ed25519(key) => openssh::PublicKey::ed25519(key.verifying_key().as_bytes()),
            Key::P256(key) => point("nistp256", key.public_key().to_sec1_point(false).as_bytes()),
            Key::P384(key) => point("nistp384", key.public_key().to_sec1_point(false).as_bytes()),
            Key::P521(key) => point("nistp521", key.public_key().to_sec1_point(false).as_bytes()),
            Key::P224(_) => return None,
        })
    }

    /// The OpenSSH form of the private key; empty for P-224, as the published provider has it.
    pub(crate) fn openssh(&self) -> Sensitive<String> {
        let Some(public) = self.ssh_public() else {
            return String::new().into();
        };
        let secret = match self {
            Key::Rsa(key) => {
                let primes: Vec<Vec<u8>> = key
                    .primes()
                    .iter()
                    .map(|p| p.to_be_bytes().to_vec())
                    .collect();
                // The inverse of the second prime modulo the first.
                let coefficient = key
                    .crt_coefficient()
                    .map(|c| c.to_be_bytes().to_vec())
                    .unwrap_or_default();
                let first = |i: usize| primes.get(i).map(Vec::as_slice).unwrap_or_default();
                openssh::rsa_secret(
                    &key.n_bytes(),
                    &key.e_bytes(),
                    &key.d().to_be_bytes(),
                    &coefficient,
                    first(0),
                    first(1),
                )
            }
            Key::Ed25519(key) => {
                openssh::ed25519_secret(key.verifying_key().as_bytes(), key.as_bytes())
            }
            Key::P256(key) => openssh::ecdsa_secret(&public, &key.to_bytes()),
            Key::P384(key) => openssh::ecdsa_secret(&public, &key.to_bytes()),
            Key::P521(key) => openssh::ecdsa_secret(&public, &key.to_bytes()),
            Key::P224(key) => openssh::ecdsa_secret(&public, &key.to_bytes()),
        };
        openssh::private_pem(&public, &secret).into()
    }
}

fn ed25519_pkcs8(key: &SigningKey) -> Vec<u8> {
    [ED25519_PKCS8.as_slice(), key.as_bytes()].concat()
}

fn ed25519_from_pem(pem: &str) -> Option<SigningKey> {
    use base64::Engine as _;
    let body = pem
        .trim()
        .strip_prefix("-----BEGIN PRIVATE KEY-----")?
        .strip_suffix("-----END PRIVATE KEY-----")?;
    let body: String = body.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .ok()?;
    let seed: [u8; 32] = der.strip_prefix(&ED25519_PKCS8)?.try_into().ok()?;
    Some(SigningKey::from_bytes(&seed))
}

/// PEM with lines of `width` characters: 64 for OpenSSL's forms, 70 for OpenSSH's own.
pub(crate) fn armoured(label: &str, der: &[u8], width: usize) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(rest.len().min(width));
        text.push_str(line);
        text.push('\n');
        rest = tail;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}
