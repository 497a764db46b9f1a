//! Claims and volumes: bound when a volume fits, or a storage class makes one.

use serde_json::{Value, json};

use super::{create, write_status};
use crate::object::{at, is_deleting, name, set, text, uid};
use crate::state::{Id, State};

const CLASSES: &str = "storageclasses.storage.k8s.io";

pub(super) fn claim(state: &mut State, id: &Id, claim: &Value) {
    if is_deleting(claim) || text(claim, &["status", "phase"]) == "Bound" {
        return;
    }
    let class_name = text(claim, &["spec", "storageClassName"]).to_owned();
    let named = text(claim, &["spec", "volumeName"]);
    let fits = |volume: &&std::sync::Arc<Value>| {
        let reference = at(volume, &["spec", "claimRef"]);
        let reserved = text(reference, &["namespace"]) == id.namespace
            && text(reference, &["name"]) == id.name;
        let free = reference.is_null() && text(volume, &["status", "phase"]) != "Bound";
        text(volume, &["spec", "storageClassName"]) == class_name
            && if named.is_empty() {
                reserved || free
            } else {
                name(volume) == named && (reserved || free)
            }
    };
    let found = state
        .list("persistentvolumes", "")
        .find(fits)
        .map(|v| name(v).to_owned());
    let volume = match found {
        Some(volume) => volume,
        None if !named.is_empty() => return,
        None => {
            let Some(class) = state.find(CLASSES, "", &class_name).cloned() else {
                return;
            };
            if text(&class, &["provisioner"]) == "kubernetes.io/no-provisioner" {
                return;
            }
            let wanted_name = format!("pvc-{}", uid(claim));
            let volume = json!({
                "apiVersion": "v1", "kind": "PersistentVolume",
                "metadata": {"name": wanted_name, "annotations": {"pv.kubernetes.io/provisioned-by": text(&class, &["provisioner"])}},
                "spec": {
                    "capacity": {"storage": at(claim, &["spec", "resources", "requests", "storage"])},
                    "accessModes": at(claim, &["spec", "accessModes"]), "storageClassName": class_name,
                    "persistentVolumeReclaimPolicy": text(&class, &["reclaimPolicy"]), "volumeMode": at(claim, &["spec", "volumeMode"]),
                    "csi": {"driver": text(&class, &["provisioner"]), "volumeHandle": wanted_name},
                },
            });
            match create(state, "persistentvolumes", "", volume) {
                Some(made) => name(&made).to_owned(),
                None => return,
            }
        }
    };
    bind(state, id, claim, &volume);
}

fn bind(state: &mut State, id: &Id, claim: &Value, volume: &str) {
    let (Some(claims), Some(volumes)) = (
        state.registry.by_key("persistentvolumeclaims"),
        state.registry.by_key("persistentvolumes"),
    ) else {
        return;
    };
    let reference = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": id.namespace, "name": id.name, "uid": uid(claim)});
    let bound = state.adjust(&volumes, &Id::new("persistentvolumes", "", volume), |v| {
        set(v, &["spec", "claimRef"], reference);
        set(v, &["status", "phase"], "Bound".into());
    });
    let Some(bound) = bound else { return };
    state.adjust(&claims, id, |c| {
        set(c, &["spec", "volumeName"], volume.into());
        set(c, &["metadata", "annotations", "pv.kubernetes.io/bind-completed"], "yes".into());
        set(c, &["status"], json!({"phase": "Bound", "accessModes": at(&bound, &["spec", "accessModes"]), "capacity": at(&bound, &["spec", "capacity"])}));
    });
}

/// A volume without its claim is deleted or released, as its policy says.
pub(super) fn volume(state: &mut State, id: &Id, volume: &Value) {
    let reference = at(volume, &["spec", "claimRef"]);
    if reference.is_null() {
        if text(volume, &["status", "phase"]) == "Pending" {
            write_status(state, id, json!({"phase": "Available"}));
        }
        return;
    }
    let claim = state.find(
        "persistentvolumeclaims",
        text(reference, &["namespace"]),
        text(reference, &["name"]),
    );
    let gone = claim.is_none_or(|c| {
        !text(reference, &["uid"]).is_empty() && uid(c) != text(reference, &["uid"])
    });
    if text(volume, &["status", "phase"]) == "Bound" && gone {
        if text(volume, &["spec", "persistentVolumeReclaimPolicy"]) == "Delete" {
            super::delete(state, id);
        } else {
            write_status(state, id, json!({"phase": "Released"}));
        }
    }
}
