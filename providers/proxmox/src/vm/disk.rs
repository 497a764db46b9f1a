//! Drives: the strings that describe them, where an image comes from, and growing.

use stead_sdk::value::Path;
use stead_sdk::{Context, Error};

use crate::client::Client;
use crate::guest::{Guest, seconds};
use crate::property::{Properties, bytes};
use crate::table::{Parts as _, Settings};
use crate::vm::schema::{Disk, EfiDisk, Initialization, TpmState, Vm};
use crate::volume::{Shelf, Volume};

/// The options of a disk, without its volume.
fn options(disk: &Disk) -> Properties {
    let is = |prefix: &str| disk.interface.starts_with(prefix);
    let mut known = disk.clone();
    // Only some controllers know these.
    known.iothread &= is("scsi") || is("virtio");
    known.ssd &= !is("virtio");
    let mut out = Properties::default();
    known.write(&mut out);
    if let Some(speed) = &disk.speed {
        speed.write(&mut out);
    }
    out
}

/// Whether both are written alike when they have the same volume.
pub(crate) fn alike(a: &Disk, b: &Disk) -> bool {
    options(a) == options(b)
}

/// An existing volume with these options.
pub(crate) fn with_volume(volume: &str, disk: &Disk) -> String {
    Properties::default()
        .with("file", volume)
        .and(&options(disk))
        .encode("file")
}

/// What makes the disk: empty, or a copy of `source`, or a volume that exists.
pub(crate) fn allocation(disk: &Disk, source: Option<&str>) -> String {
    let storage = &disk.datastore_id;
    let mut out = Properties::default();
    out = match (source, disk.path_in_datastore.as_str()) {
        (Some(source), _) => out
            .with("file", format!("{storage}:0"))
            .with("import-from", source)
            .text("format", &disk.file_format),
        (None, "") => out
            .with("file", format!("{storage}:{}", disk.size))
            .text("format", &disk.file_format),
        (None, path) if storage.is_empty() => out.with("file", path),
        (None, path) => out.with("file", format!("{storage}:{path}")),
    };
    out.and(&options(disk)).encode("file")
}

impl EfiDisk {
    pub(crate) fn allocation(&self) -> String {
        let mut out = Properties::default().with("file", format!("{}:1", self.datastore_id));
        self.write(&mut out);
        out.encode("file")
    }
}

impl TpmState {
    pub(crate) fn allocation(&self) -> String {
        format!("{}:1,version={}", self.datastore_id, self.version)
    }
}

impl Initialization {
    /// The slot of the cloud-init drive.
    pub(crate) fn slot(&self) -> &str {
        match self.interface.as_str() {
            "" => "ide2",
            slot => slot,
        }
    }

    pub(crate) fn allocation(&self) -> String {
        Properties::default()
            .with("file", format!("{}:cloudinit", self.datastore_id))
            .with("media", "cdrom")
            .text("format", &self.file_format)
            .encode("file")
    }
}

/// How an image of this volume identifier can become a disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// By its identifier.
    Volume(&'a str),
    /// By its path on the node, which only root@pam may name.
    File(Volume<'a>),
}

/// Reads `STORAGE:CONTENT/NAME`.
pub(crate) fn source(volume: &str) -> Source<'_> {
    match Volume::parse(volume).filter(|file| file.content == "iso") {
        Some(file) => Source::File(file),
        None => Source::Volume(volume),
    }
}

/// The volume that a disk is copied from, as people wrote it, with the attribute that it is in.
pub(crate) fn image(disk: &Disk) -> Option<(&str, &'static str)> {
    match (disk.import_from.as_str(), disk.file_id.as_str()) {
        ("", "") => None,
        ("", file) => Some((file, "file_id")),
        (import, _) => Some((import, "import_from")),
    }
}

/// The image that only a command on the node makes this disk of: the API takes `iso` content from nobody but root@pam itself.
pub(crate) fn out_of_reach<'a>(client: &Client, disk: &'a Disk) -> Option<Volume<'a>> {
    let (volume, _) = image(disk)?;
    match source(volume) {
        Source::File(file) if !client.is_root() => Some(file),
        _ => None,
    }
}

/// Who runs that command, for the plan to say; `None` when the API does it.
///
/// # Errors
/// When nobody can log in to the node.
pub(crate) fn importer<'a>(
    client: &'a Client,
    index: usize,
    disk: &Disk,
) -> Result<Option<&'a str>, Error> {
    let (Some(volume), Some((_, attribute))) = (out_of_reach(client, disk), image(disk)) else {
        return Ok(None);
    };
    let asked = format!("make a disk of {volume}");
    let user = client.ssh().user_for(&asked);
    user.map(Some).map_err(|error| {
        let said = format!(
            "Proxmox VE makes disks of `iso` content only from an absolute path, and takes a path only from root@pam logged in with its \
             password; an API token is refused, root's too. Over SSH it could be done, but {}",
            error.said()
        );
        let place = Path::root()
            .attr("disk")
            .index_number(index)
            .attr(attribute);
        let advice = error.advice().unwrap_or_default();
        Error::new(asked, said)
            .remedy(format!(
                "Download the image (qcow2, raw or vmdk) with content_type = \"import\" and name it in `import_from`; the storage needs \
                 that content: `pvesm set STORAGE --content iso,vztmpl,import`. Or configure the provider with username = \"root@pam\" \
                 and its password. Or let SSH do it: {advice}"
            ))
            .at(place)
    })
}

/// Makes a disk of an image on the node with the node's own command; the new volume, which is attached to nothing yet.
pub(crate) async fn import_over_ssh(
    guest: &Guest<'_>,
    disk: &Disk,
    image: Volume<'_>,
) -> Result<String, Error> {
    let (client, cx) = (guest.client, guest.cx);
    let shell = client.shell(cx, &guest.node).await?;
    let unused = |config: &Settings| -> Vec<String> {
        let rows = config.iter().filter(|(key, _)| key.starts_with("unused"));
        rows.map(|(_, volume)| volume.clone()).collect()
    };
    let before = unused(&guest.present().await?);
    let (id, volume) = (guest.id.to_string(), image.to_string());
    let path = ["/usr/sbin/pvesm", "path", volume.as_str()];
    let path = shell.must("`pvesm path`", &path, cx).await?;
    let mut words = vec!["/usr/sbin/qm", "disk", "import", &id, path.trim()];
    words.push(&disk.datastore_id);
    if !disk.file_format.is_empty() {
        words.extend(["-format", &disk.file_format]);
    }
    cx.progress(format!("making a disk of {volume} over SSH"));
    shell.must("`qm disk import`", &words, cx).await?;
    let after = unused(&guest.present().await?);
    let made = after.into_iter().find(|volume| !before.contains(volume));
    made.ok_or_else(|| {
        let said = "the node's command ended well, and the machine has no new volume";
        Error::new(format!("make a disk of {volume}"), said)
    })
}

/// What goes into `import-from`.
pub(crate) async fn import_from(
    client: &Client,
    cx: &Context,
    disk: &Disk,
) -> Result<Option<String>, Error> {
    let Some((volume, _)) = image(disk) else {
        return Ok(None);
    };
    match source(volume) {
        Source::Volume(volume) => Ok(Some(volume.to_owned())),
        Source::File(file) => {
            let shelf = Shelf {
                node: "",
                storage: file.storage,
                content: file.content,
            };
            let folder = shelf.folder(client, cx).await?;
            Ok(Some(format!("{folder}/{}", file.name)))
        }
    }
}

/// Grows the disks that are smaller than planned.
pub(crate) async fn grow(guest: &Guest<'_>, vm: &Vm, config: &Settings) -> Result<(), Error> {
    for (index, disk) in vm.disk.iter().enumerate() {
        let drive = config
            .get(&disk.interface)
            .map(|d| Properties::parse(d, "file"));
        let Some(now) = drive.and_then(|d| bytes(d.get("size")?)) else {
            continue;
        };
        let wanted = u64::try_from(disk.size).unwrap_or(0) << 30;
        if wanted < now {
            let place = Path::root().attr("disk").index_number(index).attr("size");
            let said = format!(
                "it holds {} MiB, more than {} GiB, and disks cannot shrink",
                now >> 20,
                disk.size
            );
            let error = Error::new(
                format!("resize {} of {}", disk.interface, guest.name()),
                said,
            );
            return Err(error
                .remedy(format!("Set `size` to {} or more.", now.div_ceil(1 << 30)))
                .at(place));
        }
        if wanted > now {
            let size = format!("{}G", disk.size);
            let timeout = seconds(vm.timeout_create);
            guest.grow(&disk.interface, &size, timeout).await?;
        }
    }
    Ok(())
}
