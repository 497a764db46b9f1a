//! The checks of Kubernetes, by its API and by what the nodes know of their static pods.
//!
//! Facts: siderolabs/talos `pkg/cluster/check`, `K8sComponentsReadinessChecks` and `DefaultClusterChecks`.

use serde_json::Value as Json;
use stead_sdk::value::Sensitive;
use stead_sdk::wait::{Poll, Polling, until};
use stead_sdk::{ClientIdentity, Context, Dialer, Error, HttpOptions, Roots, TlsOptions};

use super::nodes::{Cluster, attempt};
use crate::machinery::{Kubeconfig, leaves_network_to_user};
use crate::resources::fetch_kubeconfig;

/// The label of control plane nodes.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";
const STATIC_PODS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

/// Kubernetes may be away while it starts.
fn polling() -> Polling {
    crate::node::polling().tolerating_transient()
}

/// The Kubernetes API, as the cluster's administrator.
struct Kubernetes<'a> {
    dialer: &'a Dialer,
    http: reqwest::Client,
    server: String,
}

pub(super) async fn check(dialer: &Dialer, cluster: &Cluster, cx: &Context) -> Result<(), Error> {
    let api = Kubernetes::connect(dialer, cluster, cx).await?;
    until(cx, "all nodes to report to Kubernetes", polling(), || {
        nodes_report(&api, cluster)
    })
    .await?;
    until(cx, "the control plane's pods to run", polling(), || {
        static_pods_run(cluster)
    })
    .await?;
    until(
        cx,
        "the control plane nodes to be labelled",
        polling(),
        || control_plane_is_labelled(&api, cluster),
    )
    .await?;
    if network_is_left_to_user(cluster, cx).await? {
        // Without a network plugin of Talos' own, nodes and DNS become ready when something else brings one.
        return Ok(());
    }
    until(cx, "all Kubernetes nodes to be ready", polling(), || {
        nodes_are(&api, "ready", is_ready)
    })
    .await?;
    for (name, kind, label) in [
        ("kube-proxy", "daemonsets", "k8s-app=kube-proxy"),
        ("CoreDNS", "deployments", "k8s-app=kube-dns"),
    ] {
        until(cx, &format!("{name} to be ready"), polling(), || {
            pods_are_ready(&api, kind, label)
        })
        .await?;
    }
    until(
        cx,
        "all Kubernetes nodes to be schedulable",
        polling(),
        || {
            nodes_are(&api, "schedulable", |node| {
                node.pointer("/spec/unschedulable").and_then(Json::as_bool) != Some(true)
            })
        },
    )
    .await
}

impl<'a> Kubernetes<'a> {
    async fn connect(
        dialer: &'a Dialer,
        cluster: &Cluster,
        cx: &Context,
    ) -> Result<Kubernetes<'a>, Error> {
        let text = fetch_kubeconfig(cluster.entry()?, cx).await?;
        let kubeconfig = Kubeconfig::from_yaml(text.expose())
            .map_err(|e| Error::new("read the cluster's kubeconfig", e.to_string()))?;
        let options = HttpOptions {
            tls: TlsOptions {
                roots: Roots::Only(kubeconfig.ca_certificate),
                identity: Some(ClientIdentity {
                    certificates: kubeconfig.user.certificate,
                    key: Sensitive::new(kubeconfig.user.key.expose().to_owned()),
                }),
                ..TlsOptions::default()
            },
            ..HttpOptions::default()
        };
        Ok(Kubernetes {
            dialer,
            http: dialer.http(&options)?,
            server: kubeconfig.server.trim_end_matches('/').to_owned(),
        })
    }

    async fn list(&self, path: &str, selector: Option<&str>) -> Result<Vec<Json>, Error> {
        let url = format!("{}{path}", self.server);
        let asked = format!("ask Kubernetes (GET {url})");
        let mut request = self.http.get(&url);
        if let Some(selector) = selector {
            request = request.query(&[("labelSelector", selector)]);
        }
        let response = self.dialer.send(request).await?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|e| stead_sdk::http_error(&asked, e))?;
        if !status.is_success() {
            // While it starts, the API server refuses everybody.
            let error = Error::http(status.as_u16(), asked, status.to_string());
            return Err(error.with_kind(stead_sdk::ErrorKind::Transient));
        }
        let mut answer: Json = serde_json::from_slice(&body)
            .map_err(|e| Error::transient(asked, format!("the answer is not JSON: {e}")))?;
        Ok(match answer.get_mut("items").map(Json::take) {
            Some(Json::Array(items)) => items,
            _ => Vec::new(),
        })
    }

    async fn nodes(&self) -> Result<Vec<Json>, Error> {
        self.list("/api/v1/nodes", None).await
    }
}

fn name(object: &Json) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Json::as_str)
        .unwrap_or_default()
}

/// Whether a Kubernetes node is the machine at an address.
fn is_at(node: &Json, address: &str) -> bool {
    let addresses = node.pointer("/status/addresses").and_then(Json::as_array);
    let mut addresses = addresses.into_iter().flatten();
    addresses.any(|a| a.get("address").and_then(Json::as_str) == Some(address))
        || name(node) == address
}

/// Whether the condition `Ready` of a node or pod is true.
fn is_ready(object: &Json) -> bool {
    let conditions = object
        .pointer("/status/conditions")
        .and_then(Json::as_array);
    let text = |c: &Json, key: &str| c.get(key).and_then(Json::as_str).map(str::to_owned);
    conditions.into_iter().flatten().any(|c| {
        text(c, "type").as_deref() == Some("Ready") && text(c, "status").as_deref() == Some("True")
    })
}

async fn nodes_report(api: &Kubernetes<'_>, cluster: &Cluster) -> Result<Poll<()>, Error> {
    let nodes = api.nodes().await?;
    let missing: Vec<&str> = cluster
        .all()
        .filter(|address| !nodes.iter().any(|n| is_at(n, address)))
        .collect();
    Ok(pending_unless_empty("not there yet", &missing))
}

async fn control_plane_is_labelled(
    api: &Kubernetes<'_>,
    cluster: &Cluster,
) -> Result<Poll<()>, Error> {
    let nodes = api.nodes().await?;
    let labelled = |node: &Json| {
        let labels = node.pointer("/metadata/labels");
        labels.is_some_and(|l| l.get(CONTROL_PLANE).is_some())
    };
    let missing: Vec<&str> = cluster
        .control_plane
        .iter()
        .map(String::as_str)
        .filter(|address| !nodes.iter().any(|n| is_at(n, address) && labelled(n)))
        .collect();
    Ok(pending_unless_empty("not labelled yet", &missing))
}

async fn nodes_are(
    api: &Kubernetes<'_>,
    what: &str,
    test: impl Fn(&Json) -> bool,
) -> Result<Poll<()>, Error> {
    let nodes = api.nodes().await?;
    let others: Vec<&str> = nodes.iter().filter(|n| !test(n)).map(name).collect();
    Ok(pending_unless_empty(&format!("not {what} yet"), &others))
}

fn pending_unless_empty(what: &str, names: &[&str]) -> Poll<()> {
    if names.is_empty() {
        Poll::Ready(())
    } else {
        Poll::PendingBecause(format!("{what}: {}", names.join(", ")))
    }
}

/// The API server, controller manager and scheduler of every control plane node, as the node's kubelet reports them.
async fn static_pods_run(cluster: &Cluster) -> Result<Poll<()>, Error> {
    for node in &cluster.control_plane {
        let pods = attempt!(cluster, node, cluster.api(node)?.static_pods());
        for wanted in STATIC_PODS {
            let prefix = format!("kube-system/{wanted}-");
            let found = pods.iter().find(|(id, _)| id.starts_with(&prefix));
            let ready = found.is_some_and(|(_, pod)| pod.is_ready());
            if !ready {
                return Ok(Poll::PendingBecause(format!(
                    "{node}: {wanted} is not ready"
                )));
            }
        }
    }
    Ok(Poll::Ready(()))
}

/// A workload of `kube-system` that need not exist, but must be ready when it does.
async fn pods_are_ready(
    api: &Kubernetes<'_>,
    kind: &str,
    selector: &str,
) -> Result<Poll<()>, Error> {
    let path = format!("/apis/apps/v1/namespaces/kube-system/{kind}");
    let owners = api.list(&path, Some(selector)).await?;
    let wanted: u64 = owners
        .iter()
        .filter_map(|owner| {
            let desired = owner.pointer("/status/desiredNumberScheduled");
            desired
                .or(owner.pointer("/spec/replicas"))
                .and_then(Json::as_u64)
        })
        .sum();
    if owners.is_empty() || wanted == 0 {
        return Ok(Poll::Ready(()));
    }
    let pods = api
        .list("/api/v1/namespaces/kube-system/pods", Some(selector))
        .await?;
    let ready = pods.iter().filter(|p| is_ready(p)).count();
    if u64::try_from(ready).unwrap_or(u64::MAX) < wanted {
        return Ok(Poll::PendingBecause(format!(
            "{ready} of {wanted} pods are ready"
        )));
    }
    Ok(Poll::Ready(()))
}

async fn network_is_left_to_user(cluster: &Cluster, cx: &Context) -> Result<bool, Error> {
    until(cx, "the network configuration", polling(), || async {
        let Some(node) = cluster.control_plane.first() else {
            return Ok(Poll::Ready(false));
        };
        let config = attempt!(cluster, node, cluster.api(node)?.machine_config("v1alpha1"));
        let text = config.as_ref().map(|c| c.expose()).unwrap_or_default();
        Ok(Poll::Ready(leaves_network_to_user(text)))
    })
    .await
}
