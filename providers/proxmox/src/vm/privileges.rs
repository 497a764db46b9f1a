//! The privileges that a machine takes, by what is sent for it (`PVE::API2::Qemu`, `check_vm_modify_config_perm` and its neighbours).

use crate::privilege::{Need, guest_path};
use crate::table::Change;
use crate::vm::encode::settings;
use crate::vm::schema::{Disk, Vm};

const ALLOCATE: &[&str] = &["VM.Allocate"];
const CLONE: &[&str] = &["VM.Clone"];
const DISK: &[&str] = &["VM.Config.Disk"];
const MIGRATE: &[&str] = &["VM.Migrate"];
const POWER: &[&str] = &["VM.PowerMgmt"];
const SPACE: &[&str] = &["Datastore.AllocateSpace"];
/// To read a disc or an image that is there.
const READ: &[&str] = &["Datastore.AllocateSpace", "Datastore.Audit"];
const USE_MAPPING: &[&str] = &["Mapping.Use"];

/// Settings by their name without a number. What is not here, root@pam alone may set, which is checked elsewhere.
const SETTINGS: &[(&[&str], &[&str])] = &[
    (
        &["VM.Config.CPU"],
        &[
            "cores", "cpu", "cpulimit", "cpuunits", "numa", "sockets", "vcpus",
        ],
    ),
    (&["VM.Config.Memory"], &["balloon", "memory", "shares"]),
    (
        &["VM.Config.HWType"],
        &[
            "acpi", "audio", "hotplug", "kvm", "machine", "scsihw", "serial", "smbios", "tablet",
            "vga", "watchdog", "hostpci", "usb", "virtiofs",
        ],
    ),
    // One in some versions, the other in others.
    (&["VM.Config.HWType", "VM.Config.Options"], &["bios"]),
    (
        &["VM.Config.Options"],
        &[
            "agent",
            "description",
            "keyboard",
            "localtime",
            "name",
            "onboot",
            "ostype",
            "protection",
            "startup",
            "tags",
        ],
    ),
    (DISK, &["boot"]),
    (&["VM.Config.Network"], &["net"]),
    (
        &["VM.Config.Cloudinit", "VM.Config.Network"],
        &[
            "cicustom",
            "cipassword",
            "citype",
            "ciupgrade",
            "ciuser",
            "ipconfig",
            "nameserver",
            "searchdomain",
            "sshkeys",
        ],
    ),
];

fn of_setting(key: &str) -> Option<&'static [&'static str]> {
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let row = SETTINGS.iter().find(|(_, keys)| keys.contains(&stem));
    row.map(|(privileges, _)| *privileges)
}

fn storage(name: &str, privileges: &'static [&'static str]) -> Option<Need> {
    (!name.is_empty()).then(|| Need::on(format!("/storage/{name}"), privileges))
}

/// The storage of a volume `STORAGE:NAME`.
fn storage_of(volume: &str) -> &str {
    volume.split_once(':').map_or("", |(storage, _)| storage)
}

/// What a new volume of a disk takes, and what it is copied from.
fn of_disk(disk: &Disk) -> impl Iterator<Item = Need> {
    let new = disk
        .path_in_datastore
        .is_empty()
        .then_some(disk.datastore_id.as_str());
    // The images of other machines are a matter of these machines.
    let source = [&disk.import_from, &disk.file_id]
        .into_iter()
        .find(|v| v.contains(":import/") || v.contains(":iso/"));
    let new = new.and_then(|name| storage(name, SPACE));
    new.into_iter()
        .chain(source.and_then(|volume| storage(storage_of(volume), READ)))
}

/// The hardware mappings by which a machine takes devices of its node: type and name.
pub(crate) fn mappings(vm: &Vm) -> Vec<(&'static str, &str)> {
    let pci = vm.hostpci.iter().map(|d| ("pci", d.mapping.as_str()));
    let usb = vm.usb.iter().map(|d| ("usb", d.mapping.as_str()));
    let dir = vm.virtiofs.iter().map(|d| ("dir", d.mapping.as_str()));
    pci.chain(usb)
        .chain(dir)
        .filter(|(_, name)| !name.is_empty())
        .collect()
}

/// What making it takes. Of a clone only what every clone takes: what it has to become otherwise than its template is not known yet.
pub(crate) fn of_new(vm: &Vm) -> Vec<Need> {
    let path = guest_path(vm.vm_id);
    let pool = (!vm.pool_id.is_empty()).then(|| format!("/pool/{}", vm.pool_id));
    let here = |privileges| Need::on(path.clone(), privileges).or_on(pool.clone());
    let mut needs = vec![here(ALLOCATE)];
    if vm.started && !vm.template {
        needs.push(here(POWER));
    }
    if let Some(from) = &vm.clone {
        if from.vm_id > 0 {
            needs.push(Need::on(guest_path(Some(from.vm_id)), CLONE));
        }
        needs.extend(storage(&from.datastore_id, SPACE));
        return needs;
    }
    let all = settings(vm);
    needs.extend(all.keys().filter_map(|key| of_setting(key)).map(here));
    if all.contains_key("startup") {
        needs.push(Need::on("/", &["Sys.Modify"]));
    }
    let small = [
        vm.efi_disk.as_ref().map(|e| &e.datastore_id),
        vm.tpm_state.as_ref().map(|t| &t.datastore_id),
        vm.initialization.as_ref().map(|i| &i.datastore_id),
    ];
    let small: Vec<_> = small.into_iter().flatten().collect();
    if !vm.disk.is_empty() || !small.is_empty() {
        needs.push(here(DISK));
    }
    needs.extend(vm.disk.iter().flat_map(of_disk));
    needs.extend(small.into_iter().filter_map(|name| storage(name, SPACE)));
    if let Some(disc) = &vm.cdrom {
        needs.push(here(&["VM.Config.CDROM"]));
        needs.extend(storage(storage_of(&disc.file_id), READ));
    }
    needs.extend(
        mappings(vm)
            .into_iter()
            .map(|(kind, name)| Need::on(format!("/mapping/{kind}/{name}"), USE_MAPPING)),
    );
    needs
}

/// What changing it takes. A machine has the privileges of its pool by itself.
pub(crate) fn of_change(id: i64, old: &Vm, new: &Vm) -> Vec<Need> {
    let here = |privileges| Need::on(guest_path(Some(id)), privileges);
    let change = Change::between(&settings(old), &settings(new));
    let mut needs: Vec<Need> = change.keys().filter_map(of_setting).map(here).collect();
    if old.started != new.started {
        needs.push(here(POWER));
    }
    if new.migrate && old.node_name != new.node_name {
        needs.push(here(MIGRATE));
    }
    if new.template && !old.template {
        needs.push(here(ALLOCATE));
    }
    for disk in &new.disk {
        let before = old.disk.iter().find(|d| d.interface == disk.interface);
        match before {
            Some(before)
                if before.size == disk.size && before.datastore_id == disk.datastore_id => {}
            // A volume grows where it is.
            Some(before) if before.datastore_id == disk.datastore_id => needs.push(here(DISK)),
            _ => {
                needs.push(here(DISK));
                needs.extend(of_disk(disk));
            }
        }
    }
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::schema::CloneFrom;

    fn disk(size: i64) -> Disk {
        Disk {
            interface: "scsi0".into(),
            datastore_id: "fast".into(),
            size,
            ..Disk::default()
        }
    }

    #[test]
    fn a_new_machine_takes_what_its_settings_and_storages_take() {
        let vm = Vm {
            vm_id: Some(100),
            disk: vec![Disk {
                import_from: "local:import/a.qcow2".into(),
                ..disk(8)
            }],
            pool_id: "web".into(),
            started: true,
            ..Vm::default()
        };
        let needs = of_new(&vm);
        let here = |privileges| Need::on("/vms/100", privileges).or_on(Some("/pool/web".into()));
        for need in [
            here(ALLOCATE),
            here(POWER),
            here(DISK),
            here(&["VM.Config.CPU"]),
            Need::on("/storage/fast", SPACE),
            Need::on("/storage/local", READ),
        ] {
            assert!(needs.contains(&need), "{need:?}");
        }
        assert!(!needs.contains(&Need::on("/", &["Sys.Modify"])));
    }

    #[test]
    fn a_clone_takes_its_template_and_a_place() {
        let clone = CloneFrom {
            vm_id: 900,
            datastore_id: "fast".into(),
            ..CloneFrom::default()
        };
        let vm = Vm {
            clone: Some(clone),
            ..Vm::default()
        };
        let expected = [
            Need::on("/vms/", ALLOCATE),
            Need::on("/vms/900", CLONE),
            Need::on("/storage/fast", SPACE),
        ];
        assert_eq!(of_new(&vm), expected);
    }

    #[test]
    fn a_change_takes_what_changes() {
        let old = Vm {
            disk: vec![disk(8)],
            ..Vm::default()
        };
        let new = Vm {
            disk: vec![disk(9)],
            name: "web".into(),
            ..Vm::default()
        };
        let expected = [
            Need::on("/vms/7", &["VM.Config.Options"]),
            Need::on("/vms/7", DISK),
        ];
        assert_eq!(of_change(7, &old, &new), expected);
        assert_eq!(of_change(7, &new, &new), []);
    }
}
