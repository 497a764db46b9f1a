//! Names and labels: what the server takes.

use serde_json::Value;

use crate::error::Cause;
use crate::object::at;
use crate::resources::Resource;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

fn is_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.chars().all(|c| inner(c) || c == '-') && text.starts_with(inner) && text.ends_with(inner)
}

fn is_qualified_part(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.chars()
        .all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
        && text.starts_with(edge)
        && text.ends_with(edge)
}

pub(super) fn check(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let value = at(object, &["metadata", "name"]);
    let name = value.as_str().unwrap_or_default();
    let mut refuse = |detail: &str| causes.push(Cause::invalid("metadata.name", value, detail));
    match resource.key.as_str() {
        key if key.ends_with(".rbac.authorization.k8s.io") => {
            if name.contains(['/', '%']) || matches!(name, "." | "..") {
                refuse("may not contain '/' or '%'");
            }
        }
        "services" => {
            if !(is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase())) {
                refuse(LABEL_1035);
            } else if name.len() > 63 {
                refuse("must be no more than 63 characters");
            }
        }
        "namespaces" => {
            if !is_label(name) {
                refuse(LABEL);
            } else if name.len() > 63 {
                refuse("must be no more than 63 characters");
            }
        }
        "ipaddresses.networking.k8s.io" => {}
        _ => {
            if !name.split('.').all(is_label) {
                refuse(SUBDOMAIN);
            } else if name.len() > 253 {
                refuse("must be no more than 253 characters");
            }
        }
    }
    check_labels(
        at(object, &["metadata", "labels"]),
        "metadata.labels",
        causes,
    );
    for (key, _) in at(object, &["metadata", "annotations"])
        .as_object()
        .into_iter()
        .flatten()
    {
        check_key(key, "metadata.annotations", causes);
    }
    let size: usize = at(object, &["metadata", "annotations"])
        .as_object()
        .into_iter()
        .flatten()
        .map(|(k, v)| k.len() + v.as_str().map_or(0, str::len))
        .sum();
    if size > 256 * 1024 {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            message: "Too long: may not be more than 262144 bytes".to_owned(),
            field: "metadata.annotations".to_owned(),
        });
    }
}

pub(super) fn check_labels(labels: &Value, field: &str, causes: &mut Vec<Cause>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        check_key(key, field, causes);
        let content = value.as_str().unwrap_or_default();
        if content.len() > 63 {
            causes.push(Cause::invalid(
                field,
                value,
                "must be no more than 63 characters",
            ));
        } else if !content.is_empty() && !is_qualified_part(content) {
            causes.push(Cause::invalid(field, value, LABEL_VALUE));
        }
    }
}

fn check_key(key: &str, field: &str, causes: &mut Vec<Cause>) {
    let value = Value::String(key.to_owned());
    let (prefix, part) = key
        .split_once('/')
        .map_or((None, key), |(p, n)| (Some(p), n));
    if prefix.is_some_and(|p| !p.to_ascii_lowercase().split('.').all(is_label)) {
        causes.push(Cause::invalid(
            field,
            &value,
            &format!("prefix part {SUBDOMAIN}"),
        ));
    }
    if part.is_empty() {
        causes.push(Cause::invalid(field, &value, "name part must be non-empty"));
    } else if part.len() > 63 {
        causes.push(Cause::invalid(
            field,
            &value,
            "name part must be no more than 63 characters",
        ));
    } else if !is_qualified_part(part) {
        causes.push(Cause::invalid(field, &value, NAME_PART));
    }
}
