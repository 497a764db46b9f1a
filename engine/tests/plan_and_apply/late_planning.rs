//! A provider whose configuration is known only during the apply: one plan, one apply, no second guess.

use crate::support::{Remote, Stand, address};
use stead_engine::{Action, PlanMode};

const STACK: &str = r#"
resource "cloud_cluster" "c" { name = "one" }
provider "inside" { endpoint = cloud_cluster.c.endpoint }
resource "inside_thing" "a" { name = "a" }
resource "inside_thing" "b" { name = inside_thing.a.id }
resource "cloud_cluster" "free" { name = "free" }
"#;

#[tokio::test]
async fn one_apply_makes_the_cluster_and_what_is_inside() {
    let mut stand = Stand::new();
    let plan = stand
        .plan(STACK, PlanMode::Normal)
        .await
        .expect("a plan")
        .plan;
    let late: Vec<String> = plan
        .changes
        .iter()
        .filter(|c| c.late)
        .map(|c| c.address.to_string())
        .collect();
    assert_eq!(late, ["inside_thing.a", "inside_thing.b"]);
    assert!(plan.changes.iter().all(|c| c.action == Action::Create));

    let applied = stand.apply(STACK, PlanMode::Normal).await;
    assert!(
        !applied.diagnostics.has_errors(),
        "{:?}",
        applied.diagnostics
    );
    assert_eq!(applied.added, 4);
    let log = stand.remote.log();
    assert!(position(&log, "create cloud_cluster one") < position(&log, "configure https://one"));
    assert!(position(&log, "configure https://one") < position(&log, "create inside_thing a"));
    assert!(
        position(&log, "create inside_thing a") < position(&log, "create inside_thing inside/a")
    );

    let second = stand
        .plan(STACK, PlanMode::Normal)
        .await
        .expect("a plan")
        .plan;
    assert!(!second.has_changes(), "{:?}", second.changes);
    assert!(second.changes.iter().all(|c| !c.late));
}

#[tokio::test]
async fn what_is_inside_goes_before_what_it_lives_on() {
    let mut stand = Stand::new();
    stand.apply(STACK, PlanMode::Normal).await;
    let applied = stand.apply(STACK, PlanMode::Destroy).await;
    assert!(
        !applied.diagnostics.has_errors(),
        "{:?}",
        applied.diagnostics
    );
    assert!(stand.state.is_empty());
    let log = stand.remote.log();
    assert!(
        position(&log, "delete inside_thing inside/a") < position(&log, "delete inside_thing a")
    );
    assert!(position(&log, "delete inside_thing a") < position(&log, "delete cloud_cluster one"));
}

#[tokio::test]
async fn an_existing_late_object_that_would_change_stops_its_branch() {
    let mut stand = Stand::new();
    stand.apply(STACK, PlanMode::Normal).await;
    // The cluster is replaced, so that its endpoint is unknown again, and an object inside has another name.
    let changed = STACK
        .replace("name = \"one\"", "name = \"two\"")
        .replace("name = \"a\"", "name = \"new\"");
    let applied = stand.apply(&changed, PlanMode::Normal).await;
    assert!(
        applied
            .diagnostics
            .iter()
            .any(|d| d.summary == "Plan again"),
        "{:?}",
        applied.diagnostics
    );
    assert!(
        stand.state.current(&address("inside_thing.a")).is_some(),
        "still recorded"
    );
    assert!(
        !stand
            .remote
            .log()
            .iter()
            .any(|l| l == "update inside_thing new")
    );
}

#[tokio::test]
async fn a_failing_branch_stops_only_itself() {
    let mut stand = Stand::new();
    stand.remote = Remote::failing("create cloud_cluster one");
    let applied = stand.apply(STACK, PlanMode::Normal).await;
    assert!(applied.diagnostics.has_errors());
    assert_eq!(applied.skipped, 2, "what is inside waits for the cluster");
    assert!(
        stand
            .state
            .current(&address("cloud_cluster.free"))
            .is_some()
    );
    assert!(stand.state.current(&address("inside_thing.a")).is_none());
    stand.remote = Remote::default();
    let again = stand.apply(STACK, PlanMode::Normal).await;
    assert!(!again.diagnostics.has_errors(), "{:?}", again.diagnostics);
    assert_eq!(again.added, 3);
}

#[tokio::test]
async fn an_interrupted_apply_records_what_was_done_and_goes_on() {
    let mut stand = Stand::new();
    // The first creation asks for the interrupt while it runs: it ends, and nothing new starts.
    stand.remote = Remote::interrupting("create cloud_cluster one");
    stand.parallelism = 1;
    let applied = stand.apply(STACK, PlanMode::Normal).await;
    assert!(
        applied
            .diagnostics
            .iter()
            .any(|d| d.summary == "Interrupted"),
        "{:?}",
        applied.diagnostics
    );
    let created = stand
        .remote
        .log()
        .iter()
        .filter(|l| l.starts_with("create"))
        .count();
    assert_eq!(
        stand.state.current_objects().count(),
        created,
        "what was made is recorded"
    );
    assert_eq!(applied.skipped, 4 - created);
    stand.remote = Remote::default();
    let again = stand.apply(STACK, PlanMode::Normal).await;
    assert!(!again.diagnostics.has_errors(), "{:?}", again.diagnostics);
    assert_eq!(again.added, 4 - created);
}

#[tokio::test]
async fn independent_objects_are_made_side_by_side() {
    let mut stand = Stand::new();
    // Each creation waits until all three have begun: one after the other would never end.
    stand.remote = Remote::together(3);
    let applied = stand
        .apply(
            "resource \"cloud_cluster\" \"c\" {\n  count = 3\n  name = \"n${count.index}\"\n}",
            PlanMode::Normal,
        )
        .await;
    assert_eq!(applied.added, 3, "{:?}", applied.diagnostics);
}

fn position(log: &[String], entry: &str) -> usize {
    log.iter()
        .position(|l| l == entry)
        .unwrap_or_else(|| panic!("{entry} is not in {log:#?}"))
}
