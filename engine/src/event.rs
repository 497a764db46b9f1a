//! What the engine tells while it works; the command line shows it as lines, a live display or JSON.

use std::sync::Arc;
use std::time::Duration;

use stead_sdk::ImportBy;
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
        id: Option<String>,
        elapsed: Duration,
    },
    /// An object is about to be taken under an address.
    Import {
        address: ResourceInstance,
        by: ImportBy,
    },
    /// An operation of an apply (or a data source read) began.
    Start {
        address: ResourceInstance,
        /// Set for an object that create-before-destroy set aside.
        deposed: Option<String>,
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
        deposed: Option<String>,
        action: Action,
        id: Option<String>,
        elapsed: Duration,
    },
    Failed {
        address: ResourceInstance,
        deposed: Option<String>,
        action: Action,
        elapsed: Duration,
    },
    /// Not started, because something it depends on failed or the user interrupted.
    Skipped {
        address: ResourceInstance,
        action: Action,
    },
    /// A step of an ephemeral resource began.
    EphemeralStart {
        address: ResourceInstance,
        step: EphemeralStep,
    },
    EphemeralDone {
        address: ResourceInstance,
        step: EphemeralStep,
        elapsed: Duration,
    },
    EphemeralFailed {
        address: ResourceInstance,
        step: EphemeralStep,
        elapsed: Duration,
    },
    /// An ephemeral resource is opened during the apply only, because its configuration is not known yet.
    EphemeralDeferred { address: ResourceInstance },
    /// A provisioner of an object began.
    ProvisionStart {
        address: ResourceInstance,
        provisioner: Arc<str>,
    },
    /// One or several lines of a provisioner.
    ProvisionOutput {
        address: ResourceInstance,
        provisioner: Arc<str>,
        text: String,
    },
    ProvisionDone {
        address: ResourceInstance,
        provisioner: Arc<str>,
    },
    ProvisionFailed {
        address: ResourceInstance,
        provisioner: Arc<str>,
    },
    /// A rollout stands between two of its steps, or behind the last.
    Gate {
        /// The address of the resource.
        resource: String,
        /// Counted from 1.
        step: usize,
        steps: usize,
        state: GateState,
    },
    /// How far an apply is: operations finished, running and waiting.
    Tally {
        done: usize,
        running: usize,
        waiting: usize,
    },
}

/// What is done with an ephemeral resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EphemeralStep {
    Open,
    Renew,
    Close,
}

/// What the gate behind a step of a rollout does. Durations are since it began to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GateState {
    /// So long, unless interrupted.
    Pausing(Duration),
    Checking,
    /// The health check does not succeed yet.
    Waiting(Duration),
    Healthy(Duration),
    /// The health check was given up.
    Unhealthy(Duration),
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
