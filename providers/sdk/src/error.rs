//! A failed operation: what was asked, what the server said, and what to do.

use std::fmt;

use stead_value::{Diagnostic, Diagnostics, Path};

/// What kind of failure it is, as far as callers decide by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The object does not exist.
    NotFound,
    /// Credentials missing, wrong or without the privilege.
    Denied,
    /// The object exists already, or is being changed by someone else.
    Conflict,
    /// Likely to pass when tried again: connection lost, server busy.
    Transient,
    /// The deadline passed while waiting.
    TimedOut,
    /// The user interrupted.
    Cancelled,
    /// stead does not do this yet.
    Unsupported,
    Other,
}

/// Why an operation failed. None of its texts may hold a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    kind: ErrorKind,
    asked: String,
    said: String,
    remedy: Option<String>,
    attribute: Option<Path>,
    status: Option<u16>,
    untrusted: bool,
    /// A headline of its own, in place of "Could not …".
    summary: Option<String>,
}

impl Error {
    /// `asked` completes "Could not …" and names method and path: `read VM 100 (GET /nodes/pve1/qemu/100/config)`.
    /// `said` is the server's answer, or the cause on this side.
    pub fn new(asked: impl Into<String>, said: impl Into<String>) -> Error {
        Error {
            kind: ErrorKind::Other,
            asked: asked.into(),
            said: said.into(),
            remedy: None,
            attribute: None,
            status: None,
            untrusted: false,
            summary: None,
        }
    }

    pub fn of_kind(kind: ErrorKind, asked: impl Into<String>, said: impl Into<String>) -> Error {
        Error {
            kind,
            ..Error::new(asked, said)
        }
    }

    pub fn not_found(asked: impl Into<String>, said: impl Into<String>) -> Error {
        Error::of_kind(ErrorKind::NotFound, asked, said)
    }

    pub fn transient(asked: impl Into<String>, said: impl Into<String>) -> Error {
        Error::of_kind(ErrorKind::Transient, asked, said)
    }

    pub fn unsupported(asked: impl Into<String>, said: impl Into<String>) -> Error {
        Error::of_kind(ErrorKind::Unsupported, asked, said)
    }

    /// The kind that an HTTP status stands for.
    pub fn http(status: u16, asked: impl Into<String>, said: impl Into<String>) -> Error {
        let kind = match status {
            401 | 403 => ErrorKind::Denied,
            404 | 410 => ErrorKind::NotFound,
            409 | 412 => ErrorKind::Conflict,
            408 | 425 | 429 | 500 | 502..=504 => ErrorKind::Transient,
            _ => ErrorKind::Other,
        };
        Error {
            status: Some(status),
            ..Error::of_kind(kind, asked, said)
        }
    }

    /// A provider setting that is neither configured nor in the environment.
    pub fn missing_setting(attribute: &str, variables: &[&str]) -> Error {
        let error = Error::new(
            "configure the provider",
            format!("`{attribute}` is not set"),
        )
        .attribute(attribute);
        let or = match variables {
            [] => String::new(),
            names => format!(", or the environment variable {}", names.join(" or ")),
        };
        error.remedy(format!("Set `{attribute}` in the provider block{or}."))
    }

    /// What the user can do about it: one or two sentences.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Error {
        self.remedy = Some(remedy.into());
        self
    }

    /// The attribute that is to blame.
    #[must_use]
    pub fn at(mut self, attribute: Path) -> Error {
        self.attribute = Some(attribute);
        self
    }

    /// The top-level attribute that is to blame.
    #[must_use]
    pub fn attribute(self, name: &str) -> Error {
        self.at(Path::root().attr(name))
    }

    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Error {
        self.kind = kind;
        self
    }

    /// Says that the server is there and that its certificate did not convince.
    #[must_use]
    pub(crate) fn untrusted(mut self) -> Error {
        self.untrusted = true;
        self
    }

    /// The server is there, but its certificate did not convince.
    pub fn is_untrusted(&self) -> bool {
        self.untrusted
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The HTTP status, when there was one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    pub fn asked(&self) -> &str {
        &self.asked
    }

    pub fn said(&self) -> &str {
        &self.said
    }

    /// What the user can do about it, when that is known.
    pub fn advice(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    pub fn is_not_found(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }

    pub fn is_transient(&self) -> bool {
        self.kind == ErrorKind::Transient
    }

    pub fn is_cancelled(&self) -> bool {
        self.kind == ErrorKind::Cancelled
    }
}

/// Ends a sentence that may have ended already.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?', ':']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.summary {
            Some(summary) => write!(f, "{summary}: {}", sentence(&self.said))?,
            None => write!(f, "could not {}: {}", self.asked, sentence(&self.said))?,
        }
        match &self.remedy {
            Some(remedy) => write!(f, " {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let said = sentence(&error.said);
        let detail = match error.remedy {
            Some(remedy) if said.is_empty() => remedy,
            Some(remedy) => format!("{said}\n\n{remedy}"),
            None => said,
        };
        let summary = error
            .summary
            .unwrap_or_else(|| format!("Could not {}", error.asked));
        let mut diagnostic = Diagnostic::error(summary, detail);
        diagnostic.attribute = error.attribute;
        diagnostic
    }
}

impl From<Error> for Diagnostics {
    fn from(error: Error) -> Self {
        Diagnostic::from(error).into()
    }
}

/// For decoding inside an operation.
impl From<Diagnostic> for Error {
    fn from(diagnostic: Diagnostic) -> Self {
        Error {
            summary: Some(diagnostic.summary),
            attribute: diagnostic.attribute,
            ..Error::new("go on", diagnostic.detail)
        }
    }
}
