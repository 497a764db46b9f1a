//! The provider block, and the client made of it.

use std::time::Duration;

use stead_sdk::kube::{Cluster, ClusterSettings};
use stead_sdk::value::{Diagnostics, Sensitive};
use stead_sdk::wait::parse_duration;
use stead_sdk::{Context, Dialer, Error, Native, ProviderConfig, ProviderFactory};

use crate::application::Application;
use crate::argocd::ArgoCd;
use crate::repository::Repository;

/// The field manager of everything that this provider applies.
pub(crate) const MANAGER: &str = "stead";

/// How long a mere look waits for a cluster that is away.
const LOOK: Duration = Duration::from_secs(15);

/// The cluster to hand over, with the attributes of the `kubernetes` provider. What is set wins over the kubeconfig.
#[derive(Clone, Debug, ProviderConfig)]
struct Config {
    /// The API's address as a URL: `https://HOST:PORT`.
    #[attr(optional, env = "KUBE_HOST")]
    host: Option<String>,
    /// Trust any certificate.
    #[attr(optional, env = "KUBE_INSECURE")]
    insecure: Option<bool>,
    /// The name that the server's certificate bears, when it is not the host's.
    #[attr(optional, env = "KUBE_TLS_SERVER_NAME")]
    tls_server_name: Option<String>,
    /// Client certificate as PEM.
    #[attr(optional, env = "KUBE_CLIENT_CERT_DATA")]
    client_certificate: Option<String>,
    /// Client key as PEM.
    #[attr(optional, sensitive, env = "KUBE_CLIENT_KEY_DATA")]
    client_key: Option<Sensitive<String>>,
    /// Certificates of the cluster's authority as PEM.
    #[attr(optional, env = "KUBE_CLUSTER_CA_CERT_DATA")]
    cluster_ca_certificate: Option<String>,
    /// The kubeconfig file.
    #[attr(optional, env = "KUBE_CONFIG_PATH")]
    config_path: Option<String>,
    /// Context of the kubeconfig, in place of its current one.
    #[attr(optional, env = "KUBE_CTX")]
    config_context: Option<String>,
    /// Bearer token.
    #[attr(optional, sensitive, env = "KUBE_TOKEN")]
    token: Option<Sensitive<String>>,
}

/// What every operation gets.
pub(crate) struct Client {
    pub(crate) cluster: Cluster,
    /// For manifests from the web.
    pub(crate) dialer: Dialer,
}

impl Client {
    /// For refreshing: a cluster that is away is no reason to wait for long.
    pub(crate) fn looking(&self) -> Cluster {
        self.cluster.patience(LOOK)
    }
}

async fn connect(config: Config, dialer: Dialer, _cx: Context) -> Result<Client, Diagnostics> {
    let set = |text: Option<String>| text.filter(|t| !t.is_empty());
    let settings = ClusterSettings {
        host: set(config.host),
        token: config.token,
        client_certificate: set(config.client_certificate),
        client_key: config.client_key,
        cluster_ca_certificate: set(config.cluster_ca_certificate),
        insecure: config.insecure,
        tls_server_name: set(config.tls_server_name),
        config_paths: set(config.config_path).into_iter().collect(),
        context: set(config.config_context),
        ..ClusterSettings::default()
    };
    Ok(Client {
        cluster: Cluster::new(settings, dialer.clone()),
        dialer,
    })
}

/// Reads an attribute that is a duration.
pub(crate) fn duration(text: &str, attribute: &str) -> Result<Duration, Error> {
    parse_duration(text).ok_or_else(|| {
        Error::new(
            format!("read `{attribute}`"),
            format!("{text:?} is not a duration"),
        )
        .attribute(attribute)
        .remedy("Write durations like `90s`, `10m` or `1h30m`.")
    })
}

/// The provider over this dialer.
pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::<Client>::provider::<Config>("gitops")
        .configure(connect)
        .resource::<ArgoCd>()
        .resource::<Repository>()
        .resource::<Application>()
        .build(dialer)
}
