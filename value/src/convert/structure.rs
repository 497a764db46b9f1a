//! Conversion of collections, tuples and objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    ConvertError, convert_at, list_of, map_of, mismatch_message, set_of, unify, unify_unsafe,
};
use crate::{Kind, ObjectType, Path, Refinement, Step, Type, Value};

/// Whether there is a conversion; see [`super::convertible`].
pub(super) fn plan(got: &Type, want: &Type, unsafe_: bool) -> bool {
    let element = |got: &Type, want: &Type| got == want || plan(got, want, unsafe_);
    match (got, want) {
        (_, Type::Dynamic) => true,
        (Type::Dynamic, _) => unsafe_,
        (Type::Number | Type::Bool, Type::String) => true,
        (Type::String, Type::Number | Type::Bool) => unsafe_,
        (a, b) if a.is_primitive() && b.is_primitive() => a == b,
        (Type::Object(got), Type::Object(want)) => {
            want.attributes
                .iter()
                .all(|(name, want_type)| match got.attributes.get(name) {
                    Some(got_type) => element(got_type, want_type),
                    None => want.optional.contains(name),
                })
        }
        (Type::Tuple(got), Type::Tuple(want)) => {
            got.len() == want.len() && got.iter().zip(want.iter()).all(|(g, w)| element(g, w))
        }
        (Type::List(got) | Type::Set(got), Type::List(want)) => element(got, want),
        // The order would be lost, and doubles.
        (Type::List(_), Type::Set(_)) if !unsafe_ => false,
        (Type::List(got) | Type::Set(got), Type::Set(want)) => element(got, want),
        (Type::Map(got), Type::Map(want)) => element(got, want),
        (Type::Tuple(got), Type::List(want) | Type::Set(want)) => {
            let Some(want) = element_target(got, want, unsafe_) else {
                return false;
            };
            (want != Type::Dynamic || got.iter().all(|t| *t == Type::Dynamic))
                && got.iter().all(|g| element(g, &want))
        }
        (Type::Object(got), Type::Map(want)) => {
            let types: Vec<Type> = got.attributes.values().cloned().collect();
            let Some(want) = element_target(&types, want, unsafe_) else {
                return false;
            };
            types.iter().all(|g| element(g, &want))
        }
        // Whether the keys are right shows only with the value.
        (Type::Map(got), Type::Object(want)) => {
            unsafe_
                && want
                    .attributes
                    .iter()
                    .all(|(name, w)| element(got, w) || want.optional.contains(name))
        }
        _ => false,
    }
}

/// What the elements of a structure become in a collection: the wanted type, or where that is open, what they have in common.
fn element_target(types: &[Type], want: &Type, unsafe_: bool) -> Option<Type> {
    if *want != Type::Dynamic || types.is_empty() {
        Some(want.clone())
    } else if unsafe_ {
        unify_unsafe(types)
    } else {
        unify(types)
    }
}

pub(super) fn convert_structure(
    value: &Value,
    want: &Type,
    path: &mut Path,
) -> Result<Value, ConvertError> {
    match (value.kind(), want) {
        (Kind::List(got, _), Type::List(want)) | (Kind::Set(got, _), Type::Set(want))
            if *got == **want =>
        {
            Ok(value.clone().unmark().0)
        }
        (Kind::Map(got, _), Type::Map(want)) if *got == **want => Ok(value.clone().unmark().0),
        (Kind::Set(got, items), Type::List(want))
            if items.len() > 1 && !value.is_wholly_known() =>
        {
            // Unknown elements may be doubles of others, so nobody knows how long the list is.
            Ok(Value::unknown(Type::list(fill_dynamic(
                got,
                &want.without_optional(),
            ))))
        }
        (Kind::List(got, items) | Kind::Set(got, items), Type::List(want)) => list_of(
            &element_fallback(got, want),
            convert_items(items, want, path)?,
            path,
        ),
        (Kind::List(got, items) | Kind::Set(got, items), Type::Set(want)) => set_of(
            &element_fallback(got, want),
            convert_items(items, want, path)?,
            path,
        ),
        (Kind::Map(got, entries), Type::Map(want)) => {
            let entries = unify_entries(convert_entries(entries, want, path)?, want, path)?;
            map_of(&element_fallback(got, want), entries, path)
        }
        (Kind::Tuple(items), Type::List(open)) => {
            let element = structure_target(items.iter(), open, value, want, path)?;
            let items = unify_items(convert_items(items, &element, path)?, path)?;
            list_of(&element.without_optional(), items, path)
        }
        (Kind::Tuple(items), Type::Set(open)) => {
            let element = structure_target(items.iter(), open, value, want, path)?;
            set_of(
                &element.without_optional(),
                convert_items(items, &element, path)?,
                path,
            )
        }
        (Kind::Object(entries), Type::Map(open)) => {
            let element = structure_target(entries.values(), open, value, want, path)?;
            let entries = unify_entries(convert_entries(entries, &element, path)?, &element, path)?;
            map_of(&element.without_optional(), entries, path)
        }
        (Kind::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => Ok(Value::tuple(
            items
                .iter()
                .zip(types.iter())
                .enumerate()
                .map(|(i, (item, want))| inside(item, want, Step::Index(Value::number(i)), path))
                .collect::<Result<_, _>>()?,
        )),
        (Kind::Object(entries), Type::Object(want)) => object(entries, want, path),
        (Kind::Map(_, entries), Type::Object(want)) => map_to_object(entries, want, path),
        _ => Err(ConvertError::new(path, mismatch_message(&value.ty(), want))),
    }
}

fn structure_target<'a>(
    items: impl Iterator<Item = &'a Value>,
    open: &Type,
    value: &Value,
    want: &Type,
    path: &Path,
) -> Result<Type, ConvertError> {
    let types: Vec<Type> = if *open == Type::Dynamic {
        items.map(Value::ty).collect()
    } else {
        Vec::new()
    };
    element_target(&types, open, true)
        .ok_or_else(|| ConvertError::new(path, mismatch_message(&value.ty(), want)))
}

/// The element type of a collection that turns out to have no elements.
fn element_fallback(got: &Type, want: &Type) -> Type {
    if *want == Type::Dynamic {
        got.clone()
    } else {
        want.without_optional()
    }
}

fn inside(item: &Value, want: &Type, step: Step, path: &mut Path) -> Result<Value, ConvertError> {
    path.0.push(step);
    let converted = convert_at(item, want, path);
    path.0.pop();
    converted
}

fn convert_items(
    items: &[Value],
    want: &Type,
    path: &mut Path,
) -> Result<Vec<Value>, ConvertError> {
    items
        .iter()
        .enumerate()
        .map(|(i, item)| inside(item, want, Step::Index(Value::number(i)), path))
        .collect()
}

type Entries = BTreeMap<Arc<str>, Value>;

fn convert_entries(
    entries: &Entries,
    want: &Type,
    path: &mut Path,
) -> Result<Entries, ConvertError> {
    entries
        .iter()
        .map(|(k, v)| {
            Ok((
                Arc::clone(k),
                inside(v, want, Step::Index(Value::string(k)), path)?,
            ))
        })
        .collect()
}

/// Elements whose types still differ, because the wanted type leaves parts open, find a common type.
fn unify_items(items: Vec<Value>, path: &mut Path) -> Result<Vec<Value>, ConvertError> {
    let types: Vec<Type> = items.iter().map(Value::ty).collect();
    if types.windows(2).all(|pair| pair[0] == pair[1]) {
        return Ok(items);
    }
    let common = unify_unsafe(&types).ok_or_else(|| {
        ConvertError::new(path, "cannot find a common base type for all elements")
    })?;
    convert_items(&items, &common, path)
}

fn unify_entries(
    entries: Entries,
    element: &Type,
    path: &mut Path,
) -> Result<Entries, ConvertError> {
    if !element.is_collection() && !matches!(element, Type::Object(_)) {
        return Ok(entries);
    }
    let (keys, items): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
    Ok(keys.into_iter().zip(unify_items(items, path)?).collect())
}

fn object(entries: &Entries, want: &ObjectType, path: &mut Path) -> Result<Value, ConvertError> {
    let mut out = BTreeMap::new();
    for (name, ty) in &want.attributes {
        let converted = match entries.get(name) {
            Some(value) => inside(value, ty, Step::Attr(Arc::clone(name)), path)?,
            None if want.optional.contains(name) => Value::null(ty.without_optional()),
            None => {
                return Err(ConvertError::new(
                    path,
                    format!("attribute {name:?} is required"),
                ));
            }
        };
        out.insert(Arc::clone(name), converted);
    }
    Ok(Value::object(out))
}

fn map_to_object(
    entries: &Entries,
    want: &ObjectType,
    path: &mut Path,
) -> Result<Value, ConvertError> {
    let mut out = BTreeMap::new();
    for (name, ty) in &want.attributes {
        let converted = match entries.get(name) {
            Some(value) if value.ty() != *ty && !plan(&value.ty(), ty, true) => {
                let why = mismatch_message(&value.ty(), ty);
                let message =
                    format!("map element type is incompatible with attribute {name:?}: {why}");
                return Err(ConvertError::new(path, message));
            }
            Some(value) => inside(value, ty, Step::Index(Value::string(name)), path)?,
            None if want.optional.contains(name) => Value::null(ty.without_optional()),
            None => {
                let message = format!("map has no element for required attribute {name:?}");
                return Err(ConvertError::new(path, message));
            }
        };
        out.insert(Arc::clone(name), converted);
    }
    Ok(Value::object(out))
}

/// The wanted type with its open parts filled in from the type at hand.
pub(super) fn fill_dynamic(got: &Type, want: &Type) -> Type {
    let common = |types: &[Type]| unify_unsafe(types).unwrap_or(Type::Dynamic);
    match (got, want) {
        (Type::Dynamic, want) => want.clone(),
        (got, Type::Dynamic) => got.clone(),
        (Type::Map(got), Type::Map(want)) => Type::map(fill_dynamic(got, want)),
        (Type::Object(got), Type::Map(want)) => {
            let types: Vec<Type> = got.attributes.values().cloned().collect();
            Type::map(fill_dynamic(&common(&types), want))
        }
        (Type::Map(got), Type::Object(want)) => Type::object(
            want.attributes
                .iter()
                .map(|(k, t)| (Arc::clone(k), fill_dynamic(got, t))),
        ),
        (Type::Object(got), Type::Object(want)) => {
            Type::object(want.attributes.iter().map(|(k, t)| {
                let filled = got
                    .attributes
                    .get(k)
                    .map_or_else(|| t.clone(), |g| fill_dynamic(g, t));
                (Arc::clone(k), filled)
            }))
        }
        (Type::List(got) | Type::Set(got), Type::Set(want)) => Type::set(fill_dynamic(got, want)),
        (Type::List(got) | Type::Set(got), Type::List(want)) => Type::list(fill_dynamic(got, want)),
        (Type::Tuple(got), Type::Set(want)) => Type::set(fill_dynamic(&common(got), want)),
        (Type::Tuple(got), Type::List(want)) => Type::list(fill_dynamic(&common(got), want)),
        (Type::Tuple(got), Type::Tuple(want)) if got.len() == want.len() => {
            Type::tuple(got.iter().zip(want.iter()).map(|(g, w)| fill_dynamic(g, w)))
        }
        (_, want) => want.clone(),
    }
}

/// An unknown of the target type, with what is known of the source as far as conversion preserves it.
pub(super) fn unknown_result(source: &Value, target: Type) -> Value {
    let not_null = source.is_definitely_not_null();
    let known = source.refinement().cloned().unwrap_or_default();
    let exactly = |n: usize| (Some(n), Some(n));
    let (min_length, max_length) = match (source.ty(), &target) {
        (Type::Object(o), Type::Map(_)) => exactly(o.attributes.len()),
        (Type::Tuple(t), Type::List(_)) => exactly(t.len()),
        (Type::Tuple(t), Type::Set(_)) => (Some(t.len().min(1)), Some(t.len())),
        (a, Type::Set(_)) if a.is_collection() => {
            (known.min_length.map(|n| n.min(1)), known.max_length)
        }
        (a, b) if a.is_collection() && b.is_collection() => (known.min_length, known.max_length),
        _ => (None, None),
    };
    Value::unknown(target).refine(|r| {
        *r = Refinement {
            not_null,
            min_length: min_length.filter(|n| *n > 0),
            max_length,
            ..Refinement::default()
        };
    })
}
