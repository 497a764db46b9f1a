//! Functions over lists, sets and tuples.

use stead_value::convert::{convert, unify_unsafe};
use stead_value::{Marks, Number, Type, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::{Call, FunctionError, Outcome, certain_prefix};

pub(super) fn type_of(args: &[Value], i: usize) -> Result<Type, FunctionError> {
    Ok(args.get(i).map_or(Type::Dynamic, Value::ty))
}

/// The element type of a list, set or map; for other types the type itself.
pub(super) fn element_type_of(ty: &Type) -> Type {
    match ty {
        Type::List(t) | Type::Set(t) | Type::Map(t) => (**t).clone(),
        other => other.clone(),
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_sequence().unwrap_or_default()
}

fn is_sequence(ty: &Type) -> bool {
    matches!(ty, Type::List(_) | Type::Set(_) | Type::Tuple(_))
}

pub(super) fn alltrue(call: &Call<'_>) -> Outcome {
    for item in items(call.arg(0)) {
        if !item.is_known() {
            return Ok(Value::unknown(Type::Bool));
        }
        if item.as_bool() != Some(true) {
            return Ok(Value::bool(false));
        }
    }
    Ok(Value::bool(true))
}

pub(super) fn anytrue(call: &Call<'_>) -> Outcome {
    if items(call.arg(0)).iter().any(|v| v.as_bool() == Some(true)) {
        return Ok(Value::bool(true));
    }
    if items(call.arg(0)).iter().any(|v| !v.is_known()) {
        return Ok(Value::unknown(Type::Bool));
    }
    Ok(Value::bool(false))
}

pub(super) fn length(call: &Call<'_>) -> Outcome {
    let value = call.arg(0);
    let ty = value.ty();
    if ty == Type::String {
        let count = |s: &str| Number::from(s.graphemes(true).count());
        let marks = value.marks();
        let length = match value.as_str() {
            Some(s) => Value::number(count(s)),
            None => {
                let prefix = value
                    .refinement()
                    .and_then(|r| r.prefix.as_deref())
                    .unwrap_or_default();
                let least = count(prefix);
                Value::unknown(Type::Number).refine(|r| r.lower = Some((least, true)))
            }
        };
        return Ok(length.with_marks(marks));
    }
    if ty == Type::Dynamic {
        return Ok(Value::unknown(Type::Number).with_marks(value.marks()));
    }
    value.length().ok_or_else(|| {
        FunctionError::new("argument must be a string, a collection type, or a structural type")
    })
}

pub(super) fn chunklist_type(args: &[Value]) -> Result<Type, FunctionError> {
    type_of(args, 0).map(Type::list)
}

pub(super) fn chunklist(call: &Call<'_>) -> Outcome {
    let list = call.arg(0);
    let marks = list.marks().union(call.arg(1).marks());
    let size = call
        .int(1)
        .map_err(|e| FunctionError::new(format!("invalid size: {}", e.message)))?;
    let size = usize::try_from(size)
        .map_err(|_| FunctionError::new("the size argument must be positive"))?;
    let element = element_type_of(&list.ty());
    let all = items(list);
    let chunks: Vec<Value> = match (all.is_empty(), size) {
        (true, _) => Vec::new(),
        (false, 0) => vec![list.clone().unmark().0],
        (false, size) => all
            .chunks(size)
            .map(|c| Value::list(element.clone(), c.to_vec()))
            .collect(),
    };
    Ok(Value::list(Type::list(element), chunks).with_marks(marks))
}

pub(super) fn coalesce(call: &Call<'_>) -> Outcome {
    let types: Vec<Type> = call.args.iter().map(Value::ty).collect();
    let common = unify_unsafe(&types)
        .ok_or_else(|| FunctionError::new("all arguments must have the same type"))?;
    for arg in call.args {
        if !arg.is_known() {
            return Ok(Value::unknown(common));
        }
        let value = convert(arg, &common).map_err(|e| FunctionError::new(e.message))?;
        if !value.is_null() && value.as_str() != Some("") {
            return Ok(value);
        }
    }
    Err(FunctionError::new(
        "no non-null, non-empty-string arguments",
    ))
}

pub(super) fn coalescelist(call: &Call<'_>) -> Outcome {
    if call.args.is_empty() {
        return Err(FunctionError::new("at least one argument is required"));
    }
    for arg in call.args {
        if !arg.is_known() {
            break;
        }
        if !matches!(arg.ty(), Type::List(_) | Type::Tuple(_)) {
            return Err(FunctionError::new(
                "coalescelist arguments must be lists or tuples",
            ));
        }
    }
    for arg in call.args {
        if !arg.is_known() {
            return Ok(Value::dynamic());
        }
        if !arg.is_null() && !items(arg).is_empty() {
            return Ok(arg.clone());
        }
    }
    Err(FunctionError::new("no non-null arguments"))
}

pub(super) fn compact(call: &Call<'_>) -> Outcome {
    if !call.arg(0).is_wholly_known() {
        return Ok(Value::unknown(Type::list(Type::String)));
    }
    let kept = items(call.arg(0))
        .iter()
        .filter(|v| v.as_str().is_some_and(|s| !s.is_empty()))
        .cloned();
    Ok(Value::list(Type::String, kept.collect()))
}

/// A list when all arguments are lists of types that have one in common, else a tuple.
pub(super) fn concat_type(args: &[Value]) -> Result<Type, FunctionError> {
    if args.is_empty() {
        return Err(FunctionError::new("at least one argument is required"));
    }
    let types: Vec<Type> = args.iter().map(Value::ty).collect();
    if types.iter().all(|t| matches!(t, Type::List(_)))
        && let Some(common) = unify_unsafe(&types)
    {
        return Ok(common);
    }
    let mut elements = Vec::new();
    for (i, (arg, ty)) in args.iter().zip(types).enumerate() {
        match ty {
            Type::Tuple(types) => elements.extend(types.iter().cloned()),
            Type::List(_) if !arg.is_known() => return Ok(Type::Dynamic),
            Type::List(t) => elements.extend(items(arg).iter().map(|_| (*t).clone())),
            other => {
                let message = format!(
                    "all arguments must be lists or tuples; got {}",
                    other.friendly_name()
                );
                return Err(FunctionError::argument(i, message));
            }
        }
    }
    Ok(Type::tuple(elements))
}

pub(super) fn concat(call: &Call<'_>) -> Outcome {
    let ty = concat_type(call.args)?;
    let mut marks = Marks::NONE;
    let mut all = Vec::new();
    for (i, arg) in call.args.iter().enumerate() {
        let arg = match ty {
            Type::List(_) => {
                convert(arg, &ty).map_err(|e| FunctionError::argument(i, e.message))?
            }
            _ => arg.clone(),
        };
        marks = marks.union(arg.marks());
        all.extend(items(&arg).iter().cloned());
    }
    let value = match ty {
        Type::List(element) => Value::list((*element).clone(), all),
        _ => Value::tuple(all),
    };
    Ok(value.with_marks(marks))
}

pub(super) fn contains(call: &Call<'_>) -> Outcome {
    let (list, wanted) = (call.arg(0), call.arg(1));
    if !is_sequence(&list.ty()) {
        return Err(FunctionError::new("argument must be list, tuple, or set"));
    }
    let mut open = false;
    for item in items(list) {
        match Value::equal(wanted, item).as_bool() {
            Some(true) => return Ok(Value::bool(true)),
            Some(false) => {}
            None => open = true,
        }
    }
    Ok(if open {
        Value::unknown(Type::Bool)
    } else {
        Value::bool(false)
    })
}

pub(super) fn distinct(call: &Call<'_>) -> Outcome {
    let list = call.arg(0);
    if !list.is_wholly_known() {
        return Ok(Value::unknown(list.ty()));
    }
    // Doubles are found by sorting, so that the cost stays in step with the length.
    let all = items(list);
    let mut order: Vec<usize> = (0..all.len()).collect();
    let at = |i: usize| all.get(i).unwrap_or(list);
    order.sort_by(|a, b| at(*a).set_order(at(*b)).then(a.cmp(b)));
    order.dedup_by(|later, earlier| at(*later).set_order(at(*earlier)).is_eq());
    order.sort_unstable();
    let kept = order.into_iter().map(|i| at(i).clone()).collect();
    Ok(Value::list(element_type_of(&list.ty()), kept))
}

fn position(index: &Value, length: usize) -> Result<usize, FunctionError> {
    let index = index.as_i64().ok_or_else(|| {
        FunctionError::new(format!("invalid index: {}", super::whole_number_needed()))
    })?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    if length == 0 {
        return Err(FunctionError::new(
            "cannot use element function with an empty list",
        ));
    }
    Ok(usize::try_from(index.rem_euclid(length)).unwrap_or(0))
}

pub(super) fn element_type(args: &[Value]) -> Result<Type, FunctionError> {
    let index = args.get(1);
    match type_of(args, 0)? {
        Type::List(t) => Ok((*t).clone()),
        Type::Tuple(types) => match index {
            Some(index) if index.is_known() => {
                let at = position(index, types.len())?;
                Ok(types.get(at).cloned().unwrap_or(Type::Dynamic))
            }
            _ => Ok(Type::Dynamic),
        },
        other => Err(FunctionError::new(format!(
            "cannot read elements from {}",
            other.friendly_name()
        ))),
    }
}

pub(super) fn element(call: &Call<'_>) -> Outcome {
    element_type(call.args)?;
    let list = call.arg(0);
    let at = position(call.arg(1), items(list).len())?;
    let found = items(list).get(at).cloned();
    found
        .map(|v| v.with_marks(list.marks()))
        .ok_or_else(|| FunctionError::new("cannot use element function with an empty list"))
}

pub(super) fn flatten(call: &Call<'_>) -> Outcome {
    let list = call.arg(0);
    if !is_sequence(&list.ty()) {
        return Err(FunctionError::new(
            "can only flatten lists, sets and tuples",
        ));
    }
    let mut flat = Flat {
        items: Vec::new(),
        marks: Marks::NONE,
        known: true,
    };
    flat.take(list);
    let value = if flat.known {
        Value::tuple(flat.items)
    } else {
        Value::dynamic()
    };
    Ok(value.with_marks(flat.marks))
}

struct Flat {
    items: Vec<Value>,
    /// Of the sequences that were taken apart.
    marks: Marks,
    /// Whether it is known how many elements there are.
    known: bool,
}

impl Flat {
    fn take(&mut self, list: &Value) {
        self.marks = self.marks.union(list.marks());
        if !list.is_known() || list.length().is_none_or(|n| !n.is_known()) {
            self.known = false;
            return;
        }
        for item in items(list) {
            if !item.is_null() && is_sequence(&item.ty()) {
                self.take(item);
            } else {
                self.known &= item.is_known() || item.ty() != Type::Dynamic;
                self.items.push(item.clone());
            }
        }
    }
}

pub(super) fn index(call: &Call<'_>) -> Outcome {
    let list = call.arg(0);
    if !matches!(list.ty(), Type::List(_) | Type::Tuple(_)) {
        return Err(FunctionError::new("argument must be a list or tuple"));
    }
    if items(list).is_empty() {
        return Err(FunctionError::new("cannot search an empty list"));
    }
    for (i, item) in items(list).iter().enumerate() {
        match Value::equal(item, call.arg(1)).as_bool() {
            Some(true) => return Ok(Value::number(i)),
            Some(false) => {}
            None => return Ok(Value::unknown(Type::Number)),
        }
    }
    Err(FunctionError::new("item not found"))
}

const ONE: &str = "must be a list, set, or tuple value with either zero or one elements";

pub(super) fn one_type(args: &[Value]) -> Result<Type, FunctionError> {
    match type_of(args, 0)? {
        Type::List(t) | Type::Set(t) => Ok((*t).clone()),
        Type::Tuple(types) => match &*types {
            [] => Ok(Type::Dynamic),
            [only] => Ok(only.clone()),
            _ => Err(FunctionError::argument(0, ONE)),
        },
        _ => Err(FunctionError::argument(0, ONE)),
    }
}

pub(super) fn one(call: &Call<'_>) -> Outcome {
    let ty = one_type(call.args)?;
    if call.arg(0).length().is_some_and(|n| !n.is_known()) {
        return Ok(Value::unknown(ty));
    }
    match items(call.arg(0)) {
        [] => Ok(Value::null(ty)),
        [only] => Ok(only.clone()),
        _ => Err(FunctionError::argument(0, ONE)),
    }
}

pub(super) fn reverse_type(args: &[Value]) -> Result<Type, FunctionError> {
    match type_of(args, 0)? {
        Type::Tuple(types) => Ok(Type::tuple(types.iter().rev().cloned())),
        Type::List(t) | Type::Set(t) => Ok(Type::list((*t).clone())),
        other => {
            let message = format!(
                "can only reverse list or tuple values, not {}",
                other.friendly_name()
            );
            Err(FunctionError::argument(0, message))
        }
    }
}

pub(super) fn reverse(call: &Call<'_>) -> Outcome {
    let ty = reverse_type(call.args)?;
    let reversed: Vec<Value> = items(call.arg(0)).iter().rev().cloned().collect();
    let value = match ty {
        Type::List(element) => Value::list((*element).clone(), reversed),
        _ => Value::tuple(reversed),
    };
    Ok(value.with_marks(call.arg(0).marks()))
}

/// Start and end, as far as known, checked against each other and the list's length.
fn slice_bounds(args: &[Value]) -> Result<(Option<usize>, Option<usize>), FunctionError> {
    let list = args.first();
    let length = list
        .and_then(Value::length)
        .and_then(|n| n.as_number().and_then(Number::to_usize));
    let bound = |i: usize, word: &str| -> Result<Option<usize>, FunctionError> {
        let Some(value) = args.get(i).filter(|v| v.is_known()) else {
            return Ok(None);
        };
        let Some(at) = value.as_i64() else {
            let message = format!("invalid {word} index: {}", super::whole_number_needed());
            return Err(FunctionError::argument(i, message));
        };
        let Ok(at) = usize::try_from(at) else {
            return Err(FunctionError::argument(
                i,
                format!("{word} index must not be less than zero"),
            ));
        };
        if length.is_some_and(|l| at > l) {
            let message = format!("{word} index must not be greater than the length of the list");
            return Err(FunctionError::argument(i, message));
        }
        Ok(Some(at))
    };
    let (start, end) = (bound(1, "start")?, bound(2, "end")?);
    match (start, end) {
        (Some(start), Some(end)) if start > end => Err(FunctionError::argument(
            1,
            "start index must not be greater than end index",
        )),
        bounds => Ok(bounds),
    }
}

pub(super) fn slice_type(args: &[Value]) -> Result<Type, FunctionError> {
    match type_of(args, 0)? {
        Type::Set(_) => Err(FunctionError::argument(
            0,
            "cannot slice a set, because its elements do not have indices; explicitly convert to a list if the ordering of the result is not important",
        )),
        ty @ Type::List(_) => slice_bounds(args).map(|_| ty),
        Type::Tuple(types) => Ok(match slice_bounds(args)? {
            (Some(start), Some(end)) => {
                Type::tuple(types.get(start..end).unwrap_or_default().iter().cloned())
            }
            _ => Type::Dynamic,
        }),
        _ => Err(FunctionError::argument(0, "must be a list or tuple value")),
    }
}

pub(super) fn slice(call: &Call<'_>) -> Outcome {
    let ty = slice_type(call.args)?;
    let (start, end) = slice_bounds(call.args)?;
    let part = items(call.arg(0))
        .get(start.unwrap_or(0)..end.unwrap_or(0))
        .unwrap_or_default()
        .to_vec();
    let value = match ty {
        Type::List(element) => Value::list((*element).clone(), part),
        _ => Value::tuple(part),
    };
    Ok(value.with_marks(call.arg(0).marks()))
}

pub(super) fn sort(call: &Call<'_>) -> Outcome {
    let list = call.arg(0);
    if !list.is_wholly_known() {
        let length = list.as_sequence().map(<[Value]>::len);
        let known = list.refinement().cloned().unwrap_or_default();
        return Ok(Value::unknown(Type::list(Type::String)).refine(|r| {
            r.min_length = length.or(known.min_length);
            r.max_length = length.or(known.max_length);
        }));
    }
    let mut sorted = items(list).to_vec();
    if let Some(at) = sorted.iter().position(Value::is_null) {
        let message = format!("given list element {at} is null; a null string cannot be sorted");
        return Err(FunctionError::new(message));
    }
    sorted.sort_by(Value::set_order);
    Ok(Value::list(Type::String, sorted))
}

/// The prefix that an unknown text with this known beginning will have.
pub(super) fn with_prefix(known: &str) -> Value {
    let prefix = certain_prefix(known);
    let unknown = Value::unknown(Type::String);
    if prefix.is_empty() {
        unknown
    } else {
        unknown.refine(|r| r.prefix = Some(prefix.into()))
    }
}
