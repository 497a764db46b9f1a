//! The calls that keep a node and its cluster running: etcd's leadership, installations, restarts.

use std::time::Duration;

use tonic::Code;

use super::api::only;
use super::{Api, CallError};
use crate::api::common::{ContainerDriver, ContainerdInstance, ContainerdNamespace};
use crate::api::machine::image_service_client::ImageServiceClient;
use crate::api::machine::lifecycle_service_client::LifecycleServiceClient;
use crate::api::machine::lifecycle_service_install_progress::Response as Progress;
use crate::api::machine::{
    EtcdForfeitLeadershipRequest, EtcdMemberStatus, ImageServicePullRequest,
    InstallArtifactsSource, LifecycleServiceUpgradeRequest, RebootRequest, UpgradeRequest,
    reboot_request,
};
use crate::api::specs::{ExtensionStatus, Nodename};

/// For what downloads: an installer has some hundred megabytes, and lines are slow.
const DOWNLOAD: Duration = Duration::from_secs(20 * 60);

/// The name under which a node shows its schematic among its extensions.
const SCHEMATIC: &str = "schematic";

/// Where installers are pulled to.
fn system_containers() -> ContainerdInstance {
    ContainerdInstance {
        driver: ContainerDriver::Cri.into(),
        namespace: ContainerdNamespace::NsSystem.into(),
    }
}

/// How an installation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Installed {
    Done,
    /// With this code, after these last words.
    Failed(i32, String),
}

impl Api {
    /// What this node's etcd says of itself.
    pub(crate) async fn etcd_status(&self) -> Result<EtcdMemberStatus, CallError> {
        let call = self.call("ask etcd on node", "machine.MachineService/EtcdStatus");
        let mut client = self.machine();
        let reply = call.run(client.etcd_status(self.request(()))).await?;
        Ok(only(&call, reply.messages)?
            .member_status
            .unwrap_or_default())
    }

    /// Makes another member of etcd the leader, when this node is it.
    pub(crate) async fn forfeit_leadership(&self) -> Result<(), CallError> {
        let call = self.call(
            "hand on the leadership of etcd from node",
            "machine.MachineService/EtcdForfeitLeadership",
        );
        let mut client = self.machine();
        let request = self.request(EtcdForfeitLeadershipRequest {});
        let reply = call.run(client.etcd_forfeit_leadership(request)).await?;
        only(&call, reply.messages).map(drop)
    }

    /// Downloads an image for an installation. Talos before 1.13 answers `Unimplemented`.
    pub(crate) async fn pull(&self, image: &str) -> Result<(), CallError> {
        let call = self.call(
            &format!("pull {image} on node"),
            "machine.ImageService/Pull",
        );
        let mut client = ImageServiceClient::new(self.channel.clone());
        let request = self.request(ImageServicePullRequest {
            containerd: Some(system_containers()),
            image_ref: image.to_owned(),
        });
        let stream = call.run_for(DOWNLOAD, client.pull(request)).await?;
        call.follow(DOWNLOAD, stream, drop).await
    }

    /// Installs a pulled image beside the running system; the next start is from it. `said` gets the installer's words.
    pub(crate) async fn install(
        &self,
        image: &str,
        mut said: impl FnMut(&str),
    ) -> Result<Installed, CallError> {
        let call = self.call(
            &format!("install {image} on node"),
            "machine.LifecycleService/Upgrade",
        );
        let mut client = LifecycleServiceClient::new(self.channel.clone());
        let request = self.request(LifecycleServiceUpgradeRequest {
            containerd: Some(system_containers()),
            source: Some(InstallArtifactsSource {
                image_name: image.to_owned(),
            }),
        });
        let stream = call.run_for(DOWNLOAD, client.upgrade(request)).await?;
        let (mut last, mut code) = (String::new(), None);
        call.follow(DOWNLOAD, stream, |item| {
            match item.progress.and_then(|p| p.response) {
                Some(Progress::Message(text)) => {
                    said(&text);
                    last = text;
                }
                Some(Progress::ExitCode(ended)) => code = Some(ended),
                None => {}
            }
        })
        .await?;
        match code {
            Some(0) => Ok(Installed::Done),
            Some(code) => Ok(Installed::Failed(code, last)),
            None => Err(call.reported("the installer did not say how it ended")),
        }
    }

    /// Installs an image and starts from it: how it is done before Talos 1.13. The node checks its etcd itself, unless `preserve` is
    /// set; the data is kept in any case.
    pub(crate) async fn upgrade_at_once(&self, request: UpgradeRequest) -> Result<(), CallError> {
        let asked = format!("install {} on node", request.image);
        let call = self.call(&asked, "machine.MachineService/Upgrade");
        let mut client = self.machine();
        let request = self.request(request);
        let reply = call.run_for(DOWNLOAD, client.upgrade(request)).await?;
        only(&call, reply.messages).map(drop)
    }

    /// Starts the node again.
    pub(crate) async fn reboot(&self, mode: reboot_request::Mode) -> Result<(), CallError> {
        let call = self.call("restart node", "machine.MachineService/Reboot");
        let mut client = self.machine();
        let request = self.request(RebootRequest { mode: mode.into() });
        let reply = call.run(client.reboot(request)).await?;
        only(&call, reply.messages).map(drop)
    }

    /// The schematic of the Image Factory that the running system was made by; `None` when it was not made there.
    pub(crate) async fn schematic(&self) -> Result<Option<String>, CallError> {
        let asked = "read the extensions of node";
        let kind = "ExtensionStatuses.runtime.talos.dev";
        for resource in self.list("runtime", kind, asked).await? {
            let status: ExtensionStatus = self.spec(&resource, asked)?;
            if let Some(metadata) = status.metadata.filter(|m| m.name == SCHEMATIC) {
                return Ok(Some(metadata.version));
            }
        }
        Ok(None)
    }

    /// The name of the node in Kubernetes; `None` when it has none yet.
    pub(crate) async fn nodename(&self) -> Result<Option<String>, CallError> {
        let asked = "read the Kubernetes name of node";
        let kind = "Nodenames.kubernetes.talos.dev";
        let Some(resource) = self.get("k8s", kind, "nodename", asked).await? else {
            return Ok(None);
        };
        let name: Nodename = self.spec(&resource, asked)?;
        Ok((!name.nodename.is_empty()).then_some(name.nodename))
    }
}

impl CallError {
    /// The release of Talos has no such call.
    pub(crate) fn is_unimplemented(&self) -> bool {
        self.code == Code::Unimplemented && !self.lost
    }
}
