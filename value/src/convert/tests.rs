use super::*;
use crate::{Marks, ObjectType};

fn obj<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::object_from(pairs)
}

fn strings(items: &[&str]) -> Vec<Value> {
    items.iter().map(Value::string).collect()
}

#[test]
fn primitives() {
    for (value, ty, want) in [
        (Value::string("12"), Type::Number, Ok(Value::number(12))),
        (Value::number(12), Type::String, Ok(Value::string("12"))),
        (Value::bool(true), Type::String, Ok(Value::string("true"))),
        (Value::string("1"), Type::Bool, Ok(Value::bool(true))),
        (
            Value::string("x"),
            Type::Number,
            Err("a number is required"),
        ),
        (
            Value::string("TRUE"),
            Type::Bool,
            Err("a bool is required; to convert from string, use lowercase \"true\""),
        ),
        (Value::bool(true), Type::Number, Err("number required")),
        (
            Value::number(1),
            Type::list(Type::String),
            Err("list of string required"),
        ),
        (
            Value::null(Type::Dynamic),
            Type::Number,
            Ok(Value::null(Type::Number)),
        ),
    ] {
        assert_eq!(
            convert(&value, &ty).map_err(|e| e.message),
            want.map_err(String::from)
        );
    }
}

#[test]
fn structures() {
    let list = Type::list(Type::String);
    let tuple = Value::tuple(vec![Value::number(1), Value::bool(true)]);
    assert_eq!(
        convert(&tuple, &list).unwrap(),
        Value::list(Type::String, strings(&["1", "true"]))
    );
    let e = convert(
        &Value::tuple(vec![tuple.clone(), Value::number(2)]),
        &Type::list(Type::list(Type::String)),
    );
    assert_eq!(e.unwrap_err().message, "element 1: list of string required");
    let object = obj([("a", Value::number(1)), ("b", Value::string("x"))]);
    let e = convert(&object, &Type::map(Type::Number)).unwrap_err();
    assert_eq!(
        (e.path.to_string().as_str(), e.message.as_str()),
        ("[\"b\"]", "a number is required")
    );
    let want = Type::object([("a", Type::String), ("c", Type::Bool), ("d", Type::Bool)]);
    assert_eq!(
        convert(&object, &want).unwrap_err().message,
        "attributes \"c\" and \"d\" are required"
    );
    assert_eq!(
        convert(
            &Value::tuple(vec![Value::number(1), Value::string("x")]),
            &Type::set(Type::Dynamic)
        )
        .unwrap()
        .ty(),
        Type::set(Type::String)
    );
    let mixed = Value::tuple(vec![Value::number(1), Value::empty_object()]);
    assert_eq!(
        convert(&mixed, &Type::list(Type::Dynamic))
            .unwrap_err()
            .message,
        "all list elements must have the same type"
    );
    assert_eq!(
        convert(&Value::tuple(vec![]), &Type::list(Type::Dynamic)).unwrap(),
        Value::list(Type::Dynamic, vec![])
    );
}

#[test]
fn optional_attributes_become_null() {
    let want = Type::Object(Arc::new(ObjectType {
        attributes: [("a".into(), Type::String), ("b".into(), Type::Number)].into(),
        optional: ["b".into()].into(),
    }));
    let got = convert(
        &obj([("a", Value::number(1)), ("z", Value::bool(true))]),
        &want,
    )
    .unwrap();
    assert_eq!(
        got,
        obj([("a", Value::string("1")), ("b", Value::null(Type::Number))])
    );
    let map = Value::map(
        Type::String,
        BTreeMap::from([("a".into(), Value::string("x"))]),
    );
    assert_eq!(
        convert(&map, &want).unwrap(),
        obj([("a", Value::string("x")), ("b", Value::null(Type::Number))])
    );
}

#[test]
fn marks_and_unknowns_stay_in_place() {
    let value = Value::tuple(vec![
        Value::number(1).sensitive(),
        Value::unknown(Type::Number),
    ]);
    let got = convert(&value, &Type::list(Type::String)).unwrap();
    assert_eq!(
        got,
        Value::list(
            Type::String,
            vec![Value::string("1").sensitive(), Value::unknown(Type::String)]
        )
    );
    assert_eq!(got.marks(), Marks::NONE);
    let unknown = Value::unknown(Type::tuple([Type::Number, Type::Number]));
    let set = convert(&unknown, &Type::set(Type::String)).unwrap();
    assert_eq!(set.refinement().unwrap().max_length, Some(2));
    assert_eq!(
        convert(&Value::dynamic(), &Type::Number).unwrap(),
        Value::unknown(Type::Number)
    );
}

#[test]
fn nested_open_types_unify() {
    let value = Value::tuple(vec![
        obj([("a", Value::tuple(vec![Value::number(1)]))]),
        obj([("a", Value::tuple(vec![Value::string("x")]))]),
    ]);
    let got = convert(&value, &Type::list(Type::map(Type::list(Type::Dynamic)))).unwrap();
    assert_eq!(got.ty(), Type::list(Type::map(Type::list(Type::String))));
}

#[test]
fn unification() {
    let object = |t: Type| Type::object([("a", t)]);
    for (types, want) in [
        (vec![Type::Number, Type::String], Some(Type::String)),
        (vec![Type::Number, Type::Bool], None),
        (
            vec![object(Type::Number), object(Type::String)],
            Some(object(Type::String)),
        ),
        (
            vec![
                Type::object([("a", Type::Number)]),
                Type::object([("b", Type::Number)]),
            ],
            Some(Type::map(Type::Number)),
        ),
        (
            vec![Type::tuple([Type::Number]), Type::tuple([])],
            Some(Type::list(Type::Number)),
        ),
        (
            vec![Type::list(Type::Number), Type::tuple([Type::String])],
            Some(Type::list(Type::String)),
        ),
        (
            vec![Type::set(Type::Number), Type::set(Type::Dynamic)],
            Some(Type::set(Type::Dynamic)),
        ),
        (
            vec![Type::list(Type::Number), Type::Dynamic],
            Some(Type::Dynamic),
        ),
        (vec![Type::tuple([]), object(Type::Bool)], None),
        (vec![], None),
    ] {
        assert_eq!(unify(&types), want, "{types:?}");
    }
    assert_eq!(
        unify_unsafe(&[Type::Number, Type::Dynamic]),
        Some(Type::Number)
    );
}

#[test]
fn defaults_fill_in_before_conversion() {
    let inner = Type::Object(Arc::new(ObjectType {
        attributes: [("port".into(), Type::Number), ("host".into(), Type::String)].into(),
        optional: ["port".into()].into(),
    }));
    let ty = Type::list(inner.clone());
    let defaults = Defaults {
        ty: ty.clone(),
        values: BTreeMap::new(),
        children: [(
            "".into(),
            Defaults {
                ty: inner,
                values: [("port".into(), Value::number(80))].into(),
                children: BTreeMap::new(),
            },
        )]
        .into(),
    };
    let value = Value::tuple(vec![
        obj([("host", Value::string("a"))]),
        obj([("host", Value::string("b")), ("port", Value::number(1))]),
        obj([
            ("host", Value::string("c")),
            ("port", Value::null(Type::Dynamic)),
        ]),
    ]);
    let got = convert(&defaults.apply(&value), &ty).unwrap();
    let ports: Vec<_> = got
        .as_sequence()
        .unwrap()
        .iter()
        .map(|v| v.get("port").unwrap().as_i64())
        .collect();
    assert_eq!(ports, [Some(80), Some(1), Some(80)]);
}
