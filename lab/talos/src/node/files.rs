//! The files of a node that can be read: what the kernel and Talos itself put there.

use std::collections::BTreeMap;

use super::Node;

/// What is at a path.
#[derive(Clone)]
pub(crate) enum Content {
    Folder,
    Text(Vec<u8>),
    Link(String),
}

/// A file of a node.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) content: Content,
    /// Permissions, as in 0644.
    pub(crate) mode: u32,
}

impl File {
    pub(crate) fn size(&self) -> i64 {
        match &self.content {
            Content::Folder => 4096,
            Content::Text(bytes) => i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            Content::Link(target) => i64::try_from(target.len()).unwrap_or(i64::MAX),
        }
    }
}

/// Folders that are there, also when nothing is in them.
const FOLDERS: &[&str] = &[
    "/",
    "/bin",
    "/dev",
    "/etc",
    "/etc/cni",
    "/etc/kubernetes",
    "/etc/kubernetes/manifests",
    "/lib",
    "/opt",
    "/proc",
    "/proc/bus",
    "/proc/bus/pci",
    "/proc/sys",
    "/proc/sys/kernel",
    "/proc/sys/kernel/random",
    "/run",
    "/sbin",
    "/sys",
    "/sys/dev",
    "/sys/dev/block",
    "/system",
    "/system/state",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/lib/kubelet",
    "/var/log",
    "/var/run",
];

impl Node {
    /// Every file by its path, as of now. Secret ones are not among them, for nothing of the lab needs them.
    pub(crate) fn files(&self) -> BTreeMap<String, File> {
        let folder = File {
            content: Content::Folder,
            mode: 0o755,
        };
        let mut files: BTreeMap<String, File> = FOLDERS
            .iter()
            .map(|path| ((*path).to_owned(), folder.clone()))
            .collect();
        let Some((boot_id, started, version, config)) = self.with_boot(|b| {
            (
                b.id.clone(),
                b.started,
                b.image.version.clone(),
                b.config.clone(),
            )
        }) else {
            return files;
        };
        let mut put = |path: &str, mode: u32, text: String| {
            files.insert(
                path.to_owned(),
                File {
                    content: Content::Text(text.into_bytes()),
                    mode,
                },
            );
        };
        put(
            "/proc/sys/kernel/random/boot_id",
            0o444,
            format!("{boot_id}\n"),
        );
        let up = started.elapsed().unwrap_or_default().as_secs_f64();
        put("/proc/uptime", 0o444, format!("{up:.2} {up:.2}\n"));
        put(
            "/proc/version",
            0o444,
            "Linux version 6.18.8-talos (lab) #1 SMP\n".to_owned(),
        );
        put(
            "/proc/cmdline",
            0o444,
            "talos.platform=nocloud console=tty0 init_on_alloc=1 slab_nomerge pti=on\n".to_owned(),
        );
        let memory = self.hardware().memory_mib * 1024;
        put(
            "/proc/meminfo",
            0o444,
            format!(
                "MemTotal:       {memory} kB\nMemFree:        {} kB\nMemAvailable:   {} kB\n",
                memory / 5 * 3,
                memory / 5 * 4
            ),
        );
        put("/proc/bus/pci/devices", 0o444, self.pci_devices());
        put("/etc/hostname", 0o644, format!("{}\n", self.hostname()));
        put(
            "/etc/os-release",
            0o644,
            format!(
                "NAME=\"Talos\"\nID=talos\nVERSION_ID={version}\nPRETTY_NAME=\"Talos ({version})\"\nHOME_URL=\"https://www.talos.dev/\"\nBUG_REPORT_URL=\"https://github.com/siderolabs/talos/issues\"\nVENDOR_NAME=\"Sidero Labs\"\nVENDOR_URL=\"https://www.siderolabs.com/\"\n"
            ),
        );
        put(
            "/etc/resolv.conf",
            0o644,
            "nameserver 127.0.0.53\n".to_owned(),
        );
        let mut hosts = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
        if let Some(address) = self.address() {
            hosts.push_str(&format!("{address} {}\n", self.hostname()));
        }
        put("/etc/hosts", 0o644, hosts);
        let mounts = self.mounts();
        let lines = mounts
            .iter()
            .map(|m| format!("{} {} {} rw 0 0\n", m.source, m.at, m.kind));
        put("/proc/mounts", 0o444, lines.collect());
        if let Some(config) = config.filter(|c| c.is_control_plane()) {
            put(
                "/etc/kubernetes/kubelet.yaml",
                0o600,
                format!(
                    "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDomain: {}\n",
                    config
                        .text_at("cluster.network.dnsDomain")
                        .unwrap_or("cluster.local")
                ),
            );
        }
        let fixed = [
            ("/etc/localtime", "/usr/share/zoneinfo/UTC"),
            ("/etc/mtab", "/proc/mounts"),
        ];
        let mut links: Vec<(String, String)> = fixed
            .map(|(at, target)| (at.to_owned(), target.to_owned()))
            .to_vec();
        for (number, device) in self.block_devices().into_iter().enumerate() {
            let name = device.trim_start_matches("/dev/");
            links.push((
                // Sixteen numbers of the major 8 for each disk.
                format!("/sys/dev/block/8:{}", number * 16),
                format!("../../devices/pci0000:00/0000:00:05.0/block/{name}"),
            ));
        }
        for (at, target) in links {
            files.insert(
                at,
                File {
                    content: Content::Link(target),
                    mode: 0o777,
                },
            );
        }
        for (path, text) in self.cgroup_files() {
            for parent in parents(&path) {
                files.entry(parent).or_insert_with(|| folder.clone());
            }
            files.insert(
                path,
                File {
                    content: Content::Text(text.into_bytes()),
                    mode: 0o644,
                },
            );
        }
        if self.disk().etcd.is_some() {
            for path in [
                "/var/lib/etcd",
                "/var/lib/etcd/member",
                "/var/lib/etcd/member/snap",
                "/var/lib/etcd/member/wal",
            ] {
                files.insert(
                    path.to_owned(),
                    File {
                        content: Content::Folder,
                        mode: 0o700,
                    },
                );
            }
        }
        files
    }

    /// The machine's disks, `/dev/sda` and so on; no media.
    fn block_devices(&self) -> Vec<String> {
        let devices = crate::api::devices(&self.hardware().disks);
        let disks = devices.into_iter().filter(|d| !d.removable);
        disks.map(|d| d.path).collect()
    }

    /// The kernel's list: slot, vendor and device, interrupt, seven addresses and seven sizes (none are told here), driver.
    fn pci_devices(&self) -> String {
        let hardware = self.hardware();
        let disks = self.block_devices().into_iter().map(|_| "1af41004");
        let nics = hardware.nics.iter().map(|_| "1af41000");
        let found = disks.chain(nics).zip(5_u32..);
        let lines = found.map(|(device, slot)| {
            let addresses = "\t0".repeat(14);
            format!(
                "{:04x}\t{device}\t{slot:x}{addresses}\tvirtio-pci\n",
                slot << 3
            )
        });
        lines.collect()
    }

    pub(crate) fn mounts(&self) -> Vec<Mount> {
        let mount = |source: &str, at: &'static str, kind: &'static str, size: u64| Mount {
            source: source.to_owned(),
            at,
            kind,
            size,
            available: size / 10 * 9,
        };
        let memory = self.hardware().memory_mib << 20;
        let mut found = vec![
            mount("none", "/", "overlay", 0),
            mount("devtmpfs", "/dev", "devtmpfs", memory / 2),
            mount("proc", "/proc", "proc", 0),
            mount("sysfs", "/sys", "sysfs", 0),
            mount("tmpfs", "/run", "tmpfs", memory / 2),
            mount("tmpfs", "/system", "tmpfs", memory / 2),
            mount("tmpfs", "/tmp", "tmpfs", 64 << 20),
        ];
        let installed = self.disk().installed.is_some() && self.config().is_some();
        let hardware = self.hardware();
        let disk = hardware
            .disks
            .iter()
            .find(|d| !d.interface.starts_with("ide"));
        if let Some(disk) = disk.filter(|_| installed) {
            let name = match disk.interface.get(..4) {
                Some("virt") => "/dev/vda",
                Some("nvme") => "/dev/nvme0n1p",
                _ => "/dev/sda",
            };
            found.push(mount(
                &format!("{name}4"),
                "/system/state",
                "xfs",
                100 << 20,
            ));
            found.push(mount(
                &format!("{name}5"),
                "/var",
                "xfs",
                disk.size_bytes.saturating_sub(2400 << 20),
            ));
        }
        found
    }
}

/// The folders above a path, without the root.
fn parents(path: &str) -> impl Iterator<Item = String> {
    let slashes = path.match_indices('/').skip(1);
    slashes.filter_map(|(at, _)| Some(path.get(..at)?.to_owned()))
}

/// A mounted file system; sizes in bytes.
pub(crate) struct Mount {
    pub(crate) source: String,
    pub(crate) at: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) size: u64,
    pub(crate) available: u64,
}
