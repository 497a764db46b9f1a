//! Defaults of optional attributes: `optional(T, default)`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::unify_values;
use crate::{Kind, Type, Value};

/// The defaults within a type constraint. They are filled in before conversion: `convert(&defaults.apply(&value), &ty)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Defaults {
    /// The constraint they belong to.
    pub ty: Type,
    /// For an object: its attributes' own defaults.
    pub values: BTreeMap<Arc<str>, Value>,
    /// Defaults further inside: by attribute name, by index (in decimal) for tuples, under the empty string for elements of collections.
    pub children: BTreeMap<Arc<str>, Defaults>,
}

impl Defaults {
    /// No defaults anywhere.
    pub fn none(ty: Type) -> Defaults {
        Defaults {
            ty,
            values: BTreeMap::new(),
            children: BTreeMap::new(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.children.is_empty()
    }

    /// Replaces missing and null attributes by their defaults. The result need not have the constraint's type yet.
    #[must_use]
    pub fn apply(&self, value: &Value) -> Value {
        if self.is_empty() {
            return value.clone();
        }
        let filled = match value.kind() {
            Kind::List(t, items) if items.is_empty() => Value::list(t.clone(), Vec::new()),
            Kind::Set(t, items) if items.is_empty() => Value::set(t.clone(), Vec::new()),
            Kind::List(_, items) => match one_type(&self.sequence(items)) {
                Ok((t, items)) => Value::list(t, items),
                Err(items) => Value::tuple(items),
            },
            Kind::Set(_, items) => match one_type(&self.sequence(items)) {
                Ok((t, items)) => Value::set(t, items),
                Err(items) => Value::tuple(items),
            },
            Kind::Tuple(items) => Value::tuple(self.sequence(items)),
            Kind::Map(t, entries) => {
                let (keys, items): (Vec<_>, Vec<_>) = self.entries(entries).into_iter().unzip();
                if keys.is_empty() {
                    Value::map(t.clone(), BTreeMap::new())
                } else {
                    match one_type(&items) {
                        Ok((t, items)) => Value::map(t, keys.into_iter().zip(items).collect()),
                        Err(items) => Value::object(keys.into_iter().zip(items).collect()),
                    }
                }
            }
            Kind::Object(entries) => Value::object(self.entries(entries)),
            _ => return value.clone(),
        };
        filled.with_marks(value.marks())
    }

    fn sequence(&self, items: &[Value]) -> Vec<Value> {
        items
            .iter()
            .enumerate()
            .map(|(i, item)| {
                let child = match self.ty {
                    Type::Tuple(_) => self.children.get(i.to_string().as_str()),
                    _ => self.children.get(""),
                };
                child.map_or_else(|| item.clone(), |d| d.apply(item))
            })
            .collect()
    }

    fn entries(&self, entries: &BTreeMap<Arc<str>, Value>) -> BTreeMap<Arc<str>, Value> {
        let child = |key: &str| match self.ty {
            Type::Object(_) => self.children.get(key),
            _ => self.children.get(""),
        };
        let mut out: BTreeMap<Arc<str>, Value> = entries
            .iter()
            .map(|(k, v)| {
                (
                    Arc::clone(k),
                    child(k).map_or_else(|| v.clone(), |d| d.apply(v)),
                )
            })
            .collect();
        for (key, default) in &self.values {
            match out.get_mut(key) {
                Some(value) if !value.is_null() => {
                    if default.is_definitely_not_null() {
                        *value = value.clone().refine_not_null();
                    }
                }
                _ => {
                    let value = self
                        .children
                        .get(key)
                        .map_or_else(|| default.clone(), |d| d.apply(default));
                    out.insert(Arc::clone(key), value);
                }
            }
        }
        out
    }
}

/// The values in their common type, or as they were when there is none.
fn one_type(values: &[Value]) -> Result<(Type, Vec<Value>), Vec<Value>> {
    match unify_values(values, true) {
        Ok(Some((ty, values))) if values.iter().all(|v| v.ty() == ty) => Ok((ty, values)),
        _ => Err(values.to_vec()),
    }
}
