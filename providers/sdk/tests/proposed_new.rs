//! The merge of configuration and prior object follows the field's rules.

use serde_json::{Value as Json, json};
use stead_sdk::testing::object;
use stead_sdk::value::schema::Schema;
use stead_sdk::value::{Type, Value};
use stead_sdk::{Block, Resource, ResourceSchema, proposed_new};

#[derive(Resource)]
#[resource(name = "t")]
#[allow(dead_code)]
struct T {
    #[attr(computed)]
    id: Option<String>,
    #[attr(optional)]
    plain: Option<String>,
    #[attr(optional, computed)]
    kept: Option<String>,
    #[attr(optional, nested(single))]
    single: Option<Item>,
    #[attr(optional, computed, nested(list))]
    items: Option<Vec<Item>>,
    #[attr(optional, nested(map))]
    by_key: Option<std::collections::BTreeMap<String, Item>>,
    #[attr(block(list))]
    list: Vec<Item>,
    #[attr(block(set))]
    set: Vec<Item>,
    #[attr(block(single))]
    one: Option<Item>,
}

#[derive(Block)]
#[allow(dead_code)]
struct Item {
    #[attr(optional)]
    name: Option<String>,
    #[attr(computed)]
    id: Option<String>,
    #[attr(optional, computed)]
    size: Option<i64>,
}

fn schema() -> Schema {
    T::schema()
}

fn check(prior: Json, config: Json, expected: Json) {
    let schema = schema();
    let prior = if prior.is_null() {
        Value::null(schema.block.value_type())
    } else {
        object(&schema, prior).unwrap()
    };
    let merged = proposed_new(&schema, &prior, &object(&schema, config).unwrap());
    assert_eq!(merged, object(&schema, expected).unwrap());
}

#[test]
fn a_create_is_the_configuration() {
    check(
        Json::Null,
        json!({"plain": "a", "list": [{"name": "x"}]}),
        json!({"plain": "a", "list": [{"name": "x"}]}),
    );
}

#[test]
fn computed_values_stay_and_others_follow_the_configuration() {
    check(
        json!({"id": "1", "plain": "old", "kept": "k"}),
        json!({}),
        json!({"id": "1", "kept": "k"}),
    );
    check(
        json!({"id": "1", "kept": "k"}),
        json!({"kept": "new"}),
        json!({"id": "1", "kept": "new"}),
    );
}

#[test]
fn list_blocks_match_by_place() {
    check(
        json!({"list": [{"name": "a", "id": "1", "size": 5}, {"name": "b", "id": "2"}]}),
        json!({"list": [{"name": "c"}, {"name": "b", "size": 9}, {"name": "d"}]}),
        json!({"list": [{"name": "c", "id": "1", "size": 5}, {"name": "b", "id": "2", "size": 9}, {"name": "d"}]}),
    );
    check(
        json!({"list": [{"name": "a", "id": "1"}]}),
        json!({}),
        json!({}),
    );
}

#[test]
fn set_blocks_match_by_what_is_configured() {
    check(
        json!({"set": [{"name": "a", "id": "1", "size": 5}, {"name": "b", "id": "2", "size": 6}]}),
        json!({"set": [{"name": "b"}, {"name": "a", "size": 7}, {"name": "z"}]}),
        json!({"set": [{"name": "b", "id": "2", "size": 6}, {"name": "a", "size": 7}, {"name": "z"}]}),
    );
}

#[test]
fn each_prior_set_element_is_used_once() {
    check(
        json!({"set": [{"name": "a", "id": "1"}, {"name": "a", "id": "2"}]}),
        json!({"set": [{"name": "a"}]}),
        json!({"set": [{"name": "a", "id": "1"}]}),
    );
}

#[test]
fn nested_attributes_merge_like_blocks() {
    check(
        json!({"single": {"name": "a", "id": "1"}, "by_key": {"k": {"name": "a", "id": "1"}, "l": {"id": "2"}}}),
        json!({"single": {"name": "b"}, "by_key": {"k": {"name": "b"}, "m": {}}}),
        json!({"single": {"name": "b", "id": "1"}, "by_key": {"k": {"name": "b", "id": "1"}, "m": {}}}),
    );
    check(
        json!({"one": {"name": "a", "id": "1"}}),
        json!({"one": {}}),
        json!({"one": {"id": "1"}}),
    );
    check(
        json!({"single": {"name": "a", "id": "1"}}),
        json!({}),
        json!({}),
    );
}

#[test]
fn a_computed_nested_attribute_stays_only_if_nobody_configured_it() {
    check(
        json!({"items": [{"id": "1", "size": 4}]}),
        json!({}),
        json!({"items": [{"id": "1", "size": 4}]}),
    );
    check(
        json!({"items": [{"name": "mine", "id": "1"}]}),
        json!({}),
        json!({}),
    );
}

#[test]
fn unknown_blocks_stay_unknown() {
    let schema = schema();
    let config = object(&schema, json!({})).unwrap();
    let mut entries = config.as_entries().unwrap().clone();
    let list = Value::unknown(schema.block.blocks["list"].value_type());
    entries.insert("list".into(), list.clone());
    let prior = object(&schema, json!({"list": [{"id": "1"}]})).unwrap();
    assert_eq!(
        proposed_new(&schema, &prior, &Value::object(entries)).get("list"),
        Some(list)
    );
}

#[test]
fn nothing_configured_means_nothing_proposed() {
    let schema = schema();
    let null = Value::null(schema.block.value_type());
    let prior = object(&schema, json!({"id": "1"})).unwrap();
    assert!(proposed_new(&schema, &prior, &null).is_null());
    assert_eq!(null.ty(), Type::clone(&schema.block.value_type()));
}
