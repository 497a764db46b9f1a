//! Blocks to a module: which block goes where, and what may stand once only.

use std::sync::Arc;

use indexmap::map::Entry;
use stead_value::addr::ResourceMode;
use stead_value::{Diagnostic, Diagnostics, SourceRange};

use super::content::{check_labels, check_name, place, unsupported_argument, unsupported_block};
use super::model::{Local, Module};
use super::{modules, providers, refactor, resource, terraform, values};
use crate::syntax::{Block, Body};

const BLOCKS: [&str; 13] = [
    "terraform",
    "variable",
    "locals",
    "output",
    "provider",
    "resource",
    "data",
    "ephemeral",
    "module",
    "moved",
    "removed",
    "import",
    "check",
];

/// Adds everything that a file's body declares.
pub(crate) fn add_file(module: &mut Module, body: Body, diagnostics: &mut Diagnostics) {
    for attribute in body.attributes.values() {
        diagnostics.push(unsupported_argument(
            attribute,
            std::iter::empty(),
            BLOCKS.into_iter(),
        ));
    }
    for block in body.blocks {
        add_block(module, block, diagnostics);
    }
}

fn add_block(module: &mut Module, block: Block, diagnostics: &mut Diagnostics) {
    match &*block.kind {
        "terraform" => {
            if check_labels(&block, &[], diagnostics) {
                terraform::add(&mut module.terraform, block, diagnostics);
            }
        }
        "locals" => {
            if check_labels(&block, &[], diagnostics) {
                add_locals(module, block, diagnostics);
            }
        }
        "variable" => {
            if let Some(variable) = values::variable(&block, diagnostics) {
                let range = variable.range.clone();
                let what = |n: &str| {
                    (
                        "Duplicate variable declaration".into(),
                        format!("A variable named \"{n}\""),
                    )
                };
                insert(
                    &mut module.variables,
                    variable.name.clone(),
                    variable,
                    range,
                    |v| &v.range,
                    what,
                    "Variable names must be unique within a module.",
                    diagnostics,
                );
            }
        }
        "output" => {
            if let Some(output) = values::output(&block, diagnostics) {
                let range = output.range.clone();
                let what = |n: &str| {
                    (
                        "Duplicate output definition".into(),
                        format!("An output named \"{n}\""),
                    )
                };
                insert(
                    &mut module.outputs,
                    output.name.clone(),
                    output,
                    range,
                    |v| &v.range,
                    what,
                    "Output names must be unique within a module.",
                    diagnostics,
                );
            }
        }
        "provider" => {
            if let Some(provider) = providers::config(block, diagnostics) {
                let range = provider.range.clone();
                let name = provider.name.clone();
                let shown = name.to_string();
                let detail = if name.alias.is_some() {
                    "Each configuration for the same provider must have a distinct alias."
                } else {
                    "If multiple configurations are required, set the \"alias\" argument for alternative configurations."
                };
                let what = |_: &str| {
                    (
                        "Duplicate provider configuration".into(),
                        format!("A configuration for provider \"{shown}\""),
                    )
                };
                insert_as(
                    &mut module.providers,
                    name,
                    provider,
                    range,
                    |v| &v.range,
                    what(&shown),
                    detail,
                    diagnostics,
                );
            }
        }
        "resource" | "data" | "ephemeral" => {
            if let Some(resource) = resource::resource(block, resource::Place::Module, diagnostics)
            {
                let range = resource.range.clone();
                let addr = resource.addr.clone();
                let kind = match addr.mode {
                    ResourceMode::Managed => "resource",
                    ResourceMode::Data => "data resource",
                    ResourceMode::Ephemeral => "ephemeral resource",
                };
                let what = (
                    format!(
                        "Duplicate {} \"{}\" configuration",
                        addr.mode.keyword(),
                        addr.type_name
                    ),
                    format!("A {} {kind} named \"{}\"", addr.type_name, addr.name),
                );
                insert_as(
                    &mut module.resources,
                    addr,
                    resource,
                    range,
                    |v| &v.range,
                    what,
                    "Resource names must be unique per type in each module.",
                    diagnostics,
                );
            }
        }
        "module" => {
            if let Some(call) = modules::call(block, diagnostics) {
                let range = call.range.clone();
                let what = |n: &str| {
                    (
                        "Duplicate module call".into(),
                        format!("A module call named \"{n}\""),
                    )
                };
                insert(
                    &mut module.calls,
                    call.name.clone(),
                    call,
                    range,
                    |v| &v.range,
                    what,
                    "Module calls must have unique names within a module.",
                    diagnostics,
                );
            }
        }
        "moved" => module.moved.extend(refactor::moved(&block, diagnostics)),
        "removed" => module.removed.extend(refactor::removed(block, diagnostics)),
        "import" => module.imports.extend(refactor::import(&block, diagnostics)),
        "check" => {
            if let Some(check) = values::check(block, diagnostics) {
                let range = check.range.clone();
                let what = |n: &str| {
                    (
                        format!("Duplicate check \"{n}\" configuration"),
                        format!("A check block named \"{n}\""),
                    )
                };
                insert(
                    &mut module.checks,
                    check.name.clone(),
                    check,
                    range,
                    |v| &v.range,
                    what,
                    "Check blocks must be unique within each module.",
                    diagnostics,
                );
            }
        }
        "action" => not_supported(&block, "Actions", diagnostics),
        "list" => not_supported(&block, "List resources", diagnostics),
        _ => diagnostics.push(unsupported_block(
            &block,
            BLOCKS.into_iter(),
            std::iter::empty(),
        )),
    }
}

/// Refuses a part of the language by name.
pub(crate) fn not_supported(block: &Block, what: &str, diagnostics: &mut Diagnostics) {
    diagnostics.push(
        Diagnostic::error(
            format!("{what} are not supported yet"),
            format!("A block of type \"{}\" is valid Terraform, but stead can't act on it yet. Remove it, or keep this configuration with Terraform for now.", block.kind),
        )
        .at(block.header_range()),
    );
}

fn add_locals(module: &mut Module, block: Block, diagnostics: &mut Diagnostics) {
    for inner in &block.body.blocks {
        diagnostics.push(unsupported_block(
            inner,
            std::iter::empty(),
            std::iter::empty(),
        ));
    }
    for (name, attribute) in block.body.attributes {
        let range = attribute.name_range();
        if !check_name(&name, range.clone(), "local value name", diagnostics) {
            continue;
        }
        let local = Local {
            name: Arc::clone(&name),
            value: attribute.expr,
            range: range.clone(),
        };
        let what = |n: &str| {
            (
                "Duplicate local value definition".into(),
                format!("A local value named \"{n}\""),
            )
        };
        insert(
            &mut module.locals,
            name,
            local,
            range,
            |v| &v.range,
            what,
            "Local value names must be unique within a module.",
            diagnostics,
        );
    }
}

fn insert<V>(
    map: &mut indexmap::IndexMap<Arc<str>, V>,
    name: Arc<str>,
    value: V,
    range: SourceRange,
    range_of: impl Fn(&V) -> &SourceRange,
    what: impl Fn(&str) -> (String, String),
    rule: &str,
    diagnostics: &mut Diagnostics,
) {
    let what = what(&name);
    insert_as(map, name, value, range, range_of, what, rule, diagnostics);
}

/// Inserts what is new; reports what was declared before. `what` is the summary, and the object's description.
fn insert_as<K: std::hash::Hash + Eq, V>(
    map: &mut indexmap::IndexMap<K, V>,
    key: K,
    value: V,
    range: SourceRange,
    range_of: impl Fn(&V) -> &SourceRange,
    what: (String, String),
    rule: &str,
    diagnostics: &mut Diagnostics,
) {
    match map.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(value);
        }
        Entry::Occupied(entry) => {
            let first = place(range_of(entry.get()));
            let (summary, object) = what;
            diagnostics.push(
                Diagnostic::error(
                    summary,
                    format!("{object} was already declared at {first}. {rule}"),
                )
                .at(range),
            );
        }
    }
}
