//! Who owns which field: `managedFields`, its upkeep on updates, and server-side apply.

mod fields;
mod merge;

use serde_json::{Value, json};

pub(crate) use fields::{Comparison, FieldSet};

use crate::error::ApiError;
use crate::object::{at, entry, map_at, text};
use crate::schema::Schema;

/// An entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(crate) apply: bool,
    pub(crate) api_version: String,
    pub(crate) subresource: String,
    time: String,
    pub(crate) set: FieldSet,
}

/// Who writes, and how.
#[derive(Clone, Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) api_version: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) now: &'a str,
    /// Fields that this endpoint leaves alone (`status` for the main resource); nobody comes to own them by it.
    pub(crate) ignored: &'a [&'a str],
}

pub(crate) fn managers(object: &Value) -> Vec<Manager> {
    let entries = at(object, &["metadata", "managedFields"]).as_array();
    let entries = entries
        .into_iter()
        .flatten()
        .filter(|e| !text(e, &["manager"]).is_empty());
    entries
        .map(|e| Manager {
            name: text(e, &["manager"]).to_owned(),
            apply: text(e, &["operation"]) == "Apply",
            api_version: text(e, &["apiVersion"]).to_owned(),
            subresource: text(e, &["subresource"]).to_owned(),
            time: text(e, &["time"]).to_owned(),
            set: FieldSet::decode(at(e, &["fieldsV1"])),
        })
        .collect()
}

fn write_managers(object: &mut Value, mut managers: Vec<Manager>) {
    managers.retain(|m| !m.set.is_empty());
    managers.sort_by(|a, b| {
        b.apply
            .cmp(&a.apply)
            .then(a.time.cmp(&b.time))
            .then(a.name.cmp(&b.name))
    });
    let entries: Vec<Value> = managers
        .iter()
        .map(|m| {
            let mut e = json!({
                "manager": m.name, "operation": if m.apply { "Apply" } else { "Update" },
                "apiVersion": m.api_version, "time": m.time,
                "fieldsType": "FieldsV1", "fieldsV1": m.set.encode(),
            });
            if !m.subresource.is_empty() {
                entry(&mut e).insert("subresource".into(), m.subresource.as_str().into());
            }
            e
        })
        .collect();
    let metadata = map_at(object, &["metadata"]);
    if entries.is_empty() {
        metadata.shift_remove("managedFields");
    } else {
        metadata.insert("managedFields".into(), Value::Array(entries));
    }
}

/// Records that `writer` made `new` out of `old` by a create, update or patch.
pub(crate) fn track_update(
    schema: &Schema,
    old: Option<&Value>,
    new: &mut Value,
    writer: &Writer<'_>,
) {
    let mut all = match at(new, &["metadata", "managedFields"]) {
        // An explicit list (as read before) stands; none at all means the recorded one.
        Value::Array(_) => managers(new),
        _ => old.map(managers).unwrap_or_default(),
    };
    let empty = json!({});
    let comparison = Comparison::of(schema, old.unwrap_or(&empty), new);
    let mut changed = comparison.changed();
    fields::own_new_maps(schema, old.unwrap_or(&empty), new, &mut changed);
    for field in writer.ignored {
        changed.children.remove(&format!("f:{field}"));
    }
    let is_writer = |m: &Manager| {
        !m.apply
            && m.name == writer.manager
            && m.subresource == writer.subresource
            && m.api_version == writer.api_version
    };
    for manager in &mut all {
        manager.set = manager.set.difference(&comparison.removed);
        if !is_writer(manager) {
            manager.set = manager.set.difference(&changed);
        }
    }
    match all.iter_mut().find(|m| is_writer(m)) {
        Some(own) => {
            let set = own.set.union(&changed);
            if set != own.set {
                own.time = writer.now.to_owned();
            }
            own.set = set;
        }
        None => all.push(Manager {
            name: writer.manager.to_owned(),
            apply: false,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: writer.now.to_owned(),
            set: changed,
        }),
    }
    write_managers(new, all);
}

/// Server-side apply: the object that results, or the conflicts.
pub(crate) fn apply(
    schema: &Schema,
    live: &Value,
    config: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, ApiError> {
    let mut all = managers(live);
    let mut applied = FieldSet::of(schema, config);
    for field in writer.ignored {
        applied.children.remove(&format!("f:{field}"));
    }
    let is_writer =
        |m: &Manager| m.apply && m.name == writer.manager && m.subresource == writer.subresource;
    let last = all.iter().find(|m| is_writer(m)).map(|m| m.set.clone());
    let mut result = merge::merge(schema, live, config);
    for field in writer.ignored {
        match live.get(*field) {
            Some(value) => entry(&mut result).insert((*field).to_owned(), value.clone()),
            None => entry(&mut result).shift_remove(*field),
        };
    }
    let others = all
        .iter()
        .filter(|m| !is_writer(m))
        .fold(FieldSet::default(), |set, m| set.union(&m.set));
    if let Some(last) = &last {
        merge::remove(schema, &mut result, last, &applied.union(&others));
    }
    let comparison = Comparison::of(schema, live, &result);
    let changed = comparison.changed();
    let mut conflicts = Vec::new();
    for manager in all.iter_mut().filter(|m| !is_writer(m)) {
        let clash = manager.set.intersection(&changed);
        if !clash.is_empty() {
            if force {
                manager.set = manager.set.difference(&clash);
            } else {
                conflicts.push((describe(manager), clash.paths()));
            }
        }
        manager.set = manager.set.difference(&comparison.removed);
    }
    if !conflicts.is_empty() {
        return Err(conflict(&conflicts));
    }
    match all.iter_mut().find(|m| is_writer(m)) {
        Some(own) => {
            if own.set != applied
                || !comparison.changed().is_empty()
                || !comparison.removed.is_empty()
            {
                own.time = writer.now.to_owned();
            }
            own.set = applied;
            own.api_version = writer.api_version.to_owned();
        }
        None => all.push(Manager {
            name: writer.manager.to_owned(),
            apply: true,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: writer.now.to_owned(),
            set: applied,
        }),
    }
    write_managers(&mut result, all);
    Ok(result)
}

/// A manager as conflicts name it.
fn describe(manager: &Manager) -> String {
    let name = format!("{:?}", manager.name);
    if manager.apply {
        return name;
    }
    if manager.subresource.is_empty() {
        format!("{name} using {}", manager.api_version)
    } else {
        format!(
            "{name} with subresource {:?} using {}",
            manager.subresource, manager.api_version
        )
    }
}

fn conflict(conflicts: &[(String, Vec<String>)]) -> ApiError {
    let count: usize = conflicts.iter().map(|(_, paths)| paths.len()).sum();
    let message = match conflicts {
        [(manager, paths)] if paths.len() == 1 => {
            format!(
                "Apply failed with 1 conflict: conflict with {manager}: {}",
                paths.concat()
            )
        }
        _ => {
            let parts: Vec<String> = conflicts
                .iter()
                .map(|(manager, paths)| {
                    let lines: Vec<String> = paths.iter().map(|p| format!("- {p}")).collect();
                    format!("conflicts with {manager}:\n{}", lines.join("\n"))
                })
                .collect();
            format!("Apply failed with {count} conflicts: {}", parts.join("\n"))
        }
    };
    let causes = conflicts.iter().flat_map(|(manager, paths)| {
        paths.iter().map(move |path| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path})
        })
    });
    ApiError::apply_conflict(message, causes.collect())
}

#[cfg(test)]
mod tests;
