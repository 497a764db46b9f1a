//! Prefix lists and route maps: what routes a fabric or a controller takes and gives.

use serde_json::{Map, Value, json};

use super::families::{AUDIT, SDN, halves};
use super::lists::Listed;
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::property::plain;
use crate::sections::{Act, Family, Section, Shown};
use crate::state::State;

pub(super) const PREFIX_LISTS: Family = Family {
    file: "sdn/prefix-lists.cfg",
    path: "/cluster/sdn/prefix-lists",
    control: &["lock-token", "running", "pending", "verbose"],
    seen: ("/sdn/prefix-lists/{id}", AUDIT),
    exists: |id| ApiError::failure(format!("prefix list '{id}' already exists")),
    missing: |_, id| {
        Some(ApiError::failure(format!(
            "prefix list '{id}' does not exist"
        )))
    },
    ..SDN
};

pub(super) const ROUTE_MAPS: Family = Family {
    file: "sdn/route-maps.cfg",
    path: "/cluster/sdn/route-maps/entries",
    key: "order",
    id: |_, call, order| Ok(format!("{}_{order}", call.params.text("route-map-id"))),
    wanted: |call, _, entry| {
        call.params
            .get("route-map-id")
            .is_none_or(|map| entry.get("route-map-id") == Some(map))
    },
    exists: |id| {
        let (map, order) = halves(id);
        ApiError::failure(format!("entry {order} of route map '{map}' already exists"))
    },
    missing: |_, id| {
        let (map, order) = halves(id);
        Some(ApiError::failure(format!(
            "entry {order} of route map '{map}' does not exist"
        )))
    },
    show: entry_row,
    ..SDN
};

static ALL_LISTS: Listed = Listed::of(&PREFIX_LISTS);
static ALL_MAPS: Listed = Listed {
    home: |_, _, entry| {
        format!(
            "/sdn/route-maps/{}",
            entry.get("route-map-id").unwrap_or_default()
        )
    },
    ..Listed::of(&ROUTE_MAPS)
};

fn entry_row(shown: &Shown<'_>, row: &mut Map<String, Value>) {
    let (map, order) = halves(shown.id);
    row.insert("route-map-id".into(), map.into());
    row.insert("order".into(), order.parse::<u32>().ok().into());
}

/// `GET /cluster/sdn/route-maps`
fn maps(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let mut names: Vec<Value> = ALL_MAPS
        .seen_rows(px, &state, call)
        .iter()
        .map(|row| json!({ "id": row["route-map-id"] }))
        .collect();
    names.dedup();
    Ok(names.into())
}

fn list_of<'a>(state: &'a State, call: &Call) -> Result<&'a Section, ApiError> {
    let id = call.params.text("id");
    state
        .section(PREFIX_LISTS.file, id)
        .ok_or_else(|| PREFIX_LISTS.not_there(Act::Read, id))
}

/// An entry of a prefix list: a property string, as the API shows it.
fn entry_shown(text: &str) -> Value {
    let mut row = Map::new();
    for name in ["action", "prefix", "seq", "le", "ge"] {
        if let Some(value) = plain(text, name) {
            let number = value.parse::<u32>().ok();
            row.insert(
                name.into(),
                number.map_or_else(|| value.into(), Value::from),
            );
        }
    }
    Value::Object(row)
}

/// `GET /cluster/sdn/prefix-lists/{id}/entries`
fn entries(state: &State, call: &Call) -> Answer {
    Ok(list_of(state, call)?
        .all("entries")
        .iter()
        .map(|text| entry_shown(text))
        .collect())
}

fn no_entry(call: &Call) -> ApiError {
    let text = format!(
        "entry {} does not exist in prefix list '{}'",
        call.params.text("url_seq"),
        call.params.text("id")
    );
    ApiError::failure(text)
}

fn numbered(text: &str, number: &str) -> bool {
    plain(text, "seq") == Some(number)
}

/// `GET /cluster/sdn/prefix-lists/{id}/entries/{url_seq}`
fn entry(state: &State, call: &Call) -> Answer {
    let wanted = call.params.text("url_seq");
    let found = list_of(state, call)?
        .all("entries")
        .iter()
        .find(|text| numbered(text, wanted));
    found
        .map(|text| entry_shown(text))
        .ok_or_else(|| no_entry(call))
}

/// Changes the entries of a list.
fn change(
    state: &mut State,
    call: &Call,
    work: impl FnOnce(&mut Vec<String>) -> Result<(), ApiError>,
) -> Answer {
    state.sdn_unlocked(call)?;
    list_of(state, call)?;
    state.assert_unmodified(PREFIX_LISTS.file, &call.params)?;
    let lists = state.configs.get_mut(PREFIX_LISTS.file);
    if let Some(list) = lists.and_then(|lists| lists.get_mut(call.params.text("id"))) {
        work(list.options.entry("entries".into()).or_default())?;
    }
    Ok(Value::Null)
}

/// The properties of an entry that a call gives.
fn given(call: &Call, old: &str) -> String {
    let deleted = call.params.all("delete");
    let parts = ["action", "prefix", "seq", "le", "ge"]
        .into_iter()
        .filter_map(|name| {
            let kept = plain(old, name).filter(|_| !deleted.iter().any(|d| d == name));
            Some(format!("{name}={}", call.params.get(name).or(kept)?))
        });
    parts.collect::<Vec<_>>().join(",")
}

/// `POST /cluster/sdn/prefix-lists/{id}/entries`
fn add_entry(state: &mut State, call: &Call) -> Answer {
    change(state, call, |entries| {
        let last = entries
            .iter()
            .filter_map(|text| plain(text, "seq")?.parse::<u32>().ok())
            .max();
        let mut text = given(call, "");
        match call.params.get("seq") {
            Some(number) if entries.iter().any(|text| numbered(text, number)) => {
                return Err(ApiError::failure(format!("entry {number} already exists")));
            }
            Some(_) => {}
            None => text += &format!(",seq={}", last.unwrap_or_default() + 5),
        }
        entries.push(text);
        Ok(())
    })
}

/// `PUT /cluster/sdn/prefix-lists/{id}/entries/{url_seq}`
fn change_entry(state: &mut State, call: &Call) -> Answer {
    change(state, call, |entries| {
        let wanted = call.params.text("url_seq");
        let entry = entries
            .iter_mut()
            .find(|text| numbered(text, wanted))
            .ok_or_else(|| no_entry(call))?;
        *entry = given(call, entry);
        Ok(())
    })
}

/// `DELETE /cluster/sdn/prefix-lists/{id}/entries/{url_seq}`
fn remove_entry(state: &mut State, call: &Call) -> Answer {
    change(state, call, |entries| {
        let (wanted, before) = (call.params.text("url_seq"), entries.len());
        entries.retain(|text| !numbered(text, wanted));
        if entries.len() < before {
            Ok(())
        } else {
            Err(no_entry(call))
        }
    })
}

pub(super) fn routes(at: &mut Routes<'_>) {
    ALL_LISTS.routes(at);
    ALL_MAPS.family.list_routes(at);
    for list in [
        ROUTE_MAPS.path,
        "/cluster/sdn/route-maps/entries/{route-map-id}",
    ] {
        at.get(list, |px: &Proxmox, call: &Call| ALL_MAPS.list(px, call));
    }
    at.get("/cluster/sdn/route-maps", maps);
    let one = "/cluster/sdn/route-maps/entries/{route-map-id}/entry/{order}";
    ALL_MAPS.item_routes(at, one);
    let entries_path = "/cluster/sdn/prefix-lists/{id}/entries";
    at.get(entries_path, entries);
    at.post(entries_path, add_entry);
    let one = format!("{entries_path}/{{url_seq}}");
    at.get(&one, entry);
    at.put(&one, change_entry);
    at.delete(&one, remove_entry);
}
