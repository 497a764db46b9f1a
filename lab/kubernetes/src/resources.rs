//! The kinds that a cluster serves: the built-in ones (`data/resources.txt`) and those of established CRDs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use crate::error::qualified;
use crate::object::{at, list, split_api_version, text};
use crate::schema::{self, Ref, Schema};

/// A kind at one version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) subresources: Vec<String>,
    schema: Ref,
    pub(crate) custom: Option<Custom>,
    /// `configmaps`, `deployments.apps`: the key under which objects of all versions are kept.
    pub(crate) key: String,
}

/// What a CRD's version says beyond names.
#[derive(Debug)]
pub(crate) struct Custom {
    pub(crate) openapi: Value,
    pub(crate) columns: Value,
    /// `subresources.scale`.
    pub(crate) scale: Option<Value>,
}

impl Resource {
    pub(crate) fn schema(&self) -> &Schema {
        self.schema.get()
    }

    pub(crate) fn api_version(&self) -> String {
        crate::object::api_version(&self.group, &self.version)
    }

    pub(crate) fn has(&self, subresource: &str) -> bool {
        self.subresources.iter().any(|s| s == subresource)
    }
}

static BUILTIN: LazyLock<Vec<Arc<Resource>>> = LazyLock::new(|| {
    let lines = include_str!("../data/resources.txt")
        .lines()
        .filter(|l| !l.starts_with('#'));
    // autoscaling/v1 holds the same objects as v2 in another form; only v2 is served.
    lines
        .filter_map(read_line)
        .filter(|r| !(r.group == "autoscaling" && r.version == "v1"))
        .map(Arc::new)
        .collect()
});

fn read_line(line: &'static str) -> Option<Resource> {
    let fields: Vec<&'static str> = line.split('|').collect();
    let [
        group,
        version,
        plural,
        singular,
        kind,
        scope,
        type_name,
        short,
        categories,
        subresources,
    ] = fields.as_slice()
    else {
        return None;
    };
    let words = |text: &str| {
        text.split(',')
            .filter(|w| !w.is_empty())
            .map(str::to_owned)
            .collect()
    };
    Some(Resource {
        group: (*group).to_owned(),
        version: (*version).to_owned(),
        plural: (*plural).to_owned(),
        singular: (*singular).to_owned(),
        kind: (*kind).to_owned(),
        list_kind: format!("{kind}List"),
        namespaced: *scope == "Namespaced",
        short_names: words(short),
        categories: words(categories),
        subresources: words(subresources),
        schema: Ref::Named(type_name),
        custom: None,
        key: qualified(group, plural),
    })
}

/// All kinds of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// By CRD name, its served versions.
    custom: BTreeMap<String, Vec<Arc<Resource>>>,
    by_path: HashMap<(String, String, String), Arc<Resource>>,
    by_kind: HashMap<(String, String, String), Arc<Resource>>,
}

impl Registry {
    pub(crate) fn new() -> Registry {
        let mut registry = Registry::default();
        registry.index();
        registry
    }

    fn index(&mut self) {
        self.by_path.clear();
        self.by_kind.clear();
        for resource in BUILTIN.iter().chain(self.custom.values().flatten()) {
            let (group, version) = (resource.group.clone(), resource.version.clone());
            let path = (group.clone(), version.clone(), resource.plural.clone());
            self.by_path.insert(path, resource.clone());
            self.by_kind
                .insert((group, version, resource.kind.clone()), resource.clone());
        }
    }

    /// Serves the kinds of an established CRD, or its new versions.
    pub(crate) fn serve(&mut self, crd: &Value) {
        self.custom.insert(
            text(crd, &["metadata", "name"]).to_owned(),
            resources_of(crd),
        );
        self.index();
    }

    pub(crate) fn withdraw(&mut self, crd: &str) {
        self.custom.remove(crd);
        self.index();
    }

    pub(crate) fn by_path(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Option<Arc<Resource>> {
        self.by_path
            .get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
            .cloned()
    }

    pub(crate) fn by_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let (group, version) = split_api_version(api_version);
        self.by_kind
            .get(&(group.to_owned(), version.to_owned(), kind.to_owned()))
            .cloned()
    }

    /// The preferred version of a kind, whichever.
    pub(crate) fn by_group_kind(&self, group: &str, kind: &str) -> Option<Arc<Resource>> {
        self.all()
            .find(|r| r.group == group && r.kind == kind)
            .cloned()
    }

    pub(crate) fn by_key(&self, key: &str) -> Option<Arc<Resource>> {
        self.all().find(|r| r.key == key).cloned()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Resource>> {
        BUILTIN.iter().chain(self.custom.values().flatten())
    }
}

fn resources_of(crd: &Value) -> Vec<Arc<Resource>> {
    let names = match at(crd, &["status", "acceptedNames"]) {
        accepted if !text(accepted, &["kind"]).is_empty() => accepted,
        _ => at(crd, &["spec", "names"]),
    };
    let words = |field: &str| -> Vec<String> {
        list(names, &[field])
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    let group = text(crd, &["spec", "group"]);
    let plural = text(crd, &["spec", "names", "plural"]);
    let kind = text(names, &["kind"]);
    let mut versions: Vec<&Value> = list(crd, &["spec", "versions"]).iter().collect();
    versions.sort_by_key(|v| std::cmp::Reverse(version_rank(text(v, &["name"]))));
    let served = versions
        .into_iter()
        .filter(|v| v.get("served").and_then(Value::as_bool) == Some(true));
    served
        .map(|version| {
            let openapi = at(version, &["schema", "openAPIV3Schema"]).clone();
            let scale = at(version, &["subresources", "scale"]);
            let mut subresources = Vec::new();
            if scale.is_object() {
                subresources.push("scale".to_owned());
            }
            if at(version, &["subresources", "status"]).is_object() {
                subresources.push("status".to_owned());
            }
            let or = |found: &str, other: String| {
                if found.is_empty() {
                    other
                } else {
                    found.to_owned()
                }
            };
            Arc::new(Resource {
                group: group.to_owned(),
                version: text(version, &["name"]).to_owned(),
                plural: plural.to_owned(),
                singular: or(text(names, &["singular"]), kind.to_ascii_lowercase()),
                kind: kind.to_owned(),
                list_kind: or(text(names, &["listKind"]), format!("{kind}List")),
                namespaced: text(crd, &["spec", "scope"]) == "Namespaced",
                short_names: words("shortNames"),
                categories: words("categories"),
                subresources,
                schema: Ref::Here(Arc::new(schema::compile(&openapi))),
                custom: Some(Custom {
                    openapi,
                    columns: at(version, &["additionalPrinterColumns"]).clone(),
                    scale: scale.is_object().then(|| scale.clone()),
                }),
                key: qualified(group, plural),
            })
        })
        .collect()
}

/// Orders versions as Kubernetes prefers them: stable before beta before alpha, then the higher number.
fn version_rank(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else {
        return (0, 0, 0);
    };
    let (stage, major, minor) = if let Some((major, minor)) = rest.split_once("beta") {
        (2, major, minor)
    } else if let Some((major, minor)) = rest.split_once("alpha") {
        (1, major, minor)
    } else {
        (3, rest, "0")
    };
    match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => (stage, major, minor),
        _ => (0, 0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_kinds_are_found_by_path_and_by_kind() {
        let registry = Registry::new();
        let deployment = registry.by_path("apps", "v1", "deployments").unwrap();
        assert!(deployment.namespaced && deployment.has("scale"));
        assert_eq!(
            registry.by_kind("v1", "Namespace").unwrap().key,
            "namespaces"
        );
        assert!(registry.by_path("apps", "v1beta1", "deployments").is_none());
    }

    #[test]
    fn stable_versions_come_first() {
        let mut versions = ["v1alpha1", "v2", "v1", "v1beta2", "v10", "foo"];
        versions.sort_by_key(|v| std::cmp::Reverse(version_rank(v)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1alpha1", "foo"]);
    }
}
