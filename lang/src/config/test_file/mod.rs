//! Test files: what `*.tftest.hcl` and `*.tofutest.hcl` say, before anything is evaluated.

mod blocks;
mod load;
mod mock;
mod run;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::addr::{self, InstanceKey, ResourceMode};
use stead_value::{Diagnostic, Diagnostics, SourceRange};

use super::model::{
    CheckRule, ObjectAddress, PassedProvider, ProviderConfig, ProviderName, Variable,
    VersionRequirement,
};
use super::source::ModuleSource;
use super::tree::{ConfigTree, InstalledModules};
use crate::Files;
use crate::syntax::{Expression, SourceFile};

/// Where test files lie beside the root module's own folder, unless `-test-directory` says otherwise.
pub const TEST_DIRECTORY: &str = "tests";

/// All test files of a root module, in the order in which they run.
#[derive(Debug, Default)]
pub struct TestSuite {
    /// By name.
    pub files: BTreeMap<Arc<str>, TestFile>,
    /// Everything that was read, the modules of run blocks too, for excerpts in messages.
    pub sources: Vec<Arc<SourceFile>>,
}

#[derive(Debug)]
pub struct TestFile {
    /// The path from the root module: `main.tftest.hcl`, `tests/main.tftest.hcl`.
    pub name: Arc<str>,
    /// `variable` blocks: what may be given from outside, and as what.
    pub declared: IndexMap<Arc<str>, Variable>,
    pub variables: IndexMap<Arc<str>, Expression>,
    /// By the name under which run blocks know them.
    pub providers: IndexMap<ProviderName, TestProvider>,
    pub overrides: Vec<Override>,
    pub runs: Vec<TestRun>,
}

/// A provider that a test file configures: a real one, or a mock of it.
#[derive(Debug)]
pub enum TestProvider {
    Real(ProviderConfig),
    Mock(MockProvider),
}

impl TestProvider {
    pub fn range(&self) -> &SourceRange {
        match self {
            TestProvider::Real(config) => &config.range,
            TestProvider::Mock(mock) => &mock.range,
        }
    }
}

#[derive(Debug)]
pub struct MockProvider {
    pub data: MockData,
    /// Makes several instances of the provider, as in OpenTofu.
    pub for_each: Option<Expression>,
    /// A directory with more data.
    pub source: Option<Arc<str>>,
    /// What holds for values that do not say it themselves.
    pub during_plan: bool,
    pub range: SourceRange,
}

/// What a mock provider answers with.
#[derive(Debug, Default)]
pub struct MockData {
    /// Values for every object of a type.
    pub types: IndexMap<(ResourceMode, Arc<str>), MockType>,
    /// Values for single objects.
    pub overrides: Vec<Override>,
}

#[derive(Clone, Debug)]
pub struct MockType {
    pub values: MockValues,
    pub range: SourceRange,
}

/// Values for attributes that the provider would decide.
#[derive(Clone, Debug)]
pub struct MockValues {
    /// An object; without it all values are made up.
    pub values: Option<Expression>,
    /// Where they stand, for messages: the argument, or the block when there is none.
    pub range: SourceRange,
    /// The values are there while planning already, not only after the apply.
    pub during_plan: bool,
}

/// Values that take the place of what a provider, or a whole module, would give.
#[derive(Clone, Debug)]
pub struct Override {
    pub target: ObjectAddress,
    pub values: MockValues,
    /// It comes from a file of mock data that several test files may share: its target need not exist.
    pub shared: bool,
    pub range: SourceRange,
    pub target_range: SourceRange,
}

/// What a run block does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TestCommand {
    #[default]
    Apply,
    Plan,
}

#[derive(Debug)]
pub struct TestRun {
    pub name: Arc<str>,
    pub command: TestCommand,
    pub options: PlanOptions,
    pub variables: IndexMap<Arc<str>, Expression>,
    pub overrides: Vec<Override>,
    /// Which of the file's providers the run uses, and as what; empty: all that the module needs.
    pub providers: Vec<PassedProvider>,
    pub asserts: Vec<CheckRule>,
    pub expect_failures: Vec<Expectation>,
    pub module: Option<TestModule>,
    /// Runs with the same key share a state.
    pub state_key: Option<String>,
    /// May run beside other runs of the file with another state.
    pub parallel: bool,
    pub range: SourceRange,
}

/// A module that a run block tests in place of the root module.
#[derive(Debug)]
pub struct TestModule {
    pub source: ModuleSource,
    pub version: Option<VersionRequirement>,
    pub source_range: SourceRange,
    pub range: SourceRange,
    /// As if it were a root module.
    pub tree: Option<ConfigTree>,
}

/// `plan_options`.
#[derive(Debug)]
pub struct PlanOptions {
    pub refresh_only: bool,
    pub refresh: bool,
    pub replace: Vec<Expression>,
    pub target: Vec<Expression>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions {
            refresh_only: false,
            refresh: true,
            replace: Vec::new(),
            target: Vec::new(),
        }
    }
}

/// One entry of `expect_failures`.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub subject: Expected,
    pub range: SourceRange,
}

/// An object whose conditions are expected to fail. What cannot fail is found out as the run begins, and not before.
#[derive(Clone, Debug)]
pub enum Expected {
    Variable(Arc<str>),
    Output(Arc<str>),
    Check(Arc<str>),
    /// All instances of a resource.
    Resource(addr::Resource),
    Instance(addr::Resource, InstanceKey),
    /// Something without conditions of its own, as messages name it.
    Other(String),
    Invalid(Diagnostic),
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expected::Variable(name) => write!(f, "var.{name}"),
            Expected::Output(name) => write!(f, "output.{name}"),
            Expected::Check(name) => write!(f, "check.{name}"),
            Expected::Resource(resource) => resource.fmt(f),
            Expected::Instance(resource, key) => write!(f, "{resource}{key}"),
            Expected::Other(text) => f.write_str(text),
            Expected::Invalid(_) => Ok(()),
        }
    }
}

impl TestFile {
    /// The file's directory within the root module; empty for the root module's own.
    pub fn directory(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(dir, _)| dir)
    }
}

impl TestSuite {
    /// Reads the test files of a root module, and the modules that they test. With errors, what could be read is there.
    pub fn load(
        files: &dyn Files,
        root: &ConfigTree,
        test_directory: &str,
        installed: &dyn InstalledModules,
    ) -> (TestSuite, Diagnostics) {
        load::suite(files, root, test_directory, installed)
    }
}

/// Where a root module's folder ends and a path within it begins.
fn join(directory: &str, name: &str) -> PathBuf {
    if directory.is_empty() || directory == "." {
        PathBuf::from(name)
    } else {
        PathBuf::from(directory).join(name)
    }
}
