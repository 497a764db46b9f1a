//! Which guests, and which of their volumes, backup jobs take.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::FILE;
use crate::error::{Answer, ApiError};
use crate::guest::Kind;
use crate::routes::{Call, Routes};
use crate::schema::format;
use crate::schema::property::plain;
use crate::sections::Section;
use crate::state::{State, Vm};

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/cluster/backup/{id}/included_volumes", included_volumes);
    at.get("/cluster/backup-info/not-backed-up", not_backed_up);
}

/// The guests of a job; also such as no longer exist.
fn guests(state: &State, job: &Section) -> BTreeSet<u32> {
    let numbers = |text: &str| {
        format::list(text)
            .filter_map(|id| id.parse().ok())
            .collect()
    };
    let mut found: BTreeSet<u32> = if let Some(pool) = job.get("pool") {
        let pool = state.pools.get(pool);
        pool.into_iter()
            .flat_map(|p| p.vms.iter().copied())
            .collect()
    } else if let Some(vmids) = job.get("vmid") {
        numbers(vmids)
    } else if job.is_on("all") {
        let excluded: BTreeSet<u32> = job.get("exclude").map(numbers).unwrap_or_default();
        let all = state.vms.keys().copied();
        all.filter(|vmid| !excluded.contains(vmid)).collect()
    } else {
        BTreeSet::new()
    };
    let node = job.get("node");
    found.retain(|vmid| {
        let vm = state.vms.get(vmid);
        node.is_none_or(|node| vm.is_none_or(|vm| vm.node == node))
    });
    found
}

/// `GET /cluster/backup/{id}/included_volumes`
fn included_volumes(state: &State, call: &Call) -> Answer {
    let id = call.params.text("id");
    let missing = || ApiError::parameter("id", format!("No such job '{id}'"));
    let job = state.section(FILE, id).filter(|job| job.kind == "vzdump");
    let seen = guests(state, job.ok_or_else(missing)?).into_iter();
    let seen = seen.filter(|vmid| state.may(&call.caller, &format!("/vms/{vmid}"), "VM.Audit"));
    let rows: Vec<Value> = seen
        .map(|vmid| match state.vms.get(&vmid) {
            None => json!({ "id": vmid, "type": "unknown", "leaf": 1 }),
            Some(vm) => {
                let volumes = volumes(vmid, vm);
                json!({
                    "id": vmid, "type": vm.kind.id(), "name": vm.name(vmid), "leaf": u8::from(volumes.is_empty()),
                    "children": volumes,
                })
            }
        })
        .collect();
    Ok(json!({ "children": rows }))
}

fn volumes(vmid: u32, vm: &Vm) -> Vec<Value> {
    let stems: &[&str] = match vm.kind {
        Kind::Qemu => &["ide", "sata", "scsi", "virtio", "efidisk", "tpmstate"],
        Kind::Lxc => &["rootfs", "mp"],
    };
    let disks = vm.config.iter().filter(|(key, _)| {
        let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
        stems.contains(&stem)
    });
    let rows = disks.map(|(key, text)| {
        let volume = text.split(',').next().unwrap_or_default();
        let (included, reason) = match vm.kind {
            Kind::Qemu if plain(text, "media") == Some("cdrom") => (false, "CD-ROM"),
            Kind::Qemu if plain(text, "backup") == Some("0") => (false, "backup=no"),
            Kind::Qemu => (true, "backup=yes"),
            Kind::Lxc if key == "rootfs" => (true, "rootfs"),
            Kind::Lxc if volume.starts_with('/') => (false, "not a volume"),
            Kind::Lxc if plain(text, "backup") == Some("1") => (true, "enabled"),
            Kind::Lxc => (false, "disabled"),
        };
        json!({
            "id": format!("{vmid}:{key}"), "name": volume.trim_start_matches("volume="), "included": u8::from(included),
            "reason": reason, "leaf": 1,
        })
    });
    rows.collect()
}

/// `GET /cluster/backup-info/not-backed-up`
fn not_backed_up(state: &State, call: &Call) -> Value {
    let jobs = state.sections(FILE).filter(|(_, job)| job.kind == "vzdump");
    let covered: BTreeSet<u32> = jobs.flat_map(|(_, job)| guests(state, job)).collect();
    let missing = state.vms.iter().filter(|(vmid, _)| {
        !covered.contains(vmid) && state.may(&call.caller, &format!("/vms/{vmid}"), "VM.Audit")
    });
    let rows = missing
        .map(|(vmid, vm)| json!({ "vmid": vmid, "type": vm.kind.id(), "name": vm.name(*vmid) }));
    rows.collect()
}
