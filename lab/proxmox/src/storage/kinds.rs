//! The types of storages: the options that a definition has, and what content and formats each can hold.

use crate::sections::Type;

/// What a type of storage can hold.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) content: &'static [&'static str],
    /// Of these, when the definition does not say.
    default_content: &'static [&'static str],
    /// The first is what a disk gets when nothing is said.
    pub(crate) formats: &'static [&'static str],
    /// The same on all nodes by its nature.
    pub(crate) shared: bool,
    /// Volumes are chosen, not made.
    pub(crate) select_existing: bool,
}

const FILES: &[&str] = &[
    "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import",
];
const FILES_OR_NONE: &[&str] = &[
    "images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import", "none",
];
const DISKS: &[&str] = &["images", "rootdir"];
const RAW: &[&str] = &["raw"];

const PLAIN: Kind = Kind {
    name: "",
    content: DISKS,
    default_content: DISKS,
    formats: RAW,
    shared: false,
    select_existing: false,
};
const NETWORK: Kind = Kind {
    content: FILES,
    default_content: &["images"],
    formats: &["raw", "qcow2", "vmdk"],
    shared: true,
    ..PLAIN
};
const TARGET: Kind = Kind {
    content: &["images", "none"],
    default_content: &["images"],
    shared: true,
    select_existing: true,
    ..PLAIN
};

const KINDS: &[Kind] = &[
    Kind {
        name: "dir",
        content: FILES_OR_NONE,
        formats: &["raw", "qcow2", "subvol", "vmdk"],
        ..PLAIN
    },
    Kind {
        name: "btrfs",
        content: FILES_OR_NONE,
        formats: &["raw", "subvol"],
        ..PLAIN
    },
    Kind {
        name: "nfs",
        ..NETWORK
    },
    Kind {
        name: "cifs",
        ..NETWORK
    },
    Kind {
        name: "cephfs",
        content: &["vztmpl", "iso", "backup", "snippets", "import"],
        default_content: &["backup"],
        ..NETWORK
    },
    Kind {
        name: "lvm",
        default_content: &["images"],
        formats: &["raw", "qcow2"],
        ..PLAIN
    },
    Kind {
        name: "lvmthin",
        ..PLAIN
    },
    Kind {
        name: "zfspool",
        formats: &["raw", "subvol"],
        ..PLAIN
    },
    Kind {
        name: "rbd",
        default_content: &["images"],
        shared: true,
        ..PLAIN
    },
    Kind {
        name: "pbs",
        content: &["backup", "none"],
        default_content: &["backup"],
        shared: true,
        ..PLAIN
    },
    Kind {
        name: "iscsi",
        ..TARGET
    },
    Kind {
        name: "iscsidirect",
        ..TARGET
    },
    Kind {
        name: "zfs",
        content: &["images"],
        default_content: &["images"],
        shared: true,
        ..PLAIN
    },
    Kind {
        name: "esxi",
        content: &["import"],
        default_content: &["import"],
        formats: &["raw", "qcow2", "vmdk"],
        ..PLAIN
    },
];

impl Kind {
    pub(crate) fn of(name: &str) -> &'static Kind {
        KINDS
            .iter()
            .find(|kind| kind.name == name)
            .unwrap_or(&PLAIN)
    }

    /// The content types of a definition; what the type cannot hold is left out.
    pub(crate) fn content(&self, given: Option<&str>) -> Result<Vec<&'static str>, String> {
        let Some(given) = given else {
            return Ok(self.default_content.to_vec());
        };
        let wanted =
            |content: &&&str| crate::schema::format::list(given).any(|name| name == **content);
        let found: Vec<&'static str> = self.content.iter().filter(wanted).copied().collect();
        match found.as_slice() {
            [] if !self.content.contains(&"none") => {
                Err("storage does not support content type 'none'".into())
            }
            [_, _, ..] if found.contains(&"none") => {
                Err("unable to combine 'none' with other content types".into())
            }
            _ => Ok(found),
        }
    }
}

/// Options of every type, of those with files, and of those with backups. A slice cannot be put together from others in a
/// constant, so a macro does.
macro_rules! options {
    ($($more:literal),*) => {
        &["nodes", "disable", "content", "bwlimit" $(, $more)*]
    };
    (files $($more:literal),*) => {
        options!(
            "path", "content-dirs", "prune-backups", "max-protected-backups", "format", "mkdir", "create-base-path",
            "create-subdirs", "preallocation", "snapshot-as-volume-chain" $(, $more)*
        )
    };
}

pub(super) const TYPES: &[Type] = &[
    Type {
        required: &["path"],
        optional: options!(files "shared", "is_mountpoint"),
        fixed: &["path", "snapshot-as-volume-chain"],
        ..Type::new("dir")
    },
    Type {
        required: &["path"],
        optional: &[
            "nodes",
            "shared",
            "disable",
            "prune-backups",
            "max-protected-backups",
            "content",
            "format",
            "is_mountpoint",
            "nocow",
            "mkdir",
            "create-base-path",
            "create-subdirs",
            "preallocation",
        ],
        fixed: &["path"],
        ..Type::new("btrfs")
    },
    // Their path has a default, so that it need not be given.
    Type {
        required: &["server", "export"],
        optional: options!(files "options"),
        fixed: &["path", "server", "export", "snapshot-as-volume-chain"],
        ..Type::new("nfs")
    },
    Type {
        required: &["server", "share"],
        optional: options!(files "options", "subdir", "username", "password", "domain", "smbversion"),
        fixed: &["path", "server", "share", "snapshot-as-volume-chain"],
        ..Type::new("cifs")
    },
    Type {
        required: &[],
        optional: &[
            "path",
            "content-dirs",
            "monhost",
            "nodes",
            "subdir",
            "disable",
            "options",
            "username",
            "content",
            "format",
            "mkdir",
            "create-base-path",
            "create-subdirs",
            "fuse",
            "bwlimit",
            "keyring",
            "prune-backups",
            "max-protected-backups",
            "fs-name",
        ],
        fixed: &["path"],
        ..Type::new("cephfs")
    },
    Type {
        required: &["vgname"],
        optional: options!(
            "shared",
            "saferemove",
            "saferemove-stepsize",
            "saferemove_throughput",
            "base",
            "tagged_only",
            "snapshot-as-volume-chain"
        ),
        fixed: &["vgname", "base"],
        ..Type::new("lvm")
    },
    Type {
        required: &["thinpool", "vgname"],
        optional: options!(),
        fixed: &["thinpool", "vgname"],
        ..Type::new("lvmthin")
    },
    Type {
        required: &["pool"],
        optional: options!("blocksize", "sparse", "mountpoint"),
        fixed: &["pool"],
        ..Type::new("zfspool")
    },
    Type {
        required: &[],
        optional: options!(
            "monhost",
            "pool",
            "data-pool",
            "namespace",
            "username",
            "krbd",
            "keyring"
        ),
        fixed: &[],
        ..Type::new("rbd")
    },
    Type {
        required: &["server", "datastore"],
        optional: &[
            "namespace",
            "port",
            "nodes",
            "disable",
            "content",
            "username",
            "password",
            "encryption-key",
            "master-pubkey",
            "prune-backups",
            "max-protected-backups",
            "fingerprint",
        ],
        fixed: &["server", "datastore"],
        ..Type::new("pbs")
    },
    Type {
        required: &["portal", "target"],
        optional: options!(),
        fixed: &["portal", "target"],
        ..Type::new("iscsi")
    },
    Type {
        required: &["portal", "target"],
        optional: options!(),
        fixed: &["portal", "target"],
        ..Type::new("iscsidirect")
    },
    Type {
        required: &["portal", "target", "pool", "blocksize", "iscsiprovider"],
        optional: options!(
            "nowritecache",
            "sparse",
            "comstar_hg",
            "comstar_tg",
            "lio_tpg",
            "zfs-base-path"
        ),
        fixed: &["portal", "target", "pool", "blocksize", "iscsiprovider"],
        ..Type::new("zfs")
    },
    Type {
        required: &["server", "username"],
        optional: &[
            "nodes",
            "shared",
            "disable",
            "content",
            "password",
            "skip-cert-verification",
            "port",
        ],
        fixed: &[],
        ..Type::new("esxi")
    },
];
