//! The Kubernetes on a Talos cluster: started with etcd's quorum, reached at its nodes and virtual addresses, given its manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use stead_lab_core::cluster::{Cluster, ClusterSpec, NodeSpec, StaticPod};

use serde_json::{Value as Json, json};

use super::TalosCluster;
use super::manifests::{self, Source};
use crate::config::Config;
use crate::node::{Node, static_pods};
use crate::pki;
use crate::version::Line;
use crate::world::World;

/// Where every control plane's API server listens.
const KUBERNETES_PORT: u16 = 6443;
/// The machine API, which answers at virtual addresses too.
const MACHINE_PORT: u16 = 50000;

impl TalosCluster {
    /// Brings etcd, Kubernetes, nodes and routes to what the running machines say; whether nothing is left to do.
    pub(super) async fn reconcile(&self, world: &Arc<World>) -> bool {
        let nodes = world.members_of(&self.id);
        let quorum = self.settle_etcd(world, &nodes);
        let planes: Vec<Arc<Node>> = nodes
            .iter()
            .filter(|n| self.member_of(n).is_some())
            .cloned()
            .collect();
        let mut settled = true;
        let api = match (quorum, planes.first()) {
            (true, Some(first)) => {
                let api = self.started(world, &nodes, first).await;
                settled = api.is_some();
                api
            }
            _ => None,
        };
        // Without quorum API servers go on answering, but nothing can be written.
        let frozen = self.api().filter(|_| api.is_none() && !planes.is_empty());
        if let Some(frozen) = &frozen {
            frozen.set_writable(false);
        }
        self.route(world, &planes, api.as_deref().or(frozen.as_deref()));
        if let Some(api) = &api {
            api.set_writable(true);
            self.bring_back(api.as_ref()).await;
            self.join(api.as_ref(), &nodes).await;
            self.mirror_static_pods(api.as_ref(), &planes).await;
            settled &= self.apply_manifests(world, api.as_ref(), &planes).await;
        }
        self.part(&nodes).await;
        settled
    }

    async fn started(
        &self,
        world: &World,
        nodes: &[Arc<Node>],
        first: &Arc<Node>,
    ) -> Option<Arc<dyn Cluster>> {
        if let Some(api) = self.api() {
            return Some(api);
        }
        let spec = self.spec(nodes, first)?;
        match world.hosts.start(spec).await {
            Ok(api) => {
                self.lock().api = Some(api.clone());
                Some(api)
            }
            Err(error) => {
                tracing::error!(%error, cluster = self.id, "cannot start Kubernetes");
                None
            }
        }
    }

    /// Restores what a snapshot brought.
    async fn bring_back(&self, api: &dyn Cluster) {
        let Some(entries) = self.lock().restore.take() else {
            return;
        };
        if let Err(error) = api.replace_entries(entries).await {
            tracing::error!(%error, cluster = self.id, "cannot restore a snapshot");
        }
    }

    /// The control planes' own pods follow their configurations, and the API's version follows the oldest API server.
    async fn mirror_static_pods(&self, api: &dyn Cluster, planes: &[Arc<Node>]) {
        let mut oldest: Option<(Vec<u64>, String)> = None;
        for node in planes {
            let Some(config) = node.config().filter(|c| c.is_control_plane()) else {
                continue;
            };
            let version = config.kubernetes_version(node.line());
            let numbers = version.split(|c: char| !c.is_ascii_digit());
            let numbers: Vec<u64> = numbers.filter_map(|n| n.parse().ok()).collect();
            if oldest.as_ref().is_none_or(|(least, _)| numbers < *least) {
                oldest = Some((numbers, version));
            }
            let pods = static_pods(&config, node.line()).into_iter();
            let pods: Vec<StaticPod> = pods
                .map(|(name, image)| StaticPod {
                    annotations: BTreeMap::from([(
                        "talos.dev/config-version".to_owned(),
                        crate::api::config_version(node, name).to_string(),
                    )]),
                    name: name.to_owned(),
                    image,
                })
                .collect();
            api.static_pods(&node.node_name(), &pods).await;
        }
        if let Some((_, version)) = oldest {
            api.set_version(&version).await;
        }
    }

    fn spec(&self, nodes: &[Arc<Node>], first: &Arc<Node>) -> Option<ClusterSpec> {
        let config = first.config()?;
        let ca = config.cluster_ca()?;
        let ca_key_pem = match pki::pkcs8_pem(&ca) {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(%error, cluster = self.id, "unusable Kubernetes CA");
                return None;
            }
        };
        let mut names: BTreeSet<String> = BTreeSet::new();
        for node in nodes {
            let Some(config) = node.config().filter(|c| c.is_control_plane()) else {
                continue;
            };
            names.extend(config.kubernetes_sans());
            names.insert(node.hostname());
            names.extend(node.addresses().iter().map(|a| a.addr().to_string()));
            names.extend(virtual_addresses(&config));
        }
        Some(ClusterSpec {
            id: self.id.clone(),
            name: config.cluster_name(),
            ca_certificate_pem: ca.certificate.clone(),
            ca_key_pem,
            kubernetes_version: config.kubernetes_version(first.line()),
            certificate_names: names.into_iter().collect(),
            needs_cni: config.needs_cni(),
        })
    }

    /// Makes the API answer at the control planes, at their virtual addresses and at the endpoint's name, and nowhere else.
    fn route(&self, world: &World, planes: &[Arc<Node>], api: Option<&dyn Cluster>) {
        let mut wanted: BTreeMap<(String, u16), std::net::SocketAddr> = BTreeMap::new();
        let mut holders = BTreeMap::new();
        if let Some(api) = api {
            let target = api.api_address();
            let mut ports = BTreeSet::from([KUBERNETES_PORT]);
            for node in planes {
                let Some(config) = node.config() else {
                    continue;
                };
                ports.insert(config.endpoint_port());
                let mut hosts: Vec<String> = node
                    .addresses()
                    .iter()
                    .map(|a| a.addr().to_string())
                    .collect();
                for vip in virtual_addresses(&config) {
                    holders
                        .entry(vip.clone())
                        .or_insert_with(|| self.elected(&vip, planes, node));
                    hosts.push(vip);
                }
                // A name stands for a load balancer or DNS record in front of the control planes.
                hosts.extend(
                    config
                        .endpoint_host()
                        .filter(|h| h.parse::<IpAddr>().is_err()),
                );
                for host in hosts {
                    wanted.extend(ports.iter().map(|port| ((host.clone(), *port), target)));
                }
            }
            for (vip, machine) in &holders {
                let holder = planes.iter().find(|n| n.id == *machine);
                let socket = holder.and_then(|n| {
                    let address = n.address()?.to_string();
                    world.lab.network.resolve(&address, MACHINE_PORT)
                });
                if let Some(socket) = socket {
                    wanted.insert((vip.clone(), MACHINE_PORT), socket);
                }
            }
        }
        let mut state = self.lock();
        for (host, port) in &state.routes {
            if !wanted.contains_key(&(host.clone(), *port)) {
                world.lab.network.release(host, *port);
            }
        }
        for ((host, port), target) in &wanted {
            world.lab.network.route(host, *port, *target);
        }
        state.routes = wanted.into_keys().collect();
        state.holders = holders;
    }

    /// The holder of a virtual address keeps it while it runs.
    fn elected(&self, vip: &str, planes: &[Arc<Node>], otherwise: &Arc<Node>) -> String {
        let current = self.holder(vip);
        match current.filter(|machine| planes.iter().any(|n| n.id == *machine)) {
            Some(machine) => machine,
            None => otherwise.id.clone(),
        }
    }

    async fn join(&self, api: &dyn Cluster, nodes: &[Arc<Node>]) {
        for node in nodes {
            let Some(spec) = node_spec(node) else {
                continue;
            };
            let known = self.lock().joined.get(&node.id).cloned();
            if node.with_boot(|b| b.kubelet_held) == Some(true) {
                continue;
            }
            let running = node.with_boot(|b| b.kubelet_running) == Some(true);
            if running && known.as_ref() == Some(&spec) {
                continue;
            }
            api.node_joined(spec.clone()).await;
            self.lock().joined.insert(node.id.clone(), spec);
            node.update(|b| b.kubelet_running = true);
        }
    }

    /// Kubelets that report no more.
    async fn part(&self, nodes: &[Arc<Node>]) {
        let gone: Vec<NodeSpec> = {
            let mut state = self.lock();
            let missing: Vec<String> = state
                .joined
                .keys()
                .filter(|machine| !nodes.iter().any(|n| n.id == **machine))
                .cloned()
                .collect();
            missing
                .iter()
                .filter_map(|machine| state.joined.remove(machine))
                .collect()
        };
        if let Some(api) = self.api() {
            for spec in gone {
                api.node_stopped(&spec.name).await;
            }
        }
    }

    /// Applies each manifest once; whether all are.
    async fn apply_manifests(
        &self,
        world: &World,
        api: &dyn Cluster,
        planes: &[Arc<Node>],
    ) -> bool {
        let mut all = true;
        let Some((config, line)) = planes.first().and_then(|n| Some((n.config()?, n.line())))
        else {
            return true;
        };
        for manifest in manifests::of(&config, line) {
            let applied = self.lock().saved.applied.contains(&manifest.id);
            if let Source::Url(url) = &manifest.source
                && !self.lock().fetched.contains_key(url)
            {
                match fetch(world, url).await {
                    Ok(text) => drop(self.lock().fetched.insert(url.clone(), text)),
                    Err(error) => {
                        tracing::warn!(cluster = self.id, url, %error, "manifest not fetched yet");
                        all &= applied;
                        continue;
                    }
                }
            }
            if applied {
                continue;
            }
            let yaml = match &manifest.source {
                // JSON is YAML.
                Source::Objects(objects) => json!({ "kind": "List", "items": objects }).to_string(),
                Source::Text(text) => text.clone(),
                Source::Url(url) => self.lock().fetched.get(url).cloned().unwrap_or_default(),
            };
            match api.apply_bootstrap_manifests("talos", &yaml).await {
                Ok(()) => {
                    self.lock().saved.applied.insert(manifest.id);
                    self.save(world);
                }
                Err(error) => {
                    tracing::warn!(cluster = self.id, manifest = manifest.id, %error, "manifest not applied yet");
                    all = false;
                }
            }
        }
        all
    }

    /// The objects that a node with this configuration brings, by the names of their manifests; those that are fetched from elsewhere
    /// when that has been done.
    pub(crate) fn manifests(&self, config: &Config, line: Line) -> Vec<(String, Vec<Json>)> {
        let found = manifests::of(config, line).into_iter();
        let state = self.lock();
        let found = found.filter_map(|manifest| {
            let objects = match manifest.source {
                Source::Objects(objects) => objects,
                Source::Text(text) => manifests::objects(&text),
                Source::Url(url) => manifests::objects(state.fetched.get(&url)?),
            };
            Some((manifest.id, objects))
        });
        found.collect()
    }
}

async fn fetch(world: &World, url: &str) -> Result<String, String> {
    let response = world.client.get(url).await.map_err(|e| e.to_string())?;
    if !response.status().is_success() {
        return Err(format!("{url}: {}", response.status()));
    }
    String::from_utf8(response.into_body().to_vec()).map_err(|e| e.to_string())
}

fn virtual_addresses(config: &Config) -> Vec<String> {
    let addresses = config.network().virtual_addresses;
    addresses.iter().map(IpAddr::to_string).collect()
}

fn node_spec(node: &Node) -> Option<NodeSpec> {
    let config = node.config()?;
    let hardware = node.hardware();
    Some(NodeSpec {
        name: node.node_name(),
        address: node.address()?.to_string(),
        control_plane: config.is_control_plane(),
        kubelet_version: config.kubelet_version(node.line()),
        os_image: format!("Talos ({})", node.image()?.version),
        labels: config.node_labels(),
        cpu: hardware.cores,
        memory_mib: hardware.memory_mib,
    })
}
