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

/// The digest of an image; the same for the same reference.
fn digest(reference: &str) -> String {
    let bytes = Sha256::digest(reference.as_bytes());
    let digits: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{digits}")
}

/// The extensions for a version, each with a reference and a digest of its own.
pub(super) fn extensions(version: &str) -> Vec<Value> {
    let describe = |name: &&str| {
        let reference = format!("ghcr.io/{name}:{version}");
        json!({
            "name": name,
            "digest": digest(&reference),
            "ref": reference,
            "author": "Sidero Labs",
            "description": format!("The {} extension.", name.trim_start_matches("siderolabs/")),
        })
    };
    EXTENSIONS.iter().map(describe).collect()
}

/// Overlays for single-board computers: what their images' names end with, and each with the first minor version of Talos 1 that
/// it is for (machinery, platforms). Overlays as such came with 1.7.
#[rustfmt::skip]
const OVERLAYS: &[(&str, &[(&str, u32)])] = &[
    ("allwinner", &[("bananapi_m64", 7), ("libretech_all_h3_cc_h5", 7), ("pine64", 7)]),
    ("jetson", &[("jetson_nano", 7)]),
    ("raspberrypi", &[("revpi_generic", 10), ("rpi_5", 12), ("rpi_generic", 7)]),
    ("rockchip", &[("friendlyelec-cm3588-nas", 13), ("helios64", 8), ("nanopi-r4s", 7), ("nanopi-r5s", 8), ("odroid-m1", 12), ("orangepi-5", 9), ("orangepi-5-max", 12), ("orangepi-5-plus", 10), ("orangepi-r1-plus-lts", 7), ("radxa-zero-3e", 12), ("rock3b", 12), ("rock4cplus", 7), ("rock4se", 8), ("rock5a", 10), ("rock5b", 9), ("rock5b-plus", 13), ("rock5t", 12), ("rock64", 7), ("rockpi4", 7), ("rockpi4c", 7), ("rockpro64", 10), ("turingrk1", 9)]),
];

/// The overlays for a version.
pub(super) fn overlays(version: &Version, tag: &str) -> Vec<Value> {
    let boards = OVERLAYS.iter().flat_map(|(board, names)| {
        let image = format!("siderolabs/sbc-{board}");
        names.iter().map(move |row| (image.clone(), row))
    });
    let since = |minor: u32| !(0..minor).any(|earlier| version.is_minor(1, earlier));
    boards
        .filter(|(_, (_, minor))| since(*minor))
        .map(|(image, (name, _))| {
            let reference = format!("ghcr.io/{image}:{tag}");
            json!({ "name": name, "image": image, "digest": digest(&reference), "ref": reference })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlays_came_one_by_one() {
        let names = |tag: &str| -> Vec<String> {
            let version = Version::parse(tag).unwrap();
            let found = overlays(&version, tag).into_iter();
            found
                .map(|o| o["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert!(names("v1.6.8").is_empty());
        assert!(names("v1.7.0").contains(&"rpi_generic".to_owned()));
        assert!(!names("v1.11.6").contains(&"rpi_5".to_owned()));
        assert!(names("v1.13.9").contains(&"rpi_5".to_owned()));
    }
}
