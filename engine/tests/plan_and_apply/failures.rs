//! Creates that fail: what is recorded of them, and what the next run makes of it.

use stead_engine::{Action, PlanMode};
use stead_state::ObjectStatus;

use crate::support::{Left, Remote, Stand, address};

const ONE: &str = "resource \"cloud_cluster\" \"c\" { name = \"one\" }\n";

/// A replacement by `two`, the new one first.
const TWO_FIRST: &str = r#"
resource "cloud_cluster" "c" {
  name = "two"
  lifecycle { create_before_destroy = true }
}
"#;

fn status(stand: &Stand) -> Option<ObjectStatus> {
    let (object, _) = stand.state.current(&address("cloud_cluster.c"))?;
    Some(object.status)
}

fn deposed(stand: &Stand) -> usize {
    stand.state.deposed_objects().count()
}

/// The recorded name of the current object.
fn name(stand: &Stand) -> String {
    let (object, _) = stand
        .state
        .current(&address("cloud_cluster.c"))
        .expect("a current object");
    let attributes: serde_json::Value =
        serde_json::from_str(object.attributes.get()).expect("JSON");
    attributes["name"].as_str().expect("a name").to_owned()
}

/// What a run would do, deposed objects marked.
async fn actions(stand: &Stand, stack: &str) -> Vec<(Action, bool)> {
    let planned = stand.plan(stack, PlanMode::Normal).await.expect("a plan");
    planned
        .plan
        .changes
        .iter()
        .map(|c| (c.action, c.deposed.is_some()))
        .collect()
}

async fn created_with(left: Left) -> Stand {
    let mut stand = Stand::new();
    stand.remote = Remote::failing_with("create cloud_cluster one", left);
    let applied = stand.apply(ONE, PlanMode::Normal).await;
    assert!(applied.diagnostics.has_errors());
    stand.remote = Remote::default();
    stand
}

/// `one` stands, and its replacement fails so.
async fn replaced_with(remote: Remote) -> Stand {
    let mut stand = Stand::new();
    let applied = stand
        .apply(&TWO_FIRST.replace("two", "one"), PlanMode::Normal)
        .await;
    assert!(
        !applied.diagnostics.has_errors(),
        "{:?}",
        applied.diagnostics
    );
    stand.remote = remote;
    let applied = stand.apply(TWO_FIRST, PlanMode::Normal).await;
    assert!(applied.diagnostics.has_errors());
    stand
}

/// Ends what had failed; what was done for it.
async fn end(stand: &mut Stand) -> Vec<String> {
    stand.remote = Remote::default();
    let applied = stand.apply(TWO_FIRST, PlanMode::Normal).await;
    assert!(
        !applied.diagnostics.has_errors(),
        "{:?}",
        applied.diagnostics
    );
    assert_eq!(status(stand), Some(ObjectStatus::Ready));
    assert_eq!(name(stand), "two");
    assert_eq!(deposed(stand), 0);
    stand.remote.log()
}

#[tokio::test]
async fn a_create_that_made_nothing_is_not_recorded() {
    let stand = created_with(Left::Nothing).await;
    assert_eq!(status(&stand), None);
}

#[tokio::test]
async fn a_create_that_failed_half_way_is_tainted_and_replaced() {
    let stand = created_with(Left::Half).await;
    assert_eq!(status(&stand), Some(ObjectStatus::Tainted));
    assert_eq!(
        actions(&stand, ONE).await,
        [(Action::DeleteThenCreate, false)]
    );
}

#[tokio::test]
async fn a_create_whose_object_is_whole_is_kept() {
    let stand = created_with(Left::Whole).await;
    assert_eq!(status(&stand), Some(ObjectStatus::Ready));
    assert_eq!(actions(&stand, ONE).await, [(Action::NoOp, false)]);
}

#[tokio::test]
async fn a_replacement_that_made_nothing_gives_the_old_object_its_place_back() {
    let mut stand = replaced_with(Remote::failing("create cloud_cluster two")).await;
    assert_eq!(stand.remote.log(), ["create cloud_cluster two"]);
    assert_eq!((name(&stand).as_str(), deposed(&stand)), ("one", 0));
    assert_eq!(status(&stand), Some(ObjectStatus::Ready));
    assert_eq!(
        end(&mut stand).await,
        ["create cloud_cluster two", "delete cloud_cluster one"]
    );
}

#[tokio::test]
async fn a_replacement_that_failed_half_way_stands_tainted_beside_the_old_object() {
    let mut stand =
        replaced_with(Remote::failing_with("create cloud_cluster two", Left::Half)).await;
    assert_eq!(stand.remote.log(), ["create cloud_cluster two"]);
    assert_eq!((name(&stand).as_str(), deposed(&stand)), ("two", 1));
    assert_eq!(status(&stand), Some(ObjectStatus::Tainted));
    let log = end(&mut stand).await;
    let count = |entry: &str| log.iter().filter(|l| *l == entry).count();
    assert_eq!(count("create cloud_cluster two"), 1, "{log:?}");
    assert_eq!(count("delete cloud_cluster two"), 1, "{log:?}");
    assert_eq!(count("delete cloud_cluster one"), 1, "{log:?}");
}

#[tokio::test]
async fn a_replacement_that_is_whole_leaves_only_the_old_object_to_delete() {
    let mut stand = replaced_with(Remote::failing_with(
        "create cloud_cluster two",
        Left::Whole,
    ))
    .await;
    assert_eq!((name(&stand).as_str(), deposed(&stand)), ("two", 1));
    assert_eq!(status(&stand), Some(ObjectStatus::Ready));
    assert_eq!(end(&mut stand).await, ["delete cloud_cluster one"]);
}

#[tokio::test]
async fn an_old_object_that_cannot_be_deleted_stays_deposed() {
    let mut stand = replaced_with(Remote::failing("delete cloud_cluster one")).await;
    assert_eq!((name(&stand).as_str(), deposed(&stand)), ("two", 1));
    assert_eq!(
        actions(&stand, TWO_FIRST).await,
        [(Action::NoOp, false), (Action::Delete, true)]
    );
    assert_eq!(end(&mut stand).await, ["delete cloud_cluster one"]);
}
