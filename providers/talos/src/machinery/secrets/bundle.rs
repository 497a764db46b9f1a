//! The YAML form of a secrets bundle (`talosctl gen secrets`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::keys::check_key;
use super::x509::{certificate_body, parse};
use super::{CertificateAndKey, Certs, KubernetesSecrets, Secret, SecretsBundle, SecretsError};
use crate::machinery::value::Value;
use crate::machinery::yaml::{Quoting, Style, emit, parse_documents, to_value};

impl SecretsBundle {
    /// Reads a bundle and checks it.
    pub fn from_yaml(text: &str) -> Result<Self, SecretsError> {
        let documents = parse_documents(text).map_err(|e| SecretsError::Format(e.to_string()))?;
        let [document] = documents.as_slice() else {
            return Err(SecretsError::Format(
                "expected one YAML document".to_owned(),
            ));
        };
        let root = to_value(document).map_err(|e| SecretsError::Format(e.to_string()))?;
        let mut reader = Reader {
            root: &root,
            missing: Vec::new(),
        };
        let bundle = Self {
            cluster_id: reader.required(&["cluster", "id"]),
            cluster_secret: Secret::new(reader.required(&["cluster", "secret"])),
            secrets: KubernetesSecrets {
                bootstrap_token: Secret::new(reader.required(&["secrets", "bootstraptoken"])),
                secretbox_encryption_secret: reader
                    .optional(&["secrets", "secretboxencryptionsecret"]),
                aescbc_encryption_secret: reader.optional(&["secrets", "aescbcencryptionsecret"]),
            },
            trustd_token: Secret::new(reader.required(&["trustdinfo", "token"])),
            certs: Certs {
                etcd: reader.pair("etcd"),
                k8s: reader.pair("k8s"),
                k8s_aggregator: reader.pair("k8saggregator"),
                k8s_service_account: Secret::new(reader.pem(&[
                    "certs",
                    "k8sserviceaccount",
                    "key",
                ])),
                os: reader.pair("os"),
            },
        };
        if !reader.missing.is_empty() {
            return Err(SecretsError::Invalid(reader.missing));
        }
        bundle.validate()?;
        Ok(bundle)
    }

    /// Writes the bundle as `talosctl gen secrets` does.
    pub fn to_yaml(&self) -> Secret {
        let optional = |s: &Option<Secret>| Value::from(s.as_ref().map(|s| s.expose().to_owned()));
        let pem = |text: &str| Value::Str(STANDARD.encode(text));
        let pair = |p: &CertificateAndKey| {
            Value::map([("crt", pem(&p.cert)), ("key", pem(p.key.expose()))])
        };
        let certs = Value::map([
            ("etcd", pair(&self.certs.etcd)),
            ("k8s", pair(&self.certs.k8s)),
            ("k8saggregator", pair(&self.certs.k8s_aggregator)),
            (
                "k8sserviceaccount",
                Value::map([("key", pem(self.certs.k8s_service_account.expose()))]),
            ),
            ("os", pair(&self.certs.os)),
        ]);
        let cluster = [
            ("id", self.cluster_id.as_str().into()),
            ("secret", self.cluster_secret.expose().into()),
        ];
        let secrets = [
            (
                "bootstraptoken",
                self.secrets.bootstrap_token.expose().into(),
            ),
            (
                "aescbcencryptionsecret",
                optional(&self.secrets.aescbc_encryption_secret),
            ),
            (
                "secretboxencryptionsecret",
                optional(&self.secrets.secretbox_encryption_secret),
            ),
        ];
        let root = Value::map([
            ("cluster", Value::map(cluster)),
            ("secrets", Value::map(secrets)),
            (
                "trustdinfo",
                Value::map([("token", self.trustd_token.expose().into())]),
            ),
            ("certs", certs),
        ]);
        Secret::new(emit(&root, Style::talos(Quoting::Double)))
    }

    /// Checks that nothing is missing and that certificates and keys can be read.
    pub fn validate(&self) -> Result<(), SecretsError> {
        let mut problems = Vec::new();
        for (name, text) in [
            ("cluster.id", self.cluster_id.as_str()),
            ("cluster.secret", self.cluster_secret.expose()),
            (
                "secrets.bootstraptoken",
                self.secrets.bootstrap_token.expose(),
            ),
            ("trustdinfo.token", self.trustd_token.expose()),
        ] {
            if text.is_empty() {
                problems.push(format!("{name} is required"));
            }
        }
        let (secretbox, aescbc) = (
            &self.secrets.secretbox_encryption_secret,
            &self.secrets.aescbc_encryption_secret,
        );
        let both = "[secrets.secretboxencryptionsecret, secrets.aescbcencryptionsecret]";
        match (secretbox, aescbc) {
            (None, None) => problems.push(format!("one of {both} is required")),
            (Some(_), Some(_)) => problems.push(format!("only one of {both} is allowed")),
            _ => {}
        }
        for (name, pair) in [
            ("etcd", &self.certs.etcd),
            ("k8s", &self.certs.k8s),
            ("k8saggregator", &self.certs.k8s_aggregator),
            ("os", &self.certs.os),
        ] {
            let checked = check_key(pair.key.expose()).and_then(|()| {
                let body = certificate_body(&pair.cert)?;
                parse(&body).map(drop)
            });
            if let Err(e) = checked {
                problems.push(format!("certs.{name} is invalid: {e}"));
            }
        }
        if let Err(e) = check_key(self.certs.k8s_service_account.expose()) {
            problems.push(format!("certs.k8sserviceaccount.key is invalid: {e}"));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(SecretsError::Invalid(problems))
        }
    }
}

struct Reader<'a> {
    root: &'a Value,
    missing: Vec<String>,
}

impl Reader<'_> {
    fn required(&mut self, path: &[&str]) -> String {
        match self.root.text_at(path) {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => {
                self.missing.push(format!("{} is required", path.join(".")));
                String::new()
            }
        }
    }

    fn optional(&self, path: &[&str]) -> Option<Secret> {
        self.root
            .text_at(path)
            .filter(|t| !t.is_empty())
            .map(Secret::new)
    }

    fn pem(&mut self, path: &[&str]) -> String {
        let encoded = self.required(path);
        match STANDARD
            .decode(&encoded)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
        {
            Some(text) => text,
            None => {
                self.missing
                    .push(format!("{} is not base64 of a PEM text", path.join(".")));
                String::new()
            }
        }
    }

    fn pair(&mut self, name: &str) -> CertificateAndKey {
        CertificateAndKey {
            cert: self.pem(&["certs", name, "crt"]),
            key: Secret::new(self.pem(&["certs", name, "key"])),
        }
    }
}
