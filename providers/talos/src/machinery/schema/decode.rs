//! Strict decoding of YAML documents into typed values.

use super::table::{Schema, Struct, Type};
use super::{Document, Release};
use crate::machinery::value::{Fields, Value};
use crate::machinery::yaml::{Node, NodeKind, Quoting, Style, YamlError, emit, to_value};

/// A document the release would not accept; texts follow Talos where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("missing kind")]
    MissingKind,
    #[error("missing apiVersion")]
    MissingApiVersion,
    #[error("{kind:?} {version:?}: not registered")]
    NotRegistered { kind: String, version: String },
    #[error("error decoding {kind} to *{go_type}: yaml: construct errors:\n{}", .problems.join("\n"))]
    Construct {
        kind: String,
        go_type: String,
        problems: Vec<String>,
    },
    #[error("unknown keys found during decoding:\n{0}")]
    UnknownKeys(String),
}

/// Decodes one mapping node into the document type its apiVersion and kind name.
pub(crate) fn decode_document(node: &Node, release: Release) -> Result<Document, DecodeError> {
    let kind = node.text_of("kind");
    let legacy = ["machine", "cluster", "debug", "persist"]
        .iter()
        .any(|key| node.get(key).is_some());
    let version = if legacy {
        "v1alpha1"
    } else {
        node.text_of("apiVersion")
    };
    let lookup = match (kind, version) {
        ("", "v1alpha1") => "v1alpha1",
        ("", _) => return Err(DecodeError::MissingKind),
        (_, "") => return Err(DecodeError::MissingApiVersion),
        (kind, "v1alpha1") if kind != "v1alpha1" => kind,
        _ => return Err(not_registered(kind, version)),
    };
    let schema = Schema::get();
    let structure = schema
        .document(lookup, release)
        .ok_or_else(|| not_registered(kind, version))?;
    let mut decoder = Decoder {
        schema,
        release,
        problems: Vec::new(),
    };
    let (fields, unknown) = decoder.structure(node, structure);
    if !decoder.problems.is_empty() {
        let (kind, go_type) = (kind.to_owned(), structure.name.to_owned());
        return Err(DecodeError::Construct {
            kind,
            go_type,
            problems: decoder.problems,
        });
    }
    if let Some(unknown) = unknown {
        // The tree may hold secrets only if the user wrote them at a wrong place; Talos shows it too.
        return Err(DecodeError::UnknownKeys(emit(
            &unknown,
            Style::talos(Quoting::Double),
        )));
    }
    Ok(Document::new(lookup, structure.name, fields))
}

fn not_registered(kind: &str, version: &str) -> DecodeError {
    DecodeError::NotRegistered {
        kind: kind.to_owned(),
        version: version.to_owned(),
    }
}

/// The decoded value, if any, and the tree of keys no type knows.
type Decoded = (Option<Value>, Option<Value>);

struct Decoder {
    schema: &'static Schema,
    release: Release,
    problems: Vec<String>,
}

impl Decoder {
    fn problem(&mut self, line: usize, text: impl std::fmt::Display) {
        self.problems.push(format!("  line {line}: {text}"));
    }

    fn structure(&mut self, node: &Node, structure: &Struct) -> (Fields, Option<Value>) {
        let (mut fields, mut unknown) = (Fields::new(), Fields::new());
        let Some(pairs) = node.as_map() else {
            self.problem(
                node.line,
                format!(
                    "cannot construct {} into {}",
                    describe(node),
                    structure.name
                ),
            );
            return (fields, None);
        };
        for (key, value) in pairs {
            let name = key.as_scalar().map_or("", |s| s.text.as_str());
            let field = structure
                .fields
                .iter()
                .find(|f| f.name == name && f.since <= self.release);
            let Some(field) = field else {
                unknown.insert(name.to_owned(), to_value(value).unwrap_or(Value::Null));
                continue;
            };
            let (decoded, inner_unknown) = self.value(value, &field.ty);
            if let Some(decoded) = decoded {
                fields.insert(name.to_owned(), decoded);
            }
            if let Some(inner) = inner_unknown {
                unknown.insert(name.to_owned(), inner);
            }
        }
        if structure.fill {
            for field in &structure.fields {
                fields
                    .entry(field.name.to_owned())
                    .or_insert_with(|| Value::str(""));
            }
        }
        (fields, (!unknown.is_empty()).then(|| sorted(unknown)))
    }

    fn value(&mut self, node: &Node, ty: &Type) -> Decoded {
        if node.is_null() {
            return (None, None);
        }
        match ty {
            Type::Pointer(inner) => {
                let (value, unknown) = self.value(node, inner);
                // A pointer is set by being written, even to an empty struct or a zero scalar.
                (value.or_else(|| self.pointer_zero(inner)), unknown)
            }
            Type::Scalar(kind) => match kind.decode(node, self.release) {
                Ok(value) => (Some(value), None),
                Err(text) => {
                    self.problem(node.line, text);
                    (None, None)
                }
            },
            Type::Struct(name) => match self.schema.structure(name) {
                Some(structure) => {
                    let (fields, unknown) = self.structure(node, structure);
                    (Some(Value::Map(fields)), unknown)
                }
                None => (None, None),
            },
            Type::Any => match (&node.kind, to_value(node)) {
                (NodeKind::Map(_), Ok(Value::Map(fields))) => {
                    (Some(Value::Map(sorted_fields(fields))), None)
                }
                (NodeKind::Map(_), Err(YamlError { line, message })) => {
                    self.problem(line, message);
                    (None, None)
                }
                _ => {
                    self.problem(
                        node.line,
                        format!("cannot construct {} into meta.Unstructured", describe(node)),
                    );
                    (None, None)
                }
            },
            Type::Args => self.map(node, |decoder, item| decoder.argument(item)),
            Type::Map(inner) => self.map(node, |decoder, item| decoder.value(item, inner)),
            Type::List(inner) => self.list(node, inner),
        }
    }

    fn pointer_zero(&self, inner: &Type) -> Option<Value> {
        matches!(inner, Type::Struct(_)).then(|| Value::Map(Fields::new()))
    }

    fn map(&mut self, node: &Node, mut each: impl FnMut(&mut Self, &Node) -> Decoded) -> Decoded {
        let Some(pairs) = node.as_map() else {
            self.problem(
                node.line,
                format!("cannot construct {} into map", describe(node)),
            );
            return (None, None);
        };
        let (mut fields, mut unknown) = (Fields::new(), Fields::new());
        for (key, value) in pairs {
            let Some(name) = key.as_scalar() else {
                self.problem(key.line, "unexpected mapping key type");
                continue;
            };
            let (decoded, inner) = each(self, value);
            fields.insert(name.text.clone(), decoded.unwrap_or(Value::Null));
            if let Some(inner) = inner {
                unknown.insert(name.text.clone(), inner);
            }
        }
        (
            Some(Value::Map(fields)),
            (!unknown.is_empty()).then(|| sorted(unknown)),
        )
    }

    fn list(&mut self, node: &Node, inner: &Type) -> Decoded {
        let NodeKind::Seq(nodes) = &node.kind else {
            self.problem(
                node.line,
                format!(
                    "cannot construct {} into []{}",
                    describe(node),
                    go_element(inner)
                ),
            );
            return (None, None);
        };
        let (mut items, mut unknown) = (Vec::with_capacity(nodes.len()), Vec::new());
        for item in nodes {
            let (decoded, more) = self.value(item, inner);
            items.push(decoded.unwrap_or(Value::Null));
            unknown.extend(more);
        }
        (
            Some(Value::List(items)),
            (!unknown.is_empty()).then_some(Value::List(unknown)),
        )
    }

    /// A component argument: a text, or a list of texts.
    fn argument(&mut self, node: &Node) -> Decoded {
        let text = |n: &Node| n.as_scalar().map(|s| Value::str(s.text.as_str()));
        let value = match &node.kind {
            NodeKind::Scalar(_) => text(node),
            NodeKind::Seq(items) => items
                .iter()
                .map(text)
                .collect::<Option<Vec<_>>>()
                .map(Value::List),
            NodeKind::Map(_) => None,
        };
        if value.is_none() {
            self.problem(node.line, "arg value must be a string or list of strings");
        }
        (value, None)
    }
}

fn go_element(ty: &Type) -> &str {
    match ty {
        Type::Struct(name) => name,
        Type::Pointer(inner) => go_element(inner),
        _ => "string",
    }
}

fn describe(node: &Node) -> String {
    match &node.kind {
        NodeKind::Scalar(_) => "!!str".to_owned(),
        NodeKind::Seq(_) => "!!seq".to_owned(),
        NodeKind::Map(_) => "!!map".to_owned(),
    }
}

fn sorted(fields: Fields) -> Value {
    Value::Map(sorted_fields(fields))
}

fn sorted_fields(mut fields: Fields) -> Fields {
    fields.sort_by(|a, _, b, _| super::encode::natural_order(a, b));
    fields
}
