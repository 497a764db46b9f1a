//! Validates a decoded configuration as a node does; warnings and errors in the real texts.

use std::net::IpAddr;

use ipnet::IpNet;

use super::conflicts::{CONTROL_PLANE_ONLY, conflicts};
use super::{Config, Document, MachineType};
use crate::version::Line;
use crate::yaml::Node;

/// How the machine was started.
#[derive(Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) line: Line,
    /// Bare metal that Talos is not installed on.
    pub(crate) requires_install: bool,
}

/// Warnings, or every error as one text.
pub(crate) fn validate(config: &Config, mode: Mode) -> Result<Vec<String>, String> {
    let mut warnings = Vec::new();
    let mut errors = Vec::new();
    if let Some(main) = config.main() {
        let mut found = Findings::default();
        main_document(config, main, mode, &mut found);
        warnings = found.warnings;
        if !found.errors.is_empty() {
            errors.push(format!("v1alpha1.Config: {}", listed(&found.errors)));
        }
    }
    for document in &config.documents {
        if let Some(error) = other_document(document) {
            errors.push(format!("{}: {error}", identity(document)));
        }
    }
    errors.extend(conflicts(config));
    if mode.line >= Line::V1_14 {
        whole(config, &mut errors);
    }
    if errors.is_empty() {
        Ok(warnings)
    } else {
        Err(listed(&errors))
    }
}

#[derive(Default)]
struct Findings {
    warnings: Vec<String>,
    errors: Vec<String>,
}

impl Findings {
    fn error(&mut self, text: impl Into<String>) {
        self.errors.push(text.into());
    }
}

/// Errors as Go's multierror lists them.
fn listed(errors: &[String]) -> String {
    let head = match errors.len() {
        1 => "1 error occurred:".to_owned(),
        n => format!("{n} errors occurred:"),
    };
    let points: Vec<String> = errors.iter().map(|e| format!("* {e}")).collect();
    format!("{head}\n\t{}\n\n", points.join("\n\t"))
}

fn identity(document: &Document) -> String {
    match document.name.as_str() {
        "" => document.kind.clone(),
        name => format!("{}/{name}", document.kind),
    }
}

fn main_document(config: &Config, main: &Node, mode: Mode, found: &mut Findings) {
    let Some(machine) = main.get("machine") else {
        return found.error("machine instructions are required");
    };
    cluster(config, main, mode, found);
    install(machine, mode, found);
    if machine.bool_at("features.hostDNS.forwardKubeDNSToHost") == Some(true)
        && machine.bool_at("features.hostDNS.enabled") != Some(true)
    {
        found.error("feature hostDNS.forwardKubeDNSToHost requires hostDNS.enabled to be true (.machine.features.hostDNS)");
    }
    if let Some(kind) = config.machine_type() {
        let written = machine.text_at("type").unwrap_or_default();
        if written == "join" {
            found.warnings.push(format!(
                "use {:?} instead of {written:?} for machine type",
                kind.name()
            ));
        }
    }
    authorities(config, machine, found);
    devices(config, machine, found);
    if mode.line <= Line::V1_13 && machine.bool_at("network.kubespan.enabled") == Some(true) {
        kubespan(config, found);
    }
    if main.bool_at("persist") == Some(false) {
        found.error(".persist should be enabled");
    }
}

fn kubespan(config: &Config, found: &mut Findings) {
    if !config.discovery_enabled() {
        found.error(
            ".cluster.discovery should be enabled when .machine.network.kubespan is enabled",
        );
    }
    if config.text_at("cluster.id").is_none() {
        found.error(".cluster.id should be set when .machine.network.kubespan is enabled");
    }
    if config.text_at("cluster.secret").is_none() {
        found.error(".cluster.secret should be set when .machine.network.kubespan is enabled");
    }
}

fn cluster(config: &Config, main: &Node, mode: Mode, found: &mut Findings) {
    let Some(cluster) = main.get("cluster") else {
        return found.error("cluster instructions are required");
    };
    let mut errors = Vec::new();
    match cluster.text_at("controlPlane.endpoint") {
        None if mode.line <= Line::V1_13 => {
            return found.error("cluster controlplane endpoint is required");
        }
        None => {}
        Some(endpoint) => {
            if let Err(error) = endpoint_uri(endpoint) {
                errors.push(format!("invalid controlplane endpoint: {error}"));
            }
        }
    }
    let control_plane = config.is_control_plane();
    if let Some(etcd) = cluster.get("etcd") {
        if !control_plane {
            errors.push("etcd config is only allowed on control plane machines".to_owned());
        } else if etcd.get("ca").is_none() {
            errors.push("key/cert combination should not be empty".to_owned());
        }
    }
    if !control_plane && cluster.text_at("ca.key").is_some() {
        errors.push(
            "cluster CA key is not allowed on non-controlplane nodes (.cluster.ca)".to_owned(),
        );
    }
    inline_manifests(cluster, &mut errors);
    if mode.line <= Line::V1_13 {
        discovery(cluster, &mut errors);
    }
    if !errors.is_empty() {
        found.errors.extend(errors);
    }
}

fn inline_manifests(cluster: &Node, errors: &mut Vec<String>) {
    let mut names = std::collections::HashSet::new();
    for manifest in cluster.items_at("inlineManifests") {
        let name = manifest.text_at("name").unwrap_or_default();
        if name.trim().is_empty() {
            errors.push("inline manifest name can't be empty".to_owned());
        }
        if !names.insert(name) {
            errors.push(format!("inline manifest name {name:?} is duplicate"));
        }
    }
}

fn discovery(cluster: &Node, errors: &mut Vec<String>) {
    let service_off = cluster.bool_at("discovery.registries.service.disabled") == Some(true);
    if cluster.bool_at("discovery.enabled") != Some(true) || service_off {
        return;
    }
    if cluster.text_at("id").is_none() {
        errors.push("cluster discovery service requires .cluster.id".to_owned());
    }
    if cluster.text_at("secret").is_none() {
        errors.push("cluster discovery service requires .cluster.secret".to_owned());
    }
}

fn install(machine: &Node, mode: Mode, found: &mut Findings) {
    if !mode.requires_install {
        return;
    }
    let Some(install) = machine.get("install") else {
        if mode.line <= Line::V1_13 {
            found.error("install instructions are required in \"metal\" mode");
        }
        return;
    };
    if install.text_at("disk").is_none() && install.get("diskSelector").is_none() {
        found.error("either install disk or diskSelector should be defined");
    }
    if !install.items_at("extraKernelArgs").is_empty()
        && install.bool_at("grubUseUKICmdline") == Some(true)
    {
        found.error("install.extraKernelArgs and install.grubUseUKICmdline can't be used together");
    }
}

fn authorities(config: &Config, machine: &Node, found: &mut Findings) {
    let ca = machine.get("ca");
    let accepted = !machine.items_at("acceptedCAs").is_empty();
    if ca.is_none() && !accepted {
        found.error(
            "issuing CA or some accepted CAs are required (.machine.ca, machine.acceptedCAs)",
        );
    }
    let has_key = ca.is_some_and(|ca| ca.text_at("key").is_some());
    match config.machine_type() {
        Some(MachineType::ControlPlane) => {
            network_plugin(config, found);
            match ca {
                None => found.error("issuing CA is required (.machine.ca)"),
                Some(_) if !has_key => {
                    found.error(
                        "issuing CA key is required for controlplane nodes (.machine.ca.key)",
                    );
                }
                Some(_) => {}
            }
        }
        Some(MachineType::Worker) => {
            for device in machine.items_at("network.interfaces") {
                let vlans = device.items_at("vlans").iter();
                for _ in vlans.chain([device]).filter(|d| d.get("vip").is_some()) {
                    found.error("virtual (shared) IP is not allowed on non-controlplane nodes");
                }
            }
            if has_key {
                found.error("issuing Talos API CA key is not allowed on non-controlplane nodes (.machine.ca)");
            }
            if ca.is_some_and(|ca| ca.text_at("crt").is_none()) && !accepted {
                found.error("trusted CA certificates are required on non-controlplane nodes (.machine.ca.crt, .machine.acceptedCAs)");
            }
            if config.text_at("cluster.ca.key").is_some() {
                found.error("issuing Kubernetes API CA key is not allowed on non-controlplane nodes (.cluster.ca)");
            }
        }
        None => {
            let written = machine.text_at("type").unwrap_or_default();
            found.error(format!("unknown machine type {written:?}"));
        }
    }
}

fn network_plugin(config: &Config, found: &mut Findings) {
    let Some(plugin) = config.at("cluster.network.cni") else {
        return;
    };
    let name = plugin.text_at("name").unwrap_or("flannel");
    let urls = plugin.items_at("urls");
    match name {
        "flannel" | "none" if !urls.is_empty() => {
            found.error(format!("\"urls\" field should be empty for {name:?} CNI"));
        }
        "custom" if urls.is_empty() => found.warnings.push(format!(
            "\"urls\" field should not be empty for {name:?} CNI"
        )),
        "flannel" | "none" | "custom" => {}
        _ => found.error("cni name should be one of [\"flannel\", \"custom\", \"none\"]"),
    }
}

fn devices(config: &Config, machine: &Node, found: &mut Findings) {
    for device in machine.items_at("network.interfaces") {
        let name = device.text_at("interface").unwrap_or_default();
        let selector = device.get("deviceSelector");
        let both = "[networking.os.device.interface], [networking.os.device.deviceSelector]";
        match (name.is_empty(), selector) {
            (true, None) => {
                found.error(format!("{both}: required either config section to be set"));
            }
            (false, Some(_)) => {
                found.error(format!("{both}: config sections are mutually exclusive"));
            }
            _ => {}
        }
        if selector.is_some_and(|s| s.entries().is_empty()) {
            found.error("[networking.os.device.deviceSelector]: config section should contain at least one field");
        }
        for address in device.texts_at("addresses") {
            if address.parse::<IpNet>().is_err() && address.parse::<IpAddr>().is_err() {
                found.error(format!(
                    "[networking.os.device.addresses] {name:?}: invalid CIDR address: {address}"
                ));
            }
        }
        if let Some(vip) = device.get("vip") {
            let ip = vip.text_at("ip").unwrap_or_default();
            if ip.parse::<IpAddr>().is_err() {
                found.error(format!(
                    "[networking.os.device.vip] failed to parse {ip:?} as IP address"
                ));
            }
        }
        routes(device, found);
    }
    if machine.get("network").is_some() {
        unknown_labels(config, found);
    }
}

fn routes(device: &Node, found: &mut Findings) {
    for (i, route) in device.items_at("routes").iter().enumerate() {
        let network = route.text_at("network");
        let gateway = route.text_at("gateway");
        let at = format!("networking.os.device.route[{i}]");
        if let Some(network) = network.filter(|n| n.parse::<IpNet>().is_err()) {
            found.error(format!(
                "[{at}.network] {network:?}: invalid network address"
            ));
        }
        if let Some(gateway) = gateway.filter(|g| g.parse::<IpAddr>().is_err()) {
            found.error(format!(
                "[{at}.gateway] {gateway:?}: invalid network address"
            ));
        }
        if network.is_none() && gateway.is_none() {
            found.error(format!("[{at}]: either network or gateway should be set"));
        }
    }
}

/// Labels must be valid Kubernetes labels.
fn unknown_labels(config: &Config, found: &mut Findings) {
    for (key, value) in config.node_labels() {
        let name = key.rsplit('/').next().unwrap_or_default();
        let fits = |text: &str| {
            text.len() <= 63
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
                && text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        };
        if !fits(name) || !(value.is_empty() || fits(&value)) {
            found.error(format!(
                "invalid machine node labels: label {key:?}: invalid format"
            ));
        }
    }
}

fn endpoint_uri(endpoint: &str) -> Result<(), String> {
    let Some((scheme, rest)) = endpoint.split_once("://") else {
        return Err(format!("url must start with http or https: {endpoint:?}"));
    };
    if !matches!(scheme, "http" | "https") {
        return Err(format!("url must start with http or https: {endpoint:?}"));
    }
    let host = rest.split('/').next().unwrap_or_default();
    if host.is_empty() {
        return Err(format!("no host in {endpoint:?}"));
    }
    Ok(())
}

fn other_document(document: &Document) -> Option<String> {
    match document.kind.as_str() {
        "HostnameConfig" => hostname(&document.node),
        "Layer2VIPConfig" => virtual_address(document),
        "LinkConfig" | "DHCPv4Config" | "DHCPv6Config" => link(document),
        _ => None,
    }
}

fn hostname(node: &Node) -> Option<String> {
    let mut errors = Vec::new();
    // `off` and `on` are strings for this field, however they are written.
    let auto = node.text_at("auto");
    let name = node.text_at("hostname");
    if auto.is_none() && name.is_none() {
        errors.push("either 'auto' or 'hostname' must be set".to_owned());
    }
    if auto.is_some_and(|a| a != "off") && name.is_some() {
        errors.push("'auto' and 'hostname' cannot be set at the same time".to_owned());
    }
    if let Some(auto) = auto.filter(|a| !matches!(*a, "off" | "stable")) {
        errors.push(format!("invalid value for 'auto': {auto}"));
    }
    if let Some(name) = name {
        if name.len() > 253 {
            errors.push(format!("fqdn is too long: {}", name.len()));
        }
        let first = name.split('.').next().unwrap_or_default();
        if first.is_empty() || first.len() > 63 {
            errors.push(format!("invalid hostname {first:?}"));
        }
    }
    (!errors.is_empty()).then(|| errors.join("\n"))
}

fn link(document: &Document) -> Option<String> {
    let mut errors = Vec::new();
    if document.name.is_empty() {
        errors.push("name must be specified".to_owned());
    }
    for (i, address) in document.node.items_at("addresses").iter().enumerate() {
        match address.text_at("address").map(str::parse::<IpNet>) {
            None => errors.push(format!("address {i} must be specified")),
            Some(Ok(net)) if !net.addr().is_unspecified() => {}
            Some(_) => errors.push(format!("address {i} must be a valid IP prefix")),
        }
    }
    for (i, route) in document.node.items_at("routes").iter().enumerate() {
        let bad = |key| {
            let text = route.text_at(key);
            let address = text.map(|t| t.split('/').next().unwrap_or_default());
            address.is_some_and(|t| t.parse::<IpAddr>().map_or(true, |a| a.is_unspecified()))
        };
        if bad("destination") {
            errors.push(format!("route {i} destination must be a valid IP prefix"));
        }
        if bad("gateway") {
            errors.push(format!("route {i} gateway must be a valid IP address"));
        }
    }
    (!errors.is_empty()).then(|| errors.join("\n"))
}

fn virtual_address(document: &Document) -> Option<String> {
    let mut errors = Vec::new();
    if document.name.is_empty() {
        errors.push("name must be specified".to_owned());
    } else if let Err(error) = document.name.parse::<IpAddr>() {
        errors.push(format!("name must be a valid IP address: {error}"));
    }
    if document.node.text_at("link").is_none() {
        errors.push("link must be specified".to_owned());
    }
    (!errors.is_empty()).then(|| errors.join("\n"))
}

/// Rules that concern the whole configuration (since 1.14).
fn whole(config: &Config, errors: &mut Vec<String>) {
    let discovery = config.discovery_enabled();
    let identity = config.doc("DiscoveryIdentityConfig");
    let given = |old: &str, new: &str| {
        config.text_at(old).is_some() || identity.is_some_and(|d| d.text_at(new).is_some())
    };
    if discovery && !given("cluster.id", "clusterID") {
        errors.push("cluster ID (.cluster.id or DiscoveryIdentityConfig) should be set when cluster discovery (DiscoveryServiceConfig) is enabled".to_owned());
    }
    if discovery && !given("cluster.secret", "clusterSecret") {
        errors.push("cluster secret (.cluster.secret or DiscoveryIdentityConfig) should be set when cluster discovery (DiscoveryServiceConfig) is enabled".to_owned());
    }
    let kubespan = config
        .at("machine.network.kubespan.enabled")
        .and_then(Node::boolean)
        == Some(true)
        || config
            .doc("KubeSpanConfig")
            .and_then(|d| d.bool_at("enabled"))
            == Some(true);
    if kubespan && !discovery {
        errors.push("KubeSpan requires cluster discovery to be enabled".to_owned());
    }
    if config.is_control_plane() {
        let encrypted = config
            .text_at("cluster.secretboxEncryptionSecret")
            .is_some()
            || config.text_at("cluster.aescbcEncryptionSecret").is_some()
            || config.doc("KubeEtcdEncryptionConfig").is_some();
        if config.cluster_ca().is_some() && !encrypted {
            errors.push("etcd encryption config is required for control plane machines running kube-apiserver".to_owned());
        }
    } else {
        let mut kinds: Vec<&str> = config
            .documents
            .iter()
            .map(|d| d.kind.as_str())
            .filter(|kind| CONTROL_PLANE_ONLY.contains(kind))
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        if !kinds.is_empty() {
            errors.push(format!(
                "the following document kinds are only allowed on control plane machines: [{}]",
                kinds.join(" ")
            ));
        }
    }
}
