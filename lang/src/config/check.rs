//! Checks across modules: arguments against variables, references against declarations, providers against calls.

use stead_value::Diagnostics;

use super::tree::ConfigTree;

pub(crate) fn check_tree(_tree: &ConfigTree, _diagnostics: &mut Diagnostics) {}
