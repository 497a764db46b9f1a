//! `.terraform/terraform.tfstate`: which backend the last `init` set up, in Terraform's format.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use super::{Declared, LocalBackend};
use crate::error::{CommandError, Result};
use crate::session::TERRAFORM_VERSION;
use crate::workspace::data_folder;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u64,
    #[serde(default)]
    terraform_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backend: Option<Recorded>,
    #[serde(flatten)]
    unknown_fields: Map<String, Json>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Recorded {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    config: Json,
    #[serde(default)]
    hash: u64,
}

/// Whether the declared backend is the one that was set up.
pub(crate) enum Compared {
    Same,
    Different(Reason),
}

/// How they differ.
#[derive(Debug)]
pub(crate) enum Reason {
    Initial,
    Unset(String),
    Changed,
    /// It was of this type.
    Type(String),
}

impl Reason {
    pub(crate) fn summary(&self) -> &'static str {
        match self {
            Reason::Initial | Reason::Unset(_) => {
                "Backend initialization required, please run \"stead init\""
            }
            Reason::Changed | Reason::Type(_) => {
                "Backend initialization required: please run \"stead init\""
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Initial => {
                f.write_str("Initial configuration of the requested backend \"local\"")
            }
            Reason::Unset(kind) => write!(f, "Unsetting the previously set backend \"{kind}\""),
            Reason::Changed => f.write_str("Backend configuration block has changed"),
            Reason::Type(kind) => write!(f, "Backend type changed from \"{kind}\" to \"local\""),
        }
    }
}

impl Record {
    /// The record, or an empty one where there is none.
    pub(crate) fn read() -> Result<Record> {
        let unreadable = |why: String| {
            CommandError::new(
                "Backend record can't be read",
                format!(
                    "The file {} says where the last `stead init` put the state, and it can't be read: {why}. Restore the file, or remove it and run `stead init` again.",
                    path().display()
                ),
            )
        };
        match std::fs::read(path()) {
            Ok(bytes) if bytes.is_empty() => Ok(Record::default()),
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| unreadable(e.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(unreadable(error.to_string())),
        }
    }

    /// The local backend that was set up; `None` where none was.
    pub(crate) fn local(&self) -> Option<LocalBackend> {
        let recorded = self.backend.as_ref().filter(|b| b.kind == "local")?;
        let argument = |name: &str| Some(recorded.config.get(name)?.as_str()?.to_owned());
        Some(LocalBackend {
            path: argument("path"),
            workspace_dir: argument("workspace_dir"),
        })
    }

    /// The type of the backend that was set up.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.backend.as_ref().map(|b| b.kind.as_str())
    }

    /// Whether the last `init` was made for this block. Arguments that it got besides are not repeated.
    pub(crate) fn compare(&self, declared: Option<&Declared>) -> Compared {
        match (self.kind(), declared) {
            (None, None) => Compared::Same,
            (None, Some(_)) => Compared::Different(Reason::Initial),
            (Some(kind), None) => Compared::Different(Reason::Unset(kind.to_owned())),
            (Some("local"), Some(declared)) if self.is_for(declared) => Compared::Same,
            (Some("local"), Some(_)) => Compared::Different(Reason::Changed),
            (Some(kind), Some(_)) => Compared::Different(Reason::Type(kind.to_owned())),
        }
    }

    fn is_for(&self, declared: &Declared) -> bool {
        let noted = self.backend.as_ref().map(|b| b.hash);
        let same_block = noted == Some(hash(&declared.block));
        match declared.extended() {
            false => same_block || self.local().as_ref() == Some(&declared.whole),
            true => same_block && self.local().as_ref() == Some(&declared.whole),
        }
    }

    /// Notes the backend for the commands that follow.
    pub(crate) fn write(mut self, backend: Option<&Declared>) -> Result<()> {
        self.version = 3;
        self.terraform_version = TERRAFORM_VERSION.into();
        self.backend = backend.map(|backend| {
            let LocalBackend {
                path,
                workspace_dir,
            } = &backend.whole;
            Recorded {
                kind: "local".into(),
                hash: hash(&backend.block),
                config: json!({ "path": path, "workspace_dir": workspace_dir }),
            }
        });
        std::fs::create_dir_all(data_folder())?;
        let text = serde_json::to_string_pretty(&self)
            .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))?;
        std::fs::write(path(), text)?;
        Ok(())
    }
}

fn path() -> PathBuf {
    data_folder().join("terraform.tfstate")
}

/// The hash of a block that Terraform notes, by which it sees that the block has changed.
fn hash(block: &LocalBackend) -> u64 {
    let text = |argument: &Option<String>| match argument {
        Some(text) => format!("{text:?}"),
        None => "~".to_owned(),
    };
    let bytes = format!(
        "<\"local\";<{};{};>;>",
        text(&block.path),
        text(&block.workspace_dir)
    );
    u64::from(crc32(bytes.as_bytes()))
}

/// CRC-32 as in zip files.
fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_terraforms() {
        let block = |path: &str| LocalBackend {
            path: Some(path.into()),
            workspace_dir: None,
        };
        assert_eq!(hash(&block("x/y.tfstate")), 1_293_398_979);
        assert_eq!(hash(&block("x/z.tfstate")), 1_692_337_969);
    }
}
