//! `talos_machine_configuration_apply`.

use serde_json::{Value as Json, json};
use stead_sdk::testing::Stored;
use stead_sdk::value::Value;
use tonic::Status;

use super::node::{FakeNode, OnApply};
use super::{Talos, administrator, first, secrets};
use crate::api::specs::MachineStage;
use crate::machinery::SecretsBundle;
use crate::render;

const APPLY: &str = "talos_machine_configuration_apply";
const CONFIG: &str = "version: v1alpha1\nmachine:\n    type: worker\n";
const PATCH: &str = "machine:\n  nodeLabels:\n    rack: a1\n";

fn config(node: &FakeNode, secrets: &SecretsBundle, more: Json) -> Json {
    let mut config = json!({
        "node": "127.0.0.1",
        "endpoint": node.address.to_string(),
        "client_configuration": administrator(secrets),
        "machine_configuration_input": CONFIG,
        "config_patches": [PATCH],
        "timeouts": { "create": "20s", "update": "20s", "delete": "20s" },
    });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn private(stored: &Stored) -> Json {
    serde_json::from_slice::<Json>(&stored.private).unwrap()["stead"]["configured"].clone()
}

#[tokio::test]
async fn the_first_contact_is_in_maintenance_mode_and_only_that_one() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    let config = config(&node, &secrets, json!({}));
    let applied = talos
        .harness
        .apply(APPLY, None, config.clone())
        .await
        .unwrap();
    // Nobody is named in maintenance mode, where requests are not passed on.
    assert_eq!(node.inside().calls, ["apply Auto dry=false node=-"]);
    assert!(talos.said("cannot be verified yet"));
    let rendered = render::patched(CONFIG, &[PATCH.to_owned()]).unwrap();
    assert_eq!(node.inside().config.as_ref(), Some(&rendered));
    assert_eq!(applied.text("machine_configuration"), rendered);
    assert_eq!(
        applied.text("machine_configuration_hash"),
        render::hash(&rendered)
    );
    assert_eq!(
        (applied.text("resolved_apply_mode"), applied.text("id")),
        ("auto".to_owned(), "machine_configuration_apply".to_owned())
    );
    assert_eq!(private(&applied), json!("127.0.0.1"));
    let read = talos.harness.read(APPLY, &applied).await.unwrap().unwrap();
    assert_eq!(read.value, applied.value);

    // Wiped, or another machine: nothing proves which.
    node.inside().stage = MachineStage::Maintenance;
    let mut changed = config;
    changed["config_patches"] = json!([]);
    let failure = talos
        .harness
        .apply(APPLY, Some(&read), changed)
        .await
        .unwrap_err();
    let diagnostic = first(&failure.diagnostics);
    assert!(
        diagnostic.detail.contains("-replace"),
        "{}",
        diagnostic.detail
    );
    assert_eq!(node.count("apply"), 1, "nothing was sent");
}

/// The published provider's state does not say that the node proved itself: that there is one says it.
#[tokio::test]
async fn a_node_of_another_tools_state_gets_no_first_contact() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    let config = config(&node, &secrets, json!({}));
    let mut attributes = config.clone();
    attributes["id"] = json!("machine_configuration_apply");
    attributes["apply_mode"] = json!("auto");
    attributes["machine_configuration"] = json!(CONFIG);
    let stored = talos.harness.stored(APPLY, 1, &attributes).unwrap();
    let failure = talos.harness.apply(APPLY, Some(&stored), config).await;
    let diagnostics = failure.unwrap_err().diagnostics;
    assert!(first(&diagnostics).detail.contains("-replace"));
    assert_eq!(node.count("apply"), 0);
}

#[tokio::test]
async fn a_change_by_others_shows_and_is_undone() {
    let secrets = secrets();
    let talos = Talos::new().await;
    let node = FakeNode::start(&secrets).await;
    let config = config(&node, &secrets, json!({}));
    let applied = talos
        .harness
        .apply(APPLY, None, config.clone())
        .await
        .unwrap();
    let wanted = applied.text("machine_configuration");
    // Written in another way: the same.
    let same = format!("# a comment\n{wanted}");
    node.inside().config = Some(same.clone());
    node.inside().on_disk = Some(same);
    let read = talos.harness.read(APPLY, &applied).await.unwrap().unwrap();
    assert_eq!(read.value, applied.value);
    // On the disk only, until the next start.
    let other = wanted.replace("a1", "b2");
    node.inside().on_disk = Some(other.clone());
    let read = talos.harness.read(APPLY, &applied).await.unwrap().unwrap();
    assert_eq!(read.text("machine_configuration"), other);
    assert_eq!(
        read.text("machine_configuration_hash"),
        render::hash(&other)
    );
    let planned = talos.harness.config(APPLY, config.clone()).unwrap();
    let plan = talos
        .harness
        .plan(APPLY, Some(&read), &planned)
        .await
        .unwrap();
    assert_eq!(
        plan.planned.get("machine_configuration"),
        Some(Value::string(&wanted))
    );
    let again = talos
        .harness
        .apply(APPLY, Some(&read), config)
        .await
        .unwrap();
    assert_eq!(again.value, applied.value);
    assert_eq!(node.inside().on_disk.as_ref(), Some(&wanted));
    // The second time over mutual TLS, and to the node by name.
    assert_eq!(
        node.inside().calls.last().unwrap(),
        "apply Auto dry=false node=127.0.0.1"
    );
}

#[tokio::test]
async fn a_lost_answer_is_no_failure() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    node.inside().on_apply = OnApply::TakeAndVanish;
    let applied = talos
        .harness
        .apply(APPLY, None, config(&node, &secrets, json!({})))
        .await
        .unwrap();
    assert_eq!(node.count("apply"), 1);
    assert_eq!(private(&applied), json!("127.0.0.1"));
}

#[tokio::test]
async fn a_refusal_is_the_diagnostic() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    let text = "configuration validation failed: 1 error occurred:\n\t* install disk is required";
    node.inside()
        .refusals
        .push_back(Status::failed_precondition(
            "another apply configuration is already in progress",
        ));
    node.inside()
        .refusals
        .push_back(Status::invalid_argument(text));
    let failure = talos
        .harness
        .apply(APPLY, None, config(&node, &secrets, json!({})))
        .await
        .unwrap_err();
    let diagnostic = first(&failure.diagnostics);
    assert!(diagnostic.detail.starts_with(text), "{}", diagnostic.detail);
    assert_eq!(
        diagnostic.attribute.as_ref().unwrap().to_string(),
        "machine_configuration_input"
    );
    assert!(failure.kept.is_none());
    assert_eq!(
        node.count("apply"),
        2,
        "tried again only while it could help"
    );
    assert!(talos.said("already in progress"));
}

#[tokio::test]
async fn secrets_do_not_go_to_strangers() {
    let (ours, theirs) = (secrets(), secrets());
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&theirs, CONFIG).await,
    );
    let failure = talos
        .harness
        .apply(APPLY, None, config(&node, &ours, json!({})))
        .await
        .unwrap_err();
    let diagnostic = first(&failure.diagnostics);
    assert!(
        diagnostic.detail.contains("nor in maintenance mode"),
        "{}",
        diagnostic.detail
    );
    assert!(node.inside().calls.is_empty());
}

#[tokio::test]
async fn a_client_of_another_cluster_is_told_so() {
    let (ours, theirs) = (secrets(), secrets());
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&ours, CONFIG).await,
    );
    // The right authority, the wrong certificate.
    let mut client = administrator(&theirs);
    client["ca_certificate"] = administrator(&ours)["ca_certificate"].clone();
    let config = config(&node, &ours, json!({ "client_configuration": client }));
    let failure = talos.harness.apply(APPLY, None, config).await.unwrap_err();
    let diagnostic = first(&failure.diagnostics);
    assert!(
        diagnostic
            .detail
            .contains("does not accept the client certificate"),
        "{diagnostic:?}"
    );
}

#[tokio::test]
async fn a_restart_is_waited_for() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, CONFIG).await,
    );
    node.inside().on_apply = OnApply::Reboot;
    let applied = talos
        .harness
        .apply(APPLY, None, config(&node, &secrets, json!({})))
        .await
        .unwrap();
    assert_eq!(node.inside().boots, 1);
    assert!(talos.said("to restart with its configuration"));
    assert_eq!(applied.text("resolved_apply_mode"), "auto");
    // Asked for, not to restart: the node is asked first, and only its disk is written.
    let staged = config(
        &node,
        &secrets,
        json!({ "apply_mode": "staged_if_needing_reboot", "config_patches": [] }),
    );
    let staged = talos
        .harness
        .apply(APPLY, Some(&applied), staged)
        .await
        .unwrap();
    assert_eq!(staged.text("resolved_apply_mode"), "staged");
    let calls = node.inside().calls.clone();
    let last: Vec<_> = calls.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(
        last,
        [
            "apply Staged dry=false node=127.0.0.1",
            "apply Auto dry=true node=127.0.0.1"
        ]
    );
    assert_eq!(node.inside().boots, 1);
    assert_eq!(node.inside().on_disk.as_deref(), Some(CONFIG));
    // What runs is still the old one, and that is as it should be.
    let read = talos.harness.read(APPLY, &staged).await.unwrap().unwrap();
    assert_eq!(read.value, staged.value);
}

#[tokio::test]
async fn what_does_not_concern_the_node_is_not_sent() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, CONFIG).await,
    );
    let applied = talos
        .harness
        .apply(APPLY, None, config(&node, &secrets, json!({})))
        .await
        .unwrap();
    let reset = json!({ "on_destroy": { "reset": true, "reboot": true } });
    let updated = talos
        .harness
        .apply(APPLY, Some(&applied), config(&node, &secrets, reset))
        .await
        .unwrap();
    assert_eq!(
        updated.attribute("on_destroy").get("graceful"),
        Some(Value::bool(true))
    );
    assert_eq!(node.count("apply"), 1);
    talos.harness.delete(APPLY, &updated).await.unwrap();
    assert_eq!(
        node.count("reset graceful=true reboot=true STATE+EPHEMERAL"),
        1
    );
    assert_eq!(node.inside().stage, MachineStage::Maintenance);
    // Without the wish nothing happens to the node.
    talos.harness.delete(APPLY, &applied).await.unwrap();
    assert_eq!(node.count("reset"), 1);
}

#[tokio::test]
async fn a_node_that_cannot_be_seen_is_kept() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, CONFIG).await,
    );
    let applied = talos
        .harness
        .apply(APPLY, None, config(&node, &secrets, json!({})))
        .await
        .unwrap();
    node.inside().stage = MachineStage::Maintenance;
    let seen = talos
        .harness
        .provider()
        .read(
            APPLY,
            applied.value.clone(),
            applied.private.clone(),
            &talos.harness.cx,
        )
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen.value, applied.value);
    let warning = first(&seen.warnings);
    assert!(
        !warning.is_error() && warning.detail.contains("maintenance mode"),
        "{warning:?}"
    );
}

#[tokio::test]
async fn write_only_input_leaves_a_hash_alone() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, FakeNode::start(&secrets).await);
    let config = config(
        &node,
        &secrets,
        json!({
            "machine_configuration_input": null,
            "machine_configuration_input_wo": CONFIG,
            "client_configuration": null,
            "client_configuration_wo": administrator(&secrets),
        }),
    );
    let applied = talos
        .harness
        .apply(APPLY, None, config.clone())
        .await
        .unwrap();
    let rendered = render::patched(CONFIG, &[PATCH.to_owned()]).unwrap();
    assert_eq!(node.inside().config.as_ref(), Some(&rendered));
    assert_eq!(
        applied.text("machine_configuration_hash"),
        render::hash(&rendered)
    );
    assert!(applied.attribute("machine_configuration").is_null());
    assert!(applied.attribute("client_configuration_wo").is_null());
    let config = talos.harness.config(APPLY, config).unwrap();
    assert_eq!(
        talos
            .harness
            .plan(APPLY, Some(&applied), &config)
            .await
            .unwrap()
            .planned,
        applied.value
    );
}

#[tokio::test]
async fn configurations_are_checked_and_planned_without_a_node() {
    let (secrets, talos) = (secrets(), Talos::new().await);
    let base = json!({ "node": "10.0.0.2", "client_configuration": administrator(&secrets), "machine_configuration_input": CONFIG });
    let with = |name: &str, value: Json| {
        let mut config = base.clone();
        config[name] = value;
        talos.harness.config(APPLY, config).unwrap()
    };
    let plan = talos
        .harness
        .plan(APPLY, None, &with("apply_mode", json!("staged")))
        .await
        .unwrap()
        .planned;
    assert_eq!(plan.get("endpoint"), Some(Value::string("10.0.0.2")));
    assert_eq!(
        plan.get("machine_configuration"),
        Some(Value::string(CONFIG))
    );
    assert_eq!(
        plan.get("resolved_apply_mode"),
        Some(Value::string("staged"))
    );
    for (name, value, place) in [
        ("apply_mode", json!("now"), "apply_mode"),
        (
            "machine_configuration_input",
            Json::Null,
            "machine_configuration_input",
        ),
        (
            "machine_configuration_input_wo",
            json!(CONFIG),
            "machine_configuration_input",
        ),
        ("client_configuration", Json::Null, "client_configuration"),
        ("timeouts", json!({ "update": "soon" }), "timeouts.update"),
        (
            "config_patches",
            json!([PATCH, "machine:\n  nope: 1\n"]),
            "config_patches[1]",
        ),
    ] {
        let found = talos
            .harness
            .plan(APPLY, None, &with(name, value))
            .await
            .unwrap_err();
        assert_eq!(first(&found).attribute.as_ref().unwrap().to_string(), place);
    }
}

/// Releases of the published provider write YAML with other quotes; a state of theirs is no reason to send anything.
#[tokio::test]
async fn another_layout_in_the_state_is_no_change() {
    let (secrets, talos) = (secrets(), Talos::new().await);
    let patch = "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: \"off\"\nhostname: cp-1\n";
    let config = json!({
        "node": "10.0.0.2",
        "client_configuration": administrator(&secrets),
        "machine_configuration_input": CONFIG,
        "config_patches": [patch],
    });
    let config = talos.harness.config(APPLY, config).unwrap();
    let mine = render::patched(CONFIG, &[patch.to_owned()]).unwrap();
    let theirs = mine.replace("\"off\"", "'off'");
    assert_ne!(mine, theirs);
    let planned = async |text: &str| {
        let fresh = talos.harness.plan(APPLY, None, &config).await.unwrap();
        let known = [
            ("id", "machine_configuration_apply"),
            ("resolved_apply_mode", "auto"),
            ("machine_configuration", text),
            ("machine_configuration_hash", "theirs"),
        ];
        let entries = fresh.planned.as_entries().unwrap();
        let state = Value::object_from(entries.iter().map(|(name, value)| {
            let text = known.iter().find(|(n, _)| *n == &**name);
            let value = text.map_or_else(|| value.clone(), |(_, t)| Value::string(*t));
            (name.clone(), value)
        }));
        let stored = Stored {
            value: state.clone(),
            private: Vec::new(),
            identity: None,
        };
        let plan = talos.harness.plan(APPLY, Some(&stored), &config).await;
        (state, plan.unwrap().planned)
    };
    let (state, plan) = planned(&theirs).await;
    assert_eq!(plan, state);
    let (state, plan) = planned(&theirs.replace("cp-1", "cp-2")).await;
    assert_ne!(plan, state);
    assert_eq!(
        plan.get("machine_configuration"),
        Some(Value::string(mine.as_str()))
    );
}
