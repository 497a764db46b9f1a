//! Disks and volumes as resources.

use super::{Item, item, raw, text};
use crate::api::Api;
use crate::api::storage::devices;
use crate::node::Node;
use crate::proto::resource::{DiskSpec, SystemDiskSpec, VolumeStatusSpec};

/// Sizes of the partition with the configuration, and of those that are needed to boot.
const STATE: u64 = 100 << 20;
const BOOT: u64 = 2300 << 20;

/// What is left of the system disk for everything else, in bytes.
pub(crate) fn ephemeral_size(node: &Node) -> u64 {
    let devices = devices(&node.hardware().disks);
    let system = devices.iter().find(|d| !d.removable);
    system.map_or(0, |d| d.size.saturating_sub(BOOT + STATE))
}

impl Api {
    pub(super) fn volumes(&self, configured: bool) -> Vec<Item> {
        let Some(disk) = self.system_disk().filter(|_| configured) else {
            return Vec::new();
        };
        let ephemeral = ephemeral_size(&self.node);
        let volumes = [("STATE", 4_i64, STATE), ("EPHEMERAL", 5, ephemeral)];
        let separator = if disk.contains("nvme") { "p" } else { "" };
        volumes
            .into_iter()
            .map(|(name, index, size)| {
                let location = format!("{disk}{separator}{index}");
                let spec = VolumeStatusSpec {
                    // Ready; a partition with XFS.
                    phase: 6,
                    location: location.clone(),
                    parent_location: disk.clone(),
                    partition_index: index,
                    size,
                    filesystem: 1,
                    pretty_size: pretty(size),
                    r#type: 0,
                };
                item(
                    name,
                    &spec,
                    vec![
                        ("phase", text("ready")),
                        ("type", text("partition")),
                        ("location", text(location)),
                        ("parentLocation", text(disk.clone())),
                        ("partitionIndex", raw(index)),
                        ("size", raw(size)),
                        ("prettySize", text(pretty(size))),
                        ("filesystem", text("xfs")),
                    ],
                )
            })
            .collect()
    }

    pub(super) fn disks_items(&self) -> Vec<Item> {
        let devices = devices(&self.node.hardware().disks).into_iter();
        devices
            .map(|d| {
                let id = d.path.trim_start_matches("/dev/").to_owned();
                let spec = DiskSpec {
                    size: d.size,
                    io_size: 512,
                    sector_size: 512,
                    readonly: d.removable,
                    model: d.model.to_owned(),
                    bus_path: d.bus_path.clone(),
                    sub_system: d.subsystem.to_owned(),
                    transport: d.transport.to_owned(),
                    dev_path: d.path.clone(),
                    pretty_size: pretty(d.size),
                };
                item(
                    id,
                    &spec,
                    vec![
                        ("dev_path", text(d.path)),
                        ("size", raw(d.size)),
                        ("pretty_size", text(pretty(d.size))),
                        ("io_size", raw(512)),
                        ("sector_size", raw(512)),
                        ("readonly", raw(d.removable)),
                        ("cdrom", raw(d.removable)),
                        ("model", text(d.model)),
                        ("bus_path", text(d.bus_path)),
                        ("sub_system", text(d.subsystem)),
                        ("transport", text(d.transport)),
                    ],
                )
            })
            .collect()
    }

    pub(super) fn system_disk_items(&self) -> Vec<Item> {
        let Some(path) = self.system_disk() else {
            return Vec::new();
        };
        let id = path.trim_start_matches("/dev/").to_owned();
        let spec = SystemDiskSpec {
            disk_id: id.clone(),
            dev_path: path.clone(),
        };
        vec![item(
            "system-disk",
            &spec,
            vec![("diskID", text(id)), ("devPath", text(path))],
        )]
    }
}

/// `21 GB`.
fn pretty(size: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1000),
    ];
    let unit = UNITS.iter().find(|(_, n)| size >= *n);
    match unit {
        Some((name, n)) => format!("{} {name}", size / n),
        None => format!("{size} B"),
    }
}
