//! `.terraform/terraform.tfstate`: which backend the last `init` set up, in Terraform's format.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use stead_value::json::{from_json, to_json};
use stead_value::{Type, Value, quoted};

use super::{Backend, Declared, schema};
use crate::encryption::Encryptions;
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
    /// None was set up, and this type is asked for.
    Initial(String),
    Unset(String),
    Changed,
    Type {
        before: String,
        now: String,
    },
}

impl Reason {
    pub(crate) fn summary(&self) -> &'static str {
        match self {
            Reason::Initial(_) | Reason::Unset(_) => {
                "Backend initialization required, please run \"stead init\""
            }
            Reason::Changed | Reason::Type { .. } => {
                "Backend initialization required: please run \"stead init\""
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Initial(kind) => write!(
                f,
                "Initial configuration of the requested backend \"{kind}\""
            ),
            Reason::Unset(kind) => write!(f, "Unsetting the previously set backend \"{kind}\""),
            Reason::Changed => f.write_str("Backend configuration block has changed"),
            Reason::Type { before, now } => {
                write!(f, "Backend type changed from \"{before}\" to \"{now}\"")
            }
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

    /// Opens the backend that was set up, or the local one where none was.
    pub(crate) fn open(&self, encryptions: &Encryptions) -> Result<Backend> {
        let Some(recorded) = &self.backend else {
            return Ok(Backend::of_no_block(encryptions));
        };
        let Some(config) = recorded.value() else {
            return Err(CommandError::new(
                "Backend not supported",
                format!(
                    "The file {} says that the last `init` set up the backend \"{}\" with arguments that stead does not know. Run `stead init -reconfigure` to use the one that the configuration declares.",
                    path().display(),
                    recorded.kind
                ),
            ));
        };
        Ok(Backend::open(&recorded.kind, &config, encryptions)?)
    }

    /// The type of the backend that was set up.
    pub(crate) fn kind(&self) -> Option<&str> {
        self.backend.as_ref().map(|b| b.kind.as_str())
    }

    /// Whether the last `init` was made for this block. Arguments that it got besides are not repeated.
    pub(crate) fn compare(&self, declared: Option<&Declared>) -> Compared {
        let reason = match (&self.backend, declared) {
            (None, None) => return Compared::Same,
            (None, Some(declared)) => Reason::Initial(declared.kind.to_string()),
            (Some(recorded), None) => Reason::Unset(recorded.kind.clone()),
            (Some(recorded), Some(declared)) if recorded.kind != *declared.kind => Reason::Type {
                before: recorded.kind.clone(),
                now: declared.kind.to_string(),
            },
            (Some(recorded), Some(declared)) if recorded.is_for(declared) => {
                return Compared::Same;
            }
            (Some(_), Some(_)) => Reason::Changed,
        };
        Compared::Different(reason)
    }

    /// Notes the backend for the commands that follow.
    pub(crate) fn write(mut self, backend: Option<&Declared>) -> Result<()> {
        self.version = 3;
        self.terraform_version = TERRAFORM_VERSION.into();
        self.backend = backend.map(Recorded::of);
        std::fs::create_dir_all(data_folder())?;
        let text = serde_json::to_string_pretty(&self)
            .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e))?;
        // Terraform keeps the arguments here too, and some of them are secrets.
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path())?;
        file.write_all(text.as_bytes())?;
        Ok(())
    }
}

impl Recorded {
    fn of(declared: &Declared) -> Recorded {
        Recorded {
            kind: declared.kind.to_string(),
            hash: hash(&declared.kind, &declared.block),
            // A value of the schema's type has no unknown parts and no others than JSON's.
            config: to_json(&declared.whole, &declared.whole.ty()).unwrap_or_default(),
        }
    }

    /// The arguments; `None` when they are not those of a backend of ours.
    fn value(&self) -> Option<Value> {
        let ty = schema(&self.kind)?.value_type();
        let mut config = self.config.clone();
        // Another release may know more or fewer arguments: those that are not there are not given, others must be null.
        if let (Json::Object(config), Type::Object(ty)) = (&mut config, &ty) {
            config.retain(|name, value| {
                ty.attributes.contains_key(name.as_str()) || !value.is_null()
            });
            for name in ty.attributes.keys() {
                config.entry(name.to_string()).or_insert(Json::Null);
            }
        }
        from_json(&config, &ty).ok()
    }

    fn is_for(&self, declared: &Declared) -> bool {
        let same_block = self.hash == hash(&declared.kind, &declared.block);
        match declared.extended() {
            false => same_block || self.value().as_ref() == Some(&declared.whole),
            true => same_block && self.value().as_ref() == Some(&declared.whole),
        }
    }
}

fn path() -> PathBuf {
    data_folder().join("terraform.tfstate")
}

/// The hash of a block that Terraform notes, by which it sees that the block has changed: the CRC-32 of the text by which go-cty
/// tells the elements of a set apart (`set_internals.go`).
fn hash(kind: &str, block: &Value) -> u64 {
    let mut text = format!("<{};", quoted(kind));
    write_hashed(block, &mut text);
    text.push_str(";>");
    u64::from(crc32fast::hash(text.as_bytes()))
}

fn write_hashed(value: &Value, text: &mut String) {
    if value.is_null() {
        text.push('~');
    } else if let Some(flag) = value.as_bool() {
        text.push(if flag { 'T' } else { 'F' });
    } else if let Some(number) = value.as_number() {
        text.push_str(&number.to_string());
    } else if let Some(string) = value.as_str() {
        text.push_str(&quoted(string));
    } else if let Some(entries) = value.as_entries() {
        let is_map = matches!(value.ty(), Type::Map(_));
        text.push(if is_map { '{' } else { '<' });
        for (name, value) in entries {
            if is_map {
                text.push_str(&quoted(name));
                text.push(':');
            }
            write_hashed(value, text);
            text.push(';');
        }
        text.push(if is_map { '}' } else { '>' });
    } else if let Some(elements) = value.as_sequence() {
        text.push('[');
        for element in elements {
            write_hashed(element, text);
            text.push(';');
        }
        text.push(']');
    } else {
        text.push('?');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_terraforms() {
        let block = |path: &str| {
            Value::object_from([
                ("path", Value::string(path)),
                ("workspace_dir", Value::null(Type::String)),
            ])
        };
        assert_eq!(hash("local", &block("x/y.tfstate")), 1_293_398_979);
        assert_eq!(hash("local", &block("x/z.tfstate")), 1_692_337_969);
    }
}
