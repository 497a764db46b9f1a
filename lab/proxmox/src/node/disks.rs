//! A node's disks, and what was made of them: volume groups, ZFS pools, mounted folders.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sections::Section;

const GIB: u64 = 1 << 30;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Disks {
    /// By path, such as `/dev/sda`.
    pub(super) devices: BTreeMap<String, Device>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) pools: BTreeMap<String, Pool>,
    /// By name: mounted at `/mnt/pve/NAME`.
    pub(super) folders: BTreeMap<String, Folder>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Device {
    pub(super) size: u64,
    /// `ssd`, `hdd` or `nvme`.
    pub(super) kind: String,
    pub(super) model: String,
    pub(super) serial: String,
    /// `LVM`, `ZFS`, a file system's name; nothing for a disk that is free.
    pub(super) used: Option<String>,
    pub(super) gpt: bool,
}

/// An LVM volume group.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) disks: Vec<String>,
    /// Names and sizes.
    pub(crate) thin_pools: BTreeMap<String, u64>,
    /// Other logical volumes, such as the node's root.
    pub(super) volumes: u32,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(super) disks: Vec<String>,
    /// `single`, `mirror`, `raidz2`, …
    pub(super) level: String,
    pub(super) compression: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Folder {
    pub(super) device: String,
    pub(super) filesystem: String,
    pub(super) uuid: String,
}

/// Disks that nobody uses, for whoever wants to make something of them.
const SPARE: &[&str] = &["sdb", "sdc", "sdd", "sde"];

impl Disks {
    /// A system disk with the installer's volume group, a fast one with a pool, and spares.
    pub(super) fn installed() -> Disks {
        let device = |name: &str, gib: u64, kind: &str, used: Option<&str>| Device {
            size: gib * GIB,
            kind: kind.to_owned(),
            model: if kind == "nvme" {
                "Samsung SSD 980 PRO 2TB"
            } else {
                "Samsung SSD 870 EVO 1TB"
            }
            .to_owned(),
            serial: format!("S6PNNS0T{}", name.to_ascii_uppercase()),
            used: used.map(str::to_owned),
            gpt: used.is_some(),
        };
        let mut devices = BTreeMap::new();
        devices.insert(
            "/dev/sda".to_owned(),
            device("sda", 931, "ssd", Some("LVM")),
        );
        devices.insert(
            "/dev/nvme0n1".to_owned(),
            device("nvme0n1", 1863, "nvme", Some("ZFS")),
        );
        for name in SPARE {
            devices.insert(format!("/dev/{name}"), device(name, 931, "ssd", None));
        }
        let pve = Group {
            disks: vec!["/dev/sda".into()],
            thin_pools: BTreeMap::from([("data".to_owned(), 800 * GIB)]),
            volumes: 2,
        };
        let rpool = Pool {
            disks: vec!["/dev/nvme0n1".into()],
            level: "single".into(),
            compression: "on".into(),
        };
        Disks {
            devices,
            groups: BTreeMap::from([("pve".to_owned(), pve)]),
            pools: BTreeMap::from([("rpool".to_owned(), rpool)]),
            folders: BTreeMap::new(),
        }
    }

    fn sizes<'a>(&'a self, disks: &'a [String]) -> impl Iterator<Item = u64> + 'a {
        disks
            .iter()
            .filter_map(|disk| self.devices.get(disk))
            .map(|device| device.size)
    }

    pub(crate) fn size_of(&self, disks: &[String]) -> u64 {
        self.sizes(disks).sum()
    }

    /// What of a pool's disks is left for data.
    pub(crate) fn pool_size(&self, pool: &Pool) -> u64 {
        let count = pool.disks.len() as u64;
        let least = self.sizes(&pool.disks).min().unwrap_or_default();
        match pool.level.as_str() {
            "single" => self.size_of(&pool.disks),
            "mirror" => least,
            "raid10" => least * (count / 2),
            level => least * count.saturating_sub(parity(level)),
        }
    }

    pub(crate) fn is_mounted(&self, path: &str) -> bool {
        path.strip_prefix("/mnt/pve/")
            .is_some_and(|name| self.folders.contains_key(name))
    }

    /// The room that a new storage definition finds here.
    pub(crate) fn capacity(&self, storage: &Section) -> Option<u64> {
        let option = |name: &str| storage.get(name).unwrap_or_default();
        match storage.kind.as_str() {
            "lvm" => self
                .groups
                .get(option("vgname"))
                .map(|group| self.size_of(&group.disks)),
            "lvmthin" => self
                .groups
                .get(option("vgname"))?
                .thin_pools
                .get(option("thinpool"))
                .copied(),
            "zfspool" => {
                let pool = option("pool").split('/').next().unwrap_or_default();
                self.pools.get(pool).map(|pool| self.pool_size(pool))
            }
            "dir" | "btrfs" => {
                let folder = option("path")
                    .strip_prefix("/mnt/pve/")
                    .and_then(|name| self.folders.get(name));
                let device = folder.and_then(|folder| self.devices.get(&folder.device));
                Some(device.map_or(100 * GIB, |device| device.size))
            }
            _ => None,
        }
    }

    /// A disk of this path that nobody uses.
    pub(super) fn unused(&self, path: &str) -> Result<&Device, String> {
        if !path.starts_with("/dev/") {
            return Err(format!("got unusual device path '{path}'"));
        }
        match self.devices.get(path) {
            None => Err("not a valid block device".into()),
            Some(device) if device.used.is_some() => {
                Err(format!("device '{path}' is already in use"))
            }
            Some(device) => Ok(device),
        }
    }

    /// Marks disks as used for something, or as free.
    pub(super) fn mark(&mut self, disks: &[String], used: Option<&str>) {
        for disk in disks {
            if let Some(device) = self.devices.get_mut(disk) {
                device.used = used.map(str::to_owned);
                device.gpt = used.is_some();
            }
        }
    }
}

fn parity(level: &str) -> u64 {
    match level
        .trim_start_matches("raidz")
        .trim_start_matches("draid")
    {
        "2" => 2,
        "3" => 3,
        _ => 1,
    }
}
