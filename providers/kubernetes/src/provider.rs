//! The provider block, and the client made of it.

use std::collections::BTreeMap;
use std::time::Duration;

use regex::Regex;
use stead_sdk::kube::{self, Cluster, ClusterSettings};
use stead_sdk::value::{Diagnostics, Path, Sensitive};
use stead_sdk::{Block, Context, Dialer, Error, Native, ProviderConfig, ProviderFactory};

use crate::manifest::Manifest;
use crate::namespace::Namespace;
use crate::secret::Secret;

/// How long a mere look waits for a cluster that is away.
const LOOK: Duration = Duration::from_secs(15);

/// The cluster, and who we are to it. Attributes that are set win over the kubeconfig.
#[derive(Clone, Debug, ProviderConfig)]
struct Config {
    /// The API's address as a URL: `https://HOST:PORT`.
    #[attr(optional, env = "KUBE_HOST")]
    host: Option<String>,
    /// User of HTTP basic authentication.
    #[attr(optional, env = "KUBE_USER")]
    username: Option<String>,
    /// Password of HTTP basic authentication.
    #[attr(optional, env = "KUBE_PASSWORD")]
    password: Option<Sensitive<String>>,
    /// Trust any certificate.
    #[attr(optional, env = "KUBE_INSECURE")]
    insecure: Option<bool>,
    /// The name that the server's certificate bears.
    #[attr(optional, env = "KUBE_TLS_SERVER_NAME")]
    tls_server_name: Option<String>,
    /// Client certificate as PEM.
    #[attr(optional, env = "KUBE_CLIENT_CERT_DATA")]
    client_certificate: Option<String>,
    /// Client key as PEM.
    #[attr(optional, env = "KUBE_CLIENT_KEY_DATA")]
    client_key: Option<Sensitive<String>>,
    /// Certificates of the cluster's authority as PEM.
    #[attr(optional, env = "KUBE_CLUSTER_CA_CERT_DATA")]
    cluster_ca_certificate: Option<String>,
    /// Kubeconfig files; also KUBE_CONFIG_PATHS, separated by colons.
    #[attr(optional)]
    config_paths: Option<Vec<String>>,
    /// The kubeconfig file.
    #[attr(optional, env = "KUBE_CONFIG_PATH")]
    config_path: Option<String>,
    /// Context of the kubeconfig, in place of its current one.
    #[attr(optional, env = "KUBE_CTX")]
    config_context: Option<String>,
    /// User of the kubeconfig, in place of the context's.
    #[attr(optional, env = "KUBE_CTX_AUTH_INFO")]
    config_context_auth_info: Option<String>,
    /// Cluster of the kubeconfig, in place of the context's.
    #[attr(optional, env = "KUBE_CTX_CLUSTER")]
    config_context_cluster: Option<String>,
    /// Bearer token.
    #[attr(optional, env = "KUBE_TOKEN")]
    token: Option<Sensitive<String>>,
    /// A proxy for this provider alone.
    #[attr(optional, unsupported)]
    proxy_url: Option<String>,
    /// Annotations, as regular expressions, that other systems manage.
    #[attr(optional)]
    ignore_annotations: Option<Vec<String>>,
    /// Labels, as regular expressions, that other systems manage.
    #[attr(optional)]
    ignore_labels: Option<Vec<String>>,
    /// A program that fetches credentials.
    #[attr(block(list, max = 1))]
    exec: Option<Exec>,
    #[attr(block(list, max = 1))]
    experiments: Option<Experiments>,
}

#[derive(Clone, Debug, Block)]
struct Exec {
    #[attr(required)]
    api_version: String,
    #[attr(required)]
    command: String,
    #[attr(optional)]
    env: Option<BTreeMap<String, String>>,
    #[attr(optional)]
    args: Option<Vec<String>>,
}

impl Exec {
    fn program(self) -> kube::Exec {
        kube::Exec {
            api_version: self.api_version,
            command: self.command,
            args: self.args.unwrap_or_default(),
            env: self.env.unwrap_or_default(),
            install_hint: None,
        }
    }
}

#[derive(Clone, Debug, Block)]
struct Experiments {
    /// Without effect: `kubernetes_manifest` is always there.
    #[attr(
        optional,
        deprecated = "The kubernetes_manifest resource is always enabled. This flag has no effect."
    )]
    manifest_resource: Option<bool>,
}

/// What every operation gets.
pub(crate) struct Client {
    pub(crate) cluster: Cluster,
    pub(crate) ignored: Ignored,
}

impl Client {
    /// For refreshing: a cluster that is away is no reason to wait for long.
    pub(crate) fn looking(&self) -> Cluster {
        self.cluster.patience(LOOK)
    }
}

/// Annotations and labels that other systems manage.
#[derive(Debug, Default)]
pub(crate) struct Ignored {
    pub(crate) annotations: Vec<Regex>,
    pub(crate) labels: Vec<Regex>,
}

fn expressions(texts: Option<Vec<String>>, attribute: &str) -> Result<Vec<Regex>, Error> {
    let compile = |(i, text): (usize, &String)| {
        Regex::new(text).map_err(|e| {
            Error::new(
                "configure the provider",
                format!("{text:?} is no regular expression: {e}"),
            )
            .at(Path::root().attr(attribute).index_number(i))
        })
    };
    texts
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(compile)
        .collect()
}

async fn connect(config: Config, dialer: Dialer, _cx: Context) -> Result<Client, Diagnostics> {
    let paths = match (config.config_paths, config.config_path) {
        (Some(paths), _) if !paths.is_empty() => paths,
        (_, Some(path)) => vec![path],
        // As in PATH: not a list for `env`, whose separator is the comma.
        _ => dialer
            .environment()
            .get("KUBE_CONFIG_PATHS")
            .map(|paths| {
                paths
                    .split(':')
                    .filter(|p| !p.is_empty())
                    .map(str::to_owned)
                    .collect()
            })
            .unwrap_or_default(),
    };
    let set = |text: Option<String>| text.filter(|t| !t.is_empty());
    let secret = |text: Option<Sensitive<String>>| text.filter(|t| !t.expose_secret().is_empty());
    let settings = ClusterSettings {
        host: set(config.host),
        username: set(config.username),
        password: secret(config.password),
        token: secret(config.token),
        client_certificate: set(config.client_certificate),
        client_key: secret(config.client_key),
        cluster_ca_certificate: set(config.cluster_ca_certificate),
        insecure: config.insecure,
        tls_server_name: set(config.tls_server_name),
        config_paths: paths,
        config_text: None,
        context: set(config.config_context),
        auth_info: set(config.config_context_auth_info),
        cluster: set(config.config_context_cluster),
        exec: config.exec.map(Exec::program),
        token_file: None,
    };
    let ignored = Ignored {
        annotations: expressions(config.ignore_annotations, "ignore_annotations")?,
        labels: expressions(config.ignore_labels, "ignore_labels")?,
    };
    Ok(Client {
        cluster: Cluster::new(settings, dialer),
        ignored,
    })
}

/// The provider over this dialer.
pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::<Client>::provider::<Config>("kubernetes")
        .configure(connect)
        .resource::<Namespace>()
        .resource_as::<Namespace>("kubernetes_namespace")
        .resource::<Secret>()
        .resource_as::<Secret>("kubernetes_secret")
        .resource::<Manifest>()
        .build(dialer)
}
