//! A stand-in for Argo CD: alive in a cluster when its controllers run there, it really syncs from Git.

mod application;
mod applicationset;
mod compare;
mod credentials;
mod generators;
mod glob;
mod health;
mod kustomize;
mod project;
mod repository;
mod source;
mod sync;
mod template;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) use repository::Repositories;
pub use repository::RepositoryMapping;

use crate::cluster::Core;
use crate::controllers::workloads::is_ready;
use crate::object::{annotation, at, label, list, name, namespace, text};
use crate::ops::WriteOptions;
use crate::state::{Change, Event, Id, State};

/// The cluster in which Argo CD itself runs.
const IN_CLUSTER: &str = "https://kubernetes.default.svc";
const APPLICATIONS: &str = "applications.argoproj.io";
const APPLICATION_SETS: &str = "applicationsets.argoproj.io";
const PROJECTS: &str = "appprojects.argoproj.io";
/// How often Git is asked for news (Argo CD: 180 s).
const POLL: Duration = Duration::from_secs(180);
/// The same at pace 0.
const SHORTEST_POLL: Duration = Duration::from_secs(3);
/// Changes that come within this time are looked at together.
const GATHER: Duration = Duration::from_millis(15);

/// The sources of an application, one or several.
fn sources(application: &Value) -> Vec<Value> {
    match list(application, &["spec", "sources"]) {
        [] => at(application, &["spec", "source"])
            .as_object()
            .map(|s| Value::Object(s.clone()))
            .into_iter()
            .collect(),
        several => several.to_vec(),
    }
}

pub(crate) async fn run(core: Arc<Core>) {
    let mut changed = core.subscribe();
    let stop = core.stopped();
    let poll = core.lab.settings.duration(POLL).max(SHORTEST_POLL);
    let mut argo = ArgoCd {
        core,
        cursor: 0,
        memories: HashMap::new(),
        sets: HashMap::new(),
        home: None,
        poll,
    };
    loop {
        changed.mark_unchanged();
        tokio::select! {
            () = argo.pass() => {}
            () = stop.cancelled() => return,
        }
        let pause = argo.pause();
        tokio::select! {
            moved = changed.changed() => if moved.is_err() { return },
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(GATHER) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Where Argo CD runs, and which of its parts.
#[derive(Clone, PartialEq)]
struct Home {
    namespace: String,
    generates: bool,
    serves: bool,
}

struct ArgoCd {
    core: Arc<Core>,
    cursor: u64,
    memories: HashMap<Id, application::Memory>,
    /// When each ApplicationSet was looked at.
    sets: HashMap<Id, Instant>,
    home: Option<Home>,
    poll: Duration,
}

impl ArgoCd {
    /// How long nothing needs to be done unless something changes.
    fn pause(&self) -> Duration {
        if self.home.is_none() {
            return self.poll;
        }
        let busy = self.memories.values().any(application::Memory::is_busy);
        if busy {
            Duration::from_millis(100)
        } else {
            Duration::from_millis(250)
        }
    }

    async fn pass(&mut self) {
        let core = self.core.clone();
        let (events, home) = {
            let state = core.lock();
            let events: Option<Vec<Event>> = state.since(self.cursor).map(|e| e.cloned().collect());
            self.cursor = state.version();
            (events, alive(&state))
        };
        let everything = events.is_none() || home != self.home;
        self.home = home.clone();
        let Some(home) = home else { return };
        let events = events.unwrap_or_default();
        if home.serves {
            first_start(&core, &home.namespace);
        }
        if home.generates {
            self.application_sets(&home, &events, everything).await;
        }
        self.applications(&home, &events, everything).await;
    }

    async fn application_sets(&mut self, home: &Home, events: &[Event], everything: bool) {
        let all: Vec<Arc<Value>> = self
            .core
            .lock()
            .list(APPLICATION_SETS, &home.namespace)
            .cloned()
            .collect();
        self.sets
            .retain(|id, _| all.iter().any(|s| name(s) == id.name));
        for set in all {
            let id = Id::of(APPLICATION_SETS, &set);
            let polled = self
                .sets
                .get(&id)
                .is_none_or(|at| at.elapsed() >= self.poll);
            let concerned = events.iter().any(|e| {
                e.id == id && !only_status(e)
                    || owns_change(&set, e)
                    || e.id.key == "secrets" && e.id.namespace == home.namespace
            });
            if everything || polled || concerned {
                self.sets.insert(id, Instant::now());
                applicationset::reconcile(&self.core, &home.namespace, &set).await;
            }
        }
    }

    async fn applications(&mut self, home: &Home, events: &[Event], everything: bool) {
        let all: Vec<Arc<Value>> = self
            .core
            .lock()
            .list(APPLICATIONS, &home.namespace)
            .cloned()
            .collect();
        self.memories
            .retain(|id, _| all.iter().any(|a| name(a) == id.name));
        let shared = events.iter().any(|e| {
            e.id.key == PROJECTS
                || e.id.key == "secrets" && e.id.namespace == home.namespace
                || e.id.key == crate::controllers::CRDS
                || e.id.key == "namespaces" && e.change != Change::Modified
        });
        let mut due = Vec::new();
        for application in all {
            let id = Id::of(APPLICATIONS, &application);
            let memory = self.memories.entry(id.clone()).or_default();
            let changed = events.iter().any(|e| {
                (e.id == id && !only_status(e))
                    || memory.ids.contains(&e.id)
                    || tracked_by(&e.object, &application, &home.namespace)
            });
            let cause = everything
                || changed
                || shared
                || memory.looked.is_none()
                || memory.is_busy()
                || memory.is_due();
            let polled = memory.looked.is_some_and(|at| at.elapsed() >= self.poll);
            if cause
                || polled
                    && !application::is_unchanged(&self.core, &home.namespace, &application, memory)
                        .await
            {
                due.push(application);
            }
        }
        if due.is_empty() {
            return;
        }
        let tracked = tracked(&self.core.lock());
        for application in due {
            let id = Id::of(APPLICATIONS, &application);
            // It may have changed, or gone, while the others were looked at.
            let Some(application) = self.core.lock().get(&id).cloned() else {
                continue;
            };
            let instance = application::instance(&application, &home.namespace);
            let own = tracked
                .get(&instance)
                .map(Vec::as_slice)
                .unwrap_or_default();
            let memory = self.memories.entry(id).or_default();
            application::reconcile(&self.core, &home.namespace, &application, own, memory).await;
        }
    }
}

/// A write that only concerns the status, as Argo CD's own are.
fn only_status(event: &Event) -> bool {
    let Some(previous) = event
        .previous
        .as_ref()
        .filter(|_| event.change == Change::Modified)
    else {
        return false;
    };
    let kept = |o: &Value| {
        let meta = at(o, &["metadata"]);
        [
            o.get("spec").cloned(),
            o.get("operation").cloned(),
            meta.get("annotations").cloned(),
            meta.get("labels").cloned(),
            meta.get("deletionTimestamp").cloned(),
            meta.get("finalizers").cloned(),
        ]
    };
    kept(previous) == kept(&event.object)
}

fn owns_change(set: &Value, event: &Event) -> bool {
    let owned = || {
        list(&event.object, &["metadata", "ownerReferences"])
            .iter()
            .any(|o| text(o, &["uid"]) == crate::object::uid(set))
    };
    event.id.key == APPLICATIONS && owned()
}

fn tracked_by(object: &Value, application: &Value, home: &str) -> bool {
    let Some((owner, _)) = annotation(object, compare::TRACKING).and_then(|t| t.split_once(':'))
    else {
        return false;
    };
    owner == application::instance(application, home)
}

/// Every object that bears the tracking annotation, by application.
fn tracked(state: &State) -> HashMap<String, Vec<Id>> {
    let mut out: HashMap<String, Vec<Id>> = HashMap::new();
    for (key, objects) in state.everything() {
        for object in objects.values() {
            if let Some((owner, _)) =
                annotation(object, compare::TRACKING).and_then(|t| t.split_once(':'))
            {
                out.entry(owner.to_owned())
                    .or_default()
                    .push(Id::of(key, object));
            }
        }
    }
    out
}

/// Finds the controllers; `None` while they, or their CRDs, are not ready.
fn alive(state: &State) -> Option<Home> {
    let crds = [APPLICATIONS, APPLICATION_SETS, PROJECTS]
        .iter()
        .all(|key| state.registry.by_key(key).is_some());
    if !crds {
        return None;
    }
    let ready = |component: &str, place: &str| -> Option<String> {
        let of = |key: &'static str| {
            state
                .list(key, place)
                .find(|o| {
                    (name(o) == component || label(o, "app.kubernetes.io/name") == component)
                        && is_ready(key, o)
                })
                .map(|o| namespace(o).to_owned())
        };
        of("statefulsets.apps").or_else(|| of("deployments.apps"))
    };
    let home = ready("argocd-application-controller", "")?;
    ready("argocd-repo-server", &home)?;
    Some(Home {
        generates: ready("argocd-applicationset-controller", &home).is_some(),
        serves: ready("argocd-server", &home).is_some(),
        namespace: home,
    })
}

/// What the one init container of Argo CD's that matters does: `argocd admin redis-initial-password` makes the Secret
/// that Redis and its clients read their password from.
pub(crate) fn init_container(state: &mut State, namespace: &str, container: &Value) {
    let mut words = ["command", "args"]
        .iter()
        .flat_map(|f| list(container, &[f]))
        .filter_map(Value::as_str);
    if !words.any(|w| w == "redis-initial-password")
        || state.find("secrets", namespace, "argocd-redis").is_some()
    {
        return;
    }
    let Some(secrets) = state.registry.by_key("secrets") else {
        return;
    };
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-redis", "namespace": namespace},
        "stringData": {"auth": uuid::Uuid::new_v4().simple().to_string()}});
    if let Err(error) = state.create(
        &secrets,
        namespace,
        secret,
        &WriteOptions::component("argocd"),
    ) {
        tracing::warn!(%error, "the Secret of Argo CD's Redis cannot be made");
    }
}

/// What argocd-server makes at its first start: the default project, its signing key, the first password.
fn first_start(core: &Core, home: &str) {
    let mut state = core.lock();
    let options = WriteOptions::component("argocd-server");
    if state.find(PROJECTS, home, "default").is_none()
        && let Some(resource) = state.registry.by_key(PROJECTS)
    {
        let project = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": {"name": "default", "namespace": home},
            "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}], "clusterResourceWhitelist": [{"group": "*", "kind": "*"}]}});
        if let Err(error) = state.create(&resource, home, project, &options) {
            tracing::warn!(%error, "argocd-server cannot make the default project");
        }
    }
    let Some(secrets) = state.registry.by_key("secrets") else {
        return;
    };
    let id = Id::new("secrets", home, "argocd-secret");
    let Some(secret) = state.get(&id).cloned() else {
        return;
    };
    if !at(&secret, &["data", "server.secretkey"]).is_null() {
        return;
    }
    let random = || uuid::Uuid::new_v4().simple().to_string();
    let password = random();
    let change = json!({"stringData": {"server.secretkey": random(), "admin.passwordMtime": crate::object::now(), "admin.password": format!("lab:{password}")}});
    let patched = state.patch(
        &secrets,
        home,
        "argocd-secret",
        crate::ops::PatchBody::Merge(change),
        &options,
    );
    let initial = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "argocd-initial-admin-secret", "namespace": home}, "stringData": {"password": password}});
    let made = if state
        .find("secrets", home, "argocd-initial-admin-secret")
        .is_none()
    {
        state.create(&secrets, home, initial, &options).map(drop)
    } else {
        Ok(())
    };
    if let Err(error) = patched.map(drop).and(made) {
        tracing::warn!(%error, "argocd-server cannot write its secrets");
    }
}
