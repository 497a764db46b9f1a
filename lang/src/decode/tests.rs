//! Decoding, case by case.

use std::collections::BTreeMap;

use stead_value::schema::{Attribute, AttributeType, Block, NestedBlock, Nesting};
use stead_value::{Path, Type, Value};

use super::{body_references, decode};
use crate::expr::{Resolved, Target};
use crate::syntax::parse_file;
use crate::testing::{TestScope, file, show, show_diagnostics};

fn attribute(ty: Type, change: impl FnOnce(&mut Attribute)) -> Attribute {
    let mut attribute = Attribute {
        optional: true,
        ..Attribute::new(ty)
    };
    change(&mut attribute);
    attribute
}

fn optional(ty: Type) -> Attribute {
    attribute(ty, |_| {})
}

fn nested(nesting: Nesting, block: Block) -> NestedBlock {
    NestedBlock {
        nesting,
        block,
        min_items: 0,
        max_items: 0,
        force_new: false,
    }
}

fn schema() -> Block {
    let disk = Block {
        attributes: BTreeMap::from([
            (
                "size".into(),
                attribute(Type::Number, |a| (a.required, a.optional) = (true, false)),
            ),
            ("ssd".into(), optional(Type::Bool)),
        ]),
        ..Block::default()
    };
    let label = Block {
        attributes: BTreeMap::from([("v".into(), optional(Type::String))]),
        ..Block::default()
    };
    let rule = Type::object([("port", Type::Number), ("tags", Type::list(Type::String))]);
    Block {
        attributes: BTreeMap::from([
            (
                "name".into(),
                attribute(Type::String, |a| (a.required, a.optional) = (true, false)),
            ),
            ("memory".into(), optional(Type::Number)),
            ("tags".into(), optional(Type::set(Type::String))),
            (
                "id".into(),
                attribute(Type::String, |a| (a.optional, a.computed) = (false, true)),
            ),
            (
                "old".into(),
                attribute(Type::String, |a| {
                    a.deprecated = Some("Use \"name\".".into());
                }),
            ),
            (
                "later".into(),
                attribute(Type::String, |a| a.unsupported = true),
            ),
            (
                "rules".into(),
                attribute(Type::list(rule), |a| a.computed = true),
            ),
            (
                "agent".into(),
                Attribute {
                    ty: AttributeType::Nested {
                        nesting: Nesting::Single,
                        attributes: BTreeMap::from([
                            (
                                "enabled".into(),
                                attribute(Type::Bool, |a| (a.required, a.optional) = (true, false)),
                            ),
                            ("timeout".into(), optional(Type::String)),
                            (
                                "state".into(),
                                attribute(Type::String, |a| {
                                    (a.optional, a.computed) = (false, true);
                                }),
                            ),
                        ]),
                    },
                    ..optional(Type::Dynamic)
                },
            ),
        ]),
        blocks: BTreeMap::from([
            (
                "disk".into(),
                NestedBlock {
                    max_items: 2,
                    ..nested(Nesting::List, disk.clone())
                },
            ),
            ("nic".into(), nested(Nesting::Set, label.clone())),
            ("mapping".into(), nested(Nesting::Map, label.clone())),
            ("cpu".into(), nested(Nesting::Single, label.clone())),
            ("group".into(), nested(Nesting::Group, label)),
        ]),
        ..Block::default()
    }
}

fn scope() -> TestScope {
    let mut scope = TestScope::with_vars(&[
        ("u", Value::unknown(Type::String)),
        ("ul", Value::unknown(Type::list(Type::String))),
        ("secret", Value::string("s3cret").sensitive()),
        (
            "sizes",
            Value::list(Type::Number, vec![Value::number(1), Value::number(2)]),
        ),
    ]);
    scope
        .answers
        .insert(Target::Local("later".into()), Resolved::Pending);
    scope
}

/// What is set, and the problems.
fn decoded(text: &str) -> String {
    let (body, problems) = parse_file(&file(text));
    assert_eq!(show_diagnostics(&problems), "");
    let decoded = decode(&body, &schema(), &scope());
    let set: Vec<String> = decoded
        .value
        .as_entries()
        .unwrap()
        .iter()
        .filter(|(_, v)| !(v.is_null() || v.length().is_some_and(|n| n.as_i64() == Some(0))))
        .filter(|(k, _)| &***k != "group")
        .map(|(k, v)| format!("{k} = {}\n", show(v)))
        .collect();
    if !decoded.diagnostics.has_errors() {
        assert_eq!(
            decoded.value.ty(),
            schema().value_type(),
            "the value has the schema's type"
        );
    }
    set.concat()
        + &show_diagnostics(&decoded.diagnostics)
        + if decoded.pending { "pending\n" } else { "" }
}

#[test]
fn arguments_and_blocks() {
    insta::assert_snapshot!(decoded(
        r#"
name   = 5
memory = "2048"
tags   = ["b", "a", "b"]
agent  = { enabled = true }
disk {
  size = 1
}
disk {
  size = var.u
  ssd  = "true"
}
nic { v = var.secret }
nic { v = "x" }
mapping "k" { v = 1 }
cpu { v = local.later }
"#
    ), @r#"
    agent = {enabled = true, state = null(string), timeout = null(string)}
    cpu = {v = unknown(string)}
    disk = list({size = 1, ssd = null(bool)}, {size = unknown(number), ssd = true})
    mapping = map(k = {v = "1"})
    memory = 2048
    name = "5"
    nic = sensitive(set({v = "s3cret"}, {v = "x"}))
    tags = set("a", "b")
    pending
    "#);
}

#[test]
fn wrong_bodies() {
    insta::assert_snapshot!(decoded(
        r#"
memroy = 1
memory = "much"
id     = "x"
old    = "o"
later  = "l"
cpus   = 1
disk   = []
agent  = { enabled = true, state = "up" }
disk {}
disk { size = null }
disk { size = 3 }
nic "label" {}
cpu {}
cpu {}
dsik { size = 1 }
mapping {}
dynamic "dysk" {
  for_each = []
  content {}
}
"#
    ), @r#"
    agent = {enabled = true, state = "up", timeout = null(string)}
    cpu = {v = null(string)}
    disk = list({size = null(number), ssd = null(bool)}, {size = null(number), ssd = null(bool)}, {size = 3, ssd = null(bool)})
    later = "l"
    memory = unknown(number)
    nic = set({v = null(string)})
    old = "o"
    2:1-2:7 Unsupported argument: An argument named "memroy" is not expected here. Did you mean "memory"?
    7:1-7:5 Unsupported argument: An argument named "cpus" is not expected here.
    8:1-8:5 Unsupported argument: An argument named "disk" is not expected here. Did you mean to define a block of type "disk"?
    16:1-16:5 Unsupported block type: Blocks of type "dsik" are not expected here. Did you mean "disk"?
    18:9-18:15 Unsupported block type: Blocks of type "dysk" are not expected here. Did you mean "disk"?
    9:10-9:42 Value for unconfigurable attribute: Can't configure a value for "agent.state": its value will be decided automatically based on the result of applying this configuration.
    4:10-4:13 Value for unconfigurable attribute: Can't configure a value for "id": its value will be decided automatically based on the result of applying this configuration.
    6:1-6:6 Argument not supported yet: The argument "later" is valid, but stead does not do this yet. Remove it, or keep this resource with Terraform for now.
    3:10-3:16 Incorrect attribute value type: Inappropriate value for attribute "memory": a number is required.
    1:1-1:1 Missing required argument: The argument "name" is required, but no definition was found.
    5:1-5:4 Argument is deprecated: Use "name".
    15:1-15:4 Duplicate cpu block: Only one cpu block is allowed. Another was defined at test.tf:14,1-4.
    12:1-12:5 Too many disk blocks: No more than 2 "disk" blocks are allowed.
    10:6-10:6 Missing required argument: The argument "size" is required, but no definition was found.
    11:15-11:19 Missing required argument: The argument "size" is required, but the value given for it is null.
    17:1-17:8 Missing key for mapping: All mapping blocks must have 1 labels (key).
    13:5-13:12 Extraneous label for nic: No labels are expected for nic blocks.
    "#);
}

#[test]
fn dynamic_blocks() {
    insta::assert_snapshot!(decoded(
        r#"
name = "n"
dynamic "disk" {
  for_each = var.sizes
  iterator = d
  content { size = d.value * 10 + d.key }
}
dynamic "mapping" {
  for_each = { a = var.secret }
  labels   = [mapping.key]
  content { v = mapping.value }
}
dynamic "nic" {
  for_each = var.ul
  content { v = nic.value }
}
"#
    ), @r#"
    disk = list({size = 10, ssd = null(bool)}, {size = 21, ssd = null(bool)})
    mapping = map(a = {v = sensitive("s3cret")})
    name = "n"
    nic = unknown(set(object({v = string})))
    "#);
    insta::assert_snapshot!(decoded(
        r#"
name = "n"
dynamic "disk" {
  for_each = null
  content {}
}
dynamic "disk" {
  for_each = 5
  content {}
}
dynamic "disk" {
  foreach = []
}
"#
    ), @r#"
    name = "n"
    4:14-4:18 Invalid dynamic for_each value: Cannot use a null value in for_each.
    8:14-8:15 Invalid dynamic for_each value: Cannot use a number value in for_each. An iterable collection is required.
    12:3-12:10 Unsupported argument: An argument named "foreach" is not expected here. Did you mean "for_each"?
    11:16-11:16 Missing required argument: The argument "for_each" is required, but no definition was found.
    11:16-11:16 Missing dynamic content block: A dynamic block must have a nested block of type "content" to describe the body of each generated block.
    "#);
}

#[test]
fn attributes_written_as_blocks() {
    insta::assert_snapshot!(decoded(
        r#"
name = "n"
rules {
  port = 1
}
dynamic "rules" {
  for_each = [2]
  content {
    port = rules.value
    tags = ["t"]
  }
}
"#
    ), @r#"
    name = "n"
    rules = list({port = 1, tags = null(list(string))}, {port = 2, tags = list("t")})
    "#);
}

#[test]
fn paths_lead_back_to_the_text() {
    let source = file(
        "name = \"n\"\nagent = {\n  enabled = \"maybe\"\n}\ndisk { size = 7 }\nnic { v = \"x\" }\n",
    );
    let decoded = decode(&parse_file(&source).0, &schema(), &scope());
    let find = |path: &Path| {
        let range = decoded.ranges.find(path).unwrap();
        source.text()[range.start.byte as usize..range.end.byte as usize].to_owned()
    };
    assert_eq!(
        find(&Path::root().attr("agent").attr("enabled")),
        "\"maybe\""
    );
    assert_eq!(
        find(&Path::root().attr("disk").index_number(0).attr("size")),
        "7"
    );
    assert_eq!(
        find(&Path::root().attr("disk").index_number(0).attr("ssd")),
        "disk"
    );
    let element = Value::object_from([("v", Value::string("x"))]);
    assert_eq!(
        find(&Path::root().attr("nic").index(element).attr("v")),
        "\"x\""
    );
    assert!(decoded.ranges.find(&Path::root().attr("memory")).is_none());
}

#[test]
fn iterators_are_no_references() {
    let (body, _) = parse_file(&file(
        "a = var.x\ndynamic \"disk\" {\n for_each = local.l\n content {\n  size = disk.value + each.value\n }\n}\n",
    ));
    let (found, problems) = body_references(&body);
    assert!(problems.is_empty());
    let targets: Vec<_> = found.into_iter().map(|r| r.target).collect();
    assert_eq!(
        targets,
        [
            Target::Variable("x".into()),
            Target::Local("l".into()),
            Target::EachValue
        ]
    );
}
