//! Declared types: the type constraint of a variable, with the defaults of its optional attributes.

use stead_value::Type;
use stead_value::convert::Defaults;

/// A variable's `type`.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeConstraint {
    /// With its optional attributes marked.
    pub ty: Type,
    pub defaults: Defaults,
    /// Whether the configuration names a type at all; without, `-var` gives a plain string.
    pub declared: bool,
}

impl Default for TypeConstraint {
    fn default() -> Self {
        TypeConstraint {
            ty: Type::Dynamic,
            defaults: Defaults::none(Type::Dynamic),
            declared: false,
        }
    }
}
