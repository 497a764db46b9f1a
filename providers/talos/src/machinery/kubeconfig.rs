//! Kubeconfigs: written as Talos does, read from the archive a node streams.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::secrets::Secret;
use super::value::Value;
use super::yaml::{Style, emit, parse_documents, to_value};

/// An admin kubeconfig of one cluster and one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kubeconfig {
    /// Name of the cluster; user and context are `admin@` it.
    pub cluster_name: String,
    /// URL of the Kubernetes API.
    pub server: String,
    /// PEM of the CA that signed the server.
    pub ca_certificate: String,
    /// How the user proves who they are.
    pub user: KubeconfigUser,
}

/// A client certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeconfigUser {
    /// PEM of the certificate.
    pub certificate: String,
    /// PEM of the key.
    pub key: Secret,
}

/// Why a kubeconfig could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KubeconfigError {
    /// The stream is not gzip, or broken.
    #[error("the kubeconfig archive cannot be unpacked: {0}")]
    Gzip(String),
    /// The archive is not a tar, or is cut off within the file.
    #[error("the kubeconfig archive is damaged: {0}")]
    Tar(&'static str),
    /// The archive holds no file `kubeconfig`.
    #[error("the archive holds no kubeconfig")]
    Missing,
    /// The text is not a kubeconfig.
    #[error("kubeconfig: {0}")]
    Format(String),
}

/// Far above any kubeconfig; bounds what a broken peer can make us unpack.
const MAX_ARCHIVE: u64 = 16 << 20;
const BLOCK: usize = 512;

/// Takes the kubeconfig text out of the tar.gz that a node streams.
///
/// Talos does not close the tar: the blocks that mark its end are missing, and that is accepted.
pub fn kubeconfig_from_archive(archive: &[u8]) -> Result<Secret, KubeconfigError> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(archive)
        .take(MAX_ARCHIVE)
        .read_to_end(&mut tar)
        .map_err(|e| KubeconfigError::Gzip(e.to_string()))?;
    let mut rest = tar.as_slice();
    while let Some((header, body)) = rest.split_first_chunk::<BLOCK>() {
        if header.iter().all(|b| *b == 0) {
            break;
        }
        let size =
            octal(&header[124..136]).ok_or(KubeconfigError::Tar("an entry has no valid size"))?;
        let content = body
            .get(..size)
            .ok_or(KubeconfigError::Tar("an entry is cut off"))?;
        let name = header[..100].split(|b| *b == 0).next().unwrap_or_default();
        let is_file = matches!(header[156], b'0' | 0);
        if is_file && name.rsplit(|b| *b == b'/').next() == Some(b"kubeconfig") {
            let text = std::str::from_utf8(content)
                .map_err(|_| KubeconfigError::Format("not UTF-8".to_owned()))?;
            return Ok(Secret::new(text));
        }
        // The last entry of an unclosed archive may lack its padding.
        rest = body.get(size.div_ceil(BLOCK) * BLOCK..).unwrap_or_default();
    }
    Err(KubeconfigError::Missing)
}

fn octal(field: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(field).ok()?;
    usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

impl Kubeconfig {
    /// Writes the kubeconfig with sorted keys, as client-go does.
    pub fn to_yaml(&self) -> Secret {
        let admin = format!("admin@{}", self.cluster_name);
        let encoded = |pem: &str| Value::Str(STANDARD.encode(pem));
        let named = |name: &str, key: &str, value: Value| {
            let entry = if key < "name" {
                [(key, value), ("name", name.into())]
            } else {
                [("name", name.into()), (key, value)]
            };
            Value::List(vec![Value::map(entry)])
        };
        let cluster = [
            ("certificate-authority-data", encoded(&self.ca_certificate)),
            ("server", self.server.as_str().into()),
        ];
        let context = [
            ("cluster", self.cluster_name.as_str().into()),
            ("namespace", "default".into()),
            ("user", admin.as_str().into()),
        ];
        let user = [
            ("client-certificate-data", encoded(&self.user.certificate)),
            ("client-key-data", encoded(self.user.key.expose())),
        ];
        let root = Value::map([
            ("apiVersion", "v1".into()),
            (
                "clusters",
                named(&self.cluster_name, "cluster", Value::map(cluster)),
            ),
            ("contexts", named(&admin, "context", Value::map(context))),
            ("current-context", admin.as_str().into()),
            ("kind", "Config".into()),
            ("users", named(&admin, "user", Value::map(user))),
        ]);
        Secret::new(emit(&root, Style::yaml_v2()))
    }

    /// Reads the current context of a kubeconfig with a client certificate.
    pub fn from_yaml(text: &str) -> Result<Self, KubeconfigError> {
        let bad = |what: &str| KubeconfigError::Format(what.to_owned());
        let documents =
            parse_documents(text).map_err(|e| KubeconfigError::Format(e.to_string()))?;
        let document = documents.first().ok_or_else(|| bad("it is empty"))?;
        let root = to_value(document).map_err(|e| KubeconfigError::Format(e.to_string()))?;
        let entry = |list: &str, name: &str, key: &str| -> Option<Value> {
            let items = root.at(&[list])?.as_list()?;
            items
                .iter()
                .find(|i| i.text_at(&["name"]) == Some(name))?
                .at(&[key])
                .cloned()
        };
        let current = root
            .text_at(&["current-context"])
            .ok_or_else(|| bad("no current-context"))?;
        let context = entry("contexts", current, "context")
            .ok_or_else(|| bad("the current context is not defined"))?;
        let (name, user_name) = (context.text_at(&["cluster"]), context.text_at(&["user"]));
        let name = name.ok_or_else(|| bad("the context names no cluster"))?;
        let cluster = entry("clusters", name, "cluster")
            .ok_or_else(|| bad("the context's cluster is not defined"))?;
        let user = entry("users", user_name.unwrap_or_default(), "user")
            .ok_or_else(|| bad("the context's user is not defined"))?;
        let text = |value: &Value, key: &str| {
            value
                .text_at(&[key])
                .map(str::to_owned)
                .ok_or_else(|| bad(&format!("no {key}")))
        };
        let pem = |value: &Value, key: &str| -> Result<String, KubeconfigError> {
            let decoded = STANDARD
                .decode(text(value, key)?)
                .ok()
                .and_then(|b| String::from_utf8(b).ok());
            decoded.ok_or_else(|| bad(&format!("{key} is not base64 of a PEM text")))
        };
        Ok(Self {
            cluster_name: name.to_owned(),
            server: text(&cluster, "server")?,
            ca_certificate: pem(&cluster, "certificate-authority-data")?,
            user: KubeconfigUser {
                certificate: pem(&user, "client-certificate-data")?,
                key: Secret::new(pem(&user, "client-key-data")?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn archive(name: &str, content: &[u8], padded: bool) -> Vec<u8> {
        let mut tar = vec![0; BLOCK];
        tar[..name.len()].copy_from_slice(name.as_bytes());
        tar[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        tar[156] = b'0';
        tar.extend_from_slice(content);
        if padded {
            tar.resize(tar.len().div_ceil(BLOCK) * BLOCK, 0);
        }
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn reads_an_archive_that_is_not_closed() {
        for padded in [true, false] {
            let found =
                kubeconfig_from_archive(&archive("kubeconfig", b"apiVersion: v1\n", padded))
                    .unwrap();
            assert_eq!(found.expose(), "apiVersion: v1\n");
        }
        assert_eq!(
            kubeconfig_from_archive(&archive("other", b"x", true)),
            Err(KubeconfigError::Missing)
        );
        assert!(matches!(
            kubeconfig_from_archive(b"no gzip"),
            Err(KubeconfigError::Gzip(_))
        ));
    }

    #[test]
    fn round_trips() {
        let kubeconfig = Kubeconfig {
            cluster_name: "lab".to_owned(),
            server: "https://10.0.0.1:6443".to_owned(),
            ca_certificate: "CA\n".to_owned(),
            user: KubeconfigUser {
                certificate: "CERT\n".to_owned(),
                key: Secret::new("KEY\n"),
            },
        };
        assert_eq!(
            Kubeconfig::from_yaml(kubeconfig.to_yaml().expose()),
            Ok(kubeconfig)
        );
        assert!(Kubeconfig::from_yaml("apiVersion: v1\n").is_err());
    }
}
