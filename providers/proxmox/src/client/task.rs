//! Tasks: what the server does in the background, watched until it ends and tried again when a lock was busy.

use std::time::Duration;

use serde_json::Value as Json;
use stead_sdk::retry::{Backoff, with_backoff};
use stead_sdk::wait::{Poll, Polling, until};
use stead_sdk::{Context, Error, ErrorKind};

use crate::client::{Client, Params, answer, number, params, text};

/// How often to look before the log is read, too: short tasks need none.
const QUIET_POLLS: u32 = 8;

/// "can't lock file '/var/lock/…' - got timeout", also of a storage's lock.
pub(crate) fn is_lock_timeout(said: &str) -> bool {
    said.contains("got timeout") && (said.contains("lock") || said.contains("trying to acquire"))
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
        let policy = Backoff {
            attempts: 8,
            first: Duration::from_millis(200),
            ..Backoff::default()
        };
        with_backoff(cx, policy, answer::did_nothing, || async {
            let started = self.change(cx, method.clone(), what, path, form).await?;
            match started.as_str() {
                Some(upid) if upid.starts_with("UPID:") => {
                    self.await_task(cx, what, upid, timeout).await
                }
                // Older servers do some of these at once.
                _ => Ok(()),
            }
        })
        .await
    }

    async fn await_task(
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
        let status = until(cx, &format!("the task of: {what}"), polling, || async {
            let status = match self
                .get(cx, what, &format!("{path}/status"), &Params::new())
                .await
            {
                // The task is not visible yet.
                Err(e) if e.status() == Some(400) => return Ok(Poll::Pending),
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
