//! Replication jobs: copies of a guest's disks on another node.

use serde_json::Value as Json;
use stead_sdk::form::Unreadable;
use stead_sdk::value::schema::Pattern;
use stead_sdk::{Block, DataSource, Form, Resource};

use crate::client::text;
use crate::rest::Hooks;

const JOB: Pattern = Pattern {
    regex: r"[1-9][0-9]{2,8}-\d{1,9}",
    form: "the guest's identifier, `-` and the job's number, such as `100-0`",
};

/// A job that copies the disks of a guest to another node, again and again.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_replication",
    alias = "proxmox_virtual_environment_replication"
)]
pub(crate) struct Replication {
    /// What the job is for.
    #[attr(optional)]
    comment: Option<String>,
    /// Keep the job, and do not run it.
    #[attr(optional, computed, default = false)]
    disable: bool,
    /// The guest.
    #[attr(computed)]
    guest: i64,
    /// The guest and the job's number: `100-0`.
    #[attr(required, replace, pattern(JOB))]
    #[form(create)]
    id: String,
    /// The number among the guest's jobs.
    #[attr(computed)]
    jobnum: i64,
    /// How many MB per second it may take.
    #[attr(optional, range(1..))]
    rate: Option<f64>,
    /// When it runs, as a calendar event: `*/15`.
    #[attr(optional, computed)]
    schedule: Option<String>,
    /// The node that the guest is on.
    #[attr(computed)]
    source: Option<String>,
    /// The node that gets the copies.
    #[attr(required, replace)]
    #[form(create)]
    target: String,
    /// Always `local`.
    #[attr(required, replace, one_of("local"))]
    #[form(create)]
    r#type: String,
}

impl Hooks for Replication {
    /// A job that is deleted stays until its copies are, and is as good as gone.
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        Ok(text(answer, "remove_job").is_none())
    }
}

/// The replication jobs of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_replications",
    alias = "proxmox_virtual_environment_replications"
)]
pub(crate) struct Replications {
    /// The jobs.
    #[attr(computed)]
    #[form(rows)]
    replications: Vec<Job>,
}

/// A replication job.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Job {
    /// What the job is for.
    #[attr(computed)]
    comment: Option<String>,
    /// Whether the job is kept and does not run.
    #[attr(computed)]
    disable: bool,
    /// The guest.
    #[attr(computed)]
    guest: i64,
    /// The guest and the job's number.
    #[attr(computed)]
    id: String,
    /// The number among the guest's jobs.
    #[attr(computed)]
    jobnum: i64,
    /// How many MB per second it may take.
    #[attr(computed)]
    rate: Option<f64>,
    /// How the job is being removed: `local`, or `full` with the copies.
    #[attr(computed)]
    #[form(name = "remove_job")]
    remove_job: Option<String>,
    /// When it runs.
    #[attr(computed)]
    schedule: Option<String>,
    /// The node that the guest is on.
    #[attr(computed)]
    source: Option<String>,
    /// The node that gets the copies.
    #[attr(computed)]
    target: String,
    /// Always `local`.
    #[attr(computed)]
    r#type: String,
}
