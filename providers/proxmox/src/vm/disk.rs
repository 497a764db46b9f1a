//! Disks: the strings that describe them, where an image comes from, and growing.

use serde_json::Value as Json;
use stead_sdk::value::Path;
use stead_sdk::{Context, Error};

use crate::client::{Client, Params, params, text};
use crate::property::{Properties, bytes};
use crate::vm::power::seconds;
use crate::vm::schema::{Disk, Vm};

/// The options of a disk, without its volume.
pub(crate) fn options(disk: &Disk) -> Properties {
    let is = |prefix: &str| disk.interface.starts_with(prefix);
    let mut out = Properties::default().text("aio", &disk.aio);
    if !disk.backup {
        out = out.switch("backup", false);
    }
    if disk.cache != "none" {
        out = out.text("cache", &disk.cache);
    }
    if disk.discard != "ignore" {
        out = out.text("discard", &disk.discard);
    }
    // Only these controllers know it.
    if disk.iothread && (is("scsi") || is("virtio")) {
        out = out.switch("iothread", true);
    }
    out = out.positive("queues", disk.queues);
    if !disk.replicate {
        out = out.switch("replicate", false);
    }
    out = out.text("serial", &disk.serial);
    if disk.ssd && !is("virtio") {
        out = out.switch("ssd", true);
    }
    let Some(speed) = &disk.speed else { return out };
    out.positive("iops_rd", speed.iops_read)
        .positive("iops_rd_max", speed.iops_read_burstable)
        .positive("iops_wr", speed.iops_write)
        .positive("iops_wr_max", speed.iops_write_burstable)
        .positive("mbps_rd", speed.read)
        .positive("mbps_rd_max", speed.read_burstable)
        .positive("mbps_wr", speed.write)
        .positive("mbps_wr_max", speed.write_burstable)
}

/// An existing volume with these options.
pub(crate) fn with_volume(volume: &str, disk: &Disk) -> String {
    let mut out = Properties::default().with("file", volume);
    for (key, value) in options(disk).parts() {
        out = out.with(key, value);
    }
    out.encode("file")
}

/// What makes the disk: empty, or a copy of `source`, or a volume that exists.
pub(crate) fn allocation(disk: &Disk, source: Option<&str>) -> String {
    let format = disk.file_format.as_deref().unwrap_or_default();
    let existing = disk.path_in_datastore.as_deref().filter(|p| !p.is_empty());
    let mut out = Properties::default();
    out = match (source, existing) {
        (Some(source), _) => out
            .with("file", format!("{}:0", disk.datastore_id))
            .with("import-from", source),
        (None, Some(path)) if disk.datastore_id.is_empty() => out.with("file", path),
        (None, Some(path)) => out.with("file", format!("{}:{path}", disk.datastore_id)),
        (None, None) => out.with("file", format!("{}:{}", disk.datastore_id, disk.size)),
    };
    if existing.is_none() || source.is_some() {
        out = out.text("format", format);
    }
    for (key, value) in options(disk).parts() {
        out = out.with(key, value);
    }
    out.encode("file")
}

/// How an image of this volume identifier can become a disk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// By its identifier.
    Volume(&'a str),
    /// By its path below that of the storage, which only root@pam may name.
    Path { storage: &'a str, below: String },
}

/// Reads `STORAGE:CONTENT/NAME`.
pub(crate) fn source(volume: &str) -> Source<'_> {
    match volume.split_once(":iso/") {
        Some((storage, name)) => Source::Path {
            storage,
            below: format!("template/iso/{name}"),
        },
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

/// Why this image cannot be used with these credentials, if so.
pub(crate) fn refusal(is_root: bool, index: usize, disk: &Disk) -> Option<Error> {
    let (volume, attribute) = image(disk)?;
    if is_root || matches!(source(volume), Source::Volume(_)) {
        return None;
    }
    let place = Path::root()
        .attr("disk")
        .index_number(index)
        .attr(attribute);
    let said = "Proxmox VE makes disks of `iso` content only from an absolute path, and takes a path only from root@pam \
                logged in with its password; an API token is refused, root's too";
    Some(
        Error::new(format!("make a disk of {volume}"), said)
            .remedy(
                "Download the image (qcow2, raw or vmdk, not compressed) with content_type = \"import\" and name it in \
                 `import_from`; the storage needs that content: `pvesm set STORAGE --content iso,vztmpl,import`. Or \
                 configure the provider with username = \"root@pam\" and its password.",
            )
            .at(place),
    )
}

/// What goes into `import-from`.
pub(crate) async fn import_from(
    client: &Client,
    cx: &Context,
    index: usize,
    disk: &Disk,
) -> Result<Option<String>, Error> {
    let Some((volume, _)) = image(disk) else {
        return Ok(None);
    };
    if let Some(error) = refusal(client.is_root(), index, disk) {
        return Err(error);
    }
    match source(volume) {
        Source::Volume(volume) => Ok(Some(volume.to_owned())),
        Source::Path { storage, below } => {
            let what = format!("find the path of the storage {storage}");
            let found = client
                .get(cx, &what, &format!("/storage/{storage}"), &Params::new())
                .await?;
            let path =
                text(&found, "path").ok_or_else(|| Error::new(what, "it is not a directory"))?;
            Ok(Some(format!("{}/{below}", path.trim_end_matches('/'))))
        }
    }
}

/// Grows the disks that are smaller than planned.
pub(crate) async fn grow(
    client: &Client,
    cx: &Context,
    vm: &Vm,
    id: i64,
    config: &Json,
) -> Result<(), Error> {
    for (index, disk) in vm.disk.iter().enumerate() {
        let Some(value) = text(config, &disk.interface) else {
            continue;
        };
        let Some(now) = Properties::parse(&value, "file")
            .get("size")
            .and_then(bytes)
        else {
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
            let error = Error::new(format!("resize {} of VM {id}", disk.interface), said);
            return Err(error
                .remedy(format!("Set `size` to {} or more.", now.div_ceil(1 << 30)))
                .at(place));
        }
        if wanted > now {
            let form = params([
                ("disk", disk.interface.clone()),
                ("size", format!("{}G", disk.size)),
            ]);
            let path = format!("/nodes/{}/qemu/{id}/resize", vm.node_name);
            let what = format!("resize {} of VM {id}", disk.interface);
            client
                .run(
                    cx,
                    reqwest::Method::PUT,
                    &what,
                    &path,
                    &form,
                    seconds(vm.timeout_create),
                )
                .await?;
        }
    }
    Ok(())
}
