//! Backup jobs: what is saved, when, where, and for how long.

use std::collections::BTreeMap;

use stead_sdk::{Block, DataSource, Form, Resource};

/// A job that saves guests at set times.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_backup_job")]
pub(crate) struct BackupJob {
    /// Save all guests.
    #[attr(optional, computed)]
    all: Option<bool>,
    /// How many KiB per second it may read; 0 is no limit.
    #[attr(optional, computed)]
    bwlimit: Option<i64>,
    /// How backups are compressed; `0` is not at all, `1` the server's choice.
    #[attr(optional, computed, one_of("0", "1", "gzip", "lzo", "zstd"))]
    compress: Option<String>,
    /// Whether the job runs.
    #[attr(optional, computed)]
    enabled: Option<bool>,
    /// Files that are left out, as patterns of paths.
    #[attr(optional)]
    #[form(repeat)]
    exclude_path: Option<Vec<String>>,
    /// Write the old contents of blocks that a machine overwrites meanwhile to a storage of their own.
    #[attr(optional, nested(single))]
    fleecing: Option<Fleecing>,
    /// The job's name.
    #[attr(required, replace)]
    #[form(create)]
    id: String,
    /// The priority of its reads; 8 is only when nothing else reads.
    #[attr(optional, computed, range(0..=8))]
    ionice: Option<i64>,
    /// How many minutes it waits for a lock.
    #[attr(optional)]
    #[form(implied = "180")]
    lockwait: Option<i64>,
    /// When mail is sent.
    #[attr(optional, computed, one_of("always", "failure"))]
    mailnotification: Option<String>,
    /// Whom mail is sent to.
    #[attr(optional)]
    mailto: Option<Vec<String>>,
    /// How many backups of a guest are kept: only Proxmox VE 8 takes it; `prune_backups` says more.
    #[attr(optional)]
    maxfiles: Option<i64>,
    /// How a running guest is saved: live, paused for a moment, or stopped.
    #[attr(optional, computed, one_of("snapshot", "suspend", "stop"))]
    mode: Option<String>,
    /// Save only guests of this node.
    #[attr(optional)]
    node: Option<String>,
    /// What the notes of a backup say: `{{guestname}}`, `{{vmid}}`, `{{node}}`, `{{cluster}}`.
    #[attr(optional)]
    notes_template: Option<String>,
    /// How changes of a container's files are found for a Proxmox Backup Server.
    #[attr(optional, one_of("legacy", "data", "metadata"))]
    pbs_change_detection_mode: Option<String>,
    /// How hard it works.
    #[attr(optional, nested(single))]
    performance: Option<Performance>,
    /// Threads of pigz in place of gzip; 0 is gzip.
    #[attr(optional)]
    #[form(implied = "0")]
    pigz: Option<i64>,
    /// Save the guests of this pool.
    #[attr(optional)]
    pool: Option<String>,
    /// Keep the backups from being removed.
    #[attr(optional, computed)]
    protected: Option<bool>,
    /// How many are kept: `keep-last`, `keep-daily` and so on, or `keep-all = "1"`.
    #[attr(optional, computed)]
    #[form(pair = "=")]
    prune_backups: Option<BTreeMap<String, String>>,
    /// Remove what `prune_backups` does not keep.
    #[attr(optional, computed)]
    remove: Option<bool>,
    /// Make up for a run that was missed.
    #[attr(optional, computed)]
    repeat_missed: Option<bool>,
    /// When it runs, as a calendar event: `sun 01:00`.
    #[attr(required)]
    schedule: String,
    /// A script of the node that is called around the job.
    #[attr(optional)]
    script: Option<String>,
    /// The older way to say when it runs: `HH:MM`.
    #[attr(optional)]
    starttime: Option<String>,
    /// Leave out temporary files and logs.
    #[attr(optional, computed)]
    stdexcludes: Option<bool>,
    /// How many minutes it waits for a guest to stop.
    #[attr(optional)]
    #[form(implied = "10")]
    stopwait: Option<i64>,
    /// Where the backups go.
    #[attr(required)]
    storage: String,
    /// Where temporary files go on the node.
    #[attr(optional)]
    tmpdir: Option<String>,
    /// The guests.
    #[attr(optional)]
    vmid: Option<Vec<String>>,
    /// Threads of zstd; 0 is half of the node's.
    #[attr(optional)]
    #[form(implied = "1")]
    zstd: Option<i64>,
}

/// Where old contents go during a backup.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Fleecing {
    /// Whether it is done.
    #[attr(optional, computed)]
    enabled: Option<bool>,
    /// The storage.
    #[attr(optional)]
    storage: Option<String>,
}

/// How hard a backup works.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Performance {
    /// How many of a machine's blocks are read at a time.
    #[attr(optional)]
    max_workers: Option<i64>,
    /// How many entries of a directory are held in memory for a Proxmox Backup Server.
    #[attr(optional)]
    pbs_entries_max: Option<i64>,
}

/// The backup jobs of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_backup_jobs")]
pub(crate) struct BackupJobs {
    /// Always `backup_jobs`.
    #[attr(computed)]
    id: String,
    /// The jobs.
    #[attr(computed, nested(list))]
    #[form(rows)]
    jobs: Vec<Job>,
}

/// A backup job.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Job {
    /// Whether it saves all guests.
    #[attr(computed)]
    all: Option<bool>,
    /// How backups are compressed.
    #[attr(computed)]
    compress: Option<String>,
    /// Whether it runs.
    #[attr(computed)]
    enabled: Option<bool>,
    /// The job's name.
    #[attr(computed)]
    id: String,
    /// When mail is sent.
    #[attr(computed)]
    mailnotification: Option<String>,
    /// Whom mail is sent to.
    #[attr(computed)]
    mailto: Option<Vec<String>>,
    /// How a running guest is saved.
    #[attr(computed)]
    mode: Option<String>,
    /// The node whose guests it saves.
    #[attr(computed)]
    node: Option<String>,
    /// What the notes of a backup say.
    #[attr(computed)]
    notes_template: Option<String>,
    /// The pool whose guests it saves.
    #[attr(computed)]
    pool: Option<String>,
    /// Whether the backups are kept from being removed.
    #[attr(computed)]
    protected: Option<bool>,
    /// How many are kept.
    #[attr(computed)]
    #[form(pair = "=")]
    prune_backups: Option<BTreeMap<String, String>>,
    /// When it runs.
    #[attr(computed)]
    schedule: Option<String>,
    /// Where the backups go.
    #[attr(computed)]
    storage: Option<String>,
    /// The guests.
    #[attr(computed)]
    vmid: Option<Vec<String>>,
}
