//! Diagnostics in the layout that Terraform's users know, with the offending part underlined.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use stead_lang::syntax::SourceFile;
use stead_value::{Diagnostic, Diagnostics, Severity};

use super::Style;
use super::arrange::{Layout, grouped};
use super::snippet::Snippet;
use super::text::{self, wrap};

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
pub(crate) fn render(
    diagnostics: &Diagnostics,
    sources: &Sources,
    style: Style,
    layout: Layout,
) -> String {
    let mut out = String::new();
    // The same problem at the same place is told once, however often an expression there was evaluated.
    let mut told = HashSet::new();
    for group in grouped(diagnostics, layout) {
        let one = group.first;
        let place = one
            .subject
            .as_ref()
            .map(|r| (&*r.file, r.start.byte, r.end.byte));
        if told.insert((&one.summary, &one.detail, &one.address, place)) {
            out.push_str(&render_one(&group.told(), sources, style));
        }
    }
    out
}

/// Warnings as one line each, with their place (`-compact-warnings`).
pub(crate) fn compact(warnings: &Diagnostics, style: Style, layout: Layout) -> String {
    let groups = grouped(warnings, layout);
    if groups.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n\n", style.bold_yellow("Warnings:"));
    for group in groups {
        let _ = writeln!(out, "- {}", group.first.summary);
        if let Some(range) = &group.first.subject {
            let more = match group.more {
                0 => String::new(),
                n => format!(" (and {n} more)"),
            };
            let _ = writeln!(out, "  on {} line {}{more}", range.file, range.start.line);
        }
    }
    out.push_str("\nTo see the full warning notes, run stead without -compact-warnings.\n");
    out
}

fn render_one(diagnostic: &Diagnostic, sources: &Sources, style: Style) -> String {
    let word = match diagnostic.severity {
        Severity::Error => style.bold_red("Error: "),
        Severity::Warning => style.bold_yellow("Warning: "),
    };
    let mut text = format!("{word}{}\n\n", style.bold(&diagnostic.summary));
    if let Some(address) = &diagnostic.address {
        let _ = writeln!(text, "  with {address},");
    }
    if diagnostic.subject.is_some() {
        excerpt(&mut text, diagnostic, sources, style);
        if let Some(origin) = &diagnostic.origin {
            let _ = writeln!(text, "\n  The deprecation originates from {origin}");
        }
        text.push('\n');
    }
    // In a frame, two columns are the frame's.
    let width = text::WIDTH - if style.colour { 2 } else { 0 };
    if !diagnostic.detail.is_empty() {
        text.push_str(&wrap(diagnostic.detail.trim_end(), width));
        text.push('\n');
    }
    if style.colour {
        framed(&text, diagnostic.severity, style)
    } else {
        format!("\n{text}")
    }
}

fn framed(text: &str, severity: Severity, style: Style) -> String {
    let paint = |line: &str| match severity {
        Severity::Error => style.red(line),
        Severity::Warning => style.yellow(line),
    };
    let mut out = format!("{}\n", paint("╷"));
    for line in text.lines() {
        let space = if line.is_empty() { "" } else { " " };
        let _ = writeln!(out, "{}{space}{line}", paint("│"));
    }
    let _ = writeln!(out, "{}", paint("╵"));
    out
}

fn excerpt(text: &mut String, diagnostic: &Diagnostic, sources: &Sources, style: Style) {
    let Some(range) = &diagnostic.subject else {
        return;
    };
    let (file, line) = (&range.file, range.start.line);
    let Some(snippet) = Snippet::of(diagnostic, sources) else {
        let _ = writeln!(
            text,
            "  on {file} line {line}:\n  (source code not available)"
        );
        return;
    };
    let context = snippet.context.as_ref();
    let context = context.map(|c| format!(", in {c}")).unwrap_or_default();
    let _ = writeln!(text, "  on {file} line {line}{context}:");
    for (i, source) in snippet.code.split('\n').enumerate() {
        let number = snippet.start_line + u32::try_from(i).unwrap_or(0);
        let _ = writeln!(text, "{number:>4}: {source}");
        if number == line {
            underline(text, source, range, style);
        }
    }
    let called = diagnostic.call.as_deref();
    let signature = called.and_then(|call| call.signature.as_ref());
    if diagnostic.values.is_empty() && signature.is_none() {
        return;
    }
    let _ = writeln!(text, "    {}", style.dim("├────────────────"));
    if let (Some(call), Some(signature)) = (called, signature) {
        let mut parameters: Vec<String> = signature
            .parameters
            .iter()
            .map(|p| p.name.clone())
            .collect();
        parameters.extend(signature.variadic.iter().map(|p| format!("{}...", p.name)));
        let _ = writeln!(
            text,
            "    {} while calling {}({})",
            style.dim("│"),
            style.bold(&call.name),
            parameters.join(", ")
        );
    }
    let mut values: Vec<_> = diagnostic.values.iter().collect();
    values.sort();
    for (expression, value) in values {
        let _ = writeln!(
            text,
            "    {} {} {value}",
            style.dim("│"),
            style.bold(expression)
        );
    }
}

/// Marks under what a line's offending part is.
fn underline(text: &mut String, source: &str, range: &stead_value::SourceRange, style: Style) {
    let length = source.chars().count();
    let start = (range.start.column.saturating_sub(1) as usize).min(length);
    let end = if range.end.line == range.start.line {
        range.end.column.saturating_sub(1) as usize
    } else {
        length
    };
    let width = end.saturating_sub(start).clamp(1, (length - start).max(1));
    // Tabs stay tabs, so that the marks stand under what they mean.
    let margin: String = source
        .chars()
        .take(start)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    let _ = writeln!(text, "      {margin}{}", style.red("^".repeat(width)));
}
