//! ZFS pools on the disks of a node.

use stead_sdk::form::Params;
use stead_sdk::value::{Diagnostics, Path};
use stead_sdk::{Block, Context, Form, PlanDraft, Resource, async_trait};

use crate::client::Client;
use crate::rest::Hooks;

/// A ZFS pool on disks of a node. Destroying it destroys what is on it.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_node_disk_zfs")]
pub(crate) struct ZfsPool {
    /// Make it a storage of the same name, too.
    #[attr(optional, replace)]
    #[form(name = "add_storage", create)]
    add_storage: Option<bool>,
    /// The size of the disks' sectors, as a power of two.
    #[attr(optional, replace, range(9..=16))]
    #[form(create)]
    ashift: Option<i64>,
    /// Remove the storages on the pool when it is destroyed.
    #[attr(optional, computed, default = false)]
    #[form(skip)]
    cleanup_config: bool,
    /// Wipe the disks when the pool is destroyed.
    #[attr(optional, computed, default = false)]
    #[form(skip)]
    cleanup_disks: bool,
    /// How data are compressed.
    #[attr(
        optional,
        replace,
        one_of("on", "off", "gzip", "lz4", "lzjb", "zle", "zstd")
    )]
    #[form(create)]
    compression: Option<String>,
    /// The disks: `/dev/disk/by-id/…`.
    #[attr(required, replace)]
    #[form(create)]
    devices: Vec<String>,
    /// How disks are grouped, with one of the `draid` levels.
    #[attr(optional, replace, nested(single))]
    #[form(create)]
    draid_config: Option<Draid>,
    /// What is wrong with the pool.
    #[attr(computed)]
    errors: Option<String>,
    /// `NODE/NAME`.
    #[attr(computed)]
    id: String,
    /// The pool's name.
    #[attr(required, replace)]
    #[form(create)]
    name: String,
    /// The node.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// How the disks make up for each other.
    #[attr(
        required,
        replace,
        one_of(
            "single", "mirror", "raid10", "raidz", "raidz2", "raidz3", "draid", "draid2", "draid3"
        )
    )]
    #[form(create)]
    raidlevel: String,
    /// The pool's state: `ONLINE`, `DEGRADED`, …
    #[attr(computed)]
    state: Option<String>,
}

/// The groups of a distributed RAID.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Draid {
    /// Disks with data in a group.
    #[attr(required, range(1..))]
    data: i64,
    /// Spare disks.
    #[attr(required, range(0..))]
    spares: i64,
}

/// What is decided when the pool is made, and not told afterwards.
const AT_CREATION: [&str; 6] = [
    "add_storage",
    "ashift",
    "compression",
    "devices",
    "draid_config",
    "raidlevel",
];

#[async_trait]
impl Hooks for ZfsPool {
    /// Of a pool that was imported nothing of this is known, and a configuration that says it changes nothing.
    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        let level = plan.prior().get("raidlevel");
        let is_imported = level.is_some_and(|l| l.as_str().is_none_or(str::is_empty));
        if !plan.is_create() && is_imported {
            for name in AT_CREATION {
                plan.keep(&Path::root().attr(name));
            }
        }
        Ok(())
    }

    fn removal(&self) -> Params {
        let flag = |name: &str, value| (name.to_owned(), i32::from(value).to_string());
        vec![
            flag("cleanup-config", self.cleanup_config),
            flag("cleanup-disks", self.cleanup_disks),
        ]
    }
}
