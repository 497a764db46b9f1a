//! What the simulated cloud remembers: one document, saved in the lab's store.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The whole cloud of one tenant and subscription. Keys are lower case: ARM compares names without regard to case.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// Hexadecimal; signs tokens and keys of user delegation.
    pub signing_key: String,
    pub groups: BTreeMap<String, Group>,
    pub vaults: BTreeMap<String, Vault>,
    pub deleted_vaults: BTreeMap<String, DeletedVault>,
    pub accounts: BTreeMap<String, Account>,
    pub identities: BTreeMap<String, Identity>,
    /// By lower-case id.
    pub assignments: BTreeMap<String, Assignment>,
    pub operations: BTreeMap<String, Operation>,
    /// Lower-case namespaces registered on request, besides those that always are.
    pub registered: BTreeSet<String>,
    /// Grows with every change of a blob or container; makes ETags unique.
    pub changes: u64,
}

/// Something that is not there at once: done when its time has come and somebody has looked once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Milliseconds since 1970.
    pub ready_at: i64,
    /// How many looks still see it under way.
    pub looks: u32,
}

impl Pending {
    /// Counts one look; whether the thing was still under way for it.
    pub(crate) fn look(&mut self, now: i64) -> bool {
        let waiting = self.looks > 0 || now < self.ready_at;
        self.looks = self.looks.saturating_sub(1);
        waiting
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Group {
    pub name: String,
    pub location: String,
    pub tags: Map<String, Value>,
    pub managed_by: Option<String>,
    pub deleting: Option<Pending>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Vault {
    pub name: String,
    pub group: String,
    pub location: String,
    pub tags: Map<String, Value>,
    /// The `properties` that the client may set, as the service completed them.
    pub properties: Map<String, Value>,
    pub created: i64,
    pub creating: Option<Pending>,
    pub secrets: BTreeMap<String, Secret>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DeletedVault {
    pub vault: Vault,
    pub deleted: i64,
}

/// A secret with all its versions, oldest first.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub name: String,
    pub versions: Vec<SecretVersion>,
    pub deleted: Option<Deletion>,
    /// After a recovery: how long the name still refuses changes.
    pub recovering: Option<Pending>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Deletion {
    pub at: i64,
    /// While under way, the deleted secret is not found.
    pub under_way: Pending,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct SecretVersion {
    pub id: String,
    pub value: String,
    pub content_type: Option<String>,
    pub tags: Map<String, Value>,
    pub enabled: bool,
    pub not_before: Option<i64>,
    pub expires: Option<i64>,
    pub created: i64,
    pub updated: i64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Account {
    pub name: String,
    pub group: String,
    pub location: String,
    pub kind: String,
    pub sku: String,
    pub tags: Map<String, Value>,
    pub identity: Option<Value>,
    pub properties: Map<String, Value>,
    pub created: i64,
    pub creating: Option<Pending>,
    /// Base64, `key1` and `key2`, with the time of each.
    pub keys: Vec<(String, i64)>,
    /// By service (`blobServices`, `fileServices`, …): what the client set of `properties`.
    pub services: BTreeMap<String, Map<String, Value>>,
    pub containers: BTreeMap<String, Container>,
    /// Names of deleted containers that are not free yet, with the time when they are.
    pub busy_containers: BTreeMap<String, i64>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Container {
    pub name: String,
    /// `None`, `Blob` or `Container`.
    pub public_access: String,
    pub metadata: BTreeMap<String, String>,
    pub etag: String,
    pub modified: i64,
    pub default_encryption_scope: Option<String>,
    pub deny_encryption_scope_override: Option<bool>,
    pub lease: Option<Lease>,
    pub policies: BTreeMap<String, AccessPolicy>,
    pub blobs: BTreeMap<String, Blob>,
    /// Blocks staged for blobs, by blob and by base64 block id.
    pub staged: BTreeMap<String, BTreeMap<String, Block>>,
}

/// A stored access policy of a container, to which a SAS can refer.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct AccessPolicy {
    pub start: Option<String>,
    pub expiry: Option<String>,
    pub permission: Option<String>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Blob {
    /// The file in the store that holds the content.
    pub file: String,
    pub length: u64,
    pub content_type: String,
    pub content_encoding: String,
    pub content_language: String,
    pub content_disposition: String,
    pub cache_control: String,
    /// Base64 of the MD5 that the client gave or the service computed.
    pub content_md5: String,
    pub metadata: BTreeMap<String, String>,
    pub etag: String,
    pub created: i64,
    pub modified: i64,
    pub lease: Option<Lease>,
    /// The committed block list, when the blob was made of blocks.
    pub blocks: Vec<(String, Block)>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Block {
    pub file: String,
    pub length: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub id: String,
    /// `None`: infinite. Milliseconds since 1970.
    pub expires: Option<i64>,
    /// Seconds, as asked for; `None` for infinite.
    pub duration: Option<i64>,
    /// When a break becomes effective.
    pub broken_at: Option<i64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub name: String,
    pub group: String,
    pub location: String,
    pub tags: Map<String, Value>,
    pub isolation_scope: Option<String>,
    pub principal_id: String,
    pub client_id: String,
    /// When role assignments may name it without `principalType`.
    pub replicated_at: i64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Assignment {
    pub id: String,
    pub name: String,
    pub scope: String,
    /// The role's bare GUID.
    pub role: String,
    /// As the client wrote it.
    pub role_definition_id: String,
    pub principal_id: String,
    pub principal_type: String,
    pub description: Option<String>,
    pub condition: Option<String>,
    pub condition_version: Option<String>,
    pub delegated_identity: Option<String>,
    pub created: i64,
    pub created_by: String,
    /// When data planes know of it.
    pub effective_at: i64,
}

/// A long-running operation that a client polls.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub pending: Pending,
    pub ends: Ending,
}

/// What a finished operation answers.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// 200 without a body.
    Empty,
    /// 200 with the storage account of that name.
    Account(String),
    /// 200 without a body, and the resource group of that key is gone.
    GroupGone(String),
}

impl Vault {
    pub(crate) fn flag(&self, property: &str) -> bool {
        self.properties
            .get(property)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }

    pub(crate) fn retention_days(&self) -> i64 {
        self.properties
            .get("softDeleteRetentionInDays")
            .and_then(Value::as_i64)
            .unwrap_or(90)
    }
}

impl State {
    /// A new ETag, quoted, such as `"0x8DC000000000001"`.
    pub(crate) fn next_etag(&mut self) -> String {
        self.changes += 1;
        format!("\"0x8DC{:012X}\"", self.changes)
    }
}
