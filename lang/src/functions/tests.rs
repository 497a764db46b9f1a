//! What functions make of values that are not known yet.

use super::*;
use crate::files::NoFiles;
use stead_value::{Number, Refinement};

struct Nothing;

impl FunctionContext for Nothing {
    fn files(&self) -> &dyn Files {
        &NoFiles
    }

    fn working_directory(&self) -> Option<String> {
        None
    }

    fn home_directory(&self) -> Option<String> {
        None
    }

    fn plan_timestamp(&self) -> Option<String> {
        None
    }

    fn world(&self) -> Option<&dyn World> {
        None
    }

    fn render_template(&self, _: &str, _: &str, _: &Value, _: bool) -> Result<Value, String> {
        Err("no templates here".into())
    }
}

fn eval(name: &str, args: &[Value]) -> Value {
    call(lookup(name).unwrap(), args, &Nothing).unwrap()
}

fn unknown(ty: Type) -> Value {
    Value::unknown(ty)
}

fn refined(ty: Type, change: impl FnOnce(&mut Refinement)) -> Value {
    unknown(ty).refine(|r| {
        r.not_null = true;
        change(r);
    })
}

fn strings(items: &[&str]) -> Value {
    Value::list(Type::String, items.iter().map(Value::string).collect())
}

#[test]
fn the_table_is_sorted_and_complete() {
    assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
    assert_eq!(lookup("core::upper").map(|f| f.name), Some("upper"));
    assert!(lookup("nosuch").is_none());
    // Terraform 1.11's 118 (without `type`, which only the console has), its two that only say they are gone, OpenTofu's three,
    // and `convert` of Terraform 1.15.
    assert_eq!(FUNCTIONS.len(), 124);
}

#[test]
fn unknown_arguments_give_unknown_results_of_the_right_type() {
    let list = || unknown(Type::list(Type::Number));
    for (name, args, want) in [
        ("upper", vec![unknown(Type::String)], Type::String),
        (
            "split",
            vec![Value::string(","), unknown(Type::String)],
            Type::list(Type::String),
        ),
        ("concat", vec![list(), list()], Type::list(Type::Number)),
        (
            "values",
            vec![unknown(Type::map(Type::Bool))],
            Type::list(Type::Bool),
        ),
        (
            "zipmap",
            vec![unknown(Type::list(Type::String)), list()],
            Type::map(Type::Number),
        ),
        (
            "regex",
            vec![Value::string("(a)(b)"), unknown(Type::String)],
            Type::tuple([Type::String, Type::String]),
        ),
        ("distinct", vec![list()], Type::list(Type::Number)),
        ("toset", vec![list()], Type::set(Type::Dynamic)),
        (
            "merge",
            vec![
                Value::object_from([("a", Value::bool(true))]),
                unknown(Type::object([("b", Type::Bool)])),
            ],
            Type::object([("a", Type::Bool), ("b", Type::Bool)]),
        ),
        (
            "setunion",
            vec![
                unknown(Type::set(Type::Number)),
                unknown(Type::set(Type::String)),
            ],
            Type::set(Type::String),
        ),
    ] {
        let got = eval(name, &args);
        assert_eq!((got.is_known(), got.ty()), (false, want), "{name}");
    }
    for name in ["upper", "jsondecode", "length", "flatten", "max"] {
        assert!(!eval(name, &[Value::dynamic()]).is_known(), "{name}");
    }
}

#[test]
fn what_is_certain_is_said() {
    let prefix = |p: &str| refined(Type::String, |r| r.prefix = Some(p.into()));
    let element = unknown(Type::String);
    for (name, args, want) in [
        (
            "format",
            vec![Value::string("vm-%s"), unknown(Type::String)],
            prefix("vm-"),
        ),
        (
            "format",
            vec![Value::string("vm%s"), unknown(Type::String)],
            prefix("v"),
        ),
        (
            "startswith",
            vec![prefix("vm-"), Value::string("vm")],
            Value::bool(true),
        ),
        (
            "startswith",
            vec![prefix("vm-"), Value::string("x")],
            Value::bool(false),
        ),
        (
            "jsonencode",
            vec![Value::tuple(vec![element.clone()])],
            prefix("["),
        ),
        (
            "keys",
            vec![unknown(Type::object([("a", Type::Bool)]))],
            Value::tuple(vec![Value::string("a")]),
        ),
        (
            "length",
            vec![unknown(Type::tuple([Type::Bool]))],
            Value::number(1),
        ),
        (
            "length",
            vec![unknown(Type::list(Type::Bool))],
            refined(Type::Number, |r| {
                r.lower = Some((Number::zero(), true));
                r.upper = Some((i64::MAX.into(), true));
            }),
        ),
        (
            "contains",
            vec![strings(&["a"]), unknown(Type::String)],
            refined(Type::Bool, |_| {}),
        ),
        (
            "contains",
            vec![
                Value::list(Type::String, vec![element.clone(), Value::string("a")]),
                Value::string("a"),
            ],
            Value::bool(true),
        ),
        (
            "anytrue",
            vec![Value::list(
                Type::Bool,
                vec![unknown(Type::Bool), Value::bool(true)],
            )],
            Value::bool(true),
        ),
        (
            "element",
            vec![
                Value::tuple(vec![element.clone(), Value::number(2)]),
                Value::number(1),
            ],
            Value::number(2),
        ),
        (
            "coalesce",
            vec![Value::string("a"), element.clone()],
            Value::string("a"),
        ),
        (
            "lookup",
            vec![
                Value::object_from([("a", element.clone()), ("b", Value::bool(true))]),
                Value::string("b"),
            ],
            Value::bool(true),
        ),
        (
            "reverse",
            vec![Value::tuple(vec![element.clone(), Value::bool(true)])],
            Value::tuple(vec![Value::bool(true), element.clone()]),
        ),
        (
            "tostring",
            vec![refined(Type::Number, |_| {})],
            unknown(Type::String),
        ),
        (
            "sensitive",
            vec![element.clone()],
            element.clone().sensitive(),
        ),
        ("issensitive", vec![element.clone()], unknown(Type::Bool)),
        (
            "sort",
            vec![Value::list(
                Type::String,
                vec![element.clone(), Value::string("a")],
            )],
            Value::list(Type::String, vec![element.clone(), element.clone()]),
        ),
        (
            "flatten",
            vec![Value::tuple(vec![Value::tuple(vec![element.clone()])])],
            Value::tuple(vec![element]),
        ),
    ] {
        assert_eq!(eval(name, &args), want, "{name} {args:?}");
    }
}

#[test]
fn ephemeral_values_become_null() {
    let secret = Value::string("x").with_marks(Marks::EPHEMERAL);
    let got = eval(
        "ephemeralasnull",
        &[Value::tuple(vec![secret, Value::bool(true)])],
    );
    assert_eq!(
        got,
        Value::tuple(vec![Value::null(Type::String), Value::bool(true)])
    );
    let hidden = Value::string("s3cret").with_marks(Marks::EPHEMERAL);
    let error = call(lookup("base64decode").unwrap(), &[hidden], &Nothing).unwrap_err();
    assert_eq!(
        error.message,
        "failed to decode base64 data (ephemeral value)"
    );
}

#[test]
fn aliases_cannot_blow_a_document_up() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..10 {
        let before = format!("*a{}", i - 1);
        bomb.push_str(&format!(
            "a{i}: &a{i} [{}]\n",
            [before.as_str(); 10].join(", ")
        ));
    }
    let error = call(
        lookup("yamldecode").unwrap(),
        &[Value::string(bomb)],
        &Nothing,
    )
    .unwrap_err();
    assert_eq!(
        error.message,
        "the document is too large, or aliases make it so"
    );
}
