//! The lines of a journal.

use serde::{Deserialize, Serialize};
use stead_value::addr::ResourceInstance;

use crate::ProviderConfigRef;
use crate::v4::ResourceV4;

/// The version of this format; another one is refused.
const VERSION: u64 = 1;

/// The run that a journal is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What people typed: `apply`.
    pub command: String,
    /// `user@host`.
    pub who: String,
    /// RFC 3339.
    pub started: String,
}

/// The first record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The format's version.
    version: u64,
    /// Of the state that the run began with.
    pub(super) serial: u64,
    pub(super) digest: String,
    pub(super) run: Run,
}

impl Header {
    pub(crate) fn new(serial: u64, digest: String, run: Run) -> Header {
        Header {
            version: VERSION,
            serial,
            digest,
            run,
        }
    }

    /// The version, when it is not ours.
    pub(super) fn foreign_version(&self) -> Option<u64> {
        (self.version != VERSION).then_some(self.version)
    }
}

/// What an operation is about to do.
#[derive(Clone, Debug)]
pub struct Intent {
    pub address: ResourceInstance,
    pub provider: ProviderConfigRef,
    /// The key of the object that was set aside, when it is about that one.
    pub deposed: Option<String>,
    pub doubt: Doubt,
}

/// What is not known of an object while the outcome of its operation is not known.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// It was being made. What it should become, as far as the plan knew.
    Create {
        schema_version: u64,
        planned: serde_json::Value,
    },
    Update,
    Delete,
}

impl Doubt {
    /// `create`, `update`, `delete`.
    pub fn verb(&self) -> &'static str {
        match self {
            Doubt::Create { .. } => "create",
            Doubt::Update => "update",
            Doubt::Delete => "delete",
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Record {
    Begin(Header),
    Intent {
        operation: u64,
        address: String,
        provider: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deposed: Option<String>,
        doubt: Doubt,
    },
    Identified {
        operation: u64,
        /// The resource with the object as far as it is known.
        entry: ResourceV4,
    },
    Changed {
        /// The operation that is over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        operation: Option<u64>,
        address: String,
        /// The resource with every object of the one instance; `None` when there is none any more.
        entry: Option<ResourceV4>,
    },
    Checkpoint {
        serial: u64,
        digest: String,
    },
}

impl Record {
    pub(super) fn intent(operation: u64, intent: &Intent) -> Record {
        Record::Intent {
            operation,
            address: intent.address.to_string(),
            provider: intent.provider.to_string(),
            deposed: intent.deposed.clone(),
            doubt: intent.doubt.clone(),
        }
    }
}

/// A record as a line: the checksum of the JSON, a space, the JSON.
pub(super) fn write(record: &Record) -> serde_json::Result<Vec<u8>> {
    let json = serde_json::to_vec(record)?;
    let mut line = format!("{:08x} ", crc32fast::hash(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) enum Broken {
    Checksum,
    Content(String),
}

/// Reads one line, without its end.
pub(super) fn read(line: &[u8]) -> Result<Record, Broken> {
    let (sum, json) = line.split_at_checked(9).ok_or(Broken::Checksum)?;
    let sum = std::str::from_utf8(sum)
        .ok()
        .and_then(|s| u32::from_str_radix(s.strip_suffix(' ')?, 16).ok());
    if sum != Some(crc32fast::hash(json)) {
        return Err(Broken::Checksum);
    }
    serde_json::from_slice(json).map_err(|e| Broken::Content(e.to_string()))
}
