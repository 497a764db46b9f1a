//! What a node tells of its kubelet and control plane.

use serde_json::Value as Json;

use super::{Item, item, list, map, raw, text};
use crate::config::Config;
use crate::node::Node;
use crate::proto::resource::{
    ApiServerConfigSpec, BootstrapManifestsConfigSpec, ControllerManagerConfigSpec,
    KubeletConfigSpec, KubeletSpecSpec, ManifestSpec, NodenameSpec, SchedulerConfigSpec,
    SingleManifest, StaticPodStatusSpec,
};
use crate::yaml::{Node as YamlNode, Out};

pub(super) fn static_pods(node: &Node) -> Vec<Item> {
    let Some(config) = node.config().filter(|c| c.is_control_plane()) else {
        return Vec::new();
    };
    let runs = node.with_boot(|b| b.kubelet_running && b.etcd_healthy) == Some(true);
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
    crate::node::static_pods(&config, node.line())
        .into_iter()
        .map(|(component, image)| {
            let container = object(vec![("name", string(component)), ("image", string(&image))]);
            let containers = prost_types::Value {
                kind: Some(prost_types::value::Kind::ListValue(
                    prost_types::ListValue {
                        values: vec![container],
                    },
                )),
            };
            let status = prost_types::Struct {
                fields: [
                    ("phase".to_owned(), string("Running")),
                    ("conditions".to_owned(), conditions.clone()),
                    ("containerStatuses".to_owned(), containers),
                ]
                .into(),
            };
            let spec = StaticPodStatusSpec {
                pod_status: Some(status),
            };
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

pub(super) fn nodename(node: &Node) -> Vec<Item> {
    if node.config().is_none() {
        return Vec::new();
    }
    let name = node.node_name();
    let spec = NodenameSpec {
        nodename: name.clone(),
        hostname_version: "1".to_owned(),
        skip_node_registration: false,
    };
    vec![item("nodename", &spec, vec![("nodename", text(name))])]
}

/// What the control plane installs by itself; clients read the network plugin's name here.
pub(super) fn bootstrap_manifests(node: &Node) -> Vec<Item> {
    let Some(config) = node.config().filter(|c| c.is_control_plane()) else {
        return Vec::new();
    };
    let flannel = !config.needs_cni();
    let plugin = match config.text_at("cluster.network.cni.name") {
        Some(name) => name.to_owned(),
        None if flannel => "flannel".to_owned(),
        None => "none".to_owned(),
    };
    let spec = BootstrapManifestsConfigSpec {
        server: config.endpoint().unwrap_or_default(),
        cluster_domain: domain(&config),
        pod_cid_rs: subnets(&config),
        proxy_enabled: config.has_proxy(),
        core_dns_enabled: config.has_dns(),
        flannel_enabled: plugin == "flannel",
        cni_name: plugin,
    };
    let yaml = vec![
        ("string", text(spec.server.clone())),
        ("clusterDomain", text(spec.cluster_domain.clone())),
        ("podCIDRs", list(&spec.pod_cid_rs)),
        ("proxyEnabled", raw(spec.proxy_enabled)),
        ("coreDNSEnabled", raw(spec.core_dns_enabled)),
        ("flannelEnabled", raw(spec.flannel_enabled)),
        ("cniName", text(spec.cni_name.clone())),
    ];
    vec![item("manifests", &spec, yaml)]
}

pub(super) fn manifest(id: String, objects: &[Json]) -> Item {
    let items = objects
        .iter()
        .filter_map(|object| match value(object).kind {
            Some(prost_types::value::Kind::StructValue(object)) => Some(SingleManifest {
                object: Some(object),
            }),
            _ => None,
        });
    let spec = ManifestSpec {
        items: items.collect(),
    };
    Item {
        id,
        spec: prost::Message::encode_to_vec(&spec),
        yaml: Out::Sequence(objects.iter().map(out).collect()),
    }
}

fn value(json: &Json) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(it) => Kind::BoolValue(*it),
        Json::Number(it) => Kind::NumberValue(it.as_f64().unwrap_or_default()),
        Json::String(it) => Kind::StringValue(it.clone()),
        Json::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.iter().map(value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(prost_types::Struct {
            fields: fields.iter().map(|(k, v)| (k.clone(), value(v))).collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

fn out(json: &Json) -> Out {
    match json {
        Json::String(it) => text(it.clone()),
        Json::Array(items) => Out::Sequence(items.iter().map(out).collect()),
        Json::Object(fields) => {
            Out::Mapping(fields.iter().map(|(k, v)| (k.clone(), out(v))).collect())
        }
        other => raw(other),
    }
}

/// What a component of the control plane is run with.
pub(super) fn component(node: &Node, name: &str) -> Vec<Item> {
    let Some(config) = node.config().filter(|c| c.is_control_plane()) else {
        return Vec::new();
    };
    let pods = crate::node::static_pods(&config, node.line()).into_iter();
    let Some((name, image)) = pods.into_iter().find(|(n, _)| *n == name) else {
        return Vec::new();
    };
    vec![match name {
        "kube-apiserver" => {
            let spec = ApiServerConfigSpec {
                image: image.clone(),
                control_plane_endpoint: config.endpoint().unwrap_or_default(),
                etcd_servers: vec!["https://localhost:2379".to_owned()],
                local_port: 6443,
            };
            let yaml = vec![
                ("image", text(image)),
                (
                    "controlPlaneEndpoint",
                    text(spec.control_plane_endpoint.clone()),
                ),
                ("etcdServers", list(&spec.etcd_servers)),
                ("localPort", raw(spec.local_port)),
            ];
            item(name, &spec, yaml)
        }
        "kube-controller-manager" => {
            let spec = ControllerManagerConfigSpec {
                enabled: true,
                image: image.clone(),
            };
            item(
                name,
                &spec,
                vec![("enabled", raw(true)), ("image", text(image))],
            )
        }
        _ => {
            let spec = SchedulerConfigSpec {
                enabled: true,
                image: image.clone(),
            };
            item(
                name,
                &spec,
                vec![("enabled", raw(true)), ("image", text(image))],
            )
        }
    }]
}

/// The version of a component's configuration, which its static pod carries as an annotation.
pub(crate) fn config_version(node: &Node, name: &str) -> u64 {
    let kind = match name {
        "kube-apiserver" => "APIServerConfigs.kubernetes.talos.dev",
        "kube-controller-manager" => "ControllerManagerConfigs.kubernetes.talos.dev",
        _ => "SchedulerConfigs.kubernetes.talos.dev",
    };
    let items = component(node, name);
    let version = |i: &Item| node.resource_version(kind, &i.id, i.content());
    items.first().map_or(0, version)
}

pub(super) fn kubelet_spec(node: &Node) -> Vec<Item> {
    let Some(config) = node.config() else {
        return Vec::new();
    };
    let spec = KubeletSpecSpec {
        image: crate::node::kubelet_image(&config, node.line()),
        expected_nodename: node.node_name(),
    };
    let yaml = vec![
        ("image", text(spec.image.clone())),
        ("expectedNodename", text(spec.expected_nodename.clone())),
    ];
    vec![item("kubelet", &spec, yaml)]
}

pub(super) fn kubelet(node: &Node) -> Vec<Item> {
    let Some(config) = node.config() else {
        return Vec::new();
    };
    let document = config.doc("KubeletConfig");
    let image = config
        .text_at("machine.kubelet.image")
        .or_else(|| document?.text_at("image"));
    let spec = KubeletConfigSpec {
        image: image.unwrap_or_default().to_owned(),
        cluster_dns: Vec::new(),
        cluster_domain: domain(&config),
    };
    let yaml = vec![
        ("image", text(spec.image.clone())),
        ("clusterDNS", list(&spec.cluster_dns)),
        ("clusterDomain", text(spec.cluster_domain.clone())),
    ];
    vec![item("kubelet", &spec, yaml)]
}

fn domain(config: &Config) -> String {
    let document = config.doc("KubeNetworkConfig");
    let found = config
        .text_at("cluster.network.dnsDomain")
        .or_else(|| document?.text_at("dnsDomain"));
    found.unwrap_or("cluster.local").to_owned()
}

fn subnets(config: &Config) -> Vec<String> {
    let old = config.items_at("cluster.network.podSubnets");
    let new = config
        .doc("KubeNetworkConfig")
        .map(|d| d.items_at("podSubnets"));
    let items = if old.is_empty() {
        new.unwrap_or_default()
    } else {
        old
    };
    items
        .iter()
        .filter_map(YamlNode::text)
        .map(str::to_owned)
        .collect()
}
