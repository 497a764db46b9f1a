//! What Git says beside what the cluster has.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::health::{self, Health};
use crate::error::qualified;
use crate::object::{annotation, at, list, name, namespace, remove, set, split_api_version, text};
use crate::ops::{PatchBody, WriteOptions};
use crate::resources::Resource;
use crate::state::{Id, State};

pub(super) const TRACKING: &str = "argocd.argoproj.io/tracking-id";

/// A resource of an application.
pub(super) struct Item {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    /// `None`: the kind is not known in the cluster.
    pub(super) resource: Option<Arc<Resource>>,
    /// `None`: no longer in Git.
    pub(super) target: Option<Value>,
    pub(super) live: Option<Arc<Value>>,
    pub(super) synced: bool,
    pub(super) health: Option<(Health, String)>,
}

impl Item {
    pub(super) fn id(&self) -> Option<Id> {
        self.resource
            .as_ref()
            .map(|r| Id::new(&r.key, &self.namespace, &self.name))
    }

    pub(super) fn needs_pruning(&self) -> bool {
        self.target.is_none() && self.live.is_some()
    }

    /// The object that annotations are read from.
    pub(super) fn object(&self) -> &Value {
        self.target
            .as_ref()
            .or(self.live.as_deref())
            .unwrap_or(&Value::Null)
    }
}

pub(super) fn hook(object: &Value) -> Option<&str> {
    annotation(object, "argocd.argoproj.io/hook")
        .map(str::trim)
        .filter(|h| !h.is_empty())
}

/// Whether a comma-separated annotation holds an option.
pub(super) fn has_option(object: &Value, key: &str, option: &str) -> bool {
    annotation(object, key).is_some_and(|o| o.split(',').any(|p| p.trim() == option))
}

/// Gives a manifest its namespace and the annotation by which it is known as the application's.
pub(super) fn settle(
    state: &State,
    application: &str,
    default_namespace: &str,
    mut object: Value,
) -> Value {
    let (group, _) = split_api_version(text(&object, &["apiVersion"]));
    let (group, kind) = (group.to_owned(), text(&object, &["kind"]).to_owned());
    let known = state
        .registry
        .by_kind(text(&object, &["apiVersion"]), &kind);
    match known {
        Some(resource) if !resource.namespaced => {
            drop(remove(&mut object, &["metadata", "namespace"]));
        }
        // A kind that is not known yet is taken as namespaced when Git says so.
        Some(_) if namespace(&object).is_empty() => set(
            &mut object,
            &["metadata", "namespace"],
            default_namespace.into(),
        ),
        _ => {}
    }
    remove(&mut object, &["metadata", "managedFields"]);
    let id = format!(
        "{application}:{group}/{kind}:{}/{}",
        if namespace(&object).is_empty() {
            default_namespace
        } else {
            namespace(&object)
        },
        name(&object)
    );
    set(
        &mut object,
        &["metadata", "annotations", TRACKING],
        id.into(),
    );
    object
}

/// Compares settled manifests (hooks left out) with the cluster; `tracked` is what bears the application's annotation.
pub(super) fn compare(
    state: &mut State,
    targets: &[Value],
    tracked: &[Id],
    differences: &Ignored,
) -> Vec<Item> {
    let mut items: BTreeMap<(String, String, String, String), Item> = BTreeMap::new();
    for target in targets.iter().filter(|t| hook(t).is_none()) {
        let (group, version) = split_api_version(text(target, &["apiVersion"]));
        let kind = text(target, &["kind"]);
        let resource = state.registry.by_kind(text(target, &["apiVersion"]), kind);
        let live = resource
            .as_ref()
            .and_then(|r| state.find(&r.key, namespace(target), name(target)).cloned());
        let mut item = Item {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace(target).to_owned(),
            name: name(target).to_owned(),
            synced: false,
            health: None,
            target: Some(target.clone()),
            live,
            resource,
        };
        item.synced = is_synced(state, &item, differences);
        item.health = health_of(&item);
        items.insert(
            (
                item.group.clone(),
                item.kind.clone(),
                item.namespace.clone(),
                item.name.clone(),
            ),
            item,
        );
    }
    for id in tracked {
        let (Some(resource), Some(live)) = (state.registry.by_key(&id.key), state.get(id).cloned())
        else {
            continue;
        };
        if hook(&live).is_some() || !is_own(&live, &resource) {
            continue;
        }
        let key = (
            resource.group.clone(),
            resource.kind.clone(),
            id.namespace.clone(),
            id.name.clone(),
        );
        if items.contains_key(&key) {
            continue;
        }
        let extraneous = has_option(
            &live,
            "argocd.argoproj.io/compare-options",
            "IgnoreExtraneous",
        );
        let mut item = Item {
            group: resource.group.clone(),
            version: resource.version.clone(),
            kind: resource.kind.clone(),
            namespace: id.namespace.clone(),
            name: id.name.clone(),
            resource: Some(resource),
            target: None,
            live: Some(live),
            synced: extraneous,
            health: None,
        };
        item.health = health_of(&item);
        items.insert(key, item);
    }
    items.into_values().collect()
}

/// Whether the annotation is about this very object (copies of it, as controllers make, are not the application's).
fn is_own(live: &Value, resource: &Resource) -> bool {
    let Some((_, rest)) = annotation(live, TRACKING).and_then(|t| t.split_once(':')) else {
        return false;
    };
    let expected = format!("{}/{}:", resource.group, resource.kind);
    rest.strip_prefix(&expected)
        .is_some_and(|r| r.split_once('/').is_some_and(|(_, n)| n == name(live)))
}

fn health_of(item: &Item) -> Option<(Health, String)> {
    let Some(live) = &item.live else {
        return Some((Health::Missing, String::new()));
    };
    health::of(
        &qualified(
            &item.group,
            item.resource.as_ref().map_or("", |r| r.plural.as_str()),
        ),
        live,
    )
}

fn is_synced(state: &mut State, item: &Item, differences: &Ignored) -> bool {
    let (Some(live), Some(target), Some(resource)) = (&item.live, &item.target, &item.resource)
    else {
        return false;
    };
    let options = WriteOptions {
        dry_run: true,
        force: true,
        ..WriteOptions::component("argocd-controller")
    };
    let predicted = state.patch(
        resource,
        &item.namespace,
        &item.name,
        PatchBody::Apply(target.clone()),
        &options,
    );
    match predicted {
        Ok(written) => {
            differences.stripped(item, &written.object) == differences.stripped(item, live)
        }
        Err(_) => false,
    }
}

/// `spec.ignoreDifferences`.
pub(super) struct Ignored(Vec<Value>);

impl Ignored {
    /// The error names a rule that the lab cannot follow.
    pub(super) fn of(application: &Value) -> Result<Ignored, String> {
        let rules = list(application, &["spec", "ignoreDifferences"]).to_vec();
        for rule in &rules {
            if let Some(path) = list(rule, &["jqPathExpressions"])
                .iter()
                .filter_map(Value::as_str)
                .find(|p| pointer(p).is_none())
            {
                return Err(format!(
                    "the lab does not support the jq path expression {path:?} of ignoreDifferences"
                ));
            }
        }
        Ok(Ignored(rules))
    }

    /// The object without what does not count.
    fn stripped(&self, item: &Item, object: &Value) -> Value {
        let mut copy = object.clone();
        for field in ["managedFields", "resourceVersion", "generation"] {
            remove(&mut copy, &["metadata", field]);
        }
        remove(&mut copy, &["status"]);
        for rule in &self.0 {
            let fits = |field: &str, value: &str| {
                matches!(text(rule, &[field]), "" | "*") || text(rule, &[field]) == value
            };
            let group = text(rule, &["group"]);
            if !(group == "*" || group == item.group)
                || !fits("kind", &item.kind)
                || !fits("name", &item.name)
                || !fits("namespace", &item.namespace)
            {
                continue;
            }
            let given = list(rule, &["jsonPointers"])
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned);
            let expressions = list(rule, &["jqPathExpressions"])
                .iter()
                .filter_map(Value::as_str)
                .filter_map(pointer);
            for path in given.chain(expressions) {
                let operation = serde_json::json!([{"op": "remove", "path": path}]);
                if let Ok(without) = crate::patch::json_patch(&copy, &operation) {
                    copy = without;
                }
            }
            for manager in list(rule, &["managedFieldsManagers"])
                .iter()
                .filter_map(Value::as_str)
            {
                for owned in
                    crate::ownership::managers(item.live.as_deref().unwrap_or(&Value::Null))
                        .iter()
                        .filter(|m| m.name == manager)
                {
                    for path in owned.set.paths().iter().filter(|p| !p.contains('[')) {
                        let steps: Vec<&str> = path.split('.').filter(|s| !s.is_empty()).collect();
                        remove(&mut copy, &steps);
                    }
                }
            }
        }
        copy
    }
}

/// `.a.b` or `.a["b/c"]` as a JSON pointer.
fn pointer(expression: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = expression.strip_prefix('.')?;
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"").or_else(|| rest.strip_prefix("\"")) {
            let (key, tail) = quoted.split_once('"')?;
            out.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")));
            rest = tail.strip_prefix(']').unwrap_or(tail);
        } else if let Some(number) = rest.strip_prefix('[') {
            let (index, tail) = number.split_once(']')?;
            out.push_str(&format!("/{}", index.parse::<usize>().ok()?));
            rest = tail;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (field, tail) = rest.split_at(end);
            if field.is_empty()
                || !field
                    .chars()
                    .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
            {
                return None;
            }
            out.push_str(&format!("/{field}"));
            rest = tail;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
    }
    Some(out)
}

/// The application's health: that of its worst resource.
pub(super) fn overall(items: &[Item]) -> Health {
    let counted = items
        .iter()
        .filter(|i| !health::is_ignored(i.object()) && !i.needs_pruning());
    counted
        .filter_map(|i| i.health.as_ref().map(|(h, _)| *h))
        .max()
        .unwrap_or(Health::Healthy)
}

/// Container images of live objects, for `status.summary`.
pub(super) fn images(items: &[Item]) -> Vec<String> {
    fn visit(value: &Value, out: &mut std::collections::BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    if matches!(key.as_str(), "containers" | "initContainers") {
                        for container in list(inner, &[]) {
                            let image = text(container, &["image"]);
                            if !image.is_empty() {
                                out.insert(image.to_owned());
                            }
                        }
                    } else {
                        visit(inner, out);
                    }
                }
            }
            Value::Array(all) => all.iter().for_each(|i| visit(i, out)),
            _ => {}
        }
    }
    let mut out = std::collections::BTreeSet::new();
    for live in items.iter().filter_map(|i| i.live.as_ref()) {
        visit(at(live, &["spec"]), &mut out);
    }
    out.into_iter().collect()
}
