//! A cluster's API: discovery, and what can be done with objects.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;

use crate::kube::connect;
use crate::kube::object::{ObjectRef, text};
use crate::kube::request::{Call, Connected};
use crate::kube::settings::ClusterSettings;
use crate::wait::{self, Poll, Polling};
use crate::{Context, Dialer, Error, ErrorKind};

/// How long changes wait for a server that is away or coming up.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a kind that is not served yet is waited for: a definition may have been applied a moment ago.
const KIND_PATIENCE: Duration = Duration::from_secs(10);

/// A client of one cluster. Cheap to clone; connects at the first request.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
    patience: Duration,
}

struct Inner {
    settings: ClusterSettings,
    dialer: Dialer,
    connected: Mutex<Option<Arc<Connected>>>,
    /// Kinds by API version, as far as they were asked for.
    kinds: Mutex<HashMap<String, HashMap<String, Served>>>,
}

/// How a kind is served.
#[derive(Clone, Debug)]
struct Served {
    plural: String,
    namespaced: bool,
}

/// A server-side apply.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    pub manager: &'a str,
    /// Take fields that another manager owns.
    pub force: bool,
    /// Only say what would become of the object.
    pub dry_run: bool,
}

/// What becomes of the objects that a deleted one owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

impl Propagation {
    fn name(self) -> &'static str {
        match self {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        }
    }
}

impl Cluster {
    /// How the settings name the cluster, without asking anyone: by its host, or by kubeconfig files and the names in them.
    pub fn named(&self) -> String {
        let settings = &self.inner.settings;
        let names = [&settings.host, &settings.context, &settings.cluster];
        let names = names.into_iter().flatten().chain(&settings.config_paths);
        names.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    pub fn new(settings: ClusterSettings, dialer: Dialer) -> Cluster {
        let inner = Inner {
            settings,
            dialer,
            connected: Mutex::default(),
            kinds: Mutex::default(),
        };
        Cluster {
            inner: Arc::new(inner),
            patience: PATIENCE,
        }
    }

    /// The same cluster, waited for no longer than this when it is away: short for what only looks.
    #[must_use]
    pub fn patience(&self, patience: Duration) -> Cluster {
        Cluster {
            inner: Arc::clone(&self.inner),
            patience,
        }
    }

    pub(super) async fn send(&self, call: Call, cx: &Context) -> Result<Json, Error> {
        let connected = self.connected(None).await?;
        match connected.send(&call, self.patience, cx).await {
            // Tokens of programs and pods run out; a 401 means that nothing was done.
            Err(error) if error.status() == Some(401) && connected.endpoint.renewable => {
                let connected = self.connected(Some(&connected)).await?;
                connected.send(&call, self.patience, cx).await
            }
            result => result,
        }
    }

    /// The connection, made anew when it is the one that does not serve any more.
    async fn connected(&self, stale: Option<&Arc<Connected>>) -> Result<Arc<Connected>, Error> {
        let inner = &self.inner;
        let mut slot = inner.connected.lock().await;
        match (&*slot, stale) {
            (Some(current), None) => return Ok(Arc::clone(current)),
            (Some(current), Some(stale)) if !Arc::ptr_eq(current, stale) => {
                return Ok(Arc::clone(current));
            }
            _ => {}
        }
        let endpoint = Arc::new(inner.settings.resolve(&inner.dialer).await?);
        let connected = Arc::new(Connected {
            client: connect::client(&inner.dialer, &endpoint),
            endpoint,
            dialer: inner.dialer.clone(),
        });
        *slot = Some(Arc::clone(&connected));
        Ok(connected)
    }

    /// How the server serves a kind; `None` when it does not.
    async fn discover(
        &self,
        api_version: &str,
        kind: &str,
        cx: &Context,
    ) -> Result<Option<Served>, Error> {
        let mut kinds = self.inner.kinds.lock().await;
        if let Some(served) = kinds.get(api_version).and_then(|k| k.get(kind)) {
            return Ok(Some(served.clone()));
        }
        let call = Call::get(
            root(api_version),
            format!("ask which kinds {api_version} has"),
        );
        let answer = match self.send(call, cx).await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() && error.status().is_some() => return Ok(None),
            Err(error) => return Err(error),
        };
        let resources = answer.get("resources").and_then(Json::as_array);
        let served: HashMap<String, Served> = resources
            .into_iter()
            .flatten()
            // Parts of objects, such as `deployments/scale`, are no kinds of their own.
            .filter(|r| !text(r, &["name"]).contains('/'))
            .map(|r| {
                let one = Served {
                    plural: text(r, &["name"]).to_owned(),
                    namespaced: r.get("namespaced").and_then(Json::as_bool).unwrap_or(false),
                };
                (text(r, &["kind"]).to_owned(), one)
            })
            .collect();
        let found = served.get(kind).cloned();
        kinds.insert(api_version.to_owned(), served);
        Ok(found)
    }

    /// As `discover`, waiting a little for a kind whose definition was only just applied.
    async fn kind(&self, api_version: &str, kind: &str, cx: &Context) -> Result<Served, Error> {
        if let Some(served) = self.discover(api_version, kind, cx).await? {
            return Ok(served);
        }
        let what = format!("the cluster to serve {kind} of {api_version}");
        let polling = Polling::default().timeout(KIND_PATIENCE);
        let waited = wait::until(cx, &what, polling, || async {
            let found = self.discover(api_version, kind, cx).await?;
            Ok(found.map_or(Poll::Pending, Poll::Ready))
        })
        .await;
        waited.map_err(|error| match error.kind() {
            ErrorKind::TimedOut => {
                let said = format!("the cluster has no kind {kind} in {api_version}");
                Error::not_found(format!("find the kind {kind}"), said)
                    .remedy("Check apiVersion and kind, and that its CustomResourceDefinition is installed before.")
            }
            _ => error,
        })
    }

    /// Whether objects of this kind live in namespaces.
    pub async fn is_namespaced(
        &self,
        api_version: &str,
        kind: &str,
        cx: &Context,
    ) -> Result<bool, Error> {
        Ok(self.kind(api_version, kind, cx).await?.namespaced)
    }

    /// An object's path. An object without a namespace of a kind that has one lies in `default`, as for `kubectl`.
    async fn path(&self, object: &ObjectRef, cx: &Context) -> Result<String, Error> {
        let served = self.kind(&object.api_version, &object.kind, cx).await?;
        let collection = collection(
            &object.api_version,
            &served,
            object.namespace.as_deref().or(Some("default")),
        );
        Ok(format!("{collection}/{}", escape(&object.name)))
    }

    /// The object, or `None` when there is none, also when its kind is not served.
    pub async fn get(&self, object: &ObjectRef, cx: &Context) -> Result<Option<Json>, Error> {
        let Some(served) = self.discover(&object.api_version, &object.kind, cx).await? else {
            return Ok(None);
        };
        let namespace = object.namespace.as_deref().or(Some("default"));
        let path = format!(
            "{}/{}",
            collection(&object.api_version, &served, namespace),
            escape(&object.name)
        );
        match self
            .send(Call::get(path, format!("read {object}")), cx)
            .await
        {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, in one namespace or in all; none when the kind is not served.
    pub async fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        cx: &Context,
    ) -> Result<Vec<Json>, Error> {
        self.list_labelled(api_version, kind, namespace, "", cx)
            .await
    }

    /// As [`Cluster::list`], those only that a label selector chooses (`a=b,c=d`; empty for all).
    pub async fn list_labelled(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        selector: &str,
        cx: &Context,
    ) -> Result<Vec<Json>, Error> {
        let query = match selector {
            "" => String::new(),
            selector => format!("labelSelector={}", escape(selector)),
        };
        self.list_where(api_version, kind, namespace, &query, cx)
            .await
    }

    /// As [`Cluster::list`], by a query that is escaped already.
    pub(super) async fn list_where(
        &self,
        api_version: &str,
        kind: &str,
        namespace: Option<&str>,
        query: &str,
        cx: &Context,
    ) -> Result<Vec<Json>, Error> {
        let Some(served) = self.discover(api_version, kind, cx).await? else {
            return Ok(Vec::new());
        };
        let mut path = collection(api_version, &served, namespace);
        if !query.is_empty() {
            path.push('?');
            path.push_str(query);
        }
        let mut answer = self
            .send(Call::get(path, format!("list {kind} objects")), cx)
            .await?;
        match answer.get_mut("items").map(Json::take) {
            Some(Json::Array(items)) => Ok(items),
            _ => Ok(Vec::new()),
        }
    }

    /// Makes a new object.
    pub async fn create(
        &self,
        manifest: &Json,
        manager: &str,
        cx: &Context,
    ) -> Result<Json, Error> {
        let object = ObjectRef::new(
            text(manifest, &["apiVersion"]),
            text(manifest, &["kind"]),
            Some(text(manifest, &["metadata", "namespace"])),
            text(manifest, &["metadata", "name"]),
        );
        let served = self.kind(&object.api_version, &object.kind, cx).await?;
        let path = collection(
            &object.api_version,
            &served,
            object.namespace.as_deref().or(Some("default")),
        );
        let path = format!("{path}?fieldManager={}", escape(manager));
        let what = format!("create {object}");
        let call = Call::new(Method::POST, path, "application/json", Some(manifest), what);
        self.send(call, cx).await
    }

    /// Server-side apply: the object takes the manifest's fields, and the manager owns them.
    pub async fn apply(
        &self,
        manifest: &Json,
        apply: Apply<'_>,
        cx: &Context,
    ) -> Result<Json, Error> {
        let object = ObjectRef::of(manifest)?;
        let mut path = format!(
            "{}?fieldManager={}",
            self.path(&object, cx).await?,
            escape(apply.manager)
        );
        if apply.force {
            path.push_str("&force=true");
        }
        if apply.dry_run {
            path.push_str("&dryRun=All");
        }
        let verb = if apply.dry_run { "compare" } else { "apply" };
        // JSON is YAML, and every server takes it.
        let kind = "application/apply-patch+yaml";
        let call = Call::new(
            Method::PATCH,
            path,
            kind,
            Some(manifest),
            format!("{verb} {object}"),
        );
        self.send(call, cx).await
    }

    /// A JSON merge patch: members replace, null removes.
    pub async fn merge(
        &self,
        object: &ObjectRef,
        patch: &Json,
        manager: &str,
        cx: &Context,
    ) -> Result<Json, Error> {
        let path = format!(
            "{}?fieldManager={}",
            self.path(object, cx).await?,
            escape(manager)
        );
        let kind = "application/merge-patch+json";
        let call = Call::new(
            Method::PATCH,
            path,
            kind,
            Some(patch),
            format!("change {object}"),
        );
        self.send(call, cx).await
    }

    /// Asks for an object's deletion; `false` when there is none. It may take until finalizers are done: see
    /// [`Cluster::wait_gone`].
    pub async fn delete(
        &self,
        object: &ObjectRef,
        propagation: Propagation,
        cx: &Context,
    ) -> Result<bool, Error> {
        let Some(served) = self.discover(&object.api_version, &object.kind, cx).await? else {
            return Ok(false);
        };
        let namespace = object.namespace.as_deref().or(Some("default"));
        let path = format!(
            "{}/{}",
            collection(&object.api_version, &served, namespace),
            escape(&object.name)
        );
        let options = json!({ "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation.name() });
        let call = Call::new(
            Method::DELETE,
            path,
            "application/json",
            Some(&options),
            format!("delete {object}"),
        );
        match self.send(call, cx).await {
            Ok(_) => Ok(true),
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Waits until an object is gone.
    pub async fn wait_gone(
        &self,
        object: &ObjectRef,
        timeout: Duration,
        cx: &Context,
    ) -> Result<(), Error> {
        let polling = Polling::default().timeout(timeout).tolerating_transient();
        let waited = wait::until(cx, &format!("{object} to be gone"), polling, || async {
            let Some(found) = self.get(object, cx).await? else {
                return Ok(Poll::Ready(()));
            };
            let finalizers = found
                .pointer("/metadata/finalizers")
                .or_else(|| found.pointer("/spec/finalizers"));
            let names: Vec<&str> = finalizers
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
                .filter_map(Json::as_str)
                .collect();
            Ok(if names.is_empty() {
                Poll::Pending
            } else {
                Poll::PendingBecause(format!("held by {}", names.join(", ")))
            })
        })
        .await;
        waited.map_err(|error| match error.kind() {
            ErrorKind::TimedOut => error.remedy(
                "Look at its finalizers and events (`kubectl describe`): something in the cluster has not let go of it.",
            ),
            _ => error,
        })
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("host", &self.inner.settings.host)
            .finish_non_exhaustive()
    }
}

fn root(api_version: &str) -> String {
    if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    }
}

fn collection(api_version: &str, served: &Served, namespace: Option<&str>) -> String {
    let root = root(api_version);
    let plural = &served.plural;
    match namespace.filter(|_| served.namespaced) {
        Some(namespace) => format!("{root}/namespaces/{}/{plural}", escape(namespace)),
        None => format!("{root}/{plural}"),
    }
}

/// Names are mostly plain, but RBAC names may hold colons and more.
fn escape(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b':');
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_objects() {
        let served = |namespaced| Served {
            plural: "things".into(),
            namespaced,
        };
        assert_eq!(
            collection("v1", &served(true), Some("a")),
            "/api/v1/namespaces/a/things"
        );
        assert_eq!(
            collection("x.io/v1", &served(false), Some("a")),
            "/apis/x.io/v1/things"
        );
        assert_eq!(
            collection("x.io/v1", &served(true), None),
            "/apis/x.io/v1/things"
        );
        assert_eq!(escape("system:node/a b"), "system:node%2Fa%20b");
    }
}
