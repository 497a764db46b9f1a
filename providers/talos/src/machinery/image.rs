//! Addresses of Talos images: installers, disk images, ISOs and network boot.
//!
//! Facts: Talos `pkg/machinery/platforms` and the `talos_image_factory_urls` data source of
//! terraform-provider-talos 0.11.

use super::config::Contract;
use super::schematic::SchematicError;

/// Identifier of the schematic without customization.
pub const VANILLA_ID: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

/// A processor architecture Talos runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Architecture {
    /// x86-64.
    #[default]
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    fn as_str(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// What images are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageTarget<'a> {
    /// Bare metal (`metal`) or a cloud, by its Talos name.
    Platform(&'a str, Architecture),
    /// A single board computer; the schematic's overlay carries what is special about it.
    Board(&'a str),
}

/// Addresses of the images of one schematic and version; `None` where there is no such image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those of the provider's attributes
pub struct ImageUrls {
    pub installer: String,
    pub installer_secureboot: Option<String>,
    pub iso: Option<String>,
    pub iso_secureboot: Option<String>,
    pub disk_image: Option<String>,
    pub disk_image_secureboot: Option<String>,
    pub pxe: Option<String>,
    pub kernel: Option<String>,
    pub kernel_command_line: Option<String>,
    pub initramfs: Option<String>,
    pub uki: Option<String>,
}

/// One platform: name, suffix of its disk image, ISO, network boot, secure boot.
type Row = (&'static str, Option<&'static str>, bool, bool, bool);

const PLATFORMS: [Row; 19] = [
    ("metal", Some("raw.zst"), true, true, true),
    ("aws", Some("raw.xz"), false, false, false),
    ("gcp", Some("raw.tar.gz"), false, false, false),
    ("equinixMetal", None, false, true, false),
    ("azure", Some("vhd.xz"), false, false, false),
    ("digital-ocean", Some("raw.gz"), false, false, false),
    ("nocloud", Some("raw.xz"), true, true, true),
    ("openstack", Some("raw.xz"), true, true, false),
    ("vmware", Some("ova"), true, false, false),
    ("akamai", Some("raw.gz"), false, false, false),
    ("cloudstack", Some("raw.gz"), false, false, true),
    ("hcloud", Some("raw.xz"), false, false, false),
    ("oracle", Some("qcow2"), false, false, false),
    ("upcloud", Some("raw.xz"), false, false, false),
    ("vultr", None, true, true, false),
    ("exoscale", Some("qcow2"), false, false, false),
    ("opennebula", Some("raw.zst"), true, false, false),
    ("scaleway", Some("raw.zst"), true, false, false),
    ("alibabacloud", Some("qcow2"), false, false, false),
];

const BOARDS: &str = "rpi_5 rpi_generic revpi_generic bananapi_m64 nanopi_r4s nanopi_r5s jetson_nano \
    libretech_all_h3_cc_h5 orangepi_r1_plus_lts pine64 rock64 rock4cplus rock4se rock5a rock5b rockpi_4 rockpi_4c \
    helios64 turingrk1 orangepi-5 orangepi-5-plus rockpro64 odroid-m1 radxa-zero-3e rock3b orangepi-5-max rock5t \
    friendlyelec-cm3588-nas rock5b-plus";

/// An Image Factory, by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Factory {
    scheme: String,
    /// Host with port.
    host: String,
    base: String,
}

impl Default for Factory {
    fn default() -> Self {
        let host = "factory.talos.dev".to_owned();
        Self {
            scheme: "https".to_owned(),
            base: format!("https://{host}"),
            host,
        }
    }
}

impl Factory {
    /// A factory at an http(s) URL.
    pub fn new(url: &str) -> Result<Self, SchematicError> {
        let bad = || SchematicError::FactoryUrl(url.to_owned());
        let base = url.trim_end_matches('/');
        let (scheme, rest) = base.split_once("://").ok_or_else(bad)?;
        let host = rest.split('/').next().unwrap_or_default();
        if !matches!(scheme, "http" | "https")
            || host.is_empty()
            || host.contains(char::is_whitespace)
        {
            return Err(bad());
        }
        Ok(Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            base: base.to_owned(),
        })
    }

    /// Address to send schematics to; the factory answers with the identifier.
    pub fn schematics_url(&self) -> String {
        format!("{}/schematics", self.base)
    }

    /// An address below the factory's own.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// Host, with the port if it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The installer image of a platform.
    pub fn installer(
        &self,
        platform: &str,
        secure_boot: bool,
        schematic_id: &str,
        version: &str,
    ) -> String {
        let suffix = if secure_boot { "-secureboot" } else { "" };
        format!(
            "{}/{platform}-installer{suffix}/{schematic_id}:v{}",
            self.host,
            version.trim_start_matches('v')
        )
    }

    /// All addresses for a schematic and Talos version.
    pub fn urls(
        &self,
        schematic_id: &str,
        version: &str,
        target: ImageTarget<'_>,
    ) -> Result<ImageUrls, SchematicError> {
        // Terraform's provider accepts versions with and without the leading letter.
        let version = version.strip_prefix('v').unwrap_or(version);
        if !is_version(version) {
            return Err(SchematicError::Version(version.to_owned()));
        }
        let image = |path: String| format!("{}/image/{schematic_id}/v{version}/{path}", self.base);
        let (name, architecture) = match target {
            ImageTarget::Board(board) => {
                if !BOARDS.split_whitespace().any(|b| b == board) {
                    let known = BOARDS.split_whitespace().collect::<Vec<_>>().join(", ");
                    return Err(SchematicError::Target {
                        kind: "sbc",
                        name: board.to_owned(),
                        known,
                    });
                }
                return Ok(ImageUrls {
                    installer: self.installer("metal", false, schematic_id, version),
                    disk_image: Some(image("metal-arm64.raw.xz".to_owned())),
                    ..ImageUrls::default()
                });
            }
            ImageTarget::Platform(name, architecture) => (name, architecture.as_str()),
        };
        let Some((_, disk, iso, pxe, secure)) = PLATFORMS.into_iter().find(|row| row.0 == name)
        else {
            let known = PLATFORMS.map(|row| row.0).join(", ");
            return Err(SchematicError::Target {
                kind: "platform",
                name: name.to_owned(),
                known,
            });
        };
        let metal = name == "metal";
        let file = |suffix: &str| image(format!("{name}-{architecture}{suffix}"));
        let pxe_url = || {
            format!(
                "{}://pxe.{}/pxe/{schematic_id}/v{version}/{name}-{architecture}",
                self.scheme, self.host
            )
        };
        Ok(ImageUrls {
            installer: self.installer(name, false, schematic_id, version),
            installer_secureboot: secure.then(|| self.installer(name, true, schematic_id, version)),
            iso: iso.then(|| file(".iso")),
            iso_secureboot: (iso && secure).then(|| file("-secureboot.iso")),
            disk_image: disk.map(|suffix| file(&format!(".{suffix}"))),
            disk_image_secureboot: disk
                .filter(|_| secure)
                .map(|suffix| file(&format!("-secureboot.{suffix}"))),
            pxe: pxe.then(pxe_url),
            kernel: metal.then(|| image(format!("kernel-{architecture}"))),
            kernel_command_line: metal.then(|| image(format!("cmdline-{name}-{architecture}"))),
            initramfs: metal.then(|| image(format!("initramfs-{architecture}.xz"))),
            uki: metal.then(|| file("-secureboot-uki.efi")),
        })
    }
}

/// The installer a generated configuration names when nothing else is asked for.
///
/// From 1.14 on Talos no longer publishes `ghcr.io/siderolabs/installer`.
pub fn default_installer(version: &str) -> String {
    let tag = version.strip_prefix('v').unwrap_or(version);
    let published = Contract::parse(tag).is_ok_and(|c| c.minor() < 14);
    if published {
        format!("ghcr.io/siderolabs/installer:v{tag}")
    } else {
        Factory::default().installer("metal", false, VANILLA_ID, tag)
    }
}

/// `1.13.9` with optional pre-release, `1.13` as well.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = core.split('.').collect();
    (2..=3).contains(&parts.len())
        && parts
            .iter()
            .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All URLs that terraform-provider-talos 0.11.0 computed into a real state.
    #[test]
    fn urls_of_the_provider_state() {
        let state: serde_json::Value = serde_json::from_str(include_str!(
            "../../tests/golden/provider-state/terraform.tfstate.json"
        ))
        .unwrap();
        let mut seen = 0;
        for resource in state["resources"].as_array().unwrap() {
            if resource["type"] != "talos_image_factory_urls" {
                continue;
            }
            for instance in resource["instances"].as_array().unwrap() {
                let a = &instance["attributes"];
                let text = |key: &str| a[key].as_str().unwrap_or_default();
                let architecture = if text("architecture") == "arm64" {
                    Architecture::Arm64
                } else {
                    Architecture::Amd64
                };
                let target = match text("sbc") {
                    "" => ImageTarget::Platform(text("platform"), architecture),
                    board => ImageTarget::Board(board),
                };
                let urls = Factory::default()
                    .urls(text("schematic_id"), text("talos_version"), target)
                    .unwrap();
                let expected = |key: &str| a["urls"][key].as_str().map(str::to_owned);
                assert_eq!(Some(urls.installer), expected("installer"));
                for (key, actual) in [
                    ("installer_secureboot", urls.installer_secureboot),
                    ("iso", urls.iso),
                    ("iso_secureboot", urls.iso_secureboot),
                    ("disk_image", urls.disk_image),
                    ("disk_image_secureboot", urls.disk_image_secureboot),
                    ("pxe", urls.pxe),
                    ("kernel", urls.kernel),
                    ("kernel_command_line", urls.kernel_command_line),
                    ("initramfs", urls.initramfs),
                    ("uki", urls.uki),
                ] {
                    assert_eq!(actual, expected(key), "{key} of {target:?}");
                }
                seen += 1;
            }
        }
        assert_eq!(seen, 17);
    }

    #[test]
    fn refuses_what_has_no_images() {
        let factory = Factory::new("https://factory.lab:8080/").unwrap();
        assert_eq!(
            factory.installer("metal", true, "abc", "1.13.9"),
            "factory.lab:8080/metal-installer-secureboot/abc:v1.13.9"
        );
        let amd64 = Architecture::Amd64;
        assert!(matches!(
            factory.urls("abc", "v1.13.9", ImageTarget::Platform("mars", amd64)),
            Err(SchematicError::Target {
                kind: "platform",
                ..
            })
        ));
        assert!(matches!(
            factory.urls("abc", "latest", ImageTarget::Platform("metal", amd64)),
            Err(SchematicError::Version(_))
        ));
        assert!(Factory::new("ftp://x").is_err());
    }

    #[test]
    fn the_default_installer_follows_the_version() {
        assert_eq!(
            default_installer("v1.13.9"),
            "ghcr.io/siderolabs/installer:v1.13.9"
        );
        assert_eq!(
            default_installer("1.14.0"),
            format!("factory.talos.dev/metal-installer/{VANILLA_ID}:v1.14.0")
        );
    }
}
