//! Declared types: the type constraint of a variable, with the defaults of its optional attributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::{Type, Value};

/// A variable's `type`.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeConstraint {
    /// With its optional attributes marked.
    pub ty: Type,
    pub defaults: Option<Arc<Defaults>>,
    /// Whether the configuration names a type at all; without, `-var` gives a plain string.
    pub declared: bool,
}

impl Default for TypeConstraint {
    fn default() -> Self {
        TypeConstraint {
            ty: Type::Dynamic,
            defaults: None,
            declared: false,
        }
    }
}

/// Default values of optional attributes, where they are in the type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Defaults {
    /// The object's own attributes.
    pub values: BTreeMap<Arc<str>, Value>,
    /// Deeper ones: by attribute name, by tuple index, or under the empty name for a collection's elements.
    pub children: BTreeMap<Arc<str>, Arc<Defaults>>,
}
