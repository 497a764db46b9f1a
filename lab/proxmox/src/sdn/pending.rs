//! The difference between what is configured and what runs.

use serde_json::{Map, Value};

use crate::Proxmox;
use crate::sections::{Family, Section};

/// What runs of an object, what is pending, and in which state that puts it.
pub(super) fn difference(
    px: &Proxmox,
    family: &Family,
    id: &str,
    old: Option<&Section>,
    new: Option<&Section>,
) -> Map<String, Value> {
    let (mut row, mut waiting) = (Map::new(), Map::new());
    row.insert(family.key.into(), id.into());
    if let Some(section) = old.or(new).filter(|section| !section.kind.is_empty()) {
        row.insert(family.kind_key.into(), section.kind.clone().into());
    }
    for (option, values) in old.into_iter().flat_map(|old| &old.options) {
        row.insert(option.clone(), family.value(&px.api, option, values));
        if new.is_some_and(|new| !new.options.contains_key(option)) {
            waiting.insert(option.clone(), "deleted".into());
        }
    }
    for (option, values) in new.into_iter().flat_map(|new| &new.options) {
        let value = family.value(&px.api, option, values);
        if option == "vnet" {
            row.insert(option.clone(), value);
        } else if old.is_none_or(|old| old.options.get(option) != Some(values)) {
            waiting.insert(option.clone(), value);
        }
    }
    let state = match (old, new) {
        (None, _) => "new",
        (_, None) => "deleted",
        _ if waiting.is_empty() => return row,
        _ => "changed",
    };
    row.insert("state".into(), state.into());
    row.insert("pending".into(), Value::Object(waiting));
    row
}
