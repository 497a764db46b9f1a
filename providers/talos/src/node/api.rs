//! The calls of the Talos API that are used here.

use prost::Message;
use serde_json::Value as Json;
use stead_sdk::{Dialer, Error};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::call::Call;
use super::{CallError, Node};
use crate::api::common::Metadata;
use crate::api::cosi::resource::state_client::StateClient;
use crate::api::cosi::resource::{GetRequest, ListRequest, Resource};
use crate::api::machine::machine_service_client::MachineServiceClient;
use crate::api::machine::{
    ApplyConfiguration, ApplyConfigurationRequest, ApplyMode, BootstrapRequest, EtcdMember,
    EtcdMemberListRequest, ReadRequest, ResetRequest, ServiceInfo,
};
use crate::api::specs::{
    Diagnostic, Disk, MachineConfig, MachineStatus, Manifests, StaticPodStatus, SystemDisk,
};
use crate::machinery::{Secret, kubeconfig_from_archive};

/// Talos' own limit for a message.
const MAX_MESSAGE: usize = 32 << 20;

/// A connection to a node; it is opened by the first call.
#[derive(Clone)]
pub(crate) struct Api {
    dialer: Dialer,
    address: String,
    node: String,
    pub(super) channel: Channel,
    /// Whom the endpoint passes requests on to.
    target: Option<MetadataValue<Ascii>>,
}

/// The part of a reply that says whether it is an error.
pub(super) trait Reply {
    fn metadata(&self) -> Option<&Metadata>;
}

macro_rules! replies {
    ($($name:ident),*) => {
        $(impl Reply for crate::api::machine::$name {
            fn metadata(&self) -> Option<&Metadata> {
                self.metadata.as_ref()
            }
        })*
    };
}

replies!(
    ApplyConfiguration,
    Bootstrap,
    EtcdForfeitLeadership,
    EtcdRecover,
    EtcdMembers,
    EtcdStatus,
    Hostname,
    Reboot,
    Reset,
    ServiceList,
    Upgrade,
    Version
);

impl Api {
    pub(super) fn new(node: &Node, channel: Channel, target: Option<&str>) -> Result<Api, Error> {
        let header = |name: &str| {
            MetadataValue::try_from(name).map_err(|_| {
                Error::new(
                    "name a node",
                    format!("{name:?} is not a host name or address"),
                )
            })
        };
        Ok(Api {
            dialer: node.dialer.clone(),
            address: node.address(),
            node: node.name.clone(),
            channel,
            target: target.map(header).transpose()?,
        })
    }

    /// The same connection, for requests to the endpoint itself.
    pub(crate) fn of_endpoint(&self) -> Api {
        Api {
            node: self.address.clone(),
            target: None,
            ..self.clone()
        }
    }

    /// The same connection, for requests to another node.
    pub(crate) fn for_node(&self, node: &str) -> Result<Api, Error> {
        let target = MetadataValue::try_from(node).map_err(|_| {
            Error::new(
                "name a node",
                format!("{node:?} is not a host name or address"),
            )
        })?;
        Ok(Api {
            node: node.to_owned(),
            target: Some(target),
            ..self.clone()
        })
    }

    pub(super) fn machine(&self) -> MachineServiceClient<Channel> {
        MachineServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE)
    }

    fn state(&self) -> StateClient<Channel> {
        StateClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE)
    }

    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(target) = &self.target {
            request.metadata_mut().insert("node", target.clone());
        }
        request
    }

    pub(super) fn call(&self, asked: &str, method: &'static str) -> Call<'_> {
        Call {
            dialer: &self.dialer,
            host: &self.address,
            asked: format!("{asked} {}", self.node),
            method,
        }
    }

    /// Sends a machine configuration. The mode is always given: the protocol's default is a reboot.
    pub(crate) async fn apply(
        &self,
        config: &str,
        mode: ApplyMode,
        dry_run: bool,
    ) -> Result<ApplyConfiguration, CallError> {
        let call = self.call(
            "apply the configuration of node",
            "machine.MachineService/ApplyConfiguration",
        );
        let request = ApplyConfigurationRequest {
            data: config.as_bytes().to_vec(),
            mode: mode.into(),
            dry_run,
        };
        let mut client = self.machine();
        let reply = call
            .run(client.apply_configuration(self.request(request)))
            .await?;
        only(&call, reply.messages)
    }

    /// Starts the first etcd of a cluster.
    pub(crate) async fn bootstrap(&self) -> Result<(), CallError> {
        let call = self.call("bootstrap etcd on node", "machine.MachineService/Bootstrap");
        let mut client = self.machine();
        let request = self.request(BootstrapRequest::default());
        let reply = call.run(client.bootstrap(request)).await?;
        only(&call, reply.messages).map(drop)
    }

    /// The members of etcd as this node's own etcd sees them.
    pub(crate) async fn etcd_members(&self) -> Result<Vec<EtcdMember>, CallError> {
        let call = self.call(
            "list the etcd members on node",
            "machine.MachineService/EtcdMemberList",
        );
        let mut client = self.machine();
        let request = self.request(EtcdMemberListRequest { query_local: true });
        let reply = call.run(client.etcd_member_list(request)).await?;
        Ok(only(&call, reply.messages)?.members)
    }

    /// The node's name.
    pub(crate) async fn hostname(&self) -> Result<String, CallError> {
        let call = self.call(
            "ask for the name of node",
            "machine.MachineService/Hostname",
        );
        let mut client = self.machine();
        let reply = call.run(client.hostname(self.request(()))).await?;
        Ok(only(&call, reply.messages)?.hostname)
    }

    /// A service by its identifier; `None` when the node does not run it.
    pub(crate) async fn service(&self, id: &str) -> Result<Option<ServiceInfo>, CallError> {
        let call = self.call(
            "list the services of node",
            "machine.MachineService/ServiceList",
        );
        let mut client = self.machine();
        let reply = call.run(client.service_list(self.request(()))).await?;
        let services = only(&call, reply.messages)?.services;
        Ok(services.into_iter().find(|s| s.id == id))
    }

    /// The version of Talos that runs.
    pub(crate) async fn version(&self) -> Result<String, CallError> {
        let call = self.call(
            "ask for the version of node",
            "machine.MachineService/Version",
        );
        let mut client = self.machine();
        let reply = call.run(client.version(self.request(()))).await?;
        let version = only(&call, reply.messages)?.version;
        Ok(version.map(|v| v.tag).unwrap_or_default())
    }

    /// Wipes what the node keeps, so that it comes back in maintenance mode.
    pub(crate) async fn reset(&self, request: ResetRequest) -> Result<(), CallError> {
        let call = self.call("reset node", "machine.MachineService/Reset");
        let mut client = self.machine();
        let reply = call.run(client.reset(self.request(request))).await?;
        only(&call, reply.messages).map(drop)
    }

    /// Another one after every boot.
    pub(crate) async fn boot_id(&self) -> Result<String, CallError> {
        let call = self.call("read the boot id of node", "machine.MachineService/Read");
        let mut client = self.machine();
        let path = "/proc/sys/kernel/random/boot_id".to_owned();
        let stream = call
            .run(client.read(self.request(ReadRequest { path })))
            .await?;
        let parts = call.collect(stream).await?;
        let bytes: Vec<u8> = parts.into_iter().flat_map(|p| p.bytes).collect();
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// The administrator's kubeconfig.
    pub(crate) async fn kubeconfig(&self) -> Result<Secret, CallError> {
        let call = self.call(
            "get the kubeconfig from node",
            "machine.MachineService/Kubeconfig",
        );
        let mut client = self.machine();
        let stream = call.run(client.kubeconfig(self.request(()))).await?;
        let parts = call.collect(stream).await?;
        let reported = parts.iter().filter_map(|p| p.metadata.as_ref());
        if let Some(metadata) = reported.into_iter().find(|m| !m.error.is_empty()) {
            return Err(call.reported(&metadata.error));
        }
        let archive: Vec<u8> = parts.into_iter().flat_map(|p| p.bytes).collect();
        kubeconfig_from_archive(&archive).map_err(|e| call.reported(&e.to_string()))
    }

    pub(super) async fn get(
        &self,
        namespace: &str,
        kind: &str,
        id: &str,
        asked: &str,
    ) -> Result<Option<Resource>, CallError> {
        let call = self.call(asked, "cosi.resource.State/Get");
        let request = GetRequest {
            namespace: namespace.to_owned(),
            r#type: kind.to_owned(),
            id: id.to_owned(),
        };
        let mut client = self.state();
        match call.run(client.get(self.request(request))).await {
            Ok(reply) => Ok(reply.resource),
            Err(CallError {
                code: Code::NotFound,
                lost: false,
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn list(
        &self,
        namespace: &str,
        kind: &str,
        asked: &str,
    ) -> Result<Vec<Resource>, CallError> {
        let call = self.call(asked, "cosi.resource.State/List");
        let request = ListRequest {
            namespace: namespace.to_owned(),
            r#type: kind.to_owned(),
        };
        let mut client = self.state();
        let stream = call.run(client.list(self.request(request))).await?;
        let items = call.collect(stream).await?;
        Ok(items.into_iter().filter_map(|i| i.resource).collect())
    }

    pub(super) fn spec<T: Message + Default>(
        &self,
        resource: &Resource,
        asked: &str,
    ) -> Result<T, CallError> {
        let bytes = resource.spec.as_ref().map(|s| s.proto_spec.as_slice());
        T::decode(bytes.unwrap_or_default()).map_err(|e| {
            self.call(asked, "cosi.resource.State/Get")
                .reported(&format!("the answer cannot be decoded: {e}"))
        })
    }

    /// What the machine is doing.
    pub(crate) async fn machine_status(&self) -> Result<Option<MachineStatus>, CallError> {
        let asked = "read the status of node";
        let found = self
            .get(
                "runtime",
                "MachineStatuses.runtime.talos.dev",
                "machine",
                asked,
            )
            .await?;
        found.map(|r| self.spec(&r, asked)).transpose()
    }

    /// A machine configuration: `v1alpha1` is the one in use, `persistent` the one on the disk.
    pub(crate) async fn machine_config(&self, id: &str) -> Result<Option<Secret>, CallError> {
        let asked = "read the configuration of node";
        let kind = "MachineConfigs.config.talos.dev";
        let Some(resource) = self.get("config", kind, id, asked).await? else {
            return Ok(None);
        };
        let config: MachineConfig = self.spec(&resource, asked)?;
        let text = String::from_utf8(config.yaml_marshalled);
        let text = text.map_err(|_| {
            self.call(asked, "cosi.resource.State/Get")
                .reported("it is not text")
        })?;
        Ok((!text.is_empty()).then(|| Secret::new(text)))
    }

    /// What Talos itself finds wrong with the node.
    pub(crate) async fn diagnostics(&self) -> Result<Vec<Diagnostic>, CallError> {
        let asked = "read the diagnostics of node";
        let found = self
            .list("runtime", "Diagnostics.runtime.talos.dev", asked)
            .await?;
        found.iter().map(|r| self.spec(r, asked)).collect()
    }

    /// The node's disks, in the order of their names.
    pub(crate) async fn disks(&self) -> Result<Vec<Disk>, CallError> {
        let asked = "read the disks of node";
        let found = self.list("runtime", "Disks.block.talos.dev", asked).await?;
        found.iter().map(|r| self.spec(r, asked)).collect()
    }

    /// The device that Talos is installed on, where it is installed.
    pub(crate) async fn system_disk(&self) -> Result<Option<String>, CallError> {
        let asked = "read the system disk of node";
        let kind = "SystemDisks.block.talos.dev";
        let found = self.get("runtime", kind, "system-disk", asked).await?;
        let found: Option<SystemDisk> = found.map(|r| self.spec(&r, asked)).transpose()?;
        Ok(found.map(|disk| disk.dev_path).filter(|p| !p.is_empty()))
    }

    /// The control plane's pods on this node, by their names.
    pub(crate) async fn static_pods(&self) -> Result<Vec<(String, StaticPodStatus)>, CallError> {
        let asked = "read the static pods of node";
        let kind = "StaticPodStatuses.kubernetes.talos.dev";
        let found = self.list("k8s", kind, asked).await?;
        let named = found.iter().map(|r| {
            let id = r
                .metadata
                .as_ref()
                .map(|m| m.id.clone())
                .unwrap_or_default();
            Ok((id, self.spec(r, asked)?))
        });
        named.collect()
    }

    /// What this node of the control plane would have in Kubernetes, in the order in which it is applied.
    pub(crate) async fn manifests(&self) -> Result<Vec<Json>, CallError> {
        let asked = "read the manifests of node";
        let kind = "Manifests.kubernetes.talos.dev";
        let mut found = self.list("controlplane", kind, asked).await?;
        found.sort_by_cached_key(|r| r.metadata.as_ref().map(|m| m.id.clone()));
        let mut objects = Vec::new();
        for resource in &found {
            let manifests: Manifests = self.spec(resource, asked)?;
            objects.extend(manifests.objects());
        }
        Ok(objects)
    }
}

/// The reply of the one node that was asked.
pub(super) fn only<T: Reply>(call: &Call<'_>, messages: Vec<T>) -> Result<T, CallError> {
    let reply = messages.into_iter().next();
    let reply = reply.ok_or_else(|| call.reported("the answer is empty"))?;
    match reply.metadata() {
        Some(metadata) if !metadata.error.is_empty() => Err(call.reported(&metadata.error)),
        _ => Ok(reply),
    }
}
