//! Values for the root module's variables: `*.tfvars`, `*.tfvars.json` and `-var` texts.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::convert::convert;
use stead_value::{Diagnostic, Diagnostics, SourceRange, Type, Value};

use super::VARIABLES;
use super::files::read_source;
use super::model::Variable;
use crate::Files;
use crate::expr::evaluate_constant;
use crate::syntax::{Block, SourceFile, parse_expression, parse_file, parse_json_file};

/// A value given from outside, not yet converted to the variable's type.
#[derive(Clone, Debug)]
pub struct GivenValue {
    pub value: Value,
    /// Where it stands, when in a file.
    pub range: Option<SourceRange>,
}

/// Reads a variables file, `.json` by its name. The source is for excerpts in messages.
pub fn read_tfvars(
    files: &dyn Files,
    path: &Path,
) -> (
    IndexMap<Arc<str>, GivenValue>,
    Option<Arc<SourceFile>>,
    Diagnostics,
) {
    let mut diagnostics = Diagnostics::new();
    let mut values = IndexMap::new();
    let shown = path.display().to_string();
    let source = read_source(files, path, &shown, &mut diagnostics);
    if let Some(source) = &source {
        let (body, problems) = if source.is_json() {
            parse_json_file(source, &VARIABLES)
        } else {
            parse_file(source)
        };
        diagnostics.extend(problems);
        for block in &body.blocks {
            diagnostics.push(misplaced(block));
        }
        for (name, attribute) in body.attributes {
            let outcome = evaluate_constant(&attribute.expr);
            let range = Some(attribute.expr.range());
            if outcome.diagnostics.has_errors() {
                diagnostics.extend(outcome.diagnostics);
            } else {
                values.insert(
                    name,
                    GivenValue {
                        value: outcome.value,
                        range,
                    },
                );
            }
        }
    }
    (values, source, diagnostics)
}

/// A block where only values are assigned.
fn misplaced(block: &Block) -> Diagnostic {
    let at = block.body.range(block.kind_span);
    match block.labels.first() {
        Some(name) if &*block.kind == "variable" => Diagnostic::error(
            "Variable declaration in .tfvars file",
            format!(
                "A .tfvars file is used to assign values to variables that have already been declared in .tf files, not to declare new variables. To declare variable \"{0}\", place this block in one of your .tf files, such as variables.tf.\n\nTo set a value for this variable in {1}, use the definition syntax instead:\n    {0} = <value>",
                name.text, at.file
            ),
        ),
        _ => Diagnostic::error(
            format!("Unexpected \"{}\" block", block.kind),
            "Blocks are not allowed here.",
        ),
    }
    .at(at)
}

/// The value of `-var NAME=TEXT` or an environment variable: plain text for strings and untyped variables, an expression
/// for all else.
pub fn value_from_text(variable: &Variable, text: &str) -> (Option<GivenValue>, Diagnostics) {
    let literal = matches!(
        variable.constraint.ty,
        Type::String | Type::Number | Type::Bool
    ) || !variable.constraint.declared;
    if literal {
        return (
            Some(GivenValue {
                value: Value::string(text),
                range: None,
            }),
            Diagnostics::new(),
        );
    }
    from_expression(&variable.name, text)
}

fn from_expression(name: &str, text: &str) -> (Option<GivenValue>, Diagnostics) {
    let file = format!("<value for var.{name}>");
    let source = Arc::new(SourceFile::new(file, text));
    let (expr, diagnostics) = parse_expression(&source);
    if diagnostics.has_errors() {
        return (None, diagnostics);
    }
    let outcome = evaluate_constant(&expr);
    if outcome.diagnostics.has_errors() {
        return (None, outcome.diagnostics);
    }
    let range = Some(expr.range());
    (
        Some(GivenValue {
            value: outcome.value,
            range,
        }),
        Diagnostics::new(),
    )
}

/// The value of a text for a variable that nothing declares: an expression.
pub fn undeclared_from_text(name: &str, text: &str) -> (Option<GivenValue>, Diagnostics) {
    from_expression(name, text)
}

impl Variable {
    /// Converts a value to the declared type: defaults of optional attributes filled in, null replaced by the default where
    /// null is not allowed, marks of the declaration added.
    pub fn accept(&self, given: &Value) -> Result<Value, Diagnostic> {
        self.accept_in(given, "")
    }

    /// As [`Variable::accept`], for a variable of the module with this address.
    pub fn accept_in(&self, given: &Value, module: &str) -> Result<Value, Diagnostic> {
        self.suit(given).map_err(|unsuitable| match unsuitable {
            Unsuitable::Null => Diagnostic::error(
                unsuitable.summary(),
                format!(
                    "The variable \"{}\" is required, and null is not allowed.",
                    self.name
                ),
            ),
            Unsuitable::Type(why) => {
                let within = if module.is_empty() {
                    String::new()
                } else {
                    format!("{module}.")
                };
                let at = super::content::place(&self.range);
                Diagnostic::error(
                    INVALID,
                    format!(
                        "The given value is not suitable for {within}var.{} declared at {at}: {why}.",
                        self.name
                    ),
                )
            }
        })
    }

    /// As [`Variable::accept`], for a root variable whose value stands in a file. Other people may see the diagnostic than the file:
    /// it shows nothing of a sensitive value.
    pub fn accept_at(&self, given: &Value, place: &SourceRange) -> Result<Value, Diagnostic> {
        match self.suit(given) {
            Err(Unsuitable::Type(why)) if self.sensitive => Err(Diagnostic::error(
                INVALID,
                format!(
                    "The given value is not suitable for var.{}, which is sensitive: {why}. Invalid value defined at {}.",
                    self.name,
                    super::content::place(place)
                ),
            )
            .at(self.range.clone())),
            Err(Unsuitable::Null) => Err(Diagnostic::error(
                Unsuitable::Null.summary(),
                format!(
                    "The given value is not suitable for var.{} defined at {}: required variable may not be set to null.",
                    self.name,
                    super::content::place(&self.range)
                ),
            )
            .at(place.clone())),
            _ => self.accept(given).map_err(|wrong| wrong.at(place.clone())),
        }
    }

    /// As [`Variable::accept`], for a root variable whose value stands in no file. `how`: "set using …".
    pub fn accept_from(&self, given: &Value, how: &str) -> Result<Value, Diagnostic> {
        self.suit(given).map_err(|unsuitable| {
            let why = match &unsuitable {
                Unsuitable::Null => "required variable may not be set to null",
                Unsuitable::Type(why) => why,
            };
            Diagnostic::error(
                unsuitable.summary(),
                format!("Unsuitable value for var.{} {how}: {why}.", self.name),
            )
            .at(self.range.clone())
        })
    }

    fn suit(&self, given: &Value) -> Result<Value, Unsuitable> {
        let mut value = given.clone();
        if value.is_null() && !self.nullable {
            let default = self.default.as_ref().ok_or(Unsuitable::Null)?;
            value = default.clone().with_marks(given.marks());
        }
        let mut converted = convert(&self.constraint.defaults.apply(&value), &self.constraint.ty)
            .map_err(|error| {
            let path = super::content::before(&error.path);
            Unsuitable::Type(format!("{path}{error}"))
        })?;
        if self.sensitive {
            converted = converted.sensitive();
        }
        if self.ephemeral {
            converted = converted.with_marks(stead_value::Marks::EPHEMERAL);
        }
        Ok(converted)
    }
}

/// Why a variable does not take a value.
enum Unsuitable {
    Null,
    Type(String),
}

const INVALID: &str = "Invalid value for input variable";

impl Unsuitable {
    fn summary(&self) -> &'static str {
        match self {
            Unsuitable::Null => "Required variable not set",
            Unsuitable::Type(_) => INVALID,
        }
    }
}
