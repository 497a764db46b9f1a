//! `microk8s_kubeconfig`: the admin's kubeconfig of a node, also taken apart for provider blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use stead_sdk::value::{Sensitive, Value};
use stead_sdk::{Context, Error, Failure, Resource, async_trait};

use crate::provider::Client;

/// The kubeconfig of the cluster that a node belongs to.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "microk8s_kubeconfig", version = 0)]
pub(crate) struct Kubeconfig {
    #[attr(computed)]
    id: String,
    /// Name or address of the host, as SSH reaches it. Reference the node's `id`, so that it is installed first.
    #[attr(required, replace)]
    host: String,
    /// Instead of the provider's.
    #[attr(optional)]
    port: Option<u64>,
    /// Instead of the provider's.
    #[attr(optional)]
    user: Option<String>,
    /// The API server's address to write into the kubeconfig. Default: `https://HOST:16443`.
    #[attr(optional)]
    server: Option<String>,
    /// The whole file.
    #[attr(computed, sensitive)]
    kubeconfig: Option<Sensitive<String>>,
    /// The API server's address.
    #[attr(computed)]
    endpoint: Option<String>,
    /// PEM.
    #[attr(computed)]
    cluster_ca_certificate: Option<String>,
    /// PEM.
    #[attr(computed, sensitive)]
    client_certificate: Option<Sensitive<String>>,
    /// PEM.
    #[attr(computed, sensitive)]
    client_key: Option<Sensitive<String>>,
    /// Of users without a client certificate.
    #[attr(computed, sensitive)]
    token: Option<Sensitive<String>>,
}

/// The parts of a kubeconfig that are looked at.
#[derive(Deserialize)]
struct File {
    clusters: Vec<Named<ClusterEntry>>,
    users: Vec<Named<UserEntry>>,
}

#[derive(Deserialize)]
struct Named<T> {
    #[serde(alias = "cluster", alias = "user")]
    entry: T,
}

#[derive(Deserialize)]
struct ClusterEntry {
    server: String,
    #[serde(rename = "certificate-authority-data")]
    authority: String,
}

#[derive(Deserialize)]
struct UserEntry {
    #[serde(default, rename = "client-certificate-data")]
    certificate: Option<String>,
    #[serde(default, rename = "client-key-data")]
    key: Option<String>,
    #[serde(default)]
    token: Option<String>,
}

impl Kubeconfig {
    async fn fetch(self, client: &Client, cx: &Context) -> Result<Self, Error> {
        let shell = client
            .shell(&self.host, self.port, self.user.as_deref())
            .await?;
        let text = shell
            .must("read the kubeconfig", &["microk8s", "config"], cx)
            .await?;
        self.take(&text)
    }

    fn take(self, text: &str) -> Result<Self, Error> {
        let asked = "read the kubeconfig (microk8s config)";
        // What is wrong with it is not told: the text holds keys.
        let file: File = serde_saphyr::from_str(text)
            .map_err(|_| Error::new(asked, "it is not a kubeconfig in YAML"))?;
        let (Some(cluster), Some(user)) = (
            file.clusters.into_iter().next(),
            file.users.into_iter().next(),
        ) else {
            return Err(Error::new(asked, "it names no cluster or no user"));
        };
        let pem = |data: &str| {
            let bytes = BASE64
                .decode(data.trim())
                .map_err(|_| Error::new(asked, "a certificate in it is not base64"))?;
            String::from_utf8(bytes)
                .map_err(|_| Error::new(asked, "a certificate in it is not PEM"))
        };
        let endpoint = self
            .server
            .clone()
            .unwrap_or_else(|| format!("https://{}:16443", self.host));
        let secret = |data: &Option<String>| {
            data.as_deref()
                .map(pem)
                .transpose()
                .map(|p| p.map(Sensitive::new))
        };
        let user = user.entry;
        Ok(Kubeconfig {
            id: self.host.clone(),
            kubeconfig: Some(Sensitive::new(
                text.replace(&cluster.entry.server, &endpoint),
            )),
            cluster_ca_certificate: Some(pem(&cluster.entry.authority)?),
            client_certificate: secret(&user.certificate)?,
            client_key: secret(&user.key)?,
            token: user.token.map(Sensitive::new),
            endpoint: Some(endpoint),
            ..self
        })
    }
}

#[async_trait]
impl Resource for Kubeconfig {
    type Client = Client;

    const REPEATABLE: bool = true;

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(planned.fetch(client, cx).await?)
    }

    /// Certificates that were refreshed on the node show here; a node that is away keeps what is known.
    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        prior.fetch(client, cx).await.map(Some)
    }

    async fn update(
        client: &Client,
        _prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(planned.fetch(client, cx).await?)
    }

    /// A kubeconfig is a copy: there is nothing to delete.
    async fn delete(_client: &Client, _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubeconfig_is_taken_apart_and_led_to_the_host() {
        let b64 = |s: &str| BASE64.encode(s);
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: https://127.0.0.1:16443\n  name: microk8s-cluster\ncontexts: []\ncurrent-context: microk8s\nusers:\n- name: admin\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
            b64("CA"),
            b64("CERT"),
            b64("KEY")
        );
        let taken = Kubeconfig {
            host: "10.0.0.5".into(),
            ..Kubeconfig::default()
        }
        .take(&text)
        .expect("reads");
        assert_eq!(taken.endpoint.as_deref(), Some("https://10.0.0.5:16443"));
        assert_eq!(taken.cluster_ca_certificate.as_deref(), Some("CA"));
        assert_eq!(
            taken
                .client_key
                .as_ref()
                .map(|k| k.expose_secret().as_str()),
            Some("KEY")
        );
        assert!(
            taken
                .kubeconfig
                .is_some_and(|k| k.expose_secret().contains("https://10.0.0.5:16443"))
        );
        assert!(Kubeconfig::default().take("nothing: here").is_err());
    }
}
