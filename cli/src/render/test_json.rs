//! How tests go, for machines: Terraform's events, one JSON object a line.

use std::time::Duration;

use serde_json::{Map, Value as Json, json};
use stead_engine::Registry;
use stead_engine::test::{
    FileReport, Left, Outcome, Progress, RunReport, Status, SuiteReport, TestObserver, Unfinished,
    Verbose,
};
use stead_value::Diagnostics;

use super::arrange::sorted;
use super::diagnostics::Sources;
use super::json::diagnostic;
use super::schema;
use super::test::{interrupted, summary};
use crate::commands::print;
use crate::commands::test::Output;
use crate::session::{Session, TERRAFORM_VERSION};

/// Events on standard output.
pub(crate) struct Machine<'s> {
    registry: &'s Registry,
    sources: Sources,
}

/// Which test an event is about.
#[derive(Clone, Copy, Default)]
struct About<'a> {
    file: Option<&'a str>,
    run: Option<&'a str>,
}

impl<'a> About<'a> {
    fn file(file: &'a str) -> About<'a> {
        About {
            file: Some(file),
            run: None,
        }
    }

    fn run(file: &'a str, run: &'a RunReport) -> About<'a> {
        About {
            file: Some(file),
            run: Some(&run.name),
        }
    }
}

fn emit(level: &str, message: &str, kind: &str, about: About<'_>, fields: Json) {
    let mut event = Map::new();
    event.insert("@level".into(), json!(level));
    event.insert("@message".into(), json!(message));
    event.insert("@module".into(), json!("terraform.ui"));
    event.insert("@timestamp".into(), json!(crate::world::now_precise()));
    event.insert("type".into(), json!(kind));
    for (key, value) in [("@testfile", about.file), ("@testrun", about.run)] {
        if let Some(value) = value {
            event.insert(key.into(), json!(value));
        }
    }
    if let Json::Object(fields) = fields {
        event.extend(fields);
    }
    print(&format!("{}\n", Json::Object(event)));
}

fn info(message: &str, kind: &str, about: About<'_>, body: Json) {
    emit("info", message, kind, about, json!({ kind: body }));
}

fn outcome(status: Status) -> &'static str {
    match status {
        Status::Error => "fail",
        other => other.word(),
    }
}

impl<'s> Machine<'s> {
    pub(crate) fn new(session: &'s Session) -> Machine<'s> {
        // The events are Terraform's: so is the version that readers go by.
        let message = format!("Terraform {TERRAFORM_VERSION}");
        let fields = json!({ "terraform": TERRAFORM_VERSION, "ui": "1.2" });
        emit("info", &message, "version", About::default(), fields);
        Machine {
            registry: &session.registry,
            sources: session.sources.clone(),
        }
    }

    fn show(&self, diagnostics: &Diagnostics, about: About<'_>) {
        for found in sorted(diagnostics) {
            let (level, word) = match found.is_error() {
                true => ("error", "Error"),
                false => ("warn", "Warning"),
            };
            let message = format!("{word}: {}", found.summary);
            let fields = json!({ "diagnostic": diagnostic(found, &self.sources) });
            emit(level, &message, "diagnostic", about, fields);
        }
    }

    fn verbose(&self, verbose: &Verbose, about: About<'_>) {
        let (message, kind, shown) = match &verbose.outcome {
            Outcome::Plan(plan) => (
                "-verbose flag enabled, printing plan",
                "test_plan",
                super::json::test_plan(plan, self.registry),
            ),
            Outcome::State(state) => (
                "-verbose flag enabled, printing state",
                "test_state",
                super::json::test_state(state, self.registry),
            ),
        };
        let whole = shown.and_then(|mut shown| {
            let schemas = schema::providers(&verbose.providers, self.registry)?;
            shown["provider_format_version"] = json!("1.0");
            if !schemas.is_empty() {
                shown["provider_schemas"] = schemas.into();
            }
            Ok(shown)
        });
        match whole {
            Ok(shown) => info(message, kind, about, shown),
            Err(errors) => self.show(&errors, about),
        }
    }
}

fn objects(left: &[Left]) -> Json {
    left.iter()
        .map(|object| match &object.deposed {
            Some(key) => json!({ "instance": object.address.to_string(), "deposed_key": key }),
            None => json!({ "instance": object.address.to_string() }),
        })
        .collect()
}

impl Output for Machine<'_> {
    fn observer(&mut self) -> &mut dyn TestObserver {
        self
    }

    fn problems(&mut self, diagnostics: &Diagnostics) {
        self.show(diagnostics, About::default());
    }

    fn sources(&mut self) -> &mut Sources {
        &mut self.sources
    }

    fn interrupts(&self) -> fn(bool) {
        |again| {
            let message = interrupted(again);
            emit("info", message, "log", About::default(), Json::Null);
        }
    }
}

impl TestObserver for Machine<'_> {
    fn begin(&mut self, suite: &SuiteReport) {
        let runs: usize = suite.files.iter().map(|f| f.runs.len()).sum();
        let files = suite.files.len();
        let message = format!(
            "Found {files} {} and {runs} {}",
            if files == 1 { "file" } else { "files" },
            if runs == 1 { "run block" } else { "run blocks" },
        );
        let all: Map<String, Json> = suite
            .files
            .iter()
            .map(|file| {
                let names: Vec<&str> = file.runs.iter().map(|r| &*r.name).collect();
                // Terraform's list of nothing is null.
                let names = (!names.is_empty()).then_some(names);
                (file.name.clone(), json!(names))
            })
            .collect();
        info(&message, "test_abstract", About::default(), all.into());
    }

    fn file(&mut self, file: &FileReport, progress: Progress) {
        let about = About::file(&file.name);
        let state = match progress {
            Progress::Starting | Progress::Running => "in progress",
            Progress::TearDown => "tearing down",
            Progress::Complete => outcome(file.status),
        };
        let mut body = json!({ "path": file.name, "progress": progress.word() });
        if progress == Progress::Complete {
            body["status"] = json!(file.status.word());
        }
        info(
            &format!("{}... {state}", file.name),
            "test_file",
            about,
            body,
        );
        if progress == Progress::Complete {
            self.show(&file.diagnostics, about);
        }
    }

    fn run(&mut self, file: &str, run: &RunReport, progress: Progress, elapsed: Duration) {
        let about = About::run(file, run);
        let mut body = json!({ "path": file, "run": run.name, "progress": progress.word() });
        let state = match progress {
            Progress::Complete => {
                body["status"] = json!(run.status.word());
                outcome(run.status)
            }
            Progress::Starting | Progress::Running | Progress::TearDown => {
                body["elapsed"] = json!(elapsed.as_millis() as u64);
                match progress {
                    Progress::TearDown => "tearing down",
                    _ => "in progress",
                }
            }
        };
        info(
            &format!("  \"{}\"... {state}", run.name),
            "test_run",
            about,
            body,
        );
        if progress == Progress::Complete {
            if let Some(verbose) = &run.verbose {
                self.verbose(verbose, about);
            }
            self.show(&run.diagnostics, about);
        }
    }

    fn cleanup(&mut self, file: &str, run: &RunReport, diagnostics: &Diagnostics, left: &[Left]) {
        let about = About::run(file, run);
        if !left.is_empty() {
            let message = format!(
                "stead left some resources in state after executing {file}/{}, they need to be cleaned up manually.",
                run.name
            );
            let body = json!({ "test_cleanup": { "failed_resources": objects(left) } });
            emit("error", &message, "test_cleanup", about, body);
        }
        self.show(diagnostics, about);
    }

    fn abandoned(&mut self, file: &str, run: &RunReport, unfinished: &Unfinished) {
        let mut body = Map::new();
        if !unfinished.main.is_empty() {
            body.insert("state".into(), objects(&unfinished.main));
        }
        if !unfinished.others.is_empty() {
            let others = unfinished.others.iter();
            let others: Map<String, Json> = others
                .map(|(name, _, left)| (name.clone(), objects(left)))
                .collect();
            body.insert("states".into(), others.into());
        }
        if !unfinished.planned.is_empty() {
            let planned = unfinished.planned.iter();
            body.insert("planned".into(), planned.map(ToString::to_string).collect());
        }
        if body.is_empty() {
            return;
        }
        emit(
            "error",
            "stead was interrupted during test execution, and may not have performed the expected cleanup operations.",
            "test_interrupt",
            About::run(file, run),
            json!({ "test_interrupt": body }),
        );
    }

    fn end(&mut self, suite: &SuiteReport) {
        let headline = |status| match status {
            Status::Pass => "Success!".to_owned(),
            _ => "Failure!".to_owned(),
        };
        let count = |wanted: Status| {
            let runs = suite.files.iter().flat_map(|file| &file.runs);
            runs.filter(|run| run.status == wanted).count()
        };
        info(
            &summary(suite, headline),
            "test_summary",
            About::default(),
            json!({
                "status": suite.status.word(),
                "passed": count(Status::Pass),
                "failed": count(Status::Fail),
                "errored": count(Status::Error),
                "skipped": count(Status::Skip),
            }),
        );
    }
}
