//! The key providers of an `encryption` block: OpenTofu's arguments to what `stead-state` gets its keys from.
//!
//! One module a key provider. Its block is a struct that derives [`ProviderConfig`](stead_sdk::ProviderConfig): schema and decoding come from
//! there. What a key provider does with its arguments is in `stead_state::encryption`.

mod azure_vault;
mod external;
mod fixed;
mod pbkdf2;

use std::sync::Arc;

use stead_sdk::{Block as _, Dialer, ProviderConfig};
use stead_state::encryption::{KeySource, ProviderKind, Secret};
use stead_value::convert::convert;
use stead_value::schema::Block;
use stead_value::{Type, Value};

/// A kind of key provider: what may stand in its block, and what it makes of that.
#[derive(Clone, Copy)]
pub struct Kind {
    /// `pbkdf2`
    pub name: &'static str,
    /// OpenTofu's arguments, without `chain`.
    pub schema: fn() -> Block,
    /// Takes another key provider's key by `chain`.
    pub chains: bool,
    /// Makes the key provider of an object of the schema's type. Asks nothing of the network.
    ///
    /// # Errors
    /// What is missing or wrong, in OpenTofu's words and without secrets.
    pub make: fn(&Value, Option<Arc<KeySource>>, &Dialer) -> Result<ProviderKind, String>,
}

/// All kinds, by name.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "azure_vault",
        schema: azure_vault::Settings::block,
        chains: false,
        make: azure_vault::make,
    },
    Kind {
        name: "external",
        schema: external::External::block,
        chains: false,
        make: external::make,
    },
    Kind {
        name: "pbkdf2",
        schema: pbkdf2::Settings::block,
        chains: true,
        make: pbkdf2::make,
    },
    Kind {
        name: "static",
        schema: fixed::Static::block,
        chains: false,
        make: fixed::make,
    },
];

/// Those of OpenTofu that are not here.
const ELSEWHERE: [&str; 3] = ["aws_kms", "gcp_kms", "openbao"];

/// Why there is no key provider of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// OpenTofu has it.
    NotYet,
    Unknown,
}

/// The kind of that name.
///
/// # Errors
/// When it is not here.
pub fn kind(name: &str) -> Result<&'static Kind, Missing> {
    let found = KINDS.iter().find(|kind| kind.name == name);
    found.ok_or(match ELSEWHERE.contains(&name) {
        true => Missing::NotYet,
        false => Missing::Unknown,
    })
}

/// Keys that are written out: an object with `encryption_key` and perhaps `decryption_key`, each a list of bytes.
///
/// # Errors
/// What is wrong with them, without showing them.
pub fn literal(keys: &Value) -> Result<KeySource, String> {
    let bytes = |name: &str| -> Result<Option<Secret>, String> {
        let Some(value) = keys.get(name).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        let wrong = || format!("{name} must be a list of bytes, which are numbers from 0 to 255");
        let value = convert(&value, &Type::list(Type::Number)).map_err(|_| wrong())?;
        let items = value.as_sequence().ok_or_else(wrong)?.iter();
        let byte = |item: &Value| u8::try_from(item.as_i64()?).ok();
        let bytes: Option<Vec<u8>> = items.map(byte).collect();
        Ok(Some(Secret::new(bytes.ok_or_else(wrong)?)))
    };
    Ok(KeySource::Literal {
        encryption: bytes("encryption_key")?.ok_or("encryption_key must not be null")?,
        decryption: bytes("decryption_key")?,
    })
}

/// Decodes a block. What `decode` says is of the types alone, which the configuration has checked.
fn settings<P: ProviderConfig>(config: &Value) -> Result<P, String> {
    P::decode(config, &stead_value::Path::root()).map_err(|diagnostic| diagnostic.detail)
}

#[cfg(test)]
mod tests;
