//! Sets of fields, as `managedFields` records them (`fieldsV1`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::schema::{Kind, ListType, Schema};

/// A set of paths. Steps are spelled as in `fieldsV1`: `f:NAME`, `k:{KEYS}`, `v:VALUE`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FieldSet {
    /// Whether the path to here is itself in the set.
    pub(crate) member: bool,
    pub(crate) children: BTreeMap<String, FieldSet>,
}

/// Metadata that nobody owns.
const UNOWNED_META: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "generation",
    "managedFields",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
];

impl FieldSet {
    pub(crate) fn child(&mut self, step: String) -> &mut FieldSet {
        self.children.entry(step).or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.member && self.children.values().all(FieldSet::is_empty)
    }

    fn tidy(mut self) -> FieldSet {
        self.children.retain(|_, c| !c.is_empty());
        self
    }

    pub(crate) fn union(&self, other: &FieldSet) -> FieldSet {
        let mut out = self.clone();
        out.member |= other.member;
        for (step, theirs) in &other.children {
            let mine = out.children.remove(step).unwrap_or_default();
            out.children.insert(step.clone(), mine.union(theirs));
        }
        out
    }

    pub(crate) fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet {
            member: self.member && !other.member,
            children: BTreeMap::new(),
        };
        for (step, mine) in &self.children {
            let left = other
                .children
                .get(step)
                .map_or_else(|| mine.clone(), |theirs| mine.difference(theirs));
            out.children.insert(step.clone(), left);
        }
        out.tidy()
    }

    pub(crate) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut out = FieldSet {
            member: self.member && other.member,
            children: BTreeMap::new(),
        };
        for (step, mine) in &self.children {
            if let Some(theirs) = other.children.get(step) {
                out.children.insert(step.clone(), mine.intersection(theirs));
            }
        }
        out.tidy()
    }

    /// Every member's path as people read it: `.spec.containers[name="a"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        self.collect_paths(String::new(), &mut out);
        out
    }

    fn collect_paths(&self, prefix: String, out: &mut Vec<String>) {
        if self.member {
            out.push(prefix.clone());
        }
        for (step, child) in &self.children {
            child.collect_paths(format!("{prefix}{}", readable(step)), out);
        }
    }

    pub(crate) fn encode(&self) -> Value {
        let mut map = Map::new();
        if self.member && !self.children.is_empty() {
            map.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            map.insert(step.clone(), child.encode());
        }
        Value::Object(map)
    }

    pub(crate) fn decode(value: &Value) -> FieldSet {
        let mut root = FieldSet::decode_inner(value);
        // The root itself is never a member.
        root.member = false;
        root
    }

    fn decode_inner(value: &Value) -> FieldSet {
        let mut set = FieldSet::default();
        let entries = value.as_object().into_iter().flatten();
        for (step, inner) in entries {
            if step == "." {
                set.member = true;
            } else {
                set.children
                    .insert(step.clone(), FieldSet::decode_inner(inner));
            }
        }
        set.member |= set.children.is_empty();
        set
    }

    /// All fields that an object sets.
    pub(crate) fn of(schema: &Schema, object: &Value) -> FieldSet {
        let mut set = FieldSet::default();
        let Some(map) = object.as_object() else {
            return set;
        };
        for (name, value) in map {
            match name.as_str() {
                "apiVersion" | "kind" => {}
                "metadata" => {
                    let mut meta = FieldSet::default();
                    let schema = schema.field("metadata");
                    let entries = value.as_object().into_iter().flatten();
                    for (field, inner) in
                        entries.filter(|(n, _)| !UNOWNED_META.contains(&n.as_str()))
                    {
                        collect_field(schema, field, inner, &mut meta);
                    }
                    set.children.insert("f:metadata".to_owned(), meta);
                }
                _ => collect_field(schema, name, value, &mut set),
            }
        }
        set.tidy()
    }
}

fn collect_field(schema: &Schema, name: &str, value: &Value, parent: &mut FieldSet) {
    let inner = schema.field(name);
    let set = parent.child(format!("f:{name}"));
    let is_empty =
        value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    if inner.is_leaf(value) || is_empty {
        set.member = true;
        return;
    }
    collect(inner, value, set);
    // A map's entries are members themselves, a struct's fields only by their leaves.
    set.member |= !schema.declares(name);
}

fn collect(schema: &Schema, value: &Value, set: &mut FieldSet) {
    match value {
        Value::Object(map) => map
            .iter()
            .for_each(|(name, inner)| collect_field(schema, name, inner, set)),
        Value::Array(items) => {
            for item in items {
                let child = set.child(step_of(schema, item));
                child.member = true;
                if !schema.items().is_leaf(item) {
                    collect(schema.items(), item, child);
                }
            }
        }
        _ => set.member = true,
    }
}

/// The step that names an item of a list that is owned item by item.
pub(crate) fn step_of(list: &Schema, item: &Value) -> String {
    let Kind::Array {
        list: ListType::Map(keys),
        items,
    } = &list.kind
    else {
        return format!("v:{item}");
    };
    let mut map = BTreeMap::new();
    for key in keys {
        let default = match &items.get().kind {
            Kind::Object(object) => object.properties.get(key).and_then(|f| f.default.clone()),
            _ => None,
        };
        if let Some(value) = item.get(key).cloned().or(default) {
            map.insert(key.clone(), value);
        }
    }
    let json: Map<String, Value> = map.into_iter().collect();
    format!("k:{}", Value::Object(json))
}

fn readable(step: &str) -> String {
    match step.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let parts: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", parts.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        _ => format!("[{step}]"),
    }
}

/// What differs between two objects.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Comparison {
    pub(crate) fn of(schema: &Schema, old: &Value, new: &Value) -> Comparison {
        let old_set = FieldSet::of(schema, old);
        let new_set = FieldSet::of(schema, new);
        let mut modified = FieldSet::default();
        changed(schema, old, new, &mut modified);
        // Only owned fields: the walk also saw metadata that nobody owns.
        let modified = modified.intersection(&new_set);
        Comparison {
            added: new_set.difference(&old_set),
            removed: old_set.difference(&new_set),
            modified,
        }
    }

    pub(crate) fn changed(&self) -> FieldSet {
        self.added.union(&self.modified)
    }
}

/// Leaves that are in both and differ.
fn changed(schema: &Schema, old: &Value, new: &Value, set: &mut FieldSet) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(a), Value::Object(b)) if !schema.is_leaf(new) => {
            for (name, inner) in b {
                if let Some(before) = a.get(name) {
                    changed(
                        schema.field(name),
                        before,
                        inner,
                        set.child(format!("f:{name}")),
                    );
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if !schema.is_leaf(new) => {
            let before: BTreeMap<String, &Value> =
                a.iter().map(|i| (step_of(schema, i), i)).collect();
            for item in b {
                let step = step_of(schema, item);
                if let Some(old_item) = before.get(&step) {
                    changed(schema.items(), old_item, item, set.child(step));
                }
            }
        }
        _ => set.member = true,
    }
}

/// An update that brings a whole new map owns the map itself too, besides its keys.
pub(crate) fn own_new_maps(schema: &Schema, old: &Value, new: &Value, set: &mut FieldSet) {
    match new {
        Value::Object(map) => {
            for (name, value) in map {
                let step = format!("f:{name}");
                let Some(child) = set.children.get_mut(&step) else {
                    continue;
                };
                let inner = schema.field(name);
                let is_map = matches!(&inner.kind, Kind::Object(o) if o.properties.is_empty());
                child.member |= is_map && old.get(name).is_none();
                own_new_maps(inner, old.get(name).unwrap_or(&Value::Null), value, child);
            }
        }
        Value::Array(items) => {
            for item in items {
                let step = step_of(schema, item);
                let Some(child) = set.children.get_mut(&step) else {
                    continue;
                };
                let before = old
                    .as_array()
                    .into_iter()
                    .flatten()
                    .find(|i| step_of(schema, i) == step);
                own_new_maps(schema.items(), before.unwrap_or(&Value::Null), item, child);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::builtin;
    use serde_json::json;

    #[test]
    fn fields_are_recorded_as_the_real_server_does() {
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "labels": {"a": "b"}},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"containers": [
                {"name": "c", "image": "i", "args": ["x"], "ports": [{"containerPort": 80}]}]}}}});
        let set = FieldSet::of(builtin("apps.v1.Deployment"), &deployment);
        assert_eq!(
            set.encode(),
            json!({
                "f:metadata": {"f:labels": {"f:a": {}}},
                "f:spec": {"f:replicas": {}, "f:selector": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"c\"}": {
                    ".": {}, "f:args": {}, "f:image": {}, "f:name": {},
                    "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}
            })
        );
        assert_eq!(FieldSet::decode(&set.encode()), set);
        assert!(
            set.paths()
                .contains(&".spec.template.spec.containers[name=\"c\"].image".to_owned())
        );
    }
}
