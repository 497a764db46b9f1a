//! A plan for a comment on a pull request: a table of what happens, with the details folded in.

use std::fmt::Write as _;

use stead_engine::{Action, Plan, Registry, ResourceChange};
use stead_value::Diagnostics;

use super::Style;
use super::header::{display, reason};
use super::plan::{View, change_text, is_shown, outputs};

/// The whole plan. Text from configurations and providers stands in code only, so that it is never taken for markup.
pub(crate) fn render(
    plan: &Plan,
    registry: &Registry,
    view: View,
    warnings: &Diagnostics,
) -> String {
    let view = View {
        style: Style::default(),
        ..view
    };
    let shown: Vec<&ResourceChange> = super::in_order(&plan.changes)
        .into_iter()
        .filter(|c| is_shown(c))
        .collect();
    let mut out = String::from("## Plan\n\n");
    let outputs = outputs(plan, view);
    if shown.is_empty() && outputs.is_empty() {
        out.push_str("**No changes.** The infrastructure matches the configuration.\n");
    } else {
        let (add, change, destroy) = plan.counts();
        let imports = match plan.imports() {
            0 => String::new(),
            n => format!("{n} to import, "),
        };
        let _ = writeln!(
            out,
            "**{imports}{add} to add, {change} to change, {destroy} to destroy.**"
        );
    }
    for rollout in &plan.rollouts {
        let _ = writeln!(
            out,
            "\nRollout of `{rollout}`: {}.",
            super::rollout::sentence(rollout)
        );
    }
    if !shown.is_empty() {
        out.push_str("\n| | Object | Why |\n|---|---|---|\n");
        for change in &shown {
            let _ = writeln!(
                out,
                "| {} | {} | {} |",
                word(change),
                cell(&display(change)),
                why(change, view)
            );
        }
        for change in &shown {
            // Within HTML nothing is read as markdown.
            let word = match word(change)
                .strip_prefix("**")
                .and_then(|w| w.strip_suffix("**"))
            {
                Some(word) => format!("<b>{word}</b>"),
                None => word(change).to_owned(),
            };
            let title = format!("{word} {}", html(&display(change)));
            fold(&mut out, &title, &change_text(change, registry, view));
        }
    }
    if !outputs.is_empty() {
        fold(&mut out, "Outputs", &outputs.join("\n"));
    }
    if !warnings.is_empty() {
        out.push_str("\n### Warnings\n\n");
        for warning in warnings.iter() {
            let _ = write!(out, "- {}", code(&warning.summary));
            if let Some(range) = &warning.subject {
                let place = format!("{}:{}", range.file, range.start.line);
                let _ = write!(out, " ({})", code(&place));
            }
            if !warning.detail.is_empty() {
                let _ = write!(out, ": {}", code(&warning.detail));
            }
            out.push('\n');
        }
    }
    out
}

fn word(change: &ResourceChange) -> &'static str {
    match change.action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "**destroy**",
        Action::DeleteThenCreate | Action::CreateThenDelete => "**replace**",
        Action::ForgetThenCreate => "forget, then create",
        Action::Read => "read",
        Action::Forget => "forget",
        Action::NoOp if change.importing.is_some() => "import",
        Action::NoOp => "move",
    }
}

/// What forces a replacement, why an object goes, and, where that is asked for, the expressions behind the changes.
fn why(change: &ResourceChange, view: View) -> String {
    let mut parts: Vec<String> = change
        .replace_paths
        .iter()
        .map(|p| cell(&p.to_string()))
        .collect();
    parts.extend(reason(change).map(|r| cell(&r)));
    if let Some(old) = &change.previous_address {
        parts.push(format!("moved from {}", cell(&old.to_string())));
    }
    parts.extend(change.notes.iter().map(|note| cell(note)));
    let asked = change.because.iter().filter(|_| view.because);
    parts.extend(asked.map(|because| {
        let place = format!("{}:{}", because.range.file, because.range.start.line);
        format!(
            "{} because of {} ({})",
            cell(&because.attribute.to_string()),
            cell(&because.expression),
            cell(&place)
        )
    }));
    parts.join(", ")
}

fn fold(out: &mut String, title: &str, text: &str) {
    let fence = fence(text);
    let _ = write!(
        out,
        "\n<details><summary>{title}</summary>\n\n{fence}diff\n{}\n{fence}\n\n</details>\n",
        signs_first(text)
    );
}

/// A line's sign as its first character, where a reader colours it.
fn signs_first(text: &str) -> String {
    let lines = text.trim_matches('\n').lines().map(|line| {
        let inner = line.trim_start();
        let margin = line.len() - inner.len();
        match inner.chars().next() {
            Some(sign @ ('+' | '-')) if inner.get(1..2) == Some(" ") && margin > 0 => {
                let rest = inner.get(1..).unwrap_or_default();
                format!("{sign}{}{rest}", " ".repeat(margin))
            }
            Some('~') if inner.get(1..2) == Some(" ") && margin > 0 => {
                format!(
                    "!{}{}",
                    " ".repeat(margin),
                    inner.get(1..).unwrap_or_default()
                )
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A fence longer than any in the text.
fn fence(text: &str) -> String {
    "`".repeat(longest_run(text).max(2) + 1)
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

/// Inline code: with more backquotes around it than there are in it.
fn code(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let ticks = "`".repeat(longest_run(&line) + 1);
    if line.starts_with('`') || line.ends_with('`') {
        format!("{ticks} {line} {ticks}")
    } else {
        format!("{ticks}{line}{ticks}")
    }
}

/// Code in a table's cell.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn html(text: &str) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!("<code>{text}</code>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_code() {
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(cell("t[\"a|b\"]"), "`t[\"a\\|b\"]`");
        assert_eq!(fence("x ```` y"), "`````");
        assert_eq!(html("<img src=x>"), "<code>&lt;img src=x&gt;</code>");
    }

    #[test]
    fn signs_stand_first() {
        let text = "      + a = 1\n      ~ b = 2\n        c";
        assert_eq!(signs_first(text), "+       a = 1\n!       b = 2\n        c");
    }
}
