//! Files to configuration: what each block of a module says.

mod check;
mod content;
mod files;
mod layout;
mod lifecycle;
mod model;
mod module;
mod modules;
mod overrides;
mod providers;
mod provisioner;
mod refactor;
mod references;
mod resource;
mod statics;
mod terraform;
#[cfg(test)]
mod tests;
mod tree;
mod types;
mod values;
pub mod vars;
mod version;

pub(crate) use content::{
    is_identifier, missing_argument, place, unsupported_argument, unsupported_block,
};
pub use files::load_module;
pub use layout::{CONFIGURATION, TESTS, VARIABLES};
pub use model::*;
pub use providers::AbsProvider;
pub use refactor::object_address;
pub use tree::{ConfigNode, ConfigTree, InstalledModules, NothingInstalled};
pub use types::{TypeConstraint, parse_type};
pub use version::{Constraints, Version};
