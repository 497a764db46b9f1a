//! The name suffix of generated ConfigMaps and Secrets: a hash of their content (the published algorithm).

use serde_json::{Map, Value};
use sha2::Digest;

use super::Resource;
use crate::object::{name, text};

pub(super) fn add_suffixes(resources: &mut [Resource]) {
    for resource in resources.iter_mut().filter(|r| r.hashed) {
        let hash = hash(&resource.object);
        let renamed = format!("{}-{hash}", name(&resource.object));
        resource.rename(renamed);
    }
}

fn hash(object: &Value) -> String {
    let mut content: std::collections::BTreeMap<&str, Value> = std::collections::BTreeMap::new();
    let sorted = |field: &str| -> Option<Value> {
        let map = object.get(field)?.as_object()?;
        let ordered: std::collections::BTreeMap<&String, &Value> = map.iter().collect();
        Some(Value::Object(
            ordered
                .into_iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect::<Map<_, _>>(),
        ))
    };
    content.insert("kind", text(object, &["kind"]).into());
    // The real tool hashes before the name is settled (seen in what `kubectl kustomize` makes).
    content.insert("name", "".into());
    content.insert("data", sorted("data").unwrap_or_else(|| "".into()));
    if text(object, &["kind"]) == "Secret" {
        content.insert("type", text(object, &["type"]).into());
        if let Some(plain) = sorted("stringData") {
            content.insert("stringData", plain);
        }
    } else if let Some(binary) = sorted("binaryData") {
        content.insert("binaryData", binary);
    }
    let map: Map<String, Value> = content
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v))
        .collect();
    // As Go writes JSON: these characters are escaped.
    let text = Value::Object(map)
        .to_string()
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026");
    let digest = sha2::Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    hex.chars()
        .take(10)
        .map(|c| match c {
            '0' => 'g',
            '1' => 'h',
            '3' => 'k',
            'a' => 'm',
            'e' => 't',
            other => other,
        })
        .collect()
}
