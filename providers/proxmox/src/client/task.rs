//! Tasks: what the server does in the background, watched until it ends and tried again when a lock was busy.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value as Json;
use stead_sdk::retry::{Backoff, with_backoff};
use stead_sdk::wait::{Poll, Polling, until};
use stead_sdk::{Context, Error, ErrorKind};

use crate::client::{Client, Params, answer, number, params, text};

/// How often to look before the log is read, too: short tasks need none.
const QUIET_POLLS: u32 = 8;

/// So often a node may not know a task that it has just named: five seconds in all. After that it has lost it.
const UNKNOWN_POLLS: u32 = 12;

/// How long the tasks of small types may take: orders of certificates are the slowest.
const SMALL_TASK: Duration = Duration::from_secs(600);

/// "can't lock file '/var/lock/…' - got timeout", also of a storage's lock.
pub(crate) fn is_lock_timeout(said: &str) -> bool {
    said.contains("got timeout") && (said.contains("lock") || said.contains("trying to acquire"))
}

/// Nobody waited for the end, as after a timeout: what was to be done may have been done.
fn lost(what: &str, upid: &str) -> Error {
    let said = "the node does not know the task any more that it answered with; what has become of it is not known";
    Error::of_kind(ErrorKind::TimedOut, format!("{what} (task {upid})"), said)
        .remedy("Plan again to see what is there; look at the node's log for why (`journalctl -u pvedaemon`).")
}

impl Client {
    /// Starts a task and waits for its end. A task that failed because a lock was busy is started again.
    pub(crate) async fn run(
        &self,
        cx: &Context,
        method: reqwest::Method,
        what: &str,
        path: &str,
        form: &Params,
        timeout: Duration,
    ) -> Result<(), Error> {
        self.run_for_answer(cx, method, what, path, form, timeout)
            .await
            .map(|_| ())
    }

    /// A change that some servers, or some types, do in the background: what was answered, after the end of the task if it was one.
    pub(crate) async fn change_and_wait(
        &self,
        cx: &Context,
        method: reqwest::Method,
        what: &str,
        path: &str,
        form: &Params,
    ) -> Result<Json, Error> {
        self.run_for_answer(cx, method, what, path, form, SMALL_TASK)
            .await
    }

    async fn run_for_answer(
        &self,
        cx: &Context,
        method: reqwest::Method,
        what: &str,
        path: &str,
        form: &Params,
        timeout: Duration,
    ) -> Result<Json, Error> {
        let policy = Backoff {
            attempts: 8,
            first: Duration::from_millis(200),
            ..Backoff::default()
        };
        with_backoff(cx, policy, answer::did_nothing, || async {
            let started = self.change(cx, method.clone(), what, path, form).await?;
            // Older servers do some of these at once.
            if let Some(upid) = started.as_str().filter(|text| text.starts_with("UPID:")) {
                self.await_task(cx, what, upid, timeout).await?;
            }
            Ok(started)
        })
        .await
    }

    pub(super) async fn await_task(
        &self,
        cx: &Context,
        what: &str,
        upid: &str,
        timeout: Duration,
    ) -> Result<(), Error> {
        let node = upid.split(':').nth(1).unwrap_or_default();
        let path = format!(
            "/nodes/{node}/tasks/{}",
            crate::property::percent_encode(upid)
        );
        let polling = Polling {
            first: Duration::from_millis(25),
            ..Polling::default()
        }
        .cap(Duration::from_secs(1))
        .timeout(timeout);
        let seen = std::sync::Mutex::new((0u32, 0i64));
        let unknown = std::sync::atomic::AtomicU32::new(0);
        let status = until(cx, &format!("the task of: {what}"), polling, || async {
            let status = match self
                .get(cx, what, &format!("{path}/status"), &Params::new())
                .await
            {
                // The task is not visible yet.
                Err(e) if e.status() == Some(400) => {
                    return match unknown.fetch_add(1, Ordering::Relaxed) {
                        0..UNKNOWN_POLLS => Ok(Poll::Pending),
                        _ => Err(lost(what, upid)),
                    };
                }
                other => other?,
            };
            if text(&status, "status").as_deref() == Some("stopped") {
                return Ok(Poll::Ready(status));
            }
            let (polls, line) = {
                let mut seen = seen
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                seen.0 += 1;
                *seen
            };
            if polls <= QUIET_POLLS {
                return Ok(Poll::Pending);
            }
            let lines = self.log(cx, what, &path, line).await?;
            let Some((last, message)) = lines.last() else {
                return Ok(Poll::Pending);
            };
            seen.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .1 = *last;
            Ok(Poll::PendingBecause(message.clone()))
        })
        .await?;
        let exit = text(&status, "exitstatus").unwrap_or_default();
        if exit == "OK" {
            return Ok(());
        }
        let lines = self.log(cx, what, &path, 0).await.unwrap_or_default();
        if exit.starts_with("WARNINGS") {
            let warnings: Vec<_> = lines
                .into_iter()
                .map(|l| l.1)
                .filter(|l| l.contains("WARN"))
                .collect();
            cx.warn(
                format!("Proxmox VE warned while it was to {what}"),
                warnings.join("\n"),
            );
            return Ok(());
        }
        let mut said = exit;
        for (_, line) in lines.iter().rev().take(10).rev() {
            if !line.contains(&said) && !line.starts_with("TASK ") {
                said.push_str(&format!("\n{line}"));
            }
        }
        let kind = if is_lock_timeout(&said) {
            ErrorKind::Transient
        } else {
            ErrorKind::Other
        };
        Err(Error::of_kind(kind, format!("{what} (task {upid})"), said))
    }

    /// The lines of a task's log from `start`, each with its number.
    async fn log(
        &self,
        cx: &Context,
        what: &str,
        path: &str,
        start: i64,
    ) -> Result<Vec<(i64, String)>, Error> {
        let query = params([("start", start.to_string()), ("limit", "500".to_owned())]);
        let lines = self.get(cx, what, &format!("{path}/log"), &query).await?;
        let lines = lines.as_array().into_iter().flatten();
        Ok(lines
            .filter_map(|l: &Json| Some((number(l, "n")?, text(l, "t")?)))
            .collect())
    }
}
