//! Which guests the manager manages, and what it does with them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{groups, rules};
use crate::Px;
use crate::access::Caller;
use crate::error::{Answer, ApiError};
use crate::guest::migrate::{as_manager, by_manager};
use crate::guest::{Purpose, power};
use crate::options::Version;
use crate::routes::{Asked, Call, Routes, call_of};
use crate::schema::check::Given;
use crate::sections::{Act, Change, Family, Section, Type};
use crate::state::State;

pub(super) const FILE: &str = "ha/resources.cfg";

const OPTIONS: &[&str] = &[
    "state",
    "group",
    "comment",
    "failback",
    "max_restart",
    "max_relocate",
];

static RESOURCES: Family = Family {
    file: FILE,
    path: "/cluster/ha/resources",
    key: "sid",
    types: &[
        Type {
            optional: OPTIONS,
            ..Type::new("vm")
        },
        Type {
            optional: OPTIONS,
            ..Type::new("ct")
        },
    ],
    control: &["purge"],
    id: sid,
    digest_in_list: true,
    id_in_read: true,
    wanted: |call, _, section| {
        let kind = call.params.get("type");
        kind.is_none_or(|kind| kind == section.kind)
    },
    exists: |id| ApiError::failure(format!("resource ID '{id}' already defined")),
    missing: |act, id| {
        Some(ApiError::failure(match act {
            Act::Delete => format!("cannot delete service '{id}', not HA managed!"),
            _ => format!("no such resource '{id}'"),
        }))
    },
    failed: |act| match act {
        Act::Create => "create resource failed",
        Act::Update => "update resources config failed",
        _ => "",
    },
    check_within: false,
    check,
    show: |shown, row| {
        if shown.state.version() >= Version::V9_2 {
            row.remove("group");
        } else if let Some(group) = shown.section.get("group")
            && shown.listed
            && shown.state.section(groups::FILE, group).is_none()
        {
            let text = format!("group '{group}' does not exist");
            row.insert("errors".into(), json!({ "group": text }));
        }
    },
    ..Family::PLAIN
};

pub(super) fn routes(at: &mut Routes<'_>) {
    RESOURCES.routes(at);
    at.post("/cluster/ha/resources", create);
    at.put("/cluster/ha/resources/{sid}", update);
    at.delete("/cluster/ha/resources/{sid}", delete);
    at.post("/cluster/ha/resources/{sid}/migrate", migrate);
    at.post("/cluster/ha/resources/{sid}/relocate", relocate);
    at.post("/cluster/ha/resources/{sid}/migrate", migrate);
    at.post("/cluster/ha/resources/{sid}/relocate", relocate);
}

/// `100` is `vm:100`, if that is what it is.
fn sid(state: &State, _: &Call, given: &str) -> Result<String, ApiError> {
    if given.contains(':') {
        return Ok(given.to_owned());
    }
    let kind = given.parse().ok().and_then(|vmid| kind_of(state, vmid));
    match kind {
        Some(kind) => Ok(format!("{kind}:{given}")),
        None => Err(ApiError::failure(format!(
            "unable to detect SID from VMID - VM/CT {given} does not exist"
        ))),
    }
}

/// `vm` or `ct`.
fn kind_of(state: &State, vmid: u32) -> Option<&'static str> {
    state.vms.get(&vmid).map(|vm| vm.kind.service())
}

pub(super) fn of_guest(state: &State, vmid: u32) -> Option<(&String, &Section)> {
    let kind = kind_of(state, vmid)?;
    let sections = state.configs.get(FILE)?;
    sections.get_key_value(&format!("{kind}:{vmid}"))
}

pub(super) fn guest(sid: &str) -> Option<u32> {
    sid.split_once(':')?.1.parse().ok()
}

/// The state that was asked for.
pub(super) fn requested(section: &Section) -> &str {
    match section.get("state") {
        None | Some("enabled") => "started",
        Some(state) => state,
    }
}

fn check(change: &Change<'_>, section: &mut Section) -> Result<(), ApiError> {
    let refused = |text: String| Err(ApiError::failure(text));
    let given = change.call.params.get("type");
    let (kind, name) = change.id.split_once(':').unwrap_or_default();
    if given.is_some_and(|given| given != kind) {
        return refused("types does not match".into());
    }
    if let Some(group) = change.call.params.get("group") {
        if change.state.version() >= Version::V9_2 {
            return refused(
                "invalid parameter 'group': ha groups have been migrated to rules".into(),
            );
        }
        if change.old.is_some() && change.state.section(groups::FILE, group).is_none() {
            return refused(format!("HA group '{group}' does not exist"));
        }
    }
    if change.old.is_none() {
        let Ok(vmid) = name.parse::<u32>() else {
            return refused("invalid VMID".into());
        };
        return match (kind_of(change.state, vmid), section.kind.as_str()) {
            (None, _) => refused(format!(
                "resource '{}' does not exist in cluster",
                change.id
            )),
            (Some(actual), wanted) if actual != wanted => {
                let what = if wanted == "vm" { "VM" } else { "container" };
                refused(format!(
                    "resource '{}' - guest with ID {vmid} is not a {what}",
                    change.id
                ))
            }
            _ => Ok(()),
        };
    }
    Ok(())
}

async fn create(px: &Px, call: Call) -> Answer {
    let answer = RESOURCES.create(px, &call)?;
    let sid = sid(&px.state(), &call, call.params.text("sid"))?;
    settle(px, sid);
    Ok(answer)
}

async fn update(px: &Px, call: Call) -> Answer {
    let answer = RESOURCES.update(px, &call)?;
    let sid = sid(&px.state(), &call, call.params.text("sid"))?;
    settle(px, sid);
    Ok(answer)
}

async fn delete(px: &Px, call: Call) -> Answer {
    let sid = sid(&px.state(), &call, call.params.text("sid"))?;
    let answer = RESOURCES.delete(px, &call)?;
    if !call.params.has("purge") || call.params.is_on("purge") {
        rules::forget(&mut px.state(), &sid);
    }
    Ok(answer)
}

pub(super) fn remove(state: &mut State, sid: &str) {
    if let Some(sections) = state.configs.get_mut(FILE) {
        sections.remove(sid);
    }
}

/// How often the manager and the nodes' resource managers look.
pub(crate) const ROUND: Duration = Duration::from_secs(10);

/// Lets the manager bring a guest to the state that was asked for, in its next round.
pub(super) fn settle(px: &Px, sid: String) {
    let px = px.clone();
    px.lab.tasks.clone().spawn(async move {
        tokio::select! {
            () = px.takes(ROUND) => carry_out(&px, &sid).await,
            () = px.lab.shutdown.cancelled() => {}
        }
    });
}

/// Manages a guest that was just made; it is to run.
pub(super) fn add(state: &mut State, vmid: u32) {
    if let Some(kind) = kind_of(state, vmid) {
        let section = Section {
            kind: kind.to_owned(),
            ..Section::default()
        };
        let file = state.configs.entry(FILE.to_owned()).or_default();
        file.insert(format!("{kind}:{vmid}"), section);
    }
}

async fn carry_out(px: &Px, sid: &str) {
    let (node, vmid, kind, wanted) = {
        let state = px.state();
        let section = state.section(FILE, sid);
        let vm = guest(sid).and_then(|vmid| Some((vmid, state.vms.get(&vmid)?)));
        let (Some(section), Some((vmid, vm)), None) = (section, vm, &state.ha_disarmed) else {
            return;
        };
        let wanted = match (requested(section), vm.running.is_some()) {
            ("started", false) => "started",
            ("stopped" | "disabled", true) => "stopped",
            _ => return,
        };
        (vm.node.clone(), vmid, vm.kind, wanted)
    };
    let root = Caller::named("root@pam");
    let verb = if wanted == "started" {
        "start"
    } else {
        "shutdown"
    };
    let started = px
        .worker(
            &node,
            &kind.task(verb),
            &vmid.to_string(),
            &root,
            move |task| async move {
                let px = task.proxmox.clone();
                let _lock = px.lock_vm(kind, vmid, Purpose::Change).await?;
                if wanted == "started" {
                    return power::power_on(&px, vmid).await;
                }
                if !px.ask_to_stop(vmid).await {
                    px.power_off(vmid).await;
                }
                Ok(())
            },
        )
        .await;
    if let Err(error) = started {
        tracing::warn!(sid, error = error.message, "high availability");
    }
}

/// What a move of a resource needs: the guest, the path of its migration, and the answer, with what else that concerns.
struct Move {
    sid: String,
    vmid: u32,
    path: String,
    answer: Value,
}

fn plan_move(state: &State, call: &Call) -> Result<Move, ApiError> {
    let sid = sid(state, call, call.params.text("sid"))?;
    let target = call.params.text("node");
    let vm = guest(&sid).and_then(|vmid| Some((vmid, state.vms.get(&vmid)?)));
    let (vmid, vm) = vm
        .filter(|(vmid, _)| super::manages(state, *vmid))
        .ok_or_else(|| ApiError::failure(format!("resource '{sid}' is not HA managed")))?;
    let mut answer = json!({ "sid": sid, "requested-node": target });
    let (together, apart) = rules::affine(state, &sid);
    let is_there = |other: &&String| {
        let vm = guest(other).and_then(|vmid| state.vms.get(&vmid));
        vm.is_some_and(|vm| vm.node == target)
    };
    let blocking: Vec<Value> = apart
        .iter()
        .filter(is_there)
        .map(|other| json!({ "sid": other, "cause": "resource-affinity" }))
        .collect();
    if !together.is_empty() {
        answer["comigrated-resources"] = json!(together);
    }
    if !blocking.is_empty() {
        answer["blocking-resources"] = blocking.into();
    }
    let path = format!("/nodes/{}/{}/{vmid}/migrate", vm.node, vm.kind.id());
    Ok(Move {
        sid,
        vmid,
        path,
        answer,
    })
}

impl Move {
    fn is_blocked(&self) -> bool {
        self.answer.get("blocking-resources").is_some()
    }

    /// The manager's own call of the guest's migration.
    async fn migration(&self, px: &Px, call: &Call, running: bool) -> Result<Call, ApiError> {
        let target = vec![call.params.text("node").to_owned()];
        let mut given = Given::from([("target".to_owned(), target)]);
        if running {
            let lxc = self.path.contains("/lxc/");
            let option = if lxc { "restart" } else { "online" };
            given.insert(option.to_owned(), vec!["1".to_owned()]);
        }
        let asked = Asked {
            caller: Caller::named("root@pam"),
            at: call.at.clone(),
            given,
            upload: None,
        };
        call_of(px, ("POST", &self.path), asked).await
    }
}

/// `POST /cluster/ha/resources/{sid}/migrate`; a resource that has to be apart from others there stays.
async fn migrate(px: &Px, call: Call) -> Answer {
    let plan = plan_move(&px.state(), &call)?;
    if !plan.is_blocked() {
        let running = px.is_running(plan.vmid);
        by_manager(px, plan.migration(px, &call, running).await?);
    }
    Ok(plan.answer)
}

/// `POST /cluster/ha/resources/{sid}/relocate`: stopped here, started there.
async fn relocate(px: &Px, call: Call) -> Answer {
    let plan = plan_move(&px.state(), &call)?;
    let answer = plan.answer.clone();
    if !plan.is_blocked() {
        let px = px.clone();
        px.lab.tasks.clone().spawn(async move {
            tokio::select! {
                () = px.takes(ROUND) => {}
                () = px.lab.shutdown.cancelled() => return,
            }
            if let Err(error) = stop_and_move(&px, &call, &plan).await {
                tracing::warn!(error = error.message, "relocation by the HA manager");
            }
        });
    }
    Ok(answer)
}

async fn stop_and_move(px: &Px, call: &Call, plan: &Move) -> Result<(), ApiError> {
    if px.is_running(plan.vmid) && !px.ask_to_stop(plan.vmid).await {
        px.power_off(plan.vmid).await;
    }
    let migration = plan.migration(px, call, false).await?;
    let upid = as_manager(px, migration).await?;
    px.ended(upid.as_str().unwrap_or_default()).await;
    carry_out(px, &plan.sid).await;
    Ok(())
}
