//! A node is taken away for good.

use serde_json::{Value as Json, json};
use stead_meeting::talos::{TalosLab, address};
use stead_sdk::Context;
use stead_sdk::testing::Stored;

use super::{MACHINE, failed, said};

const RESET: &str = r#"{ "reset": true, "graceful": true, "reboot": true }"#;

/// The machine with the wish to be reset in its state.
async fn wishing(lab: &TalosLab, number: u8, made: &Stored, more: Json) -> Stored {
    let mut wish = json!({ "on_destroy": serde_json::from_str::<Json>(RESET).unwrap() });
    for (name, value) in more.as_object().unwrap() {
        wish[name] = value.clone();
    }
    let config = lab.of_machine(number, &made.text("machine_configuration"), wish);
    let applied = lab.apply(MACHINE, Some(made), config).await;
    applied.unwrap_or_else(|e| panic!("{}", failed(&e)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_of_a_cluster_can_go_at_the_same_time() {
    let lab = TalosLab::start().await;
    let numbers = [11, 12, 13, 21];
    let (machines, _) = lab.cluster(&numbers, "v1.13.9", "", "v1.34.1").await;
    let kubeconfig = lab.kubeconfig(11).await;
    let cluster = lab.kubernetes(11).await;
    let worker = wishing(
        &lab,
        21,
        &machines[&21],
        json!({ "kubeconfig": kubeconfig }),
    )
    .await;
    lab.provider.delete(MACHINE, &worker).await.unwrap();
    assert_eq!(lab.machine(21)["stage"], "maintenance");
    let cx = Context::detached();
    let left = cluster.list("v1", "Node", None, &cx).await.unwrap();
    assert_eq!(left.len(), 3, "the worker is out of the books");
    assert!(lab.said("draining node node-21"));
    // The control plane, as a destroy has it: one leaves etcd after the other, and the last one cannot leave.
    let mut wishes = Vec::new();
    for number in [11, 12, 13] {
        wishes.push(wishing(&lab, number, &machines[&number], json!({})).await);
    }
    let going = wishes
        .iter()
        .map(|machine| lab.provider.delete(MACHINE, machine));
    for gone in futures::future::join_all(going).await {
        gone.unwrap_or_else(|e| panic!("{}", said(&e)));
    }
    for number in [11, 12, 13] {
        assert_eq!(lab.machine(number)["stage"], "maintenance", "{number}");
    }
    assert!(lab.said("is the last of its control plane"));
    // Once more is no error.
    lab.provider.delete(MACHINE, &worker).await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn a_control_plane_node_leaves_etcd_and_the_books_without_a_kubeconfig() {
    let lab = TalosLab::start().await;
    let (machines, _) = lab.cluster(&[11, 12, 13], "v1.13.9", "", "v1.34.1").await;
    let cluster = lab.kubernetes(11).await;
    let config = json!({
        "node": address(13),
        "client_configuration": lab.client_configuration(),
        "machine_configuration_input": machines[&13].text("machine_configuration"),
        "on_destroy": { "reset": true, "reboot": true },
    });
    let applied = lab
        .apply("talos_machine_configuration_apply", None, config)
        .await
        .unwrap_or_else(|e| panic!("{}", failed(&e)));
    lab.provider
        .delete("talos_machine_configuration_apply", &applied)
        .await
        .unwrap_or_else(|e| panic!("{}", said(&e)));
    assert_eq!(lab.members(), ["11", "12"]);
    let left = cluster
        .list("v1", "Node", None, &Context::detached())
        .await
        .unwrap();
    assert_eq!(left.len(), 2);
    lab.stop().await;
}

#[tokio::test]
async fn what_cannot_be_told_to_kubernetes_is_told_to_the_user() {
    let lab = TalosLab::start().await;
    let (machines, _) = lab.cluster(&[11, 21], "v1.13.9", "", "v1.34.1").await;
    // A worker has no kubeconfig to give, and nobody else is asked.
    let worker = wishing(&lab, 21, &machines[&21], json!({})).await;
    let warned = lab.provider.delete_warned(MACHINE, &worker).await;
    let text = said(&warned.unwrap_or_else(|e| panic!("{}", said(&e))));
    for part in [
        "Kubernetes is not told of the reset of",
        "No kubeconfig could be had (",
        "its pods are not moved away",
        "`kubectl delete node node-21`",
        "`kubeconfig` of their `talos_machine`",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert_eq!(lab.machine(21)["stage"], "maintenance");
    // With the last control plane node Kubernetes goes: nothing is left to tell.
    let plane = wishing(&lab, 11, &machines[&11], json!({})).await;
    let warned = lab.provider.delete_warned(MACHINE, &plane).await;
    assert_eq!(said(&warned.unwrap_or_else(|e| panic!("{}", said(&e)))), "");
    lab.stop().await;
}

#[tokio::test]
async fn a_destroy_that_would_break_the_quorum_is_refused() {
    let lab = TalosLab::start().await;
    let (machines, _) = lab.cluster(&[11, 12, 13], "v1.13.9", "", "v1.34.1").await;
    let short = json!({ "timeouts": { "update": "60s", "delete": "2s" } });
    let machine = wishing(&lab, 11, &machines[&11], short).await;
    lab.cut(13).await;
    let refused = lab.provider.delete(MACHINE, &machine).await;
    let text = said(&refused.unwrap_err());
    assert!(text.contains("too few are well: node-13"), "{text}");
    assert_eq!(lab.members(), ["11", "12", "13"]);
    assert_eq!(lab.machine(11)["stage"], "running");
    lab.stop().await;
}
