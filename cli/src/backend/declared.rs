//! The backend as the configuration and `-backend-config` declare it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stead_lang::Files;
use stead_lang::config::{
    Backend as BackendBlock, EarlyValues, Module, early_block, early_expression,
};
use stead_lang::syntax::{SourceFile, parse_expression, parse_file};
use stead_value::convert::convert;
use stead_value::schema::Block;
use stead_value::{Diagnostic, Diagnostics, Type, Value};

use crate::error::Result;
use crate::session::Given;
use crate::workspace;

/// A backend as the configuration declares it.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(super) kind: Arc<str>,
    /// What stands in the block: an object of the schema's type.
    pub(super) block: Value,
    /// The same with what `-backend-config` adds.
    pub(super) whole: Value,
}

impl Declared {
    /// Whether `-backend-config` adds something.
    pub(super) fn extended(&self) -> bool {
        self.block != self.whole
    }
}

/// What the configuration says of the backend.
pub(crate) fn declared(
    files: &dyn Files,
    root: &Module,
    given: &Given<'_>,
    besides: &[String],
) -> Result<Option<Declared>> {
    let Some(block) = &root.terraform.backend else {
        return Ok(None);
    };
    let schema = super::schema(&block.kind).ok_or_else(|| no_such_kind(block))?;
    let values = given.early(files, root, &workspace::selected()?.name);
    let mut reader = Reader {
        files,
        root,
        values: &values,
        schema: &partial(&schema),
        diagnostics: Diagnostics::new(),
    };
    let decoded = early_block(files, root, &block.body, reader.schema, &values);
    reader.diagnostics.extend(decoded.diagnostics);
    let in_block = decoded.value.unmark_deep().0;
    let mut whole = in_block.clone();
    for text in besides.iter().filter(|text| !text.is_empty()) {
        if let Some(added) = reader.added(text) {
            whole = overlaid(&whole, &added);
        }
    }
    let mut diagnostics = reader.diagnostics;
    if !diagnostics.has_errors() && &*block.kind == "local" {
        diagnostics.extend(empty_paths(block, &whole));
    }
    diagnostics.into_result()?;
    Ok(Some(Declared {
        kind: Arc::clone(&block.kind),
        block: in_block,
        whole,
    }))
}

/// What the schema requires and nothing gives.
pub(super) fn missing(declared: &Declared) -> Diagnostics {
    let required = super::schema(&declared.kind).into_iter();
    let required = required.flat_map(|schema| schema.attributes);
    required
        .filter(|(name, attribute)| {
            attribute.required && declared.whole.get(name).is_none_or(|v| v.is_null())
        })
        .map(|(name, _)| {
            Diagnostic::error(
                "Missing required argument",
                format!(
                    "The backend \"{}\" needs the argument \"{name}\". Write it into the backend block, or give it with `stead init -backend-config={name}=…`.",
                    declared.kind
                ),
            )
        })
        .collect()
}

/// The schema with nothing required: a part may come from `-backend-config` or the environment.
fn partial(schema: &Block) -> Block {
    let mut schema = schema.clone();
    for attribute in schema.attributes.values_mut() {
        attribute.optional |= std::mem::take(&mut attribute.required);
    }
    schema
}

/// `over` where it gives something, `under` elsewhere.
fn overlaid(under: &Value, over: &Value) -> Value {
    let (Some(under), Some(over)) = (under.as_entries(), over.as_entries()) else {
        return under.clone();
    };
    let mut merged = under.clone();
    for (name, value) in over {
        let nothing = value.is_null() || value.as_sequence().is_some_and(|s| s.is_empty());
        if !nothing {
            merged.insert(Arc::clone(name), value.clone());
        }
    }
    Value::object(merged)
}

/// Reads what `-backend-config` gives.
struct Reader<'a> {
    files: &'a dyn Files,
    root: &'a Module,
    values: &'a EarlyValues,
    schema: &'a Block,
    diagnostics: Diagnostics,
}

impl Reader<'_> {
    /// An argument, or the arguments in a file: an object of the schema's type.
    fn added(&mut self, text: &str) -> Option<Value> {
        match text.split_once('=') {
            Some((name, value)) => self.argument(text, name, value),
            None => self.file(text),
        }
    }

    fn argument(&mut self, text: &str, name: &str, value: &str) -> Option<Value> {
        let Some(attribute) = self.schema.attributes.get(name) else {
            self.diagnostics.push(Diagnostic::error(
                "Invalid backend configuration argument",
                format!(
                    "The backend configuration argument {name:?} given on the command line is not expected for the selected backend type."
                ),
            ));
            return None;
        };
        let ty = attribute.value_type();
        let given = match ty {
            Type::String | Type::Number | Type::Bool => Some(Value::string(value)),
            _ => self.expression(text, value),
        }?;
        match convert(&given, &ty) {
            Ok(value) => {
                let value = value.unmark_deep().0;
                Some(Value::object(BTreeMap::from([(name.into(), value)])))
            }
            Err(error) => {
                self.diagnostics.push(Diagnostic::error(
                    "Invalid backend configuration value",
                    format!("Invalid backend configuration argument {name}: {error}."),
                ));
                None
            }
        }
    }

    /// What a text means for an argument that is neither text, number nor bool.
    fn expression(&mut self, argument: &str, text: &str) -> Option<Value> {
        let source = SourceFile::new(format!("<-backend-config={argument}>"), text);
        let (expr, problems) = parse_expression(&Arc::new(source));
        let outcome = early_expression(self.files, self.root, &expr, self.values);
        let failed = problems.has_errors() || outcome.diagnostics.has_errors();
        self.diagnostics.extend(problems);
        self.diagnostics.extend(outcome.diagnostics);
        (!failed).then_some(outcome.value)
    }

    fn file(&mut self, path: &str) -> Option<Value> {
        match self.files.read(Path::new(path)) {
            Ok(bytes) => {
                let source = SourceFile::new(path, String::from_utf8_lossy(&bytes));
                let (body, problems) = parse_file(&Arc::new(source));
                self.diagnostics.extend(problems);
                let decoded = early_block(self.files, self.root, &body, self.schema, self.values);
                self.diagnostics.extend(decoded.diagnostics);
                Some(decoded.value.unmark_deep().0)
            }
            Err(e) => {
                self.diagnostics.push(Diagnostic::error(
                    "Failed to read file",
                    format!("The file {path:?} could not be read: {e}."),
                ));
                None
            }
        }
    }
}

/// Paths of the local backend that name nothing.
fn empty_paths(block: &BackendBlock, whole: &Value) -> Diagnostics {
    let body = &block.body;
    let is_empty = |name: &&str| {
        whole
            .get(name)
            .is_some_and(|value| value.as_str() == Some(""))
    };
    let tell = |name: &str| {
        Diagnostic::error(
            "Invalid local state file path",
            format!("The \"{name}\" attribute value must be a string that is not empty."),
        )
        .at(body.attribute(name).map_or_else(
            || body.file.range(body.span),
            |a| body.file.range(a.expr.span()),
        ))
    };
    let names = ["path", "workspace_dir"];
    names.into_iter().filter(is_empty).map(tell).collect()
}

fn no_such_kind(block: &BackendBlock) -> Diagnostics {
    let known: Vec<&str> = stead_backends::KINDS.iter().map(|kind| kind.name).collect();
    Diagnostic::error(
        "Unsupported backend type",
        format!(
            "There is no backend type named \"{}\" in stead: it has local, {}. Without a backend block the state is kept in terraform.tfstate.",
            block.kind,
            known.join(", ")
        ),
    )
    .at(block.range.clone())
    .into()
}
