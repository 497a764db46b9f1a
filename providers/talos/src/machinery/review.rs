//! What a node will have against a configuration, found before it is sent.
//!
//! Facts: Talos v1.14.0-rc.1 `pkg/machinery/config`: the `V1Alpha1ConflictValidate` and `Validate` methods of the documents,
//! `container/validate.go`; the kinds that each release line registers from 1.7 to 1.13.

use std::fmt;

use super::Contract;
use super::patch::{PatchError, load_config};
use super::schema::{Document, Release};
use super::value::{Fields, Value};

/// Something that a node refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A field of the main document stands beside the document that replaces it.
    Conflict {
        /// The field, as `machine.network.hostname`.
        field: &'static str,
        /// The document's kind, with its name if it has one.
        document: String,
    },
    /// `HostnameConfig` sets a name and has one chosen at the same time.
    TwoHostnames,
    /// KubeSpan is on, and the discovery service, by which its members find each other, is off.
    NoDiscovery {
        /// Older versions let the document `KubeSpanConfig` pass, and only the field of the main document not.
        every_version: bool,
    },
    /// The document is unknown to the version that the configuration is for.
    Unknown {
        /// The document's kind, with its name if it has one.
        document: String,
        /// The first version that knows it.
        since: Contract,
        /// The version that the configuration is for.
        target: Contract,
    },
}

impl Finding {
    /// Whether every version refuses it; else it depends on what the node runs.
    pub fn is_certain(&self) -> bool {
        match self {
            Finding::Conflict { .. } | Finding::TwoHostnames => true,
            Finding::NoDiscovery { every_version } => *every_version,
            Finding::Unknown { .. } => false,
        }
    }

    /// What can be done about it.
    pub fn remedy(&self) -> String {
        match self {
            Finding::Conflict { field, document } => format!(
                "Move it into {document} and remove `{field}`, or delete the document with a patch that holds \
                 `$patch: delete`."
            ),
            Finding::TwoHostnames => {
                "Set `auto: off` in the patch that sets `hostname`.".to_owned()
            }
            Finding::NoDiscovery { .. } => {
                "Switch the discovery service on, or KubeSpan off.".to_owned()
            }
            Finding::Unknown { since, .. } => {
                format!("Use Talos {since} or newer on the node, or leave the document out.")
            }
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Conflict { field, document } => write!(
                f,
                "`{field}` is set beside the document {document}, which replaces it"
            ),
            Finding::TwoHostnames => {
                f.write_str("HostnameConfig sets `hostname` while `auto` chooses another one")
            }
            Finding::NoDiscovery { .. } => {
                f.write_str("KubeSpan is on, and the discovery service is not")
            }
            Finding::Unknown {
                document,
                since,
                target,
            } => write!(
                f,
                "{document} is a document of Talos {since}, and the configuration is for {target}"
            ),
        }
    }
}

/// A row: the fields of the main document that a kind replaces.
type Replaces = (&'static str, &'static [&'static str]);

/// Every release that knows one of these documents refuses the fields beside it.
const REPLACED: &[Replaces] = &[
    (
        "CRIBaseRuntimeSpecConfig",
        &["machine.baseRuntimeSpecOverrides"],
    ),
    ("DiscoveryIdentityConfig", &["cluster.id", "cluster.secret"]),
    ("DiscoveryServiceConfig", &["cluster.discovery"]),
    (
        "HostnameConfig",
        &[
            "machine.network.hostname",
            "machine.features.stableHostname",
        ],
    ),
    ("ImageCacheConfig", &["machine.features.imageCache"]),
    ("KubeAPIServerCAConfig", &["cluster.ca"]),
    (
        "KubeAPIServerConfig",
        &[
            "cluster.apiServer",
            "cluster.controlPlane.localAPIServerPort",
        ],
    ),
    (
        "KubeAdmissionControlConfig",
        &["cluster.apiServer.admissionControl"],
    ),
    ("KubeAggregatorCAConfig", &["cluster.aggregatorCA"]),
    ("KubeAuditPolicyConfig", &["cluster.apiServer.auditPolicy"]),
    (
        "KubeAuthorizerConfig",
        &["cluster.apiServer.admissionControl"],
    ),
    (
        "KubeClusterConfig",
        &["cluster.clusterName", "cluster.controlPlane.endpoint"],
    ),
    (
        "KubeControllerManagerConfig",
        &[
            "cluster.controllerManager",
            "machine.controlPlane.controllerManager",
        ],
    ),
    ("KubeCoreDNSConfig", &["cluster.coreDNS"]),
    ("KubeCredentialProviderConfig", &["machine.kubelet"]),
    (
        "KubeEtcdEncryptionConfig",
        &[
            "cluster.secretboxEncryptionSecret",
            "cluster.aescbcEncryptionSecret",
        ],
    ),
    ("KubeFlannelCNIConfig", &["cluster.network"]),
    ("KubeNetworkConfig", &["cluster.network"]),
    (
        "KubeNodeConfig",
        &[
            "cluster.allowSchedulingOnControlPlanes",
            "cluster.allowSchedulingOnMasters",
            "machine.kubelet.skipNodeRegistration",
            "machine.kubelet.registerWithFQDN",
            "machine.kubelet.nodeIP",
            "machine.nodeLabels",
            "machine.nodeAnnotations",
            "machine.nodeTaints",
        ],
    ),
    ("KubePrismConfig", &["machine.features.kubePrism"]),
    ("KubeProxyConfig", &["cluster.proxy"]),
    (
        "KubeSchedulerConfig",
        &["cluster.scheduler", "machine.controlPlane.scheduler"],
    ),
    ("KubeServiceAccountConfig", &["cluster.serviceAccount"]),
    ("KubeSpanConfig", &["machine.network.kubespan"]),
    (
        "KubeTalosAPIAccessConfig",
        &["machine.features.kubernetesTalosAPIAccess"],
    ),
    ("KubeletConfig", &["machine.kubelet"]),
    (
        "ResolverConfig",
        &[
            "machine.network.searchDomains",
            "machine.network.nameservers",
            "machine.network.disableSearchDomain",
        ],
    ),
    (
        "TimeSyncConfig",
        &[
            "machine.time.disabled",
            "machine.time.servers",
            "machine.time.bootTimeout",
        ],
    ),
    ("UnattendedInstallConfig", &["machine.install"]),
];

/// Replaced only where the document itself sets its part: kind, part of the document, field.
const REPLACED_IN_PART: &[(&str, &str, &str)] =
    &[("ResolverConfig", "hostDNS", "machine.features.hostDNS")];

/// The minor version of Talos 1 that brought a kind, from 1.8 on. What the type table marks is of 1.14.
const SINCE: &[(u32, &[&str])] = &[
    (
        8,
        &[
            "KubeSpanEndpointsConfig",
            "TrustedRootsConfig",
            "VolumeConfig",
        ],
    ),
    (
        10,
        &[
            "EthernetConfig",
            "PCIDriverRebindConfig",
            "UserVolumeConfig",
        ],
    ),
    (
        11,
        &[
            "ExistingVolumeConfig",
            "RawVolumeConfig",
            "SwapVolumeConfig",
            "ZswapConfig",
        ],
    ),
    (
        12,
        &[
            "BondConfig",
            "BridgeConfig",
            "DHCPv4Config",
            "DHCPv6Config",
            "DummyLinkConfig",
            "HCloudVIPConfig",
            "HostnameConfig",
            "Layer2VIPConfig",
            "LinkAliasConfig",
            "LinkConfig",
            "OOMConfig",
            "RegistryAuthConfig",
            "RegistryMirrorConfig",
            "RegistryTLSConfig",
            "ResolverConfig",
            "StaticHostConfig",
            "TimeSyncConfig",
            "VLANConfig",
            "WireguardConfig",
        ],
    ),
    (
        13,
        &[
            "BlackholeRouteConfig",
            "EnvironmentConfig",
            "ExternalVolumeConfig",
            "ImageVerificationConfig",
            "KubeSpanConfig",
            "RoutingRuleConfig",
            "TCPProbeConfig",
            "VRFConfig",
        ],
    ),
];

/// Reads a configuration and says what a node of `target` has against it; without one, what every node has.
///
/// # Errors
/// When the configuration cannot be read by any known release.
pub fn review(config: &str, target: Option<Contract>) -> Result<Vec<Finding>, PatchError> {
    let documents = load_config(config, Release::V1_14)?;
    let mut found = conflicts(&documents);
    if documents.iter().any(has_two_hostnames) {
        found.push(Finding::TwoHostnames);
    }
    if !discovers(&documents) {
        let by_field = spans(&documents, "v1alpha1", "machine.network.kubespan.enabled");
        // From 1.14 on the whole configuration is looked at, not the main document alone.
        let by_document = spans(&documents, "KubeSpanConfig", "enabled")
            && target.is_some_and(|target| target >= Contract::LATEST);
        if by_field || by_document {
            found.push(Finding::NoDiscovery {
                every_version: by_field,
            });
        }
    }
    let unknown = documents.iter().filter_map(|d| {
        let (since, target) = (since(d.kind())?, target?);
        (since > target).then(|| Finding::Unknown {
            document: label(d),
            since,
            target,
        })
    });
    found.extend(unknown);
    Ok(found)
}

/// The version of Talos that the configuration installs: the tag of its installer image.
pub fn installed_version(config: &str) -> Option<Contract> {
    let documents = load_config(config, Release::V1_14).ok()?;
    let image = documents.iter().find_map(|d| match d.kind() {
        "v1alpha1" => at(&d.fields, "machine.install.image")?.as_str(),
        "UnattendedInstallConfig" => at(&d.fields, "installer.image")?.as_str(),
        _ => None,
    })?;
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    Contract::parse(tag).ok()
}

/// A document's kind, with its name if it has one.
pub(super) fn label(document: &Document) -> String {
    match document.name() {
        "" => document.kind().to_owned(),
        name => format!("{} {name:?}", document.kind()),
    }
}

fn since(kind: &str) -> Option<Contract> {
    let row = SINCE.iter().find(|(_, kinds)| kinds.contains(&kind));
    let minor = row.map(|(minor, _)| *minor).or_else(|| {
        super::schema::Schema::get()
            .document(kind, Release::V1_13)
            .is_none()
            .then_some(14)
    })?;
    Contract::parse(&format!("v1.{minor}")).ok()
}

fn conflicts(documents: &[Document]) -> Vec<Finding> {
    let Some(main) = documents.iter().find(|d| d.is_legacy()) else {
        return Vec::new();
    };
    let is_set = |field: &str| at(&main.fields, field).is_some_and(is_set);
    let mut found = Vec::new();
    for document in documents {
        let mut conflict = |field| {
            found.push(Finding::Conflict {
                field,
                document: label(document),
            });
        };
        let row = REPLACED.iter().find(|(kind, _)| *kind == document.kind());
        for field in row.into_iter().flat_map(|(_, fields)| *fields) {
            if is_set(field) {
                conflict(*field);
            }
        }
        for (kind, part, field) in REPLACED_IN_PART {
            if *kind == document.kind() && document.fields.contains_key(*part) && is_set(field) {
                conflict(*field);
            }
        }
        // Only the volumes of the system could be encrypted before.
        let field = match document.name() {
            "STATE" => "machine.systemDiskEncryption.state",
            "EPHEMERAL" => "machine.systemDiskEncryption.ephemeral",
            _ => continue,
        };
        let encrypts = document.fields.get("encryption").is_some_and(self::is_set);
        if document.kind() == "VolumeConfig" && encrypts && is_set(field) {
            conflict(field);
        }
    }
    found
}

fn has_two_hostnames(document: &Document) -> bool {
    let text = |name: &str| {
        document
            .fields
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or("")
    };
    document.kind() == "HostnameConfig"
        && !text("hostname").is_empty()
        && !matches!(text("auto"), "" | "off")
}

/// KubeSpan is switched on by a kind's field.
fn spans(documents: &[Document], kind: &str, field: &str) -> bool {
    let mut of_kind = documents.iter().filter(|d| d.kind() == kind);
    of_kind.any(|d| at(&d.fields, field) == Some(&Value::Bool(true)))
}

/// The members find each other, by the main document or a document of its own.
fn discovers(documents: &[Document]) -> bool {
    documents.iter().any(|d| match d.kind() {
        // Present and not switched off.
        "v1alpha1" => {
            at(&d.fields, "cluster.discovery").is_some()
                && at(&d.fields, "cluster.discovery.enabled") != Some(&Value::Bool(false))
        }
        kind => kind == "DiscoveryServiceConfig",
    })
}

/// A field by its dotted path.
fn at<'a>(fields: &'a Fields, path: &str) -> Option<&'a Value> {
    let mut parts = path.split('.');
    let first = fields.get(parts.next()?)?;
    parts.try_fold(first, |value, key| value.as_map()?.get(key))
}

/// Whether a value counts as configured: a block does even when it is empty.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(on) => *on,
        Value::Int(number) => *number != 0,
        Value::Float(number) => *number != 0.0,
        Value::Str(text) | Value::Plain(text) => !text.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machinery::schema::Schema;

    fn found(config: &str, target: &str) -> Vec<String> {
        let target = Contract::parse(target).ok();
        let found = review(config, target).unwrap();
        found.iter().map(ToString::to_string).collect()
    }

    /// A misspelt kind or field would never be found.
    #[test]
    fn every_row_names_what_exists() {
        let schema = Schema::get();
        let kinds = SINCE.iter().flat_map(|(_, kinds)| *kinds);
        for kind in kinds.chain(REPLACED.iter().map(|(kind, _)| kind)) {
            assert!(schema.document(kind, Release::V1_14).is_some(), "{kind}");
        }
        for (kinds, minor) in SINCE.iter().map(|(minor, kinds)| (kinds, minor)) {
            for kind in *kinds {
                assert!(
                    *minor < 14 && schema.document(kind, Release::V1_13).is_some(),
                    "{kind}"
                );
            }
        }
        let fields = REPLACED.iter().flat_map(|(_, fields)| *fields);
        for field in fields.chain(REPLACED_IN_PART.iter().map(|(.., field)| field)) {
            let last = field.rsplit('.').next().unwrap();
            let exists = field.split('.').try_fold("v1alpha1.Config", |ty, part| {
                let structure = schema.structure(ty)?;
                let field = structure.fields.iter().find(|f| f.name == part)?;
                Some(struct_of(&field.ty).unwrap_or(last))
            });
            assert!(exists.is_some(), "{field}");
        }
    }

    fn struct_of(ty: &crate::machinery::schema::Type) -> Option<&'static str> {
        use crate::machinery::schema::Type;
        match ty {
            Type::Struct(name) => Some(name),
            Type::Pointer(inner) => struct_of(inner),
            _ => None,
        }
    }

    #[test]
    fn a_field_beside_its_document_is_named_with_it() {
        let config = "version: v1alpha1\nmachine:\n  type: worker\n  network:\n    hostname: a\n  kubelet: {}\n---\n\
             apiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n---\n\
             apiVersion: v1alpha1\nkind: KubeletConfig\n";
        let found = found(config, "v1.14");
        assert_eq!(
            found,
            [
                "`machine.network.hostname` is set beside the document HostnameConfig, which replaces it",
                "`machine.kubelet` is set beside the document KubeletConfig, which replaces it",
            ]
        );
    }

    #[test]
    fn only_encrypted_system_volumes_conflict() {
        let with = |name: &str, more: &str| {
            let config = format!(
                "version: v1alpha1\nmachine:\n  type: worker\n  systemDiskEncryption:\n    state:\n      provider: luks2\n\
                 ---\napiVersion: v1alpha1\nkind: VolumeConfig\nname: {name}\n{more}"
            );
            found(&config, "v1.13").len()
        };
        let encrypted =
            "encryption:\n  provider: luks2\n  keys:\n    - slot: 0\n      nodeID: {}\n";
        assert_eq!(with("STATE", encrypted), 1);
        assert_eq!(with("EPHEMERAL", encrypted), 0);
        assert_eq!(with("STATE", "provisioning:\n  maxSize: 1GiB\n"), 0);
    }

    #[test]
    fn documents_are_of_a_version() {
        let config = "version: v1alpha1\nmachine:\n  type: worker\n  install:\n    image: registry.lab:5000/installer:v1.11.5@sha256:0\n\
             ---\napiVersion: v1alpha1\nkind: HostnameConfig\nauto: stable\n";
        let said =
            "HostnameConfig is a document of Talos v1.12, and the configuration is for v1.11";
        assert_eq!(found(config, "v1.11"), [said]);
        assert!(found(config, "v1.12").is_empty());
        assert!(found(config, "").is_empty());
        assert_eq!(installed_version(config), Contract::parse("v1.11").ok());
        assert_eq!(
            installed_version("version: v1alpha1\nmachine:\n  type: worker\n"),
            None
        );
    }

    #[test]
    fn a_name_is_set_or_chosen() {
        let config = |auto: &str| {
            format!("apiVersion: v1alpha1\nkind: HostnameConfig\nhostname: a\nauto: {auto}\n")
        };
        let found = |auto| review(&config(auto), None).unwrap();
        assert_eq!(found("stable"), [Finding::TwoHostnames]);
        assert!(found("\"off\"").is_empty());
    }
}
