//! The YAML of launch configurations and cloud-init data, as JSON values.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// Most that collections may nest.
const DEEPEST: usize = 64;

enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

/// All documents of a text; empty ones are left out. Aliases are refused: neither format needs them.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let mut all = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    for next in Parser::new_from_str(text) {
        let (event, span) =
            next.map_err(|e| format!("line {}: {}", e.marker().line(), e.info()))?;
        let line = span.start.line();
        let done = match event {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(items)) => Some(Value::Array(items)),
                Some(Open::Map(map, _)) => Some(Value::Object(map)),
                None => None,
            },
            Event::Scalar(text, style, ..) => Some(scalar(&text, style == ScalarStyle::Plain)),
            Event::Alias(..) => return Err(format!("line {line}: aliases are not supported here")),
            _ => None,
        };
        if open.len() > DEEPEST {
            return Err(format!("line {line}: nested too deeply"));
        }
        let Some(value) = done else {
            continue;
        };
        match open.last_mut() {
            None if value.is_null() => {}
            None => all.push(value),
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map(map, key)) => match key.take() {
                Some(key) => drop(map.insert(key, value)),
                None => {
                    *key = Some(
                        value
                            .as_str()
                            .map_or_else(|| value.to_string(), str::to_owned),
                    );
                }
            },
        }
    }
    Ok(all)
}

fn scalar(text: &str, plain: bool) -> Value {
    if !plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "on" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "off" => Value::Bool(false),
        other => other
            .parse::<i64>()
            .map_or_else(|_| Value::String(other.to_owned()), Value::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_parts_lists_and_quoted_texts() {
        let text = "version: 0.2.0\naddons:\n- name: dns\n  args: [\"1.1.1.1\"]\n---\nextraSANs: ['10.0.0.1']\n";
        let read = documents(text).unwrap();
        assert_eq!(
            read[0],
            json!({"version": "0.2.0", "addons": [{"name": "dns", "args": ["1.1.1.1"]}]})
        );
        assert_eq!(read[1], json!({"extraSANs": ["10.0.0.1"]}));
        assert!(documents("a: [1").is_err());
    }
}
