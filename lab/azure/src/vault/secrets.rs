//! Secrets: versions, soft delete, recovery, purge.

use serde_json::{Map, Value, json};

use super::{Outcome, Request, forbidden, with_inner};
use crate::http::{Answer, error, now};
use crate::random_hex;
use crate::state::{Deletion, Secret, SecretVersion, Vault};

/// Most bytes of a value (25 KiB).
const LARGEST_VALUE: usize = 25 * 1024;
const DAY: i64 = 86_400_000;

impl Request<'_> {
    pub(super) fn set_secret(&self, name: &str) -> Outcome {
        self.authorize("setSecret/action", "set", name)?;
        valid_name(name)?;
        let body = object(self)?;
        only(&body, &["value", "tags", "contentType", "attributes"])?;
        let Some(value) = body.get("value").and_then(Value::as_str) else {
            return Err(error(
                400,
                "BadParameter",
                "The parameter secret is not specified or is invalid: 'value' must be a string.",
            ));
        };
        if value.len() > LARGEST_VALUE {
            return Err(error(
                400,
                "BadParameter",
                "The parameter secret has a value that is larger than the maximum of 25k characters.",
            ));
        }
        let time = now();
        let mut version = SecretVersion {
            id: random_hex(16),
            value: value.to_owned(),
            content_type: None,
            tags: Map::new(),
            enabled: true,
            not_before: None,
            expires: None,
            created: time,
            updated: time,
        };
        apply(&mut version, &body)?;
        self.with_vault(|vault| {
            let key = name.to_ascii_lowercase();
            let secret = vault.secrets.entry(key).or_insert_with(|| Secret {
                name: name.to_owned(),
                versions: Vec::new(),
                deleted: None,
                recovering: None,
            });
            usable(secret)?;
            secret.versions.push(version.clone());
            let shown = secret.name.clone();
            Ok(Answer::json(
                200,
                &self.bundle(vault, &shown, &version, true),
            ))
        })
    }

    pub(super) fn get_secret(&self, name: &str, version: Option<&str>) -> Outcome {
        self.authorize("getSecret/action", "get", name)?;
        self.with_vault(|vault| {
            let (shown, found) = {
                let secret = live(vault, name)?;
                (secret.name.clone(), pick(secret, version)?.clone())
            };
            if !found.enabled {
                return Err(forbidden(
                    "Operation get is not allowed on a disabled secret.",
                    "SecretDisabled",
                ));
            }
            Ok(Answer::json(200, &self.bundle(vault, &shown, &found, true)))
        })
    }

    pub(super) fn update_secret(&self, name: &str, version: Option<&str>) -> Outcome {
        self.authorize("setSecret/action", "set", name)?;
        let body = object(self)?;
        only(&body, &["tags", "contentType", "attributes"])?;
        self.with_vault(|vault| {
            let (shown, found) = {
                let secret = live(vault, name)?;
                usable(secret)?;
                let shown = secret.name.clone();
                let wanted = pick(secret, version)?.id.clone();
                let Some(found) = secret.versions.iter_mut().find(|v| v.id == wanted) else {
                    return Err(not_found(name));
                };
                apply(found, &body)?;
                found.updated = now();
                (shown, found.clone())
            };
            Ok(Answer::json(
                200,
                &self.bundle(vault, &shown, &found, false),
            ))
        })
    }

    pub(super) fn delete_secret(&self, name: &str) -> Outcome {
        self.authorize("delete", "delete", name)?;
        let mut under_way = self.cloud.pending(5);
        if self.cloud.fault("secret-being-deleted") {
            under_way.looks += 3;
        }
        self.with_vault(|vault| {
            let secret = live(vault, name)?;
            usable(secret)?;
            secret.deleted = Some(Deletion {
                at: now(),
                under_way,
            });
            let secret = secret.clone();
            Ok(Answer::json(
                200,
                &self.deleted_bundle(vault, &secret, false),
            ))
        })
    }

    pub(super) fn get_deleted(&self, name: &str) -> Outcome {
        self.authorize("getSecret/action", "get", name)?;
        self.with_vault(|vault| {
            let secret = deleted(vault, name)?;
            let secret = secret.clone();
            Ok(Answer::json(
                200,
                &self.deleted_bundle(vault, &secret, false),
            ))
        })
    }

    pub(super) fn purge_secret(&self, name: &str) -> Outcome {
        self.authorize("purge/action", "purge", name)?;
        self.with_vault(|vault| {
            if vault.flag("enablePurgeProtection") {
                return Err(forbidden("Operation \"purge\" is not allowed because purge protection is enabled for this vault.", "ForbiddenByPolicy"));
            }
            deletable(vault, name)?;
            vault.secrets.remove(&name.to_ascii_lowercase());
            Ok(Answer::empty(204))
        })
    }

    pub(super) fn recover_secret(&self, name: &str) -> Outcome {
        self.authorize("recover/action", "recover", name)?;
        let pending = self.cloud.pending(5);
        self.with_vault(|vault| {
            let (shown, latest) = {
                let secret = deletable(vault, name)?;
                secret.deleted = None;
                secret.recovering = Some(pending);
                (secret.name.clone(), secret.versions.last().cloned())
            };
            let latest = latest.ok_or_else(|| not_found(name))?;
            Ok(Answer::json(
                200,
                &self.bundle(vault, &shown, &latest, false),
            ))
        })
    }

    pub(super) fn list_secrets(&self) -> Outcome {
        self.authorize("readMetadata/action", "list", "")?;
        self.with_vault(|vault| {
            let live = vault.secrets.values().filter(|s| s.deleted.is_none());
            let items = live
                .filter_map(|s| {
                    s.versions
                        .last()
                        .map(|v| self.item(vault, &s.name, v, None))
                })
                .collect();
            self.page(items)
        })
    }

    pub(super) fn list_versions(&self, name: &str) -> Outcome {
        self.authorize("readMetadata/action", "list", name)?;
        self.with_vault(|vault| {
            let key = name.to_ascii_lowercase();
            let found = vault.secrets.get(&key).filter(|s| s.deleted.is_none());
            let items = found
                .map(|s| {
                    s.versions
                        .iter()
                        .map(|v| self.item(vault, &s.name, v, Some(&v.id)))
                        .collect()
                })
                .unwrap_or_default();
            self.page(items)
        })
    }

    pub(super) fn list_deleted(&self) -> Outcome {
        self.authorize("readMetadata/action", "list", "")?;
        self.with_vault(|vault| {
            let items = vault
                .secrets
                .values()
                .filter(|s| s.deleted.is_some())
                .map(|s| self.deleted_bundle(vault, s, true))
                .collect();
            self.page(items)
        })
    }

    /// Works on the vault and has the state saved.
    fn with_vault(&self, work: impl FnOnce(&mut Vault) -> Outcome) -> Outcome {
        let mut state = self.cloud.state();
        let Some(vault) = state.vaults.get_mut(&self.vault) else {
            return Err(error(404, "VaultNotFound", "The vault is gone."));
        };
        let outcome = work(vault);
        self.cloud.changed();
        outcome
    }

    fn bundle(&self, vault: &Vault, name: &str, version: &SecretVersion, value: bool) -> Value {
        let mut bundle = self.item(vault, name, version, Some(&version.id));
        if let (Some(map), true) = (bundle.as_object_mut(), value) {
            map.insert("value".to_owned(), json!(version.value));
        }
        bundle
    }

    /// A secret without its value; without a version in the id for lists.
    fn item(&self, vault: &Vault, name: &str, version: &SecretVersion, id: Option<&str>) -> Value {
        let id = id.map_or_else(
            || format!("{}/secrets/{name}", self.base()),
            |v| format!("{}/secrets/{name}/{v}", self.base()),
        );
        let mut attributes = json!({
            "enabled": version.enabled, "created": version.created / 1000, "updated": version.updated / 1000,
            "recoveryLevel": recovery_level(vault), "recoverableDays": vault.retention_days(),
        });
        if let Some(map) = attributes.as_object_mut() {
            for (name, time) in [("nbf", version.not_before), ("exp", version.expires)] {
                if let Some(time) = time {
                    map.insert(name.to_owned(), json!(time));
                }
            }
        }
        let mut item = json!({"id": id, "attributes": attributes});
        if let Some(map) = item.as_object_mut() {
            if let Some(content_type) = &version.content_type {
                map.insert("contentType".to_owned(), json!(content_type));
            }
            if !version.tags.is_empty() {
                map.insert("tags".to_owned(), json!(version.tags));
            }
        }
        item
    }

    fn deleted_bundle(&self, vault: &Vault, secret: &Secret, list: bool) -> Value {
        let Some(version) = secret.versions.last() else {
            return Value::Null;
        };
        let mut item = self.item(
            vault,
            &secret.name,
            version,
            (!list).then_some(version.id.as_str()),
        );
        if let (Some(map), Some(deletion)) = (item.as_object_mut(), &secret.deleted) {
            map.insert(
                "recoveryId".to_owned(),
                json!(format!("{}/deletedsecrets/{}", self.base(), secret.name)),
            );
            map.insert("deletedDate".to_owned(), json!(deletion.at / 1000));
            map.insert(
                "scheduledPurgeDate".to_owned(),
                json!((deletion.at + vault.retention_days() * DAY) / 1000),
            );
        }
        item
    }

    /// One page of a list: `maxresults` (25 by default), `nextLink` with a token for the rest.
    fn page(&self, items: Vec<Value>) -> Outcome {
        let size = match self.call.param("maxresults").map(str::parse::<usize>) {
            None => 25,
            Some(Ok(n)) if (1..=25).contains(&n) => n,
            Some(_) => {
                return Err(error(
                    400,
                    "BadParameter",
                    "The parameter maxresults must be a number from 1 to 25.",
                ));
            }
        };
        let skip = match self.call.param("$skiptoken").map(str::parse::<usize>) {
            None => 0,
            Some(Ok(n)) => n,
            Some(Err(_)) => {
                return Err(error(
                    400,
                    "BadParameter",
                    "The parameter $skiptoken is invalid.",
                ));
            }
        };
        let total = items.len();
        let value: Vec<Value> = items.into_iter().skip(skip).take(size).collect();
        let next = skip.saturating_add(size);
        let version = self.call.param("api-version").unwrap_or_default();
        let link = (next < total).then(|| {
            format!(
                "{}{}?api-version={version}&$skiptoken={next}&maxresults={size}",
                self.base(),
                self.call.raw_path
            )
        });
        Ok(Answer::json(
            200,
            &json!({"value": value, "nextLink": link}),
        ))
    }
}

fn object(request: &Request<'_>) -> Result<Map<String, Value>, Answer> {
    match serde_json::from_slice(&request.call.body) {
        Ok(Value::Object(map)) => Ok(map),
        _ => Err(error(
            400,
            "BadParameter",
            "The request body is not a JSON object.",
        )),
    }
}

fn only(map: &Map<String, Value>, known: &[&str]) -> Result<(), Answer> {
    match map.keys().find(|k| !known.contains(&k.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(error(
            400,
            "BadParameter",
            format!("Unrecognized property '{unknown}' in the request body."),
        )),
    }
}

/// Takes content type, tags and attributes of a request over.
fn apply(version: &mut SecretVersion, body: &Map<String, Value>) -> Result<(), Answer> {
    let bad = |what: &str| {
        error(
            400,
            "BadParameter",
            format!("The parameter {what} is invalid."),
        )
    };
    match body.get("contentType") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => version.content_type = Some(text.clone()),
        Some(_) => return Err(bad("contentType")),
    }
    match body.get("tags") {
        None | Some(Value::Null) => {}
        Some(Value::Object(tags)) if tags.len() <= 15 && tags.values().all(Value::is_string) => {
            version.tags = tags.clone();
        }
        Some(_) => return Err(bad("tags")),
    }
    let attributes = match body.get("attributes") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Object(attributes)) => attributes,
        Some(_) => return Err(bad("attributes")),
    };
    only(
        attributes,
        &[
            "enabled",
            "nbf",
            "exp",
            "created",
            "updated",
            "recoveryLevel",
            "recoverableDays",
        ],
    )?;
    match attributes.get("enabled") {
        None | Some(Value::Null) => {}
        Some(Value::Bool(enabled)) => version.enabled = *enabled,
        Some(_) => return Err(bad("attributes.enabled")),
    }
    for (name, slot) in [
        ("nbf", &mut version.not_before),
        ("exp", &mut version.expires),
    ] {
        match attributes.get(name) {
            None | Some(Value::Null) => {}
            Some(time) => *slot = Some(time.as_i64().ok_or_else(|| bad(name))?),
        }
    }
    match (version.not_before, version.expires) {
        (Some(from), Some(until)) if until <= from => {
            Err(bad("attributes.exp: it must be later than nbf"))
        }
        _ => Ok(()),
    }
}

fn recovery_level(vault: &Vault) -> &'static str {
    match (
        vault.retention_days() < 90,
        vault.flag("enablePurgeProtection"),
    ) {
        (true, true) => "CustomizedRecoverable",
        (true, false) => "CustomizedRecoverable+Purgeable",
        (false, true) => "Recoverable",
        (false, false) => "Recoverable+Purgeable",
    }
}

fn pick<'s>(secret: &'s Secret, version: Option<&str>) -> Result<&'s SecretVersion, Answer> {
    let found = match version {
        None => secret.versions.last(),
        Some(id) => secret
            .versions
            .iter()
            .find(|v| v.id.eq_ignore_ascii_case(id)),
    };
    found.ok_or_else(|| {
        not_found(&version.map_or_else(|| secret.name.clone(), |v| format!("{}/{v}", secret.name)))
    })
}

/// The secret, unless it is missing or deleted.
fn live<'v>(vault: &'v mut Vault, name: &str) -> Result<&'v mut Secret, Answer> {
    vault
        .secrets
        .get_mut(&name.to_ascii_lowercase())
        .filter(|s| s.deleted.is_none())
        .ok_or_else(|| not_found(name))
}

/// The deleted secret, once its deletion is complete; counts the look.
fn deleted<'v>(vault: &'v mut Vault, name: &str) -> Result<&'v mut Secret, Answer> {
    let missing = || {
        error(
            404,
            "SecretNotFound",
            format!("Deleted Secret not found: {name}"),
        )
    };
    let secret = vault
        .secrets
        .get_mut(&name.to_ascii_lowercase())
        .ok_or_else(missing)?;
    match secret.deleted.as_mut().map(|d| d.under_way.look(now())) {
        Some(false) => Ok(secret),
        Some(true) | None => Err(missing()),
    }
}

/// The deleted secret for a change: 409 while the deletion is under way.
fn deletable<'v>(vault: &'v mut Vault, name: &str) -> Result<&'v mut Secret, Answer> {
    let missing = || {
        error(
            404,
            "SecretNotFound",
            format!("Deleted Secret not found: {name}"),
        )
    };
    let secret = vault
        .secrets
        .get_mut(&name.to_ascii_lowercase())
        .ok_or_else(missing)?;
    match secret.deleted.as_mut().map(|d| d.under_way.look(now())) {
        None => Err(missing()),
        Some(true) => Err(being_deleted(name)),
        Some(false) => Ok(secret),
    }
}

/// 409 unless the secret can be changed now.
fn usable(secret: &mut Secret) -> Result<(), Answer> {
    let name = secret.name.clone();
    if let Some(deletion) = &mut secret.deleted {
        if deletion.under_way.look(now()) {
            return Err(being_deleted(&name));
        }
        let text = format!(
            "Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the secret can only be recovered or purged."
        );
        return Err(with_inner(
            409,
            "Conflict",
            &text,
            "ObjectIsDeletedButRecoverable",
        ));
    }
    if let Some(recovering) = &mut secret.recovering {
        if recovering.look(now()) {
            return Err(with_inner(
                409,
                "Conflict",
                &format!("Secret {name} is currently being recovered."),
                "ObjectIsBeingRecovered",
            ));
        }
        secret.recovering = None;
    }
    Ok(())
}

fn being_deleted(name: &str) -> Answer {
    with_inner(
        409,
        "Conflict",
        &format!("Secret {name} is currently being deleted."),
        "ObjectIsBeingDeleted",
    )
}

fn valid_name(name: &str) -> Result<(), Answer> {
    if (1..=127).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    {
        return Ok(());
    }
    Err(error(
        400,
        "BadParameter",
        format!("The request URI contains an invalid name: {name}"),
    ))
}

fn not_found(name: &str) -> Answer {
    let text = format!(
        "A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
    );
    error(404, "SecretNotFound", text)
}
