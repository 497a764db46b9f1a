//! OpenAPI v3 descriptions, made of the same types by which objects are decoded (without prose).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::object::{api_version, set};
use crate::resources::Resource;
use crate::schema::{Kind, ListType, Ref, Schema, builtin};
use crate::state::State;

/// `/openapi/v3`: where the description of each group version is.
pub(super) fn index(state: &State) -> Value {
    let mut paths = Map::new();
    for resource in state.registry.all() {
        let place = place(resource);
        let url = format!("/openapi/v3/{place}?hash={}", state.registry.all().count());
        paths.insert(place, json!({"serverRelativeURL": url}));
    }
    json!({"paths": paths})
}

/// `api/v1`, `apis/apps/v1`.
fn place(resource: &Resource) -> String {
    let root = if resource.group.is_empty() {
        "api"
    } else {
        "apis"
    };
    format!("{root}/{}", resource.api_version())
}

/// The description of one group version; `None` when nothing of it is served.
pub(super) fn document(state: &State, group: &str, version: &str) -> Option<Value> {
    let resources: Vec<_> = state
        .registry
        .all()
        .filter(|r| r.group == group && r.version == version)
        .collect();
    let first = resources.first()?;
    let root = format!("/{}", place(first));
    let mut paths = Map::new();
    let mut components = Components::default();
    for resource in &resources {
        let kind =
            json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
        let reference = components.root(resource, &kind);
        let scope = if resource.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let all = format!("{root}{scope}/{}", resource.plural);
        let operation = |action: &str, writes: bool| operation(action, &kind, &reference, writes);
        paths.insert(
            all.clone(),
            json!({"get": operation("list", false), "post": operation("post", true)}),
        );
        let one = json!({"get": operation("get", false), "put": operation("put", true), "patch": operation("patch", true), "delete": operation("delete", false)});
        paths.insert(format!("{all}/{{name}}"), one);
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": api_version(group, version)},
        "paths": paths, "components": {"schemas": components.finish()},
    }))
}

fn operation(action: &str, kind: &Value, reference: &Value, writes: bool) -> Value {
    let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let mut out = json!({
        "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind,
        "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": reference}}}},
    });
    if writes {
        let names = ["dryRun", "fieldManager", "fieldValidation"];
        set(
            &mut out,
            &["parameters"],
            names.map(parameter).to_vec().into(),
        );
    }
    out
}

#[derive(Default)]
struct Components {
    schemas: BTreeMap<String, Value>,
    open: Vec<&'static str>,
}

impl Components {
    fn root(&mut self, resource: &Resource, kind: &Value) -> Value {
        let name = format!(
            "{}.{}.{}",
            if resource.group.is_empty() {
                "core"
            } else {
                &resource.group
            },
            resource.version,
            resource.kind
        );
        let mut schema = match &resource.custom {
            Some(custom) => custom.openapi.clone(),
            None => self.schema(resource.schema()),
        };
        set(
            &mut schema,
            &["x-kubernetes-group-version-kind"],
            json!([kind]),
        );
        self.schemas.insert(name.clone(), schema);
        json!({"$ref": format!("#/components/schemas/{name}")})
    }

    /// Describes what the schemas so far refer to, too.
    fn finish(mut self) -> BTreeMap<String, Value> {
        while let Some(name) = self.open.pop() {
            if !self.schemas.contains_key(name) {
                self.schemas.insert(name.to_owned(), Value::Null);
                let schema = self.schema(builtin(name));
                self.schemas.insert(name.to_owned(), schema);
            }
        }
        self.schemas
    }

    fn reference(&mut self, reference: &Ref) -> Value {
        match reference {
            Ref::Named("any") => {
                json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
            }
            Ref::Named(name) => {
                self.open.push(name);
                json!({"allOf": [{"$ref": format!("#/components/schemas/{name}")}]})
            }
            Ref::Here(schema) => self.schema(schema),
        }
    }

    fn schema(&mut self, schema: &Schema) -> Value {
        match &schema.kind {
            Kind::Any => json!({"x-kubernetes-preserve-unknown-fields": true}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "format": "byte"}),
            Kind::Time => json!({"type": "string", "format": "date-time"}),
            Kind::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            Kind::IntOrString => {
                json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"})
            }
            Kind::Integer => json!({"type": "integer"}),
            Kind::Number => json!({"type": "number"}),
            Kind::Boolean => json!({"type": "boolean"}),
            Kind::Array { items, list } => {
                let mut out = json!({"type": "array", "items": self.reference(items)});
                match list {
                    ListType::Atomic => set(&mut out, &["x-kubernetes-list-type"], "atomic".into()),
                    ListType::Set => set(&mut out, &["x-kubernetes-list-type"], "set".into()),
                    ListType::Map(keys) => {
                        set(&mut out, &["x-kubernetes-list-type"], "map".into());
                        set(&mut out, &["x-kubernetes-list-map-keys"], json!(keys));
                    }
                }
                out
            }
            Kind::Object(object) => {
                let mut out = json!({"type": "object"});
                for (name, field) in &object.properties {
                    let mut inner = self.reference(&field.schema);
                    if let Some(default) = &field.default {
                        set(&mut inner, &["default"], default.clone());
                    }
                    if let Some(key) = &field.patch.merge_key {
                        set(
                            &mut inner,
                            &["x-kubernetes-patch-merge-key"],
                            key.as_str().into(),
                        );
                    }
                    if field.patch.merge {
                        set(&mut inner, &["x-kubernetes-patch-strategy"], "merge".into());
                    }
                    set(&mut out, &["properties", name], inner);
                }
                if !object.required.is_empty() {
                    set(&mut out, &["required"], json!(object.required));
                }
                if let Some(additional) = &object.additional {
                    let inner = self.reference(additional);
                    set(&mut out, &["additionalProperties"], inner);
                }
                if object.atomic {
                    set(&mut out, &["x-kubernetes-map-type"], "atomic".into());
                }
                out
            }
        }
    }
}
