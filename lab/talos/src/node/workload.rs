//! What runs on a node: containers and images that follow from its configuration, and the processes that they are.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Node;
use crate::config::Config;
use crate::version::Line;

/// containerd's namespaces.
pub(crate) const SYSTEM: &str = "system";
pub(crate) const KUBERNETES: &str = "k8s.io";

/// A running container.
pub(crate) struct Container {
    pub(crate) namespace: &'static str,
    /// The pod as `NAMESPACE/NAME`; the container's own name where there is no pod.
    pub(crate) pod: String,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) pid: u32,
    /// The pod's sandbox, which has no program.
    pub(crate) sandbox: bool,
}

impl Container {
    /// As lists show it: the pod's sandbox by its pod, a container within by pod and name.
    pub(crate) fn display(&self) -> String {
        match self.sandbox || self.pod == self.name {
            true => self.pod.clone(),
            false => format!("{}:{}:{}", self.pod, self.name, &self.id()[..12]),
        }
    }

    /// The pod's identifier at the kubelet; that of a static pod is 32 hexadecimal digits.
    pub(crate) fn pod_uid(&self) -> String {
        digest(&[&self.pod])[..32].to_owned()
    }

    /// 64 hexadecimal digits.
    pub(crate) fn id(&self) -> String {
        digest(&[&self.pod, "/", &self.name, "@", &self.image])
    }
}

/// An image in containerd's store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Image {
    pub(crate) fn digest(&self) -> String {
        let (_, given) = self.name.rsplit_once('@').unwrap_or_default();
        match given.starts_with("sha256:") {
            true => given.to_owned(),
            false => format!("sha256:{}", digest(&[&self.name])),
        }
    }

    /// In bytes; the same for the same image.
    pub(crate) fn size(&self) -> i64 {
        let bytes = Sha256::digest(self.name.as_bytes());
        let [a, b, ..] = bytes.as_slice() else {
            return 0;
        };
        (20 << 20) + i64::from(u16::from_be_bytes([*a, *b])) * 1024
    }
}

pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Where a component's image is configured, and the name it has by default.
const COMPONENTS: [(&str, &str, &str); 3] = [
    (
        "kube-apiserver",
        "cluster.apiServer.image",
        "KubeAPIServerConfig",
    ),
    (
        "kube-controller-manager",
        "cluster.controllerManager.image",
        "KubeControllerManagerConfig",
    ),
    (
        "kube-scheduler",
        "cluster.scheduler.image",
        "KubeSchedulerConfig",
    ),
];

/// The control plane's static pods with their images.
pub(crate) fn static_pods(config: &Config, line: Line) -> Vec<(&'static str, String)> {
    let pods = COMPONENTS.into_iter();
    pods.map(|(name, path, document)| (name, component(config, line, name, path, document)))
        .collect()
}

fn component(config: &Config, line: Line, name: &str, path: &str, document: &str) -> String {
    let configured = config
        .text_at(path)
        .or_else(|| config.doc(document)?.text_at("image"));
    match configured.filter(|i| !i.is_empty()) {
        Some(image) => image.to_owned(),
        None => format!("registry.k8s.io/{name}:{}", line.default_kubernetes()),
    }
}

pub(crate) fn kubelet_image(config: &Config, line: Line) -> String {
    let configured = config
        .text_at("machine.kubelet.image")
        .or_else(|| config.doc("KubeletConfig")?.text_at("image"));
    match configured.filter(|i| !i.is_empty()) {
        Some(image) => image.to_owned(),
        None => format!("ghcr.io/siderolabs/kubelet:{}", line.default_kubernetes()),
    }
}

const PAUSE: &str = "registry.k8s.io/pause:3.10";

impl Node {
    pub(crate) fn containers(&self) -> Vec<Container> {
        let Some(facts) = self.with_boot(|b| {
            (
                b.config.clone(),
                b.line,
                b.api_up,
                b.kubelet_running,
                b.etcd_healthy,
                b.image.guest_agent && !b.stopped.contains("ext-qemu-guest-agent"),
            )
        }) else {
            return Vec::new();
        };
        let (config, line, api_up, kubelet, etcd, agent) = facts;
        let version = self.image().map(|i| i.version).unwrap_or_default();
        let mut found = Vec::new();
        let mut pid = 1800;
        let mut push = |namespace, pod: &str, name: &str, image: &str, sandbox| {
            pid += 13;
            found.push(Container {
                namespace,
                pod: pod.to_owned(),
                name: name.to_owned(),
                image: image.to_owned(),
                pid,
                sandbox,
            });
        };
        push(
            SYSTEM,
            "apid",
            "apid",
            &format!("ghcr.io/siderolabs/apid:{version}"),
            false,
        );
        if agent {
            push(
                SYSTEM,
                "ext-qemu-guest-agent",
                "ext-qemu-guest-agent",
                "",
                false,
            );
        }
        let Some(config) = config else {
            return found;
        };
        if api_up && config.is_control_plane() {
            push(
                SYSTEM,
                "trustd",
                "trustd",
                &format!("ghcr.io/siderolabs/trustd:{version}"),
                false,
            );
        }
        if !kubelet {
            return found;
        }
        push(
            KUBERNETES,
            "kubelet",
            "kubelet",
            &kubelet_image(&config, line),
            false,
        );
        if config.is_control_plane() && etcd {
            let node = self.node_name();
            for (name, image) in static_pods(&config, line) {
                let pod = format!("kube-system/{name}-{node}");
                push(KUBERNETES, &pod, "pause", PAUSE, true);
                push(KUBERNETES, &pod, name, &image, false);
            }
        }
        found
    }

    /// The images of what runs, and those that somebody pulled or brought.
    pub(crate) fn images(&self) -> BTreeSet<Image> {
        let disk = self.disk();
        let running = self
            .containers()
            .into_iter()
            .filter(|c| c.namespace == KUBERNETES);
        let mut images: BTreeSet<Image> = running
            .map(|c| Image {
                namespace: c.namespace.to_owned(),
                name: c.image,
            })
            .collect();
        images.extend(disk.images);
        images
    }
}

/// A process of a node.
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) command: &'static str,
    pub(crate) executable: String,
    pub(crate) arguments: String,
    pub(crate) threads: i32,
    /// Resident, in bytes.
    pub(crate) memory: u64,
}

impl Node {
    pub(crate) fn processes(&self) -> Vec<Process> {
        let process =
            |pid, parent, command: &'static str, executable: &str, threads, mib: u64| Process {
                pid,
                parent,
                command,
                executable: executable.to_owned(),
                arguments: executable.to_owned(),
                threads,
                memory: mib << 20,
            };
        let mut found = vec![
            process(1, 0, "init", "/sbin/init", 12, 118),
            process(2, 0, "kthreadd", "", 1, 0),
            process(1410, 1, "containerd", "/bin/containerd", 11, 52),
            process(1422, 1, "udevd", "/sbin/udevd", 1, 6),
        ];
        if self.config().is_some() {
            found.push(process(1560, 1, "containerd", "/bin/containerd", 14, 86));
        }
        if self.with_boot(|b| b.etcd_running) == Some(true) {
            found.push(process(1730, 1560, "etcd", "/usr/local/bin/etcd", 10, 92));
        }
        for container in self.containers() {
            let (command, executable) = match container.name.as_str() {
                "apid" => ("apid", "/apid"),
                "trustd" => ("trustd", "/trustd"),
                "kubelet" => ("kubelet", "/usr/local/bin/kubelet"),
                "pause" => ("pause", "/pause"),
                "kube-apiserver" => ("kube-apiserver", "/usr/local/bin/kube-apiserver"),
                "kube-controller-manager" => {
                    ("kube-controller", "/usr/local/bin/kube-controller-manager")
                }
                "kube-scheduler" => ("kube-scheduler", "/usr/local/bin/kube-scheduler"),
                _ => ("qemu-ga", "/usr/bin/qemu-ga"),
            };
            let mib = if container.sandbox { 1 } else { 48 };
            let parent = if container.namespace == SYSTEM {
                1410
            } else {
                1560
            };
            found.push(process(container.pid, parent, command, executable, 8, mib));
        }
        found
    }
}
