//! The functions of the built-in provider: `provider::terraform::encode_expr` and its like.

use std::sync::{Arc, LazyLock};

use stead_value::{CallError, FunctionSignature, Kind, Type, Value};

use crate::config::place;
use crate::expr::{ProviderFunction, evaluate_constant};
use crate::syntax::{SourceFile, parse_file};

static SIGNATURES: LazyLock<[(&str, FunctionSignature); 3]> = LazyLock::new(|| {
    [
        (
            "decode_tfvars",
            FunctionSignature::new(
                "Read the content of a .tfvars file into an object",
                [("src", Type::String)],
                Type::Dynamic,
            ),
        ),
        (
            "encode_expr",
            FunctionSignature::new(
                "Write a value as the language would",
                [("value", Type::Dynamic)],
                Type::String,
            ),
        ),
        (
            "encode_tfvars",
            FunctionSignature::new(
                "Write an object as the content of a .tfvars file",
                [("value", Type::Dynamic)],
                Type::String,
            ),
        ),
    ]
});

/// The signatures, by name.
pub fn builtin_provider_functions()
-> impl Iterator<Item = (&'static str, &'static FunctionSignature)> {
    SIGNATURES
        .iter()
        .map(|(name, signature)| (*name, signature))
}

/// A function of the built-in provider `terraform`.
pub fn builtin_provider_function(name: &str) -> Option<ProviderFunction<'static>> {
    let (name, signature) = builtin_provider_functions().find(|(n, _)| *n == name)?;
    let run = match name {
        "decode_tfvars" => decode_tfvars,
        "encode_expr" => encode_expr,
        _ => encode_tfvars,
    };
    Some(ProviderFunction {
        signature,
        run: Box::new(move |args| run(args.first().unwrap_or(&super::NULL))),
    })
}

fn encode_expr(value: &Value) -> Result<Value, CallError> {
    let mut out = String::new();
    write(value, 0, &mut out);
    Ok(Value::string(out))
}

fn encode_tfvars(value: &Value) -> Result<Value, CallError> {
    let entries = value.as_entries().ok_or_else(|| {
        CallError::new("invalid value to encode: must be an object whose attribute names will become the encoded variable names")
    })?;
    if let Some(name) = entries.keys().find(|name| !is_identifier(name)) {
        return Err(CallError::new(format!(
            "invalid variable name {name:?}: must be a valid identifier, per Terraform's rules for input variable declarations"
        )));
    }
    let mut out = String::new();
    write_entries(entries.iter(), 0, &mut out);
    Ok(Value::string(out))
}

fn decode_tfvars(value: &Value) -> Result<Value, CallError> {
    let text = value.as_str().unwrap_or_default();
    let file = Arc::new(SourceFile::new("<decode_tfvars argument>", text));
    let (body, diagnostics) = parse_file(&file);
    if let Some(error) = diagnostics.iter().find(|d| d.is_error()) {
        return Err(failure("invalid tfvars syntax", error));
    }
    if let Some(block) = body.blocks.first() {
        let at = place(&file.range(block.kind_span));
        return Err(CallError::new(format!(
            "invalid tfvars content: {at}: Unexpected \"{}\" block; Blocks are not allowed here.",
            block.kind
        )));
    }
    let mut entries = std::collections::BTreeMap::new();
    for (name, attribute) in &body.attributes {
        let outcome = evaluate_constant(&attribute.expr);
        if let Some(error) = outcome.diagnostics.iter().find(|d| d.is_error()) {
            let what = format!("invalid expression for variable {name:?}");
            return Err(failure(&what, error));
        }
        entries.insert(Arc::clone(name), outcome.value);
    }
    Ok(Value::object(entries))
}

fn failure(what: &str, error: &stead_value::Diagnostic) -> CallError {
    let at = error.subject.as_ref().map_or_else(String::new, place);
    CallError::new(format!("{what}: {at}: {}; {}", error.summary, error.detail))
}

/// Writes a known value; `indent` is that of the line it begins on.
fn write(value: &Value, indent: usize, out: &mut String) {
    match value.kind() {
        Kind::Null(_) | Kind::Unknown(..) => out.push_str("null"),
        Kind::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Kind::Number(n) => out.push_str(&n.to_string()),
        Kind::String(s) => write_string(s, out),
        Kind::List(_, items) | Kind::Set(_, items) | Kind::Tuple(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(", ");
                }
                write(item, indent, out);
            }
            out.push(']');
        }
        Kind::Map(_, entries) | Kind::Object(entries) if entries.is_empty() => out.push_str("{}"),
        Kind::Map(_, entries) | Kind::Object(entries) => {
            out.push_str("{\n");
            write_entries(entries.iter(), indent + 2, out);
            out.push_str(&" ".repeat(indent));
            out.push('}');
        }
    }
}

/// One entry a line; the equals signs of neighbours that take one line each stand in one column.
fn write_entries<'a>(
    entries: impl Iterator<Item = (&'a Arc<str>, &'a Value)>,
    indent: usize,
    out: &mut String,
) {
    let mut neighbours: Vec<(String, String)> = Vec::new();
    for (name, value) in entries {
        let mut key = String::new();
        if is_identifier(name) {
            key.push_str(name);
        } else {
            write_string(name, &mut key);
        }
        let mut text = String::new();
        write(value, indent, &mut text);
        let one_line = !text.contains('\n');
        if !one_line {
            flush(&mut neighbours, indent, out);
        }
        neighbours.push((key, text));
        if !one_line {
            flush(&mut neighbours, indent, out);
        }
    }
    flush(&mut neighbours, indent, out);
}

fn flush(lines: &mut Vec<(String, String)>, indent: usize, out: &mut String) {
    let width = |key: &str| key.chars().count();
    let widest = lines.iter().map(|(key, _)| width(key)).max().unwrap_or(0);
    for (key, text) in lines.drain(..) {
        let gap = " ".repeat(widest - width(&key));
        out.push_str(&format!("{}{key}{gap} = {text}\n", " ".repeat(indent)));
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '$' | '%' if chars.peek() == Some(&'{') => {
                out.push(c);
                out.push(c);
            }
            c if stead_value::is_printable(c) => out.push(c),
            '\0'..='\u{ffff}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(unicode_ident::is_xid_start)
        && chars.all(|c| unicode_ident::is_xid_continue(c) || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, value: Value) -> Result<Value, String> {
        let function = builtin_provider_function(name).expect("a function");
        (function.run)(&[value]).map_err(|e| e.message)
    }

    fn text(name: &str, value: Value) -> String {
        match call(name, value) {
            Ok(value) => value.as_str().unwrap_or_default().to_owned(),
            Err(message) => message,
        }
    }

    /// As Terraform 1.11 writes it.
    #[test]
    fn values_are_written_as_expressions() {
        let nested = Value::object_from([
            (
                "g",
                Value::set(Type::String, vec![Value::string("b"), Value::string("a")]),
            ),
            ("hh", Value::number(1)),
        ]);
        let value = Value::object_from([
            ("0a", Value::number(1)),
            ("a-b", Value::bool(true)),
            (
                "bcd",
                Value::tuple(vec![
                    Value::string("x${y}%{z}\n\t\"é\u{7}"),
                    Value::null(Type::String),
                ]),
            ),
            ("e", nested),
            ("x y", Value::empty_object()),
        ]);
        assert_eq!(
            text("encode_expr", value.clone()),
            "{\n  \"0a\" = 1\n  a-b  = true\n  bcd  = [\"x$${y}%%{z}\\n\\t\\\"é\\u0007\", null]\n  e = {\n    g  = [\"a\", \"b\"]\n    hh = 1\n  }\n  \"x y\" = {}\n}"
        );
        assert!(text("encode_tfvars", value).starts_with("invalid variable name \"0a\": "));
        let value = Value::object_from([("a", Value::number(1)), ("bb", Value::string("x\ny"))]);
        assert_eq!(text("encode_tfvars", value), "a  = 1\nbb = \"x\\ny\"\n");
        assert!(
            text("encode_tfvars", Value::tuple(vec![])).starts_with("invalid value to encode: ")
        );
    }

    #[test]
    fn tfvars_are_read() {
        let read = call("decode_tfvars", Value::string("a = 1\nb = [true]\n")).unwrap();
        assert_eq!(read.get("a"), Some(Value::number(1)));
        assert_eq!(read.get("b"), Some(Value::tuple(vec![Value::bool(true)])));
        for (wrong, why) in [
            (
                "a =",
                "invalid tfvars syntax: <decode_tfvars argument>:1,4-4: Missing expression; ",
            ),
            (
                "a {}",
                "invalid tfvars content: <decode_tfvars argument>:1,1-2: Unexpected \"a\" block; ",
            ),
            (
                "a = b",
                "invalid expression for variable \"a\": <decode_tfvars argument>:1,5-6: Variables not allowed; ",
            ),
        ] {
            let message = text("decode_tfvars", Value::string(wrong));
            assert!(message.starts_with(why), "{wrong}: {message}");
        }
    }
}
