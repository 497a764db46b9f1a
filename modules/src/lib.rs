//! Fetching modules: from registries, Git repositories, archives and buckets, into `.terraform/modules`.
//!
//! [`install`] reads the configuration, asks what is missing, fetches it and reads again, until the configuration is whole. The
//! world is reached through [`Remote`]; [`Network`] is the real one. What was fetched is written down in a [`Manifest`], in
//! Terraform's form, so that either tool finds what the other has fetched.

mod credentials;
mod error;
mod fetch;
mod install;
mod manifest;
mod network;
mod registry;
#[cfg(test)]
mod tests;

pub use credentials::CliConfig;
pub use error::FetchError;
pub use install::{Event, Installation, Installer, copy_directory};
pub use manifest::{DIRECTORY, Manifest, key};
pub use network::{Network, Remote};
