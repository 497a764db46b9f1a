//! API errors: what Kubernetes answers as a `Status` object.

use axum::http::StatusCode;
use serde_json::{Value, json};

/// A refused or failed request; becomes a `Status` of `metav1`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    /// `NotFound`, `AlreadyExists`, …; empty for errors that the real server does not classify.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Option<Value>,
}

/// One field of an object that is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    /// `FieldValueRequired`, `FieldValueInvalid`, …
    pub(crate) reason: &'static str,
    /// Without the field: `Required value`, `Invalid value: "x": must be …`.
    pub(crate) message: String,
    pub(crate) field: String,
}

impl Cause {
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> Cause {
        let suffix = if detail.is_empty() {
            String::new()
        } else {
            format!(": {detail}")
        };
        Cause {
            reason: "FieldValueRequired",
            message: format!("Required value{suffix}"),
            field: field.into(),
        }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Cause {
        Cause {
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {detail}"),
            field: field.into(),
        }
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> Cause {
        Cause {
            reason: "FieldValueForbidden",
            message: format!("Forbidden: {detail}"),
            field: field.into(),
        }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, allowed: &[Value]) -> Cause {
        let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
        Cause {
            reason: "FieldValueNotSupported",
            message: format!(
                "Unsupported value: {value}: supported values: {}",
                allowed.join(", ")
            ),
            field: field.into(),
        }
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: String) -> ApiError {
        ApiError {
            code,
            reason,
            message,
            details: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(400, "BadRequest", message.into())
    }

    pub(crate) fn unauthorized() -> ApiError {
        ApiError::new(401, "Unauthorized", "Unauthorized".to_owned())
    }

    /// An error that the real server does not classify (code 500, no reason).
    pub(crate) fn internal(message: impl Into<String>) -> ApiError {
        ApiError::new(500, "", message.into())
    }

    pub(crate) fn not_found(group: &str, plural: &str, name: &str) -> ApiError {
        let message = format!("{} {name:?} not found", qualified(group, plural));
        ApiError::new(404, "NotFound", message).about(group, plural, name)
    }

    /// The path itself leads nowhere.
    pub(crate) fn no_such_path() -> ApiError {
        let mut error = ApiError::new(
            404,
            "NotFound",
            "the server could not find the requested resource".to_owned(),
        );
        error.details = Some(json!({}));
        error
    }

    pub(crate) fn already_exists(group: &str, plural: &str, name: &str) -> ApiError {
        let message = format!("{} {name:?} already exists", qualified(group, plural));
        ApiError::new(409, "AlreadyExists", message).about(group, plural, name)
    }

    pub(crate) fn conflict(group: &str, plural: &str, name: &str, why: &str) -> ApiError {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            qualified(group, plural)
        );
        ApiError::new(409, "Conflict", message).about(group, plural, name)
    }

    pub(crate) fn forbidden(group: &str, plural: &str, name: &str, why: &str) -> ApiError {
        let what = qualified(group, plural);
        let message = match (what.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (false, true) => format!("{what} is forbidden: {why}"),
            (false, false) => format!("{what} {name:?} is forbidden: {why}"),
        };
        ApiError::new(403, "Forbidden", message).about(group, plural, name)
    }

    /// `causes` in the order in which they were found.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> ApiError {
        let texts: Vec<String> = causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        let text = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} {name:?} is invalid: {text}", qualified(group, kind));
        let mut error = ApiError::new(422, "Invalid", message).about(group, kind, name);
        error.add_causes(
            causes
                .iter()
                .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field})),
        );
        error
    }

    pub(crate) fn method_not_allowed() -> ApiError {
        ApiError::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource".to_owned(),
        )
    }

    pub(crate) fn not_acceptable(accepted: &[&str]) -> ApiError {
        ApiError::new(
            406,
            "NotAcceptable",
            format!(
                "only the following media types are accepted: {}",
                accepted.join(", ")
            ),
        )
    }

    pub(crate) fn unsupported_media_type(accepted: &[&str]) -> ApiError {
        ApiError::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {}",
                accepted.join(", ")
            ),
        )
    }

    pub(crate) fn too_many_requests(message: &str) -> ApiError {
        ApiError::new(429, "TooManyRequests", message.to_owned())
    }

    pub(crate) fn expired(message: impl Into<String>) -> ApiError {
        ApiError::new(410, "Expired", message.into())
    }

    /// What this simulation does not do, by name.
    pub(crate) fn not_implemented(what: &str) -> ApiError {
        ApiError::new(
            501,
            "NotImplemented",
            format!("the lab does not simulate {what}"),
        )
    }

    pub(crate) fn apply_conflict(message: String, causes: Vec<Value>) -> ApiError {
        let mut error = ApiError::new(409, "Conflict", message);
        error.add_causes(causes.into_iter());
        error
    }

    pub(crate) fn with_causes(mut self, causes: Vec<Value>) -> ApiError {
        self.add_causes(causes.into_iter());
        self
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> ApiError {
        let mut details = serde_json::Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details.insert(key.to_owned(), value.into());
            }
        }
        self.details = Some(Value::Object(details));
        self
    }

    fn add_causes(&mut self, causes: impl Iterator<Item = Value>) {
        let details = self.details.get_or_insert_with(|| json!({}));
        if let Some(map) = details.as_object_mut() {
            map.insert("causes".to_owned(), causes.collect());
        }
    }

    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The `Status` object.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {},
            "status": "Failure", "message": self.message,
        });
        if let Some(map) = body.as_object_mut() {
            if !self.reason.is_empty() {
                map.insert("reason".to_owned(), self.reason.into());
            }
            if let Some(details) = &self.details {
                map.insert("details".to_owned(), details.clone());
            }
            map.insert("code".to_owned(), self.code.into());
        }
        body
    }
}

/// `deployments.apps`, `configmaps`.
pub(crate) fn qualified(group: &str, name: &str) -> String {
    if group.is_empty() {
        name.to_owned()
    } else {
        format!("{name}.{group}")
    }
}
