//! Values in a plan file: every kind, unknowns and marks included.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use stead_value::{Kind, Marks, Number, Path, Step, Value, json};

/// A value as JSON that says its own kind.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wire {
    Null(serde_json::Value),
    Unknown(serde_json::Value),
    Bool(bool),
    Number(String),
    String(String),
    List(serde_json::Value, Vec<Wire>),
    Set(serde_json::Value, Vec<Wire>),
    Map(serde_json::Value, BTreeMap<String, Wire>),
    Tuple(Vec<Wire>),
    Object(BTreeMap<String, Wire>),
    Sensitive(Box<Wire>),
}

impl Wire {
    /// Ephemeral values must not come here; the planner keeps them out of objects.
    pub(crate) fn of(value: &Value) -> Wire {
        let each = |items: &[Value]| items.iter().map(Wire::of).collect();
        let entries = |m: &BTreeMap<Arc<str>, Value>| {
            m.iter()
                .map(|(k, v)| (k.to_string(), Wire::of(v)))
                .collect()
        };
        let plain = match value.kind() {
            Kind::Null(t) => Wire::Null(json::type_to_json(t)),
            Kind::Unknown(t, _) => Wire::Unknown(json::type_to_json(t)),
            Kind::Bool(b) => Wire::Bool(*b),
            Kind::Number(n) => Wire::Number(n.to_string()),
            Kind::String(s) => Wire::String(s.to_string()),
            Kind::List(t, items) => Wire::List(json::type_to_json(t), each(items)),
            Kind::Set(t, items) => Wire::Set(json::type_to_json(t), each(items)),
            Kind::Map(t, m) => Wire::Map(json::type_to_json(t), entries(m)),
            Kind::Tuple(items) => Wire::Tuple(each(items)),
            Kind::Object(m) => Wire::Object(entries(m)),
        };
        if value.is_sensitive() {
            Wire::Sensitive(Box::new(plain))
        } else {
            plain
        }
    }

    /// The value again; `None` when a type or number is not one.
    pub(crate) fn value(self) -> Option<Value> {
        let ty = |t: &serde_json::Value| json::type_from_json(t);
        let each = |items: Vec<Wire>| {
            items
                .into_iter()
                .map(Wire::value)
                .collect::<Option<Vec<_>>>()
        };
        let entries = |m: BTreeMap<String, Wire>| {
            m.into_iter()
                .map(|(k, v)| Some((Arc::from(k), v.value()?)))
                .collect::<Option<BTreeMap<Arc<str>, Value>>>()
        };
        Some(match self {
            Wire::Null(t) => Value::null(ty(&t)?),
            Wire::Unknown(t) => Value::unknown(ty(&t)?),
            Wire::Bool(b) => Value::bool(b),
            Wire::Number(text) => Value::number(Number::parse(&text)?),
            Wire::String(s) => Value::string(s),
            Wire::List(t, items) => Value::list(ty(&t)?, each(items)?),
            Wire::Set(t, items) => Value::set(ty(&t)?, each(items)?),
            Wire::Map(t, m) => Value::map(ty(&t)?, entries(m)?),
            Wire::Tuple(items) => Value::tuple(each(items)?),
            Wire::Object(m) => Value::object(entries(m)?),
            Wire::Sensitive(inner) => inner.value()?.with_marks(Marks::SENSITIVE),
        })
    }
}

/// A path, step by step.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireStep {
    Attr(String),
    Index(Wire),
}

pub(crate) fn path_to_wire(path: &Path) -> Vec<WireStep> {
    path.steps()
        .iter()
        .map(|step| match step {
            Step::Attr(name) => WireStep::Attr(name.to_string()),
            Step::Index(key) => WireStep::Index(Wire::of(key)),
        })
        .collect()
}

pub(crate) fn path_from_wire(steps: Vec<WireStep>) -> Option<Path> {
    let step = |s| match s {
        WireStep::Attr(name) => Some(Step::Attr(Arc::from(name))),
        WireStep::Index(key) => key.value().map(Step::Index),
    };
    steps
        .into_iter()
        .map(step)
        .collect::<Option<Vec<_>>>()
        .map(Path)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stead_value::Type;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::bool),
            any::<i64>().prop_map(Value::number),
            ".{0,6}".prop_map(Value::string),
            Just(Value::null(Type::String)),
            Just(Value::unknown(Type::Dynamic)),
            Just(Value::unknown(Type::List(Arc::new(Type::Number)))),
        ];
        let nested = leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::tuple),
                prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|entries| {
                    Value::object(
                        entries
                            .into_iter()
                            .map(|(k, v)| (Arc::from(k), v))
                            .collect(),
                    )
                }),
                prop::collection::vec(".{0,4}", 0..4).prop_map(|items| Value::list(
                    Type::String,
                    items.into_iter().map(Value::string).collect()
                )),
            ]
        });
        (nested, any::<bool>())
            .prop_map(|(value, secret)| if secret { value.sensitive() } else { value })
    }

    proptest! {
        #[test]
        fn values_come_back_from_a_plan_file(value in values()) {
            let text = serde_json::to_string(&Wire::of(&value)).expect("JSON");
            let back = serde_json::from_str::<Wire>(&text).expect("the wire").value().expect("a value");
            prop_assert!(back.raw_equals(&value), "{text}");
            prop_assert_eq!(back.marked_paths(Marks::SENSITIVE).len(), value.marked_paths(Marks::SENSITIVE).len());
        }
    }
}
