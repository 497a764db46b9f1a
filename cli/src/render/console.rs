//! Values as the console shows them: such that the text, typed again, gives the same value and type.

use std::fmt::Write as _;

use stead_value::{Kind, Marks, Type, Value, quoted};

/// A value; `indent` is that of the line it begins on.
pub(crate) fn value(value: &Value, indent: usize) -> String {
    if !value.is_known() {
        return "(known after apply)".into();
    }
    if value.marks().contains(Marks::SENSITIVE) {
        return "(sensitive value)".into();
    }
    if value.marks().contains(Marks::EPHEMERAL) {
        return "(ephemeral value)".into();
    }
    match value.kind() {
        Kind::Null(ty) => null(ty),
        Kind::Unknown(..) => "(known after apply)".into(),
        Kind::Bool(b) => b.to_string(),
        Kind::Number(n) => n.to_string(),
        Kind::String(s) if s.contains('\n') => heredoc(s, indent),
        Kind::String(s) => quoted(s),
        Kind::Tuple(items) => sequence(items, indent),
        Kind::List(_, items) => format!("tolist({})", sequence(items, indent)),
        Kind::Set(_, items) => format!("toset({})", sequence(items, indent)),
        Kind::Object(entries) => mapping(entries.iter(), indent),
        Kind::Map(_, entries) => format!("tomap({})", mapping(entries.iter(), indent)),
    }
}

fn null(ty: &Type) -> String {
    match ty {
        Type::Dynamic => "null".into(),
        Type::String => "tostring(null)".into(),
        Type::Number => "tonumber(null)".into(),
        Type::Bool => "tobool(null)".into(),
        Type::List(t) => format!("tolist(null) /* of {} */", t.friendly_name()),
        Type::Set(t) => format!("toset(null) /* of {} */", t.friendly_name()),
        Type::Map(t) => format!("tomap(null) /* of {} */", t.friendly_name()),
        Type::Tuple(_) | Type::Object(_) => format!("null /* {} */", ty.friendly_name()),
    }
}

fn sequence(items: &[Value], indent: usize) -> String {
    let lines = items
        .iter()
        .map(|item| format!("{},", value(item, indent + 2)));
    lines_between('[', lines, ']', indent)
}

fn mapping<'a>(
    entries: impl Iterator<Item = (&'a std::sync::Arc<str>, &'a Value)>,
    indent: usize,
) -> String {
    let lines = entries.map(|(k, v)| {
        let key = value(&Value::string(k), indent + 2);
        format!("{key} = {}", value(v, indent + 2))
    });
    lines_between('{', lines, '}', indent)
}

fn lines_between(
    open: char,
    lines: impl Iterator<Item = String>,
    close: char,
    indent: usize,
) -> String {
    let mut out = String::from(open);
    for line in lines {
        let _ = write!(out, "\n{:indent$}  {line}", "");
    }
    if out.len() > 1 {
        let _ = write!(out, "\n{:indent$}", "");
    }
    out.push(close);
    out
}

fn heredoc(text: &str, indent: usize) -> String {
    let mut marker = String::from("EOT");
    while text.split('\n').any(|line| line.trim() == marker) {
        marker.push('_');
    }
    let mut out = format!("<<{}{marker}", if indent > 0 { "-" } else { "" });
    for line in text.split('\n').chain([marker.as_str()]) {
        let _ = write!(out, "\n{:indent$}{line}", "");
    }
    out
}

/// A type, as `type(…)` shows it.
pub(crate) fn ty(ty: &Type) -> String {
    let mut out = String::new();
    write_type(ty, 0, &mut out);
    out
}

fn write_type(ty: &Type, indent: usize, out: &mut String) {
    let pad = |level: usize| "    ".repeat(level);
    match ty {
        Type::Object(object) if object.attributes.is_empty() => out.push_str("object({})"),
        Type::Object(object) => {
            out.push_str("object({\n");
            for (name, ty) in &object.attributes {
                let _ = write!(out, "{}{name}: ", pad(indent + 1));
                write_type(ty, indent + 1, out);
                out.push_str(",\n");
            }
            let _ = write!(out, "{}}})", pad(indent));
        }
        Type::Tuple(elements) if elements.is_empty() => out.push_str("tuple([])"),
        Type::Tuple(elements) => {
            out.push_str("tuple([\n");
            for ty in elements.iter() {
                out.push_str(&pad(indent + 1));
                write_type(ty, indent + 1, out);
                out.push_str(",\n");
            }
            let _ = write!(out, "{}])", pad(indent));
        }
        Type::List(element) => collection("list", element, indent, out),
        Type::Set(element) => collection("set", element, indent, out),
        Type::Map(element) => collection("map", element, indent, out),
        Type::Bool | Type::Number | Type::String | Type::Dynamic => {
            out.push_str(&ty.friendly_name());
        }
    }
}

fn collection(kind: &str, element: &Type, indent: usize, out: &mut String) {
    let _ = write!(out, "{kind}(");
    if matches!(element, Type::Object(_) | Type::Tuple(_)) {
        let _ = write!(out, "\n{}", "    ".repeat(indent + 1));
        write_type(element, indent + 1, out);
        let _ = write!(out, ",\n{}", "    ".repeat(indent));
    } else {
        write_type(element, indent, out);
    }
    out.push(')');
}
