//! What the journal costs: the same apply with it and without it, turn by turn in one process, through the sink that the command line has.
//!
//! ```sh
//! cargo bench -p stead-engine --bench journal [-- ROUNDS]
//! ```
//! Users have no switch for the journal; here a sink that keeps none stands in. Both write the same states to the same disk.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../../cli/src/recorder.rs"]
mod recorder;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use recorder::Recorder;
use stead_engine::apply::{Changed, StateSink, apply};
use stead_engine::eval::{Evaluator, Phase, Settings};
use stead_engine::plan::{Options, plan};
use stead_engine::{Event, Observer, Registry};
use stead_lang::config::{ConfigTree, NothingInstalled};
use stead_sdk::{
    Context, Dialer, Error, Failure, Native, NoConfig, ProviderFactory, Resource, async_trait,
};
use stead_state::journal::{JournalHandle, Run};
use stead_state::{State, StateManager};
use stead_utility::RemoteStates;
use stead_value::addr::ProviderSource;
use stead_value::{Diagnostic, Diagnostics, Value};
use tokio_util::sync::CancellationToken;

/// As many operations run at once as when nobody says otherwise.
const PARALLELISM: usize = 10;

fn main() {
    let rounds = std::env::args().filter_map(|a| a.parse().ok()).next();
    let rounds: usize = rounds.unwrap_or(9);
    println!(
        "| apply of | without, s | with, s | slower by | CPU without, s | CPU with, s | more by |"
    );
    println!("|---|---|---|---|---|---|---|");
    let data = |i| format!("resource \"terraform_data\" \"r{i}\" {{\n  input = {i}\n}}\n");
    compare("10,000 `terraform_data`", 10_000, rounds, data);
    let file = |i| {
        format!(
            "resource \"local_file\" \"r{i}\" {{\n  filename = \"out/{i}\"\n  content  = \"{i}\"\n}}\n"
        )
    };
    compare("10,000 `local_file`", 10_000, rounds, file);
    for latency in [20, 100] {
        let thing = |i| {
            format!(
                "resource \"bench_thing\" \"r{i}\" {{\n  name    = \"{i}\"\n  latency = {latency}\n}}\n"
            )
        };
        let what = format!("1,000 objects of a service that takes {latency} ms");
        compare(&what, 1_000, rounds.div_ceil(3), thing);
    }
}

/// The medians of some rounds of each, by turns: what else the machine does meanwhile meets both.
fn compare(what: &str, count: usize, rounds: usize, block: impl Fn(usize) -> String) {
    let mut stack = String::new();
    for i in 0..count {
        stack.push_str(&block(i));
    }
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // The first of all meets cold caches.
    once(&stack, count, false);
    for _ in 0..rounds {
        without.push(once(&stack, count, false));
        with.push(once(&stack, count, true));
    }
    let mut row = format!("| {what} |");
    for part in [|c: &Cost| c.wall, |c: &Cost| c.cpu] {
        let without = median(without.iter().map(part).collect());
        let with = median(with.iter().map(part).collect());
        let more = (with / without - 1.0) * 100.0;
        // Writing to a string cannot fail.
        let _ = write!(row, " {without:.3} | {with:.3} | {more:.1} % |");
    }
    println!("{row}");
}

struct Cost {
    wall: Duration,
    cpu: Duration,
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all[all.len() / 2].as_secs_f64()
}

/// Plans and applies in an empty folder; what the apply alone has cost.
fn once(stack: &str, count: usize, journal: bool) -> Cost {
    let folder = tempfile::tempdir().expect("a folder");
    std::env::set_current_dir(folder.path()).expect("the folder");
    // As the binary has it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let cost = runtime.block_on(planned_and_applied(stack, count, journal));
    std::env::set_current_dir("/").expect("the root");
    cost
}

async fn planned_and_applied(stack: &str, count: usize, journal: bool) -> Cost {
    let registry = registry();
    let files = OneFile(stack.into());
    let (tree, diagnostics) = ConfigTree::load(&files, Path::new("."), &NothingInstalled);
    assert!(!diagnostics.has_errors(), "{diagnostics:?}");
    let observer: Arc<dyn Observer> = Arc::new(|_: Event| {});
    let planned = plan(
        &Evaluator::new(&tree, settings(Phase::Plan)),
        &registry,
        State::new(),
        Options::default(),
        Arc::clone(&observer),
        CancellationToken::new(),
    )
    .await;
    let planned = planned.map_err(|e| e.diagnostics).expect("a plan");
    let evaluator = Evaluator::new(&tree, settings(Phase::Apply));
    let mut file = StateManager::at("terraform.tfstate");
    let mut recorder;
    let mut unnoted;
    let sink: &mut dyn StateSink = match journal {
        true => {
            recorder = Recorder::new(&mut file, Run::default(), |_| false);
            &mut recorder
        }
        false => {
            unnoted = Unnoted(&mut file);
            &mut unnoted
        }
    };
    let (began, cpu) = (Instant::now(), cpu_time());
    let applied = apply(
        &evaluator,
        &registry,
        planned.plan,
        planned.pool,
        sink,
        PARALLELISM,
        observer,
        CancellationToken::new(),
    )
    .await;
    let cost = Cost {
        wall: began.elapsed(),
        cpu: cpu_time().saturating_sub(cpu),
    };
    assert!(
        !applied.diagnostics.has_errors(),
        "{:?}",
        applied.diagnostics
    );
    assert_eq!(applied.added, count);
    cost
}

/// The state at the beginning and at the end, and nothing between: what an apply writes without a journal.
struct Unnoted<'a>(&'a mut StateManager);

impl StateSink for Unnoted<'_> {
    fn begin(&mut self, state: &mut State, _: bool) -> Result<Option<JournalHandle>, Diagnostic> {
        self.finished(state)?;
        Ok(None)
    }

    fn changed(&mut self, _: &mut State, _: Changed<'_>) -> Result<(), Diagnostic> {
        Ok(())
    }

    fn finished(&mut self, state: &mut State) -> Result<(), Diagnostic> {
        let written = self.0.write(state);
        written.map_err(|e| Diagnostic::error("Failed to save state", e.to_string()))
    }
}

/// User and system time of this process, in the kernel's hundredths of a second.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // Behind the name, which may hold anything: fields 14 and 15 of proc_pid_stat(5).
    let (_, behind) = text.rsplit_once(')').expect("a name");
    let ticks = behind.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(|t| t.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

fn settings(phase: Phase) -> Settings {
    Settings {
        phase,
        variables: Default::default(),
        workspace: "default".into(),
        root_directory: ".".into(),
        working_directory: "/".into(),
        files: Arc::new(OneFile(String::new())),
        home_directory: None,
        plan_timestamp: None,
        registry: Registry::default(),
        world: None,
        stand_ins: None,
    }
}

fn registry() -> Registry {
    let dialer = Dialer::direct();
    let mut registry = Registry::default();
    let mut register = |source: &str, factory: Arc<dyn ProviderFactory>| {
        registry.register(ProviderSource::parse(source).expect("a source"), factory);
    };
    for (source, factory) in stead_utility::factories(&dialer, Arc::new(NoOtherStacks)) {
        register(source, factory);
    }
    let bench = Native::<()>::provider::<NoConfig>("bench")
        .configure(|_, _, _| async { Ok::<_, Diagnostics>(()) })
        .resource::<Thing>()
        .build(&dialer);
    register("hashicorp/bench", Arc::new(bench));
    registry
}

/// An object of a service that takes its time.
#[derive(Clone, Debug, Resource)]
#[resource(name = "bench_thing")]
struct Thing {
    #[attr(computed)]
    id: String,
    #[attr(required)]
    name: String,
    /// How long its making takes, in milliseconds.
    #[attr(required)]
    latency: i64,
}

#[async_trait]
impl Resource for Thing {
    type Client = ();

    async fn create((): &(), planned: Self, _: &Value, _: &Context) -> Result<Self, Failure<Self>> {
        tokio::time::sleep(Duration::from_millis(planned.latency.unsigned_abs())).await;
        Ok(Thing {
            id: planned.name.clone(),
            ..planned
        })
    }

    async fn read((): &(), prior: Self, _: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn delete((): &(), _: Self, _: &Context) -> Result<(), Error> {
        Ok(())
    }
}

/// No stack here reads another one's outputs.
struct NoOtherStacks;

#[async_trait]
impl RemoteStates for NoOtherStacks {
    fn backends(&self) -> Vec<&'static str> {
        Vec::new()
    }

    async fn outputs(
        &self,
        _: &str,
        backend: &str,
        _: &Value,
        _: &str,
    ) -> Result<Option<std::collections::BTreeMap<Arc<str>, Value>>, Diagnostic> {
        Err(Diagnostic::error("No such backend", backend))
    }
}

struct OneFile(String);

impl stead_lang::Files for OneFile {
    fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        match self.exists(path) {
            true => Ok(self.0.clone().into_bytes()),
            false => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    fn list(&self, _: &Path) -> std::io::Result<Vec<String>> {
        Ok(vec!["main.tf".into()])
    }

    fn exists(&self, path: &Path) -> bool {
        path.file_name().is_some_and(|name| name == "main.tf")
    }

    fn walk(&self, directory: &Path) -> std::io::Result<Vec<String>> {
        self.list(directory)
    }
}
