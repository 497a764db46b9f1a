//! Deletes that were cut off: what they have left is deleted by the next run, also where nobody can read it any more.

use serde_json::json;
use stead_engine::{Action, PlanMode};
use stead_state::ObjectStatus;
use stead_state::journal::{Doubt, IN_DOUBT};

use crate::support::{Stand, address};

const KEPT: &str = "resource \"cloud_cluster\" \"c\" { name = \"kept a while\" }\n";
const GONE: &str = "resource \"cloud_cluster\" \"c\" { name = \"gone\" }\n";
const NOTHING: &str = "\n";

/// A cluster whose delete was begun.
async fn cut_off(stack: &str) -> Stand {
    let mut stand = Stand::new();
    let applied = stand.apply(stack, PlanMode::Normal).await;
    assert!(!applied.diagnostics.has_errors());
    let marked = stand
        .state
        .edit_object(&address("cloud_cluster.c"), None, |object| {
            let doubt = serde_json::to_value(Doubt::Delete).expect("JSON");
            object.unknown_fields.insert(IN_DOUBT.into(), doubt);
        });
    assert!(marked);
    stand
}

async fn actions(stand: &Stand, stack: &str, mode: PlanMode) -> Vec<Action> {
    let planned = stand.plan(stack, mode).await.expect("a plan");
    planned.plan.changes.iter().map(|c| c.action).collect()
}

#[tokio::test]
async fn what_is_left_is_deleted() {
    for (stack, mode) in [(NOTHING, PlanMode::Normal), (KEPT, PlanMode::Destroy)] {
        let mut stand = cut_off(KEPT).await;
        assert_eq!(actions(&stand, stack, mode).await, [Action::Delete]);
        assert!(!stand.apply(stack, mode).await.diagnostics.has_errors());
        let done = "delete cloud_cluster kept a while";
        assert_eq!(stand.remote.log().last().map(String::as_str), Some(done));
        assert_eq!(stand.state.current_objects().count(), 0);
    }
}

#[tokio::test]
async fn what_is_left_is_replaced_where_the_object_is_wanted() {
    let stand = cut_off(KEPT).await;
    let found = actions(&stand, KEPT, PlanMode::Normal).await;
    assert_eq!(found, [Action::DeleteThenCreate]);
}

#[tokio::test]
async fn a_refresh_does_not_forget_what_is_left() {
    let mut stand = cut_off(KEPT).await;
    stand.apply(KEPT, PlanMode::RefreshOnly).await;
    let (object, _) = stand
        .state
        .current(&address("cloud_cluster.c"))
        .expect("it is kept");
    assert_eq!(object.status, ObjectStatus::Tainted);
    assert_eq!(object.unknown_fields[IN_DOUBT], json!("delete"));
    let found = actions(&stand, NOTHING, PlanMode::Normal).await;
    assert_eq!(found, [Action::Delete]);
}

#[tokio::test]
async fn what_went_is_not_deleted_again() {
    let stand = cut_off(GONE).await;
    assert_eq!(actions(&stand, NOTHING, PlanMode::Normal).await, []);
    let stand = cut_off(GONE).await;
    let found = actions(&stand, GONE, PlanMode::Normal).await;
    assert_eq!(found, [Action::Create]);
}

#[tokio::test]
async fn what_is_left_of_what_was_set_aside_is_deleted_too() {
    for (stack, expected) in [(KEPT, &[Action::Delete][..]), (GONE, &[])] {
        let mut stand = cut_off(stack).await;
        let address = address("cloud_cluster.c");
        let (object, provider) = stand.state.current(&address).expect("it is there");
        let (object, provider) = (object.clone(), provider.clone());
        stand.state.set_current(&address, &provider, None);
        let set_aside = Some(object);
        stand
            .state
            .set_deposed(&address, &provider, "0a1b2c3d", set_aside);
        let found = actions(&stand, NOTHING, PlanMode::Normal).await;
        assert_eq!(found, expected, "{stack}");
    }
}
