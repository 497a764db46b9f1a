//! YAML as Kubernetes and Argo CD read it: documents become JSON, plain scalars follow YAML 1.1 where 1.2 differs.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Number, Value};

/// Why a text is no YAML, or none that JSON can hold.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("yaml: line {line}: {message}")]
pub(crate) struct YamlError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// All documents of a text; empty ones (only comments) are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Value>, YamlError> {
    Builder::default().run(text)
}

/// The same, with only `true` and `false` as booleans, as Kustomize reads.
pub(crate) fn documents_strict_booleans(text: &str) -> Result<Vec<Value>, YamlError> {
    let builder = Builder {
        strict_booleans: true,
        ..Builder::default()
    };
    builder.run(text)
}

/// The one document of a text; `Null` for an empty text.
pub(crate) fn document(text: &str) -> Result<Value, YamlError> {
    let mut all = documents(text)?;
    match all.len() {
        0 => Ok(Value::Null),
        1 => Ok(all.remove(0)),
        _ => Err(YamlError {
            line: 1,
            message: "expected one document, found several".to_owned(),
        }),
    }
}

/// A collection that is still open.
enum Open {
    List(Vec<Value>),
    /// Entries so far, the key that waits for its value, and what `<<` brought in.
    Map(Map<String, Value>, Option<String>, Vec<Value>),
}

#[derive(Default)]
struct Builder {
    documents: Vec<Value>,
    open: Vec<(Open, usize)>,
    anchors: HashMap<usize, Value>,
    line: usize,
    root: Option<Value>,
    strict_booleans: bool,
    /// Values that aliases brought in so far.
    aliased: usize,
}

/// How many values aliases may bring in: a short text must not become gigabytes.
const ALIASED_LIMIT: usize = 100_000;

impl Builder {
    fn run(mut self, text: &str) -> Result<Vec<Value>, YamlError> {
        for next in Parser::new_from_str(text) {
            let (event, span) = next.map_err(|e| YamlError {
                line: e.marker().line(),
                message: e.info(),
            })?;
            self.line = span.start.line();
            self.take(event)?;
        }
        Ok(self.documents)
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.root = None;
            }
            Event::DocumentEnd => {
                if let Some(root) = self.root.take().filter(|r| !r.is_null()) {
                    self.documents.push(root);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_key = matches!(self.open.last(), Some((Open::Map(_, None, _), _)));
                let value = if is_key && tag.is_none() {
                    Value::String(text.into_owned())
                } else {
                    self.scalar(&text, style, tag.as_deref())?
                };
                self.put(value, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => self.open.push((Open::List(Vec::new()), anchor)),
            Event::MappingStart(_, anchor, _) => {
                self.open
                    .push((Open::Map(Map::new(), None, Vec::new()), anchor));
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((Open::List(list), anchor)) => self.put(Value::Array(list), anchor)?,
                Some((Open::Map(map, _, merges), anchor)) => {
                    let map = self.merge(map, merges)?;
                    self.put(Value::Object(map), anchor)?;
                }
                None => return Err(self.error("unbalanced collection")),
            },
            Event::Alias(id) => {
                let value = self.anchors.get(&id).cloned();
                let value = value.ok_or_else(|| self.error("unknown anchor"))?;
                self.aliased = self.aliased.saturating_add(count(&value));
                if self.aliased > ALIASED_LIMIT {
                    return Err(self.error("document contains excessive aliasing"));
                }
                self.put(value, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn put(&mut self, value: Value, anchor: usize) -> Result<(), YamlError> {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        let line = self.line;
        let fail = |message: String| YamlError { line, message };
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some((Open::List(list), _)) => list.push(value),
            Some((Open::Map(map, key, merges), _)) => match key.take() {
                None => match value {
                    Value::String(text) => *key = Some(text),
                    Value::Number(_) | Value::Bool(_) => *key = Some(value.to_string()),
                    _ => return Err(fail("a key must be a scalar".to_owned())),
                },
                Some(name) if name == "<<" => merges.push(value),
                Some(name) => {
                    if map.contains_key(&name) {
                        return Err(fail(format!("key {name:?} already set in map")));
                    }
                    map.insert(name, value);
                }
            },
        }
        Ok(())
    }

    fn merge(
        &self,
        mut map: Map<String, Value>,
        merges: Vec<Value>,
    ) -> Result<Map<String, Value>, YamlError> {
        for merge in merges {
            let sources = match merge {
                Value::Array(list) => list,
                one => vec![one],
            };
            for source in sources {
                let Value::Object(source) = source else {
                    return Err(
                        self.error("map merge requires map or sequence of maps as the value")
                    );
                };
                for (key, value) in source {
                    map.entry(key).or_insert(value);
                }
            }
        }
        Ok(map)
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
    ) -> Result<Value, YamlError> {
        if let Some(tag) = tag {
            return match tag.core_suffix() {
                Some("str") => Ok(Value::String(text.to_owned())),
                Some(_) => Ok(self.plain(text)),
                None if tag.suffix() == "binary" => Ok(Value::String(text.to_owned())),
                None => Err(self.error(&format!("unknown tag {:?}", tag.suffix()))),
            };
        }
        Ok(if style == ScalarStyle::Plain {
            self.plain(text)
        } else {
            Value::String(text.to_owned())
        })
    }

    /// What an unquoted scalar means.
    fn plain(&self, text: &str) -> Value {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
            "true" | "True" | "TRUE" => return Value::Bool(true),
            "false" | "False" | "FALSE" => return Value::Bool(false),
            _ if self.strict_booleans => {}
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => return Value::Bool(true),
            "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => return Value::Bool(false),
            _ => {}
        }
        number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
    }

    fn error(&self, message: &str) -> YamlError {
        YamlError {
            line: self.line,
            message: message.to_owned(),
        }
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

fn number(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let plain = digits.replace('_', "");
    let radix = |prefix: &str, radix| {
        plain
            .strip_prefix(prefix)
            .and_then(|d| i128::from_str_radix(d, radix).ok())
    };
    let octal = || {
        let all = plain.len() > 1
            && plain.starts_with('0')
            && plain.bytes().all(|b| (b'0'..=b'7').contains(&b));
        all.then(|| i128::from_str_radix(&plain, 8).ok()).flatten()
    };
    let whole = radix("0x", 16)
        .or_else(|| radix("0o", 8))
        .or_else(|| radix("0b", 2))
        .or_else(octal)
        .or_else(|| {
            plain
                .bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| plain.parse().ok())
                .flatten()
        });
    if let Some(whole) = whole {
        let signed = if negative { -whole } else { whole };
        return i64::try_from(signed)
            .map(Number::from)
            .or_else(|_| u64::try_from(signed).map(Number::from))
            .ok();
    }
    let is_float = plain.bytes().any(|b| b.is_ascii_digit())
        && plain
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !is_float {
        return None;
    }
    let value: f64 = plain.parse().ok()?;
    let value = if negative { -value } else { value };
    if value.fract() == 0.0 && value.abs() < 1e15 && !plain.contains('.') {
        // 1e3 is an integer in JSON.
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_documents_anchors_and_merges() {
        let text = "# head\n---\na: &x {k: 1}\nb:\n  <<: *x\n  l: [yes, \"no\", 0644, ~]\n---\n---\nc: |\n  text\n";
        let all = documents(text).unwrap();
        assert_eq!(
            all,
            vec![
                json!({"a": {"k": 1}, "b": {"l": [true, "no", 420, null], "k": 1}}),
                json!({"c": "text\n"})
            ]
        );
    }

    #[test]
    fn aliases_cannot_blow_up() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let items = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        assert!(document(&text).unwrap_err().message.contains("excessive"));
    }

    #[test]
    fn kustomize_knows_only_two_booleans() {
        assert_eq!(
            documents_strict_booleans("a: yes\nb: true\n").unwrap(),
            vec![json!({"a": "yes", "b": true})]
        );
        assert_eq!(document("a: y\n").unwrap(), json!({"a": true}));
    }

    #[test]
    fn keeps_keys_as_text_and_refuses_doubles() {
        assert_eq!(
            document("on: 1\n5: x\n").unwrap(),
            json!({"on": 1, "5": "x"})
        );
        assert!(
            document("a: 1\na: 2\n")
                .unwrap_err()
                .message
                .contains("already set")
        );
        assert_eq!(
            document("v: 1.36.0\nd: 2024-01-01\nn: 1.5\n").unwrap(),
            json!({"v": "1.36.0", "d": "2024-01-01", "n": 1.5})
        );
    }
}
