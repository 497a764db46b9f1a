//! Errors of JSON-RPC calls, in the appliance's forms.

use serde_json::{Value, json};

/// One thing that is wrong with a call's input.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// `None` for a missing object.
    pub attribute: Option<String>,
    pub message: String,
    pub errno: i64,
}

impl Problem {
    pub(crate) fn new(attribute: &str, message: impl Into<String>) -> Problem {
        Problem {
            attribute: Some(attribute.to_owned()),
            message: message.into(),
            errno: EINVAL,
        }
    }
}

/// Everything that is wrong with a call's input.
#[derive(Clone, Debug)]
pub(crate) struct Invalid(pub Vec<Problem>);

pub(crate) const EPERM: i64 = 1;
pub(crate) const ENOENT: i64 = 2;
pub(crate) const EACCES: i64 = 13;
pub(crate) const EFAULT: i64 = 14;
pub(crate) const EBUSY: i64 = 16;
pub(crate) const EEXIST: i64 = 17;
pub(crate) const EINVAL: i64 = 22;
pub(crate) const ENOTEMPTY: i64 = 39;
pub(crate) const EOPNOTSUPP: i64 = 95;
pub(crate) const ENOTAUTHENTICATED: i64 = 207;

/// Why a call failed.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// -32700
    Parse,
    /// -32600
    Request(String),
    /// -32601
    NoMethod,
    /// -32602
    Invalid(Invalid),
    /// -32000
    TooManyCalls,
    /// -32001 with the middleware's own error.
    Call { errno: i64, message: String },
    /// -32001: `query` with `get` found nothing.
    MatchNotFound,
}

impl Failure {
    pub(crate) fn call(errno: i64, message: impl Into<String>) -> Failure {
        Failure::Call {
            errno,
            message: message.into(),
        }
    }

    /// One invalid attribute.
    pub(crate) fn invalid(attribute: &str, message: impl Into<String>) -> Failure {
        Failure::Invalid(Invalid(vec![Problem::new(attribute, message)]))
    }

    /// The object that an operation names is not there.
    pub(crate) fn missing(kind: &str, id: impl std::fmt::Display) -> Failure {
        let message = format!("{kind} {id} does not exist");
        Failure::Invalid(Invalid(vec![Problem {
            attribute: None,
            message,
            errno: ENOENT,
        }]))
    }

    /// A public method of the appliance that the lab does not have.
    pub(crate) fn not_simulated(method: &str) -> Failure {
        Failure::call(EOPNOTSUPP, format!("the lab does not simulate {method}"))
    }

    /// What a job's or a message's `error` says: `[ENOENT] …`.
    pub(crate) fn reason(&self) -> String {
        match self {
            Failure::Parse => "Invalid JSON".to_owned(),
            Failure::Request(text) => text.clone(),
            Failure::NoMethod => "Method does not exist".to_owned(),
            Failure::TooManyCalls => {
                "Maximum number of concurrent calls (20) has exceeded.".to_owned()
            }
            Failure::MatchNotFound => "MatchNotFound()".to_owned(),
            Failure::Call { errno, message } => format!("[{}] {message}", errname(*errno)),
            Failure::Invalid(Invalid(problems)) => {
                let line = |p: &Problem| {
                    format!(
                        "[{}] {}: {}\n",
                        errname(p.errno),
                        p.attribute.as_deref().unwrap_or("None"),
                        p.message
                    )
                };
                problems.iter().map(line).collect()
            }
        }
    }

    /// `[[attribute, message, errno], …]` of validation errors.
    pub(crate) fn extra(&self) -> Value {
        match self {
            Failure::Invalid(Invalid(problems)) => problems
                .iter()
                .map(|p| json!([p.attribute, p.message, p.errno]))
                .collect(),
            _ => Value::Null,
        }
    }

    /// The JSON-RPC error object.
    pub(crate) fn to_json(&self) -> Value {
        let plain = |code: i64, message: &str| json!({"code": code, "message": message});
        match self {
            Failure::Parse => plain(-32700, "Invalid JSON"),
            Failure::Request(text) => {
                json!({"code": -32600, "message": "Invalid Request", "data": {"reason": text}})
            }
            Failure::NoMethod => plain(-32601, "Method does not exist"),
            Failure::TooManyCalls => plain(-32000, "Too many concurrent calls"),
            Failure::Invalid(_) => {
                json!({"code": -32602, "message": "Invalid params", "data": self.data(EINVAL, "ValidationErrors")})
            }
            Failure::Call { errno, .. } => {
                json!({"code": -32001, "message": "Method call error", "data": self.data(*errno, "CallError")})
            }
            Failure::MatchNotFound => {
                json!({"code": -32001, "message": "Method call error", "data": self.data(EINVAL, "MatchNotFound")})
            }
        }
    }

    fn data(&self, errno: i64, class: &str) -> Value {
        let reason = self.reason();
        let trace = json!({"class": class, "frames": [], "formatted": format!("{class}: {reason}"), "repr": format!("{class}({reason:?})")});
        json!({"error": errno, "errname": errname(errno), "reason": reason, "trace": trace, "extra": self.extra()})
    }
}

fn errname(errno: i64) -> &'static str {
    match errno {
        EPERM => "EPERM",
        ENOENT => "ENOENT",
        EACCES => "EACCES",
        EFAULT => "EFAULT",
        EBUSY => "EBUSY",
        EEXIST => "EEXIST",
        ENOTEMPTY => "ENOTEMPTY",
        EOPNOTSUPP => "EOPNOTSUPP",
        ENOTAUTHENTICATED => "ENOTAUTHENTICATED",
        _ => "EINVAL",
    }
}
