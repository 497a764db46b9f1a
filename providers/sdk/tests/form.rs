//! Structs as request parameters and back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};
use stead_sdk::form::{Form as _, FormValue as _, Style};
use stead_sdk::value::Sensitive;
use stead_sdk::{Block, DataSource, Form, Resource};

#[derive(Clone, Debug, PartialEq, Resource, Form)]
#[resource(name = "acme_thing")]
struct Thing {
    #[attr(computed)]
    id: String,
    #[attr(required, replace)]
    #[form(create)]
    name: String,
    #[attr(optional)]
    max_size: Option<i64>,
    #[attr(optional, computed, default = true)]
    #[form(name = "nocheck")]
    check: bool,
    #[attr(optional)]
    labels: Option<BTreeMap<String, Option<i64>>>,
    #[attr(optional)]
    #[form(join = ";")]
    tags: Option<BTreeSet<String>>,
    #[attr(optional, nested(list))]
    #[form(repeat, name = "disk")]
    disks: Option<Vec<Disk>>,
    #[attr(optional, sensitive)]
    #[form(sent)]
    password: Option<Sensitive<String>>,
    #[attr(optional, write_only)]
    #[form(name = "token")]
    token_wo: Option<Sensitive<String>>,
    #[attr(optional)]
    #[form(skip)]
    token_wo_version: Option<i64>,
    #[attr(optional, computed)]
    #[form(always)]
    kind: Option<String>,
    #[attr(computed)]
    #[form(name = "usage/bytes")]
    used: i64,
}

#[derive(Clone, Debug, PartialEq, Block, Form)]
struct Disk {
    #[attr(required)]
    #[form(bare)]
    file: String,
    #[attr(optional)]
    size: Option<i64>,
    #[attr(optional)]
    comment: Option<String>,
}

fn thing() -> Thing {
    Thing {
        name: "a".into(),
        ..Thing::blank()
    }
}

fn read(mut prior: Thing, answer: Json) -> Thing {
    prior.absorb(&answer).unwrap();
    prior
}

fn sent(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join("&")
}

#[test]
fn a_blank_object_has_the_defaults_of_the_schema() {
    assert!(thing().check);
    assert_eq!(sent(&thing().creation()), "name=a&nocheck=1");
}

#[test]
fn every_kind_of_field_goes_there_and_back() {
    let disk = |file: &str, size| Disk {
        file: file.into(),
        size,
        comment: None,
    };
    let whole = Thing {
        max_size: Some(5),
        check: false,
        labels: Some([("x".into(), Some(1)), ("y".into(), None)].into()),
        tags: Some(["p".into(), "q".into()].into()),
        disks: Some(vec![disk("local:1", Some(3)), disk("local:2", None)]),
        kind: Some("k".into()),
        ..thing()
    };
    let expected =
        "name=a&max-size=5&nocheck=0&labels=x:1,y&tags=p;q&disk=local:1,size=3&disk=local:2&kind=k";
    assert_eq!(sent(&whole.creation()), expected);
    // Numbers and switches come either way.
    let answer = json!({ "name": "a", "max-size": "5", "nocheck": 0, "labels": "x:1,y", "tags": "p;q",
        "disk": ["local:1,size=3", "file=local:2"], "kind": "k", "usage": { "bytes": 7 } });
    assert_eq!(read(thing(), answer), Thing { used: 7, ..whole });
}

#[test]
fn what_an_answer_does_not_mention_is_its_default_or_nothing_unless_it_was_empty_before() {
    let before = Thing {
        check: false,
        max_size: Some(1),
        kind: Some(String::new()),
        tags: Some(BTreeSet::new()),
        password: Some(Sensitive::new("s".into())),
        ..thing()
    };
    let found = read(before.clone(), json!({}));
    assert_eq!(
        found,
        Thing {
            check: true,
            max_size: None,
            ..before.clone()
        }
    );
    // An empty text is no more than none, either way.
    assert_eq!(
        read(before, json!({ "kind": "" })).kind,
        Some(String::new())
    );
    assert_eq!(read(thing(), json!({ "kind": "" })).kind, None);
}

#[test]
fn a_change_sends_what_changed_and_clears_what_is_gone() {
    let before = Thing {
        max_size: Some(1),
        tags: Some(["p".into()].into()),
        kind: Some("k".into()),
        ..thing()
    };
    let after = Thing {
        name: "a".into(),
        max_size: Some(2),
        tags: Some(BTreeSet::new()),
        ..before.clone()
    };
    let changes = after.changes(&before);
    assert_eq!(sent(&changes.set), "max-size=2&kind=k");
    assert_eq!(changes.cleared, ["tags"]);
    // What is always sent is no change of its own.
    assert_eq!(sent(&before.changes(&before).set), "kind=k");
}

#[test]
fn a_write_only_value_is_sent_anew_when_its_version_changes() {
    let at = |version, secret: Option<&str>| Thing {
        token_wo: secret.map(|s| Sensitive::new(s.to_owned())),
        token_wo_version: version,
        ..thing()
    };
    let config = at(Some(1), Some("s"));
    let mut planned = at(Some(1), None);
    planned.reveal(config.clone());
    assert_eq!(planned, config);
    assert_eq!(sent(&planned.creation()), "name=a&nocheck=1&token=s");
    let kept = at(Some(1), None);
    assert_eq!(sent(&planned.changes(&kept).set), "");
    let next = at(Some(2), Some("t"));
    assert_eq!(sent(&next.changes(&kept).set), "token=t");
    assert_eq!(at(None, None).changes(&kept).cleared, ["token"]);
}

#[test]
fn computed_fields_that_a_plan_left_open_are_completed_and_others_stay() {
    const { assert!(Thing::COMPUTES) };
    const { assert!(!Disk::COMPUTES) };
    let mut planned = Thing {
        max_size: Some(1),
        ..thing()
    };
    planned.complete(Thing {
        max_size: Some(9),
        kind: Some("found".into()),
        used: 3,
        ..thing()
    });
    assert_eq!((planned.max_size, planned.used), (Some(1), 3));
    assert_eq!(planned.kind.as_deref(), Some("found"));
}

#[derive(Clone, Debug, PartialEq, Resource, Form)]
#[resource(name = "acme_limits")]
struct Limits {
    #[attr(optional)]
    #[form(name = "limit/clone")]
    clone: Option<i64>,
    #[attr(optional)]
    comment: Option<String>,
    #[attr(optional)]
    #[form(name = "limit/move")]
    moving: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Block, Form)]
struct Check {
    #[attr(optional)]
    #[form(implied = "1")]
    verify: Option<bool>,
}

#[test]
fn what_an_answer_leaves_out_because_it_is_so_anyway_stays() {
    for (before, after) in [(None, None), (Some(true), Some(true)), (Some(false), None)] {
        let mut check = Check { verify: before };
        check.absorb(&json!({})).unwrap();
        assert_eq!(check.verify, after);
    }
}

#[test]
fn members_of_one_property_string_travel_together() {
    let limits = |clone, moving| Limits {
        clone,
        comment: None,
        moving,
    };
    let both = limits(Some(1), Some(2));
    assert_eq!(sent(&both.creation()), "limit=clone=1,move=2");
    assert_eq!(sent(&limits(None, Some(2)).creation()), "limit=move=2");
    let changes = limits(Some(1), None).changes(&both);
    assert_eq!(sent(&changes.set), "limit=clone=1");
    assert_eq!(limits(None, None).changes(&both).cleared, ["limit"]);
    for answer in [
        json!({ "limit": "clone=1,move=2" }),
        json!({ "limit": { "clone": 1, "move": "2" } }),
    ] {
        let mut found = limits(None, None);
        found.absorb(&answer).unwrap();
        assert_eq!(found, both);
    }
}

#[test]
fn fields_are_read_and_set_by_name() {
    let mut object = thing();
    object.assign("max_size", "12").unwrap();
    object.assign("id", "x/y").unwrap();
    assert_eq!(object.text("max_size").as_deref(), Some("12"));
    assert_eq!(object.text("id").as_deref(), Some("x/y"));
    assert_eq!(object.text("kind"), None);
    let wrong = object.assign("max_size", "many").unwrap_err();
    assert!(wrong.to_string().contains("a whole number"), "{wrong}");
}

#[test]
fn an_answer_that_breaks_the_contract_is_named_by_its_place_and_not_by_its_value() {
    let error = thing()
        .absorb(&json!({ "disk": ["local:1,size=secret"] }))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer's `disk/size` is not a whole number"
    );
}

#[test]
fn a_property_string_is_also_read_from_an_object() {
    let read = Disk::read(
        Disk::absent(),
        &json!({ "file": "x", "size": 4 }),
        Style::PLAIN,
    );
    assert_eq!(read.unwrap().write(Style::PLAIN), ["x,size=4"]);
}

#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "acme_things")]
struct Things {
    #[attr(computed)]
    #[form(rows = "name")]
    names: Vec<String>,
    #[attr(computed)]
    #[form(rows = "max-size")]
    sizes: Vec<i64>,
    #[attr(computed, nested(list))]
    #[form(rows)]
    all: Vec<Row>,
}

#[derive(Clone, Debug, Block, Form)]
struct Row {
    #[attr(computed)]
    name: String,
}

#[test]
fn lists_are_read_by_rows_and_by_columns() {
    let mut things = Things::blank();
    let answer = json!([{ "name": "a", "max-size": 1 }, { "name": "b" }]);
    things.absorb(&answer).unwrap();
    assert_eq!(things.names, ["a", "b"]);
    assert_eq!(things.sizes, [1, 0]);
    let rows: Vec<_> = things.all.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(rows, ["a", "b"]);
    assert!(things.absorb(&json!({})).is_err());
}
