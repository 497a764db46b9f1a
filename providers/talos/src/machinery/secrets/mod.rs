//! The secrets bundle of a cluster: tokens, encryption secrets and certificate authorities.
//!
//! Facts: Talos `pkg/machinery/config/generate/secrets` and siderolabs/crypto. Randomness and time
//! come in through parameters.

mod adopt;
mod bundle;
mod client;
mod der;
mod keys;
mod x509;

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use rand::CryptoRng;
use zeroize::Zeroize;

use super::config::Contract;
use keys::{KeyPair, P256Key};

pub use adopt::talos_authority;
pub use client::{Role, Validity, certificate_validity, client_certificate};

/// A text that is not to be shown: its `Debug` form is a placeholder, its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateAndKey {
    /// PEM of the certificate.
    pub cert: String,
    /// PEM of the key.
    pub key: Secret,
}

/// Everything the machines of one cluster share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretsBundle {
    /// Identity of the cluster in the discovery service, URL-safe base64.
    pub cluster_id: String,
    /// Encrypts what members tell the discovery service, base64.
    pub cluster_secret: Secret,
    /// Kubernetes secrets.
    pub secrets: KubernetesSecrets,
    /// Token with which workers ask for certificates.
    pub trustd_token: Secret,
    /// Certificate authorities.
    pub certs: Certs,
}

/// Secrets of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesSecrets {
    /// Token with which nodes join.
    pub bootstrap_token: Secret,
    /// Encrypts data in etcd, for contracts above 1.2; exactly one of the two is set.
    pub secretbox_encryption_secret: Option<Secret>,
    /// Encrypts data in etcd, up to contract 1.2.
    pub aescbc_encryption_secret: Option<Secret>,
}

/// The certificate authorities and the key that signs service account tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certs {
    /// CA of etcd.
    pub etcd: CertificateAndKey,
    /// CA of the Kubernetes API.
    pub k8s: CertificateAndKey,
    /// CA of the API aggregation layer; its subject is empty.
    pub k8s_aggregator: CertificateAndKey,
    /// Private key that signs service account tokens, PEM.
    pub k8s_service_account: Secret,
    /// CA of the Talos API.
    pub os: CertificateAndKey,
}

/// Why secrets could not be made or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// The text is not YAML or not of the form of a bundle.
    #[error("secrets bundle: {0}")]
    Format(String),
    /// The bundle lacks something or holds something broken.
    #[error("secrets bundle: {}", .0.join("; "))]
    Invalid(Vec<String>),
    /// A certificate could not be read.
    #[error("certificate: {0}")]
    Certificate(String),
    /// A private key could not be read or used.
    #[error("private key: {0}")]
    Key(String),
    /// The time is before 1970 or after 9999.
    #[error("a certificate cannot be dated outside of the years 1970 to 9999")]
    Time,
}

/// Size of the service account key of contracts above 1.6.
const RSA_BITS: usize = 4096;

impl SecretsBundle {
    /// Makes all secrets of a new cluster.
    ///
    /// An RSA key of 4096 bits is part of it from contract 1.7 on, which takes seconds.
    pub fn generate<R: CryptoRng + ?Sized>(
        contract: Contract,
        rng: &mut R,
        now: SystemTime,
    ) -> Result<Self, SecretsError> {
        Self::generate_sized(contract, rng, now, RSA_BITS)
    }

    fn generate_sized<R: CryptoRng + ?Sized>(
        contract: Contract,
        rng: &mut R,
        now: SystemTime,
        rsa_bits: usize,
    ) -> Result<Self, SecretsError> {
        let mut authority = |organization: &[&str], ed25519: bool| {
            let key = if ed25519 {
                KeyPair::generate_ed25519(rng)
            } else {
                KeyPair::P256(P256Key::generate(rng))
            };
            x509::self_signed_authority(organization, &key, rng, now)
        };
        let etcd = authority(&["etcd"], false)?;
        let k8s = authority(&["kubernetes"], false)?;
        // Upstream asks for CN=front-proxy and loses it; certificates in use have no subject.
        let k8s_aggregator = authority(&[], false)?;
        let os = authority(&["talos"], true)?;
        let k8s_service_account = if contract.rsa_service_account() {
            keys::generate_rsa_pem(rng, rsa_bits)?
        } else {
            P256Key::generate(rng).to_pem()
        };
        let encryption = Some(Secret(STANDARD.encode(random::<32, R>(rng))));
        let (secretbox, aescbc) = if contract.secretbox() {
            (encryption, None)
        } else {
            (None, encryption)
        };
        Ok(Self {
            cluster_id: URL_SAFE.encode(random::<32, R>(rng)),
            cluster_secret: Secret(STANDARD.encode(random::<32, R>(rng))),
            secrets: KubernetesSecrets {
                bootstrap_token: token(rng),
                secretbox_encryption_secret: secretbox,
                aescbc_encryption_secret: aescbc,
            },
            trustd_token: token(rng),
            certs: Certs {
                etcd,
                k8s,
                k8s_aggregator,
                k8s_service_account,
                os,
            },
        })
    }
}

fn random<const N: usize, R: CryptoRng + ?Sized>(rng: &mut R) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// A token as kubeadm has them: six and sixteen of the digits and lower case letters.
fn token<R: CryptoRng + ?Sized>(rng: &mut R) -> Secret {
    let mut part =
        |length: usize| -> String { (0..length).map(|_| token_character(rng)).collect() };
    let first = part(6);
    Secret(format!("{first}.{}", part(16)))
}

fn token_character<R: CryptoRng + ?Sized>(rng: &mut R) -> char {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    loop {
        let [byte] = random::<1, R>(rng);
        // 252 is the largest multiple of 36 in a byte; above it the letters would not be equally likely.
        if byte < 252 {
            return char::from(ALPHABET[usize::from(byte) % 36]);
        }
    }
}

#[cfg(test)]
mod tests;
