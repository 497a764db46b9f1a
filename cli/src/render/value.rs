//! Values as HCL would write them.

use stead_value::addr::quote;
use stead_value::{Kind, Type, Value};

/// A value over as many lines as it needs; `indent` is that of the line it begins on.
pub(crate) fn render(value: &Value, indent: usize) -> String {
    if value.is_sensitive() {
        return "(sensitive value)".into();
    }
    match value.kind() {
        Kind::Null(_) => "null".into(),
        Kind::Unknown(..) => "(known after apply)".into(),
        Kind::Bool(b) => b.to_string(),
        Kind::Number(n) => n.to_string(),
        Kind::String(s) if s.contains('\n') => heredoc(s, indent),
        Kind::String(s) => quote(s),
        Kind::List(_, items) | Kind::Tuple(items) => sequence(items, indent, "[", "]"),
        Kind::Set(_, items) => sequence(items, indent, "toset([", "])"),
        Kind::Map(_, entries) | Kind::Object(entries) => {
            let is_map = matches!(value.kind(), Kind::Map(..));
            if entries.is_empty() {
                return "{}".into();
            }
            let keys: Vec<String> = entries
                .keys()
                .map(|k| {
                    if is_map || !is_identifier(k) {
                        quote(k)
                    } else {
                        k.to_string()
                    }
                })
                .collect();
            let width = keys.iter().map(|k| k.chars().count()).max().unwrap_or(0);
            let pad = " ".repeat(indent + 2);
            let mut out = String::from("{\n");
            for (key, item) in keys.iter().zip(entries.values()) {
                let gap = " ".repeat(width - key.chars().count());
                out.push_str(&format!("{pad}{key}{gap} = {}\n", render(item, indent + 2)));
            }
            out.push_str(&" ".repeat(indent));
            out.push('}');
            out
        }
    }
}

fn sequence(items: &[Value], indent: usize, open: &str, close: &str) -> String {
    if items.is_empty() {
        return format!("{open}{close}");
    }
    let pad = " ".repeat(indent + 2);
    let mut out = format!("{open}\n");
    for item in items {
        out.push_str(&format!("{pad}{},\n", render(item, indent + 2)));
    }
    out.push_str(&" ".repeat(indent));
    out.push_str(close);
    out
}

fn heredoc(text: &str, indent: usize) -> String {
    let pad = " ".repeat(indent + 4);
    let mut out = String::from("<<-EOT\n");
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push_str(&format!("{pad}{line}\n"));
    }
    out.push_str(&format!("{}EOT", " ".repeat(indent)));
    out
}

/// Whether a name can stand without quotes.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

/// The value of an unknown or null of any type.
pub(crate) fn null() -> Value {
    Value::null(Type::Dynamic)
}
