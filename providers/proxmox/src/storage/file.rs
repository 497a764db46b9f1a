//! Storages that keep files: folders of a node, and shares.

use stead_sdk::value::Sensitive;
use stead_sdk::{Block, Form, Resource};

use crate::storage::{Backups, Common};

/// What storages that are folders have in common.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Folder {
    /// Make the folder if it is missing.
    #[attr(optional, computed, default = true)]
    create_base_path: bool,
    /// Make the folders for each kind of content.
    #[attr(optional, computed, default = true)]
    create_subdirs: bool,
}

/// A folder of a node.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_storage_directory",
    alias = "proxmox_virtual_environment_storage_directory"
)]
pub(crate) struct StorageDirectory {
    #[attr(flatten)]
    common: Common,
    #[attr(flatten)]
    folder: Folder,
    /// The folder.
    #[attr(required, replace)]
    #[form(create)]
    path: String,
    /// How space is reserved for images: `off`, `metadata`, `falloc`, `full`.
    #[attr(optional)]
    preallocation: Option<String>,
    /// The same files are there on every node.
    #[attr(optional, computed, default = true)]
    shared: bool,
    /// How many backups are kept.
    #[attr(block(single))]
    #[form(flatten)]
    backups: Option<Backups>,
}

/// A folder of an NFS server.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_storage_nfs",
    alias = "proxmox_virtual_environment_storage_nfs"
)]
pub(crate) struct StorageNfs {
    #[attr(flatten)]
    common: Common,
    #[attr(flatten)]
    folder: Folder,
    /// What the server exports.
    #[attr(required, replace)]
    #[form(create)]
    export: String,
    /// Mount options: `vers=4.2`.
    #[attr(optional)]
    options: Option<String>,
    /// How space is reserved for images: `off`, `metadata`, `falloc`, `full`.
    #[attr(optional, replace)]
    preallocation: Option<String>,
    /// The server's address.
    #[attr(required, replace)]
    #[form(create)]
    server: String,
    /// Always so.
    #[attr(computed)]
    shared: bool,
    /// Keep snapshots as volumes that build upon each other.
    #[attr(optional, replace)]
    #[form(implied = "0")]
    snapshot_as_volume_chain: Option<bool>,
    /// How many backups are kept.
    #[attr(block(single))]
    #[form(flatten)]
    backups: Option<Backups>,
}

/// A share of a Windows or Samba server.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_storage_cifs",
    alias = "proxmox_virtual_environment_storage_cifs"
)]
pub(crate) struct StorageCifs {
    #[attr(flatten)]
    common: Common,
    #[attr(flatten)]
    folder: Folder,
    /// The user's domain.
    #[attr(optional, replace)]
    domain: Option<String>,
    /// Mount options.
    #[attr(optional)]
    options: Option<String>,
    /// The user's password.
    #[attr(required, replace, sensitive)]
    #[form(sent)]
    password: Sensitive<String>,
    /// How space is reserved for images: `off`, `metadata`, `falloc`, `full`.
    #[attr(optional)]
    preallocation: Option<String>,
    /// The server's address.
    #[attr(required, replace)]
    #[form(create)]
    server: String,
    /// The share's name.
    #[attr(required, replace)]
    #[form(create)]
    share: String,
    /// Always so.
    #[attr(computed)]
    shared: bool,
    /// Keep snapshots as volumes that build upon each other.
    #[attr(optional, replace)]
    #[form(implied = "0")]
    snapshot_as_volume_chain: Option<bool>,
    /// A folder of the share.
    #[attr(optional, replace)]
    #[form(name = "subdir")]
    subdirectory: Option<String>,
    /// Who logs in.
    #[attr(required, replace)]
    #[form(create)]
    username: String,
    /// How many backups are kept.
    #[attr(block(single))]
    #[form(flatten)]
    backups: Option<Backups>,
}
