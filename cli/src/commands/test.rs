//! `stead test`.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use clap::{ArgAction, Args};
use stead_engine::eval::{GivenVariable, Origin, Phase, Settings};
use stead_engine::test::{Environment, GlobalValue, Status, TestObserver};
use stead_lang::config::test_file::{TEST_DIRECTORY, TestSuite};
use stead_lang::config::vars::read_tfvars;
use stead_value::{Diagnostic, Diagnostics};
use tokio_util::sync::CancellationToken;

use crate::args::VariableArgs;
use crate::error::{CommandError, Result};
use crate::render::diagnostics::Sources;
use crate::render::junit;
use crate::render::test::{Human, Machine};
use crate::session::{Given, Session};
use crate::variables;
use crate::world::{Disk, Here};

#[derive(Args, Debug)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    /// Run only this test file, such as tests/main.tftest.hcl
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    pub(crate) filter: Vec<String>,
    /// Where test files lie beside the current folder
    #[arg(long, value_name = "DIR", default_value = TEST_DIRECTORY)]
    pub(crate) test_directory: String,
    /// Print the plan or the state of each run
    #[arg(long)]
    pub(crate) verbose: bool,
    /// Print events as JSON, one a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Also write a report in JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit_xml: Option<PathBuf>,
    /// How many operations may run at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) parallelism: usize,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Not supported: refused
    #[arg(long, hide = true, value_name = "SOURCE")]
    pub(crate) cloud_run: Option<String>,
}

pub(crate) async fn run(args: TestArgs, origin: &Path) -> Result<u8> {
    let session = Session::read(
        &Disk,
        origin,
        &Given::Gather(&args.variables),
        args.no_color,
    )?;
    let mut output: Box<dyn Output> = if args.json {
        Box::new(Machine::new(&session))
    } else {
        Box::new(Human::new(&session))
    };
    let (suite, globals) = match prepare(&args, &session, &mut *output) {
        Ok(prepared) => prepared,
        Err(errors) => {
            output.problems(&errors);
            return Ok(1);
        }
    };
    let (stop, cancel) = interrupts(output.interrupts());
    let env = Environment {
        config: &session.tree,
        suite: &suite,
        registry: &session.registry,
        settings: Settings {
            world: Some(Arc::new(Here)),
            ..session.settings(Phase::Plan)
        },
        world: Arc::new(Here),
        test_globals: globals.in_tests,
        globals: globals.everywhere,
        test_directory: args.test_directory.clone(),
        filter: args.filter.clone(),
        parallelism: args.parallelism.max(1),
        verbose: args.verbose,
        stop: stop.clone(),
        cancel: cancel.clone(),
    };
    let report = stead_engine::test::test(&env, output.observer()).await;
    if let Some(path) = &args.junit_xml {
        let text = junit::report(&report, stop.is_cancelled(), output.sources());
        std::fs::write(path, text).map_err(|e| {
            let summary = format!(
                "error saving JUnit XML to file {:?}",
                path.display().to_string()
            );
            CommandError::new(summary, format!("{e}."))
        })?;
    }
    Ok(u8::from(report.status != Status::Pass))
}

/// Where events and problems go.
pub(crate) trait Output {
    fn observer(&mut self) -> &mut dyn TestObserver;

    /// Problems that no test file is to blame for.
    fn problems(&mut self, diagnostics: &Diagnostics);

    /// Files that problems may point into.
    fn sources(&mut self) -> &mut Sources;

    /// Says that an interrupt came: the first, or the second.
    fn interrupts(&self) -> fn(bool);
}

fn prepare(
    args: &TestArgs,
    session: &Session,
    output: &mut dyn Output,
) -> Result<(TestSuite, Globals), Diagnostics> {
    if args.cloud_run.is_some() {
        return Err(Diagnostic::error(
            "Option not supported",
            "The -cloud-run option runs tests in HCP Terraform, which stead does not speak to. Without the option the tests run here.",
        )
        .into());
    }
    let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    if args.test_directory.is_empty() || !Path::new(&args.test_directory).components().all(inside) {
        return Err(Diagnostic::error(
            "Invalid testing directory",
            "The testing directory must be a relative path pointing to a directory local to the configuration directory.",
        )
        .into());
    }
    let installed = crate::modules::installed(&Disk).map_err(|e| e.diagnostics)?;
    let (suite, mut diagnostics) =
        TestSuite::load(&Disk, &session.tree, &args.test_directory, &installed);
    let mut globals = Globals::default();
    if !diagnostics.has_errors() {
        globals.gather(args, &mut diagnostics);
    }
    let sources = output.sources();
    sources.extend(&globals.sources);
    for source in &suite.sources {
        sources.add(source);
    }
    for name in &args.filter {
        if !suite.files.contains_key(name.as_str()) {
            diagnostics.push(Diagnostic::warning(
                "Unknown test file",
                format!("The specified test file, {name}, could not be found."),
            ));
        }
    }
    let warnings = diagnostics.into_result()?;
    output.problems(&warnings);
    Ok((suite, globals))
}

/// Values for variables from outside the test files.
#[derive(Default)]
struct Globals {
    everywhere: BTreeMap<Arc<str>, GlobalValue>,
    /// For files in the test directory.
    in_tests: BTreeMap<Arc<str>, GlobalValue>,
    sources: Sources,
}

impl Globals {
    fn gather(&mut self, args: &TestArgs, diagnostics: &mut Diagnostics) {
        let mut values = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            let name = name.to_str().and_then(|n| n.strip_prefix("TF_VAR_"));
            if let (Some(name), Ok(text)) = (name, value.into_string()) {
                let origin = Origin::Environment;
                values.insert(name.into(), GlobalValue::Text { text, origin });
            }
        }
        for path in automatic(Path::new(""), diagnostics) {
            self.file(&path, Origin::AutomaticFile, &mut values, diagnostics);
        }
        for path in args.variables.files() {
            self.file(path, Origin::NamedFile, &mut values, diagnostics);
        }
        for var in args.variables.values() {
            match var.split_once('=') {
                Some((name, text)) => {
                    let text = text.to_owned();
                    let origin = Origin::Flag;
                    values.insert(name.trim().into(), GlobalValue::Text { text, origin });
                }
                None => diagnostics.push(Diagnostic::error(
                    "Invalid -var option",
                    format!("The given -var option \"{var}\" is not correctly specified. Must be a variable name and value separated by an equals sign, like -var=\"key=value\"."),
                )),
            }
        }
        self.in_tests.clone_from(&values);
        for path in automatic(Path::new(&args.test_directory), diagnostics) {
            let mut own = BTreeMap::new();
            self.file(&path, Origin::AutomaticFile, &mut own, diagnostics);
            self.in_tests.append(&mut own);
        }
        self.everywhere = values;
    }

    fn file(
        &mut self,
        path: &Path,
        origin: Origin,
        values: &mut BTreeMap<Arc<str>, GlobalValue>,
        diagnostics: &mut Diagnostics,
    ) {
        let (found, source, problems) = read_tfvars(&Disk, path);
        diagnostics.extend(problems);
        if let Some(source) = &source {
            self.sources.add(source);
        }
        values.extend(found.into_iter().map(|(name, given)| {
            let value = GivenVariable {
                value: given.value,
                origin,
                range: given.range,
            };
            (name, GlobalValue::Value(value))
        }));
    }
}

fn automatic(directory: &Path, diagnostics: &mut Diagnostics) -> Vec<PathBuf> {
    variables::automatic(&Disk, directory).unwrap_or_else(|problem| {
        diagnostics.push(problem);
        Vec::new()
    })
}

/// Tokens for the first interrupt, which lets the run under way finish and cleans up, and for the second, which gives up.
fn interrupts(say: fn(bool)) -> (CancellationToken, CancellationToken) {
    let (stop, cancel) = (CancellationToken::new(), CancellationToken::new());
    let tokens = (stop.clone(), cancel.clone());
    let mut interrupts = super::interrupt::Interrupts::listen();
    tokio::spawn(async move {
        interrupts.next().await;
        say(false);
        stop.cancel();
        interrupts.next().await;
        say(true);
        cancel.cancel();
    });
    tokens
}
