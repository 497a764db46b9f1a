//! YAML as go-yaml reads and writes it, which is what Talos speaks byte for byte.

mod emit;
mod node;
mod parse;
mod resolve;

pub(crate) use emit::{Quoting, Style, emit};
pub(crate) use node::{Node, NodeKind};
pub(crate) use parse::{YamlError, parse_documents};
pub(crate) use resolve::Resolved;

use super::value::{Fields, Value};

/// Turns a node into free-form data, as go-yaml decodes into `any`.
///
/// Refuses what the configuration types cannot hold: keys that are not text and bare timestamps.
pub(crate) fn to_value(node: &Node) -> Result<Value, YamlError> {
    match &node.kind {
        NodeKind::Scalar(scalar) => match scalar.resolve() {
            Resolved::Null => Ok(Value::Null),
            Resolved::Bool(b) => Ok(Value::Bool(b)),
            Resolved::Int(i) => Ok(Value::Int(i)),
            Resolved::Float(x) => Ok(Value::Float(x)),
            Resolved::Str => Ok(Value::str(scalar.text.as_str())),
            Resolved::Timestamp | Resolved::Merge => Err(YamlError::new(
                node.line,
                "this value reads as a timestamp or a merge key; put it in quotes",
            )),
        },
        NodeKind::Seq(items) => Ok(Value::List(
            items.iter().map(to_value).collect::<Result<_, _>>()?,
        )),
        NodeKind::Map(pairs) => {
            let mut fields = Fields::new();
            for (key, value) in pairs {
                match &key.kind {
                    NodeKind::Scalar(s) if matches!(s.resolve(), Resolved::Str) => {
                        fields.insert(s.text.clone(), to_value(value)?);
                    }
                    _ => {
                        return Err(YamlError::new(
                            key.line,
                            "mapping keys must be text here; put the key in quotes",
                        ));
                    }
                }
            }
            Ok(Value::Map(fields))
        }
    }
}
