//! Rules: an ordered list; a new one comes first.

use serde_json::Value;

use super::{Entry, digest, listed, verify};
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::sections::assert_digest;
use crate::state::State;

/// What a rule may say, beside its type and action.
const PROPERTIES: &[&str] = &[
    "type",
    "action",
    "macro",
    "iface",
    "source",
    "dest",
    "proto",
    "enable",
    "log",
    "sport",
    "dport",
    "comment",
    "icmp-type",
];

/// The rules of a call's place, each with its position.
fn rows(state: &State, call: &Call) -> Result<Vec<Value>, ApiError> {
    let mut rows = listed(&state.look(call)?.rules);
    for (at, row) in rows.iter_mut().enumerate() {
        row["pos"] = at.into();
    }
    Ok(rows)
}

/// `GET …/rules`
fn list(state: &State, call: &Call) -> Answer {
    rows(state, call).map(Value::from)
}

fn position(call: &Call, count: usize) -> Result<usize, ApiError> {
    let text = call.params.text("pos");
    text.parse()
        .ok()
        .filter(|at| *at < count)
        .ok_or_else(|| ApiError::failure(format!("no rule at position {text}")))
}

/// `GET …/rules/{pos}`
fn read(state: &State, call: &Call) -> Answer {
    let mut rows = rows(state, call)?;
    let mut row = rows.swap_remove(position(call, rows.len())?);
    // The text of the path, where the list has numbers.
    row["pos"] = call.params.text("pos").into();
    Ok(row)
}

/// What was given, into a rule; an empty value removes.
fn take(rule: &mut Entry, call: &Call) {
    for name in PROPERTIES {
        match call.params.get(name) {
            None => {}
            Some("" | "-") => drop(rule.remove(*name)),
            Some(value) => drop(rule.insert((*name).to_owned(), value.to_owned())),
        }
    }
}

/// `POST …/rules`
fn create(state: &mut State, call: &Call) -> Answer {
    let place = state.place(call, &["SDN.Allocate"])?;
    let mut rule = Entry::new();
    take(&mut rule, call);
    verify::rule(state, &mut rule, &place)?;
    rule.entry("enable".into()).or_insert_with(|| "0".into());
    state
        .firewall
        .scope_mut(&place)
        .rules
        .insert(0, settled(rule));
    Ok(Value::Null)
}

/// The file only knows rules that are on and rules that are off.
fn settled(mut rule: Entry) -> Entry {
    let on = rule.get("enable").is_some_and(|value| value != "0");
    rule.insert("enable".into(), u8::from(on).to_string());
    rule
}

/// `PUT …/rules/{pos}`: moves the rule when `moveto` is given, else changes it.
fn update(state: &mut State, call: &Call) -> Answer {
    let place = state.place(call, &["SDN.Allocate"])?;
    let rules = &mut state.firewall.scope_mut(&place).rules;
    assert_digest(&digest(rules.iter()), &call.params)?;
    let at = position(call, rules.len())?;
    let target = call
        .params
        .get("moveto")
        .and_then(|to| to.parse::<usize>().ok());
    if let Some(target) = target.filter(|to| *to != at) {
        let rule = rules.remove(at);
        // The target is a place in the list as it was.
        let target = if target > at { target - 1 } else { target };
        rules.insert(target.min(rules.len()), rule);
        return Ok(Value::Null);
    }
    let mut rule = rules.get(at).cloned().unwrap_or_default();
    take(&mut rule, call);
    for name in call.params.list("delete") {
        let refused = |text: String| Err(ApiError::parameter("delete", text));
        match name.as_str() {
            "type" | "action" => {
                return refused(format!("unable to delete required property '{name}'"));
            }
            "pos" | "digest" => {}
            known if PROPERTIES.contains(&known) => drop(rule.remove(known)),
            _ => return refused(format!("no such property ('{name}')")),
        }
    }
    verify::rule(state, &mut rule, &place)?;
    if let Some(old) = state.firewall.scope_mut(&place).rules.get_mut(at) {
        *old = settled(rule);
    }
    Ok(Value::Null)
}

/// `DELETE …/rules/{pos}`
fn delete(state: &mut State, call: &Call) -> Answer {
    let rules = &mut state.scope_mut(call)?.rules;
    assert_digest(&digest(rules.iter()), &call.params)?;
    let at = position(call, rules.len())?;
    rules.remove(at);
    Ok(Value::Null)
}

pub(super) fn routes(at: &mut Routes<'_>, path: &str) {
    let one = format!("{path}/{{pos}}");
    at.get(path, list);
    at.post(path, create);
    at.get(&one, read);
    at.put(&one, update);
    at.delete(&one, delete);
}
