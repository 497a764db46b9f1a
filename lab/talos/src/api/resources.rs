//! The resources that a node publishes, computed from its state when asked.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;
use prost::Message;
use sha2::{Digest, Sha256};

use super::storage::devices;
use super::{Api, roles};
use crate::config::Config;
use crate::node::{Boot, Node};
use crate::proto::common::{NetIp, NetIpPrefix};
use crate::proto::cosi::resource::{Metadata, Resource, Spec};
use crate::proto::resource::*;
use crate::yaml::{Out, emit};

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
    ("cluster", "Members.cluster.talos.dev", false),
    ("cluster", "Infos.cluster.talos.dev", false),
    ("cluster", "Identities.cluster.talos.dev", false),
    ("network", "NodeAddresses.net.talos.dev", false),
    ("network", "HostnameStatuses.net.talos.dev", false),
];

/// One resource before its metadata.
struct Item {
    id: String,
    spec: Vec<u8>,
    yaml: Out,
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
        let Some((started, version)) = self.node.with_boot(|b| (b.started, b.changes)) else {
            return Vec::new();
        };
        let items = self.items(kind);
        let resources = items.into_iter().map(|item| Resource {
            metadata: Some(Metadata {
                namespace: namespace.to_owned(),
                r#type: kind.to_owned(),
                id: item.id,
                version: version.to_string(),
                phase: "running".to_owned(),
                created: Some(started.into()),
                updated: Some(SystemTime::now().into()),
                ..Metadata::default()
            }),
            spec: Some(Spec {
                proto_spec: item.spec,
                yaml_spec: emit(&item.yaml),
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
            "Members.cluster.talos.dev" => self.members(config.as_ref()),
            "Infos.cluster.talos.dev" => cluster_info(config.as_deref()),
            "Identities.cluster.talos.dev" => identity(node),
            "NodeAddresses.net.talos.dev" => node_addresses(node),
            "HostnameStatuses.net.talos.dev" => hostname(node),
            _ => Vec::new(),
        }
    }

    fn volumes(&self, configured: bool) -> Vec<Item> {
        let Some(disk) = self.system_disk().filter(|_| configured) else {
            return Vec::new();
        };
        let devices = devices(&self.node.hardware().disks);
        let size = devices
            .iter()
            .find(|d| d.path == disk)
            .map_or(0, |d| d.size);
        const STATE: u64 = 100 << 20;
        const BOOT: u64 = 2300 << 20;
        let ephemeral = size.saturating_sub(BOOT + STATE);
        let volumes = [("STATE", 4_i64, STATE), ("EPHEMERAL", 5, ephemeral)];
        let separator = if disk.contains("nvme") { "p" } else { "" };
        volumes
            .into_iter()
            .map(|(name, index, size)| {
                let location = format!("{disk}{separator}{index}");
                let spec = VolumeStatusSpec {
                    // Ready; a partition with XFS.
                    phase: 6,
                    location: location.clone(),
                    parent_location: disk.clone(),
                    partition_index: index,
                    size,
                    filesystem: 1,
                    pretty_size: pretty(size),
                    r#type: 0,
                };
                item(
                    name,
                    &spec,
                    vec![
                        ("phase", text("ready")),
                        ("type", text("partition")),
                        ("location", text(location)),
                        ("parentLocation", text(disk.clone())),
                        ("partitionIndex", raw(index)),
                        ("size", raw(size)),
                        ("prettySize", text(pretty(size))),
                        ("filesystem", text("xfs")),
                    ],
                )
            })
            .collect()
    }

    fn disks_items(&self) -> Vec<Item> {
        let devices = devices(&self.node.hardware().disks).into_iter();
        devices
            .map(|d| {
                let id = d.path.trim_start_matches("/dev/").to_owned();
                let spec = DiskSpec {
                    size: d.size,
                    io_size: 512,
                    sector_size: 512,
                    readonly: d.removable,
                    model: d.model.to_owned(),
                    bus_path: d.bus_path.clone(),
                    sub_system: d.subsystem.to_owned(),
                    transport: d.transport.to_owned(),
                    dev_path: d.path.clone(),
                    pretty_size: pretty(d.size),
                };
                item(
                    id,
                    &spec,
                    vec![
                        ("dev_path", text(d.path)),
                        ("size", raw(d.size)),
                        ("pretty_size", text(pretty(d.size))),
                        ("io_size", raw(512)),
                        ("sector_size", raw(512)),
                        ("readonly", raw(d.removable)),
                        ("cdrom", raw(d.removable)),
                        ("model", text(d.model)),
                        ("bus_path", text(d.bus_path)),
                        ("sub_system", text(d.subsystem)),
                        ("transport", text(d.transport)),
                    ],
                )
            })
            .collect()
    }

    fn system_disk_items(&self) -> Vec<Item> {
        let Some(path) = self.system_disk() else {
            return Vec::new();
        };
        let id = path.trim_start_matches("/dev/").to_owned();
        let spec = SystemDiskSpec {
            disk_id: id.clone(),
            dev_path: path.clone(),
        };
        vec![item(
            "system-disk",
            &spec,
            vec![("diskID", text(id)), ("devPath", text(path))],
        )]
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

fn static_pods(node: &Node) -> Vec<Item> {
    let runs = node.config().is_some_and(|c| c.is_control_plane())
        && node.with_boot(|b| b.kubelet_running && b.etcd_healthy) == Some(true);
    if !runs {
        return Vec::new();
    }
    let name = node.hostname();
    let string = |s: &str| prost_types::Value {
        kind: Some(prost_types::value::Kind::StringValue(s.to_owned())),
    };
    let object = |fields: Vec<(&str, prost_types::Value)>| prost_types::Value {
        kind: Some(prost_types::value::Kind::StructValue(prost_types::Struct {
            fields: fields.into_iter().map(|(k, v)| (k.to_owned(), v)).collect(),
        })),
    };
    let ready = object(vec![("type", string("Ready")), ("status", string("True"))]);
    let conditions = prost_types::Value {
        kind: Some(prost_types::value::Kind::ListValue(
            prost_types::ListValue {
                values: vec![ready],
            },
        )),
    };
    let status = prost_types::Struct {
        fields: [
            ("phase".to_owned(), string("Running")),
            ("conditions".to_owned(), conditions),
        ]
        .into(),
    };
    let spec = StaticPodStatusSpec {
        pod_status: Some(status),
    };
    let components = [
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
    ];
    components
        .into_iter()
        .map(|component| {
            let condition = map(vec![("status", text("True")), ("type", text("Ready"))]);
            item(
                format!("kube-system/{component}-{name}"),
                &spec,
                vec![
                    ("conditions", Out::Sequence(vec![condition])),
                    ("phase", text("Running")),
                ],
            )
        })
        .collect()
}

fn nodename(node: &Node) -> Vec<Item> {
    if node.config().is_none() {
        return Vec::new();
    }
    let name = node.hostname().to_ascii_lowercase();
    let spec = NodenameSpec {
        nodename: name.clone(),
        hostname_version: "1".to_owned(),
        skip_node_registration: false,
    };
    vec![item("nodename", &spec, vec![("nodename", text(name))])]
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

fn node_addresses(node: &Node) -> Vec<Item> {
    let all = node.addresses();
    let of = |id: &str, nets: &[IpNet]| {
        let spec = NodeAddressSpec {
            addresses: nets.iter().map(net_prefix).collect(),
        };
        item(id, &spec, vec![("addresses", list(nets))])
    };
    let first = all.first().map(std::slice::from_ref).unwrap_or_default();
    vec![
        of("accumulative", &all),
        of("current", &all),
        of("default", first),
        of("routed", &all),
    ]
}

fn hostname(node: &Node) -> Vec<Item> {
    let name = node.hostname();
    let spec = HostnameStatusSpec {
        hostname: name.clone(),
        domainname: String::new(),
    };
    let yaml = vec![("hostname", text(name)), ("domainname", text(""))];
    vec![item("hostname", &spec, yaml)]
}

fn net_ip(address: IpAddr) -> NetIp {
    NetIp {
        ip: match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        },
    }
}

fn net_prefix(net: &IpNet) -> NetIpPrefix {
    NetIpPrefix {
        ip: net_ip(net.addr()).ip,
        prefix_length: i32::from(net.prefix_len()),
    }
}

/// `21 GB`.
fn pretty(size: u64) -> String {
    const UNITS: [(&str, u64); 4] = [
        ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000),
        ("MB", 1_000_000),
        ("kB", 1000),
    ];
    let unit = UNITS.iter().find(|(_, n)| size >= *n);
    match unit {
        Some((name, n)) => format!("{} {name}", size / n),
        None => format!("{size} B"),
    }
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
