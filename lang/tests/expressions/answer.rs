//! What an expression comes to, as JSON: the form in which tools/oracle.py keeps Terraform's answers.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use stead_lang::Files;
use stead_lang::expr::{Environment, Reference, Resolved, Scope, Target, evaluate};
use stead_lang::syntax::{SourceFile, parse_expression};
use stead_value::json::type_to_json;
use stead_value::{Diagnostic, Diagnostics, Kind, Marks, Number, Refinement, Type, Value};

/// Evaluates one expression, in which `local.…` names the values that [`local`] knows.
pub(crate) fn answer(text: &str) -> Json {
    let file = Arc::new(SourceFile::new("main.tf", text));
    let (parsed, diagnostics) = parse_expression(&file);
    if diagnostics.has_errors() {
        return errors(&diagnostics);
    }
    let evaluation = evaluate(&parsed, &Locals);
    if evaluation.diagnostics.has_errors() {
        return errors(&evaluation.diagnostics);
    }
    json!({"type": type_to_json(&evaluation.value.ty()), "value": value(&evaluation.value)})
}

fn errors(diagnostics: &Diagnostics) -> Json {
    let error = |d: &Diagnostic| {
        let range = d
            .subject
            .as_ref()
            .map(|r| json!([r.start.column, r.end.column]));
        json!({"summary": d.summary, "detail": d.detail, "columns": range})
    };
    let all: Vec<Json> = diagnostics
        .iter()
        .filter(|d| d.is_error())
        .map(error)
        .collect();
    json!({ "errors": all })
}

fn value(v: &Value) -> Json {
    let items = |items: &[Value]| items.iter().map(value).collect::<Vec<_>>();
    let plain = match v.kind() {
        Kind::Null(_) => Json::Null,
        Kind::Unknown(_, refinement) => json!({"unknown": refined(refinement.as_deref())}),
        Kind::Bool(b) => json!(b),
        Kind::Number(n) => json!({"number": number(n)}),
        Kind::String(s) => json!(&**s),
        Kind::List(_, v) | Kind::Set(_, v) | Kind::Tuple(v) => json!(items(v)),
        Kind::Map(_, m) | Kind::Object(m) => {
            let entries: serde_json::Map<String, Json> =
                m.iter().map(|(k, v)| (k.to_string(), value(v))).collect();
            json!({ "entries": entries })
        }
    };
    if v.marks().contains(Marks::SENSITIVE) {
        json!({ "sensitive": plain })
    } else {
        plain
    }
}

/// Zero has no sign in a plan file, which is where the reference's answer stands.
fn number(n: &Number) -> String {
    if n.is_zero() {
        "0".into()
    } else {
        n.to_string()
    }
}

fn refined(refinement: Option<&Refinement>) -> Json {
    let mut known = serde_json::Map::new();
    if let Some(r) = refinement {
        let bound = |b: &(Number, bool)| json!([number(&b.0), b.1]);
        let mut put = |name: &str, found: Option<Json>| {
            if let Some(found) = found {
                known.insert(name.into(), found);
            }
        };
        put("not_null", r.not_null.then(|| json!(true)));
        put("prefix", r.prefix.as_ref().map(|p| json!(&**p)));
        put("lower", r.lower.as_ref().map(bound));
        put("upper", r.upper.as_ref().map(bound));
        put(
            "min_length",
            r.min_length.filter(|n| *n > 0).map(|n| json!(n)),
        );
        put("max_length", r.max_length.map(|n| json!(n)));
    }
    Json::Object(known)
}

/// The values that expressions can name; `root.tf` and `module.tf` give the reference the same.
fn local(name: &str) -> Option<Value> {
    let object = || {
        Type::object([
            ("a", Type::String),
            ("b", Type::Number),
            ("c", Type::list(Type::String)),
        ])
    };
    Some(match name {
        "us" => Value::unknown(Type::String),
        "un" => Value::unknown(Type::Number),
        "ub" => Value::unknown(Type::Bool),
        "ul" => Value::unknown(Type::list(Type::String)),
        "uset" => Value::unknown(Type::set(Type::String)),
        "um" => Value::unknown(Type::map(Type::String)),
        "ut" => Value::unknown(Type::tuple([Type::String, Type::Number])),
        "uo" => Value::unknown(object()),
        "ulo" => Value::unknown(Type::list(object())),
        "ud" => Value::dynamic(),
        _ => return None,
    })
}

struct Locals;

impl Scope for Locals {
    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        match &reference.target {
            Target::Local(name) => match local(name) {
                Some(value) => Resolved::Value(value),
                None => {
                    Diagnostic::error("Reference to undeclared local value", name.as_ref()).into()
                }
            },
            _ => Diagnostic::error("Invalid reference", "Only local values are here.").into(),
        }
    }

    fn environment(&self) -> Environment<'_> {
        Environment {
            files: &Nothing,
            working_directory: Some("/work"),
            home_directory: Some("/home/ann"),
            plan_timestamp: None,
            world: None,
        }
    }
}

struct Nothing;

impl Files for Nothing {
    fn read(&self, _: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &Path) -> std::io::Result<Vec<String>> {
        Err(std::io::ErrorKind::NotFound.into())
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn walk(&self, _: &Path) -> std::io::Result<Vec<String>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}
