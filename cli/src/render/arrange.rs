//! The order in which diagnostics are told, and which are told together.

use std::collections::HashMap;

use stead_value::condition::CheckObject;
use stead_value::{Declared, Diagnostic, Diagnostics, Severity, SourceRange};

/// How diagnostics are laid out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    /// Warnings as one line each (`-compact-warnings`).
    pub(crate) compact: bool,
    /// Every warning by itself (`-consolidate-warnings=false`).
    pub(crate) warnings_apart: bool,
    /// Errors that are alike together (`-consolidate-errors`).
    pub(crate) errors_together: bool,
    /// Which deprecations are told (`-deprecation`).
    pub(crate) deprecations: Deprecations,
}

/// Of which modules it is told that their authors have deprecated something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Deprecations {
    #[default]
    All,
    /// Of those that were not fetched.
    Local,
    None,
}

impl Deprecations {
    /// Reads `module:LEVEL`. A level that nobody knows stands for all, as in OpenTofu.
    pub(crate) fn parse(text: &str) -> Result<Deprecations, String> {
        match text.strip_prefix("module:") {
            Some("local") => Ok(Deprecations::Local),
            Some("none") => Ok(Deprecations::None),
            Some(_) => Ok(Deprecations::All),
            None => Err("expected module:all, module:local or module:none".into()),
        }
    }

    fn tells(self, diagnostic: &Diagnostic) -> bool {
        match (self, diagnostic.deprecated_in) {
            (Deprecations::All, _) | (_, None) => true,
            (Deprecations::Local, Some(declared)) => declared == Declared::Local,
            (Deprecations::None, Some(_)) => false,
        }
    }
}

/// A diagnostic, and how many more it stands for.
pub(crate) struct Group<'a> {
    pub(crate) first: &'a Diagnostic,
    pub(crate) more: usize,
}

/// Warnings first, then by place, otherwise as they were found.
pub(crate) fn sorted(diagnostics: &Diagnostics) -> Vec<&Diagnostic> {
    let mut sorted: Vec<_> = diagnostics.iter().collect();
    let place = |range: &SourceRange| {
        let depth = range.file.matches('/').count();
        (
            depth,
            range.file.to_string(),
            range.start.byte,
            range.end.byte,
        )
    };
    sorted.sort_by_cached_key(|d| {
        let rank = u8::from(d.severity == Severity::Error);
        (rank, d.subject.as_ref().map(place))
    });
    sorted
}

/// Sorted, and those that differ in their places alone taken together: a feature that is warned of may be used everywhere.
pub(crate) fn grouped(diagnostics: &Diagnostics, layout: Layout) -> Vec<Group<'_>> {
    let groups = |d: &Diagnostic| {
        d.subject.is_some()
            && match d.severity {
                Severity::Warning => !layout.warnings_apart && !is_of_check(d),
                Severity::Error => layout.errors_together,
            }
    };
    let mut found: Vec<Group<'_>> = Vec::new();
    let mut seen: HashMap<(bool, &str), usize> = HashMap::new();
    let told = sorted(diagnostics).into_iter();
    for diagnostic in told.filter(|d| layout.deprecations.tells(d)) {
        if groups(diagnostic) {
            let kind = (diagnostic.is_error(), diagnostic.summary.as_str());
            let at = *seen.entry(kind).or_insert(found.len());
            if let Some(group) = found.get_mut(at) {
                group.more += 1;
                continue;
            }
        }
        found.push(Group {
            first: diagnostic,
            more: 0,
        });
    }
    found
}

impl Group<'_> {
    /// The diagnostic to show.
    pub(crate) fn told(&self) -> Diagnostic {
        let mut told = self.first.clone();
        let kind = match told.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let more = match self.more {
            0 => return told,
            1 => format!("(and one more similar {kind} elsewhere)"),
            n => format!("(and {n} more similar {kind}s elsewhere)"),
        };
        if !told.detail.is_empty() {
            told.detail.push_str("\n\n");
        }
        told.detail.push_str(&more);
        told
    }
}

/// Whether a diagnostic is about a `check` block: each has something of its own to say.
pub(crate) fn is_of_check(diagnostic: &Diagnostic) -> bool {
    let condition = diagnostic.condition.as_ref();
    condition.is_some_and(|c| matches!(c.object, CheckObject::Check(..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32, diagnostic: Diagnostic) -> Diagnostic {
        let pos = |column| stead_value::SourcePos {
            line,
            column,
            byte: line * 10 + column,
        };
        diagnostic.at(SourceRange {
            file: "main.tf".into(),
            start: pos(1),
            end: pos(2),
        })
    }

    fn shown(layout: Layout) -> Vec<String> {
        let all: Diagnostics = [
            at(9, Diagnostic::error("wrong", "")),
            at(7, Diagnostic::warning("old", "once")),
            at(3, Diagnostic::warning("old", "again")),
            Diagnostic::warning("old", "nowhere"),
            at(1, Diagnostic::error("wrong", "first")),
        ]
        .into_iter()
        .collect();
        let groups = grouped(&all, layout);
        groups.iter().map(|g| g.told().detail).collect()
    }

    #[test]
    fn warnings_of_one_kind_are_told_once_unless_asked_otherwise() {
        assert_eq!(
            shown(Layout::default()),
            [
                "nowhere",
                "again\n\n(and one more similar warning elsewhere)",
                "first",
                ""
            ]
        );
        let apart = Layout {
            warnings_apart: true,
            errors_together: true,
            ..Layout::default()
        };
        assert_eq!(
            shown(apart),
            [
                "nowhere",
                "again",
                "once",
                "first\n\n(and one more similar error elsewhere)"
            ]
        );
    }
}
