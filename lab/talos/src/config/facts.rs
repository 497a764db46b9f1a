//! What a node reads out of its configuration, whether it stands in the main document or in one of the newer kinds.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine;
use ipnet::IpNet;
use sha2::{Digest, Sha256};

use super::Config;
use crate::version::Line;
use crate::yaml::Node;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineType {
    ControlPlane,
    Worker,
}

impl MachineType {
    /// The number of the `machine type` enumeration.
    pub(crate) fn number(self) -> i32 {
        match self {
            MachineType::ControlPlane => 2,
            MachineType::Worker => 3,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            MachineType::ControlPlane => "controlplane",
            MachineType::Worker => "worker",
        }
    }
}

/// A certificate and perhaps its key, as PEM texts. No `Debug`: the key is secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Pem {
    pub(crate) certificate: String,
    pub(crate) key: Option<String>,
}

/// Static addresses for one link, and how the link is chosen.
#[derive(Clone, Default)]
pub(crate) struct LinkAddresses {
    /// `eth0`, an alias, or empty when `hardware_address` chooses.
    pub(crate) name: String,
    /// A pattern with `*`.
    pub(crate) hardware_address: Option<String>,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) dhcp: bool,
    pub(crate) virtual_address: Option<IpAddr>,
    pub(crate) ignore: bool,
}

/// Everything a configuration says about a node's network.
#[derive(Clone, Default)]
pub(crate) struct NodeNetwork {
    pub(crate) links: Vec<LinkAddresses>,
    /// Virtual addresses shared by the control planes.
    pub(crate) virtual_addresses: Vec<IpAddr>,
}

/// Manifests that the control plane applies, besides those of Talos itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manifest {
    Inline { name: String, contents: String },
    Url { rank: &'static str, url: String },
}

impl Config {
    pub(crate) fn machine_type(&self) -> Option<MachineType> {
        match self.text_at("machine.type")? {
            "controlplane" | "init" => Some(MachineType::ControlPlane),
            "worker" | "join" => Some(MachineType::Worker),
            _ => None,
        }
    }

    pub(crate) fn is_control_plane(&self) -> bool {
        self.machine_type() == Some(MachineType::ControlPlane)
    }

    /// Whether a node can leave maintenance mode with it.
    pub(crate) fn complete_for_boot(&self) -> bool {
        self.machine_type().is_some()
    }

    pub(crate) fn machine_ca(&self) -> Option<Pem> {
        encoded_pair(self.at("machine.ca")?)
    }

    /// Addresses of name servers.
    pub(crate) fn name_servers(&self) -> Vec<String> {
        let old = self.items_at("machine.network.nameservers");
        let old = old.iter().filter_map(Node::text).map(str::to_owned);
        let new = self
            .doc("ResolverConfig")
            .map(|d| d.items_at("nameservers"));
        let new = new.unwrap_or_default().iter();
        old.chain(new.filter_map(|s| s.text_at("address").map(str::to_owned)))
            .collect()
    }

    /// Certificates that may have signed a client's, besides the machine CA's.
    pub(crate) fn accepted_cas(&self) -> Vec<String> {
        let items = self.items_at("machine.acceptedCAs");
        items
            .iter()
            .filter_map(|item| decode_text(item.text_at("crt")?))
            .collect()
    }

    pub(crate) fn cluster_ca(&self) -> Option<Pem> {
        if let Some(ca) = self.at("cluster.ca") {
            return encoded_pair(ca);
        }
        plain_pair(self.doc("KubeAPIServerCAConfig")?.get("issuingCA")?)
    }

    pub(crate) fn has_etcd_ca(&self) -> bool {
        self.text_at("cluster.etcd.ca.crt").is_some()
    }

    pub(crate) fn token(&self) -> &str {
        self.text_at("machine.token").unwrap_or_default()
    }

    /// What nodes of one cluster have in common: its id, else the fingerprint of its CA.
    pub(crate) fn cluster_id(&self) -> Option<String> {
        let identity = self.doc("DiscoveryIdentityConfig");
        let id = self
            .text_at("cluster.id")
            .or_else(|| identity?.text_at("clusterID"));
        match id {
            Some(id) => Some(id.to_owned()),
            None => {
                let ca = self.cluster_ca().or_else(|| self.machine_ca())?;
                let hash = Sha256::digest(ca.certificate.trim().as_bytes());
                Some(base64::engine::general_purpose::URL_SAFE.encode(hash))
            }
        }
    }

    pub(crate) fn cluster_name(&self) -> String {
        let document = self.doc("KubeClusterConfig");
        let name = self
            .text_at("cluster.clusterName")
            .or_else(|| document?.text_at("clusterName"));
        name.unwrap_or_default().to_owned()
    }

    pub(crate) fn endpoint(&self) -> Option<String> {
        let document = self.doc("KubeClusterConfig");
        self.text_at("cluster.controlPlane.endpoint")
            .or_else(|| document?.text_at("endpoint"))
            .map(str::to_owned)
    }

    /// The host part of the cluster's endpoint.
    pub(crate) fn endpoint_host(&self) -> Option<String> {
        let uri: axum::http::Uri = self.endpoint()?.parse().ok()?;
        let host = uri.host()?;
        Some(host.trim_matches(['[', ']']).to_owned())
    }

    /// The port of the cluster's endpoint.
    pub(crate) fn endpoint_port(&self) -> u16 {
        let uri = self
            .endpoint()
            .and_then(|e| e.parse::<axum::http::Uri>().ok());
        uri.and_then(|u| u.port_u16()).unwrap_or(443)
    }

    /// A name that the configuration gives; otherwise the node makes one.
    pub(crate) fn hostname(&self) -> Option<String> {
        let document = self.doc("HostnameConfig");
        self.text_at("machine.network.hostname")
            .or_else(|| document?.text_at("hostname"))
            .map(str::to_owned)
    }

    /// Whether the made-up name is `talos-` with the machine's identity instead of its address.
    pub(crate) fn stable_hostname(&self) -> bool {
        let old = self
            .at("machine.features.stableHostname")
            .and_then(Node::boolean);
        let new = self.doc("HostnameConfig").and_then(|d| d.text_at("auto"));
        old == Some(true) || new == Some("stable")
    }

    /// Names and addresses in the machine API's certificate.
    pub(crate) fn machine_sans(&self) -> Vec<String> {
        self.main()
            .map(|m| m.texts_at("machine.certSANs"))
            .unwrap_or_default()
    }

    /// Names and addresses in the Kubernetes API's certificate, besides the node's own.
    pub(crate) fn kubernetes_sans(&self) -> Vec<String> {
        let mut names = self
            .main()
            .map(|m| m.texts_at("cluster.apiServer.certSANs"))
            .unwrap_or_default();
        if let Some(document) = self.doc("KubeAPIServerConfig") {
            names.extend(document.texts_at("certExtraSANs"));
        }
        names.extend(self.endpoint_host());
        names
    }

    fn image_tag(&self, path: &str, kind: &str) -> Option<String> {
        let image = self
            .text_at(path)
            .or_else(|| self.doc(kind)?.text_at("image"))?;
        let image = image.split('@').next().unwrap_or(image);
        let (_, tag) = image.rsplit_once(':')?;
        (!tag.contains('/')).then(|| tag.to_owned())
    }

    pub(crate) fn kubelet_version(&self, line: Line) -> String {
        self.image_tag("machine.kubelet.image", "KubeletConfig")
            .unwrap_or_else(|| line.default_kubernetes().to_owned())
    }

    pub(crate) fn kubernetes_version(&self, line: Line) -> String {
        self.image_tag("cluster.apiServer.image", "KubeAPIServerConfig")
            .unwrap_or_else(|| self.kubelet_version(line))
    }

    /// Whether the cluster comes without a network plugin, for someone else to install one.
    pub(crate) fn needs_cni(&self) -> bool {
        if self.at("cluster.network").is_some() {
            return matches!(
                self.text_at("cluster.network.cni.name"),
                Some("none" | "custom")
            );
        }
        self.doc("KubeNetworkConfig").is_some() && self.doc("KubeFlannelCNIConfig").is_none()
    }

    pub(crate) fn node_labels(&self) -> BTreeMap<String, String> {
        let sources = [
            self.at("machine.nodeLabels"),
            self.doc("KubeNodeConfig").and_then(|d| d.get("labels")),
        ];
        let entries = sources.into_iter().flatten().flat_map(Node::entries);
        entries
            .filter_map(|(k, v)| {
                Some((
                    k.text()?.to_owned(),
                    v.text().unwrap_or_default().to_owned(),
                ))
            })
            .collect()
    }

    /// Subnets from which the kubelet takes the node's address, `!` excluding.
    pub(crate) fn node_subnets(&self) -> Vec<String> {
        let old = self
            .main()
            .map(|m| m.texts_at("machine.kubelet.nodeIP.validSubnets"))
            .unwrap_or_default();
        if !old.is_empty() {
            return old;
        }
        self.doc("KubeNodeConfig")
            .map(|d| d.texts_at("nodeIP.validSubnets"))
            .unwrap_or_default()
    }

    /// In the order in which they stand: network plugin, cloud provider, extra, inline. The rank is what their names begin with.
    pub(crate) fn manifests(&self) -> Vec<Manifest> {
        let mut found = Vec::new();
        let mut urls = |rank, path| {
            let urls = self.items_at(path).iter().filter_map(Node::text);
            found.extend(urls.map(|url| Manifest::Url {
                rank,
                url: url.to_owned(),
            }));
        };
        if self.text_at("cluster.network.cni.name") == Some("custom") {
            urls("05", "cluster.network.cni.urls");
        }
        urls("30", "cluster.externalCloudProvider.manifests");
        urls("99", "cluster.extraManifests");
        found.extend(self.items_at("cluster.inlineManifests").iter().map(inline));
        found.extend(
            self.docs("KubeInlineManifestConfig")
                .map(|d| inline(&d.node)),
        );
        found
    }

    /// Whether Talos brings kube-proxy.
    pub(crate) fn has_proxy(&self) -> bool {
        self.brings("cluster.proxy", "KubeProxyConfig")
    }

    /// Whether Talos brings CoreDNS.
    pub(crate) fn has_dns(&self) -> bool {
        self.brings("cluster.coreDNS", "KubeCoreDNSConfig")
    }

    /// Without the older form of a cluster's configuration only what a document names is there.
    fn brings(&self, path: &str, document: &str) -> bool {
        let off = self.at(path).and_then(|n| n.bool_at("disabled"));
        off != Some(true) && (self.at("cluster.network").is_some() || self.doc(document).is_some())
    }

    /// Whether the nodes find one another by the discovery service.
    pub(crate) fn discovery_enabled(&self) -> bool {
        let old = self.at("cluster.discovery.enabled").and_then(Node::boolean);
        old == Some(true) || self.doc("DiscoveryServiceConfig").is_some()
    }

    pub(crate) fn network(&self) -> NodeNetwork {
        let mut network = NodeNetwork::default();
        for device in self.items_at("machine.network.interfaces") {
            let link = device_link(device);
            network.virtual_addresses.extend(link.virtual_address);
            for vlan in device.items_at("vlans") {
                network.virtual_addresses.extend(
                    vlan.text_at("vip.ip")
                        .and_then(|ip| ip.parse::<IpAddr>().ok()),
                );
            }
            network.links.push(link);
        }
        for document in self.docs("LinkConfig") {
            network.links.push(LinkAddresses {
                name: self.unaliased(&document.name),
                hardware_address: self.alias_pattern(&document.name),
                addresses: document_addresses(&document.node),
                dhcp: self.dhcp_documents(&document.name),
                ..LinkAddresses::default()
            });
        }
        for document in self.docs("DHCPv4Config") {
            if !self.docs("LinkConfig").any(|d| d.name == document.name) {
                network.links.push(LinkAddresses {
                    name: self.unaliased(&document.name),
                    hardware_address: self.alias_pattern(&document.name),
                    dhcp: true,
                    ..LinkAddresses::default()
                });
            }
        }
        let vips = self.docs("Layer2VIPConfig");
        network
            .virtual_addresses
            .extend(vips.filter_map(|d| d.name.parse::<IpAddr>().ok()));
        network
    }

    fn dhcp_documents(&self, link: &str) -> bool {
        self.docs("DHCPv4Config").any(|d| d.name == link)
    }

    fn unaliased(&self, name: &str) -> String {
        match self.docs("LinkAliasConfig").any(|d| d.name == name) {
            true => String::new(),
            false => name.to_owned(),
        }
    }

    /// An alias chooses its link by an expression; one on the hardware address is honoured, any other takes the first link.
    fn alias_pattern(&self, name: &str) -> Option<String> {
        let alias = self.docs("LinkAliasConfig").find(|d| d.name == name)?;
        let expression = alias.node.text_at("selector.match").unwrap_or_default();
        let quoted = expression.split(['"', '\'']).nth(1).unwrap_or_default();
        let address = quoted.len() == 17 && quoted.bytes().filter(|b| *b == b':').count() == 5;
        Some(if address {
            quoted.to_owned()
        } else {
            "*".to_owned()
        })
    }
}

fn inline(node: &Node) -> Manifest {
    let text = |key| node.text_at(key).unwrap_or_default().to_owned();
    Manifest::Inline {
        name: text("name"),
        contents: text("contents"),
    }
}

fn device_link(device: &Node) -> LinkAddresses {
    let selector = device.get("deviceSelector");
    let hardware_address = selector.map(|s| {
        s.text_at("hardwareAddr")
            .or_else(|| s.text_at("permanentAddr"))
            .unwrap_or("*")
            .to_owned()
    });
    let mut addresses: Vec<IpNet> = device
        .texts_at("addresses")
        .iter()
        .filter_map(|a| address(a))
        .collect();
    addresses.extend(device.text_at("cidr").and_then(address));
    LinkAddresses {
        name: device.text_at("interface").unwrap_or_default().to_owned(),
        hardware_address,
        addresses,
        dhcp: device.bool_at("dhcp").unwrap_or(false),
        virtual_address: device.text_at("vip.ip").and_then(|ip| ip.parse().ok()),
        ignore: device.bool_at("ignore").unwrap_or(false),
    }
}

fn document_addresses(node: &Node) -> Vec<IpNet> {
    let items = node.items_at("addresses").iter();
    items
        .filter_map(|item| address(item.text_at("address")?))
        .collect()
}

/// An address with prefix length; without one it stands alone.
fn address(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn decode_text(base64: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(base64.trim())
        .ok()?;
    String::from_utf8(bytes).ok()
}

fn encoded_pair(node: &Node) -> Option<Pem> {
    Some(Pem {
        certificate: decode_text(node.text_at("crt")?)?,
        key: node.text_at("key").and_then(decode_text),
    })
}

fn plain_pair(node: &Node) -> Option<Pem> {
    Some(Pem {
        certificate: node.text_at("cert")?.to_owned(),
        key: node.text_at("key").map(str::to_owned),
    })
}
