//! Configuration as it could be written for an object that is there: what `-generate-config-out` writes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use stead_value::schema::{Attribute, AttributeType, Block, NestedBlock, Nesting};
use stead_value::{Kind, Marks, Type, Value, is_printable};

use crate::config::is_identifier;
use crate::syntax::SourceFile;

/// A `resource` block for an object, by its schema; without a newline at its end. What only the provider decides is left out,
/// and what is secret is only named.
pub fn resource_block(
    type_name: &str,
    name: &str,
    provider: Option<&str>,
    schema: &Block,
    object: &Value,
) -> String {
    let mut text = format!("resource \"{type_name}\" \"{name}\" {{\n");
    if let Some(provider) = provider {
        let _ = writeln!(text, "provider = {provider}");
    }
    body(&mut text, schema, object, true);
    text.push('}');
    let file = Arc::new(SourceFile::new("generated.tf", &*text));
    // What is written here can be read: its layout is all that is left to do.
    crate::fmt::format(&file).unwrap_or(text)
}

fn body(out: &mut String, schema: &Block, object: &Value, outermost: bool) {
    attributes(out, &schema.attributes, object, outermost);
    for (name, nested) in &schema.blocks {
        if let Some(value) = object
            .get(name)
            .filter(|_| nested.block.deprecated.is_none())
        {
            block(out, name, nested, &value);
        }
    }
}

fn attributes(
    out: &mut String,
    schema: &BTreeMap<Arc<str>, Attribute>,
    object: &Value,
    outermost: bool,
) {
    for (name, attribute) in schema {
        // The old provider kit gives every resource an optional `id`, which no configuration may set.
        let old_id = outermost && &**name == "id" && attribute.optional && attribute.computed;
        let settable = attribute.required || attribute.optional;
        if !settable || attribute.deprecated.is_some() || old_id {
            continue;
        }
        let value = object
            .get(name)
            .unwrap_or_else(|| Value::null(attribute.value_type()));
        match &attribute.ty {
            AttributeType::Nested {
                nesting,
                attributes,
            } => nested_attribute(out, name, attribute, *nesting, attributes, &value),
            AttributeType::Simple(_) => simple_attribute(out, name, attribute, value),
        }
    }
}

fn is_secret(value: &Value) -> bool {
    value.marks().contains(Marks::SENSITIVE)
}

fn simple_attribute(out: &mut String, name: &str, attribute: &Attribute, value: Value) {
    let _ = write!(out, "{name} = ");
    if attribute.sensitive || !value.marks_deep().is_empty() {
        out.push_str("null # sensitive\n");
        return;
    }
    match value.as_str() {
        // To the old provider kit an empty text is none.
        Some("") if attribute.optional => out.push_str("null"),
        Some(text) => match embedded_json(text) {
            Some(inner) => {
                out.push_str("jsonencode(");
                write_value(out, &inner);
                out.push(')');
            }
            None => write_value(out, &value),
        },
        None => write_value(out, &value),
    }
    out.push('\n');
}

/// The object or list that a text holds as JSON.
fn embedded_json(text: &str) -> Option<Value> {
    let json: serde_json::Value = serde_json::from_str(text).ok()?;
    (json.is_object() || json.is_array()).then_some(())?;
    stead_value::json::from_json_implied(&json).ok()
}

fn nested_attribute(
    out: &mut String,
    name: &str,
    attribute: &Attribute,
    nesting: Nesting,
    inner: &BTreeMap<Arc<str>, Attribute>,
    value: &Value,
) {
    let hidden = attribute.sensitive || is_secret(value);
    let empty = match nesting {
        Nesting::List | Nesting::Set => "[]",
        _ => "{}",
    };
    match value.kind() {
        _ if hidden => {
            let _ = writeln!(out, "{name} = {empty} # sensitive");
        }
        Kind::Object(_) => {
            let _ = writeln!(out, "{name} = {{");
            attributes(out, inner, value, false);
            out.push_str("}\n");
        }
        Kind::List(_, items) => elements(out, name, inner, items.iter()),
        Kind::Set(_, items) => elements(out, name, inner, items.iter()),
        Kind::Map(_, entries) => {
            let _ = writeln!(out, "{name} = {{");
            for (key, entry) in entries.iter() {
                write_key(out, key);
                if is_secret(entry) {
                    out.push_str(" = {} # sensitive\n");
                    continue;
                }
                out.push_str(" = {\n");
                attributes(out, inner, entry, false);
                out.push_str("}\n");
            }
            out.push_str("}\n");
        }
        _ => {
            let _ = writeln!(out, "{name} = null");
        }
    }
}

fn elements<'a>(
    out: &mut String,
    name: &str,
    inner: &BTreeMap<Arc<str>, Attribute>,
    items: impl Iterator<Item = &'a Value>,
) {
    let _ = writeln!(out, "{name} = [");
    for item in items {
        if is_secret(item) {
            out.push_str("{}, # sensitive\n");
            continue;
        }
        out.push_str("{\n");
        attributes(out, inner, item, false);
        out.push_str("},\n");
    }
    out.push_str("]\n");
}

fn block(out: &mut String, name: &str, nested: &NestedBlock, value: &Value) {
    let one = |out: &mut String, label: Option<&str>, item: &Value| {
        out.push_str(name);
        if let Some(label) = label {
            let _ = write!(out, " {}", quoted(label));
        }
        if is_secret(item) {
            out.push_str(" {} # sensitive\n");
            return;
        }
        out.push_str(" {\n");
        body(out, &nested.block, item, false);
        out.push_str("}\n");
    };
    match value.kind() {
        Kind::Object(_) => one(out, None, value),
        Kind::List(..) | Kind::Set(..) | Kind::Map(..) if is_secret(value) => {
            let _ = writeln!(out, "{name} {{}} # sensitive");
        }
        Kind::List(_, items) => items.iter().for_each(|item| one(out, None, item)),
        Kind::Set(_, items) => items.iter().for_each(|item| one(out, None, item)),
        Kind::Map(_, entries) => {
            for (key, item) in entries.iter() {
                one(out, Some(key), item);
            }
        }
        _ => {}
    }
}

/// An expression whose value is this one. Unknown values, of which none can be written, become null.
fn write_value(out: &mut String, value: &Value) {
    let all = |out: &mut String, items: &mut dyn Iterator<Item = &Value>| {
        out.push('[');
        for (i, item) in items.enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            write_value(out, item);
        }
        out.push(']');
    };
    match value.kind() {
        Kind::Bool(b) => {
            let _ = write!(out, "{b}");
        }
        Kind::Number(_) => {
            // As a template shows it: the shortest decimal.
            let text = stead_value::convert::convert(value, &Type::String);
            out.push_str(text.ok().as_ref().and_then(Value::as_str).unwrap_or("null"));
        }
        Kind::String(text) => out.push_str(&quoted(text)),
        Kind::List(_, items) => all(out, &mut items.iter()),
        Kind::Set(_, items) => all(out, &mut items.iter()),
        Kind::Tuple(items) => all(out, &mut items.iter()),
        Kind::Map(_, entries) => write_entries(out, entries),
        Kind::Object(entries) => write_entries(out, entries),
        Kind::Null(_) | Kind::Unknown(..) => out.push_str("null"),
    }
}

fn write_entries(out: &mut String, entries: &BTreeMap<Arc<str>, Value>) {
    out.push('{');
    if !entries.is_empty() {
        out.push('\n');
    }
    for (key, value) in entries {
        write_key(out, key);
        out.push_str(" = ");
        write_value(out, value);
        out.push('\n');
    }
    out.push('}');
}

fn write_key(out: &mut String, key: &str) {
    if is_identifier(key) {
        out.push_str(key);
    } else {
        out.push_str(&quoted(key));
    }
}

/// A text in quotes, so that it stands for itself.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '$' | '%' if rest.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if u32::from(c) < 0x1_0000 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(ty: Type, change: impl FnOnce(&mut Attribute)) -> Attribute {
        let mut attribute = Attribute::new(ty);
        change(&mut attribute);
        attribute
    }

    #[test]
    fn what_can_be_set_is_written_and_what_is_secret_is_not() {
        let mut schema = Block::default();
        let optional = |a: &mut Attribute| a.optional = true;
        for (name, attribute) in [
            ("id", attribute(Type::String, |a| a.computed = true)),
            ("name", attribute(Type::String, |a| a.required = true)),
            ("policy", attribute(Type::String, optional)),
            ("empty", attribute(Type::String, optional)),
            (
                "old",
                attribute(Type::String, |a| a.deprecated = Some("no".into())),
            ),
            (
                "secret",
                attribute(Type::String, |a| {
                    a.optional = true;
                    a.sensitive = true;
                }),
            ),
            ("tags", attribute(Type::map(Type::String), optional)),
            ("ports", attribute(Type::list(Type::Number), optional)),
        ] {
            schema.attributes.insert(name.into(), attribute);
        }
        let mut disk = Block::default();
        disk.attributes
            .insert("size".into(), attribute(Type::Number, optional));
        schema.blocks.insert(
            "disk".into(),
            NestedBlock {
                nesting: Nesting::List,
                block: disk,
                min_items: 0,
                max_items: 0,
                force_new: false,
            },
        );
        let text = |s: &str| Value::string(s);
        let size = |n: i64| Value::object([("size".into(), Value::number(n))].into());
        let tags = [("a".into(), text("1")), ("b c".into(), text("x\n${y}"))];
        let sized = size(1).ty();
        let object = Value::object(
            [
                ("id".into(), text("i-1")),
                ("name".into(), text("web")),
                ("policy".into(), text(r#"{"a":[1,true],"b":null}"#)),
                ("empty".into(), text("")),
                ("secret".into(), text("hush")),
                ("tags".into(), Value::map(Type::String, tags.into())),
                (
                    "ports".into(),
                    Value::list(Type::Number, vec![Value::number(80), Value::number(443)]),
                ),
                ("disk".into(), Value::list(sized, vec![size(1), size(2)])),
            ]
            .into(),
        );
        let written = resource_block("acme_vm", "web", Some("acme.west"), &schema, &object);
        assert_eq!(
            written,
            r#"resource "acme_vm" "web" {
  provider = acme.west
  empty    = null
  name     = "web"
  policy = jsonencode({
    a = [1, true]
    b = null
  })
  ports  = [80, 443]
  secret = null # sensitive
  tags = {
    a     = "1"
    "b c" = "x\n$${y}"
  }
  disk {
    size = 1
  }
  disk {
    size = 2
  }
}"#
        );
    }
}
