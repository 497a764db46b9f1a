//! Drives of VMs and mount points of containers: `scsi0=local-lvm:20,discard=on`, `mp0=local-zfs:8,mp=/data`, and what becomes of them.

use std::collections::BTreeMap;

use stead_lab_core::machine::ImageLabel;

use super::Kind;
use crate::Proxmox;
use crate::error::ApiError;
use crate::schema::check::check_properties;
use crate::schema::property::Properties;
use crate::state::{State, Storage};
use crate::storage::{IMAGE_SIZE, NewDisk, format_size, parse_volid};

pub(crate) fn is_drive(kind: Kind, key: &str) -> bool {
    let (stem, number) = match crate::schema::numbered(key) {
        Some((stem, number)) => (stem, Some(number)),
        None => (key, None),
    };
    kind.drives()
        .iter()
        .any(|(name, count)| *name == stem && number.map_or(*count == 0, |n| n < *count))
}

pub(crate) fn is_unused(key: &str) -> bool {
    crate::schema::numbered(key).is_some_and(|(stem, n)| stem == "unused" && n < 256)
}

/// All keys that drives can have, in PVE's order.
pub(crate) fn keys(kind: Kind) -> impl Iterator<Item = String> {
    kind.drives().iter().flat_map(|(stem, count)| {
        let plain = (*count == 0).then(|| (*stem).to_owned());
        plain
            .into_iter()
            .chain((0..*count).map(move |n| format!("{stem}{n}")))
    })
}

/// A parsed drive or mount point.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drive {
    pub(crate) kind: Kind,
    pub(crate) key: String,
    pub(crate) properties: Properties,
}

/// What the volume of a drive asks for.
pub(crate) enum File<'a> {
    /// No medium, or the host's own drive.
    Nothing,
    /// A file, folder or device of the host.
    Path(&'a str),
    CloudInit {
        storage: &'a str,
    },
    New {
        storage: &'a str,
        gib: f64,
    },
    Volume(&'a str),
}

impl Proxmox {
    /// A property string of a guest's configuration, checked.
    pub(crate) fn properties(
        &self,
        kind: Kind,
        key: &str,
        value: &str,
    ) -> Result<Properties, ApiError> {
        let keys = self.option(kind, key).and_then(|spec| spec.properties());
        let keys = keys.ok_or_else(|| ApiError::parameter(key, "unable to parse value"))?;
        check_properties(keys, value)
            .map_err(|text| ApiError::parameter(key, format!("invalid format - {text}")))
    }

    /// The text of a property string, as the configuration keeps it.
    pub(crate) fn print(&self, kind: Kind, key: &str, properties: &Properties) -> String {
        let keys = self.option(kind, key).and_then(|spec| spec.properties());
        keys.map(|keys| properties.print(keys)).unwrap_or_default()
    }

    pub(crate) fn drive(&self, kind: Kind, key: &str, value: &str) -> Result<Drive, ApiError> {
        Ok(Drive {
            kind,
            key: key.to_owned(),
            properties: self.properties(kind, key, value)?,
        })
    }

    pub(crate) fn print_drive(&self, drive: &Drive) -> String {
        self.print(drive.kind, &drive.key, &drive.properties)
    }

    /// The drives of a configuration, in PVE's order.
    pub(crate) fn drives<'a>(
        &'a self,
        kind: Kind,
        config: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = Drive> + 'a {
        keys(kind).filter_map(move |key| self.drive(kind, &key, config.get(&key)?).ok())
    }

    /// The drives that hold something of the guest's own: neither CDs nor paths of the host.
    pub(crate) fn disks<'a>(
        &'a self,
        kind: Kind,
        config: &'a BTreeMap<String, String>,
    ) -> impl Iterator<Item = Drive> + 'a {
        self.drives(kind, config)
            .filter(|drive| drive.volid().is_some() && (!drive.is_cdrom() || drive.is_cloudinit()))
    }

    /// What a request's drive asks for is sound: said before anything is done.
    pub(crate) fn check_drive(
        &self,
        state: &State,
        node: &str,
        drive: &Drive,
        default_storage: Option<&str>,
    ) -> Result<(), ApiError> {
        let key = drive.key.as_str();
        match drive.file(default_storage).map_err(ApiError::failure)? {
            File::New { storage, .. } | File::CloudInit { storage } => {
                if !state.storage(storage, node)?.takes(drive.kind.content()) {
                    return Err(ApiError::parameter(
                        "storage",
                        drive.kind.wrong_storage(storage),
                    ));
                }
            }
            File::Nothing | File::Path(_) | File::Volume(_) => {}
        }
        let bad = |text: &str| Err(ApiError::parameter(key, text));
        let Some(source) = drive.properties.get("import-from") else {
            return Ok(());
        };
        match drive.file(None) {
            Ok(File::New { gib: 0.0, .. }) => {}
            _ => {
                return bad(
                    "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>",
                );
            }
        }
        if key == "efidisk0" && drive.properties.get("efitype").is_none() {
            return bad("'import-from' requires 'efitype' parameter");
        }
        if parse_volid(source).is_none() || source.starts_with('/') {
            return Ok(());
        }
        match state
            .volume(node, source)
            .map_or_else(|| volume_type(source), |v| v.content.clone())
        {
            kind if kind == "images" || kind == "import" => Ok(()),
            kind => bad(&format!(
                "{source} has wrong type '{kind}' - needs to be 'images' or 'import'"
            )),
        }
    }

    /// Makes the volumes that a drive asks for; gives the drive as the configuration keeps it, and what was made.
    pub(crate) fn realize(
        &self,
        state: &mut State,
        node: &str,
        vmid: u32,
        mut drive: Drive,
        default_storage: Option<&str>,
    ) -> Result<(Drive, Option<String>), String> {
        let source = drive.properties.remove("import-from");
        let format = drive.properties.remove("format");
        let asked = drive.clone();
        let new = |storage, name, size, label| NewDisk {
            kind: asked.kind,
            storage,
            vmid,
            name,
            format: format.as_deref(),
            size,
            label,
            parent: None,
        };
        let disk = match asked.file(default_storage)? {
            File::Nothing | File::Path(_) => return Ok((drive, None)),
            File::Volume(volid) => {
                let size = state
                    .volume(node, volid)
                    .map(|v| v.size)
                    .ok_or_else(|| format!("volume '{volid}' does not exist"))?;
                drive.properties.set("size", format_size(size));
                return Ok((drive, None));
            }
            File::CloudInit { storage } => {
                drive.properties.set("media", "cdrom");
                new(storage, Some("cloudinit"), 4 << 20, None)
            }
            File::New { storage, gib } => {
                let (label, imported) = match &source {
                    None => (None, None),
                    Some(source) => {
                        imported(state, node, source).map(|(label, size)| (label, Some(size)))?
                    }
                };
                let fixed = fixed_size(&drive, state.storages.get(storage));
                let bytes = fixed
                    .or(imported)
                    .unwrap_or((gib * (1_u64 << 30) as f64) as u64);
                if bytes == 0 && asked.kind == Kind::Qemu {
                    return Err("unable to create image: size must be greater than 0".into());
                }
                new(storage, None, bytes, label)
            }
        };
        let volid = state.allocate(node, &disk)?;
        drive.properties.set("size", format_size(disk.size));
        drive.set_volid(volid.clone());
        Ok((drive, Some(volid)))
    }
}

/// The label and size of what a disk is imported from: a volume, or (for root) the path of a file in a storage.
pub(crate) fn imported(
    state: &State,
    node: &str,
    source: &str,
) -> Result<(Option<ImageLabel>, u64), String> {
    let volid = if source.starts_with('/') {
        volume_at(state, source)
    } else {
        Some(source.to_owned())
    };
    let volume = volid.and_then(|volid| state.volume(node, &volid));
    let volume = volume.ok_or_else(|| match source.starts_with('/') {
        true => format!("qemu-img: Could not open '{source}': No such file or directory"),
        false => format!("volume '{source}' does not exist"),
    })?;
    let size = if volume.content == "images" {
        volume.size
    } else {
        IMAGE_SIZE
    };
    Ok((volume.label.clone(), size))
}

/// The volume that lies at a path.
fn volume_at(state: &State, path: &str) -> Option<String> {
    state.storages.iter().find_map(|(id, storage)| {
        let rest = path
            .strip_prefix(storage.path.as_deref()?)?
            .strip_prefix('/')?;
        let name = rest
            .strip_prefix("template/")
            .or_else(|| rest.strip_prefix("images/"))
            .unwrap_or(rest);
        Some(format!("{id}:{name}"))
    })
}

/// The content type that a volume's name tells.
fn volume_type(volid: &str) -> String {
    let name = parse_volid(volid).map_or("", |(_, name)| name);
    match name.split_once('/') {
        Some((kind @ ("iso" | "vztmpl" | "import" | "snippets" | "backup"), _)) => kind.to_owned(),
        _ => "images".to_owned(),
    }
}

/// EFI variables and TPM state have sizes of their own; block storages round up.
fn fixed_size(drive: &Drive, storage: Option<&Storage>) -> Option<u64> {
    let exact: u64 = match drive.key.as_str() {
        "tpmstate0" => return Some(4 << 20),
        "efidisk0" if drive.properties.get("efitype") == Some("4m") => 528 << 10,
        "efidisk0" => 128 << 10,
        _ => return None,
    };
    match storage.map(|s| s.kind.as_str()) {
        Some("lvmthin") => Some(4 << 20),
        Some("zfspool") => Some(1 << 20),
        _ => Some(exact),
    }
}

impl Drive {
    /// What stands in its volume's place: a volume, a new one to be made, a path.
    fn target(&self) -> Option<&str> {
        self.properties.get(self.kind.volume_key())
    }

    pub(crate) fn volid(&self) -> Option<&str> {
        self.target()
            .filter(|file| !file.starts_with('/') && parse_volid(file).is_some())
    }

    pub(crate) fn set_volid(&mut self, volid: String) {
        self.properties.set(self.kind.volume_key(), volid);
    }

    /// The storage of its volume.
    pub(crate) fn storage(&self) -> Option<&str> {
        Some(parse_volid(self.volid()?)?.0)
    }

    pub(crate) fn is_cdrom(&self) -> bool {
        self.properties.get("media") == Some("cdrom")
            || matches!(self.target(), Some("none" | "cdrom"))
    }

    pub(crate) fn is_cloudinit(&self) -> bool {
        self.volid()
            .is_some_and(|volid| volid.ends_with(":cloudinit") || volid.contains("-cloudinit"))
    }

    pub(crate) fn file<'a>(&'a self, default_storage: Option<&'a str>) -> Result<File<'a>, String> {
        let file = self.target().unwrap_or("none");
        if file == "none" || file == "cdrom" {
            return Ok(File::Nothing);
        }
        if file.starts_with('/') {
            return Ok(File::Path(file));
        }
        let no_storage = || "no storage ID specified (and no default storage)".to_owned();
        let (storage, name) = match parse_volid(file) {
            Some((storage, name)) => (Some(storage), name),
            None => (default_storage, file),
        };
        if name == "cloudinit" {
            return Ok(File::CloudInit {
                storage: storage.ok_or_else(no_storage)?,
            });
        }
        let plain = name.chars().all(|c| c.is_ascii_digit() || c == '.');
        match name.parse::<f64>().ok().filter(|_| plain) {
            Some(gib) => Ok(File::New {
                storage: storage.ok_or_else(no_storage)?,
                gib,
            }),
            None => Ok(File::Volume(file)),
        }
    }
}
