//! What the factory offers: Talos versions and official extensions.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::version::Version;

/// The last patch of each minor version of Talos 1.
const MINORS: [(u32, u32); 13] = [
    (2, 8),
    (3, 7),
    (4, 8),
    (5, 5),
    (6, 8),
    (7, 7),
    (8, 4),
    (9, 6),
    (10, 9),
    (11, 6),
    (12, 11),
    (13, 10),
    (14, 1),
];

pub(super) fn versions() -> Vec<String> {
    let patches = MINORS
        .into_iter()
        .flat_map(|(minor, last)| (0..=last).map(move |patch| format!("v1.{minor}.{patch}")));
    patches.collect()
}

/// Whether images of a version can be had. Later patches and pre-releases of a known minor version are taken too.
pub(super) fn is_released(version: &Version) -> bool {
    MINORS.iter().any(|(minor, _)| version.is_minor(1, *minor))
}

/// Names of the official extensions.
const EXTENSIONS: &[&str] = &[
    "siderolabs/amd-ucode",
    "siderolabs/amdgpu",
    "siderolabs/binfmt-misc",
    "siderolabs/bnx2-bnx2x",
    "siderolabs/btrfs",
    "siderolabs/cloudflared",
    "siderolabs/crun",
    "siderolabs/drbd",
    "siderolabs/ecr-credential-provider",
    "siderolabs/fuse3",
    "siderolabs/gasket-driver",
    "siderolabs/glibc",
    "siderolabs/gvisor",
    "siderolabs/gvisor-debug",
    "siderolabs/hailort",
    "siderolabs/hello-world-service",
    "siderolabs/i915",
    "siderolabs/intel-ice-firmware",
    "siderolabs/intel-ucode",
    "siderolabs/iscsi-tools",
    "siderolabs/kata-containers",
    "siderolabs/lldpd",
    "siderolabs/mdadm",
    "siderolabs/mei",
    "siderolabs/metal-agent",
    "siderolabs/nebula",
    "siderolabs/netbird",
    "siderolabs/newt",
    "siderolabs/nfs-utils",
    "siderolabs/nfsd",
    "siderolabs/nonfree-kmod-nvidia-lts",
    "siderolabs/nonfree-kmod-nvidia-production",
    "siderolabs/nut-client",
    "siderolabs/nvidia-container-toolkit-lts",
    "siderolabs/nvidia-container-toolkit-production",
    "siderolabs/nvidia-open-gpu-kernel-modules-lts",
    "siderolabs/nvidia-open-gpu-kernel-modules-production",
    "siderolabs/nvme-cli",
    "siderolabs/panfrost",
    "siderolabs/qemu-guest-agent",
    "siderolabs/qlogic-firmware",
    "siderolabs/realtek-firmware",
    "siderolabs/spin",
    "siderolabs/stargz-snapshotter",
    "siderolabs/tailscale",
    "siderolabs/talos-vmtoolsd",
    "siderolabs/thunderbolt",
    "siderolabs/trident-iscsi-tools",
    "siderolabs/uinput",
    "siderolabs/usb-audio-drivers",
    "siderolabs/usb-modem-drivers",
    "siderolabs/util-linux-tools",
    "siderolabs/v4l-uvc-drivers",
    "siderolabs/vc4",
    "siderolabs/vmtoolsd-guest-agent",
    "siderolabs/wasmedge",
    "siderolabs/xdma-driver",
    "siderolabs/xe",
    "siderolabs/xen-guest-agent",
    "siderolabs/youki",
    "siderolabs/zerotier",
    "siderolabs/zfs",
];

pub(super) fn has_extension(name: &str) -> bool {
    let name = present_name(name);
    EXTENSIONS.contains(&name)
}

/// Extensions that were renamed, or that schematics name as their manifests once did: both names lead to the same image
/// (image-factory, aliases of extension names).
const RENAMED: [(&str, &str); 11] = [
    ("siderolabs/v4l-uvc", "siderolabs/v4l-uvc-drivers"),
    ("siderolabs/usb-modem", "siderolabs/usb-modem-drivers"),
    ("siderolabs/gasket", "siderolabs/gasket-driver"),
    (
        "siderolabs/talos-vmtoolsd",
        "siderolabs/vmtoolsd-guest-agent",
    ),
    (
        "siderolabs/xe-guest-utilities",
        "siderolabs/xen-guest-agent",
    ),
    (
        "siderolabs/nvidia-container-toolkit",
        "siderolabs/nvidia-container-toolkit-lts",
    ),
    (
        "siderolabs/nvidia-open-gpu-kernel-modules",
        "siderolabs/nvidia-open-gpu-kernel-modules-lts",
    ),
    (
        "siderolabs/nonfree-kmod-nvidia",
        "siderolabs/nonfree-kmod-nvidia-lts",
    ),
    (
        "siderolabs/nvidia-fabricmanager",
        "siderolabs/nvidia-fabric-manager-lts",
    ),
    ("siderolabs/i915-ucode", "siderolabs/i915"),
    ("siderolabs/amdgpu-firmware", "siderolabs/amdgpu"),
];

fn present_name(name: &str) -> &str {
    RENAMED
        .iter()
        .find(|(old, _)| *old == name)
        .map_or(name, |(_, new)| new)
}

/// The extensions for a version, each with a reference and a digest of its own.
pub(super) fn extensions(version: &str) -> Vec<Value> {
    let describe = |name: &&str| {
        let reference = format!("ghcr.io/{name}:{version}");
        let digest: String = Sha256::digest(reference.as_bytes())
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        json!({
            "name": name,
            "ref": reference,
            "digest": format!("sha256:{digest}"),
            "author": "Sidero Labs",
            "description": format!("The {} extension.", name.trim_start_matches("siderolabs/")),
        })
    };
    EXTENSIONS.iter().map(describe).collect()
}
