//! Replication of guests' volumes to other nodes.

use std::time::Duration;

use crate::Px;
use crate::error::{Answer, ApiError};
use crate::options::Version;
use crate::routes::{Call, Routes};
use crate::sections::{Act, Change, Family, Section, Type};
use crate::state::{State, Vm};

pub(super) const FILE: &str = "replication.cfg";

static JOBS: Family = Family {
    file: FILE,
    path: "/cluster/replication",
    types: &[Type {
        required: &["target"],
        optional: &[
            "disable",
            "comment",
            "rate",
            "schedule",
            "remove_job",
            "source",
        ],
        fixed: &["target"],
        ..Type::new("local")
    }],
    control: &["force", "keep"],
    id_in_read: true,
    exists: |id| ApiError::failure(format!("replication job '{id}' already exists")),
    missing: |act, id| {
        Some(ApiError::failure(match act {
            Act::Update | Act::Delete => format!("no such job '{id}'"),
            _ => return Some(missing(id)),
        }))
    },
    check,
    show: |shown, row| {
        let (guest, number) = parts(shown.id);
        row.insert("guest".into(), guest.into());
        row.insert("jobnum".into(), number.into());
        if shown.listed {
            row.remove("digest");
        }
    },
    ..Family::PLAIN
};

pub(super) fn routes(at: &mut Routes<'_>) {
    JOBS.routes(at);
    at.get("/cluster/replication", list);
    at.get("/cluster/replication/{id}", read);
    at.post("/cluster/replication", create);
    at.put("/cluster/replication/{id}", update);
    at.delete("/cluster/replication/{id}", delete);
}

pub(super) fn missing(id: &str) -> ApiError {
    ApiError::failure(format!("no such replication job '{id}'"))
}

/// `100-0`: the guest, and the job's number.
pub(super) fn parts(id: &str) -> (u32, u32) {
    let (guest, number) = id.split_once('-').unwrap_or_default();
    (
        guest.parse().unwrap_or_default(),
        number.parse().unwrap_or_default(),
    )
}

pub(super) fn need(state: &State, call: &Call, privilege: &str) -> Result<(), ApiError> {
    let (guest, _) = parts(call.params.text("id"));
    // Before version 9 there was no privilege of its own; the contract's check was all.
    if state.version() < Version::V9_2 && privilege == "VM.Replicate" {
        return Ok(());
    }
    state.need(&call.caller, &format!("/vms/{guest}"), &[privilege])
}

async fn list(px: &Px, call: Call) -> Answer {
    let mut rows = JOBS.list(px, &call)?;
    if let Some(rows) = rows.as_array_mut() {
        let state = px.state();
        rows.retain(|row| state.may(&call.caller, &format!("/vms/{}", row["guest"]), "VM.Audit"));
    }
    Ok(rows)
}

async fn read(px: &Px, call: Call) -> Answer {
    let row = JOBS.read(px, &call)?;
    need(&px.state(), &call, "VM.Audit")?;
    Ok(row)
}

async fn create(px: &Px, call: Call) -> Answer {
    need(&px.state(), &call, "VM.Replicate")?;
    JOBS.create(px, &call)
}

async fn update(px: &Px, call: Call) -> Answer {
    need(&px.state(), &call, "VM.Replicate")?;
    JOBS.update(px, &call)
}

/// Marks the job; what runs on the guest's node removes it with its snapshots. `force` removes it at once.
async fn delete(px: &Px, call: Call) -> Answer {
    let (params, id) = (&call.params, call.params.text("id").to_owned());
    need(&px.state(), &call, "VM.Replicate")?;
    if params.is_on("force") {
        if params.is_on("keep") {
            return Err(ApiError::parameter(
                "keep",
                "conflicts with parameter 'force'",
            ));
        }
        return JOBS.delete(px, &call);
    }
    let how = if params.is_on("keep") {
        "local"
    } else {
        "full"
    };
    let mut state = px.state();
    let sections = state.configs.get_mut(FILE);
    let job = sections.and_then(|sections| sections.get_mut(&id));
    let missing = || ApiError::failure(format!("no such job '{id}'"));
    job.ok_or_else(missing)?.set("remove_job", how);
    let px = px.clone();
    px.lab.tasks.clone().spawn(async move {
        tokio::select! {
            () = px.takes(Duration::from_secs(15)) => {}
            () = px.lab.shutdown.cancelled() => return,
        }
        if let Some(sections) = px.state().configs.get_mut(FILE) {
            sections.remove(&id);
        }
        px.changed();
    });
    Ok(serde_json::Value::Null)
}

fn check(change: &Change<'_>, job: &mut Section) -> Result<(), ApiError> {
    if change.old.is_some() {
        return Ok(());
    }
    let refused = |text: String| Err(ApiError::failure(text));
    let (state, (guest, _)) = (change.state, parts(change.id));
    let Some(vm) = state.vms.get(&guest) else {
        return refused(format!("Guest '{guest}' does not exist."));
    };
    let target = job.get("target").unwrap_or_default();
    if !state.nodes.contains_key(target) {
        return refused(format!("Target '{target}' does not exist."));
    }
    if let Some(source) = job.get("source").filter(|source| *source != vm.node) {
        let node = &vm.node;
        return refused(format!(
            "Source '{source}' does not match current node of guest '{guest}' ({node})"
        ));
    }
    if target == vm.node {
        return refused("Source and target must not be identical".into());
    }
    if !has_replicatable_volumes(state, vm) {
        return refused("No replicatable volumes found".into());
    }
    let mut others = state.sections(FILE);
    if others.any(|(id, other)| parts(id).0 == guest && other.get("target") == Some(target)) {
        return refused(format!(
            "replication job for guest '{guest}' to target 'local/{target}' already exists"
        ));
    }
    job.set("source", vm.node.clone());
    Ok(())
}

/// Only ZFS can send its snapshots.
fn has_replicatable_volumes(state: &State, vm: &Vm) -> bool {
    let storages = vm.config.values().filter_map(|value| {
        let volume = value.split(',').next()?;
        Some(volume.trim_start_matches("volume=").split_once(':')?.0)
    });
    let mut kinds = storages.filter_map(|id| state.storages.get(id));
    kinds.any(|storage| storage.kind == "zfspool")
}
