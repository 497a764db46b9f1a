//! Everything that the simulated cluster remembers; saved as one document.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stead_lab_core::machine::ImageLabel;

use crate::access::{Access, realms};
use crate::cluster::jobs::replicated::Run;
use crate::cluster::{acme, notifications, options};
use crate::firewall::Firewall;
use crate::guest::backup::Archive;
pub(crate) use crate::guest::vm::{Running, Vm};
use crate::node::Host;
use crate::now;
use crate::options::{NodeSpec, Options, Version};
use crate::release::Release;
use crate::sdn::Sdn;
use crate::sections::Sections;
use crate::task::Task;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) name: String,
    pub(crate) nodes: BTreeMap<String, NodeSpec>,
    pub(crate) storages: BTreeMap<String, Storage>,
    /// What lies in storages without a definition, by what they stand on.
    #[serde(default)]
    pub(crate) detached: BTreeMap<String, Volumes>,
    pub(crate) vms: BTreeMap<u32, Vm>,
    pub(crate) tasks: BTreeMap<String, Task>,
    pub(crate) pools: BTreeMap<String, Pool>,
    /// Configuration sections by file below /etc/pve.
    #[serde(default)]
    pub(crate) configs: BTreeMap<String, Sections>,
    /// The last run of each replication job.
    #[serde(default)]
    pub(crate) replicated: BTreeMap<String, Run>,
    /// Options of the whole cluster (datacenter.cfg).
    #[serde(default = "options::installed")]
    pub(crate) datacenter: BTreeMap<String, String>,
    /// While high availability is disarmed, what it does with its resources: `freeze` or `ignore`.
    #[serde(default)]
    pub(crate) ha_disarmed: Option<String>,
    /// What each node's disk remembers.
    #[serde(default)]
    pub(crate) hosts: BTreeMap<String, Host>,
    #[serde(default)]
    pub(crate) firewall: Firewall,
    #[serde(default)]
    pub(crate) sdn: Sdn,
    pub(crate) access: Access,
    /// Storages that faults have filled.
    #[serde(skip)]
    pub(crate) full: BTreeSet<String>,
    /// Privileges that faults have taken from everybody.
    #[serde(skip)]
    pub(crate) withheld: BTreeSet<String>,
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
    /// The folder of a storage with files.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// What it stands on, of its definition.
    #[serde(default)]
    pub(crate) source: String,
    /// By node (one entry, named ``, when shared), then by volume name such as `iso/x.img` or `vm-100-disk-0`.
    pub(crate) volumes: Volumes,
}

pub(crate) type Volumes = BTreeMap<String, BTreeMap<String, Volume>>;

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
    /// As it was, by snapshot.
    #[serde(default)]
    pub(crate) snapshots: BTreeMap<String, Frozen>,
    #[serde(default)]
    pub(crate) notes: Option<String>,
    /// Not to be deleted.
    #[serde(default)]
    pub(crate) protected: bool,
    /// Of a backup.
    #[serde(default)]
    pub(crate) archive: Option<Box<Archive>>,
}

impl Volume {
    /// A file or disk that holds nothing yet.
    pub(crate) fn new(content: &str, format: &str, size: u64) -> Volume {
        Volume {
            content: content.to_owned(),
            format: format.to_owned(),
            size,
            vmid: None,
            ctime: now(),
            label: None,
            text: None,
            parent: None,
            snapshots: BTreeMap::new(),
            notes: None,
            protected: false,
            archive: None,
        }
    }

    /// A disk of a guest.
    pub(crate) fn is_disk(&self) -> bool {
        matches!(self.content.as_str(), "images" | "rootdir")
    }
}

/// A volume as it was at a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Frozen {
    /// Counts up, so that the order of snapshots is known.
    pub(crate) number: u32,
    pub(crate) size: u64,
    pub(crate) label: Option<ImageLabel>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) comment: Option<String>,
    pub(crate) vms: BTreeSet<u32>,
    pub(crate) storages: Vec<String>,
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
            detached: BTreeMap::new(),
            vms: BTreeMap::new(),
            tasks: BTreeMap::new(),
            pools: BTreeMap::new(),
            configs: BTreeMap::new(),
            datacenter: options::installed(),
            replicated: BTreeMap::new(),
            ha_disarmed: None,
            hosts: BTreeMap::new(),
            firewall: Firewall::default(),
            sdn: Sdn::default(),
            access: Access::default(),
            full: BTreeSet::new(),
            withheld: BTreeSet::new(),
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
                path: None,
                source: String::new(),
                volumes: BTreeMap::new(),
            };
            state.storages.insert(spec.id.clone(), storage);
        }
        state.access = Access::new(options, state.bytes());
        realms::built_in(&mut state);
        notifications::built_in(&mut state);
        acme::built_in(&mut state);
        state
    }

    pub(crate) fn version(&self) -> Version {
        self.access.version
    }

    pub(crate) fn release(&self) -> &'static Release {
        Release::of(self.version())
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

    /// A MAC address with the cluster's prefix that no VM has.
    pub(crate) fn mac(&mut self) -> String {
        loop {
            let random = self.bytes();
            let mut mac = self.mac_prefix().to_ascii_uppercase();
            for byte in random.iter().take(5) {
                if mac.len() < "00:00:00:00:00:00".len() {
                    mac += &format!(":{byte:02X}");
                }
            }
            let nets = |vm: &Vm| {
                let mut nets = vm.config.range("net".to_owned().."neu".to_owned());
                nets.any(|(_, value)| value.contains(&mac))
            };
            if !self.vms.values().any(nets) {
                return mac;
            }
        }
    }
}
