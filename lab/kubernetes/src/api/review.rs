//! Reviews: questions about users and rights, answered and not kept.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::request::{self, Form, ResourcePath};
use super::serve::{Call, json_answer};
use crate::access::{Attributes, User, may};
use crate::cluster::Core;
use crate::error::ApiError;
use crate::object::{at, list, set, text};

/// `None`: the path is no review.
pub(super) fn answer(
    core: &Core,
    call: &Call,
    path: &ResourcePath,
) -> Result<Option<Response<Body>>, ApiError> {
    let known = matches!(
        path.group.as_str(),
        "authorization.k8s.io" | "authentication.k8s.io"
    ) && path.version == "v1";
    if !known {
        return Ok(None);
    }
    if call.method != axum::http::Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let mut body = request::body(&call.headers, &call.body)?;
    let status = match path.plural.as_str() {
        "selfsubjectaccessreviews" => access(core, &call.user, &body),
        "subjectaccessreviews" | "localsubjectaccessreviews" => {
            access(core, &subject(&body), &body)
        }
        "selfsubjectreviews" => json!({"userInfo": user_info(&call.user)}),
        "tokenreviews" => match core
            .tokens
            .user(&core.lock(), text(&body, &["spec", "token"]))
        {
            Some(user) => {
                json!({"authenticated": true, "user": user_info(&user), "audiences": at(&body, &["spec", "audiences"])})
            }
            None => json!({"authenticated": false, "error": "invalid bearer token"}),
        },
        "selfsubjectrulesreviews" => {
            return Err(ApiError::not_implemented("SelfSubjectRulesReview"));
        }
        _ => return Err(ApiError::no_such_path()),
    };
    set(&mut body, &["status"], status);
    Ok(Some(json_answer(StatusCode::CREATED, &body, &Form::Json)))
}

fn subject(body: &Value) -> User {
    let groups = list(body, &["spec", "groups"])
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    User {
        name: text(body, &["spec", "user"]).to_owned(),
        uid: String::new(),
        groups,
        extra: Default::default(),
    }
}

fn user_info(user: &User) -> Value {
    json!({"username": user.name, "uid": user.uid, "groups": user.groups, "extra": user.extra})
}

fn access(core: &Core, user: &User, body: &Value) -> Value {
    let attributes = at(body, &["spec", "resourceAttributes"]);
    let paths = at(body, &["spec", "nonResourceAttributes"]);
    let field = |name: &str| text(attributes, &[name]).to_owned();
    let wanted = if attributes.is_object() {
        let resource = match text(attributes, &["subresource"]) {
            "" => field("resource"),
            sub => format!("{}/{sub}", text(attributes, &["resource"])),
        };
        Attributes {
            verb: field("verb"),
            group: field("group"),
            resource,
            namespace: field("namespace"),
            name: field("name"),
            path: String::new(),
        }
    } else {
        Attributes {
            verb: text(paths, &["verb"]).to_owned(),
            path: text(paths, &["path"]).to_owned(),
            ..Attributes::default()
        }
    };
    json!({"allowed": may(&core.lock(), user, &wanted)})
}
