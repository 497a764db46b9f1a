//! Stand-ins: providers that make values up, and values that take the place of what a provider would give.

mod answers;
mod fill;
mod generate;
mod overrides;
mod provider;

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::addr::ResourceMode;
use stead_value::{SourceRange, Value};

pub(super) use overrides::{Overrides, Overriding};
pub(super) use provider::Mock;

/// Values that a test gives, ready to be used.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// An object; without it every value is made up.
    pub(crate) values: Option<Value>,
    pub(crate) range: SourceRange,
    /// They are there while planning already.
    pub(crate) during_plan: bool,
}

/// The values of a mock provider, by kind and type of object.
pub(super) type Defaults = BTreeMap<(ResourceMode, Arc<str>), Given>;

/// Where random text comes from.
pub(super) type Chance = Arc<dyn stead_lang::functions::World>;
