//! How a command fails, and what people see of it.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use stead_value::{Diagnostic, Diagnostics};

use crate::render::Style;
use crate::render::arrange::Layout;
use crate::render::diagnostics::{Sources, render};
use crate::session::Session;

/// A command's failure: diagnostics with the files they point into.
#[derive(Default)]
pub(crate) struct CommandError {
    pub(crate) diagnostics: Diagnostics,
    pub(crate) sources: Sources,
    pub(crate) no_color: bool,
    pub(crate) layout: Layout,
    /// Said as it is, instead of diagnostics: what Terraform says so too.
    pub(crate) text: Option<String>,
}

/// What the lock is for.
pub(crate) const LOCKS: &str = "stead acquires a state lock to protect the state from being written\nby multiple users at the same time. Please resolve the issue above and try\nagain. For most commands, you can disable locking with the \"-lock=false\"\nflag, but this is not recommended.";

pub(crate) type Result<T, E = CommandError> = std::result::Result<T, E>;

impl CommandError {
    pub(crate) fn new(summary: impl Into<String>, detail: impl Into<String>) -> CommandError {
        Diagnostic::error(summary, detail).into()
    }

    /// The same with excerpts of a stack's files.
    #[must_use]
    pub(crate) fn with_sources(self, session: &Session) -> CommandError {
        match self.text {
            Some(_) => self,
            None => session.failure(self.diagnostics),
        }
    }

    /// A failure that is told in plain words, without the layout of a diagnostic.
    pub(crate) fn text(text: impl Into<String>) -> CommandError {
        CommandError {
            text: Some(text.into()),
            ..CommandError::default()
        }
    }
}

impl From<Diagnostic> for CommandError {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics::from(diagnostic).into()
    }
}

impl From<Diagnostics> for CommandError {
    fn from(diagnostics: Diagnostics) -> Self {
        CommandError {
            diagnostics,
            ..CommandError::default()
        }
    }
}

impl From<std::io::Error> for CommandError {
    fn from(error: std::io::Error) -> Self {
        CommandError::new("Input or output failed", format!("{error}."))
    }
}

impl From<stead_state::Error> for CommandError {
    fn from(error: stead_state::Error) -> Self {
        if let stead_state::Error::Encryption { path, source } = &error {
            return crate::encryption::explain(&path.display().to_string(), source).into();
        }
        let summary = match &error {
            stead_state::Error::Locked { .. } => "Error acquiring the state lock",
            stead_state::Error::Unusable { problems } => {
                let told = problems.iter();
                let told = told.map(|p| Diagnostic::error(p.summary, p.detail.clone()));
                return told.collect::<Diagnostics>().into();
            }
            stead_state::Error::Malformed { .. } => "Error loading state",
            _ => "Error saving state",
        };
        let mut detail = format!("{error}.");
        if let stead_state::Error::Locked {
            holder,
            location,
            reason,
            lives,
        } = &error
        {
            detail = format!("Error message: {reason}");
            if let Some(info) = holder {
                detail.push_str(&format!(
                    "\nLock Info:\n  ID:        {}\n  Path:      {}\n  Operation: {}\n  Who:       {}\n  Version:   {}\n  Created:   {}\n  Info:      {}\n",
                    info.id, lock_path(info, location), info.operation, info.who, info.version, info.created, info.info
                ));
            }
            let holder = holder.as_deref();
            detail.push_str(&format!(
                "\n\n{}\n\n{LOCKS}",
                whether_alive(holder, location, *lives)
            ));
        }
        CommandError::new(summary, detail)
    }
}

/// How to see whether the one who holds a lock is still at work.
fn whether_alive(holder: Option<&stead_state::LockInfo>, location: &str, lives: bool) -> String {
    match holder {
        _ if lives => format!(
            "This lock ends with the process that holds it: that one is at work, here (`fuser -v {location}` names it) or where else this file is mounted."
        ),
        Some(info) => format!(
            "This lock may have outlived the command that took it. Look whether that one is still at work (`pgrep -af stead` on the machine of {}). If it is not, remove the lock: `stead force-unlock {}`.",
            info.who, info.id
        ),
        None => {
            "Nothing says who took this lock: that one may just be doing so. Try again in a minute."
                .into()
        }
    }
}

/// What the holder wrote of the place; where that is nothing, the place as we know it.
fn lock_path<'a>(info: &'a stead_state::LockInfo, location: &'a str) -> &'a str {
    match info.path.as_str() {
        "" => location,
        path => path,
    }
}

/// Prints a failure: errors on standard error, the warnings that came with them where results stand.
pub(crate) fn report(error: &CommandError) -> ExitCode {
    let colour = |terminal: bool| Style {
        colour: !error.no_color && colour_wanted(terminal),
    };
    if let Some(text) = &error.text {
        let style = colour(std::io::stderr().is_terminal());
        crate::commands::print_error(&format!("{}\n", style.red(text)));
    }
    let (errors, warnings): (Vec<_>, Vec<_>) = error
        .diagnostics
        .iter()
        .cloned()
        .partition(Diagnostic::is_error);
    let (errors, warnings) = (Diagnostics(errors), Diagnostics(warnings));
    let style = colour(std::io::stdout().is_terminal());
    crate::commands::print(&render(&warnings, &error.sources, style, error.layout));
    let style = colour(std::io::stderr().is_terminal());
    crate::commands::print_error(&render(&errors, &error.sources, style, error.layout));
    ExitCode::FAILURE
}

/// Shows one warning of a command that reads no configuration, where its result stands.
pub(crate) fn warn(warning: &Diagnostic, no_color: bool) {
    let style = Style {
        colour: !no_color && colour_wanted(std::io::stdout().is_terminal()),
    };
    crate::commands::print(&render(
        &warning.clone().into(),
        &Sources::default(),
        style,
        Layout::default(),
    ));
}

/// Colours on a terminal, unless `NO_COLOR` or `TERM=dumb` say otherwise.
pub(crate) fn colour_wanted(terminal: bool) -> bool {
    terminal
        && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
        && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}
