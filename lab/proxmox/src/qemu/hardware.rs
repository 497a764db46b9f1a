//! What a VM's configuration means at power-on: the hardware that a guest finds.

use stead_lab_core::machine::{Disk, Hardware, Nic};

use super::{cloudinit, config};
use crate::Proxmox;
use crate::mapping;
use crate::options::PciDevice;
use crate::state::State;

/// The name by which guests are known to what lives in them.
pub(crate) fn machine_id(cluster: &str, vmid: u32) -> String {
    format!("{cluster}/{vmid}")
}

/// Hardware, the volume that it boots from, and the PCI devices that it takes.
pub(crate) struct Assembled {
    pub(crate) hardware: Hardware,
    pub(crate) boot_volume: Option<String>,
}

impl Proxmox {
    /// Puts the hardware of a VM together, or says why it can't start.
    pub(crate) fn assemble(&self, state: &State, vmid: u32) -> Result<Assembled, String> {
        let vm = state
            .vms
            .get(&vmid)
            .ok_or_else(|| format!("VM {vmid} does not exist"))?;
        let order = config::boot_order(&vm.config);
        let rank = |key: &str| {
            order
                .iter()
                .position(|device| device == key)
                .unwrap_or(order.len())
        };
        let mut drives: Vec<_> = self.drives(&vm.config).filter(|d| !d.is_cdrom()).collect();
        drives.retain(|d| d.key != "efidisk0" && d.key != "tpmstate0");
        drives.sort_by_key(|drive| rank(&drive.key));
        let (mut disks, mut boot_volume) = (Vec::new(), None);
        for drive in &drives {
            let volid = drive.volid().unwrap_or_default();
            let volume = state
                .volume(&vm.node, volid)
                .ok_or_else(|| format!("volume '{volid}' does not exist"))?;
            boot_volume = boot_volume.or_else(|| Some(volid.to_owned()));
            disks.push(Disk {
                interface: drive.key.clone(),
                size_bytes: volume.size,
                image: volume.label.clone(),
            });
        }
        // A CD with a label (an ISO image) boots like a disk, at its place in the order.
        for drive in self
            .drives(&vm.config)
            .filter(|d| d.is_cdrom() && !d.is_cloudinit())
        {
            let Some(volid) = drive.volid() else { continue };
            let volume = state
                .volume(&vm.node, volid)
                .ok_or_else(|| format!("volume '{volid}' does not exist"))?;
            disks.push(Disk {
                interface: drive.key.clone(),
                size_bytes: volume.size,
                image: volume.label.clone(),
            });
        }
        disks.sort_by_key(|disk| rank(&disk.interface));
        let devices = self.pci_devices(state, vmid)?;
        let agent = vm.config.get("agent").is_some_and(|a| agent_enabled(a));
        let hardware = Hardware {
            id: machine_id(&state.name, vmid),
            name: vm.name(vmid),
            cores: u32::try_from(vm.cpus()).unwrap_or(u32::MAX),
            memory_mib: vm.memory() >> 20,
            disks,
            nics: self.nics(state, vmid),
            cloud_init: cloudinit::of(self, state, vm)?,
            pci_devices: devices.into_iter().map(|device| device.id).collect(),
            agent_channel: agent,
        };
        Ok(Assembled {
            hardware,
            boot_volume,
        })
    }

    fn nics(&self, state: &State, vmid: u32) -> Vec<Nic> {
        let Some(vm) = state.vms.get(&vmid) else {
            return Vec::new();
        };
        let present = (0..32).filter_map(|n| {
            let key = format!("net{n}");
            let names = self.config_option(&key)?.properties()?;
            crate::schema::property::Properties::parse(names, vm.config.get(&key)?).ok()
        });
        let nic = |net: crate::schema::property::Properties| Nic {
            mac: net.get("macaddr").unwrap_or_default().to_owned(),
            bridge: net.get("bridge").unwrap_or_default().to_owned(),
            vlan: net.get("tag").and_then(|tag| tag.parse().ok()),
        };
        present.map(nic).collect()
    }

    /// The devices that a VM passes through; each may serve one running VM.
    pub(crate) fn pci_devices(&self, state: &State, vmid: u32) -> Result<Vec<PciDevice>, String> {
        let vm = state
            .vms
            .get(&vmid)
            .ok_or_else(|| format!("VM {vmid} does not exist"))?;
        let mut taken = Vec::new();
        for (other, running) in state
            .vms
            .iter()
            .filter(|(id, v)| **id != vmid && v.running.is_some() && v.node == vm.node)
        {
            let held = running
                .config
                .iter()
                .filter(|(key, _)| key.starts_with("hostpci"));
            for (key, value) in held {
                taken.extend(
                    self.candidates(state, &vm.node, key, value)?
                        .first()
                        .cloned()
                        .map(|d| (d.address, *other)),
                );
            }
        }
        let mut found: Vec<PciDevice> = Vec::new();
        for (key, value) in vm
            .config
            .iter()
            .filter(|(key, _)| key.starts_with("hostpci"))
        {
            let candidates = self.candidates(state, &vm.node, key, value)?;
            let free = candidates.iter().find(|d| {
                !taken.iter().any(|(address, _)| *address == d.address)
                    && !found.iter().any(|f| f.address == d.address)
            });
            match (free, candidates.first()) {
                (Some(device), _) => found.push(device.clone()),
                (None, Some(device)) => {
                    let owner = taken
                        .iter()
                        .find(|(address, _)| *address == device.address)
                        .map_or(vmid, |(_, vm)| *vm);
                    return Err(format!(
                        "PCI device '{}' already in use by VMID '{owner}'",
                        device.address
                    ));
                }
                (None, None) => return Err(format!("no PCI device found for '{key}'")),
            }
        }
        Ok(found)
    }

    /// The devices that a `hostpciN` can mean on a node.
    fn candidates(
        &self,
        state: &State,
        node: &str,
        key: &str,
        value: &str,
    ) -> Result<Vec<PciDevice>, String> {
        let names = self.config_option(key).and_then(|spec| spec.properties());
        let names = names.ok_or_else(|| format!("unable to parse '{key}'"))?;
        let device = crate::schema::property::Properties::parse(names, value)?;
        if let Some(id) = device.get("mapping") {
            return mapping::resolve(state, id, node);
        }
        let host = device.get("host").unwrap_or_default();
        let all = state
            .nodes
            .get(node)
            .map(|n| n.pci.as_slice())
            .unwrap_or_default();
        let found = all
            .iter()
            .find(|d| mapping::same_device(&d.address, host))
            .cloned();
        found
            .map(|d| vec![d])
            .ok_or_else(|| format!("no PCI device found for '{host}'"))
    }
}

/// `1`, `enabled=1,…`
pub(crate) fn agent_enabled(value: &str) -> bool {
    let on = |text: &str| crate::schema::property::boolean(text) == Some(true);
    value
        .split(',')
        .any(|part| on(part.strip_prefix("enabled=").unwrap_or(part)))
}
