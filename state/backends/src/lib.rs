//! The remote backends: where states lie that are not in a local file. Each has the reference's arguments, environment variables,
//! state layout and lock format, so that both tools can share a state.
//!
//! One module a backend. Its block is a struct that derives [`ProviderConfig`](stead_sdk::ProviderConfig): schema and decoding come from there.

mod azurerm;
mod http;
mod kubernetes;
mod pg;
mod s3;
mod sending;

use std::sync::Arc;

use stead_sdk::Dialer;
use stead_state::Backend;
use stead_value::schema::Block;
use stead_value::{Diagnostics, Value};

/// A kind of backend: what may stand in its block, and how it is opened.
#[derive(Clone, Copy)]
pub struct Kind {
    /// `s3`
    pub name: &'static str,
    /// The reference's schema: the arguments with their types, in the reference's names.
    pub schema: fn() -> Block,
    /// Opens the backend. The value is an object of the schema's type, null where nothing is given; environment variables come from the dialer's
    /// [`Environment`](stead_sdk::Environment). Asks nothing of the network yet where that can wait.
    ///
    /// # Errors
    /// What is missing or wrong, each with the path of the argument in it.
    pub open: fn(&Value, &Dialer) -> Result<Arc<dyn Backend>, Diagnostics>,
}

/// All kinds, by name. `local` is not among them: it is a file.
pub const KINDS: &[Kind] = &[
    azurerm::KIND,
    http::KIND,
    kubernetes::KIND,
    pg::KIND,
    s3::KIND,
];

/// The kind of that name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}
