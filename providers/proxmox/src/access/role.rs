//! Roles: sets of privileges under a name.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use stead_sdk::form::Unreadable;
use stead_sdk::{DataSource, Form, Resource};

use crate::client::flag;
use crate::rest::Hooks;

/// A set of privileges under a name.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_role", legacy)]
pub(crate) struct Role {
    /// The role's name.
    #[attr(optional, computed)]
    id: String,
    /// What it allows: `VM.Audit`, `Datastore.AllocateSpace`.
    #[attr(required)]
    #[form(name = "privs", sent)]
    privileges: BTreeSet<String>,
    /// The role's name.
    #[attr(required, replace)]
    #[form(name = "roleid", create)]
    role_id: String,
}

impl Hooks for Role {
    fn left_alone(row: &Json) -> Option<&'static str> {
        let came_with = flag(row, "special").unwrap_or(false);
        came_with.then_some("it came with the server and cannot be changed")
    }

    /// The answer has a member for every privilege.
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let members = answer.as_object().ok_or(Unreadable::new("an object"))?;
        let has = |name: &&String| flag(answer, name).unwrap_or(false);
        self.privileges = members.keys().filter(has).cloned().collect();
        Ok(true)
    }
}

/// The roles of the cluster, one list for each of their properties.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_virtual_environment_roles")]
pub(crate) struct Roles {
    /// Always `roles`.
    #[attr(optional, computed)]
    id: String,
    /// What each allows.
    #[attr(computed)]
    #[form(rows = "privs")]
    privileges: Vec<BTreeSet<String>>,
    /// The roles' names.
    #[attr(computed)]
    #[form(rows = "roleid")]
    role_ids: Vec<String>,
    /// Whether each came with the server and cannot be changed.
    #[attr(computed)]
    #[form(rows = "special")]
    special: Vec<bool>,
}
