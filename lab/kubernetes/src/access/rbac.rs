//! Role-based access control over the cluster's own roles and bindings.

use serde_json::Value;

use super::User;
use crate::error::ApiError;
use crate::object::{list, text};
use crate::state::State;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) verb: String,
    pub(crate) group: String,
    /// `pods`, `pods/log`; empty for a path that is no resource.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) path: String,
}

/// Refuses with 403 what no rule allows.
pub(crate) fn authorize(state: &State, user: &User, wanted: &Attributes) -> Result<(), ApiError> {
    if may(state, user, wanted) {
        return Ok(());
    }
    let (who, verb) = (&user.name, &wanted.verb);
    if wanted.resource.is_empty() {
        let why = format!("User {who:?} cannot {verb} path {:?}", wanted.path);
        return Err(ApiError::forbidden("", "", "", &why));
    }
    let place = if wanted.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", wanted.namespace)
    };
    let why = format!(
        "User {who:?} cannot {verb} resource {:?} in API group {:?} {place}",
        wanted.resource, wanted.group
    );
    let plural = wanted.resource.split('/').next().unwrap_or_default();
    Err(ApiError::forbidden(
        &wanted.group,
        plural,
        &wanted.name,
        &why,
    ))
}

pub(crate) fn may(state: &State, user: &User, wanted: &Attributes) -> bool {
    if user.is_in("system:masters") {
        return true;
    }
    let cluster = state.list("clusterrolebindings.rbac.authorization.k8s.io", "");
    let own_namespace = wanted.namespace.as_str();
    let local = state
        .list("rolebindings.rbac.authorization.k8s.io", own_namespace)
        .filter(|_| !own_namespace.is_empty());
    cluster
        .chain(local)
        .filter(|b| binds(b, user))
        .any(|b| role_allows(state, b, wanted))
}

fn binds(binding: &Value, user: &User) -> bool {
    list(binding, &["subjects"]).iter().any(|subject| {
        let name = text(subject, &["name"]);
        match text(subject, &["kind"]) {
            "User" => user.name == name,
            "Group" => user.is_in(name),
            "ServiceAccount" => {
                let namespace = match text(subject, &["namespace"]) {
                    "" => crate::object::namespace(binding),
                    given => given,
                };
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
            _ => false,
        }
    })
}

fn role_allows(state: &State, binding: &Value, wanted: &Attributes) -> bool {
    let name = text(binding, &["roleRef", "name"]);
    let role = match text(binding, &["roleRef", "kind"]) {
        "Role" => state.find(
            "roles.rbac.authorization.k8s.io",
            crate::object::namespace(binding),
            name,
        ),
        _ => state.find("clusterroles.rbac.authorization.k8s.io", "", name),
    };
    role.is_some_and(|role| {
        list(role, &["rules"])
            .iter()
            .any(|rule| rule_allows(rule, wanted))
    })
}

fn rule_allows(rule: &Value, wanted: &Attributes) -> bool {
    let words = |field: &str| {
        list(rule, &[field])
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
    };
    let has = |field: &str, value: &str| words(field).iter().any(|w| *w == "*" || *w == value);
    if !has("verbs", &wanted.verb) {
        return false;
    }
    if wanted.resource.is_empty() {
        return words("nonResourceURLs")
            .iter()
            .any(|url| match url.strip_suffix('*') {
                Some(prefix) => wanted.path.starts_with(prefix),
                None => wanted.path == *url,
            });
    }
    let subresource = wanted
        .resource
        .split_once('/')
        .map(|(_, sub)| format!("*/{sub}"));
    let resource = has("resources", &wanted.resource)
        || subresource.is_some_and(|s| words("resources").contains(&s.as_str()));
    let names = words("resourceNames");
    has("apiGroups", &wanted.group)
        && resource
        && (names.is_empty() || names.contains(&wanted.name.as_str()))
}
