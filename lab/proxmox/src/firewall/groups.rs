//! Security groups: rules under a name, for use in other places' rules.

use serde_json::Value;

use super::sets::summaries;
use super::{Entry, Firewall, Scope, digest, listed};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::sections::assert_digest;
use crate::state::State;

fn group_summaries(firewall: &Firewall) -> Vec<Entry> {
    summaries(
        firewall
            .groups
            .iter()
            .map(|(name, group)| (name, group.comment.as_ref())),
        "group",
    )
}

/// `GET /cluster/firewall/groups`
pub(super) fn list(state: &State, _: &Call) -> Value {
    listed(&group_summaries(&state.firewall)).into()
}

/// `POST /cluster/firewall/groups`: a new one, or with `rename` another name or comment for an old one.
pub(super) fn create(state: &mut State, call: &Call) -> Answer {
    let (params, firewall) = (&call.params, &mut state.firewall);
    let (name, comment) = (
        params.text("group"),
        params.get("comment").map(str::to_owned),
    );
    let refused = |text: String| Err(ApiError::parameter("group", text));
    let mut group = match params.get("rename") {
        Some(old) => {
            assert_digest(&digest(&group_summaries(firewall)), params)?;
            if !firewall.groups.contains_key(old) {
                return refused(format!("Security group '{old}' does not exist"));
            }
            if old != name && firewall.groups.contains_key(name) {
                return refused(format!("Security group '{name}' does already exist"));
            }
            rename_uses(firewall, old, name);
            firewall.groups.remove(old).unwrap_or_default()
        }
        None if firewall.groups.contains_key(name) => {
            return refused(format!("Security group '{name}' already exists"));
        }
        None => Scope::default(),
    };
    group.comment = comment.or(group.comment);
    firewall.groups.insert(name.to_owned(), group);
    Ok(Value::Null)
}

/// Rules of the cluster, its nodes and guests that use a group go on using it.
fn rename_uses(firewall: &mut Firewall, old: &str, new: &str) {
    let others = firewall
        .nodes
        .values_mut()
        .chain(firewall.guests.values_mut());
    for rule in std::iter::once(&mut firewall.cluster)
        .chain(others)
        .flat_map(|scope| &mut scope.rules)
    {
        if rule.get("type").is_some_and(|kind| kind == "group")
            && let Some(action) = rule.get_mut("action").filter(|action| *action == old)
        {
            new.clone_into(action);
        }
    }
}

/// `DELETE /cluster/firewall/groups/{group}`
pub(super) fn delete(state: &mut State, call: &Call) -> Answer {
    let name = call.params.text("group");
    if !state.look(call)?.rules.is_empty() {
        return Err(ApiError::failure(format!(
            "Security group '{name}' is not empty"
        )));
    }
    state.firewall.groups.remove(name);
    Ok(Value::Null)
}
