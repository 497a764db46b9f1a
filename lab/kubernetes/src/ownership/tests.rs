use serde_json::json;

use super::*;
use crate::schema::builtin;

fn writer(manager: &str) -> Writer<'_> {
    Writer {
        manager,
        api_version: "v1",
        subresource: "",
        now: "2026-01-01T00:00:00Z",
        ignored: &[],
    }
}

fn config(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

#[test]
fn fields_no_longer_applied_go_and_shared_ones_stay() {
    let schema = builtin("core.v1.ConfigMap");
    let one = apply(
        schema,
        &json!({}),
        &config(json!({"a": "1", "b": "1", "c": "1"})),
        &writer("x"),
        false,
    )
    .unwrap();
    let two = apply(
        schema,
        &one,
        &config(json!({"b": "1"})),
        &writer("y"),
        false,
    )
    .unwrap();
    let three = apply(
        schema,
        &two,
        &config(json!({"a": "2"})),
        &writer("x"),
        false,
    )
    .unwrap();
    assert_eq!(three["data"], json!({"a": "2", "b": "1"}));
    let gone = apply(
        schema,
        &three,
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}),
        &writer("x"),
        false,
    )
    .unwrap();
    assert_eq!(gone["data"], json!({"b": "1"}));
    assert_eq!(managers(&gone).len(), 1);
}

#[test]
fn another_managers_field_is_a_conflict_unless_forced() {
    let schema = builtin("core.v1.ConfigMap");
    let mut live = config(json!({"a": "1"}));
    track_update(schema, None, &mut live, &writer("kubectl-edit"));
    let applied = config(json!({"a": "2"}));
    let error = apply(schema, &live, &applied, &writer("x"), false).unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.a"
    );
    assert_eq!(error.details.unwrap()["causes"][0]["field"], ".data.a");
    let forced = apply(schema, &live, &applied, &writer("x"), true).unwrap();
    assert_eq!(forced["data"]["a"], "2");
    let names: Vec<String> = managers(&forced)
        .into_iter()
        .map(|m| format!("{} {:?}", m.name, m.set.paths()))
        .collect();
    assert_eq!(names, ["x [\".data.a\"]", "kubectl-edit [\".data\"]"]);
}

#[test]
fn an_update_takes_over_what_it_changes() {
    let schema = builtin("core.v1.ConfigMap");
    let one = apply(
        schema,
        &json!({}),
        &config(json!({"a": "1", "b": "1"})),
        &writer("x"),
        false,
    )
    .unwrap();
    let mut two = one.clone();
    two["data"]["a"] = "9".into();
    track_update(schema, Some(&one), &mut two, &writer("edit"));
    let sets: Vec<Vec<String>> = managers(&two).iter().map(|m| m.set.paths()).collect();
    assert_eq!(
        sets,
        [vec![".data.b".to_owned()], vec![".data.a".to_owned()]]
    );
}
