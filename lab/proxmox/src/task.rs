//! Tasks: work that goes on after the answer, known by its UPID.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::access::Caller;
use crate::error::ApiError;
use crate::routes::{Call, Reply, Routes};
use crate::state::State;
use crate::{Proxmox, lock, now};

/// How many ended tasks a cluster remembers.
const REMEMBERED: usize = 2000;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) node: String,
    pub(crate) pid: u32,
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
    /// `qmcreate`, `download`, …
    pub(crate) kind: String,
    pub(crate) id: String,
    /// With the token's name, when one was used.
    pub(crate) user: String,
    pub(crate) exit: Option<String>,
    warnings: usize,
    log: Vec<String>,
}

/// A running task, to its own work.
#[derive(Clone)]
pub(crate) struct TaskLog {
    pub(crate) proxmox: Arc<Proxmox>,
    upid: String,
}

impl TaskLog {
    pub(crate) fn line(&self, text: impl Into<String>) {
        self.update(|task| task.log.push(text.into()));
    }

    /// A line that makes the task end with `WARNINGS: n`.
    pub(crate) fn warn(&self, text: &str) {
        self.update(|task| {
            task.log.push(format!("WARN: {text}"));
            task.warnings += 1;
        });
    }

    /// Lets the task take as long as the real one, at the lab's pace.
    pub(crate) async fn takes(&self, lifelike: Duration) {
        self.proxmox.takes(lifelike).await;
    }

    fn update(&self, change: impl FnOnce(&mut Task)) {
        if let Some(task) = self.proxmox.state().tasks.get_mut(&self.upid) {
            change(task);
        }
        self.proxmox.changed();
    }

    fn finish(&self, outcome: Result<(), String>) {
        self.update(|task| {
            let (line, exit) = match outcome {
                Err(text) => {
                    let first = text.lines().next().unwrap_or_default().to_owned();
                    (format!("TASK ERROR: {first}"), first)
                }
                Ok(()) if task.warnings > 0 => (
                    format!("TASK WARNINGS: {}", task.warnings),
                    format!("WARNINGS: {}", task.warnings),
                ),
                Ok(()) => ("TASK OK".to_owned(), "OK".to_owned()),
            };
            task.log.push(line);
            task.exit = Some(exit);
            task.end = Some(now());
        });
    }
}

/// How long tasks may go on after the lab was told to stop.
const GRACE: Duration = Duration::from_secs(10);

impl Proxmox {
    /// Returns when the lab stops and what is under way had time enough to end well.
    async fn grace_is_over(&self) {
        self.lab.shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    }

    /// Starts work of its own; answers its UPID.
    pub(crate) async fn worker<F, W>(
        self: &Arc<Self>,
        node: &str,
        kind: &str,
        id: &str,
        caller: &Caller,
        work: F,
    ) -> Result<Value, ApiError>
    where
        F: FnOnce(TaskLog) -> W + Send + 'static,
        W: Future<Output = Result<(), String>> + Send + 'static,
    {
        if self.lab.faults.is_on("proxmox.no-worker").await {
            return Err(ApiError::failure(
                "got no worker upid - start worker failed",
            ));
        }
        let upid = self.state().new_task(node, kind, id, &caller.name());
        if self.lab.faults.is_on("proxmox.task-lost").await {
            // The node forgot it before it began.
            self.state().tasks.remove(&upid);
            return Ok(Value::String(upid));
        }
        let task = TaskLog {
            proxmox: self.clone(),
            upid: upid.clone(),
        };
        let abort = CancellationToken::new();
        lock(&self.aborts).insert(upid.clone(), abort.clone());
        let (fault, every) = (format!("proxmox.task.{kind}"), "proxmox.task");
        self.lab.tasks.spawn(async move {
            let faults = task.proxmox.lab.faults.clone();
            if faults.is_on("proxmox.task-warning").await {
                task.warn("simulated fault");
            }
            let outcome = if faults.is_on(&fault).await || faults.is_on(every).await {
                // What was to be done comes to nothing before the task has ended.
                drop(work);
                Err("simulated fault".to_owned())
            } else {
                tokio::select! {
                    outcome = work(task.clone()) => outcome,
                    () = abort.cancelled() => Err("received interrupt".to_owned()),
                    () = task.proxmox.grace_is_over() => Err("received interrupt".to_owned()),
                }
            };
            lock(&task.proxmox.aborts).remove(&task.upid);
            task.finish(outcome);
        });
        self.changed();
        Ok(Value::String(upid))
    }
}

impl Proxmox {
    /// Interrupts the running tasks of a kind that a caller may stop; gives their UPIDs.
    pub(crate) fn abort_tasks(&self, caller: &Caller, kind: &str, id: &str) -> Vec<String> {
        let state = self.state();
        let running = state
            .tasks
            .iter()
            .filter(|(_, task)| task.end.is_none() && task.kind == kind && task.id == id);
        let found: Vec<String> = running
            .filter(|(_, task)| state.may_stop(caller, task))
            .map(|(upid, _)| upid.clone())
            .collect();
        drop(state);
        for upid in &found {
            self.abort(upid);
        }
        found
    }

    fn abort(&self, upid: &str) {
        if let Some(abort) = lock(&self.aborts).get(upid) {
            abort.cancel();
        }
    }
}

/// `DELETE /nodes/{node}/tasks/{upid}`: interrupts a task; one that has ended stays as it is.
pub(crate) fn stop(px: &Proxmox, call: &Call) -> Result<Value, ApiError> {
    let state = px.state();
    let task = find(&state, call)?;
    if !state.may_stop(&call.caller, task) {
        state.need(
            &call.caller,
            &format!("/nodes/{}", task.node),
            &["Sys.Modify"],
        )?;
    }
    drop(state);
    px.abort(call.params.text("upid"));
    Ok(Value::Null)
}

impl State {
    /// One's own tasks (a user's are also those of his tokens), or all with Sys.Modify on the node.
    fn may_stop(&self, caller: &Caller, task: &Task) -> bool {
        let owner = task.user.split('!').next().unwrap_or_default();
        task.user == caller.name()
            || (caller.token.is_none() && owner == caller.user)
            || self.may(caller, &format!("/nodes/{}", task.node), "Sys.Modify")
    }

    fn new_task(&mut self, node: &str, kind: &str, id: &str, user: &str) -> String {
        let (pid, start) = (self.next_pid(), now());
        let upid = format!(
            "UPID:{node}:{pid:08X}:{:08X}:{start:08X}:{kind}:{id}:{user}:",
            pid.wrapping_mul(7)
        );
        let task = Task {
            node: node.into(),
            pid,
            start,
            end: None,
            kind: kind.into(),
            id: id.into(),
            user: user.into(),
            exit: None,
            warnings: 0,
            log: Vec::new(),
        };
        self.tasks.insert(upid.clone(), task);
        self.forget_old_tasks();
        upid
    }

    fn forget_old_tasks(&mut self) {
        if self.tasks.len() <= REMEMBERED {
            return;
        }
        let ended = self.tasks.iter().filter(|(_, t)| t.end.is_some());
        if let Some(oldest) = ended
            .min_by_key(|(_, t)| t.pid)
            .map(|(upid, _)| upid.clone())
        {
            self.tasks.remove(&oldest);
        }
    }

    /// After a restart nothing works any more on what was running. A machine that was half made goes with its disks: the
    /// lab's process is not the hypervisor's, and nobody could unlock such a machine through the API.
    pub(crate) fn abandon_tasks(&mut self) {
        let half_made = |vm: &crate::state::Vm| {
            matches!(
                vm.config.get("lock").map(String::as_str),
                Some("create" | "clone")
            )
        };
        let lost: Vec<u32> = self
            .vms
            .iter()
            .filter(|(_, vm)| half_made(vm))
            .map(|(id, _)| *id)
            .collect();
        for vmid in lost {
            self.vms.remove(&vmid);
            for volumes in self
                .storages
                .values_mut()
                .flat_map(|storage| storage.volumes.values_mut())
            {
                volumes.retain(|_, volume| !volume.is_disk() || volume.vmid != Some(vmid));
            }
            for pool in self.pools.values_mut() {
                pool.vms.retain(|id| *id != vmid);
            }
        }
        for task in self.tasks.values_mut().filter(|t| t.end.is_none()) {
            task.end = Some(now());
            task.exit = Some("unexpected status".into());
        }
    }
}

/// `GET /nodes/{node}/tasks/{upid}/status`
pub(crate) fn status(state: &State, call: &Call) -> Result<Value, ApiError> {
    let upid = call.params.text("upid");
    let task = find(state, call)?;
    let (user, token) = task
        .user
        .split_once('!')
        .map_or((task.user.as_str(), None), |(u, t)| (u, Some(t)));
    let mut status = json!({
        "upid": upid, "node": task.node, "pid": task.pid, "pstart": task.pid.wrapping_mul(7), "starttime": task.start,
        "type": task.kind, "id": task.id, "user": user, "status": if task.end.is_some() { "stopped" } else { "running" },
    });
    if let (Some(token), Some(fields)) = (token, status.as_object_mut()) {
        fields.insert("tokenid".into(), token.into());
    }
    if let (Some(exit), Some(fields)) = (&task.exit, status.as_object_mut()) {
        fields.insert("exitstatus".into(), exit.clone().into());
    }
    Ok(status)
}

/// `GET /nodes/{node}/tasks/{upid}/log`
pub(crate) fn log(state: &State, call: &Call) -> Result<Reply, ApiError> {
    let task = find(state, call)?;
    let start = usize::try_from(call.params.number("start").unwrap_or(0)).unwrap_or(usize::MAX);
    let limit = match call.params.number("limit") {
        Some(0) => usize::MAX,
        given => usize::try_from(given.unwrap_or(50)).unwrap_or(usize::MAX),
    };
    let lines = task.log.iter().enumerate().skip(start).take(limit);
    let mut lines: Vec<Value> = lines
        .map(|(i, text)| json!({ "n": i + 1, "t": text }))
        .collect();
    if task.log.is_empty() {
        lines.push(json!({ "n": 1, "t": "no content" }));
    }
    Ok(Reply {
        data: Value::Array(lines),
        total: Some(task.log.len()),
        attributes: serde_json::Map::new(),
    })
}

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Task, ApiError> {
    let upid = call.params.text("upid");
    if upid.splitn(9, ':').count() != 9 || !upid.starts_with("UPID:") {
        return Err(ApiError::parameter(
            "upid",
            format!("unable to parse worker upid '{upid}'"),
        ));
    }
    let task = state
        .tasks
        .get(upid)
        .filter(|t| t.node == call.params.text("node"));
    let task = task.ok_or_else(|| ApiError::new(400, "no such task"))?;
    if task.user != call.caller.name() && task.user != call.caller.user {
        state.need(
            &call.caller,
            &format!("/nodes/{}", task.node),
            &["Sys.Audit"],
        )?;
    }
    Ok(task)
}

/// `GET /nodes/{node}/tasks`
fn of_node(state: &State, call: &Call) -> Reply {
    list(state, call, Some(call.node()))
}

/// `GET /cluster/tasks`
fn of_cluster(state: &State, call: &Call) -> Value {
    list(state, call, None).data
}

fn list(state: &State, call: &Call, node: Option<&str>) -> Reply {
    let params = &call.params;
    let all = match node {
        Some(node) => state.may(&call.caller, &format!("/nodes/{node}"), "Sys.Audit"),
        None => state.may(&call.caller, "/", "Sys.Audit"),
    };
    let source = params
        .get("source")
        .unwrap_or(if node.is_some() { "archive" } else { "all" });
    let wanted = |task: &Task| {
        (all || task.user == call.caller.name())
            && node.is_none_or(|n| task.node == n)
            && params
                .get("typefilter")
                .is_none_or(|kind| task.kind == kind)
            && params.get("vmid").is_none_or(|id| task.id == id)
            && params
                .get("userfilter")
                .is_none_or(|user| task.user.contains(user))
            && params
                .number("since")
                .is_none_or(|since| task.start >= since)
            && params
                .number("until")
                .is_none_or(|until| task.start <= until)
            && (!params.is_on("errors") || task.exit.as_ref().is_some_and(|e| e != "OK"))
            && match source {
                "archive" => task.end.is_some(),
                "active" => task.end.is_none(),
                _ => true,
            }
            && (!params.has("statusfilter")
                || params
                    .list("statusfilter")
                    .iter()
                    .any(|s| *s == task.status_type()))
    };
    let mut found: Vec<(&String, &Task)> = state.tasks.iter().filter(|(_, t)| wanted(t)).collect();
    found.sort_by_key(|(_, task)| std::cmp::Reverse((task.start, task.pid)));
    let total = found.len();
    let start = usize::try_from(params.number("start").unwrap_or(0)).unwrap_or(usize::MAX);
    let limit = usize::try_from(params.number("limit").unwrap_or(50)).unwrap_or(usize::MAX);
    let rows = found.into_iter().skip(start).take(limit).map(|(upid, task)| {
        let mut row = json!({
            "upid": upid, "node": task.node, "pid": task.pid, "pstart": task.pid.wrapping_mul(7),
            "starttime": task.start, "type": task.kind, "id": task.id, "user": task.user,
        });
        if let (Some(end), Some(exit), Some(row)) = (task.end, &task.exit, row.as_object_mut()) {
            row.insert("endtime".into(), end.into());
            row.insert("status".into(), exit.clone().into());
        }
        row
    });
    Reply {
        data: rows.collect(),
        total: Some(total),
        attributes: serde_json::Map::new(),
    }
}

impl Task {
    fn status_type(&self) -> &'static str {
        match self.exit.as_deref() {
            Some("OK") => "ok",
            Some(exit) if exit.starts_with("WARNINGS") => "warning",
            Some(_) => "error",
            None => "unknown",
        }
    }
}

pub(crate) fn routes(at: &mut Routes<'_>) {
    at.get("/cluster/tasks", of_cluster);
    at.get("/nodes/{node}/tasks", of_node);
    at.get("/nodes/{node}/tasks/{upid}/status", status);
    at.delete("/nodes/{node}/tasks/{upid}", stop);
    at.get("/nodes/{node}/tasks/{upid}/log", log);
}
