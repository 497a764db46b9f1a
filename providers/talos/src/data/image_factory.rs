//! What the Image Factory offers: versions, extensions, overlays, and the addresses of images.

use stead_sdk::{Block, Context, DataSource, Error, async_trait};

use crate::client::Client;
use crate::machinery::{Architecture, ImageTarget, SchematicError};

/// The addresses of the images of a schematic and Talos version.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_image_factory_urls")]
pub(crate) struct ImageFactoryUrls {
    /// Always empty.
    #[attr(computed)]
    id: String,
    /// The version of Talos.
    #[attr(required)]
    talos_version: String,
    /// The identifier of the schematic.
    #[attr(required)]
    schematic_id: String,
    /// Bare metal (`metal`) or a cloud, such as `nocloud`; instead of `sbc`.
    #[attr(optional)]
    platform: Option<String>,
    /// A single board computer, such as `rpi_generic`; instead of `platform`.
    #[attr(optional)]
    sbc: Option<String>,
    /// `amd64` (default) or `arm64`.
    #[attr(optional, computed)]
    architecture: Option<String>,
    /// The addresses.
    #[attr(computed, nested(single))]
    urls: Option<Urls>,
}

/// Addresses of images; null where the platform has no such image.
#[derive(Clone, Debug, Default, PartialEq, Block)]
pub(crate) struct Urls {
    /// The installer's container image.
    #[attr(computed)]
    installer: Option<String>,
    /// The same for secure boot.
    #[attr(computed)]
    installer_secureboot: Option<String>,
    /// The ISO image.
    #[attr(computed)]
    iso: Option<String>,
    /// The same for secure boot.
    #[attr(computed)]
    iso_secureboot: Option<String>,
    /// The disk image.
    #[attr(computed)]
    disk_image: Option<String>,
    /// The same for secure boot.
    #[attr(computed)]
    disk_image_secureboot: Option<String>,
    /// The iPXE script.
    #[attr(computed)]
    pxe: Option<String>,
    /// The kernel.
    #[attr(computed)]
    kernel: Option<String>,
    /// The kernel's command line.
    #[attr(computed)]
    kernel_command_line: Option<String>,
    /// The initial file system.
    #[attr(computed)]
    initramfs: Option<String>,
    /// The unified kernel image.
    #[attr(computed)]
    uki: Option<String>,
}

#[async_trait]
impl DataSource for ImageFactoryUrls {
    type Client = Client;

    async fn read(client: &Client, config: Self, _cx: &Context) -> Result<Self, Error> {
        let asked = "build the addresses of Talos images";
        let name = config.architecture.as_deref().unwrap_or("amd64");
        let architecture = match name {
            "amd64" => Architecture::Amd64,
            "arm64" => Architecture::Arm64,
            other => {
                let said = format!("{other:?} is neither amd64 nor arm64");
                return Err(Error::new(asked, said).attribute("architecture"));
            }
        };
        let target = match (&config.platform, &config.sbc) {
            (Some(platform), None) => ImageTarget::Platform(platform, architecture),
            (None, Some(board)) => ImageTarget::Board(board),
            _ => {
                let said = "exactly one of `platform` and `sbc` must be set";
                return Err(Error::new(asked, said).attribute("platform"));
            }
        };
        let urls = client
            .factory
            .urls(&config.schematic_id, &config.talos_version, target)
            .map_err(|e| {
                let attribute = match &e {
                    SchematicError::Version(_) => "talos_version",
                    SchematicError::Target { kind, .. } => kind,
                    _ => "schematic_id",
                };
                Error::new(asked, e.to_string()).attribute(attribute)
            })?;
        let name = name.to_owned();
        Ok(ImageFactoryUrls {
            urls: Some(Urls {
                installer: Some(urls.installer),
                installer_secureboot: urls.installer_secureboot,
                iso: urls.iso,
                iso_secureboot: urls.iso_secureboot,
                disk_image: urls.disk_image,
                disk_image_secureboot: urls.disk_image_secureboot,
                pxe: urls.pxe,
                kernel: urls.kernel,
                kernel_command_line: urls.kernel_command_line,
                initramfs: urls.initramfs,
                uki: urls.uki,
            }),
            architecture: Some(name),
            ..config
        })
    }
}

/// The Talos versions that the Image Factory knows.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_image_factory_versions")]
pub(crate) struct Versions {
    /// A constant.
    #[attr(computed)]
    id: String,
    /// Which versions to leave out.
    #[attr(optional, nested(single))]
    filters: Option<VersionFilters>,
    /// The versions.
    #[attr(computed)]
    talos_versions: Vec<String>,
}

/// Which versions to leave out.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct VersionFilters {
    /// Leave out those before a release.
    #[attr(optional)]
    stable_versions_only: Option<bool>,
}

#[async_trait]
impl DataSource for Versions {
    type Client = Client;

    async fn read(client: &Client, config: Self, _cx: &Context) -> Result<Self, Error> {
        let stable = config.filters.as_ref().and_then(|f| f.stable_versions_only) == Some(true);
        let mut versions = client.versions().await?;
        versions.retain(|v| !(stable && v.contains('-')));
        Ok(Versions {
            id: "talos_versions".to_owned(),
            talos_versions: versions,
            ..config
        })
    }
}

/// The official extensions for a Talos version.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_image_factory_extensions_versions")]
pub(crate) struct ExtensionsVersions {
    /// A constant.
    #[attr(computed)]
    id: String,
    /// The version of Talos.
    #[attr(required)]
    talos_version: String,
    /// Extensions whose names contain one of these.
    #[attr(optional, nested(single))]
    filters: Option<NameFilters>,
    /// Extensions with one of these names.
    #[attr(optional, nested(single))]
    exact_filters: Option<NameFilters>,
    /// The extensions.
    #[attr(computed)]
    extensions_info: Vec<ExtensionInfo>,
}

/// Names to look for.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct NameFilters {
    /// The names.
    #[attr(optional)]
    names: Option<Vec<String>>,
}

/// One extension.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct ExtensionInfo {
    /// Such as `siderolabs/iscsi-tools`.
    #[attr(computed)]
    name: String,
    /// Its container image.
    #[attr(computed, name = "ref")]
    reference: String,
    /// The image's digest.
    #[attr(computed)]
    digest: String,
    /// Who made it.
    #[attr(computed)]
    author: String,
    /// What it is for.
    #[attr(computed)]
    description: String,
}

#[async_trait]
impl DataSource for ExtensionsVersions {
    type Client = Client;

    async fn read(client: &Client, config: Self, _cx: &Context) -> Result<Self, Error> {
        let names =
            |f: &Option<NameFilters>| f.as_ref().and_then(|f| f.names.clone()).unwrap_or_default();
        let (exact, parts) = (names(&config.exact_filters), names(&config.filters));
        let wanted = |name: &str| {
            (exact.is_empty() && parts.is_empty())
                || exact.iter().any(|n| n == name)
                || parts.iter().any(|n| name.contains(n.as_str()))
        };
        let found = client.extensions(&config.talos_version).await?;
        let extensions = found
            .into_iter()
            .filter(|e| wanted(&e.name))
            .map(|e| ExtensionInfo {
                name: e.name,
                reference: e.reference,
                digest: e.digest,
                author: e.author,
                description: e.description,
            });
        Ok(ExtensionsVersions {
            id: "extensions_info".to_owned(),
            extensions_info: extensions.collect(),
            ..config
        })
    }
}

/// The official overlays for single board computers for a Talos version.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "talos_image_factory_overlays_versions")]
pub(crate) struct OverlaysVersions {
    /// A constant.
    #[attr(computed)]
    id: String,
    /// The version of Talos.
    #[attr(required)]
    talos_version: String,
    /// Which overlays are wanted.
    #[attr(optional, nested(single))]
    filters: Option<NameFilter>,
    /// The overlays.
    #[attr(computed)]
    overlays_info: Vec<OverlayInfo>,
}

/// A name to look for.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct NameFilter {
    /// Overlays whose names contain it.
    #[attr(optional)]
    name: Option<String>,
}

/// One overlay.
#[derive(Clone, Debug, PartialEq, Block)]
pub(crate) struct OverlayInfo {
    /// Such as `rpi_generic`.
    #[attr(computed)]
    name: String,
    /// The name of its image.
    #[attr(computed)]
    image: String,
    /// Its container image.
    #[attr(computed, name = "ref")]
    reference: String,
    /// The image's digest.
    #[attr(computed)]
    digest: String,
}

#[async_trait]
impl DataSource for OverlaysVersions {
    type Client = Client;

    async fn read(client: &Client, config: Self, _cx: &Context) -> Result<Self, Error> {
        let part = config
            .filters
            .as_ref()
            .and_then(|f| f.name.clone())
            .unwrap_or_default();
        let found = client.overlays(&config.talos_version).await?;
        let overlays = found
            .into_iter()
            .filter(|o| o.name.contains(&part))
            .map(|o| OverlayInfo {
                name: o.name,
                image: o.image,
                reference: o.reference,
                digest: o.digest,
            });
        Ok(OverlaysVersions {
            id: "overlays_info".to_owned(),
            overlays_info: overlays.collect(),
            ..config
        })
    }
}
