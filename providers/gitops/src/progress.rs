//! How far Argo CD is: which Applications belong to a root, what each of them says, and when waiting is hopeless.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value as Json;
use stead_sdk::kube::{Cluster, ObjectRef, find, text};
use stead_sdk::wait::{self, Poll, Polling};
use stead_sdk::{Context, Error, ErrorKind};

use crate::desired::{API_VERSION, project};

/// How long a failure must last before it counts: Argo CD reports passing ones while its parts come up.
const GRACE: Duration = Duration::from_secs(10);

/// Applications that the progress line names.
const NAMED: usize = 4;

/// A controller takes this annotation away when it has looked again.
pub(crate) const REFRESH: &str = "argocd.argoproj.io/refresh";

/// All Applications and ApplicationSets.
#[derive(Debug)]
pub(crate) struct Snapshot {
    applications: Vec<Json>,
    sets: Vec<Json>,
}

impl Snapshot {
    pub(crate) async fn take(cluster: &Cluster, cx: &Context) -> Result<Snapshot, Error> {
        // Sets first: one that says it is up to date has made its Applications before, so the list that follows holds them.
        let sets = cluster
            .list(API_VERSION, "ApplicationSet", None, cx)
            .await?;
        Ok(Snapshot {
            applications: cluster.list(API_VERSION, "Application", None, cx).await?,
            sets,
        })
    }

    fn find<'a>(&'a self, kind: &str, namespace: &str, name: &str) -> Option<&'a Json> {
        let all = if kind == "ApplicationSet" {
            &self.sets
        } else {
            &self.applications
        };
        all.iter().find(|o| {
            text(o, &["metadata", "namespace"]) == namespace
                && text(o, &["metadata", "name"]) == name
        })
    }

    /// The root and everything that it makes, directly or through others.
    fn tree(&self, root: &ObjectRef) -> Tree<'_> {
        let mut tree = Tree::default();
        let namespace = root.namespace.clone().unwrap_or_default();
        let mut queue = vec![(root.kind.clone(), namespace, root.name.clone())];
        let mut seen = BTreeSet::new();
        while let Some(next) = queue.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            let (kind, namespace, name) = next;
            let Some(object) = self.find(&kind, &namespace, &name) else {
                tree.awaited.push(format!("{kind} {name}"));
                continue;
            };
            if kind == "ApplicationSet" {
                let uid = text(object, &["metadata", "uid"]);
                for application in self.applications.iter().filter(|a| is_owned_by(a, uid)) {
                    let part = |name| text(application, &["metadata", name]).to_owned();
                    queue.push(("Application".into(), part("namespace"), part("name")));
                }
                tree.sets.push(object);
                continue;
            }
            for resource in resources(object) {
                let kind = text(resource, &["kind"]);
                if text(resource, &["group"]) == "argoproj.io"
                    && matches!(kind, "Application" | "ApplicationSet")
                {
                    let within = Some(text(resource, &["namespace"]))
                        .filter(|n| !n.is_empty())
                        .unwrap_or(&namespace);
                    queue.push((
                        kind.to_owned(),
                        within.to_owned(),
                        text(resource, &["name"]).to_owned(),
                    ));
                }
            }
            tree.applications.push(object);
        }
        tree.applications
            .sort_by_key(|a| text(a, &["metadata", "name"]).to_owned());
        tree
    }
}

fn is_owned_by(object: &Json, uid: &str) -> bool {
    let owners = find(object, &["metadata", "ownerReferences"]).and_then(Json::as_array);
    !uid.is_empty()
        && owners
            .into_iter()
            .flatten()
            .any(|o| text(o, &["uid"]) == uid)
}

fn resources(application: &Json) -> &[Json] {
    find(application, &["status", "resources"])
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

/// What belongs to a root.
#[derive(Debug, Default)]
struct Tree<'a> {
    applications: Vec<&'a Json>,
    sets: Vec<&'a Json>,
    /// What is to come and is not there yet.
    awaited: Vec<String>,
}

/// An Application, as far as people care.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) sync: String,
    pub(crate) health: String,
    pub(crate) revision: String,
}

/// What Argo CD made of a root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) applications: Vec<Seen>,
    /// The objects that Git manages now.
    pub(crate) owned: Vec<ObjectRef>,
}

fn seen(application: &Json) -> Seen {
    let part = |path: &[&str]| text(application, path).to_owned();
    let or_unknown = |t: String| {
        if t.is_empty() {
            "Unknown".to_owned()
        } else {
            t
        }
    };
    let revision = part(&["status", "sync", "revision"]);
    let revisions = find(application, &["status", "sync", "revisions"]).and_then(Json::as_array);
    let several: Vec<&str> = revisions
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    Seen {
        namespace: part(&["metadata", "namespace"]),
        name: part(&["metadata", "name"]),
        sync: or_unknown(part(&["status", "sync", "status"])),
        health: or_unknown(part(&["status", "health", "status"])),
        revision: if revision.is_empty() {
            several.join(",")
        } else {
            revision
        },
    }
}

/// The objects that an Application manages.
fn owned(application: &Json) -> impl Iterator<Item = ObjectRef> {
    resources(application).iter().map(|r| {
        let (group, version) = (text(r, &["group"]), text(r, &["version"]));
        let api_version = if group.is_empty() {
            version.to_owned()
        } else {
            format!("{group}/{version}")
        };
        ObjectRef::new(
            &api_version,
            text(r, &["kind"]),
            Some(text(r, &["namespace"])),
            text(r, &["name"]),
        )
    })
}

/// Where a root stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Waiting(String),
    /// It will not get further by itself, if this lasts.
    Stuck(String),
}

/// Whether an Application's status is about its present specification.
fn is_current(application: &Json) -> bool {
    if find(application, &["metadata", "annotations", REFRESH]).is_some() {
        return false;
    }
    ["source", "sources"].iter().all(|part| {
        let wanted = find(application, &["spec", part]);
        let compared = find(application, &["status", "sync", "comparedTo", part]);
        match (wanted, compared) {
            (Some(wanted), Some(compared)) => project(compared, wanted) == *wanted,
            _ => true,
        }
    })
}

fn judge_application(application: &Json) -> Verdict {
    let now = seen(application);
    let name = &now.name;
    let line = format!("{name}: {}/{}", now.sync, now.health);
    if !is_current(application) {
        return Verdict::Waiting(format!("{name}: not looked at yet"));
    }
    let conditions = find(application, &["status", "conditions"]).and_then(Json::as_array);
    let error = conditions.into_iter().flatten().find(|c| {
        matches!(
            text(c, &["type"]),
            "ComparisonError" | "InvalidSpecError" | "UnknownError"
        )
    });
    if let Some(error) = error {
        return Verdict::Stuck(format!(
            "{name}: {}: {}",
            text(error, &["type"]),
            text(error, &["message"])
        ));
    }
    let phase = text(application, &["status", "operationState", "phase"]);
    if now.sync == "Synced" && now.health == "Healthy" && phase != "Running" {
        return Verdict::Done;
    }
    if matches!(phase, "Failed" | "Error") && now.sync != "Synced" {
        let message = text(application, &["status", "operationState", "message"]);
        return Verdict::Stuck(format!(
            "{name}: the sync {}: {message}",
            phase.to_lowercase()
        ));
    }
    let automated = find(application, &["spec", "syncPolicy", "automated"]).is_some();
    if now.sync == "OutOfSync" && !automated && phase.is_empty() {
        return Verdict::Stuck(format!(
            "{name}: it is OutOfSync, and nothing syncs it (no automated sync policy)"
        ));
    }
    Verdict::Waiting(line)
}

fn judge_set(set: &Json) -> Verdict {
    let name = text(set, &["metadata", "name"]);
    let conditions = find(set, &["status", "conditions"]).and_then(Json::as_array);
    let of = |kind: &str| {
        conditions
            .into_iter()
            .flatten()
            .find(|c| text(c, &["type"]) == kind)
    };
    if let Some(error) = of("ErrorOccurred").filter(|c| text(c, &["status"]) == "True") {
        return Verdict::Stuck(format!("{name}: {}", text(error, &["message"])));
    }
    match of("ResourcesUpToDate").map(|c| text(c, &["status"])) {
        Some("True") => Verdict::Done,
        _ => Verdict::Waiting(format!("{name}: generating")),
    }
}

fn judge(tree: &Tree<'_>) -> Verdict {
    let all = tree
        .sets
        .iter()
        .map(|s| judge_set(s))
        .chain(tree.applications.iter().map(|a| judge_application(a)));
    let mut waiting = tree
        .awaited
        .iter()
        .map(|a| format!("{a}: not there yet"))
        .collect::<Vec<_>>();
    for verdict in all {
        match verdict {
            Verdict::Done => {}
            Verdict::Waiting(line) => waiting.push(line),
            Verdict::Stuck(why) => return Verdict::Stuck(why),
        }
    }
    if waiting.is_empty() {
        return Verdict::Done;
    }
    let more = waiting.len().saturating_sub(NAMED);
    waiting.truncate(NAMED);
    let mut line = waiting.join(", ");
    if more > 0 {
        line.push_str(&format!(" and {more} more"));
    }
    Verdict::Waiting(line)
}

/// Failures that pass once Argo CD's own parts are up.
fn may_pass(why: &str) -> bool {
    let lower = why.to_lowercase();
    [
        "connection refused",
        "connection error",
        "unavailable",
        "deadline exceeded",
        "i/o timeout",
        "no such host",
        "eof",
    ]
    .iter()
    .any(|hint| lower.contains(hint))
}

fn outcome(tree: &Tree<'_>) -> Outcome {
    let mut all: Vec<ObjectRef> = tree.applications.iter().flat_map(|a| owned(a)).collect();
    all.sort();
    all.dedup();
    Outcome {
        applications: tree.applications.iter().map(|a| seen(a)).collect(),
        owned: all,
    }
}

/// What there is now, without waiting.
pub(crate) async fn look(
    cluster: &Cluster,
    root: &ObjectRef,
    cx: &Context,
) -> Result<Outcome, Error> {
    let snapshot = Snapshot::take(cluster, cx).await?;
    Ok(outcome(&snapshot.tree(root)))
}

/// Waits until a root and all that it makes is Synced and Healthy.
pub(crate) async fn wait(
    cluster: &Cluster,
    root: &ObjectRef,
    timeout: Duration,
    cx: &Context,
) -> Result<Outcome, Error> {
    let stuck: Mutex<Option<(String, Instant)>> = Mutex::new(None);
    let polling = Polling::default().timeout(timeout).tolerating_transient();
    let waited = wait::until(
        cx,
        &format!("{root} to be Synced and Healthy"),
        polling,
        || async {
            let snapshot = Snapshot::take(cluster, cx).await?;
            let tree = snapshot.tree(root);
            let mut since = stuck.lock().unwrap_or_else(PoisonError::into_inner);
            match judge(&tree) {
                Verdict::Done => Ok(Poll::Ready(outcome(&tree))),
                Verdict::Waiting(line) => {
                    *since = None;
                    Ok(Poll::PendingBecause(line))
                }
                Verdict::Stuck(why) => {
                    let first = match since.take() {
                        Some((before, at)) if before == why => at,
                        _ => Instant::now(),
                    };
                    *since = Some((why.clone(), first));
                    if first.elapsed() >= GRACE && !may_pass(&why) {
                        return Err(hopeless(root, why));
                    }
                    Ok(Poll::PendingBecause(why))
                }
            }
        },
    )
    .await;
    waited.map_err(|error| match error.kind() {
        ErrorKind::TimedOut => error.remedy(
            "Look at the named applications (`kubectl -n argocd describe application NAME`); `timeout` gives it longer, \
             `wait = false` does not wait.",
        ),
        _ => error,
    })
}

fn hopeless(root: &ObjectRef, why: String) -> Error {
    Error::new(format!("wait for {root} to be Synced and Healthy"), why).remedy(
        "Argo CD does not get further by itself: correct the repository, its credentials or the application, then apply again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn application(name: &str, status: Json) -> Json {
        json!({
            "metadata": { "name": name, "namespace": "argocd", "uid": name },
            "spec": { "source": { "repoURL": "r", "path": "p" }, "syncPolicy": { "automated": {} } },
            "status": status,
        })
    }

    fn healthy() -> Json {
        json!({ "sync": { "status": "Synced", "revision": "abc" }, "health": { "status": "Healthy" } })
    }

    #[test]
    fn an_application_is_done_when_synced_and_healthy() {
        assert_eq!(
            judge_application(&application("a", healthy())),
            Verdict::Done
        );
        let progressing =
            json!({ "sync": { "status": "Synced" }, "health": { "status": "Progressing" } });
        assert_eq!(
            judge_application(&application("a", progressing)),
            Verdict::Waiting("a: Synced/Progressing".into())
        );
        let nothing = judge_application(&application("a", json!({})));
        assert_eq!(nothing, Verdict::Waiting("a: Unknown/Unknown".into()));
    }

    #[test]
    fn a_status_of_an_older_specification_does_not_count() {
        let mut old = application("a", healthy());
        old["status"]["sync"]["comparedTo"] =
            json!({ "source": { "repoURL": "r", "path": "before" } });
        assert_eq!(
            judge_application(&old),
            Verdict::Waiting("a: not looked at yet".into())
        );
        old["status"]["sync"]["comparedTo"]["source"]["path"] = json!("p");
        assert_eq!(judge_application(&old), Verdict::Done);
        old["metadata"]["annotations"] = json!({ REFRESH: "normal" });
        assert_eq!(
            judge_application(&old),
            Verdict::Waiting("a: not looked at yet".into())
        );
    }

    #[test]
    fn failures_are_named() {
        let stuck = |status: Json| match judge_application(&application("a", status)) {
            Verdict::Stuck(why) => why,
            other => panic!("{other:?}"),
        };
        let error = json!({ "conditions": [{ "type": "ComparisonError", "message": "repository not found" }] });
        assert_eq!(stuck(error), "a: ComparisonError: repository not found");
        let failed = json!({ "sync": { "status": "OutOfSync" }, "operationState": { "phase": "Failed", "message": "no kind X" } });
        assert_eq!(stuck(failed), "a: the sync failed: no kind X");
        assert!(may_pass(
            "rpc error: code = Unavailable desc = connection refused"
        ));
        assert!(!may_pass("repository not found"));
    }

    #[test]
    fn a_root_takes_in_what_its_applications_make() {
        let mut root = application("root", healthy());
        root["status"]["resources"] = json!([
            { "group": "argoproj.io", "version": "v1alpha1", "kind": "ApplicationSet", "namespace": "argocd", "name": "sets" },
            { "version": "v1", "kind": "ConfigMap", "namespace": "x", "name": "c" }]);
        let mut child = application("child", json!({}));
        child["metadata"]["ownerReferences"] = json!([{ "uid": "set-uid" }]);
        let stranger = application("stranger", json!({}));
        let set = json!({
            "metadata": { "name": "sets", "namespace": "argocd", "uid": "set-uid" },
            "status": { "conditions": [{ "type": "ResourcesUpToDate", "status": "True" }] },
        });
        let mut snapshot = Snapshot {
            applications: vec![root, child, stranger],
            sets: vec![set],
        };
        let id = ObjectRef::new(API_VERSION, "Application", Some("argocd"), "root");
        assert_eq!(
            judge(&snapshot.tree(&id)),
            Verdict::Waiting("child: Unknown/Unknown".into())
        );
        snapshot.applications[1]["status"] = healthy();
        let tree = snapshot.tree(&id);
        assert_eq!(judge(&tree), Verdict::Done);
        let outcome = outcome(&tree);
        let names: Vec<&str> = outcome
            .applications
            .iter()
            .map(|a| a.name.as_str())
            .collect();
        assert_eq!(names, ["child", "root"]);
        assert!(
            outcome
                .owned
                .iter()
                .any(|o| o.to_string() == "ConfigMap x/c")
        );
        let gone = Snapshot {
            applications: vec![],
            sets: vec![],
        };
        assert_eq!(
            judge(&gone.tree(&id)),
            Verdict::Waiting("Application root: not there yet".into())
        );
    }
}
