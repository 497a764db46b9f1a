//! Equality and order of values: structural for programs, three-valued for the language.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::number::Decimal;
use crate::text::write_quoted;
use crate::{Kind, Marks, Number, Refinement, Type, Value};

/// Structural: same type, same content, same marks everywhere; an unknown equals an unknown of which the same is known.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        same(self, other, true)
    }
}

impl Value {
    /// Structural equality that ignores marks.
    pub fn raw_equals(&self, other: &Value) -> bool {
        same(self, other, false)
    }

    /// The language's `==`: nulls of all types are equal, types are not converted, and what unknowns leave open is unknown.
    /// The marks of both sides, deep ones included, go to the result.
    pub fn equal(a: &Value, b: &Value) -> Value {
        let marks = a.marks_deep().union(b.marks_deep());
        match equality(a, b) {
            Some(equal) => Value::bool(equal),
            None => Value::unknown(Type::Bool).refine_not_null(),
        }
        .with_marks(marks)
    }

    /// The order of elements in a set. It decides the order in which sets iterate and are stored, so it is the reference's:
    /// nulls last, unknowns before them, primitives by value, all else by the bytes that go-cty hashes.
    pub fn set_order(&self, other: &Value) -> Ordering {
        rank(self)
            .cmp(&rank(other))
            .then_with(|| match (self.kind(), other.kind()) {
                (Kind::Null(_) | Kind::Unknown(..), _) => Ordering::Equal,
                (Kind::String(a), Kind::String(b)) => a.cmp(b),
                (Kind::Bool(a), Kind::Bool(b)) => a.cmp(b),
                (Kind::Number(a), Kind::Number(b)) => a.cmp(b),
                _ => set_key(self)
                    .cmp(&set_key(other))
                    .then_with(|| structural_order(self, other)),
            })
    }

    /// Sorts what is to become a set and drops doubles; computes each element's key once. Elements that are not wholly known
    /// are never doubles: they may turn out different.
    pub(crate) fn sorted_for_set(mut items: Vec<Value>) -> Vec<Value> {
        let double = |a: &Value, b: &Value| a.set_order(b).is_eq() && a.is_wholly_known();
        if items
            .iter()
            .all(|v| v.as_entries().is_none() && v.as_sequence().is_none())
        {
            items.sort_by(Value::set_order);
            items.dedup_by(|a, b| double(a, b));
            return items;
        }
        let mut keyed: Vec<_> = items
            .into_iter()
            .map(|v| (rank(&v), set_key(&v), v))
            .collect();
        keyed.sort_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| a.1.cmp(&b.1))
                .then_with(|| structural_order(&a.2, &b.2))
        });
        keyed.dedup_by(|a, b| a.1 == b.1 && double(&a.2, &b.2));
        keyed.into_iter().map(|(_, _, v)| v).collect()
    }
}

/// Known before unknown before null.
fn rank(v: &Value) -> u8 {
    match v.kind() {
        Kind::Null(_) => 2,
        Kind::Unknown(..) => 1,
        _ => 0,
    }
}

/// The bytes by which go-cty orders the elements of a set that are not primitive.
fn set_key(v: &Value) -> String {
    let mut out = String::new();
    write_key(v, &mut out);
    out
}

fn write_key(v: &Value, out: &mut String) {
    let sequence = |items: &[Value], ends: (char, char), out: &mut String| {
        out.push(ends.0);
        for item in items {
            write_key(item, out);
            out.push(';');
        }
        out.push(ends.1);
    };
    match v.kind() {
        Kind::Unknown(..) => out.push('?'),
        Kind::Null(_) => out.push('~'),
        Kind::Bool(b) => out.push(if *b { 'T' } else { 'F' }),
        Kind::Number(n) => out.push_str(&ten_digits(n)),
        Kind::String(s) => write_quoted(s, out),
        Kind::List(_, items) | Kind::Set(_, items) => sequence(items, ('[', ']'), out),
        Kind::Tuple(items) => sequence(items, ('<', '>'), out),
        Kind::Map(_, entries) => {
            out.push('{');
            for (k, v) in entries.iter() {
                write_quoted(k, out);
                out.push(':');
                write_key(v, out);
                out.push(';');
            }
            out.push('}');
        }
        Kind::Object(entries) => {
            out.push('<');
            for v in entries.values() {
                write_key(v, out);
                out.push(';');
            }
            out.push('>');
        }
    }
}

/// C's `%.10g`.
fn ten_digits(n: &Number) -> String {
    match Decimal::exact(n) {
        Some(mut d) => {
            d.round(10);
            d.general(10, 'e')
        }
        None => n.to_string(),
    }
}

/// A total order beyond the reference's, so that sorting never depends on the input's order.
fn structural_order(a: &Value, b: &Value) -> Ordering {
    let sequence = |a: &[Value], b: &[Value]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| a.set_order(b))
            .find(|o| o.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len()))
    };
    let entries = |a: &BTreeMap<Arc<str>, Value>, b: &BTreeMap<Arc<str>, Value>| {
        a.iter()
            .zip(b)
            .map(|((ka, va), (kb, vb))| ka.cmp(kb).then_with(|| va.set_order(vb)))
            .find(|o| o.is_ne())
            .unwrap_or_else(|| a.len().cmp(&b.len()))
    };
    match (a.kind(), b.kind()) {
        (
            Kind::List(_, a) | Kind::Set(_, a) | Kind::Tuple(a),
            Kind::List(_, b) | Kind::Set(_, b) | Kind::Tuple(b),
        ) => sequence(a, b),
        (Kind::Map(_, a) | Kind::Object(a), Kind::Map(_, b) | Kind::Object(b)) => entries(a, b),
        _ => a.ty().cmp(&b.ty()),
    }
}

fn same(a: &Value, b: &Value, with_marks: bool) -> bool {
    if with_marks && a.marks() != b.marks() {
        return false;
    }
    let sequence = |a: &[Value], b: &[Value]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, with_marks))
    };
    let entries = |a: &BTreeMap<Arc<str>, Value>, b: &BTreeMap<Arc<str>, Value>| {
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|((ka, va), (kb, vb))| ka == kb && same(va, vb, with_marks))
    };
    match (a.kind(), b.kind()) {
        (Kind::Null(a), Kind::Null(b)) => a == b,
        (Kind::Unknown(a, ra), Kind::Unknown(b, rb)) => a == b && ra == rb,
        (Kind::Bool(a), Kind::Bool(b)) => a == b,
        (Kind::Number(a), Kind::Number(b)) => a == b,
        (Kind::String(a), Kind::String(b)) => a == b,
        (Kind::List(ta, a), Kind::List(tb, b)) | (Kind::Set(ta, a), Kind::Set(tb, b)) => {
            ta == tb && sequence(a, b)
        }
        (Kind::Tuple(a), Kind::Tuple(b)) => sequence(a, b),
        (Kind::Map(ta, a), Kind::Map(tb, b)) => ta == tb && entries(a, b),
        (Kind::Object(a), Kind::Object(b)) => entries(a, b),
        _ => false,
    }
}

/// `None`: not known yet.
fn equality(a: &Value, b: &Value) -> Option<bool> {
    match (a.is_known(), b.is_known()) {
        (true, true) => {}
        (false, false) => {
            // Nothing is null for sure here, so refinements do not help.
            return None;
        }
        (true, false) => return differs_from_unknown(a, b),
        (false, true) => return differs_from_unknown(b, a),
    }
    match (a.is_null(), b.is_null()) {
        (true, true) => return Some(true),
        (false, false) => {}
        _ => return Some(false),
    }
    let (ta, tb) = (a.ty(), b.ty());
    let open = |ty: &Type, value: &Value| ty.has_dynamic() && !is_type_known(value);
    if open(&ta, a) || open(&tb, b) {
        return if !ta.conforms_to(&tb) && !tb.conforms_to(&ta) {
            Some(false)
        } else {
            None
        };
    }
    if ta != tb {
        return Some(false);
    }
    known_equality(a, b)
}

/// Whether no part of a value may turn out to be of another type. A null is what it is.
fn is_type_known(value: &Value) -> bool {
    match value.kind() {
        Kind::Unknown(ty, _) => !ty.has_dynamic(),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            items.iter().all(is_type_known)
        }
        Kind::Map(_, entries) | Kind::Object(entries) => entries.values().all(is_type_known),
        Kind::Null(_) | Kind::Bool(_) | Kind::Number(_) | Kind::String(_) => true,
    }
}

fn known_equality(a: &Value, b: &Value) -> Option<bool> {
    match (a.kind(), b.kind()) {
        (Kind::Bool(a), Kind::Bool(b)) => Some(a == b),
        (Kind::Number(a), Kind::Number(b)) => Some(a == b),
        (Kind::String(a), Kind::String(b)) => Some(a == b),
        (Kind::List(_, a), Kind::List(_, b)) | (Kind::Tuple(a), Kind::Tuple(b)) => {
            if a.len() != b.len() {
                return Some(false);
            }
            all_equal(a.iter().zip(b.iter()))
        }
        (Kind::Set(_, a), Kind::Set(_, b)) => {
            if !a.iter().chain(b.iter()).all(Value::is_known) {
                return None;
            }
            let covered = |x: &[Value], y: &[Value]| {
                x.iter()
                    .all(|v| y.iter().any(|w| equality(v, w) == Some(true)))
            };
            // Sorted and without doubles: for wholly known elements a comparison in step is enough.
            if a.iter().chain(b.iter()).all(Value::is_wholly_known) {
                return Some(
                    a.len() == b.len()
                        && a.iter()
                            .zip(b.iter())
                            .all(|(v, w)| equality(v, w) == Some(true)),
                );
            }
            Some(covered(a, b) && covered(b, a))
        }
        (Kind::Map(_, a), Kind::Map(_, b)) | (Kind::Object(a), Kind::Object(b)) => {
            if !a.keys().eq(b.keys()) {
                return Some(false);
            }
            all_equal(a.values().zip(b.values()))
        }
        _ => Some(false),
    }
}

/// The first difference or doubt decides, as in the reference.
fn all_equal<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>) -> Option<bool> {
    for (a, b) in pairs {
        match equality(a, b) {
            Some(true) => {}
            other => return other,
        }
    }
    Some(true)
}

/// `Some(false)` when what is known of the unknown rules the known value out.
fn differs_from_unknown(known: &Value, unknown: &Value) -> Option<bool> {
    let Kind::Unknown(ty, refinement) = unknown.kind() else {
        return None;
    };
    let empty = Refinement::default();
    let refinement = refinement.as_deref().unwrap_or(&empty);
    if known.is_null() {
        return if refinement.not_null {
            Some(false)
        } else {
            None
        };
    }
    let known_ty = known.ty();
    if !known_ty.conforms_to(ty) || (!ty.has_dynamic() && known_ty != *ty) {
        return Some(false);
    }
    if excludes(refinement, known) {
        Some(false)
    } else {
        None
    }
}

fn excludes(refinement: &Refinement, known: &Value) -> bool {
    let too = |bound: &Option<(Number, bool)>, n: &Number, wrong: Ordering| {
        bound.as_ref().is_some_and(|(limit, inclusive)| {
            let order = n.cmp(limit);
            order == wrong || (!inclusive && order.is_eq())
        })
    };
    match known.kind() {
        Kind::String(s) => refinement
            .prefix
            .as_deref()
            .is_some_and(|p| !s.starts_with(p)),
        Kind::Number(n) => {
            too(&refinement.lower, n, Ordering::Less)
                || too(&refinement.upper, n, Ordering::Greater)
        }
        Kind::List(_, items) => wrong_length(refinement, items.len(), items.len()),
        // Unknown elements may coalesce with others.
        Kind::Set(_, items) if !known.is_wholly_known() => {
            wrong_length(refinement, items.len().min(1), items.len())
        }
        Kind::Set(_, items) => wrong_length(refinement, items.len(), items.len()),
        Kind::Map(_, entries) => wrong_length(refinement, entries.len(), entries.len()),
        _ => false,
    }
}

fn wrong_length(refinement: &Refinement, least: usize, most: usize) -> bool {
    refinement.min_length.is_some_and(|min| most < min)
        || refinement.max_length.is_some_and(|max| least > max)
}

impl Value {
    /// Whether the value is certainly not null: known and not null, or refined so.
    pub fn is_definitely_not_null(&self) -> bool {
        match self.kind() {
            Kind::Null(_) => false,
            Kind::Unknown(_, refinement) => refinement.as_ref().is_some_and(|r| r.not_null),
            _ => true,
        }
    }

    /// What is known of the value when it is unknown.
    pub fn refinement(&self) -> Option<&Refinement> {
        match self.kind() {
            Kind::Unknown(_, refinement) => refinement.as_deref(),
            _ => None,
        }
    }

    /// Records that an unknown value will not be null. No effect on known values and on unknowns without a type.
    #[must_use]
    pub fn refine_not_null(self) -> Value {
        self.refine(|r| r.not_null = true)
    }

    /// Adds to what is known of an unknown value. No effect on known values and on unknowns without a type. A refinement that
    /// leaves a single possibility gives that value.
    #[must_use]
    pub fn refine(self, change: impl FnOnce(&mut Refinement)) -> Value {
        let marks = self.marks();
        let Kind::Unknown(ty, refinement) = self.kind() else {
            return self;
        };
        if *ty == Type::Dynamic {
            return self;
        }
        let mut refinement = refinement.as_deref().cloned().unwrap_or_default();
        change(&mut refinement);
        settled(ty, &refinement)
            .unwrap_or_else(|| Value::unknown_refined(ty.clone(), refinement))
            .with_marks(marks)
    }

    /// Whether any mark sits on the value or inside it.
    pub fn is_marked_deep(&self) -> bool {
        self.marks_deep() != Marks::NONE
    }
}

/// The only value that the refinement allows, if there is just one.
fn settled(ty: &Type, r: &Refinement) -> Option<Value> {
    if !r.not_null {
        return None;
    }
    match (ty, &r.lower, &r.upper, r.min_length, r.max_length) {
        (Type::Number, Some((low, true)), Some((high, true)), ..) if low == high => {
            Some(Value::number(low.clone()))
        }
        (Type::List(t), _, _, _, Some(0)) => Some(Value::list((**t).clone(), Vec::new())),
        (Type::Set(t), _, _, _, Some(0)) => Some(Value::set((**t).clone(), Vec::new())),
        (Type::Map(t), _, _, _, Some(0)) => Some(Value::map((**t).clone(), BTreeMap::new())),
        (Type::List(t), _, _, Some(min), Some(max)) if min == max && min <= 1024 => Some(
            Value::list((**t).clone(), vec![Value::unknown((**t).clone()); min]),
        ),
        (Type::Set(t), _, _, Some(1), Some(1)) => Some(Value::set(
            (**t).clone(),
            vec![Value::unknown((**t).clone())],
        )),
        _ => None,
    }
}

impl Type {
    /// Whether the type is `other`, or becomes it where `other` says `Dynamic`.
    pub fn conforms_to(&self, other: &Type) -> bool {
        match (self, other) {
            (_, Type::Dynamic) => true,
            (Type::List(a), Type::List(b))
            | (Type::Set(a), Type::Set(b))
            | (Type::Map(a), Type::Map(b)) => a.conforms_to(b),
            (Type::Tuple(a), Type::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.conforms_to(b))
            }
            (Type::Object(a), Type::Object(b)) => {
                a.attributes.len() == b.attributes.len()
                    && a.attributes
                        .iter()
                        .all(|(k, t)| b.attributes.get(k).is_some_and(|u| t.conforms_to(u)))
            }
            (a, b) => a == b,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &Value, b: &Value) -> Option<bool> {
        Value::equal(a, b).as_bool()
    }

    #[test]
    fn equality_of_the_unknown() {
        let unknown = Value::unknown(Type::String);
        assert_eq!(equal(&unknown, &Value::string("a")), None);
        assert_eq!(equal(&unknown, &Value::number(1)), Some(false));
        assert_eq!(equal(&unknown, &Value::null(Type::Dynamic)), None);
        assert_eq!(
            equal(
                &unknown.clone().refine_not_null(),
                &Value::null(Type::Dynamic)
            ),
            Some(false)
        );
        let prefixed = unknown.refine(|r| r.prefix = Some("pre-".into()));
        assert_eq!(equal(&prefixed, &Value::string("post")), Some(false));
        assert_eq!(equal(&prefixed, &Value::string("pre-x")), None);
        assert_eq!(equal(&Value::dynamic(), &Value::number(1)), None);
        let pair = |v| Value::tuple(vec![v, Value::number(1)]);
        assert_eq!(
            equal(&pair(Value::unknown(Type::Number)), &pair(Value::number(1))),
            None
        );
    }

    #[test]
    fn nulls_are_equal_and_types_are_not_converted() {
        assert_eq!(
            equal(&Value::null(Type::Bool), &Value::null(Type::String)),
            Some(true)
        );
        assert_eq!(equal(&Value::string("1"), &Value::number(1)), Some(false));
        let of = |value| Value::object_from([("a", value)]);
        let untyped = of(Value::null(Type::Dynamic));
        assert_eq!(equal(&untyped, &untyped), Some(true));
        assert_eq!(equal(&untyped, &of(Value::string("x"))), Some(false));
        assert_eq!(equal(&untyped, &of(Value::null(Type::Number))), Some(false));
        assert_eq!(equal(&untyped, &of(Value::dynamic())), None);
        assert!(Value::equal(&Value::string("1").sensitive(), &Value::number(1)).is_sensitive());
    }

    #[test]
    fn sets_sort_as_the_reference_does() {
        let object = |a: &str, n: i64| {
            Value::object_from([("a", Value::string(a)), ("n", Value::number(n))])
        };
        let ty = object("", 0).ty();
        let set = Value::set(
            ty,
            vec![
                object("b", 1),
                object("a", 10),
                object("a", 2),
                object("a", 10),
            ],
        );
        let order: Vec<_> = set
            .as_sequence()
            .unwrap()
            .iter()
            .map(|v| v.get("n").unwrap().as_i64().unwrap())
            .collect();
        assert_eq!(order, [10, 2, 1], "by the digits' bytes, not by number");
        let numbers = Value::set(Type::Number, [10, 9, 1].map(Value::number).to_vec());
        assert_eq!(numbers.as_sequence().unwrap()[0], Value::number(1));
        let unknowns = Value::set(Type::String, vec![Value::unknown(Type::String); 2]);
        assert_eq!(unknowns.as_sequence().unwrap().len(), 2);
    }

    #[test]
    fn refinements_that_settle_a_value_give_it() {
        let n = Value::unknown(Type::Number).refine(|r| {
            r.not_null = true;
            r.lower = Some((1i64.into(), true));
            r.upper = Some((1i64.into(), true));
        });
        assert_eq!(n, Value::number(1));
    }

    #[test]
    fn keys_are_quoted_like_go() {
        let mut out = String::new();
        write_quoted("a\"\u{7f}é\u{301}\u{a0}\u{1f600}", &mut out);
        assert_eq!(out, "\"a\\\"\\x7fé\u{301}\\u00a0\u{1f600}\"");
    }
}
