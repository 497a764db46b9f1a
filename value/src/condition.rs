//! Conditions: what has them, and of which kind they are. Diagnostics say so of those that do not hold.

use std::fmt;
use std::sync::Arc;

use crate::addr::{ModuleInstance, ResourceInstance};

/// A condition that did not hold, or is not known: whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub object: CheckObject,
    pub kind: RuleKind,
}

/// Which of an object's conditions; they count up within each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleKind {
    Precondition,
    Postcondition,
    OutputPrecondition,
    /// Whether the data source of a `check` block could be read.
    CheckData,
    Assertion,
    Validation,
}

impl RuleKind {
    /// How messages begin: "Resource precondition failed".
    pub fn description(self) -> &'static str {
        match self {
            RuleKind::Precondition => "Resource precondition",
            RuleKind::Postcondition => "Resource postcondition",
            RuleKind::OutputPrecondition => "Module output value precondition",
            RuleKind::CheckData => "Check block data resource",
            RuleKind::Assertion => "Check block assertion",
            RuleKind::Validation => "Input variable validation",
        }
    }
}

/// An object that has conditions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CheckObject {
    Instance(ResourceInstance),
    Output(ModuleInstance, Arc<str>),
    Check(ModuleInstance, Arc<str>),
    Variable(ModuleInstance, Arc<str>),
}

impl CheckObject {
    pub fn module(&self) -> &ModuleInstance {
        match self {
            CheckObject::Instance(address) => &address.module,
            CheckObject::Output(module, _)
            | CheckObject::Check(module, _)
            | CheckObject::Variable(module, _) => module,
        }
    }
}

impl fmt::Display for CheckObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, module, name) = match self {
            CheckObject::Instance(address) => return address.fmt(f),
            CheckObject::Output(module, name) => ("output", module, name),
            CheckObject::Check(module, name) => ("check", module, name),
            CheckObject::Variable(module, name) => ("var", module, name),
        };
        if !module.is_root() {
            write!(f, "{module}.")?;
        }
        write!(f, "{word}.{name}")
    }
}
