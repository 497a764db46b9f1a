//! Reset and upgrade, by the old calls and (since 1.13) the new services.

use stead_lab_core::machine::ImageLabel;
use tonic::{Request, Response, Status};

use super::storage::devices;
use super::{Api, Streamed};
use crate::node::{Order, Reset};
use crate::proto::machine::image_service_server::ImageService;
use crate::proto::machine::lifecycle_service_server::LifecycleService;
use crate::proto::machine::reset_request::WipeMode;
use crate::proto::machine::*;
use crate::version::Version as TalosVersion;

type PullProgress = ImageServicePullResponse;
type UpgradeProgress = LifecycleServiceUpgradeResponse;

impl Api {
    pub(super) fn start_reset(&self, request: &ResetRequest) -> Result<(), Status> {
        let mode = WipeMode::try_from(request.mode)
            .map_err(|_| Status::invalid_argument("unknown wipe mode"))?;
        self.check_user_disks(request, mode)?;
        let partitions = &request.system_partitions_to_wipe;
        if !partitions.is_empty() && mode == WipeMode::UserDisks {
            return Err(Status::unknown(
                "reset failed: invalid input, wipe mode USER_DISKS doesn't support SystemPartitionsToWipe parameter",
            ));
        }
        let known = ["EFI", "BIOS", "BOOT", "META", "STATE", "EPHEMERAL"];
        if let Some(unknown) = partitions
            .iter()
            .find(|p| !known.contains(&p.label.as_str()))
        {
            return Err(Status::unknown(format!(
                "failed to get volume status with label {0:?}: resource VolumeStatuses.block.talos.dev(runtime/{0}@undefined) doesn't exist",
                unknown.label
            )));
        }
        let wipes = |label: &str| partitions.iter().any(|p| p.wipe && p.label == label);
        self.node.order(Order::Reset(Reset {
            graceful: request.graceful,
            reboot: request.reboot,
            state: wipes("STATE"),
            ephemeral: wipes("EPHEMERAL"),
            everything: partitions.is_empty() && mode != WipeMode::UserDisks,
        }));
        Ok(())
    }

    fn check_user_disks(&self, request: &ResetRequest, mode: WipeMode) -> Result<(), Status> {
        if request.user_disks_to_wipe.is_empty() {
            return Ok(());
        }
        if mode == WipeMode::SystemDisk {
            return Err(Status::unknown(
                "reset failed: invalid input, wipe mode SYSTEM_DISK doesn't support UserDisksToWipe parameter",
            ));
        }
        let devices = devices(&self.node.hardware().disks);
        let system = self.system_disk();
        for name in &request.user_disks_to_wipe {
            let refused = match devices.iter().find(|d| d.path == *name) {
                None => "wasn't found",
                Some(device) if device.removable => "is readonly",
                Some(_) if system.as_ref() == Some(name) => "is the system disk",
                Some(_) => continue,
            };
            return Err(Status::unknown(format!(
                "reset user disk failed: device {name} {refused}"
            )));
        }
        Ok(())
    }

    /// The system in an installer image, when this node can be upgraded to it.
    fn upgrade_target(&self, image: &str) -> Result<ImageLabel, String> {
        let target = self
            .world()
            .map_err(|e| e.message().to_owned())?
            .factory
            .installer(image)?;
        let current = self.node.image().map(|i| i.version).unwrap_or_default();
        match (
            TalosVersion::parse(&current),
            TalosVersion::parse(&target.version),
        ) {
            (Some(from), Some(to)) if !from.upgrades_to(&to) => Err(format!(
                "host version {current} is too old to upgrade to Talos {}",
                target.version
            )),
            _ => Ok(target),
        }
    }

    pub(super) fn start_upgrade(&self, request: &UpgradeRequest) -> Result<(), Status> {
        if self.node.disk().installed.is_none() {
            return Err(Status::failed_precondition("Talos is not installed"));
        }
        if request.stage {
            return Err(Status::unimplemented("staged upgrades are not simulated"));
        }
        let target = self.upgrade_target(&request.image).map_err(|e| {
            Status::unknown(format!(
                "error validating installer image {:?}: {e}",
                request.image
            ))
        })?;
        let config = self.node.config().filter(|c| c.is_control_plane());
        if let Some(config) = config.filter(|_| !request.force && !request.preserve) {
            let cluster = self.cluster(&config)?;
            let members = cluster.members(&*self.world()?).map_err(|e| {
                Status::unknown(format!(
                    "error validating etcd for upgrade: {}",
                    e.message()
                ))
            })?;
            if members.len() == 2 {
                return Err(Status::unknown(
                    "error validating etcd for upgrade: etcd member count(2) is insufficient to maintain quorum if upgrade commences",
                ));
            }
        }
        self.node.order(Order::Upgrade(target));
        Ok(())
    }
}

fn stream<T: Send + 'static>(items: Vec<T>) -> Streamed<T> {
    Box::pin(tokio_stream::iter(items.into_iter().map(Ok)))
}

fn progress(response: lifecycle_service_install_progress::Response) -> UpgradeProgress {
    UpgradeProgress {
        progress: Some(LifecycleServiceInstallProgress {
            response: Some(response),
        }),
    }
}

#[tonic::async_trait]
impl LifecycleService for Api {
    type UpgradeStream = Streamed<UpgradeProgress>;

    /// Installs into the other slot; the client reboots afterwards.
    async fn upgrade(
        &self,
        request: Request<LifecycleServiceUpgradeRequest>,
    ) -> Result<Response<Self::UpgradeStream>, Status> {
        use lifecycle_service_install_progress::Response as Progress;
        let image = request.into_inner().source.unwrap_or_default().image_name;
        if image.is_empty() {
            return Err(Status::invalid_argument("image name is required"));
        }
        if self.node.disk().installed.is_none() {
            return Err(Status::failed_precondition("Talos is not installed"));
        }
        let failed = self
            .world()?
            .lab
            .faults
            .strike("talos.upgrade-fails")
            .is_some();
        let outcome = match self.upgrade_target(&image) {
            Ok(_) if failed => Err("installer: simulated fault".to_owned()),
            other => other,
        };
        let items = match outcome {
            Ok(target) => {
                self.node
                    .update_disk(|d| d.previous = d.installed.replace(target));
                vec![
                    Progress::Message(format!("running Talos installer from {image}")),
                    Progress::ExitCode(0),
                ]
            }
            Err(error) => vec![Progress::Message(error), Progress::ExitCode(1)],
        };
        let items = items.into_iter().map(progress).collect();
        Ok(Response::new(stream(items)))
    }
}

#[tonic::async_trait]
impl ImageService for Api {
    type PullStream = Streamed<PullProgress>;

    async fn pull(
        &self,
        request: Request<ImageServicePullRequest>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let image = request.into_inner().image_ref;
        if image.contains("installer") {
            let factory = self.world()?.factory.clone();
            factory
                .installer(&image)
                .map_err(|e| Status::unknown(format!("failed to pull image {image:?}: {e}")))?;
        }
        Ok(Response::new(stream(vec![PullProgress {
            response: Some(image_service_pull_response::Response::Name(image)),
        }])))
    }
}
