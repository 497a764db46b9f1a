//! `encryption` blocks, OpenTofu's way to say how states and plan files are sealed.
//!
//! [`EncryptionConfig`] is what a block says, with what `TF_ENCRYPTION` says merged over it ([`EncryptionConfig::merge`]). Nothing is
//! evaluated in it: [`EncryptionScope`] does that, for whoever makes keys of it.

mod merge;
mod read;
mod scope;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::SourceRange;

use crate::syntax::{Body, Expression};

pub use read::encryption_from_text;
pub(crate) use read::{DUPLICATE, read};
pub use scope::{EncryptionScope, Keys};

/// `encryption { … }`.
#[derive(Clone, Debug)]
pub struct EncryptionConfig {
    pub key_providers: IndexMap<TypedName, KeyProviderConfig>,
    pub methods: IndexMap<TypedName, MethodConfig>,
    pub state: Option<EncryptionTarget>,
    pub plan: Option<EncryptionTarget>,
    /// For states that `terraform_remote_state` reads, unless they are named.
    pub remote_default: Option<EncryptionTarget>,
    /// By the names of the data sources: `NAME`, `MODULE.NAME`, each perhaps with `[INDEX]`.
    pub remotes: IndexMap<Arc<str>, EncryptionTarget>,
    pub range: SourceRange,
}

/// The two labels of a `key_provider` or `method` block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TypedName {
    pub kind: Arc<str>,
    pub name: Arc<str>,
}

impl fmt::Display for TypedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.kind, self.name)
    }
}

/// `key_provider "TYPE" "NAME" { … }`.
#[derive(Clone, Debug)]
pub struct KeyProviderConfig {
    pub name: TypedName,
    /// `encrypted_metadata_alias`: the name by which what is sealed knows the provider, instead of `key_provider.TYPE.NAME`.
    pub alias: Option<Arc<str>>,
    /// Without the alias.
    pub body: Arc<Body>,
    pub range: SourceRange,
}

/// `method "TYPE" "NAME" { … }`.
#[derive(Clone, Debug)]
pub struct MethodConfig {
    pub name: TypedName,
    pub body: Arc<Body>,
    pub range: SourceRange,
}

/// `state { … }`, `plan { … }` and their like: which method seals, and which ones open besides.
#[derive(Clone, Debug)]
pub struct EncryptionTarget {
    /// Nothing may stay in the clear.
    pub enforced: bool,
    pub method: Option<Expression>,
    pub fallback: Option<Box<EncryptionTarget>>,
    pub range: SourceRange,
}
