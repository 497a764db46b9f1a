//! MachineService: configuration, power, status. (etcd's calls are in `etcd.rs`, resets and upgrades in `lifecycle.rs`.)

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use tonic::{Request, Response, Status};

use super::{Api, Streamed, etcd, roles};
use crate::cluster::admin_archive;
use crate::node::{Boot, Order};
use crate::proto::common::Data;
use crate::proto::machine::machine_service_server::MachineService;
use crate::proto::machine::*;

/// What the simulated releases say of their build.
const GO_VERSION: &str = "go1.26.0";

/// A stream of one part.
fn once(bytes: Vec<u8>) -> Streamed<Data> {
    let data = Data {
        metadata: None,
        bytes,
    };
    Box::pin(tokio_stream::once(Ok(data)))
}

fn down() -> Status {
    Status::unavailable("the machine is going down")
}

impl Api {
    /// Reads the running system.
    pub(super) fn boot<T>(&self, read: impl FnOnce(&Boot) -> T) -> Result<T, Status> {
        self.node.with_boot(read).ok_or_else(down)
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
        if lab.faults.strike("talos.apply-reply-lost").is_some() {
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
        if request.get_ref().recover_etcd || request.get_ref().recover_skip_hash_check {
            return Err(Status::unimplemented(
                "recovering etcd from a snapshot is not simulated",
            ));
        }
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
        let cluster = self.cluster(&config)?;
        cluster.bootstrap(&*self.world()?, &self.node).await?;
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
        Ok(Response::new(once(archive)))
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

    async fn service_list(&self, _: Request<()>) -> Result<Response<ServiceListResponse>, Status> {
        let changed = self.boot(|b| b.started)?.into();
        let services = self.node.services().into_iter().map(|s| ServiceInfo {
            id: s.id.to_owned(),
            state: s.state.to_owned(),
            events: Some(ServiceEvents {
                events: vec![ServiceEvent {
                    msg: s.message.to_owned(),
                    state: s.state.to_owned(),
                    ts: Some(changed),
                }],
            }),
            health: Some(ServiceHealth {
                unknown: s.healthy.is_none(),
                healthy: s.healthy == Some(true),
                last_message: String::new(),
                last_change: Some(changed),
            }),
        });
        Ok(Response::new(ServiceListResponse {
            messages: vec![ServiceList {
                metadata: None,
                services: services.collect(),
            }],
        }))
    }

    async fn reboot(
        &self,
        request: Request<RebootRequest>,
    ) -> Result<Response<RebootResponse>, Status> {
        reboot_request::Mode::try_from(request.get_ref().mode)
            .map_err(|_| Status::invalid_argument("unknown reboot mode"))?;
        self.node.order(Order::Reboot);
        Ok(Response::new(RebootResponse {
            messages: vec![Reboot {
                metadata: None,
                actor_id: actor(),
            }],
        }))
    }

    async fn shutdown(
        &self,
        _: Request<ShutdownRequest>,
    ) -> Result<Response<ShutdownResponse>, Status> {
        self.node.order(Order::Shutdown);
        Ok(Response::new(ShutdownResponse {
            messages: vec![Shutdown {
                metadata: None,
                actor_id: actor(),
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
        self.node.order(Order::Rollback);
        Ok(Response::new(RollbackResponse {
            messages: vec![Rollback::default()],
        }))
    }

    async fn reset(
        &self,
        request: Request<ResetRequest>,
    ) -> Result<Response<ResetResponse>, Status> {
        self.start_reset(request.get_ref())?;
        Ok(Response::new(ResetResponse {
            messages: vec![Reset {
                metadata: None,
                actor_id: actor(),
            }],
        }))
    }

    async fn upgrade(
        &self,
        request: Request<UpgradeRequest>,
    ) -> Result<Response<UpgradeResponse>, Status> {
        self.start_upgrade(request.get_ref())?;
        Ok(Response::new(UpgradeResponse {
            messages: vec![Upgrade {
                metadata: None,
                ack: "Upgrade request received".to_owned(),
                actor_id: actor(),
            }],
        }))
    }

    type ReadStream = Streamed<Data>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Streamed<Data>>, Status> {
        let path = request.into_inner().path;
        let text = match path.as_str() {
            "/proc/sys/kernel/random/boot_id" => format!("{}\n", self.boot(|b| b.id.clone())?),
            "/proc/uptime" => {
                let up = self.boot(|b| b.started.elapsed().unwrap_or_default())?;
                format!("{:.2} {:.2}\n", up.as_secs_f64(), up.as_secs_f64())
            }
            "/etc/hostname" => format!("{}\n", self.node.hostname()),
            "/etc/os-release" => {
                let version = self.boot(|b| b.image.version.clone())?;
                format!(
                    "NAME=\"Talos\"\nID=talos\nVERSION_ID={version}\nPRETTY_NAME=\"Talos ({version})\"\n"
                )
            }
            _ => {
                return Err(Status::not_found(format!(
                    "stat {path}: no such file or directory"
                )));
            }
        };
        Ok(Response::new(once(text.into_bytes())))
    }

    async fn memory(&self, _: Request<()>) -> Result<Response<MemoryResponse>, Status> {
        let total = self.node.hardware().memory_mib * 1024;
        // A fresh node uses about a fifth.
        let free = total / 5 * 3;
        Ok(Response::new(MemoryResponse {
            messages: vec![Memory {
                metadata: None,
                meminfo: Some(MemInfo {
                    memtotal: total,
                    memfree: free,
                    memavailable: total / 5 * 4,
                    cached: total / 5,
                    ..MemInfo::default()
                }),
            }],
        }))
    }

    async fn load_avg(&self, _: Request<()>) -> Result<Response<LoadAvgResponse>, Status> {
        Ok(Response::new(LoadAvgResponse {
            messages: vec![LoadAvg {
                metadata: None,
                load1: 0.2,
                load5: 0.2,
                load15: 0.1,
            }],
        }))
    }

    async fn system_stat(&self, _: Request<()>) -> Result<Response<SystemStatResponse>, Status> {
        let started = self.boot(|b| b.started)?;
        let up = started.elapsed().unwrap_or_default().as_secs_f64();
        let cpu = CpuStat {
            idle: up,
            ..CpuStat::default()
        };
        let cores = usize::try_from(self.node.hardware().cores).unwrap_or(1);
        Ok(Response::new(SystemStatResponse {
            messages: vec![SystemStat {
                metadata: None,
                boot_time: seconds(started),
                cpu_total: Some(cpu),
                cpu: vec![cpu; cores],
                process_running: 1,
                ..SystemStat::default()
            }],
        }))
    }

    type EventsStream = Streamed<Event>;

    async fn events(&self, _: Request<EventsRequest>) -> Result<Response<Streamed<Event>>, Status> {
        let node = self.node.clone();
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            let mut revisions = node.revisions();
            // An empty event tells the client that the stream has started.
            let mut next = Some(Event::default());
            let mut told = None;
            loop {
                if let Some(event) = next.take()
                    && sender.send(Ok(event)).await.is_err()
                {
                    return;
                }
                let Some(state) = node.with_boot(|b| (b.stage(), b.unmet())) else {
                    return;
                };
                if told.as_ref() != Some(&state) {
                    next = Some(status_event(&state));
                    told = Some(state);
                    continue;
                }
                tokio::select! {
                    _ = revisions.changed() => {}
                    () = sender.closed() => return,
                }
            }
        });
        let stream = tokio_stream::wrappers::ReceiverStream::new(receiver);
        Ok(Response::new(Box::pin(stream)))
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
        self.control_plane("etcd alarm list")?;
        Ok(Response::new(EtcdAlarmListResponse {
            messages: vec![EtcdAlarm::default()],
        }))
    }
}

/// Names one action in events.
pub(super) fn actor() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs()
}

type Condition = (&'static str, String);

fn status_event((stage, unmet): &(crate::node::Stage, Vec<Condition>)) -> Event {
    use machine_status_event::machine_status::UnmetCondition;
    let status = MachineStatusEvent {
        stage: stage.number(),
        status: Some(machine_status_event::MachineStatus {
            ready: unmet.is_empty(),
            unmet_conditions: unmet
                .iter()
                .map(|(name, reason)| UnmetCondition {
                    name: (*name).to_owned(),
                    reason: reason.clone(),
                })
                .collect(),
        }),
    };
    Event {
        data: Some(prost_types::Any {
            type_url: "talos/runtime/machine.MachineStatusEvent".to_owned(),
            value: status.encode_to_vec(),
        }),
        id: actor(),
        ..Event::default()
    }
}
