//! The two kinds of guests, and where Proxmox names them differently.

use serde::{Deserialize, Serialize};

use crate::Proxmox;
use crate::schema::spec::Spec;

/// A virtual machine or a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    #[default]
    Qemu,
    Lxc,
}

/// Parameters of creating and changing a VM that are not configuration.
const QEMU_ONLY: &[&str] = &[
    "archive",
    "background_delay",
    "bwlimit",
    "delete",
    "digest",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "node",
    "pool",
    "revert",
    "skiplock",
    "start",
    "storage",
    "unique",
    "vmid",
];

/// Parameters of creating and changing a container that are not configuration.
const LXC_ONLY: &[&str] = &[
    "bwlimit",
    "delete",
    "digest",
    "force",
    "ha-managed",
    "ignore-unpack-errors",
    "node",
    "ostemplate",
    "password",
    "pool",
    "restore",
    "revert",
    "ssh-public-keys",
    "start",
    "storage",
    "unique",
    "vmid",
];

impl Kind {
    /// Of a method such as `/nodes/{node}/lxc/{vmid}/config`.
    pub(crate) fn of_path(path: &str) -> Kind {
        match path.split('/').nth(3) {
            Some("lxc") => Kind::Lxc,
            _ => Kind::Qemu,
        }
    }

    /// As paths, resources and backups call it.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Kind::Qemu => "qemu",
            Kind::Lxc => "lxc",
        }
    }

    /// As messages call it.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Kind::Qemu => "VM",
            Kind::Lxc => "CT",
        }
    }

    /// The folder of its configuration files.
    pub(crate) fn folder(self) -> &'static str {
        match self {
            Kind::Qemu => "qemu-server",
            Kind::Lxc => "lxc",
        }
    }

    /// What its tasks' types begin with: `qmstart`, `vzstart`.
    pub(crate) fn task(self, verb: &str) -> String {
        match (self, verb) {
            (_, "resize") => "resize".to_owned(),
            (Kind::Qemu, "migrate") => "qmigrate".to_owned(),
            (Kind::Lxc, "move") => "move_volume".to_owned(),
            (Kind::Qemu, verb) => format!("qm{verb}"),
            (Kind::Lxc, verb) => format!("vz{verb}"),
        }
    }

    /// As the HA manager calls it.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Kind::Qemu => "vm",
            Kind::Lxc => "ct",
        }
    }

    pub(crate) fn lock_file(self, vmid: u32) -> String {
        match self {
            Kind::Qemu => format!("/var/lock/qemu-server/lock-{vmid}.conf"),
            Kind::Lxc => format!("/run/lock/lxc/pve-config-{vmid}.lock"),
        }
    }

    /// The content type that its disks are.
    pub(crate) fn content(self) -> &'static str {
        match self {
            Kind::Qemu => "images",
            Kind::Lxc => "rootdir",
        }
    }

    /// The complaint about a storage without that content type.
    pub(crate) fn wrong_storage(self, storage: &str) -> String {
        match self {
            Kind::Qemu => format!("storage '{storage}' does not support vm images"),
            Kind::Lxc => format!("storage '{storage}' does not support container directories"),
        }
    }

    /// The key of a drive's or mount point's property string that names its volume.
    pub(crate) fn volume_key(self) -> &'static str {
        match self {
            Kind::Qemu => "file",
            Kind::Lxc => "volume",
        }
    }

    /// The option that holds its name.
    pub(crate) fn name_key(self) -> &'static str {
        match self {
            Kind::Qemu => "name",
            Kind::Lxc => "hostname",
        }
    }

    /// The key of a network device's property string that holds its MAC address.
    pub(crate) fn mac_key(self) -> &'static str {
        match self {
            Kind::Qemu => "macaddr",
            Kind::Lxc => "hwaddr",
        }
    }

    /// The method whose parameters are the options of its configuration.
    fn create_path(self) -> &'static str {
        match self {
            Kind::Qemu => "/nodes/{node}/qemu",
            Kind::Lxc => "/nodes/{node}/lxc",
        }
    }

    /// Whether a parameter of creating or changing it is an option of its configuration.
    pub(crate) fn is_option(self, parameter: &str) -> bool {
        let others = match self {
            Kind::Qemu => QEMU_ONLY,
            Kind::Lxc => LXC_ONLY,
        };
        !others.contains(&parameter)
    }

    /// Keys of drives or mount points and how many of each there are, in the order in which PVE goes through them.
    pub(crate) fn drives(self) -> &'static [(&'static str, u32)] {
        match self {
            Kind::Qemu => &[
                ("ide", 4),
                ("scsi", 31),
                ("virtio", 16),
                ("sata", 6),
                ("efidisk", 1),
                ("tpmstate", 1),
            ],
            Kind::Lxc => &[("rootfs", 0), ("mp", 256)],
        }
    }
}

impl Proxmox {
    /// What the contract says of a configuration option, such as `net0`.
    pub(crate) fn option(&self, kind: Kind, key: &str) -> Option<&Spec> {
        kind.is_option(key)
            .then(|| self.api.option("POST", kind.create_path(), key))
            .flatten()
    }
}
