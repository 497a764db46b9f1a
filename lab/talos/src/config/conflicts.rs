//! Documents that may not stand beside the older field that they replace.

use super::Config;
use crate::yaml::Node;

/// When a field of the main document conflicts.
#[derive(Clone, Copy)]
enum When {
    Present,
    True,
    Filled,
}

struct Conflict {
    kind: &'static str,
    path: &'static str,
    when: When,
    message: &'static str,
}

const fn conflict(
    kind: &'static str,
    path: &'static str,
    when: When,
    message: &'static str,
) -> Conflict {
    Conflict {
        kind,
        path,
        when,
        message,
    }
}

use When::{Filled, Present, True};

/// Kind, path in the main document, when, and the error text (facts of siderolabs/talos v1.12 to v1.14).
#[rustfmt::skip]
const CONFLICTS: &[Conflict] = &[
    conflict("HostnameConfig", "machine.network.hostname", Filled, "static hostname is already set in v1alpha1 config"),
    conflict("HostnameConfig", "machine.features.stableHostname", True, "stable hostname is already set in v1alpha1 config"),
    conflict("KubeSpanConfig", "machine.network.kubespan", Present, "kubespan is already configured in v1alpha1 machine.network.kubespan"),
    conflict("ResolverConfig", "machine.network.searchDomains", Present, ".machine.network.searchDomains is already set in v1alpha1 config"),
    conflict("ResolverConfig", "machine.network.nameservers", Present, ".machine.network.nameservers is already set in v1alpha1 config"),
    conflict("ResolverConfig", "machine.network.disableSearchDomain", True, ".machine.network.disableSearchDomain is already set in v1alpha1 config"),
    conflict("TimeSyncConfig", "machine.time.disabled", True, "time sync cannot be disabled in both v1alpha1 and new-style configuration"),
    conflict("TimeSyncConfig", "machine.time.servers", Filled, "time servers cannot be specified in both v1alpha1 and new-style configuration"),
    conflict("TimeSyncConfig", "machine.time.bootTimeout", Filled, "boot timeout cannot be specified in both v1alpha1 and new-style configuration"),
    conflict("DiscoveryIdentityConfig", "cluster.id", Filled, "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config"),
    conflict("DiscoveryIdentityConfig", "cluster.secret", Filled, "cluster identity is already configured in .cluster.id/.cluster.secret of the v1alpha1 config"),
    conflict("DiscoveryServiceConfig", "cluster.discovery", Present, "discovery service is already configured in .cluster.discovery of the v1alpha1 config"),
    conflict("CRIBaseRuntimeSpecConfig", "machine.baseRuntimeSpecOverrides", Filled, "base runtime spec overrides are already set in v1alpha1 config"),
    conflict("ImageCacheConfig", "machine.features.imageCache", Present, "image cache config is already set in v1alpha1 config"),
    conflict("KubeAdmissionControlConfig", "cluster.apiServer.admissionControl", Filled, "admission control plugin config is already set in v1alpha1 config"),
    conflict("KubeAggregatorCAConfig", "cluster.aggregatorCA", Present, "kube-apiserver aggregator CA is already set in v1alpha1 config (.cluster.aggregatorCA), please remove it and use the new KubeAggregatorCAConfig document instead"),
    conflict("KubeAPIServerConfig", "cluster.apiServer", Present, "kube-apiserver config is already set in v1alpha1 config (.cluster.apiServer)"),
    conflict("KubeAPIServerConfig", "cluster.controlPlane.localAPIServerPort", Present, "kube-apiserver API port is already set in v1alpha1 config (.cluster.controlPlane.localAPIServerPort)"),
    conflict("KubeAPIServerCAConfig", "cluster.ca", Present, "kube-apiserver CA is already set in v1alpha1 config (.cluster.ca)"),
    conflict("KubeAuditPolicyConfig", "cluster.apiServer.auditPolicy", Filled, "audit policy config is already set in v1alpha1 config"),
    conflict("KubeAuthorizerConfig", "cluster.apiServer.admissionControl", Filled, "admission control plugin config is already set in v1alpha1 config"),
    conflict("KubeClusterConfig", "cluster.clusterName", Filled, "cluster name is already set in the v1alpha1 config (.cluster.clusterName). Please remove it and use only the new KubeClusterConfig document to avoid conflicts"),
    conflict("KubeClusterConfig", "cluster.controlPlane.endpoint", Filled, "cluster endpoint is already set in the v1alpha1 config (.cluster.controlPlane.endpoint). Please remove it and use only the new KubeClusterConfig document to avoid conflicts"),
    conflict("KubeControllerManagerConfig", "cluster.controllerManager", Present, "kube-controller-manager config is already set in v1alpha1 config (.cluster.controllerManager)"),
    conflict("KubeControllerManagerConfig", "machine.controlPlane.controllerManager", Present, "kube-controller-manager config is already set in v1alpha1 config (.machine.controlplane.controllerManager)"),
    conflict("KubeCoreDNSConfig", "cluster.coreDNS", Present, "CoreDNS config is already set in v1alpha1 config (.cluster.coreDNS)"),
    conflict("KubeCredentialProviderConfig", "machine.kubelet", Present, "cannot use KubeCredentialProviderConfig with legacy kubelet configuration (.machine.kubelet)"),
    conflict("KubeEtcdEncryptionConfig", "cluster.secretboxEncryptionSecret", Filled, "etcd encryption config is already set in v1alpha1 config"),
    conflict("KubeEtcdEncryptionConfig", "cluster.aescbcEncryptionSecret", Filled, "etcd encryption config is already set in v1alpha1 config"),
    conflict("KubeFlannelCNIConfig", "cluster.network", Present, "cluster network config in v1alpha1 config (.machine.cluster.network) can't be used with KubeFlannelCNIConfig document, please remove it to avoid conflicts"),
    conflict("KubeletConfig", "machine.kubelet", Present, "kubelet config is already set in v1alpha1 config (.machine.kubelet)"),
    conflict("KubePrismConfig", "machine.features.kubePrism", Present, "KubePrism config in v1alpha1 config (.machine.features.kubePrism) can't be used with KubePrismConfig document, please remove it to avoid conflicts"),
    conflict("KubeNetworkConfig", "cluster.network", Present, "cluster network config is already set in the v1alpha1 config (.machine.cluster.network). Please remove it and use only the new KubeNetworkConfig document to avoid conflicts"),
    conflict("KubeNodeConfig", "cluster.allowSchedulingOnControlPlanes", Present, ".cluster.allowSchedulingOnControlPlanes is already set in v1alpha1 config"),
    conflict("KubeNodeConfig", "cluster.allowSchedulingOnMasters", Present, ".cluster.allowSchedulingOnMasters is already set in v1alpha1 config"),
    conflict("KubeNodeConfig", "machine.kubelet.skipNodeRegistration", Present, ".machine.kubelet.skipNodeRegistration is already set in v1alpha1 config"),
    conflict("KubeNodeConfig", "machine.kubelet.registerWithFQDN", Present, ".machine.kubelet.registerWithFQDN is already set in v1alpha1 config"),
    conflict("KubeNodeConfig", "machine.kubelet.nodeIP", Present, ".machine.kubelet.nodeIP is already set in v1alpha1 config"),
    conflict("KubeNodeConfig", "machine.nodeLabels", Present, ".machine.nodeLabels is already set in v1alpha1 config"),
    conflict("KubeNodeConfig", "machine.nodeAnnotations", Present, ".machine.nodeAnnotations is already set in v1alpha1 config"),
    conflict("KubeNodeConfig", "machine.nodeTaints", Present, ".machine.nodeTaints is already set in v1alpha1 config"),
    conflict("KubeProxyConfig", "cluster.proxy", Present, "cluster proxy config in v1alpha1 config (.machine.cluster.proxy) can't be used with KubeProxyConfig document, please remove it to avoid conflicts"),
    conflict("KubeSchedulerConfig", "cluster.scheduler", Present, "kube-scheduler config is already set in v1alpha1 config (.cluster.scheduler)"),
    conflict("KubeSchedulerConfig", "machine.controlPlane.scheduler", Present, "kube-scheduler config is already set in v1alpha1 config (.machine.controlplane.scheduler)"),
    conflict("KubeServiceAccountConfig", "cluster.serviceAccount", Present, "service account is already set in v1alpha1 config (.cluster.serviceAccount)"),
    conflict("KubeTalosAPIAccessConfig", "machine.features.kubernetesTalosAPIAccess", Present, ".machine.features.kubernetesTalosAPIAccess is already set in v1alpha1 config"),
    conflict("UnattendedInstallConfig", "machine.install", Present, "UnattendedInstallConfig config is incompatible with v1alpha1 config (.machine.install)"),
];

/// Kinds that only a control plane may have.
pub(super) const CONTROL_PLANE_ONLY: &[&str] = &[
    "KubeAPIServerConfig",
    "KubeAdmissionControlConfig",
    "KubeAggregatorCAConfig",
    "KubeAuditPolicyConfig",
    "KubeAuthenticationConfig",
    "KubeAuthorizerConfig",
    "KubeControllerManagerConfig",
    "KubeCoreDNSConfig",
    "KubeEtcdEncryptionConfig",
    "KubeFlannelCNIConfig",
    "KubeProxyConfig",
    "KubeSchedulerConfig",
    "KubeServiceAccountConfig",
    "KubeTalosAPIAccessConfig",
];

/// One message per conflicting document, the first that holds.
pub(super) fn conflicts(config: &Config) -> Vec<String> {
    let Some(main) = config.main() else {
        return Vec::new();
    };
    let documents = config.documents.iter();
    documents
        .filter_map(|document| {
            let mut rules = CONFLICTS.iter().filter(|c| c.kind == document.kind);
            rules.find(|c| holds(main, c)).map(|c| c.message.to_owned())
        })
        .collect()
}

fn holds(main: &Node, conflict: &Conflict) -> bool {
    let Some(node) = main.at(conflict.path) else {
        return false;
    };
    match conflict.when {
        Present => true,
        True => node.boolean() == Some(true),
        Filled => {
            node.text().is_some_and(|t| !t.is_empty())
                || !node.items().is_empty()
                || !node.entries().is_empty()
        }
    }
}
