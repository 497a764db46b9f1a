//! `run` blocks.

use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::{Diagnostic, Diagnostics, SourceRange, Type};

use super::{Expectation, Expected, PlanOptions, TestCommand, TestModule, TestRun, blocks, mock};
use crate::config::content::{
    Shape, bool_argument, check_labels, check_name, check_shape, constant, place, string_argument,
};
use crate::config::source::ModuleSource;
use crate::config::{modules, statics, terraform, values};
use crate::expr::{StaticReference, Target, static_reference};
use crate::syntax::{Attribute, Block, Expression, Name, Step, StepKind};

const RUN: Shape = Shape {
    attributes: &[
        "command",
        "providers",
        "expect_failures",
        "state_key",
        "parallel",
        "skip_cleanup",
    ],
    required: &[],
    blocks: &[
        "plan_options",
        "assert",
        "variables",
        "module",
        "override_resource",
        "override_data",
        "override_module",
        "backend",
    ],
};

pub(super) fn run(block: Block, parallel: bool, diagnostics: &mut Diagnostics) -> Option<TestRun> {
    check_labels(&block, &["name"], diagnostics).then_some(())?;
    let range = block.header_range();
    let label = block.labels.first()?.clone();
    let mut body = block.body;
    check_shape(&body, &RUN, diagnostics);
    check_name(
        &label.text,
        body.range(label.span),
        "run block name",
        diagnostics,
    );
    let blocks = std::mem::take(&mut body.blocks);
    let providers = match body.attributes.shift_remove("providers") {
        Some(attribute) => modules::passed_providers(&attribute.expr, diagnostics),
        None => Vec::new(),
    };
    blocks::refuse_skip_cleanup(&body, diagnostics);
    let mut run = TestRun {
        name: label.text,
        command: command(body.attribute("command"), diagnostics),
        options: PlanOptions::default(),
        variables: IndexMap::new(),
        overrides: Vec::new(),
        providers,
        asserts: Vec::new(),
        expect_failures: expectations(body.attribute("expect_failures"), diagnostics),
        module: None,
        state_key: string_argument(&body, "state_key", diagnostics).map(|key| key.to_string()),
        parallel: bool_argument(&body, "parallel", diagnostics).unwrap_or(parallel),
        range,
    };
    let mut options_at: Option<SourceRange> = None;
    let mut variables_at: Option<SourceRange> = None;
    for block in blocks {
        match &*block.kind {
            "assert" => run.asserts.extend(values::rule(&block, diagnostics)),
            "plan_options" => {
                let before = diagnostics.len();
                if first(&mut options_at, &block, diagnostics) {
                    run.options = plan_options(&block, diagnostics);
                }
                // One with mistakes does not count: the next one is not one too many.
                if diagnostics.len() > before {
                    options_at = None;
                }
            }
            "variables" => {
                let found =
                    blocks::variables(block, &mut variables_at, "This run block", diagnostics);
                run.variables.extend(found.into_iter().flatten());
            }
            "module" => {
                let mut seen = run.module.as_ref().map(|m| m.range.clone());
                if first(&mut seen, &block, diagnostics) {
                    run.module = module(&block, diagnostics);
                }
            }
            "override_resource" | "override_data" | "override_module" => {
                if let Some(found) = mock::object(&block, false, diagnostics) {
                    mock::add_override(&mut run.overrides, found, &block.kind, diagnostics);
                }
            }
            "backend" => diagnostics.push(
                Diagnostic::error(
                    "Invalid block",
                    "The backend block is not supported within run blocks yet: a test's state is kept in memory.",
                )
                .at(block.header_range()),
            ),
            _ => {}
        }
    }
    Some(run)
}

/// Whether this is the first block of its kind; another one is reported.
fn first(seen: &mut Option<SourceRange>, block: &Block, diagnostics: &mut Diagnostics) -> bool {
    let kind = &block.kind;
    let range = block.header_range();
    match seen {
        None => {
            *seen = Some(range);
            true
        }
        Some(first) => {
            diagnostics.push(
                Diagnostic::error(
                    format!("Multiple \"{kind}\" blocks"),
                    format!(
                        "This run block already has a {kind} block defined at {}.",
                        place(first)
                    ),
                )
                .at(range),
            );
            false
        }
    }
}

fn command(attribute: Option<&Attribute>, diagnostics: &mut Diagnostics) -> TestCommand {
    let Some(attribute) = attribute else {
        return TestCommand::default();
    };
    match statics::keyword(&attribute.expr).as_deref() {
        Some("apply") => TestCommand::Apply,
        Some("plan") => TestCommand::Plan,
        _ => {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid \"command\" keyword",
                    "The \"command\" argument requires one of the following keywords without quotes: apply or plan.",
                )
                .at(attribute.expr.range()),
            );
            TestCommand::default()
        }
    }
}

const OPTIONS: Shape = Shape {
    attributes: &["mode", "refresh", "replace", "target"],
    required: &[],
    blocks: &[],
};

fn plan_options(block: &Block, diagnostics: &mut Diagnostics) -> PlanOptions {
    check_labels(block, &[], diagnostics);
    let body = &block.body;
    check_shape(body, &OPTIONS, diagnostics);
    let list = |name: &str, diagnostics: &mut Diagnostics| match body.attribute(name) {
        Some(attribute) => {
            let found = references(&attribute.expr, diagnostics).into_iter();
            found.map(|(read, _)| read).collect()
        }
        None => Vec::new(),
    };
    let mut options = PlanOptions {
        refresh: bool_argument(body, "refresh", diagnostics).unwrap_or(true),
        replace: list("replace", diagnostics),
        target: list("target", diagnostics),
        refresh_only: false,
    };
    if let Some(attribute) = body.attribute("mode") {
        // The word has a dash in it: it is one name all the same.
        match statics::keyword(&attribute.expr).as_deref() {
            Some("refresh-only") => options.refresh_only = true,
            Some("normal") => {}
            _ => diagnostics.push(
                Diagnostic::error(
                    "Invalid \"mode\" keyword",
                    "The \"mode\" argument requires one of the following keywords without quotes: normal or refresh-only",
                )
                .at(attribute.expr.range()),
            ),
        }
    }
    if options.refresh_only
        && !options.refresh
        && let Some(attribute) = body.attribute("refresh")
    {
        diagnostics.push(
            Diagnostic::error(
                "Incompatible plan options",
                "The \"refresh\" option cannot be set to false when running a test in \"refresh-only\" mode.",
            )
            .at(attribute.range()),
        );
    }
    options
}

/// A list of references with their places. They may still be quoted, as of old.
fn references(expr: &Expression, diagnostics: &mut Diagnostics) -> Vec<(Expression, SourceRange)> {
    let mut found = Vec::new();
    for item in statics::list(expr, diagnostics) {
        let quoted = statics::unquoted(&item);
        if quoted.is_some() {
            diagnostics.push(statics::quoted_reference(item.range()));
        }
        let read = quoted.unwrap_or_else(|| item.clone());
        if statics::traversal(read.node(), read.file()).is_some() {
            found.push((read, item.range()));
        } else {
            diagnostics.push(statics::not_static(item.range()));
        }
    }
    found
}

fn expectations(attribute: Option<&Attribute>, diagnostics: &mut Diagnostics) -> Vec<Expectation> {
    let Some(attribute) = attribute else {
        return Vec::new();
    };
    let items = references(&attribute.expr, diagnostics);
    items
        .iter()
        .map(|(item, range)| Expectation {
            subject: expected(item),
            range: range.clone(),
        })
        .collect()
}

fn expected(item: &Expression) -> Expected {
    let Some((root, steps)) = statics::traversal(item.node(), item.file()) else {
        return Expected::Invalid(statics::not_static(item.range()));
    };
    match &*root {
        "output" => single(item, &root, &steps, Expected::Output),
        "check" => single(item, &root, &steps, Expected::Check),
        "run" => single(item, &root, &steps, |name| {
            Expected::Other(format!("run.{name}"))
        }),
        _ => {
            let name = Name {
                text: root,
                span: item.span(),
            };
            match static_reference(item.file(), &name, &steps) {
                Ok(reference) => subject(reference, item),
                Err(bad) => Expected::Invalid(bad.diagnostic(item.file())),
            }
        }
    }
}

/// `output.NAME` and its like.
fn single(
    item: &Expression,
    root: &str,
    steps: &[Step],
    subject: impl FnOnce(Arc<str>) -> Expected,
) -> Expected {
    let wrong = |detail: String| {
        Expected::Invalid(Diagnostic::error("Invalid reference", detail).at(item.range()))
    };
    match steps.first().map(|s| &s.kind) {
        Some(StepKind::Attr(name)) => subject(Arc::clone(name)),
        Some(_) => wrong(format!(
            "The \"{root}\" object does not support this operation."
        )),
        None => wrong(format!(
            "The \"{root}\" object cannot be accessed directly. Instead, access one of its attributes."
        )),
    }
}

fn subject(reference: StaticReference, item: &Expression) -> Expected {
    match reference.target {
        Target::Variable(name) => Expected::Variable(name),
        Target::Resource {
            resource,
            key: Some(key),
        } => Expected::Instance(resource, key),
        Target::Resource { resource, .. } => Expected::Resource(resource),
        _ => Expected::Other(item.text().to_owned()),
    }
}

const MODULE: Shape = Shape {
    attributes: &["source", "version"],
    required: &[],
    blocks: &[],
};

fn module(block: &Block, diagnostics: &mut Diagnostics) -> Option<TestModule> {
    check_labels(block, &[], diagnostics);
    let body = &block.body;
    check_shape(body, &MODULE, diagnostics);
    let version = body
        .attribute("version")
        .and_then(|a| terraform::version_constraint(a, diagnostics));
    let Some(attribute) = body.attribute("source") else {
        diagnostics.push(
            Diagnostic::error(
                "Missing \"source\" attribute for module block",
                "You must specify a source attribute when executing alternate modules during test executions.",
            )
            .at(block.header_range()),
        );
        return None;
    };
    let versioned = body.attribute("version").is_some();
    let value = constant(&attribute.expr, &Type::String, diagnostics)?;
    let source = modules::parse_source(&value, versioned)
        .map_err(|d| diagnostics.push(d.at(attribute.range())))
        .ok()?;
    if let ModuleSource::Remote(_) = source {
        diagnostics.push(
            Diagnostic::error(
                "Invalid module source address",
                "Only local or registry module sources are currently supported from within test run blocks.",
            )
            .at(attribute.range()),
        );
    }
    Some(TestModule {
        source,
        version,
        source_range: attribute.range(),
        range: block.header_range(),
        tree: None,
    })
}
