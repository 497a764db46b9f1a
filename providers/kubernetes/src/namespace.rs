//! `kubernetes_namespace_v1`.

use std::time::Duration;

use serde_json::{Value as Json, json};
use stead_sdk::kube::{ObjectRef, Propagation, text};
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::wait::{self, Poll, Polling, parse_duration};
use stead_sdk::{
    Block, Context, Error, ErrorKind, Failure, PlanDraft, Resource, ResourceSchema as _,
    async_trait,
};

use crate::identity::ClusterWide;
use crate::metadata::{Metadata, plan_version};
use crate::provider::Client;

/// The field manager of what the published provider writes.
pub(crate) const MANAGER: &str = "Terraform";

/// A namespace.
#[derive(Clone, Debug, Resource)]
#[resource(name = "kubernetes_namespace_v1", legacy, identity = ClusterWide)]
pub(crate) struct Namespace {
    #[attr(optional, computed)]
    pub(crate) id: String,
    /// Wait until the service account `default` is there.
    #[attr(optional, default = false)]
    wait_for_default_service_account: bool,
    #[attr(block(list, min = 1, max = 1))]
    metadata: Metadata,
    #[attr(block(single))]
    timeouts: Option<Timeouts>,
}

#[derive(Clone, Debug, Block)]
struct Timeouts {
    /// Five minutes unless set.
    #[attr(optional)]
    delete: Option<String>,
}

/// A duration such as `10m`, or the standard.
pub(crate) fn timeout(text: Option<&String>, standard: Duration) -> Result<Duration, Error> {
    let Some(text) = text else {
        return Ok(standard);
    };
    parse_duration(text).ok_or_else(|| {
        Error::new("read a timeout", format!("{text:?} is not a duration"))
            .attribute("timeouts")
            .remedy("Write durations like `90s`, `10m` or `1h30m`.")
    })
}

/// The remedy for an object that is there already.
pub(crate) fn exists_already(error: Error, type_name: &str, id: &str) -> Error {
    if error.kind() == ErrorKind::Conflict {
        error.remedy(format!(
            "To manage the existing object, import it: an `import` block with the id `{id}`, or `import {type_name}.NAME {id}`."
        ))
    } else {
        error
    }
}

fn object(name: &str) -> ObjectRef {
    ObjectRef::new("v1", "Namespace", None, name)
}

impl Namespace {
    fn with(self, object: &Json, client: &Client) -> Namespace {
        let metadata = Metadata::read(object, &self.metadata, &client.ignored);
        Namespace {
            id: metadata.name.clone(),
            metadata,
            ..self
        }
    }
}

#[async_trait]
impl Resource for Namespace {
    type Client = Client;

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        plan_version(plan)
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let manifest = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": planned.metadata.request()? });
        let made = client.cluster.create(&manifest, MANAGER, cx).await;
        let made = made.map_err(|e| exists_already(e, Namespace::NAME, &planned.metadata.name))?;
        let namespace = planned.with(&made, client);
        if namespace.wait_for_default_service_account {
            let account = ObjectRef::new("v1", "ServiceAccount", Some(&namespace.id), "default");
            let polling = Polling::default()
                .timeout(Duration::from_secs(300))
                .tolerating_transient();
            let waited = wait::until(cx, &format!("{account}"), polling, || async {
                let found = client.cluster.get(&account, cx).await?;
                Ok(found.map_or(Poll::Pending, |_| Poll::Ready(())))
            })
            .await;
            if let Err(error) = waited {
                return Err(Failure::partial(error, namespace));
            }
        }
        Ok(namespace)
    }

    fn named(&self) -> Option<Self> {
        Some(Namespace {
            id: self.metadata.name.clone(),
            ..self.clone()
        })
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let found = client.looking().get(&object(&prior.id), cx).await?;
        // One that is on its way out is as good as gone.
        let found = found.filter(|o| text(o, &["status", "phase"]) != "Terminating");
        Ok(found.map(|o| prior.with(&o, client)))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let patch = planned.metadata.patch(&prior.metadata);
        if patch.is_empty() {
            return Ok(planned);
        }
        let patch = json!({ "metadata": patch });
        let changed = client
            .cluster
            .merge(&object(&prior.id), &patch, MANAGER, cx)
            .await?;
        Ok(planned.with(&changed, client))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let text = prior.timeouts.as_ref().and_then(|t| t.delete.as_ref());
        let timeout = timeout(text, Duration::from_secs(300))?;
        let object = object(&prior.id);
        if client
            .cluster
            .delete(&object, Propagation::Background, cx)
            .await?
        {
            client.cluster.wait_gone(&object, timeout, cx).await?;
        }
        Ok(())
    }

    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let found = client.cluster.get(&object(id), cx).await?;
        let found = found.ok_or_else(|| {
            Error::not_found(
                format!("import Namespace {id}"),
                "there is none of that name",
            )
        })?;
        let empty = Namespace {
            id: id.to_owned(),
            wait_for_default_service_account: false,
            metadata: Metadata::default(),
            timeouts: None,
        };
        Ok(empty.with(&found, client))
    }
}
