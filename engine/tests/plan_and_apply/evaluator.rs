//! Waiting and waking: what lacks a value is computed when that has been published, and not before.

use stead_engine::eval::{Evaluator, Object, ObjectId, Outcome, Phase, ROOT};
use stead_lang::config::ConfigTree;
use stead_value::Value;

use crate::support::{Stand, address};

const CHAIN: &str = r#"
resource "cloud_cluster" "a" { name = "a" }
resource "cloud_cluster" "b" { name = "b" }
locals {
  one  = cloud_cluster.a.name
  both = "${local.one}-${cloud_cluster.b.name}"
  free = "free"
}
output "both" { value = local.both }
"#;

fn local(name: &str) -> Object {
    Object::Local(ROOT, name.into())
}

fn instance(evaluator: &Evaluator<'_>, name: &str) -> ObjectId {
    evaluator.id(Object::Instance(address(&format!("cloud_cluster.{name}"))))
}

/// An instance's value, as the planner would publish it.
fn cluster(name: &str) -> Value {
    Value::object([("name".into(), Value::string(name))].into())
}

fn text(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Value(value) => value.as_str(),
        Outcome::Pending | Outcome::Failed => None,
    }
}

/// The planner declares a resource before anything can refer to its instances.
fn chain(tree: &ConfigTree) -> Evaluator<'_> {
    Evaluator::new(tree, Stand::settings(Phase::Plan))
}

#[test]
fn what_lacks_nothing_is_computed_at_once_and_once() {
    let tree = Stand::load(CHAIN);
    let evaluator = chain(&tree);
    let free = evaluator.id(local("free"));
    assert!(evaluator.known(free).is_none(), "nobody asked");
    assert_eq!(text(&evaluator.demand(local("free"))), Some("free"));
    assert_eq!(evaluator.known(free).as_ref().and_then(text), Some("free"));
    assert!(evaluator.waiting().is_empty());
}

#[test]
fn what_waits_is_woken_by_the_last_value_it_lacks() {
    let tree = Stand::load(CHAIN);
    let evaluator = chain(&tree);
    let output = evaluator.id(Object::Output(ROOT, "both".into()));
    let outcome = evaluator.demand(Object::Output(ROOT, "both".into()));
    assert!(matches!(outcome, Outcome::Pending), "{outcome:?}");

    let (a, b) = (instance(&evaluator, "a"), instance(&evaluator, "b"));
    let missing: Vec<ObjectId> = evaluator.waiting().into_iter().map(|(_, m)| m).collect();
    assert!(missing.contains(&a) && missing.contains(&b), "{missing:?}");

    let (one, both) = (evaluator.id(local("one")), evaluator.id(local("both")));
    assert_eq!(
        evaluator.publish(a, cluster("a")),
        [one],
        "b is still missing"
    );
    assert_eq!(text(&evaluator.demand(local("one"))), Some("a"));
    assert!(matches!(evaluator.demand(local("both")), Outcome::Pending));
    assert_eq!(evaluator.publish(b, cluster("b")), [both, output]);
    assert_eq!(
        text(&evaluator.demand(Object::Output(ROOT, "both".into()))),
        Some("a-b")
    );
    assert!(evaluator.waiting().is_empty(), "{:?}", evaluator.waiting());
    assert!(evaluator.take_diagnostics().is_empty());
}

#[test]
fn a_failure_reaches_everybody_and_is_not_reported_again() {
    let tree = Stand::load(CHAIN);
    let evaluator = chain(&tree);
    evaluator.demand(Object::Output(ROOT, "both".into()));
    let (a, b) = (instance(&evaluator, "a"), instance(&evaluator, "b"));
    evaluator.publish(a, cluster("a"));
    evaluator.publish_failed(b);
    assert!(matches!(evaluator.demand(local("both")), Outcome::Failed));
    assert_eq!(text(&evaluator.demand(local("one"))), Some("a"));
    assert!(evaluator.take_diagnostics().is_empty());
}

#[test]
fn a_circle_is_told_once_with_all_its_members() {
    let tree = Stand::load(
        "locals {\n  a = local.b\n  b = local.c\n  c = local.a\n}\noutput \"o\" { value = [local.a, local.c] }\n",
    );
    let evaluator = chain(&tree);
    let outcome = evaluator.demand(Object::Output(ROOT, "o".into()));
    assert!(matches!(outcome, Outcome::Failed), "{outcome:?}");
    let diagnostics = evaluator.take_diagnostics();
    let summaries: Vec<&str> = diagnostics.iter().map(|d| d.summary.as_str()).collect();
    assert_eq!(
        summaries,
        ["Cycle: local.a (expand), local.b (expand), local.c (expand)"]
    );
}
