//! Whom a TLS connection trusts: the machine's roots, more roots, a pinned certificate.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use stead_value::Sensitive;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dial::Dialer;
use crate::{Error, ErrorKind};

/// How to secure a connection. The default trusts the machine's certificate authorities.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    pub roots: Roots,
    /// Trust exactly the certificate with this fingerprint, whoever signed it and whatever name it bears.
    pub fingerprint: Option<Fingerprint>,
    /// Trust anyone. A pinned fingerprint is nearly as easy, and safe.
    pub insecure: bool,
    pub identity: Option<ClientIdentity>,
    /// The name the certificate must bear, when it is not the host's.
    pub server_name: Option<String>,
    /// A trusted authority is enough, whatever name the certificate bears (PostgreSQL's `verify-ca`).
    pub any_name: bool,
    /// Nothing older than TLS 1.3; otherwise 1.2 will do.
    pub only_1_3: bool,
    /// Protocols offered, most wanted first; `http()` and `grpc_channel()` know theirs.
    pub alpn: Vec<String>,
}

/// Certificate authorities that are trusted, as PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Roots {
    /// Those of the machine, or of `SSL_CERT_FILE` when that is set.
    #[default]
    System,
    /// Those, and these.
    SystemAnd(String),
    /// Only these: a cluster's own authority.
    Only(String),
}

/// Who we are, for mutual TLS.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// The certificate, then its intermediates, as PEM.
    pub certificates: String,
    pub key: Sensitive<String>,
}

/// The SHA-256 of a certificate in DER form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(certificate: &[u8]) -> Fingerprint {
        Fingerprint(Sha256::digest(certificate).into())
    }
}

/// Reads `AA:BB:…` or `aabb…`, with an optional `sha256:` before it.
impl FromStr for Fingerprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = || {
            Error::new("read a certificate fingerprint", format!("{text:?} is not the SHA-256 of a certificate"))
                .remedy("Write its 32 bytes in hexadecimal, with or without colons: `openssl x509 -fingerprint -sha256`.")
        };
        let lower = text.trim().to_ascii_lowercase();
        let digits: Vec<u8> = lower
            .trim_start_matches("sha256:")
            .bytes()
            .filter(|b| *b != b':')
            .collect();
        let mut bytes = [0u8; 32];
        if digits.len() != 64 {
            return Err(invalid());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| invalid())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| invalid())?;
        }
        Ok(Fingerprint(bytes))
    }
}

/// `AA:BB:…`, as `openssl` prints it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Dialer {
    /// An encrypted connection.
    pub async fn tls(
        &self,
        host: &str,
        port: u16,
        options: &TlsOptions,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let config = self.client_config(options)?;
        let stream = self.tcp_for_tls(host, port).await?;
        let asked = || format!("connect to {host}:{port} over TLS");
        let name = options.server_name.as_deref().unwrap_or(host);
        let name = name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(name).map_err(|e| Error::new(asked(), e.to_string()))?;
        let handshake = TlsConnector::from(config).connect(name, stream);
        match tokio::time::timeout(self.connect_timeout(), handshake).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(handshake_error(asked(), &error)),
            Err(_) => Err(Error::transient(
                asked(),
                "the TLS handshake got no answer in time",
            )),
        }
    }

    /// The rustls configuration for these options, for clients that open their connections themselves.
    pub fn client_config(&self, options: &TlsOptions) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let asked = "set up TLS";
        let versions: &[&rustls::SupportedProtocolVersion] = if options.only_1_3 {
            &[&rustls::version::TLS13]
        } else {
            rustls::ALL_VERSIONS
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|e| Error::new(asked, e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(self.verifier(options, &provider)?);
        let mut config = match &options.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let certificates = certificates(&identity.certificates, "the client certificate")?;
                // The parser's message could quote the key.
                let key = PrivateKeyDer::from_pem_slice(identity.key.expose_secret().as_bytes())
                    .map_err(|_| {
                        Error::new("read the client key", "it is not a private key in PEM form")
                    })?;
                builder
                    .with_client_auth_cert(certificates, key)
                    .map_err(|e| {
                        Error::new("use the client certificate", e.to_string())
                            .remedy("Check that the certificate and the key belong together.")
                    })?
            }
        };
        config.alpn_protocols = options.alpn.iter().map(|p| p.as_bytes().to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn verifier(
        &self,
        options: &TlsOptions,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ServerCertVerifier>, Error> {
        let trust = if options.insecure {
            Trust::Anyone
        } else if let Some(pin) = options.fingerprint {
            Trust::Pinned(pin)
        } else {
            let roots = self.roots(&options.roots)?;
            let chain =
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
            let chain = chain.map_err(|e| {
                Error::new(
                    "set up TLS",
                    format!("no certificate authority to trust: {e}"),
                )
                .remedy("Install the ca-certificates package, or name a bundle in SSL_CERT_FILE.")
            })?;
            Trust::Chain(chain)
        };
        let name =
            match &options.server_name {
                None => None,
                Some(name) => Some(ServerName::try_from(name.clone()).map_err(|e| {
                    Error::new(format!("check the server name {name}"), e.to_string())
                })?),
            };
        Ok(Arc::new(Verifier {
            trust,
            name,
            any_name: options.any_name,
            provider: Arc::clone(provider),
        }))
    }

    fn roots(&self, roots: &Roots) -> Result<Arc<RootCertStore>, Error> {
        let (mut store, pem) = match roots {
            Roots::System => return self.system_roots(),
            Roots::SystemAnd(pem) => ((*self.system_roots()?).clone(), pem),
            Roots::Only(pem) => (RootCertStore::empty(), pem),
        };
        for certificate in certificates(pem, "the certificate authority")? {
            store
                .add(certificate)
                .map_err(|e| Error::new("use the certificate authority", e.to_string()))?;
        }
        Ok(Arc::new(store))
    }

    fn system_roots(&self) -> Result<Arc<RootCertStore>, Error> {
        let loaded = self
            .inner
            .roots
            .get_or_init(|| load_roots(self.environment().get("SSL_CERT_FILE")));
        loaded.clone().map_err(|e| {
            Error::new("load the trusted certificate authorities", e).remedy(
                "Install the ca-certificates package, or name a PEM bundle in SSL_CERT_FILE.",
            )
        })
    }
}

/// `SSL_CERT_FILE` stands in the place of the machine's own bundle, as it does for OpenSSL and Go.
fn load_roots(bundle: Option<&str>) -> Result<Arc<RootCertStore>, String> {
    let loaded = match bundle {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file.as_ref()), None),
        None => rustls_native_certs::load_native_certs(),
    };
    if loaded.certs.is_empty() && !loaded.errors.is_empty() {
        return Err(loaded
            .errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "));
    }
    let mut store = RootCertStore::empty();
    let (taken, left) = store.add_parsable_certificates(loaded.certs);
    tracing::debug!(taken, left, "loaded certificate authorities");
    Ok(Arc::new(store))
}

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Error::new(
            format!("read {what}"),
            "it holds no certificate in PEM form",
        )),
        Err(error) => Err(Error::new(format!("read {what}"), error.to_string())),
    }
}

/// A failed handshake: a certificate that is not trusted will not be trusted the next time.
fn handshake_error(asked: String, error: &std::io::Error) -> Error {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls) => trust_error(asked, tls),
        None => Error::transient(asked, error.to_string()),
    }
}

/// The error of a TLS library call, with what to do about certificates.
pub(crate) fn trust_error(asked: String, error: &rustls::Error) -> Error {
    let failed = Error::of_kind(ErrorKind::Other, asked, error.to_string());
    match error {
        rustls::Error::General(text) if text.contains("fingerprint") => failed.untrusted().remedy(
            "Add the authority to the trusted ones (SSL_CERT_FILE, or the provider's CA setting), or pin the \
             certificate by its fingerprint after comparing it on the server itself.",
        ),
        rustls::Error::AlertReceived(_) => failed.remedy("The server refused the connection: check the client certificate."),
        _ => failed,
    }
}

#[derive(Debug)]
enum Trust {
    Anyone,
    Pinned(Fingerprint),
    Chain(Arc<WebPkiServerVerifier>),
}

#[derive(Debug)]
struct Verifier {
    trust: Trust,
    name: Option<ServerName<'static>>,
    any_name: bool,
    provider: Arc<CryptoProvider>,
}

/// Whether all that is wrong is the name.
fn is_name(error: &rustls::Error) -> bool {
    use rustls::CertificateError::{NotValidForName, NotValidForNameContext};
    matches!(
        error,
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })
    )
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = Fingerprint::of(certificate);
        match &self.trust {
            Trust::Anyone => Ok(ServerCertVerified::assertion()),
            Trust::Pinned(pin) if *pin == found => Ok(ServerCertVerified::assertion()),
            Trust::Pinned(pin) => Err(rustls::Error::General(format!(
                "the server's certificate has the SHA-256 fingerprint {found}, the pinned one is {pin}"
            ))),
            Trust::Chain(chain) => {
                let name = self.name.as_ref().unwrap_or(server_name);
                match chain.verify_server_cert(certificate, intermediates, name, ocsp_response, now)
                {
                    // The name is looked at last, when the chain has convinced.
                    Err(e) if self.any_name && is_name(&e) => Ok(ServerCertVerified::assertion()),
                    verified => verified.map_err(|e| {
                        rustls::Error::General(format!(
                            "{e}; the server's certificate has the SHA-256 fingerprint {found}"
                        ))
                    }),
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
