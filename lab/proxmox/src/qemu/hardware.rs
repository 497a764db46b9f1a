//! What a VM's configuration means at power-on: the hardware that a guest finds.

use stead_lab_core::machine::{Disk, Hardware, Nic};

use super::{boot, cloudinit};
use crate::Proxmox;
use crate::cluster::mapping;
use crate::guest::Kind;
use crate::guest::drive::Drive;
use crate::options::PciDevice;
use crate::schema::property::{Properties, boolean};
use crate::state::{State, Vm, Volume};

/// The name by which guests are known to what lives in them.
pub(crate) fn machine_id(cluster: &str, vmid: u32) -> String {
    format!("{cluster}/{vmid}")
}

/// A drive as what runs sees it, and the volume that it is.
pub(crate) fn disk<'a>(
    state: &'a State,
    vm: &Vm,
    drive: &Drive,
) -> Result<(Disk, &'a Volume), String> {
    let volid = drive.volid().unwrap_or_default();
    let volume = state
        .volume(&vm.node, volid)
        .ok_or_else(|| format!("volume '{volid}' does not exist"))?;
    let disk = Disk {
        interface: drive.key.clone(),
        size_bytes: volume.size,
        image: volume.label.clone(),
    };
    Ok((disk, volume))
}

/// Hardware, and the volume that it boots from.
pub(crate) struct Assembled {
    pub(crate) hardware: Hardware,
    pub(crate) boot_volume: Option<String>,
}

impl Proxmox {
    /// Puts the hardware of a VM together, or says why it can't start.
    pub(crate) fn assemble_vm(&self, state: &State, vmid: u32) -> Result<Assembled, String> {
        let vm = state
            .vms
            .get(&vmid)
            .ok_or_else(|| format!("VM {vmid} does not exist"))?;
        let order = boot::boot_order(&vm.config);
        let rank = |key: &str| {
            order
                .iter()
                .position(|device| device == key)
                .unwrap_or(order.len())
        };
        // A CD with a label (an ISO image) boots like a disk, at its place in the order.
        let bootable = |drive: &Drive| match drive.is_cdrom() {
            true => drive.volid().is_some() && !drive.is_cloudinit(),
            false => drive.key != "efidisk0" && drive.key != "tpmstate0",
        };
        let drives = self.drives(Kind::Qemu, &vm.config).filter(bootable);
        let mut drives: Vec<Drive> = drives.collect();
        drives.sort_by_key(|drive| (rank(&drive.key), drive.is_cdrom()));
        let disks = drives.iter().map(|drive| Ok(disk(state, vm, drive)?.0));
        let disks = disks.collect::<Result<Vec<Disk>, String>>()?;
        let boot_volume = drives.iter().find(|drive| !drive.is_cdrom());
        let boot_volume = boot_volume.and_then(Drive::volid).map(str::to_owned);
        let devices = self.pci_devices(state, vmid)?;
        let hardware = Hardware {
            id: machine_id(&state.name, vmid),
            name: vm.name(vmid),
            cores: u32::try_from(vm.cpus(1)).unwrap_or(u32::MAX),
            memory_mib: vm.memory() >> 20,
            disks,
            nics: self.nics(vm),
            cloud_init: cloudinit::of(self, state, vm)?,
            pci_devices: devices.into_iter().map(|device| device.id).collect(),
            agent_channel: agent_enabled(vm),
        };
        Ok(Assembled {
            hardware,
            boot_volume,
        })
    }

    pub(crate) fn nics(&self, vm: &Vm) -> Vec<Nic> {
        let present = (0..32).filter_map(|n| {
            let key = format!("net{n}");
            self.properties(vm.kind, &key, vm.config.get(&key)?).ok()
        });
        let nic = |net: Properties| Nic {
            mac: net.get(vm.kind.mac_key()).unwrap_or_default().to_owned(),
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
        let device = self.properties(Kind::Qemu, key, value)?;
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

/// `agent: 1`, `agent: enabled=1,…`
pub(crate) fn agent_enabled(vm: &Vm) -> bool {
    let on = |text: &str| boolean(text) == Some(true);
    let parts = vm
        .config
        .get("agent")
        .into_iter()
        .flat_map(|v| v.split(','));
    parts
        .map(|part| part.strip_prefix("enabled=").unwrap_or(part))
        .any(on)
}
