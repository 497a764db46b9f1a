//! Names for addresses: aliases and IP sets.

use serde_json::{Value, json};

use super::verify::split_scope;
use super::{Entry, IpSet, Place, Scope, digest, listed, shown};
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::check::Params;
use crate::schema::format::{cidr, matches};
use crate::sections::assert_digest;
use crate::state::State;

impl State {
    /// The scopes that a name is looked up in: the guest's own, then the cluster's.
    fn scopes(&self, place: &Place, scope: &str) -> impl Iterator<Item = &Scope> {
        let own = self.firewall.scope(place).filter(|_| scope != "dc");
        let cluster = Some(&self.firewall.cluster).filter(|_| scope != "guest");
        own.into_iter().chain(cluster)
    }

    pub(super) fn firewall_alias(&self, place: &Place, scope: &str, name: &str) -> Option<&Entry> {
        let name = name.to_ascii_lowercase();
        self.scopes(place, scope)
            .find_map(|scope| scope.aliases.get(&name))
    }

    pub(super) fn has_set(&self, place: &Place, scope: &str, name: &str) -> bool {
        self.scopes(place, scope)
            .any(|scope| scope.sets.contains_key(name))
            || self.sdn.has_ipset(name)
    }
}

/// An alias as the file keeps it.
fn alias_entry(call: &Call) -> Entry {
    let (params, mut entry) = (&call.params, Entry::new());
    let address = settled(params.text("cidr"));
    let version = if address.contains(':') { "6" } else { "4" };
    entry.insert("name".into(), params.text("name").into());
    entry.insert("cidr".into(), address);
    entry.insert("ipversion".into(), version.into());
    describe(&mut entry, params);
    entry
}

/// What else a request says of an address.
fn describe(entry: &mut Entry, params: &Params) {
    if params.is_on("nomatch") {
        entry.insert("nomatch".into(), "1".into());
    }
    if let Some(comment) = params.get("comment").filter(|text| !text.is_empty()) {
        entry.insert("comment".into(), comment.into());
    }
}

/// A single address needs no prefix length.
fn settled(address: &str) -> String {
    let whole = if address.contains(':') { "/128" } else { "/32" };
    address.strip_suffix(whole).unwrap_or(address).to_owned()
}

fn key(call: &Call) -> String {
    call.params.text("name").to_ascii_lowercase()
}

fn no_alias() -> ApiError {
    ApiError::parameter("name", "no such alias")
}

/// `GET …/aliases`
fn aliases(state: &State, call: &Call) -> Answer {
    Ok(listed(state.look(call)?.aliases.values()).into())
}

/// `POST …/aliases`
fn add_alias(state: &mut State, call: &Call) -> Answer {
    let aliases = &mut state.scope_mut(call)?.aliases;
    if aliases.contains_key(&key(call)) {
        let name = call.params.text("name");
        return Err(ApiError::parameter(
            "name",
            format!("alias '{name}' already exists"),
        ));
    }
    aliases.insert(key(call), alias_entry(call));
    Ok(Value::Null)
}

/// `GET …/aliases/{name}`
fn alias(state: &State, call: &Call) -> Answer {
    let found = state
        .look(call)?
        .aliases
        .get(&key(call))
        .ok_or_else(no_alias)?;
    Ok(Value::Object(shown(found)))
}

/// `PUT …/aliases/{name}`
fn change_alias(state: &mut State, call: &Call) -> Answer {
    let aliases = &mut state.scope_mut(call)?.aliases;
    assert_digest(&digest(aliases.values()), &call.params)?;
    if !aliases.contains_key(&key(call)) {
        return Err(no_alias());
    }
    let mut entry = alias_entry(call);
    let new = call
        .params
        .get("rename")
        .filter(|new| new.to_ascii_lowercase() != key(call));
    if let Some(new) = new {
        if aliases.contains_key(&new.to_ascii_lowercase()) {
            return Err(ApiError::parameter(
                "name",
                format!("alias '{new}' already exists"),
            ));
        }
        entry.insert("name".into(), new.into());
        aliases.remove(&key(call));
    }
    aliases.insert(
        new.map_or_else(|| key(call), str::to_ascii_lowercase),
        entry,
    );
    Ok(Value::Null)
}

/// `DELETE …/aliases/{name}`
fn remove_alias(state: &mut State, call: &Call) -> Answer {
    let aliases = &mut state.scope_mut(call)?.aliases;
    assert_digest(&digest(aliases.values()), &call.params)?;
    aliases.remove(&key(call));
    Ok(Value::Null)
}

/// The sets' names and comments, of which their list's digest is made.
pub(super) fn summaries<'a>(
    sets: impl Iterator<Item = (&'a String, Option<&'a String>)>,
    called: &str,
) -> Vec<Entry> {
    let entry = |(name, comment): (&String, Option<&String>)| {
        let mut entry = Entry::from([(called.to_owned(), name.clone())]);
        if let Some(comment) = comment.filter(|text| !text.is_empty()) {
            entry.insert("comment".into(), comment.clone());
        }
        entry
    };
    sets.map(entry).collect()
}

fn set_summaries(scope: &Scope) -> Vec<Entry> {
    summaries(
        scope
            .sets
            .iter()
            .map(|(name, set)| (name, set.comment.as_ref())),
        "name",
    )
}

/// `GET …/ipset`
fn list(state: &State, call: &Call) -> Answer {
    Ok(listed(&set_summaries(state.look(call)?)).into())
}

/// `POST …/ipset`: a new one, or with `rename` another name or comment for an old one.
fn create(state: &mut State, call: &Call) -> Answer {
    let (params, scope) = (&call.params, state.scope_mut(call)?);
    let (name, comment) = (
        params.text("name"),
        params.get("comment").map(str::to_owned),
    );
    let refused = |text: String| Err(ApiError::parameter("name", text));
    let mut set = match params.get("rename") {
        Some(old) => {
            assert_digest(&digest(&set_summaries(scope)), params)?;
            if old != name && scope.sets.contains_key(name) {
                return refused(format!("IPSet '{name}' does already exist"));
            }
            let Some(set) = scope.sets.remove(old) else {
                return refused(format!("IPSet '{old}' does not exist"));
            };
            set
        }
        None if scope.sets.contains_key(name) => {
            return refused(format!("IPSet '{name}' already exists"));
        }
        None => IpSet::default(),
    };
    set.comment = comment.or(set.comment);
    scope.sets.insert(name.to_owned(), set);
    Ok(Value::Null)
}

fn no_set(call: &Call) -> ApiError {
    ApiError::failure(format!("no such IPSet '{}'", call.params.text("name")))
}

fn set<'a>(state: &'a State, call: &Call) -> Result<&'a IpSet, ApiError> {
    state
        .look(call)?
        .sets
        .get(call.params.text("name"))
        .ok_or_else(|| no_set(call))
}

fn set_mut<'a>(state: &'a mut State, call: &Call) -> Result<&'a mut IpSet, ApiError> {
    state
        .scope_mut(call)?
        .sets
        .get_mut(call.params.text("name"))
        .ok_or_else(|| no_set(call))
}

/// `DELETE …/ipset/{name}`
fn delete(state: &mut State, call: &Call) -> Answer {
    let name = call.params.text("name");
    if !set(state, call)?.entries.is_empty() && !call.params.is_on("force") {
        return Err(ApiError::failure(format!("IPSet '{name}' is not empty")));
    }
    state.scope_mut(call)?.sets.remove(name);
    Ok(Value::Null)
}

/// `GET …/ipset/{name}`
fn entries(state: &State, call: &Call) -> Answer {
    Ok(listed(&set(state, call)?.entries).into())
}

/// `POST …/ipset/{name}`
fn add(state: &mut State, call: &Call) -> Answer {
    set(state, call)?;
    let (params, place) = (&call.params, Place::of(call));
    let refused = |text: String| Err(ApiError::parameter("cidr", text));
    let given = params.text("cidr");
    let (scope, name) = split_scope(given);
    let address = if matches("[A-Za-z][A-Za-z0-9_-]+", name) == Ok(true) {
        if state.firewall_alias(&place, scope, name).is_none() {
            return Err(ApiError::failure(format!("no such alias '{name}'")));
        }
        given.to_owned()
    } else {
        settled(given)
    };
    let set = set_mut(state, call)?;
    if set
        .entries
        .iter()
        .any(|entry| entry.get("cidr") == Some(&address))
    {
        return refused(format!("address '{address}' already exists"));
    }
    if cidr(&address).is_some_and(|(_, length)| length == 0) {
        return refused("a zero prefix is not allowed in ipset entries".into());
    }
    let mut entry = Entry::from([("cidr".to_owned(), address)]);
    describe(&mut entry, params);
    set.entries.insert(0, entry);
    Ok(Value::Null)
}

fn no_entry() -> ApiError {
    ApiError::parameter("cidr", "no such IP/Network")
}

/// `GET …/ipset/{name}/{cidr}`
fn entry(state: &State, call: &Call) -> Answer {
    let rows = listed(&set(state, call)?.entries);
    let wanted = json!(call.params.text("cidr"));
    let found = rows
        .into_iter()
        .find(|row| row.get("cidr") == Some(&wanted));
    found.ok_or_else(no_entry)
}

/// `PUT …/ipset/{name}/{cidr}`
fn change(state: &mut State, call: &Call) -> Answer {
    let (params, set) = (&call.params, set_mut(state, call)?);
    assert_digest(&digest(&set.entries), params)?;
    let wanted = params.text("cidr");
    let found = set
        .entries
        .iter_mut()
        .find(|entry| entry.get("cidr").is_some_and(|c| c == wanted));
    let entry = found.ok_or_else(no_entry)?;
    entry.retain(|name, _| name == "cidr");
    describe(entry, params);
    Ok(Value::Null)
}

/// `DELETE …/ipset/{name}/{cidr}`: also of what is not there.
fn remove(state: &mut State, call: &Call) -> Answer {
    let set = set_mut(state, call)?;
    assert_digest(&digest(&set.entries), &call.params)?;
    let wanted = call.params.text("cidr");
    set.entries
        .retain(|entry| entry.get("cidr").is_none_or(|c| c != wanted));
    Ok(Value::Null)
}

pub(super) fn routes(at: &mut Routes<'_>, place: &str) {
    let aliases_path = format!("{place}/aliases");
    at.get(&aliases_path, aliases);
    at.post(&aliases_path, add_alias);
    let one = format!("{aliases_path}/{{name}}");
    at.get(&one, alias);
    at.put(&one, change_alias);
    at.delete(&one, remove_alias);
    let sets_path = format!("{place}/ipset");
    at.get(&sets_path, list);
    at.post(&sets_path, create);
    let one = format!("{sets_path}/{{name}}");
    at.get(&one, entries);
    at.post(&one, add);
    at.delete(&one, delete);
    let one = format!("{one}/{{cidr}}");
    at.get(&one, entry);
    at.put(&one, change);
    at.delete(&one, remove);
}
