//! How the controllers that bring a node about depend on its resources.

use tonic::{Request, Response, Status};

use super::Api;
use crate::proto::inspect::inspect_service_server::InspectService;
use crate::proto::inspect::{
    ControllerDependencyEdge, ControllerRuntimeDependenciesResponse, ControllerRuntimeDependency,
    DependencyEdgeType as Edge,
};

/// Controller, what it does with a resource, the resource's namespace and type.
const EDGES: &[(&str, Edge, &str, &str)] = &[
    (
        "config.MachineTypeController",
        Edge::InputWeak,
        "config",
        "MachineConfigs.config.talos.dev",
    ),
    (
        "config.MachineTypeController",
        Edge::OutputExclusive,
        "config",
        "MachineTypes.config.talos.dev",
    ),
    (
        "runtime.MachineStatusController",
        Edge::OutputExclusive,
        "runtime",
        "MachineStatuses.runtime.talos.dev",
    ),
    (
        "runtime.ExtensionStatusController",
        Edge::OutputExclusive,
        "runtime",
        "ExtensionStatuses.runtime.talos.dev",
    ),
    (
        "block.VolumeManagerController",
        Edge::InputStrong,
        "runtime",
        "Disks.block.talos.dev",
    ),
    (
        "block.VolumeManagerController",
        Edge::OutputExclusive,
        "runtime",
        "VolumeStatuses.block.talos.dev",
    ),
    (
        "block.DisksController",
        Edge::OutputExclusive,
        "runtime",
        "Disks.block.talos.dev",
    ),
    (
        "block.SystemDiskController",
        Edge::InputWeak,
        "runtime",
        "Disks.block.talos.dev",
    ),
    (
        "block.SystemDiskController",
        Edge::OutputExclusive,
        "runtime",
        "SystemDisks.block.talos.dev",
    ),
    (
        "cluster.LocalAffiliateController",
        Edge::InputWeak,
        "cluster",
        "Identities.cluster.talos.dev",
    ),
    (
        "cluster.NodeIdentityController",
        Edge::OutputShared,
        "cluster",
        "Identities.cluster.talos.dev",
    ),
    (
        "cluster.MemberController",
        Edge::OutputExclusive,
        "cluster",
        "Members.cluster.talos.dev",
    ),
    (
        "cluster.InfoController",
        Edge::OutputExclusive,
        "cluster",
        "Infos.cluster.talos.dev",
    ),
    (
        "network.NodeAddressController",
        Edge::OutputShared,
        "network",
        "NodeAddresses.net.talos.dev",
    ),
    (
        "network.HostnameSpecController",
        Edge::OutputShared,
        "network",
        "HostnameStatuses.net.talos.dev",
    ),
    (
        "k8s.NodenameController",
        Edge::InputWeak,
        "network",
        "HostnameStatuses.net.talos.dev",
    ),
    (
        "k8s.NodenameController",
        Edge::OutputExclusive,
        "k8s",
        "Nodenames.kubernetes.talos.dev",
    ),
    (
        "k8s.KubeletConfigController",
        Edge::InputWeak,
        "config",
        "MachineConfigs.config.talos.dev",
    ),
    (
        "k8s.KubeletConfigController",
        Edge::OutputExclusive,
        "k8s",
        "KubeletConfigs.kubernetes.talos.dev",
    ),
    (
        "k8s.KubeletStaticPodController",
        Edge::InputStrong,
        "k8s",
        "Nodenames.kubernetes.talos.dev",
    ),
    (
        "k8s.KubeletStaticPodController",
        Edge::OutputShared,
        "k8s",
        "StaticPodStatuses.kubernetes.talos.dev",
    ),
];

#[tonic::async_trait]
impl InspectService for Api {
    async fn controller_runtime_dependencies(
        &self,
        _: Request<()>,
    ) -> Result<Response<ControllerRuntimeDependenciesResponse>, Status> {
        let edges =
            EDGES.iter().map(
                |(controller, edge, namespace, kind)| ControllerDependencyEdge {
                    controller_name: (*controller).to_owned(),
                    edge_type: (*edge).into(),
                    resource_namespace: (*namespace).to_owned(),
                    resource_type: (*kind).to_owned(),
                    resource_id: String::new(),
                },
            );
        Ok(Response::new(ControllerRuntimeDependenciesResponse {
            messages: vec![ControllerRuntimeDependency {
                metadata: None,
                edges: edges.collect(),
            }],
        }))
    }
}
