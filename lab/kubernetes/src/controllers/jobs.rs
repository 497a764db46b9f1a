//! Jobs: pods that end, counted.

use serde_json::{Value, json};

use super::{create, owned_by, write_status};
use crate::object::{
    at, condition_is_true, integer, is_deleting, map_at, now, set, set_condition, text, uid,
};
use crate::state::{Id, State};

pub(super) fn job(state: &mut State, id: &Id, job: &Value) {
    let done = condition_is_true(job, "Complete") || condition_is_true(job, "Failed");
    if is_deleting(job) || done || at(job, &["spec", "suspend"]).as_bool() == Some(true) {
        return;
    }
    let pods: Vec<_> = state
        .dependents(uid(job))
        .iter()
        .filter(|d| d.key == "pods")
        .filter_map(|d| state.get(d).cloned())
        .collect();
    let phase = |wanted: &str| {
        i64::try_from(
            pods.iter()
                .filter(|p| text(p, &["status", "phase"]) == wanted)
                .count(),
        )
        .unwrap_or(i64::MAX)
    };
    let succeeded = phase("Succeeded");
    let active = i64::try_from(pods.len()).unwrap_or(i64::MAX) - succeeded - phase("Failed");
    let parallelism = integer(job, &["spec", "parallelism"]).unwrap_or(1);
    let completions = integer(job, &["spec", "completions"]).unwrap_or(parallelism);
    for _ in active..parallelism.min(completions - succeeded) {
        let template = at(job, &["spec", "template"]);
        let mut pod = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"generateName": format!("{}-", id.name), "namespace": id.namespace, "ownerReferences": owned_by(job)},
            "spec": at(template, &["spec"])});
        for field in ["labels", "annotations"] {
            for (key, value) in at(template, &["metadata", field])
                .as_object()
                .into_iter()
                .flatten()
            {
                map_at(&mut pod, &["metadata", field]).insert(key.clone(), value.clone());
            }
        }
        create(state, "pods", &id.namespace, pod);
    }
    let time = now();
    let mut copy = job.clone();
    if at(&copy, &["status", "startTime"]).is_null() {
        set(&mut copy, &["status", "startTime"], time.clone().into());
    }
    for (field, value) in [
        ("succeeded", succeeded),
        ("active", active.max(0)),
        ("ready", phase("Running")),
    ] {
        if value > 0 {
            set(&mut copy, &["status", field], value.into());
        } else {
            crate::object::remove(&mut copy, &["status", field]);
        }
    }
    if succeeded >= completions {
        for kind in ["SuccessCriteriaMet", "Complete"] {
            set_condition(
                &mut copy,
                kind,
                true,
                "CompletionsReached",
                "Reached expected number of succeeded pods",
                &time,
            );
        }
        set(&mut copy, &["status", "completionTime"], time.into());
    }
    write_status(state, id, at(&copy, &["status"]).clone());
}
