//! Disks and clock of a node.

use std::time::SystemTime;

use stead_lab_core::machine::Disk as HardwareDisk;
use tonic::{Request, Response, Status};

use super::Api;
use crate::config::Config;
use crate::proto::storage::storage_service_server::StorageService;
use crate::proto::storage::{
    BlockDeviceWipe, BlockDeviceWipeDescriptor, BlockDeviceWipeRequest, BlockDeviceWipeResponse,
    Disk, Disks, DisksResponse, block_device_wipe_descriptor, disk::DiskType,
};
use crate::proto::time::time_service_server::TimeService;
use crate::proto::time::{Time, TimeRequest, TimeResponse};
use crate::yaml::Node;

/// A disk as the kernel names it.
pub(crate) struct Device {
    /// `/dev/sda`.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) subsystem: &'static str,
    pub(crate) bus_path: String,
    pub(crate) transport: &'static str,
    pub(crate) model: &'static str,
    pub(crate) removable: bool,
}

/// The disks in the order in which the kernel finds them.
pub(crate) fn devices(disks: &[HardwareDisk]) -> Vec<Device> {
    let (mut scsi, mut virtio, mut nvme, mut optical) = (0_u8, 0_u8, 0_u8, 0_u8);
    let letter = |n: u8| char::from(b'a' + n.min(25));
    let mut found = Vec::new();
    for disk in disks {
        let bus_path = format!("/pci0000:00/{}", disk.interface);
        let size = disk.size_bytes;
        if disk.interface.starts_with("virtio") {
            found.push(Device {
                path: format!("/dev/vd{}", letter(virtio)),
                size,
                subsystem: "/sys/class/block",
                bus_path,
                transport: "virtio",
                model: "",
                removable: false,
            });
            virtio += 1;
        } else if disk.interface.starts_with("nvme") {
            found.push(Device {
                path: format!("/dev/nvme{nvme}n1"),
                size,
                subsystem: "/sys/class/block",
                bus_path,
                transport: "nvme",
                model: "QEMU NVMe Ctrl",
                removable: false,
            });
            nvme += 1;
        } else if disk.interface.starts_with("ide") {
            found.push(Device {
                path: format!("/dev/sr{optical}"),
                size,
                subsystem: "/sys/class/block",
                bus_path,
                transport: "ata",
                model: "QEMU DVD-ROM",
                removable: true,
            });
            optical += 1;
        } else {
            found.push(Device {
                path: format!("/dev/sd{}", letter(scsi)),
                size,
                subsystem: "/sys/class/block",
                bus_path,
                transport: "virtio",
                model: "QEMU HARDDISK",
                removable: false,
            });
            scsi += 1;
        }
    }
    found
}

impl Api {
    /// The system disk's path, when Talos is installed.
    pub(super) fn system_disk(&self) -> Option<String> {
        self.node.disk().installed?;
        let mut devices = devices(&self.node.hardware().disks).into_iter();
        devices.find(|d| !d.removable).map(|d| d.path)
    }
}

#[tonic::async_trait]
impl StorageService for Api {
    async fn disks(&self, _: Request<()>) -> Result<Response<DisksResponse>, Status> {
        let system = self.system_disk();
        let disks = devices(&self.node.hardware().disks);
        let disks = disks.into_iter().map(|device| Disk {
            size: device.size,
            model: device.model.to_owned(),
            r#type: match (device.removable, device.transport) {
                (true, _) => DiskType::Cd,
                (_, "nvme") => DiskType::Nvme,
                _ => DiskType::Ssd,
            }
            .into(),
            bus_path: device.bus_path,
            system_disk: system.as_ref() == Some(&device.path),
            subsystem: device.subsystem.to_owned(),
            readonly: device.removable,
            device_name: device.path,
            ..Disk::default()
        });
        Ok(Response::new(DisksResponse {
            messages: vec![Disks {
                metadata: None,
                disks: disks.collect(),
            }],
        }))
    }

    async fn block_device_wipe(
        &self,
        request: Request<BlockDeviceWipeRequest>,
    ) -> Result<Response<BlockDeviceWipeResponse>, Status> {
        let admin = super::roles(&request).has(super::roles::ADMIN);
        if self.node.config().is_some() && !admin {
            return Err(Status::permission_denied("not authorized"));
        }
        let devices = request.into_inner().devices;
        for device in &devices {
            let path = format!("/dev/{}", device.device);
            let whole = super::storage::devices(&self.node.hardware().disks);
            let partition = self
                .system_disk()
                .is_some_and(|s| path.starts_with(&s) && path != s);
            if !partition && !whole.iter().any(|d| d.path == path) {
                return Err(Status::not_found(format!(
                    "blockdevice {:?} not found",
                    device.device
                )));
            }
            if let Some(refused) = self.unwipable(device) {
                return Err(refused);
            }
            block_device_wipe_descriptor::Method::try_from(device.method).map_err(|_| {
                Status::invalid_argument(format!("unsupported wipe method {}", device.method))
            })?;
        }
        // Nothing but Talos writes to a machine's disks in the lab: a disk that it does not use is empty.
        for device in devices {
            let name = device.device;
            self.node
                .log("machined", &format!("block device {name:?} wiped"));
        }
        Ok(Response::new(BlockDeviceWipeResponse {
            messages: vec![BlockDeviceWipe::default()],
        }))
    }
}

/// The time server of a node whose configuration names none.
const TIME_SERVER: &str = "time.cloudflare.com";

/// The time servers of a configuration; never empty.
pub(crate) fn time_servers(config: Option<&Config>) -> Vec<String> {
    let named = |items: &[Node]| -> Vec<String> {
        let texts = items.iter().filter_map(Node::text);
        texts.map(str::to_owned).collect()
    };
    let found = config.map(|config| {
        let old = named(config.items_at("machine.time.servers"));
        let new = config
            .doc("TimeSyncConfig")
            .map(|d| named(d.items_at("ntp.servers")));
        match old.is_empty() {
            true => new.unwrap_or_default(),
            false => old,
        }
    });
    match found.filter(|servers| !servers.is_empty()) {
        Some(servers) => servers,
        None => vec![TIME_SERVER.to_owned()],
    }
}

#[tonic::async_trait]
impl TimeService for Api {
    async fn time(&self, _: Request<()>) -> Result<Response<TimeResponse>, Status> {
        let servers = time_servers(self.node.config().as_deref());
        Ok(self.clock(servers.into_iter().next().unwrap_or_default()))
    }

    async fn time_check(
        &self,
        request: Request<TimeRequest>,
    ) -> Result<Response<TimeResponse>, Status> {
        let server = request.into_inner().server;
        if server.is_empty() {
            return Err(Status::invalid_argument("ntp server is required"));
        }
        Ok(self.clock(server))
    }
}

impl Api {
    /// The node's clock beside the true time, which every server of the lab has.
    fn clock(&self, server: String) -> Response<TimeResponse> {
        let now = SystemTime::now();
        let skew = self.node.clock_skew();
        Response::new(TimeResponse {
            messages: vec![Time {
                metadata: None,
                server,
                localtime: Some((now + skew).into()),
                remotetime: Some(now.into()),
            }],
        })
    }

    /// Why a device cannot be wiped.
    fn unwipable(&self, request: &BlockDeviceWipeDescriptor) -> Option<Status> {
        let name = &request.device;
        let in_use = |volume: &str| {
            Status::failed_precondition(format!(
                "blockdevice {name:?} is in use by volume {volume:?}"
            ))
        };
        let system = self.system_disk();
        let path = format!("/dev/{name}");
        let devices = devices(&self.node.hardware().disks);
        let Some(device) = devices.iter().find(|d| d.path == path) else {
            let volume = match path
                .strip_prefix(system.as_deref()?)?
                .trim_start_matches('p')
            {
                "4" => "STATE",
                "5" => "EPHEMERAL",
                _ => {
                    return Some(Status::not_found(format!("blockdevice {name:?} not found")));
                }
            };
            return match request.skip_volume_check {
                true => Some(Status::failed_precondition(format!(
                    "block device {name:?} is mounted or in use"
                ))),
                false => Some(in_use(volume)),
            };
        };
        if device.removable {
            return Some(Status::failed_precondition(format!(
                "blockdevice {name:?} is read-only"
            )));
        }
        let is_system = system == Some(path) && self.node.config().is_some();
        match (is_system, request.skip_volume_check) {
            (false, _) => None,
            (true, false) => Some(in_use("STATE")),
            (true, true) => Some(Status::failed_precondition(format!(
                "block device {name:?} is mounted or in use"
            ))),
        }
    }
}
