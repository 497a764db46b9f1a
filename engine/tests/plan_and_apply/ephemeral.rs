//! Ephemeral resources: open while something uses them, and stored nowhere.

use stead_engine::PlanMode;
use stead_engine::planfile::{self, PlanFile};

use crate::support::{Remote, Stand};

const LOGIN: &str = r#"
ephemeral "cloud_token" "t" { name = "t" }
locals { password = ephemeral.cloud_token.t.secret }
resource "cloud_login" "l" {
  name        = "l"
  password_wo = local.password
}
resource "cloud_login" "after" {
  depends_on = [cloud_login.l]
  name       = "after"
}
"#;

fn position(log: &[String], entry: &str) -> usize {
    let found = log.iter().rposition(|e| e == entry);
    found.unwrap_or_else(|| panic!("{entry} is not in {log:?}"))
}

#[tokio::test]
async fn it_is_open_from_before_its_first_user_until_after_its_last() {
    let mut stand = Stand::new();
    let applied = stand.apply(LOGIN, PlanMode::Normal).await;
    assert!(applied.diagnostics.is_empty(), "{:?}", applied.diagnostics);
    let log = stand.remote.log();
    // Once for the plan, once for the apply.
    assert_eq!(log[..2], ["open t", "close t"]);
    assert_eq!(log.iter().filter(|e| *e == "open t").count(), 2);
    let used = position(&log, "login l with secret of t");
    assert!(position(&log, "open t") < used && used < position(&log, "close t"));
    // It is renewed each time it is open, unless closing is quicker.
    assert!(stand.remote.renewed.available_permits() <= 2);
}

#[tokio::test]
async fn neither_state_nor_plan_file_holds_it() {
    let mut stand = Stand::new();
    let planned = stand.plan(LOGIN, PlanMode::Normal).await.expect("a plan");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("plan");
    let file = PlanFile {
        plan: planned.plan,
        serial: 0,
        lineage: String::new(),
        files: Default::default(),
        workspace: String::new(),
        created: String::new(),
        apply_time_variables: Default::default(),
    };
    planfile::write(&path, &file, Ok).expect("a plan file");
    let read = planfile::read(&path, Ok).expect("the plan file");
    assert_eq!(read.plan.ephemerals, file.plan.ephemerals);
    let shown = format!("{:?}", read.plan.changes);
    assert!(!shown.contains("secret of t"), "{shown}");
    stand.apply(LOGIN, PlanMode::Normal).await;
    let state = stead_state::to_bytes(&stand.state).expect("a state");
    let state = String::from_utf8(state).expect("text");
    assert!(
        state.contains("password_wo") && !state.contains("secret of t"),
        "{state}"
    );
}

#[tokio::test]
async fn it_is_closed_although_its_user_failed() {
    let mut stand = Stand::new();
    stand.remote = Remote::failing("login l with secret of t");
    let applied = stand.apply(LOGIN, PlanMode::Normal).await;
    assert!(applied.diagnostics.has_errors());
    assert_eq!(stand.remote.log().last().expect("an entry"), "close t");
}

#[tokio::test]
async fn what_nothing_uses_is_opened_by_the_apply_too_and_by_no_destruction() {
    let stack = r#"
        ephemeral "cloud_token" "unused" { name = "unused" }
        resource "cloud_cluster" "c" { name = "c" }
    "#;
    let mut stand = Stand::new();
    let applied = stand.apply(stack, PlanMode::Normal).await;
    assert!(applied.diagnostics.is_empty(), "{:?}", applied.diagnostics);
    let times = |stand: &Stand, entry| {
        let log = stand.remote.log();
        log.iter().filter(|e| *e == entry).count()
    };
    // Once while planning, once while applying.
    assert_eq!(times(&stand, "open unused"), 2);
    assert_eq!(times(&stand, "close unused"), 2);
    stand.apply(stack, PlanMode::Destroy).await;
    assert_eq!(times(&stand, "open unused"), 3);
    assert_eq!(times(&stand, "close unused"), 3);
}

#[tokio::test]
async fn what_is_not_known_yet_is_opened_during_the_apply_only() {
    let stack = r#"
        resource "cloud_cluster" "c" { name = "c" }
        ephemeral "cloud_token" "t" { name = cloud_cluster.c.id }
        resource "cloud_login" "l" {
          name        = "l"
          password_wo = ephemeral.cloud_token.t.secret
        }
    "#;
    let mut stand = Stand::new();
    let applied = stand.apply(stack, PlanMode::Normal).await;
    assert!(applied.diagnostics.is_empty(), "{:?}", applied.diagnostics);
    assert_eq!(
        stand.remote.log(),
        [
            "create cloud_cluster c",
            "open cloud/c",
            "login l with secret of cloud/c",
            "close cloud/c"
        ]
    );
}

#[tokio::test]
async fn a_provider_configured_with_it_keeps_it_open_for_creates_and_deletes() {
    let stack = r#"
        ephemeral "cloud_token" "t" { name = "t" }
        provider "inside" { endpoint = ephemeral.cloud_token.t.secret }
        resource "inside_thing" "a" { name = "a" }
    "#;
    let mut stand = Stand::new();
    let applied = stand.apply(stack, PlanMode::Normal).await;
    assert!(applied.diagnostics.is_empty(), "{:?}", applied.diagnostics);
    for (mode, entry) in [
        (PlanMode::Normal, "create inside_thing a"),
        (PlanMode::Destroy, "delete inside_thing a"),
    ] {
        if mode == PlanMode::Destroy {
            let applied = stand.apply(stack, mode).await;
            assert!(applied.diagnostics.is_empty(), "{:?}", applied.diagnostics);
        }
        let log = stand.remote.log();
        let done = position(&log, entry);
        assert!(done < position(&log, "close t"), "{log:?}");
        let before = &log[..done];
        assert!(
            position(before, "open t") > before.iter().rposition(|e| e == "close t").unwrap_or(0),
            "{log:?}"
        );
    }
}

#[tokio::test]
async fn stored_attributes_refuse_it() {
    let stack = r#"
        ephemeral "cloud_token" "t" { name = "t" }
        resource "cloud_login" "l" { name = ephemeral.cloud_token.t.secret }
    "#;
    let stand = Stand::new();
    let errors = stand
        .plan(stack, PlanMode::Normal)
        .await
        .err()
        .expect("errors");
    let error = errors.iter().next().expect("an error");
    assert_eq!(error.summary, "Invalid use of ephemeral value");
    assert_eq!(stand.remote.log(), ["open t", "close t"]);
}
