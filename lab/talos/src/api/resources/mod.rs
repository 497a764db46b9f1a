//! The resources that a node publishes, computed from its state when asked.

mod block;
mod definitions;
mod kubernetes;
mod network;
mod status;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use prost::Message;
use sha2::{Digest, Sha256};

use super::{Api, roles};
use crate::config::Config;
use crate::node::{Boot, Node};
use crate::proto::cosi::resource::{Metadata, Resource, Spec};
use crate::proto::resource::{
    BootIdSpec, ClusterInfoSpec, ControlPlane, EtcdMemberSpec, ExtensionMetadata,
    ExtensionStatusSpec, IdentitySpec, MachineConfigSpec, MachineStatusSpec, MachineStatusStatus,
    MachineTypeSpec, MemberSpec, UnmetCondition, VersionSpec,
};
use crate::version::Line;
use crate::yaml::{Out, emit};
pub(crate) use block::ephemeral_size;
pub(crate) use kubernetes::config_version;
use kubernetes::{
    bootstrap_manifests, component, kubelet, kubelet_spec, manifest, nodename, static_pods,
};
use network::{
    addresses, hostname, links, net_ip, node_addresses, resolvers, routes, time_servers,
};

/// Types by namespace, and whether only an administrator may read them.
pub(super) const TYPES: &[(&str, &str, bool)] = &[
    ("config", "MachineConfigs.config.talos.dev", true),
    ("config", "MachineTypes.config.talos.dev", false),
    ("runtime", "MachineStatuses.runtime.talos.dev", false),
    ("runtime", "Diagnostics.runtime.talos.dev", false),
    ("runtime", "ExtensionStatuses.runtime.talos.dev", false),
    ("runtime", "VolumeStatuses.block.talos.dev", false),
    ("runtime", "Disks.block.talos.dev", false),
    ("runtime", "SystemDisks.block.talos.dev", false),
    ("k8s", "StaticPodStatuses.kubernetes.talos.dev", false),
    ("k8s", "Nodenames.kubernetes.talos.dev", false),
    (
        "controlplane",
        "BootstrapManifestsConfigs.kubernetes.talos.dev",
        false,
    ),
    ("k8s", "KubeletConfigs.kubernetes.talos.dev", false),
    ("runtime", "BootIDs.runtime.talos.dev", false),
    ("runtime", "Versions.runtime.talos.dev", false),
    ("meta", "ResourceDefinitions.meta.cosi.dev", false),
    ("cluster", "Members.cluster.talos.dev", false),
    ("cluster", "Infos.cluster.talos.dev", false),
    ("cluster", "Identities.cluster.talos.dev", false),
    (
        "controlplane",
        "APIServerConfigs.kubernetes.talos.dev",
        false,
    ),
    (
        "controlplane",
        "ControllerManagerConfigs.kubernetes.talos.dev",
        false,
    ),
    (
        "controlplane",
        "SchedulerConfigs.kubernetes.talos.dev",
        false,
    ),
    ("controlplane", "Manifests.kubernetes.talos.dev", false),
    ("k8s", "KubeletSpecs.kubernetes.talos.dev", false),
    ("etcd", "EtcdMembers.etcd.talos.dev", false),
    ("runtime", "Services.v1alpha1.talos.dev", false),
    ("runtime", "TimeStatuses.v1alpha1.talos.dev", false),
    ("runtime", "SecurityStates.talos.dev", false),
    ("runtime", "PlatformMetadatas.talos.dev", false),
    ("runtime", "MetaKeys.runtime.talos.dev", false),
    ("network", "LinkStatuses.net.talos.dev", false),
    ("network", "NodeAddresses.net.talos.dev", false),
    ("network", "AddressStatuses.net.talos.dev", false),
    ("network", "RouteStatuses.net.talos.dev", false),
    ("network", "ResolverStatuses.net.talos.dev", false),
    ("network", "TimeServerStatuses.net.talos.dev", false),
    ("network", "HostnameStatuses.net.talos.dev", false),
];

/// One resource before its metadata.
struct Item {
    id: String,
    spec: Vec<u8>,
    yaml: Out,
}

impl Item {
    /// What makes two versions of it differ.
    fn content(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&self.spec);
        hash.update(emit(&self.yaml));
        hash.finalize().into()
    }
}

fn item<M: Message>(id: impl Into<String>, spec: &M, yaml: Vec<(&str, Out)>) -> Item {
    Item {
        id: id.into(),
        spec: spec.encode_to_vec(),
        yaml: map(yaml),
    }
}

fn map(entries: Vec<(&str, Out)>) -> Out {
    Out::Mapping(
        entries
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v))
            .collect(),
    )
}

fn text(value: impl Into<String>) -> Out {
    Out::Str(value.into())
}

fn raw(value: impl ToString) -> Out {
    Out::Raw(value.to_string())
}

fn list<T: ToString>(values: impl IntoIterator<Item = T>) -> Out {
    Out::Sequence(
        values
            .into_iter()
            .map(|v| Out::Str(v.to_string()))
            .collect(),
    )
}

impl Api {
    /// All resources of a type in a namespace.
    pub(super) fn resources(&self, namespace: &str, kind: &str) -> Vec<Resource> {
        let Some(started) = self.node.with_boot(|b| b.started) else {
            return Vec::new();
        };
        let items = self.items(kind);
        let configs = kind == "MachineConfigs.config.talos.dev";
        // Since 1.12 a configuration is a text within YAML, and says so; before it was the YAML itself.
        let as_text = self.node.line() >= Line::V1_12;
        let annotations = HashMap::from([("talos.dev/yaml-spec".to_owned(), "1".to_owned())]);
        let resources = items.into_iter().map(|item| Resource {
            metadata: Some(Metadata {
                namespace: namespace.to_owned(),
                r#type: kind.to_owned(),
                version: self
                    .node
                    .resource_version(kind, &item.id, item.content())
                    .to_string(),
                id: item.id,
                phase: "running".to_owned(),
                annotations: match configs && as_text {
                    true => annotations.clone(),
                    false => HashMap::new(),
                },
                created: Some(started.into()),
                updated: Some(SystemTime::now().into()),
                ..Metadata::default()
            }),
            spec: Some(Spec {
                proto_spec: item.spec,
                yaml_spec: match item.yaml {
                    Out::Str(config) if configs && !as_text => config,
                    yaml => emit(&yaml),
                },
            }),
        });
        resources.collect()
    }

    fn items(&self, kind: &str) -> Vec<Item> {
        let node = &self.node;
        let config = node.config();
        match kind {
            "MachineConfigs.config.talos.dev" => machine_configs(node, config.as_deref()),
            "MachineTypes.config.talos.dev" => machine_type(config.as_deref()),
            "MachineStatuses.runtime.talos.dev" => {
                node.with_boot(machine_status).into_iter().collect()
            }
            "Diagnostics.runtime.talos.dev" => Vec::new(),
            "ExtensionStatuses.runtime.talos.dev" => node.with_boot(extensions).unwrap_or_default(),
            "VolumeStatuses.block.talos.dev" => self.volumes(config.is_some()),
            "Disks.block.talos.dev" => self.disks_items(),
            "SystemDisks.block.talos.dev" => self.system_disk_items(),
            "StaticPodStatuses.kubernetes.talos.dev" => static_pods(node),
            "Nodenames.kubernetes.talos.dev" => nodename(node),
            "BootstrapManifestsConfigs.kubernetes.talos.dev" => bootstrap_manifests(node),
            "KubeletConfigs.kubernetes.talos.dev" => kubelet(node),
            "BootIDs.runtime.talos.dev" => node.with_boot(boot_id).into_iter().collect(),
            "Versions.runtime.talos.dev" => node.with_boot(version).into_iter().collect(),
            "ResourceDefinitions.meta.cosi.dev" => definitions::definitions(),
            "Members.cluster.talos.dev" => self.members(config.as_ref()),
            "Infos.cluster.talos.dev" => cluster_info(config.as_deref()),
            "Identities.cluster.talos.dev" => identity(node),
            "APIServerConfigs.kubernetes.talos.dev" => component(node, "kube-apiserver"),
            "ControllerManagerConfigs.kubernetes.talos.dev" => {
                component(node, "kube-controller-manager")
            }
            "SchedulerConfigs.kubernetes.talos.dev" => component(node, "kube-scheduler"),
            "Manifests.kubernetes.talos.dev" => self.manifests(config.as_deref()),
            "KubeletSpecs.kubernetes.talos.dev" => kubelet_spec(node),
            "EtcdMembers.etcd.talos.dev" => self.etcd_member(),
            "Services.v1alpha1.talos.dev" => status::services(node),
            "TimeStatuses.v1alpha1.talos.dev" => status::time(node),
            "SecurityStates.talos.dev" => status::security(),
            "PlatformMetadatas.talos.dev" => status::platform(node),
            "MetaKeys.runtime.talos.dev" => status::meta(node),
            "LinkStatuses.net.talos.dev" => links(node),
            "NodeAddresses.net.talos.dev" => node_addresses(node),
            "AddressStatuses.net.talos.dev" => addresses(node),
            "RouteStatuses.net.talos.dev" => routes(node),
            "ResolverStatuses.net.talos.dev" => resolvers(node),
            "TimeServerStatuses.net.talos.dev" => time_servers(node),
            "HostnameStatuses.net.talos.dev" => hostname(node),
            _ => Vec::new(),
        }
    }

    /// The member of etcd that this node is.
    fn etcd_member(&self) -> Vec<Item> {
        let found = (|| {
            let config = self.node.config()?;
            let cluster = self.cluster(&config).ok()?;
            cluster.member_of(&self.node)
        })();
        let Some(member) = found else {
            return Vec::new();
        };
        let id = format!("{:016x}", member.id);
        let spec = EtcdMemberSpec {
            member_id: id.clone(),
        };
        vec![item("local", &spec, vec![("memberID", text(id))])]
    }

    /// What this node brings into Kubernetes.
    fn manifests(&self, config: Option<&Config>) -> Vec<Item> {
        let Some(config) = config.filter(|c| c.is_control_plane()) else {
            return Vec::new();
        };
        let Ok(cluster) = self.cluster(config) else {
            return Vec::new();
        };
        let found = cluster.manifests(config, self.node.line()).into_iter();
        found.map(|(id, objects)| manifest(id, &objects)).collect()
    }

    /// The nodes that discovery finds, this one among them.
    fn members(&self, config: Option<&Arc<Config>>) -> Vec<Item> {
        let Some(config) = config.filter(|c| c.discovery_enabled()) else {
            return Vec::new();
        };
        let (Some(id), Ok(world)) = (config.cluster_id(), self.world()) else {
            return Vec::new();
        };
        let nodes = world.members_of(&id);
        nodes.iter().filter_map(|n| member(n)).collect()
    }
}

fn machine_configs(node: &Node, active: Option<&Config>) -> Vec<Item> {
    let of = |id: &str, config: &str| {
        let spec = MachineConfigSpec {
            yaml_marshalled: config.as_bytes().to_vec(),
        };
        Item {
            id: id.to_owned(),
            spec: spec.encode_to_vec(),
            yaml: text(config),
        }
    };
    let mut items = Vec::new();
    if let Some(active) = active {
        items.push(of("v1alpha1", &active.text));
    }
    if let Some(stored) = node.disk().config {
        items.push(of("persistent", &stored));
    }
    items
}

fn machine_type(config: Option<&Config>) -> Vec<Item> {
    let Some(kind) = config.and_then(Config::machine_type) else {
        return Vec::new();
    };
    let spec = MachineTypeSpec {
        machine_type: kind.number(),
    };
    vec![Item {
        id: "machine-type".to_owned(),
        spec: spec.encode_to_vec(),
        yaml: text(kind.name()),
    }]
}

fn machine_status(boot: &Boot) -> Item {
    let (stage, unmet) = (boot.stage(), boot.unmet());
    let conditions = unmet.iter().map(|(name, reason)| UnmetCondition {
        name: (*name).to_owned(),
        reason: reason.clone(),
    });
    let spec = MachineStatusSpec {
        stage: stage.number(),
        status: Some(MachineStatusStatus {
            ready: unmet.is_empty(),
            unmet_conditions: conditions.collect(),
        }),
    };
    let conditions = unmet.iter().map(|(name, reason)| {
        map(vec![
            ("name", text(*name)),
            ("reason", text(reason.clone())),
        ])
    });
    let status = vec![
        ("ready", raw(unmet.is_empty())),
        ("unmetConditions", Out::Sequence(conditions.collect())),
    ];
    item(
        "machine",
        &spec,
        vec![("stage", text(stage.name())), ("status", map(status))],
    )
}

/// The schematic shows itself as an extension; so does the guest agent.
fn extensions(boot: &Boot) -> Vec<Item> {
    let mut items = Vec::new();
    let mut push = |id: usize, name: &str, version: &str| {
        let spec = ExtensionStatusSpec {
            image: format!("{id}.sqsh"),
            metadata: Some(ExtensionMetadata {
                name: name.to_owned(),
                version: version.to_owned(),
                author: "Sidero Labs".to_owned(),
                ..ExtensionMetadata::default()
            }),
        };
        let metadata = vec![("name", text(name)), ("version", text(version))];
        items.push(item(
            id.to_string(),
            &spec,
            vec![
                ("image", text(format!("{id}.sqsh"))),
                ("metadata", map(metadata)),
            ],
        ));
    };
    if boot.image.guest_agent {
        push(0, "qemu-guest-agent", "10.2.0");
    }
    if !boot.image.schematic.is_empty() {
        push(1, "schematic", &boot.image.schematic);
    }
    items
}

fn member(node: &Node) -> Option<Item> {
    let config = node.config()?;
    let kind = config.machine_type()?;
    let address = node.address()?;
    let name = node.hostname();
    let spec = MemberSpec {
        node_id: node.disk().identity,
        addresses: vec![net_ip(address)],
        hostname: name.clone(),
        machine_type: kind.number(),
        operating_system: format!("Talos ({})", node.image()?.version),
        control_plane: config.is_control_plane().then_some(ControlPlane {
            api_server_port: 6443,
        }),
    };
    let yaml = vec![
        ("nodeId", text(spec.node_id.clone())),
        ("addresses", list([address])),
        ("hostname", text(name.clone())),
        ("machineType", text(kind.name())),
        ("operatingSystem", text(spec.operating_system.clone())),
    ];
    Some(item(name, &spec, yaml))
}

fn cluster_info(config: Option<&Config>) -> Vec<Item> {
    let Some((config, id)) = config.and_then(|c| Some((c, c.cluster_id()?))) else {
        return Vec::new();
    };
    let spec = ClusterInfoSpec {
        cluster_id: id.clone(),
        cluster_name: config.cluster_name(),
    };
    let yaml = vec![
        ("clusterId", text(id)),
        ("clusterName", text(config.cluster_name())),
    ];
    vec![item("current", &spec, yaml)]
}

fn identity(node: &Node) -> Vec<Item> {
    let id = node.disk().identity;
    let spec = IdentitySpec {
        node_id: id.clone(),
    };
    vec![item("local", &spec, vec![("nodeId", text(id))])]
}

fn boot_id(boot: &Boot) -> Item {
    let spec = BootIdSpec {
        boot_id: boot.id.clone(),
    };
    item("boot-id", &spec, vec![("bootID", text(boot.id.clone()))])
}

fn version(boot: &Boot) -> Item {
    let spec = VersionSpec {
        version: boot.image.version.clone(),
        name: "Talos".to_owned(),
    };
    let yaml = vec![
        ("name", text("Talos")),
        ("version", text(boot.image.version.clone())),
    ];
    item("version", &spec, yaml)
}

/// What makes two versions of a resource differ.
pub(super) fn fingerprint(resource: &Resource) -> [u8; 32] {
    let spec = resource.spec.as_ref();
    let mut hash = Sha256::new();
    hash.update(spec.map(|s| s.proto_spec.as_slice()).unwrap_or_default());
    hash.update(spec.map(|s| s.yaml_spec.as_bytes()).unwrap_or_default());
    hash.finalize().into()
}

/// Whether a caller may read a type; the error as the real access policy says it.
pub(super) fn readable(
    kind: &str,
    namespace: &str,
    caller: &roles::Roles,
) -> Result<(), tonic::Status> {
    let found = TYPES.iter().find(|(_, t, _)| *t == kind);
    let Some((_, _, sensitive)) = found else {
        return Err(tonic::Status::permission_denied(format!(
            "resource type {kind:?} is not supported"
        )));
    };
    if *sensitive && !caller.has(roles::ADMIN) {
        return Err(tonic::Status::permission_denied("not authorized"));
    }
    if !TYPES.iter().any(|(n, ..)| *n == namespace) {
        return Err(tonic::Status::permission_denied(format!(
            "namespace {namespace:?} is not supported"
        )));
    }
    Ok(())
}
