//! Options of each place, and what there is to look at: references, macros, the log.

use serde_json::{Map, Value, json};

use super::names::MACROS;
use super::{Entry, Place, digest};
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Reply, Routes};
use crate::schema::spec::Kind;
use crate::sections::assert_digest;
use crate::state::State;
use crate::{Proxmox, now};

/// Parameters of the options' method that are not options.
const NOT_OPTIONS: &[&str] = &["delete", "digest", "node", "vmid", "vnet"];

/// `GET …/options`
pub(super) fn read(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let options = &state.look(call)?.options;
    let mut row: Map<String, Value> = options
        .iter()
        .map(|(name, text)| {
            let kind = px
                .api
                .option("PUT", &call.path, name)
                .map_or(Kind::Text, |spec| spec.kind);
            let number = text
                .parse::<i64>()
                .ok()
                .filter(|_| matches!(kind, Kind::Integer | Kind::Boolean));
            (
                name.clone(),
                number.map_or_else(|| text.as_str().into(), Value::from),
            )
        })
        .collect();
    row.insert("digest".into(), digest([options]).into());
    Ok(Value::Object(row))
}

/// `PUT …/options`
pub(super) fn update(px: &Proxmox, call: &Call) -> Answer {
    let (params, mut state) = (&call.params, px.state());
    let place = state.place(call, &["SDN.Allocate"])?;
    let options = &mut state.firewall.scope_mut(&place).options;
    assert_digest(&digest([&*options]), params)?;
    let mut changed: Entry = options.clone();
    for name in params.list("delete") {
        if NOT_OPTIONS.contains(&name.as_str()) || px.api.option("PUT", &call.path, &name).is_none()
        {
            return Err(ApiError::parameter(
                "delete",
                format!("no such option '{name}'"),
            ));
        }
        changed.remove(&name);
    }
    for (name, value) in params
        .iter()
        .filter(|(name, _)| !NOT_OPTIONS.contains(name))
    {
        // The cluster's own is also the time at which it was switched on, for a way back from a lock-out.
        let value = match (name, value.parse::<u64>()) {
            ("enable", Ok(2..)) => now().to_string(),
            _ => value.to_owned(),
        };
        changed.insert(name.to_owned(), value);
    }
    *options = changed;
    Ok(Value::Null)
}

/// `GET …/refs`: aliases and sets that rules can name.
fn references(state: &State, call: &Call) -> Value {
    let kind = call.params.get("type");
    let own = match Place::of(call) {
        Place::Cluster => None,
        place => state.firewall.scope(&place),
    };
    let scopes =
        std::iter::once((&state.firewall.cluster, "dc")).chain(own.map(|scope| (scope, "guest")));
    let mut rows = Vec::new();
    let mut add =
        |kind: &str, name: &str, reference: String, scope: &str, comment: Option<&String>| {
            let mut row = json!({ "type": kind, "name": name, "ref": reference, "scope": scope });
            if let (Some(comment), Some(row)) = (comment, row.as_object_mut()) {
                row.insert("comment".into(), comment.clone().into());
            }
            rows.push(row);
        };
    for (scope, called) in scopes {
        if kind.is_none_or(|kind| kind == "ipset") {
            for (name, set) in &scope.sets {
                add(
                    "ipset",
                    name,
                    format!("+{name}"),
                    called,
                    set.comment.as_ref(),
                );
            }
        }
        if kind.is_none_or(|kind| kind == "alias") {
            for (name, alias) in &scope.aliases {
                add("alias", name, name.clone(), called, alias.get("comment"));
            }
        }
    }
    Value::Array(rows)
}

/// `GET /cluster/firewall/macros`
pub(super) fn macros(_: &State, _: &Call) -> Value {
    MACROS
        .iter()
        .map(|(name, rules)| json!({ "macro": name, "descr": format!("{name} ({rules})") }))
        .collect()
}

/// `GET …/log`: simulated packets are never dropped.
fn log(_: &State, _: &Call) -> Reply {
    let mut reply = Reply::from(json!([{ "n": 1, "t": "no content" }]));
    reply.total = Some(0);
    reply
}

pub(super) fn references_at(at: &mut Routes<'_>, place: &str) {
    at.get(&format!("{place}/refs"), references);
}

pub(super) fn log_at(at: &mut Routes<'_>, place: &str) {
    at.get(&format!("{place}/log"), log);
}
