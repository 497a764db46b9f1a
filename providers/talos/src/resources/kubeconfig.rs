//! `talos_cluster_kubeconfig`: the administrator's access to Kubernetes.

use std::time::{Duration, Instant};

use serde_json::Value as Json;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::wait::{Poll, parse_duration, until};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};

use super::apply::plan_endpoint;
use super::secrets::ends_within;
use crate::blocks::{
    ClientConfiguration, CreateUpdateTimeouts, KubernetesClientConfiguration, check_timeouts,
    encode_pem, timeout_of,
};
use crate::client::Client;
use crate::machinery::{Kubeconfig, Secret};
use crate::node::{Contact, Node, polling};

/// The kubeconfig of a cluster, from one of its control plane nodes. Its client certificate is renewed before it ends.
#[derive(Clone, Debug, Resource)]
#[resource(name = "talos_cluster_kubeconfig", version = 1)]
pub(crate) struct ClusterKubeconfig {
    /// The name of the cluster.
    #[attr(computed)]
    id: String,
    /// A control plane node.
    #[attr(required)]
    node: String,
    /// The address that is contacted, with an optional port; the node by default.
    #[attr(optional, computed)]
    endpoint: Option<String>,
    /// How to prove who one is to the node.
    #[attr(required, nested(single))]
    client_configuration: ClientConfiguration,
    /// The kubeconfig as YAML.
    #[attr(computed, sensitive)]
    kubeconfig_raw: Option<Sensitive<String>>,
    /// The parts of the kubeconfig, for the configuration of other providers.
    #[attr(computed, nested(single))]
    kubernetes_client_configuration: Option<KubernetesClientConfiguration>,
    /// How long before its end the client certificate is renewed.
    #[attr(optional, computed, default = "720h")]
    certificate_renewal_duration: String,
    /// How long the node may take.
    #[attr(optional, nested(single))]
    timeouts: Option<CreateUpdateTimeouts>,
}

/// Gets the kubeconfig as soon as the node can give one.
pub(crate) async fn fetch_kubeconfig(node: &Node, cx: &Context) -> Result<Secret, Error> {
    let what = format!("the kubeconfig from {}", node.label());
    until(cx, &what, polling(), || async {
        let api = match node.contact(cx).await? {
            Contact::Configured(api) => api,
            Contact::Maintenance(..) => {
                return Ok(Poll::PendingBecause("it is in maintenance mode".to_owned()));
            }
            Contact::Stranger(error) => return Err(error),
            Contact::Away(why) => return Ok(Poll::PendingBecause(why)),
        };
        match api.kubeconfig().await {
            Ok(text) => Ok(Poll::Ready(text)),
            Err(call) if call.is_final() => {
                Err(Error::from(call).remedy("Ask one of the control plane nodes."))
            }
            Err(call) => Ok(Poll::PendingBecause(call.reason())),
        }
    })
    .await
}

/// A kubeconfig, and what it says.
pub(crate) struct Access {
    /// The name of the cluster.
    pub(crate) cluster: String,
    pub(crate) kubeconfig: Sensitive<String>,
    pub(crate) parts: KubernetesClientConfiguration,
}

/// Gets the administrator's access from a control plane node.
pub(crate) async fn access(node: &Node, cx: &Context) -> Result<Access, Error> {
    let text = fetch_kubeconfig(node, cx).await?;
    let parsed = Kubeconfig::from_yaml(text.expose()).map_err(|e| {
        Error::new(
            format!("read the kubeconfig from {}", node.label()),
            e.to_string(),
        )
    })?;
    Ok(Access {
        cluster: parsed.cluster_name,
        kubeconfig: text.expose().to_owned().into(),
        parts: KubernetesClientConfiguration {
            host: parsed.server,
            ca_certificate: encode_pem(&parsed.ca_certificate),
            client_certificate: encode_pem(&parsed.user.certificate),
            client_key: encode_pem(parsed.user.key.expose()).into(),
        },
    })
}

fn renewal(text: &str) -> Result<Duration, Diagnostic> {
    parse_duration(text).ok_or_else(|| {
        let detail = format!("{text:?} is not a duration such as \"720h\".");
        Diagnostic::error("Invalid duration", detail)
            .attribute(Path::root().attr("certificate_renewal_duration"))
    })
}

impl ClusterKubeconfig {
    async fn fetched(
        self,
        client: &Client,
        timeout: Duration,
        cx: &Context,
    ) -> Result<Self, Error> {
        let cx = cx.clone().with_deadline(Instant::now() + timeout);
        let endpoint = self.endpoint.as_deref().filter(|e| !e.is_empty());
        let node = Node::new(
            &client.dialer,
            endpoint.unwrap_or(&self.node),
            &self.node,
            &self.client_configuration,
        )?;
        let access = access(&node, &cx).await?;
        Ok(ClusterKubeconfig {
            id: access.cluster,
            kubeconfig_raw: Some(access.kubeconfig),
            kubernetes_client_configuration: Some(access.parts),
            ..self
        })
    }
}

/// Whether the kubeconfig of the state will not do any more, and why.
fn must_renew(draft: &PlanDraft) -> Result<Option<&'static str>, Diagnostics> {
    let authority = Path::root()
        .attr("client_configuration")
        .attr("ca_certificate");
    if draft.prior().at(&authority) != draft.get(&authority) {
        return Ok(Some("the cluster has other secrets"));
    }
    let certificate = Path::root()
        .attr("kubernetes_client_configuration")
        .attr("client_certificate");
    let (Some(certificate), Some(before)) = (
        draft.prior().at(&certificate),
        draft.attribute("certificate_renewal_duration"),
    ) else {
        return Ok(None);
    };
    let (Some(certificate), Some(before)) = (certificate.as_str(), before.as_str()) else {
        return Ok(None);
    };
    let what = "kubernetes_client_configuration.client_certificate";
    let soon = ends_within(certificate, what, renewal(before)?)?;
    Ok(soon.then_some("the client certificate ends soon"))
}

#[async_trait]
impl Resource for ClusterKubeconfig {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = check_timeouts(config);
        let duration = config.get("certificate_renewal_duration");
        let checked = duration.as_ref().and_then(Value::as_str).map(renewal);
        found.extend(checked.and_then(Result::err));
        found
    }

    async fn plan(
        _client: Option<&Client>,
        draft: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        plan_endpoint(draft)?;
        if draft.is_create() {
            return Ok(());
        }
        if let Some(why) = must_renew(draft)? {
            for name in ["kubeconfig_raw", "kubernetes_client_configuration"] {
                draft.set_unknown(&Path::root().attr(name))?;
            }
            draft.note(format!("kubeconfig_raw: {why}"));
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let timeout = timeout_of(planned.timeouts.as_ref().and_then(|t| t.create.as_ref()))?;
        Ok(planned.fetched(client, timeout, cx).await?)
    }

    /// A node signs a new certificate with every answer: there is nothing to compare with.
    async fn read(_client: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        if planned.kubeconfig_raw.is_some() {
            return Ok(planned);
        }
        let timeout = timeout_of(planned.timeouts.as_ref().and_then(|t| t.update.as_ref()))?;
        let renewed = planned.fetched(client, timeout, cx).await?;
        // The name of a cluster does not change; the identifier was planned to stay.
        Ok(ClusterKubeconfig {
            id: prior.id,
            ..renewed
        })
    }

    async fn delete(_client: &Client, _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }

    /// Version 0 had no renewal.
    fn upgrade(_version: u64, mut attributes: Json) -> Result<Json, Error> {
        if let Some(object) = attributes.as_object_mut() {
            object.insert("certificate_renewal_duration".to_owned(), "720h".into());
        }
        Ok(attributes)
    }
}
