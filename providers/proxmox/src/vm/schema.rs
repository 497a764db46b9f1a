//! The attributes of a virtual machine: the published schema, and what each becomes in the API.

use stead_sdk::value::Sensitive;
use stead_sdk::{Block, Resource};

/// A virtual machine.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "proxmox_virtual_environment_vm", version = 0, legacy)]
pub(crate) struct Vm {
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(required)]
    pub(crate) node_name: String,
    /// 100 and above; the next free one when it is not set.
    #[attr(optional, computed, replace)]
    pub(crate) vm_id: Option<i64>,
    #[attr(optional)]
    pub(crate) name: String,
    #[attr(optional)]
    pub(crate) description: String,
    #[attr(optional)]
    pub(crate) tags: Vec<String>,
    #[attr(optional, default = true)]
    pub(crate) acpi: bool,
    #[attr(optional, default = "seabios")]
    pub(crate) bios: String,
    #[attr(optional, computed)]
    pub(crate) boot_order: Vec<String>,
    #[attr(optional, default = true)]
    pub(crate) delete_unreferenced_disks_on_destroy: bool,
    #[attr(optional)]
    pub(crate) hook_script_file_id: String,
    #[attr(optional, computed)]
    pub(crate) hotplug: Option<String>,
    #[attr(computed)]
    pub(crate) ipv4_addresses: Vec<Vec<String>>,
    #[attr(computed)]
    pub(crate) ipv6_addresses: Vec<Vec<String>>,
    #[attr(optional, default = "en-us")]
    pub(crate) keyboard_layout: String,
    /// Only root@pam, logged in with its password, may set this.
    #[attr(optional)]
    pub(crate) kvm_arguments: String,
    #[attr(optional, computed)]
    pub(crate) mac_addresses: Vec<String>,
    #[attr(optional)]
    pub(crate) machine: String,
    /// Move the machine when `node_name` changes; otherwise it is replaced.
    #[attr(optional, default = false)]
    pub(crate) migrate: bool,
    #[attr(optional, computed)]
    pub(crate) network_device: Option<Vec<NetworkDevice>>,
    #[attr(computed)]
    pub(crate) network_interface_names: Vec<String>,
    #[attr(optional, default = true)]
    pub(crate) on_boot: bool,
    #[attr(optional)]
    pub(crate) pool_id: String,
    #[attr(optional, default = false)]
    pub(crate) protection: bool,
    #[attr(optional, default = true)]
    pub(crate) purge_on_destroy: bool,
    /// Restart once after the creation.
    #[attr(optional, default = false)]
    pub(crate) reboot: bool,
    #[attr(optional, default = true)]
    pub(crate) reboot_after_update: bool,
    #[attr(optional, default = "virtio-scsi-pci")]
    pub(crate) scsi_hardware: String,
    #[attr(optional, default = true)]
    pub(crate) started: bool,
    #[attr(optional, default = false)]
    pub(crate) stop_on_destroy: bool,
    #[attr(optional, default = true)]
    pub(crate) tablet_device: bool,
    #[attr(optional, default = false)]
    pub(crate) template: bool,
    /// Seconds, as all the timeouts.
    #[attr(optional, default = 1800)]
    pub(crate) timeout_clone: i64,
    #[attr(optional, default = 1800)]
    pub(crate) timeout_create: i64,
    #[attr(optional, default = 1800)]
    pub(crate) timeout_migrate: i64,
    #[attr(optional, default = 1800, deprecated = "It has no effect.")]
    pub(crate) timeout_move_disk: i64,
    #[attr(optional, default = 1800)]
    pub(crate) timeout_reboot: i64,
    #[attr(optional, default = 1800)]
    pub(crate) timeout_shutdown_vm: i64,
    #[attr(optional, default = 1800)]
    pub(crate) timeout_start_vm: i64,
    #[attr(optional, default = 300)]
    pub(crate) timeout_stop_vm: i64,
    #[attr(block(list, max = 1))]
    pub(crate) agent: Option<Agent>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) amd_sev: Option<AmdSev>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) audio_device: Option<AudioDevice>,
    #[attr(block(list, max = 1))]
    pub(crate) cdrom: Option<Cdrom>,
    #[attr(block(list, max = 1), replace)]
    pub(crate) clone: Option<CloneFrom>,
    #[attr(block(list, max = 1))]
    pub(crate) cpu: Option<Cpu>,
    #[attr(block(list, max = 31))]
    pub(crate) disk: Vec<Disk>,
    #[attr(block(list, max = 1))]
    pub(crate) efi_disk: Option<EfiDisk>,
    #[attr(block(list, max = 16))]
    pub(crate) hostpci: Vec<HostPci>,
    #[attr(block(list, max = 1))]
    pub(crate) initialization: Option<Initialization>,
    #[attr(block(list, max = 1))]
    pub(crate) memory: Option<Memory>,
    #[attr(block(list), unsupported)]
    pub(crate) numa: Vec<Numa>,
    #[attr(block(list, max = 1))]
    pub(crate) operating_system: Option<OperatingSystem>,
    #[attr(block(list), unsupported)]
    pub(crate) rng: Vec<Rng>,
    #[attr(block(list, max = 4))]
    pub(crate) serial_device: Vec<SerialDevice>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) smbios: Option<Smbios>,
    #[attr(block(list, max = 1))]
    pub(crate) startup: Option<Startup>,
    #[attr(block(list, max = 1))]
    pub(crate) tpm_state: Option<TpmState>,
    #[attr(block(list))]
    pub(crate) usb: Vec<Usb>,
    #[attr(block(list, max = 1))]
    pub(crate) vga: Option<Vga>,
    #[attr(block(list, max = 8), unsupported)]
    pub(crate) virtiofs: Vec<Virtiofs>,
    #[attr(block(list, max = 1), unsupported)]
    pub(crate) watchdog: Option<Watchdog>,
    /// Imported and not read yet: the next read takes in everything there is.
    #[attr(private)]
    pub(crate) imported: Option<bool>,
}

/// A plain object of the attribute `network_device`; people may write it as blocks.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct NetworkDevice {
    #[attr(optional)]
    pub(crate) bridge: Option<String>,
    #[attr(optional)]
    pub(crate) disconnected: Option<bool>,
    #[attr(optional)]
    pub(crate) enabled: Option<bool>,
    #[attr(optional)]
    pub(crate) firewall: Option<bool>,
    #[attr(optional)]
    pub(crate) mac_address: Option<String>,
    #[attr(optional)]
    pub(crate) model: Option<String>,
    #[attr(optional)]
    pub(crate) mtu: Option<i64>,
    #[attr(optional)]
    pub(crate) queues: Option<i64>,
    /// Megabytes per second.
    #[attr(optional)]
    pub(crate) rate_limit: Option<f64>,
    #[attr(optional)]
    pub(crate) trunks: Option<String>,
    #[attr(optional)]
    pub(crate) vlan_id: Option<i64>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Agent {
    #[attr(optional, default = false)]
    pub(crate) enabled: bool,
    /// How long to wait for addresses, such as `15m`.
    #[attr(optional, default = "15m")]
    pub(crate) timeout: String,
    #[attr(optional, default = false)]
    pub(crate) trim: bool,
    #[attr(optional, default = "virtio")]
    pub(crate) r#type: String,
    #[attr(block(list, max = 1))]
    pub(crate) wait_for_ip: Option<WaitForIp>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct WaitForIp {
    #[attr(optional, default = false)]
    pub(crate) disabled: bool,
    #[attr(optional, default = false)]
    pub(crate) ipv4: bool,
    #[attr(optional, default = false)]
    pub(crate) ipv6: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct AmdSev {
    #[attr(optional)]
    pub(crate) allow_smt: bool,
    #[attr(optional)]
    pub(crate) kernel_hashes: bool,
    #[attr(optional)]
    pub(crate) no_debug: bool,
    #[attr(optional)]
    pub(crate) no_key_sharing: bool,
    #[attr(optional)]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct AudioDevice {
    #[attr(optional)]
    pub(crate) device: String,
    #[attr(optional)]
    pub(crate) driver: String,
    #[attr(optional)]
    pub(crate) enabled: bool,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Cdrom {
    #[attr(optional, unsupported, deprecated = "Remove the block instead.")]
    pub(crate) enabled: bool,
    /// A volume, `none` for an empty drive, `cdrom` for the host's.
    #[attr(optional)]
    pub(crate) file_id: String,
    #[attr(optional, default = "ide3")]
    pub(crate) interface: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct CloneFrom {
    #[attr(optional, replace)]
    pub(crate) datastore_id: String,
    #[attr(optional, default = true, replace)]
    pub(crate) full: bool,
    #[attr(optional, replace)]
    pub(crate) node_name: String,
    #[attr(optional, default = 1)]
    pub(crate) retries: i64,
    #[attr(required, replace)]
    pub(crate) vm_id: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Cpu {
    #[attr(optional)]
    pub(crate) affinity: String,
    #[attr(optional)]
    pub(crate) architecture: String,
    #[attr(optional, default = 1)]
    pub(crate) cores: i64,
    #[attr(optional)]
    pub(crate) flags: Vec<String>,
    #[attr(optional, default = 0)]
    pub(crate) hotplugged: i64,
    #[attr(optional, default = 0.0)]
    pub(crate) limit: f64,
    #[attr(optional, default = false)]
    pub(crate) numa: bool,
    #[attr(optional, default = 1)]
    pub(crate) sockets: i64,
    #[attr(optional, default = "qemu64")]
    pub(crate) r#type: String,
    #[attr(optional, computed)]
    pub(crate) units: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Disk {
    #[attr(optional, default = "io_uring")]
    pub(crate) aio: String,
    #[attr(optional, default = true)]
    pub(crate) backup: bool,
    #[attr(optional, default = "none")]
    pub(crate) cache: String,
    #[attr(optional, default = "local-lvm")]
    pub(crate) datastore_id: String,
    #[attr(optional, default = "ignore")]
    pub(crate) discard: String,
    #[attr(optional, computed)]
    pub(crate) file_format: Option<String>,
    #[attr(optional)]
    pub(crate) file_id: String,
    #[attr(optional)]
    pub(crate) import_from: String,
    #[attr(required)]
    pub(crate) interface: String,
    #[attr(optional, default = false)]
    pub(crate) iothread: bool,
    #[attr(optional, computed)]
    pub(crate) path_in_datastore: Option<String>,
    #[attr(optional, default = 0)]
    pub(crate) queues: i64,
    #[attr(optional, default = true)]
    pub(crate) replicate: bool,
    #[attr(optional)]
    pub(crate) serial: String,
    /// GiB.
    #[attr(optional, computed, default = 8)]
    pub(crate) size: i64,
    #[attr(optional, default = false)]
    pub(crate) ssd: bool,
    #[attr(block(list, max = 1))]
    pub(crate) speed: Option<Speed>,
}

/// Limits: operations and megabytes per second, 0 for none.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Speed {
    #[attr(optional, default = 0)]
    pub(crate) iops_read: i64,
    #[attr(optional, default = 0)]
    pub(crate) iops_read_burstable: i64,
    #[attr(optional, default = 0)]
    pub(crate) iops_write: i64,
    #[attr(optional, default = 0)]
    pub(crate) iops_write_burstable: i64,
    #[attr(optional, default = 0)]
    pub(crate) read: i64,
    #[attr(optional, default = 0)]
    pub(crate) read_burstable: i64,
    #[attr(optional, default = 0)]
    pub(crate) write: i64,
    #[attr(optional, default = 0)]
    pub(crate) write_burstable: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct EfiDisk {
    #[attr(optional, default = "local-lvm")]
    pub(crate) datastore_id: String,
    #[attr(optional, computed)]
    pub(crate) file_format: Option<String>,
    #[attr(optional, default = false)]
    pub(crate) pre_enrolled_keys: bool,
    #[attr(optional, default = "2m", replace)]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct HostPci {
    /// The slot, `hostpci0` to `hostpci15`.
    #[attr(required)]
    pub(crate) device: String,
    /// A PCI address; only root@pam, logged in with its password, may use it. Prefer `mapping`.
    #[attr(optional)]
    pub(crate) id: String,
    #[attr(optional)]
    pub(crate) mapping: String,
    #[attr(optional)]
    pub(crate) mdev: String,
    #[attr(optional)]
    pub(crate) pcie: Option<bool>,
    #[attr(optional)]
    pub(crate) rom_file: String,
    #[attr(optional)]
    pub(crate) rombar: Option<bool>,
    #[attr(optional)]
    pub(crate) xvga: Option<bool>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Initialization {
    #[attr(optional, default = "local-lvm")]
    pub(crate) datastore_id: String,
    #[attr(optional, computed)]
    pub(crate) file_format: Option<String>,
    /// Where the drive is; `ide2` when it is not set.
    #[attr(optional)]
    pub(crate) interface: String,
    #[attr(optional, computed, replace)]
    pub(crate) meta_data_file_id: Option<String>,
    #[attr(optional, computed, replace)]
    pub(crate) network_data_file_id: Option<String>,
    #[attr(optional, computed, replace)]
    pub(crate) r#type: Option<String>,
    #[attr(optional, computed)]
    pub(crate) upgrade: Option<bool>,
    #[attr(optional, computed, replace)]
    pub(crate) user_data_file_id: Option<String>,
    #[attr(optional, computed, replace)]
    pub(crate) vendor_data_file_id: Option<String>,
    #[attr(block(list, max = 1))]
    pub(crate) dns: Option<Dns>,
    #[attr(block(list, max = 32))]
    pub(crate) ip_config: Vec<IpConfig>,
    #[attr(block(list, max = 1))]
    pub(crate) user_account: Option<UserAccount>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Dns {
    #[attr(optional)]
    pub(crate) domain: String,
    #[attr(optional)]
    pub(crate) servers: Vec<String>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct IpConfig {
    #[attr(block(list, max = 1))]
    pub(crate) ipv4: Option<Address>,
    #[attr(block(list, max = 1))]
    pub(crate) ipv6: Option<Address>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Address {
    /// With the prefix length, or `dhcp`.
    #[attr(optional)]
    pub(crate) address: String,
    #[attr(optional)]
    pub(crate) gateway: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct UserAccount {
    #[attr(optional)]
    pub(crate) keys: Vec<String>,
    #[attr(optional, sensitive)]
    pub(crate) password: Option<Sensitive<String>>,
    #[attr(optional)]
    pub(crate) username: String,
}

/// MiB.
#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Memory {
    #[attr(optional, default = 512)]
    pub(crate) dedicated: i64,
    #[attr(optional, default = 0)]
    pub(crate) floating: i64,
    #[attr(optional)]
    pub(crate) hugepages: String,
    #[attr(optional, default = false)]
    pub(crate) keep_hugepages: bool,
    #[attr(optional, default = 0)]
    pub(crate) shared: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Numa {
    #[attr(required)]
    pub(crate) cpus: String,
    #[attr(required)]
    pub(crate) device: String,
    #[attr(optional)]
    pub(crate) hostnodes: String,
    #[attr(required)]
    pub(crate) memory: i64,
    #[attr(optional)]
    pub(crate) policy: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct OperatingSystem {
    #[attr(optional, default = "other")]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Rng {
    #[attr(optional, computed)]
    pub(crate) max_bytes: Option<i64>,
    #[attr(optional, computed)]
    pub(crate) period: Option<i64>,
    #[attr(required)]
    pub(crate) source: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct SerialDevice {
    #[attr(optional, default = "socket")]
    pub(crate) device: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Smbios {
    #[attr(optional)]
    pub(crate) family: String,
    #[attr(optional)]
    pub(crate) manufacturer: String,
    #[attr(optional)]
    pub(crate) product: String,
    #[attr(optional)]
    pub(crate) serial: String,
    #[attr(optional)]
    pub(crate) sku: String,
    #[attr(optional, computed)]
    pub(crate) uuid: String,
    #[attr(optional)]
    pub(crate) version: String,
}

/// -1 leaves a setting to the cluster's default. Delays are in seconds.
#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Startup {
    #[attr(optional, default = -1)]
    pub(crate) down_delay: i64,
    #[attr(optional, default = -1)]
    pub(crate) order: i64,
    #[attr(optional, default = -1)]
    pub(crate) up_delay: i64,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct TpmState {
    #[attr(optional, default = "local-lvm")]
    pub(crate) datastore_id: String,
    #[attr(optional, default = "v2.0", replace)]
    pub(crate) version: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Usb {
    #[attr(optional)]
    pub(crate) host: String,
    #[attr(optional)]
    pub(crate) mapping: String,
    #[attr(optional)]
    pub(crate) usb3: Option<bool>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Vga {
    #[attr(optional)]
    pub(crate) clipboard: String,
    /// MiB.
    #[attr(optional, default = 16)]
    pub(crate) memory: i64,
    #[attr(optional, default = "std")]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Virtiofs {
    #[attr(optional)]
    pub(crate) cache: String,
    #[attr(optional)]
    pub(crate) direct_io: bool,
    #[attr(optional)]
    pub(crate) expose_acl: bool,
    #[attr(optional)]
    pub(crate) expose_xattr: bool,
    #[attr(required)]
    pub(crate) mapping: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Watchdog {
    #[attr(optional)]
    pub(crate) action: String,
    #[attr(optional)]
    pub(crate) enabled: bool,
    #[attr(optional)]
    pub(crate) model: String,
}
