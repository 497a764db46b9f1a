//! Takes the secrets of a running cluster out of a control plane configuration.
//!
//! Facts: Talos `secrets.NewBundleFromConfig`. Legacy fields and the documents of 1.14 are read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{CertificateAndKey, Certs, KubernetesSecrets, Secret, SecretsBundle, SecretsError};
use crate::machinery::patch::load_config;
use crate::machinery::schema::{Document, Release};
use crate::machinery::value::Value;

impl SecretsBundle {
    /// Reads the bundle back from the configuration of a control plane node and checks it.
    ///
    /// A worker's configuration lacks the keys of the authorities and is refused for that.
    pub fn from_machine_config(config: &str, release: Release) -> Result<Self, SecretsError> {
        let documents =
            load_config(config, release).map_err(|e| SecretsError::Format(e.to_string()))?;
        let source = Source {
            documents: &documents,
        };
        let certs = Certs {
            etcd: source.legacy_pair(&["cluster", "etcd", "ca"]),
            k8s: source.pair("KubeAPIServerCAConfig", &["cluster", "ca"]),
            k8s_aggregator: source.pair("KubeAggregatorCAConfig", &["cluster", "aggregatorCA"]),
            k8s_service_account: Secret::new(
                match source.text("KubeServiceAccountConfig", &["issuer", "privateKey"]) {
                    "" => source.decoded(&["cluster", "serviceAccount", "key"]),
                    pem => pem.to_owned(),
                },
            ),
            os: source.legacy_pair(&["machine", "ca"]),
        };
        let legacy = |path: &[&str]| source.text("v1alpha1", path);
        let either = |kind: &str, key: &str, path: &[&str]| match source.text(kind, &[key]) {
            "" => legacy(path).to_owned(),
            text => text.to_owned(),
        };
        let optional = |text: &str| (!text.is_empty()).then(|| Secret::new(text));
        let (secretbox, aescbc) = match source.etcd_encryption_key() {
            Some(secret) => (optional(secret), None),
            None => (
                optional(legacy(&["cluster", "secretboxEncryptionSecret"])),
                optional(legacy(&["cluster", "aescbcEncryptionSecret"])),
            ),
        };
        let bundle = Self {
            cluster_id: either("DiscoveryIdentityConfig", "clusterID", &["cluster", "id"]),
            cluster_secret: Secret::new(either(
                "DiscoveryIdentityConfig",
                "clusterSecret",
                &["cluster", "secret"],
            )),
            secrets: KubernetesSecrets {
                bootstrap_token: Secret::new(legacy(&["cluster", "token"])),
                secretbox_encryption_secret: secretbox,
                aescbc_encryption_secret: aescbc,
            },
            trustd_token: Secret::new(legacy(&["machine", "token"])),
            certs,
        };
        bundle.validate()?;
        Ok(bundle)
    }
}

/// The authority of the Talos API with its key, from the configuration of a control plane node.
///
/// A worker's configuration has no key, and gives `None` like a text that is no configuration.
pub fn talos_authority(config: &str) -> Option<CertificateAndKey> {
    let documents = load_config(config, Release::V1_14).ok()?;
    let source = Source {
        documents: &documents,
    };
    let authority = source.legacy_pair(&["machine", "ca"]);
    let is_whole = !authority.cert.is_empty() && !authority.key.expose().is_empty();
    is_whole.then_some(authority)
}

struct Source<'a> {
    documents: &'a [Document],
}

impl<'a> Source<'a> {
    fn at(&self, kind: &str, path: &[&str]) -> Option<&'a Value> {
        let (first, rest) = path.split_first()?;
        self.documents
            .iter()
            .find(|d| d.kind() == kind)?
            .fields
            .get(*first)?
            .at(rest)
    }

    fn text(&self, kind: &str, path: &[&str]) -> &'a str {
        self.at(kind, path).and_then(Value::as_str).unwrap_or("")
    }

    /// PEM behind base64 in the legacy document; what is not PEM fails the later check.
    fn decoded(&self, path: &[&str]) -> String {
        let bytes = STANDARD
            .decode(self.text("v1alpha1", path))
            .unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    }

    fn legacy_pair(&self, path: &[&str]) -> CertificateAndKey {
        let part = |key: &str| self.decoded(&[path, &[key]].concat());
        CertificateAndKey {
            cert: part("crt"),
            key: Secret::new(part("key")),
        }
    }

    fn pair(&self, kind: &str, legacy: &[&str]) -> CertificateAndKey {
        match self.text(kind, &["issuingCA", "cert"]) {
            "" => self.legacy_pair(legacy),
            cert => CertificateAndKey {
                cert: cert.to_owned(),
                key: Secret::new(self.text(kind, &["issuingCA", "key"])),
            },
        }
    }

    /// The first key of the first provider that encrypts secrets, if that is secretbox.
    fn etcd_encryption_key(&self) -> Option<&'a str> {
        let resources = self
            .at("KubeEtcdEncryptionConfig", &["config", "resources"])?
            .as_list()?;
        let encrypts_secrets = |r: &&Value| {
            r.at(&["resources"])
                .and_then(Value::as_list)
                .is_some_and(|l| l.iter().any(|x| x.as_str() == Some("secrets")))
        };
        let provider = resources
            .iter()
            .find(encrypts_secrets)?
            .at(&["providers"])?
            .as_list()?
            .first()?;
        provider
            .at(&["secretbox", "keys"])?
            .as_list()?
            .first()?
            .text_at(&["secret"])
    }
}
