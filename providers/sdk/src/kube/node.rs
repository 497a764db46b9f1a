//! A node taken out of service and brought back: cordon, drain, uncordon, forget.
//!
//! Facts: Kubernetes documentation, "Safely Drain a Node" and "API-initiated Eviction"; `kubectl drain` with its options
//! `--ignore-daemonsets --delete-emptydir-data --force`.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value as Json, json};

use crate::kube::cluster::{Cluster, Propagation};
use crate::kube::object::{ObjectRef, find, text};
use crate::kube::request::Call;
use crate::wait::{self, Poll, Polling};
use crate::{Context, Error, ErrorKind};

/// Whose change of a node it is.
const MANAGER: &str = "stead";

impl Cluster {
    /// The node of this name; `None` when Kubernetes does not know it.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked.
    pub async fn node(&self, name: &str, cx: &Context) -> Result<Option<Json>, Error> {
        self.get(&node_ref(name), cx).await
    }

    /// Keeps new pods away from a node; whether it took pods before. A node that is not there is left alone.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked, or refuses.
    pub async fn cordon(&self, name: &str, cx: &Context) -> Result<bool, Error> {
        let Some(found) = self.node(name, cx).await? else {
            return Ok(false);
        };
        if is_cordoned(&found) {
            return Ok(false);
        }
        self.schedulable(name, false, cx).await?;
        Ok(true)
    }

    /// Lets new pods onto a node again. A node that is not there is left alone.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked, or refuses.
    pub async fn uncordon(&self, name: &str, cx: &Context) -> Result<(), Error> {
        match self.node(name, cx).await? {
            Some(found) if is_cordoned(&found) => self.schedulable(name, true, cx).await,
            _ => Ok(()),
        }
    }

    async fn schedulable(&self, name: &str, schedulable: bool, cx: &Context) -> Result<(), Error> {
        let wanted = if schedulable { Json::Null } else { json!(true) };
        let patch = json!({ "spec": { "unschedulable": wanted } });
        self.merge(&node_ref(name), &patch, MANAGER, cx)
            .await
            .map(drop)
    }

    /// Evicts the pods of a node and waits until they are gone. Pods of daemon sets, static pods and those that have ended stay.
    /// Disruption budgets are kept: what they hold back is tried again until the time is over.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked, or pods are still there at the end; the error names them and what holds them.
    pub async fn drain(&self, name: &str, timeout: Duration, cx: &Context) -> Result<(), Error> {
        let what = format!("the pods of node {name} to be evicted");
        let polling = Polling::default().timeout(timeout).tolerating_transient();
        let drained = wait::until(cx, &what, polling, || self.evict_all(name, cx)).await;
        drained.map_err(|error| match error.kind() {
            ErrorKind::TimedOut => error.remedy(
                "Look for what holds the pods: a PodDisruptionBudget that allows no disruption (`kubectl get pdb -A`), or a pod that \
                 does not end.",
            ),
            _ => error,
        })
    }

    async fn evict_all(&self, node: &str, cx: &Context) -> Result<Poll<()>, Error> {
        let mut left = Vec::new();
        for pod in self.pods_of(node, cx).await? {
            if !is_evicted(&pod) {
                continue;
            }
            let (namespace, name) = (
                text(&pod, &["metadata", "namespace"]),
                text(&pod, &["metadata", "name"]),
            );
            let label = format!("{namespace}/{name}");
            if find(&pod, &["metadata", "deletionTimestamp"]).is_some() {
                left.push(format!("{label} (ending)"));
                continue;
            }
            match self.evict(namespace, name, cx).await {
                Ok(()) => left.push(label),
                Err(error) if error.status() == Some(429) => {
                    left.push(format!("{label} ({})", error.said()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(match left.as_slice() {
            [] => Poll::Ready(()),
            [first] => Poll::PendingBecause(format!("left: {first}")),
            [first, more @ ..] => {
                Poll::PendingBecause(format!("left: {first} and {} more", more.len()))
            }
        })
    }

    async fn pods_of(&self, node: &str, cx: &Context) -> Result<Vec<Json>, Error> {
        let query = format!("fieldSelector=spec.nodeName={node}");
        self.list_where("v1", "Pod", None, &query, cx).await
    }

    /// A pod that is gone already is a success.
    async fn evict(&self, namespace: &str, name: &str, cx: &Context) -> Result<(), Error> {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/eviction");
        let body = json!({
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": { "namespace": namespace, "name": name },
        });
        let what = format!("evict Pod {namespace}/{name}");
        let call = Call::new(Method::POST, path, "application/json", Some(&body), what);
        // A budget answers 429, and whoever drains waits longer than a request does.
        match self.patience(Duration::ZERO).send(call, cx).await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(404) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a node that does not come back from Kubernetes' books; `false` when it was not in them.
    ///
    /// # Errors
    /// When Kubernetes cannot be asked, or refuses.
    pub async fn forget_node(&self, name: &str, cx: &Context) -> Result<bool, Error> {
        self.delete(&node_ref(name), Propagation::Background, cx)
            .await
    }
}

fn node_ref(name: &str) -> ObjectRef {
    ObjectRef::new("v1", "Node", None, name)
}

fn is_cordoned(node: &Json) -> bool {
    find(node, &["spec", "unschedulable"]).and_then(Json::as_bool) == Some(true)
}

/// Whether draining moves a pod.
fn is_evicted(pod: &Json) -> bool {
    let annotations = find(pod, &["metadata", "annotations"]);
    let is_mirror = annotations.is_some_and(|a| a.get("kubernetes.io/config.mirror").is_some());
    let owners = find(pod, &["metadata", "ownerReferences"]).and_then(Json::as_array);
    let of_daemon_set = owners.into_iter().flatten().any(|owner| {
        text(owner, &["kind"]) == "DaemonSet"
            && owner.get("controller").and_then(Json::as_bool) == Some(true)
    });
    let has_ended = matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed");
    !is_mirror && !of_daemon_set && !has_ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_drain_moves() {
        let pod = |more: Json| {
            let mut pod = json!({ "metadata": { "name": "a" }, "status": { "phase": "Running" } });
            if let (Some(pod), Json::Object(more)) = (pod.as_object_mut(), more) {
                pod.extend(more);
            }
            pod
        };
        assert!(is_evicted(&pod(json!({}))));
        let owned = |kind: &str| json!({ "metadata": { "ownerReferences": [{ "kind": kind, "controller": true }] } });
        assert!(is_evicted(&pod(owned("ReplicaSet"))));
        assert!(!is_evicted(&pod(owned("DaemonSet"))));
        let mirror =
            json!({ "metadata": { "annotations": { "kubernetes.io/config.mirror": "x" } } });
        assert!(!is_evicted(&pod(mirror)));
        assert!(!is_evicted(&pod(
            json!({ "status": { "phase": "Succeeded" } })
        )));
    }
}
