use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

#[test]
fn dynamic_values_carry_their_type() {
    let ty = Type::object([("a", Type::Dynamic), ("b", Type::String)]);
    let value = Value::object_from([
        ("a", Value::list(Type::Number, vec![Value::number(1)])),
        ("b", Value::string("<&>\u{2028}\u{7}")),
    ]);
    let text = to_json_text(&value, &ty).unwrap();
    assert_eq!(
        text,
        r#"{"a":{"value":[1],"type":["list","number"]},"b":"\u003c\u0026\u003e\u2028\u0007"}"#
    );
    assert_eq!(from_json(&parse(&text), &ty).unwrap(), value);
}

#[test]
fn numbers_keep_their_digits() {
    let json = parse("[123456789012345678901234567890.5, 1e3, -0]");
    let value = from_json(&json, &Type::list(Type::Number)).unwrap();
    assert_eq!(
        to_json_text(&value, &Type::list(Type::Number)).unwrap(),
        "[123456789012345678901234567890.5,1000,-0]"
    );
    assert_eq!(
        from_json(&parse("1.50"), &Type::String).unwrap(),
        Value::string("1.50")
    );
}

#[test]
fn errors_name_the_place() {
    let ty = Type::object([("a", Type::list(Type::Bool))]);
    let e = from_json(&parse(r#"{"a":[true,3]}"#), &ty).unwrap_err();
    assert_eq!(
        (e.path.to_string().as_str(), e.message.as_str()),
        ("a[1]", "bool is required")
    );
    let e = from_json(&parse(r#"{"b":1}"#), &ty).unwrap_err();
    assert_eq!(e.message, r#"unsupported attribute "b""#);
    let e = to_json(&Value::unknown(Type::Bool), &Type::Bool).unwrap_err();
    assert_eq!(e.message, "value is not known");
    assert!(to_json(&Value::bool(true).sensitive(), &Type::Bool).is_err());
}

#[test]
fn missing_attributes_are_null() {
    let ty = Type::object([("a", Type::list(Type::Bool))]);
    assert_eq!(
        from_json(&parse("{}"), &ty).unwrap(),
        Value::object_from([("a", Value::null(Type::list(Type::Bool)))])
    );
}

#[test]
fn types_round_trip() {
    for text in [
        r#""dynamic""#,
        r#"["object",{"a":"string","b":["tuple",["bool","number"]]},["b"]]"#,
        r#"["map",["set","string"]]"#,
    ] {
        let ty = type_from_json(&parse(text)).unwrap();
        let mut back = String::new();
        write_json(&type_to_json(&ty), &mut back);
        assert_eq!(back, text);
    }
    for text in ["\"strng\"", "[\"list\"]", "3", r#"["object",{},["x"]]"#] {
        assert_eq!(type_from_json(&parse(text)), None, "{text}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::bool),
        any::<i64>().prop_map(Value::number),
        "-?[1-9][0-9]{0,40}\\.[0-9]{1,20}".prop_map(|s| Value::number(Number::parse(&s).unwrap())),
        ".{0,8}".prop_map(Value::string),
        Just(Value::null(Type::Dynamic)),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::tuple),
            prop::collection::btree_map("[a-zé]{1,3}", inner, 0..5)
                .prop_map(|m| Value::object(m.into_iter().map(|(k, v)| (normal(&k), v)).collect())),
            prop::collection::vec(".{0,5}", 0..5)
                .prop_map(|v| Value::set(Type::String, v.into_iter().map(Value::string).collect())),
            prop::collection::vec(any::<i64>(), 0..5).prop_map(|v| Value::list(
                Type::Number,
                v.into_iter().map(Value::number).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn values_round_trip(value in any_value()) {
        let ty = value.ty();
        let text = to_json_text(&value, &ty).unwrap();
        prop_assert_eq!(&from_json(&parse(&text), &ty).unwrap(), &value);
        let wrapped = to_json_text(&value, &Type::Dynamic).unwrap();
        prop_assert_eq!(from_json(&parse(&wrapped), &Type::Dynamic).unwrap(), value);
    }

    #[test]
    fn the_implied_value_says_the_same(value in any_value()) {
        let json = to_json(&value, &value.ty()).unwrap();
        let implied = from_json_implied(&json).unwrap();
        prop_assert_eq!(to_json(&implied, &implied.ty()).unwrap(), json);
    }
}
