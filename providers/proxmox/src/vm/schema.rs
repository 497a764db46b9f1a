//! The attributes of a virtual machine: the published schema, and what each becomes in the API.

use stead_sdk::value::Sensitive;
use stead_sdk::{Block, Resource};

use crate::guest::{IpConfig, Startup};

/// A virtual machine.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "proxmox_virtual_environment_vm", version = 0, legacy)]
pub(crate) struct Vm {
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(required)]
    pub(crate) node_name: String,
    /// 100 and above; the next free one when it is not set.
    #[attr(optional, computed, replace, range(100..=2_147_483_647))]
    pub(crate) vm_id: Option<i64>,
    #[attr(optional)]
    pub(crate) name: String,
    #[attr(optional)]
    pub(crate) description: String,
    #[attr(optional)]
    pub(crate) tags: Vec<String>,
    #[attr(optional, default = true)]
    pub(crate) acpi: bool,
    #[attr(optional, default = "seabios", one_of("ovmf", "seabios"))]
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
    #[attr(one_of(
        "da", "de", "de-ch", "en-gb", "en-us", "es", "fi", "fr", "fr-be", "fr-ca", "fr-ch", "hu",
        "is", "it", "ja", "lt", "mk", "nl", "no", "pl", "pt", "pt-br", "sl", "sv", "tr"
    ))]
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
    #[attr(one_of(
        "lsi",
        "lsi53c810",
        "virtio-scsi-pci",
        "virtio-scsi-single",
        "megasas",
        "pvscsi"
    ))]
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
    #[attr(block(list, max = 1))]
    pub(crate) amd_sev: Option<AmdSev>,
    #[attr(block(list, max = 1))]
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
    #[attr(block(list))]
    pub(crate) numa: Vec<Numa>,
    #[attr(block(list, max = 1))]
    pub(crate) operating_system: Option<OperatingSystem>,
    #[attr(block(list))]
    pub(crate) rng: Vec<Rng>,
    #[attr(block(list, max = 4))]
    pub(crate) serial_device: Vec<SerialDevice>,
    #[attr(block(list, max = 1))]
    pub(crate) smbios: Option<Smbios>,
    #[attr(block(list, max = 1))]
    pub(crate) startup: Option<Startup>,
    #[attr(block(list, max = 1))]
    pub(crate) tpm_state: Option<TpmState>,
    #[attr(block(list))]
    pub(crate) usb: Vec<Usb>,
    #[attr(block(list, max = 1))]
    pub(crate) vga: Option<Vga>,
    #[attr(block(list, max = 8))]
    pub(crate) virtiofs: Vec<Virtiofs>,
    #[attr(block(list, max = 1))]
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

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Agent {
    #[attr(optional, default = false)]
    pub(crate) enabled: bool,
    /// How long to wait for addresses, such as `15m`.
    #[attr(optional, default = "15m")]
    pub(crate) timeout: String,
    #[attr(optional, default = false)]
    pub(crate) trim: bool,
    #[attr(optional, default = "virtio", one_of("isa", "virtio"))]
    pub(crate) r#type: String,
    #[attr(block(list, max = 1))]
    pub(crate) wait_for_ip: Option<WaitForIp>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct WaitForIp {
    #[attr(optional, default = false)]
    pub(crate) disabled: bool,
    #[attr(optional, default = false)]
    pub(crate) ipv4: bool,
    #[attr(optional, default = false)]
    pub(crate) ipv6: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct AmdSev {
    /// Let the guest use simultaneous multithreading.
    #[attr(optional, default = true)]
    pub(crate) allow_smt: bool,
    #[attr(optional, default = false)]
    pub(crate) kernel_hashes: bool,
    #[attr(optional, default = false)]
    pub(crate) no_debug: bool,
    #[attr(optional, default = false)]
    pub(crate) no_key_sharing: bool,
    /// `std`, `es` or `snp`.
    #[attr(optional, default = "std", one_of("std", "es", "snp"))]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct AudioDevice {
    /// `AC97`, `ich9-intel-hda` or `intel-hda`.
    #[attr(
        optional,
        default = "intel-hda",
        one_of("AC97", "ich9-intel-hda", "intel-hda")
    )]
    pub(crate) device: String,
    #[attr(optional, default = "spice", one_of("spice"))]
    pub(crate) driver: String,
    #[attr(optional, default = true)]
    pub(crate) enabled: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Cdrom {
    #[attr(
        optional,
        default = false,
        deprecated = "It has no effect: remove the block for no drive."
    )]
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
    #[attr(required, replace, range(100..=2_147_483_647))]
    pub(crate) vm_id: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Cpu {
    #[attr(optional)]
    pub(crate) affinity: String,
    #[attr(optional, one_of("", "aarch64", "x86_64"))]
    pub(crate) architecture: String,
    #[attr(optional, default = 1, range(1..=2304))]
    pub(crate) cores: i64,
    #[attr(optional)]
    pub(crate) flags: Vec<String>,
    #[attr(optional, default = 0, range(0..=2304))]
    pub(crate) hotplugged: i64,
    #[attr(optional, default = 0.0, range(0..=128))]
    pub(crate) limit: f64,
    #[attr(optional, default = false)]
    pub(crate) numa: bool,
    #[attr(optional, default = 1, range(1..=16))]
    pub(crate) sockets: i64,
    #[attr(optional, default = "qemu64")]
    pub(crate) r#type: String,
    #[attr(optional, computed, range(1..=262_144))]
    pub(crate) units: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Disk {
    #[attr(
        optional,
        default = "io_uring",
        one_of("io_uring", "native", "threads")
    )]
    pub(crate) aio: String,
    #[attr(optional, default = true)]
    pub(crate) backup: bool,
    #[attr(
        optional,
        default = "none",
        one_of("none", "writethrough", "writeback", "unsafe", "directsync")
    )]
    pub(crate) cache: String,
    #[attr(optional, default = "local-lvm")]
    pub(crate) datastore_id: String,
    #[attr(optional, default = "ignore")]
    pub(crate) discard: String,
    #[attr(optional, computed, one_of("qcow2", "raw", "vmdk"))]
    pub(crate) file_format: String,
    #[attr(optional)]
    pub(crate) file_id: String,
    #[attr(optional)]
    pub(crate) import_from: String,
    #[attr(required)]
    pub(crate) interface: String,
    #[attr(optional, default = false)]
    pub(crate) iothread: bool,
    #[attr(optional, computed)]
    pub(crate) path_in_datastore: String,
    #[attr(optional, default = 0)]
    pub(crate) queues: i64,
    #[attr(optional, default = true)]
    pub(crate) replicate: bool,
    #[attr(optional)]
    pub(crate) serial: String,
    /// GiB.
    #[attr(optional, computed, default = 8, range(1..))]
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

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct EfiDisk {
    #[attr(optional, default = "local-lvm")]
    pub(crate) datastore_id: String,
    #[attr(optional, computed, one_of("qcow2", "raw", "vmdk"))]
    pub(crate) file_format: String,
    #[attr(optional, default = false)]
    pub(crate) pre_enrolled_keys: bool,
    #[attr(optional, default = "2m", replace, one_of("2m", "4m"))]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
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
    pub(crate) pcie: bool,
    #[attr(optional)]
    pub(crate) rom_file: String,
    /// Show the device's ROM to the guest; not unless it is set.
    #[attr(optional)]
    pub(crate) rombar: bool,
    #[attr(optional)]
    pub(crate) xvga: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Initialization {
    #[attr(optional, default = "local-lvm")]
    pub(crate) datastore_id: String,
    #[attr(optional, computed, one_of("qcow2", "raw", "vmdk"))]
    pub(crate) file_format: String,
    /// Where the drive is; `ide2` when it is not set.
    #[attr(optional)]
    pub(crate) interface: String,
    #[attr(optional, computed)]
    pub(crate) meta_data_file_id: String,
    #[attr(optional, computed)]
    pub(crate) network_data_file_id: String,
    #[attr(optional, computed, one_of("configdrive2", "nocloud"))]
    pub(crate) r#type: String,
    #[attr(optional, computed)]
    pub(crate) upgrade: Option<bool>,
    #[attr(optional, computed)]
    pub(crate) user_data_file_id: String,
    #[attr(optional, computed)]
    pub(crate) vendor_data_file_id: String,
    #[attr(block(list, max = 1))]
    pub(crate) dns: Option<Dns>,
    #[attr(block(list, max = 32))]
    pub(crate) ip_config: Vec<IpConfig>,
    #[attr(block(list, max = 1))]
    pub(crate) user_account: Option<UserAccount>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Dns {
    #[attr(optional)]
    pub(crate) domain: String,
    #[attr(optional)]
    pub(crate) servers: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
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
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Memory {
    #[attr(optional, default = 512, range(64..=268_435_456))]
    pub(crate) dedicated: i64,
    #[attr(optional, default = 0, range(0..=268_435_456))]
    pub(crate) floating: i64,
    #[attr(optional, one_of("1024", "2", "any"))]
    pub(crate) hugepages: String,
    #[attr(optional, default = false)]
    pub(crate) keep_hugepages: bool,
    #[attr(optional, default = 0, range(0..=268_435_456))]
    pub(crate) shared: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Numa {
    /// Processors of the guest, such as `0-1;3`.
    #[attr(required)]
    pub(crate) cpus: String,
    /// The slot, `numa0` to `numa7`.
    #[attr(required)]
    pub(crate) device: String,
    /// NUMA nodes of the host, such as `0;1`.
    #[attr(optional)]
    pub(crate) hostnodes: String,
    /// MiB.
    #[attr(required, range(64..=268_435_456))]
    pub(crate) memory: i64,
    /// `preferred`, `bind` or `interleave`.
    #[attr(
        optional,
        default = "preferred",
        one_of("bind", "interleave", "preferred")
    )]
    pub(crate) policy: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct OperatingSystem {
    #[attr(optional, default = "other")]
    #[attr(one_of(
        "l24", "l26", "other", "solaris", "w2k", "w2k3", "w2k8", "win7", "win8", "win10", "win11",
        "wvista", "wxp"
    ))]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Rng {
    /// Bytes per period.
    #[attr(optional, computed, range(1..))]
    pub(crate) max_bytes: Option<i64>,
    /// Milliseconds.
    #[attr(optional, computed, range(1..))]
    pub(crate) period: Option<i64>,
    /// Such as `/dev/urandom`.
    #[attr(required)]
    pub(crate) source: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct SerialDevice {
    #[attr(optional, default = "socket")]
    pub(crate) device: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
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
    /// A random one when it is not set.
    #[attr(optional, computed)]
    pub(crate) uuid: String,
    #[attr(optional)]
    pub(crate) version: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct TpmState {
    #[attr(optional, default = "local-lvm")]
    pub(crate) datastore_id: String,
    #[attr(optional, default = "v2.0", replace, one_of("v1.2", "v2.0"))]
    pub(crate) version: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Usb {
    #[attr(optional)]
    pub(crate) host: String,
    #[attr(optional)]
    pub(crate) mapping: String,
    #[attr(optional)]
    pub(crate) usb3: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Vga {
    #[attr(optional, one_of("", "vnc"))]
    pub(crate) clipboard: String,
    /// MiB.
    #[attr(optional, default = 16, range(4..=512))]
    pub(crate) memory: i64,
    #[attr(optional, default = "std")]
    #[attr(one_of(
        "cirrus",
        "none",
        "qxl",
        "qxl2",
        "qxl3",
        "qxl4",
        "serial0",
        "serial1",
        "serial2",
        "serial3",
        "std",
        "virtio",
        "virtio-gl",
        "vmware"
    ))]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Virtiofs {
    /// `auto`, `always`, `metadata` or `never`.
    #[attr(
        optional,
        default = "auto",
        one_of("auto", "always", "metadata", "never")
    )]
    pub(crate) cache: String,
    #[attr(optional, default = false)]
    pub(crate) direct_io: bool,
    /// Which brings extended attributes with it.
    #[attr(optional, default = false)]
    pub(crate) expose_acl: bool,
    #[attr(optional, default = false)]
    pub(crate) expose_xattr: bool,
    /// A directory mapping of the cluster.
    #[attr(required)]
    pub(crate) mapping: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Watchdog {
    /// What happens when the guest stops answering.
    #[attr(
        optional,
        default = "none",
        one_of("debug", "none", "pause", "poweroff", "reset", "shutdown")
    )]
    pub(crate) action: String,
    #[attr(optional, default = false)]
    pub(crate) enabled: bool,
    /// `i6300esb` or `ib700`.
    #[attr(optional, default = "i6300esb", one_of("i6300esb", "ib700"))]
    pub(crate) model: String,
}
