//! Conditions on configured values, checked before a plan.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use stead_sdk::testing::Harness;
use stead_sdk::value::schema::Pattern;
use stead_sdk::value::{Diagnostics, Sensitive, Type, Value};
use stead_sdk::{
    Block, Context, Dialer, Error, Failure, Native, NativeFactory, Resource, async_trait,
};

const NODE: Pattern = Pattern {
    regex: "[a-z]+",
    form: "a node's name in small letters",
};

#[derive(Clone, Debug, Resource)]
#[resource(name = "acme_thing")]
struct Thing {
    #[attr(optional, one_of("on", "off"))]
    mode: Option<String>,
    #[attr(optional, range(1..=7))]
    size: Option<i64>,
    #[attr(optional, range(0.5..))]
    ratio: Option<f64>,
    #[attr(optional, length(2..=3))]
    short: Option<String>,
    #[attr(optional, length(1..), pattern(NODE))]
    nodes: Option<BTreeSet<String>>,
    #[attr(optional, keys(NODE), range(..=9))]
    weights: Option<BTreeMap<String, Option<i64>>>,
    #[attr(optional, sensitive, pattern(NODE))]
    secret: Option<Sensitive<String>>,
    #[attr(optional, conflicts("b"))]
    a: Option<String>,
    #[attr(optional, requires("c"))]
    b: Option<String>,
    #[attr(optional)]
    c: Option<String>,
    #[attr(optional, exactly_one_of("d", "e"))]
    d: Option<String>,
    #[attr(optional, at_least_one_of("d", "e", "f"))]
    e: Option<String>,
    #[attr(optional)]
    f: Option<String>,
    #[attr(optional, nested(list), length(..=1))]
    parts: Option<Vec<Part>>,
    #[attr(block(list))]
    block: Vec<Part>,
}

#[derive(Clone, Debug, Block)]
struct Part {
    #[attr(optional, range(..=4))]
    size: Option<i64>,
}

#[async_trait]
impl Resource for Thing {
    type Client = ();

    async fn create(_: &(), planned: Self, _: &Value, _: &Context) -> Result<Self, Failure<Self>> {
        Ok(planned)
    }

    async fn read(_: &(), prior: Self, _: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn delete(_: &(), _: Self, _: &Context) -> Result<(), Error> {
        Ok(())
    }
}

fn acme() -> Harness {
    let factory: NativeFactory<()> = Native::local("acme")
        .resource::<Thing>()
        .build(&Dialer::direct());
    Harness::unconfigured(&factory)
}

fn found(diagnostics: Diagnostics) -> Vec<String> {
    let text = |d: stead_sdk::value::Diagnostic| {
        format!("{}: {}", d.attribute.unwrap_or_default(), d.detail)
    };
    diagnostics.into_iter().map(text).collect()
}

/// What is wrong with a configuration, of which `d` is always set.
fn check(config: Json) -> Vec<String> {
    let acme = acme();
    let mut config = config;
    config["d"] = json!("x");
    let config = acme.config("acme_thing", config).unwrap();
    found(acme.provider().validate_resource("acme_thing", &config))
}

#[test]
fn values_that_fit_pass() {
    let good = json!({ "mode": "on", "size": 7, "ratio": 0.5, "short": "äö", "nodes": ["a"], "weights": { "a": 9, "b": null },
        "secret": "s", "a": "1", "parts": [{ "size": 4 }], "block": [{ "size": 4 }, {}] });
    assert_eq!(check(good), Vec::<String>::new());
    assert_eq!(check(json!({})), Vec::<String>::new());
}

#[test]
fn what_does_not_fit_is_named_with_what_is_allowed() {
    let cases = [
        (
            json!({ "mode": "x" }),
            r#"mode: `mode` is "x", but must be "on" or "off"."#,
        ),
        (
            json!({ "size": 8 }),
            "size: `size` is 8, but must be between 1 and 7.",
        ),
        (
            json!({ "ratio": 0.25 }),
            "ratio: `ratio` is 0.25, but must be at least 0.5.",
        ),
        (
            json!({ "short": "abcd" }),
            "short: `short` has 4 characters, but must have between 2 and 3.",
        ),
        (
            json!({ "nodes": [] }),
            "nodes: `nodes` has 0 elements, but must have at least 1.",
        ),
        (
            json!({ "nodes": ["a", "B"] }),
            r#"nodes: `nodes` is "B", but must be a node's name in small letters."#,
        ),
        (
            json!({ "weights": { "1": 1 } }),
            r#"weights: A key of `weights` is "1", but must be a node's name in small letters."#,
        ),
        (
            json!({ "weights": { "a": 10 } }),
            "weights: `weights` is 10, but must be at most 9.",
        ),
        (
            json!({ "secret": "S" }),
            "secret: `secret` must be a node's name in small letters.",
        ),
        (
            json!({ "a": "1", "b": "1", "c": "1" }),
            "a: `a` and `b` cannot both be set.",
        ),
        (
            json!({ "b": "1" }),
            "b: `b` takes effect only together with `c`, which is not set.",
        ),
        (
            json!({ "e": "1" }),
            "d: Exactly one of `d` and `e` must be set.",
        ),
        (
            json!({ "parts": [{}, {}] }),
            "parts: `parts` has 2 elements, but must have at most 1.",
        ),
        (
            json!({ "parts": [{ "size": 5 }] }),
            "parts[0].size: `size` is 5, but must be at most 4.",
        ),
        (
            json!({ "block": [{}, { "size": 5 }] }),
            "block[1].size: `size` is 5, but must be at most 4.",
        ),
    ];
    for (config, expected) in cases {
        assert_eq!(check(config), [expected]);
    }
}

#[test]
fn something_must_be_there() {
    let acme = acme();
    let config = acme.config("acme_thing", json!({ "f": "x" })).unwrap();
    let diagnostics = acme.provider().validate_resource("acme_thing", &config);
    assert_eq!(
        found(diagnostics),
        ["d: Exactly one of `d` and `e` must be set."]
    );
    let config = acme.config("acme_thing", json!({})).unwrap();
    let diagnostics = acme.provider().validate_resource("acme_thing", &config);
    assert_eq!(found(diagnostics).len(), 2);
}

#[test]
fn what_is_not_known_yet_passes() {
    let acme = acme();
    let config = acme
        .config("acme_thing", json!({ "b": "1", "a": "1" }))
        .unwrap();
    let mut entries = config.as_entries().unwrap().clone();
    for name in ["b", "c", "d", "mode", "nodes"] {
        let ty = entries[name].ty();
        entries.insert(name.into(), Value::unknown(ty));
    }
    let size = Value::unknown(Type::Number);
    entries.insert("size".into(), size);
    let config = Value::object(entries);
    let diagnostics = acme.provider().validate_resource("acme_thing", &config);
    assert_eq!(found(diagnostics), Vec::<String>::new());
}
