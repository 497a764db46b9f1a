//! The lines of a journal.

use serde::{Deserialize, Serialize};
use stead_value::addr::ResourceInstance;

use crate::ProviderConfigRef;
use crate::encryption::{Pieces, SealedWith};
use crate::v4::ResourceV4;

/// The versions of this format; another one is refused. In the second, every line but the first is sealed.
const PLAIN: u64 = 1;
const SEALED: u64 = 2;

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
    /// How the other lines are sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sealed: Option<SealedWith>,
}

impl Header {
    pub(crate) fn new(serial: u64, digest: String, run: Run) -> Header {
        Header {
            version: PLAIN,
            serial,
            digest,
            run,
            sealed: None,
        }
    }

    /// Says how the other lines are sealed.
    pub(super) fn seal_with(&mut self, with: SealedWith) {
        self.version = SEALED;
        self.sealed = Some(with);
    }

    /// The version, when it is not ours.
    pub(super) fn foreign_version(&self) -> Option<u64> {
        let ours = match self.sealed {
            None => PLAIN,
            Some(_) => SEALED,
        };
        (self.version != ours).then_some(self.version)
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

/// The records of one journal as lines: the checksum of the content, a space, the content. It is JSON, or sealed and in base64.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Option<Pieces>);

/// What is wrong with a line.
#[derive(Debug)]
pub(super) enum Broken {
    Checksum,
    Content(String),
}

impl Lines {
    /// Lines that are sealed, of the journal with this first line.
    pub(super) fn sealed(pieces: Pieces, first: &[u8]) -> Lines {
        Lines(Some(pieces.of(first)))
    }

    /// A record as the line of that number.
    pub(super) fn write(&self, number: u64, record: &Record) -> Result<Vec<u8>, String> {
        let json = serde_json::to_vec(record).map_err(|e| e.to_string())?;
        let content = match &self.0 {
            None => json,
            Some(pieces) => {
                let sealed = pieces.seal(number, &json).map_err(|e| e.to_string())?;
                sealed.into_bytes()
            }
        };
        let mut line = format!("{:08x} ", crc32fast::hash(&content)).into_bytes();
        line.extend_from_slice(&content);
        line.push(b'\n');
        Ok(line)
    }

    /// Reads the line of that number, without its end.
    pub(super) fn read(&self, number: u64, line: &[u8]) -> Result<Record, Broken> {
        let (sum, content) = line.split_at_checked(9).ok_or(Broken::Checksum)?;
        let sum = std::str::from_utf8(sum)
            .ok()
            .and_then(|s| u32::from_str_radix(s.strip_suffix(' ')?, 16).ok());
        if sum != Some(crc32fast::hash(content)) {
            return Err(Broken::Checksum);
        }
        let broken = |e: &dyn std::fmt::Display| Broken::Content(e.to_string());
        match &self.0 {
            None => serde_json::from_slice(content).map_err(|e| broken(&e)),
            Some(pieces) => {
                let json = pieces.open(number, content).map_err(|e| broken(&e))?;
                serde_json::from_slice(&json).map_err(|e| broken(&e))
            }
        }
    }
}
