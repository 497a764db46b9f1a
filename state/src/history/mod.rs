//! What each write of a state has changed, and what was there before: kept beside the state, so that it can be looked at and taken back.
//!
//! An entry is a small file per write. It holds the changed instances as they were, not the state: its size is that of the change.
//! Going back to an earlier serial takes the entries from the newest on.

mod difference;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stead_value::addr::ResourceInstance;

use crate::journal::Run;
use crate::v4::{OutputV4, ResourceV4};
use crate::{Error, Result, State, parse_resource_instance, v4};

pub(crate) use store::HistoryStore;

/// The version of this format; another one is refused.
const VERSION: u64 = 1;

/// One write.
#[derive(Serialize, Deserialize)]
pub struct Entry {
    version: u64,
    /// Of the state that was written.
    pub serial: u64,
    /// Of the state that it took the place of; 0 for the first one.
    pub from: u64,
    pub lineage: String,
    /// What identifies the content that was written.
    pub(crate) digest: String,
    #[serde(flatten)]
    pub run: Run,
    changes: Vec<Change>,
    /// Outputs that changed, as they were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outputs: BTreeMap<String, Option<OutputV4>>,
    /// What else changed, as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checks: Option<Checks>,
}

#[derive(Serialize, Deserialize)]
struct Change {
    address: String,
    kind: ChangeKind,
    /// `None`: it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<ResourceV4>,
}

/// What was recorded of checks.
#[derive(Serialize, Deserialize)]
struct Checks {
    before: Option<Box<RawValue>>,
}

/// What happened to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Recorded,
    Changed,
    Forgotten,
}

impl Entry {
    /// What a write changes.
    pub(crate) fn of(before: &State, after: &State, from: u64, digest: String, run: Run) -> Entry {
        Entry {
            version: VERSION,
            serial: after.serial,
            from,
            lineage: after.lineage.clone(),
            digest,
            run,
            ..difference::of(before, after)
        }
    }

    /// The instances that changed, with their addresses as text.
    pub fn instances(&self) -> impl Iterator<Item = (&str, ChangeKind)> {
        self.changes.iter().map(|c| (c.address.as_str(), c.kind))
    }

    /// The names of the outputs that changed.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.keys().map(String::as_str)
    }

    /// Puts everything as it was before.
    fn take_back(self, state: &mut State) -> std::result::Result<(), String> {
        for change in self.changes {
            let address: ResourceInstance =
                parse_resource_instance(&change.address).ok_or(change.address)?;
            let objects = match change.before {
                None => None,
                Some(before) => {
                    let (_, resource) = v4::read_resource(before)?;
                    let provider = resource.provider;
                    let instance = resource.instances.into_values().next();
                    instance.map(|objects| (provider, *objects))
                }
            };
            state.set_instance(&address, objects);
        }
        for (name, before) in self.outputs {
            match before {
                Some(output) => drop(state.outputs.insert(name, output.into())),
                None => drop(state.outputs.remove(&name)),
            }
        }
        if let Some(checks) = self.checks {
            state.check_results = checks.before.map(Arc::from);
        }
        Ok(())
    }
}

/// What is known of a state's past.
pub struct History {
    /// The newest first.
    pub entries: Vec<Entry>,
}

impl History {
    /// The state as it was at an earlier serial. `digest` is that of the content that `state` was read from.
    ///
    /// # Errors
    /// When the history does not reach from this state back to that serial without a gap.
    pub(crate) fn back_to(self, serial: u64, state: &State, digest: &str) -> Result<State> {
        let mut back = state.clone();
        let mut at = state.serial;
        let mut entries = self.entries.into_iter().peekable();
        // Serials that somebody has gone back from, with `state push -force`.
        while entries.next_if(|e| e.serial > at).is_some() {}
        if entries
            .peek()
            .is_some_and(|e| e.serial == at && e.digest != digest)
        {
            return Err(Error::HistoryGap { from: at, to: at });
        }
        while at > serial {
            let entry = entries.next_if(|e| e.serial == at);
            let Some(entry) = entry else {
                let to = entries.peek().map_or(0, |e| e.serial);
                return Err(Error::HistoryGap { from: at, to });
            };
            at = entry.from;
            entry
                .take_back(&mut back)
                .map_err(|reason| Error::Malformed {
                    path: "history".into(),
                    reason,
                })?;
        }
        if at != serial {
            return Err(Error::NoSuchSerial { wanted: serial });
        }
        Ok(back)
    }
}
