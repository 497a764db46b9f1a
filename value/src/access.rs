//! Reaching into values: attributes, elements, lengths, paths; and the marks at paths.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Kind, Marks, Path, Refinement, Step, Type, Value};

/// Attributes and elements, with unknowns and marks carried along.
impl Value {
    /// An object's attribute. `None` when the value is null, no object, or has no such attribute.
    pub fn attr(&self, name: &str) -> Option<Value> {
        let found = match self.kind() {
            Kind::Unknown(Type::Dynamic, _) => Value::dynamic(),
            Kind::Unknown(Type::Object(o), _) => Value::unknown(o.attributes.get(name)?.clone()),
            Kind::Object(attributes) => attributes.get(name)?.clone(),
            _ => return None,
        };
        Some(found.with_marks(self.marks()))
    }

    /// The element of a list, tuple or map at a key of the right type (a number, or a string for maps; see
    /// [`convert`](crate::convert::convert)). `None` when there is none, or the value is null or not one of these.
    pub fn index(&self, key: &Value) -> Option<Value> {
        let marks = self.marks().union(key.marks());
        let unknown_key = !key.is_known();
        let found = match self.kind() {
            Kind::Unknown(Type::Dynamic, _) => Value::dynamic(),
            Kind::Unknown(Type::List(t) | Type::Map(t), _) => Value::unknown((**t).clone()),
            Kind::Unknown(Type::Tuple(_), _) | Kind::Tuple(_) if unknown_key => Value::dynamic(),
            Kind::Unknown(Type::Tuple(types), _) => {
                Value::unknown(types.get(position(key)?)?.clone())
            }
            Kind::List(t, _) | Kind::Map(t, _) if unknown_key => Value::unknown(t.clone()),
            Kind::List(_, items) | Kind::Tuple(items) => items.get(position(key)?)?.clone(),
            Kind::Map(_, entries) => entries.get(key.as_str()?)?.clone(),
            _ => return None,
        };
        Some(found.with_marks(marks))
    }

    /// The number of elements, as far as known; a marked collection has a marked length, marked elements do not count.
    /// `None` for what has no length (primitives, null).
    pub fn length(&self) -> Option<Value> {
        let length = match self.kind() {
            Kind::Unknown(Type::Dynamic, _) => Value::unknown(Type::Number).refine_not_null(),
            Kind::Unknown(Type::Tuple(types), _) => Value::number(types.len()),
            Kind::Unknown(Type::Object(o), _) => Value::number(o.attributes.len()),
            Kind::Unknown(Type::List(_) | Type::Set(_) | Type::Map(_), refinement) => {
                let most = refinement.as_ref().and_then(|r| r.max_length);
                let most = most.or(usize::try_from(i64::MAX).ok());
                let least = refinement.as_ref().and_then(|r| r.min_length).unwrap_or(0);
                length_between(least, most)
            }
            // Unknown elements may turn out to be doubles.
            Kind::Set(_, items) if items.len() > 1 && !self.is_wholly_known() => {
                length_between(1, Some(items.len()))
            }
            Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
                Value::number(items.len())
            }
            Kind::Map(_, entries) | Kind::Object(entries) => Value::number(entries.len()),
            _ => return None,
        };
        Some(length.with_marks(self.marks()))
    }

    /// Keys and elements of a known collection, tuple or object, in order. A set's elements are their own keys.
    pub fn elements(&self) -> Vec<(Value, Value)> {
        match self.kind() {
            Kind::List(_, items) | Kind::Tuple(items) => items
                .iter()
                .enumerate()
                .map(|(i, v)| (Value::number(i), v.clone()))
                .collect(),
            Kind::Set(_, items) => items.iter().map(|v| (v.clone(), v.clone())).collect(),
            Kind::Map(_, entries) | Kind::Object(entries) => entries
                .iter()
                .map(|(k, v)| (Value::string(k), v.clone()))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What is at the path, with the marks met on the way. `None` when the path leads nowhere.
    pub fn at(&self, path: &Path) -> Option<Value> {
        path.steps()
            .iter()
            .try_fold(self.clone(), |value, step| match step {
                Step::Attr(name) => value
                    .attr(name)
                    .or_else(|| value.index(&Value::string(name))),
                Step::Index(key) => match value.kind() {
                    Kind::Set(_, items) => {
                        let found = items.iter().find(|item| item.raw_equals(key))?;
                        Some(found.clone().with_marks(value.marks()))
                    }
                    Kind::Object(_) => value.attr(key.as_str()?),
                    _ => value.index(key),
                },
            })
    }
}

fn position(key: &Value) -> Option<usize> {
    key.as_number()?.to_usize()
}

fn length_between(least: usize, most: Option<usize>) -> Value {
    Value::unknown(Type::Number).refine(|r: &mut Refinement| {
        r.not_null = true;
        r.lower = Some((least.into(), true));
        r.upper = most.map(|n| (n.into(), true));
    })
}

/// Walking.
impl Value {
    /// Visits the value and, where `visit` says so, what is inside, outermost first.
    pub fn walk(&self, visit: &mut impl FnMut(&Path, &Value) -> bool) {
        fn go(value: &Value, path: &mut Path, visit: &mut impl FnMut(&Path, &Value) -> bool) {
            if !visit(path, value) {
                return;
            }
            let mut inside = |step: Step, inner: &Value| {
                path.0.push(step);
                go(inner, path, visit);
                path.0.pop();
            };
            match value.kind() {
                Kind::List(_, items) | Kind::Tuple(items) => {
                    items
                        .iter()
                        .enumerate()
                        .for_each(|(i, v)| inside(Step::Index(Value::number(i)), v));
                }
                Kind::Set(_, items) => items.iter().for_each(|v| inside(Step::Index(v.clone()), v)),
                Kind::Map(_, entries) => {
                    entries
                        .iter()
                        .for_each(|(k, v)| inside(Step::Index(Value::string(k)), v));
                }
                Kind::Object(entries) => entries
                    .iter()
                    .for_each(|(k, v)| inside(Step::Attr(Arc::clone(k)), v)),
                _ => {}
            }
        }
        go(self, &mut Path::root(), visit);
    }

    /// Replaces every value inside and then the value itself, innermost first; marks stay with their values. The replacement
    /// must keep each element's type, or change it alike for all elements of a collection.
    pub fn transform<E>(
        &self,
        change: &mut impl FnMut(&Path, Value) -> Result<Value, E>,
    ) -> Result<Value, E> {
        fn go<E>(
            value: &Value,
            path: &mut Path,
            change: &mut impl FnMut(&Path, Value) -> Result<Value, E>,
        ) -> Result<Value, E> {
            let mut inside = |step: Step, inner: &Value| {
                path.0.push(step);
                let changed = go(inner, path, change);
                path.0.pop();
                changed
            };
            let rebuilt = match value.kind() {
                Kind::List(t, items) => {
                    let items = items
                        .iter()
                        .enumerate()
                        .map(|(i, v)| inside(Step::Index(Value::number(i)), v))
                        .collect::<Result<Vec<_>, E>>()?;
                    Value::list(common_type(t, items.iter()), items)
                }
                Kind::Tuple(items) => Value::tuple(
                    items
                        .iter()
                        .enumerate()
                        .map(|(i, v)| inside(Step::Index(Value::number(i)), v))
                        .collect::<Result<Vec<_>, E>>()?,
                ),
                Kind::Set(t, items) => {
                    let items = items
                        .iter()
                        .map(|v| inside(Step::Index(v.clone()), v))
                        .collect::<Result<Vec<_>, E>>()?;
                    Value::set(common_type(t, items.iter()), items)
                }
                Kind::Map(t, entries) => {
                    let entries = entries
                        .iter()
                        .map(|(k, v)| {
                            Ok((Arc::clone(k), inside(Step::Index(Value::string(k)), v)?))
                        })
                        .collect::<Result<BTreeMap<_, _>, E>>()?;
                    Value::map(common_type(t, entries.values()), entries)
                }
                Kind::Object(entries) => Value::object(
                    entries
                        .iter()
                        .map(|(k, v)| Ok((Arc::clone(k), inside(Step::Attr(Arc::clone(k)), v)?)))
                        .collect::<Result<BTreeMap<_, _>, E>>()?,
                ),
                _ => value.clone().unmark().0,
            };
            change(path, rebuilt.with_marks(value.marks()))
        }
        go(self, &mut Path::root(), change)
    }
}

/// The type of the elements if there are any, else `fallback`; `Dynamic` only if no element says more.
pub(crate) fn common_type<'a>(fallback: &Type, items: impl Iterator<Item = &'a Value>) -> Type {
    let mut found = None;
    for item in items {
        let ty = item.ty();
        if ty != Type::Dynamic {
            return ty;
        }
        found = Some(ty);
    }
    found.unwrap_or_else(|| fallback.clone())
}

/// Marks at paths.
impl Value {
    /// The value without marks, and where they were. Inside sets all marks count for the set.
    pub fn unmark_deep_with_paths(self) -> (Value, Vec<(Path, Marks)>) {
        let mut found = Vec::new();
        self.walk(&mut |path, value| {
            if !value.marks().is_empty() {
                found.push((path.clone(), value.marks()));
            }
            !matches!(value.kind(), Kind::Set(..))
        });
        (self.unmark_deep().0, found)
    }

    /// The value without the marks of what is deprecated, at any depth.
    #[must_use]
    pub fn without_deprecation(self) -> Value {
        let (plain, marks) = self.unmark_deep_with_paths();
        let kept = |(path, marks): (Path, Marks)| (path, marks.without(Marks::DEPRECATED));
        let kept: Vec<(Path, Marks)> = marks.into_iter().map(kept).collect();
        plain.mark_with_paths(&kept)
    }

    /// The paths of the values that bear all of these marks themselves, outermost first.
    pub fn marked_paths(&self, marks: Marks) -> Vec<Path> {
        let mut found = Vec::new();
        self.walk(&mut |path, value| {
            if value.marks().contains(marks) {
                found.push(path.clone());
            }
            true
        });
        found
    }

    /// Adds the marks at each path. A path that leads into a set marks the set; one that stops at a null, an unknown or a
    /// missing element marks the last value that is there if that is null or unknown, and nothing otherwise.
    #[must_use]
    pub fn apply_marks(&self, paths: &[Path], marks: Marks) -> Value {
        paths.iter().fold(self.clone(), |value, path| {
            mark_at(&value, path.steps(), marks)
        })
    }

    /// Adds each path's marks; what [`Value::unmark_deep_with_paths`] took off.
    #[must_use]
    pub fn mark_with_paths(&self, marks: &[(Path, Marks)]) -> Value {
        marks.iter().fold(self.clone(), |value, (path, marks)| {
            mark_at(&value, path.steps(), *marks)
        })
    }
}

fn mark_at(value: &Value, steps: &[Step], marks: Marks) -> Value {
    let Some((step, rest)) = steps.split_first() else {
        return value.clone().with_marks(marks);
    };
    let name = match step {
        Step::Attr(name) => Some(&**name),
        Step::Index(key) => key.as_str(),
    };
    let changed = match value.kind() {
        Kind::Null(_) | Kind::Unknown(..) | Kind::Set(..) => {
            return value.clone().with_marks(marks);
        }
        Kind::List(_, items) | Kind::Tuple(items) => {
            let Step::Index(key) = step else {
                return value.clone();
            };
            let Some(at) = position(key).filter(|at| *at < items.len()) else {
                return value.clone();
            };
            let items: Vec<Value> = items
                .iter()
                .enumerate()
                .map(|(i, v)| {
                    if i == at {
                        mark_at(v, rest, marks)
                    } else {
                        v.clone()
                    }
                })
                .collect();
            match value.kind() {
                Kind::List(t, _) => Value::list(t.clone(), items),
                _ => Value::tuple(items),
            }
        }
        Kind::Map(_, entries) | Kind::Object(entries) => {
            let Some((key, inner)) = name.and_then(|n| entries.get_key_value(n)) else {
                return value.clone();
            };
            let mut entries = BTreeMap::clone(entries);
            entries.insert(Arc::clone(key), mark_at(inner, rest, marks));
            match value.kind() {
                Kind::Map(t, _) => Value::map(t.clone(), entries),
                _ => Value::object(entries),
            }
        }
        Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => return value.clone(),
    };
    changed.with_marks(value.marks())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        Value::object_from([
            (
                "list",
                Value::list(
                    Type::String,
                    vec![Value::string("a"), Value::string("b").sensitive()],
                ),
            ),
            (
                "map",
                Value::map(
                    Type::Number,
                    BTreeMap::from([("k".into(), Value::number(1))]),
                ),
            ),
            ("unknown", Value::unknown(Type::list(Type::Bool))),
        ])
    }

    #[test]
    fn marks_come_off_and_go_back_on() {
        let (plain, paths) = sample().unmark_deep_with_paths();
        assert!(!plain.is_marked_deep());
        assert_eq!(
            paths.iter().map(|(p, _)| p.to_string()).collect::<Vec<_>>(),
            ["list[1]"]
        );
        assert_eq!(plain.mark_with_paths(&paths), sample());
        assert_eq!(
            sample().marked_paths(Marks::SENSITIVE),
            [Path::root().attr("list").index_number(1)]
        );
    }

    #[test]
    fn paths_lead_to_values_with_marks() {
        let path = Path::root().attr("list").index_number(1);
        assert_eq!(sample().at(&path), Some(Value::string("b").sensitive()));
        assert_eq!(
            sample().at(&Path::root().attr("list").index_number(2)),
            None
        );
        assert_eq!(
            sample().at(&Path::root().attr("unknown").index_number(7)),
            Some(Value::unknown(Type::Bool))
        );
        assert!(
            sample()
                .sensitive()
                .at(&Path::root().attr("map"))
                .unwrap()
                .is_sensitive()
        );
    }

    #[test]
    fn length_of_the_unknown_is_bounded() {
        let set = Value::set(
            Type::String,
            vec![Value::unknown(Type::String), Value::string("a")],
        );
        let length = set.length().unwrap();
        assert_eq!(
            length.refinement().unwrap().upper,
            Some((2i64.into(), true))
        );
        assert_eq!(
            Value::unknown(Type::tuple([Type::Bool])).length().unwrap(),
            Value::number(1)
        );
        assert_eq!(Value::string("x").length(), None);
    }

    #[test]
    fn marking_inside_a_set_marks_the_set() {
        let set = Value::set(Type::String, vec![Value::string("a")]);
        let marked = set.apply_marks(&[Path::root().index(Value::string("a"))], Marks::SENSITIVE);
        assert!(marked.is_sensitive());
    }

    #[test]
    fn transform_keeps_marks_and_types() {
        let upper = sample()
            .transform(&mut |_, v: Value| {
                Ok::<_, ()>(match v.as_str() {
                    Some(s) => Value::string(s.to_uppercase()).with_marks(v.marks()),
                    None => v,
                })
            })
            .unwrap();
        assert_eq!(
            upper.at(&Path::root().attr("list").index_number(1)),
            Some(Value::string("B").sensitive())
        );
        assert_eq!(upper.ty(), sample().ty());
    }
}
