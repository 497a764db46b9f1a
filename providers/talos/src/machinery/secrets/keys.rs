//! Private keys: Ed25519, ECDSA P-256 and the RSA key for service accounts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::DecodePrivateKey;
use ed25519_dalek::{Signer as _, SigningKey as Ed25519Key};
use p256::ecdsa::{DerSignature, SigningKey as EcdsaKey};
use rand::CryptoRng;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};

use super::der::{self, bit_string, object, oid, sequence};
use super::{Secret, SecretsError, random};

/// PEM labels; the first is Talos' own for a PKCS #8 body.
pub(super) const ED25519_LABEL: &str = "ED25519 PRIVATE KEY";
pub(super) const PKCS8_LABEL: &str = "PRIVATE KEY";
const EC_LABEL: &str = "EC PRIVATE KEY";
const RSA_LABEL: &str = "RSA PRIVATE KEY";

/// A key that signs certificates.
pub(super) enum KeyPair {
    Ed25519(Ed25519Key),
    P256(P256Key),
}

/// A P-256 private key.
pub(super) struct P256Key(p256::SecretKey);

impl P256Key {
    pub(super) fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        loop {
            // All but one in 2^32 candidates are valid scalars.
            if let Some(key) = Self::from_scalar(&random::<32, R>(rng)) {
                return key;
            }
        }
    }

    pub(super) fn from_scalar(bytes: &[u8; 32]) -> Option<Self> {
        p256::SecretKey::from_slice(bytes).ok().map(Self)
    }

    fn public_point(&self) -> Vec<u8> {
        use p256::elliptic_curve::sec1::ToSec1Point;
        self.0.public_key().to_sec1_point(false).as_bytes().to_vec()
    }

    /// SEC1 with curve and public key, as Go writes it.
    pub(super) fn to_pem(&self) -> Secret {
        let curve = der::tagged(0xa0, &object(oid::P256));
        let public = der::tagged(0xa1, &bit_string(&self.public_point()));
        let scalar = der::tagged(der::OCTET_STRING, &self.0.to_bytes());
        Secret(pem(
            EC_LABEL,
            &sequence(&[&der::unsigned(&[1]), &scalar, &curve, &public]),
        ))
    }
}

impl KeyPair {
    pub(super) fn generate_ed25519<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self::Ed25519(Ed25519Key::from_bytes(&random::<32, R>(rng)))
    }

    pub(super) fn ed25519_from_seed(seed: &[u8; 32]) -> Self {
        Self::Ed25519(Ed25519Key::from_bytes(seed))
    }

    /// Reads a PEM of any of the forms Talos writes.
    pub(super) fn from_pem(text: &str) -> Result<Self, SecretsError> {
        let (label, body) =
            unpem(text).ok_or_else(|| SecretsError::Key("failed to parse PEM block".to_owned()))?;
        let bad = |what: &str| SecretsError::Key(format!("failed to parse {what} key"));
        match label.as_str() {
            ED25519_LABEL => Ed25519Key::from_pkcs8_der(&body)
                .map(Self::Ed25519)
                .map_err(|_| bad("Ed25519")),
            EC_LABEL => p256::SecretKey::from_sec1_der(&body)
                .map(|k| Self::P256(P256Key(k)))
                .map_err(|_| bad("ECDSA P-256")),
            PKCS8_LABEL => match Ed25519Key::from_pkcs8_der(&body) {
                Ok(key) => Ok(Self::Ed25519(key)),
                Err(_) => p256::SecretKey::from_pkcs8_der(&body)
                    .map(|k| Self::P256(P256Key(k)))
                    .map_err(|_| bad("PKCS #8")),
            },
            RSA_LABEL => Err(SecretsError::Key(
                "signing certificates with an RSA key is not supported".to_owned(),
            )),
            other => Err(SecretsError::Key(format!("unsupported key type {other:?}"))),
        }
    }

    /// PEM of the key; the label of an Ed25519 body is the caller's choice.
    pub(super) fn to_pem(&self, ed25519_label: &str) -> Secret {
        match self {
            Self::P256(key) => key.to_pem(),
            Self::Ed25519(key) => {
                let seed = der::tagged(
                    der::OCTET_STRING,
                    &der::tagged(der::OCTET_STRING, key.as_bytes()),
                );
                let body = sequence(&[
                    &der::unsigned(&[0]),
                    &sequence(&[&object(oid::ED25519)]),
                    &seed,
                ]);
                Secret(pem(ed25519_label, &body))
            }
        }
    }

    pub(super) fn public_key_info(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => sequence(&[
                &sequence(&[&object(oid::ED25519)]),
                &bit_string(key.verifying_key().as_bytes()),
            ]),
            Self::P256(key) => {
                let algorithm = sequence(&[&object(oid::EC_PUBLIC_KEY), &object(oid::P256)]);
                sequence(&[&algorithm, &bit_string(&key.public_point())])
            }
        }
    }

    pub(super) fn signature_algorithm(&self) -> Vec<u8> {
        sequence(&[&object(match self {
            Self::Ed25519(_) => oid::ED25519,
            Self::P256(_) => oid::ECDSA_SHA256,
        })])
    }

    /// Signs deterministically (RFC 8032, RFC 6979), so equal input gives equal certificates.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::P256(key) => {
                let signature: DerSignature = EcdsaKey::from(&key.0).sign(message);
                signature.as_bytes().to_vec()
            }
        }
    }
}

/// An RSA key as PKCS #1 PEM.
pub(super) fn generate_rsa_pem<R: CryptoRng + ?Sized>(
    rng: &mut R,
    bits: usize,
) -> Result<Secret, SecretsError> {
    let bad = |what: String| SecretsError::Key(format!("RSA: {what}"));
    let key = rsa::RsaPrivateKey::new(rng, bits).map_err(|e| bad(e.to_string()))?;
    let body = key.to_pkcs1_der().map_err(|e| bad(e.to_string()))?;
    Ok(Secret(pem(RSA_LABEL, body.as_bytes())))
}

/// Checks that a PEM holds a private key Talos can use.
pub(super) fn check_key(text: &str) -> Result<(), SecretsError> {
    match unpem(text) {
        Some((label, body)) if label == RSA_LABEL => rsa::RsaPrivateKey::from_pkcs1_der(&body)
            .map(drop)
            .map_err(|_| SecretsError::Key("failed to parse RSA key".to_owned())),
        _ => KeyPair::from_pem(text).map(drop),
    }
}

/// Writes a PEM block with lines of 64 characters.
pub(super) fn pem(label: &str, body: &[u8]) -> String {
    let encoded = STANDARD.encode(body);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        out.push_str(line);
        out.push('\n');
        rest = more;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

/// Reads the first PEM block.
pub(super) fn unpem(text: &str) -> Option<(String, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let clean: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    Some((label.to_owned(), STANDARD.decode(clean).ok()?))
}
