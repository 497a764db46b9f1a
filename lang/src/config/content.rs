//! Taking a block's arguments and nested blocks apart, and refusing what does not belong there.

use std::sync::Arc;

use stead_value::convert::convert;
use stead_value::{Diagnostic, Diagnostics, Path, SourceRange, Step, Type, Value};

use super::statics::start_range;
use crate::expr::evaluate_constant;
use crate::suggest::{did_you_mean, nearest};
use crate::syntax::{Attribute, Block, Body, Expression};

/// Reports the first block of a body that may hold arguments only.
pub(crate) fn only_attributes(body: &Body, diagnostics: &mut Diagnostics) {
    if let Some(block) = body.blocks.first() {
        diagnostics.push(
            Diagnostic::error(
                format!("Unexpected \"{}\" block", block.kind),
                "Blocks are not allowed here.",
            )
            .at(body.range(block.kind_span)),
        );
    }
}

/// What a block may hold.
pub(crate) struct Shape {
    pub(crate) attributes: &'static [&'static str],
    pub(crate) required: &'static [&'static str],
    pub(crate) blocks: &'static [&'static str],
}

/// Reports what the body holds beyond its shape, and what it lacks.
pub(crate) fn check_shape(body: &Body, shape: &Shape, diagnostics: &mut Diagnostics) {
    for attribute in body.attributes.values() {
        if !shape.attributes.contains(&&*attribute.name) {
            let unset = |name: &&str| !body.attributes.contains_key(*name);
            diagnostics.push(unsupported_argument(
                attribute,
                shape.attributes.iter().copied().filter(unset),
                shape.blocks.iter().copied(),
            ));
        }
    }
    for block in &body.blocks {
        if !shape.blocks.contains(&&*block.kind) {
            diagnostics.push(unsupported_block(
                block,
                shape.blocks.iter().copied(),
                shape.attributes.iter().copied(),
            ));
        }
    }
    for name in shape.required {
        if !body.attributes.contains_key(*name) {
            diagnostics.push(missing_argument(body, name));
        }
    }
}

pub(crate) fn unsupported_argument<'a>(
    attribute: &Attribute,
    attributes: impl Iterator<Item = &'a str>,
    mut blocks: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let name = &attribute.name;
    if attribute.expr.file().is_json() {
        let hint = did_you_mean(name, attributes.chain(blocks));
        return Diagnostic::error(
            "Extraneous JSON object property",
            format!("No argument or block type is named \"{name}\".{hint}"),
        )
        .at(attribute.name_range());
    }
    let hint = match nearest(name, attributes) {
        Some(near) => format!(" Did you mean \"{near}\"?"),
        None if blocks.any(|b| *b == **name) => {
            format!(" Did you mean to define a block of type \"{name}\"?")
        }
        None => String::new(),
    };
    Diagnostic::error(
        "Unsupported argument",
        format!("An argument named \"{name}\" is not expected here.{hint}"),
    )
    .at(attribute.name_range())
}

pub(crate) fn unsupported_block<'a>(
    block: &Block,
    blocks: impl Iterator<Item = &'a str>,
    mut attributes: impl Iterator<Item = &'a str>,
) -> Diagnostic {
    let kind = &block.kind;
    let hint = match nearest(kind, blocks) {
        Some(near) => format!(" Did you mean \"{near}\"?"),
        None if attributes.any(|a| *a == **kind) => format!(
            " Did you mean to define argument \"{kind}\"? If so, use the equals sign to assign it a value."
        ),
        None => String::new(),
    };
    Diagnostic::error(
        "Unsupported block type",
        format!("Blocks of type \"{kind}\" are not expected here.{hint}"),
    )
    .at(block.body.range(block.kind_span))
}

pub(crate) fn missing_argument(body: &Body, name: &str) -> Diagnostic {
    Diagnostic::error(
        "Missing required argument",
        format!("The argument \"{name}\" is required, but no definition was found."),
    )
    .at(body.missing_item_range())
}

/// Reports a block whose labels are too few or too many; `names` says what they are.
pub(crate) fn check_labels(block: &Block, names: &[&str], diagnostics: &mut Diagnostics) -> bool {
    let kind = &block.kind;
    let list = names.join(", ");
    let (have, want) = (block.labels.len(), names.len());
    if have == want {
        return true;
    }
    let diagnostic = if have > want {
        let at = block.labels.get(want).map_or(block.kind_span, |l| l.span);
        let detail = if want == 0 {
            format!("No labels are expected for {kind} blocks.")
        } else {
            format!("Only {want} labels ({list}) are expected for {kind} blocks.")
        };
        Diagnostic::error(format!("Extraneous label for {kind}"), detail).at(block.body.range(at))
    } else {
        let missing = names.get(have).copied().unwrap_or("name");
        Diagnostic::error(
            format!("Missing {missing} for {kind}"),
            format!("All {kind} blocks must have {want} labels ({list})."),
        )
        .at(block.body.range(block.open_brace))
    };
    let mut diagnostic = diagnostic;
    diagnostic.context = Some(block.body.range(block.kind_span.to(block.open_brace)));
    diagnostics.push(diagnostic);
    false
}

pub(crate) const BAD_NAME: &str = "A name must start with a letter or underscore and may contain only letters, digits, underscores, and dashes.";

/// Reports a name that is no identifier.
pub(crate) fn check_name(
    name: &str,
    range: SourceRange,
    what: &str,
    diagnostics: &mut Diagnostics,
) -> bool {
    let ok = is_identifier(name);
    if !ok {
        diagnostics.push(Diagnostic::error(format!("Invalid {what}"), BAD_NAME).at(range));
    }
    ok
}

pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|c| c == '_' || unicode_ident::is_xid_start(c))
        && chars.all(|c| c == '-' || unicode_ident::is_xid_continue(c))
}

/// A constant of a type; `None` when it is wrong, which is reported.
pub(crate) fn constant(
    expr: &Expression,
    ty: &Type,
    diagnostics: &mut Diagnostics,
) -> Option<Value> {
    let outcome = evaluate_constant(expr);
    diagnostics.extend(outcome.diagnostics);
    let problem = match convert(&outcome.value, ty) {
        Ok(value) if value.is_null() => "null value is not allowed".to_owned(),
        Ok(value) if !value.is_known() => "value must be known".to_owned(),
        Ok(value) => return Some(value),
        Err(error) => error.to_string(),
    };
    let mut diagnostic = Diagnostic::error(
        "Unsuitable value type",
        format!("Unsuitable value: {problem}"),
    )
    .at(start_range(expr));
    diagnostic.context = Some(expr.range());
    diagnostics.push(diagnostic);
    None
}

/// A constant string argument.
pub(crate) fn string_argument(
    body: &Body,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<str>> {
    let value = constant(&body.attribute(name)?.expr, &Type::String, diagnostics)?;
    value.as_str().map(Into::into)
}

/// A constant boolean argument.
pub(crate) fn bool_argument(
    body: &Body,
    name: &str,
    diagnostics: &mut Diagnostics,
) -> Option<bool> {
    constant(&body.attribute(name)?.expr, &Type::Bool, diagnostics)?.as_bool()
}

/// A place inside a value, before what is said of it: `.a[0]: `; nothing for the value itself.
pub(crate) fn before(path: &Path) -> String {
    match path.steps().first() {
        None => String::new(),
        Some(Step::Attr(_)) => format!(".{path}: "),
        Some(Step::Index(_)) => format!("{path}: "),
    }
}

/// `file:line,column-column`, as messages name another place.
pub(crate) fn place(range: &SourceRange) -> String {
    let (start, end) = (range.start, range.end);
    if start.line == end.line {
        format!(
            "{}:{},{}-{}",
            range.file, start.line, start.column, end.column
        )
    } else {
        format!(
            "{}:{},{}-{},{}",
            range.file, start.line, start.column, end.line, end.column
        )
    }
}
