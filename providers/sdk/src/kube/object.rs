//! Kubernetes objects as JSON: their names, their parts.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::Error;

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    pub api_version: String,
    pub kind: String,
    /// `None` for kinds that live in no namespace.
    pub namespace: Option<String>,
    pub name: String,
}

impl ObjectRef {
    pub fn new(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectRef {
        ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.filter(|n| !n.is_empty()).map(str::to_owned),
            name: name.to_owned(),
        }
    }

    /// The object that a manifest describes.
    ///
    /// # Errors
    /// When it lacks `apiVersion`, `kind` or `metadata.name`.
    pub fn of(manifest: &Json) -> Result<ObjectRef, Error> {
        let part = |path: &[&str]| {
            let found = find(manifest, path)
                .and_then(Json::as_str)
                .filter(|t| !t.is_empty());
            found.ok_or_else(|| {
                Error::new("read a manifest", format!("it has no `{}`", path.join(".")))
                    .remedy("A Kubernetes object has apiVersion, kind and metadata.name.")
            })
        };
        Ok(ObjectRef::new(
            part(&["apiVersion"])?,
            part(&["kind"])?,
            find(manifest, &["metadata", "namespace"]).and_then(Json::as_str),
            part(&["metadata", "name"])?,
        ))
    }

    /// `argoproj.io`; empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version
            .split_once('/')
            .map_or("", |(group, _)| group)
    }
}

/// `Secret argocd/repo`, `Namespace argocd`.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// What lies at a path of member names.
pub fn find<'a>(object: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(object, |at, name| at.get(name))
}

/// The text at a path; empty when there is none.
pub fn text<'a>(object: &'a Json, path: &[&str]) -> &'a str {
    find(object, path)
        .and_then(Json::as_str)
        .unwrap_or_default()
}

/// The object without null members: to the server, null and absent are the same, and configurations write null for "not".
#[must_use]
pub fn without_nulls(object: Json) -> Json {
    match object {
        Json::Object(members) => Json::Object(
            members
                .into_iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k, without_nulls(v)))
                .collect(),
        ),
        Json::Array(items) => Json::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_known_by_their_manifest() {
        let object = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a", "namespace": "b" } });
        let found = ObjectRef::of(&object).unwrap();
        assert_eq!(
            (found.to_string().as_str(), found.group()),
            ("Deployment b/a", "apps")
        );
        let error = ObjectRef::of(&json!({ "apiVersion": "v1", "kind": "Secret" })).unwrap_err();
        assert!(error.said().contains("metadata.name"), "{error}");
    }

    #[test]
    fn nulls_go_and_the_rest_stays() {
        let object = json!({ "a": null, "b": [{ "c": null, "d": 0 }], "e": {} });
        assert_eq!(without_nulls(object), json!({ "b": [{ "d": 0 }], "e": {} }));
    }
}
