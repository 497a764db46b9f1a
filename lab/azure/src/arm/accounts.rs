//! Storage accounts, their keys and the properties of their services.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;
use serde_json::{Map, Value, json};

use super::body::{booleans, content, location, member, object, only, tags, text, word};
use super::{Arm, Outcome, resource_not_found};
use crate::Cloud;
use crate::http::{Answer, error, iso, now};
use crate::state::{Account, Ending, State};

const KIND: &str = "Microsoft.Storage/storageAccounts";
const SKUS: &[&str] = &[
    "Standard_LRS",
    "Standard_GRS",
    "Standard_RAGRS",
    "Standard_ZRS",
    "Premium_LRS",
    "Premium_ZRS",
    "Standard_GZRS",
    "Standard_RAGZRS",
];
const KINDS: &[&str] = &[
    "Storage",
    "StorageV2",
    "BlobStorage",
    "FileStorage",
    "BlockBlobStorage",
];
const FLAGS: &[&str] = &[
    "allowBlobPublicAccess",
    "allowCrossTenantReplication",
    "allowSharedKeyAccess",
    "defaultToOAuthAuthentication",
    "isHnsEnabled",
    "isLocalUserEnabled",
    "isNfsV3Enabled",
    "isSftpEnabled",
    "supportsHttpsTrafficOnly",
    "enableExtendedGroups",
];
const KNOWN: &[&str] = &[
    "accessTier",
    "allowBlobPublicAccess",
    "allowCrossTenantReplication",
    "allowSharedKeyAccess",
    "allowedCopyScope",
    "azureFilesIdentityBasedAuthentication",
    "customDomain",
    "defaultToOAuthAuthentication",
    "dnsEndpointType",
    "enableExtendedGroups",
    "encryption",
    "immutableStorageWithVersioning",
    "isHnsEnabled",
    "isLocalUserEnabled",
    "isNfsV3Enabled",
    "isSftpEnabled",
    "keyPolicy",
    "largeFileSharesState",
    "minimumTlsVersion",
    "networkAcls",
    "publicNetworkAccess",
    "routingPreference",
    "sasPolicy",
    "supportsHttpsTrafficOnly",
];

/// The account of that name in that group (any case).
pub(crate) fn find_account<'s>(
    state: &'s mut State,
    group: &str,
    name: &str,
) -> Result<&'s mut Account, Answer> {
    let found = state
        .accounts
        .get_mut(&name.to_ascii_lowercase())
        .filter(|a| a.group.eq_ignore_ascii_case(group));
    found.ok_or_else(|| resource_not_found(KIND, name, group))
}

/// Removes an account with its role assignments and the files of its blobs.
pub(super) fn forget(cloud: &Cloud, state: &mut State, key: &str) {
    let Some(account) = state.accounts.remove(key) else {
        return;
    };
    for container in account.containers.values() {
        crate::blob::content::forget_container(&cloud.lab.store, container);
    }
    let scope = format!(
        "/subscriptions/{}/resourceGroups/{}/providers/{KIND}/{}",
        cloud.options.subscription_id, account.group, account.name
    );
    super::groups::forget_assignments(state, &scope);
}

impl Arm<'_> {
    pub(super) fn accounts(&self, group: Option<&str>) -> Outcome {
        self.authorize(&self.cloud.subscription_scope(), &format!("{KIND}/read"))?;
        let state = self.cloud.state();
        let of = state
            .accounts
            .values()
            .filter(|a| group.is_none_or(|g| g.eq_ignore_ascii_case(&a.group)));
        let value: Vec<Value> = of.map(|a| self.account_json(a)).collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    pub(super) fn account(&self, group: &str, name: &str) -> Outcome {
        let id = self.resource_id(group, KIND, name);
        match self.call.method.as_str() {
            "GET" => {
                self.authorize(&id, &format!("{KIND}/read"))?;
                if self.read_lags() {
                    return Err(resource_not_found(KIND, name, group));
                }
                let mut state = self.cloud.state();
                let account = find_account(&mut state, group, name)?;
                if account.creating.as_mut().is_some_and(|p| !p.look(now())) {
                    account.creating = None;
                }
                Ok(Answer::json(200, &self.account_json(account)))
            }
            "PUT" => {
                self.authorize(&id, &format!("{KIND}/write"))?;
                self.put_account(group, name)
            }
            "PATCH" => {
                self.authorize(&id, &format!("{KIND}/write"))?;
                self.patch_account(group, name)
            }
            "DELETE" => {
                self.authorize(&id, &format!("{KIND}/delete"))?;
                let mut state = self.cloud.state();
                if find_account(&mut state, group, name).is_err() {
                    return Ok(Answer::empty(204));
                }
                forget(self.cloud, &mut state, &name.to_ascii_lowercase());
                self.cloud.changed();
                Ok(Answer::empty(200))
            }
            _ => Err(self.not_simulated()),
        }
    }

    fn put_account(&self, group: &str, name: &str) -> Outcome {
        valid_name(name)?;
        let body = object(self)?;
        only(
            &body,
            &[
                "sku",
                "kind",
                "location",
                "extendedLocation",
                "zones",
                "tags",
                "identity",
                "properties",
            ],
            "StorageAccountCreateParameters",
        )?;
        let properties = checked_properties(&body)?;
        let sku = sku(&body)?
            .ok_or_else(|| content("Required property 'sku' not found in JSON. Path ''."))?;
        let kind = word(&body, "kind", KINDS)?
            .ok_or_else(|| content("Required property 'kind' not found in JSON. Path ''."))?;
        let (location, tags) = (location(&body)?, tags(&body)?);
        let mut state = self.cloud.state();
        if let Some(old) = state.accounts.get_mut(name) {
            if !old.group.eq_ignore_ascii_case(group) {
                return Err(taken(name));
            }
            if old.location != location {
                let text = format!(
                    "The resource '{name}' already exists in location '{}' in resource group '{}'. A resource with the same name cannot be created in location '{location}'. Please select a new resource name.",
                    old.location, old.group
                );
                return Err(error(409, "InvalidResourceLocation", text));
            }
            old.tags = tags;
            old.sku = sku;
            old.kind = kind;
            merge(&mut old.properties, properties);
            self.cloud.changed();
            return Ok(Answer::json(200, &self.account_json(old)));
        }
        let time = now();
        let mut account = Account {
            name: name.to_owned(),
            group: state
                .groups
                .get(group)
                .map_or_else(|| group.to_owned(), |g| g.name.clone()),
            location: location.clone(),
            kind,
            sku,
            tags,
            identity: identity(&body)?,
            properties: defaults(),
            created: time,
            creating: Some(self.cloud.pending(20)),
            keys: vec![(new_key(), time), (new_key(), time)],
            services: Default::default(),
            containers: Default::default(),
            busy_containers: Default::default(),
        };
        merge(&mut account.properties, properties);
        state.accounts.insert(name.to_owned(), account);
        drop(state);
        let path = format!("/providers/Microsoft.Storage/locations/{location}/asyncoperations");
        Ok(self
            .accept(
                &path,
                self.cloud.pending(20),
                Ending::Account(name.to_owned()),
            )
            .with("content-type", "text/plain; charset=utf-8"))
    }

    fn patch_account(&self, group: &str, name: &str) -> Outcome {
        let body = object(self)?;
        only(
            &body,
            &["sku", "kind", "tags", "identity", "properties", "zones"],
            "StorageAccountUpdateParameters",
        )?;
        let (properties, sku, kind) = (
            checked_properties(&body)?,
            sku(&body)?,
            word(&body, "kind", KINDS)?,
        );
        let tags = body.contains_key("tags").then(|| tags(&body)).transpose()?;
        let mut state = self.cloud.state();
        let account = find_account(&mut state, group, name)?;
        merge(&mut account.properties, properties);
        account.sku = sku.unwrap_or_else(|| account.sku.clone());
        account.kind = kind.unwrap_or_else(|| account.kind.clone());
        if let Some(tags) = tags {
            account.tags = tags;
        }
        if body.contains_key("identity") {
            account.identity = identity(&body)?;
        }
        self.cloud.changed();
        Ok(Answer::json(200, &self.account_json(account)))
    }

    pub(super) fn list_keys(&self, group: &str, name: &str) -> Outcome {
        self.authorize(
            &self.resource_id(group, KIND, name),
            &format!("{KIND}/listKeys/action"),
        )?;
        let mut state = self.cloud.state();
        let account = find_account(&mut state, group, name)?;
        Ok(Answer::json(200, &keys_json(account)))
    }

    pub(super) fn regenerate_key(&self, group: &str, name: &str) -> Outcome {
        self.authorize(
            &self.resource_id(group, KIND, name),
            &format!("{KIND}/regenerateKey/action"),
        )?;
        let body = object(self)?;
        only(&body, &["keyName"], "StorageAccountRegenerateKeyParameters")?;
        let which = match text(&body, "keyName")?.as_deref() {
            Some("key1") => 0,
            Some("key2") => 1,
            _ => {
                return Err(error(
                    400,
                    "InvalidValuesForRequestParameters",
                    "Values for request parameters are invalid: keyName.",
                ));
            }
        };
        let mut state = self.cloud.state();
        let account = find_account(&mut state, group, name)?;
        if let Some(slot) = account.keys.get_mut(which) {
            *slot = (new_key(), now());
        }
        self.cloud.changed();
        Ok(Answer::json(200, &keys_json(account)))
    }

    /// `…/{blob|file|queue|table}Services/default`.
    pub(super) fn service(&self, group: &str, name: &str, service: &str) -> Outcome {
        let kinds = [
            "blobServices",
            "fileServices",
            "queueServices",
            "tableServices",
        ];
        let service = kinds
            .iter()
            .copied()
            .find(|k| k.eq_ignore_ascii_case(service))
            .unwrap_or_default();
        let id = self.resource_id(group, KIND, name);
        let verb = if self.call.method == "GET" {
            "read"
        } else {
            "write"
        };
        self.authorize(&id, &format!("{KIND}/{service}/{verb}"))?;
        let mut state = self.cloud.state();
        let account = find_account(&mut state, group, name)?;
        match self.call.method.as_str() {
            "GET" => {}
            "PUT" => {
                let body = object(self)?;
                only(
                    &body,
                    &["properties", "sku", "id", "name", "type"],
                    "StorageServiceProperties",
                )?;
                let given = member(&body, "properties")?;
                only(&given, service_members(service), "ServiceProperties")?;
                account.services.insert(service.to_owned(), given);
                self.cloud.changed();
            }
            _ => return Err(self.not_simulated()),
        }
        let mut properties = service_defaults(service);
        for (name, value) in account.services.get(service).cloned().unwrap_or_default() {
            if !value.is_null() {
                properties.insert(name, value);
            }
        }
        let body = json!({
            "sku": {"name": account.sku, "tier": tier(&account.sku)}, "properties": properties,
            "id": format!("{}/{service}/default", self.resource_id(&account.group, KIND, &account.name)),
            "name": "default", "type": format!("{KIND}/{service}"),
        });
        Ok(Answer::json(200, &body))
    }

    pub(super) fn account_name_available(&self) -> Outcome {
        let body = object(self)?;
        only(
            &body,
            &["name", "type"],
            "StorageAccountCheckNameAvailabilityParameters",
        )?;
        let name = text(&body, "name")?.unwrap_or_default();
        let answer = if valid_name(&name).is_err() {
            json!({"nameAvailable": false, "reason": "AccountNameInvalid", "message": format!("{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only.")})
        } else if self.cloud.state().accounts.contains_key(&name) {
            json!({"nameAvailable": false, "reason": "AlreadyExists", "message": format!("The storage account named {name} is already taken.")})
        } else {
            json!({"nameAvailable": true})
        };
        Ok(Answer::json(200, &answer))
    }

    pub(super) fn account_json(&self, account: &Account) -> Value {
        let mut properties = account.properties.clone();
        let creating = account.creating.is_some();
        let endpoints = |host: &str| -> Map<String, Value> {
            let services = [
                ("dfs", "dfs"),
                ("web", "z6.web"),
                ("blob", "blob"),
                ("queue", "queue"),
                ("table", "table"),
                ("file", "file"),
            ];
            services
                .iter()
                .map(|(k, sub)| {
                    (
                        (*k).to_owned(),
                        json!(format!("https://{host}.{sub}.core.windows.net/")),
                    )
                })
                .collect()
        };
        let more = json!({
            "provisioningState": if creating { "Creating" } else { "Succeeded" },
            "keyCreationTime": {"key1": account.keys.first().map(|k| iso(k.1)), "key2": account.keys.get(1).map(|k| iso(k.1))},
            "privateEndpointConnections": [], "creationTime": iso(account.created), "primaryLocation": account.location,
            "statusOfPrimary": "available", "primaryEndpoints": endpoints(&account.name),
        });
        if let Value::Object(more) = more {
            properties.extend(more);
        }
        if account.sku.contains("RAG") {
            let host = format!("{}-secondary", account.name);
            let mut secondary = endpoints(&host);
            secondary.remove("file");
            properties.insert("secondaryEndpoints".to_owned(), Value::Object(secondary));
        }
        let mut json = json!({
            "sku": {"name": account.sku, "tier": tier(&account.sku)}, "kind": account.kind,
            "id": self.resource_id(&account.group, KIND, &account.name), "name": account.name, "type": KIND,
            "location": account.location, "tags": account.tags, "properties": properties,
        });
        if let (Some(map), Some(identity)) = (json.as_object_mut(), &account.identity) {
            map.insert("identity".to_owned(), identity.clone());
        }
        json
    }
}

fn checked_properties(body: &Map<String, Value>) -> Result<Map<String, Value>, Answer> {
    let mut given = member(body, "properties")?;
    only(&given, KNOWN, "StorageAccountProperties")?;
    booleans(&given, FLAGS)?;
    for (name, allowed) in [
        ("accessTier", &["Hot", "Cool", "Premium", "Cold"][..]),
        (
            "minimumTlsVersion",
            &["TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"][..],
        ),
        (
            "publicNetworkAccess",
            &["Enabled", "Disabled", "SecuredByPerimeter"][..],
        ),
        ("dnsEndpointType", &["Standard", "AzureDnsZone"][..]),
        ("largeFileSharesState", &["Disabled", "Enabled"][..]),
        ("allowedCopyScope", &["PrivateLink", "AAD"][..]),
    ] {
        if let Some(found) = word(&given, name, allowed)? {
            given.insert(name.to_owned(), json!(found));
        }
    }
    let acls = member(&given, "networkAcls")?;
    only(
        &acls,
        &[
            "bypass",
            "defaultAction",
            "ipRules",
            "resourceAccessRules",
            "virtualNetworkRules",
        ],
        "NetworkRuleSet",
    )?;
    word(&acls, "defaultAction", &["Allow", "Deny"])?;
    Ok(given)
}

fn sku(body: &Map<String, Value>) -> Result<Option<String>, Answer> {
    let sku = member(body, "sku")?;
    only(&sku, &["name", "tier"], "Sku")?;
    word(&sku, "name", SKUS)
}

/// The account's identity: none is simulated, so only `None` is taken.
fn identity(body: &Map<String, Value>) -> Result<Option<Value>, Answer> {
    let given = member(body, "identity")?;
    match text(&given, "type")?.as_deref() {
        None | Some("None") => Ok(None),
        Some(other) => Err(error(
            501,
            "NotImplemented",
            format!(
                "The lab does not simulate storage accounts with an identity of type '{other}'."
            ),
        )),
    }
}

fn merge(into: &mut Map<String, Value>, given: Map<String, Value>) {
    for (name, value) in given {
        if !value.is_null() {
            into.insert(name, value);
        }
    }
}

fn defaults() -> Map<String, Value> {
    let defaults = json!({
        "accessTier": "Hot", "allowBlobPublicAccess": false, "allowCrossTenantReplication": false, "minimumTlsVersion": "TLS1_0",
        "supportsHttpsTrafficOnly": true, "networkAcls": {"bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [], "defaultAction": "Allow"},
        "encryption": {"keySource": "Microsoft.Storage", "services": {"file": {"keyType": "Account", "enabled": true}, "blob": {"keyType": "Account", "enabled": true}}},
    });
    match defaults {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn service_members(service: &str) -> &'static [&'static str] {
    match service {
        "blobServices" => &[
            "cors",
            "defaultServiceVersion",
            "deleteRetentionPolicy",
            "isVersioningEnabled",
            "automaticSnapshotPolicyEnabled",
            "changeFeed",
            "restorePolicy",
            "containerDeleteRetentionPolicy",
            "lastAccessTimeTrackingPolicy",
        ],
        "fileServices" => &["cors", "shareDeleteRetentionPolicy", "protocolSettings"],
        _ => &["cors"],
    }
}

fn service_defaults(service: &str) -> Map<String, Value> {
    let defaults = match service {
        "blobServices" => {
            json!({"cors": {"corsRules": []}, "deleteRetentionPolicy": {"allowPermanentDelete": false, "enabled": false}})
        }
        "fileServices" => {
            json!({"protocolSettings": {"smb": {}}, "cors": {"corsRules": []}, "shareDeleteRetentionPolicy": {"enabled": true, "days": 7}})
        }
        _ => json!({"cors": {"corsRules": []}}),
    };
    match defaults {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn keys_json(account: &Account) -> Value {
    let key = |(n, (value, created)): (usize, &(String, i64))| json!({"creationTime": iso(*created), "keyName": format!("key{}", n + 1), "value": value, "permissions": "FULL"});
    json!({"keys": account.keys.iter().enumerate().map(key).collect::<Vec<_>>()})
}

fn tier(sku: &str) -> &str {
    sku.split('_').next().unwrap_or(sku)
}

fn new_key() -> String {
    let mut bytes = [0_u8; 64];
    rand::rng().fill(bytes.as_mut_slice());
    STANDARD.encode(bytes)
}

fn valid_name(name: &str) -> Result<(), Answer> {
    if (3..=24).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_digit() || c.is_ascii_lowercase())
    {
        return Ok(());
    }
    let text = format!(
        "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only."
    );
    Err(error(400, "AccountNameInvalid", text))
}

fn taken(name: &str) -> Answer {
    error(
        409,
        "StorageAccountAlreadyTaken",
        format!("The storage account named {name} is already taken."),
    )
}
