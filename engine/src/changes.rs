//! What a plan says: for every object the change, why, and because of what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stead_sdk::ImportBy;
use stead_state::{ProviderConfigRef, State};
use stead_value::addr::{ModuleInstance, Resource, ResourceInstance};
use stead_value::{Diagnostics, Path, SourceRange, Type, Value};

use crate::checks::CheckResults;
use crate::graph::ExecutionGraph;
use crate::plan::RelevantAttribute;

/// What will be done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    NoOp,
    /// A data source is read during the apply.
    Read,
    Create,
    Update,
    /// Deleted, then created anew.
    DeleteThenCreate,
    /// Created anew, then the old one is deleted.
    CreateThenDelete,
    /// Dropped from the state and left alone, then another one is created (`destroy = false`).
    ForgetThenCreate,
    Delete,
    /// Dropped from the state and left alone.
    Forget,
}

impl Action {
    /// Whether another object takes the place of the one that there is.
    pub fn is_replace(self) -> bool {
        matches!(
            self,
            Action::DeleteThenCreate | Action::CreateThenDelete | Action::ForgetThenCreate
        )
    }

    /// Whether an object is destroyed.
    pub fn destroys(self) -> bool {
        matches!(
            self,
            Action::Delete | Action::DeleteThenCreate | Action::CreateThenDelete
        )
    }

    /// Whether an object leaves the state without being destroyed.
    pub fn forgets(self) -> bool {
        matches!(self, Action::Forget | Action::ForgetThenCreate)
    }

    /// The JSON plan's `actions`.
    pub fn words(self) -> &'static [&'static str] {
        match self {
            Action::NoOp => &["no-op"],
            Action::Read => &["read"],
            Action::Create => &["create"],
            Action::Update => &["update"],
            Action::DeleteThenCreate => &["delete", "create"],
            Action::CreateThenDelete => &["create", "delete"],
            Action::ForgetThenCreate => &["forget", "create"],
            Action::Delete => &["delete"],
            Action::Forget => &["forget"],
        }
    }
}

/// Why an action that is not plain was chosen; the names are those of the JSON plan's `action_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionReason {
    ReplaceBecauseTainted,
    ReplaceBecauseCannotUpdate,
    ReplaceByRequest,
    ReplaceByTriggers,
    DeleteBecauseNoResourceConfig,
    DeleteBecauseNoModule,
    DeleteBecauseWrongRepetition,
    DeleteBecauseCountIndex,
    DeleteBecauseEachKey,
    /// OpenTofu's `enabled = false`.
    DeleteBecauseEnabledFalse,
    DeleteBecauseNoMoveTarget,
    /// OpenTofu's `destroy = false`, as the configuration says or the state remembers.
    ForgotBecauseLifecycleDestroyInConfig,
    ForgotBecauseLifecycleDestroyInState,
    ReadBecauseConfigUnknown,
    ReadBecauseDependencyPending,
    ReadBecauseCheckNested,
}

impl ActionReason {
    /// The JSON plan's word.
    pub fn word(self) -> &'static str {
        match self {
            ActionReason::ReplaceBecauseTainted => "replace_because_tainted",
            ActionReason::ReplaceBecauseCannotUpdate => "replace_because_cannot_update",
            ActionReason::ReplaceByRequest => "replace_by_request",
            ActionReason::ReplaceByTriggers => "replace_by_triggers",
            ActionReason::DeleteBecauseNoResourceConfig => "delete_because_no_resource_config",
            ActionReason::DeleteBecauseNoModule => "delete_because_no_module",
            ActionReason::DeleteBecauseWrongRepetition => "delete_because_wrong_repetition",
            ActionReason::DeleteBecauseCountIndex => "delete_because_count_index",
            ActionReason::DeleteBecauseEachKey => "delete_because_each_key",
            ActionReason::DeleteBecauseEnabledFalse => "delete_because_enabled_false",
            ActionReason::DeleteBecauseNoMoveTarget => "delete_because_no_move_target",
            ActionReason::ForgotBecauseLifecycleDestroyInConfig => {
                "forgot_because_lifecycle_destroy_in_config"
            }
            ActionReason::ForgotBecauseLifecycleDestroyInState => {
                "forgot_because_lifecycle_destroy_in_state"
            }
            ActionReason::ReadBecauseConfigUnknown => "read_because_config_unknown",
            ActionReason::ReadBecauseDependencyPending => "read_because_dependency_pending",
            ActionReason::ReadBecauseCheckNested => "read_because_check_nested",
        }
    }
}

/// One object's change.
#[derive(Clone, Debug)]
pub struct ResourceChange {
    pub address: ResourceInstance,
    /// Where the object was before `moved`.
    pub previous_address: Option<ResourceInstance>,
    /// Set when the object is one that create-before-destroy set aside.
    pub deposed: Option<String>,
    /// Set when the object is taken over by an `import` block.
    pub importing: Option<Importing>,
    pub provider: ProviderConfigRef,
    pub action: Action,
    pub reason: Option<ActionReason>,
    /// The object as refreshed; null for a create.
    pub before: Value,
    /// The object as planned, with unknowns; null for a delete.
    pub after: Value,
    /// What identifies the object that there is, where its provider says so.
    pub identity: Option<Value>,
    /// Attributes that force the replacement.
    pub replace_paths: Vec<Path>,
    /// Which expression, at which place, makes each changed attribute what it is.
    pub because: Vec<Because>,
    /// What the change does to a running machine.
    pub notes: Vec<String>,
    /// The provider's configuration is not known yet: planned from the schema, decided during the apply.
    pub late: bool,
    /// The planned object's private data.
    pub private: Vec<u8>,
    /// The prior object's private data.
    pub prior_private: Vec<u8>,
    pub create_before_destroy: bool,
    /// Configuration addresses that state records as dependencies.
    pub dependencies: Vec<String>,
}

impl ResourceChange {
    /// What identifies the object after the change, as far as the plan can say: what is created has no identity yet.
    pub fn identity_after(&self) -> Option<&Value> {
        match self.action {
            Action::NoOp | Action::Read | Action::Update => self.identity.as_ref(),
            _ => None,
        }
    }

    /// Whether `destroy = false` keeps the object from being destroyed.
    pub fn is_spared(&self) -> bool {
        matches!(
            self.reason,
            Some(
                ActionReason::ForgotBecauseLifecycleDestroyInConfig
                    | ActionReason::ForgotBecauseLifecycleDestroyInState
            )
        )
    }
}

/// How an object comes to be managed.
#[derive(Clone, Debug, PartialEq)]
pub struct Importing {
    /// An identity is whole here, as the provider completed it.
    pub by: ImportBy,
    /// The `resource` block that was written for it, when nothing declared it.
    pub generated_config: Option<String>,
}

/// One cause of a change.
#[derive(Clone, Debug)]
pub struct Because {
    pub attribute: Path,
    /// Where the configuration sets the attribute.
    pub range: SourceRange,
    /// The expression's text, on one line, shortened.
    pub expression: String,
}

/// An instance of an ephemeral resource: named by the plan, never its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EphemeralInstance {
    pub address: ResourceInstance,
    pub provider: ProviderConfigRef,
}

#[derive(Clone, Debug)]
pub struct OutputChange {
    pub action: Action,
    pub before: Value,
    pub after: Value,
    pub sensitive: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanMode {
    #[default]
    Normal,
    Destroy,
    RefreshOnly,
}

/// Changes of the instances of one resource that are made some at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub module: ModuleInstance,
    pub resource: Resource,
    /// How many instances change, and in how many steps.
    pub instances: usize,
    pub steps: usize,
    pub max_in_flight: usize,
    /// Between two steps.
    pub pause: Duration,
    pub on_failure: OnFailure,
    pub has_health_check: bool,
    /// Between two tries of the health check, and when to give up.
    pub interval: Duration,
    pub timeout: Duration,
}

/// What becomes of a rollout whose instance or health check fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    Stop,
    Continue,
}

/// The address of the resource.
impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.module.is_root() {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "{}", self.resource)
    }
}

/// A finished plan: a promise that [`crate::apply`] keeps.
#[derive(Clone, Debug)]
pub struct Plan {
    pub mode: PlanMode,
    /// Every managed or deferred object, no-ops too, in the order of addresses.
    pub changes: Vec<ResourceChange>,
    /// What had changed outside: before = recorded, after = found.
    pub drift: Vec<ResourceChange>,
    pub outputs: BTreeMap<Arc<str>, OutputChange>,
    /// Root variables' values with their marks.
    pub variables: BTreeMap<Arc<str>, Value>,
    /// The state after moves and refresh, that `before` values come from.
    pub prior_state: State,
    /// The types of the root outputs' values, as they will stand in the state.
    pub output_types: BTreeMap<Arc<str>, Type>,
    /// Ephemeral resources that the apply opens.
    pub ephemerals: Vec<EphemeralInstance>,
    pub graph: ExecutionGraph,
    /// What the gates of the graph stand in.
    pub rollouts: Vec<Rollout>,
    /// How the conditions turned out so far.
    pub checks: CheckResults,
    /// What contributed to the changes.
    pub relevant: Vec<RelevantAttribute>,
    /// The plan is about a part of the configuration only (`-target`, `-exclude`).
    pub partial: bool,
    pub warnings: Diagnostics,
}

impl Plan {
    /// Whether an apply would do anything, the state's outputs and moves included.
    pub fn has_changes(&self) -> bool {
        if self.mode == PlanMode::RefreshOnly {
            // Outputs count that the state would get: neither those that are not known nor those that are gone.
            let known = |o: &OutputChange| {
                !matches!(o.action, Action::NoOp | Action::Delete) && o.after.is_wholly_known()
            };
            return !self.drift.is_empty() || self.outputs.values().any(known);
        }
        self.changes.iter().any(|c| {
            c.action != Action::NoOp || c.previous_address.is_some() || c.importing.is_some()
        }) || self.outputs.values().any(|o| o.action != Action::NoOp)
    }

    /// The parts of an object that matter to the planned changes.
    pub fn relevant_to(&self, address: &ResourceInstance) -> Vec<Path> {
        let of = self.relevant.iter().filter(|r| r.resource == *address);
        of.map(|r| r.attribute.clone()).collect()
    }

    /// How many objects `import` blocks bring in.
    pub fn imports(&self) -> usize {
        self.changes
            .iter()
            .filter(|c| c.importing.is_some())
            .count()
    }

    /// `(add, change, destroy)` as the summary line counts them.
    pub fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for change in &self.changes {
            match change.action {
                Action::Create | Action::ForgetThenCreate => counts.0 += 1,
                Action::Update => counts.1 += 1,
                Action::Delete => counts.2 += 1,
                Action::DeleteThenCreate | Action::CreateThenDelete => {
                    counts.0 += 1;
                    counts.2 += 1;
                }
                Action::NoOp | Action::Read | Action::Forget => {}
            }
        }
        counts
    }
}
