//! Where a run is told: for people on standard output, for machines as a stream of JSON, or both.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use stead_engine::apply::Applied;
use stead_engine::{Action, Event, Importing, Observer, Plan};
use stead_value::Diagnostics;

use crate::args::{PlanFormat, ReportArgs};
use crate::commands::print;
use crate::error::{CommandError, Result};
use crate::progress::Progress;
use crate::render::diagnostics::Sources;
use crate::render::plan::View;
use crate::render::text::{quote, wrap};
use crate::render::{self, Style};
use crate::session::Session;
use crate::stream::Stream;

/// See the module.
pub(crate) struct Report {
    /// Nothing, when only machines listen.
    human: Option<ReportArgs>,
    stream: Option<Arc<Stream>>,
    format: PlanFormat,
}

/// An observer for each listener.
struct Both(Vec<Arc<dyn Observer>>);

impl Observer for Both {
    fn event(&self, event: Event) {
        for observer in &self.0 {
            observer.event(event.clone());
        }
    }
}

/// The file that `-json-into` names, emptied. Nobody else may read a new one.
pub(crate) fn file_for_json(path: &Path) -> Result<File> {
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map_err(|e| {
        CommandError::new(
            "Failed to write the JSON stream",
            format!("{}: {e}.", path.display()),
        )
    })
}

impl Report {
    pub(crate) fn new(args: &ReportArgs, format: PlanFormat) -> Result<Report> {
        let stream = if args.json {
            Some(Stream::new(Box::new(std::io::stdout())))
        } else if let Some(path) = &args.json_into {
            Some(Stream::new(Box::new(file_for_json(path)?)))
        } else {
            None
        };
        Ok(Report {
            human: (!args.json).then(|| args.clone()),
            stream,
            format,
        })
    }

    pub(crate) fn observer(&self, style: Style) -> Arc<dyn Observer> {
        let mut all: Vec<Arc<dyn Observer>> = Vec::new();
        // Markdown is a document: progress would stand in it.
        let progress = self.human.as_ref().is_some_and(|args| !args.concise);
        if progress && self.format == PlanFormat::Text {
            all.push(Progress::new(style));
        }
        if let Some(stream) = &self.stream {
            all.push(Arc::clone(stream) as Arc<dyn Observer>);
        }
        Arc::new(Both(all))
    }

    /// A plan; its warnings and all that were held before stand behind it.
    pub(crate) fn plan(&self, session: &Session, plan: &mut Plan) {
        let warnings = std::mem::take(&mut plan.warnings);
        session.warn(&warnings);
        self.plan_alone(session, plan);
        self.warnings(session);
    }

    /// A plan whose warnings are told later, with those of its apply.
    pub(crate) fn plan_alone(&self, session: &Session, plan: &Plan) {
        self.show_plan(session, plan, false);
    }

    /// What was planned until a problem came up, which is told behind it.
    pub(crate) fn unfinished(&self, session: &Session, plan: &Plan) {
        if self.format == PlanFormat::Text {
            self.show_plan(session, plan, true);
        }
    }

    fn show_plan(&self, session: &Session, plan: &Plan, errored: bool) {
        if let Some(args) = &self.human {
            let revealed = args.show_sensitive.then(|| render::plan::revealed(plan));
            let plan = revealed.as_ref().unwrap_or(plan);
            let view = View {
                concise: args.concise,
                because: args.because,
                errored,
                ..session.view()
            };
            print(&match self.format {
                PlanFormat::Text => render::plan::render(plan, &session.registry, view),
                PlanFormat::Markdown => render::markdown::render(
                    plan,
                    &session.registry,
                    view,
                    &session.take_warnings(),
                ),
            });
        }
        if let Some(stream) = &self.stream {
            stream.plan(plan);
        }
    }

    /// A saved plan that is about to be applied.
    pub(crate) fn saved(&self, plan: &Plan) {
        if let Some(stream) = &self.stream {
            stream.changes(plan, |change| change.action != Action::NoOp);
        }
    }

    /// An apply begins: what is imported is taken over first. How many objects that are.
    pub(crate) fn begin(&self, plan: &Plan, style: Style) -> usize {
        if self.human.is_some() {
            for change in &plan.changes {
                let Some(Importing { by, .. }) = &change.importing else {
                    continue;
                };
                let address = style.bold(format!("{}:", change.address));
                print(&format!(
                    "{address} Importing... [{by}]\n{address} Import complete [{by}]\n"
                ));
            }
        }
        plan.imports()
    }

    /// The warnings held by a session.
    pub(crate) fn warnings(&self, session: &Session) {
        if let Some(stream) = &self.stream {
            let warnings = session.take_warnings();
            stream.diagnostics(&warnings, &session.sources);
            session.warn(&warnings);
        }
        if self.human.is_some() {
            session.show_warnings();
        } else {
            drop(session.take_warnings());
        }
    }

    /// What to do with a plan that changes something.
    pub(crate) fn next_step(
        &self,
        session: &Session,
        saved: Option<&Path>,
        generated: Option<&Path>,
    ) {
        let view = session.view();
        if self.human.is_none() || view.in_automation || self.format != PlanFormat::Text {
            return;
        }
        let mut text = String::new();
        view.rule(&mut text);
        text.push('\n');
        if let Some(path) = generated {
            let note = format!(
                "stead has generated configuration and written it to {}. Please review the configuration and edit it as necessary before adding it to version control.",
                path.display()
            );
            text.push_str(&wrap(&note, view.width));
            text.push_str("\n\n");
        }
        text.push_str(&match saved {
            None => wrap("Note: You didn't use the -out option to save this plan, so stead can't guarantee to take exactly these actions if you run \"stead apply\" now.", view.width),
            Some(path) => {
                let path = path.display().to_string();
                format!(
                    "{}\n\nTo perform exactly these actions, run the following command to apply:\n    stead apply {}",
                    wrap(&format!("Saved the plan to: {path}"), view.width),
                    quote(&path)
                )
            }
        });
        text.push('\n');
        print(&text);
    }

    /// How an apply went, when it went well.
    pub(crate) fn applied(
        &self,
        session: &Session,
        applied: &Applied,
        imported: usize,
        headline: Headline,
    ) -> Result<()> {
        let Applied {
            added,
            changed,
            destroyed,
            ..
        } = *applied;
        if let Some(args) = &self.human {
            let imports = match imported {
                0 => String::new(),
                n => format!("{n} imported, "),
            };
            let text = match headline {
                Headline::Destroy => format!("Destroy complete! Resources: {destroyed} destroyed."),
                Headline::Apply => format!(
                    "Apply complete! Resources: {imports}{added} added, {changed} changed, {destroyed} destroyed."
                ),
                Headline::Refresh => String::new(),
            };
            if !text.is_empty() {
                print(&format!("\n{}\n", session.style.bold_green(text)));
            }
            if !applied.state.outputs.is_empty() && headline != Headline::Destroy {
                let title = session.style.bold_green("Outputs:");
                let outputs = crate::commands::all_outputs(&applied.state, args.show_sensitive);
                let outputs = outputs.map_err(|d| session.failure(Diagnostics::from(d)))?;
                print(&format!("\n{title}\n\n{}\n", outputs.trim()));
            }
        }
        if let Some(stream) = &self.stream {
            match headline {
                Headline::Destroy => {
                    stream.summary("destroy", (imported, added, changed, destroyed));
                }
                Headline::Apply => stream.summary("apply", (imported, added, changed, destroyed)),
                Headline::Refresh => {}
            }
            if headline != Headline::Destroy {
                stream.state_outputs(&applied.state);
            }
        }
        Ok(())
    }

    /// Says no to the plan.
    pub(crate) fn cancelled(&self, text: &str) {
        if self.human.is_some() {
            print(&format!("{text}\n"));
        }
        if let Some(stream) = &self.stream {
            stream.log(text.trim_end_matches('.'));
        }
    }

    /// A command's end: a failure is told to whoever listens.
    pub(crate) fn end(&self, result: Result<u8>) -> Result<u8> {
        let error = match result {
            Ok(code) => return Ok(code),
            Err(error) => error,
        };
        let Some(stream) = &self.stream else {
            return Err(error);
        };
        let sources: &Sources = &error.sources;
        stream.diagnostics(&error.diagnostics, sources);
        if self.human.is_some() {
            return Err(error);
        }
        Ok(1)
    }

    /// Whether only machines listen.
    pub(crate) fn is_json(&self) -> bool {
        self.human.is_none()
    }
}

/// What an apply is called at its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Headline {
    Apply,
    Destroy,
    Refresh,
}
