//! Decodes a machine configuration strictly, as a node of its line does, with the real error texts.

use super::schema::{Schema, Type};
use crate::version::Line;
use crate::yaml::{self, Node, Out, ScalarKind, Value};

/// One document of a machine configuration.
#[derive(Clone)]
pub(crate) struct Document {
    /// `v1alpha1` for the main document.
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) node: Node,
}

/// Every document, or the error text of this line's decoder.
pub(crate) fn decode(line: Line, text: &str) -> Result<Vec<Document>, String> {
    let nodes = yaml::parse(text).map_err(|e| format!("decode error: {}", scan_error(line, &e)))?;
    let mut documents: Vec<Document> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for node in nodes {
        if node.is_null() {
            continue;
        }
        if !matches!(node.value, Value::Mapping(_)) {
            return Err(format!("expected a YAML document at line {}", node.line));
        }
        let version = node.text_at("apiVersion").unwrap_or_default().to_owned();
        let kind = node.text_at("kind").unwrap_or("v1alpha1").to_owned();
        let name = node.text_at("name").unwrap_or_default().to_owned();
        let id = format!("{version}/{kind}/{name}");
        if !known.insert(id.clone()) {
            let place = match line {
                Line::V1_11 => String::new(),
                _ => format!(" (line {})", node.line),
            };
            return Err(format!("duplicate document {id} is not allowed{place}"));
        }
        document(line, &node).map_err(|error| match line {
            Line::V1_11 => error,
            _ => format!("error decoding document {id} (line {}): {error}", node.line),
        })?;
        documents.push(Document { kind, name, node });
    }
    if documents.is_empty() {
        return Err("config not found".to_owned());
    }
    unique(&documents)?;
    Ok(documents)
}

/// Kind and name identify a document, whatever its apiVersion says.
fn unique(documents: &[Document]) -> Result<(), String> {
    let mut seen = std::collections::HashSet::new();
    for document in documents {
        if !seen.insert((&document.kind, &document.name)) {
            return Err(match document.kind.as_str() {
                "v1alpha1" => "duplicate v1alpha1.Config".to_owned(),
                kind => format!("duplicate document: {kind}/{}", document.name),
            });
        }
    }
    Ok(())
}

fn scan_error(line: Line, error: &yaml::Error) -> String {
    match line {
        Line::V1_11 => format!("yaml: line {}: {}", error.line, error.message),
        _ => format!(
            "go-yaml load error in scanner at L{}.C{}: {}",
            error.line, error.column, error.message
        ),
    }
}

fn document(line: Line, node: &Node) -> Result<(), String> {
    let schema = Schema::of(line);
    let kind = node.text_at("kind").unwrap_or_default();
    let main = ["machine", "cluster", "debug", "persist"]
        .iter()
        .any(|key| node.entries().iter().any(|(k, _)| k.text() == Some(key)));
    let version = if main {
        "v1alpha1"
    } else {
        node.text_at("apiVersion").unwrap_or_default()
    };
    let (lookup, known) = match (version, kind) {
        ("v1alpha1", "") => ("v1alpha1", true),
        (_, "") => return Err("missing kind".to_owned()),
        ("", _) if line >= Line::V1_12 => return Err("missing apiVersion".to_owned()),
        (version, kind) => (kind, version == "v1alpha1"),
    };
    let Some(name) = schema.document(lookup).filter(|_| known) else {
        return Err(format!("{kind:?} {version:?}: not registered"));
    };
    let mut checker = Checker {
        line,
        schema,
        errors: Vec::new(),
    };
    let unknown = checker.check(name, node);
    if !checker.errors.is_empty() {
        let errors = checker.errors.join("\n  ");
        return Err(format!(
            "error decoding {kind} to *{name}: yaml: {} errors:\n  {errors}",
            checker.word().0
        ));
    }
    match unknown {
        Some(unknown) => Err(format!(
            "unknown keys found during decoding:\n{}",
            yaml::emit(&unknown)
        )),
        None => Ok(()),
    }
}

struct Checker {
    line: Line,
    schema: &'static Schema,
    errors: Vec<String>,
}

impl Checker {
    /// The verbs of this line's YAML library.
    fn word(&self) -> (&'static str, &'static str) {
        match self.line {
            Line::V1_11 | Line::V1_12 => ("unmarshal", "unmarshal"),
            Line::V1_13 | Line::V1_14 => ("construct", "construct"),
        }
    }

    fn mismatch(&mut self, node: &Node, wanted: &str) {
        let (tag, shown) = match &node.value {
            Value::Sequence(_) => ("!!seq", String::new()),
            Value::Mapping(_) => ("!!map", String::new()),
            Value::Scalar { text, .. } => {
                let tag = node.kind().unwrap_or(ScalarKind::Str).tag();
                let short: String = text.chars().take(7).collect();
                let long = text.chars().count() > 10;
                (
                    tag,
                    if long {
                        format!(" `{short}...`")
                    } else {
                        format!(" `{text}`")
                    },
                )
            }
        };
        let verb = self.word().1;
        self.errors.push(format!(
            "line {}: cannot {verb} {tag}{shown} into {wanted}",
            node.line
        ));
    }

    /// Checks a node against a Go type; returns the part of it that the type does not know.
    fn check(&mut self, wanted: &str, node: &Node) -> Option<Out> {
        let wanted = wanted.trim_start_matches('*');
        if node.is_null() || wanted == "any" {
            return None;
        }
        if wanted == "[]uint8" {
            return self.scalar(node, wanted);
        }
        if let Some(element) = wanted.strip_prefix("[]") {
            return self.list(element, wanted, node);
        }
        if let Some((_, element)) = wanted.strip_prefix("map[").and_then(|m| m.split_once(']')) {
            return self.map(element, wanted, node);
        }
        match self.schema.named(wanted) {
            Some(Type::Struct(fields)) => self.structure(fields, wanted, node),
            // Such an argument is a string or, since late 1.13, a list of them.
            Some(Type::Alias(_)) if wanted == "meta.ArgValue" => None,
            Some(Type::Alias(shape)) if *shape == "scalar" => self.scalar(node, wanted),
            Some(Type::Alias(shape)) => self.check(shape, node),
            None => self.builtin(wanted, node),
        }
    }

    fn scalar(&mut self, node: &Node, wanted: &str) -> Option<Out> {
        if !matches!(node.value, Value::Scalar { .. }) {
            self.mismatch(node, wanted);
        }
        None
    }

    fn builtin(&mut self, wanted: &str, node: &Node) -> Option<Out> {
        let fits = match wanted {
            "string" => matches!(node.value, Value::Scalar { .. }),
            "bool" => node.boolean().is_some(),
            "int" | "int32" | "int64" | "uint" | "uint8" | "uint16" | "uint32" | "uint64" => {
                let number = node.text().filter(|_| node.kind() == Some(ScalarKind::Int));
                number
                    .and_then(yaml::parse_int)
                    .is_some_and(|n| range(wanted).contains(&n))
            }
            "float64" => matches!(node.kind(), Some(ScalarKind::Int | ScalarKind::Float)),
            _ => true,
        };
        if !fits {
            self.mismatch(node, wanted);
        }
        None
    }

    fn list(&mut self, element: &str, wanted: &str, node: &Node) -> Option<Out> {
        let Value::Sequence(items) = &node.value else {
            self.mismatch(node, wanted);
            return None;
        };
        let unknown: Vec<Out> = items
            .iter()
            .filter_map(|i| self.check(element, i))
            .collect();
        (!unknown.is_empty()).then_some(Out::Sequence(unknown))
    }

    fn map(&mut self, element: &str, wanted: &str, node: &Node) -> Option<Out> {
        let Value::Mapping(entries) = &node.value else {
            self.mismatch(node, wanted);
            return None;
        };
        let mut unknown = Vec::new();
        for (key, value) in entries {
            if let Some(part) = self.check(element, value) {
                unknown.push((key.text().unwrap_or_default().to_owned(), part));
            }
        }
        sorted(unknown)
    }

    fn structure(
        &mut self,
        fields: &std::collections::HashMap<&'static str, &'static str>,
        wanted: &str,
        node: &Node,
    ) -> Option<Out> {
        let Value::Mapping(entries) = &node.value else {
            self.mismatch(node, wanted);
            return None;
        };
        let mut unknown = Vec::new();
        for (key, value) in entries {
            let key = key.text().unwrap_or_default();
            let part = match fields.get(key) {
                Some(field) => self.check(field, value),
                None => Some(tidy(value.out())),
            };
            if let Some(part) = part {
                unknown.push((key.to_owned(), part));
            }
        }
        sorted(unknown)
    }
}

fn sorted(mut entries: Vec<(String, Out)>) -> Option<Out> {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    (!entries.is_empty()).then_some(Out::Mapping(entries))
}

/// With the keys of every mapping in order.
fn tidy(value: Out) -> Out {
    match value {
        Out::Mapping(entries) => {
            let entries = entries.into_iter().map(|(k, v)| (k, tidy(v))).collect();
            sorted(entries).unwrap_or(Out::Mapping(Vec::new()))
        }
        Out::Sequence(items) => Out::Sequence(items.into_iter().map(tidy).collect()),
        other => other,
    }
}

fn range(wanted: &str) -> std::ops::RangeInclusive<i128> {
    match wanted {
        "uint8" => 0..=i128::from(u8::MAX),
        "uint16" => 0..=i128::from(u16::MAX),
        "uint32" => 0..=i128::from(u32::MAX),
        "uint" | "uint64" => 0..=i128::from(u64::MAX),
        "int32" => i128::from(i32::MIN)..=i128::from(i32::MAX),
        _ => i128::from(i64::MIN)..=i128::from(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: Line, text: &str) -> String {
        decode(line, text).err().unwrap()
    }

    #[test]
    fn unknown_keys_are_shown_as_a_tree() {
        let text = "machine:\n  type: worker\n  nope: {b: 1, a: [x]}\n  network:\n    interfaces:\n      - interface: eth0\n        speed: 10\n";
        assert_eq!(
            error(Line::V1_13, text),
            "error decoding document /v1alpha1/ (line 1): unknown keys found during decoding:\nmachine:\n    network:\n        interfaces:\n            - speed: 10\n    nope:\n        a:\n            - x\n        b: 1\n"
        );
    }

    #[test]
    fn kinds_are_those_of_the_line() {
        let text = "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
        assert_eq!(
            error(Line::V1_11, text),
            "\"HostnameConfig\" \"v1alpha1\": not registered"
        );
        assert!(decode(Line::V1_12, text).is_ok());
        assert_eq!(
            error(Line::V1_13, "apiVersion: v1\nkind: HostnameConfig\n"),
            "error decoding document v1/HostnameConfig/ (line 1): \"HostnameConfig\" \"v1\": not registered"
        );
    }

    #[test]
    fn types_are_checked_and_all_mismatches_are_told() {
        let text =
            "machine:\n  type: worker\n  certSANs: one\n  kubelet:\n    registerWithFQDN: maybe\n";
        assert_eq!(
            error(Line::V1_13, text),
            "error decoding document /v1alpha1/ (line 1): error decoding  to *v1alpha1.Config: yaml: construct errors:\n  line 3: cannot construct !!str `one` into []string\n  line 5: cannot construct !!str `maybe` into bool"
        );
    }

    #[test]
    fn documents_are_unique_and_needed() {
        let doc = "apiVersion: v1alpha1\nkind: KmsgLogConfig\nname: a\nurl: tcp://1.2.3.4:1\n";
        assert_eq!(
            error(Line::V1_13, &format!("{doc}---\n{doc}")),
            "duplicate document v1alpha1/KmsgLogConfig/a is not allowed (line 6)"
        );
        assert_eq!(error(Line::V1_13, ""), "config not found");
        assert_eq!(
            error(Line::V1_13, "a: 1\n"),
            "error decoding document /v1alpha1/ (line 1): missing kind"
        );
        assert!(error(Line::V1_13, "- a\n").starts_with("expected a YAML document"));
    }
}
