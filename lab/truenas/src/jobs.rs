//! Jobs: long calls with a state that clients follow. They do not outlive the appliance's process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::error::{ENOENT, Failure};
use crate::methods;
use crate::schema::Method;
use crate::system::{System, now};

/// All jobs since the appliance started.
#[derive(Default)]
pub(crate) struct Jobs {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    last: i64,
    jobs: BTreeMap<i64, Job>,
    locks: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
}

struct Job {
    entry: Value,
    outcome: watch::Receiver<Option<Result<Value, Failure>>>,
}

impl Jobs {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every job as `core.get_jobs` shows it.
    pub(crate) fn entries(&self) -> Vec<Value> {
        self.lock().jobs.values().map(|j| j.entry.clone()).collect()
    }

    /// Waits for a job's end.
    pub(crate) async fn wait(&self, id: i64) -> Result<Value, Failure> {
        let missing = || Failure::call(ENOENT, format!("Job with id {id} does not exist"));
        let mut outcome = self
            .lock()
            .jobs
            .get(&id)
            .map(|j| j.outcome.clone())
            .ok_or_else(missing)?;
        let ended = outcome
            .wait_for(Option::is_some)
            .await
            .map_err(|_| missing())?;
        ended.clone().unwrap_or_else(|| Err(missing()))
    }

    /// Changes a job's entry and tells subscribers.
    fn change(&self, system: &System, id: i64, what: &str, changes: Value) {
        let mut inner = self.lock();
        let Some(job) = inner.jobs.get_mut(&id) else {
            return;
        };
        if let (Some(entry), Value::Object(changes)) = (job.entry.as_object_mut(), changes) {
            entry.extend(changes);
        }
        let entry = job.entry.clone();
        drop(inner);
        system.event("core.get_jobs", what, &json!(id), Some(&entry));
    }
}

/// Starts a job and returns its id.
pub(crate) fn start(
    system: &Arc<System>,
    name: &str,
    method: &Method,
    params: Vec<Value>,
    user: &str,
) -> i64 {
    let (sender, outcome) = watch::channel(None);
    let id = {
        let mut inner = system.jobs.lock();
        inner.last += 1;
        let id = inner.last;
        let entry = json!({
            "id": id, "message_ids": [], "method": name, "arguments": params, "transient": false, "description": null, "abortable": false,
            "logs_path": null, "logs_excerpt": null, "progress": {"percent": null, "description": null, "extra": null}, "result": null,
            "result_encoding_error": null, "error": null, "exception": null, "exc_info": null, "state": "WAITING",
            "time_started": {"$date": now()}, "time_finished": null,
            "credentials": {"type": "API_KEY", "data": {"username": user}},
        });
        inner.jobs.insert(id, Job { entry, outcome });
        id
    };
    system.jobs.change(system, id, "added", json!({}));
    let lock = method
        .job_lock
        .as_deref()
        .map(|l| lock_name(l, &params))
        .map(|name| system.jobs.lock().locks.entry(name).or_default().clone());
    let (system, name, user) = (system.clone(), name.to_owned(), user.to_owned());
    let tasks = system.lab.tasks.clone();
    tasks.spawn(async move {
        let run = async {
            let _held = match &lock {
                Some(lock) => Some(lock.lock().await),
                None => None,
            };
            system.jobs.change(&system, id, "changed", json!({"state": "RUNNING", "progress": {"percent": 0, "description": "", "extra": null}}));
            // A moment even at pace 0, so that a client that looks sees a running job.
            let lasting = system.lab.settings.duration(Duration::from_secs(methods::lifelike(&name)));
            tokio::time::sleep(lasting.max(Duration::from_millis(2))).await;
            match name.as_str() {
                "core.job_wait" => Box::pin(system.jobs.wait(params.first().and_then(Value::as_i64).unwrap_or(-1))).await,
                "core.bulk" => bulk(&system, &params, &user).await,
                _ => methods::invoke(&system, &name, &params),
            }
        };
        let outcome = tokio::select! {
            outcome = run => outcome,
            () = system.lab.shutdown.cancelled() => return,
        };
        let finished = json!({"$date": now()});
        let changes = match &outcome {
            Ok(result) => json!({"state": "SUCCESS", "result": result, "time_finished": finished, "progress": {"percent": 100, "description": "", "extra": null}}),
            Err(failure) => {
                let kind = if matches!(failure, Failure::Invalid(_)) { json!("VALIDATION") } else { Value::Null };
                let errno = match failure {
                    Failure::Call { errno, .. } => json!(errno),
                    _ => Value::Null,
                };
                json!({"state": "FAILED", "error": failure.reason(), "exception": failure.reason(), "time_finished": finished,
                    "exc_info": {"type": kind, "repr": failure.reason(), "errno": errno, "extra": failure.extra()}})
            }
        };
        system.jobs.change(&system, id, "changed", changes);
        // Nobody waiting is no failure.
        let _ = sender.send(Some(outcome));
    });
    id
}

/// `core.bulk(method, [params, …])`: one call after the other; failures do not stop it.
async fn bulk(system: &Arc<System>, params: &[Value], user: &str) -> Result<Value, Failure> {
    let name = params.first().and_then(Value::as_str).unwrap_or_default();
    let method = system
        .api
        .method(name)
        .filter(|_| !name.starts_with("core.") && !name.starts_with("auth."));
    let Some(method) = method else {
        return Err(Failure::invalid(
            "method",
            format!("{name}: method cannot be called in bulk"),
        ));
    };
    let calls = params
        .get(1)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let mut results = Vec::new();
    for call in calls {
        let given = call.as_array().cloned().unwrap_or_default();
        let checked = system.api.check(method, &given).map_err(Failure::Invalid);
        let (job, outcome) = match checked {
            Err(failure) => (None, Err(failure)),
            Ok(params) if method.job => {
                let id = start(system, name, method, params, user);
                (Some(id), Box::pin(system.jobs.wait(id)).await)
            }
            Ok(params) => (None, methods::invoke(system, name, &params)),
        };
        results.push(match outcome {
            Ok(result) => json!({"job_id": job, "error": null, "result": result}),
            Err(failure) => json!({"job_id": job, "error": failure.reason(), "result": null}),
        });
    }
    Ok(Value::Array(results))
}

/// `service_{args[1]}` with the argument in place.
fn lock_name(template: &str, params: &[Value]) -> String {
    let mut name = template.to_owned();
    for (at, param) in params.iter().enumerate() {
        let text = param
            .as_str()
            .map_or_else(|| param.to_string(), str::to_owned);
        name = name.replace(&format!("{{args[{at}]}}"), &text);
    }
    name
}
