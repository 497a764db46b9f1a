//! Certificates of a node: its server certificate, client verification, and what the cluster CA signs.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SerialNumber, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::Pem;

/// Why a certificate or key cannot be used. Carries no key material.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no private key with the CA certificate")]
    NoKey,
    #[error("not a PEM private key")]
    NotPem,
    #[error("unsupported private key: {0}")]
    Key(String),
    #[error("unusable certificate: {0}")]
    Certificate(String),
}

/// A CA that can sign: the Talos API's (Ed25519) or Kubernetes' (P-256).
pub(crate) struct SigningCa {
    issuer: Issuer<'static, KeyPair>,
    ed25519: bool,
}

impl SigningCa {
    pub(crate) fn open(pem: &Pem) -> Result<SigningCa, Error> {
        let key = pem.key.as_deref().ok_or(Error::NoKey)?;
        let key = key_pair(key)?;
        let ed25519 = key.algorithm() == &PKCS_ED25519;
        let issuer = Issuer::from_ca_cert_pem(&pem.certificate, key)
            .map_err(|e| Error::Certificate(e.to_string()))?;
        Ok(SigningCa { issuer, ed25519 })
    }

    /// Signs a fresh key's certificate, valid from a moment ago.
    fn sign(&self, request: Request) -> Result<(CertificateDer<'static>, KeyPair), Error> {
        let algorithm = match self.ed25519 {
            true => &PKCS_ED25519,
            false => &PKCS_ECDSA_P256_SHA256,
        };
        let key = KeyPair::generate_for(algorithm).map_err(|e| Error::Key(e.to_string()))?;
        let params = request.params()?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|e| Error::Certificate(e.to_string()))?;
        Ok((certificate.der().clone(), key))
    }

    /// A client certificate and its key as PEM texts.
    pub(crate) fn client(
        &self,
        common_name: &str,
        organisations: &[String],
        lifetime: Duration,
    ) -> Result<(String, String), Error> {
        let (certificate, key) = self.sign(Request {
            common_name: common_name.to_owned(),
            organisations: organisations.to_vec(),
            names: Vec::new(),
            usage: ExtendedKeyUsagePurpose::ClientAuth,
            lifetime,
        })?;
        let key_pem = match self.ed25519 {
            true => key.serialize_pem(),
            false => ec_pem(&key)?,
        };
        Ok((pem_text("CERTIFICATE", &certificate), key_pem))
    }
}

struct Request {
    common_name: String,
    organisations: Vec<String>,
    names: Vec<String>,
    usage: ExtendedKeyUsagePurpose,
    lifetime: Duration,
}

/// No certificate lives longer: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Tolerance of clocks that differ.
const ALLOWED_SKEW: Duration = Duration::from_secs(10);

impl Request {
    fn params(self) -> Result<CertificateParams, Error> {
        let mut params =
            CertificateParams::new(self.names).map_err(|e| Error::Certificate(e.to_string()))?;
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let epoch = date_time_ymd(1970, 1, 1);
        params.not_before = epoch + since_epoch.saturating_sub(ALLOWED_SKEW);
        // One without a lifetime has expired already.
        params.not_after = match self.lifetime.is_zero() {
            true => epoch + since_epoch.saturating_sub(ALLOWED_SKEW / 2),
            false => epoch + since_epoch + self.lifetime.min(LONGEST),
        };
        let mut name = DistinguishedName::new();
        // The library holds one value for each type; the second has the same type under its number.
        let kinds = [
            DnType::OrganizationName,
            DnType::CustomDnType(vec![2, 5, 4, 10]),
        ];
        if self.organisations.len() > kinds.len() {
            return Err(Error::Certificate(format!(
                "at most {} organisations fit into a certificate of the lab",
                kinds.len()
            )));
        }
        for (kind, organisation) in kinds.into_iter().zip(self.organisations) {
            name.push(kind, organisation);
        }
        if !self.common_name.is_empty() {
            name.push(DnType::CommonName, self.common_name);
        }
        params.distinguished_name = name;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![self.usage];
        let serial: [u8; 16] = rand::random();
        params.serial_number = Some(SerialNumber::from(serial.to_vec()));
        Ok(params)
    }
}

/// A key in any of the forms that Talos configurations carry: PKCS#8 under the label `ED25519 PRIVATE KEY`, SEC 1, PKCS#8.
fn key_pair(pem: &str) -> Result<KeyPair, Error> {
    let (label, der) = unpem(pem).ok_or(Error::NotPem)?;
    let pkcs8 = match label.as_str() {
        "EC PRIVATE KEY" => sec1_to_pkcs8(&der),
        "ED25519 PRIVATE KEY" | "PRIVATE KEY" => der,
        other => return Err(Error::Key(other.to_owned())),
    };
    KeyPair::try_from(pkcs8).map_err(|e| Error::Key(e.to_string()))
}

/// The cluster CA's key in PKCS#8, as any reader takes it.
pub(crate) fn pkcs8_pem(pem: &Pem) -> Result<String, Error> {
    let key = pem.key.as_deref().ok_or(Error::NoKey)?;
    Ok(key_pair(key)?.serialize_pem())
}

/// Label and contents of the first PEM block.
fn unpem(text: &str) -> Option<(String, Vec<u8>)> {
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let body: String = body.split_whitespace().collect();
    let der = base64::engine::general_purpose::STANDARD
        .decode(body)
        .ok()?;
    Some((label.to_owned(), der))
}

pub(crate) fn pem_text(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

/// Wraps a P-256 key: version 0, the algorithm, and the SEC 1 structure as an octet string.
fn sec1_to_pkcs8(sec1: &[u8]) -> Vec<u8> {
    const ALGORITHM: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
        0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    let mut inner = ALGORITHM.to_vec();
    inner.extend(tlv(0x04, sec1));
    tlv(0x30, &inner)
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = contents.len();
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let significant: Vec<u8> = bytes.into_iter().skip_while(|b| *b == 0).collect();
            out.push(0x80 | u8::try_from(significant.len()).unwrap_or(8));
            out.extend(significant);
        }
    }
    out.extend_from_slice(contents);
    out
}

/// The SEC 1 structure inside a P-256 key of PKCS#8, as Go writes client keys.
fn ec_pem(key: &KeyPair) -> Result<String, Error> {
    let der = key.serialized_der();
    // The octet string is the last element: everything after the algorithm.
    let start = der
        .windows(10)
        .position(|w| w == [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07])
        .map(|at| at + 10);
    let octets = start.and_then(|at| der.get(at..));
    let sec1 = match octets {
        Some([0x04, 0x81, _, rest @ ..]) => rest,
        Some([0x04, length, rest @ ..]) if *length < 0x80 => rest,
        _ => return Err(Error::Key("not a P-256 key".to_owned())),
    };
    Ok(pem_text("EC PRIVATE KEY", &with_curve(sec1)))
}

/// In PKCS#8 the algorithm names the curve; standing alone, the SEC 1 structure must name it itself (Go reads no other).
fn with_curve(sec1: &[u8]) -> Vec<u8> {
    const CURVE: &[u8] = &[
        0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    // Version and key take 37 bytes; then comes the public key, if no curve stands before it.
    match sec1
        .split_at_checked(2)
        .and_then(|(_, body)| body.split_at_checked(37))
    {
        Some((key, public)) if public.first() != Some(&0xa0) => {
            tlv(0x30, &[key, CURVE, public].concat())
        }
        _ => sec1.to_vec(),
    }
}

/// What maintenance mode shows: a fresh self-signed certificate; clients are not verified.
pub(crate) fn maintenance_tls(names: &[String]) -> Result<Arc<ServerConfig>, Error> {
    let key = KeyPair::generate_for(&PKCS_ED25519).map_err(|e| Error::Key(e.to_string()))?;
    let params = Request {
        common_name: "maintenance-service.talos.dev".to_owned(),
        organisations: Vec::new(),
        names: names.to_vec(),
        usage: ExtendedKeyUsagePurpose::ServerAuth,
        lifetime: Duration::from_secs(24 * 3600),
    }
    .params()?;
    let certificate = params
        .self_signed(&key)
        .map_err(|e| Error::Certificate(e.to_string()))?;
    finish(
        builder(false)?.with_no_client_auth(),
        certificate.der().clone(),
        &key,
    )
}

/// The machine API's TLS once configured: certificate from the machine CA, clients verified against it and the accepted CAs.
pub(crate) fn machine_tls(
    signer: &SigningCa,
    trusted: &[String],
    names: &[String],
    lifetime: Duration,
    only_tls13: bool,
) -> Result<Arc<ServerConfig>, Error> {
    let mut roots = RootCertStore::empty();
    for pem in trusted {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|e| Error::Certificate(e.to_string()))?;
            roots
                .add(certificate)
                .map_err(|e| Error::Certificate(e.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| Error::Certificate(e.to_string()))?;
    let (certificate, key) = signer.sign(Request {
        common_name: names.first().cloned().unwrap_or_default(),
        organisations: Vec::new(),
        names: names.to_vec(),
        usage: ExtendedKeyUsagePurpose::ServerAuth,
        lifetime,
    })?;
    finish(
        builder(only_tls13)?.with_client_cert_verifier(verifier),
        certificate,
        &key,
    )
}

type Builder = rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>;

fn builder(only_tls13: bool) -> Result<Builder, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = match only_tls13 {
        true => &[&rustls::version::TLS13],
        false => rustls::DEFAULT_VERSIONS,
    };
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|e| Error::Certificate(e.to_string()))
}

fn finish(
    builder: rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> Result<Arc<ServerConfig>, Error> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = builder
        .with_single_cert(vec![certificate], key)
        .map_err(|e| Error::Certificate(e.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The organisations in a client certificate: its roles.
pub(crate) fn organisations(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else {
        return Vec::new();
    };
    let names = certificate.subject().iter_organization();
    names
        .filter_map(|o| o.as_str().ok())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::version::Line;

    #[test]
    fn the_keys_of_a_real_configuration_sign() {
        let text = include_bytes!("../tests/golden/controlplane-v1.13.yaml");
        let config = Config::load(Line::V1_13, text).unwrap();
        for ca in [config.machine_ca().unwrap(), config.cluster_ca().unwrap()] {
            let signer = SigningCa::open(&ca).unwrap();
            let (certificate, key) = signer
                .client("admin", &["os:admin".to_owned()], Duration::from_secs(60))
                .unwrap();
            let der = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
            assert_eq!(organisations(&der), ["os:admin"]);
            // What was written can be read again, and fits the certificate.
            let key = key_pair(&key).unwrap();
            let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
            assert_eq!(
                parsed.public_key().subject_public_key.data.as_ref(),
                key.public_key_raw()
            );
        }
    }

    #[test]
    fn broken_keys_are_errors() {
        assert!(matches!(key_pair("nothing"), Err(Error::NotPem)));
        let rsa = pem_text("RSA PRIVATE KEY", &[1, 2, 3]);
        assert!(matches!(key_pair(&rsa), Err(Error::Key(_))));
        assert!(key_pair(&pem_text("EC PRIVATE KEY", &[0; 300])).is_err());
    }
}
