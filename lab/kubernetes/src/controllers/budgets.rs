//! Disruption budgets: what they allow, and what an eviction is refused for.
//!
//! Facts: Kubernetes documentation, "Specifying a Disruption Budget" and "API-initiated Eviction";
//! `pkg/registry/core/pod/storage/eviction.go` for the words.

use serde_json::{Value, json};

use super::workloads::is_pod_ready;
use super::write_status;
use crate::error::ApiError;
use crate::object::{at, integer, is_deleting, labels, name, namespace, text};
use crate::selector::label_selector_matches;
use crate::state::{Id, State};

pub(super) const KEY: &str = "poddisruptionbudgets.policy";

/// A budget as its pods are now.
struct Budget {
    expected: usize,
    healthy: usize,
    desired: usize,
}

impl Budget {
    fn of(state: &State, budget: &Value) -> Budget {
        let pods = state.list("pods", namespace(budget));
        let matching = pods.filter(|pod| covers(budget, pod));
        let (mut expected, mut healthy) = (0, 0);
        for pod in matching {
            expected += 1;
            healthy += usize::from(is_pod_ready(pod));
        }
        let count = |value: &Value| -> Option<usize> {
            match value {
                Value::Number(n) => n.as_u64().and_then(|n| usize::try_from(n).ok()),
                Value::String(s) => s
                    .strip_suffix('%')
                    .and_then(|p| p.parse::<usize>().ok())
                    .map(|p| (expected * p).div_ceil(100)),
                _ => None,
            }
        };
        let desired = count(at(budget, &["spec", "minAvailable"])).or_else(|| {
            count(at(budget, &["spec", "maxUnavailable"])).map(|m| expected.saturating_sub(m))
        });
        Budget {
            expected,
            healthy,
            desired: desired.unwrap_or(0),
        }
    }

    fn allowed(&self) -> usize {
        self.healthy.saturating_sub(self.desired)
    }
}

fn covers(budget: &Value, pod: &Value) -> bool {
    label_selector_matches(at(budget, &["spec", "selector"]), &labels(pod))
}

pub(super) fn reconcile(state: &mut State, id: &Id, object: &Value) {
    let budget = Budget::of(state, object);
    let status = json!({
        "observedGeneration": integer(object, &["metadata", "generation"]).unwrap_or(1),
        "currentHealthy": budget.healthy, "desiredHealthy": budget.desired,
        "expectedPods": budget.expected, "disruptionsAllowed": budget.allowed(),
    });
    write_status(state, id, status);
}

/// Whether a pod may be evicted now.
///
/// # Errors
/// What the API server answers when its budget does not allow it.
pub(crate) fn may_evict(state: &State, pod: &Value) -> Result<(), ApiError> {
    // What has ended, has not begun or is going anyway disrupts nothing.
    if is_deleting(pod) || text(pod, &["status", "phase"]) != "Running" {
        return Ok(());
    }
    let budgets = state.list(KEY, namespace(pod));
    let mut of_pod = budgets.filter(|budget| covers(budget, pod));
    let Some(found) = of_pod.next() else {
        return Ok(());
    };
    if of_pod.next().is_some() {
        return Err(ApiError::internal(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
        ));
    }
    let budget = Budget::of(state, found);
    let unhealthy_may_go = text(found, &["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow"
        || (budget.desired > 0 && budget.healthy >= budget.desired);
    if budget.allowed() > 0 || (!is_pod_ready(pod) && unhealthy_may_go) {
        return Ok(());
    }
    let cause = format!(
        "The disruption budget {} needs {} healthy pods and has {} currently",
        name(found),
        budget.desired,
        budget.healthy
    );
    Err(ApiError::too_many_requests(
        "Cannot evict pod as it would violate the pod's disruption budget.",
    )
    .with_causes(vec![
        json!({"reason": "DisruptionBudget", "message": cause}),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controllers::testing::{make, state};
    use crate::object::{now, set, set_condition};

    /// A pod of the app `web`, which is ready or not.
    fn pod(state: &mut State, name: &str, ready: bool) -> Value {
        make(
            state,
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
                "spec": {"nodeName": "a", "containers": [{"name": "web", "image": "nginx"}]},
            }),
        );
        let resource = state.registry.by_key("pods").unwrap();
        let id = Id::new("pods", "default", name);
        let adjusted = state.adjust(&resource, &id, |pod| {
            set(pod, &["status", "phase"], "Running".into());
            set_condition(pod, "Ready", ready, "", "", &now());
        });
        Value::clone(&adjusted.unwrap())
    }

    fn budget(state: &mut State, name: &str, spec: Value) {
        let mut object = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}},
        });
        for (key, value) in spec.as_object().unwrap() {
            set(&mut object, &["spec", key], value.clone());
        }
        make(state, KEY, object);
    }

    #[test]
    fn evictions_go_as_far_as_the_budget() {
        for (spec, pods, allowed) in [
            (json!({"minAvailable": 2}), 2, false),
            (json!({"minAvailable": 2}), 3, true),
            (json!({"maxUnavailable": 0}), 3, false),
            (json!({"maxUnavailable": 1}), 3, true),
            (json!({"minAvailable": "100%"}), 1, false),
            (json!({"minAvailable": "50%"}), 2, true),
        ] {
            let mut state = state();
            budget(&mut state, "web", spec.clone());
            let all: Vec<Value> = (0..pods)
                .map(|n| pod(&mut state, &format!("web-{n}"), true))
                .collect();
            let found = may_evict(&state, &all[0]);
            assert_eq!(found.is_ok(), allowed, "{spec} with {pods}: {found:?}");
        }
    }

    #[test]
    fn a_refusal_is_a_429_that_names_the_budget() {
        let mut state = state();
        budget(&mut state, "web", json!({"minAvailable": 1}));
        let only = pod(&mut state, "web-0", true);
        let error = may_evict(&state, &only).unwrap_err();
        assert_eq!((error.code, error.reason), (429, "TooManyRequests"));
        assert_eq!(
            error.message,
            "Cannot evict pod as it would violate the pod's disruption budget."
        );
        let causes = error.details.unwrap()["causes"].clone();
        assert_eq!(
            causes,
            json!([{"reason": "DisruptionBudget",
                "message": "The disruption budget web needs 1 healthy pods and has 1 currently"}])
        );
        // Of two budgets nobody knows which one counts.
        budget(&mut state, "other", json!({"minAvailable": 0}));
        assert_eq!(may_evict(&state, &only).unwrap_err().code, 500);
    }

    #[test]
    fn what_disrupts_nothing_goes() {
        let mut state = state();
        budget(&mut state, "web", json!({"minAvailable": 1}));
        let healthy = pod(&mut state, "web-0", true);
        // The healthy one is enough without the sick one.
        let sick = pod(&mut state, "web-1", false);
        assert!(may_evict(&state, &sick).is_ok());
        assert!(may_evict(&state, &healthy).is_err());
        let mut ended = healthy.clone();
        set(&mut ended, &["status", "phase"], "Succeeded".into());
        assert!(may_evict(&state, &ended).is_ok());
        let mut other = healthy;
        set(&mut other, &["metadata", "labels", "app"], "db".into());
        assert!(may_evict(&state, &other).is_ok());
    }
}
