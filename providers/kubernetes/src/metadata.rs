//! The `metadata` block of typed objects: to and from the API's form.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value as Json, json};
use stead_sdk::kube::{find, text};
use stead_sdk::value::{Diagnostics, Path};
use stead_sdk::{Block, Error, PlanDraft};

use crate::provider::Ignored;

/// Metadata of an object that lives in no namespace.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct Metadata {
    /// Arbitrary information. What others add is left alone.
    #[attr(optional)]
    pub(crate) annotations: BTreeMap<String, String>,
    /// A prefix, from which the server makes a unique name.
    #[attr(optional, replace)]
    pub(crate) generate_name: Option<String>,
    /// Grows with every change of the specification.
    #[attr(computed)]
    pub(crate) generation: i64,
    /// What selectors go by. What others add is left alone.
    #[attr(optional)]
    pub(crate) labels: BTreeMap<String, String>,
    /// The name; a change makes a new object.
    #[attr(optional, computed, replace)]
    pub(crate) name: String,
    /// The server's mark of this version of the object.
    #[attr(computed)]
    pub(crate) resource_version: String,
    /// Unique in time and space.
    #[attr(computed)]
    pub(crate) uid: String,
}

/// Metadata of an object in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct NamespacedMetadata {
    /// Arbitrary information. What others add is left alone.
    #[attr(optional)]
    pub(crate) annotations: BTreeMap<String, String>,
    /// A prefix, from which the server makes a unique name.
    #[attr(optional, replace)]
    pub(crate) generate_name: Option<String>,
    /// Grows with every change of the specification.
    #[attr(computed)]
    pub(crate) generation: i64,
    /// What selectors go by. What others add is left alone.
    #[attr(optional)]
    pub(crate) labels: BTreeMap<String, String>,
    /// The name; a change makes a new object.
    #[attr(optional, computed, replace)]
    pub(crate) name: String,
    /// The namespace; a change makes a new object.
    #[attr(optional, default = "default".to_owned(), replace)]
    pub(crate) namespace: String,
    /// The server's mark of this version of the object.
    #[attr(computed)]
    pub(crate) resource_version: String,
    /// Unique in time and space.
    #[attr(computed)]
    pub(crate) uid: String,
}

impl From<NamespacedMetadata> for Metadata {
    fn from(from: NamespacedMetadata) -> Metadata {
        Metadata {
            annotations: from.annotations,
            generate_name: from.generate_name,
            generation: from.generation,
            labels: from.labels,
            name: from.name,
            resource_version: from.resource_version,
            uid: from.uid,
        }
    }
}

impl Metadata {
    pub(crate) fn within(self, namespace: String) -> NamespacedMetadata {
        NamespacedMetadata {
            annotations: self.annotations,
            generate_name: self.generate_name,
            generation: self.generation,
            labels: self.labels,
            name: self.name,
            namespace,
            resource_version: self.resource_version,
            uid: self.uid,
        }
    }

    /// For a create.
    pub(crate) fn request(&self) -> Result<Map<String, Json>, Error> {
        let mut out = Map::new();
        match (
            &self.name,
            self.generate_name.as_ref().filter(|g| !g.is_empty()),
        ) {
            (name, None) if !name.is_empty() => out.insert("name".into(), json!(name)),
            (name, Some(prefix)) if name.is_empty() => {
                out.insert("generateName".into(), json!(prefix))
            }
            _ => {
                let error = Error::new(
                    "create the object",
                    "it needs one of `name` and `generate_name`",
                );
                return Err(error
                    .attribute("metadata")
                    .remedy("Set `name` in the `metadata` block."));
            }
        };
        for (key, entries) in [("annotations", &self.annotations), ("labels", &self.labels)] {
            if !entries.is_empty() {
                out.insert(key.into(), json!(entries));
            }
        }
        Ok(out)
    }

    /// For an update: what is new or different, and null for what was configured before and is not any more.
    pub(crate) fn patch(&self, prior: &Metadata) -> Map<String, Json> {
        let changes = |prior: &BTreeMap<String, String>, now: &BTreeMap<String, String>| {
            let mut out = Map::new();
            for key in prior.keys().filter(|k| !now.contains_key(*k)) {
                out.insert(key.clone(), Json::Null);
            }
            for (key, value) in now.iter().filter(|(k, v)| prior.get(*k) != Some(*v)) {
                out.insert(key.clone(), json!(value));
            }
            out
        };
        let mut out = Map::new();
        for (key, changes) in [
            (
                "annotations",
                changes(&prior.annotations, &self.annotations),
            ),
            ("labels", changes(&prior.labels, &self.labels)),
        ] {
            if !changes.is_empty() {
                out.insert(key.into(), Json::Object(changes));
            }
        }
        out
    }

    /// What the server has, as far as it is ours: of annotations and labels, those that the configuration names (all of an
    /// object that is being imported), but none that the provider's settings ignore.
    pub(crate) fn read(object: &Json, prior: &Metadata, ignored: &Ignored) -> Metadata {
        let imported = prior.uid.is_empty() && prior.resource_version.is_empty();
        let ours = |path: &str, prior: &BTreeMap<String, String>, ignored: &[Regex]| {
            let found = find(object, &["metadata", path]).and_then(Json::as_object);
            found
                .into_iter()
                .flatten()
                .filter(|(k, _)| prior.contains_key(*k) || (imported && !is_internal(k)))
                .filter(|(k, _)| prior.contains_key(*k) || !ignored.iter().any(|r| r.is_match(k)))
                .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
                .collect()
        };
        Metadata {
            annotations: ours("annotations", &prior.annotations, &ignored.annotations),
            generate_name: prior.generate_name.clone(),
            generation: find(object, &["metadata", "generation"])
                .and_then(Json::as_i64)
                .unwrap_or(0),
            labels: ours("labels", &prior.labels, &ignored.labels),
            name: text(object, &["metadata", "name"]).to_owned(),
            resource_version: text(object, &["metadata", "resourceVersion"]).to_owned(),
            uid: text(object, &["metadata", "uid"]).to_owned(),
        }
    }
}

/// A change of the object gives it another version.
pub(crate) fn plan_version(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
    if plan.is_create() || !plan.has_changes() {
        return Ok(());
    }
    let block = Path::root().attr("metadata").index_number(0);
    for name in ["resource_version", "generation"] {
        if plan.get(&block.attr(name)).is_some() {
            plan.set_unknown(&block.attr(name))?;
        }
    }
    Ok(())
}

/// Keys that the cluster itself writes.
fn is_internal(key: &str) -> bool {
    let domain = key.split('/').next().unwrap_or_default();
    key.contains('/') && (domain.ends_with("kubernetes.io") || domain.ends_with("k8s.io"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(labels: &[(&str, &str)]) -> Metadata {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Metadata {
            labels,
            name: "a".into(),
            uid: "u".into(),
            ..Metadata::default()
        }
    }

    #[test]
    fn a_patch_holds_only_what_changes() {
        let patch = of(&[("a", "1"), ("c", "3")]).patch(&of(&[("a", "1"), ("b", "2")]));
        assert_eq!(
            Json::Object(patch),
            json!({ "labels": { "b": null, "c": "3" } })
        );
        assert!(of(&[("a", "1")]).patch(&of(&[("a", "1")])).is_empty());
    }

    #[test]
    fn what_others_add_is_left_alone() {
        let object = json!({ "metadata": { "name": "a", "uid": "u", "labels": { "a": "2", "theirs": "x", "kubernetes.io/metadata.name": "a" } } });
        let read = Metadata::read(
            &object,
            &of(&[("a", "1"), ("gone", "y")]),
            &Ignored::default(),
        );
        assert_eq!(read.labels, of(&[("a", "2")]).labels);
        let imported = Metadata::read(&object, &Metadata::default(), &Ignored::default());
        assert_eq!(imported.labels, of(&[("a", "2"), ("theirs", "x")]).labels);
    }

    #[test]
    fn a_name_or_a_prefix_but_not_both() {
        assert!(Metadata::default().request().is_err());
        let prefixed = Metadata {
            generate_name: Some("x-".into()),
            ..Metadata::default()
        };
        assert_eq!(
            Json::Object(prefixed.request().unwrap()),
            json!({ "generateName": "x-" })
        );
        assert!(
            Metadata {
                name: "a".into(),
                ..prefixed
            }
            .request()
            .is_err()
        );
    }
}
