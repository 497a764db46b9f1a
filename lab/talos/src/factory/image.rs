//! Which files the factory makes, by their names.

use axum::http::StatusCode;
use stead_lab_core::image::Compression;

use super::{Failure, invalid};

/// How the file of this name is packed: `PLATFORM-ARCH[-secureboot].FORMAT[.PACKING]`.
pub(super) fn packing(path: &str) -> Result<Compression, Failure> {
    let boot_asset = ["kernel-", "initramfs-", "cmdline-", "installer-"]
        .iter()
        .any(|p| path.starts_with(p));
    if boot_asset || path.contains("-installer-") || path.ends_with("-uki.efi") {
        return Err(unsupported(path));
    }
    let packings = [
        (".tar.gz", None),
        (".gz", Some(Compression::Gzip)),
        (".xz", Some(Compression::Xz)),
        (".zst", Some(Compression::Zstd)),
    ];
    let found = packings
        .iter()
        .find_map(|(suffix, packing)| Some((path.strip_suffix(suffix)?, *packing)));
    let (rest, packing) = found.unwrap_or((path, Some(Compression::None)));
    let formats = [".iso", ".raw", ".qcow2", ".vhd", ".ova"];
    let Some((name, format)) = formats
        .iter()
        .find_map(|f| Some((rest.strip_suffix(f)?, *f)))
    else {
        return Err(invalid(format!(
            "error parsing profile from path: invalid profile path: {rest:?}"
        )));
    };
    let name = name.strip_suffix("-secureboot").unwrap_or(name);
    let (platform, arch) = name.rsplit_once('-').ok_or_else(|| {
        invalid(format!(
            "error parsing profile from path: invalid platform-arch: {name:?}"
        ))
    })?;
    if platform.is_empty() || !matches!(arch, "amd64" | "arm64") {
        return Err(invalid(format!(
            "error parsing profile from path: invalid architecture: {arch:?}"
        )));
    }
    match (format, packing) {
        (".vhd" | ".ova", _) | (_, None) => Err(unsupported(path)),
        (_, Some(packing)) => Ok(packing),
    }
}

fn unsupported(path: &str) -> Failure {
    Failure(
        StatusCode::NOT_IMPLEMENTED,
        format!("{path}: this kind of image is not simulated"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide() {
        let ok = |p: &str| packing(p).ok();
        assert_eq!(ok("metal-amd64.raw.zst"), Some(Compression::Zstd));
        assert_eq!(ok("nocloud-amd64.raw.xz"), Some(Compression::Xz));
        assert_eq!(
            ok("nocloud-arm64-secureboot.raw.gz"),
            Some(Compression::Gzip)
        );
        assert_eq!(ok("nocloud-amd64.qcow2"), Some(Compression::None));
        assert_eq!(ok("metal-amd64.iso"), Some(Compression::None));
        let code = |p: &str| packing(p).err().map(|f| f.0.as_u16());
        assert_eq!(code("metal-riscv.iso"), Some(400));
        assert_eq!(code("metal.iso"), Some(400));
        assert_eq!(code("nonsense"), Some(400));
        assert_eq!(code("kernel-amd64"), Some(501));
        assert_eq!(code("vmware-amd64.ova"), Some(501));
    }
}
