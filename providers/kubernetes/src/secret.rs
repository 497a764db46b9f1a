//! `kubernetes_secret_v1`.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use stead_sdk::kube::{ObjectRef, Propagation, find, text};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive, Value};
use stead_sdk::wait::{self, Poll, Polling};
use stead_sdk::{Block, Context, Error, Failure, PlanDraft, Resource, async_trait, codec};

use crate::identity::Namespaced;
use crate::metadata::{Metadata, NamespacedMetadata, plan_version};
use crate::namespace::{MANAGER, exists_already, timeout};
use crate::provider::Client;

type Entries = Sensitive<BTreeMap<String, String>>;

const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";

/// A secret.
#[derive(Clone, Debug, Resource)]
#[resource(name = "kubernetes_secret_v1", legacy, identity = Namespaced)]
pub(crate) struct Secret {
    #[attr(optional, computed)]
    pub(crate) id: String,
    /// Entries as text.
    #[attr(optional, computed, sensitive)]
    data: Option<Entries>,
    /// Entries as text, never stored; sent when `data_wo_revision` changes.
    #[attr(optional, write_only)]
    data_wo: Option<Entries>,
    /// Raise it to send `data_wo` again.
    #[attr(optional)]
    data_wo_revision: Option<i64>,
    /// Entries in base64.
    #[attr(optional, sensitive)]
    binary_data: Option<Entries>,
    /// Entries in base64, never stored; sent when `binary_data_wo_revision` changes.
    #[attr(optional, write_only)]
    binary_data_wo: Option<Entries>,
    /// Raise it to send `binary_data_wo` again.
    #[attr(optional)]
    binary_data_wo_revision: Option<i64>,
    /// Refuse changes of the data; they make a new object.
    #[attr(optional)]
    immutable: Option<bool>,
    /// The kind of secret, such as `kubernetes.io/tls`.
    #[attr(optional, default = "Opaque".to_owned(), replace)]
    r#type: String,
    /// Wait for the token of a service account's secret.
    #[attr(optional, default = true)]
    wait_for_service_account_token: bool,
    #[attr(block(list, min = 1, max = 1))]
    metadata: NamespacedMetadata,
    #[attr(block(single))]
    timeouts: Option<Timeouts>,
}

#[derive(Clone, Debug, Block)]
struct Timeouts {
    /// One minute unless set.
    #[attr(optional)]
    create: Option<String>,
}

/// The namespace and the name in an id.
fn object(id: &str) -> Result<ObjectRef, Error> {
    match id.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok(ObjectRef::new("v1", "Secret", Some(namespace), name))
        }
        _ => Err(
            Error::new("find the Secret", format!("{id:?} is not an id"))
                .remedy("Write it as NAMESPACE/NAME."),
        ),
    }
}

fn put_text(out: &mut Map<String, Json>, entries: Option<&Entries>) {
    for (key, value) in entries.into_iter().flat_map(|e| e.expose_secret()) {
        out.insert(key.clone(), json!(STANDARD.encode(value)));
    }
}

fn put_base64(
    out: &mut Map<String, Json>,
    entries: Option<&Entries>,
    attribute: &str,
) -> Result<(), Error> {
    for (key, value) in entries.into_iter().flat_map(|e| e.expose_secret()) {
        let bytes = STANDARD.decode(value.trim()).map_err(|_| {
            Error::new(
                "read the data of the Secret",
                format!("the entry {key:?} is not base64"),
            )
            .at(Path::root().attr(attribute).index(Value::string(key)))
            .remedy("Encode it with `base64encode` or `filebase64`, or use `data` for text.")
        })?;
        out.insert(key.clone(), json!(STANDARD.encode(bytes)));
    }
    Ok(())
}

impl Secret {
    /// The API's `data`: everything in base64. What is write-only comes from the configuration.
    fn request(&self, config: &Value) -> Result<Json, Error> {
        let mut out = Map::new();
        if self.data_wo_revision.unwrap_or(0) >= 1 {
            let entries: Option<Entries> = codec::attribute(config, "data_wo")?;
            put_text(&mut out, entries.as_ref());
        } else {
            put_text(&mut out, self.data.as_ref());
        }
        if self.binary_data_wo_revision.unwrap_or(0) >= 1 {
            let entries: Option<Entries> = codec::attribute(config, "binary_data_wo")?;
            put_base64(&mut out, entries.as_ref(), "binary_data_wo")?;
        } else {
            put_base64(&mut out, self.binary_data.as_ref(), "binary_data")?;
        }
        Ok(Json::Object(out))
    }

    fn has_write_only(&self) -> bool {
        self.data_wo_revision.unwrap_or(0) > 0 || self.binary_data_wo_revision.unwrap_or(0) > 0
    }

    /// Takes over what the server has.
    fn with(self, object: &Json, client: &Client) -> Result<Secret, Error> {
        let metadata = Metadata::read(
            object,
            &Metadata::from(self.metadata.clone()),
            &client.ignored,
        );
        let namespace = text(object, &["metadata", "namespace"]).to_owned();
        let id = format!("{namespace}/{}", metadata.name);
        let mut secret = Secret {
            id,
            metadata: metadata.within(namespace),
            r#type: text(object, &["type"]).to_owned(),
            immutable: find(object, &["immutable"]).and_then(Json::as_bool),
            ..self
        };
        if secret.has_write_only() {
            // Nothing of what is write-only may come into the state.
            return Ok(secret);
        }
        let binary = secret
            .binary_data
            .take()
            .map(Sensitive::into_secret)
            .unwrap_or_default();
        let (mut texts, mut binaries) = (BTreeMap::new(), BTreeMap::new());
        let entries = find(object, &["data"]).and_then(Json::as_object);
        for (key, value) in entries.into_iter().flatten() {
            let value = value.as_str().unwrap_or_default();
            if let Some(prior) = binary.get(key) {
                let same = STANDARD.decode(prior.trim()).ok() == STANDARD.decode(value).ok();
                binaries.insert(
                    key.clone(),
                    if same {
                        prior.clone()
                    } else {
                        value.to_owned()
                    },
                );
                continue;
            }
            let bytes = STANDARD.decode(value).map_err(|_| {
                let id = &secret.id;
                Error::new(
                    format!("read Secret {id}"),
                    format!("its entry {key:?} is not base64"),
                )
            })?;
            // Bytes that are no text cannot be told in `data`; the published provider writes them in the same lossy way.
            texts.insert(key.clone(), String::from_utf8_lossy(&bytes).into_owned());
        }
        secret.binary_data = (!binaries.is_empty()).then(|| Sensitive::new(binaries));
        secret.data = Some(Sensitive::new(texts));
        Ok(secret)
    }

    async fn wait_for_token(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let text = self.timeouts.as_ref().and_then(|t| t.create.as_ref());
        let timeout = timeout(text, Duration::from_secs(60))?;
        let object = object(&self.id)?;
        let polling = Polling::default().timeout(timeout).tolerating_transient();
        wait::until(cx, &format!("the token in {object}"), polling, || async {
            let found = client.cluster.get(&object, cx).await?;
            let found = found.ok_or_else(|| {
                Error::not_found(
                    format!("read {object}"),
                    "it is gone: its service account does not exist",
                )
            })?;
            Ok(if find(&found, &["data", "token"]).is_some() {
                Poll::Ready(found)
            } else {
                Poll::Pending
            })
        })
        .await
    }
}

#[async_trait]
impl Resource for Secret {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let is_set = |name: &str| config.get(name).is_some_and(|v| !v.is_null());
        for (plain, hidden, revision) in [
            ("data", "data_wo", "data_wo_revision"),
            ("binary_data", "binary_data_wo", "binary_data_wo_revision"),
        ] {
            let mut refuse = |name: &str, detail: String| {
                found.push(
                    Diagnostic::error("Invalid combination", detail)
                        .attribute(Path::root().attr(name)),
                );
            };
            if is_set(plain) && is_set(hidden) {
                refuse(hidden, format!("Set `{plain}` or `{hidden}`, not both."));
            }
            if is_set(revision) != is_set(hidden) {
                refuse(
                    revision,
                    format!("`{hidden}` and `{revision}` belong together: set both, or neither."),
                );
            }
            let number = config.get(revision).and_then(|v| v.as_i64());
            if number.is_some_and(|n| n < 1) {
                refuse(revision, format!("`{revision}` must be at least 1."));
            }
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        let was_immutable = plan
            .prior()
            .get("immutable")
            .and_then(|v| v.as_bool())
            .unwrap_or(false);
        if was_immutable {
            for name in ["data", "binary_data", "immutable"] {
                if plan.changes(name) {
                    plan.replace(Path::root().attr(name));
                }
            }
        }
        plan_version(plan)
    }

    async fn create(
        client: &Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let mut metadata = Metadata::from(planned.metadata.clone()).request()?;
        metadata.insert("namespace".into(), json!(planned.metadata.namespace));
        let mut manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": planned.r#type, "data": planned.request(config)?,
        });
        if let (Some(true), Some(members)) = (planned.immutable, manifest.as_object_mut()) {
            members.insert("immutable".into(), json!(true));
        }
        let made = client
            .cluster
            .create(&manifest, MANAGER, cx)
            .await
            .map_err(|e| {
                let id = format!("{}/{}", planned.metadata.namespace, planned.metadata.name);
                exists_already(e, "kubernetes_secret_v1", &id)
            })?;
        let secret = planned.with(&made, client)?;
        if secret.r#type == TOKEN_TYPE && secret.wait_for_service_account_token {
            return match secret.wait_for_token(client, cx).await {
                Ok(whole) => Ok(secret.with(&whole, client)?),
                Err(error) => Err(Failure::partial(error, secret)),
            };
        }
        Ok(secret)
    }

    fn named(&self) -> Option<Self> {
        Some(Secret {
            id: format!("{}/{}", self.metadata.namespace, self.metadata.name),
            ..self.clone()
        })
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        match client.looking().get(&object(&prior.id)?, cx).await? {
            Some(found) => prior.with(&found, client).map(Some),
            None => Ok(None),
        }
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let (before, after) = (
            Metadata::from(prior.metadata.clone()),
            Metadata::from(planned.metadata.clone()),
        );
        let mut patch = Map::new();
        let metadata = after.patch(&before);
        if !metadata.is_empty() {
            patch.insert("metadata".into(), Json::Object(metadata));
        }
        let secret = |e: &Option<Entries>| {
            e.as_ref()
                .map(|e| e.expose_secret().clone())
                .unwrap_or_default()
        };
        let data_changes = secret(&prior.data) != secret(&planned.data)
            || secret(&prior.binary_data) != secret(&planned.binary_data)
            || prior.data_wo_revision != planned.data_wo_revision
            || prior.binary_data_wo_revision != planned.binary_data_wo_revision;
        let object = object(&prior.id)?;
        if data_changes {
            let mut data = planned.request(config)?;
            // In a merge patch, what is left out stays: entries that are to go must be named.
            let now = client.cluster.get(&object, cx).await?.unwrap_or(Json::Null);
            let present = find(&now, &["data"]).and_then(Json::as_object);
            if let Some(data) = data.as_object_mut() {
                for key in present.into_iter().flatten().map(|(k, _)| k) {
                    data.entry(key.clone()).or_insert(Json::Null);
                }
            }
            patch.insert("data".into(), data);
        }
        if prior.immutable.unwrap_or(false) != planned.immutable.unwrap_or(false) {
            patch.insert("immutable".into(), json!(planned.immutable));
        }
        if patch.is_empty() {
            return Ok(planned);
        }
        let changed = client
            .cluster
            .merge(&object, &Json::Object(patch), MANAGER, cx)
            .await?;
        Ok(planned.with(&changed, client)?)
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        client
            .cluster
            .delete(&object(&prior.id)?, Propagation::Background, cx)
            .await?;
        Ok(())
    }

    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let object = object(id)?;
        let found = client.cluster.get(&object, cx).await?;
        let found = found.ok_or_else(|| {
            Error::not_found(format!("import {object}"), "there is none of that name")
        })?;
        let empty = Secret {
            id: id.to_owned(),
            data: None,
            data_wo: None,
            data_wo_revision: None,
            binary_data: None,
            binary_data_wo: None,
            binary_data_wo_revision: None,
            immutable: None,
            r#type: String::new(),
            wait_for_service_account_token: true,
            metadata: NamespacedMetadata::default(),
            timeouts: None,
        };
        empty.with(&found, client)
    }
}
