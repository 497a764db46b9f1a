//! A sync operation: tasks in phases and waves, applied and waited for.

use serde_json::{Value, json};

use super::compare::{Item, has_option, hook};
use super::health::{self, Health};
use super::project;
use crate::error::qualified;
use crate::object::{
    annotation, at, is_deleting, list, map_at, name, namespace, now, set, split_api_version, text,
};
use crate::ops::{DeleteOptions, PatchBody, WriteOptions};
use crate::state::{Id, State};

const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// The order of kinds within a wave (published in Argo CD's documentation); others come last.
const KINDS: &[&str] = &[
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    PreSync,
    Sync,
    PostSync,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::PreSync => "PreSync",
            Phase::Sync => "Sync",
            Phase::PostSync => "PostSync",
        }
    }
}

#[derive(Debug)]
struct Task {
    phase: Phase,
    wave: i64,
    object: Value,
    prune: bool,
    is_hook: bool,
    applied: bool,
}

/// How far an operation is.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    Running(String),
    Succeeded(String),
    Failed(String),
}

/// What every task looks at.
pub(super) struct Rules<'a> {
    pub(super) namespace: &'a str,
    pub(super) project: &'a Value,
    pub(super) project_name: &'a str,
    pub(super) options: Vec<String>,
    pub(super) namespace_metadata: &'a Value,
    pub(super) prune: bool,
}

impl Rules<'_> {
    fn has(&self, object: &Value, option: &str) -> bool {
        self.options.iter().any(|o| o == option) || has_option(object, SYNC_OPTIONS, option)
    }
}

/// An operation on its way.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) revisions: Vec<String>,
    pub(super) started: String,
    pub(super) retries: u64,
    pub(super) automated: bool,
    tasks: Vec<Task>,
    results: Vec<Value>,
    checked: bool,
}

impl Operation {
    pub(super) fn new(
        revisions: Vec<String>,
        automated: bool,
        retries: u64,
        targets: &[Value],
        items: &[Item],
        rules: &Rules<'_>,
    ) -> Operation {
        let mut tasks = Vec::new();
        for object in targets {
            for (phase, is_hook) in phases(object) {
                tasks.push(Task {
                    phase,
                    wave: wave(object),
                    object: object.clone(),
                    prune: false,
                    is_hook,
                    applied: false,
                });
            }
        }
        for item in items.iter().filter(|i| i.needs_pruning() && rules.prune) {
            if let Some(live) = &item.live
                && !has_option(live, SYNC_OPTIONS, "Prune=false")
            {
                // What is pruned goes in the reverse order of waves, before anything is made in them.
                tasks.push(Task {
                    phase: Phase::Sync,
                    wave: -wave(live),
                    object: Value::clone(live),
                    prune: true,
                    is_hook: false,
                    applied: false,
                });
            }
        }
        tasks.sort_by_key(|t| {
            (
                t.phase,
                t.wave,
                !t.prune,
                kind_order(text(&t.object, &["kind"])),
                name(&t.object).to_owned(),
            )
        });
        Operation {
            revisions,
            started: now(),
            retries,
            automated,
            tasks,
            results: Vec::new(),
            checked: false,
        }
    }

    pub(super) fn results(&self) -> &[Value] {
        &self.results
    }

    /// Does what can be done now.
    pub(super) fn advance(&mut self, state: &mut State, rules: &Rules<'_>) -> Progress {
        if !self.checked {
            self.checked = true;
            if let Some(failed) = self.check(state, rules) {
                return failed;
            }
            if let Some(failed) = self.make_namespace(state, rules) {
                return failed;
            }
        }
        loop {
            let Some((phase, wave)) = self
                .tasks
                .iter()
                .find(|t| !t.applied)
                .map(|t| (t.phase, t.wave))
            else {
                return self.finish(state);
            };
            // The group before must be healthy first.
            if let Some(waiting) = self.waiting(state, (phase, wave)) {
                return waiting;
            }
            let mut failure = None;
            for index in 0..self.tasks.len() {
                let Some(task) = self
                    .tasks
                    .get(index)
                    .filter(|t| !t.applied && (t.phase, t.wave) == (phase, wave))
                else {
                    continue;
                };
                let kind_known = state
                    .registry
                    .by_kind(
                        text(&task.object, &["apiVersion"]),
                        text(&task.object, &["kind"]),
                    )
                    .is_some();
                if !kind_known && !task.prune && self.brings_kind(&task.object) {
                    return Progress::Running(format!(
                        "waiting for the CRD of {} to be established",
                        text(&task.object, &["kind"])
                    ));
                }
                if let Err(message) = self.run(state, index, rules) {
                    failure.get_or_insert(message);
                }
            }
            if let Some(message) = failure {
                return Progress::Failed(format!(
                    "one or more objects failed to apply, reason: {message}"
                ));
            }
        }
    }

    /// Dry run: kinds that are not known, and what the project forbids.
    fn check(&mut self, state: &State, rules: &Rules<'_>) -> Option<Progress> {
        let mut failed = false;
        for index in 0..self.tasks.len() {
            let Some(task) = self.tasks.get(index).filter(|t| !t.prune) else {
                continue;
            };
            let object = &task.object;
            let (group, _) = split_api_version(text(object, &["apiVersion"]));
            let kind = text(object, &["kind"]);
            let place = if namespace(object).is_empty() {
                rules.namespace
            } else {
                namespace(object)
            };
            let message = match state.registry.by_kind(text(object, &["apiVersion"]), kind) {
                None if self.brings_kind(object)
                    || rules.has(object, "SkipDryRunOnMissingResource=true") =>
                {
                    continue;
                }
                None => {
                    format!(
                        "The Kubernetes API could not find {group}/{kind} for requested resource {place}/{}. Make sure the {kind:?} CRD is installed on the destination cluster.",
                        name(object)
                    )
                }
                Some(resource)
                    if !project::permits_kind(rules.project, group, kind, resource.namespaced) =>
                {
                    format!(
                        "resource {group}:{kind} is not permitted in project {}",
                        rules.project_name
                    )
                }
                Some(resource)
                    if resource.namespaced
                        && !project::permits_destination(rules.project, place) =>
                {
                    format!(
                        "namespace {place} is not permitted in project '{}'",
                        rules.project_name
                    )
                }
                Some(_) => continue,
            };
            failed = true;
            self.note(index, "SyncFailed", &message);
        }
        failed
            .then(|| Progress::Failed("one or more synchronization tasks are not valid".to_owned()))
    }

    /// Whether a CRD of the operation defines the kind.
    fn brings_kind(&self, object: &Value) -> bool {
        let (group, _) = split_api_version(text(object, &["apiVersion"]));
        self.tasks.iter().any(|t| {
            text(&t.object, &["kind"]) == "CustomResourceDefinition"
                && text(&t.object, &["spec", "group"]) == group
                && text(&t.object, &["spec", "names", "kind"]) == text(object, &["kind"])
        })
    }

    fn make_namespace(&mut self, state: &mut State, rules: &Rules<'_>) -> Option<Progress> {
        if !rules.options.iter().any(|o| o == "CreateNamespace=true") || rules.namespace.is_empty()
        {
            return None;
        }
        let is_managed = self.tasks.iter().any(|t| {
            text(&t.object, &["kind"]) == "Namespace" && name(&t.object) == rules.namespace
        });
        let exists = state.find("namespaces", "", rules.namespace).is_some();
        if is_managed || exists && rules.namespace_metadata.is_null() {
            return None;
        }
        let resource = state.registry.by_key("namespaces")?;
        let mut object =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rules.namespace}});
        for field in ["labels", "annotations"] {
            for (key, value) in at(rules.namespace_metadata, &[field])
                .as_object()
                .into_iter()
                .flatten()
            {
                map_at(&mut object, &["metadata", field]).insert(key.clone(), value.clone());
            }
        }
        let made = state.patch(
            &resource,
            "",
            rules.namespace,
            PatchBody::Apply(object),
            &writer(),
        );
        made.err()
            .map(|e| Progress::Failed(format!("one or more objects failed to apply, reason: {e}")))
    }

    fn run(&mut self, state: &mut State, index: usize, rules: &Rules<'_>) -> Result<(), String> {
        let Some(task) = self.tasks.get_mut(index) else {
            return Ok(());
        };
        task.applied = true;
        let (object, prune, is_hook) = (task.object.clone(), task.prune, task.is_hook);
        let outcome = if prune {
            prune_object(state, &object)
        } else {
            apply(state, &object, is_hook, rules)
        };
        match outcome {
            Ok(message) => {
                self.note(index, if prune { "Pruned" } else { "Synced" }, &message);
                Ok(())
            }
            Err(message) => {
                self.note(
                    index,
                    if prune { "PruneSkipped" } else { "SyncFailed" },
                    &message,
                );
                Err(message)
            }
        }
    }

    fn note(&mut self, index: usize, status: &str, message: &str) {
        let Some(task) = self.tasks.get(index) else {
            return;
        };
        let object = &task.object;
        let (group, version) = split_api_version(text(object, &["apiVersion"]));
        let mut result = json!({
            "group": group, "version": version, "kind": text(object, &["kind"]), "namespace": namespace(object), "name": name(object),
            "status": status, "message": message, "syncPhase": task.phase.name(),
            "hookPhase": if status == "SyncFailed" { "Failed" } else { "Running" },
        });
        if task.is_hook {
            set(&mut result, &["hookType"], task.phase.name().into());
        }
        self.results.push(result);
    }

    /// What of the groups before `next` is not healthy yet.
    fn waiting(&mut self, state: &mut State, next: (Phase, i64)) -> Option<Progress> {
        let before: Vec<&Task> = self
            .tasks
            .iter()
            .filter(|t| t.applied && (t.phase, t.wave) < next)
            .collect();
        wait_for(state, &before)
    }

    fn finish(&mut self, state: &mut State) -> Progress {
        // After the last wave only hooks are waited for, and everything when there is more than one group.
        let last = self.tasks.iter().map(|t| (t.phase, t.wave)).max();
        let counted: Vec<&Task> = self
            .tasks
            .iter()
            .filter(|t| t.is_hook || Some((t.phase, t.wave)) != last)
            .collect();
        if let Some(waiting) = wait_for(state, &counted) {
            return waiting;
        }
        for task in self
            .tasks
            .iter()
            .filter(|t| t.is_hook && delete_policy(&t.object, "HookSucceeded"))
        {
            if let Some((resource, id)) = place(state, &task.object) {
                drop(state.delete(
                    &resource,
                    &id.namespace,
                    &id.name,
                    &DeleteOptions::default(),
                ));
            }
        }
        Progress::Succeeded(if self.tasks.is_empty() {
            "successfully synced (no more tasks)".to_owned()
        } else {
            "successfully synced (all tasks run)".to_owned()
        })
    }
}

fn wait_for(state: &State, tasks: &[&Task]) -> Option<Progress> {
    let mut waiting: Vec<String> = Vec::new();
    for task in tasks {
        let Some((resource, id)) = place(state, &task.object) else {
            continue;
        };
        let live = state.get(&id);
        if task.prune {
            if live.is_some() {
                waiting.push(format!("deletion of {}", describe(&task.object)));
            }
            continue;
        }
        let health = live.map(|l| health::of(&resource.key, l));
        match health {
            None => waiting.push(format!("healthy state of {}", describe(&task.object))),
            Some(Some((Health::Degraded, why))) => {
                return Some(Progress::Failed(format!("one or more synchronization tasks completed unsuccessfully, reason: {} {why}", describe(&task.object)).trim_end().to_owned()));
            }
            Some(Some((Health::Progressing | Health::Missing, _))) => {
                let what = if task.is_hook {
                    "completion of hook"
                } else {
                    "healthy state of"
                };
                waiting.push(format!("{what} {}", describe(&task.object)));
            }
            Some(_) => {}
        }
    }
    let first = waiting.first()?;
    Some(Progress::Running(match waiting.len() {
        1 => format!("waiting for {first}"),
        more => format!("waiting for {first} and {} more resources", more - 1),
    }))
}

fn writer() -> WriteOptions {
    WriteOptions {
        force: true,
        ..WriteOptions::component("argocd-controller")
    }
}

fn describe(object: &Value) -> String {
    let (group, _) = split_api_version(text(object, &["apiVersion"]));
    format!("{group}/{}/{}", text(object, &["kind"]), name(object))
}

fn place(
    state: &State,
    object: &Value,
) -> Option<(std::sync::Arc<crate::resources::Resource>, Id)> {
    let resource = state
        .registry
        .by_kind(text(object, &["apiVersion"]), text(object, &["kind"]))?;
    // What was compared before its definition was known may bear the destination's namespace.
    let namespace = if resource.namespaced {
        namespace(object)
    } else {
        ""
    };
    let id = Id::new(&resource.key, namespace, name(object));
    Some((resource, id))
}

fn phases(object: &Value) -> Vec<(Phase, bool)> {
    let Some(hooks) = hook(object) else {
        return vec![(Phase::Sync, false)];
    };
    hooks
        .split(',')
        .filter_map(|h| match h.trim() {
            "PreSync" => Some((Phase::PreSync, true)),
            "Sync" => Some((Phase::Sync, true)),
            "PostSync" => Some((Phase::PostSync, true)),
            // Skip is never applied; SyncFail and PostDelete hooks have no part in a sync that goes well.
            _ => None,
        })
        .collect()
}

fn wave(object: &Value) -> i64 {
    annotation(object, "argocd.argoproj.io/sync-wave")
        .and_then(|w| w.trim().parse().ok())
        .unwrap_or(0)
}

fn kind_order(kind: &str) -> usize {
    KINDS.iter().position(|k| *k == kind).unwrap_or(KINDS.len())
}

fn delete_policy(object: &Value, policy: &str) -> bool {
    match annotation(object, "argocd.argoproj.io/hook-delete-policy") {
        Some(policies) => policies.split(',').any(|p| p.trim() == policy),
        None => policy == "BeforeHookCreation",
    }
}

fn apply(
    state: &mut State,
    object: &Value,
    is_hook: bool,
    rules: &Rules<'_>,
) -> Result<String, String> {
    /// The limit of annotations, which client-side apply runs into: it keeps the whole object in one.
    const ANNOTATION_LIMIT: usize = 262_144;
    let Some((resource, id)) = place(state, object) else {
        return Err(format!(
            "The Kubernetes API could not find {} for requested resource {}/{}. Make sure the {:?} CRD is installed on the destination cluster.",
            describe(object).rsplit_once('/').map_or("", |(k, _)| k),
            namespace(object),
            name(object),
            text(object, &["kind"])
        ));
    };
    if is_hook && delete_policy(object, "BeforeHookCreation") && state.get(&id).is_some() {
        state
            .delete(
                &resource,
                &id.namespace,
                &id.name,
                &DeleteOptions {
                    grace_seconds: Some(0),
                    ..DeleteOptions::default()
                },
            )
            .map_err(|e| e.message)?;
    }
    let replaced = rules.has(object, "Replace=true");
    if !rules.has(object, "ServerSideApply=true")
        && !replaced
        && object.to_string().len() > ANNOTATION_LIMIT
    {
        return Err(format!(
            "{} {:?} is invalid: metadata.annotations: Too long: may not be more than {ANNOTATION_LIMIT} bytes",
            qualified(&resource.group, &resource.kind),
            id.name
        ));
    }
    let existed = state.get(&id).is_some();
    let written = state
        .patch(
            &resource,
            &id.namespace,
            &id.name,
            PatchBody::Apply(object.clone()),
            &writer(),
        )
        .map_err(|e| e.message)?;
    let action = if written.created {
        "created"
    } else if existed {
        "configured"
    } else {
        "serverside-applied"
    };
    let what = qualified(&resource.group, &resource.singular);
    Ok(format!("{what}/{} {action}", name(&written.object)))
}

fn prune_object(state: &mut State, object: &Value) -> Result<String, String> {
    let Some((resource, id)) = place(state, object) else {
        return Ok("pruned".to_owned());
    };
    if state.get(&id).is_some_and(|o| !is_deleting(o)) {
        let options = DeleteOptions {
            propagation: "Foreground".to_owned(),
            ..DeleteOptions::default()
        };
        state
            .delete(&resource, &id.namespace, &id.name, &options)
            .map_err(|e| e.message)?;
    }
    Ok("pruned".to_owned())
}

/// The options of an application's sync policy.
pub(super) fn options(application: &Value) -> Vec<String> {
    list(application, &["spec", "syncPolicy", "syncOptions"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
