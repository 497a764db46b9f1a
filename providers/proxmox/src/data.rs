//! Data sources: the nodes of the cluster, and the server's version.

use serde_json::Value as Json;
use stead_sdk::form::Unreadable;
use stead_sdk::{DataSource, Form};

use crate::client::{number, text};
use crate::rest::{Hooks, rest};

/// The nodes of the cluster, one list per property, by name.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_virtual_environment_nodes")]
pub(crate) struct Nodes {
    /// Always `nodes`.
    #[attr(optional, computed)]
    id: String,
    /// Processors; 1 of a node that is offline.
    #[attr(computed)]
    #[form(skip)]
    cpu_count: Vec<i64>,
    /// The part of all processors that is in use, in hundredths.
    #[attr(computed)]
    #[form(skip)]
    cpu_utilization: Vec<f64>,
    /// Memory in bytes.
    #[attr(computed)]
    #[form(rows = "maxmem")]
    memory_available: Vec<i64>,
    /// Memory in use, in bytes.
    #[attr(computed)]
    #[form(rows = "mem")]
    memory_used: Vec<i64>,
    /// The nodes' names.
    #[attr(computed)]
    #[form(rows = "node")]
    names: Vec<String>,
    /// Whether they are online.
    #[attr(computed)]
    #[form(skip)]
    online: Vec<bool>,
    /// The fingerprints of their certificates.
    #[attr(computed)]
    #[form(rows = "ssl_fingerprint")]
    ssl_fingerprints: Vec<String>,
    /// Their subscriptions.
    #[attr(computed)]
    #[form(rows = "level")]
    support_levels: Vec<String>,
    /// For how many seconds they have been up.
    #[attr(computed)]
    #[form(rows = "uptime")]
    uptime: Vec<i64>,
}

/// The processors' load as the published provider has it: a part of 1, in hundredths.
fn utilization(row: &Json) -> f64 {
    let load = text(row, "cpu").and_then(|text| text.parse::<f64>().ok());
    (load.unwrap_or(0.0) * 100.0).round() / 100.0
}

impl Hooks for Nodes {
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let rows = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let count = |row| number(row, "maxcpu").unwrap_or(1);
        self.cpu_count = rows.iter().map(count).collect();
        self.cpu_utilization = rows.iter().map(utilization).collect();
        let is_online = |row| text(row, "status").as_deref() == Some("online");
        self.online = rows.iter().map(is_online).collect();
        Ok(true)
    }
}

/// A node of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_virtual_environment_node")]
pub(crate) struct Node {
    /// The node's name.
    #[attr(optional, computed)]
    id: String,
    /// The cores of each processor.
    #[attr(computed)]
    #[form(name = "cpuinfo/cores")]
    cpu_cores: i64,
    /// Processors, counted by threads.
    #[attr(computed)]
    #[form(name = "cpuinfo/cpus")]
    cpu_count: i64,
    /// What the processors are called.
    #[attr(computed)]
    #[form(name = "cpuinfo/model")]
    cpu_model: String,
    /// Sockets with a processor.
    #[attr(computed)]
    #[form(name = "cpuinfo/sockets")]
    cpu_sockets: i64,
    /// The part of all processors that is in use, in hundredths.
    #[attr(computed)]
    #[form(skip)]
    cpu_utilization: f64,
    /// Memory that is free, in bytes.
    #[attr(computed)]
    #[form(name = "memory/free")]
    memory_available: i64,
    /// Memory in bytes.
    #[attr(computed)]
    #[form(name = "memory/total")]
    memory_total: i64,
    /// Memory in use, in bytes.
    #[attr(computed)]
    #[form(name = "memory/used")]
    memory_used: i64,
    /// The node's name.
    #[attr(required)]
    #[form(path)]
    node_name: String,
    /// For how many seconds it has been up.
    #[attr(computed)]
    uptime: i64,
}

impl Hooks for Node {
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        self.cpu_utilization = utilization(answer);
        Ok(true)
    }
}

/// The version of the server.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_version",
    alias = "proxmox_virtual_environment_version"
)]
pub(crate) struct Version {
    /// Always `version`.
    #[attr(computed)]
    id: String,
    /// The main version, `9.0`.
    #[attr(computed)]
    release: String,
    /// The state of the sources it was made of.
    #[attr(computed)]
    #[form(name = "repoid")]
    repository_id: String,
    /// The whole version, `9.0.3`.
    #[attr(computed)]
    version: String,
}

rest! {
    data Nodes with hooks { what: "nodes", item: "/nodes", id: "nodes", sorted_by: "node" }
    data Node with hooks { what: "node", item: "/nodes/{node_name}/status", id: "{node_name}" }
    data Version { what: "version", item: "/version", id: "version" }
}
