//! The order that a plan promises: what must have ended before what may start.

use stead_engine::graph::{ExecutionGraph, Op, OpId};
use stead_engine::{Plan, PlanMode};

use crate::support::Stand;

/// `b` is made from `a`.
const PAIR: &str = r#"
resource "cloud_cluster" "a" { name = "a" }
resource "cloud_cluster" "b" { name = "b-${cloud_cluster.a.id}" }
"#;

const INSIDE: &str = r#"
resource "cloud_cluster" "c" { name = "c" }
provider "inside" { endpoint = cloud_cluster.c.endpoint }
resource "inside_thing" "t" { name = "t" }
"#;

async fn planned(stand: &Stand, stack: &str, mode: PlanMode) -> Plan {
    let plan = stand.plan(stack, mode).await.expect("a plan").plan;
    assert!(plan.graph.cycle().is_none());
    plan
}

async fn after(stack: &str) -> Stand {
    let mut stand = Stand::new();
    let applied = stand.apply(stack, PlanMode::Normal).await;
    assert!(
        !applied.diagnostics.has_errors(),
        "{:?}",
        applied.diagnostics
    );
    stand
}

/// The operation of that name on an object.
fn find(plan: &Plan, op: fn(usize) -> Op, address: &str) -> OpId {
    plan.graph
        .ids()
        .find(|id| {
            let found = plan.graph.op(*id);
            found.change().is_some_and(|change| {
                found == op(change) && plan.changes[change].address.to_string() == address
            })
        })
        .unwrap_or_else(|| panic!("no such operation on {address}"))
}

fn leads(graph: &ExecutionGraph, from: OpId, to: OpId) -> bool {
    let mut queue = vec![from];
    let mut seen = Vec::new();
    while let Some(id) = queue.pop() {
        if id == to {
            return true;
        }
        if !seen.contains(&id) {
            seen.push(id);
            queue.extend(graph.successors(id));
        }
    }
    false
}

#[track_caller]
fn assert_order(plan: &Plan, steps: &[OpId]) {
    for pair in steps.windows(2) {
        assert!(
            leads(&plan.graph, pair[0], pair[1]),
            "{:?} does not come before {:?}",
            plan.graph.op(pair[0]),
            plan.graph.op(pair[1])
        );
    }
}

fn create(change: usize) -> Op {
    Op::Create { change }
}

fn delete(change: usize) -> Op {
    Op::Delete { change }
}

fn delete_deposed(change: usize) -> Op {
    Op::DeleteDeposed { change }
}

#[tokio::test]
async fn creates_follow_what_they_refer_to() {
    let plan = planned(&Stand::new(), PAIR, PlanMode::Normal).await;
    let a = find(&plan, create, "cloud_cluster.a");
    let b = find(&plan, create, "cloud_cluster.b");
    assert_order(&plan, &[a, b]);
    assert!(!leads(&plan.graph, b, a));
}

/// Nothing is declared any more: only the state knows what was made from what.
#[tokio::test]
async fn deletes_come_in_the_reverse_of_what_was_recorded() {
    let stand = after(PAIR).await;
    let plan = planned(&stand, "", PlanMode::Normal).await;
    let a = find(&plan, delete, "cloud_cluster.a");
    let b = find(&plan, delete, "cloud_cluster.b");
    assert_order(&plan, &[b, a]);
    assert!(!leads(&plan.graph, a, b));
}

#[tokio::test]
async fn a_replacement_deletes_from_the_top_and_creates_from_the_bottom() {
    let stand = after(PAIR).await;
    let plan = planned(
        &stand,
        &PAIR.replace("name = \"a\"", "name = \"z\""),
        PlanMode::Normal,
    )
    .await;
    let steps = [
        find(&plan, delete, "cloud_cluster.b"),
        find(&plan, delete, "cloud_cluster.a"),
        find(&plan, create, "cloud_cluster.a"),
        find(&plan, create, "cloud_cluster.b"),
    ];
    assert_order(&plan, &steps);
}

/// The old object goes when nothing is left that was made from it, the dependant's own old object included.
#[tokio::test]
async fn an_old_object_goes_after_what_moved_to_the_new_one() {
    let first = PAIR.replace(
        "cloud_cluster.a.id}\"",
        "cloud_cluster.a.id}\"\n  lifecycle { create_before_destroy = true }\n",
    );
    let first = first.replace("\"b\" { name", "\"b\" {\n  name");
    let stand = after(&first).await;
    let plan = planned(
        &stand,
        &first.replace("name = \"a\"", "name = \"z\""),
        PlanMode::Normal,
    )
    .await;
    let steps = [
        find(&plan, create, "cloud_cluster.a"),
        find(&plan, create, "cloud_cluster.b"),
        find(&plan, delete_deposed, "cloud_cluster.b"),
        find(&plan, delete_deposed, "cloud_cluster.a"),
    ];
    assert_order(&plan, &steps);
}

#[tokio::test]
async fn what_a_provider_is_configured_with_outlives_its_objects() {
    let plan = planned(&Stand::new(), INSIDE, PlanMode::Normal).await;
    let steps = [
        find(&plan, create, "cloud_cluster.c"),
        find(&plan, create, "inside_thing.t"),
    ];
    assert_order(&plan, &steps);
    let stand = after(INSIDE).await;
    let plan = planned(&stand, INSIDE, PlanMode::Destroy).await;
    let steps = [
        find(&plan, delete, "inside_thing.t"),
        find(&plan, delete, "cloud_cluster.c"),
    ];
    assert_order(&plan, &steps);
}

/// An update that moves to the new object comes before the old one goes, though nothing of its own is deleted.
#[tokio::test]
async fn an_old_object_goes_after_updates_to_the_new_one() {
    let first = r#"
resource "cloud_cluster" "c" {
  name = "one"
  lifecycle { create_before_destroy = true }
}
provider "inside" { endpoint = "fixed" }
resource "inside_thing" "t" { name = cloud_cluster.c.id }
"#;
    let stand = after(first).await;
    let plan = planned(&stand, &first.replace("one", "two"), PlanMode::Normal).await;
    let steps = [
        find(&plan, create, "cloud_cluster.c"),
        find(&plan, |change| Op::Update { change }, "inside_thing.t"),
        find(&plan, delete_deposed, "cloud_cluster.c"),
    ];
    assert_order(&plan, &steps);
}
