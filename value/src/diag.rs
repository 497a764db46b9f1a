//! Diagnostics: what went wrong, where, and what to do, as one plain value that the command line renders.

use std::sync::Arc;

use crate::condition::Condition;
use crate::{FunctionSignature, Path};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// A stretch of a source file. Offsets are bytes; lines and columns count from one, columns in grapheme clusters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRange {
    pub file: Arc<str>,
    pub start: SourcePos,
    pub end: SourcePos,
}

/// `main.tf:3,5-12`, or with both lines when it spans several.
impl std::fmt::Display for SourceRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (start, end) = (&self.start, &self.end);
        write!(f, "{}:{},{}-", self.file, start.line, start.column)?;
        if start.line != end.line {
            write!(f, "{},", end.line)?;
        }
        write!(f, "{}", end.column)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourcePos {
    pub line: u32,
    pub column: u32,
    pub byte: u32,
}

/// One problem. The text must never hold a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub severity: Severity,
    /// A short headline, without a full stop.
    pub summary: String,
    /// Sentences: the cause, the values involved (redacted), the remedy.
    pub detail: String,
    /// The address of the object concerned, such as `module.a.null_resource.b[0]`.
    pub address: Option<String>,
    /// The offending part of the source.
    pub subject: Option<SourceRange>,
    /// The block around it.
    pub context: Option<SourceRange>,
    /// The attribute of the object, for errors that come from a provider; the engine turns it into `subject`.
    pub attribute: Option<Path>,
    /// `(expression as written, what it was)` of the values involved, redacted.
    pub values: Vec<(String, String)>,
    /// The condition that does not hold, when that is the problem: tests may expect it.
    pub condition: Option<Box<Condition>>,
    /// The function call that is wrong or failed.
    pub call: Option<Box<CalledFunction>>,
    /// What is deprecated, when that is what the warning is about.
    pub origin: Option<String>,
    /// Where it is declared, when a module's author has deprecated it.
    pub deprecated_in: Option<Declared>,
}

/// Where a module is, as far as its users can change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// In the package of the root module.
    Local,
    /// In a package that was fetched.
    Remote,
}

/// What is shown of a function whose call went wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct CalledFunction {
    /// The name as written, with its namespace.
    pub name: String,
    /// Unless there is no such function.
    pub signature: Option<FunctionSignature>,
}

impl Diagnostic {
    pub fn error(summary: impl Into<String>, detail: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            summary: summary.into(),
            detail: detail.into(),
            address: None,
            subject: None,
            context: None,
            attribute: None,
            values: Vec::new(),
            condition: None,
            call: None,
            origin: None,
            deprecated_in: None,
        }
    }

    pub fn warning(summary: impl Into<String>, detail: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(summary, detail)
        }
    }

    #[must_use]
    pub fn at(mut self, subject: SourceRange) -> Self {
        self.subject = Some(subject);
        self
    }

    /// At a place, when there is one.
    #[must_use]
    pub fn at_place(mut self, subject: Option<SourceRange>) -> Self {
        if subject.is_some() {
            self.subject = subject;
        }
        self
    }

    #[must_use]
    pub fn attribute(mut self, path: Path) -> Self {
        self.attribute = Some(path);
        self
    }

    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    #[must_use]
    pub fn of_condition(mut self, condition: Condition) -> Self {
        self.condition = Some(Box::new(condition));
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Problems in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Diagnostic> {
        self.0.iter_mut()
    }

    pub fn new() -> Diagnostics {
        Diagnostics::default()
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    pub fn extend(&mut self, other: impl IntoIterator<Item = Diagnostic>) {
        self.0.extend(other);
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(Diagnostic::is_error)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// `Ok` with the warnings when there is no error.
    pub fn into_result(self) -> Result<Diagnostics, Diagnostics> {
        if self.has_errors() {
            Err(self)
        } else {
            Ok(self)
        }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Diagnostics(vec![diagnostic])
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(iter: I) -> Self {
        Diagnostics(iter.into_iter().collect())
    }
}
