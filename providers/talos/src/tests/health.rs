//! `talos_cluster_health`.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;

use super::kubeconfig::{archive, kubeconfig};
use super::node::{FakeNode, service};
use super::{Talos, administrator, first, secrets};
use crate::api::machine::EtcdMember;
use crate::api::specs::{Diagnostic, MachineStage, StaticPodStatus};
use crate::machinery::SecretsBundle;

const HEALTH: &str = "talos_cluster_health";

/// A healthy control plane of one.
async fn healthy(secrets: &SecretsBundle, config: &str) -> FakeNode {
    let node = FakeNode::configured(secrets, config).await;
    {
        let mut inside = node.inside();
        inside.services = vec![service("etcd", true), service("kubelet", true)];
        inside.members.push(EtcdMember {
            id: 7,
            hostname: "cp-1".to_owned(),
            ..Default::default()
        });
    }
    node
}

/// With no time at all, whatever is not right at the first look is the complaint.
fn config(node: &FakeNode, secrets: &SecretsBundle, skip: bool, timeout: &str) -> Json {
    json!({
        "endpoints": [node.address.to_string()],
        "control_plane_nodes": ["10.0.0.2"],
        "worker_nodes": ["10.0.0.3"],
        "client_configuration": administrator(secrets),
        "skip_kubernetes_checks": skip,
        "timeouts": { "read": timeout },
    })
}

#[tokio::test]
async fn talos_alone() {
    let secrets = secrets();
    let (talos, node) = (Talos::new().await, healthy(&secrets, "x").await);
    let mut config = config(&node, &secrets, true, "20s");
    // One that is down, first.
    let up = config["endpoints"][0].take();
    config["endpoints"] = json!(["127.0.0.1:1", up]);
    let read = talos.harness.data(HEALTH, config).await.unwrap();
    assert_eq!(read.get("id").unwrap().as_str(), Some("cluster_health"));
    assert_eq!(
        node.inside().calls,
        ["version node=10.0.0.2", "version node=10.0.0.3"]
    );
    assert!(talos.said("waiting for all nodes to finish booting"));
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let secrets = secrets();
    let node = healthy(&secrets, "x").await;
    let complaint = async |change: &dyn Fn(&FakeNode)| {
        change(&node);
        let talos = Talos::new().await;
        let found = talos
            .harness
            .data(HEALTH, config(&node, &secrets, true, "0s"))
            .await
            .unwrap_err();
        first(&found).detail.clone()
    };
    let said = complaint(&|n| n.inside().stage = MachineStage::Upgrading).await;
    assert!(said.contains("10.0.0.2 is upgrading"), "{said}");
    let said = complaint(&|n| n.inside().services[1] = service("kubelet", false)).await;
    assert!(
        said.contains("10.0.0.2: kubelet is not healthy: not yet"),
        "{said}"
    );
    let diagnostic = Diagnostic {
        message: "address overlap".to_owned(),
        details: vec!["10.0.0.0/24".to_owned()],
    };
    let said = complaint(&|n| n.inside().diagnostics.push(diagnostic.clone())).await;
    assert!(said.contains("address overlap 10.0.0.0/24"), "{said}");
    let said = complaint(&|n| {
        let more = EtcdMember {
            id: 8,
            hostname: "cp-2".to_owned(),
            ..Default::default()
        };
        n.inside().members.push(more);
    })
    .await;
    assert!(
        said.contains("etcd has 2 members for 1 control plane nodes"),
        "{said}"
    );
    let said = complaint(&|n| n.inside().services[0].state = "Preparing".to_owned()).await;
    assert!(said.contains("etcd is preparing"), "{said}");
}

/// A Kubernetes API with fixed answers.
#[derive(Clone)]
struct Kubernetes(Arc<Mutex<Vec<(&'static str, Json)>>>);

impl Kubernetes {
    async fn start(answers: Vec<(&'static str, Json)>) -> (Kubernetes, String) {
        let kubernetes = Kubernetes(Arc::new(Mutex::new(answers)));
        let answer = async |State(this): State<Kubernetes>, request: Request| {
            let asked = request.uri().to_string();
            let answers = this.0.lock().unwrap();
            let (_, items) = answers
                .iter()
                .find(|(path, _)| *path == asked)
                .unwrap_or_else(|| panic!("{asked}"));
            json!({ "items": items }).to_string()
        };
        let app = Router::new()
            .fallback(answer)
            .with_state(kubernetes.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (kubernetes, url)
    }

    fn set(&self, path: &str, pointer: &str, value: Json) {
        let mut answers = self.0.lock().unwrap();
        let (_, items) = answers.iter_mut().find(|(p, _)| *p == path).unwrap();
        *items.pointer_mut(pointer).unwrap() = value;
    }
}

const NODES: &str = "/api/v1/nodes";
const PROXY: &str =
    "/apis/apps/v1/namespaces/kube-system/daemonsets?labelSelector=k8s-app%3Dkube-proxy";
const DNS: &str =
    "/apis/apps/v1/namespaces/kube-system/deployments?labelSelector=k8s-app%3Dkube-dns";
const DNS_PODS: &str = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns";

fn answers() -> Vec<(&'static str, Json)> {
    let ready = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
    let node = |name: &str, address: &str, labels: Json| {
        json!({
            "metadata": { "name": name, "labels": labels },
            "spec": {},
            "status": {
                "addresses": [{ "type": "InternalIP", "address": address }],
                "conditions": ready["conditions"],
            },
        })
    };
    let control_plane = json!({ "node-role.kubernetes.io/control-plane": "" });
    vec![
        (
            NODES,
            json!([
                node("cp-1", "10.0.0.2", control_plane),
                node("w-1", "10.0.0.3", json!({}))
            ]),
        ),
        (PROXY, json!([])),
        (
            DNS,
            json!([{ "metadata": { "name": "coredns" }, "spec": { "replicas": 2 } }]),
        ),
        (DNS_PODS, json!([{ "status": ready }, { "status": ready }])),
    ]
}

fn static_pod(ready: &str) -> StaticPodStatus {
    use prost_types::value::Kind;
    let value = |kind| prost_types::Value { kind: Some(kind) };
    let text = |t: &str| value(Kind::StringValue(t.to_owned()));
    let structure = |pairs: Vec<(&str, prost_types::Value)>| prost_types::Struct {
        fields: pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
    };
    let condition = structure(vec![("type", text("Ready")), ("status", text(ready))]);
    let list = prost_types::ListValue {
        values: vec![value(Kind::StructValue(condition))],
    };
    StaticPodStatus {
        pod_status: Some(structure(vec![(
            "conditions",
            value(Kind::ListValue(list)),
        )])),
    }
}

async fn with_kubernetes(secrets: &SecretsBundle, config: &str) -> (FakeNode, Kubernetes) {
    let node = healthy(secrets, config).await;
    let (kubernetes, url) = Kubernetes::start(answers()).await;
    let pods = [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ];
    let mut inside = node.inside();
    inside.kubeconfig = archive(&kubeconfig(secrets, &url, 1));
    inside.static_pods = pods
        .iter()
        .map(|p| (format!("kube-system/{p}-cp-1"), static_pod("True")))
        .collect();
    drop(inside);
    (node, kubernetes)
}

#[tokio::test]
async fn talos_and_kubernetes() {
    let secrets = secrets();
    let (node, kubernetes) = with_kubernetes(&secrets, "version: v1alpha1\n").await;
    let complaint = async || {
        let talos = Talos::new().await;
        let read = talos
            .harness
            .data(HEALTH, config(&node, &secrets, false, "0s"))
            .await;
        read.err()
            .map(|found| first(&found).detail.clone())
            .unwrap_or_default()
    };
    assert_eq!(complaint().await, "");
    kubernetes.set(NODES, "/1/spec", json!({ "unschedulable": true }));
    assert!(complaint().await.contains("not schedulable yet: w-1"));
    kubernetes.set(DNS_PODS, "/0/status", json!({}));
    assert!(complaint().await.contains("1 of 2 pods are ready"));
    kubernetes.set(NODES, "/0/status/conditions/0/status", json!("False"));
    assert!(complaint().await.contains("not ready yet: cp-1"));
    kubernetes.set(NODES, "/0/metadata/labels", json!({}));
    assert!(complaint().await.contains("not labelled yet: 10.0.0.2"));
    node.inside().static_pods[1].1 = static_pod("False");
    assert!(
        complaint()
            .await
            .contains("kube-controller-manager is not ready")
    );
    kubernetes.set(NODES, "/1/status/addresses", json!([]));
    assert!(complaint().await.contains("not there yet: 10.0.0.3"));
}

#[tokio::test]
async fn a_network_of_ones_own_is_not_waited_for() {
    let secrets = secrets();
    let text = "version: v1alpha1\ncluster:\n    network:\n        cni:\n            name: none\n";
    let (node, kubernetes) = with_kubernetes(&secrets, text).await;
    kubernetes.set(NODES, "/0/status/conditions/0/status", json!("False"));
    let talos = Talos::new().await;
    talos
        .harness
        .data(HEALTH, config(&node, &secrets, false, "20s"))
        .await
        .unwrap();
}
