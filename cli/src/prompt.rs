//! Questions to whoever runs a command. They stand on standard output; the answer is a line of standard input.

use std::io::{BufRead as _, IsTerminal as _, stdin};

use nix::sys::termios::{self, LocalFlags, SetArg, Termios};
use tokio_util::sync::CancellationToken;

use crate::commands::print;
use crate::render::Style;

/// See the module.
pub(crate) struct Question<'a> {
    pub(crate) query: &'a str,
    pub(crate) description: &'a str,
    /// What is typed is not shown.
    pub(crate) secret: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("EOF")]
    End,
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Asks, and waits for the answer without blanks at its end. After an interrupt nothing is asked any more.
pub(crate) async fn ask(
    question: &Question<'_>,
    style: Style,
    cancel: &CancellationToken,
) -> Result<String, Unanswered> {
    if cancel.is_cancelled() {
        return Err(Unanswered::Interrupted);
    }
    print(&text(question, style));
    let hidden = match question.secret && stdin().is_terminal() {
        true => Some(Hidden::begin()?),
        false => None,
    };
    // The thread goes on waiting for a line when nobody wants it any more; the end of the process does not wait for it.
    let line = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        stdin().lock().read_line(&mut line).map(|_| line)
    });
    let answer = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Unanswered::Interrupted),
        line = line => match line.map_err(std::io::Error::other)? {
            Ok(line) if line.is_empty() => Err(Unanswered::End),
            Ok(line) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(error.into()),
        },
    };
    match (&answer, &hidden) {
        // The end of the line was not shown either.
        (Ok(_), Some(_)) => print("\n\n"),
        (Ok(_), None) | (Err(Unanswered::Interrupted), _) => print("\n"),
        (Err(_), _) => {}
    }
    answer
}

fn text(question: &Question<'_>, style: Style) -> String {
    let mut text = format!("{}\n", style.bold(question.query));
    for line in question.description.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    if !question.description.is_empty() {
        text.push('\n');
    }
    text + &format!("  {} ", style.bold("Enter a value:"))
}

/// While it lives, the terminal does not show what is typed.
struct Hidden(Termios);

impl Hidden {
    /// Without it nothing secret may be asked for.
    fn begin() -> std::io::Result<Hidden> {
        let before = termios::tcgetattr(stdin())?;
        let mut without = before.clone();
        without.local_flags.remove(LocalFlags::ECHO);
        termios::tcsetattr(stdin(), SetArg::TCSANOW, &without)?;
        Ok(Hidden(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone away needs nothing any more.
        let _ = termios::tcsetattr(stdin(), SetArg::TCSANOW, &self.0);
    }
}
