//! The files of a suite, one after the other.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use stead_lang::config::ConfigTree;
use stead_lang::config::test_file::{Override, TestFile, TestProvider, TestSuite};
use stead_state::State;
use stead_value::{Diagnostic, Diagnostics};

use super::report::{FileReport, Progress, RunReport, Status, SuiteReport, TestObserver};
use super::scope::Outputs;
use super::variables::{self, Declared};
use super::{Environment, GlobalValue, expectations, order};

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
        let runner = FileRunner::new(env, file, report, &mut *observer);
        runner.tell_file(Progress::Starting);
        runner.execute().await;
        runner.tell_file(Progress::TearDown);
        runner.clean_up().await;
        runner.tell_file(Progress::Complete);
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

/// The values from outside that a file gets.
pub(super) fn globals<'e>(
    env: &'e Environment<'_>,
    file: &TestFile,
) -> &'e BTreeMap<Arc<str>, GlobalValue> {
    match file.directory() == env.test_directory {
        true => &env.test_globals,
        false => &env.globals,
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

/// One file being run. Its runs share it, also those beside each other: nothing of it is borrowed while one waits.
pub(super) struct FileRunner<'r> {
    pub(super) env: &'r Environment<'r>,
    pub(super) file: &'r TestFile,
    /// The values of the variables that the file declares.
    pub(super) declared: Declared,
    pub(super) report: RefCell<&'r mut FileReport>,
    pub(super) states: RefCell<BTreeMap<String, TestState>>,
    pub(super) outputs: RefCell<Outputs>,
    pub(super) observer: RefCell<&'r mut dyn TestObserver>,
}

impl<'r> FileRunner<'r> {
    fn new(
        env: &'r Environment<'r>,
        file: &'r TestFile,
        report: &'r mut FileReport,
        observer: &'r mut dyn TestObserver,
    ) -> FileRunner<'r> {
        report
            .diagnostics
            .extend(unmatched_overrides(env.config, file));
        let (declared, wrong) = variables::declared(file, globals(env, file));
        if wrong.has_errors() {
            report.status = Status::Error;
        }
        report.diagnostics.extend(wrong);
        let names = file.runs.iter().map(|run| (Arc::clone(&run.name), None));
        FileRunner {
            env,
            file,
            declared,
            report: RefCell::new(report),
            states: RefCell::default(),
            outputs: RefCell::new(names.collect()),
            observer: RefCell::new(observer),
        }
    }

    /// Executes the runs, each as soon as those are over that it waits for.
    async fn execute(&self) {
        self.merge_status(Status::Skip);
        if self.file.runs.is_empty() {
            self.merge_status(Status::Pass);
        }
        let waits = order::waits(self.file);
        let mut missing: Vec<usize> = waits.iter().map(BTreeSet::len).collect();
        let mut followers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, waits) in waits.iter().enumerate() {
            for before in waits {
                followers.entry(*before).or_default().push(index);
            }
        }
        let mut waiting: BTreeSet<usize> = (0..waits.len()).collect();
        let free = |index: &usize| missing.get(*index) == Some(&0);
        let mut ready: BTreeSet<usize> = waiting.iter().copied().filter(free).collect();
        let mut running = FuturesUnordered::new();
        while !waiting.is_empty() || !running.is_empty() {
            if running.is_empty() && ready.is_empty() {
                // Runs that wait for each other: the first of them will say which outputs it lacks.
                ready.extend(waiting.first());
            }
            while running.len() < self.env.parallelism
                && let Some(index) = ready.pop_first()
            {
                waiting.remove(&index);
                let waits = waits.get(index);
                running.push(async move {
                    self.take_turn(index, waits.into_iter().flatten()).await;
                    index
                });
            }
            let Some(over) = running.next().await else {
                continue;
            };
            for follower in followers.remove(&over).into_iter().flatten() {
                if let Some(missing) = missing.get_mut(follower) {
                    *missing -= 1;
                    if *missing == 0 && waiting.contains(&follower) {
                        ready.insert(follower);
                    }
                }
            }
        }
    }

    async fn take_turn(&self, index: usize, waited_for: impl Iterator<Item = &usize>) {
        if self.env.cancel.is_cancelled() {
            return self.merge_status(Status::Error);
        }
        let status = |index: &usize| self.report.borrow().runs.get(*index).map(|r| r.status);
        let in_vain = waited_for
            .filter_map(status)
            .any(|status| matches!(status, Status::Skip | Status::Error));
        if in_vain || self.env.stop.is_cancelled() || self.lacks_declared(index) {
            self.with_report(index, |report| report.status = Status::Skip);
        } else {
            self.execute_run(index).await;
        }
        self.tell(index, Progress::Complete);
        self.merge_status(status(&index).unwrap_or_default());
    }

    /// Whether a run uses a variable of the file that has no value. That was said.
    fn lacks_declared(&self, index: usize) -> bool {
        let (Some(run), Some(config)) = (self.file.runs.get(index), self.config_of(index)) else {
            return false;
        };
        variables::used(run, &config.root.module)
            .iter()
            .any(|name| matches!(self.declared.get(name), Some(None)))
    }

    pub(super) fn merge_status(&self, status: Status) {
        self.report.borrow_mut().status.merge(status);
    }

    fn tell_file(&self, progress: Progress) {
        self.observer
            .borrow_mut()
            .file(&self.report.borrow(), progress);
    }

    pub(super) fn tell(&self, index: usize, progress: Progress) {
        self.tell_after(index, progress, std::time::Duration::ZERO);
    }

    pub(super) fn tell_after(
        &self,
        index: usize,
        progress: Progress,
        elapsed: std::time::Duration,
    ) {
        let report = self.report.borrow();
        if let Some(run) = report.runs.get(index) {
            let mut observer = self.observer.borrow_mut();
            observer.run(&report.name, run, progress, elapsed);
        }
    }

    pub(super) fn with_report(&self, index: usize, change: impl FnOnce(&mut RunReport)) {
        if let Some(report) = self.report.borrow_mut().runs.get_mut(index) {
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
