//! Ownership: which objects stead owns fields of, and how it lets go of them.

use serde_json::{Value as Json, json};
use stead_sdk::kube::{Cluster, ObjectRef, find, text};
use stead_sdk::{Context, Error, ErrorKind};

use crate::provider::MANAGER;

/// Who takes stead out: another name, so that the change itself is not stead's.
const HANDOFF: &str = "stead-handoff";

/// Whether stead owns fields of an object.
pub(crate) fn is_ours(object: &Json) -> bool {
    managers(object)
        .iter()
        .any(|entry| text(entry, &["manager"]) == MANAGER)
}

fn managers(object: &Json) -> &[Json] {
    find(object, &["metadata", "managedFields"])
        .and_then(Json::as_array)
        .map_or(&[], Vec::as_slice)
}

/// Gives up stead's ownership of an object's fields, and leaves the fields as they are. `false` when there was nothing to
/// give up.
///
/// An apply of an empty set would remove the fields that nobody else owns; so the entry is taken out of `managedFields`.
pub(crate) async fn release(
    cluster: &Cluster,
    id: &ObjectRef,
    cx: &Context,
) -> Result<bool, Error> {
    for attempt in 0.. {
        let Some(object) = cluster.get(id, cx).await? else {
            return Ok(false);
        };
        if !is_ours(&object) {
            return Ok(false);
        }
        match cluster.merge(id, &released(&object), HANDOFF, cx).await {
            Ok(_) => return Ok(true),
            // Somebody changed it between the two requests.
            Err(error) if error.kind() == ErrorKind::Conflict && attempt < 5 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// The patch that takes stead out of the managers. The version makes it fail when the object has changed meanwhile.
fn released(object: &Json) -> Json {
    let mut others: Vec<Json> = managers(object)
        .iter()
        .filter(|entry| text(entry, &["manager"]) != MANAGER)
        .cloned()
        .collect();
    if others.is_empty() {
        // An empty list is ignored by the server; one empty entry clears it.
        others.push(json!({}));
    }
    json!({ "metadata": { "resourceVersion": text(object, &["metadata", "resourceVersion"]), "managedFields": others } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_entry_goes() {
        let argo = json!({ "manager": "argocd-controller", "operation": "Apply" });
        let object = json!({ "metadata": { "resourceVersion": "7", "managedFields": [{ "manager": "stead", "operation": "Apply" }, argo] } });
        assert!(is_ours(&object));
        let patch = released(&object);
        assert_eq!(
            patch,
            json!({ "metadata": { "resourceVersion": "7", "managedFields": [argo] } })
        );
        assert!(!is_ours(&patch));
        let alone = json!({ "metadata": { "managedFields": [{ "manager": "stead" }] } });
        assert_eq!(
            released(&alone).pointer("/metadata/managedFields"),
            Some(&json!([{}]))
        );
    }
}
