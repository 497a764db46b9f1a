//! Key vaults: create, recover, update, delete, purge.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::body::{booleans, content, location, member, object, only, tags, text, word};
use super::{Arm, Outcome, resource_not_found};
use crate::http::{Answer, error, iso_seconds, now};
use crate::state::{DeletedVault, Ending, State, Vault};

const KIND: &str = "Microsoft.KeyVault/vaults";
const DAY: i64 = 86_400_000;
const FLAGS: &[&str] = &[
    "enabledForDeployment",
    "enabledForDiskEncryption",
    "enabledForTemplateDeployment",
    "enableSoftDelete",
    "enableRbacAuthorization",
    "enablePurgeProtection",
];
const KNOWN: &[&str] = &[
    "tenantId",
    "sku",
    "accessPolicies",
    "vaultUri",
    "enabledForDeployment",
    "enabledForDiskEncryption",
    "enabledForTemplateDeployment",
    "enableSoftDelete",
    "softDeleteRetentionInDays",
    "enableRbacAuthorization",
    "createMode",
    "enablePurgeProtection",
    "networkAcls",
    "provisioningState",
    "publicNetworkAccess",
    "hsmPoolResourceId",
    "privateEndpointConnections",
];

impl Arm<'_> {
    pub(super) fn vaults(&self, group: Option<&str>) -> Outcome {
        self.authorize(&self.cloud.subscription_scope(), &format!("{KIND}/read"))?;
        let state = self.cloud.state();
        let of = state
            .vaults
            .values()
            .filter(|v| group.is_none_or(|g| g.eq_ignore_ascii_case(&v.group)));
        let value: Vec<Value> = of.map(|v| self.vault_json(v)).collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    pub(super) fn vault(&self, group: &str, name: &str) -> Outcome {
        let id = self.resource_id(group, KIND, name);
        match self.call.method.as_str() {
            "GET" => {
                self.authorize(&id, &format!("{KIND}/read"))?;
                if self.read_lags() {
                    return Err(resource_not_found(KIND, name, group));
                }
                let mut state = self.cloud.state();
                let vault = find_vault(&mut state, group, name)?;
                if vault.creating.as_mut().is_some_and(|p| !p.look(now())) {
                    vault.creating = None;
                }
                let answer = Answer::json(200, &self.vault_json(vault));
                self.cloud.changed();
                Ok(answer)
            }
            "PUT" => {
                self.authorize(&id, &format!("{KIND}/write"))?;
                self.put_vault(group, name)
            }
            "PATCH" => {
                self.authorize(&id, &format!("{KIND}/write"))?;
                self.patch_vault(group, name)
            }
            "DELETE" => {
                self.authorize(&id, &format!("{KIND}/delete"))?;
                let mut state = self.cloud.state();
                let key = name.to_ascii_lowercase();
                if find_vault(&mut state, group, name).is_err() {
                    return Ok(Answer::empty(204));
                }
                self.bury_vault(&mut state, &key);
                self.cloud.changed();
                Ok(Answer::empty(200))
            }
            _ => Err(self.not_simulated()),
        }
    }

    /// Moves a vault to the deleted ones; its role assignments go with it.
    pub(super) fn bury_vault(&self, state: &mut State, key: &str) {
        if let Some(vault) = state.vaults.remove(key) {
            let id = self.resource_id(&vault.group, KIND, &vault.name);
            super::groups::forget_assignments(state, &id);
            state.deleted_vaults.insert(
                key.to_owned(),
                DeletedVault {
                    vault,
                    deleted: now(),
                },
            );
        }
    }

    fn put_vault(&self, group: &str, name: &str) -> Outcome {
        valid_name(name)?;
        let body = object(self)?;
        only(
            &body,
            &[
                "id",
                "name",
                "type",
                "location",
                "tags",
                "properties",
                "systemData",
            ],
            "VaultCreateOrUpdateParameters",
        )?;
        let (location, tags, mut given) =
            (location(&body)?, tags(&body)?, member(&body, "properties")?);
        self.check_properties(&given)?;
        let recover = word(
            &given,
            "createMode",
            &["default", "recover", "createOrRecover", "purgeThenCreate"],
        )?;
        given.remove("createMode");
        let mut state = self.cloud.state();
        let key = name.to_ascii_lowercase();
        if let Some(old) = state.vaults.get(&key) {
            if !old.group.eq_ignore_ascii_case(group) {
                return Err(name_taken(name));
            }
            if old.location != location {
                let text = format!(
                    "The resource '{name}' already exists in location '{}' in resource group '{}'. A resource with the same name cannot be created in location '{location}'. Please select a new resource name.",
                    old.location, old.group
                );
                return Err(error(409, "InvalidResourceLocation", text));
            }
            check_irrevocable(old, &given)?;
            let mut vault = old.clone();
            let kept = [
                "enableSoftDelete",
                "softDeleteRetentionInDays",
                "enablePurgeProtection",
            ]
            .map(|k| (k, vault.properties.get(k).cloned()));
            vault.properties = self.completed(given)?;
            for (name, value) in kept {
                if let Some(value) = value {
                    vault.properties.insert(name.to_owned(), value);
                }
            }
            vault.tags = tags;
            return Ok(self.keep_vault(&mut state, key, vault));
        }
        match (state.deleted_vaults.contains_key(&key), recover.as_deref()) {
            (true, Some("recover" | "createOrRecover")) => {
                self.recover_vault(&mut state, key, &location)
            }
            (true, _) => {
                let text = "A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.";
                Err(error(409, "ConflictError", text))
            }
            (false, Some("recover")) => Err(error(
                404,
                "VaultNotFound",
                format!("A deleted vault with the name '{name}' was not found."),
            )),
            (false, _) => {
                let properties = self.completed(given)?;
                let vault = Vault {
                    name: name.to_owned(),
                    group: state
                        .groups
                        .get(group)
                        .map_or_else(|| group.to_owned(), |g| g.name.clone()),
                    location,
                    tags,
                    properties,
                    created: now(),
                    creating: Some(self.cloud.pending(60)),
                    secrets: Default::default(),
                };
                Ok(self.keep_vault(&mut state, key, vault))
            }
        }
    }

    fn recover_vault(&self, state: &mut State, key: String, location: &str) -> Outcome {
        if state
            .deleted_vaults
            .get(&key)
            .is_some_and(|d| d.vault.location != location)
        {
            return Err(error(
                404,
                "VaultNotFound",
                format!(
                    "A deleted vault with the name '{key}' was not found in location '{location}'."
                ),
            ));
        }
        let Some(mut deleted) = state.deleted_vaults.remove(&key) else {
            return Err(error(
                404,
                "VaultNotFound",
                format!("A deleted vault with the name '{key}' was not found."),
            ));
        };
        deleted.vault.creating = Some(self.cloud.pending(30));
        Ok(self.keep_vault(state, key, deleted.vault))
    }

    fn keep_vault(&self, state: &mut State, key: String, vault: Vault) -> Answer {
        let answer = Answer::json(200, &self.vault_json(&vault));
        state.vaults.insert(key, vault);
        self.cloud.changed();
        answer
    }

    fn patch_vault(&self, group: &str, name: &str) -> Outcome {
        let body = object(self)?;
        only(&body, &["tags", "properties"], "VaultPatchParameters")?;
        let given = member(&body, "properties")?;
        self.check_types(&given)?;
        let tags = body.contains_key("tags").then(|| tags(&body)).transpose()?;
        let mut state = self.cloud.state();
        let vault = find_vault(&mut state, group, name)?;
        check_irrevocable(vault, &given)?;
        for (name, value) in given {
            if name != "createMode" && name != "vaultUri" {
                vault.properties.insert(name, value);
            }
        }
        if let Some(tags) = tags {
            vault.tags = tags;
        }
        self.cloud.changed();
        Ok(Answer::json(200, &self.vault_json(vault)))
    }

    /// `PUT …/accessPolicies/{add|remove|replace}`.
    pub(super) fn access_policies(&self, group: &str, name: &str, operation: &str) -> Outcome {
        let id = self.resource_id(group, KIND, name);
        self.authorize(&id, &format!("{KIND}/accessPolicies/write"))?;
        let body = object(self)?;
        let properties = member(&body, "properties")?;
        only(
            &properties,
            &["accessPolicies"],
            "VaultAccessPolicyProperties",
        )?;
        self.check_policies(&properties)?;
        let given = properties
            .get("accessPolicies")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let mut state = self.cloud.state();
        let vault = find_vault(&mut state, group, name)?;
        let mut kept = vault
            .properties
            .get("accessPolicies")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let whose = |p: &Value| {
            ["tenantId", "objectId", "applicationId"].map(|k| {
                p.get(k)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_ascii_lowercase()
            })
        };
        match operation.to_ascii_lowercase().as_str() {
            "replace" => kept = given,
            "remove" => kept.retain(|old| !given.iter().any(|g| whose(g) == whose(old))),
            "add" => {
                for policy in given {
                    match kept.iter_mut().find(|old| whose(old) == whose(&policy)) {
                        Some(old) => merge_permissions(old, &policy),
                        None => kept.push(policy),
                    }
                }
            }
            other => {
                return Err(error(
                    400,
                    "BadRequest",
                    format!("'{other}' is not an access policy operation: add, remove or replace."),
                ));
            }
        }
        vault
            .properties
            .insert("accessPolicies".to_owned(), Value::Array(kept.clone()));
        self.cloud.changed();
        let body = json!({"id": format!("{id}/accessPolicies/"), "type": format!("{KIND}/accessPolicies"), "properties": {"accessPolicies": kept}});
        Ok(Answer::json(200, &body))
    }

    pub(super) fn deleted_vaults(&self) -> Outcome {
        self.authorize(
            &self.cloud.subscription_scope(),
            "Microsoft.KeyVault/deletedVaults/read",
        )?;
        let state = self.cloud.state();
        let value: Vec<Value> = state
            .deleted_vaults
            .values()
            .map(|d| self.deleted_json(d))
            .collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    pub(super) fn deleted_vault(&self, location: &str, name: &str) -> Outcome {
        self.authorize(
            &self.cloud.subscription_scope(),
            "Microsoft.KeyVault/locations/deletedVaults/read",
        )?;
        let state = self.cloud.state();
        let found = state
            .deleted_vaults
            .get(&name.to_ascii_lowercase())
            .filter(|d| d.vault.location.eq_ignore_ascii_case(location));
        found
            .map(|d| Answer::json(200, &self.deleted_json(d)))
            .ok_or_else(|| deleted_not_found(name))
    }

    pub(super) fn purge_vault(&self, location: &str, name: &str) -> Outcome {
        self.authorize(
            &self.cloud.subscription_scope(),
            "Microsoft.KeyVault/locations/deletedVaults/purge/action",
        )?;
        {
            let mut state = self.cloud.state();
            let key = name.to_ascii_lowercase();
            let found = state
                .deleted_vaults
                .get(&key)
                .filter(|d| d.vault.location.eq_ignore_ascii_case(location));
            let found = found.ok_or_else(|| deleted_not_found(name))?;
            if found.vault.flag("enablePurgeProtection") {
                return Err(error(
                    405,
                    "MethodNotAllowed",
                    "Operation \"DeletedVaultPurge\" is not allowed.",
                ));
            }
            state.deleted_vaults.remove(&key);
        }
        let path = format!("/providers/Microsoft.KeyVault/locations/{location}/operationResults");
        Ok(self.accept(&path, self.cloud.pending(20), Ending::Empty))
    }

    pub(super) fn vault_name_available(&self) -> Outcome {
        let body = object(self)?;
        only(
            &body,
            &["name", "type"],
            "VaultCheckNameAvailabilityParameters",
        )?;
        let name = text(&body, "name")?.unwrap_or_default();
        if valid_name(&name).is_err() {
            let text = "The vault name is invalid.";
            return Ok(Answer::json(
                200,
                &json!({"nameAvailable": false, "reason": "AccountNameInvalid", "message": text}),
            ));
        }
        let state = self.cloud.state();
        let key = name.to_ascii_lowercase();
        if state.vaults.contains_key(&key) || state.deleted_vaults.contains_key(&key) {
            let text = format!("The name '{name}' is already in use.");
            return Ok(Answer::json(
                200,
                &json!({"nameAvailable": false, "reason": "AlreadyExists", "message": text}),
            ));
        }
        Ok(Answer::json(200, &json!({"nameAvailable": true})))
    }

    fn check_types(&self, given: &Map<String, Value>) -> Result<(), Answer> {
        only(given, KNOWN, "VaultProperties")?;
        booleans(given, FLAGS)?;
        self.check_policies(given)?;
        word(given, "publicNetworkAccess", &["Enabled", "Disabled"])?;
        let acls = member(given, "networkAcls")?;
        only(
            &acls,
            &["bypass", "defaultAction", "ipRules", "virtualNetworkRules"],
            "NetworkRuleSet",
        )?;
        word(&acls, "bypass", &["None", "AzureServices"])?;
        word(&acls, "defaultAction", &["Allow", "Deny"])?;
        if let Some(days) = given
            .get("softDeleteRetentionInDays")
            .filter(|d| !d.is_null())
            && !days.as_i64().is_some_and(|d| (7..=90).contains(&d))
        {
            return Err(error(
                400,
                "BadRequest",
                "The property \"softDeleteRetentionInDays\" must be a number from 7 to 90.",
            ));
        }
        Ok(())
    }

    /// What creating or replacing a vault requires of its properties.
    fn check_properties(&self, given: &Map<String, Value>) -> Result<(), Answer> {
        self.check_types(given)?;
        let tenant = text(given, "tenantId")?.unwrap_or_default();
        if Uuid::parse_str(&tenant).is_err() {
            return Err(error(
                400,
                "BadRequest",
                "The parameter 'tenantId' must be a GUID.",
            ));
        }
        let sku = member(given, "sku")?;
        only(&sku, &["family", "name"], "Sku")?;
        if word(&sku, "name", &["standard", "premium"])?.is_none()
            || word(&sku, "family", &["A"])?.is_none()
        {
            return Err(content(
                "Required property 'sku' with 'family' and 'name' not found in JSON. Path 'properties'.",
            ));
        }
        if given.get("enableSoftDelete") == Some(&Value::Bool(false)) {
            let text = "The property \"enableSoftDelete\" can be set to false only for creating new vault. Enabling the 'soft delete' functionality is an irreversible action.";
            return Err(error(400, "BadRequest", text));
        }
        if given.get("enablePurgeProtection") == Some(&Value::Bool(false)) {
            return Err(purge_protection_stays());
        }
        Ok(())
    }

    fn check_policies(&self, given: &Map<String, Value>) -> Result<(), Answer> {
        let policies = match given.get("accessPolicies") {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(policies)) => policies,
            Some(_) => {
                return Err(content(
                    "The member 'accessPolicies' is not a list. Path 'properties.accessPolicies'.",
                ));
            }
        };
        for policy in policies {
            let Some(policy) = policy.as_object() else {
                return Err(content(
                    "An access policy is not an object. Path 'properties.accessPolicies'.",
                ));
            };
            only(
                policy,
                &["tenantId", "objectId", "applicationId", "permissions"],
                "AccessPolicyEntry",
            )?;
            only(
                &member(policy, "permissions")?,
                &["keys", "secrets", "certificates", "storage"],
                "Permissions",
            )?;
            if text(policy, "tenantId")?.is_none() || text(policy, "objectId")?.is_none() {
                return Err(content(
                    "Required property 'objectId' or 'tenantId' not found in JSON. Path 'properties.accessPolicies'.",
                ));
            }
        }
        Ok(())
    }

    /// The properties with the service's defaults.
    fn completed(&self, mut given: Map<String, Value>) -> Result<Map<String, Value>, Answer> {
        given.retain(|_, v| !v.is_null());
        for read_only in [
            "vaultUri",
            "provisioningState",
            "privateEndpointConnections",
            "hsmPoolResourceId",
        ] {
            given.remove(read_only);
        }
        let defaults = json!({
            "accessPolicies": [], "enabledForDeployment": false, "enableSoftDelete": true, "softDeleteRetentionInDays": 90,
            "enableRbacAuthorization": false, "publicNetworkAccess": "Enabled",
        });
        if let Value::Object(defaults) = defaults {
            for (name, value) in defaults {
                given.entry(name).or_insert(value);
            }
        }
        Ok(given)
    }

    pub(super) fn vault_json(&self, vault: &Vault) -> Value {
        let mut properties = vault.properties.clone();
        properties.insert(
            "vaultUri".to_owned(),
            json!(format!(
                "https://{}.vault.azure.net/",
                vault.name.to_ascii_lowercase()
            )),
        );
        let state = if vault.creating.is_some() {
            "RegisteringDns"
        } else {
            "Succeeded"
        };
        properties.insert("provisioningState".to_owned(), json!(state));
        json!({
            "id": self.resource_id(&vault.group, KIND, &vault.name), "name": vault.name, "type": KIND, "location": vault.location,
            "tags": vault.tags, "systemData": {"createdAt": iso_seconds(vault.created)}, "properties": properties,
        })
    }

    fn deleted_json(&self, deleted: &DeletedVault) -> Value {
        let vault = &deleted.vault;
        let scope = self.cloud.subscription_scope();
        let mut properties = json!({
            "vaultId": self.resource_id(&vault.group, KIND, &vault.name), "location": vault.location, "tags": vault.tags,
            "deletionDate": iso_seconds(deleted.deleted), "scheduledPurgeDate": iso_seconds(deleted.deleted + vault.retention_days() * DAY),
        });
        if let (Some(map), true) = (
            properties.as_object_mut(),
            vault.flag("enablePurgeProtection"),
        ) {
            map.insert("purgeProtectionEnabled".to_owned(), json!(true));
        }
        json!({
            "id": format!("{scope}/providers/Microsoft.KeyVault/locations/{}/deletedVaults/{}", vault.location, vault.name),
            "name": vault.name, "type": "Microsoft.KeyVault/deletedVaults", "properties": properties,
        })
    }
}

/// Adds permissions to a policy that exists.
fn merge_permissions(old: &mut Value, more: &Value) {
    for kind in ["keys", "secrets", "certificates", "storage"] {
        let added = more
            .pointer(&format!("/permissions/{kind}"))
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let Some(permissions) = old.as_object_mut().and_then(|o| {
            o.entry("permissions")
                .or_insert_with(|| json!({}))
                .as_object_mut()
        }) else {
            continue;
        };
        if let Some(list) = permissions
            .entry(kind)
            .or_insert_with(|| json!([]))
            .as_array_mut()
        {
            for permission in added {
                if !list.contains(&permission) {
                    list.push(permission);
                }
            }
        }
    }
}

fn find_vault<'s>(state: &'s mut State, group: &str, name: &str) -> Result<&'s mut Vault, Answer> {
    let found = state
        .vaults
        .get_mut(&name.to_ascii_lowercase())
        .filter(|v| v.group.eq_ignore_ascii_case(group));
    found.ok_or_else(|| resource_not_found(KIND, name, group))
}

/// Refuses what can never be undone.
fn check_irrevocable(old: &Vault, given: &Map<String, Value>) -> Result<(), Answer> {
    if old.flag("enablePurgeProtection")
        && given.get("enablePurgeProtection") == Some(&Value::Bool(false))
    {
        return Err(purge_protection_stays());
    }
    if let Some(days) = given
        .get("softDeleteRetentionInDays")
        .and_then(Value::as_i64)
        && days != old.retention_days()
    {
        return Err(error(
            400,
            "BadRequest",
            "The property \"softDeleteRetentionInDays\" has been set already and it can't be modified.",
        ));
    }
    Ok(())
}

fn purge_protection_stays() -> Answer {
    let text = "The property \"enablePurgeProtection\" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.";
    error(400, "BadRequest", text)
}

fn valid_name(name: &str) -> Result<(), Answer> {
    let ok = (3..=24).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.ends_with('-')
        && !name.contains("--");
    if ok {
        return Ok(());
    }
    let text = format!(
        "The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name must begin with a letter, end with a letter or digit, and not contain consecutive hyphens. Follow this link for more information: https://go.microsoft.com/fwlink/?linkid=2147742"
    );
    Err(error(400, "VaultNameNotValid", text))
}

fn name_taken(name: &str) -> Answer {
    let text = format!(
        "The vault name '{name}' is already in use. Vault names are globally unique so it is possible that the name is already taken. If you are sure that the vault name was not taken then it is possible that a vault with the same name was recently deleted but not purged after being placed in a recoverable state. If the vault is in a recoverable state then the vault will need to be purged before reusing the name. For more information on soft delete and purging a vault follow this link https://go.microsoft.com/fwlink/?linkid=2147740."
    );
    error(409, "VaultAlreadyExists", text)
}

fn deleted_not_found(name: &str) -> Answer {
    error(
        404,
        "DeletedVaultNotFound",
        format!("The specified deleted vault '{name}' does not exist."),
    )
}
