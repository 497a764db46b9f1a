//! Waiting and trying again end when they should.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stead_sdk::retry::{Backoff, with_backoff};
use stead_sdk::wait::{Poll, Polling, parse_duration, until};
use stead_sdk::{Context, Error, ErrorKind, Progress};

/// Pauses so short that nobody waits for them.
const FAST: Backoff = Backoff {
    first: Duration::from_micros(1),
    cap: Duration::from_micros(2),
    attempts: 4,
};

fn fast() -> Polling {
    Polling {
        first: Duration::from_micros(1),
        ..Polling::default()
    }
    .cap(Duration::from_micros(2))
}

#[derive(Default)]
struct Calls(AtomicU32);

impl Calls {
    /// Counts a call, and says which it is, from one.
    fn next(&self) -> u32 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn passing_failures_are_tried_again_and_others_are_not() {
    let (cx, calls) = (Context::detached(), Calls::default());
    let third = || async {
        if calls.next() < 3 {
            Err(Error::transient("ask", "busy"))
        } else {
            Ok("done")
        }
    };
    assert_eq!(
        with_backoff(&cx, FAST, Error::is_transient, third)
            .await
            .unwrap(),
        "done"
    );

    let calls = Calls::default();
    let never = || async {
        calls.next();
        Err::<(), _>(Error::transient("ask", "busy"))
    };
    assert!(
        with_backoff(&cx, FAST, Error::is_transient, never)
            .await
            .unwrap_err()
            .is_transient()
    );
    assert_eq!(calls.count(), FAST.attempts);

    let calls = Calls::default();
    let refused = || async {
        calls.next();
        Err::<(), _>(Error::http(403, "ask", "no"))
    };
    assert_eq!(
        with_backoff(&cx, FAST, Error::is_transient, refused)
            .await
            .unwrap_err()
            .status(),
        Some(403)
    );
    assert_eq!(calls.count(), 1);
}

#[tokio::test]
async fn an_interruption_or_the_deadline_ends_the_attempts() {
    let slow = Backoff {
        first: Duration::from_secs(3600),
        ..FAST
    };
    let calls = Calls::default();
    let busy = || async {
        calls.next();
        Err::<(), _>(Error::transient("ask", "busy"))
    };
    let late = Context::detached().with_deadline(Instant::now() + Duration::from_secs(60));
    assert!(
        with_backoff(&late, slow, Error::is_transient, busy)
            .await
            .is_err()
    );
    let cx = Context::detached();
    cx.cancelled().cancel();
    assert!(
        with_backoff(&cx, slow, Error::is_transient, busy)
            .await
            .is_err()
    );
    assert_eq!(calls.count(), 2);
}

/// A context, and what it was told.
fn listening() -> (Context, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    let cx = Context::detached().with_progress(Arc::new(move |p: Progress| {
        sink.lock().unwrap().push(p.message);
    }));
    (cx, heard)
}

#[tokio::test]
async fn a_wait_says_what_it_waits_for_and_each_new_reason() {
    let ((cx, heard), calls) = (listening(), Calls::default());
    let answer = until(&cx, "the task", fast(), || async {
        Ok(match calls.next() {
            1 => Poll::Pending,
            2 | 3 => Poll::PendingBecause("queued".into()),
            4 => Poll::PendingBecause("running".into()),
            _ => Poll::Ready(7),
        })
    });
    assert_eq!(answer.await.unwrap(), 7);
    let expected = [
        "waiting for the task",
        "waiting for the task: queued",
        "waiting for the task: running",
    ];
    assert_eq!(*heard.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_hopeless_wait_ends_at_once() {
    let (cx, calls) = (Context::detached(), Calls::default());
    let poll = || async {
        calls.next();
        Err::<Poll<()>, _>(Error::new("wait", "the task failed"))
    };
    let error = until(&cx, "the task", fast().tolerating_transient(), poll)
        .await
        .unwrap_err();
    assert_eq!((error.said(), calls.count()), ("the task failed", 1));
    let away = || async { Err::<Poll<()>, _>(Error::transient("wait", "refused")) };
    assert!(
        until(&cx, "the task", fast(), away)
            .await
            .unwrap_err()
            .is_transient()
    );
}

#[tokio::test]
async fn a_server_that_restarts_is_waited_for_when_that_is_expected() {
    let ((cx, heard), calls) = (listening(), Calls::default());
    let poll = || async {
        if calls.next() < 3 {
            Err(Error::transient("ask", "connection refused"))
        } else {
            Ok(Poll::Ready(()))
        }
    };
    until(&cx, "the node", fast().tolerating_transient(), poll)
        .await
        .unwrap();
    assert_eq!(
        heard.lock().unwrap()[1],
        "waiting for the node: connection refused"
    );
}

#[tokio::test]
async fn a_wait_ends_at_its_deadline_with_the_last_reason() {
    let polling = fast().timeout(Duration::from_millis(1));
    let poll = || async { Ok(Poll::<()>::PendingBecause("locked".into())) };
    let error = until(&Context::detached(), "the lock", polling, poll)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(
        error.to_string().contains("wait for the lock") && error.to_string().contains("locked"),
        "{error}"
    );
}

#[tokio::test]
async fn a_wait_ends_when_the_user_interrupts() {
    let cx = Context::detached();
    let poll = || async {
        cx.cancelled().cancel();
        Ok(Poll::<()>::Pending)
    };
    let polling = Polling {
        first: Duration::from_secs(3600),
        ..Polling::default()
    };
    assert!(
        until(&cx, "the task", polling, poll)
            .await
            .unwrap_err()
            .is_cancelled()
    );
}

#[test]
fn durations_are_read_as_go_reads_them() {
    let millis = |text: &str| parse_duration(text).map(|d| d.as_millis());
    assert_eq!(millis("1h30m"), Some(5_400_000));
    assert_eq!(millis("1.5s"), Some(1_500));
    assert_eq!(millis("250ms"), Some(250));
    assert_eq!(millis("0"), Some(0));
    for bad in ["", "5", "m", "1x", "-1s", "1h 2m", "9999999999999999999h"] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
}
