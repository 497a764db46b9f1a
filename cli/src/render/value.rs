//! Values as an expression would write them: what `output` prints, with the types that the brackets alone do not tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::{Kind, Marks, Type, Value};

use super::text::quote;

/// A value over as many lines as it needs; `indent` is that of the line it begins on.
pub(crate) fn render(value: &Value, indent: usize) -> String {
    match value.kind() {
        Kind::Unknown(..) => return "(known after apply)".into(),
        _ if value.is_sensitive() => return "(sensitive value)".into(),
        _ if value.marks().contains(Marks::EPHEMERAL) => return "(ephemeral value)".into(),
        _ => {}
    }
    match value.kind() {
        Kind::Null(ty) => null(ty),
        Kind::Unknown(..) => String::new(),
        Kind::Bool(b) => b.to_string(),
        Kind::Number(n) => n.to_string(),
        Kind::String(s) if s.contains('\n') => heredoc(s, indent),
        Kind::String(s) => quote(s),
        Kind::Tuple(items) => sequence(items, indent),
        Kind::List(_, items) => format!("tolist({})", sequence(items, indent)),
        Kind::Set(_, items) => format!("toset({})", sequence(items, indent)),
        Kind::Object(entries) => mapping(entries, indent),
        Kind::Map(_, entries) => format!("tomap({})", mapping(entries, indent)),
    }
}

fn null(ty: &Type) -> String {
    match ty {
        Type::Dynamic => "null".into(),
        Type::String => "tostring(null)".into(),
        Type::Number => "tonumber(null)".into(),
        Type::Bool => "tobool(null)".into(),
        Type::List(inner) => format!("tolist(null) /* of {} */", inner.friendly_name()),
        Type::Set(inner) => format!("toset(null) /* of {} */", inner.friendly_name()),
        Type::Map(inner) => format!("tomap(null) /* of {} */", inner.friendly_name()),
        Type::Tuple(_) | Type::Object(..) => format!("null /* {} */", ty.friendly_name()),
    }
}

fn sequence(items: &[Value], indent: usize) -> String {
    let inner = indent + 2;
    let lines = items
        .iter()
        .map(|item| format!("\n{}{},", " ".repeat(inner), render(item, inner)));
    brackets('[', &lines.collect::<String>(), ']', indent)
}

fn mapping(entries: &BTreeMap<Arc<str>, Value>, indent: usize) -> String {
    let inner = indent + 2;
    let lines = entries.iter().map(|(key, item)| {
        let key = render(&Value::string(key), inner);
        format!("\n{}{key} = {}", " ".repeat(inner), render(item, inner))
    });
    brackets('{', &lines.collect::<String>(), '}', indent)
}

fn brackets(open: char, lines: &str, close: char, indent: usize) -> String {
    if lines.is_empty() {
        format!("{open}{close}")
    } else {
        format!("{open}{lines}\n{}{close}", " ".repeat(indent))
    }
}

fn heredoc(text: &str, indent: usize) -> String {
    let operator = if indent > 0 { "<<-" } else { "<<" };
    let mut delimiter = String::from("EOT");
    while text.split('\n').any(|line| line.trim() == delimiter) {
        delimiter.push('_');
    }
    let pad = " ".repeat(indent);
    let lines = text.split('\n').map(|line| format!("\n{pad}{line}"));
    let lines: String = lines.collect();
    format!("{operator}{delimiter}{lines}\n{pad}{delimiter}")
}

/// Whether a name can stand without quotes.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_show_their_types() {
        let list = Value::list(Type::Number, vec![Value::number(1), Value::number(2)]);
        assert_eq!(render(&list, 0), "tolist([\n  1,\n  2,\n])");
        let object = Value::object_from([("a b", list), ("c", Value::null(Type::String))]);
        let expected = "{\n  \"a b\" = tolist([\n    1,\n    2,\n  ])\n  \"c\" = tostring(null)\n}";
        assert_eq!(render(&object, 0), expected);
        assert_eq!(render(&Value::tuple(vec![]), 0), "[]");
        assert_eq!(render(&Value::string("a\nEOT"), 0), "<<EOT_\na\nEOT\nEOT_");
        assert_eq!(
            render(&Value::string("s").sensitive(), 0),
            "(sensitive value)"
        );
    }
}
