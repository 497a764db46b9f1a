//! Making the configuration run, taking it back, and holding it for oneself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use similar::TextDiff;

use super::fabrics::{FABRICS, NODES};
use super::families::{CONTROLLERS, SUBNETS, VNETS, ZONES};
use super::policies::{PREFIX_LISTS, ROUTE_MAPS};
use super::{Sdn, on_node};
use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::sections::Sections;
use crate::state::State;

/// The files that are applied.
const FILES: &[&str] = &[
    ZONES.file,
    VNETS.file,
    SUBNETS.file,
    CONTROLLERS.file,
    FABRICS.file,
    NODES.file,
    PREFIX_LISTS.file,
    ROUTE_MAPS.file,
];

fn within(what: &'static str) -> impl Fn(ApiError) -> ApiError {
    move |error| error.within(what)
}

impl State {
    /// The files as they are configured.
    fn sdn_files(&self) -> BTreeMap<String, Sections> {
        let file = |file: &&str| {
            let sections = self.configs.get(*file).cloned().unwrap_or_default();
            ((*file).to_owned(), sections)
        };
        FILES.iter().map(file).collect()
    }

    fn sdn_has_pending(&self) -> bool {
        let same = |file: &&str| self.sections(file).eq(self.sdn.running(file));
        !FILES.iter().all(same)
    }

    /// Lets go of the configuration, when the call holds it and does not say otherwise.
    fn sdn_release(&mut self, call: &Call) {
        let keep = call.params.has("release-lock") && !call.params.is_on("release-lock");
        if call.params.has("lock-token") && !keep {
            self.sdn.lock = None;
        }
    }
}

/// `PUT /cluster/sdn`: makes it run, and has every node load it.
async fn apply(px: &Px, call: Call) -> Answer {
    let nodes: Vec<String> = {
        let mut state = px.state();
        state
            .sdn_unlocked(&call)
            .map_err(within("could not commit SDN config"))?;
        state.sdn.running = state.sdn_files();
        state.sdn.version += 1;
        state.sdn_release(&call);
        state.nodes.keys().cloned().collect()
    };
    let first = nodes.first().cloned().unwrap_or_default();
    let caller = call.caller.clone();
    px.worker(
        &first,
        "reloadnetworkall",
        "",
        &call.caller,
        move |task| async move {
            for node in nodes {
                let name = node.clone();
                let reload = move |task: crate::task::TaskLog| async move {
                    task.takes(Duration::from_secs(3)).await;
                    let mut state = task.proxmox.state();
                    let version = state.sdn.version;
                    state.host_mut(&name)?.network.reload();
                    state.sdn.loaded.insert(name, version);
                    Ok(())
                };
                let started = task
                    .proxmox
                    .worker(&node, "srvreload", "networking", &caller, reload)
                    .await?;
                task.line(format!("{node}: reloading network config"));
                task.line(started.as_str().unwrap_or_default());
            }
            Ok(())
        },
    )
    .await
}

/// `POST /cluster/sdn/rollback`: what is configured becomes what runs.
fn rollback(state: &mut State, call: &Call) -> Answer {
    state
        .sdn_unlocked(call)
        .map_err(within("could not rollback SDN configuration"))?;
    for file in FILES {
        let running = state.sdn.running.get(*file).cloned().unwrap_or_default();
        state.configs.insert((*file).to_owned(), running);
    }
    state.sdn_release(call);
    Ok(Value::Null)
}

/// `POST /cluster/sdn/lock`
fn lock(state: &mut State, call: &Call) -> Answer {
    let failed = within("could not acquire lock for SDN config");
    state.sdn_unlocked(call).map_err(&failed)?;
    if state.sdn_has_pending() && !call.params.is_on("allow-pending") {
        return Err(failed(ApiError::failure(
            "configuration has pending changes",
        )));
    }
    let token = state.uuid();
    state.sdn.lock = Some(token.clone());
    Ok(token.into())
}

/// `DELETE /cluster/sdn/lock`
fn unlock(state: &mut State, call: &Call) -> Answer {
    if !call.params.is_on("force") {
        state
            .sdn_unlocked(call)
            .map_err(within("could not release lock"))?;
    }
    state.sdn.lock = None;
    Ok(Value::Null)
}

/// `GET /cluster/sdn/dry-run`: what a node's files would become.
fn dry_run(state: &State, call: &Call) -> Answer {
    let node = call.params.text("node");
    let next = Sdn {
        running: state.sdn_files(),
        ..Sdn::default()
    };
    let diff = |name: &str, old: String, new: String| {
        let diff = TextDiff::from_lines(&old, &new);
        let mut unified = diff.unified_diff();
        unified.header(name, "pending").to_string()
    };
    Ok(json!({
        "frr-diff": diff("/etc/frr/frr.conf", state.sdn.frr(node), next.frr(node)),
        "interfaces-diff": diff("/etc/network/interfaces.d/sdn", state.sdn.interfaces(node), next.interfaces(node)),
    }))
}

impl Sdn {
    /// `/etc/network/interfaces.d/sdn` of a node.
    fn interfaces(&self, node: &str) -> String {
        let mut text = String::new();
        for (zone, id, vnet) in self.vnets_on(node) {
            let found = self.running_section(ZONES.file, zone);
            let option = |name: &str| found.and_then(|zone| zone.get(name));
            let tag = vnet.get("tag").unwrap_or_default();
            let ports = match found.map_or("", |zone| zone.kind.as_str()) {
                "vlan" => format!("{}.{tag}", option("bridge").unwrap_or_default()),
                "qinq" => format!("z_{zone}.{tag}"),
                "vxlan" | "evpn" => format!("vxlan_{id}"),
                _ => "none".into(),
            };
            text += &format!("auto {id}\niface {id}\n");
            let subnets = self
                .running(SUBNETS.file)
                .filter(|(_, subnet)| subnet.get("vnet") == Some(id));
            for (subnet, gateway) in
                subnets.filter_map(|(name, subnet)| Some((name, subnet.get("gateway")?)))
            {
                let mask = subnet.rsplit('-').next().unwrap_or_default();
                text += &format!("\taddress {gateway}/{mask}\n");
            }
            text += &format!("\tbridge_ports {ports}\n\tbridge_stp off\n\tbridge_fd 0\n");
            if vnet.is_on("vlanaware") {
                text += "\tbridge-vlan-aware yes\n\tbridge-vids 2-4094\n";
            }
            if let Some(mtu) = option("mtu") {
                text += &format!("\tmtu {mtu}\n");
            }
            if let Some(alias) = vnet.get("alias") {
                text += &format!("\talias {alias}\n");
            }
            text += "\n";
        }
        text
    }

    /// The routing daemon's configuration of a node.
    fn frr(&self, node: &str) -> String {
        let mut text = String::new();
        let here = |controller: &crate::sections::Section| {
            on_node(controller, node) && controller.get("node").is_none_or(|one| one == node)
        };
        for (id, controller) in self
            .running(CONTROLLERS.file)
            .filter(|(_, controller)| here(controller))
        {
            let asn = controller.get("asn").unwrap_or_default();
            text += &format!("! {id}\nrouter bgp {asn}\n");
            for peer in crate::schema::format::list(controller.get("peers").unwrap_or_default()) {
                text += &format!(" neighbor {peer} remote-as {asn}\n");
            }
            text += "exit\n!\n";
        }
        text
    }
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.put("/cluster/sdn", apply);
    at.post("/cluster/sdn/rollback", rollback);
    at.post("/cluster/sdn/lock", lock);
    at.delete("/cluster/sdn/lock", unlock);
    at.get("/cluster/sdn/dry-run", dry_run);
}
