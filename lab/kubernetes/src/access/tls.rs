//! The API server's certificate, and client certificates.

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer, UnixTime,
};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use stead_lab_core::cluster::ClusterSpec;

use super::User;

/// Makes the server's TLS configuration and the verifier of client certificates.
pub(crate) struct ServerIdentity;

impl ServerIdentity {
    pub(crate) fn config(spec: &ClusterSpec) -> io::Result<Arc<ServerConfig>> {
        let key = ca_key(&spec.ca_key_pem)?;
        let issuer =
            Issuer::from_ca_cert_pem(&spec.ca_certificate_pem, key).map_err(io::Error::other)?;
        let mut names: Vec<String> = [
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
            "localhost",
            "127.0.0.1",
            "10.96.0.1",
        ]
        .map(str::to_owned)
        .to_vec();
        names.extend(
            spec.certificate_names
                .iter()
                .filter(|n| !names.contains(n))
                .cloned()
                .collect::<Vec<_>>(),
        );
        let own_key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "kube-apiserver");
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params
            .signed_by(&own_key, &issuer)
            .map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(AnyClient {
            provider: provider.clone(),
        });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own_key.serialize_der())),
            )
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// The CA's key in whichever of the usual PEM forms.
fn ca_key(pem: &str) -> io::Result<KeyPair> {
    // Talos labels the key of an Ed25519 CA in its own way; inside is PKCS#8.
    let pem = pem.replace("ED25519 PRIVATE KEY", "PRIVATE KEY");
    let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(io::Error::other)?;
    let pkcs8 = match der {
        PrivateKeyDer::Pkcs8(key) => key,
        PrivateKeyDer::Sec1(key) => from_sec1(&key)?,
        PrivateKeyDer::Pkcs1(key) => PrivatePkcs8KeyDer::from(wrap_rsa(key.secret_pkcs1_der())),
        _ => return Err(io::Error::other("unknown kind of CA key")),
    };
    KeyPair::try_from(&pkcs8).map_err(io::Error::other)
}

fn from_sec1(key: &PrivateSec1KeyDer<'_>) -> io::Result<PrivatePkcs8KeyDer<'static>> {
    use p256::pkcs8::EncodePrivateKey;
    let secret = p256::SecretKey::from_sec1_der(key.secret_sec1_der())
        .map_err(|_| io::Error::other("the CA's key is no P-256 key"))?;
    let document = secret
        .to_pkcs8_der()
        .map_err(|_| io::Error::other("the CA's key cannot be encoded"))?;
    Ok(PrivatePkcs8KeyDer::from(document.as_bytes().to_vec()))
}

/// PKCS#8 around PKCS#1: SEQUENCE { 0, { rsaEncryption, NULL }, OCTET STRING { key } }.
fn wrap_rsa(pkcs1: &[u8]) -> Vec<u8> {
    const HEAD: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
        0x01, 0x05, 0x00,
    ];
    let inner = [HEAD, &tagged(0x04, pkcs1)].concat();
    tagged(0x30, &inner)
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let bytes: Vec<u8> = length
        .to_be_bytes()
        .into_iter()
        .skip_while(|b| *b == 0)
        .collect();
    let mut out = vec![tag];
    match (length, u8::try_from(length), u8::try_from(bytes.len())) {
        (0..128, Ok(short), _) => out.push(short),
        (_, _, Ok(count)) => {
            out.push(0x80 | count);
            out.extend(bytes);
        }
        _ => {}
    }
    out.extend_from_slice(content);
    out
}

/// Takes any certificate in the handshake, as the real server does: a wrong one is answered with 401, not with an alert.
#[derive(Debug)]
struct AnyClient {
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Tells users by their certificates.
pub(crate) struct ClientCertificates {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCertificates {
    pub(crate) fn new(ca_pem: &str) -> io::Result<ClientCertificates> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem.as_bytes()) {
            roots
                .add(certificate.map_err(io::Error::other)?)
                .map_err(io::Error::other)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(io::Error::other)?;
        Ok(ClientCertificates { verifier })
    }

    /// The user of a certificate chain; `None` when the CA did not sign it, or it has expired.
    pub(crate) fn user(&self, chain: &[CertificateDer<'static>]) -> Option<User> {
        let (leaf, rest) = chain.split_first()?;
        self.verifier
            .verify_client_cert(leaf, rest, UnixTime::now())
            .ok()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(leaf).ok()?;
        let subject = parsed.subject();
        let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
        let mut groups: Vec<String> = subject
            .iter_organization()
            .filter_map(|o| o.as_str().ok().map(str::to_owned))
            .collect();
        groups.push("system:authenticated".to_owned());
        Some(User {
            name,
            uid: String::new(),
            groups,
            extra: std::collections::BTreeMap::new(),
        })
    }
}
