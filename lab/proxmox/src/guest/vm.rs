//! A guest as the cluster remembers it, and the guests of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::clone::is_net;
use super::{Kind, no_config};
use crate::access::Caller;
use crate::error::ApiError;
use crate::schema::property::plain;
use crate::state::State;
use crate::storage::parse_volid;

/// A virtual machine or container: its configuration as the file holds it, and whether it runs.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Vm {
    #[serde(default)]
    pub(crate) kind: Kind,
    pub(crate) node: String,
    pub(crate) config: BTreeMap<String, String>,
    /// What waits for the next start: a new value, or `None` for removal.
    pub(crate) pending: BTreeMap<String, Option<String>>,
    /// Drives whose pending removal also frees their volumes.
    #[serde(default)]
    pub(crate) forced: BTreeSet<String>,
    /// Lines for LXC itself (`lxc.idmap: u 0 100000 65536`), which only the file takes.
    #[serde(default)]
    pub(crate) raw: Vec<(String, String)>,
    /// The configuration's sections of snapshots, by name.
    #[serde(default)]
    pub(crate) snapshots: BTreeMap<String, BTreeMap<String, String>>,
    pub(crate) running: Option<Running>,
    /// The volume from which a guest last booted.
    pub(crate) booted_from: Option<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    /// Seconds since 1970.
    pub(crate) since: u64,
    /// Its processors stand still.
    #[serde(default)]
    pub(crate) paused: bool,
    /// Its file systems are frozen by its agent.
    #[serde(default)]
    pub(crate) frozen: bool,
}

impl Vm {
    /// A guest that is just being made: nothing but the lock.
    pub(crate) fn locked(kind: Kind, node: &str, lock: &str) -> Vm {
        Vm {
            kind,
            node: node.to_owned(),
            config: BTreeMap::from([("lock".to_owned(), lock.to_owned())]),
            pending: BTreeMap::new(),
            forced: BTreeSet::new(),
            raw: Vec::new(),
            snapshots: BTreeMap::new(),
            running: None,
            booted_from: None,
        }
    }

    /// Its network devices: key and value.
    pub(crate) fn nets(&self) -> impl Iterator<Item = (&String, &String)> {
        self.config.iter().filter(|(key, _)| is_net(key))
    }

    pub(crate) fn set_lock(&mut self, what: &str) {
        self.config.insert("lock".into(), what.into());
    }

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

    /// The configuration's section of a snapshot.
    pub(crate) fn snapshot(&self, name: &str) -> Result<&BTreeMap<String, String>, String> {
        self.snapshots
            .get(name)
            .ok_or_else(|| format!("snapshot '{name}' does not exist"))
    }

    pub(crate) fn is_template(&self) -> bool {
        self.config.get("template").is_some_and(|t| t == "1")
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.running.is_some() {
            "running"
        } else {
            "stopped"
        }
    }

    pub(crate) fn name(&self, vmid: u32) -> String {
        self.config
            .get(self.kind.name_key())
            .cloned()
            .unwrap_or_else(|| match self.kind {
                Kind::Qemu => format!("VM {vmid}"),
                Kind::Lxc => format!("CT{vmid}"),
            })
    }

    pub(crate) fn number(&self, key: &str, default: u64) -> u64 {
        self.config
            .get(key)
            .and_then(|v| v.trim_start_matches("current=").parse().ok())
            .unwrap_or(default)
    }

    /// Virtual processors; of a container without a limit, all that the node has (`host`).
    pub(crate) fn cpus(&self, host: u64) -> u64 {
        let set = |key: &str| self.config.get(key).and_then(|v| v.parse().ok());
        match self.kind {
            Kind::Qemu => set("vcpus").unwrap_or_else(|| {
                self.number("cores", 1)
                    .saturating_mul(self.number("sockets", 1))
            }),
            Kind::Lxc => set("cores").or_else(|| set("cpulimit")).unwrap_or(host),
        }
    }

    /// In bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.number("memory", 512).saturating_mul(1 << 20)
    }
}

impl State {
    /// A guest on a node, or PVE's complaint.
    pub(crate) fn vm(&self, node: &str, vmid: u32) -> Result<&Vm, String> {
        self.vms
            .get(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| no_config(Kind::Qemu, node, vmid))
    }

    pub(crate) fn vm_mut(&mut self, node: &str, vmid: u32) -> Result<&mut Vm, String> {
        self.vms
            .get_mut(&vmid)
            .filter(|vm| vm.node == node)
            .ok_or_else(|| no_config(Kind::Qemu, node, vmid))
    }

    /// Refuses an id that a guest of either kind has.
    pub(crate) fn check_vmid_unused(&self, vmid: u32) -> Result<(), String> {
        match self.vms.get(&vmid) {
            None => Ok(()),
            Some(vm) => Err(format!(
                "{} {vmid} already exists on node '{}'",
                vm.kind.noun(),
                vm.node
            )),
        }
    }

    pub(crate) fn join_pool(&mut self, pool: &str, vmid: u32) {
        if let Some(pool) = self.pools.get_mut(pool) {
            pool.vms.insert(vmid);
        }
    }

    /// Forgets a guest, but not its volumes.
    pub(crate) fn remove_vm(&mut self, vmid: u32) {
        self.vms.remove(&vmid);
        self.firewall.forget_guest(vmid);
        for pool in self.pools.values_mut() {
            pool.vms.remove(&vmid);
        }
    }

    /// Whether a volume is one that linked clones can stand on.
    pub(crate) fn is_base(&self, node: &str, volid: &str) -> bool {
        let name = volid.rsplit(['/', ':']).next().unwrap_or_default();
        (name.starts_with("base-") || name.starts_with("basevol-"))
            && self.volume(node, volid).is_some()
    }

    /// Gives a volume another name in its storage; `false` when there is none.
    pub(crate) fn rename_volume(
        &mut self,
        node: &str,
        storage: &str,
        old: &str,
        new: &str,
    ) -> bool {
        let Some(found) = self.storages.get_mut(storage) else {
            return false;
        };
        let volumes = found.volumes_mut(node);
        match volumes.remove(old) {
            None => false,
            Some(volume) => {
                volumes.insert(new.to_owned(), volume);
                true
            }
        }
    }

    /// The linked clones of a volume.
    pub(crate) fn clone_of<'a>(&'a self, node: &str, volid: &str) -> Option<&'a str> {
        let (storage, _) = parse_volid(volid)?;
        let mut all = self.storages.get(storage)?.volumes_of(node);
        all.find(|(_, child)| child.parent.as_deref() == Some(volid))
            .map(|(name, _)| name.as_str())
    }

    /// Whether a caller may connect a guest to the bridge of a network device.
    pub(crate) fn may_use_net(&self, caller: &Caller, net: &str) -> Result<(), ApiError> {
        let Some(bridge) = plain(net, "bridge") else {
            return Ok(());
        };
        let path = self.bridge_path(bridge);
        let path = match plain(net, "tag") {
            Some(tag) => format!("{path}/{tag}"),
            None => path,
        };
        self.need(caller, &path, &["SDN.Use"])
    }
}
