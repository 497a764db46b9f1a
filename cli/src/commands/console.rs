//! `stead console`: expressions at a prompt, or from a pipe.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{ArgAction, Args};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use stead_engine::Observer;
use stead_engine::console::{Answer, Console};
use stead_engine::plan::Options;
use stead_lang::syntax::could_continue;
use stead_state::State;
use stead_value::{Diagnostic, Diagnostics};

use super::print;
use crate::args::VariableArgs;
use crate::backend;
use crate::error::{CommandError, Result, report};
use crate::progress::Progress;
use crate::render::console::ty;
use crate::render::value::render;
use crate::session::Session;
use crate::settled;

#[derive(Args, Debug)]
pub(crate) struct ConsoleArgs {
    #[command(flatten)]
    variables: VariableArgs,
    /// Where the state is kept, instead of terraform.tfstate
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Make a plan first, and evaluate against what it would leave
    #[arg(long)]
    plan: bool,
    /// Accepted for scripts: to look at a state needs no lock
    #[arg(long, hide = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    lock: bool,
    /// Accepted for scripts, as -lock
    #[arg(long, hide = true, value_name = "DURATION", default_value = "0s")]
    lock_timeout: String,
    /// No colours
    #[arg(long)]
    no_color: bool,
}

const HELP: &str = "\
Type an expression and press Enter to see its value. Resources are those of the
state, as in a configuration: null_resource.example.id is the id of that
resource, if the state has it. type(EXPRESSION) shows a value's type.

An expression with open brackets, or a heredoc, goes on in the next line.
To leave, type \"exit\", or press Control-C or Control-D.";

pub(crate) async fn run(args: ConsoleArgs, origin: &Path) -> Result<u8> {
    let session = Session::load(origin, &args.variables, args.no_color)?;
    let state = settled::read(&mut backend::state(
        args.state.as_deref(),
        &session.encryptions,
    )?)?
    .unwrap_or_else(State::new);
    if args.plan {
        let evaluator = session.console_evaluator();
        let planned = stead_engine::plan::plan(
            &evaluator,
            &session.registry,
            state.clone(),
            Options::default(),
            Progress::new(session.style) as Arc<dyn Observer>,
            super::interrupt::token(),
        )
        .await
        .map_err(|unplanned| session.failure(unplanned.diagnostics))?;
        session.warn(&planned.plan.warnings);
        let console = Console::new(&evaluator, &session.registry, &state).of_plan();
        return converse(&console, &session);
    }
    let evaluator = session.console_evaluator();
    let console = Console::new(&evaluator, &session.registry, &state);
    let problems = console.problems();
    session.warn(&problems);
    if problems.has_errors() {
        report(&session.failure(problems));
        session.warn(
            &Diagnostic::warning(
                "Due to the problems above, some expressions may produce unexpected results.",
                "",
            )
            .into(),
        );
    }
    converse(&console, &session)
}

fn converse(console: &Console<'_, '_>, session: &Session) -> Result<u8> {
    if std::io::stdin().is_terminal() {
        interactive(console, session)
    } else {
        piped(console, session)
    }
}

/// What a line asks for.
enum Said {
    Text(String),
    Exit,
    Wrong(Diagnostics),
}

fn answer(console: &Console<'_, '_>, line: &str) -> Said {
    match line.trim() {
        "" => Said::Text(String::new()),
        "exit" => Said::Exit,
        "help" => Said::Text(HELP.into()),
        _ => match console.evaluate(line) {
            Ok(Answer::Value(found)) => Said::Text(render(&found, 0)),
            Ok(Answer::Type(found)) => Said::Text(ty(&found)),
            Err(diagnostics) => Said::Wrong(diagnostics),
        },
    }
}

/// One expression a line; the last one's value is printed. The first mistake ends it.
fn piped(console: &Console<'_, '_>, session: &Session) -> Result<u8> {
    let mut last = String::new();
    for line in std::io::stdin().lock().lines() {
        match answer(console, line?.trim()) {
            Said::Text(text) => last = text,
            Said::Exit => return Ok(0),
            Said::Wrong(diagnostics) => return Err(session.failure(diagnostics)),
        }
    }
    print(&format!("{last}\n"));
    Ok(0)
}

fn interactive(console: &Console<'_, '_>, session: &Session) -> Result<u8> {
    let failed = |e: ReadlineError| CommandError::new("Failed to read input", format!("{e}."));
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let mut entry = String::new();
    loop {
        let line = match editor.readline(if entry.is_empty() { "> " } else { ": " }) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) if !entry.is_empty() => {
                entry.clear();
                print("(multi-line entry canceled)\n");
                continue;
            }
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(0),
            Err(error) => return Err(failed(error)),
        };
        entry.push_str(&line);
        entry.push('\n');
        // An empty line ends what seems unfinished.
        if !line.trim().is_empty() && could_continue(&entry) {
            continue;
        }
        let whole = std::mem::take(&mut entry);
        // What the history can't keep is still evaluated.
        let _ = editor.add_history_entry(whole.trim_end());
        match answer(console, &whole) {
            Said::Text(text) => print(&format!("{text}\n")),
            Said::Exit => return Ok(0),
            Said::Wrong(diagnostics) => {
                report(&session.failure(diagnostics));
            }
        }
    }
}
