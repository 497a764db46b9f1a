//! The configuration of a node.

use stead_sdk::value::schema::Pattern;
use stead_sdk::{Form, Resource};

use crate::rest::codec::trimmed;

const NOTES: Pattern = Pattern {
    regex: r"(?s).*[^\n]",
    form: "a text that does not end with a line break: `trimspace()` takes it away",
};

/// A node's notes.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_node_config")]
pub(crate) struct NodeConfig {
    /// What the web interface shows of the node, in Markdown.
    #[attr(optional, length(1..), pattern(NOTES))]
    #[form(with = trimmed)]
    description: Option<String>,
    /// The node's name.
    #[attr(computed)]
    id: String,
    /// The node.
    #[attr(required, replace, length(1..))]
    #[form(path)]
    node_name: String,
}
