//! Tests as users write them: runs of plans and applies over a state in memory, and assertions about what comes out.
//!
//! A test file is a list of run blocks that are executed one after the other. Each plans or applies a configuration (the root
//! module, or another module) with values for its variables and, where the file says so, with mock providers; then its
//! assertions are evaluated in the scope of that plan or apply. What was applied is destroyed at the file's end.

mod assertions;
mod cleanup;
mod expectations;
mod mock;
mod order;
mod providers;
mod report;
mod run;
mod scope;
mod suite;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_lang::config::ConfigTree;
use stead_lang::config::test_file::TestSuite;
use stead_lang::functions::World;
use tokio_util::sync::CancellationToken;

use crate::eval::{GivenVariable, Origin, Settings};
use crate::providers::Registry;

pub use report::{
    FileReport, Left, Outcome, Progress, RunReport, Status, SuiteReport, TestObserver, Unfinished,
    Verbose,
};
pub use suite::{check, test};

/// What tests get from outside.
pub struct Environment<'a> {
    /// The root module.
    pub config: &'a ConfigTree,
    pub suite: &'a TestSuite,
    pub registry: &'a Registry,
    /// For expressions of test files; for every evaluation of a configuration its phase, variables and clock are set.
    pub settings: Settings,
    pub world: Arc<dyn World>,
    /// Values for variables from the command line, files and the process's environment.
    pub globals: BTreeMap<Arc<str>, GlobalValue>,
    /// The same for test files in the test directory, which may have values of its own.
    pub test_globals: BTreeMap<Arc<str>, GlobalValue>,
    pub test_directory: String,
    /// The names of the files to run; all when empty.
    pub filter: Vec<String>,
    pub parallelism: usize,
    /// Keep plans and states for the reports.
    pub verbose: bool,
    /// Finish the run under way, clean up, and skip the rest.
    pub stop: CancellationToken,
    /// Give up at once.
    pub cancel: CancellationToken,
}

/// A value that was given outside the test files.
#[derive(Clone, Debug)]
pub enum GlobalValue {
    Value(GivenVariable),
    /// What it means depends on the variable's type.
    Text {
        text: String,
        origin: Origin,
    },
}
