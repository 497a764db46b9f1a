//! MachineService: which part of the node answers which call.

use tonic::{Request, Response, Status, Streaming};

use super::services::Wish;
use super::{
    Api, Streamed, containers, counters, etcd, events, files, logs, meta, roles, services, sockets,
};
use crate::cluster::admin_archive;
use crate::node::{Boot, Order};
use crate::proto::common::Data;
use crate::proto::machine::machine_service_server::MachineService;
use crate::proto::machine::*;

/// What the simulated releases say of their build.
const GO_VERSION: &str = "go1.26.0";

fn down() -> Status {
    Status::unavailable("the machine is going down")
}

impl Api {
    /// Reads the running system.
    pub(super) fn boot<T>(&self, read: impl FnOnce(&Boot) -> T) -> Result<T, Status> {
        self.node.with_boot(read).ok_or_else(down)
    }

    /// Gives an order in the name of a new actor.
    fn act(&self, order: Order) -> String {
        let actor = super::actor();
        self.node.order(order, &actor);
        actor
    }
}

#[tonic::async_trait]
impl MachineService for Api {
    async fn apply_configuration(
        &self,
        request: Request<ApplyConfigurationRequest>,
    ) -> Result<Response<ApplyConfigurationResponse>, Status> {
        let admin = roles(&request).has(roles::ADMIN);
        let lab = self.world()?.lab.clone();
        let message = self.node.apply(request.get_ref(), admin)?;
        // The reply that never comes, because the network changes with the configuration.
        if !request.get_ref().dry_run && lab.faults.strike("talos.apply-reply-lost").is_some() {
            return Err(Status::unavailable("error reading from server: EOF"));
        }
        Ok(Response::new(ApplyConfigurationResponse {
            messages: vec![message],
        }))
    }

    async fn bootstrap(
        &self,
        request: Request<BootstrapRequest>,
    ) -> Result<Response<BootstrapResponse>, Status> {
        let request = request.into_inner();
        if self.boot(|b| !b.api_up || b.rebooting)? {
            return Err(Status::failed_precondition(
                "bootstrap is not available yet",
            ));
        }
        let config = self.control_plane("bootstrap")?;
        if !config.has_etcd_ca() {
            return Err(Status::invalid_argument(
                "etcd is not configured, bootstrap is not possible",
            ));
        }
        let world = self.world()?;
        if !self.node.clock_skew().is_zero() {
            return Err(Status::failed_precondition("time is not in sync yet"));
        }
        let cluster = self.cluster(&config)?;
        if request.recover_etcd {
            let mut snapshot = None;
            self.node.update(|b| snapshot = b.recovery.take());
            let skip = request.recover_skip_hash_check;
            cluster.recover(&world, &self.node, snapshot, skip).await?;
        } else {
            cluster.bootstrap(&world, &self.node).await?;
        }
        Ok(Response::new(BootstrapResponse {
            messages: vec![Bootstrap::default()],
        }))
    }

    type KubeconfigStream = Streamed<Data>;

    async fn kubeconfig(&self, _: Request<()>) -> Result<Response<Streamed<Data>>, Status> {
        let config = self.control_plane("kubeconfig")?;
        let ca = config
            .cluster_ca()
            .ok_or_else(|| Status::failed_precondition("k8s API server CA config is not set"))?;
        let archive = admin_archive(&config, &ca).map_err(Status::unknown)?;
        Ok(Response::new(super::once(archive)))
    }

    async fn generate_client_configuration(
        &self,
        request: Request<GenerateClientConfigurationRequest>,
    ) -> Result<Response<GenerateClientConfigurationResponse>, Status> {
        meta::client_configuration(self, request.into_inner())
    }

    async fn version(&self, _: Request<()>) -> Result<Response<VersionResponse>, Status> {
        let (image, configured) = self.boot(|b| (b.image.clone(), b.config.is_some()))?;
        let (name, mode) = self.node.platform();
        Ok(Response::new(VersionResponse {
            messages: vec![Version {
                metadata: None,
                version: Some(VersionInfo {
                    sha: "undefined".to_owned(),
                    tag: image.version,
                    built: String::new(),
                    go_version: GO_VERSION.to_owned(),
                    os: "linux".to_owned(),
                    arch: "amd64".to_owned(),
                }),
                platform: Some(PlatformInfo {
                    name: name.to_owned(),
                    mode: mode.to_owned(),
                }),
                features: configured.then_some(FeaturesInfo { rbac: true }),
            }],
        }))
    }

    async fn hostname(&self, _: Request<()>) -> Result<Response<HostnameResponse>, Status> {
        Ok(Response::new(HostnameResponse {
            messages: vec![Hostname {
                metadata: None,
                hostname: self.node.hostname(),
            }],
        }))
    }

    type EventsStream = Streamed<Event>;

    async fn events(
        &self,
        request: Request<EventsRequest>,
    ) -> Result<Response<Streamed<Event>>, Status> {
        events::stream(self, request.into_inner())
    }

    async fn reboot(
        &self,
        request: Request<RebootRequest>,
    ) -> Result<Response<RebootResponse>, Status> {
        let mode = reboot_request::Mode::try_from(request.get_ref().mode)
            .map_err(|_| Status::invalid_argument("unknown reboot mode"))?;
        if mode == reboot_request::Mode::Powercycle {
            self.node.start_through_firmware();
        }
        Ok(Response::new(RebootResponse {
            messages: vec![Reboot {
                metadata: None,
                actor_id: self.act(Order::Reboot),
            }],
        }))
    }

    async fn shutdown(
        &self,
        _: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        Ok(Response::new(ShutdownResponse {
            messages: vec![Shutdown {
                metadata: None,
                actor_id: self.act(Order::Shutdown),
            }],
        }))
    }

    async fn rollback(
        &self,
        _: Request<RollbackRequest>,
    ) -> Result<Response<RollbackResponse>, Status> {
        if self.node.disk().previous.is_none() {
            return Err(Status::unknown(
                "cannot rollback, no previous system to boot",
            ));
        }
        self.act(Order::Rollback);
        Ok(Response::new(RollbackResponse {
            messages: vec![Rollback::default()],
        }))
    }

    async fn reset(
        &self,
        request: Request<ResetRequest>,
    ) -> Result<Response<ResetResponse>, Status> {
        let actor_id = self.start_reset(request.get_ref())?;
        Ok(Response::new(ResetResponse {
            messages: vec![Reset {
                metadata: None,
                actor_id,
            }],
        }))
    }

    async fn upgrade(
        &self,
        request: Request<UpgradeRequest>,
    ) -> Result<Response<UpgradeResponse>, Status> {
        let actor_id = self.start_upgrade(request.get_ref())?;
        Ok(Response::new(UpgradeResponse {
            messages: vec![Upgrade {
                metadata: None,
                ack: "Upgrade request received".to_owned(),
                actor_id,
            }],
        }))
    }

    async fn service_list(&self, _: Request<()>) -> Result<Response<ServiceListResponse>, Status> {
        services::list(self)
    }

    async fn service_start(
        &self,
        request: Request<ServiceStartRequest>,
    ) -> Result<Response<ServiceStartResponse>, Status> {
        let resp = services::operate(self, &request.get_ref().id, Wish::Start)?;
        Ok(Response::new(ServiceStartResponse {
            messages: vec![ServiceStart {
                metadata: None,
                resp,
            }],
        }))
    }

    async fn service_stop(
        &self,
        request: Request<ServiceStopRequest>,
    ) -> Result<Response<ServiceStopResponse>, Status> {
        let resp = services::operate(self, &request.get_ref().id, Wish::Stop)?;
        Ok(Response::new(ServiceStopResponse {
            messages: vec![ServiceStop {
                metadata: None,
                resp,
            }],
        }))
    }

    async fn service_restart(
        &self,
        request: Request<ServiceRestartRequest>,
    ) -> Result<Response<ServiceRestartResponse>, Status> {
        let resp = services::operate(self, &request.get_ref().id, Wish::Restart)?;
        Ok(Response::new(ServiceRestartResponse {
            messages: vec![ServiceRestart {
                metadata: None,
                resp,
            }],
        }))
    }

    async fn containers(
        &self,
        request: Request<ContainersRequest>,
    ) -> Result<Response<ContainersResponse>, Status> {
        containers::list(self, request.get_ref())
    }

    async fn stats(
        &self,
        request: Request<StatsRequest>,
    ) -> Result<Response<StatsResponse>, Status> {
        containers::stats(self, request.get_ref())
    }

    async fn restart(
        &self,
        request: Request<RestartRequest>,
    ) -> Result<Response<RestartResponse>, Status> {
        containers::restart(self, request.get_ref())
    }

    type ImageListStream = Streamed<ImageListResponse>;

    async fn image_list(
        &self,
        request: Request<ImageListRequest>,
    ) -> Result<Response<Streamed<ImageListResponse>>, Status> {
        containers::image_list(self, request.get_ref())
    }

    async fn image_pull(
        &self,
        request: Request<ImagePullRequest>,
    ) -> Result<Response<ImagePullResponse>, Status> {
        containers::image_pull(self, request.get_ref())
    }

    type DmesgStream = Streamed<Data>;

    async fn dmesg(
        &self,
        request: Request<DmesgRequest>,
    ) -> Result<Response<Streamed<Data>>, Status> {
        logs::dmesg(self, request.get_ref())
    }

    type LogsStream = Streamed<Data>;

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Streamed<Data>>, Status> {
        logs::logs(self, request.into_inner())
    }

    async fn logs_containers(
        &self,
        _: Request<()>,
    ) -> Result<Response<LogsContainersResponse>, Status> {
        logs::registered(self)
    }

    type ReadStream = Streamed<Data>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Streamed<Data>>, Status> {
        files::read(self, &request.get_ref().path)
    }

    type ListStream = Streamed<FileInfo>;

    async fn list(
        &self,
        request: Request<ListRequest>,
    ) -> Result<Response<Streamed<FileInfo>>, Status> {
        files::list(self, request.get_ref())
    }

    type DiskUsageStream = Streamed<DiskUsageInfo>;

    async fn disk_usage(
        &self,
        request: Request<DiskUsageRequest>,
    ) -> Result<Response<Streamed<DiskUsageInfo>>, Status> {
        files::disk_usage(self, request.get_ref())
    }

    type CopyStream = Streamed<Data>;

    async fn copy(
        &self,
        request: Request<CopyRequest>,
    ) -> Result<Response<Streamed<Data>>, Status> {
        files::copy(self, &request.get_ref().root_path)
    }

    async fn mounts(&self, _: Request<()>) -> Result<Response<MountsResponse>, Status> {
        Ok(files::mounts(self))
    }

    async fn meta_write(
        &self,
        request: Request<MetaWriteRequest>,
    ) -> Result<Response<MetaWriteResponse>, Status> {
        meta::write(self, request.into_inner())
    }

    async fn meta_delete(
        &self,
        request: Request<MetaDeleteRequest>,
    ) -> Result<Response<MetaDeleteResponse>, Status> {
        meta::delete(self, request.get_ref().key)
    }

    async fn memory(&self, _: Request<()>) -> Result<Response<MemoryResponse>, Status> {
        Ok(counters::memory(self))
    }

    async fn load_avg(&self, _: Request<()>) -> Result<Response<LoadAvgResponse>, Status> {
        Ok(counters::load())
    }

    async fn system_stat(&self, _: Request<()>) -> Result<Response<SystemStatResponse>, Status> {
        counters::system(self)
    }

    async fn cpu_info(&self, _: Request<()>) -> Result<Response<CpuInfoResponse>, Status> {
        Ok(counters::processors(self))
    }

    async fn cpu_freq_stats(
        &self,
        _: Request<()>,
    ) -> Result<Response<CpuFreqStatsResponse>, Status> {
        Ok(counters::frequencies(self))
    }

    async fn disk_stats(&self, _: Request<()>) -> Result<Response<DiskStatsResponse>, Status> {
        counters::disks(self)
    }

    async fn network_device_stats(
        &self,
        _: Request<()>,
    ) -> Result<Response<NetworkDeviceStatsResponse>, Status> {
        counters::network(self)
    }

    async fn processes(&self, _: Request<()>) -> Result<Response<ProcessesResponse>, Status> {
        Ok(counters::processes(self))
    }

    async fn netstat(
        &self,
        request: Request<NetstatRequest>,
    ) -> Result<Response<NetstatResponse>, Status> {
        sockets::list(self, request.get_ref())
    }

    type PacketCaptureStream = Streamed<Data>;

    async fn packet_capture(
        &self,
        request: Request<PacketCaptureRequest>,
    ) -> Result<Response<Streamed<Data>>, Status> {
        sockets::capture(self, request.get_ref())
    }

    async fn etcd_member_list(
        &self,
        _: Request<EtcdMemberListRequest>,
    ) -> Result<Response<EtcdMemberListResponse>, Status> {
        etcd::member_list(self)
    }

    async fn etcd_remove_member_by_id(
        &self,
        request: Request<EtcdRemoveMemberByIdRequest>,
    ) -> Result<Response<EtcdRemoveMemberByIdResponse>, Status> {
        etcd::remove(self, request.get_ref().member_id).await
    }

    async fn etcd_leave_cluster(
        &self,
        _: Request<EtcdLeaveClusterRequest>,
    ) -> Result<Response<EtcdLeaveClusterResponse>, Status> {
        etcd::leave(self).await
    }

    async fn etcd_forfeit_leadership(
        &self,
        _: Request<EtcdForfeitLeadershipRequest>,
    ) -> Result<Response<EtcdForfeitLeadershipResponse>, Status> {
        etcd::forfeit(self)
    }

    async fn etcd_status(&self, _: Request<()>) -> Result<Response<EtcdStatusResponse>, Status> {
        etcd::status(self)
    }

    async fn etcd_alarm_list(
        &self,
        _: Request<()>,
    ) -> Result<Response<EtcdAlarmListResponse>, Status> {
        etcd::alarms(self)
    }

    async fn etcd_alarm_disarm(
        &self,
        _: Request<()>,
    ) -> Result<Response<EtcdAlarmDisarmResponse>, Status> {
        etcd::disarm(self)
    }

    async fn etcd_defragment(
        &self,
        _: Request<()>,
    ) -> Result<Response<EtcdDefragmentResponse>, Status> {
        etcd::defragment(self)
    }

    type EtcdSnapshotStream = Streamed<Data>;

    async fn etcd_snapshot(
        &self,
        _: Request<EtcdSnapshotRequest>,
    ) -> Result<Response<Streamed<Data>>, Status> {
        etcd::snapshot(self).await
    }

    async fn etcd_recover(
        &self,
        request: Request<Streaming<Data>>,
    ) -> Result<Response<EtcdRecoverResponse>, Status> {
        etcd::recover(self, request.into_inner()).await
    }

    async fn etcd_downgrade_validate(
        &self,
        request: Request<EtcdDowngradeValidateRequest>,
    ) -> Result<Response<EtcdDowngradeValidateResponse>, Status> {
        etcd::validate_downgrade(self, &request.get_ref().version)
    }

    async fn etcd_downgrade_enable(
        &self,
        request: Request<EtcdDowngradeEnableRequest>,
    ) -> Result<Response<EtcdDowngradeEnableResponse>, Status> {
        etcd::enable_downgrade(self, &request.get_ref().version)
    }

    async fn etcd_downgrade_cancel(
        &self,
        _: Request<()>,
    ) -> Result<Response<EtcdDowngradeCancelResponse>, Status> {
        etcd::cancel_downgrade(self)
    }
}
