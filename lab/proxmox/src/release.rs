//! What differs between the releases beside their contracts: the names and versions of what is installed.

use crate::options::Version;

/// A release as its nodes tell of it.
#[derive(Debug)]
pub(crate) struct Release {
    /// `9.2`
    pub(crate) name: &'static str,
    /// Of the package pve-manager.
    pub(crate) manager: &'static str,
    pub(crate) repository: &'static str,
    pub(crate) kernel: &'static str,
    pub(crate) kernel_build: &'static str,
    /// Debian's.
    pub(crate) suite: &'static str,
    pub(crate) qemu: &'static str,
    /// The machine versions that QEMU knows, the newest first.
    pub(crate) machines: &'static [&'static str],
    /// Packages that matter: name, version, section.
    pub(crate) packages: &'static [(&'static str, &'static str, &'static str)],
}

impl Release {
    pub(crate) fn of(version: Version) -> &'static Release {
        match version {
            Version::V8_4 => &V8_4,
            Version::V9_2 => &V9_2,
        }
    }

    /// As `pveversion` has it.
    pub(crate) fn manager_version(&self) -> String {
        format!("{}/{}", self.manager, self.repository)
    }

    /// `pc-i440fx-10.1`
    pub(crate) fn machine(&self, family: &str) -> String {
        let newest = self.machines.first().copied().unwrap_or_default();
        format!("{family}-{newest}")
    }
}

static V9_2: Release = Release {
    name: "9.2",
    manager: "9.2.3",
    repository: "0f6f1dd0d2f27c6d",
    kernel: "6.17.2-1-pve",
    kernel_build: "#1 SMP PREEMPT_DYNAMIC PMX 6.17.2-1",
    suite: "trixie",
    qemu: "10.1.2",
    machines: &[
        "10.1", "10.0", "9.2", "9.1", "9.0", "8.2", "8.1", "8.0", "7.2", "7.1", "7.0", "6.2",
        "6.1", "6.0", "5.2",
    ],
    packages: &[
        ("proxmox-ve", "9.2.0", "admin"),
        ("pve-manager", "9.2.3", "admin"),
        ("proxmox-kernel-6.17", "6.17.2-1", "kernel"),
        ("corosync", "3.1.9-pve2", "admin"),
        ("ifupdown2", "3.3.0-1+pmx11", "admin"),
        ("libpve-access-control", "9.0.5", "perl"),
        ("libpve-common-perl", "9.2.1", "perl"),
        ("libpve-guest-common-perl", "6.0.2", "perl"),
        ("libpve-network-perl", "1.2.4", "perl"),
        ("libpve-storage-perl", "9.1.7", "perl"),
        ("lxc-pve", "6.0.5-3", "admin"),
        ("lxcfs", "6.0.4-pve1", "admin"),
        ("openvswitch-switch", "3.5.0-1+b1", "net"),
        ("proxmox-backup-client", "4.1.0-1", "admin"),
        ("proxmox-firewall", "1.2.1", "admin"),
        ("pve-cluster", "9.0.7", "admin"),
        ("pve-container", "6.0.18", "perl"),
        ("pve-docs", "9.2.0", "doc"),
        ("pve-edk2-firmware", "4.2025.05-2", "misc"),
        ("pve-firewall", "6.0.4", "admin"),
        ("pve-ha-manager", "5.1.0", "admin"),
        ("pve-qemu-kvm", "10.1.2-4", "admin"),
        ("qemu-server", "9.2.6", "admin"),
        ("zfsutils-linux", "2.3.4-pve1", "admin"),
    ],
};

static V8_4: Release = Release {
    name: "8.4",
    manager: "8.4.14",
    repository: "b502d23c55afcba1",
    kernel: "6.8.12-15-pve",
    kernel_build: "#1 SMP PREEMPT_DYNAMIC PMX 6.8.12-15",
    suite: "bookworm",
    qemu: "9.2.0",
    machines: &[
        "9.2", "9.1", "9.0", "8.2", "8.1", "8.0", "7.2", "7.1", "7.0", "6.2", "6.1", "6.0", "5.2",
        "5.1", "5.0", "4.2", "4.1", "4.0",
    ],
    packages: &[
        ("proxmox-ve", "8.4.0", "admin"),
        ("pve-manager", "8.4.14", "admin"),
        ("proxmox-kernel-6.8", "6.8.12-15", "kernel"),
        ("corosync", "3.1.9-pve1", "admin"),
        ("ifupdown2", "3.2.0-1+pmx11", "admin"),
        ("libpve-access-control", "8.2.2", "perl"),
        ("libpve-common-perl", "8.3.4", "perl"),
        ("libpve-guest-common-perl", "5.2.2", "perl"),
        ("libpve-network-perl", "0.11.2", "perl"),
        ("libpve-storage-perl", "8.3.7", "perl"),
        ("lxc-pve", "6.0.0-1", "admin"),
        ("lxcfs", "6.0.0-pve2", "admin"),
        ("pve-cluster", "8.1.2", "admin"),
        ("pve-container", "5.3.3", "perl"),
        ("pve-docs", "8.4.1", "doc"),
        ("pve-firewall", "5.1.2", "admin"),
        ("pve-ha-manager", "4.0.7", "admin"),
        ("pve-qemu-kvm", "9.2.0-7", "admin"),
        ("qemu-server", "8.4.4", "admin"),
        ("zfsutils-linux", "2.2.8-pve1", "admin"),
    ],
};
