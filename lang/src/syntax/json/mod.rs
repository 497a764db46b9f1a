//! The JSON form of configurations: text to values with places, and values to the same bodies and expressions that native
//! syntax gives.
//!
//! JSON does not tell arguments from blocks; who knows what belongs into a body does. A [`Layout`] says it for what the
//! language itself defines. What only a provider's schema knows stays an argument that remembers its JSON, and becomes blocks
//! when the schema is at hand ([`Body::shaped`](super::Body::shaped)).

mod layout;
mod lower;
mod node;
mod shape;
mod strings;
#[cfg(test)]
mod tests;

pub use layout::{BlockLayout, Layout, Strings, dynamic};
pub use lower::parse_json_file;
pub(crate) use shape::Property;
