//! Functions over sets.

use stead_value::convert::{convert, unify_unsafe};
use stead_value::{Marks, Type, Value};

use super::collections::element_type_of;
use super::{Call, FunctionError, Outcome};

/// A set of the type that all elements have in common; empty sets of open type have no say.
pub(super) fn result_type(args: &[Value]) -> Result<Type, FunctionError> {
    let elements: Vec<Type> = args
        .iter()
        .filter_map(|set| {
            let element = element_type_of(&set.ty());
            let silent =
                element == Type::Dynamic && set.as_sequence().is_some_and(<[Value]>::is_empty);
            (!silent).then_some(element)
        })
        .collect();
    if elements.is_empty() {
        return Ok(Type::set(Type::Dynamic));
    }
    unify_unsafe(&elements)
        .map(Type::set)
        .ok_or_else(|| FunctionError::new("given sets must all have compatible element types"))
}

/// Folds the sets with `keep`, which says whether an element of the first set stays, given the second.
fn fold(call: &Call<'_>, keep: fn(&Value, &[Value]) -> bool) -> Outcome {
    let ty = result_type(call.args)?;
    let sets = converted(call, &ty)?;
    if !sets.iter().all(Value::is_wholly_known) {
        return Ok(Value::unknown(ty));
    }
    let mut sets = sets.iter().map(|s| s.as_sequence().unwrap_or_default());
    let mut left = sets.next().unwrap_or_default().to_vec();
    for right in sets {
        left.retain(|item| keep(item, right));
    }
    Ok(Value::set(element_type_of(&ty), left))
}

fn converted(call: &Call<'_>, ty: &Type) -> Result<Vec<Value>, FunctionError> {
    let convert_one =
        |(i, set)| convert(set, ty).map_err(|e| FunctionError::argument(i, e.message));
    call.args.iter().enumerate().map(convert_one).collect()
}

/// Sets are sorted.
fn has(set: &[Value], item: &Value) -> bool {
    set.binary_search_by(|other| other.set_order(item)).is_ok()
}

pub(super) fn setintersection(call: &Call<'_>) -> Outcome {
    fold(call, |item, other| has(other, item))
}

pub(super) fn setsubtract(call: &Call<'_>) -> Outcome {
    fold(call, |item, other| !has(other, item))
}

pub(super) fn setunion(call: &Call<'_>) -> Outcome {
    let ty = result_type(call.args)?;
    let all = converted(call, &ty)?;
    let items = all
        .iter()
        .flat_map(|s| s.as_sequence().unwrap_or_default())
        .cloned()
        .collect();
    Ok(Value::set(element_type_of(&ty), items))
}

/// A list of tuples if all arguments have an order, else a set.
fn product_type(args: &[Value]) -> Result<(bool, Vec<Type>), FunctionError> {
    if args.len() < 2 {
        return Err(FunctionError::new("at least two arguments are required"));
    }
    let mut ordered = true;
    let mut elements = Vec::with_capacity(args.len());
    for (i, arg) in args.iter().enumerate() {
        elements.push(match arg.ty() {
            Type::Set(t) => {
                ordered = false;
                (*t).clone()
            }
            Type::List(t) => (*t).clone(),
            Type::Tuple(types) if types.is_empty() => Type::Dynamic,
            Type::Tuple(types) => unify_unsafe(&types).ok_or_else(|| {
                FunctionError::argument(i, "all elements must be of the same type")
            })?,
            _ => return Err(FunctionError::argument(i, "a set or a list is required")),
        });
    }
    Ok((ordered, elements))
}

/// More combinations than this would only exhaust the memory.
const MAX_PRODUCT: usize = 10_000_000;

pub(super) fn setproduct(call: &Call<'_>) -> Outcome {
    let (ordered, types) = product_type(call.args)?;
    let marks = call
        .args
        .iter()
        .fold(Marks::NONE, |m, a| m.union(a.marks()));
    let element = Type::tuple(types.iter().cloned());
    let collect = |items| {
        if ordered {
            Value::list(element.clone(), items)
        } else {
            Value::set(element.clone(), items)
        }
    };
    let known = |a: &Value| a.is_known() && a.length().is_some_and(|n| n.is_known());
    if !call.args.iter().all(known) {
        let ty = if ordered {
            Type::list(element.clone())
        } else {
            Type::set(element.clone())
        };
        return Ok(unknown_product(call.args, ty).with_marks(marks));
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for (i, (arg, ty)) in call.args.iter().zip(&types).enumerate() {
        let items = arg
            .as_sequence()
            .unwrap_or_default()
            .iter()
            .map(|item| convert(item, ty))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| FunctionError::argument(i, e.message))?;
        if rows.len().saturating_mul(items.len()) > MAX_PRODUCT {
            return Err(FunctionError::new(
                "the product has more than ten million elements",
            ));
        }
        rows = rows
            .iter()
            .flat_map(|row| {
                items
                    .iter()
                    .map(move |item| row.iter().chain([item]).cloned().collect())
            })
            .collect();
    }
    Ok(collect(rows.into_iter().map(Value::tuple).collect()).with_marks(marks))
}

/// The product's length is bounded if all lengths are, and not too large to be of use.
fn unknown_product(args: &[Value], ty: Type) -> Value {
    let unknown = Value::unknown(ty);
    let mut most = 1usize;
    for arg in args {
        // The length of a known set that holds unknowns has no bounds in the reference.
        let upper = match arg.length().filter(|n| n.is_known() || !arg.is_known()) {
            Some(n) => match n.as_number() {
                Some(n) => n.to_usize(),
                None => n.refinement().and_then(|r| r.upper.as_ref()?.0.to_usize()),
            },
            None => None,
        };
        let Some(upper) = upper.filter(|n| *n <= 1024) else {
            return unknown;
        };
        most = most.saturating_mul(upper);
        if most > 2048 {
            return unknown;
        }
    }
    unknown.refine(|r| {
        r.not_null = true;
        r.min_length = (most > 0).then_some(1);
        r.max_length = Some(most);
    })
}
