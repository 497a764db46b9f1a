//! `talos_cluster_kubeconfig`.

use std::io::Write;
use std::time::{Duration, SystemTime};

use serde_json::{Value as Json, json};
use tonic::Status;

use super::node::FakeNode;
use super::{Talos, administrator, first, secrets};
use crate::blocks::encode_pem;
use crate::machinery::{Kubeconfig, SecretsBundle};

const KUBECONFIG: &str = "talos_cluster_kubeconfig";

pub(super) fn kubeconfig(secrets: &SecretsBundle, server: &str, days: u64) -> Kubeconfig {
    let ttl = Duration::from_secs(days * 24 * 3600);
    secrets
        .kubeconfig("lab", server, ttl, &mut rand::rng(), SystemTime::now())
        .unwrap()
}

/// A tar.gz as nodes stream it: without the blocks that close a tar.
pub(super) fn archive(kubeconfig: &Kubeconfig) -> Vec<u8> {
    let text = kubeconfig.to_yaml();
    let mut tar = vec![0; 512];
    tar[..10].copy_from_slice(b"kubeconfig");
    tar[124..135].copy_from_slice(format!("{:011o}", text.expose().len()).as_bytes());
    tar[156] = b'0';
    tar.extend_from_slice(text.expose().as_bytes());
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    gz.finish().unwrap()
}

fn config(node: &FakeNode, secrets: &SecretsBundle) -> Json {
    json!({
        "node": "127.0.0.1",
        "endpoint": node.address.to_string(),
        "client_configuration": administrator(secrets),
        "timeouts": { "create": "20s" },
    })
}

#[tokio::test]
async fn the_parts_are_those_of_the_file() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, "x").await,
    );
    let expected = kubeconfig(&secrets, "https://10.0.0.10:6443", 365);
    node.inside().kubeconfig = archive(&expected);
    node.inside()
        .refusals
        .push_back(Status::internal("not generated yet"));
    let config = config(&node, &secrets);
    let made = talos
        .harness
        .apply(KUBECONFIG, None, config.clone())
        .await
        .unwrap();
    assert_eq!(made.text("id"), "lab");
    assert_eq!(made.text("kubeconfig_raw"), expected.to_yaml().expose());
    let parts = made.attribute("kubernetes_client_configuration");
    let part = |name: &str| parts.get(name).unwrap().as_str().unwrap().to_owned();
    assert_eq!(part("host"), "https://10.0.0.10:6443");
    assert_eq!(part("ca_certificate"), encode_pem(&secrets.certs.k8s.cert));
    assert_eq!(
        part("client_certificate"),
        encode_pem(&expected.user.certificate)
    );
    assert_eq!(part("client_key"), encode_pem(expected.user.key.expose()));
    let config = talos.harness.config(KUBECONFIG, config).unwrap();
    let plan = talos
        .harness
        .plan(KUBECONFIG, Some(&made), &config)
        .await
        .unwrap();
    assert_eq!(plan.planned, made.value);
    assert_eq!(node.count("kubeconfig"), 2);
}

#[tokio::test]
async fn it_is_renewed_in_time_and_for_new_secrets() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, "x").await,
    );
    node.inside().kubeconfig = archive(&kubeconfig(&secrets, "https://10.0.0.10:6443", 40));
    let mut config = config(&node, &secrets);
    let made = talos
        .harness
        .apply(KUBECONFIG, None, config.clone())
        .await
        .unwrap();
    config["certificate_renewal_duration"] = json!("1000h");
    let longer = talos.harness.config(KUBECONFIG, config.clone()).unwrap();
    let plan = talos
        .harness
        .plan(KUBECONFIG, Some(&made), &longer)
        .await
        .unwrap();
    assert!(!plan.planned.get("kubeconfig_raw").unwrap().is_known());
    node.inside().kubeconfig = archive(&kubeconfig(&secrets, "https://10.0.0.11:6443", 365));
    let renewed = talos
        .harness
        .apply(KUBECONFIG, Some(&made), config.clone())
        .await
        .unwrap();
    assert!(renewed.text("kubeconfig_raw").contains("10.0.0.11"));
    // New secrets are a new cluster.
    config["client_configuration"] = administrator(&super::secrets());
    let other = talos.harness.config(KUBECONFIG, config.clone()).unwrap();
    let plan = talos
        .harness
        .plan(KUBECONFIG, Some(&renewed), &other)
        .await
        .unwrap();
    assert!(
        !plan
            .planned
            .get("kubernetes_client_configuration")
            .unwrap()
            .is_known()
    );
    config["certificate_renewal_duration"] = json!("a while");
    let bad = talos.harness.config(KUBECONFIG, config).unwrap();
    let found = talos
        .harness
        .plan(KUBECONFIG, Some(&renewed), &bad)
        .await
        .unwrap_err();
    assert_eq!(
        first(&found).attribute.as_ref().unwrap().to_string(),
        "certificate_renewal_duration"
    );
}

#[tokio::test]
async fn a_worker_has_none() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, "x").await,
    );
    node.inside().refusals.push_back(Status::unimplemented(
        "kubeconfig is only available on control plane nodes",
    ));
    let failure = talos
        .harness
        .apply(KUBECONFIG, None, config(&node, &secrets))
        .await
        .unwrap_err();
    assert!(
        first(&failure.diagnostics)
            .detail
            .contains("only available on control plane nodes")
    );
    assert_eq!(node.count("kubeconfig"), 1);
}

#[tokio::test]
async fn the_data_source_asks_the_node_each_time() {
    let secrets = secrets();
    let (talos, node) = (
        Talos::new().await,
        FakeNode::configured(&secrets, "x").await,
    );
    let expected = kubeconfig(&secrets, "https://10.0.0.10:6443", 365);
    node.inside().kubeconfig = archive(&expected);
    let mut config = config(&node, &secrets);
    config["timeouts"] = json!({ "read": "20s" });
    for _ in 0..2 {
        let found = talos
            .harness
            .data(KUBECONFIG, config.clone())
            .await
            .unwrap();
        let text = |name: &str| found.get(name).unwrap().as_str().unwrap().to_owned();
        assert_eq!(text("id"), "lab");
        assert_eq!(text("kubeconfig_raw"), expected.to_yaml().expose());
        let parts = found.get("kubernetes_client_configuration").unwrap();
        let host = parts.get("host").unwrap();
        assert_eq!(host.as_str(), Some("https://10.0.0.10:6443"));
    }
    assert_eq!(node.count("kubeconfig"), 2);
}
