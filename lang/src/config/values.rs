//! `variable`, `output` and `check` blocks, and the rules within them.

use std::sync::Arc;

use stead_value::convert::convert;
use stead_value::{Diagnostic, Diagnostics};

use super::content::{
    Shape, bool_argument, check_labels, check_name, check_shape, missing_argument, string_argument,
};
use super::model::{Check, CheckRule, Output, Variable};
use super::types::{TypeConstraint, parse_type};
use super::{references as lists, resource};
use crate::expr::{StaticReference, Target, evaluate_constant, references};
use crate::syntax::{Block, Expression};

const VARIABLE: Shape = Shape {
    attributes: &[
        "description",
        "default",
        "type",
        "sensitive",
        "ephemeral",
        "nullable",
        "deprecated",
    ],
    required: &[],
    blocks: &["validation"],
};

/// Names that mean something else in a `module` block.
const RESERVED: [&str; 8] = [
    "source",
    "version",
    "providers",
    "count",
    "for_each",
    "lifecycle",
    "depends_on",
    "locals",
];

pub(crate) fn variable(block: &Block, diagnostics: &mut Diagnostics) -> Option<Variable> {
    check_labels(block, &["name"], diagnostics).then_some(())?;
    check_shape(&block.body, &VARIABLE, diagnostics);
    let label = block.labels.first()?;
    let name_range = block.body.range(label.span);
    if RESERVED.contains(&&*label.text) {
        diagnostics.push(
            Diagnostic::error(
                "Invalid variable name",
                format!("The variable name \"{}\" is reserved due to its special meaning inside module blocks.", label.text),
            )
            .at(name_range),
        );
    } else {
        check_name(&label.text, name_range, "variable name", diagnostics);
    }
    let constraint = match block.body.attribute("type") {
        Some(attribute) => {
            let (constraint, problems) = parse_type(&attribute.expr);
            diagnostics.extend(problems);
            constraint
        }
        None => TypeConstraint::default(),
    };
    let nullable = bool_argument(&block.body, "nullable", diagnostics).unwrap_or(true);
    let default = block
        .body
        .attribute("default")
        .and_then(|a| default(&a.expr, &constraint, nullable, diagnostics));
    let variable = Variable {
        name: Arc::clone(&label.text),
        default,
        nullable,
        sensitive: bool_argument(&block.body, "sensitive", diagnostics).unwrap_or(false),
        ephemeral: bool_argument(&block.body, "ephemeral", diagnostics).unwrap_or(false),
        description: string_argument(&block.body, "description", diagnostics)
            .as_deref()
            .unwrap_or("")
            .to_owned(),
        deprecated: string_argument(&block.body, "deprecated", diagnostics).map(|s| s.to_string()),
        validations: rules(block, "validation", diagnostics),
        constraint,
        range: block.header_range(),
    };
    check_validations(&variable, diagnostics);
    Some(variable)
}

fn default(
    expr: &Expression,
    constraint: &TypeConstraint,
    nullable: bool,
    diagnostics: &mut Diagnostics,
) -> Option<stead_value::Value> {
    let outcome = evaluate_constant(expr);
    if outcome.diagnostics.has_errors() {
        diagnostics.extend(outcome.diagnostics);
        return None;
    }
    let summary = "Invalid default value for variable";
    if outcome.value.is_null() && !nullable {
        diagnostics.push(
            Diagnostic::error(
                summary,
                "A null default value is not valid when nullable=false.",
            )
            .at(expr.range()),
        );
        return None;
    }
    match convert(&constraint.defaults.apply(&outcome.value), &constraint.ty) {
        Ok(value) => Some(value),
        Err(error) => {
            let path = if error.path.is_root() {
                String::new()
            } else {
                format!("{}: ", error.path)
            };
            diagnostics.push(
                Diagnostic::error(
                    summary,
                    format!("This default value is not compatible with the variable's type constraint: {path}{error}."),
                )
                .at(expr.range()),
            );
            None
        }
    }
}

const OUTPUT: Shape = Shape {
    attributes: &[
        "description",
        "value",
        "depends_on",
        "sensitive",
        "ephemeral",
        "deprecated",
    ],
    required: &["value"],
    blocks: &["precondition"],
};

pub(crate) fn output(block: &Block, diagnostics: &mut Diagnostics) -> Option<Output> {
    check_labels(block, &["name"], diagnostics).then_some(())?;
    check_shape(&block.body, &OUTPUT, diagnostics);
    let label = block.labels.first()?;
    check_name(
        &label.text,
        block.body.range(label.span),
        "output name",
        diagnostics,
    );
    Some(Output {
        name: Arc::clone(&label.text),
        value: block.body.attribute("value")?.expr.clone(),
        sensitive: bool_argument(&block.body, "sensitive", diagnostics).unwrap_or(false),
        ephemeral: bool_argument(&block.body, "ephemeral", diagnostics).unwrap_or(false),
        description: string_argument(&block.body, "description", diagnostics)
            .as_deref()
            .unwrap_or("")
            .to_owned(),
        deprecated: string_argument(&block.body, "deprecated", diagnostics).map(|s| s.to_string()),
        depends_on: lists::depends_on(&mut block.body.clone(), diagnostics),
        preconditions: rules(block, "precondition", diagnostics),
        range: block.header_range(),
    })
}

const RULE: Shape = Shape {
    attributes: &["condition", "error_message"],
    required: &[],
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
    check_labels(block, &[], diagnostics);
    check_shape(&block.body, &RULE, diagnostics);
    for name in ["condition", "error_message"] {
        if block.body.attribute(name).is_none() {
            diagnostics.push(missing_argument(&block.body, name));
        }
    }
    if let Some(condition) = block.body.attribute("condition") {
        let (found, problems) = references(&condition.expr);
        if found.is_empty() && !problems.has_errors() {
            diagnostics.push(
                Diagnostic::error(
                    format!("Invalid {} expression", block.kind),
                    "The condition expression must refer to at least one object from elsewhere in the configuration, or else \
                     its result would not be checking anything.",
                )
                .at(condition.expr.range()),
            );
        }
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

pub(crate) fn check(block: Block, diagnostics: &mut Diagnostics) -> Option<Check> {
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
    let asserts = rules(&block, "assert", diagnostics);
    if asserts.is_empty() {
        diagnostics.push(
            Diagnostic::error(
                "Zero assert blocks",
                "Check blocks must have at least one assert block.",
            )
            .at(range.clone()),
        );
    }
    let mut data = None;
    for inner in block.body.blocks.into_iter().filter(|b| &*b.kind == "data") {
        if data.is_some() {
            diagnostics.push(
                Diagnostic::error(
                    "Multiple data resource blocks",
                    "A check block can hold at most one data resource.",
                )
                .at(inner.header_range()),
            );
        } else {
            data = resource::resource(inner, resource::Place::Check, diagnostics);
        }
    }
    Some(Check {
        name: label.text,
        data,
        asserts,
        range,
    })
}
