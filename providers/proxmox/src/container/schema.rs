//! The attributes of a container: the published schema, and what each becomes in the API.

use std::collections::BTreeMap;

use stead_sdk::value::Sensitive;
use stead_sdk::{Block, Resource};

use crate::guest::{IpConfig, Startup};
use crate::table::parts;

/// A container.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "proxmox_virtual_environment_container", version = 0, legacy)]
pub(crate) struct Container {
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(required, replace)]
    pub(crate) node_name: String,
    /// 100 and above; the next free one when it is not set.
    #[attr(optional, computed, replace, range(100..=2_147_483_647))]
    pub(crate) vm_id: Option<i64>,
    #[attr(optional)]
    pub(crate) description: String,
    #[attr(optional)]
    pub(crate) environment_variables: BTreeMap<String, String>,
    /// Only root@pam, logged in with its password, may set this.
    #[attr(optional)]
    pub(crate) hook_script_file_id: String,
    /// The first IPv4 address of each card, by its name.
    #[attr(computed)]
    pub(crate) ipv4: BTreeMap<String, String>,
    /// The first IPv6 address of each card, by its name.
    #[attr(computed)]
    pub(crate) ipv6: BTreeMap<String, String>,
    #[attr(optional)]
    pub(crate) pool_id: String,
    #[attr(optional, default = false)]
    pub(crate) protection: bool,
    #[attr(optional, default = true)]
    pub(crate) start_on_boot: bool,
    #[attr(optional, default = true)]
    pub(crate) started: bool,
    #[attr(optional)]
    pub(crate) tags: Vec<String>,
    #[attr(optional, default = false, replace)]
    pub(crate) template: bool,
    /// Seconds, as all the timeouts.
    #[attr(optional, default = 1800)]
    pub(crate) timeout_clone: i64,
    #[attr(optional, default = 1800)]
    pub(crate) timeout_create: i64,
    #[attr(optional, default = 60)]
    pub(crate) timeout_delete: i64,
    #[attr(optional, default = 300, deprecated = "timeout_create counts.")]
    pub(crate) timeout_start: i64,
    #[attr(optional, default = 1800)]
    pub(crate) timeout_update: i64,
    #[attr(optional, default = false, replace)]
    pub(crate) unprivileged: bool,
    #[attr(block(list, max = 1))]
    pub(crate) clone: Option<CloneFrom>,
    #[attr(block(list, max = 1))]
    pub(crate) console: Option<Console>,
    #[attr(block(list, max = 1))]
    pub(crate) cpu: Option<Cpu>,
    /// Devices of the node; only root@pam, logged in with its password, may pass them through.
    #[attr(block(list, max = 128))]
    pub(crate) device_passthrough: Vec<Device>,
    #[attr(block(list, max = 1))]
    pub(crate) disk: Option<Disk>,
    #[attr(block(list, max = 1))]
    pub(crate) features: Option<Features>,
    #[attr(block(list))]
    pub(crate) idmap: Vec<IdMap>,
    #[attr(block(list, max = 1))]
    pub(crate) initialization: Option<Initialization>,
    #[attr(block(list, max = 1))]
    pub(crate) memory: Option<Memory>,
    #[attr(block(list, max = 256))]
    pub(crate) mount_point: Vec<MountPoint>,
    #[attr(block(list, max = 10))]
    pub(crate) network_interface: Vec<NetworkInterface>,
    #[attr(block(list, max = 1))]
    pub(crate) operating_system: Option<OperatingSystem>,
    #[attr(block(list, max = 1))]
    pub(crate) startup: Option<Startup>,
    #[attr(block(list, max = 1))]
    pub(crate) wait_for_ip: Option<WaitForIp>,
    /// Imported and not read yet: the next read takes in everything there is.
    #[attr(private)]
    pub(crate) imported: Option<bool>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct CloneFrom {
    #[attr(optional, replace)]
    pub(crate) datastore_id: String,
    /// A copy of everything; otherwise the clone depends on the template.
    #[attr(optional, default = true, replace)]
    pub(crate) full: bool,
    #[attr(optional, replace)]
    pub(crate) node_name: String,
    #[attr(required, replace, range(100..=2_147_483_647))]
    pub(crate) vm_id: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Console {
    #[attr(optional, default = true)]
    pub(crate) enabled: bool,
    #[attr(optional, default = 2, range(0..=6))]
    pub(crate) tty_count: i64,
    #[attr(optional, default = "tty", one_of("console", "shell", "tty"))]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Cpu {
    #[attr(optional, default = "amd64", one_of("amd64", "arm64", "armhf", "i386"))]
    pub(crate) architecture: String,
    #[attr(optional, default = 1, range(1..=128))]
    pub(crate) cores: i64,
    #[attr(optional, default = 0.0, range(0..=8192))]
    pub(crate) limit: f64,
    #[attr(optional, computed, range(1..=500_000))]
    pub(crate) units: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Device {
    #[attr(optional, default = false)]
    pub(crate) deny_write: bool,
    #[attr(optional, range(0..))]
    pub(crate) gid: i64,
    #[attr(optional, default = "0660")]
    pub(crate) mode: String,
    #[attr(required, length(1..))]
    pub(crate) path: String,
    #[attr(optional, range(0..))]
    pub(crate) uid: i64,
}

/// The root file system.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Disk {
    #[attr(optional, default = false)]
    pub(crate) acl: bool,
    #[attr(optional, default = "local", replace)]
    pub(crate) datastore_id: String,
    #[attr(optional)]
    pub(crate) mount_options: Vec<String>,
    #[attr(computed)]
    pub(crate) path_in_datastore: String,
    #[attr(optional, default = false)]
    pub(crate) quota: bool,
    #[attr(optional, default = false)]
    pub(crate) replicate: bool,
    /// GiB.
    #[attr(optional, default = 4, range(0..))]
    pub(crate) size: i64,
}

/// Of an unprivileged container anybody may switch `nesting`; the rest is for root@pam, logged in with its password.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Features {
    #[attr(optional, default = false)]
    pub(crate) fuse: bool,
    #[attr(optional, default = false)]
    pub(crate) keyctl: bool,
    #[attr(optional, default = false)]
    pub(crate) mknod: bool,
    /// File systems that the container may mount: `cifs`, `nfs`.
    #[attr(optional, one_of("cifs", "nfs"))]
    pub(crate) mount: Vec<String>,
    #[attr(optional, default = false)]
    pub(crate) nesting: bool,
}

/// Which users of the node stand for those of the container.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct IdMap {
    #[attr(required, range(0..))]
    pub(crate) container_id: i64,
    #[attr(required, range(0..))]
    pub(crate) host_id: i64,
    #[attr(required, range(1..))]
    pub(crate) size: i64,
    #[attr(required, one_of("uid", "gid"))]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Initialization {
    /// The program that runs first.
    #[attr(optional)]
    pub(crate) entrypoint: String,
    #[attr(optional)]
    pub(crate) hostname: String,
    #[attr(block(list, max = 1))]
    pub(crate) dns: Option<Dns>,
    #[attr(block(list, max = 10))]
    pub(crate) ip_config: Vec<IpConfig>,
    #[attr(block(list, max = 1))]
    pub(crate) user_account: Option<UserAccount>,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Dns {
    #[attr(optional)]
    pub(crate) domain: String,
    #[attr(optional, deprecated = "Use `servers`.")]
    pub(crate) server: String,
    #[attr(optional)]
    pub(crate) servers: Vec<String>,
}

/// Of root, and only when the container is made.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct UserAccount {
    #[attr(optional, replace)]
    pub(crate) keys: Vec<String>,
    #[attr(optional, sensitive, replace)]
    pub(crate) password: Option<Sensitive<String>>,
}

/// MiB.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Memory {
    #[attr(optional, default = 512, range(16..=268_435_456))]
    pub(crate) dedicated: i64,
    #[attr(optional, default = 0, range(0..=268_435_456))]
    pub(crate) swap: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct MountPoint {
    #[attr(optional, default = false)]
    pub(crate) acl: bool,
    #[attr(optional, default = false)]
    pub(crate) backup: bool,
    #[attr(optional)]
    pub(crate) mount_options: Vec<String>,
    /// Within the container.
    #[attr(required)]
    pub(crate) path: String,
    #[attr(computed)]
    pub(crate) path_in_datastore: String,
    #[attr(optional, default = false)]
    pub(crate) quota: bool,
    #[attr(optional, default = false)]
    pub(crate) read_only: bool,
    #[attr(optional, default = true)]
    pub(crate) replicate: bool,
    /// Every node sees the same there.
    #[attr(optional, default = false)]
    pub(crate) shared: bool,
    /// Such as `10G`, for a volume that is to be made.
    #[attr(optional)]
    pub(crate) size: String,
    /// A storage, a volume, or a directory of the node, which is for root@pam only.
    #[attr(required)]
    pub(crate) volume: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct NetworkInterface {
    #[attr(optional, default = "vmbr0")]
    pub(crate) bridge: String,
    #[attr(optional, default = true)]
    pub(crate) enabled: bool,
    #[attr(optional, default = false)]
    pub(crate) firewall: bool,
    /// The node sets the addresses, not the container.
    #[attr(optional, default = false)]
    pub(crate) host_managed: bool,
    #[attr(optional, computed)]
    pub(crate) mac_address: String,
    #[attr(optional, default = 0)]
    pub(crate) mtu: i64,
    /// Within the container, such as `eth0`.
    #[attr(required)]
    pub(crate) name: String,
    /// Megabytes per second.
    #[attr(optional, default = 0.0)]
    pub(crate) rate_limit: f64,
    #[attr(optional, default = 0)]
    pub(crate) vlan_id: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct OperatingSystem {
    /// The template that the container is made of.
    #[attr(required, replace)]
    pub(crate) template_file_id: String,
    #[attr(optional, default = "unmanaged")]
    #[attr(one_of(
        "alpine",
        "archlinux",
        "centos",
        "debian",
        "devuan",
        "fedora",
        "gentoo",
        "nixos",
        "opensuse",
        "ubuntu",
        "unmanaged"
    ))]
    pub(crate) r#type: String,
}

#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct WaitForIp {
    #[attr(optional, default = false)]
    pub(crate) ipv4: bool,
    #[attr(optional, default = false)]
    pub(crate) ipv6: bool,
}

parts! {
    Container {
        hook_script_file_id "hookscript",
        protection "protection" = false,
        start_on_boot "onboot" => false,
        unprivileged "unprivileged" => false,
    }
    Console { enabled "console" = true, r#type "cmode" = "tty", tty_count "tty" = 2 }
    Cpu {
        architecture "arch" => "amd64",
        cores "cores" => 1,
        limit "cpulimit" = 0.0,
        units "cpuunits" = 0,
    }
    Device alone "path" {
        path "path",
        deny_write "deny-write" = false,
        gid "gid" => 0,
        mode "mode" => "0660",
        uid "uid" => 0,
    }
    // The published provider takes an absent `replicate` for false.
    Disk alone "volume" {
        acl "acl" = false,
        mount_options "mountoptions",
        quota "quota" = false,
        replicate "replicate" = false,
    }
    Features {
        fuse "fuse" = false,
        keyctl "keyctl" = false,
        mknod "mknod" = false,
        mount "mount",
        nesting "nesting" = false,
    }
    Memory { dedicated "memory" => 512, swap "swap" => 512 }
    MountPoint alone "volume" {
        path "mp",
        acl "acl" = false,
        backup "backup" = false,
        mount_options "mountoptions",
        quota "quota" = false,
        read_only "ro" = false,
        replicate "replicate" = true,
        shared "shared" = false,
    }
    NetworkInterface {
        name "name",
        bridge "bridge",
        firewall "firewall" = false,
        host_managed "host-managed" = false,
        mac_address "hwaddr",
        mtu "mtu" = 0,
        rate_limit "rate" = 0.0,
        vlan_id "tag" = 0,
    }
    OperatingSystem { r#type "ostype" => "unmanaged" }
}

impl Console {
    /// What an absent block stands for.
    pub(crate) fn plain() -> Console {
        Console {
            enabled: true,
            tty_count: 2,
            r#type: "tty".into(),
        }
    }
}

impl Cpu {
    /// What an absent block stands for.
    pub(crate) fn plain() -> Cpu {
        Cpu {
            architecture: "amd64".into(),
            cores: 1,
            ..Cpu::default()
        }
    }
}

impl Memory {
    /// What an absent block stands for.
    pub(crate) fn plain() -> Memory {
        Memory {
            dedicated: 512,
            swap: 0,
        }
    }
}
