//! What others change on a node shows, and a node that does not answer is not lost.

use serde_json::json;
use stead_meeting::talos::{TalosLab, address};

use super::{MACHINE, failed};

/// Somebody else applies a configuration.
async fn by_hand(lab: &TalosLab, text: &str, mode: &str) {
    let config = json!({
        "node": address(11),
        "client_configuration": lab.client_configuration(),
        "machine_configuration_input": text,
        "apply_mode": mode,
    });
    lab.apply("talos_machine_configuration_apply", None, config)
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
}

#[tokio::test]
async fn changed_and_staged_configurations_show_and_are_undone() {
    let lab = TalosLab::start().await;
    let (machines, _) = lab.cluster(&[11], "v1.13.9", "", "v1.34.1").await;
    let made = lab.read(MACHINE, &machines[&11]).await;
    assert_eq!(made.value, machines[&11].value);
    let wanted = made.text("machine_configuration");
    let other = lab
        .configuration(11, "v1.34.1", "machine:\n  nodeLabels:\n    rack: a1\n")
        .await;
    for mode in ["no_reboot", "staged"] {
        by_hand(&lab, &other, mode).await;
        let read = lab.read(MACHINE, &made).await;
        assert_ne!(
            read.text("machine_configuration_hash"),
            made.text("machine_configuration_hash"),
            "{mode}"
        );
        assert_eq!(read.text("machine_configuration"), other, "{mode}");
        let config = lab.of_machine(11, &wanted, json!({}));
        let mended = lab.apply(MACHINE, Some(&read), config).await;
        let mended = mended.unwrap_or_else(|e| panic!("{mode}: {}", failed(&e)));
        assert_eq!(mended.value, made.value, "{mode}");
        assert_eq!(lab.read(MACHINE, &mended).await.value, made.value, "{mode}");
    }
    // Written in another way it is the same.
    by_hand(&lab, &format!("# by hand\n{wanted}"), "no_reboot").await;
    assert_eq!(lab.read(MACHINE, &made).await.value, made.value);
    lab.stop().await;
}

#[tokio::test]
async fn versions_of_kubernetes_are_left_alone_on_demand() {
    let lab = TalosLab::start().await;
    let (machines, _) = lab.cluster(&[11], "v1.13.9", "", "v1.34.1").await;
    let text = machines[&11].text("machine_configuration");
    let ignoring = |patched: &str| {
        lab.of_machine(
            11,
            patched,
            json!({ "ignore_kubernetes_upgrade_drift": true }),
        )
    };
    let made = lab
        .apply(MACHINE, Some(&machines[&11]), ignoring(&text))
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    let newer = text.replace(":v1.34.1", ":v1.35.4");
    by_hand(&lab, &newer, "no_reboot").await;
    assert_eq!(lab.read(MACHINE, &made).await.value, made.value);
    // Another change of the configuration does not set them back.
    let patch = "machine:\n  nodeLabels:\n    rack: a1\n";
    let changed = lab.configuration(11, "v1.34.1", patch).await;
    lab.apply(MACHINE, Some(&made), ignoring(&changed))
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    // Who does not ignore them sees what the node has.
    let found = lab.read(MACHINE, &machines[&11]).await;
    let found = found.text("machine_configuration");
    assert!(found.contains("kubelet:v1.35.4") && found.contains("rack: a1"));
    lab.stop().await;
}

#[tokio::test]
async fn a_node_that_is_away_stays_in_the_state() {
    let lab = TalosLab::start().await;
    let (machines, cluster) = lab.cluster(&[11], "v1.13.9", "", "v1.34.1").await;
    lab.cut(11).await;
    let read = lab.read(MACHINE, &machines[&11]).await;
    assert_eq!(read.value, machines[&11].value);
    let read = lab.read("talos_cluster", &cluster).await;
    assert_eq!(read.value, cluster.value);
    lab.stop().await;
}

#[tokio::test]
async fn a_change_that_needs_a_restart_keeps_etcd_whole() {
    let lab = TalosLab::start().await;
    let (machines, _) = lab.cluster(&[11, 12, 13], "v1.13.9", "", "v1.34.1").await;
    let patch = "machine:\n  files:\n    - content: a\n      path: /var/a\n      op: create\n";
    let step = async |number: u8| {
        let text = lab.configuration(number, "v1.34.1", patch).await;
        let config = lab.of_machine(number, &text, json!({}));
        lab.apply(MACHINE, Some(&machines[&number]), config).await
    };
    let mut all = Box::pin(futures::future::join_all([step(11), step(12), step(13)]));
    let mut fewest = 3;
    let done = loop {
        tokio::select! {
            done = &mut all => break done,
            () = tokio::time::sleep(std::time::Duration::from_millis(1)) => {
                fewest = fewest.min(lab.in_service(&[11, 12, 13]));
            }
        }
    };
    for outcome in done {
        outcome.unwrap_or_else(|e| panic!("{}", failed(&e)));
    }
    drop(all);
    assert!(lab.said("restarting node 10.5.0.12"));
    assert!(fewest >= 2, "only {fewest} were in service");
    lab.stop().await;
}
