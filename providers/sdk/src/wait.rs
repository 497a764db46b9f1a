//! Waiting for a state of the world: polls that start small and grow, and that end early when it is hopeless.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::{Context, Error, ErrorKind};

/// What a poll found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Poll<T> {
    Ready(T),
    Pending,
    /// Not yet, and what is in the way, for the progress line.
    PendingBecause(String),
}

/// How to poll.
#[derive(Clone, Copy, Debug)]
pub struct Polling {
    /// The first pause; each is half as long again as the one before.
    pub first: Duration,
    pub cap: Duration,
    /// Beside the context's deadline.
    pub timeout: Option<Duration>,
    /// Takes transient errors as "not yet": the server may be away while it restarts.
    pub tolerate_transient: bool,
}

impl Default for Polling {
    fn default() -> Self {
        Polling {
            first: Duration::from_millis(20),
            cap: Duration::from_secs(2),
            timeout: None,
            tolerate_transient: false,
        }
    }
}

impl Polling {
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Polling {
        self.timeout = Some(timeout);
        self
    }

    #[must_use]
    pub fn tolerating_transient(mut self) -> Polling {
        self.tolerate_transient = true;
        self
    }

    #[must_use]
    pub fn cap(mut self, cap: Duration) -> Polling {
        self.cap = cap;
        self
    }
}

/// Polls until the answer is there. `what` completes "waiting for …" and "could not wait for …". An error from `poll` ends
/// the wait at once: return one as soon as it cannot succeed any more.
pub async fn until<T, F, Fut>(
    cx: &Context,
    what: &str,
    polling: Polling,
    mut poll: F,
) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Poll<T>, Error>>,
{
    let started = Instant::now();
    let own = polling.timeout.map(|t| started + t);
    let deadline = [own, cx.deadline()].into_iter().flatten().min();
    let asked = || format!("wait for {what}");
    let mut pause = polling.first;
    let mut reason = String::new();
    cx.progress(format!("waiting for {what}"));
    loop {
        let now = match poll().await {
            Ok(Poll::Ready(value)) => return Ok(value),
            Ok(Poll::Pending) => None,
            Ok(Poll::PendingBecause(why)) => Some(why),
            Err(error) if polling.tolerate_transient && error.is_transient() => {
                Some(error.said().to_owned())
            }
            Err(error) => return Err(error),
        };
        if let Some(why) = now.filter(|why| *why != reason) {
            cx.progress(format!("waiting for {what}: {why}"));
            reason = why;
        }
        if deadline.is_some_and(|d| Instant::now() >= d) {
            let seconds = started.elapsed().as_secs();
            let last = if reason.is_empty() {
                String::new()
            } else {
                format!(" (last: {reason})")
            };
            return Err(Error::of_kind(
                ErrorKind::TimedOut,
                asked(),
                format!("it took longer than {seconds} s{last}"),
            ));
        }
        let sleep = deadline.map_or(pause, |d| {
            pause.min(d.saturating_duration_since(Instant::now()))
        });
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = cx.cancelled().cancelled() => {
                return Err(Error::of_kind(ErrorKind::Cancelled, asked(), "interrupted"));
            }
        }
        pause = pause.mul_f64(1.5).min(polling.cap);
    }
}

/// Reads a Go duration such as `1h30m`, `90s` or `250ms`, the way timeouts are written in configurations.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest == "0" {
        return Some(total);
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(end)?;
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = tail;
    }
    (!text.trim().is_empty()).then_some(total)
}
