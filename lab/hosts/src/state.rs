//! What a simulated host remembers: files, snaps, its cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stead_lab_core::files::{File, bytes};

/// Everything of all hosts, by name.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub hosts: BTreeMap<String, HostState>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct HostState {
    /// The SSH host key in OpenSSH's form; a host keeps it for life.
    pub host_key: String,
    pub files: BTreeMap<String, File>,
    pub snaps: BTreeMap<String, Snap>,
    pub microk8s: Option<MicroK8s>,
    /// Groups of the login user besides its own.
    pub groups: BTreeSet<String>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Snap {
    /// `1.32/stable`.
    pub channel: String,
    /// `v1.32.9`.
    pub version: String,
    pub revision: u32,
    pub classic: bool,
    pub held: bool,
    pub options: BTreeMap<String, String>,
}

/// MicroK8s on this host.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MicroK8s {
    pub running: bool,
    pub ca_certificate_pem: String,
    pub ca_key_pem: String,
    /// DER of the CA, whose SHA-256 joiners check.
    #[serde(with = "bytes")]
    pub ca_der: Vec<u8>,
    pub admin_certificate_pem: String,
    pub admin_key_pem: String,
    /// Name of the host whose cluster this is; the host's own name unless it joined another.
    pub cluster_of: String,
    pub worker: bool,
    /// Members of the cluster in the order of joining; kept by the host whose cluster it is.
    pub members: Vec<Member>,
    pub addons: BTreeMap<String, Vec<String>>,
    pub extra_sans: Vec<String>,
    /// Join tokens with their end in milliseconds since 1970; `None`: good for one use.
    pub tokens: BTreeMap<String, Option<i64>>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Member {
    pub host: String,
    pub address: String,
    pub worker: bool,
}
