//! Diagnostics in the layout that Terraform's users know, with the offending part underlined.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use stead_lang::syntax::SourceFile;
use stead_value::{Diagnostic, Diagnostics, Severity, SourceRange};

use super::Style;

/// The files that ranges may point into.
#[derive(Clone, Default)]
pub(crate) struct Sources(HashMap<Arc<str>, Arc<SourceFile>>);

impl Sources {
    pub(crate) fn add(&mut self, file: &Arc<SourceFile>) {
        self.0.insert(Arc::clone(file.name()), Arc::clone(file));
    }

    pub(crate) fn extend(&mut self, other: &Sources) {
        let files = other.0.iter();
        self.0
            .extend(files.map(|(n, f)| (Arc::clone(n), Arc::clone(f))));
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<SourceFile>> {
        self.0.get(name)
    }
}

/// All diagnostics, errors last, so that they stand where the eye is.
pub(crate) fn render(diagnostics: &Diagnostics, sources: &Sources, style: Style) -> String {
    let mut out = String::new();
    for severity in [Severity::Warning, Severity::Error] {
        // The same problem of several instances of one object is told once.
        let mut told = std::collections::HashSet::new();
        for diagnostic in diagnostics.iter().filter(|d| d.severity == severity) {
            let place = diagnostic
                .subject
                .as_ref()
                .map(|r| (&*r.file, r.start.byte, r.end.byte));
            if place.is_none() || told.insert((&diagnostic.summary, &diagnostic.detail, place)) {
                out.push_str(&render_one(diagnostic, sources, style));
            }
        }
    }
    out
}

fn render_one(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    let mut text = String::new();
    let (word, bar): (String, String) = match diagnostic.severity {
        Severity::Error => (style.bold_red("Error: "), style.red("│")),
        Severity::Warning => (style.bold_yellow("Warning: "), style.yellow("│")),
    };
    let _ = writeln!(text, "{word}{}", style.bold(&diagnostic.summary));
    text.push('\n');
    if let Some(address) = &diagnostic.address {
        let _ = writeln!(text, "  with {address},");
    }
    if let Some(range) = &diagnostic.subject {
        excerpt(&mut text, range, sources, style);
    }
    for (expression, value) in &diagnostic.values {
        let _ = writeln!(text, "    {} {expression} {value}", style.dim("├"));
    }
    if diagnostic.address.is_some() || diagnostic.subject.is_some() {
        text.push('\n');
    }
    if !diagnostic.detail.is_empty() {
        text.push_str(diagnostic.detail.trim_end());
        text.push('\n');
    }
    if !style.colour {
        return format!("\n{text}");
    }
    let (top, bottom) = match diagnostic.severity {
        Severity::Error => (style.red("╷"), style.red("╵")),
        Severity::Warning => (style.yellow("╷"), style.yellow("╵")),
    };
    let mut boxed = format!("{top}\n");
    for line in text.lines() {
        let _ = writeln!(boxed, "{bar} {line}");
    }
    boxed.push_str(&bottom);
    boxed.push('\n');
    boxed
}

fn excerpt(text: &mut String, range: &SourceRange, sources: &Sources, style: Style) {
    let line = range.start.line;
    let Some(file) = sources.get(&range.file) else {
        let _ = writeln!(
            text,
            "  on {} line {line}:\n  (source code not available)",
            range.file
        );
        return;
    };
    let _ = writeln!(text, "  on {} line {line}:", range.file);
    let source = file.line(line).trim_end();
    let _ = writeln!(text, "{line:>4}: {source}");
    let start = range.start.column.saturating_sub(1) as usize;
    let end = if range.end.line == line {
        range.end.column.saturating_sub(1) as usize
    } else {
        source.chars().count()
    };
    let width = end
        .saturating_sub(start)
        .clamp(1, source.chars().count().saturating_sub(start).max(1));
    // Tabs stay tabs, so that the marks stand under what they mean.
    let indent: String = source
        .chars()
        .take(start)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let _ = writeln!(text, "      {indent}{}", style.red("^".repeat(width)));
}
