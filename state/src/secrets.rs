//! Whether a state holds what nobody else should read.

use serde_json::Value as Json;
use stead_value::{Path, Step};

use crate::{Object, State};

impl State {
    /// Whether an output or an attribute that is known to be sensitive has a value.
    pub fn holds_secrets(&self) -> bool {
        self.outputs
            .values()
            .any(|output| output.sensitive && !output.value.get().trim().eq("null"))
            || self.resources.values().any(|resource| {
                resource.instances.values().any(|instance| {
                    let objects = instance.current.iter().chain(instance.deposed.values());
                    objects.into_iter().any(holds_secrets)
                })
            })
    }
}

fn holds_secrets(object: &Object) -> bool {
    if object.sensitive_attributes.is_empty() {
        return false;
    }
    match serde_json::from_str::<Json>(object.attributes.get()) {
        Ok(attributes) => object
            .sensitive_attributes
            .iter()
            .any(|path| has_value(&attributes, path)),
        // What cannot be understood may be anything.
        Err(_) => true,
    }
}

/// Whether there is something at a path.
fn has_value(attributes: &Json, path: &Path) -> bool {
    let mut at = attributes;
    for step in path.steps() {
        let inner = match step {
            Step::Attr(name) => at.get(&**name),
            Step::Index(key) => match (key.as_str(), key.as_i64()) {
                (Some(name), _) => at.get(name),
                (_, Some(number)) => usize::try_from(number).ok().and_then(|n| at.get(n)),
                _ => None,
            },
        };
        match inner {
            Some(inner) => at = inner,
            None => return false,
        }
    }
    match at {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(entries) => !entries.is_empty(),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn holds_secrets(outputs: &str, attributes: &str) -> bool {
        let text = format!(
            r#"{{"version":4,"terraform_version":"1.11.4","serial":1,"lineage":"l","outputs":{outputs},"resources":[{{"mode":"managed","type":"t","name":"n","provider":"provider[\"registry.terraform.io/a/t\"]","instances":[{{"schema_version":0,"attributes":{attributes},"sensitive_attributes":[[{{"type":"get_attr","value":"a"}},{{"type":"index","value":{{"value":0,"type":"number"}}}}]]}}]}}],"check_results":null}}"#
        );
        let state = crate::from_bytes(text.as_bytes(), Path::new("s")).expect("a state");
        state.holds_secrets()
    }

    #[test]
    fn secrets_are_what_is_sensitive_and_there() {
        for (outputs, attributes, expected) in [
            ("{}", r#"{"a":["x"]}"#, true),
            ("{}", r#"{"a":[]}"#, false),
            ("{}", r#"{"a":[null]}"#, false),
            ("{}", r#"{"a":[""],"b":"open"}"#, false),
            ("{}", r#"{"a":null}"#, false),
            (
                r#"{"o":{"value":"x","type":"string","sensitive":true}}"#,
                "{}",
                true,
            ),
            (
                r#"{"o":{"value":null,"type":"string","sensitive":true}}"#,
                "{}",
                false,
            ),
            (r#"{"o":{"value":"x","type":"string"}}"#, "{}", false),
        ] {
            assert_eq!(
                holds_secrets(outputs, attributes),
                expected,
                "{outputs} {attributes}"
            );
        }
    }
}
