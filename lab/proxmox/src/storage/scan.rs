//! What a node finds when it looks for storage: on its own disks, and on servers of the lab's network.

use serde_json::{Value, json};

use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::state::State;

/// `GET /nodes/{node}/scan/lvm`
fn lvm(state: &State, call: &Call) -> Answer {
    let disks = &state.host(call.node())?.disks;
    Ok(disks
        .groups
        .iter()
        .map(|(name, group)| json!({ "vg": name, "size": disks.size_of(&group.disks) }))
        .collect())
}

/// `GET /nodes/{node}/scan/lvmthin`
fn lvmthin(state: &State, call: &Call) -> Answer {
    let group = state
        .host(call.node())?
        .disks
        .groups
        .get(call.params.text("vg"));
    let pools = group.into_iter().flat_map(|group| &group.thin_pools);
    Ok(pools
        .map(|(name, size)| json!({ "lv": name, "vg": call.params.text("vg"), "lv_size": size }))
        .collect())
}

/// `GET /nodes/{node}/scan/zfs`
fn zfs(state: &State, call: &Call) -> Answer {
    let disks = &state.host(call.node())?.disks;
    let row = |name: &str, size: u64| json!({ "pool": name, "size": size, "free": size });
    Ok(disks
        .pools
        .iter()
        .flat_map(|(name, pool)| {
            let size = disks.pool_size(pool);
            let data = (name == "rpool").then(|| row("rpool/data", size));
            std::iter::once(row(name, size)).chain(data)
        })
        .collect())
}

/// A server that does not answer, as the command that asks it says.
fn unreachable(command: &str) -> ApiError {
    ApiError::failure(format!("command '{command}' failed: exit code 1"))
}

/// `GET /nodes/{node}/scan/nfs`: no server of the lab exports folders by a protocol that `showmount` speaks.
fn nfs(_: &State, call: &Call) -> Answer {
    let server = call.params.text("server");
    Err(unreachable(&format!(
        "/sbin/showmount --no-headers --exports {server}"
    )))
}

/// `GET /nodes/{node}/scan/cifs`
fn cifs(_: &State, _: &Call) -> Answer {
    Err(ApiError::failure(
        "unexpected status: NT_STATUS_CONNECTION_REFUSED",
    ))
}

/// `GET /nodes/{node}/scan/iscsi`: a portal that does not answer has no targets.
fn iscsi(_: &State, _: &Call) -> Value {
    json!([])
}

/// `GET /nodes/{node}/scan/pbs`
fn pbs(px: &Proxmox, call: &Call) -> Answer {
    let (server, port) = (
        call.params.text("server"),
        call.params.number("port").unwrap_or(8007),
    );
    let listens = u16::try_from(port)
        .ok()
        .and_then(|port| px.lab.network.resolve(server, port));
    let reason = if listens.is_some() {
        "not a backup server"
    } else {
        "Connection refused"
    };
    Err(ApiError::failure(format!(
        "error fetching datastores - 500 Can't connect to {server}:{port} ({reason})"
    )))
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/scan/lvm", lvm);
    at.get("/nodes/{node}/scan/lvmthin", lvmthin);
    at.get("/nodes/{node}/scan/zfs", zfs);
    at.get("/nodes/{node}/scan/nfs", nfs);
    at.get("/nodes/{node}/scan/cifs", cifs);
    at.get("/nodes/{node}/scan/iscsi", iscsi);
    at.get("/nodes/{node}/scan/pbs", pbs);
}
