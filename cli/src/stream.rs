//! A run as a stream of JSON, one object a line, in Terraform's format "ui 1.2", for tools that follow along.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value as Json, json};
use stead_engine::{
    Action, ActionReason, EphemeralStep, Event, Observer, Plan, PlanMode, ResourceChange,
};
use stead_sdk::ImportBy;
use stead_state::State;
use stead_value::addr::{InstanceKey, ResourceInstance};
use stead_value::{Diagnostic, Diagnostics, Severity};

use crate::progress::beat;
use crate::progress::{STILL, seconds};
use crate::render::diagnostics::Sources;
use crate::render::json;
use crate::session::TERRAFORM_VERSION;

/// Writes messages as they happen, from any thread.
pub(crate) struct Stream {
    out: Mutex<Box<dyn Write + Send>>,
    running: Mutex<HashMap<ResourceInstance, Running>>,
}

/// An operation that says now and then that it still runs.
struct Running {
    kind: &'static str,
    action: Operation,
    started: Instant,
    spoken: Instant,
}

/// What is done, in the words of the stream.
#[derive(Clone, Copy)]
struct Operation {
    action: &'static str,
    starting: &'static str,
    ongoing: &'static str,
    noun: &'static str,
}

fn operation(action: Action) -> Operation {
    let (action, starting, ongoing, noun) = match action {
        Action::Create => ("create", "Creating", "creating", "Creation"),
        Action::Update => ("update", "Modifying", "modifying", "Modifications"),
        Action::Delete => ("delete", "Destroying", "destroying", "Destruction"),
        Action::Read => ("read", "Refreshing", "refreshing", "Refresh"),
        Action::DeleteThenCreate | Action::CreateThenDelete | Action::ForgetThenCreate => {
            ("replace", "Replacing", "replacing", "Replacement")
        }
        Action::Forget => ("remove", "Removing", "applying", "Removal"),
        Action::NoOp => ("noop", "Applying", "applying", "Apply"),
    };
    Operation {
        action,
        starting,
        ongoing,
        noun,
    }
}

fn ephemeral(step: EphemeralStep) -> Operation {
    let (action, starting, ongoing, noun) = match step {
        EphemeralStep::Open => ("open", "Opening", "opening", "Opening"),
        EphemeralStep::Renew => ("renew", "Renewing", "renewing", "Renewal"),
        EphemeralStep::Close => ("close", "Closing", "closing", "Closing"),
    };
    Operation {
        action,
        starting,
        ongoing,
        noun,
    }
}

impl Stream {
    /// Begins a stream with the version of its format.
    pub(crate) fn new(out: Box<dyn Write + Send>) -> Arc<Stream> {
        let stream = Arc::new(Stream {
            out: Mutex::new(out),
            running: Mutex::default(),
        });
        let version = json!({"terraform": TERRAFORM_VERSION, "ui": "1.2"});
        stream.info(
            &format!("Terraform {TERRAFORM_VERSION}"),
            "version",
            version,
        );
        beat(&stream, Stream::still_running);
        stream
    }

    fn info(&self, message: &str, kind: &str, fields: Json) {
        self.write("info", message, kind, fields);
    }

    fn write(&self, level: &str, message: &str, kind: &str, fields: Json) {
        let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
        let mut line = json!({
            "@level": level,
            "@message": message,
            "@module": "terraform.ui",
            "@timestamp": time.to_string(),
        });
        if let (Some(line), Json::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
            line.insert("type".into(), kind.into());
            line.sort_keys();
        }
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A reader that has gone away does not stop the run.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    /// The address of a recorded object.
    pub(crate) fn address(&self, address: &ResourceInstance) {
        self.info(&address.to_string(), "resource_address", json!({}));
    }

    /// A line that is no message.
    pub(crate) fn document(&self, document: &Json) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(out, "{document}").and_then(|()| out.flush());
    }

    pub(crate) fn log(&self, message: &str) {
        self.info(message, "log", json!({}));
    }

    pub(crate) fn diagnostics(&self, diagnostics: &Diagnostics, sources: &Sources) {
        for diagnostic in diagnostics.iter() {
            self.diagnostic(diagnostic, sources);
        }
    }

    fn diagnostic(&self, diagnostic: &Diagnostic, sources: &Sources) {
        let (level, word) = match diagnostic.severity {
            Severity::Error => ("error", "Error"),
            Severity::Warning => ("warn", "Warning"),
        };
        let message = format!("{word}: {}", diagnostic.summary);
        let fields = json!({ "diagnostic": json::diagnostic(diagnostic, sources) });
        self.write(level, &message, "diagnostic", fields);
    }

    /// What is planned: drift, changes, a summary, outputs.
    pub(crate) fn plan(&self, plan: &Plan) {
        for change in &plan.drift {
            if change.action != Action::NoOp || plan.mode == PlanMode::RefreshOnly {
                let message = format!(
                    "{}: Drift detected ({})",
                    change.address,
                    planned_action(change)
                );
                let fields = json!({ "change": planned(change) });
                self.info(&message, "resource_drift", fields);
            }
        }
        self.changes(plan, |_| true);
        let (add, change, remove) = plan.counts();
        self.summary("plan", (plan.imports(), add, change, remove));
        if plan.outputs.is_empty() {
            return;
        }
        let outputs: Map<String, Json> = plan
            .outputs
            .iter()
            .map(|(name, change)| {
                let action = operation(change.action).action;
                let output = json!({"sensitive": change.sensitive, "action": action});
                (name.to_string(), output)
            })
            .collect();
        self.outputs(outputs);
    }

    /// Each change that is planned.
    pub(crate) fn changes(&self, plan: &Plan, told: impl Fn(&ResourceChange) -> bool) {
        let shown = plan.changes.iter();
        let shown = shown.filter(|c| crate::render::plan::is_shown(c) && told(c));
        for change in shown {
            let message = format!("{}: Plan to {}", change.address, planned_action(change));
            let fields = json!({ "change": planned(change) });
            self.info(&message, "planned_change", fields);
        }
    }

    /// `(imported, added, changed, removed)`, planned or done.
    pub(crate) fn summary(&self, operation: &str, counts: (usize, usize, usize, usize)) {
        let (import, add, change, remove) = counts;
        let message = match operation {
            "destroy" => format!("Destroy complete! Resources: {remove} destroyed."),
            "apply" => {
                let imported = some(import, "imported, ");
                format!(
                    "Apply complete! Resources: {imported}{add} added, {change} changed, {remove} destroyed."
                )
            }
            _ => {
                let imported = some(import, "to import, ");
                format!("Plan: {imported}{add} to add, {change} to change, {remove} to destroy.")
            }
        };
        let changes = json!({"add": add, "change": change, "import": import, "remove": remove, "operation": operation});
        self.info(&message, "change_summary", json!({ "changes": changes }));
    }

    /// The outputs that the state has now.
    pub(crate) fn state_outputs(&self, state: &State) {
        let outputs = state.outputs.iter().map(|(name, output)| {
            let mut entry = json!({"sensitive": output.sensitive, "type": output.ty});
            if !output.sensitive {
                entry["value"] = serde_json::from_str(output.value.get()).unwrap_or(Json::Null);
            }
            (name.clone(), entry)
        });
        self.outputs(outputs.collect());
    }

    fn outputs(&self, outputs: Map<String, Json>) {
        let message = format!("Outputs: {}", outputs.len());
        self.info(&message, "outputs", json!({ "outputs": outputs }));
    }

    fn hook(&self, kind: &str, message: &str, address: &ResourceInstance, fields: Json) {
        let mut hook = json!({ "resource": resource(address) });
        if let (Some(hook), Json::Object(fields)) = (hook.as_object_mut(), fields) {
            hook.extend(fields);
        }
        self.info(message, kind, json!({ "hook": hook }));
    }

    fn begin(&self, kind: &'static str, address: &ResourceInstance, action: Operation) {
        let now = Instant::now();
        let running = Running {
            kind,
            action,
            started: now,
            spoken: now,
        };
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(address.clone(), running);
    }

    fn end(&self, address: &ResourceInstance) {
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(address);
    }

    fn still_running(&self) {
        let mut all = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let due: Vec<_> = all
            .iter_mut()
            .filter(|(_, r)| r.spoken.elapsed() >= STILL)
            .map(|(address, running)| {
                running.spoken = Instant::now();
                let elapsed = running.started.elapsed();
                (address.clone(), running.kind, running.action, elapsed)
            })
            .collect();
        drop(all);
        for (address, kind, action, elapsed) in due {
            let message = format!(
                "{address}: Still {}... [{} elapsed]",
                action.ongoing,
                seconds(elapsed)
            );
            let fields = json!({"action": action.action, "elapsed_seconds": elapsed.as_secs()});
            self.hook(kind, &message, &address, fields);
        }
    }
}

fn some(count: usize, what: &str) -> String {
    if count == 0 {
        String::new()
    } else {
        format!("{count} {what}")
    }
}

/// A change's action; moves and imports that change nothing have words of their own.
fn planned_action(change: &ResourceChange) -> &'static str {
    match change.action {
        Action::NoOp if change.previous_address.is_some() => "move",
        Action::NoOp if change.importing.is_some() => "import",
        action => operation(action).action,
    }
}

fn planned(change: &ResourceChange) -> Json {
    let mut out = json!({ "resource": resource(&change.address) });
    if let Some(previous) = &change.previous_address {
        out["previous_resource"] = resource(previous);
    }
    out["action"] = planned_action(change).into();
    if let Some(reason) = change.reason {
        out["reason"] = match reason {
            ActionReason::ReplaceBecauseTainted => "tainted",
            ActionReason::ReplaceByRequest => "requested",
            ActionReason::ReplaceBecauseCannotUpdate => "cannot_update",
            ActionReason::ReplaceByTriggers => "replace_triggered_by",
            other => other.word(),
        }
        .into();
    }
    if let Some(importing) = &change.importing {
        // An identity is not in Terraform's events.
        out["importing"] = match &importing.by {
            ImportBy::Id(id) => json!({ "id": id }),
            ImportBy::Identity(_) => json!({}),
        };
        if let Some(text) = &importing.generated_config {
            out["generated_config"] = json!(text);
        }
    }
    out
}

fn resource(address: &ResourceInstance) -> Json {
    let key = match &address.key {
        InstanceKey::None => Json::Null,
        InstanceKey::Int(i) => json!(i),
        InstanceKey::String(s) => json!(&**s),
    };
    let inner = &address.resource;
    let provider = stead_lang::config::implied_provider(&inner.type_name);
    json!({
        "addr": address.to_string(),
        "module": address.module.to_string(),
        "resource": format!("{inner}{}", address.key),
        "implied_provider": provider,
        "resource_type": &*inner.type_name,
        "resource_name": &*inner.name,
        "resource_key": key,
    })
}

/// How an object is identified, as fields and behind a message.
fn identity(id: Option<&String>) -> (Map<String, Json>, String) {
    let mut fields = Map::new();
    let Some(id) = id else {
        return (fields, String::new());
    };
    fields.insert("id_key".into(), "id".into());
    fields.insert("id_value".into(), id.as_str().into());
    (fields, format!(" [id={id}]"))
}

impl Observer for Stream {
    fn event(&self, event: Event) {
        match event {
            Event::RefreshStart { address, id } => {
                let (fields, shown) = identity(id.as_ref());
                let message = format!("{address}: Refreshing state...{shown}");
                self.hook("refresh_start", &message, &address, fields.into());
            }
            Event::RefreshDone { address, id, .. } => {
                let (fields, shown) = identity(id.as_ref());
                let message = format!("{address}: Refresh complete{shown}");
                self.hook("refresh_complete", &message, &address, fields.into());
            }
            Event::Start {
                address,
                action,
                id,
                ..
            } => {
                let op = operation(action);
                let (mut fields, shown) = identity(id.as_ref());
                fields.insert("action".into(), op.action.into());
                let message = format!("{address}: {}...{shown}", op.starting);
                self.hook("apply_start", &message, &address, fields.into());
                self.begin("apply_progress", &address, op);
            }
            Event::Done {
                address,
                action,
                id,
                elapsed,
                ..
            } => {
                self.end(&address);
                let op = operation(action);
                let id = id.filter(|_| action != Action::Delete);
                let (mut fields, shown) = identity(id.as_ref());
                fields.insert("action".into(), op.action.into());
                fields.insert("elapsed_seconds".into(), elapsed.as_secs().into());
                let message = format!(
                    "{address}: {} complete after {}{shown}",
                    op.noun,
                    seconds(elapsed)
                );
                self.hook("apply_complete", &message, &address, fields.into());
            }
            Event::Failed {
                address,
                action,
                elapsed,
                ..
            } => self.errored("apply_errored", &address, operation(action), elapsed),
            Event::EphemeralStart { address, step } => {
                let op = ephemeral(step);
                let message = format!("{address}: {}...", op.starting);
                let fields = json!({ "action": op.action });
                self.hook("ephemeral_op_start", &message, &address, fields);
                self.begin("ephemeral_op_progress", &address, op);
            }
            Event::EphemeralDone {
                address,
                step,
                elapsed,
            } => {
                self.end(&address);
                let op = ephemeral(step);
                let message = format!("{address}: {} complete after {}", op.noun, seconds(elapsed));
                let fields = json!({"action": op.action, "elapsed_seconds": elapsed.as_secs()});
                self.hook("ephemeral_op_complete", &message, &address, fields);
            }
            Event::EphemeralFailed {
                address,
                step,
                elapsed,
            } => self.errored("ephemeral_op_errored", &address, ephemeral(step), elapsed),
            Event::ProvisionStart {
                address,
                provisioner,
            } => {
                let message = format!("{address}: Provisioning with '{provisioner}'...");
                self.provision("provision_start", &message, &address, &provisioner);
            }
            Event::ProvisionOutput {
                address,
                provisioner,
                text,
            } => {
                for line in text.split(['\n', '\r']).map(str::trim_end) {
                    if line.is_empty() {
                        continue;
                    }
                    let message = format!("{address}: ({provisioner}): {line}");
                    let fields = json!({"provisioner": &*provisioner, "output": line});
                    self.hook("provision_progress", &message, &address, fields);
                }
            }
            Event::ProvisionDone {
                address,
                provisioner,
            } => {
                let message = format!("{address}: ({provisioner}) Provisioning complete");
                self.provision("provision_complete", &message, &address, &provisioner);
            }
            Event::ProvisionFailed {
                address,
                provisioner,
            } => {
                let message = format!("{address}: ({provisioner}) Provisioning errored");
                self.provision("provision_errored", &message, &address, &provisioner);
            }
            Event::Gate {
                resource,
                step,
                steps,
                state,
            } => {
                let text = crate::render::rollout::line(step, steps, state);
                let hook = crate::render::rollout::hook(&resource, step, steps, state);
                let fields = json!({ "hook": hook });
                self.info(&format!("{resource}: {text}"), "rollout_progress", fields);
            }
            Event::Import { .. }
            | Event::Progress { .. }
            | Event::EphemeralDeferred { .. }
            | Event::Skipped { .. }
            | Event::Tally { .. } => {}
        }
    }
}

impl Stream {
    fn errored(&self, kind: &str, address: &ResourceInstance, op: Operation, elapsed: Duration) {
        self.end(address);
        let message = format!("{address}: {} errored after {}", op.noun, seconds(elapsed));
        let fields = json!({"action": op.action, "elapsed_seconds": elapsed.as_secs()});
        self.hook(kind, &message, address, fields);
    }

    fn provision(&self, kind: &str, message: &str, address: &ResourceInstance, provisioner: &str) {
        self.hook(
            kind,
            message,
            address,
            json!({ "provisioner": provisioner }),
        );
    }
}
