//! Where a cluster is and who we are: provider settings, completed from kubeconfig files.

use stead_value::Sensitive;

use crate::kube::exec::{Exec, Target};
use crate::kube::kubeconfig;
use crate::{ClientIdentity, Dialer, Environment, Error, Roots, TlsOptions};

/// What a provider block says of a cluster. Everything is optional; what is set here wins over the kubeconfig.
#[derive(Clone, Debug, Default)]
pub struct ClusterSettings {
    /// A URL such as `https://10.25.150.10:6443`, or a host with an optional port.
    pub host: Option<String>,
    pub username: Option<String>,
    pub password: Option<Sensitive<String>>,
    pub token: Option<Sensitive<String>>,
    /// A file with the token, read anew when the server does not take the old one any more.
    pub token_file: Option<String>,
    /// A program that prints the credentials.
    pub exec: Option<Exec>,
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
    /// The text of a kubeconfig, which is asked before the files.
    pub config_text: Option<Sensitive<String>>,
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
    /// Whether putting the settings together again may give other credentials.
    pub(crate) renewable: bool,
}

/// Where Kubernetes puts what a pod needs to ask its API.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

const NOT_A_URL: &str = "Write it as `https://HOST:PORT`.";

impl ClusterSettings {
    /// The cluster that this process runs in, as the service account of its pod; `None` outside of one.
    ///
    /// # Errors
    /// When the files of the service account cannot be read.
    pub fn in_cluster(environment: &Environment) -> Result<Option<ClusterSettings>, Error> {
        let (Some(host), Some(port)) = (
            environment.get("KUBERNETES_SERVICE_HOST"),
            environment.get("KUBERNETES_SERVICE_PORT"),
        ) else {
            return Ok(None);
        };
        let host = match host.contains(':') {
            true => format!("https://[{host}]:{port}"),
            false => format!("https://{host}:{port}"),
        };
        let path = format!("{SERVICE_ACCOUNT}/ca.crt");
        let authority = std::fs::read_to_string(&path).map_err(|e| {
            Error::new(
                format!("read the service account of this pod ({path})"),
                e.to_string(),
            )
        })?;
        Ok(Some(ClusterSettings {
            host: Some(host),
            token_file: Some(format!("{SERVICE_ACCOUNT}/token")),
            cluster_ca_certificate: Some(authority),
            ..ClusterSettings::default()
        }))
    }

    /// Reads the kubeconfig files, if there are any, and puts everything together.
    pub(crate) async fn resolve(&self, dialer: &Dialer) -> Result<Endpoint, Error> {
        let file = if self.config_paths.is_empty() && self.config_text.is_none() {
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
        let basic = self.username.clone().zip(self.password.clone());
        let mut auth = match (&self.token, &self.token_file, basic) {
            (Some(token), ..) => Auth::Bearer(token.clone()),
            (None, Some(path), _) => Auth::Bearer(token_from(path).await?),
            (None, None, Some((user, password))) => Auth::Basic(user, password),
            (None, None, None) => file.auth,
        };
        let mut certificates = self.client_certificate.clone().or(file.certificate);
        let mut key = self.client_key.clone().or(file.key);
        // As for `kubectl`: credentials that are there make the program unnecessary.
        let has_credentials = !matches!(auth, Auth::None) || certificates.is_some();
        let exec = self.exec.as_ref().map(|exec| (exec, None));
        let exec = exec.or(file
            .exec
            .as_ref()
            .map(|(e, base)| (e, Some(base.as_path()))));
        let exec = exec.filter(|_| !has_credentials);
        if let Some((exec, base)) = &exec {
            let target = Target {
                server: &host,
                authority: authority.as_deref(),
                insecure,
            };
            let found = exec.run(*base, &target).await?;
            certificates = found.certificate;
            key = found.key;
            auth = found.token.map_or(Auth::None, Auth::Bearer);
        }
        let renewable = exec.is_some() || self.token_file.is_some();
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
        Ok(Endpoint {
            secure,
            host,
            port,
            prefix,
            tls,
            auth,
            renewable,
        })
    }
}

async fn token_from(path: &str) -> Result<Sensitive<String>, Error> {
    let text = tokio::fs::read_to_string(path)
        .await
        .map_err(|e| Error::new(format!("read the token ({path})"), e.to_string()))?;
    Ok(Sensitive::new(text.trim().to_owned()))
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
