//! Values, and what surrounds an object's values, as the JSON formats write them.

use serde_json::{Map, Value as Json, json};
use stead_state::ProviderConfigRef;
use stead_value::addr::{InstanceKey, ModuleInstance, ResourceInstance, ResourceMode};
use stead_value::{Kind, Path, Step, Type, Value};

pub(super) fn head(address: &ResourceInstance, provider: &ProviderConfigRef) -> Map<String, Json> {
    let mut out = Map::new();
    out.insert("address".into(), json!(address.to_string()));
    out.insert(
        "mode".into(),
        json!(match address.resource.mode {
            ResourceMode::Managed => "managed",
            ResourceMode::Data => "data",
            ResourceMode::Ephemeral => "ephemeral",
        }),
    );
    out.insert("type".into(), json!(&*address.resource.type_name));
    out.insert("name".into(), json!(&*address.resource.name));
    match &address.key {
        InstanceKey::None => {}
        InstanceKey::Int(i) => drop(out.insert("index".into(), json!(i))),
        InstanceKey::String(s) => drop(out.insert("index".into(), json!(&**s))),
    }
    out.insert("provider_name".into(), json!(provider.source.to_string()));
    out
}

/// Resources by module, as the formats nest them.
#[derive(Default)]
pub(super) struct ModuleTree {
    resources: Vec<Json>,
    children: std::collections::BTreeMap<String, (ModuleInstance, ModuleTree)>,
}

impl ModuleTree {
    pub(super) fn add(&mut self, module: &ModuleInstance, resource: Json) {
        let mut tree = self;
        let mut path = ModuleInstance::root();
        for (name, key) in module.0.iter() {
            path = path.child(name.clone(), key.clone());
            let entry = tree.children.entry(path.to_string());
            tree = &mut entry
                .or_insert_with(|| (path.clone(), ModuleTree::default()))
                .1;
        }
        tree.resources.push(resource);
    }

    /// Resources by the text of their addresses.
    pub(super) fn sort(&mut self) {
        let address = |r: &Json| r["address"].as_str().unwrap_or_default().to_owned();
        self.resources.sort_by_cached_key(address);
        self.children.values_mut().for_each(|(_, tree)| tree.sort());
    }

    pub(super) fn json(self, address: Option<String>) -> Json {
        let mut out = Map::new();
        if !self.resources.is_empty() {
            out.insert("resources".into(), self.resources.into());
        }
        if let Some(address) = address {
            out.insert("address".into(), json!(address));
        }
        if !self.children.is_empty() {
            let children: Vec<Json> = self
                .children
                .into_values()
                .map(|(path, tree)| tree.json(Some(path.to_string())))
                .collect();
            out.insert("child_modules".into(), children.into());
        }
        out.into()
    }
}

pub(super) fn path(path: &Path) -> Json {
    let step = |s: &Step| match s {
        Step::Attr(name) => json!(&**name),
        Step::Index(key) => known(key),
    };
    path.steps().iter().map(step).collect::<Vec<_>>().into()
}

/// The known parts of a value; unknown attributes and entries are left out, unknown elements are null.
pub(super) fn known(value: &Value) -> Json {
    match value.kind() {
        Kind::Null(_) | Kind::Unknown(..) => Json::Null,
        Kind::Bool(b) => json!(b),
        Kind::Number(n) => n
            .to_string()
            .parse::<serde_json::Number>()
            .map_or(Json::Null, Json::Number),
        Kind::String(s) => json!(&**s),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            items.iter().map(known).collect::<Vec<_>>().into()
        }
        Kind::Map(_, entries) | Kind::Object(entries) => entries
            .iter()
            .filter(|(_, v)| v.is_known())
            .map(|(k, v)| (k.to_string(), known(v)))
            .collect::<Map<_, _>>()
            .into(),
    }
}

/// `true` where a value is unknown, in the value's shape; `None` where everything is known.
pub(super) fn unknown(value: &Value) -> Option<Json> {
    flags(value, &|v| !v.is_known())
}

/// `true` where a value is sensitive, in the value's shape.
pub(super) fn sensitive(value: &Value) -> Json {
    flags(value, &Value::is_sensitive).unwrap_or_else(|| match value.kind() {
        Kind::Map(..) | Kind::Object(..) => json!({}),
        _ => json!(false),
    })
}

fn flags(value: &Value, is_set: &dyn Fn(&Value) -> bool) -> Option<Json> {
    if is_set(value) {
        return Some(json!(true));
    }
    match value.kind() {
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            let inner: Vec<Option<Json>> = items.iter().map(|v| flags(v, is_set)).collect();
            // Containers keep their shape, so that a reader can walk both trees together.
            Some(
                inner
                    .into_iter()
                    .map(|f| f.unwrap_or(json!(false)))
                    .collect::<Vec<_>>()
                    .into(),
            )
        }
        Kind::Map(_, entries) | Kind::Object(entries) => Some(
            entries
                .iter()
                .filter_map(|(k, v)| Some((k.to_string(), flags(v, is_set)?)))
                .collect::<Map<_, _>>()
                .into(),
        ),
        // An unknown container has a shape too, with nothing in it.
        Kind::Unknown(Type::List(_) | Type::Set(_) | Type::Tuple(_), _) => Some(json!([])),
        Kind::Unknown(Type::Map(_) | Type::Object(..), _) => Some(json!({})),
        _ => None,
    }
}
