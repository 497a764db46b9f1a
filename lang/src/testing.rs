//! Helpers of this crate's tests.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use stead_value::{Diagnostics, Kind, Marks, Value};

use crate::expr::{Reference, Resolved, Scope, Target};
use crate::syntax::{Expression, SourceFile, parse_expression};

/// A value on one line.
pub(crate) fn show(value: &Value) -> String {
    let items = |items: &[Value]| items.iter().map(show).collect::<Vec<_>>().join(", ");
    let entries = |m: &std::collections::BTreeMap<Arc<str>, Value>| {
        m.iter()
            .map(|(k, v)| format!("{k} = {}", show(v)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = match value.kind() {
        Kind::Null(t) => format!("null({t})"),
        Kind::Unknown(t, refinement) => {
            let mut s = format!("unknown({t}");
            if let Some(r) = refinement {
                if r.not_null {
                    s.push_str(" not-null");
                }
                if let Some(prefix) = &r.prefix {
                    write!(s, " {prefix:?}…").unwrap();
                }
                if let (Some((low, _)), Some((high, _))) = (&r.lower, &r.upper) {
                    write!(s, " {low}..{high}").unwrap();
                }
            }
            s + ")"
        }
        Kind::Bool(b) => b.to_string(),
        Kind::Number(n) => n.to_string(),
        Kind::String(s) => format!("{s:?}"),
        Kind::List(_, v) => format!("list({})", items(v)),
        Kind::Set(_, v) => format!("set({})", items(v)),
        Kind::Tuple(v) => format!("[{}]", items(v)),
        Kind::Map(_, m) => format!("map({})", entries(m)),
        Kind::Object(m) => format!("{{{}}}", entries(m)),
    };
    if value.marks().contains(Marks::SENSITIVE) {
        text = format!("sensitive({text})");
    }
    if value.marks().contains(Marks::EPHEMERAL) {
        text = format!("ephemeral({text})");
    }
    text
}

/// Diagnostics, one per line: `line:column-line:column Summary: detail`.
pub(crate) fn show_diagnostics(diagnostics: &Diagnostics) -> String {
    let mut out = String::new();
    for d in diagnostics.iter() {
        if let Some(r) = &d.subject {
            write!(
                out,
                "{}:{}-{}:{} ",
                r.start.line, r.start.column, r.end.line, r.end.column
            )
            .unwrap();
        }
        writeln!(out, "{}: {}", d.summary, d.detail).unwrap();
    }
    out
}

pub(crate) fn file(text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile::new("test.tf", text))
}

pub(crate) fn expression(text: &str) -> Expression {
    let (expr, diagnostics) = parse_expression(&file(text));
    assert_eq!(show_diagnostics(&diagnostics), "", "in {text}");
    expr
}

/// A scope made of answers.
#[derive(Default)]
pub(crate) struct TestScope {
    pub(crate) answers: HashMap<Target, Resolved>,
    pub(crate) files: MemoryFiles,
}

impl TestScope {
    /// Variables by name.
    pub(crate) fn with_vars(vars: &[(&str, Value)]) -> TestScope {
        TestScope {
            answers: vars
                .iter()
                .map(|(name, value)| {
                    (
                        Target::Variable((*name).into()),
                        Resolved::Value(value.clone()),
                    )
                })
                .collect(),
            files: MemoryFiles::default(),
        }
    }
}

impl Scope for TestScope {
    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        self.answers
            .get(&reference.target)
            .cloned()
            .unwrap_or_else(|| {
                stead_value::Diagnostic::error(
                    "Reference to undeclared object",
                    format!("{:?} is not declared.", reference.target),
                )
                .into()
            })
    }

    fn environment(&self) -> crate::expr::Environment<'_> {
        crate::expr::Environment {
            files: &self.files,
            working_directory: Some("/work"),
            home_directory: None,
            plan_timestamp: None,
            world: None,
        }
    }
}

/// Files by path, in memory.
#[derive(Default)]
pub(crate) struct MemoryFiles(pub(crate) std::collections::BTreeMap<std::path::PathBuf, String>);

impl MemoryFiles {
    /// From text in which a line `-- path` begins each file.
    pub(crate) fn parse(text: &str) -> MemoryFiles {
        let mut files = MemoryFiles::default();
        let mut current = std::path::PathBuf::from("main.tf");
        for line in text.lines() {
            match line.strip_prefix("-- ") {
                Some(path) => current = path.into(),
                None => {
                    let content = files.0.entry(current.clone()).or_default();
                    content.push_str(line);
                    content.push('\n');
                }
            }
        }
        files
    }
}

fn plain(path: &std::path::Path) -> std::path::PathBuf {
    path.components()
        .filter(|c| !matches!(c, std::path::Component::CurDir))
        .collect()
}

impl crate::Files for MemoryFiles {
    fn read(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
        let found = self.0.get(&plain(path)).map(|t| t.clone().into_bytes());
        found.ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn list(&self, directory: &std::path::Path) -> std::io::Result<Vec<String>> {
        let directory = plain(directory);
        let names: Vec<String> = self
            .0
            .keys()
            .filter(|p| p.parent() == Some(&directory))
            .filter_map(|p| Some(p.file_name()?.to_str()?.to_owned()))
            .collect();
        if names.is_empty() {
            Err(std::io::ErrorKind::NotFound.into())
        } else {
            Ok(names)
        }
    }

    fn exists(&self, path: &std::path::Path) -> bool {
        self.0.contains_key(&plain(path))
    }

    fn walk(&self, directory: &std::path::Path) -> std::io::Result<Vec<String>> {
        let directory = plain(directory);
        Ok(self
            .0
            .keys()
            .filter_map(|p| Some(p.strip_prefix(&directory).ok()?.to_str()?.to_owned()))
            .collect())
    }
}
