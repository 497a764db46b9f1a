//! Parts of types and values by their path.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::{Kind, Step, Type, Value};

/// The type that values at the path have; `None` when values of the type have no such place.
pub(crate) fn type_at(ty: &Type, steps: &[Step]) -> Option<Type> {
    steps
        .iter()
        .try_fold(ty.clone(), |ty, step| match (&ty, step) {
            (Type::Dynamic, _) => Some(Type::Dynamic),
            (Type::Object(o), Step::Attr(name)) => o.attributes.get(name).cloned(),
            (Type::Object(o), Step::Index(key)) => o.attributes.get(key.as_str()?).cloned(),
            (Type::List(t) | Type::Set(t) | Type::Map(t), _) => Some((**t).clone()),
            (Type::Tuple(types), Step::Index(key)) => {
                types.get(usize::try_from(key.as_i64()?).ok()?).cloned()
            }
            _ => None,
        })
}

/// The value with `new` at `path`; `None` when the way there does not exist.
pub(crate) fn set(value: &Value, steps: &[Step], new: Value) -> Option<Value> {
    let Some((step, rest)) = steps.split_first() else {
        return Some(new);
    };
    let marks = value.marks();
    let changed = match (value.kind(), step) {
        (Kind::Object(entries), Step::Attr(name)) => {
            Value::object(replace_entry(entries, name, rest, new)?)
        }
        (Kind::Object(entries), Step::Index(key)) => {
            Value::object(replace_entry(entries, key.as_str()?, rest, new)?)
        }
        (Kind::Map(ty, entries), Step::Index(key)) => Value::map(
            ty.clone(),
            replace_entry(entries, key.as_str()?, rest, new)?,
        ),
        (Kind::Map(ty, entries), Step::Attr(name)) => {
            Value::map(ty.clone(), replace_entry(entries, name, rest, new)?)
        }
        (Kind::List(ty, items), Step::Index(key)) => {
            Value::list(ty.clone(), replace_item(items, key, rest, new)?)
        }
        (Kind::Tuple(items), Step::Index(key)) => {
            Value::tuple(replace_item(items, key, rest, new)?)
        }
        (Kind::Set(ty, items), Step::Index(key)) => {
            let place = items.iter().position(|item| item == key)?;
            let mut items = items.to_vec();
            let slot = items.get_mut(place)?;
            *slot = set(slot, rest, new)?;
            Value::set(ty.clone(), items)
        }
        _ => return None,
    };
    Some(changed.with_marks(marks))
}

fn replace_entry(
    entries: &BTreeMap<Arc<str>, Value>,
    name: &str,
    rest: &[Step],
    new: Value,
) -> Option<BTreeMap<Arc<str>, Value>> {
    let mut entries = entries.clone();
    let slot = entries.get_mut(name)?;
    *slot = set(slot, rest, new)?;
    Some(entries)
}

fn replace_item(items: &[Value], key: &Value, rest: &[Step], new: Value) -> Option<Vec<Value>> {
    let mut items = items.to_vec();
    let slot = items.get_mut(usize::try_from(key.as_i64()?).ok()?)?;
    *slot = set(slot, rest, new)?;
    Some(items)
}
