//! Everything that the simulated cluster remembers; saved as one document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stead_lab_core::machine::ImageLabel;

use crate::access::Access;
use crate::options::{NodeSpec, Options};
use crate::task::Task;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) nodes: BTreeMap<String, NodeSpec>,
    pub(crate) storages: BTreeMap<String, Storage>,
    pub(crate) vms: BTreeMap<u32, Vm>,
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) pools: BTreeMap<String, Pool>,
    /// By id; values as the API shows them.
    pub(crate) pci_mappings: BTreeMap<String, PciMapping>,
    pub(crate) access: Access,
    /// Makes process ids, so that they are never used twice.
    pub(crate) last_pid: u32,
    /// State of the generator of MACs and UUIDs.
    random: u64,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Storage {
    pub(crate) kind: String,
    pub(crate) content: Vec<String>,
    pub(crate) capacity: u64,
    pub(crate) shared: bool,
    pub(crate) disabled: bool,
    pub(crate) nodes: Vec<String>,
    /// By node (one entry, named ``, when shared), then by volume name such as `iso/x.img` or `vm-100-disk-0`.
    pub(crate) volumes: BTreeMap<String, BTreeMap<String, Volume>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) content: String,
    pub(crate) format: String,
    /// In bytes; of a disk, the size that the guest sees.
    pub(crate) size: u64,
    pub(crate) vmid: Option<u32>,
    /// When it was made, in seconds since 1970.
    pub(crate) ctime: u64,
    /// What it holds.
    pub(crate) label: Option<ImageLabel>,
    /// Of a snippet.
    pub(crate) text: Option<String>,
    /// The template's volume on which a linked clone stands.
    pub(crate) parent: Option<String>,
}

/// A virtual machine: its configuration as the file holds it, and whether it runs.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Vm {
    pub(crate) node: String,
    pub(crate) config: BTreeMap<String, String>,
    /// What waits for the next start: a new value, or `None` for removal.
    pub(crate) pending: BTreeMap<String, Option<String>>,
    pub(crate) running: Option<Running>,
    /// The volume from which a guest last booted.
    pub(crate) booted_from: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    /// Seconds since 1970.
    pub(crate) since: u64,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) comment: Option<String>,
    pub(crate) vms: Vec<u32>,
    pub(crate) storages: Vec<String>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct PciMapping {
    pub(crate) description: Option<String>,
    pub(crate) mdev: bool,
    pub(crate) live_migration_capable: bool,
    /// Property strings, as they came.
    pub(crate) map: Vec<String>,
}

impl State {
    pub(crate) fn new(options: &Options, seed: u64) -> State {
        let mut state = State {
            name: options.name.clone(),
            nodes: options
                .nodes
                .iter()
                .map(|n| (n.name.clone(), n.clone()))
                .collect(),
            storages: BTreeMap::new(),
            vms: BTreeMap::new(),
            tasks: BTreeMap::new(),
            pools: BTreeMap::new(),
            pci_mappings: BTreeMap::new(),
            access: Access::default(),
            last_pid: 1000,
            random: seed,
        };
        for spec in &options.storages {
            let storage = Storage {
                kind: spec.kind.clone(),
                content: spec.content.clone(),
                capacity: spec.capacity,
                shared: spec.shared,
                disabled: false,
                nodes: spec.nodes.clone(),
                volumes: BTreeMap::new(),
            };
            state.storages.insert(spec.id.clone(), storage);
        }
        state.access = Access::new(options, state.bytes());
        state
    }

    /// A VM on a node, or PVE's complaint.
    pub(crate) fn vm(&self, node: &str, vmid: u32) -> Result<&Vm, String> {
        self.vms
            .get(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| no_config(node, vmid))
    }

    pub(crate) fn vm_mut(&mut self, node: &str, vmid: u32) -> Result<&mut Vm, String> {
        self.vms
            .get_mut(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| no_config(node, vmid))
    }

    /// The pool of a VM.
    pub(crate) fn pool_of(&self, vmid: u32) -> Option<&str> {
        self.pools
            .iter()
            .find(|(_, pool)| pool.vms.contains(&vmid))
            .map(|(id, _)| id.as_str())
    }

    pub(crate) fn next_pid(&mut self) -> u32 {
        self.last_pid += 1;
        self.last_pid
    }

    /// Repeatable random bytes (SplitMix64).
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let mut word = || {
            self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.random;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            u128::from(z ^ (z >> 31))
        };
        ((word() << 64) | word()).to_be_bytes()
    }

    pub(crate) fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.bytes())
            .into_uuid()
            .to_string()
    }

    /// A MAC address with the vendor's prefix that no VM has.
    pub(crate) fn mac(&mut self) -> String {
        loop {
            let [a, b, c, ..] = self.bytes();
            let mac = format!("BC:24:11:{a:02X}:{b:02X}:{c:02X}");
            if !self
                .vms
                .values()
                .any(|vm| vm.config.values().any(|value| value.contains(&mac)))
            {
                return mac;
            }
        }
    }
}

fn no_config(node: &str, vmid: u32) -> String {
    format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")
}

impl Vm {
    /// The configuration as it will be after the next start; what the API shows unless asked for the current one.
    pub(crate) fn merged(&self) -> BTreeMap<String, String> {
        let mut config = self.config.clone();
        for (key, value) in &self.pending {
            match value {
                Some(value) => drop(config.insert(key.clone(), value.clone())),
                None => drop(config.remove(key)),
            }
        }
        config
    }

    pub(crate) fn is_template(&self) -> bool {
        self.config.get("template").is_some_and(|t| t == "1")
    }

    pub(crate) fn name(&self, vmid: u32) -> String {
        self.config
            .get("name")
            .cloned()
            .unwrap_or_else(|| format!("VM {vmid}"))
    }

    pub(crate) fn number(&self, key: &str, default: u64) -> u64 {
        self.config
            .get(key)
            .and_then(|v| v.trim_start_matches("current=").parse().ok())
            .unwrap_or(default)
    }

    pub(crate) fn cpus(&self) -> u64 {
        self.config
            .get("vcpus")
            .and_then(|v| v.parse().ok())
            .unwrap_or_else(|| {
                self.number("cores", 1)
                    .saturating_mul(self.number("sockets", 1))
            })
    }

    /// In bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.number("memory", 512).saturating_mul(1 << 20)
    }
}
