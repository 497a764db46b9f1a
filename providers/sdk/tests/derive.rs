//! A struct's fields and flags become its schema, its decoding and its encoding.

use std::collections::{BTreeMap, BTreeSet};

use stead_sdk::value::schema::{AttributeType, Nesting};
use stead_sdk::value::{Path, Sensitive, Type, Value};
use stead_sdk::{Block, Dynamic, Field, ProviderConfig, Resource, ResourceSchema};

/// A machine.
///
/// Second paragraph.
#[derive(Clone, Debug, PartialEq, Resource)]
#[resource(name = "acme_machine", version = 3, legacy, deprecated = "use acme_vm")]
struct Machine {
    /// Its identifier.
    #[attr(computed(unknown_on_change))]
    id: String,
    #[attr(required, replace)]
    name: String,
    #[attr(optional, default = 4)]
    cores: i64,
    #[attr(optional, default = "virtio")]
    bus: String,
    #[attr(optional, computed, default = true)]
    started: bool,
    #[attr(optional)]
    ratio: Option<f64>,
    #[attr(optional, deprecated = "gone soon")]
    tags: Option<Vec<String>>,
    #[attr(optional, set)]
    groups: Vec<String>,
    #[attr(optional)]
    ports: Option<BTreeSet<u64>>,
    #[attr(optional)]
    labels: BTreeMap<String, String>,
    #[attr(optional, sensitive)]
    password: Option<Sensitive<String>>,
    #[attr(optional, write_only)]
    password_wo: Option<Sensitive<String>>,
    #[attr(optional, name = "type")]
    kind: Option<String>,
    #[attr(optional)]
    r#loop: Option<String>,
    #[attr(optional)]
    extra: Option<Dynamic>,
    #[attr(optional, unsupported)]
    magic: Option<bool>,
    #[attr(optional, object)]
    network_device: Vec<Nic>,
    #[attr(optional, nested(map))]
    cpus: Option<BTreeMap<String, Nic>>,
    #[attr(block(list, max = 1))]
    agent: Option<Agent>,
    #[attr(block(set, min = 1), replace)]
    disk: Vec<Agent>,
    #[attr(block(single))]
    timeouts: Option<Agent>,
    #[attr(block(map))]
    slots: BTreeMap<String, Agent>,
    #[attr(block(list), unsupported)]
    watchdog: Vec<Agent>,
    #[attr(private)]
    upid: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
struct Nic {
    #[attr(required)]
    bridge: String,
    #[attr(optional, computed)]
    mac: Option<String>,
}

/// The guest agent.
#[derive(Clone, Debug, PartialEq, Block)]
struct Agent {
    #[attr(optional, default = false)]
    enabled: bool,
}

#[derive(Debug, ProviderConfig)]
struct Config {
    #[attr(optional, env = ["A", "B"])]
    endpoint: Option<String>,
}

#[test]
fn flags_and_types_make_the_schema() {
    let schema = Machine::schema();
    assert_eq!((Machine::NAME, schema.version), ("acme_machine", 3));
    assert_eq!(schema.block.description, "A machine.\n\nSecond paragraph.");
    assert_eq!(schema.block.deprecated.as_deref(), Some("use acme_vm"));
    let a = &schema.block.attributes;
    assert!(a["id"].computed && !a["id"].optional);
    assert_eq!(a["id"].description, "Its identifier.");
    assert!(a["name"].required && a["name"].force_new);
    assert_eq!(a["cores"].default, Some(Value::number(4)));
    assert_eq!(a["bus"].default, Some(Value::string("virtio")));
    assert!(a["started"].optional && a["started"].computed);
    assert_eq!(a["ratio"].value_type(), Type::Number);
    assert_eq!(a["tags"].deprecated.as_deref(), Some("gone soon"));
    assert_eq!(a["groups"].value_type(), Type::set(Type::String));
    assert_eq!(a["ports"].value_type(), Type::set(Type::Number));
    assert_eq!(a["labels"].value_type(), Type::map(Type::String));
    assert!(a["password"].sensitive && a["password_wo"].write_only && a["magic"].unsupported);
    assert!(a.contains_key("type") && a.contains_key("loop") && !a.contains_key("upid"));
    assert_eq!(a["extra"].value_type(), Type::Dynamic);
    let nic = Type::object([("bridge", Type::String), ("mac", Type::String)]);
    assert_eq!(
        a["network_device"].ty,
        AttributeType::Simple(Type::list(nic.clone()))
    );
    let AttributeType::Nested {
        nesting: Nesting::Map,
        attributes,
    } = &a["cpus"].ty
    else {
        panic!("{:?}", a["cpus"])
    };
    assert!(attributes["bridge"].required && attributes["mac"].computed);
    assert_eq!(a["cpus"].value_type(), Type::map(nic));

    let b = &schema.block.blocks;
    assert_eq!(
        (b["agent"].nesting, b["agent"].max_items),
        (Nesting::List, 1)
    );
    assert_eq!(b["agent"].block.description, "The guest agent.");
    assert_eq!(
        (b["disk"].nesting, b["disk"].min_items, b["disk"].force_new),
        (Nesting::Set, 1, true)
    );
    assert_eq!(b["timeouts"].nesting, Nesting::Single);
    assert!(b["watchdog"].block.attributes["enabled"].unsupported);
    assert!(!b["agent"].block.attributes["enabled"].unsupported);
    assert_eq!(Machine::unknown_on_change(), ["id"]);
    assert_eq!(Config::ENVIRONMENT, [("endpoint", ["A", "B"].as_slice())]);
    assert_eq!(Machine::ty(), schema.block.value_type());
}

fn machine() -> Machine {
    Machine {
        id: "1".into(),
        name: "a".into(),
        cores: 2,
        bus: "scsi".into(),
        started: false,
        ratio: Some(0.5),
        tags: Some(vec!["x".into(), "x".into()]),
        groups: vec!["g".into(), "f".into()],
        ports: Some(BTreeSet::from([443, 80])),
        labels: BTreeMap::from([("k".into(), "v".into())]),
        password: Some("p".to_owned().into()),
        password_wo: None,
        kind: Some("host".into()),
        r#loop: None,
        extra: Some(Value::tuple(vec![Value::number(1), Value::string("x")])),
        magic: None,
        network_device: vec![Nic {
            bridge: "vmbr0".into(),
            mac: None,
        }],
        cpus: Some(BTreeMap::from([("c".into(), Nic::default())])),
        agent: Some(Agent { enabled: true }),
        disk: vec![Agent { enabled: false }],
        timeouts: None,
        slots: BTreeMap::from([("s".into(), Agent { enabled: false })]),
        watchdog: vec![],
        upid: None,
    }
}

#[test]
fn encoding_and_decoding_are_inverse() {
    let machine = machine();
    let value = machine.encode();
    assert!(value.conforms(&Machine::ty()), "{}", value.ty());
    let back = Machine::decode(&value, &Path::root()).unwrap();
    // Sets come back in their own order.
    assert_eq!(
        back,
        Machine {
            groups: vec!["f".into(), "g".into()],
            ..machine
        }
    );
}

trait Conforms {
    fn conforms(&self, ty: &Type) -> bool;
}

impl Conforms for Value {
    fn conforms(&self, ty: &Type) -> bool {
        self.ty().conforms_to(ty)
    }
}

#[test]
fn null_becomes_none_the_default_or_the_flag_default() {
    let only_name = Value::object_from([("name", Value::string("a"))]);
    let machine = Machine::decode(&only_name, &Path::root()).unwrap();
    assert_eq!(
        (
            machine.id.as_str(),
            machine.cores,
            machine.bus.as_str(),
            machine.started
        ),
        ("", 4, "virtio", true)
    );
    assert_eq!(
        (machine.tags, machine.labels.len(), machine.agent),
        (None, 0, None)
    );
}

/// A block of a type that was written for the older plugin kit.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
struct Slot {
    #[attr(required)]
    device: String,
    #[attr(required)]
    memory: i64,
}

#[test]
fn an_empty_block_of_the_older_kind_may_be_recorded() {
    let empty = Value::object_from([("device", Value::null(Type::String))]);
    let slot = Slot::decode(&empty, &Path::root()).unwrap();
    assert_eq!(slot, Slot::default());
}

#[test]
fn what_does_not_fit_is_named_with_its_place() {
    let check = |value: Value, place: &str, text: &str| {
        let diagnostic = Machine::decode(&value, &Path::root()).unwrap_err();
        assert_eq!(diagnostic.attribute.unwrap().to_string(), place);
        assert!(diagnostic.detail.contains(text), "{}", diagnostic.detail);
    };
    check(
        Value::object_from([("cores", Value::number(1))]),
        "name",
        "not no value",
    );
    let with = |name: &str, value: Value| {
        Value::object_from([("name", Value::string("a")), (name, value)])
    };
    check(
        with("cores", Value::string("many")),
        "cores",
        "a whole number",
    );
    check(
        with("name", Value::unknown(Type::String)),
        "name",
        "not known yet",
    );
    let nics = Value::tuple(vec![Value::empty_object()]);
    check(
        with("network_device", nics),
        "network_device[0].bridge",
        "a string",
    );
    let agents = Value::tuple(vec![Value::empty_object(), Value::empty_object()]);
    check(with("agent", agents), "agent", "At most one");
}

#[test]
fn secrets_do_not_show_in_debug() {
    assert!(
        !format!(
            "{:?}",
            Machine {
                password: Some("hunter2".to_owned().into()),
                ..machine()
            }
        )
        .contains("hunter2")
    );
}
