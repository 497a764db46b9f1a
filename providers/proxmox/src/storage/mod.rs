//! Storages of the cluster: where they are, what they may hold, how many backups they keep.

mod block;
mod datastores;
mod file;
mod files;
mod pbs;

use std::collections::BTreeSet;

use stead_sdk::{Block, Form};

use crate::client::PlannedKind;
use crate::rest::{Listed, rest};
use block::{StorageLvm, StorageLvmThin, StorageZfsPool};
use datastores::Datastores;
use file::{StorageCifs, StorageDirectory, StorageNfs};
use files::{FileData, Files};
use pbs::StoragePbs;

const ITEM: &str = "/storage/{id}";
const LISTED: Listed = Listed::Rows("/storage", &[("id", "storage")]);
const REFERRED_AS: &[(&str, &str)] = &[("datastore_id", "id"), ("storage", "id")];
const CONTENT: &str = "/nodes/{node_name}/storage/{datastore_id}/content";

rest! {
    resource StorageCifs {
        what: "storage", item: ITEM, kind: &[("type", "cifs")],
        needs: ("/storage", &["Datastore.Allocate"]), brings: Some((PlannedKind::Storage, "id")),
        listed: LISTED, referred_as: REFERRED_AS
    }
    resource StorageDirectory {
        what: "storage", item: ITEM, kind: &[("type", "dir")],
        needs: ("/storage", &["Datastore.Allocate"]), brings: Some((PlannedKind::Storage, "id")),
        listed: LISTED, referred_as: REFERRED_AS
    }
    resource StorageLvm {
        what: "storage", item: ITEM, kind: &[("type", "lvm")],
        needs: ("/storage", &["Datastore.Allocate"]), brings: Some((PlannedKind::Storage, "id")),
        listed: LISTED, referred_as: REFERRED_AS
    }
    resource StorageLvmThin {
        what: "storage", item: ITEM, kind: &[("type", "lvmthin")],
        needs: ("/storage", &["Datastore.Allocate"]), brings: Some((PlannedKind::Storage, "id")),
        listed: LISTED, referred_as: REFERRED_AS
    }
    resource StorageNfs {
        what: "storage", item: ITEM, kind: &[("type", "nfs")],
        needs: ("/storage", &["Datastore.Allocate"]), brings: Some((PlannedKind::Storage, "id")),
        listed: LISTED, referred_as: REFERRED_AS
    }
    resource StoragePbs with hooks {
        what: "storage", item: ITEM, kind: &[("type", "pbs")],
        needs: ("/storage", &["Datastore.Allocate"]), brings: Some((PlannedKind::Storage, "id")),
        listed: LISTED, referred_as: REFERRED_AS
    }
    data Datastores with hooks { what: "storages", item: "/nodes/{node_name}/storage", sorted_by: "storage" }
    data FileData with hooks { what: "storage", item: CONTENT, id: "{id}" }
    data Files with hooks { what: "storage", item: CONTENT, sorted_by: "volid" }
    resource StorageZfsPool {
        what: "storage", item: ITEM, kind: &[("type", "zfspool")],
        needs: ("/storage", &["Datastore.Allocate"]), brings: Some((PlannedKind::Storage, "id")),
        listed: LISTED, referred_as: REFERRED_AS
    }
}

/// What every storage has.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Common {
    /// What may be kept in it: `backup`, `images`, `import`, `iso`, `rootdir`, `snippets`, `vztmpl`.
    #[attr(
        optional,
        computed,
        one_of("backup", "images", "import", "iso", "rootdir", "snippets", "vztmpl")
    )]
    content: BTreeSet<String>,
    /// Leave it defined and do not use it.
    #[attr(optional, computed, default = false)]
    disable: bool,
    /// The storage's name.
    #[attr(required, replace)]
    #[form(name = "storage", create)]
    id: String,
    /// The nodes that have it; all of them, if none is named.
    #[attr(optional, computed)]
    nodes: BTreeSet<String>,
}

/// How many backups of each guest are kept, and what may be deleted to make room.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Backups {
    /// Keep all; then no other number may be given.
    #[attr(
        optional,
        computed,
        default = false,
        conflicts(
            "keep_daily",
            "keep_hourly",
            "keep_last",
            "keep_monthly",
            "keep_weekly",
            "keep_yearly"
        )
    )]
    #[form(name = "prune-backups/keep-all", unless_default)]
    keep_all: bool,
    /// The last backup of each of this many days.
    #[attr(optional, range(0..))]
    #[form(name = "prune-backups/keep-daily")]
    keep_daily: Option<i64>,
    /// The last backup of each of this many hours.
    #[attr(optional, range(0..))]
    #[form(name = "prune-backups/keep-hourly")]
    keep_hourly: Option<i64>,
    /// This many of the newest.
    #[attr(optional, range(0..))]
    #[form(name = "prune-backups/keep-last")]
    keep_last: Option<i64>,
    /// The last backup of each of this many months.
    #[attr(optional, range(0..))]
    #[form(name = "prune-backups/keep-monthly")]
    keep_monthly: Option<i64>,
    /// The last backup of each of this many weeks.
    #[attr(optional, range(0..))]
    #[form(name = "prune-backups/keep-weekly")]
    keep_weekly: Option<i64>,
    /// The last backup of each of this many years.
    #[attr(optional, range(0..))]
    #[form(name = "prune-backups/keep-yearly")]
    keep_yearly: Option<i64>,
    /// How many backups of a guest may be protected from deletion; -1 is any number.
    #[attr(optional)]
    max_protected_backups: Option<i64>,
}
