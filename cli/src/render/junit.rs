//! Test results in JUnit's XML, as tools of continuous integration read them.

use std::fmt::Write as _;

use stead_engine::test::{FileReport, RunReport, Status, SuiteReport};
use stead_value::{Diagnostic, Diagnostics};

use super::Style;
use super::arrange::Layout;
use super::diagnostics::{Sources, render};

/// The report. `stopped`: an interrupt is why the last runs were skipped.
pub(crate) fn report(suite: &SuiteReport, stopped: bool, sources: &Sources) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><testsuites>\n");
    for file in &suite.files {
        let count = |status: Status| file.runs.iter().filter(|r| r.status == status).count();
        let _ = write!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" skipped=\"{}\" failures=\"{}\" errors=\"{}\">",
            escape(&file.name),
            file.runs.len(),
            count(Status::Skip),
            count(Status::Fail),
            count(Status::Error),
        );
        if !file.runs.is_empty() {
            out.push('\n');
        }
        for (index, run) in file.runs.iter().enumerate() {
            case(&mut out, file, index, run, stopped, sources);
        }
        if !file.runs.is_empty() {
            out.push_str("  ");
        }
        out.push_str("</testsuite>\n");
    }
    out.push_str("</testsuites>");
    out
}

const FAILED: &str = "Test assertion failed";

fn case(
    out: &mut String,
    file: &FileReport,
    index: usize,
    run: &RunReport,
    stopped: bool,
    sources: &Sources,
) {
    let _ = write!(
        out,
        "    <testcase name=\"{}\" classname=\"{}\"",
        escape(&run.name),
        escape(&file.name)
    );
    if let Some((started, elapsed)) = &run.executed {
        let _ = write!(
            out,
            " time=\"{}\" timestamp=\"{started}\"",
            elapsed.as_secs_f64()
        );
    }
    out.push('>');
    let before = out.len();
    let text = |wanted: &dyn Fn(&Diagnostic) -> bool| {
        let found = run.diagnostics.iter().filter(|d| wanted(d)).cloned();
        plain(found, sources)
    };
    match run.status {
        Status::Skip => skipped(out, file, index, stopped),
        Status::Fail => {
            let failed = |d: &Diagnostic| d.is_error() && d.summary == FAILED;
            let mut all = run.diagnostics.iter().filter(|d| failed(d));
            let message = match (all.next(), all.count()) {
                (None, _) => String::new(),
                (Some(first), 0) => {
                    format!("1 of {} assertions failed: {}", run.asserts, first.detail)
                }
                (Some(first), more) => format!(
                    "{} of {} assertions failed, including: {}",
                    more + 1,
                    run.asserts,
                    first.detail
                ),
            };
            element(out, "failure", &message, &text(&failed));
        }
        Status::Error => element(
            out,
            "error",
            "Encountered an error",
            &text(&Diagnostic::is_error),
        ),
        Status::Pass | Status::Pending => {}
    }
    let rest = match run.status {
        Status::Error => text(&|d| !d.is_error()),
        _ => text(&|d| d.summary != FAILED),
    };
    if !rest.is_empty() {
        element(out, "system-err", "", &rest);
    }
    if out.len() > before {
        out.push_str("\n    ");
    }
    out.push_str("</testcase>\n");
}

fn skipped(out: &mut String, file: &FileReport, index: usize, stopped: bool) {
    if stopped {
        return element(
            out,
            "skipped",
            "Testcase skipped due to an interrupt",
            "stead received an interrupt and stopped gracefully. This caused all remaining testcases to be skipped",
        );
    }
    let earlier = file.runs.iter().take(index);
    match earlier.rev().find(|run| run.status == Status::Error) {
        Some(run) => element(
            out,
            "skipped",
            "Testcase skipped due to a previous testcase error",
            &format!(
                "Previous testcase \"{}\" ended in error, which caused the remaining tests in the file to be skipped",
                run.name
            ),
        ),
        None => element(out, "skipped", "", ""),
    }
}

fn element(out: &mut String, name: &str, message: &str, body: &str) {
    let _ = write!(out, "\n      <{name}");
    if !message.is_empty() {
        let _ = write!(out, " message=\"{}\"", escape(message));
    }
    out.push('>');
    if !body.is_empty() {
        // The end of a section can't stand within one.
        let body = body.replace("]]>", "]]]]><![CDATA[>");
        let _ = write!(out, "<![CDATA[{body}]]>");
    }
    let _ = write!(out, "</{name}>");
}

fn plain(diagnostics: impl Iterator<Item = Diagnostic>, sources: &Sources) -> String {
    diagnostics
        .map(|d| {
            let (style, layout) = (Style::default(), Layout::default());
            render(&Diagnostics::from(d), sources, style, layout)
        })
        .collect()
}

/// Text for an attribute; what XML can't hold is replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
