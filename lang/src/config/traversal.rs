//! What follows a resource's name in a reference, checked against the resource's schema.

use stead_value::schema::{Block, Nesting};
use stead_value::{Diagnostic, Diagnostics, Path, SourceRange, Step, Type};

use super::content::is_identifier;
use crate::expr::StaticReference;
use crate::suggest::did_you_mean;

/// Reports the first step that leads nowhere. What only values can tell is left to evaluation.
pub(crate) fn check(schema: &Block, reference: &StaticReference, diagnostics: &mut Diagnostics) {
    let steps: Vec<Place<'_>> = reference
        .rest
        .steps()
        .iter()
        .zip(&reference.rest_ranges)
        .collect();
    if let Err(problem) = block(schema, &steps) {
        diagnostics.push(problem);
    }
}

/// The same for a path whose first name begins a range.
pub(crate) fn check_path(
    schema: &Block,
    path: &Path,
    range: &SourceRange,
) -> Result<(), Diagnostic> {
    let mut first = range.clone();
    if let Some(Step::Attr(name)) = path.steps().first() {
        first.end = first.start;
        first.end.byte += name.len() as u32;
        first.end.column += name.chars().count() as u32;
    }
    let ranges = std::iter::once(&first).chain(std::iter::repeat(range));
    let steps: Vec<Place<'_>> = path.steps().iter().zip(ranges).collect();
    block(schema, &steps)
}

type Place<'a> = (&'a Step, &'a SourceRange);

fn block(schema: &Block, steps: &[Place<'_>]) -> Result<(), Diagnostic> {
    let Some(((step, range), rest)) = steps.split_first() else {
        return Ok(());
    };
    let name = match step {
        Step::Attr(name) => name,
        Step::Index(key) => {
            let hint = key
                .as_str()
                .filter(|k| is_identifier(k))
                .map(|k| {
                    format!(
                        "Only attribute access is allowed here. Did you mean to access attribute \"{k}\" using the dot operator?"
                    )
                })
                .unwrap_or_else(|| {
                    "Only attribute access is allowed here, using the dot operator.".into()
                });
            return Err(Diagnostic::error("Invalid index operation", hint).at((*range).clone()));
        }
    };
    if let Some(attribute) = schema.attributes.get(name) {
        return of_type(&attribute.value_type(), rest);
    }
    if let Some(nested) = schema.blocks.get(name) {
        return match nested.nesting {
            Nesting::Single | Nesting::Group => block(&nested.block, rest),
            _ if rest.is_empty() => Ok(()),
            Nesting::Map => block(&nested.block, rest.get(1..).unwrap_or(&[])),
            Nesting::Set => Err(wrong(
                rest,
                "Cannot index a set value",
                format!(
                    "Block type \"{name}\" is represented by a set of objects, and set elements do not have addressable keys. To find elements matching specific criteria, use a \"for\" expression with an \"if\" clause."
                ),
            )),
            Nesting::List => match rest.split_first() {
                Some(((Step::Index(_), _), after)) => block(&nested.block, after),
                _ => Err(wrong(
                    rest,
                    "Invalid operation",
                    format!(
                        "Block type \"{name}\" is represented by a list of objects, so it must be indexed using a numeric key, like .{name}[0]."
                    ),
                )),
            },
        };
    }
    let mut known: Vec<&str> = schema
        .attributes
        .keys()
        .chain(schema.blocks.keys())
        .map(|k| &**k)
        .collect();
    known.sort_unstable();
    let hint = did_you_mean(name, known.into_iter());
    Err(Diagnostic::error(
        "Unsupported attribute",
        format!(
            "This object has no argument, nested block, or exported attribute named \"{name}\".{hint}"
        ),
    )
    .at((*range).clone()))
}

fn wrong(steps: &[Place<'_>], summary: &str, detail: String) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(summary, detail);
    diagnostic.subject = steps.first().map(|(_, range)| (*range).clone());
    diagnostic
}

/// Attributes that a type does not have. Everything else about types is said when there are values.
fn of_type(ty: &Type, steps: &[Place<'_>]) -> Result<(), Diagnostic> {
    let Some(((step, range), rest)) = steps.split_first() else {
        return Ok(());
    };
    match (ty, step) {
        (Type::Object(object), Step::Attr(name)) => match object.attributes.get(name) {
            Some(inner) => of_type(inner, rest),
            None => Err(Diagnostic::error(
                "Unsupported attribute",
                format!("This object does not have an attribute named \"{name}\"."),
            )
            .at((*range).clone())),
        },
        (Type::List(inner) | Type::Map(inner), Step::Index(_))
        | (Type::Map(inner), Step::Attr(_)) => of_type(inner, rest),
        (Type::String | Type::Number | Type::Bool, Step::Attr(_)) => Err(Diagnostic::error(
            "Unsupported attribute",
            format!(
                "Can't access attributes on a primitive-typed value ({}).",
                ty.friendly_name()
            ),
        )
        .at((*range).clone())),
        _ => Ok(()),
    }
}
