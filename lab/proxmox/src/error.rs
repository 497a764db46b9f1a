//! How the API says no: status, text for the status line, and per-parameter errors.

use std::collections::BTreeMap;

use crate::schema::check::Errors;

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    /// Its first line is the reason phrase.
    pub(crate) message: String,
    pub(crate) errors: Errors,
}

pub(crate) type Answer = Result<serde_json::Value, ApiError>;

impl ApiError {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> ApiError {
        ApiError {
            status,
            message: message.into(),
            errors: BTreeMap::new(),
        }
    }

    /// What a Perl `die` becomes.
    pub(crate) fn failure(message: impl Into<String>) -> ApiError {
        ApiError::new(500, message)
    }

    pub(crate) fn parameters(errors: Errors) -> ApiError {
        ApiError {
            status: 400,
            message: "Parameter verification failed.".into(),
            errors,
        }
    }

    pub(crate) fn parameter(name: &str, text: impl Into<String>) -> ApiError {
        ApiError::parameters(BTreeMap::from([(name.to_owned(), text.into())]))
    }

    pub(crate) fn permission(detail: &str) -> ApiError {
        let detail = if detail.is_empty() {
            String::new()
        } else {
            format!(" ({detail})")
        };
        ApiError::new(403, format!("Permission check failed{detail}"))
    }

    /// With what failed before the text, as PVE does where it locks a file; refused parameters stay as they are.
    pub(crate) fn within(mut self, what: &str) -> ApiError {
        if !what.is_empty() && self.errors.is_empty() {
            self.message = format!("{what}: {}", self.message);
        }
        self
    }

    /// As a text alone: what becomes of refused parameters where PVE puts the text of a failure into another.
    pub(crate) fn flattened(mut self) -> ApiError {
        if !self.errors.is_empty() {
            let lines = self
                .errors
                .iter()
                .map(|(name, text)| format!("\n{name}: {text}"));
            self.message = format!(
                "{} {}{}",
                self.status,
                self.message,
                lines.collect::<String>()
            );
            self.status = 500;
            self.errors.clear();
        }
        self
    }

    pub(crate) fn unauthorized(message: &str) -> ApiError {
        ApiError::new(401, message)
    }

    pub(crate) fn not_implemented(verb: &str, path: &str) -> ApiError {
        ApiError::new(501, format!("Method '{verb} {path}' not implemented"))
    }
}

/// What a Perl `die` says.
impl From<String> for ApiError {
    fn from(message: String) -> ApiError {
        ApiError::failure(message)
    }
}

/// In a task, only the text counts.
impl From<ApiError> for String {
    fn from(error: ApiError) -> String {
        let details: Vec<String> = error
            .errors
            .iter()
            .map(|(name, text)| format!("{name}: {text}"))
            .collect();
        if details.is_empty() {
            error.message
        } else {
            format!("{} {}", error.message, details.join(" "))
        }
    }
}
