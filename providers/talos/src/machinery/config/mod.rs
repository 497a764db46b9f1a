//! Generates the machine configuration of a control plane or worker node.
//!
//! Facts: Talos `pkg/machinery/config/generate` and `contract.go`. The output for a contract does
//! not depend on the Talos release that generates it.

mod contract;
mod documents;
mod endpoint;
mod kubernetes;
mod legacy;

use super::patch::{self, PatchError, Quirk};
use super::schema::{Document, Release};
use super::secrets::SecretsBundle;

pub use contract::{Contract, ContractError};
use endpoint::Endpoint;
pub use endpoint::EndpointError;

/// What a machine is in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineType {
    /// Runs etcd and the Kubernetes control plane.
    ControlPlane,
    /// Runs workloads only.
    Worker,
}

impl MachineType {
    /// The text in `machine.type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "controlplane",
            Self::Worker => "worker",
        }
    }
}

impl std::str::FromStr for MachineType {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "controlplane" => Ok(Self::ControlPlane),
            "worker" => Ok(Self::Worker),
            other => Err(ConfigError::MachineType(other.to_owned())),
        }
    }
}

/// Endpoints that stand in for one registry host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryMirror {
    /// The registry, as `docker.io`.
    pub host: String,
    /// The URLs asked instead, in order.
    pub endpoints: Vec<String>,
}

/// Everything a configuration is generated from.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// Name of the cluster.
    pub cluster_name: &'a str,
    /// URL of the Kubernetes API, `https://` with a host.
    pub cluster_endpoint: &'a str,
    /// Control plane or worker.
    pub machine_type: MachineType,
    /// Version of Kubernetes, with or without a leading `v`.
    pub kubernetes_version: &'a str,
    /// The Talos version to be compatible with.
    pub contract: Contract,
    /// The cluster's secrets.
    pub secrets: &'a SecretsBundle,
    /// Disk to install to.
    pub install_disk: &'a str,
    /// Installer image with its tag.
    pub install_image: &'a str,
    /// Domain of the cluster's services.
    pub dns_domain: &'a str,
    /// Whether members find each other through the discovery service.
    pub cluster_discovery: bool,
    /// Whether KubeSpan is switched on.
    pub kubespan: bool,
    /// Further names for the certificates of the Talos and Kubernetes API.
    pub additional_sans: Vec<String>,
    /// Registry mirrors.
    pub registry_mirrors: Vec<RegistryMirror>,
}

impl<'a> Input<'a> {
    /// An input with the defaults of the Talos provider: disk `/dev/sda`, domain `cluster.local`,
    /// discovery on.
    pub fn new(
        cluster_name: &'a str,
        cluster_endpoint: &'a str,
        machine_type: MachineType,
        kubernetes_version: &'a str,
        contract: Contract,
        secrets: &'a SecretsBundle,
        install_image: &'a str,
    ) -> Self {
        Self {
            cluster_name,
            cluster_endpoint,
            machine_type,
            kubernetes_version,
            contract,
            secrets,
            install_disk: "/dev/sda",
            install_image,
            dns_domain: "cluster.local",
            cluster_discovery: true,
            kubespan: false,
            additional_sans: Vec::new(),
            registry_mirrors: Vec::new(),
        }
    }

    fn kubernetes(&self) -> &str {
        self.kubernetes_version.trim_start_matches('v')
    }
}

/// Why no configuration was generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither `controlplane` nor `worker`.
    #[error("machine type must be controlplane or worker, got {0:?}")]
    MachineType(String),
    /// The contract is not one this version generates for.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The cluster endpoint is not usable.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A required text is empty.
    #[error("{0} must be specified")]
    Missing(&'static str),
    /// The secrets lack what the contract needs.
    #[error("the secrets have no {0}, which contract {1} needs")]
    Secret(&'static str, Contract),
    /// A patch could not be loaded or applied.
    #[error("error patching configs: {0}")]
    Patch(#[from] PatchError),
    /// The type table lacks a generated kind.
    #[error("no type for the generated document {0}")]
    Kind(&'static str),
}

/// Generates a configuration, applies the patches and writes it.
pub fn machine_config(input: &Input<'_>, patches: &[String]) -> Result<String, ConfigError> {
    machine_config_watched(input, patches, &mut Vec::new())
}

/// The same, and what the patches do beyond what they say.
pub fn machine_config_watched(
    input: &Input<'_>,
    patches: &[String],
    quirks: &mut Vec<Quirk>,
) -> Result<String, ConfigError> {
    let release = input.contract.release();
    let patches = patch::load_patches(patches, release)?;
    let documents = patch::patch_documents(generate(input)?, &patches, release, quirks)?;
    Ok(patch::encode(&documents, release))
}

/// Parses a configuration strictly and writes it in the canonical form of its release.
///
/// Two configurations with the same meaning to Talos get the same text, whatever their layout.
pub fn canonical(config: &str, release: Release) -> Result<String, PatchError> {
    Ok(patch::encode(
        &patch::load_config(config, release)?,
        release,
    ))
}

/// Whether a configuration has Talos install no network plugin, so that the user brings one.
///
/// What cannot be read is taken to leave nothing to the user.
pub fn leaves_network_to_user(config: &str) -> bool {
    let documents = patch::load_config(config, Release::V1_14).unwrap_or_default();
    let has = |kind: &str| documents.iter().any(|d| d.kind() == kind);
    let plugin = documents
        .iter()
        .filter(|d| d.is_legacy())
        .filter_map(|d| {
            d.fields
                .get("cluster")?
                .text_at(&["network", "cni", "name"])
        })
        .next();
    match plugin {
        Some(name) => name == "none",
        // From 1.14 on the plugin is a document of its own.
        None => has("KubeNetworkConfig") && !has("KubeFlannelCNIConfig"),
    }
}

fn generate(input: &Input<'_>) -> Result<Vec<Document>, ConfigError> {
    for (text, name) in [
        (input.cluster_name, "cluster name"),
        (input.kubernetes(), "kubernetes version"),
        (input.install_image, "install image"),
    ] {
        if text.is_empty() {
            return Err(ConfigError::Missing(name));
        }
    }
    let endpoint = Endpoint::parse(input.cluster_endpoint)?;
    let mut out = Vec::new();
    if input.contract.multi_document_kubernetes() {
        out.push(legacy::reduced(input)?);
    } else {
        out.push(legacy::full(input, &endpoint)?);
    }
    documents::append(input, &mut out)?;
    kubernetes::append(input, &endpoint, &mut out)?;
    Ok(out)
}

/// Builds a document of a kind that the table must know.
fn document<const N: usize>(
    kind: &'static str,
    pairs: [(&str, super::value::Value); N],
) -> Result<Document, ConfigError> {
    Document::generated(kind, pairs).ok_or(ConfigError::Kind(kind))
}
