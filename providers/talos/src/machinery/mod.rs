//! Talos' configuration machinery without a node: secrets, machine configuration, patches,
//! schematics and client configurations.
//!
//! Everything here is pure: no network, no files, no clock and no randomness of its own.

mod components;
mod config;
mod diff;
mod image;
mod kubeconfig;
mod merge;
mod patch;
mod review;
mod schema;
mod schematic;
mod secrets;
pub(crate) mod selector;
pub(crate) mod snapshot;
mod talosconfig;
mod value;
mod yaml;

pub use components::{
    Component, comparable, component_image, image_repository, image_tag, is_control_plane,
    with_component_image,
};
pub use config::{
    ConfigError, Contract, ContractError, EndpointError, Input, MachineType, RegistryMirror,
    canonical, leaves_network_to_user, machine_config, machine_config_watched,
};
pub use diff::{Change, differences};
pub use image::{Architecture, Factory, ImageTarget, ImageUrls, VANILLA_ID, default_installer};
pub use kubeconfig::{Kubeconfig, KubeconfigError, KubeconfigUser, kubeconfig_from_archive};
pub(crate) use patch::is_patch;
pub use patch::{PatchError, Quirk, apply_patches, apply_patches_watched};
pub use review::{Finding, installed_version, review};
pub use schema::Release;
pub use schematic::{Schematic, SchematicError};
pub use secrets::{
    CertificateAndKey, Certs, KubernetesSecrets, Role, Secret, SecretsBundle, SecretsError,
    Validity, certificate_validity, client_certificate, talos_authority,
};
pub use talosconfig::{TalosContext, TalosconfigError, parse_talosconfig, render_talosconfig};
