//! Disks and clock of a node.

use std::time::SystemTime;

use stead_lab_core::machine::Disk as HardwareDisk;
use tonic::{Request, Response, Status};

use super::Api;
use crate::proto::storage::storage_service_server::StorageService;
use crate::proto::storage::{Disk, Disks, DisksResponse, disk::DiskType};
use crate::proto::time::time_service_server::TimeService;
use crate::proto::time::{Time, TimeResponse};

/// A disk as the kernel names it.
pub(super) struct Device {
    /// `/dev/sda`.
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) subsystem: &'static str,
    pub(super) bus_path: String,
    pub(super) transport: &'static str,
    pub(super) model: &'static str,
    pub(super) removable: bool,
}

/// The disks in the order in which the kernel finds them.
pub(super) fn devices(disks: &[HardwareDisk]) -> Vec<Device> {
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
}

#[tonic::async_trait]
impl TimeService for Api {
    async fn time(&self, _: Request<()>) -> Result<Response<TimeResponse>, Status> {
        let now = Some(SystemTime::now().into());
        Ok(Response::new(TimeResponse {
            messages: vec![Time {
                metadata: None,
                server: "time.cloudflare.com".to_owned(),
                localtime: now,
                remotetime: now,
            }],
        }))
    }
}
