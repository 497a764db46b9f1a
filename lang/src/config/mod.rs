//! Files to configuration: what each block of a module says.

mod check;
mod content;
mod early;
mod encryption;
mod files;
mod language;
mod layout;
mod lifecycle;
mod model;
mod module;
mod modules;
mod overrides;
mod passed;
mod provider_instances;
mod providers;
mod provisioner;
mod refactor;
mod references;
mod required_providers;
mod resource;
mod rollout;
mod source;
mod statics;
mod terraform;
pub mod test_file;
#[cfg(test)]
mod tests;
mod traversal;
mod tree;
mod types;
mod values;
pub mod vars;
mod version;

pub use check::Schemas;
pub(crate) use content::{
    check_labels, is_identifier, missing_argument, place, unsupported_argument, unsupported_block,
};
pub use early::{EarlyValues, early_block, early_expression};
pub use encryption::{
    EncryptionConfig, EncryptionScope, EncryptionTarget, KeyProviderConfig, Keys, MethodConfig,
    TypedName, encryption_from_text,
};
pub use files::load_module;
pub use layout::{CONFIGURATION, TESTS, VARIABLES};
pub use model::*;
pub use providers::{AbsProvider, PassedInstance};
pub use refactor::object_address;
pub use source::{ModuleSource, RegistryModule, RemoteModule, SourceError, forced_protocol};
pub use tree::{
    ConfigNode, ConfigTree, InstalledModule, InstalledModules, MissingModule, NothingInstalled,
};
pub use types::{TypeConstraint, parse_type};
pub use version::{Constraints, Version};

/// The Terraform whose language this is, where a message names a release.
pub const REFERENCE_VERSION: &str = "1.11.4";
