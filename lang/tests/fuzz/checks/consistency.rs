//! Whether what is said of an unknown value holds for the value that it turns out to be.

use stead_value::{Kind, Refinement, Value};

/// Whether `found` can be what `promised` was unknown about.
pub(super) fn keeps(promised: &Value, found: &Value) -> bool {
    match (promised.kind(), found.kind()) {
        (Kind::Unknown(ty, refinement), _) => {
            (found.ty().conforms_to(ty) || found.is_null())
                && refinement
                    .as_deref()
                    .is_none_or(|r| keeps_refinement(r, found))
        }
        (Kind::Set(_, promised_items), Kind::Set(_, items)) => match promised.is_wholly_known() {
            true => promised.raw_equals(found),
            // Unknown elements may turn out to be the same.
            false => items.len() <= promised_items.len(),
        },
        (Kind::List(_, a), Kind::List(_, b)) | (Kind::Tuple(a), Kind::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| keeps(a, b))
        }
        (Kind::Map(_, a), Kind::Map(_, b)) | (Kind::Object(a), Kind::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| keeps(a, b)))
        }
        (Kind::Null(_), _) => found.is_null(),
        _ => promised.raw_equals(found),
    }
}

fn keeps_refinement(refinement: &Refinement, found: &Value) -> bool {
    if !found.is_known() {
        return true;
    }
    if found.is_null() {
        return !refinement.not_null;
    }
    let prefix = match (&refinement.prefix, found.as_str()) {
        (Some(prefix), Some(text)) => text.starts_with(&**prefix),
        _ => true,
    };
    let (mut low, mut high) = (true, true);
    if let Some(number) = found.as_number() {
        low = match &refinement.lower {
            Some((bound, inclusive)) => number > bound || *inclusive && number == bound,
            None => true,
        };
        high = match &refinement.upper {
            Some((bound, inclusive)) => number < bound || *inclusive && number == bound,
            None => true,
        };
    }
    let length = found
        .length()
        .and_then(|n| n.as_i64())
        .and_then(|n| usize::try_from(n).ok());
    let length = length.is_none_or(|n| {
        refinement.min_length.is_none_or(|min| n >= min)
            && refinement.max_length.is_none_or(|max| n <= max)
    });
    prefix && low && high && length
}

/// Whether two outcomes that differ by their secrets only look alike to who sees no secrets.
pub(super) fn look_alike(a: &Value, b: &Value) -> bool {
    if a.is_sensitive() || b.is_sensitive() {
        return a.marks() == b.marks();
    }
    match (a.kind(), b.kind()) {
        (Kind::List(_, a), Kind::List(_, b)) | (Kind::Tuple(a), Kind::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| look_alike(a, b))
        }
        (Kind::Map(_, a), Kind::Map(_, b)) | (Kind::Object(a), Kind::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(k, a)| b.get(k).is_some_and(|b| look_alike(a, b)))
        }
        _ => a.raw_equals(b),
    }
}
