//! Where a cluster is and who we are: provider settings, completed from kubeconfig files.

use stead_value::Sensitive;

use crate::kube::kubeconfig;
use crate::{ClientIdentity, Dialer, Error, Roots, TlsOptions};

/// What a provider block says of a cluster. Everything is optional; what is set here wins over the kubeconfig.
#[derive(Clone, Debug, Default)]
pub struct ClusterSettings {
    /// A URL such as `https://10.25.150.10:6443`, or a host with an optional port.
    pub host: Option<String>,
    pub username: Option<String>,
    pub password: Option<Sensitive<String>>,
    pub token: Option<Sensitive<String>>,
    /// PEM.
    pub client_certificate: Option<String>,
    /// PEM.
    pub client_key: Option<Sensitive<String>>,
    /// PEM.
    pub cluster_ca_certificate: Option<String>,
    pub insecure: Option<bool>,
    pub tls_server_name: Option<String>,
    /// Kubeconfig files; the first that knows a name decides, as for `kubectl`.
    pub config_paths: Vec<String>,
    pub context: Option<String>,
    /// The user in the kubeconfig, in place of the context's.
    pub auth_info: Option<String>,
    /// The cluster in the kubeconfig, in place of the context's.
    pub cluster: Option<String>,
}

/// How requests prove who sends them, beside a client certificate.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    #[default]
    None,
    Bearer(Sensitive<String>),
    Basic(String, Sensitive<String>),
}

/// Settings made whole: ready to connect.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) secure: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The path below which the API lies, without a slash at the end; usually empty.
    pub(crate) prefix: String,
    pub(crate) tls: TlsOptions,
    pub(crate) auth: Auth,
}

const NOT_A_URL: &str = "Write it as `https://HOST:PORT`.";

impl ClusterSettings {
    /// Reads the kubeconfig files, if there are any, and puts everything together.
    pub(crate) async fn resolve(&self, dialer: &Dialer) -> Result<Endpoint, Error> {
        let file = if self.config_paths.is_empty() {
            kubeconfig::Selected::default()
        } else {
            kubeconfig::select(self, dialer.environment().get("HOME")).await?
        };
        let host = self.host.clone().or(file.server).ok_or_else(|| {
            Error::missing_setting("host", &["KUBE_HOST"]).remedy(
                "Set `host` (with certificates or a token) or `config_path` in the provider block, or KUBE_CONFIG_PATH.",
            )
        })?;
        let (secure, host, port, prefix) = split(&host)?;
        let insecure = self.insecure.unwrap_or(file.insecure);
        let authority = self.cluster_ca_certificate.clone().or(file.authority);
        let certificates = self.client_certificate.clone().or(file.certificate);
        let key = self.client_key.clone().or(file.key);
        let identity = match (certificates, key) {
            (Some(certificates), Some(key)) => Some(ClientIdentity { certificates, key }),
            (None, None) => None,
            (Some(_), None) => return Err(half("client_certificate", "client_key")),
            (None, Some(_)) => return Err(half("client_key", "client_certificate")),
        };
        let tls = TlsOptions {
            roots: authority.map_or(Roots::System, Roots::Only),
            insecure,
            identity,
            server_name: self.tls_server_name.clone().or(file.server_name),
            alpn: vec!["http/1.1".into()],
            ..TlsOptions::default()
        };
        let basic = self.username.clone().zip(self.password.clone());
        let auth = match (self.token.clone(), basic) {
            (Some(token), _) => Auth::Bearer(token),
            (None, Some((user, password))) => Auth::Basic(user, password),
            (None, None) => file.auth,
        };
        Ok(Endpoint {
            secure,
            host,
            port,
            prefix,
            tls,
            auth,
        })
    }
}

fn half(present: &str, missing: &str) -> Error {
    Error::new(
        "configure the provider",
        format!("`{present}` is set without `{missing}`"),
    )
    .attribute(missing)
    .remedy("A client certificate and its key belong together: set both, or neither.")
}

/// A server's URL in its parts. Without a scheme it is `https`, as for `kubectl`.
fn split(server: &str) -> Result<(bool, String, u16, String), Error> {
    let invalid = |why: String| {
        Error::new("read the address of the Kubernetes API", why)
            .attribute("host")
            .remedy(NOT_A_URL)
    };
    let full = if server.contains("://") {
        server.to_owned()
    } else {
        format!("https://{server}")
    };
    let url = reqwest::Url::parse(&full).map_err(|e| invalid(format!("{e}")))?;
    let secure = match url.scheme() {
        "https" => true,
        "http" => false,
        other => {
            return Err(invalid(format!(
                "the scheme {other} is not one of http and https"
            )));
        }
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    if host.is_empty() {
        return Err(invalid("it names no host".into()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it holds a user or a password".into()));
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let prefix = url.path().trim_end_matches('/').to_owned();
    Ok((secure, host, port, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_urls_or_hosts() {
        let parts = |s: &str| split(s).unwrap();
        assert_eq!(
            parts("https://10.0.0.1:6443"),
            (true, "10.0.0.1".into(), 6443, String::new())
        );
        assert_eq!(
            parts("cluster.lab"),
            (true, "cluster.lab".into(), 443, String::new())
        );
        assert_eq!(
            parts("http://127.0.0.1:8001/k8s/c1/"),
            (false, "127.0.0.1".into(), 8001, "/k8s/c1".into())
        );
        assert_eq!(parts("https://[fd00::1]:6443").1, "[fd00::1]");
        assert!(split("ftp://x").is_err());
        assert!(split("https://u:p@x").is_err());
    }

    #[tokio::test]
    async fn a_certificate_without_its_key_is_refused_and_so_is_no_address() {
        let settings = ClusterSettings {
            host: Some("x".into()),
            client_certificate: Some("PEM".into()),
            ..ClusterSettings::default()
        };
        let error = settings.resolve(&Dialer::direct()).await.unwrap_err();
        assert!(error.said().contains("`client_key`"), "{error}");
        let error = ClusterSettings::default()
            .resolve(&Dialer::direct())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("config_path"), "{error}");
    }
}
