//! Blocks to a module: which block goes where, and what may stand once only.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry;
use stead_value::addr::ResourceMode;
use stead_value::{Diagnostic, Diagnostics, SourceRange};

use super::content::{
    check_labels, check_name, only_attributes, place, unsupported_argument, unsupported_block,
};
use super::model::{Import, Local, Module, ObjectAddress, Resource};
use super::overrides::Overridden;
use super::{language, modules, providers, refactor, resource, terraform, values};
use crate::syntax::{Block, Body};

const BLOCKS: [&str; 15] = [
    "terraform",
    "language",
    "required_providers",
    "provider",
    "variable",
    "locals",
    "output",
    "module",
    "resource",
    "data",
    "ephemeral",
    "moved",
    "removed",
    "import",
    "check",
];

/// What was declared twice. It is reported after what is wrong within the blocks.
#[derive(Default)]
pub(crate) struct Redeclared {
    found: Diagnostics,
    /// What import blocks with constant addresses have named so far.
    imports: HashMap<ObjectAddress, SourceRange>,
}

impl Redeclared {
    /// `{first}` in the detail becomes the place of the first declaration.
    pub(crate) fn report(
        &mut self,
        summary: &str,
        detail: &str,
        first: &SourceRange,
        again: SourceRange,
    ) {
        let detail = detail.replace("{first}", &place(first));
        self.found
            .push(Diagnostic::error(summary, detail).at(again));
    }

    pub(crate) fn into_diagnostics(self) -> Diagnostics {
        self.found
    }
}

/// Adds everything that a file's body declares.
pub(crate) fn add_file(
    module: &mut Module,
    body: Body,
    overridden: &Overridden,
    redeclared: &mut Redeclared,
    diagnostics: &mut Diagnostics,
) {
    for attribute in body.attributes.values() {
        diagnostics.push(unsupported_argument(
            attribute,
            std::iter::empty(),
            BLOCKS.into_iter(),
        ));
    }
    for block in body.blocks {
        add_block(module, block, overridden, redeclared, diagnostics);
    }
}

fn add_block(
    module: &mut Module,
    block: Block,
    overridden: &Overridden,
    redeclared: &mut Redeclared,
    diagnostics: &mut Diagnostics,
) {
    match &*block.kind {
        "terraform" => {
            if check_labels(&block, &[], diagnostics) {
                terraform::add(&mut module.terraform, block, redeclared, diagnostics);
            }
        }
        "language" => language::check(&block, diagnostics),
        "required_providers" => {
            if check_labels(&block, &[], diagnostics) {
                diagnostics.push(
                    Diagnostic::error(
                        "Invalid required_providers block",
                        "A \"required_providers\" block must be nested inside a \"terraform\" block.",
                    )
                    .at(block.body.range(block.kind_span)),
                );
            }
        }
        "locals" => {
            if check_labels(&block, &[], diagnostics) {
                add_locals(module, block, redeclared, diagnostics);
            }
        }
        "variable" => {
            if let Some(variable) = values::variable(&block, overridden, diagnostics) {
                let rule = |n: &str| {
                    format!(
                        "A variable named \"{n}\" was already declared at {{first}}. Variable names must be unique within a module."
                    )
                };
                let name = Arc::clone(&variable.name);
                let range = variable.range.clone();
                insert(
                    &mut module.variables,
                    name,
                    variable,
                    range,
                    |v| &v.range,
                    "Duplicate variable declaration",
                    rule,
                    redeclared,
                );
            }
        }
        "output" => {
            if let Some(output) = values::output(block, diagnostics) {
                let rule = |n: &str| {
                    format!(
                        "An output named \"{n}\" was already defined at {{first}}. Output names must be unique within a module."
                    )
                };
                let name = Arc::clone(&output.name);
                let range = output.range.clone();
                insert(
                    &mut module.outputs,
                    name,
                    output,
                    range,
                    |v| &v.range,
                    "Duplicate output definition",
                    rule,
                    redeclared,
                );
            }
        }
        "provider" => add_provider(module, block, redeclared, diagnostics),
        "resource" | "data" | "ephemeral" => {
            if let Some(resource) = resource::resource(block, resource::Place::Module, diagnostics)
            {
                add_resource(module, resource, redeclared);
            }
        }
        "module" => {
            if let Some(call) = modules::call(block, diagnostics) {
                let rule = |n: &str| {
                    format!(
                        "A module call named \"{n}\" was already defined at {{first}}. Module calls must have unique names within a module."
                    )
                };
                let name = Arc::clone(&call.name);
                let range = call.range.clone();
                insert(
                    &mut module.calls,
                    name,
                    call,
                    range,
                    |v| &v.range,
                    "Duplicate module call",
                    rule,
                    redeclared,
                );
            }
        }
        "moved" => module.moved.extend(refactor::moved(&block, diagnostics)),
        "removed" => module.removed.extend(refactor::removed(block, diagnostics)),
        "import" => {
            if let Some(import) = refactor::import(&block, diagnostics) {
                add_import(module, import, redeclared);
            }
        }
        "check" => {
            if let Some((check, data)) = values::check(block, diagnostics) {
                if let Some(data) = data {
                    add_resource(module, data, redeclared);
                }
                let rule = |n: &str| {
                    format!(
                        "A check block named \"{n}\" was already declared at {{first}}. Check blocks must be unique within each module."
                    )
                };
                let name = Arc::clone(&check.name);
                let range = check.range.clone();
                let summary = format!("Duplicate check \"{name}\" configuration");
                insert(
                    &mut module.checks,
                    name,
                    check,
                    range,
                    |v| &v.range,
                    &summary,
                    rule,
                    redeclared,
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

fn add_locals(
    module: &mut Module,
    block: Block,
    redeclared: &mut Redeclared,
    diagnostics: &mut Diagnostics,
) {
    only_attributes(&block.body, diagnostics);
    for (name, attribute) in block.body.attributes {
        let range = attribute.range();
        if !check_name(
            &name,
            attribute.name_range(),
            "local value name",
            diagnostics,
        ) {
            continue;
        }
        let local = Local {
            name: Arc::clone(&name),
            value: attribute.expr,
            range: range.clone(),
        };
        let rule = |n: &str| {
            format!(
                "A local value named \"{n}\" was already defined at {{first}}. Local value names must be unique within a module."
            )
        };
        insert(
            &mut module.locals,
            name,
            local,
            range,
            |v| &v.range,
            "Duplicate local value definition",
            rule,
            redeclared,
        );
    }
}

fn add_provider(
    module: &mut Module,
    block: Block,
    redeclared: &mut Redeclared,
    diagnostics: &mut Diagnostics,
) {
    let Some(provider) = providers::config(block, diagnostics) else {
        return;
    };
    let (name, range) = (provider.name.clone(), provider.range.clone());
    let local = Arc::clone(&name.local);
    let alias = name.alias.clone();
    let rule = move |_: &str| match &alias {
        None => format!(
            "A default (non-aliased) provider configuration for \"{local}\" was already given at {{first}}. If multiple configurations are required, set the \"alias\" argument for alternative configurations."
        ),
        Some(alias) => format!(
            "A provider configuration for \"{local}\" with alias \"{alias}\" was already given at {{first}}. Each configuration for the same provider must have a distinct alias."
        ),
    };
    let shown = name.to_string();
    insert_as(
        &mut module.providers,
        name,
        provider,
        range,
        |v| &v.range,
        "Duplicate provider configuration",
        &rule(&shown),
        redeclared,
    );
}

fn add_resource(module: &mut Module, resource: Resource, redeclared: &mut Redeclared) {
    let (addr, range) = (resource.addr.clone(), resource.range.clone());
    let kind = match addr.mode {
        ResourceMode::Managed => "resource",
        ResourceMode::Data => "data resource",
        ResourceMode::Ephemeral => "ephemeral resource",
    };
    let summary = format!(
        "Duplicate {} \"{}\" configuration",
        addr.mode.keyword(),
        addr.type_name
    );
    let detail = format!(
        "A {} {kind} named \"{}\" was already declared at {{first}}. Resource names must be unique per type in each module.",
        addr.type_name, addr.name
    );
    insert_as(
        &mut module.resources,
        addr,
        resource,
        range,
        |v| &v.range,
        &summary,
        &detail,
        redeclared,
    );
}

fn add_import(module: &mut Module, import: Import, redeclared: &mut Redeclared) {
    if let Ok(to) = refactor::object_address(&import.to) {
        let address = to.config_address();
        if let Some(first) = redeclared.imports.get(&to).cloned() {
            redeclared.report(
                &format!("Duplicate import configuration for \"{address}\""),
                &format!("An import block for the resource \"{address}\" was already declared at {{first}}. A resource can have only one import block."),
                &first,
                import.to.range(),
            );
        } else {
            redeclared.imports.insert(to, import.range.clone());
        }
    }
    module.imports.push(import);
}

fn insert<V>(
    map: &mut IndexMap<Arc<str>, V>,
    name: Arc<str>,
    value: V,
    range: SourceRange,
    range_of: impl Fn(&V) -> &SourceRange,
    summary: &str,
    rule: impl Fn(&str) -> String,
    redeclared: &mut Redeclared,
) {
    let detail = rule(&name);
    insert_as(
        map, name, value, range, range_of, summary, &detail, redeclared,
    );
}

/// Inserts what is new; reports what was declared before.
fn insert_as<K: std::hash::Hash + Eq, V>(
    map: &mut IndexMap<K, V>,
    key: K,
    value: V,
    range: SourceRange,
    range_of: impl Fn(&V) -> &SourceRange,
    summary: &str,
    detail: &str,
    redeclared: &mut Redeclared,
) {
    match map.entry(key) {
        Entry::Vacant(entry) => {
            entry.insert(value);
        }
        Entry::Occupied(entry) => {
            redeclared.report(summary, detail, range_of(entry.get()), range);
        }
    }
}
