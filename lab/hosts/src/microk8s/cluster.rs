//! The cluster behind MicroK8s: certificates, start and stop.

use std::collections::BTreeMap;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use stead_lab_core::cluster::{Cluster, ClusterSpec, NodeSpec};

use super::members;
use crate::host::Host;
use crate::state::{Member, MicroK8s};

/// The API server's port on every node.
pub(crate) const API_PORT: u16 = 16443;

/// The id of the cluster that was born on a host.
pub(crate) fn id(host: &str) -> String {
    format!("microk8s/{host}")
}

/// A cluster of this host alone, with certificates of its own.
pub(crate) fn fresh(host: &Host) -> Result<MicroK8s, String> {
    let text = |e: rcgen::Error| e.to_string();
    let key = KeyPair::generate().map_err(text)?;
    let ca_key_pem = key.serialize_pem();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "10.152.183.1");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let ca = CertifiedIssuer::self_signed(params, key).map_err(text)?;
    let admin_key = KeyPair::generate().map_err(text)?;
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "admin");
    params
        .distinguished_name
        .push(DnType::OrganizationName, "system:masters");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let admin = params.signed_by(&admin_key, &*ca).map_err(text)?;
    Ok(MicroK8s {
        ca_certificate_pem: ca.pem(),
        ca_key_pem,
        ca_der: ca.der().to_vec(),
        admin_certificate_pem: admin.pem(),
        admin_key_pem: admin_key.serialize_pem(),
        cluster_of: host.spec.name.clone(),
        members: vec![Member {
            host: host.spec.name.clone(),
            address: host.address(),
            worker: false,
        }],
        ..MicroK8s::default()
    })
}

/// The running cluster that a host belongs to.
pub(crate) async fn open(host: &Arc<Host>) -> Result<Arc<dyn Cluster>, String> {
    let (owner, mine) = {
        let state = host.shared.state();
        let own = state
            .hosts
            .get(&host.spec.name)
            .and_then(|h| h.microk8s.clone());
        let owner = own
            .map(|m| m.cluster_of)
            .ok_or("microk8s is not installed")?;
        let mine = state
            .hosts
            .get(&owner)
            .and_then(|h| h.microk8s.clone())
            .ok_or("the cluster's first node is gone")?;
        (owner, mine)
    };
    let version = host
        .with(|s| s.snaps.get("microk8s").map(|p| p.version.clone()))
        .ok_or("microk8s is not installed")?;
    let mut names: Vec<String> = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "10.152.183.1",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend(members(host).into_iter().flat_map(|m| [m.address, m.host]));
    names.extend(mine.extra_sans.clone());
    let spec = ClusterSpec {
        id: id(&owner),
        name: "microk8s-cluster".to_owned(),
        ca_certificate_pem: mine.ca_certificate_pem,
        ca_key_pem: mine.ca_key_pem,
        kubernetes_version: version,
        certificate_names: names,
        // Calico comes with the distribution.
        needs_cni: false,
    };
    host.shared
        .clusters
        .start(spec)
        .await
        .map_err(|e| e.to_string())
}

/// The node that this host is.
pub(crate) fn node(host: &Host, worker: bool, version: &str) -> NodeSpec {
    let mut labels = BTreeMap::from([("microk8s.io/cluster".to_owned(), "true".to_owned())]);
    let role = if worker {
        "node.kubernetes.io/microk8s-worker"
    } else {
        "node.kubernetes.io/microk8s-controlplane"
    };
    labels.insert(
        role.to_owned(),
        role.rsplit('/').next().unwrap_or_default().to_owned(),
    );
    NodeSpec {
        name: host.spec.hostname.clone(),
        address: host.address(),
        control_plane: !worker,
        kubelet_version: version.to_owned(),
        os_image: "Ubuntu 24.04.3 LTS".to_owned(),
        labels,
        cpu: host.spec.cores,
        memory_mib: host.spec.memory_mib,
    }
}

/// Starts the services: the API answers at this node, the kubelet reports.
pub(crate) async fn start(host: &Arc<Host>) -> Result<(), String> {
    let cluster = open(host).await?;
    let (worker, version) = host.with(|s| {
        (
            s.microk8s.as_ref().is_some_and(|m| m.worker),
            s.snaps
                .get("microk8s")
                .map(|p| p.version.clone())
                .unwrap_or_default(),
        )
    });
    let network = &host.shared.lab.network;
    if !worker {
        for name in [host.address(), host.spec.hostname.clone()] {
            network.route(&name, API_PORT, cluster.api_address());
        }
    }
    cluster.node_joined(node(host, worker, &version)).await;
    host.with(|s| s.microk8s.as_mut().map(|m| m.running = true));
    Ok(())
}

/// Stops the services.
pub(crate) async fn stop(host: &Arc<Host>) {
    let running = host.with(|s| {
        s.microk8s
            .as_mut()
            .is_some_and(|m| std::mem::take(&mut m.running))
    });
    if !running {
        return;
    }
    silence(host).await;
}

/// The node is not heard any more (stopped, or its host is off); whether MicroK8s is to run is another matter.
pub(crate) async fn silence(host: &Arc<Host>) {
    for name in [host.address(), host.spec.hostname.clone()] {
        host.shared.lab.network.release(&name, API_PORT);
    }
    if let Ok(cluster) = open(host).await {
        cluster.node_stopped(&host.spec.hostname).await;
    }
}
