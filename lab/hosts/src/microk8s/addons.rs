//! Addons: which exist, and what enabling one puts into the cluster.

use std::sync::Arc;

use super::cluster;
use crate::host::Host;
use crate::shell::Output;

/// An addon of the core repository.
pub(super) struct Addon {
    pub name: &'static str,
    pub description: &'static str,
    pub version: &'static str,
    /// Namespace and Deployments (`name=image`) that it runs; empty: it changes the control plane or adds a command.
    workloads: &'static [(&'static str, &'static str, &'static str)],
    /// Further manifests.
    extra: &'static str,
    simulated: bool,
}

const fn addon(
    name: &'static str,
    description: &'static str,
    version: &'static str,
    workloads: &'static [(&'static str, &'static str, &'static str)],
    extra: &'static str,
) -> Addon {
    Addon {
        name,
        description,
        version,
        workloads,
        extra,
        simulated: true,
    }
}

const fn missing(name: &'static str, description: &'static str) -> Addon {
    Addon {
        name,
        description,
        version: "",
        workloads: &[],
        extra: "",
        simulated: false,
    }
}

const STORAGE_CLASS: &str = "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata:\n  name: microk8s-hostpath\n  annotations:\n    storageclass.kubernetes.io/is-default-class: \"true\"\nprovisioner: microk8s.io/hostpath\nreclaimPolicy: Delete\nvolumeBindingMode: WaitForFirstConsumer\n";
const INGRESS_CLASS: &str = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata:\n  name: public\nspec:\n  controller: k8s.io/ingress-nginx\n";

/// The core repository's addons.
pub(super) const ADDONS: &[Addon] = &[
    addon(
        "cert-manager",
        "(core) Cloud native certificate management",
        "1.14.5",
        &[(
            "cert-manager",
            "cert-manager",
            "quay.io/jetstack/cert-manager-controller:v1.14.5",
        )],
        "",
    ),
    missing("cis-hardening", "(core) Apply CIS K8s hardening"),
    addon(
        "community",
        "(core) The community addons repository",
        "",
        &[],
        "",
    ),
    missing("dashboard", "(core) The Kubernetes dashboard"),
    addon(
        "dns",
        "(core) CoreDNS",
        "1.11.1",
        &[("kube-system", "coredns", "coredns/coredns:1.11.1")],
        "",
    ),
    missing("gpu", "(core) Alias to nvidia add-on"),
    addon(
        "ha-cluster",
        "(core) Configure high availability on the current node",
        "",
        &[],
        "",
    ),
    addon(
        "helm",
        "(core) Helm - the package manager for Kubernetes",
        "",
        &[],
        "",
    ),
    addon(
        "helm3",
        "(core) Helm 3 - the package manager for Kubernetes",
        "",
        &[],
        "",
    ),
    addon(
        "host-access",
        "(core) Allow Pods connecting to Host services smoothly",
        "",
        &[],
        "",
    ),
    addon(
        "hostpath-storage",
        "(core) Storage class; allocates storage from host directory",
        "1.5.0",
        &[(
            "kube-system",
            "hostpath-provisioner",
            "cdkbot/hostpath-provisioner:1.5.0",
        )],
        STORAGE_CLASS,
    ),
    addon(
        "ingress",
        "(core) Ingress controller for external access",
        "1.11.2",
        &[(
            "ingress",
            "nginx-ingress-microk8s-controller",
            "registry.k8s.io/ingress-nginx/controller:v1.11.2",
        )],
        INGRESS_CLASS,
    ),
    missing(
        "kube-ovn",
        "(core) An advanced network fabric for Kubernetes",
    ),
    missing("mayastor", "(core) OpenEBS MayaStor"),
    addon(
        "metallb",
        "(core) Loadbalancer for your Kubernetes cluster",
        "0.13.3",
        &[(
            "metallb-system",
            "controller",
            "quay.io/metallb/controller:v0.13.3",
        )],
        "",
    ),
    addon(
        "metrics-server",
        "(core) K8s Metrics Server for API access to service metrics",
        "0.6.3",
        &[(
            "kube-system",
            "metrics-server",
            "registry.k8s.io/metrics-server/metrics-server:v0.6.3",
        )],
        "",
    ),
    missing("minio", "(core) MinIO object storage"),
    missing("nvidia", "(core) NVIDIA hardware (GPU and network) support"),
    missing(
        "observability",
        "(core) A lightweight observability stack for logs, traces and metrics",
    ),
    missing(
        "prometheus",
        "(core) Prometheus operator for monitoring and logging",
    ),
    addon(
        "rbac",
        "(core) Role-Based Access Control for authorisation",
        "",
        &[],
        "",
    ),
    missing(
        "registry",
        "(core) Private image registry exposed on localhost:32000",
    ),
    missing("rook-ceph", "(core) Distributed Ceph storage using Rook"),
    addon(
        "storage",
        "(core) Alias to hostpath-storage add-on, deprecated",
        "",
        &[],
        "",
    ),
];

fn find(name: &str) -> Option<&'static Addon> {
    let name = if name == "storage" {
        "hostpath-storage"
    } else {
        name
    };
    ADDONS.iter().find(|a| a.name == name)
}

/// Manifests of an addon.
fn manifests(addon: &Addon) -> String {
    let mut all = Vec::new();
    for (namespace, name, image) in addon.workloads {
        if *namespace != "kube-system" {
            all.push(format!(
                "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n"
            ));
        }
        all.push(format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  namespace: {namespace}\n  labels:\n    k8s-app: {name}\nspec:\n  replicas: 1\n  selector:\n    matchLabels:\n      k8s-app: {name}\n  template:\n    metadata:\n      labels:\n        k8s-app: {name}\n    spec:\n      containers:\n      - name: {name}\n        image: {image}\n"
        ));
    }
    if !addon.extra.is_empty() {
        all.push(addon.extra.to_owned());
    }
    all.join("---\n")
}

/// `NAME`, `core/NAME`, `NAME:ARGUMENT` as name and arguments.
pub(super) fn split(text: &str) -> (String, Vec<String>) {
    let (name, argument) = text
        .split_once(':')
        .map_or((text, None), |(n, a)| (n, Some(a)));
    (
        name.strip_prefix("core/").unwrap_or(name).to_owned(),
        argument.map(str::to_owned).into_iter().collect(),
    )
}

/// Enables an addon.
pub(super) async fn enable(host: &Arc<Host>, name: &str, arguments: Vec<String>) -> Output {
    let Some(addon) = find(name) else {
        let text = format!(
            "Addon {name} was not found in any repository\nTo use the community maintained flavor enable the respective repository:\n\n    microk8s enable community\n\n"
        );
        return Output::fail(1, text);
    };
    if !addon.simulated {
        return Output::fail(
            1,
            format!("the lab does not simulate the addon {name} of MicroK8s\n"),
        );
    }
    let name = addon.name;
    let has = |m: &crate::state::MicroK8s| m.addons.contains_key(name);
    if on_owner(host, |m| has(m)).unwrap_or(false) {
        return Output::ok(format!(
            "Infer repository core for addon {name}\nAddon core/{name} is already enabled\n"
        ));
    }
    if name == "metallb" && arguments.is_empty() {
        return Output::fail(
            1,
            "Infer repository core for addon metallb\nEnabling MetalLB\nYou need to give a range of IP addresses, such as metallb:10.64.140.43-10.64.140.49\n",
        );
    }
    let manifests = manifests(addon);
    if !manifests.is_empty() {
        let applied = match cluster::open(host).await {
            Ok(cluster) => {
                cluster
                    .apply_bootstrap_manifests("microk8s", &manifests)
                    .await
            }
            Err(problem) => Err(problem),
        };
        if let Err(problem) = applied {
            return Output::fail(
                1,
                format!(
                    "Infer repository core for addon {name}\nFailed to enable {name}: {problem}\n"
                ),
            );
        }
    }
    host.pass(10).await;
    on_owner(host, |m| m.addons.insert(name.to_owned(), arguments));
    Output::ok(format!(
        "Infer repository core for addon {name}\nEnabling {name}\n{name} is enabled\n"
    ))
}

/// Disables an addon. What it put into the cluster stays unless it is the addon's own Deployment, which the lab leaves too.
pub(super) async fn disable(host: &Arc<Host>, name: &str) -> Output {
    let Some(addon) = find(name) else {
        return Output::fail(1, format!("Addon {name} was not found in any repository\n"));
    };
    let name = addon.name;
    if !on_owner(host, |m| m.addons.contains_key(name)).unwrap_or(false) {
        return Output::ok(format!(
            "Infer repository core for addon {name}\nAddon core/{name} is already disabled\n"
        ));
    }
    if !addon.workloads.is_empty() {
        return Output::fail(
            1,
            format!("the lab does not simulate disabling the addon {name} of MicroK8s\n"),
        );
    }
    on_owner(host, |m| m.addons.remove(name));
    Output::ok(format!(
        "Infer repository core for addon {name}\nDisabling {name}\n{name} is disabled\n"
    ))
}

/// Works on the state that the whole cluster shares.
pub(super) fn on_owner<T>(
    host: &Host,
    work: impl FnOnce(&mut crate::state::MicroK8s) -> T,
) -> Option<T> {
    let owner = host.with(|s| s.microk8s.as_ref().map(|m| m.cluster_of.clone()))?;
    host.shared.with(&owner, |s| s.microk8s.as_mut().map(work))
}
