//! Source text and positions in it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use stead_value::diag::SourcePos;
use stead_value::{Diagnostic, SourceRange};
use unicode_segmentation::UnicodeSegmentation;

/// A stretch of one file, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    /// From the start of this one to the end of the other.
    #[must_use]
    pub fn to(self, other: Span) -> Span {
        Span {
            start: self.start,
            end: other.end.max(self.start),
        }
    }
}

/// One file's text under the name that messages use.
pub struct SourceFile {
    name: Arc<str>,
    text: Arc<str>,
    /// Where each line starts; made when the first position is asked for.
    lines: OnceLock<Vec<u32>>,
}

/// Sources can hold secrets (a `.tfvars` file): only the name is shown.
impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceFile").field(&self.name).finish()
    }
}

impl SourceFile {
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> SourceFile {
        SourceFile {
            name: name.into(),
            text: text.into(),
            lines: OnceLock::new(),
        }
    }

    /// From a file's bytes. What is not UTF-8 is reported; the rest of the text is there.
    pub fn decode(
        name: impl Into<Arc<str>>,
        bytes: Vec<u8>,
    ) -> (Arc<SourceFile>, Option<Diagnostic>) {
        match String::from_utf8(bytes) {
            Ok(text) => (Arc::new(SourceFile::new(name, text)), None),
            Err(error) => {
                // What is readable up to the bad byte tells where it is.
                let good = error.utf8_error().valid_up_to() as u32;
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let source = Arc::new(SourceFile::new(name, text));
                let range = source.range(Span::new(good, good + '\u{fffd}'.len_utf8() as u32));
                let diagnostic = Diagnostic::error(
                    "Invalid character encoding",
                    "All input files must be UTF-8 encoded. Ensure that UTF-8 encoding is selected in your editor.",
                );
                (source, Some(diagnostic.at(range)))
            }
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether the text is JSON, as its name says.
    pub fn is_json(&self) -> bool {
        self.name.ends_with(".json")
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a span; empty when the span is not of this file.
    pub fn slice(&self, span: Span) -> &str {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or("")
    }

    pub fn range(&self, span: Span) -> SourceRange {
        SourceRange {
            file: Arc::clone(&self.name),
            start: self.position(span.start),
            end: self.position(span.end),
        }
    }

    /// The line and column of a byte offset. A CRLF ends a line like a LF, and neither is a column.
    pub fn position(&self, byte: u32) -> SourcePos {
        let lines = self.lines.get_or_init(|| line_starts(&self.text));
        let line = lines.partition_point(|&start| start <= byte).max(1);
        let start = lines.get(line - 1).copied().unwrap_or(0);
        let before = self.slice(Span::new(start, byte));
        // The byte order mark is no column.
        let before = if start == 0 {
            before.strip_prefix('\u{feff}').unwrap_or(before)
        } else {
            before
        };
        // The reference counts two columns for a tab between JSON values; in strings there are none.
        let tabs = if self.is_json() {
            before.bytes().filter(|b| *b == b'\t').count() as u32
        } else {
            0
        };
        SourcePos {
            line: line as u32,
            column: columns(before) + tabs + 1,
            byte,
        }
    }

    /// The text of a line (counted from one) without its end.
    pub fn line(&self, line: u32) -> &str {
        let lines = self.lines.get_or_init(|| line_starts(&self.text));
        let Some(&start) = (line as usize).checked_sub(1).and_then(|i| lines.get(i)) else {
            return "";
        };
        let end = lines
            .get(line as usize)
            .copied()
            .unwrap_or(self.text.len() as u32);
        self.slice(Span::new(start, end))
            .trim_end_matches(['\n', '\r'])
    }
}

/// How many grapheme clusters a part of a line has. ASCII, nearly every line, has one for each byte, but for CRLF.
fn columns(text: &str) -> u32 {
    if text.is_ascii() && !text.contains('\r') {
        text.len() as u32
    } else {
        text.graphemes(true).count() as u32
    }
}

fn line_starts(text: &str) -> Vec<u32> {
    std::iter::once(0)
        .chain(
            text.bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(i, _)| i as u32 + 1),
        )
        .collect()
}
