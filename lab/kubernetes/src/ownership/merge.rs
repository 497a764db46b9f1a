//! The two halves of an apply: laying the applied fields over the live object, and removing what is no longer applied.

use serde_json::Value;

use super::fields::{FieldSet, step_of};
use crate::schema::Schema;

/// The live object with the applied one laid over it.
pub(crate) fn merge(schema: &Schema, live: &Value, applied: &Value) -> Value {
    match (live, applied) {
        (Value::Object(old), Value::Object(new)) if !schema.is_leaf(applied) => {
            let mut out = old.clone();
            for (name, value) in new {
                let merged = match old.get(name) {
                    Some(before) => merge(schema.field(name), before, value),
                    None => value.clone(),
                };
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
        (Value::Array(old), Value::Array(new)) if !schema.is_leaf(applied) => {
            Value::Array(merge_lists(schema, old, new))
        }
        _ => applied.clone(),
    }
}

/// Items that both lists have are merged. Live order stands as long as it agrees with the applied one.
fn merge_lists(schema: &Schema, old: &[Value], new: &[Value]) -> Vec<Value> {
    let steps_of =
        |items: &[Value]| -> Vec<String> { items.iter().map(|i| step_of(schema, i)).collect() };
    let (old_steps, new_steps) = (steps_of(old), steps_of(new));
    let merged = |step: &str| -> Option<Value> {
        let find = |steps: &[String], items: &[Value]| {
            steps
                .iter()
                .position(|s| s == step)
                .and_then(|i| items.get(i))
                .cloned()
        };
        match (find(&old_steps, old), find(&new_steps, new)) {
            (Some(a), Some(b)) => Some(merge(schema.items(), &a, &b)),
            (a, b) => b.or(a),
        }
    };
    let common_old: Vec<&String> = old_steps.iter().filter(|s| new_steps.contains(s)).collect();
    let common_new: Vec<&String> = new_steps.iter().filter(|s| old_steps.contains(s)).collect();
    let (first, then) = if common_old == common_new {
        (&old_steps, &new_steps)
    } else {
        (&new_steps, &old_steps)
    };
    let order = first
        .iter()
        .chain(then.iter().filter(|s| !first.contains(s)));
    order.filter_map(|step| merged(step)).collect()
}

/// Removes from `value` what is in `last`, unless `kept` has it or anything below it.
pub(crate) fn remove(schema: &Schema, value: &mut Value, last: &FieldSet, kept: &FieldSet) {
    let nothing = FieldSet::default();
    match value {
        Value::Object(map) => {
            for (step, set) in &last.children {
                let Some(name) = step.strip_prefix("f:") else {
                    continue;
                };
                let Some(inner) = map.get_mut(name) else {
                    continue;
                };
                let (had_content, keep) = (!is_hollow(inner), kept.children.get(step));
                let gone = match keep {
                    Some(keep) => {
                        remove(schema.field(name), inner, set, keep);
                        false
                    }
                    None if set.member => true,
                    None => {
                        remove(schema.field(name), inner, set, &nothing);
                        had_content && is_hollow(inner)
                    }
                };
                if gone {
                    map.shift_remove(name);
                }
            }
        }
        Value::Array(items) => {
            items.retain_mut(|item| {
                let step = step_of(schema, item);
                let Some(set) = last.children.get(&step) else {
                    return true;
                };
                match kept.children.get(&step) {
                    Some(keep) => {
                        remove(schema.items(), item, set, keep);
                        true
                    }
                    None => !set.member,
                }
            });
        }
        _ => {}
    }
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
