//! The files of a suite, one after the other.

use std::collections::BTreeMap;

use stead_lang::config::ConfigTree;
use stead_lang::config::test_file::{Override, TestFile, TestProvider, TestSuite};
use stead_state::State;
use stead_value::{Diagnostic, Diagnostics};

use super::report::{FileReport, Progress, RunReport, Status, SuiteReport, TestObserver};
use super::scope::Outputs;
use super::{Environment, expectations};

/// Runs the tests. What goes wrong is in the report; it has been told already.
pub async fn test(env: &Environment<'_>, observer: &mut dyn TestObserver) -> SuiteReport {
    let chosen = |name: &str| env.filter.is_empty() || env.filter.iter().any(|f| f == name);
    let files: Vec<&TestFile> = env
        .suite
        .files
        .values()
        .filter(|f| chosen(&f.name))
        .collect();
    let mut suite = SuiteReport {
        status: Status::Pending,
        files: files.iter().map(|file| pending(file)).collect(),
    };
    observer.begin(&suite);
    suite.status = Status::Pass;
    for (file, report) in files.into_iter().zip(&mut suite.files) {
        if env.cancel.is_cancelled() {
            return suite;
        }
        let mut runner = FileRunner {
            env,
            file,
            report,
            states: BTreeMap::from([(MAIN.to_owned(), TestState::default())]),
            outputs: file
                .runs
                .iter()
                .map(|run| (std::sync::Arc::clone(&run.name), None))
                .collect(),
            observer: &mut *observer,
        };
        runner.observer.file(runner.report, Progress::Starting);
        runner.execute().await;
        runner.observer.file(runner.report, Progress::TearDown);
        runner.clean_up().await;
        runner.observer.file(runner.report, Progress::Complete);
        suite.status.merge(report.status);
    }
    observer.end(&suite);
    suite
}

fn pending(file: &TestFile) -> FileReport {
    let runs = file.runs.iter().map(|run| RunReport {
        name: run.name.to_string(),
        command: run.command,
        module: run.module.as_ref().map(|m| m.source.to_string()),
        asserts: run.asserts.len(),
        status: Status::Pending,
        diagnostics: Diagnostics::new(),
        verbose: None,
        executed: None,
    });
    FileReport {
        name: file.name.to_string(),
        status: Status::Pending,
        diagnostics: Diagnostics::new(),
        runs: runs.collect(),
    }
}

/// The key of the state that runs of the root module share.
pub(super) const MAIN: &str = "";

/// A state and the run that changed it last, which says how to destroy it.
#[derive(Default)]
pub(super) struct TestState {
    pub(super) state: State,
    pub(super) changed_by: Option<usize>,
}

/// One file being run.
pub(super) struct FileRunner<'r> {
    pub(super) env: &'r Environment<'r>,
    pub(super) file: &'r TestFile,
    pub(super) report: &'r mut FileReport,
    pub(super) states: BTreeMap<String, TestState>,
    pub(super) outputs: Outputs,
    pub(super) observer: &'r mut dyn TestObserver,
}

impl<'r> FileRunner<'r> {
    async fn execute(&mut self) {
        let unmatched = unmatched_overrides(self.env.config, self.file);
        self.report.diagnostics.extend(unmatched);
        self.report.status.merge(Status::Skip);
        if self.file.runs.is_empty() {
            self.report.status.merge(Status::Pass);
        }
        for index in 0..self.file.runs.len() {
            if self.env.cancel.is_cancelled() {
                self.report.status.merge(Status::Error);
                return;
            }
            if self.env.stop.is_cancelled() || self.report.status == Status::Error {
                self.with_report(index, |report| report.status = Status::Skip);
                self.tell(index, Progress::Complete);
                continue;
            }
            self.execute_run(index).await;
            self.tell(index, Progress::Complete);
            let status = self.report.runs.get(index).map(|r| r.status);
            self.report.status.merge(status.unwrap_or_default());
        }
    }

    pub(super) fn tell(&mut self, index: usize, progress: Progress) {
        self.tell_after(index, progress, std::time::Duration::ZERO);
    }

    pub(super) fn tell_after(
        &mut self,
        index: usize,
        progress: Progress,
        elapsed: std::time::Duration,
    ) {
        if let Some(run) = self.report.runs.get(index) {
            self.observer.run(&self.report.name, run, progress, elapsed);
        }
    }

    pub(super) fn with_report(&mut self, index: usize, change: impl FnOnce(&mut RunReport)) {
        if let Some(report) = self.report.runs.get_mut(index) {
            change(report);
        }
    }

    /// The configuration that a run of the file tests.
    pub(super) fn config_of(&self, index: usize) -> Option<&'r ConfigTree> {
        match &self.file.runs.get(index)?.module {
            Some(module) => module.tree.as_ref(),
            None => Some(self.env.config),
        }
    }
}

/// Checks test files without running them.
pub fn check(config: &ConfigTree, suite: &TestSuite) -> Diagnostics {
    let mut found = Diagnostics::new();
    for file in suite.files.values() {
        found.extend(unmatched_overrides(config, file));
        for run in &file.runs {
            let tested = match &run.module {
                Some(module) => module.tree.as_ref(),
                None => Some(config),
            };
            found.extend(expectations::check(run).err().into_iter().flatten());
            let unmatched = run.overrides.iter();
            let unmatched = unmatched.filter(|o| tested.is_some_and(|tree| !declares(tree, o)));
            found.extend(unmatched.map(no_such_target));
        }
    }
    found
}

/// Warns of a file's overrides of nothing. Those in files of mock data are for several test files.
fn unmatched_overrides(config: &ConfigTree, file: &TestFile) -> Vec<Diagnostic> {
    let modules = file.runs.iter().filter_map(|run| run.module.as_ref());
    let trees: Vec<&ConfigTree> = std::iter::once(config)
        .chain(modules.filter_map(|module| module.tree.as_ref()))
        .collect();
    let mocked = file.providers.values().flat_map(|p| match p {
        TestProvider::Mock(mock) => mock.data.overrides.as_slice(),
        TestProvider::Real(_) => &[],
    });
    let unmatched = mocked
        .chain(&file.overrides)
        .filter(|o| !o.shared && !trees.iter().any(|tree| declares(tree, o)));
    unmatched.map(no_such_target).collect()
}

/// Whether a configuration has what an override is for.
pub(super) fn declares(tree: &ConfigTree, found: &Override) -> bool {
    let path = found.target.module.iter().map(|(name, _)| name.clone());
    match (
        tree.get(&stead_value::addr::Module(path.collect())),
        &found.target.resource,
    ) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(node), Some((resource, _))) => node.module.resources.contains_key(resource),
    }
}

pub(super) fn no_such_target(found: &Override) -> Diagnostic {
    Diagnostic::warning(
        "Invalid override target",
        format!("The override target {} does not exist within the configuration under test. This could indicate a typo in the target address or an unnecessary override.", found.target),
    )
    .at(found.target_range.clone())
}
