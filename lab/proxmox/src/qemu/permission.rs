//! The privileges that single options of a VM's configuration need (notes of the vendor's access checks).

use crate::Proxmox;
use crate::access::Caller;
use crate::error::ApiError;
use crate::guest::Kind;
use crate::guest::drive::{File, is_drive, is_unused};
use crate::state::State;

const CPU: &[&str] = &[
    "cores",
    "cpu",
    "cpulimit",
    "cpuunits",
    "numa",
    "smp",
    "sockets",
    "vcpus",
    "allow-ksm",
];
const MEMORY: &[&str] = &["balloon", "memory", "shares"];
const HARDWARE: &[&str] = &[
    "acpi", "hotplug", "kvm", "machine", "scsihw", "smbios1", "tablet", "vga", "watchdog",
    "audio0", "bios", "rng0", "vmgenid",
];
const OPTIONS: &[&str] = &[
    "agent",
    "autostart",
    "description",
    "keyboard",
    "localtime",
    "migrate_downtime",
    "migrate_speed",
    "name",
    "onboot",
    "ostype",
    "protection",
    "reboot",
    "startdate",
    "tdf",
    "template",
    "tags",
];
const DISK: &[&str] = &["boot", "bootdisk", "vmstatestorage"];
const CLOUD_INIT: &[&str] = &[
    "cicustom",
    "cipassword",
    "citype",
    "ciuser",
    "ciupgrade",
    "nameserver",
    "searchdomain",
    "sshkeys",
];

/// Whose option it is and who wants to set it.
pub(crate) struct Change<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) node: &'a str,
    pub(crate) vmid: u32,
    /// A new VM's rights come from its pool, too.
    pub(crate) pool: Option<&'a str>,
    pub(crate) default_storage: Option<&'a str>,
}

impl Proxmox {
    /// Whether an option may be set to a value (or removed: `None`).
    pub(crate) fn may_set(
        &self,
        state: &State,
        change: &Change<'_>,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        if change.caller.is_root() {
            return Ok(());
        }
        let need = |privilege: &str| change.need(state, &[privilege]);
        let stem = crate::schema::numbered(key).map_or(key, |(stem, _)| stem);
        match key {
            _ if CPU.contains(&key) => need("VM.Config.CPU"),
            _ if MEMORY.contains(&key) => need("VM.Config.Memory"),
            _ if HARDWARE.contains(&key) => need("VM.Config.HWType"),
            _ if OPTIONS.contains(&key) => need("VM.Config.Options"),
            _ if DISK.contains(&key) => need("VM.Config.Disk"),
            _ if CLOUD_INIT.contains(&key) || stem == "ipconfig" => {
                change.need(state, &["VM.Config.Cloudinit", "VM.Config.Network"])
            }
            "startup" => {
                need("VM.Config.Options")?;
                state.need(change.caller, "/", &["Sys.Modify"])
            }
            "freeze" => need("VM.PowerMgmt"),
            "cdrom" => need("VM.Config.CDROM"),
            _ if is_unused(key) => need("VM.Config.Disk"),
            _ if is_drive(Kind::Qemu, key) => self.may_set_drive(state, change, key, value),
            _ if stem == "net" => self.may_set_net(state, change, key, value),
            _ if stem == "numa" => need("VM.Config.CPU"),
            _ if stem == "serial" && value.is_none_or(|v| v == "socket") => {
                need("VM.Config.HWType")
            }
            _ if stem == "virtiofs" => self.may_set_mapped(state, change, key, value, "dir"),
            _ if stem == "hostpci" => self.may_set_mapped(state, change, key, value, "pci"),
            _ if stem == "usb" => self.may_set_mapped(state, change, key, value, "usb"),
            _ => Err(ApiError::failure(format!(
                "only root can set '{key}' config"
            ))),
        }
    }

    fn may_set_drive(
        &self,
        state: &State,
        change: &Change<'_>,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        let Some(value) = value else {
            return change.need(state, &["VM.Config.Disk"]);
        };
        let drive = self.drive(Kind::Qemu, key, value)?;
        let cdrom = drive.is_cdrom() && !drive.is_cloudinit();
        change.need(
            state,
            &[if cdrom {
                "VM.Config.CDROM"
            } else {
                "VM.Config.Disk"
            }],
        )?;
        match drive.file(change.default_storage) {
            Ok(File::CloudInit { storage } | File::New { storage, .. }) => {
                state.need_space(change.caller, storage)?;
            }
            Ok(File::Volume(volid) | File::Path(volid)) => {
                state.may_use_volume(change.caller, change.node, volid, Some(change.vmid))?;
            }
            Ok(File::Nothing) if drive.properties.get("file") == Some("cdrom") => {
                state.need(change.caller, "/", &["Sys.Console"])?;
            }
            Ok(File::Nothing) => {}
            Err(text) => return Err(ApiError::failure(text)),
        }
        let Some(source) = drive.properties.get("import-from") else {
            return Ok(());
        };
        match state
            .volume(change.node, source)
            .filter(|v| v.content == "images")
            .and_then(|v| v.vmid)
        {
            Some(owner) => state.need(change.caller, &format!("/vms/{owner}"), &["VM.Clone"]),
            None => state.may_use_volume(change.caller, change.node, source, Some(change.vmid)),
        }
    }

    fn may_set_net(
        &self,
        state: &State,
        change: &Change<'_>,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), ApiError> {
        change.need(state, &["VM.Config.Network"])?;
        let Some(value) = value else { return Ok(()) };
        self.properties(Kind::Qemu, key, value)?;
        state.may_use_net(change.caller, value)
    }

    /// Devices of the host need root@pam, unless a mapping gives them out.
    fn may_set_mapped(
        &self,
        state: &State,
        change: &Change<'_>,
        key: &str,
        value: Option<&str>,
        kind: &str,
    ) -> Result<(), ApiError> {
        let root_only =
            || ApiError::failure(format!("only root can set '{key}' config for real devices"));
        change.need(state, &["VM.Config.HWType"])?;
        let Some(value) = value else { return Ok(()) };
        let device = self.properties(Kind::Qemu, key, value)?;
        match (
            device.get("mapping").or_else(|| device.get("dirid")),
            device.get("host"),
        ) {
            (Some(_), _) if device.get("romfile").is_some() => Err(root_only()),
            (Some(id), None) => state.need(
                change.caller,
                &format!("/mapping/{kind}/{id}"),
                &["Mapping.Use"],
            ),
            (None, Some(host)) if kind == "usb" && host.eq_ignore_ascii_case("spice") => Ok(()),
            _ => Err(root_only()),
        }
    }
}

impl Change<'_> {
    /// Any of these on the VM, or on the pool that it goes to.
    pub(crate) fn need(&self, state: &State, privileges: &[&str]) -> Result<(), ApiError> {
        let on_vm = state.need_any(self.caller, &format!("/vms/{}", self.vmid), privileges);
        match (on_vm, self.pool) {
            (Err(refusal), Some(pool)) => state
                .need_any(self.caller, &format!("/pool/{pool}"), privileges)
                .map_err(|_| refusal),
            (outcome, _) => outcome,
        }
    }
}
