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

    pub(crate) fn unauthorized(message: &str) -> ApiError {
        ApiError::new(401, message)
    }

    pub(crate) fn not_implemented(verb: &str, path: &str) -> ApiError {
        ApiError::new(501, format!("Method '{verb} {path}' not implemented"))
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
