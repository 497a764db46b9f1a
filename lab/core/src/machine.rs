//! Machines: what a hypervisor starts and what then lives inside.
//!
//! The hypervisor (Proxmox) knows hardware and disks; what boots from a disk is a [`Guest`], made by the first
//! [`GuestKind`] that recognises the disk's content. Neither side knows the other's API.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// First bytes of every image that the lab's image factory serves; a JSON object ([`ImageLabel`]) follows up to a newline.
pub const IMAGE_MAGIC: &[u8] = b"STEAD-LAB-IMAGE ";

/// What a lab image holds, in place of gigabytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageLabel {
    /// `talos`, `ubuntu`, …
    pub os: String,
    pub version: String,
    /// Talos: the schematic's id.
    #[serde(default)]
    pub schematic: String,
    /// Whether the image brings a guest agent (Talos: the `qemu-guest-agent` extension).
    #[serde(default)]
    pub guest_agent: bool,
}

/// Hardware at the moment of power-on.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// Stable for the machine's life, such as `pve/4001`.
    pub id: String,
    pub name: String,
    pub cores: u32,
    pub memory_mib: u64,
    /// In boot order.
    pub disks: Vec<Disk>,
    pub nics: Vec<Nic>,
    /// Cloud-init (NoCloud) data, when there is such a drive.
    pub cloud_init: Option<CloudInit>,
    /// PCI devices passed through, such as `10de:1eb8`.
    pub pci_devices: Vec<String>,
    /// Whether the hypervisor offers the guest-agent channel.
    pub agent_channel: bool,
}

#[derive(Clone, Debug)]
pub struct Disk {
    /// `scsi0`, `virtio0`, …
    pub interface: String,
    pub size_bytes: u64,
    /// What the disk was imported from; `None` for an empty disk.
    pub image: Option<ImageLabel>,
}

#[derive(Clone, Debug)]
pub struct Nic {
    pub mac: String,
    pub bridge: String,
    pub vlan: Option<u16>,
}

#[derive(Clone, Debug, Default)]
pub struct CloudInit {
    /// By position of the network device: `ip=10.25.150.11/24,gw=10.25.150.1` or `ip=dhcp`.
    pub ip_config: BTreeMap<usize, IpConfig>,
    pub nameservers: Vec<String>,
    pub user_data: Option<String>,
    pub hostname: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub struct IpConfig {
    /// With prefix length; `None` means DHCP.
    pub address: Option<(IpAddr, u8)>,
    pub gateway: Option<IpAddr>,
}

/// What the guest agent tells of a network interface.
#[derive(Clone, Debug, Serialize)]
pub struct GuestInterface {
    pub name: String,
    pub mac: String,
    pub addresses: Vec<(IpAddr, u8)>,
}

/// A kind of operating system that the lab can bring to life.
#[async_trait]
pub trait GuestKind: Send + Sync {
    /// Whether this kind boots from such hardware (looks at the disks' images).
    fn recognises(&self, hardware: &Hardware) -> bool;

    /// Power on. A machine that ran before (same `hardware.id`) finds its disk as it left it.
    async fn boot(&self, hardware: Hardware) -> Arc<dyn Guest>;

    /// The machine's disks are gone for good; forget what was on them.
    async fn destroyed(&self, machine_id: &str);
}

/// A running operating system.
#[async_trait]
pub trait Guest: Send + Sync {
    /// `None` while no agent answers (not installed, not up yet).
    fn agent_interfaces(&self) -> Option<Vec<GuestInterface>>;

    /// Orderly shutdown (ACPI or agent); returns when the machine is off.
    async fn shutdown(&self);

    /// The plug is pulled.
    async fn power_off(&self);

    /// What its agent may do inside; `None` when it takes no commands.
    fn hands(&self) -> Option<Arc<dyn Hands>> {
        None
    }

    /// Returns when the machine is off, whoever did that; a guest that never turns itself off may keep this default.
    async fn stopped(&self) {
        std::future::pending::<()>().await;
    }
}

/// What an operating system lets its guest agent do, beyond telling addresses.
#[async_trait]
pub trait Hands: Send + Sync {
    /// Runs a program to its end; an error says why it was not started.
    async fn run(&self, command: &[String], input: &[u8]) -> Result<Ran, String>;

    /// A file's content; an error says why not, in the system's words.
    fn read(&self, path: &str) -> Result<Vec<u8>, String>;

    fn write(&self, path: &str, content: &[u8]) -> Result<(), String>;
}

/// How a program ended and what it wrote.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    pub code: u32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}
