//! The lines of a source file that a diagnostic shows.

use stead_value::{Diagnostic, SourceRange};

use super::diagnostics::Sources;

pub(crate) struct Snippet {
    /// The block around the place, such as `resource "x" "y"`.
    pub(crate) context: Option<String>,
    /// Whole lines.
    pub(crate) code: String,
    pub(crate) start_line: u32,
    /// Where the offending part begins and ends in the code, in bytes.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// What is empty is shown as the place where something is missing.
pub(crate) fn visible(range: &SourceRange) -> SourceRange {
    let mut range = range.clone();
    if range.start.byte == range.end.byte {
        range.end.byte += 1;
        range.end.column += 1;
    }
    range
}

impl Snippet {
    pub(crate) fn of(diagnostic: &Diagnostic, sources: &Sources) -> Option<Snippet> {
        let range = visible(diagnostic.subject.as_ref()?);
        let file = sources.get(&range.file)?;
        let (mut first, mut last) = (range.start.line, range.end.line);
        if let Some(context) = diagnostic.context.as_ref().filter(|c| c.file == range.file) {
            first = first.min(context.start.line);
            last = last.max(context.end.line);
        }
        let lines: Vec<&str> = (first..=last).map(|line| file.line(line)).collect();
        let code = lines.join("\n");
        let offset = |line: u32, byte: u32| {
            let before = lines.iter().take((line - first) as usize);
            let before: usize = before.map(|l| l.len() + 1).sum();
            let text = file.text().get(..byte as usize);
            let start = text.and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
            before + (byte as usize).saturating_sub(start)
        };
        let start = offset(range.start.line, range.start.byte).min(code.len());
        let end = if range.end.line == range.start.line {
            start + (range.end.byte - range.start.byte) as usize
        } else {
            offset(range.end.line, range.end.byte)
        };
        Some(Snippet {
            // The place before counts, so that a block's first byte is not in it when the block opens the file.
            context: range
                .start
                .byte
                .checked_sub(1)
                .and_then(|byte| stead_lang::syntax::enclosing_block(file, byte)),
            start_line: first,
            start,
            end: end.min(code.len().max(start)),
            code,
        })
    }
}
