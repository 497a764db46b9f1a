//! A running cluster: its memory, its API server's socket, its controllers, and what the operating system asks of it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stead_lab_core::Lab;
use stead_lab_core::cluster::{Cluster, ClusterSpec, NodeSpec, StaticPod};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::access::{ClientCertificates, ServerIdentity, Tokens};
use crate::argocd::{self, Repositories};
use crate::object::{api_version, condition_is_true, name, namespace, set, text};
use crate::ops::{PatchBody, WriteOptions};
use crate::state::State;
use crate::{api, bootstrap, controllers, yaml};

/// What a cluster's parts share.
pub(crate) struct Core {
    state: Mutex<State>,
    pub(crate) lab: Lab,
    pub(crate) id: String,
    pub(crate) name: String,
    version: Mutex<String>,
    /// Whether etcd takes writes.
    writable: AtomicBool,
    pub(crate) needs_cni: bool,
    pub(crate) tokens: Tokens,
    pub(crate) certificates: ClientCertificates,
    pub(crate) repositories: Repositories,
    /// Nodes whose kubelet reports now.
    pub(crate) reporting: Mutex<BTreeMap<String, NodeSpec>>,
    address: Mutex<Option<SocketAddr>>,
    stop: CancellationToken,
}

/// The cluster's document in the store.
#[derive(Deserialize)]
struct Saved {
    id: String,
    version: u64,
    token_key_pem: String,
    /// `(resource key, object)`.
    objects: Vec<(String, Value)>,
}

/// The same, as it is written.
#[derive(Serialize)]
struct ToSave<'a> {
    id: &'a str,
    name: &'a str,
    version: u64,
    token_key_pem: String,
    objects: Vec<(&'a str, &'a Value)>,
}

/// The store's name for a cluster's document; ids may hold slashes.
pub(crate) fn document_name(id: &str) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(id.as_bytes());
    let hex: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("kubernetes-{hex}")
}

impl Core {
    pub(crate) fn open(
        lab: &Lab,
        spec: &ClusterSpec,
        repositories: Repositories,
    ) -> io::Result<Arc<Core>> {
        let saved: Option<Saved> = lab.store.load(&document_name(&spec.id))?;
        let saved = saved.filter(|s| s.id == spec.id);
        let tokens = Tokens::new(saved.as_ref().map(|s| s.token_key_pem.as_str()))?;
        let mut state = State::new(
            saved.as_ref().map_or(1, |s| s.version),
            spec.ca_certificate_pem.clone(),
        );
        match saved {
            Some(saved) => {
                for (key, object) in saved.objects {
                    if key == controllers::CRDS && condition_is_true(&object, "Established") {
                        state.registry.serve(&object);
                    }
                    state.restore(&key, object);
                }
            }
            None => bootstrap::populate(&mut state),
        }
        Ok(Arc::new(Core {
            state: Mutex::new(state),
            lab: lab.clone(),
            id: spec.id.clone(),
            name: spec.name.clone(),
            version: Mutex::new(spec.kubernetes_version.clone()),
            writable: AtomicBool::new(true),
            needs_cni: spec.needs_cni,
            tokens,
            certificates: ClientCertificates::new(&spec.ca_certificate_pem)?,
            repositories,
            reporting: Mutex::new(BTreeMap::new()),
            address: Mutex::new(None),
            stop: lab.shutdown.child_token(),
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the API server says that it is.
    pub(crate) fn kubernetes_version(&self) -> String {
        let version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        version.clone()
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable.load(Ordering::Relaxed)
    }

    pub(crate) fn reporting(&self) -> MutexGuard<'_, BTreeMap<String, NodeSpec>> {
        self.reporting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.lock().subscribe()
    }

    pub(crate) fn stopped(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(crate) fn address_text(&self) -> String {
        let address = self.address.lock().unwrap_or_else(PoisonError::into_inner);
        address.map(|a| a.to_string()).unwrap_or_default()
    }

    /// A simulated duration; at pace 0 a moment, so that states can be seen to pass.
    pub(crate) fn pause(&self, lifelike: Duration) -> Duration {
        self.lab
            .settings
            .duration(lifelike)
            .max(Duration::from_millis(2))
    }

    fn save(&self) {
        let token_key_pem = match self.tokens.save() {
            Ok(pem) => pem,
            Err(error) => {
                return tracing::error!(%error, cluster = self.id, "cannot save the cluster");
            }
        };
        let (version, objects) = {
            let state = self.lock();
            let all = state.everything();
            let objects: Vec<(String, Arc<Value>)> = all
                .flat_map(|(key, objects)| objects.values().map(move |o| (key.clone(), o.clone())))
                .collect();
            (state.version(), objects)
        };
        let saved = ToSave {
            id: &self.id,
            name: &self.name,
            version,
            token_key_pem,
            objects: objects.iter().map(|(k, o)| (k.as_str(), &**o)).collect(),
        };
        if let Err(error) = self.lab.store.save(&document_name(&self.id), &saved) {
            tracing::error!(%error, cluster = self.id, "cannot save the cluster");
        }
    }

    /// Saves after changes, many of them at once, and a last time when the cluster stops.
    async fn keep_saved(self: Arc<Self>) {
        const QUIET: Duration = Duration::from_millis(200);
        let mut changed = self.subscribe();
        changed.mark_changed();
        loop {
            tokio::select! {
                _ = changed.changed() => {}
                () = self.stop.cancelled() => break,
            }
            tokio::select! {
                () = tokio::time::sleep(QUIET) => {}
                () = self.stop.cancelled() => break,
            }
            changed.mark_unchanged();
            let core = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || core.save()).await {
                tracing::error!(%error, cluster = self.id, "cannot save the cluster");
            }
        }
        // A destroyed cluster is stopped while the lab goes on: nothing to keep.
        if self.lab.shutdown.is_cancelled() {
            self.save();
        }
    }

    pub(crate) fn inventory(&self) -> Value {
        let state = self.lock();
        let namespaces: Vec<&str> = state.list("namespaces", "").map(|n| name(n)).collect();
        let objects: BTreeMap<&String, usize> = state
            .everything()
            .map(|(key, all)| (key, all.len()))
            .collect();
        let applications: Vec<Value> = state
            .list("applications.argoproj.io", "")
            .map(|a| json!({"namespace": namespace(a), "name": name(a), "sync": text(a, &["status", "sync", "status"]),
                "health": text(a, &["status", "health", "status"])}))
            .collect();
        json!({"id": self.id, "name": self.name, "version": self.kubernetes_version(), "namespaces": namespaces,
            "objects": objects, "applications": applications})
    }
}

/// The cluster as its operating system sees it.
pub(crate) struct SimulatedCluster {
    pub(crate) core: Arc<Core>,
    address: SocketAddr,
}

impl SimulatedCluster {
    pub(crate) async fn start(
        lab: &Lab,
        spec: &ClusterSpec,
        repositories: Repositories,
    ) -> io::Result<Arc<SimulatedCluster>> {
        let core = Core::open(lab, spec, repositories)?;
        let tls = ServerIdentity::config(spec)?;
        let listener = lab
            .network
            .listen(&format!("{}.kubernetes.lab", document_name(&spec.id)), 6443)
            .await?;
        let address = listener.local_addr()?;
        *core.address.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        stead_lab_core::serve(
            lab,
            "kubernetes",
            listener,
            Some(tls),
            api::router(core.clone()),
        );
        lab.tasks.spawn(controllers::run(core.clone()));
        lab.tasks.spawn(argocd::run(core.clone()));
        lab.tasks.spawn(core.clone().keep_saved());
        Ok(Arc::new(SimulatedCluster { core, address }))
    }

    /// Ends the controllers and every watch. The socket stays until the lab ends; nothing routes to it any more.
    pub(crate) fn stop(&self) {
        self.core.stop.cancel();
    }
}

#[async_trait]
impl Cluster for SimulatedCluster {
    fn api_address(&self) -> SocketAddr {
        self.address
    }

    async fn apply_bootstrap_manifests(&self, manager: &str, text: &str) -> Result<(), String> {
        /// How often a manifest may wait for the CRD of its kind, which comes with the same text.
        const ATTEMPTS: usize = 200;
        let documents = yaml::documents(text).map_err(|e| e.to_string())?;
        let mut rest = flatten(documents);
        for _ in 0..ATTEMPTS {
            let mut waiting = Vec::new();
            for document in rest {
                if !apply_manifest(&self.core, manager, &document)? {
                    waiting.push(document);
                }
            }
            rest = waiting;
            if rest.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(self.core.pause(Duration::from_millis(50))).await;
        }
        let first = rest.first().unwrap_or(&Value::Null);
        Err(format!(
            "no matches for kind {:?} in version {:?}",
            text_of(first, "kind"),
            text_of(first, "apiVersion")
        ))
    }

    async fn node_joined(&self, node: NodeSpec) {
        self.core
            .reporting()
            .insert(node.name.clone(), node.clone());
        controllers::nodes::join(&mut self.core.lock(), &node);
    }

    async fn node_stopped(&self, name: &str) {
        self.core.reporting().remove(name);
        controllers::nodes::stopped(&mut self.core.lock(), name);
    }

    async fn node_removed(&self, name: &str) {
        self.core.reporting().remove(name);
        controllers::nodes::removed(&mut self.core.lock(), name);
    }

    async fn healthy(&self) -> Result<(), String> {
        let state = self.core.lock();
        if state.list("nodes", "").next().is_none() {
            return Err("no nodes have joined".to_owned());
        }
        for node in state.list("nodes", "") {
            if !condition_is_true(node, "Ready") {
                return Err(format!("node {} is not ready", name(node)));
            }
        }
        for (key, what) in [
            ("daemonsets.apps", "daemonset"),
            ("deployments.apps", "deployment"),
            ("statefulsets.apps", "statefulset"),
        ] {
            for workload in state.list(key, "kube-system") {
                if !controllers::workloads::is_ready(key, workload) {
                    return Err(format!(
                        "{what} kube-system/{} is not ready",
                        name(workload)
                    ));
                }
            }
        }
        Ok(())
    }

    async fn nodes(&self) -> Vec<(String, bool)> {
        let state = self.core.lock();
        state
            .list("nodes", "")
            .map(|n| (name(n).to_owned(), condition_is_true(n, "Ready")))
            .collect()
    }

    async fn set_version(&self, version: &str) {
        let mut current = self
            .core
            .version
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *current != version {
            version.clone_into(&mut current);
        }
    }

    async fn static_pods(&self, node: &str, pods: &[StaticPod]) {
        controllers::static_pods::mirror(&mut self.core.lock(), node, pods);
    }

    fn set_writable(&self, writable: bool) {
        self.core.writable.store(writable, Ordering::Relaxed);
    }

    /// Keys as API servers form them: `/registry/RESOURCE/NAMESPACE/NAME`.
    async fn entries(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.core.lock();
        let all = state.everything();
        all.flat_map(|(key, objects)| {
            objects.iter().map(move |((namespace, name), object)| {
                let path = match namespace.as_str() {
                    "" => format!("/registry/{key}/{name}"),
                    namespace => format!("/registry/{key}/{namespace}/{name}"),
                };
                (path, object.to_string().into_bytes())
            })
        })
        .collect()
    }

    async fn replace_entries(&self, entries: Vec<(String, Vec<u8>)>) -> Result<(), String> {
        let mut objects = Vec::new();
        for (path, value) in entries {
            let Some((key, _)) = path
                .strip_prefix("/registry/")
                .and_then(|p| p.split_once('/'))
            else {
                return Err(format!("the key {path:?} is none of an API server's"));
            };
            let object: Value = serde_json::from_slice(&value)
                .map_err(|e| format!("the value of {path:?} is no object: {e}"))?;
            objects.push((key.to_owned(), object));
        }
        self.core.lock().replace_all(objects);
        Ok(())
    }
}

fn text_of<'a>(object: &'a Value, field: &str) -> &'a str {
    text(object, &[field])
}

/// `List` objects become their items.
fn flatten(documents: Vec<Value>) -> Vec<Value> {
    documents
        .into_iter()
        .flat_map(|d| match d.get("items") {
            Some(Value::Array(items)) if text(&d, &["kind"]).ends_with("List") => items.clone(),
            _ => vec![d],
        })
        .collect()
}

/// False: the kind is not known (yet).
fn apply_manifest(core: &Core, manager: &str, document: &Value) -> Result<bool, String> {
    let mut state = core.lock();
    let (version, kind) = (text(document, &["apiVersion"]), text(document, &["kind"]));
    if kind.is_empty() {
        return Err("a manifest has no kind".to_owned());
    }
    let Some(resource) = state.registry.by_kind(version, kind) else {
        return Ok(false);
    };
    let mut document = document.clone();
    set(
        &mut document,
        &["apiVersion"],
        api_version(&resource.group, &resource.version).into(),
    );
    let target = name(&document).to_owned();
    let place = match (resource.namespaced, namespace(&document)) {
        (false, _) => String::new(),
        (true, "") => "default".to_owned(),
        (true, given) => given.to_owned(),
    };
    let options = WriteOptions {
        force: true,
        ..WriteOptions::component(manager)
    };
    let written = state.patch(
        &resource,
        &place,
        &target,
        PatchBody::Apply(document),
        &options,
    );
    written
        .map(|_| true)
        .map_err(|e| format!("{kind} {target:?}: {e}"))
}
