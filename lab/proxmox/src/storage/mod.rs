//! Storages: which content they take, which volumes they hold, and how much room is left.

pub(crate) mod api;
pub(crate) mod content;
pub(crate) mod download;
pub(crate) mod sums;
pub(crate) mod upload;

use std::collections::BTreeMap;

use stead_lab_core::machine::ImageLabel;

use crate::error::ApiError;
use crate::now;
use crate::state::{State, Storage, Volume};

/// What a guest sees of an image's disk before it is resized; the lab's labels stand for images of this size.
pub(crate) const IMAGE_SIZE: u64 = 2 << 30;

/// `local-lvm:vm-100-disk-0` as storage and name.
pub(crate) fn parse_volid(volid: &str) -> Option<(&str, &str)> {
    let (storage, name) = volid.split_once(':')?;
    (!storage.is_empty() && !name.is_empty() && !storage.contains('/')).then_some((storage, name))
}

impl Storage {
    pub(crate) fn is_on(&self, node: &str) -> bool {
        self.nodes.is_empty() || self.nodes.iter().any(|n| n == node)
    }

    pub(crate) fn takes(&self, content: &str) -> bool {
        self.content.iter().any(|c| c == content)
    }

    /// Whether files lie in it by name.
    pub(crate) fn has_path(&self) -> bool {
        matches!(self.kind.as_str(), "dir" | "nfs" | "cifs" | "btrfs")
    }

    /// The folder of a storage with files.
    pub(crate) fn path(&self, id: &str) -> String {
        match (self.kind.as_str(), id) {
            ("dir", "local") => "/var/lib/vz".into(),
            _ => format!("/mnt/pve/{id}"),
        }
    }

    fn key<'a>(&self, node: &'a str) -> &'a str {
        if self.shared { "" } else { node }
    }

    pub(crate) fn volumes_of(&self, node: &str) -> impl Iterator<Item = (&String, &Volume)> {
        self.volumes.get(self.key(node)).into_iter().flatten()
    }

    pub(crate) fn volumes_mut(&mut self, node: &str) -> &mut BTreeMap<String, Volume> {
        self.volumes.entry(self.key(node).to_owned()).or_default()
    }

    /// Bytes in use on a node: thin storages hold only what was written.
    pub(crate) fn used(&self, node: &str) -> u64 {
        self.volumes_of(node)
            .map(|(_, volume)| self.used_by(volume))
            .sum()
    }

    fn used_by(&self, volume: &Volume) -> u64 {
        match (volume.content.as_str(), &volume.label) {
            ("images", Some(_)) if self.kind != "zfspool" => volume.size.min(IMAGE_SIZE),
            ("images", None) if self.kind != "zfspool" => 0,
            _ => volume.size,
        }
    }

    /// Refuses what does not fit any more.
    pub(crate) fn admit(&self, node: &str, volume: &Volume) -> Result<(), String> {
        let used = self.used(node).saturating_add(self.used_by(volume));
        match (used > self.capacity, self.kind.as_str()) {
            (false, _) => Ok(()),
            (true, "zfspool") => Err("zfs error: cannot create volume: out of space".into()),
            (true, "lvmthin") => Err("lvcreate error: insufficient free space in thin pool".into()),
            (true, _) => Err("unable to write file: No space left on device".into()),
        }
    }
}

impl State {
    /// A storage that a node can use now.
    pub(crate) fn storage(&self, id: &str, node: &str) -> Result<&Storage, ApiError> {
        let found = self
            .storages
            .get(id)
            .ok_or_else(|| ApiError::failure(format!("storage '{id}' does not exist")))?;
        if found.disabled {
            return Err(ApiError::failure(format!("storage '{id}' is disabled")));
        }
        if !found.is_on(node) {
            return Err(ApiError::failure(format!(
                "storage '{id}' is not available on node '{node}'"
            )));
        }
        Ok(found)
    }

    pub(crate) fn volume(&self, node: &str, volid: &str) -> Option<&Volume> {
        let (storage, name) = parse_volid(volid)?;
        let storage = self.storages.get(storage)?;
        storage.volumes.get(storage.key(node))?.get(name)
    }

    pub(crate) fn volume_mut(&mut self, node: &str, volid: &str) -> Option<&mut Volume> {
        let (storage, name) = parse_volid(volid)?;
        let storage = self.storages.get_mut(storage)?;
        storage.volumes.get_mut(storage.key(node))?.get_mut(name)
    }

    /// Makes a disk of a VM; `name` such as `cloudinit`, or the next free `disk-N`.
    pub(crate) fn allocate(&mut self, node: &str, disk: &NewDisk<'_>) -> Result<String, String> {
        let storage = self.storage(disk.storage, node)?;
        if !storage.takes("images") {
            return Err(format!(
                "storage '{}' does not support vm images",
                disk.storage
            ));
        }
        let format =
            disk.format
                .unwrap_or(if storage.has_path() && disk.name == Some("cloudinit") {
                    "qcow2"
                } else {
                    "raw"
                });
        if !storage.has_path() && format != "raw" {
            return Err(format!("unsupported format '{format}'"));
        }
        let full = |name: &str| match storage.has_path() {
            true => format!("{0}/vm-{0}-{name}.{format}", disk.vmid),
            false => format!("vm-{}-{name}", disk.vmid),
        };
        let taken = |name: &str| {
            let stem = format!("-{}-{name}", disk.vmid);
            storage
                .volumes_of(node)
                .any(|(v, _)| v.split('.').next().is_some_and(|v| v.ends_with(&stem)))
        };
        let name = match disk.name {
            Some(name) => full(name),
            None => {
                let free = (0..10_000)
                    .map(|n| format!("disk-{n}"))
                    .find(|name| !taken(name));
                full(&free.ok_or("unable to allocate an image name")?)
            }
        };
        let volume = Volume {
            content: "images".into(),
            format: format.into(),
            size: disk.size,
            vmid: Some(disk.vmid),
            ctime: now(),
            label: disk.label.clone(),
            text: None,
            parent: disk.parent.clone(),
        };
        storage.admit(node, &volume)?;
        if let Some(storage) = self.storages.get_mut(disk.storage) {
            storage.volumes_mut(node).insert(name.clone(), volume);
        }
        Ok(format!("{}:{name}", disk.storage))
    }

    /// Frees a volume; `false` when there is none.
    pub(crate) fn free(&mut self, node: &str, volid: &str) -> bool {
        let Some((storage, name)) = parse_volid(volid) else {
            return false;
        };
        self.storages
            .get_mut(storage)
            .is_some_and(|s| s.volumes_mut(node).remove(name).is_some())
    }
}

/// A disk to be made.
pub(crate) struct NewDisk<'a> {
    pub(crate) storage: &'a str,
    pub(crate) vmid: u32,
    pub(crate) name: Option<&'a str>,
    pub(crate) format: Option<&'a str>,
    pub(crate) size: u64,
    pub(crate) label: Option<ImageLabel>,
    pub(crate) parent: Option<String>,
}

/// What a file's name may be, by content; gives the name as PVE keeps it.
pub(crate) fn file_name(content: &str, given: &str) -> Result<String, ApiError> {
    let base = given
        .trim_end()
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = base
        .chars()
        .map(|c| if kept(c) { c } else { '_' })
        .collect();
    let lower = name.to_ascii_lowercase();
    let (endings, complaint): (&[&str], _) = match content {
        "iso" => (&[".iso", ".img"], "wrong file extension"),
        "vztmpl" => (
            &[".tar.gz", ".tar.xz", ".tar.zst", ".tar"],
            "wrong file extension",
        ),
        _ => (
            &[".ova", ".qcow2", ".raw", ".vmdk"],
            "invalid filename or wrong extension",
        ),
    };
    match endings
        .iter()
        .any(|e| lower.len() > e.len() && lower.ends_with(e))
    {
        true => Ok(name),
        false => Err(ApiError::parameter("filename", complaint)),
    }
}

/// The folder of a content type and what the API calls a file's format.
pub(crate) fn file_format(content: &str, name: &str) -> String {
    let extension = name.rsplit('.').next().unwrap_or_default();
    match (content, extension) {
        ("iso", _) => "iso".into(),
        ("vztmpl", "gz") => "tgz".into(),
        ("vztmpl", other) => format!("t{other}"),
        ("snippets", _) => "snippet".into(),
        (_, other) => other.into(),
    }
}

/// Sizes as configuration files write them: `20G`, `528K`.
pub(crate) fn format_size(bytes: u64) -> String {
    let units = [
        (1_u64 << 40, "T"),
        (1 << 30, "G"),
        (1 << 20, "M"),
        (1 << 10, "K"),
    ];
    let fits = units
        .iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    fits.map_or_else(
        || bytes.to_string(),
        |(unit, letter)| format!("{}{letter}", bytes / unit),
    )
}

/// The number of bytes of `20G`, `4.5T`, `1024`.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let unit = match text.chars().last()? {
        'K' => 1_u64 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        'T' => 1 << 40,
        _ => return text.parse().ok(),
    };
    let number = text.get(..text.len() - 1)?;
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(unit),
        Err(_) => {
            let bytes = number.parse::<f64>().ok()? * unit as f64;
            (bytes.is_finite() && (0.0..1e18).contains(&bytes)).then_some(bytes as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print() {
        for (text, bytes) in [
            ("20G", 20 << 30),
            ("528K", 528 << 10),
            ("1536M", 1536 << 20),
            ("7", 7),
            ("2T", 2 << 40),
        ] {
            assert_eq!(parse_size(text), Some(bytes));
            assert_eq!(format_size(bytes), text);
        }
        assert_eq!(parse_size("1.5G"), Some(3 << 29));
        assert_eq!(parse_size("99999999999999999999T"), None);
        assert_eq!(parse_size("x"), None);
    }

    #[test]
    fn file_names_are_tamed_and_checked() {
        assert_eq!(
            file_name("iso", "/tmp/Talos v1.img").unwrap(),
            "Talos_v1.img"
        );
        assert!(file_name("iso", "talos.raw.gz").is_err());
        assert!(file_name("import", "talos.qcow2").is_ok());
        assert!(file_name("import", ".qcow2").is_err());
    }
}
