//! The one type that several types have in common.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use super::{ConvertError, convert, convertible};
use crate::{Type, Value};

/// The most general type to which all of the given types always convert; `None` when there is none (or no type was given).
pub fn unify(types: &[Type]) -> Option<Type> {
    unify_with(types, false)
}

/// Like [`unify`], but also by conversions that may fail for some values.
pub fn unify_unsafe(types: &[Type]) -> Option<Type> {
    unify_with(types, true)
}

/// Brings values to their common type. `Ok(None)` when their types have none in common; an error when a value does not
/// convert. Collections or structures among which one's type is not known yet all become unknown, because nobody can say yet
/// what they will have in common.
pub fn unify_values(
    values: &[Value],
    unsafe_: bool,
) -> Result<Option<(Type, Vec<Value>)>, ConvertError> {
    let types: Vec<Type> = values.iter().map(Value::ty).collect();
    let Some(common) = unify_with(&types, unsafe_) else {
        return Ok(None);
    };
    let open = common == Type::Dynamic && types.contains(&Type::Dynamic);
    let values = if open && Kinds::of(&types).one_structure() {
        values
            .iter()
            .map(|v| Value::dynamic().with_marks(v.marks()))
            .collect()
    } else {
        values
            .iter()
            .map(|v| convert(v, &common))
            .collect::<Result<_, _>>()?
    };
    Ok(Some((common, values)))
}

/// How many of each kind of type there are.
#[derive(Default)]
struct Kinds {
    map: usize,
    list: usize,
    set: usize,
    object: usize,
    tuple: usize,
    dynamic: usize,
    total: usize,
}

impl Kinds {
    fn of(types: &[Type]) -> Kinds {
        let mut kinds = Kinds {
            total: types.len(),
            ..Kinds::default()
        };
        for ty in types {
            match ty {
                Type::Map(_) => kinds.map += 1,
                Type::List(_) => kinds.list += 1,
                Type::Set(_) => kinds.set += 1,
                Type::Object(_) => kinds.object += 1,
                Type::Tuple(_) => kinds.tuple += 1,
                Type::Dynamic => kinds.dynamic += 1,
                Type::Bool | Type::Number | Type::String => {}
            }
        }
        kinds
    }

    fn only(&self, count: usize) -> bool {
        count > 0 && count + self.dynamic == self.total
    }

    fn one_structure(&self) -> bool {
        [self.map, self.list, self.set, self.object, self.tuple]
            .iter()
            .any(|n| self.only(*n))
    }
}

fn unify_with(types: &[Type], unsafe_: bool) -> Option<Type> {
    let (first, rest) = types.split_first()?;
    if rest.iter().all(|t| t == first) {
        return Some(first.clone());
    }
    let kinds = Kinds::of(types);
    if kinds.one_structure() && kinds.dynamic > 0 {
        return Some(Type::Dynamic);
    }
    if kinds.only(kinds.map) {
        return elements(types, unsafe_).map(Type::map);
    }
    if kinds.only(kinds.list) {
        return elements(types, unsafe_).map(Type::list);
    }
    if kinds.only(kinds.set) {
        return elements(types, unsafe_).map(Type::set);
    }
    if kinds.only(kinds.object) {
        return objects(types, unsafe_);
    }
    if kinds.only(kinds.tuple) {
        return tuples(types, unsafe_);
    }
    if kinds.map > 0 && kinds.only(kinds.map + kinds.object) {
        if let Some(common @ Type::Map(_)) = as_collections(types, unsafe_) {
            return Some(common);
        }
    } else if kinds.list > 0 && kinds.only(kinds.list + kinds.tuple) {
        if let Some(common @ Type::List(_)) = as_collections(types, unsafe_) {
            return Some(common);
        }
    } else if kinds.object > 0 && kinds.tuple > 0 {
        return None;
    }
    preferred(types, unsafe_)
}

/// The first type, most general first, to which all others convert.
fn preferred(types: &[Type], unsafe_: bool) -> Option<Type> {
    most_general_first(types)
        .into_iter()
        .filter_map(|i| types.get(i))
        .find(|want| {
            types
                .iter()
                .all(|t| t == *want || convertible(t, want, unsafe_))
        })
        .cloned()
}

fn elements(types: &[Type], unsafe_: bool) -> Option<Type> {
    let inner: Vec<Type> = types
        .iter()
        .filter_map(|t| match t {
            Type::List(t) | Type::Set(t) | Type::Map(t) => Some((**t).clone()),
            _ => None,
        })
        .collect();
    unify_with(&inner, unsafe_)
}

/// Objects beside maps count as maps, tuples beside lists as lists.
fn as_collections(types: &[Type], unsafe_: bool) -> Option<Type> {
    let structures: Vec<Type> = types
        .iter()
        .filter(|t| matches!(t, Type::Object(_) | Type::Tuple(_)))
        .cloned()
        .collect();
    let collection = match structures.first()? {
        Type::Object(_) => objects_to_map(&structures, unsafe_)?,
        _ => tuples_to_list(&structures, unsafe_)?,
    };
    let types: Vec<Type> = types
        .iter()
        .map(|t| {
            if matches!(t, Type::Object(_) | Type::Tuple(_)) {
                collection.clone()
            } else {
                t.clone()
            }
        })
        .collect();
    unify_with(&types, unsafe_)
}

fn all_convert(types: &[Type], want: &Type, unsafe_: bool) -> bool {
    types
        .iter()
        .all(|t| t == want || convertible(t, want, unsafe_))
}

/// Objects with the same attribute names unify attribute by attribute, others as maps.
fn objects(types: &[Type], unsafe_: bool) -> Option<Type> {
    let objects: Vec<_> = types
        .iter()
        .filter_map(|t| match t {
            Type::Object(o) => Some(&o.attributes),
            _ => None,
        })
        .collect();
    let first = objects.first()?;
    if !objects.iter().all(|o| o.keys().eq(first.keys())) {
        return objects_to_map(types, unsafe_);
    }
    let mut attributes = BTreeMap::new();
    for name in first.keys() {
        let across: Vec<Type> = objects
            .iter()
            .filter_map(|o| o.get(name))
            .cloned()
            .collect();
        attributes.insert(name.clone(), unify_with(&across, unsafe_)?);
    }
    let common = Type::object(attributes);
    if all_convert(types, &common, unsafe_) {
        Some(common)
    } else {
        objects_to_map(types, unsafe_)
    }
}

fn objects_to_map(types: &[Type], unsafe_: bool) -> Option<Type> {
    let inner: Vec<Type> = types
        .iter()
        .filter_map(|t| match t {
            Type::Object(o) => Some(o.attributes.values().cloned()),
            _ => None,
        })
        .flatten()
        .collect();
    let common = Type::map(unify_with(&inner, unsafe_)?);
    all_convert(types, &common, unsafe_).then_some(common)
}

/// Tuples of one length unify element by element, others as lists.
fn tuples(types: &[Type], unsafe_: bool) -> Option<Type> {
    let tuples: Vec<&[Type]> = types
        .iter()
        .filter_map(|t| match t {
            Type::Tuple(elements) => Some(&**elements),
            _ => None,
        })
        .collect();
    let length = tuples.first()?.len();
    if !tuples.iter().all(|t| t.len() == length) {
        return tuples_to_list(types, unsafe_);
    }
    let mut elements = Vec::with_capacity(length);
    for i in 0..length {
        let across: Vec<Type> = tuples.iter().filter_map(|t| t.get(i)).cloned().collect();
        elements.push(unify_with(&across, unsafe_)?);
    }
    let common = Type::tuple(elements);
    if all_convert(types, &common, unsafe_) {
        Some(common)
    } else {
        tuples_to_list(types, unsafe_)
    }
}

fn tuples_to_list(types: &[Type], unsafe_: bool) -> Option<Type> {
    let inner: Vec<Type> = types
        .iter()
        .filter_map(|t| match t {
            Type::Tuple(elements) => Some(elements.iter().cloned()),
            _ => None,
        })
        .flatten()
        .collect();
    let common = Type::list(unify_with(&inner, unsafe_)?);
    all_convert(types, &common, unsafe_).then_some(common)
}

/// Indices in topological order of "is more general than"; what cannot be compared keeps its order.
fn most_general_first(types: &[Type]) -> Vec<usize> {
    let mut less_general = vec![Vec::new(); types.len()];
    let mut waiting_for = vec![0usize; types.len()];
    for (i, a) in types.iter().enumerate() {
        for (j, b) in types.iter().enumerate().skip(i + 1) {
            let (from, to) = match generality(a, b) {
                Ordering::Less => (i, j),
                Ordering::Greater => (j, i),
                Ordering::Equal => continue,
            };
            if let (Some(edges), Some(count)) =
                (less_general.get_mut(from), waiting_for.get_mut(to))
            {
                edges.push(to);
                *count += 1;
            }
        }
    }
    let mut ready: VecDeque<usize> = waiting_for
        .iter()
        .enumerate()
        .filter(|(_, n)| **n == 0)
        .map(|(i, _)| i)
        .collect();
    let mut order = Vec::with_capacity(types.len());
    while let Some(i) = ready.pop_front() {
        order.push(i);
        for &j in less_general.get(i).map(Vec::as_slice).unwrap_or_default() {
            if let Some(count) = waiting_for.get_mut(j) {
                *count -= 1;
                if *count == 0 {
                    ready.push_back(j);
                }
            }
        }
    }
    order
}

/// `Less` when `a` is the more general of two types, which are assumed to convert; `Equal` when neither is.
fn generality(a: &Type, b: &Type) -> Ordering {
    let together = |pairs: &mut dyn Iterator<Item = Ordering>| {
        let (mut less, mut greater) = (false, false);
        for order in pairs {
            less |= order.is_lt();
            greater |= order.is_gt();
        }
        match (less, greater) {
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            _ => Ordering::Equal,
        }
    };
    match (a, b) {
        (Type::Dynamic, Type::Dynamic) => Ordering::Equal,
        // A placeholder: it will turn out like its neighbours.
        (_, Type::Dynamic) => Ordering::Less,
        (Type::Dynamic, _) => Ordering::Greater,
        (Type::String, Type::Bool | Type::Number) => Ordering::Less,
        (Type::Bool | Type::Number, Type::String) => Ordering::Greater,
        (Type::List(a), Type::List(b))
        | (Type::Set(a), Type::Set(b))
        | (Type::Map(a), Type::Map(b)) => generality(a, b),
        (Type::List(_), Type::Tuple(_) | Type::Set(_))
        | (Type::Map(_), Type::Object(_))
        | (Type::Tuple(_), Type::Set(_)) => Ordering::Less,
        (Type::Tuple(_) | Type::Set(_), Type::List(_))
        | (Type::Object(_), Type::Map(_))
        | (Type::Set(_), Type::Tuple(_)) => Ordering::Greater,
        (Type::Object(a), Type::Object(b)) if a.attributes.keys().eq(b.attributes.keys()) => {
            together(
                &mut a
                    .attributes
                    .values()
                    .zip(b.attributes.values())
                    .map(|(a, b)| generality(a, b)),
            )
        }
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => {
            together(&mut a.iter().zip(b.iter()).map(|(a, b)| generality(a, b)))
        }
        _ => Ordering::Equal,
    }
}
