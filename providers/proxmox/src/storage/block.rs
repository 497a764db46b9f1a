//! Storages that keep volumes: LVM and ZFS.

use stead_sdk::{Form, Resource};

use crate::storage::Common;

/// A volume group of LVM.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_storage_lvm",
    alias = "proxmox_virtual_environment_storage_lvm"
)]
pub(crate) struct StorageLvm {
    #[attr(flatten)]
    common: Common,
    /// The same volumes are there on every node.
    #[attr(optional, computed, default = false)]
    shared: bool,
    /// The volume group's name.
    #[attr(required, replace)]
    #[form(name = "vgname", create)]
    volume_group: String,
    /// Overwrite volumes with zeros when they are removed.
    #[attr(optional, computed, default = false)]
    #[form(name = "saferemove")]
    wipe_removed_volumes: bool,
}

/// A thin pool of LVM.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_storage_lvmthin",
    alias = "proxmox_virtual_environment_storage_lvmthin"
)]
pub(crate) struct StorageLvmThin {
    #[attr(flatten)]
    common: Common,
    /// Never so.
    #[attr(computed)]
    shared: bool,
    /// The thin pool's name.
    #[attr(required, replace)]
    #[form(name = "thinpool", create)]
    thin_pool: String,
    /// The volume group's name.
    #[attr(required, replace)]
    #[form(name = "vgname", create)]
    volume_group: String,
}

/// A ZFS pool, or a dataset of one.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_storage_zfspool",
    alias = "proxmox_virtual_environment_storage_zfspool"
)]
pub(crate) struct StorageZfsPool {
    #[attr(flatten)]
    common: Common,
    /// The block size of volumes: `16k`.
    #[attr(optional)]
    blocksize: Option<String>,
    /// Never so.
    #[attr(computed)]
    shared: bool,
    /// Take space only as it is written.
    #[attr(optional)]
    #[form(name = "sparse", implied = "0")]
    thin_provision: Option<bool>,
    /// The pool, or `pool/dataset`.
    #[attr(required, replace)]
    #[form(name = "pool", create)]
    zfs_pool: String,
}
