//! Deletion: at once, gracefully, or after finalizers; and changes that components make outside of the API's rules.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{DeleteOptions, same};
use crate::error::{ApiError, Cause};
use crate::object::{entry, finalizers, integer, is_deleting, map_at, name, now, set, text, uid};
use crate::resources::Resource;
use crate::state::{Id, State};

impl State {
    /// Deletes, or marks for deletion; the answer is a `Status` or the object that still is there.
    pub(crate) fn delete(
        &mut self,
        resource: &Resource,
        ns: &str,
        target: &str,
        options: &DeleteOptions,
    ) -> Result<Value, ApiError> {
        let found = self.read(resource, ns, target)?;
        for (wanted, field, label) in [
            (&options.uid, "uid", "UID"),
            (
                &options.resource_version,
                "resourceVersion",
                "ResourceVersion",
            ),
        ] {
            let actual = text(&found, &["metadata", field]);
            if let Some(wanted) = wanted.as_deref().filter(|w| *w != actual) {
                let why = format!(
                    "the {label} in the precondition ({wanted}) does not match the {label} in record ({actual}). The object might have been deleted and then recreated"
                );
                return Err(ApiError::conflict(
                    &resource.group,
                    &resource.plural,
                    target,
                    &why,
                ));
            }
        }
        if resource.key == "namespaces"
            && matches!(target, "default" | "kube-system" | "kube-public")
        {
            return Err(ApiError::forbidden(
                "",
                "namespaces",
                target,
                "this namespace may not be deleted",
            ));
        }
        let mut object = Value::clone(&found);
        let finalizer = match options.propagation.as_str() {
            "Foreground" => Some("foregroundDeletion"),
            "Orphan" => Some("orphan"),
            "" | "Background" => None,
            other => {
                let causes = [Cause::unsupported(
                    "propagationPolicy",
                    &other.into(),
                    &["Foreground".into(), "Background".into(), "Orphan".into()],
                )];
                return Err(ApiError::invalid(
                    "meta.k8s.io",
                    "DeleteOptions",
                    "",
                    &causes,
                ));
            }
        };
        if let Some(finalizer) = finalizer
            && !finalizers(&object).contains(&finalizer)
        {
            let all = map_at(&mut object, &["metadata"])
                .entry("finalizers")
                .or_insert(json!([]));
            if let Some(all) = all.as_array_mut() {
                all.push(finalizer.into());
            }
        }
        // A pod on a node is removed by its kubelet, unless it is told not to wait.
        let scheduled_pod =
            resource.key == "pods" && !text(&object, &["spec", "nodeName"]).is_empty();
        let grace = if scheduled_pod {
            options.grace_seconds.unwrap_or(30)
        } else {
            0
        };
        let waits = !finalizers(&object).is_empty() || resource.key == "namespaces" || grace > 0;
        if !waits {
            if !options.dry_run {
                self.remove(&Id::of(&resource.key, &found));
            }
            return Ok(json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": details(resource, &found),
            }));
        }
        if !is_deleting(&object) {
            set(
                &mut object,
                &["metadata", "deletionTimestamp"],
                now().into(),
            );
            set(
                &mut object,
                &["metadata", "deletionGracePeriodSeconds"],
                grace.into(),
            );
            if resource.key == "namespaces" {
                set(&mut object, &["status", "phase"], "Terminating".into());
            }
            if let Some(generation) = integer(&object, &["metadata", "generation"]) {
                set(
                    &mut object,
                    &["metadata", "generation"],
                    (generation + 1).into(),
                );
            }
        } else if same(&found, &object) {
            return Ok(object);
        }
        if options.dry_run {
            return Ok(object);
        }
        Ok(Value::clone(&self.put(resource, object)))
    }

    /// Changes an object's metadata or whole content as a component does, outside of the API's rules. `None`: gone.
    pub(crate) fn adjust(
        &mut self,
        resource: &Resource,
        id: &Id,
        change: impl FnOnce(&mut Value),
    ) -> Option<Arc<Value>> {
        let old = self.get(id)?.clone();
        let mut new = Value::clone(&old);
        change(&mut new);
        if *old == new {
            return Some(old);
        }
        let object = self.put(resource, new);
        self.remove_when_finalized(resource, &object);
        Some(object)
    }
}

fn details(resource: &Resource, object: &Value) -> Value {
    let mut details = json!({"name": name(object), "kind": resource.plural, "uid": uid(object)});
    if !resource.group.is_empty() {
        entry(&mut details).insert("group".into(), resource.group.as_str().into());
    }
    details
}
