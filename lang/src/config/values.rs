//! `variable`, `output` and `check` blocks, and the rules within them.

use std::sync::Arc;

use stead_value::convert::convert;
use stead_value::{Diagnostic, Diagnostics};

use super::content::{
    Shape, before, bool_argument, check_labels, check_name, check_shape, place, string_argument,
};
use super::model::{Check, CheckRule, Deprecated, Output, Resource, Variable};
use super::overrides::{Overridden, OverriddenVariable};
use super::types::{TypeConstraint, parse_type};
use super::{references as lists, resource};
use crate::expr::{StaticReference, Target, evaluate_constant, references, root_names};
use crate::syntax::{Block, Body, Expression};

const VARIABLE: Shape = Shape {
    attributes: &[
        "description",
        "default",
        "type",
        "sensitive",
        "ephemeral",
        "nullable",
        "deprecated",
        "const",
    ],
    required: &[],
    blocks: &["validation"],
};

/// Names that mean something else in a `module` block.
const RESERVED: [&str; 10] = [
    "source",
    "version",
    "count",
    "for_each",
    "depends_on",
    "providers",
    "_",
    "lifecycle",
    "locals",
    "provider",
];

pub(crate) fn variable(
    block: &Block,
    overridden: &Overridden,
    diagnostics: &mut Diagnostics,
) -> Option<Variable> {
    check_labels(block, &["name"], diagnostics).then_some(())?;
    let body = &block.body;
    check_shape(body, &VARIABLE, diagnostics);
    let label = block.labels.first()?;
    let name_range = body.range(label.span);
    check_name(
        &label.text,
        name_range.clone(),
        "variable name",
        diagnostics,
    );
    if RESERVED.contains(&&*label.text) {
        diagnostics.push(
            Diagnostic::error(
                "Invalid variable name",
                format!("The variable name \"{}\" is reserved due to its special meaning inside module blocks.", label.text),
            )
            .at(name_range),
        );
    }
    let description = string_argument(body, "description", diagnostics);
    let constraint = type_argument(body, diagnostics);
    let flag = |name: &str, diagnostics: &mut Diagnostics| {
        bool_argument(body, name, diagnostics).unwrap_or(false)
    };
    let sensitive = flag("sensitive", diagnostics);
    let ephemeral = flag("ephemeral", diagnostics);
    let constant = flag("const", diagnostics);
    let nullable = match body.attribute("nullable") {
        Some(_) => flag("nullable", diagnostics),
        None => true,
    };
    let default = body.attribute("default").and_then(|a| {
        let change = overridden.variable(&label.text);
        default(&a.expr, &constraint, nullable, change, diagnostics)
    });
    let variable = Variable {
        name: Arc::clone(&label.text),
        default,
        nullable,
        sensitive,
        ephemeral,
        constant,
        description: description.as_deref().unwrap_or("").to_owned(),
        deprecated: deprecated(body, diagnostics),
        validations: rules(block, "validation", diagnostics),
        constraint,
        range: block.header_range(),
    };
    check_validations(&variable, diagnostics);
    Some(variable)
}

/// The `type` of a variable or an output.
fn type_argument(body: &Body, diagnostics: &mut Diagnostics) -> TypeConstraint {
    let Some(attribute) = body.attribute("type") else {
        return TypeConstraint::default();
    };
    let (constraint, problems) = parse_type(&attribute.expr);
    diagnostics.extend(problems);
    constraint
}

fn default(
    expr: &Expression,
    constraint: &TypeConstraint,
    nullable: bool,
    change: Option<&OverriddenVariable>,
    diagnostics: &mut Diagnostics,
) -> Option<stead_value::Value> {
    let outcome = evaluate_constant(expr);
    let failed = outcome.diagnostics.has_errors();
    diagnostics.extend(outcome.diagnostics);
    if failed {
        // The variable has a default, even though a wrong one.
        return Some(stead_value::Value::unknown(
            constraint.ty.without_optional(),
        ));
    }
    // An override file that gives both type and default is to blame like any other.
    let change = change.filter(|c| !(c.has_type && c.has_default));
    let at = || change.map_or_else(|| expr.range(), |c| c.range.clone());
    let summary = "Invalid default value for variable";
    let value = if outcome.value.is_null() {
        outcome.value
    } else {
        constraint.defaults.apply(&outcome.value)
    };
    match convert(&value, &constraint.ty) {
        Ok(value) => {
            if value.is_null() && !nullable {
                let detail = "A null default value is not valid when nullable=false.";
                diagnostics.push(Diagnostic::error(summary, detail).at(at()));
            }
            Some(value)
        }
        Err(error) => {
            let why = match change.map(|c| (c.has_type, c.has_default)) {
                None => "This default value is not compatible with the variable's type constraint",
                Some((true, false)) => {
                    "Overriding this variable's type constraint has made its default value invalid"
                }
                Some((false, true)) => {
                    "The overridden default value for this variable is not compatible with the variable's type constraint"
                }
                Some(_) => {
                    "This variable's default value is not compatible with its type constraint"
                }
            };
            let path = before(&error.path);
            diagnostics.push(Diagnostic::error(summary, format!("{why}: {path}{error}.")).at(at()));
            Some(stead_value::Value::unknown(
                constraint.ty.without_optional(),
            ))
        }
    }
}

fn deprecated(body: &Body, diagnostics: &mut Diagnostics) -> Option<Deprecated> {
    let message = string_argument(body, "deprecated", diagnostics)?;
    Some(Deprecated {
        message: message.to_string(),
        range: body.attribute("deprecated")?.range(),
    })
}

const OUTPUT: Shape = Shape {
    attributes: &[
        "description",
        "value",
        "depends_on",
        "sensitive",
        "ephemeral",
        "deprecated",
        "type",
    ],
    required: &["value"],
    blocks: &["precondition", "postcondition"],
};

pub(crate) fn output(block: Block, diagnostics: &mut Diagnostics) -> Option<Output> {
    check_labels(&block, &["name"], diagnostics).then_some(())?;
    check_shape(&block.body, &OUTPUT, diagnostics);
    let range = block.header_range();
    let label = block.labels.first()?;
    check_name(
        &label.text,
        block.body.range(label.span),
        "output name",
        diagnostics,
    );
    let body = &block.body;
    let description = string_argument(body, "description", diagnostics);
    let constraint = type_argument(body, diagnostics);
    let sensitive = bool_argument(body, "sensitive", diagnostics).unwrap_or(false);
    let ephemeral = bool_argument(body, "ephemeral", diagnostics).unwrap_or(false);
    let deprecated = deprecated(body, diagnostics);
    for inner in body.blocks_of("postcondition") {
        diagnostics.push(
            Diagnostic::error(
                "Postconditions are not allowed",
                "Output values can only have preconditions, not postconditions.",
            )
            .at(body.range(inner.kind_span)),
        );
    }
    let preconditions = rules(&block, "precondition", diagnostics);
    let name = Arc::clone(&label.text);
    let mut body = block.body;
    let depends_on = lists::depends_on(&mut body, diagnostics);
    Some(Output {
        name,
        constraint,
        value: body.attribute("value")?.expr.clone(),
        sensitive,
        ephemeral,
        description: description.as_deref().unwrap_or("").to_owned(),
        deprecated,
        depends_on,
        preconditions,
        range,
    })
}

const RULE: Shape = Shape {
    attributes: &["condition", "error_message"],
    required: &["condition", "error_message"],
    blocks: &[],
};

/// A validation that does not look at its variable, or looks at nothing, checks nothing.
fn check_validations(variable: &Variable, diagnostics: &mut Diagnostics) {
    for rule in &variable.validations {
        let (found, _) = references(&rule.condition);
        let itself = |r: &StaticReference| matches!(&r.target, Target::Variable(name) if *name == variable.name);
        if !found.iter().any(itself) {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid variable validation condition",
                    format!(
                        "The condition for variable \"{0}\" must refer to var.{0} in order to test incoming values.",
                        variable.name
                    ),
                )
                .at(rule.condition.range()),
            );
        }
    }
}

/// The blocks of this kind, each a condition with its message.
pub(crate) fn rules(block: &Block, kind: &str, diagnostics: &mut Diagnostics) -> Vec<CheckRule> {
    block
        .body
        .blocks_of(kind)
        .filter_map(|inner| rule(inner, diagnostics))
        .collect()
}

pub(crate) fn rule(block: &Block, diagnostics: &mut Diagnostics) -> Option<CheckRule> {
    check_labels(block, &[], diagnostics).then_some(())?;
    check_shape(&block.body, &RULE, diagnostics);
    if let Some(condition) = block.body.attribute("condition")
        && root_names(&condition.expr).is_empty()
    {
        diagnostics.push(
            Diagnostic::error(
                format!("Invalid {} expression", block.kind),
                "The condition expression must refer to at least one object from elsewhere in the configuration, or else \
                 its result would not be checking anything.",
            )
            .at(condition.expr.range()),
        );
    }
    Some(CheckRule {
        condition: block.body.attribute("condition")?.expr.clone(),
        error_message: block.body.attribute("error_message")?.expr.clone(),
        range: block.header_range(),
    })
}

const CHECK: Shape = Shape {
    attributes: &[],
    required: &[],
    blocks: &["data", "assert"],
};

/// Reads a check block; its data source comes beside it.
pub(crate) fn check(
    block: Block,
    diagnostics: &mut Diagnostics,
) -> Option<(Check, Option<Resource>)> {
    check_labels(&block, &["name"], diagnostics).then_some(())?;
    check_shape(&block.body, &CHECK, diagnostics);
    let range = block.header_range();
    let label = block.labels.first()?.clone();
    check_name(
        &label.text,
        block.body.range(label.span),
        "check block name",
        diagnostics,
    );
    let mut asserts = Vec::new();
    for inner in block.body.blocks_of("assert") {
        let mut problems = Diagnostics::new();
        let read = rule(inner, &mut problems);
        asserts.extend(read.filter(|_| !problems.has_errors()));
        diagnostics.extend(problems);
    }
    if asserts.is_empty() {
        diagnostics.push(
            Diagnostic::error(
                "Zero assert blocks",
                "Check blocks must have at least one assert block.",
            )
            .at(range.clone()),
        );
    }
    let mut data: Option<Resource> = None;
    for inner in block.body.blocks.into_iter().filter(|b| &*b.kind == "data") {
        let first = data.as_ref().map(|d| place(&d.range));
        if let Some(first) = first {
            diagnostics.push(
                Diagnostic::error(
                    "Multiple data resource blocks",
                    format!("This check block already has a data resource defined at {first}."),
                )
                .at(inner.header_range()),
            );
        } else {
            let mut problems = Diagnostics::new();
            let read = resource::resource(inner, resource::Place::Check, &mut problems);
            data = read.filter(|_| !problems.has_errors());
            diagnostics.extend(problems);
        }
    }
    let check = Check {
        name: Arc::clone(&label.text),
        data: data.as_ref().map(|d| d.addr.clone()),
        asserts,
        range,
    };
    let data = data.map(|data| Resource {
        check: Some(label.text),
        ..data
    });
    Some((check, data))
}
