//! Reset and upgrade, by the old calls and (since 1.13) the new services.

use stead_lab_core::machine::ImageLabel;
use tonic::{Request, Response, Status};

use super::storage::devices;
use super::{Api, Streamed};
use crate::node::{Order, Reset};
use crate::proto::machine::lifecycle_service_server::LifecycleService;
use crate::proto::machine::reset_request::WipeMode;
use crate::proto::machine::*;
use crate::version::Version as TalosVersion;

impl Api {
    /// Begins a reset; names its actor.
    pub(super) fn start_reset(&self, request: &ResetRequest) -> Result<String, Status> {
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
        let order = Order::Reset(Reset {
            graceful: request.graceful,
            reboot: request.reboot,
            state: wipes("STATE"),
            ephemeral: wipes("EPHEMERAL"),
            everything: partitions.is_empty() && mode != WipeMode::UserDisks,
        });
        let actor = super::actor();
        self.node.order(order, &actor);
        Ok(actor)
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

    /// Begins an upgrade, at once or at the next boot; names its actor.
    pub(super) fn start_upgrade(&self, request: &UpgradeRequest) -> Result<String, Status> {
        if self.node.disk().installed.is_none() {
            return Err(Status::failed_precondition("Talos is not installed"));
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
            let unfit = cluster.unfit_for_upgrade(&*self.world()?).map_err(|e| {
                Status::unknown(format!(
                    "error validating etcd for upgrade: {}",
                    e.message()
                ))
            })?;
            if let Some(reason) = unfit {
                return Err(Status::unknown(format!(
                    "error validating etcd for upgrade: {reason}"
                )));
            }
        }
        if request.reboot_mode() == upgrade_request::RebootMode::Powercycle {
            self.node.start_through_firmware();
        }
        let actor = super::actor();
        if request.stage {
            self.node.update_disk(|d| d.staged = Some(target));
            self.node.order(Order::Reboot, &actor);
        } else {
            self.node.order(Order::Upgrade(target), &actor);
        }
        Ok(actor)
    }
}

fn stream<T: Send + 'static>(items: Vec<T>) -> Streamed<T> {
    Box::pin(tokio_stream::iter(items.into_iter().map(Ok)))
}

/// How an installer's run is told.
fn steps(image: &str, outcome: Result<(), String>) -> Vec<LifecycleServiceInstallProgress> {
    use lifecycle_service_install_progress::Response as Progress;
    let (message, code) = match outcome {
        Ok(()) => (format!("running Talos installer from {image}"), 0),
        Err(error) => (error, 1),
    };
    [Progress::Message(message), Progress::ExitCode(code)]
        .map(|response| LifecycleServiceInstallProgress {
            response: Some(response),
        })
        .to_vec()
}

#[tonic::async_trait]
impl LifecycleService for Api {
    type InstallStream = Streamed<LifecycleServiceInstallResponse>;

    /// Installs onto a disk from a medium that runs from memory; the client reboots afterwards.
    async fn install(
        &self,
        request: Request<LifecycleServiceInstallRequest>,
    ) -> Result<Response<Self::InstallStream>, Status> {
        let request = request.into_inner();
        if self.node.disk().installed.is_some() {
            return Err(Status::already_exists("machine is already installed"));
        }
        let image = request.source.unwrap_or_default().image_name;
        if image.is_empty() {
            return Err(Status::invalid_argument("installer image name is required"));
        }
        let disk = request.destination.unwrap_or_default().disk;
        if disk.is_empty() {
            return Err(Status::invalid_argument("destination disk is required"));
        }
        let devices = devices(&self.node.hardware().disks);
        if !devices.iter().any(|d| d.path == disk && !d.removable) {
            return Err(Status::invalid_argument(format!(
                "invalid disk path: lstat {disk}: no such file or directory"
            )));
        }
        self.pulled(&image, "installation")?;
        let outcome = match self.node.struck("install-fails").await {
            true => Err("error running installer: simulated fault".to_owned()),
            false => self.upgrade_target(&image),
        };
        let outcome = outcome.map(|target| {
            self.node.update_disk(|d| {
                d.installed = Some(target);
                d.wiped = false;
            });
        });
        let items = steps(&image, outcome)
            .into_iter()
            .map(|progress| LifecycleServiceInstallResponse {
                progress: Some(progress),
            })
            .collect();
        Ok(Response::new(stream(items)))
    }

    type UpgradeStream = Streamed<LifecycleServiceUpgradeResponse>;

    /// Installs into the other slot; the client reboots afterwards.
    async fn upgrade(
        &self,
        request: Request<LifecycleServiceUpgradeRequest>,
    ) -> Result<Response<Self::UpgradeStream>, Status> {
        if self.node.disk().installed.is_none() {
            return Err(Status::failed_precondition("machine is not installed"));
        }
        let image = request.into_inner().source.unwrap_or_default().image_name;
        if image.is_empty() {
            return Err(Status::invalid_argument("installer image name is required"));
        }
        self.pulled(&image, "upgrade")?;
        let outcome = match self.node.struck("upgrade-fails").await {
            true => Err("error running installer: simulated fault".to_owned()),
            false => self.upgrade_target(&image),
        };
        let outcome = outcome.map(|target| self.node.update_disk(|d| d.install(target)));
        let items = steps(&image, outcome)
            .into_iter()
            .map(|progress| LifecycleServiceUpgradeResponse {
                progress: Some(progress),
            })
            .collect();
        Ok(Response::new(stream(items)))
    }
}

impl Api {
    /// The client pulls an installer before it has it run.
    fn pulled(&self, image: &str, what: &str) -> Result<(), Status> {
        match self.node.disk().images.iter().any(|i| i.name == image) {
            true => Ok(()),
            false => Err(Status::internal(format!(
                "{what} failed: installer image {image:?} not found in containerd store: image {image:?}: not found"
            ))),
        }
    }
}
