//! Functions that providers bring to the language: what they take and give.

use crate::Type;

/// What a provider's function takes and gives. The model is that of the plugin protocol, version 6.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionSignature {
    pub summary: String,
    pub description: String,
    pub deprecated: Option<String>,
    pub parameters: Vec<FunctionParameter>,
    pub variadic: Option<FunctionParameter>,
    pub returns: Type,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FunctionParameter {
    pub name: String,
    pub description: String,
    pub ty: Type,
    /// Takes null.
    pub nullable: bool,
    /// Takes values that are not wholly known; else the result is unknown as long as an argument is.
    pub unknown: bool,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// Which argument is to blame, if a single one is; counted from zero.
    pub argument: Option<usize>,
    pub message: String,
}

impl FunctionSignature {
    /// A function of these parameters that are known and not null.
    pub fn new(
        summary: &str,
        parameters: impl IntoIterator<Item = (&'static str, Type)>,
        returns: Type,
    ) -> FunctionSignature {
        let parameter = |(name, ty): (&str, Type)| FunctionParameter {
            name: name.into(),
            description: String::new(),
            ty,
            nullable: false,
            unknown: false,
        };
        FunctionSignature {
            summary: summary.into(),
            description: String::new(),
            deprecated: None,
            parameters: parameters.into_iter().map(parameter).collect(),
            variadic: None,
            returns,
        }
    }

    /// The parameter that takes the argument at this index.
    pub fn parameter(&self, index: usize) -> Option<&FunctionParameter> {
        self.parameters.get(index).or(self.variadic.as_ref())
    }
}

impl CallError {
    pub fn new(message: impl Into<String>) -> CallError {
        CallError {
            argument: None,
            message: message.into(),
        }
    }

    pub fn argument(index: usize, message: impl Into<String>) -> CallError {
        CallError {
            argument: Some(index),
            message: message.into(),
        }
    }
}
