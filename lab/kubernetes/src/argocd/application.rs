//! One Application: compared, synced, its status written.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::compare::{self, Ignored, Item};
use super::health::Health;
use super::source::{self, Manifests};
use super::sync::{self, Operation, Progress, Rules};
use super::{credentials, project, sources};
use crate::cluster::Core;
use crate::object::{
    annotation, at, finalizers, is_deleting, list, name, namespace, now, remove, set, text,
};
use crate::ops::{DeleteOptions, WriteOptions};
use crate::state::{Id, State};

const FINALIZERS: [&str; 3] = [
    "resources-finalizer.argocd.argoproj.io",
    "resources-finalizer.argocd.argoproj.io/foreground",
    "resources-finalizer.argocd.argoproj.io/background",
];
const REFRESH: &str = "argocd.argoproj.io/refresh";
/// First pause before a failed sync is tried again (doubles; the documented default).
const BACKOFF: Duration = Duration::from_secs(5);
/// The same at pace 0.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(100);
/// How often an automated sync that fails is tried again when the application does not say.
const RETRIES: u64 = 5;

/// What is remembered of an application between looks at it.
#[derive(Default)]
pub(super) struct Memory {
    /// Its resources: a change of one calls for another look.
    pub(super) ids: BTreeSet<Id>,
    pub(super) looked: Option<Instant>,
    /// What the sources were at the last look that went well.
    revisions: Vec<String>,
    operation: Option<Operation>,
    /// A failed attempt: what it was about, how often, and when the next may be.
    failed: Option<(Vec<String>, u64, Instant)>,
}

impl Memory {
    /// Whether there is something to do although nothing changes.
    pub(super) fn is_busy(&self) -> bool {
        self.operation.is_some()
    }

    /// Whether a retry is due.
    pub(super) fn is_due(&self) -> bool {
        self.failed
            .as_ref()
            .is_some_and(|(_, _, at)| *at <= Instant::now())
    }
}

/// Asks Git only; true when the sources are as at the last look. For looks for which nothing else gives cause.
pub(super) async fn is_unchanged(
    core: &Core,
    home: &str,
    application: &Value,
    memory: &mut Memory,
) -> bool {
    let sources = sources(application);
    if memory.revisions.len() != sources.len() {
        return false;
    }
    let secrets = credentials::of(&core.lock(), home);
    for (source, known) in sources.iter().zip(&memory.revisions) {
        let url = text(source, &["repoURL"]);
        let found = core
            .repositories
            .resolve(url, text(source, &["targetRevision"]), secrets.fit(url))
            .await;
        if found.as_ref() != Ok(known) {
            return false;
        }
    }
    memory.looked = Some(Instant::now());
    true
}

fn id_of(application: &Value) -> Id {
    Id::of(super::APPLICATIONS, application)
}

/// The name by which an application's resources are known.
pub(super) fn instance(application: &Value, home: &str) -> String {
    if namespace(application) == home {
        name(application).to_owned()
    } else {
        format!("{}_{}", namespace(application), name(application))
    }
}

/// Looks at an application; `tracked` is everything that bears its annotation.
pub(super) async fn reconcile(
    core: &Core,
    home: &str,
    application: &Value,
    tracked: &[Id],
    memory: &mut Memory,
) {
    memory.looked = Some(Instant::now());
    if is_deleting(application) {
        return delete(core, application, tracked);
    }
    let mut look = Look {
        core,
        home,
        application,
        status: at(application, &["status"]).clone(),
        conditions: Vec::new(),
    };
    let project_name = match text(application, &["spec", "project"]) {
        "" => "default".to_owned(),
        given => given.to_owned(),
    };
    let (found, secrets) = {
        let state = core.lock();
        (
            state
                .find("appprojects.argoproj.io", home, &project_name)
                .cloned(),
            credentials::of(&state, home),
        )
    };
    let Some(project) = found else {
        return look.invalid(&format!(
            "Application referencing project {project_name} which does not exist"
        ));
    };
    if let Some(why) = wrong_destination(application) {
        return look.invalid(&why);
    }
    let sources = sources(application);
    if sources.is_empty() {
        return look.invalid(
            "spec.source.repoURL and either spec.source.path or spec.source.chart are required",
        );
    }
    let violations = project::violations(&project, &project_name, application);
    if let Some(first) = violations.first() {
        return look.invalid(first);
    }
    let ignored = match Ignored::of(application) {
        Ok(ignored) => ignored,
        Err(why) => return look.invalid(&why),
    };
    if annotation(application, REFRESH).is_some() {
        core.repositories.forget_resolved();
    }
    let manifests =
        source::manifests(&core.repositories, &sources, &|url: &str| secrets.fit(url)).await;
    memory.revisions = manifests
        .as_ref()
        .map(|m| m.revisions.clone())
        .unwrap_or_default();
    match manifests {
        Err(why) => look.comparison_error(&why),
        Ok(manifests) => look.at_manifests(
            &manifests,
            &project,
            &project_name,
            &ignored,
            tracked,
            memory,
        ),
    }
}

fn wrong_destination(application: &Value) -> Option<String> {
    let destination = at(application, &["spec", "destination"]);
    match (text(destination, &["server"]), text(destination, &["name"])) {
        ("", "") => Some("Destination server missing from app spec".to_owned()),
        (server, "") if server.trim_end_matches('/') == super::IN_CLUSTER => None,
        ("", "in-cluster") => None,
        ("", other) => Some(format!(
            "application destination can't have both name and server defined or unable to find destination server: there are no clusters with this name: {other}"
        )),
        (server, _) => Some(format!("cluster {server:?} not found")),
    }
}

/// The finalizer's work: resources first, then the application.
fn delete(core: &Core, application: &Value, tracked: &[Id]) {
    let cascades = finalizers(application)
        .iter()
        .any(|f| FINALIZERS.contains(f));
    if !cascades {
        return;
    }
    let mut state = core.lock();
    let mut left = false;
    for id in tracked {
        let (Some(live), Some(resource)) = (state.get(id).cloned(), state.registry.by_key(&id.key))
        else {
            continue;
        };
        if compare::has_option(&live, "argocd.argoproj.io/sync-options", "Delete=false") {
            continue;
        }
        left = true;
        if !is_deleting(&live)
            && let Err(error) = state.delete(
                &resource,
                &id.namespace,
                &id.name,
                &DeleteOptions {
                    propagation: "Foreground".to_owned(),
                    ..DeleteOptions::default()
                },
            )
        {
            tracing::debug!(%error, name = id.name, "an application's resource cannot be deleted");
        }
    }
    if !left && let Some(resource) = state.registry.by_key(super::APPLICATIONS) {
        state.adjust(&resource, &id_of(application), |o| {
            if let Some(Value::Array(all)) = o.pointer_mut("/metadata/finalizers") {
                all.retain(|f| f.as_str().is_none_or(|f| !FINALIZERS.contains(&f)));
            }
        });
    }
}

/// One look at an application, and the status that comes of it.
struct Look<'a> {
    core: &'a Core,
    home: &'a str,
    application: &'a Value,
    status: Value,
    conditions: Vec<(&'static str, String)>,
}

impl Look<'_> {
    fn invalid(&mut self, why: &str) {
        self.conditions.push(("InvalidSpecError", why.to_owned()));
        self.unknown();
    }

    fn comparison_error(&mut self, why: &str) {
        self.conditions.push(("ComparisonError", why.to_owned()));
        self.unknown();
    }

    fn unknown(&mut self) {
        self.compared("Unknown", &[]);
        self.health(if at(&self.status, &["resources"]).is_array() {
            Health::Unknown
        } else {
            Health::Healthy
        });
        let mut state = self.core.lock();
        self.write(&mut state);
    }

    fn compared(&mut self, status: &str, revisions: &[String]) {
        let several = !list(self.application, &["spec", "sources"]).is_empty();
        let mut to = json!({"destination": at(self.application, &["spec", "destination"])});
        let mut sync = json!({"status": status});
        if several {
            set(
                &mut to,
                &["sources"],
                at(self.application, &["spec", "sources"]).clone(),
            );
            set(&mut sync, &["revisions"], json!(revisions));
        } else {
            set(
                &mut to,
                &["source"],
                at(self.application, &["spec", "source"]).clone(),
            );
            if let Some(revision) = revisions.first() {
                set(&mut sync, &["revision"], revision.as_str().into());
            }
        }
        let ignored = at(self.application, &["spec", "ignoreDifferences"]);
        if !ignored.is_null() {
            set(&mut to, &["ignoreDifferences"], ignored.clone());
        }
        set(&mut sync, &["comparedTo"], to);
        set(&mut self.status, &["sync"], sync);
    }

    fn health(&mut self, health: Health) {
        if text(&self.status, &["health", "status"]) != health.name() {
            set(
                &mut self.status,
                &["health"],
                json!({"status": health.name(), "lastTransitionTime": now()}),
            );
        }
    }

    fn at_manifests(
        &mut self,
        manifests: &Manifests,
        project: &Value,
        project_name: &str,
        ignored: &Ignored,
        tracked: &[Id],
        memory: &mut Memory,
    ) {
        let application = self.application;
        let instance = instance(application, self.home);
        let place = text(application, &["spec", "destination", "namespace"]);
        let mut state = self.core.lock();
        let targets: Vec<Value> = manifests
            .objects
            .iter()
            .map(|o| compare::settle(&state, &instance, place, o.clone()))
            .collect();
        let mut items = compare::compare(&mut state, &targets, tracked, ignored);
        let policy = at(application, &["spec", "syncPolicy"]);
        let rules = Rules {
            namespace: place,
            project,
            project_name,
            options: sync::options(application),
            namespace_metadata: at(policy, &["managedNamespaceMetadata"]),
            prune: at(policy, &["automated", "prune"]).as_bool() == Some(true)
                || at(application, &["operation", "sync", "prune"]).as_bool() == Some(true),
        };
        let was = text(&self.status, &["operationState", "phase"]).to_owned();
        self.start(&items, &targets, manifests, &rules, memory);
        if let Some(mut operation) = memory.operation.take() {
            let progress = operation.advance(&mut state, &rules);
            self.record(&operation, &progress, memory);
            if matches!(progress, Progress::Running(_)) {
                memory.operation = Some(operation);
            }
            // What the operation did is to be seen.
            items = compare::compare(&mut state, &targets, tracked, ignored);
        } else if was == "Running" {
            // An operation that the lab's restart interrupted begins anew by the rules above; one without cause ends.
            set(
                &mut self.status,
                &["operationState", "phase"],
                "Succeeded".into(),
            );
        }
        let synced = items.iter().all(|i| i.synced);
        self.compared(
            if synced { "Synced" } else { "OutOfSync" },
            &manifests.revisions,
        );
        self.health(compare::overall(&items));
        self.resources(&items, manifests);
        memory.ids = items.iter().filter_map(Item::id).collect();
        self.write(&mut state);
    }

    /// Begins an operation when one is asked for, or due by the automated policy.
    fn start(
        &mut self,
        items: &[Item],
        targets: &[Value],
        manifests: &Manifests,
        rules: &Rules<'_>,
        memory: &mut Memory,
    ) {
        if memory.operation.is_some() {
            return;
        }
        let begin = |automated, retries| {
            Operation::new(
                manifests.revisions.clone(),
                automated,
                retries,
                targets,
                items,
                rules,
            )
        };
        if at(self.application, &["operation", "sync"]).is_object() {
            memory.failed = None;
            memory.operation = Some(begin(false, 0));
            return;
        }
        let automated = at(self.application, &["spec", "syncPolicy", "automated"]);
        if !automated.is_object() || at(automated, &["enabled"]).as_bool() == Some(false) {
            return;
        }
        let due = items
            .iter()
            .any(|i| !i.synced && (!i.needs_pruning() || rules.prune));
        if !due {
            memory.failed = None;
            return;
        }
        let heals = at(automated, &["selfHeal"]).as_bool() == Some(true);
        let done = text(&self.status, &["operationState", "phase"]) == "Succeeded"
            && at(&self.status, &["operationState", "syncResult", "revisions"])
                == &json!(manifests.revisions);
        if let Some((revisions, attempts, next)) = &memory.failed
            && *revisions == manifests.revisions
        {
            let limit = at(self.application, &["spec", "syncPolicy", "retry", "limit"])
                .as_u64()
                .unwrap_or(RETRIES);
            let forever = at(self.application, &["spec", "syncPolicy", "retry", "limit"])
                .as_i64()
                .is_some_and(|l| l < 0);
            if *attempts > limit && !heals && !forever {
                let revision = revisions.join(",");
                self.conditions.push((
                    "SyncError",
                    format!(
                        "Failed last sync attempt to [{revision}]: {} (retried {} times).",
                        text(&self.status, &["operationState", "message"]),
                        attempts - 1
                    ),
                ));
                return;
            }
            if *next > Instant::now() {
                return;
            }
            memory.operation = Some(begin(true, *attempts));
            return;
        }
        // The same revision is not synced twice unless differences are to be healed.
        let changed_spec = at(&self.status, &["sync", "comparedTo", "source"])
            != at(self.application, &["spec", "source"])
            || at(&self.status, &["sync", "comparedTo", "sources"])
                != at(self.application, &["spec", "sources"]);
        if done && !heals && !changed_spec {
            return;
        }
        memory.operation = Some(begin(true, 0));
    }

    fn record(&mut self, operation: &Operation, progress: &Progress, memory: &mut Memory) {
        let (phase, message) = match progress {
            Progress::Running(message) => ("Running", message.clone()),
            Progress::Succeeded(message) => ("Succeeded", message.clone()),
            Progress::Failed(message) => ("Failed", message.clone()),
        };
        let revision = operation.revisions.first().cloned().unwrap_or_default();
        let several = !list(self.application, &["spec", "sources"]).is_empty();
        let mut sync =
            json!({"revision": revision, "syncOptions": sync::options(self.application)});
        let mut result = json!({"revision": revision, "resources": operation.results()});
        if several {
            set(&mut sync, &["revisions"], json!(operation.revisions));
            set(
                &mut sync,
                &["sources"],
                at(self.application, &["spec", "sources"]).clone(),
            );
            set(
                &mut result,
                &["sources"],
                at(self.application, &["spec", "sources"]).clone(),
            );
        } else {
            set(
                &mut result,
                &["source"],
                at(self.application, &["spec", "source"]).clone(),
            );
        }
        set(&mut result, &["revisions"], json!(operation.revisions));
        let by = if operation.automated {
            json!({"automated": true})
        } else {
            at(self.application, &["operation", "initiatedBy"]).clone()
        };
        let mut state = json!({
            "operation": {"sync": sync, "initiatedBy": if by.is_null() { json!({}) } else { by }, "retry": {"limit": at(self.application, &["spec", "syncPolicy", "retry", "limit"]).as_i64().unwrap_or(5)}},
            "phase": phase, "message": message, "startedAt": operation.started, "syncResult": result,
        });
        if operation.retries > 0 {
            set(&mut state, &["retryCount"], operation.retries.into());
        }
        if phase != "Running" {
            set(&mut state, &["finishedAt"], now().into());
        }
        set(&mut self.status, &["operationState"], state);
        match progress {
            Progress::Running(_) => {}
            Progress::Succeeded(_) => {
                memory.failed = None;
                self.add_history(operation);
            }
            Progress::Failed(_) => {
                let attempts = operation.retries + 1;
                let factor =
                    2_u32.saturating_pow(u32::try_from(operation.retries.min(5)).unwrap_or(5));
                let pause = self
                    .core
                    .lab
                    .settings
                    .duration(BACKOFF)
                    .max(SHORTEST_BACKOFF)
                    .saturating_mul(factor);
                memory.failed = Some((
                    operation.revisions.clone(),
                    attempts,
                    Instant::now() + pause,
                ));
            }
        }
    }

    fn add_history(&mut self, operation: &Operation) {
        const KEPT: usize = 10;
        let mut history = list(&self.status, &["history"]).to_vec();
        let id = history
            .last()
            .and_then(|h| at(h, &["id"]).as_i64())
            .map_or(0, |i| i + 1);
        let mut entry = json!({
            "id": id, "revision": operation.revisions.first(), "deployedAt": now(), "deployStartedAt": operation.started,
            "source": at(self.application, &["spec", "source"]),
            "initiatedBy": if operation.automated { json!({"automated": true}) } else { json!({}) },
        });
        if !list(self.application, &["spec", "sources"]).is_empty() {
            set(
                &mut entry,
                &["sources"],
                at(self.application, &["spec", "sources"]).clone(),
            );
            set(&mut entry, &["revisions"], json!(operation.revisions));
            remove(&mut entry, &["source"]);
        }
        history.push(entry);
        let skip = history.len().saturating_sub(KEPT);
        set(
            &mut self.status,
            &["history"],
            history.split_off(skip).into(),
        );
    }

    fn resources(&mut self, items: &[Item], manifests: &Manifests) {
        let entries: Vec<Value> = items
            .iter()
            .map(|item| {
                let mut e = json!({"version": item.version, "kind": item.kind, "name": item.name, "status": if item.synced { "Synced" } else { "OutOfSync" }});
                for (field, value) in [("group", &item.group), ("namespace", &item.namespace)] {
                    if !value.is_empty() {
                        set(&mut e, &[field], value.as_str().into());
                    }
                }
                if let Some((health, message)) = &item.health {
                    set(&mut e, &["health"], json!({"status": health.name()}));
                    if !message.is_empty() {
                        set(&mut e, &["health", "message"], message.as_str().into());
                    }
                }
                if item.needs_pruning() {
                    set(&mut e, &["requiresPruning"], true.into());
                }
                let wave = annotation(item.object(), "argocd.argoproj.io/sync-wave").and_then(|w| w.parse::<i64>().ok());
                if let Some(wave) = wave.filter(|w| *w != 0) {
                    set(&mut e, &["syncWave"], wave.into());
                }
                e
            })
            .collect();
        set(&mut self.status, &["resources"], entries.into());
        set(
            &mut self.status,
            &["summary"],
            json!({"images": compare::images(items)}),
        );
        if list(self.application, &["spec", "sources"]).is_empty() {
            set(
                &mut self.status,
                &["sourceType"],
                manifests
                    .kinds
                    .first()
                    .copied()
                    .unwrap_or("Directory")
                    .into(),
            );
        } else {
            set(&mut self.status, &["sourceTypes"], json!(manifests.kinds));
        }
        set(&mut self.status, &["controllerNamespace"], self.home.into());
    }

    /// Writes the status when it says something new, or when a refresh was asked for.
    fn write(&mut self, state: &mut State) {
        let old_conditions = list(&self.status, &["conditions"]).to_vec();
        let conditions: Vec<Value> = self
            .conditions
            .iter()
            .map(|(kind, message)| {
                let same = old_conditions
                    .iter()
                    .find(|c| text(c, &["type"]) == *kind && text(c, &["message"]) == message);
                same.cloned().unwrap_or_else(
                    || json!({"type": kind, "message": message, "lastTransitionTime": now()}),
                )
            })
            .collect();
        if conditions.is_empty() {
            remove(&mut self.status, &["conditions"]);
        } else {
            set(&mut self.status, &["conditions"], conditions.into());
        }
        let refresh = annotation(self.application, REFRESH).is_some();
        let started = self.application.get("operation").is_some()
            && !text(&self.status, &["operationState", "phase"]).is_empty();
        let first = at(&self.status, &["reconciledAt"]).is_null();
        if !refresh && !started && !first && self.status == *at(self.application, &["status"]) {
            return;
        }
        set(&mut self.status, &["reconciledAt"], now().into());
        let Some(resource) = state.registry.by_key(super::APPLICATIONS) else {
            return;
        };
        let Some(current) = state.get(&id_of(self.application)).cloned() else {
            return;
        };
        let mut new = Value::clone(&current);
        remove(&mut new, &["metadata", "managedFields"]);
        set(&mut new, &["status"], self.status.clone());
        if started {
            remove(&mut new, &["operation"]);
        }
        let same_refresh = annotation(&current, REFRESH) == annotation(self.application, REFRESH);
        if refresh && same_refresh {
            remove(&mut new, &["metadata", "annotations", REFRESH]);
            if at(&new, &["metadata", "annotations"])
                .as_object()
                .is_some_and(serde_json::Map::is_empty)
            {
                remove(&mut new, &["metadata", "annotations"]);
            }
        }
        let options = WriteOptions::component("argocd-application-controller");
        if resource.has("status") {
            if let Err(error) = state.update(
                &resource,
                namespace(&new),
                name(&new),
                new.clone(),
                &options.clone().status(),
            ) {
                tracing::warn!(%error, "cannot write an Application's status");
            }
            remove(&mut new, &["metadata", "resourceVersion"]);
            let latest = state
                .get(&id_of(self.application))
                .map(|o| at(o, &["metadata", "resourceVersion"]).clone());
            set(
                &mut new,
                &["metadata", "resourceVersion"],
                latest.unwrap_or(Value::Null),
            );
        }
        if let Err(error) = state.update(
            &resource,
            namespace(&current),
            name(&current),
            new,
            &options,
        ) {
            tracing::warn!(%error, application = name(self.application), "cannot write an Application");
        }
    }
}
