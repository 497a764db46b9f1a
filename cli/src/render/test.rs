//! How tests go, for people: a line for each file and run, with what was wrong below.

use std::time::Duration;

use stead_engine::Registry;
use stead_engine::test::{
    FileReport, Left, Outcome, Progress, RunReport, Status, SuiteReport, TestObserver, Unfinished,
    Verbose,
};
use stead_value::Diagnostics;

use super::Style;
use super::arrange::{Layout, grouped};
use super::diagnostics::{Sources, render};
use super::text::{WIDTH, wrap};
use crate::commands::test::Output;
use crate::commands::{print, print_error};
use crate::session::Session;

pub(crate) use super::test_json::Machine;

/// Texts on standard output, errors on standard error.
pub(crate) struct Human<'s> {
    registry: &'s Registry,
    sources: Sources,
    style: Style,
}

impl<'s> Human<'s> {
    pub(crate) fn new(session: &'s Session) -> Human<'s> {
        Human {
            registry: &session.registry,
            sources: session.sources.clone(),
            style: session.style,
        }
    }

    fn status(&self, status: Status) -> String {
        match status {
            Status::Error | Status::Fail => self.style.red("fail"),
            Status::Pass => self.style.green("pass"),
            Status::Skip => self.style.dim("skip"),
            Status::Pending => self.style.dim("pending"),
        }
    }

    fn show(&self, diagnostics: &Diagnostics) {
        let layout = Layout::default();
        for group in grouped(diagnostics, layout) {
            let diagnostic = group.told();
            let text = render(
                &diagnostic.clone().into(),
                &self.sources,
                self.style,
                layout,
            );
            if diagnostic.is_error() {
                print_error(&text);
            } else {
                print(&text);
            }
        }
    }

    fn verbose(&self, verbose: &Verbose) {
        match &verbose.outcome {
            Outcome::Plan(plan) => {
                let text =
                    super::plan::render(plan, self.registry, super::plan::View::new(self.style));
                print(&format!("{text}\n"));
            }
            Outcome::State(state) => {
                match super::state::whole(state, self.registry, self.style, false) {
                    Ok(text) => print(&format!("\n{text}\n")),
                    Err(errors) => self.show(&errors),
                }
            }
        }
    }
}

/// What is said of an interrupt: of the first, or of the second.
pub(super) fn interrupted(again: bool) -> &'static str {
    if again {
        "\nTwo interrupts received. Exiting immediately. Note that data loss may have occurred.\n"
    } else {
        "\nInterrupt received.\nPlease wait for stead to exit or data loss may occur.\nGracefully shutting down...\n"
    }
}

/// How many runs turned out in which way, as the last line says it.
pub(super) fn summary(suite: &SuiteReport, headline: impl Fn(Status) -> String) -> String {
    let count = |wanted: &[Status]| {
        let runs = suite.files.iter().flat_map(|file| &file.runs);
        runs.filter(|run| wanted.contains(&run.status)).count()
    };
    let mut text = if suite.status <= Status::Skip {
        "Executed 0 tests".to_owned()
    } else {
        format!(
            "{} {} passed, {} failed",
            headline(suite.status),
            count(&[Status::Pass]),
            count(&[Status::Fail, Status::Error])
        )
    };
    match count(&[Status::Skip]) {
        0 => text.push('.'),
        skipped => text.push_str(&format!(", {skipped} skipped.")),
    }
    text
}

fn list(objects: &[Left]) -> String {
    let line = |object: &Left| match &object.deposed {
        Some(key) => format!("  - {} ({key})\n", object.address),
        None => format!("  - {}\n", object.address),
    };
    objects.iter().map(line).collect()
}

impl Output for Human<'_> {
    fn observer(&mut self) -> &mut dyn TestObserver {
        self
    }

    fn problems(&mut self, diagnostics: &Diagnostics) {
        self.show(diagnostics);
    }

    fn sources(&mut self) -> &mut Sources {
        &mut self.sources
    }

    fn interrupts(&self) -> fn(bool) {
        |again| {
            print_error(&format!("{}\n", wrap(interrupted(again), WIDTH)));
        }
    }
}

impl TestObserver for Human<'_> {
    fn begin(&mut self, _: &SuiteReport) {}

    fn file(&mut self, file: &FileReport, progress: Progress) {
        let state = match progress {
            Progress::Starting | Progress::Running => self.style.dim("in progress"),
            Progress::TearDown => self.style.dim("tearing down"),
            Progress::Complete => self.status(file.status),
        };
        print(&format!("{}... {state}\n", file.name));
        if progress == Progress::Complete {
            self.show(&file.diagnostics);
        }
    }

    fn run(&mut self, _: &str, run: &RunReport, progress: Progress, _: Duration) {
        if progress != Progress::Complete {
            return;
        }
        print(&format!(
            "  run \"{}\"... {}\n",
            run.name,
            self.status(run.status)
        ));
        if let Some(verbose) = &run.verbose {
            self.verbose(verbose);
        }
        self.show(&run.diagnostics);
        if run.diagnostics.iter().any(|d| !d.is_error()) {
            print("\n");
        }
    }

    fn cleanup(&mut self, file: &str, run: &RunReport, diagnostics: &Diagnostics, left: &[Left]) {
        let name = format!("{file}/{}", run.name);
        if diagnostics.has_errors() {
            let text = format!(
                "stead encountered an error destroying resources created while executing {name}.\n"
            );
            print_error(&wrap(&text, WIDTH));
        }
        self.show(diagnostics);
        if !left.is_empty() {
            let text = format!(
                "\nstead left the following resources in state after executing {name}, and they need to be cleaned up manually:\n"
            );
            print_error(&format!("{}{}", wrap(&text, WIDTH), list(left)));
        }
    }

    fn abandoned(&mut self, file: &str, run: &RunReport, unfinished: &Unfinished) {
        let mut text = wrap(
            &format!(
                "\nstead was interrupted while executing {file}, and may not have performed the expected cleanup operations.\n"
            ),
            WIDTH,
        );
        if !unfinished.main.is_empty() {
            text.push_str(&wrap(
                "\nstead has already created the following resources from the module under test:\n",
                WIDTH,
            ));
            text.push_str(&list(&unfinished.main));
        }
        for (name, module, objects) in &unfinished.others {
            let module = module.as_deref().unwrap_or("the module under test");
            text.push_str(&wrap(&format!(
                "\nstead has already created the following resources for \"{name}\" from \"{module}\":\n"
            ), WIDTH));
            text.push_str(&list(objects));
        }
        if !unfinished.planned.is_empty() {
            let module = run.module.as_ref();
            let module = module.map_or("the module under test".into(), |m| format!("\"{m}\""));
            let objects = unfinished.planned.iter();
            let objects: String = objects.map(|a| format!("  - {a}\n")).collect();
            text.push_str(&wrap(&format!("\nstead was in the process of creating the following resources for \"{}\" from {module}, and they may not have been destroyed:\n", run.name), WIDTH));
            text.push_str(&objects);
        }
        print_error(&text);
    }

    fn end(&mut self, suite: &SuiteReport) {
        let headline = |status| match status {
            Status::Pass => self.style.green("Success!"),
            _ => self.style.red("Failure!"),
        };
        print(&format!("\n{}\n", summary(suite, headline)));
    }
}
