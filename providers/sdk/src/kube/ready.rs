//! Whether an object has become what it was made for: workloads rolled out, definitions established.

use serde_json::Value as Json;

use crate::kube::object::{find, text};

/// How far an object is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Not yet; what there is so far: `1/3 available`.
    Pending(String),
    /// It will not become ready by itself.
    Failed(String),
}

fn number(object: &Json, path: &[&str]) -> Option<i64> {
    find(object, path).and_then(Json::as_i64)
}

/// The condition of that type.
fn condition<'a>(object: &'a Json, kind: &str) -> Option<&'a Json> {
    let all = find(object, &["status", "conditions"])?.as_array()?;
    all.iter().find(|c| text(c, &["type"]) == kind)
}

/// Whether a workload's newest generation runs everywhere, by the rules of `kubectl rollout status`. Kinds that roll nothing
/// out are ready.
pub fn rollout(object: &Json) -> Readiness {
    let kind = text(object, &["kind"]);
    if !matches!(kind, "Deployment" | "StatefulSet" | "DaemonSet") {
        return Readiness::Ready;
    }
    let generation = number(object, &["metadata", "generation"]).unwrap_or(0);
    let observed = number(object, &["status", "observedGeneration"]).unwrap_or(0);
    if observed < generation {
        return Readiness::Pending("not looked at yet".into());
    }
    let status = |name: &str| number(object, &["status", name]).unwrap_or(0);
    let (wanted, have) = match kind {
        "Deployment" => {
            let stuck = condition(object, "Progressing")
                .filter(|c| text(c, &["reason"]) == "ProgressDeadlineExceeded");
            if let Some(stuck) = stuck {
                return Readiness::Failed(text(stuck, &["message"]).to_owned());
            }
            let wanted = number(object, &["spec", "replicas"]).unwrap_or(1);
            if status("replicas") > status("updatedReplicas") {
                return Readiness::Pending("old replicas are still ending".into());
            }
            (
                wanted,
                status("updatedReplicas").min(status("availableReplicas")),
            )
        }
        "StatefulSet" => {
            let wanted = number(object, &["spec", "replicas"]).unwrap_or(1);
            let rolling = text(object, &["spec", "updateStrategy", "type"]) != "OnDelete";
            let (update, current) = (
                text(object, &["status", "updateRevision"]),
                text(object, &["status", "currentRevision"]),
            );
            let ready = status("readyReplicas");
            if rolling && update != current {
                return Readiness::Pending(format!(
                    "{}/{wanted} updated",
                    status("updatedReplicas")
                ));
            }
            (wanted, ready)
        }
        _ => {
            let wanted = status("desiredNumberScheduled");
            (
                wanted,
                status("updatedNumberScheduled").min(status("numberAvailable")),
            )
        }
    };
    if have >= wanted {
        Readiness::Ready
    } else {
        Readiness::Pending(format!("{have}/{wanted} available"))
    }
}

/// Whether the API server serves a CustomResourceDefinition.
pub fn established(definition: &Json) -> Readiness {
    let is_true =
        |kind: &str| condition(definition, kind).is_some_and(|c| text(c, &["status"]) == "True");
    if is_true("Established") {
        return Readiness::Ready;
    }
    match condition(definition, "NamesAccepted").filter(|c| text(c, &["status"]) == "False") {
        Some(refused) => Readiness::Failed(text(refused, &["message"]).to_owned()),
        None => Readiness::Pending("not established".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_is_ready_when_its_newest_generation_is_available() {
        let of = |status: Json| {
            rollout(
                &json!({ "kind": "Deployment", "metadata": { "generation": 2 }, "spec": { "replicas": 2 }, "status": status }),
            )
        };
        assert!(matches!(
            of(json!({ "observedGeneration": 1, "availableReplicas": 2 })),
            Readiness::Pending(_)
        ));
        let half = json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1 });
        assert_eq!(of(half), Readiness::Pending("1/2 available".into()));
        let whole = json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2 });
        assert_eq!(of(whole), Readiness::Ready);
        let stuck = json!({ "observedGeneration": 2, "conditions": [
            { "type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "timed out" }] });
        assert_eq!(of(stuck), Readiness::Failed("timed out".into()));
    }

    #[test]
    fn other_workloads_and_definitions() {
        let set = json!({ "kind": "StatefulSet", "spec": { "replicas": 1 }, "status": { "readyReplicas": 1 } });
        assert_eq!(rollout(&set), Readiness::Ready);
        let daemons = json!({ "kind": "DaemonSet", "status": { "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 1 } });
        assert_eq!(
            rollout(&daemons),
            Readiness::Pending("1/2 available".into())
        );
        assert_eq!(rollout(&json!({ "kind": "Secret" })), Readiness::Ready);
        let refused = json!({ "status": { "conditions": [{ "type": "NamesAccepted", "status": "False", "message": "taken" }] } });
        assert_eq!(established(&refused), Readiness::Failed("taken".into()));
        let served =
            json!({ "status": { "conditions": [{ "type": "Established", "status": "True" }] } });
        assert_eq!(established(&served), Readiness::Ready);
    }
}
