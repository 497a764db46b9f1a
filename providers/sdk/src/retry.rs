//! Trying again what failed for a passing reason.

use std::future::Future;
use std::time::Duration;

use crate::{Context, Error, ErrorKind};

/// How often and how far apart.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Before the second attempt; doubles afterwards.
    pub first: Duration,
    pub cap: Duration,
    /// All attempts, the first included.
    pub attempts: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            first: Duration::from_millis(100),
            cap: Duration::from_secs(5),
            attempts: 6,
        }
    }
}

/// Runs `operation` until it succeeds, fails for good, or the attempts, the deadline or the user's patience end. The
/// operation must be safe to repeat.
pub async fn with_backoff<T, F, Fut>(
    cx: &Context,
    policy: Backoff,
    is_transient: impl Fn(&Error) -> bool,
    mut operation: F,
) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    let mut pause = policy.first;
    let mut attempt = 1;
    loop {
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let late = cx
            .deadline()
            .is_some_and(|d| std::time::Instant::now() + pause >= d);
        if !is_transient(&error) || attempt >= policy.attempts || late || cx.is_cancelled() {
            return Err(error);
        }
        tracing::debug!(attempt, %error, "trying again");
        tokio::select! {
            () = tokio::time::sleep(jitter(pause)) => {}
            () = cx.cancelled().cancelled() => return Err(error.with_kind(ErrorKind::Cancelled)),
        }
        pause = (pause * 2).min(policy.cap);
        attempt += 1;
    }
}

/// Up to a quarter less, so that many clients do not come back at the same instant.
pub fn jitter(pause: Duration) -> Duration {
    pause.mul_f64(1.0 - 0.25 * rand::random::<f64>())
}
