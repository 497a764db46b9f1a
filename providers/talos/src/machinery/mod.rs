//! Talos' configuration machinery without a node: secrets, machine configuration, patches,
//! schematics and client configurations.
//!
//! Everything here is pure: no network, no files, no clock and no randomness of its own.

mod config;
mod image;
mod kubeconfig;
mod merge;
mod patch;
mod schema;
mod schematic;
mod secrets;
mod talosconfig;
mod value;
mod yaml;

pub use config::{
    ConfigError, Contract, ContractError, EndpointError, Input, MachineType, RegistryMirror,
    canonical, leaves_network_to_user, machine_config,
};
pub use image::{Architecture, Factory, ImageTarget, ImageUrls, VANILLA_ID, default_installer};
pub use kubeconfig::{Kubeconfig, KubeconfigError, KubeconfigUser, kubeconfig_from_archive};
pub use patch::{PatchError, apply_patches};
pub use schema::Release;
pub use schematic::{Schematic, SchematicError};
pub use secrets::{
    CertificateAndKey, Certs, KubernetesSecrets, Role, Secret, SecretsBundle, SecretsError,
    Validity, certificate_validity,
};
pub use talosconfig::{TalosContext, TalosconfigError, parse_talosconfig, render_talosconfig};
