//! What became of tests, and how it is told while they run.

use std::collections::BTreeSet;
use std::time::Duration;

use stead_lang::config::test_file::TestCommand;
use stead_state::State;
use stead_value::Diagnostics;
use stead_value::addr::{ProviderSource, ResourceInstance};

use crate::Plan;

/// How a run, a file or everything turned out; the later ones outweigh the earlier ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    #[default]
    Pending,
    Skip,
    Pass,
    Fail,
    Error,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Skip => "skip",
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::Error => "error",
        }
    }

    pub(super) fn merge(&mut self, other: Status) {
        *self = (*self).max(other);
    }
}

/// How far a file or a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Starting,
    Running,
    TearDown,
    Complete,
}

impl Progress {
    pub fn word(self) -> &'static str {
        match self {
            Progress::Starting => "starting",
            Progress::Running => "running",
            Progress::TearDown => "teardown",
            Progress::Complete => "complete",
        }
    }
}

#[derive(Debug, Default)]
pub struct SuiteReport {
    pub status: Status,
    /// In the order in which they run.
    pub files: Vec<FileReport>,
}

#[derive(Debug)]
pub struct FileReport {
    pub name: String,
    pub status: Status,
    pub diagnostics: Diagnostics,
    pub runs: Vec<RunReport>,
}

#[derive(Debug)]
pub struct RunReport {
    pub name: String,
    pub command: TestCommand,
    /// The module under test, when it is not the root module.
    pub module: Option<String>,
    /// How many assertions it has.
    pub asserts: usize,
    pub status: Status,
    pub diagnostics: Diagnostics,
    pub verbose: Option<Verbose>,
    /// When it began, in RFC 3339, and how long it took; `None` when it was not executed.
    pub executed: Option<(String, Duration)>,
}

/// What a run planned or left, for those who want to see it.
#[derive(Debug)]
pub struct Verbose {
    pub outcome: Outcome,
    /// The providers of the configuration and the state.
    pub providers: BTreeSet<ProviderSource>,
}

#[derive(Debug)]
pub enum Outcome {
    Plan(Box<Plan>),
    State(Box<State>),
}

/// What exists as tests are given up.
#[derive(Debug, Default)]
pub struct Unfinished {
    /// Objects of the module under test.
    pub main: Vec<Left>,
    /// Objects of other states: the run that changed it last, its module, the objects.
    pub others: Vec<(String, Option<String>, Vec<Left>)>,
    /// Objects that were being created.
    pub planned: Vec<ResourceInstance>,
}

/// An object that was not destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub address: ResourceInstance,
    pub deposed: Option<String>,
}

/// The managed objects of a state, in the order of their addresses.
pub(super) fn left(state: &State) -> Vec<Left> {
    let managed = |address: &ResourceInstance| {
        address.resource.mode == stead_value::addr::ResourceMode::Managed
    };
    let current = state.current_objects().map(|(address, ..)| Left {
        address,
        deposed: None,
    });
    let deposed = state.deposed_objects().map(|(address, key, ..)| Left {
        address,
        deposed: Some(key.to_owned()),
    });
    let mut left: Vec<Left> = current
        .chain(deposed)
        .filter(|l| managed(&l.address))
        .collect();
    left.sort_by(|a, b| (&a.address, &a.deposed).cmp(&(&b.address, &b.deposed)));
    left
}

/// Is told how tests go.
pub trait TestObserver {
    /// All that will run.
    fn begin(&mut self, suite: &SuiteReport);

    fn file(&mut self, file: &FileReport, progress: Progress);

    /// `elapsed` is that of the step under way; nothing when the run is complete.
    fn run(&mut self, file: &str, run: &RunReport, progress: Progress, elapsed: Duration);

    /// A state was destroyed, or should have been: what was wrong, and what is left of it.
    fn cleanup(&mut self, file: &str, run: &RunReport, diagnostics: &Diagnostics, left: &[Left]);

    /// The tests are given up in this run.
    fn abandoned(&mut self, file: &str, run: &RunReport, unfinished: &Unfinished);

    fn end(&mut self, suite: &SuiteReport);
}
