//! An object's private bytes: what the provider remembers beside the attributes.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use stead_value::Diagnostic;

/// The key under which stead's own fields lie, so that what a published provider left there survives.
const KEY: &str = "stead";

/// Private fields by name, inside the private bytes that the state carries.
#[derive(Clone, Debug, Default)]
pub struct Private {
    /// The bytes as they came, when they are not a JSON object: kept as long as nothing is put.
    opaque: Vec<u8>,
    members: Map<String, Json>,
}

impl Private {
    pub fn parse(bytes: &[u8]) -> Private {
        match serde_json::from_slice(bytes) {
            Ok(Json::Object(members)) => Private {
                opaque: Vec::new(),
                members,
            },
            _ => Private {
                opaque: bytes.to_vec(),
                members: Map::new(),
            },
        }
    }

    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Diagnostic> {
        let Some(value) = self.members.get(KEY).and_then(|own| own.get(name)) else {
            return Ok(None);
        };
        serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|e| {
                Diagnostic::error(
                    "Unreadable private data",
                    format!("The object's private field `{name}` in the state: {e}."),
                )
            })
    }

    pub fn put<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), Diagnostic> {
        let value = serde_json::to_value(value).map_err(|e| {
            Diagnostic::error(
                "Unwritable private data",
                format!("The private field `{name}`: {e}."),
            )
        })?;
        let own = self
            .members
            .entry(KEY)
            .or_insert_with(|| Json::Object(Map::new()));
        if let Json::Object(own) = own {
            own.insert(name.to_owned(), value);
        }
        Ok(())
    }

    pub fn into_bytes(self) -> Vec<u8> {
        if self.members.is_empty() {
            self.opaque
        } else {
            Json::Object(self.members).to_string().into_bytes()
        }
    }
}
