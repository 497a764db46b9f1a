//! The lab's certificate authority: one root, kept in the store, and leaf certificates for any name.

use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};

use crate::Store;

/// Signs every certificate of the lab's cloud names and appliances.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    certificate_pem: String,
    key_pem: String,
}

impl Authority {
    /// Loads the authority of this lab, or makes it.
    pub fn open(store: &Store) -> io::Result<Authority> {
        let saved: Option<Saved> = store.load("authority")?;
        let key = match &saved {
            Some(s) => KeyPair::from_pem(&s.key_pem).map_err(io::Error::other)?,
            None => KeyPair::generate().map_err(io::Error::other)?,
        };
        let key_pem = key.serialize_pem();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "stead lab CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let issuer = CertifiedIssuer::self_signed(params, key).map_err(io::Error::other)?;
        // The same key and name make every re-issued root interchangeable; clients keep the first one's file.
        let pem = match saved {
            Some(s) => s.certificate_pem,
            None => {
                let pem = issuer.pem();
                store.save(
                    "authority",
                    &Saved {
                        certificate_pem: pem.clone(),
                        key_pem,
                    },
                )?;
                pem
            }
        };
        Ok(Authority { issuer, pem })
    }

    /// The root's certificate, for `SSL_CERT_FILE`.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for these names and its key, as PEM.
    pub fn issue(&self, names: &[String]) -> io::Result<(String, String)> {
        let (leaf, key) = self.leaf(names)?;
        Ok((leaf.pem(), key.serialize_pem()))
    }

    /// A fresh certificate for a server, and its key.
    fn leaf(&self, names: &[String]) -> io::Result<(Certificate, KeyPair)> {
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(io::Error::other)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(
            DnType::CommonName,
            names.first().cloned().unwrap_or_default(),
        );
        let leaf = params
            .signed_by(&key, &*self.issuer)
            .map_err(io::Error::other)?;
        Ok((leaf, key))
    }

    /// A TLS server configuration with a fresh leaf for these names (DNS names, wildcards or IP addresses); HTTP/1.1 and 2.
    pub fn server_config(&self, names: &[String]) -> io::Result<Arc<ServerConfig>> {
        let (leaf, key) = self.leaf(names)?;
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
