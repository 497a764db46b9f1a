//! What is no change although the plan and what was found differ.

use stead_sdk::PlanDraft;
use stead_sdk::value::{Diagnostic, Path, Type, Value};

/// Whether a value says no more than its absence.
pub(crate) fn says_nothing(value: Option<&Value>) -> bool {
    value.is_none_or(|v| {
        v.is_null() || v.as_str() == Some("") || v.as_sequence().is_some_and(<[Value]>::is_empty)
    })
}

/// Published providers record descriptions with a newline at the end, or without: it says nothing.
pub(crate) fn keep_description(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let text = |value: Option<Value>| {
        let text = value.and_then(|v| v.as_str().map(|t| t.trim_end().to_owned()));
        text.unwrap_or_default()
    };
    let (old, new) = (
        draft.prior().get("description"),
        draft.attribute("description"),
    );
    let known = new.as_ref().is_some_and(Value::is_known);
    match old.clone().filter(|_| known && text(old) == text(new)) {
        Some(old) => draft.set(&Path::root().attr("description"), old),
        None => Ok(()),
    }
}

/// A template never runs, whatever `started` says.
pub(crate) fn keep_started(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    let template = draft.attribute("template").and_then(|t| t.as_bool());
    match draft
        .prior()
        .get("started")
        .filter(|_| template == Some(true))
    {
        Some(old) => draft.set(&Path::root().attr("started"), old),
        None => Ok(()),
    }
}

/// What people leave open stays as it was found.
pub(crate) fn keep_found(draft: &mut PlanDraft, path: &Path) -> Result<(), Diagnostic> {
    let Some(planned) = draft.get(path) else {
        return Ok(());
    };
    match draft.prior().at(path) {
        Some(found) if says_nothing(Some(&planned)) && found != planned => draft.set(path, found),
        _ => Ok(()),
    }
}

/// What nobody can read (what something was made of, for instance) is no change of an object of which it is not known: an import
/// does not find it.
pub(crate) fn keep_origin(draft: &mut PlanDraft, path: &Path) -> Result<(), Diagnostic> {
    let was = draft.prior().at(path);
    let Some(planned) = draft.get(path).filter(|_| says_nothing(was.as_ref())) else {
        return Ok(());
    };
    if !says_nothing(Some(&planned)) {
        draft.keep(path);
        draft.set(path, was.unwrap_or_else(|| Value::null(planned.ty())))?;
    }
    Ok(())
}

/// Asterisks stand for a password that the server has: whether it is this one, nobody can tell.
pub(crate) fn keep_masked(draft: &mut PlanDraft, path: &Path) -> Result<(), Diagnostic> {
    let masked = |v: &Value| {
        let text = v.as_str().filter(|text| !text.is_empty());
        text.is_some_and(|text| text.bytes().all(|b| b == b'*'))
    };
    match draft.prior().at(path).filter(masked) {
        Some(was) if draft.get(path).is_some() => {
            draft.keep(path);
            draft.set(path, was)
        }
        _ => Ok(()),
    }
}

/// A block that is recorded (by an import) and says no more than its absence stays when the configuration leaves it out.
pub(crate) fn keep_plain_block(
    draft: &mut PlanDraft,
    name: &str,
    plain: &Value,
) -> Result<(), Diagnostic> {
    let silent = says_nothing(draft.config().get(name).as_ref());
    let old = draft.prior().get(name).filter(|_| silent);
    match old {
        Some(old) if old.as_sequence() == Some(std::slice::from_ref(plain)) => {
            draft.set(&Path::root().attr(name), old)
        }
        _ => Ok(()),
    }
}

/// Plans the prior value of a list when the new one differs in its order only. `key` says by what elements are told apart.
pub(crate) fn keep_order(
    draft: &mut PlanDraft,
    name: &str,
    key: impl Fn(&Value) -> Option<String>,
) -> Result<(), Diagnostic> {
    let (Some(old), Some(new)) = (draft.prior().get(name), draft.attribute(name)) else {
        return Ok(());
    };
    let sorted = |value: &Value| {
        let mut items = value.as_sequence().unwrap_or_default().to_vec();
        items.sort_by_key(&key);
        items.iter().map(said).collect::<Vec<_>>()
    };
    if old != new && !old.is_null() && new.is_wholly_known() && sorted(&old) == sorted(&new) {
        draft.set(&Path::root().attr(name), old)?;
    }
    Ok(())
}

/// What a value says: states of the older kind do not tell null from "", 0 and false.
fn said(value: &Value) -> Value {
    let nothing =
        says_nothing(Some(value)) || value.as_bool() == Some(false) || value.as_i64() == Some(0);
    match value.as_entries() {
        _ if nothing => Value::null(Type::Dynamic),
        Some(entries) => Value::object(entries.iter().map(|(k, v)| (k.clone(), said(v))).collect()),
        None => value.clone(),
    }
}

/// The server sorts tags: another order is no change.
pub(crate) fn keep_tag_order(draft: &mut PlanDraft) -> Result<(), Diagnostic> {
    keep_order(draft, "tags", |tag| tag.as_str().map(str::to_owned))
}

/// A planned or recorded value, as far as it is known: unknown parts count as absent.
pub(crate) fn known<T: stead_sdk::Field>(value: &Value) -> Option<T> {
    T::decode(&known_only(value), &Path::root()).ok()
}

fn known_only(value: &Value) -> Value {
    if !value.is_known() {
        return Value::null(value.ty());
    }
    let entries = value.as_entries().map(|entries| {
        let known = entries.iter().map(|(k, v)| (k.clone(), known_only(v)));
        known.collect()
    });
    match (value.ty(), entries, value.as_sequence()) {
        (Type::Object(_), Some(entries), _) => Value::object(entries),
        (Type::Map(ty), Some(entries), _) => Value::map((*ty).clone(), entries),
        (Type::List(ty), _, Some(items)) => {
            Value::list((*ty).clone(), items.iter().map(known_only).collect())
        }
        (Type::Set(ty), _, Some(items)) => {
            Value::set((*ty).clone(), items.iter().map(known_only).collect())
        }
        _ => value.clone(),
    }
}
