//! How much went over the wire.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a dialer did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections opened by the dialer itself. Those of HTTP clients are pooled and not counted here.
    pub connections: u64,
    /// Requests sent, retries included.
    pub requests: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    connections: AtomicU64,
    requests: AtomicU64,
}

impl Tally {
    pub(crate) fn connection(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            connections: self.connections.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }
}
