//! Storages: which content they take, which volumes they hold, and how much room is left.

pub(crate) mod api;
pub(crate) mod content;
pub(crate) mod definitions;
pub(crate) mod download;
pub(crate) mod kinds;
pub(crate) mod prune;
mod scan;
pub(crate) mod sums;
pub(crate) mod upload;

use std::collections::BTreeMap;

use stead_lab_core::machine::ImageLabel;

use crate::error::ApiError;
use crate::guest::Kind;
use crate::routes::Routes;
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
        self.path.is_some()
    }

    /// The folder of a storage with files.
    pub(crate) fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_default()
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
        match &volume.label {
            _ if !volume.is_disk() || self.kind == "zfspool" => volume.size,
            Some(_) => volume.size.min(IMAGE_SIZE),
            None => 0,
        }
    }

    /// The first `disk-N` that a guest does not have here.
    fn free_name(&self, node: &str, vmid: u32) -> Result<String, String> {
        let taken = |name: &str| {
            let stem = format!("-{vmid}-{name}");
            self.volumes_of(node).any(|(v, _)| {
                let file = v.rsplit('/').next().unwrap_or_default();
                file.split('.').next().is_some_and(|v| v.ends_with(&stem))
            })
        };
        (0..10_000)
            .map(|n| format!("disk-{n}"))
            .find(|name| !taken(name))
            .ok_or_else(|| "unable to allocate an image name".to_owned())
    }

    fn admit(&self, node: &str, volume: &Volume) -> Result<(), String> {
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
        let found = self.storages.get(id).ok_or_else(|| missing(id))?;
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

    /// Refuses what does not fit into a storage any more.
    pub(crate) fn admit(&self, id: &str, node: &str, volume: &Volume) -> Result<(), String> {
        let storage = self.storage(id, node)?;
        let mut volume = volume.clone();
        if self.full.contains(id) {
            volume.content = "none".into();
            volume.size = u64::MAX;
        }
        storage.admit(node, &volume)
    }

    /// Makes a disk of a guest; `name` such as `cloudinit`, or the next free `disk-N`.
    pub(crate) fn allocate(&mut self, node: &str, disk: &NewDisk<'_>) -> Result<String, String> {
        let storage = self.storage(disk.storage, node)?;
        if !storage.takes(disk.kind.content()) {
            return Err(disk.kind.wrong_storage(disk.storage));
        }
        let subvolume = disk.kind == Kind::Lxc && (storage.kind == "zfspool" || disk.size == 0);
        let format = match disk.format {
            _ if subvolume => "subvol",
            Some(format) => format,
            None if storage.has_path() && disk.name == Some("cloudinit") => "qcow2",
            None => "raw",
        };
        if !storage.has_path() && !["raw", "subvol"].contains(&format) {
            return Err(format!("unsupported format '{format}'"));
        }
        let name = match disk.name {
            Some(name) => name.to_owned(),
            None => storage.free_name(node, disk.vmid)?,
        };
        let stem = match subvolume {
            true => format!("subvol-{}-{name}", disk.vmid),
            false => format!("vm-{}-{name}", disk.vmid),
        };
        let mut name = match storage.has_path() {
            true => format!("{}/{stem}.{format}", disk.vmid),
            false => stem,
        };
        // A linked clone lies below its base, where the storage keeps that relation in the name.
        if let Some((_, base)) = disk.parent.as_deref().and_then(parse_volid)
            && (storage.has_path() || storage.kind == "zfspool")
        {
            name = format!("{base}/{name}");
        }
        let volume = Volume {
            vmid: Some(disk.vmid),
            label: disk.label.clone(),
            parent: disk.parent.clone(),
            ..Volume::new(disk.kind.content(), format, disk.size)
        };
        self.admit(disk.storage, node, &volume)?;
        if let Some(storage) = self.storages.get_mut(disk.storage) {
            storage.volumes_mut(node).insert(name.clone(), volume);
        }
        Ok(format!("{}:{name}", disk.storage))
    }

    /// The name that a volume gets when it becomes another guest's.
    pub(crate) fn free_disk_name(
        &self,
        node: &str,
        storage: &str,
        vmid: u32,
        old: &str,
    ) -> Result<String, String> {
        let found = self.storage(storage, node)?;
        let file = old.rsplit('/').next().unwrap_or_default();
        let kind = file.split('-').next().unwrap_or("vm");
        let name = format!("{kind}-{vmid}-{}", found.free_name(node, vmid)?);
        Ok(match (found.has_path(), file.rsplit_once('.')) {
            (true, Some((_, format))) => format!("{vmid}/{name}.{format}"),
            _ => name,
        })
    }

    /// Makes a volume larger, as far as there is room.
    pub(crate) fn resize_volume(
        &mut self,
        node: &str,
        volid: &str,
        size: u64,
    ) -> Result<(), String> {
        let volume = self
            .volume(node, volid)
            .ok_or_else(|| format!("volume '{volid}' does not exist"))?;
        let mut growth = volume.clone();
        growth.size = size.saturating_sub(volume.size);
        let storage = volid.split(':').next().unwrap_or_default();
        self.admit(storage, node, &growth)?;
        if let Some(volume) = self.volume_mut(node, volid) {
            volume.size = size;
        }
        Ok(())
    }

    /// Whether a volume's storage and format have snapshots.
    pub(crate) fn can_snapshot(&self, node: &str, volid: &str) -> bool {
        let storage = parse_volid(volid).and_then(|(id, _)| self.storages.get(id));
        match (storage, self.volume(node, volid)) {
            (Some(storage), Some(volume)) => match storage.kind.as_str() {
                "lvmthin" | "zfspool" | "rbd" | "btrfs" | "zfs" => true,
                _ => volume.format == "qcow2",
            },
            _ => false,
        }
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
    pub(crate) kind: Kind,
    pub(crate) storage: &'a str,
    pub(crate) vmid: u32,
    pub(crate) name: Option<&'a str>,
    pub(crate) format: Option<&'a str>,
    pub(crate) size: u64,
    pub(crate) label: Option<ImageLabel>,
    pub(crate) parent: Option<String>,
}

/// A file's name without folders and strange characters.
fn tamed(given: &str) -> String {
    let base = given
        .trim_end()
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default();
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    base.chars()
        .map(|c| if kept(c) { c } else { '_' })
        .collect()
}

/// What a file's name may be, by content; gives the name as PVE keeps it.
pub(crate) fn file_name(content: &str, given: &str) -> Result<String, ApiError> {
    let name = tamed(given);
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

fn missing(id: &str) -> ApiError {
    ApiError::failure(format!("storage '{id}' does not exist"))
}

pub(crate) fn routes(at: &mut Routes<'_>) {
    definitions::routes(at);
    scan::routes(at);
    at.get("/nodes/{node}/storage", api::list);
    let one = "/nodes/{node}/storage/{storage}";
    at.get(&format!("{one}/status"), api::status);
    at.get(&format!("{one}/identity"), api::identity);
    at.get(&format!("{one}/import-metadata"), api::import_metadata);
    at.get(&format!("{one}/prunebackups"), prune::dry_run);
    at.delete(&format!("{one}/prunebackups"), prune::prune);
    at.post(&format!("{one}/download-url"), download::start);
    at.post(&format!("{one}/oci-registry-pull"), download::pull);
    at.get("/nodes/{node}/query-url-metadata", download::metadata);
    at.get("/nodes/{node}/query-oci-repo-tags", download::tags);
    at.post(upload::PATH, upload::finish);
    at.get(&format!("{one}/content"), content::list);
    at.post(&format!("{one}/content"), content::allocate);
    let volume = format!("{one}/content/{{volume}}");
    at.get(&volume, content::read);
    at.put(&volume, content::annotate);
    at.delete(&volume, content::delete);
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
