//! ZFS properties: defaults, inheritance, and how the API shows and takes them.

use serde_json::{Map, Value, json};

use crate::state::{Dataset, State};

/// How a property's raw text is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `lz4` is shown as `LZ4`.
    Word,
    /// `on` is shown as `ON` and parsed as true.
    Switch,
    /// A number of bytes; 0 is "none".
    Limit,
    /// A number of bytes.
    Size,
    Number,
}

struct Property {
    name: &'static str,
    form: Form,
    default: &'static str,
    inheritable: bool,
    /// `F`, `V` or `FV`: the kinds of dataset that have it.
    kinds: &'static str,
}

const fn property(
    name: &'static str,
    form: Form,
    default: &'static str,
    inheritable: bool,
    kinds: &'static str,
) -> Property {
    Property {
        name,
        form,
        default,
        inheritable,
        kinds,
    }
}

/// The properties that a client can set, in the order of the API's entry.
const PROPERTIES: &[Property] = &[
    property("deduplication", Form::Word, "off", true, "FV"),
    property("aclmode", Form::Word, "discard", true, "F"),
    property("acltype", Form::Word, "posix", true, "F"),
    property("xattr", Form::Word, "sa", true, "F"),
    property("atime", Form::Switch, "on", true, "F"),
    property("casesensitivity", Form::Word, "sensitive", true, "F"),
    property("checksum", Form::Word, "on", true, "FV"),
    property("exec", Form::Switch, "on", true, "F"),
    property("sync", Form::Word, "standard", true, "FV"),
    property("compression", Form::Word, "on", true, "FV"),
    property("quota", Form::Limit, "0", false, "F"),
    property("refquota", Form::Limit, "0", false, "F"),
    property("reservation", Form::Limit, "0", false, "FV"),
    property("refreservation", Form::Limit, "0", false, "FV"),
    property("copies", Form::Number, "1", true, "FV"),
    property("snapdir", Form::Word, "hidden", true, "F"),
    property("readonly", Form::Switch, "off", true, "FV"),
    property("recordsize", Form::Size, "131072", true, "F"),
    property("volsize", Form::Size, "0", false, "V"),
    property("volblocksize", Form::Size, "16384", false, "V"),
    property("special_small_block_size", Form::Size, "0", true, "FV"),
    property("snapdev", Form::Word, "hidden", true, "FV"),
];

/// Properties that ZFS does not know itself: shown only where somebody set them, here or above.
const NOTES: &[&str] = &[
    "comments",
    "quota_warning",
    "quota_critical",
    "refquota_warning",
    "refquota_critical",
    "managedby",
];

/// What a new empty filesystem occupies.
pub(super) const EMPTY: u64 = 98_304;

/// Whether a dataset of this kind has the property.
pub(super) fn belongs(name: &str, kind: &str) -> bool {
    NOTES.contains(&name)
        || PROPERTIES
            .iter()
            .any(|p| p.name == name && p.kinds.contains(kind.get(..1).unwrap_or_default()))
}

/// Whether `name` is a property at all.
pub(super) fn is_property(name: &str) -> bool {
    NOTES.contains(&name) || PROPERTIES.iter().any(|p| p.name == name)
}

/// The raw text that a client's value means; `None` for INHERIT.
pub(super) fn raw(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text == "INHERIT" => None,
        Value::Null => Some("0".to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// The raw text for this property: words in lower case, sizes as bytes.
pub(super) fn raw_of(name: &str, value: &Value) -> Option<String> {
    let raw = raw(value)?;
    match PROPERTIES.iter().find(|p| p.name == name).map(|p| p.form) {
        Some(Form::Word | Form::Switch) => Some(raw.to_ascii_lowercase()),
        Some(Form::Size) => Some(bytes(&raw).map_or(raw, |n| n.to_string())),
        _ => Some(raw),
    }
}

/// `128K` as bytes.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.trim_end_matches("IB").trim_end_matches('B');
    let (number, unit) = match digits.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => (digits.get(..at)?, digits.get(at..)?),
        None => (digits, ""),
    };
    let shift = ["", "K", "M", "G", "T", "P"]
        .iter()
        .position(|u| *u == unit)?;
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(1024_u64.checked_pow(u32::try_from(shift).ok()?)?)
}

/// Bytes as ZFS prints them: `128K`, `1.50G`.
fn human(bytes: u64) -> String {
    let units = ["B", "K", "M", "G", "T", "P", "E"];
    let mut unit = 0;
    let mut scale = 1_u64;
    while bytes / scale >= 1024 && unit + 1 < units.len() {
        scale *= 1024;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if bytes.is_multiple_of(scale) {
        return if unit == 0 {
            format!("{bytes}{name}")
        } else {
            format!("{}{name}", bytes / scale)
        };
    }
    let value = bytes as f64 / scale as f64;
    let digits = if value < 10.0 {
        2
    } else {
        usize::from(value < 100.0)
    };
    format!("{value:.digits$}{name}")
}

/// A property's raw text and where it comes from: (`LOCAL`, ``), (`INHERITED`, dataset), (`DEFAULT`, ``).
fn effective(state: &State, id: &str, property: &Property) -> (String, &'static str, String) {
    let own = |id: &str| {
        state
            .datasets
            .get(id)
            .and_then(|d| d.local.get(property.name).cloned())
    };
    if let Some(raw) = own(id) {
        return (raw, "LOCAL", String::new());
    }
    let mut at = id;
    while property.inheritable
        && let Some((parent, _)) = at.rsplit_once('/')
    {
        if let Some(raw) = own(parent) {
            return (raw, "INHERITED", parent.to_owned());
        }
        at = parent;
    }
    (property.default.to_owned(), "DEFAULT", String::new())
}

/// The raw text in force for a dataset.
pub(super) fn in_force(state: &State, id: &str, name: &str) -> String {
    PROPERTIES
        .iter()
        .find(|p| p.name == name)
        .map(|p| effective(state, id, p).0)
        .unwrap_or_default()
}

fn shown(parsed: &Value, raw: &str, value: &Value, source: &str, info: &str) -> Value {
    let info = if info.is_empty() {
        Value::Null
    } else {
        json!(info)
    };
    json!({"parsed": parsed, "rawvalue": raw, "value": value, "source": source, "source_info": info})
}

fn entry(form: Form, raw: &str, source: &str, info: &str) -> Value {
    let number = raw.parse::<u64>().unwrap_or_default();
    let (parsed, value) = match form {
        Form::Word => (json!(raw), json!(raw.to_ascii_uppercase())),
        Form::Switch => (json!(raw == "on"), json!(raw.to_ascii_uppercase())),
        Form::Limit if number == 0 => (Value::Null, Value::Null),
        Form::Limit | Form::Size => (json!(number), json!(human(number))),
        Form::Number => (json!(number), json!(raw)),
    };
    shown(&parsed, raw, &value, source, info)
}

/// Space that a dataset and what is below it occupy.
pub(super) fn used(state: &State, id: &str) -> u64 {
    let below = format!("{id}/");
    let own = |dataset: &Dataset| -> u64 {
        let number = |name: &str| {
            dataset
                .local
                .get(name)
                .and_then(|v| v.parse::<u64>().ok())
                .unwrap_or(0)
        };
        EMPTY
            .max(number("refreservation"))
            .max(number("reservation"))
    };
    state
        .datasets
        .iter()
        .filter(|(other, _)| *other == id || other.starts_with(&below))
        .map(|(_, d)| own(d))
        .sum()
}

/// Space that a dataset can still take: the pool's, or less by a quota here or above.
pub(super) fn available(state: &State, id: &str, pool_size: u64) -> u64 {
    let pool = id.split('/').next().unwrap_or(id);
    let mut free = pool_size.saturating_sub(used(state, pool));
    let mut at = Some(id);
    while let Some(dataset) = at {
        for name in ["quota", "refquota"] {
            let own = name == "quota" || dataset == id;
            let quota = state
                .datasets
                .get(dataset)
                .and_then(|d| d.local.get(name))
                .and_then(|q| q.parse::<u64>().ok())
                .unwrap_or(0);
            if own && quota > 0 {
                free = free.min(quota.saturating_sub(used(state, dataset)));
            }
        }
        at = dataset.rsplit_once('/').map(|(parent, _)| parent);
    }
    free
}

/// The API's entry of a dataset, without children.
pub(super) fn dataset_entry(
    state: &State,
    id: &str,
    dataset: &Dataset,
    pool_size: u64,
) -> Map<String, Value> {
    let mut out = Map::new();
    let filesystem = dataset.kind == "FILESYSTEM";
    let mut put = |name: &str, value: Value| drop(out.insert(name.to_owned(), value));
    put("id", json!(id));
    put("type", json!(dataset.kind));
    put("name", json!(id));
    put("pool", json!(id.split('/').next()));
    put("encrypted", json!(false));
    put("encryption_root", Value::Null);
    put("key_loaded", json!(false));
    put("children", json!([]));
    put("locked", json!(false));
    put(
        "mountpoint",
        if filesystem {
            json!(format!("/mnt/{id}"))
        } else {
            Value::Null
        },
    );
    for property in PROPERTIES
        .iter()
        .filter(|p| p.kinds.contains(dataset.kind.get(..1).unwrap_or_default()))
    {
        let (raw, source, info) = effective(state, id, property);
        put(property.name, entry(property.form, &raw, source, &info));
    }
    for name in NOTES {
        let mut at = Some(id);
        while let Some(owner) = at {
            if let Some(text) = state.datasets.get(owner).and_then(|d| d.local.get(*name)) {
                let (source, info) = if owner == id {
                    ("LOCAL", "")
                } else {
                    ("INHERITED", owner)
                };
                put(name, shown(&json!(text), text, &json!(text), source, info));
                break;
            }
            at = owner.rsplit_once('/').map(|(parent, _)| parent);
        }
    }
    let total = used(state, id);
    let reserved = dataset
        .local
        .get("refreservation")
        .and_then(|v| v.parse::<u64>().ok())
        .unwrap_or(0)
        .saturating_sub(EMPTY);
    let children = total.saturating_sub(EMPTY + reserved);
    for (name, number) in [
        ("used", total),
        ("usedbychildren", children),
        ("usedbydataset", EMPTY),
        ("usedbyrefreservation", reserved),
        ("usedbysnapshots", 0),
        ("available", available(state, id, pool_size)),
    ] {
        put(
            name,
            shown(
                &json!(number),
                &number.to_string(),
                &json!(human(number)),
                "NONE",
                "",
            ),
        );
    }
    put(
        "compressratio",
        shown(&json!("1.00"), "1.00", &json!("1.00x"), "NONE", ""),
    );
    put("origin", shown(&json!(""), "", &json!(""), "NONE", ""));
    put(
        "key_format",
        shown(&json!("none"), "none", &Value::Null, "DEFAULT", ""),
    );
    put(
        "encryption_algorithm",
        shown(&json!("off"), "off", &Value::Null, "DEFAULT", ""),
    );
    put(
        "pbkdf2iters",
        shown(&json!("0"), "0", &json!("0"), "DEFAULT", ""),
    );
    let date = json!({"$date": dataset.created * 1000});
    put(
        "creation",
        shown(
            &date,
            &dataset.created.to_string(),
            &json!(crate::system::local_time(dataset.created)),
            "NONE",
            "",
        ),
    );
    let notes = |(name, text): (&String, &String)| {
        (
            name.clone(),
            shown(&json!(text), text, &json!(text), "LOCAL", ""),
        )
    };
    put(
        "user_properties",
        Value::Object(dataset.user_properties.iter().map(notes).collect()),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown_as_zfs_does() {
        assert_eq!(bytes("128K"), Some(131_072));
        assert_eq!(bytes("1MiB"), Some(1_048_576));
        assert_eq!(bytes("512"), Some(512));
        assert_eq!(bytes("12Q"), None);
        assert_eq!(human(131_072), "128K");
        assert_eq!(human(98_304), "96K");
        assert_eq!(human(1_610_612_736), "1.50G");
        assert_eq!(human(0), "0B");
    }
}
