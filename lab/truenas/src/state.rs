//! What the simulated appliance remembers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// By id (`tank/a`); the pool's root dataset too.
    pub datasets: BTreeMap<String, Dataset>,
    pub shares: BTreeMap<i64, Map<String, Value>>,
    pub last_share: i64,
    pub services: BTreeMap<String, Service>,
    /// Ids of API keys that came over an insecure connection.
    pub revoked_keys: BTreeSet<i64>,
    /// Files and directories below `/mnt` with their permissions; mountpoints too.
    pub nodes: BTreeMap<String, Node>,
    /// Milliseconds since 1970 of the first start.
    pub installed: i64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Dataset {
    /// `FILESYSTEM` or `VOLUME`.
    pub kind: String,
    /// Properties set here, by the API's name, raw as ZFS writes them.
    pub local: BTreeMap<String, String>,
    pub user_properties: BTreeMap<String, String>,
    /// Seconds since 1970.
    pub created: i64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Service {
    pub enabled: bool,
    pub running: bool,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Node {
    pub uid: i64,
    pub gid: i64,
    /// Permission bits.
    pub mode: u32,
    /// Whether there is an ACL beyond the mode.
    pub acl: bool,
    pub created: i64,
}

impl Node {
    /// A directory as root makes it.
    pub(crate) fn directory(created: i64) -> Node {
        Node {
            uid: 0,
            gid: 0,
            mode: 0o755,
            acl: false,
            created,
        }
    }
}
