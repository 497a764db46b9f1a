//! Another release of Talos, node by node.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use stead_meeting::talos::TalosLab;
use stead_sdk::Context;
use stead_sdk::kube::{Cluster, ObjectRef, find, text};
use stead_sdk::testing::{ApplyFailure, Stored};

use super::{MACHINE, failed, said};

const PLANES: [u8; 3] = [11, 12, 13];

fn installer(schematic: &str, version: &str) -> String {
    format!("factory.talos.dev/metal-installer/{schematic}:{version}")
}

/// Has all machines run an image, all at the same time as an apply does; and how few of the control plane were in service.
async fn together(
    lab: &TalosLab,
    machines: &BTreeMap<u8, Stored>,
    image: &str,
    kubeconfig: &str,
) -> (BTreeMap<u8, Result<Stored, ApplyFailure>>, usize) {
    let steps = machines.iter().map(|(number, prior)| async move {
        let prior = lab.read(MACHINE, prior).await;
        let text = prior.text("machine_configuration");
        let more = json!({ "image": image, "kubeconfig": kubeconfig, "drain_on_upgrade": true });
        let config = lab.of_machine(*number, &text, more);
        (*number, lab.apply(MACHINE, Some(&prior), config).await)
    });
    let all = futures::future::join_all(steps);
    let mut fewest = PLANES.len();
    tokio::pin!(all);
    let done = loop {
        tokio::select! {
            done = &mut all => break done,
            () = tokio::time::sleep(std::time::Duration::from_millis(1)) => {
                let planes: Vec<u8> = PLANES.into_iter().filter(|n| machines.contains_key(n)).collect();
                fewest = fewest.min(lab.in_service(&planes));
            }
        }
    };
    (done.into_iter().collect(), fewest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_planes_are_upgraded_one_at_a_time_by_old_and_new_calls() {
    let lab = TalosLab::start().await;
    let schematic = lab.schematic(&[]).await;
    let numbers = [11, 12, 13, 21];
    let (mut machines, _) = lab
        .cluster(&numbers, "v1.12.4", &schematic, "v1.34.1")
        .await;
    let kubeconfig = lab.kubeconfig(11).await;
    // By one call, and by steps of their own from 1.13 on.
    for version in ["v1.12.11", "v1.13.9", "v1.14.0"] {
        let image = installer(&schematic, version);
        let (done, fewest) = together(&lab, &machines, &image, &kubeconfig).await;
        assert!(fewest >= 2, "{version}: only {fewest} were in service");
        for (number, outcome) in done {
            let now = outcome.unwrap_or_else(|e| panic!("{version} on {number}: {}", failed(&e)));
            assert_eq!(now.text("image"), image);
            assert_eq!(lab.machine(number)["version"], version);
            let read = lab.read(MACHINE, &now).await;
            assert_eq!(read.value, now.value, "{version} on {number}");
            machines.insert(number, read);
        }
        assert_eq!(lab.members().len(), 3);
    }
    assert!(lab.said("draining node node-11") && lab.said("draining node node-21"));
    assert!(lab.said("waiting for another control plane node"));
    let cluster = lab.kubernetes(11).await;
    for number in numbers {
        let node = cluster
            .node(&format!("node-{number}"), &Context::detached())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            find(&node, &["spec", "unschedulable"]),
            None,
            "node-{number} is still cordoned"
        );
    }
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failure_no_other_control_plane_is_begun_and_the_next_run_goes_on() {
    let mut lab = TalosLab::start().await;
    let schematic = lab.schematic(&[]).await;
    let (mut machines, _) = lab.cluster(&PLANES, "v1.13.2", &schematic, "v1.34.1").await;
    let kubeconfig = lab.kubeconfig(11).await;
    lab.fault("talos.upgrade-fails", 1);
    let image = installer(&schematic, "v1.13.9");
    let (done, _) = together(&lab, &machines, &image, &kubeconfig).await;
    let failures: Vec<String> = done
        .values()
        .map(|outcome| failed(outcome.as_ref().unwrap_err()))
        .collect();
    let of = |text: &str| failures.iter().filter(|f| f.contains(text)).count();
    assert_eq!(of("simulated fault"), 1, "{failures:#?}");
    assert_eq!(of("this one was not begun"), 2, "{failures:#?}");
    for number in PLANES {
        assert_eq!(lab.machine(number)["version"], "v1.13.2");
    }
    // What is kept is what was found: the next plan goes on.
    for (number, outcome) in done {
        let kept = outcome.unwrap_err().kept.unwrap();
        assert_eq!(kept.text("image"), installer(&schematic, "v1.13.2"));
        machines.insert(number, kept);
    }
    lab.another_run().await;
    let (done, fewest) = together(&lab, &machines, &image, &kubeconfig).await;
    assert!(fewest >= 2);
    for (number, outcome) in done {
        outcome.unwrap_or_else(|e| panic!("{number}: {}", failed(&e)));
        assert_eq!(lab.machine(number)["version"], "v1.13.9");
    }
    lab.stop().await;
}

#[tokio::test]
async fn a_skipped_minor_version_is_refused_in_the_plan() {
    let lab = TalosLab::start().await;
    let schematic = lab.schematic(&[]).await;
    let (machines, _) = lab.cluster(&[11], "v1.11.2", &schematic, "v1.34.1").await;
    // The first image says what is managed; it runs already.
    let text = machines[&11].text("machine_configuration");
    let with = |version: &str| {
        let more = json!({ "image": installer(&schematic, version) });
        lab.of_machine(11, &text, more)
    };
    let now = lab
        .apply(MACHINE, Some(&machines[&11]), with("v1.11.2"))
        .await
        .unwrap();
    let config = lab.provider.config(MACHINE, with("v1.13.9")).unwrap();
    let refused = lab.provider.plan(MACHINE, Some(&now), &config).await;
    let text = said(&refused.unwrap_err());
    assert!(text.contains("latest v1.12 first"), "{text}");
    lab.stop().await;
}

#[tokio::test]
async fn the_first_image_of_a_node_is_checked_in_the_plan() {
    let lab = TalosLab::start().await;
    let schematic = lab.schematic(&[]).await;
    // Its state has no image, as after an import or of an older release.
    let (machines, _) = lab.cluster(&[11], "v1.11.2", &schematic, "v1.34.1").await;
    let text = machines[&11].text("machine_configuration");
    let plan = async |version: &str| {
        let more = json!({ "image": installer(&schematic, version) });
        let config = lab
            .provider
            .config(MACHINE, lab.of_machine(11, &text, more))
            .unwrap();
        lab.provider
            .plan(MACHINE, Some(&machines[&11]), &config)
            .await
    };
    let refused = said(&plan("v1.13.9").await.unwrap_err());
    assert!(
        refused.contains("v1.11.2 to v1.13.9") && refused.contains("latest v1.12 first"),
        "{refused}"
    );
    let notes = plan("v1.12.4").await.unwrap().notes;
    assert!(notes.iter().any(|n| n.contains("drained")), "{notes:?}");
    // What runs already is no upgrade.
    let notes = plan("v1.11.2").await.unwrap().notes;
    assert!(!notes.iter().any(|n| n.contains("image:")), "{notes:?}");
    // Nobody to ask: the plan says that it does not know.
    lab.cut(11).await;
    let notes = plan("v1.13.9").await.unwrap().notes;
    assert!(
        notes.iter().any(|n| n.contains("is not known")),
        "{notes:?}"
    );
    lab.stop().await;
}

#[tokio::test]
async fn two_members_of_etcd_are_not_upgraded() {
    let lab = TalosLab::start().await;
    let schematic = lab.schematic(&[]).await;
    let (machines, _) = lab
        .cluster(&[11, 12], "v1.13.2", &schematic, "v1.34.1")
        .await;
    let text = machines[&11].text("machine_configuration");
    let more = json!({ "image": installer(&schematic, "v1.13.9") });
    let config = lab.of_machine(11, &text, more);
    let failure = lab
        .apply(MACHINE, Some(&machines[&11]), config)
        .await
        .unwrap_err();
    assert!(
        failed(&failure).contains("etcd has two members"),
        "{}",
        failed(&failure)
    );
    assert_eq!(lab.machine(11)["version"], "v1.13.2");
    lab.stop().await;
}

#[tokio::test]
async fn a_member_that_is_down_holds_an_upgrade_back() {
    let lab = TalosLab::start().await;
    let schematic = lab.schematic(&[]).await;
    let (machines, _) = lab.cluster(&PLANES, "v1.13.2", &schematic, "v1.34.1").await;
    lab.cut(13).await;
    let text = machines[&11].text("machine_configuration");
    let more = json!({ "image": installer(&schematic, "v1.13.9"), "timeouts": { "update": "2s" } });
    let config = lab.of_machine(11, &text, more);
    let failure = lab
        .apply(MACHINE, Some(&machines[&11]), config)
        .await
        .unwrap_err();
    let text = failed(&failure);
    assert!(text.contains("etcd is not whole: node-13"), "{text}");
    assert_eq!(lab.machine(11)["version"], "v1.13.2");
    lab.stop().await;
}

#[tokio::test]
async fn another_schematic_of_the_same_release_is_installed() {
    let lab = TalosLab::start().await;
    let (plain, agent) = (
        lab.schematic(&[]).await,
        lab.schematic(&["siderolabs/qemu-guest-agent"]).await,
    );
    let (machines, _) = lab.cluster(&[11], "v1.13.9", &plain, "v1.34.1").await;
    let text = machines[&11].text("machine_configuration");
    let image = installer(&agent, "v1.13.9");
    let config = lab.of_machine(11, &text, json!({ "image": image }));
    let now = lab
        .apply(MACHINE, Some(&machines[&11]), config)
        .await
        .unwrap();
    assert_eq!(lab.machine(11)["schematic"], agent.as_str());
    assert_eq!(lab.read(MACHINE, &now).await.text("image"), image);
    lab.stop().await;
}

#[tokio::test]
async fn a_machine_is_made_with_its_release() {
    let lab = TalosLab::start().await;
    let schematic = lab.schematic(&[]).await;
    lab.boot(11, "v1.12.4", &schematic).await;
    let text = lab.configuration(11, "v1.34.1", "").await;
    let image = installer(&schematic, "v1.13.9");
    let config = lab.of_machine(11, &text, json!({ "image": image }));
    let made = lab.apply(MACHINE, None, config).await;
    let made = made.unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(lab.machine(11)["version"], "v1.13.9");
    assert_eq!(lab.read(MACHINE, &made).await.value, made.value);
    lab.stop().await;
}

/// By one call up to 1.12, by steps of their own from 1.13 on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_system_that_does_not_start_makes_way_and_stops_the_rest() {
    for (old, new) in [("v1.12.4", "v1.12.11"), ("v1.13.2", "v1.13.9")] {
        let mut lab = TalosLab::start().await;
        let schematic = lab.schematic(&[]).await;
        let (mut machines, _) = lab.cluster(&PLANES, old, &schematic, "v1.34.1").await;
        let kubeconfig = lab.kubeconfig(11).await;
        lab.fault("talos.boot-fails", 1);
        let image = installer(&schematic, new);
        let (done, fewest) = together(&lab, &machines, &image, &kubeconfig).await;
        assert!(fewest >= 2, "{new}: only {fewest} were in service");
        let failures: Vec<String> = done
            .values()
            .map(|outcome| failed(outcome.as_ref().unwrap_err()))
            .collect();
        let came_back = format!("it came back with {old}");
        let of = |text: &str| failures.iter().filter(|f| f.contains(text)).count();
        assert!(of(&came_back) >= 1, "{failures:#?}");
        assert!(of("the new system did not start") >= 1, "{failures:#?}");
        assert_eq!(of("this one was not begun"), 2, "{failures:#?}");
        for (number, outcome) in done {
            assert_eq!(lab.machine(number)["version"], old, "{number}");
            let kept = outcome.unwrap_err().kept.unwrap();
            assert_eq!(kept.text("image"), installer(&schematic, old));
            machines.insert(number, kept);
        }
        assert_eq!(lab.members().len(), 3);
        lab.another_run().await;
        let (done, fewest) = together(&lab, &machines, &image, &kubeconfig).await;
        assert!(fewest >= 2, "{new}: only {fewest} were in service");
        for (number, outcome) in done {
            outcome.unwrap_or_else(|e| panic!("{number}: {}", failed(&e)));
            assert_eq!(lab.machine(number)["version"], new);
        }
        lab.stop().await;
    }
}

/// A pod on a node, and a budget that lets nobody evict it.
async fn held_pod(kubernetes: &Cluster, node: &str) -> ObjectRef {
    let cx = Context::detached();
    let labels = json!({ "app": "web" });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "web", "namespace": "default", "labels": labels },
        "spec": { "nodeName": node, "containers": [{ "name": "web", "image": "nginx" }] },
    });
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": { "name": "web", "namespace": "default" },
        "spec": { "minAvailable": 1, "selector": { "matchLabels": labels } },
    });
    for object in [&pod, &budget] {
        kubernetes.create(object, "somebody", &cx).await.unwrap();
    }
    let place = ObjectRef::of(&pod).unwrap();
    loop {
        let found = kubernetes.get(&place, &cx).await.unwrap().unwrap();
        if text(&found, &["status", "phase"]) == "Running" {
            return ObjectRef::of(&budget).unwrap();
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

async fn is_cordoned(kubernetes: &Cluster, name: &str) -> bool {
    let node = kubernetes.node(name, &Context::detached()).await;
    find(&node.unwrap().unwrap(), &["spec", "unschedulable"]).is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disruption_budget_is_waited_for_and_then_told() {
    let lab = TalosLab::start().await;
    let schematic = lab.schematic(&[]).await;
    let (machines, _) = lab
        .cluster(&[11, 21], "v1.13.2", &schematic, "v1.34.1")
        .await;
    let kubernetes = lab.kubernetes(11).await;
    let budget = held_pod(&kubernetes, "node-21").await;
    let kubeconfig = lab.kubeconfig(11).await;
    let wanted = |patience: &str| {
        let more: Json = json!({
            "image": installer(&schematic, "v1.13.9"), "kubeconfig": kubeconfig, "drain_on_upgrade": true,
            "timeouts": { "update": patience },
        });
        lab.of_machine(21, &machines[&21].text("machine_configuration"), more)
    };
    let before = lab.boot_id(21).await;
    let failure = lab
        .apply(MACHINE, Some(&machines[&21]), wanted("3s"))
        .await
        .unwrap_err();
    let said = failed(&failure);
    for part in [
        "the pods of node node-21 to be evicted",
        "default/web",
        "would violate the pod's disruption budget",
        "kubectl get pdb -A",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    // Nothing was restarted, and the node takes pods again.
    assert_eq!(lab.boot_id(21).await, before);
    assert!(!is_cordoned(&kubernetes, "node-21").await);
    let kept = failure.kept.unwrap();
    assert_eq!(kept.text("image"), installer(&schematic, "v1.13.2"));
    // The next time somebody lifts the budget while the provider waits.
    let earlier = lab.lines().len();
    let waits = || {
        let mut lines = lab.lines().into_iter().skip(earlier);
        lines.any(|line| line.contains("left: default/web"))
    };
    let lifted = async {
        while !waits() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(lab.machine(21)["version"], "v1.13.2");
        let gone = stead_sdk::kube::Propagation::Background;
        let cx = Context::detached();
        kubernetes.delete(&budget, gone, &cx).await.unwrap();
    };
    let (now, ()) = tokio::join!(lab.apply(MACHINE, Some(&kept), wanted("60s")), lifted);
    now.unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(lab.machine(21)["version"], "v1.13.9");
    assert!(!is_cordoned(&kubernetes, "node-21").await);
    lab.stop().await;
}

#[tokio::test]
async fn a_node_starts_through_the_firmware_where_that_is_asked_for() {
    for (old, new) in [("v1.12.4", "v1.12.11"), ("v1.13.2", "v1.13.9")] {
        let lab = TalosLab::start().await;
        let schematic = lab.schematic(&[]).await;
        let (machines, _) = lab.cluster(&[11, 21], old, &schematic, "v1.34.1").await;
        for (number, mode, expected) in [(11, "POWERCYCLE", 1), (21, "DEFAULT", 0)] {
            let text = machines[&number].text("machine_configuration");
            let more = json!({ "image": installer(&schematic, new), "reboot_mode": mode });
            lab.apply(
                MACHINE,
                Some(&machines[&number]),
                lab.of_machine(number, &text, more),
            )
            .await
            .unwrap_or_else(|e| panic!("{new}: {}", failed(&e)));
            assert_eq!(lab.machine(number)["version"], new);
            assert_eq!(lab.machine(number)["power_cycles"], expected, "{new}");
        }
        lab.stop().await;
    }
}
