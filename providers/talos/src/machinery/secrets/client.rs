//! Client certificates: for the Talos API and in kubeconfigs, random or deterministic.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use rand::CryptoRng;
use sha2::Sha256;

use super::keys::{ED25519_LABEL, KeyPair, P256Key, PKCS8_LABEL};
use super::x509::{Authority, Name, Usage, certificate_body, parse, unix};
use super::{CertificateAndKey, SecretsBundle, SecretsError, random};
use crate::machinery::kubeconfig::{Kubeconfig, KubeconfigUser};

/// A role of the Talos API, carried as an organization of the client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Everything.
    Admin,
    /// Operations without access to secrets.
    Operator,
    /// Reading what is not secret.
    Reader,
    /// Backups of etcd.
    EtcdBackup,
    /// Writing META keys.
    MetaWriter,
    /// Acting in another role, between Talos components.
    Impersonator,
    /// Verification of images.
    ImageVerifier,
}

impl Role {
    /// The organization that stands for the role.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "os:admin",
            Self::Operator => "os:operator",
            Self::Reader => "os:reader",
            Self::EtcdBackup => "os:etcd:backup",
            Self::MetaWriter => "os:meta:writer",
            Self::Impersonator => "os:impersonator",
            Self::ImageVerifier => "os:image:verifier",
        }
    }
}

/// The span in which a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: SystemTime,
    /// Last moment.
    pub not_after: SystemTime,
}

/// Reads the validity of a PEM certificate.
pub fn certificate_validity(pem: &str) -> Result<Validity, SecretsError> {
    let body = certificate_body(pem)?;
    let validity = parse(&body)?.tbs_certificate.validity;
    let moment = |seconds: i64| {
        let seconds = u64::try_from(seconds).map_err(|_| SecretsError::Time)?;
        UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .ok_or(SecretsError::Time)
    };
    Ok(Validity {
        not_before: moment(validity.not_before.timestamp())?,
        not_after: moment(validity.not_after.timestamp())?,
    })
}

/// Signs a client certificate for the Talos API with its authority.
pub fn client_certificate<R: CryptoRng + ?Sized>(
    authority: &CertificateAndKey,
    roles: &[Role],
    ttl: Duration,
    rng: &mut R,
    now: SystemTime,
) -> Result<CertificateAndKey, SecretsError> {
    let authority = Authority::load(authority)?;
    let key = authority.sibling_key(rng);
    let organizations: Vec<&str> = roles.iter().map(|r| r.as_str()).collect();
    let subject = Name {
        organizations: &organizations,
        common_name: None,
    };
    let serial = random::<16, R>(rng);
    let until = now.checked_add(ttl).ok_or(SecretsError::Time)?;
    let cert = authority.client_certificate(
        &subject,
        &key,
        Usage::Signature,
        &serial,
        unix(now)?,
        unix(until)?,
    )?;
    Ok(CertificateAndKey {
        cert,
        key: key.to_pem(ED25519_LABEL),
    })
}

/// Talos dates kubeconfig certificates back a little, for clocks that differ.
const CLOCK_SLACK: Duration = Duration::from_secs(10);

impl SecretsBundle {
    /// Signs a client certificate for the Talos API.
    pub fn client_certificate<R: CryptoRng + ?Sized>(
        &self,
        roles: &[Role],
        ttl: Duration,
        rng: &mut R,
        now: SystemTime,
    ) -> Result<CertificateAndKey, SecretsError> {
        client_certificate(&self.certs.os, roles, ttl, rng, now)
    }

    /// Makes an admin kubeconfig as a control plane node does.
    pub fn kubeconfig<R: CryptoRng + ?Sized>(
        &self,
        cluster_name: &str,
        endpoint: &str,
        ttl: Duration,
        rng: &mut R,
        now: SystemTime,
    ) -> Result<Kubeconfig, SecretsError> {
        let key = P256Key::generate(rng);
        let serial = random::<16, R>(rng);
        let from = now.checked_sub(CLOCK_SLACK).ok_or(SecretsError::Time)?;
        let until = now.checked_add(ttl).ok_or(SecretsError::Time)?;
        self.kubeconfig_with(
            cluster_name,
            endpoint,
            key,
            &serial,
            unix(from)?,
            unix(until)?,
        )
    }

    /// The admin client certificate that follows from the CA, the cluster name and the dates alone.
    ///
    /// Equal to the ephemeral resource of the Talos provider 0.11.
    pub fn deterministic_client_certificate(
        &self,
        cluster_name: &str,
        validity: Validity,
    ) -> Result<CertificateAndKey, SecretsError> {
        let (from, until) = (unix(validity.not_before)?, unix(validity.not_after)?);
        let info = format!("talos-clientconfig:v1:{cluster_name}:{from}:{until}");
        let stream = hkdf::<48>(
            self.certs.os.key.expose().as_bytes(),
            b"talos-clientconfig-v1",
            info.as_bytes(),
        )?;
        let (serial, seed) = split::<16, 32>(&stream)?;
        let authority = Authority::load(&self.certs.os)?;
        let key = KeyPair::ed25519_from_seed(&seed);
        let subject = Name {
            organizations: &[Role::Admin.as_str()],
            common_name: None,
        };
        let cert =
            authority.client_certificate(&subject, &key, Usage::Signature, &serial, from, until)?;
        Ok(CertificateAndKey {
            cert,
            key: key.to_pem(PKCS8_LABEL),
        })
    }

    /// The admin kubeconfig that follows from the CA, the names and the dates alone.
    pub fn deterministic_kubeconfig(
        &self,
        cluster_name: &str,
        endpoint: &str,
        validity: Validity,
    ) -> Result<Kubeconfig, SecretsError> {
        let (from, until) = (unix(validity.not_before)?, unix(validity.not_after)?);
        let info = format!("talos-kubeconfig:v1:{cluster_name}:{endpoint}:{from}:{until}");
        let stream = hkdf::<48>(
            self.certs.k8s.key.expose().as_bytes(),
            b"talos-kubeconfig-v1",
            info.as_bytes(),
        )?;
        let (scalar, serial) = split::<32, 16>(&stream)?;
        let key = P256Key::from_scalar(&scalar)
            .ok_or_else(|| SecretsError::Key("the derived scalar is out of range".to_owned()))?;
        self.kubeconfig_with(cluster_name, endpoint, key, &serial, from, until)
    }

    fn kubeconfig_with(
        &self,
        cluster_name: &str,
        endpoint: &str,
        key: P256Key,
        serial: &[u8; 16],
        from: i64,
        until: i64,
    ) -> Result<Kubeconfig, SecretsError> {
        let authority = Authority::load(&self.certs.k8s)?;
        let subject = Name {
            organizations: &["system:masters"],
            common_name: Some("admin"),
        };
        let key = KeyPair::P256(key);
        let cert = authority.client_certificate(
            &subject,
            &key,
            Usage::SignatureAndEncipherment,
            serial,
            from,
            until,
        )?;
        Ok(Kubeconfig {
            cluster_name: cluster_name.to_owned(),
            server: endpoint.to_owned(),
            ca_certificate: self.certs.k8s.cert.clone(),
            user: KubeconfigUser {
                certificate: cert,
                key: key.to_pem(PKCS8_LABEL),
            },
        })
    }
}

/// HKDF with SHA-256 (RFC 5869).
fn hkdf<const N: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<[u8; N], SecretsError> {
    let mac = |key: &[u8]| {
        <Hmac<Sha256> as KeyInit>::new_from_slice(key)
            .map_err(|_| SecretsError::Key("HMAC refused its key".to_owned()))
    };
    let mut extract = mac(salt)?;
    extract.update(secret);
    let prk = extract.finalize().into_bytes();
    let mut out = [0; N];
    let mut block: Vec<u8> = Vec::new();
    for (i, chunk) in out.chunks_mut(32).enumerate() {
        let mut expand = mac(&prk)?;
        expand.update(&block);
        expand.update(info);
        expand.update(&[(i + 1) as u8]);
        block = expand.finalize().into_bytes().to_vec();
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
    Ok(out)
}

fn split<const A: usize, const B: usize>(
    stream: &[u8],
) -> Result<([u8; A], [u8; B]), SecretsError> {
    let short = || SecretsError::Key("derived bytes are too short".to_owned());
    let (a, rest) = stream.split_first_chunk::<A>().ok_or_else(short)?;
    let b = rest.first_chunk::<B>().ok_or_else(short)?;
    Ok((*a, *b))
}
