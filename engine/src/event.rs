//! What the engine tells while it works; the command line shows it as lines, a live display or JSON.

use std::time::Duration;

use stead_value::addr::ResourceInstance;

use crate::Action;

/// Something happened. Texts never hold secrets.
#[derive(Clone, Debug)]
pub enum Event {
    RefreshStart {
        address: ResourceInstance,
        id: Option<String>,
    },
    RefreshDone {
        address: ResourceInstance,
        elapsed: Duration,
    },
    /// An operation of an apply (or a data source read) began.
    Start {
        address: ResourceInstance,
        action: Action,
        id: Option<String>,
    },
    /// The operation says what it waits for.
    Progress {
        address: ResourceInstance,
        message: String,
    },
    Done {
        address: ResourceInstance,
        action: Action,
        id: Option<String>,
        elapsed: Duration,
    },
    Failed {
        address: ResourceInstance,
        action: Action,
        elapsed: Duration,
    },
    /// Not started, because something it depends on failed or the user interrupted.
    Skipped {
        address: ResourceInstance,
        action: Action,
    },
    /// How far an apply is: operations finished, running and waiting.
    Tally {
        done: usize,
        running: usize,
        waiting: usize,
    },
}

/// Takes events, from any thread; must return at once.
pub trait Observer: Send + Sync {
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync> Observer for F {
    fn event(&self, event: Event) {
        self(event);
    }
}
