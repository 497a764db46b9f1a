//! The backend's block: the reference's arguments, and the cluster that they name.

use std::collections::BTreeMap;

use stead_sdk::kube::{Cluster, ClusterSettings, Exec};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::{Block, Dialer, Error, ProviderConfig, settings};

use super::Place;

#[derive(Clone, Debug, ProviderConfig)]
pub(super) struct Settings {
    /// The end of the Secret's name: `tfstate-WORKSPACE-SUFFIX`.
    #[attr(required)]
    secret_suffix: String,
    /// Labels for the Secret beside those that every state has.
    #[attr(optional)]
    labels: Option<BTreeMap<String, Option<String>>>,
    /// Where the Secret lies; `default` unless said.
    #[attr(optional, env = "KUBE_NAMESPACE")]
    namespace: Option<String>,
    /// Be the service account of the pod that this runs in.
    #[attr(optional, env = "KUBE_IN_CLUSTER_CONFIG")]
    in_cluster_config: Option<bool>,
    /// Whether kubeconfig files are read, where some are named.
    #[attr(optional, env = "KUBE_LOAD_CONFIG_FILE")]
    load_config_file: Option<bool>,
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
    config_paths: Option<Vec<Option<String>>>,
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
    /// A proxy for this backend alone.
    #[attr(optional, unsupported)]
    proxy_url: Option<String>,
    /// A program that prints the credentials.
    #[attr(block(single))]
    exec: Option<Program>,
}

#[derive(Clone, Debug, Block)]
struct Program {
    #[attr(required)]
    api_version: String,
    #[attr(required)]
    command: String,
    #[attr(optional)]
    env: Option<BTreeMap<String, Option<String>>>,
    #[attr(optional)]
    args: Option<Vec<Option<String>>>,
}

impl Program {
    fn exec(self) -> Exec {
        let env = self.env.into_iter().flatten();
        let args = self.args.into_iter().flatten();
        Exec {
            api_version: self.api_version,
            command: self.command,
            args: args.map(Option::unwrap_or_default).collect(),
            env: env.map(|(k, v)| (k, v.unwrap_or_default())).collect(),
            install_hint: None,
        }
    }
}

/// Reads the block. Only the files of an in-cluster service account are looked at yet.
pub(super) fn place(config: &Value, dialer: &Dialer) -> Result<Place, Diagnostics> {
    let environment = dialer.environment();
    let settings: Settings = settings("the backend \"kubernetes\"", config, environment)?;
    if environment.get("KUBE_PROXY_URL").is_some() {
        let error = Error::unsupported(
            "open the backend \"kubernetes\"",
            "KUBE_PROXY_URL is set, and stead does not support a proxy for this backend alone yet",
        );
        return Err(error
            .remedy("Unset it and set HTTPS_PROXY instead, or use the lab's STEAD_DIAL.")
            .into());
    }
    if ends_in_number(&settings.secret_suffix) {
        let detail = format!(
            "secret_suffix must not end with '-<number>', got {:?}: the parts of a large state have such names.",
            settings.secret_suffix
        );
        let path = Path::root().attr("secret_suffix");
        return Err(Diagnostic::error("Invalid secret suffix", detail)
            .attribute(path)
            .into());
    }
    let labels = settings.labels.clone().into_iter().flatten();
    let labels = labels.map(|(name, value)| (name, value.unwrap_or_default()));
    Ok(Place {
        labels: labels.collect(),
        suffix: settings.secret_suffix.clone(),
        namespace: given(settings.namespace.clone()).unwrap_or_else(|| "default".to_owned()),
        cluster: Cluster::new(cluster(settings, dialer)?, dialer.clone()),
    })
}

fn given(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty())
}

fn ends_in_number(suffix: &str) -> bool {
    let last = suffix.rsplit_once('-').map(|(_, last)| last);
    last.is_some_and(|last| last.parse::<i64>().is_ok())
}

/// Where the cluster is, in the reference's order: the pod's service account when asked for, else kubeconfig files, else, when nothing at
/// all is said, the pod's service account again; single arguments win over all of these.
fn cluster(settings: Settings, dialer: &Dialer) -> Result<ClusterSettings, Diagnostics> {
    let environment = dialer.environment();
    let from_variable = || {
        let paths = environment.get("KUBE_CONFIG_PATHS").unwrap_or_default();
        let paths = paths.split(':').filter(|p| !p.is_empty());
        paths.map(str::to_owned).collect()
    };
    let mut config_paths: Vec<String> = match (given(settings.config_path), settings.config_paths) {
        (Some(path), _) => vec![path],
        (None, Some(paths)) => paths.into_iter().flatten().collect(),
        (None, None) => from_variable(),
    };
    if settings.load_config_file == Some(false) && !config_paths.is_empty() {
        let detail = "`load_config_file` is false, but a kubeconfig is named (`config_path`, `config_paths`, KUBE_CONFIG_PATH or \
                      KUBE_CONFIG_PATHS). Terraform reads it all the same. Remove one of the two.";
        return Err(
            Diagnostic::error("Contradicting settings of the kubeconfig", detail)
                .attribute(Path::root().attr("load_config_file"))
                .into(),
        );
    }
    let wants_pod = settings.in_cluster_config == Some(true);
    if wants_pod {
        config_paths.clear();
    }
    let base = if wants_pod || (config_paths.is_empty() && given(settings.host.clone()).is_none()) {
        let found = ClusterSettings::in_cluster(environment)?;
        if found.is_none() && wants_pod {
            let error = Error::new(
                "open the backend \"kubernetes\"",
                "`in_cluster_config` is set, but this does not run in a pod: KUBERNETES_SERVICE_HOST and \
                 KUBERNETES_SERVICE_PORT are not set",
            );
            return Err(error.attribute("in_cluster_config").into());
        }
        found.ok_or_else(|| {
            let said = "no cluster is named";
            Error::new("open the backend \"kubernetes\"", said).remedy(
                "Set `config_path` or KUBE_CONFIG_PATH to a kubeconfig (KUBECONFIG and ~/.kube/config are not read by themselves), or \
                 `host` or KUBE_HOST, or run in a pod.",
            )
        })?
    } else {
        ClusterSettings::default()
    };
    Ok(ClusterSettings {
        host: given(settings.host).or(base.host),
        username: given(settings.username),
        password: settings.password,
        token: settings.token.filter(|t| !t.expose_secret().is_empty()),
        token_file: base.token_file,
        exec: settings.exec.map(Program::exec),
        client_certificate: given(settings.client_certificate),
        client_key: settings.client_key,
        cluster_ca_certificate: given(settings.cluster_ca_certificate)
            .or(base.cluster_ca_certificate),
        insecure: settings.insecure,
        tls_server_name: None,
        config_paths,
        config_text: None,
        context: given(settings.config_context),
        auth_info: given(settings.config_context_auth_info),
        cluster: given(settings.config_context_cluster),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};
    use stead_sdk::Environment;
    use stead_sdk::value::schema::Schema;

    use super::*;

    fn read(arguments: Json, environment: &[(&str, &str)]) -> Result<Place, Diagnostics> {
        let schema = Schema::from(Settings::block());
        let value = stead_sdk::testing::object(&schema, arguments).unwrap();
        let environment: Environment = environment.iter().copied().collect();
        place(&value, &Dialer::new(environment).unwrap())
    }

    #[test]
    fn variables_stand_in_and_suffixes_that_look_like_parts_are_refused() {
        let found = read(
            json!({ "secret_suffix": "state" }),
            &[("KUBE_NAMESPACE", "infra"), ("KUBE_HOST", "https://x")],
        )
        .unwrap();
        assert_eq!(found.namespace, "infra");
        assert_eq!(
            read(json!({ "secret_suffix": "a-b", "host": "https://x" }), &[])
                .unwrap()
                .namespace,
            "default"
        );
        let error = read(json!({ "secret_suffix": "a-12" }), &[]).unwrap_err();
        assert!(format!("{error:?}").contains("a-12"), "{error:?}");
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_name() {
        for (arguments, environment, says) in [
            (json!({ "proxy_url": "http://p" }), vec![], "proxy_url"),
            (
                json!({}),
                vec![("KUBE_PROXY_URL", "http://p")],
                "KUBE_PROXY_URL",
            ),
            (
                json!({ "in_cluster_config": true }),
                vec![],
                "KUBERNETES_SERVICE_HOST",
            ),
            (json!({}), vec![], "KUBE_CONFIG_PATH"),
            (
                json!({ "load_config_file": false }),
                vec![("KUBE_CONFIG_PATHS", "/a:/b")],
                "load_config_file",
            ),
        ] {
            let mut arguments = arguments;
            arguments["secret_suffix"] = json!("state");
            let error = read(arguments, &environment).unwrap_err();
            assert!(format!("{error:?}").contains(says), "{error:?}");
        }
    }

    #[test]
    fn secrets_do_not_show() {
        let found = read(
            json!({ "secret_suffix": "s", "host": "https://x", "token": "t0ken", "username": "u", "password": "passw0rd" }),
            &[],
        )
        .unwrap();
        let shown = format!("{found:?}");
        assert!(
            !shown.contains("t0ken") && !shown.contains("passw0rd"),
            "{shown}"
        );
    }
}
