//! `talos_cluster`: the bootstrap, and another version of Kubernetes.

use serde_json::json;
use stead_meeting::talos::TalosLab;
use stead_sdk::Context;
use stead_sdk::kube::{ObjectRef, text};

use super::{CLUSTER, MACHINE, failed, said};

const PLANES: [u8; 3] = [11, 12, 13];

/// What Talos itself has in Kubernetes.
fn own(kind: &str, name: &str) -> ObjectRef {
    ObjectRef::new("apps/v1", kind, Some("kube-system"), name)
}

async fn image(lab: &TalosLab, object: &ObjectRef) -> String {
    let found = lab.kubernetes(11).await;
    let found = found.get(object, &Context::detached()).await.unwrap();
    let image = &found.unwrap()["spec"]["template"]["spec"]["containers"][0]["image"];
    image.as_str().unwrap().to_owned()
}

async fn kubelets(lab: &TalosLab) -> Vec<String> {
    let cluster = lab.kubernetes(11).await;
    let nodes = cluster.list("v1", "Node", None, &Context::detached()).await;
    let version = |node| text(node, &["status", "nodeInfo", "kubeletVersion"]).to_owned();
    nodes.unwrap().iter().map(version).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubernetes_is_renewed_component_by_component() {
    let lab = TalosLab::start().await;
    let numbers = [11, 12, 13, 21];
    let (machines, cluster) = lab.cluster(&numbers, "v1.13.9", "", "v1.34.1").await;
    assert!(lab.said("waiting for the etcd members to be the control plane nodes"));
    let read = lab.read(CLUSTER, &cluster).await;
    assert_eq!(read.value, cluster.value);
    let proxy = own("DaemonSet", "kube-proxy");
    assert_eq!(
        image(&lab, &proxy).await,
        "registry.k8s.io/kube-proxy:v1.34.1"
    );
    let config = lab.of_cluster(&PLANES, "v1.35.4");
    let now = lab.apply(CLUSTER, Some(&read), config).await;
    let now = now.unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(
        image(&lab, &proxy).await,
        "registry.k8s.io/kube-proxy:v1.35.4"
    );
    assert_eq!(now.text("kubernetes_version"), "v1.35.4");
    assert_eq!(lab.read(CLUSTER, &now).await.value, now.value);
    assert_eq!(kubelets(&lab).await, vec!["v1.35.4"; 4]);
    // In this order.
    let lines = lab.lines();
    let at = |text: &str| {
        let found = lines.iter().position(|line| line.starts_with(text));
        found.unwrap_or_else(|| panic!("{text}: {lines:#?}"))
    };
    let order = [
        "kube-apiserver 1 of 3",
        "kube-apiserver 3 of 3",
        "kube-controller-manager 1 of 3",
        "kube-scheduler 1 of 3",
        "kube-proxy: all nodes",
        "kubelet 1 of 4",
        "kubelet 4 of 4",
    ];
    let places: Vec<usize> = order.iter().map(|text| at(text)).collect();
    assert!(places.is_sorted(), "{places:?}");
    // To the machines the images have drifted.
    let drifted = lab.read(MACHINE, &machines[&11]).await;
    assert_ne!(
        drifted.text("machine_configuration_hash"),
        machines[&11].text("machine_configuration_hash")
    );
    lab.stop().await;
}

/// Talos makes its own objects once. What another release or configuration has in their place comes with an upgrade.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_renews_what_talos_brought() {
    let lab = TalosLab::start().await;
    let (machines, cluster) = lab.cluster(&[11], "v1.13.9", "", "v1.34.1").await;
    let (dns, network) = (
        own("Deployment", "coredns"),
        own("DaemonSet", "kube-flannel"),
    );
    let stock = image(&lab, &dns).await;
    assert!(
        stock.starts_with("registry.k8s.io/coredns/coredns:v1.14"),
        "{stock}"
    );
    let patch = "cluster:\n  coreDNS:\n    image: mirror.lab/coredns:v9\n";
    let text = lab.configuration(11, "v1.34.1", patch).await;
    let config = lab.of_machine(11, &text, json!({}));
    let done = lab.apply(MACHINE, Some(&machines[&11]), config).await;
    done.unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(image(&lab, &dns).await, stock);
    // Somebody has a Corefile of their own, and a network plugin from elsewhere.
    let (kubernetes, cx) = (lab.kubernetes(11).await, Context::detached());
    let corefile = ObjectRef::new("v1", "ConfigMap", Some("kube-system"), "coredns");
    let theirs = json!({ "data": { "Corefile": ".:53 { forward . 10.0.0.1 }" } });
    let changed = kubernetes.merge(&corefile, &theirs, "kubectl-edit", &cx);
    changed.await.unwrap();
    let theirs = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "kube-flannel", "image": "mirror.lab/flannel:v2" }] } } } });
    let changed = kubernetes.merge(&network, &theirs, "argocd-controller", &cx);
    changed.await.unwrap();
    let config = lab.of_cluster(&[11], "v1.35.4");
    let now = lab.apply(CLUSTER, Some(&cluster), config).await;
    now.unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(image(&lab, &dns).await, "mirror.lab/coredns:v9");
    assert!(
        lab.said("Deployment kube-system/coredns: renewed"),
        "{:#?}",
        lab.lines()
    );
    assert!(
        !lab.said("Service kube-system/kube-dns: renewed"),
        "{:#?}",
        lab.lines()
    );
    let found = kubernetes.get(&corefile, &cx).await.unwrap().unwrap();
    assert_eq!(found["data"]["Corefile"], ".:53 { forward . 10.0.0.1 }");
    assert_eq!(image(&lab, &network).await, "mirror.lab/flannel:v2");
    lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_that_stopped_half_way_goes_on() {
    let lab = TalosLab::start().await;
    let numbers = [11, 12, 13, 21];
    let (machines, cluster) = lab.cluster(&numbers, "v1.13.9", "", "v1.34.1").await;
    // The control plane is done, the worker is not.
    for number in PLANES {
        let text = lab.configuration(number, "v1.35.4", "").await;
        let config = lab.of_machine(number, &text, json!({}));
        let done = lab.apply(MACHINE, Some(&machines[&number]), config).await;
        done.unwrap_or_else(|e| panic!("{}", failed(&e)));
    }
    let read = lab.read(CLUSTER, &cluster).await;
    assert_eq!(read.text("kubernetes_version"), "v1.34.1");
    let config = lab.of_cluster(&PLANES, "v1.35.4");
    let now = lab.apply(CLUSTER, Some(&read), config).await;
    let now = now.unwrap_or_else(|e| panic!("{}", failed(&e)));
    assert_eq!(kubelets(&lab).await, vec!["v1.35.4"; 4]);
    assert!(lab.said("kubelet 4 of 4: node-21 from v1.34.1 to v1.35.4"));
    assert!(!lab.said("kube-apiserver 1 of 3"), "{:#?}", lab.lines());
    assert_eq!(lab.read(CLUSTER, &now).await.value, now.value);
    lab.stop().await;
}

#[tokio::test]
async fn a_skipped_minor_version_and_what_talos_does_not_run_are_refused() {
    let lab = TalosLab::start().await;
    let (_, cluster) = lab.cluster(&[11], "v1.11.2", "", "v1.34.1").await;
    let skipping = lab
        .provider
        .config(CLUSTER, lab.of_cluster(&[11], "v1.36.3"));
    let refused = lab
        .provider
        .plan(CLUSTER, Some(&cluster), &skipping.unwrap())
        .await;
    let text = said(&refused.unwrap_err());
    assert!(text.contains("latest v1.35 first"), "{text}");
    let newer = lab.of_cluster(&[11], "v1.35.4");
    let failure = lab.apply(CLUSTER, Some(&cluster), newer).await.unwrap_err();
    assert!(
        failed(&failure).contains("Talos v1.11 runs v1.29 to v1.34"),
        "{}",
        failed(&failure)
    );
    lab.stop().await;
}

#[tokio::test]
async fn a_version_that_others_changed_shows() {
    let lab = TalosLab::start().await;
    let (machines, cluster) = lab.cluster(&[11], "v1.13.9", "", "v1.35.4").await;
    let older = lab.configuration(11, "v1.34.1", "").await;
    let config = lab.of_machine(11, &older, json!({}));
    lab.apply(MACHINE, Some(&machines[&11]), config)
        .await
        .unwrap();
    let read = lab.read(CLUSTER, &cluster).await;
    assert_eq!(read.text("kubernetes_version"), "v1.34.1");
    lab.stop().await;
}
