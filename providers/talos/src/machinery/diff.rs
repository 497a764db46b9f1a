//! What changes from one machine configuration to another, for people: no secret is ever shown.
//!
//! A configuration is full of secrets, and free-form parts may hold more. So values are shown by a list of what is harmless,
//! not hidden by a list of what is secret: switches, numbers, sizes, addresses and the like by their type, texts by the name
//! of their field.

use std::fmt;

use super::patch::{PatchError, load_config};
use super::review::label;
use super::schema::{Document, Release, ScalarKind, Schema, Struct, Type};
use super::value::{Fields, Value};

/// One difference between two configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where: a field of the main document, or a document and its field.
    pub place: String,
    /// What happens there.
    pub kind: ChangeKind,
}

/// What happens at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was not there before.
    Added(Option<String>),
    /// It is not there any more.
    Removed(Option<String>),
    /// It has another value; both are given where they may be shown.
    Changed(Option<(String, String)>),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = &self.place;
        match &self.kind {
            ChangeKind::Added(None) => write!(f, "+ {place}"),
            ChangeKind::Added(Some(value)) => write!(f, "+ {place} = {value}"),
            ChangeKind::Removed(None) => write!(f, "- {place}"),
            ChangeKind::Removed(Some(value)) => write!(f, "- {place} = {value}"),
            ChangeKind::Changed(None) => write!(f, "~ {place} (value not shown)"),
            ChangeKind::Changed(Some((old, new))) => write!(f, "~ {place} = {old} -> {new}"),
        }
    }
}

/// Texts of these fields are shown. None of them holds a secret in any document.
const HARMLESS: &[&str] = &[
    "auto",
    "clusterName",
    "device",
    "disk",
    "dnsDomain",
    "domain",
    "hostname",
    "image",
    "interface",
    "kind",
    "mode",
    "name",
    "nameservers",
    "network",
    "parent",
    "path",
    "schedule",
    "servers",
    "type",
];

/// The keys of these maps may be followed by their values.
const HARMLESS_MAPS: &[&str] = &["nodeLabels", "nodeTaints", "sysctls", "sysfs"];

/// What is different in `new`, in the order of the documents and their fields.
///
/// # Errors
/// When one of the two cannot be read by any known release.
pub fn differences(old: &str, new: &str) -> Result<Vec<Change>, PatchError> {
    let (old, new) = (
        load_config(old, Release::V1_14)?,
        load_config(new, Release::V1_14)?,
    );
    let mut found = Found::default();
    for before in &old {
        match new.iter().find(|d| d.identity() == before.identity()) {
            Some(after) => found.document(before, after),
            None => found.push(label(before), ChangeKind::Removed(None)),
        }
    }
    for after in &new {
        if !old.iter().any(|d| d.identity() == after.identity()) {
            found.push(label(after), ChangeKind::Added(None));
        }
    }
    Ok(found.changes)
}

#[derive(Default)]
struct Found {
    changes: Vec<Change>,
}

impl Found {
    fn push(&mut self, place: String, kind: ChangeKind) {
        self.changes.push(Change { place, kind });
    }

    fn document(&mut self, old: &Document, new: &Document) {
        let Some(structure) = Schema::get().structure(old.struct_name()) else {
            return;
        };
        let prefix = if old.is_legacy() {
            String::new()
        } else {
            format!("{}: ", label(old))
        };
        self.structure(&old.fields, &new.fields, structure, &prefix);
    }

    fn structure(&mut self, old: &Fields, new: &Fields, structure: &Struct, prefix: &str) {
        for field in &structure.fields {
            let (before, after) = (present(old.get(field.name)), present(new.get(field.name)));
            let place = format!("{prefix}{}", field.name);
            self.value(before, after, &field.ty, field.name, place);
        }
    }

    fn value(
        &mut self,
        old: Option<&Value>,
        new: Option<&Value>,
        ty: &Type,
        name: &str,
        place: String,
    ) {
        if old == new {
            return;
        }
        let shown = |value: &Value| show(value, ty, name);
        let (old, new) = match (old, new) {
            (None, None) => return,
            (None, Some(new)) => return self.push(place, ChangeKind::Added(shown(new))),
            (Some(old), None) => return self.push(place, ChangeKind::Removed(shown(old))),
            (Some(old), Some(new)) => (old, new),
        };
        match (ty, old, new) {
            (Type::Pointer(inner), ..) => self.value(Some(old), Some(new), inner, name, place),
            (Type::Struct(of), Value::Map(old), Value::Map(new)) => {
                if let Some(structure) = Schema::get().structure(of) {
                    self.structure(old, new, structure, &format!("{place}."));
                }
            }
            (Type::Map(inner), Value::Map(old), Value::Map(new)) => {
                let added = new.keys().filter(|key| !old.contains_key(*key));
                for key in old.keys().chain(added) {
                    let place = format!("{place}[{key:?}]");
                    let (before, after) = (present(old.get(key)), present(new.get(key)));
                    self.value(before, after, inner, name, place);
                }
            }
            (Type::List(inner), Value::List(old), Value::List(new)) => {
                for index in 0..old.len().max(new.len()) {
                    let place = format!("{place}[{index}]");
                    self.value(old.get(index), new.get(index), inner, name, place);
                }
            }
            _ => {
                let values = shown(old).zip(shown(new));
                self.push(place, ChangeKind::Changed(values));
            }
        }
    }
}

fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|v| **v != Value::Null)
}

/// The text of a value, where it may be seen.
fn show(value: &Value, ty: &Type, name: &str) -> Option<String> {
    let kind = match ty {
        Type::Pointer(inner) => return show(value, inner, name),
        Type::Scalar(kind) => kind,
        _ => return None,
    };
    let harmless = match kind {
        ScalarKind::Str => HARMLESS.contains(&name) || HARMLESS_MAPS.contains(&name),
        ScalarKind::Trimmed | ScalarKind::Url | ScalarKind::Cel | ScalarKind::Base64 => false,
        _ => true,
    };
    if !harmless {
        return None;
    }
    Some(match value {
        Value::Bool(on) => on.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Str(text) | Value::Plain(text) => format!("{text:?}"),
        Value::Null | Value::List(_) | Value::Map(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str) -> Vec<String> {
        let changes = differences(old, new).unwrap();
        changes.iter().map(ToString::to_string).collect()
    }

    const MAIN: &str = "version: v1alpha1\nmachine:\n  type: worker\n  token: a.secret\n  install:\n    image: i:1\n    wipe: false\n\
         \x20 sysctls:\n    a.b: \"1\"\n  files:\n    - content: hidden\n      permissions: 0o600\n      path: /a\n      op: create\n";

    #[test]
    fn what_is_harmless_is_shown_and_nothing_else() {
        let new = MAIN
            .replace("a.secret", "b.secret")
            .replace("i:1", "i:2")
            .replace("wipe: false", "wipe: true")
            .replace("a.b: \"1\"", "a.b: \"2\"\n    c.d: \"3\"")
            .replace("hidden", "still hidden");
        assert_eq!(
            check(MAIN, &new),
            [
                "~ machine.token (value not shown)",
                "~ machine.install.image = \"i:1\" -> \"i:2\"",
                "~ machine.install.wipe = false -> true",
                "~ machine.files[0].content (value not shown)",
                "~ machine.sysctls[\"a.b\"] = \"1\" -> \"2\"",
                "+ machine.sysctls[\"c.d\"] = \"3\"",
            ]
        );
        assert!(check(MAIN, MAIN).is_empty());
    }

    #[test]
    fn documents_come_and_go() {
        let host = "---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
        let volume = "---\napiVersion: v1alpha1\nkind: VolumeConfig\nname: STATE\nprovisioning:\n  maxSize: 1GiB\n";
        let (with_host, with_volume) = (format!("{MAIN}{host}"), format!("{MAIN}{volume}"));
        assert_eq!(
            check(&with_host, &with_volume),
            ["- HostnameConfig", "+ VolumeConfig \"STATE\""]
        );
        let named = with_host.replace("auto: stable", "hostname: cp-1\nauto: \"off\"");
        assert_eq!(
            check(&with_host, &named),
            [
                "~ HostnameConfig: auto = \"stable\" -> \"off\"",
                "+ HostnameConfig: hostname = \"cp-1\""
            ]
        );
        let larger = with_volume.replace("1GiB", "2GiB");
        let found = check(&with_volume, &larger);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("VolumeConfig \"STATE\": provisioning.maxSize = "),
            "{found:?}"
        );
    }
}
