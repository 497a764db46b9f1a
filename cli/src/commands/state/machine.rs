//! JSON beside or instead of the text, for the commands that look into the state: OpenTofu's flags.

use std::path::PathBuf;
use std::sync::Arc;

use stead_value::Diagnostic;

use crate::commands::print;
use crate::error::Result;
use crate::report::file_for_json;
use crate::stream::Stream;

#[derive(clap::Args, Debug)]
pub(super) struct MachineArgs {
    /// Tell everything as JSON, one object a line, instead of text
    #[arg(long)]
    json: bool,
    /// Write the same JSON to a file, beside the text
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    json_into: Option<PathBuf>,
}

/// Where a command tells what it has found.
pub(super) struct Output {
    pub(super) stream: Option<Arc<Stream>>,
    text: bool,
}

impl Output {
    pub(super) fn text(&self, text: &str) {
        if self.text {
            print(text);
        }
    }
}

impl MachineArgs {
    /// Does the work; what fails is told to machines, too.
    pub(super) fn tell(&self, work: impl FnOnce(&Output) -> Result<()>) -> Result<u8> {
        let stream = match &self.json_into {
            Some(path) => Some(Stream::new(Box::new(file_for_json(path)?))),
            None => self.json.then(|| Stream::new(Box::new(std::io::stdout()))),
        };
        let output = Output {
            stream,
            text: !self.json,
        };
        let Err(error) = work(&output) else {
            return Ok(0);
        };
        if let Some(stream) = &output.stream {
            stream.diagnostics(&error.diagnostics, &error.sources);
            if let Some(text) = &error.text {
                stream.diagnostics(&in_words(text).into(), &error.sources);
            }
        }
        match self.json {
            true => Ok(1),
            false => Err(error),
        }
    }
}

/// A failure in plain words as a diagnostic.
fn in_words(text: &str) -> Diagnostic {
    let (summary, detail) = text.split_once("\n\n").unwrap_or((text, ""));
    let detail = detail.split_whitespace().collect::<Vec<_>>().join(" ");
    Diagnostic::error(summary.trim_end_matches('!'), detail)
}
