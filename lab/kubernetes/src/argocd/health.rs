//! Health of resources, as Argo CD judges it.

use serde_json::Value;

use crate::object::{
    annotation, at, condition, condition_is_true, integer, is_deleting, list, text,
};

/// From best to worst; an application is as healthy as its worst resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    Healthy,
    Suspended,
    Progressing,
    Missing,
    Degraded,
    Unknown,
}

impl Health {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Health::Healthy => "Healthy",
            Health::Suspended => "Suspended",
            Health::Progressing => "Progressing",
            Health::Missing => "Missing",
            Health::Degraded => "Degraded",
            Health::Unknown => "Unknown",
        }
    }
}

/// A resource's health and why; `None` for kinds that are simply there. Custom resources count as healthy: what would
/// reconcile them is not simulated.
pub(crate) fn of(key: &str, object: &Value) -> Option<(Health, String)> {
    if is_deleting(object) {
        return Some((Health::Progressing, "Pending deletion".to_owned()));
    }
    let number = |path: &[&str]| integer(object, path).unwrap_or(0);
    let healthy = Some((Health::Healthy, String::new()));
    let progressing = |why: String| Some((Health::Progressing, why));
    let observed = number(&["status", "observedGeneration"]) >= number(&["metadata", "generation"]);
    match key {
        "deployments.apps" => {
            if at(object, &["spec", "paused"]).as_bool() == Some(true) {
                return Some((Health::Suspended, "Deployment is paused".to_owned()));
            }
            let wanted = integer(object, &["spec", "replicas"]).unwrap_or(1);
            let (updated, replicas, available) = (
                number(&["status", "updatedReplicas"]),
                number(&["status", "replicas"]),
                number(&["status", "availableReplicas"]),
            );
            if !observed {
                progressing("Waiting for rollout to finish: observed deployment generation less than desired generation".to_owned())
            } else if condition(object, "Progressing")
                .is_some_and(|c| text(c, &["reason"]) == "ProgressDeadlineExceeded")
            {
                Some((
                    Health::Degraded,
                    "Deployment exceeded its progress deadline".to_owned(),
                ))
            } else if updated < wanted {
                progressing(format!(
                    "Waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated..."
                ))
            } else if replicas > updated {
                progressing(format!(
                    "Waiting for rollout to finish: {} old replicas are pending termination...",
                    replicas - updated
                ))
            } else if available < updated {
                progressing(format!(
                    "Waiting for rollout to finish: {available} of {updated} updated replicas are available..."
                ))
            } else {
                healthy
            }
        }
        "statefulsets.apps" => {
            let wanted = integer(object, &["spec", "replicas"]).unwrap_or(1);
            let ready = number(&["status", "readyReplicas"]);
            if !observed {
                progressing("Waiting for statefulset spec update to be observed...".to_owned())
            } else if ready < wanted {
                progressing(format!(
                    "Waiting for {} pods to be ready...",
                    wanted - ready
                ))
            } else if text(object, &["status", "updateRevision"])
                != text(object, &["status", "currentRevision"])
            {
                progressing("waiting for statefulset rolling update to complete".to_owned())
            } else {
                healthy
            }
        }
        "daemonsets.apps" => {
            let (desired, updated, available) = (
                number(&["status", "desiredNumberScheduled"]),
                number(&["status", "updatedNumberScheduled"]),
                number(&["status", "numberAvailable"]),
            );
            if !observed {
                progressing("Waiting for rollout to finish: observed daemon set generation less than desired generation".to_owned())
            } else if updated < desired {
                progressing(format!(
                    "Waiting for daemon set rollout to finish: {updated} out of {desired} new pods have been updated..."
                ))
            } else if available < desired {
                progressing(format!(
                    "Waiting for daemon set rollout to finish: {available} of {desired} updated pods are available..."
                ))
            } else {
                healthy
            }
        }
        "replicasets.apps" => {
            let (wanted, available) = (
                integer(object, &["spec", "replicas"]).unwrap_or(1),
                number(&["status", "availableReplicas"]),
            );
            if available < wanted {
                progressing(format!(
                    "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
                ))
            } else {
                healthy
            }
        }
        "pods" => match text(object, &["status", "phase"]) {
            "Running" if condition_is_true(object, "Ready") => healthy,
            "Succeeded" => healthy,
            "Failed" => Some((Health::Degraded, String::new())),
            _ => progressing(String::new()),
        },
        "jobs.batch" => {
            if condition_is_true(object, "Failed") {
                Some((
                    Health::Degraded,
                    condition(object, "Failed")
                        .map(|c| text(c, &["message"]).to_owned())
                        .unwrap_or_default(),
                ))
            } else if condition_is_true(object, "Complete") {
                healthy
            } else if condition_is_true(object, "Suspended") {
                Some((Health::Suspended, "Job is suspended".to_owned()))
            } else {
                progressing(String::new())
            }
        }
        "persistentvolumeclaims" => match text(object, &["status", "phase"]) {
            "Bound" => healthy,
            "Lost" => Some((Health::Degraded, String::new())),
            _ => progressing(String::new()),
        },
        "services" => {
            let balances = text(object, &["spec", "type"]) == "LoadBalancer";
            if balances && list(object, &["status", "loadBalancer", "ingress"]).is_empty() {
                progressing(String::new())
            } else {
                healthy
            }
        }
        "ingresses.networking.k8s.io" => {
            if list(object, &["status", "loadBalancer", "ingress"]).is_empty() {
                progressing(String::new())
            } else {
                healthy
            }
        }
        "customresourcedefinitions.apiextensions.k8s.io" => {
            if condition_is_true(object, "Established") {
                Some((Health::Healthy, "CRD is healthy".to_owned()))
            } else {
                progressing("CRD is not established".to_owned())
            }
        }
        "apiservices.apiregistration.k8s.io" => {
            if condition_is_true(object, "Available") {
                healthy
            } else {
                progressing(String::new())
            }
        }
        "horizontalpodautoscalers.autoscaling" => healthy,
        _ => None,
    }
}

/// Whether a resource is left out of its application's health.
pub(crate) fn is_ignored(object: &Value) -> bool {
    annotation(object, "argocd.argoproj.io/ignore-healthcheck") == Some("true")
}
