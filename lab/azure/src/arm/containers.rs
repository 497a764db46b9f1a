//! Blob containers as resources of Resource Manager.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::accounts::find_account;
use super::body::{booleans, member, object, only, text, word};
use super::{Arm, Outcome};
use crate::http::{Answer, error, iso, now};
use crate::state::Container;

const KIND: &str = "Microsoft.Storage/storageAccounts";

impl Arm<'_> {
    pub(super) fn containers(&self, group: &str, account: &str) -> Outcome {
        self.authorize(
            &self.resource_id(group, KIND, account),
            &format!("{KIND}/blobServices/containers/read"),
        )?;
        let mut state = self.cloud.state();
        let found = find_account(&mut state, group, account)?;
        let base = self.resource_id(&found.group, KIND, &found.name);
        let value: Vec<Value> = found
            .containers
            .values()
            .map(|c| container_json(&base, c))
            .collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    pub(super) fn container(&self, group: &str, account: &str, name: &str) -> Outcome {
        let id = self.resource_id(group, KIND, account);
        let verb = match self.call.method.as_str() {
            "GET" => "read",
            "DELETE" => "delete",
            "PUT" | "PATCH" => "write",
            _ => return Err(self.not_simulated()),
        };
        self.authorize(&id, &format!("{KIND}/blobServices/containers/{verb}"))?;
        let lag = self.read_lags();
        let mut state = self.cloud.state();
        let base = {
            let found = find_account(&mut state, group, account)?;
            self.resource_id(&found.group, KIND, &found.name)
        };
        match verb {
            "read" => {
                let found = find_account(&mut state, group, account)?;
                let container = found
                    .containers
                    .get(name)
                    .filter(|_| !lag)
                    .ok_or_else(container_not_found)?;
                Ok(Answer::json(200, &container_json(&base, container)))
            }
            "delete" => {
                let busy_until = now().saturating_add(self.cloud.lasting(30));
                let found = find_account(&mut state, group, account)?;
                let Some(container) = found.containers.remove(name) else {
                    return Ok(Answer::empty(204));
                };
                found.busy_containers.insert(name.to_owned(), busy_until);
                crate::blob::content::forget_container(&self.cloud.lab.store, &container);
                self.cloud.changed();
                Ok(Answer::empty(200))
            }
            _ => {
                drop(state);
                self.put_container(group, account, name, &base)
            }
        }
    }

    fn put_container(&self, group: &str, account: &str, name: &str, base: &str) -> Outcome {
        if !valid_container_name(name) {
            return Err(error(
                400,
                "ContainerOperationFailure",
                format!("The specified resource name contains invalid characters: '{name}'."),
            ));
        }
        let body = object(self)?;
        only(
            &body,
            &["properties", "id", "name", "type", "etag"],
            "BlobContainer",
        )?;
        let properties = member(&body, "properties")?;
        let known = [
            "publicAccess",
            "metadata",
            "defaultEncryptionScope",
            "denyEncryptionScopeOverride",
            "immutableStorageWithVersioning",
            "enableNfsV3AllSquash",
            "enableNfsV3RootSquash",
        ];
        only(&properties, &known, "ContainerProperties")?;
        booleans(
            &properties,
            &[
                "denyEncryptionScopeOverride",
                "enableNfsV3AllSquash",
                "enableNfsV3RootSquash",
            ],
        )?;
        let access = word(&properties, "publicAccess", &["None", "Blob", "Container"])?;
        let metadata = metadata(&properties)?;
        let busy = self.cloud.fault("container-being-deleted");
        let mut state = self.cloud.state();
        let etag = state.next_etag();
        let found = find_account(&mut state, group, account)?;
        let public_allowed = found
            .properties
            .get("allowBlobPublicAccess")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        if access.as_deref().is_some_and(|a| a != "None") && !public_allowed {
            return Err(error(
                409,
                "PublicAccessNotPermitted",
                "Public access is not permitted on this storage account.",
            ));
        }
        if busy
            || found
                .busy_containers
                .get(name)
                .is_some_and(|until| now() < *until)
        {
            return Err(error(
                409,
                "ContainerBeingDeleted",
                "The specified container is being deleted. Try operation later.",
            ));
        }
        found.busy_containers.remove(name);
        let patch = self.call.method == "PATCH";
        let status = if found.containers.contains_key(name) {
            200
        } else {
            201
        };
        if patch && status == 201 {
            return Err(container_not_found());
        }
        let container = found
            .containers
            .entry(name.to_owned())
            .or_insert_with(|| Container {
                name: name.to_owned(),
                public_access: "None".to_owned(),
                ..Container::default()
            });
        container.public_access = access.unwrap_or_else(|| container.public_access.clone());
        if !patch || properties.contains_key("metadata") {
            container.metadata = metadata;
        }
        container.default_encryption_scope = text(&properties, "defaultEncryptionScope")?
            .or_else(|| container.default_encryption_scope.clone());
        container.deny_encryption_scope_override = properties
            .get("denyEncryptionScopeOverride")
            .and_then(Value::as_bool)
            .or(container.deny_encryption_scope_override);
        container.etag = etag;
        container.modified = now();
        let answer = Answer::json(status, &container_json(base, container));
        self.cloud.changed();
        Ok(answer)
    }
}

fn metadata(
    properties: &serde_json::Map<String, Value>,
) -> Result<BTreeMap<String, String>, Answer> {
    let given = member(properties, "metadata")?;
    given
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(value) => Ok((name, value)),
            _ => Err(super::body::content(&format!(
                "The metadata '{name}' is not a string. Path 'properties.metadata'."
            ))),
        })
        .collect()
}

/// 3 to 63 lower-case letters, digits and single hyphens; or one of the system's containers.
pub(crate) fn valid_container_name(name: &str) -> bool {
    let plain = (3..=63).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    plain || ["$root", "$web", "$logs"].contains(&name)
}

fn container_not_found() -> Answer {
    error(
        404,
        "ContainerNotFound",
        "The specified container does not exist.",
    )
}

fn container_json(base: &str, container: &Container) -> Value {
    let leased = container
        .lease
        .as_ref()
        .is_some_and(|l| l.expires.is_none_or(|e| now() < e));
    let mut properties = json!({
        "publicAccess": container.public_access, "deleted": false, "remainingRetentionDays": 0,
        "defaultEncryptionScope": container.default_encryption_scope.as_deref().unwrap_or("$account-encryption-key"),
        "denyEncryptionScopeOverride": container.deny_encryption_scope_override.unwrap_or(false),
        "leaseStatus": if leased { "Locked" } else { "Unlocked" }, "leaseState": if leased { "Leased" } else { "Available" },
        "lastModifiedTime": iso(container.modified), "hasImmutabilityPolicy": false, "hasLegalHold": false,
    });
    if let (Some(map), false) = (properties.as_object_mut(), container.metadata.is_empty()) {
        map.insert("metadata".to_owned(), json!(container.metadata));
    }
    json!({
        "id": format!("{base}/blobServices/default/containers/{}", container.name), "name": container.name,
        "type": "Microsoft.Storage/storageAccounts/blobServices/containers", "etag": container.etag, "properties": properties,
    })
}
