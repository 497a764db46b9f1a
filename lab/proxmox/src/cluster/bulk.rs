//! Actions on many guests: a task that calls the method of each, in the order in which they start.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Px;
use crate::error::{Answer, ApiError};
use crate::routes::{Asked, Call, Routes, perform_at};
use crate::schema::property::plain;
use crate::state::State;
use crate::task::TaskLog;

/// An action: what the task is called, the guest's method, and the privilege.
struct Bulk {
    kind: &'static str,
    doing: &'static str,
    method: &'static str,
    /// In which state a guest has nothing left to do.
    done: &'static str,
    privilege: &'static str,
    workers: u64,
    /// Parameters of the call and of the guest's method.
    passed: &'static [(&'static str, &'static str)],
}

const START: Bulk = Bulk {
    kind: "bulk-start",
    doing: "Starting",
    method: "status/start",
    done: "running",
    privilege: "VM.PowerMgmt",
    workers: 4,
    passed: &[],
};

const SHUTDOWN: Bulk = Bulk {
    kind: "bulk-shutdown",
    doing: "Shutting down",
    method: "status/shutdown",
    done: "stopped",
    passed: &[("timeout", "timeout"), ("force-stop", "forceStop")],
    ..START
};

const SUSPEND: Bulk = Bulk {
    kind: "bulk-suspend",
    doing: "Suspending",
    method: "status/suspend",
    done: "stopped",
    passed: &[("to-disk", "todisk"), ("statestorage", "statestorage")],
    ..START
};

const MIGRATE: Bulk = Bulk {
    kind: "bulk-migrate",
    doing: "Migrating",
    method: "migrate",
    done: "",
    privilege: "VM.Migrate",
    workers: 1,
    passed: &[
        ("target", "target"),
        ("online", "online"),
        ("with-local-disks", "with-local-disks"),
    ],
};

pub(super) fn routes(at: &mut Routes<'_>) {
    at.post("/cluster/bulk-action/guest/start", start);
    at.post("/cluster/bulk-action/guest/shutdown", shutdown);
    at.post("/cluster/bulk-action/guest/suspend", suspend);
    at.post("/cluster/bulk-action/guest/migrate", migrate);
}

async fn start(px: &Px, call: Call) -> Answer {
    START.begin(px, call).await
}

async fn shutdown(px: &Px, call: Call) -> Answer {
    SHUTDOWN.begin(px, call).await
}

async fn suspend(px: &Px, call: Call) -> Answer {
    SUSPEND.begin(px, call).await
}

async fn migrate(px: &Px, call: Call) -> Answer {
    MIGRATE.begin(px, call).await
}

/// The guests by their place in the order; templates are left out.
fn in_order(state: &State, wanted: &[u32]) -> BTreeMap<u64, Vec<u32>> {
    let mut order: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    for (vmid, vm) in state.vms.iter().filter(|(_, vm)| !vm.is_template()) {
        if wanted.is_empty() || wanted.contains(vmid) {
            let startup = vm.config.get("startup").map(String::as_str);
            let startup = startup.unwrap_or_default();
            let place = plain(startup, "order").or(startup.split(',').next());
            let place = place.and_then(|text| text.parse().ok());
            order
                .entry(place.unwrap_or(u64::MAX))
                .or_default()
                .push(*vmid);
        }
    }
    order
}

impl Bulk {
    async fn begin(&'static self, px: &Px, call: Call) -> Answer {
        let vms: Vec<u32> = call
            .params
            .all("vms")
            .iter()
            .filter_map(|id| id.parse().ok())
            .collect();
        {
            let state = px.state();
            for vmid in &vms {
                state.need(&call.caller, &format!("/vms/{vmid}"), &[self.privilege])?;
            }
            if vms.is_empty() && !state.may(&call.caller, "/", self.privilege) {
                return Err(ApiError::permission(&format!("/, {}", self.privilege)));
            }
        }
        let (at, caller) = (call.at.clone(), call.caller.clone());
        px.worker(&at, self.kind, "", &caller, move |task| async move {
            let order = in_order(&task.proxmox.state(), &vms);
            let mut groups: Vec<Vec<u32>> = order.into_values().collect();
            if self.done == "stopped" {
                groups.reverse();
            }
            let workers = call.params.number("max-workers");
            let workers = workers
                .or(call.params.number("maxworkers"))
                .unwrap_or(self.workers);
            let workers = usize::try_from(workers).unwrap_or(1).max(1);
            let mut failed = Vec::new();
            for group in groups {
                for some in group.chunks(workers) {
                    failed.extend(self.at_once(&task, &call, some).await);
                }
            }
            if failed.is_empty() {
                return Ok(());
            }
            let verb = self.kind.trim_start_matches("bulk-");
            Err(format!(
                "Some guests failed to {verb}: {}",
                failed.join(", ")
            ))
        })
        .await
    }

    /// Begins the tasks of some guests, and waits for all of them; gives those that failed.
    async fn at_once(&self, task: &TaskLog, call: &Call, vms: &[u32]) -> Vec<String> {
        let px = &task.proxmox;
        let (mut begun, mut failed) = (Vec::new(), Vec::new());
        for vmid in vms {
            let Some((path, noun, status)) = px.state().vms.get(vmid).map(|vm| {
                let path = format!("/nodes/{}/{}/{vmid}/{}", vm.node, vm.kind.id(), self.method);
                (path, vm.kind.noun(), vm.status())
            }) else {
                continue;
            };
            if status == self.done {
                task.warn(&format!("Skipping {noun} {vmid}, already {status}."));
                continue;
            }
            task.line(format!("{} {noun} {vmid}", self.doing));
            let given = self.passed.iter().filter_map(|(name, passed)| {
                Some((
                    (*passed).to_owned(),
                    vec![call.params.get(name)?.to_owned()],
                ))
            });
            let asked = Asked {
                caller: call.caller.clone(),
                at: call.at.clone(),
                given: given.collect(),
                upload: None,
            };
            match perform_at(px, ("POST", &path), asked).await {
                Ok(reply) => begun.push((vmid, reply.data)),
                Err(error) => {
                    task.warn(&String::from(error));
                    failed.push(vmid.to_string());
                }
            }
        }
        for (vmid, upid) in begun {
            let exit = px.ended(upid.as_str().unwrap_or_default()).await;
            if exit != "OK" && !exit.starts_with("WARNINGS") {
                task.warn(&format!("{vmid}: {exit}"));
                failed.push(vmid.to_string());
            }
        }
        failed
    }
}

impl crate::Proxmox {
    /// Waits for the end of a task; gives its exit status.
    pub(crate) async fn ended(&self, upid: &str) -> String {
        loop {
            match self.state().tasks.get(upid) {
                None => return "unexpected status".to_owned(),
                Some(task) if task.end.is_some() => return task.exit.clone().unwrap_or_default(),
                Some(_) => {}
            }
            // Also where the lab is to take no time at all, others have their turn.
            tokio::task::yield_now().await;
            self.takes(Duration::from_secs(1)).await;
        }
    }
}
