//! Plain values in, text for people or JSON for machines out.

pub(crate) mod console;
pub(crate) mod diagnostics;
pub(crate) mod diff;
pub(crate) mod json;
pub(crate) mod json_checks;
pub(crate) mod junit;
pub(crate) mod plan;
pub(crate) mod schema;
pub(crate) mod state;
mod style;
pub(crate) mod test;
mod test_json;
pub(crate) mod tree;
pub(crate) mod value;

pub(crate) use style::Style;
