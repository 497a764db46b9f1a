//! The blocks of a test file.

use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::{Diagnostic, Diagnostics, SourceRange};

use super::{TestFile, TestProvider, mock, run};
use crate::config::content::{
    Shape, bool_argument, check_labels, check_shape, place, unsupported_argument, unsupported_block,
};
use crate::config::model::{ProviderName, Variable};
use crate::config::overrides::Overridden;
use crate::config::{providers, values};
use crate::syntax::{Block, Body, Expression};

const BLOCKS: [&str; 9] = [
    "run",
    "variable",
    "variables",
    "provider",
    "mock_provider",
    "override_resource",
    "override_data",
    "override_module",
    "test",
];

pub(super) fn file(name: Arc<str>, body: Body, diagnostics: &mut Diagnostics) -> TestFile {
    let mut file = TestFile {
        name,
        declared: IndexMap::new(),
        variables: IndexMap::new(),
        providers: IndexMap::new(),
        overrides: Vec::new(),
        runs: Vec::new(),
    };
    for attribute in body.attributes.values() {
        diagnostics.push(unsupported_argument(
            attribute,
            std::iter::empty(),
            BLOCKS.into_iter(),
        ));
    }
    let parallel = settings(&body, diagnostics);
    let mut variables_at: Option<SourceRange> = None;
    let mut provider_names: IndexMap<ProviderName, SourceRange> = IndexMap::new();
    for block in body.blocks {
        let label = block.labels.first().map(|l| block.body.range(l.span));
        match &*block.kind {
            "run" => {
                let range = block.header_range();
                let Some(run) = run::run(block, parallel, diagnostics) else {
                    continue;
                };
                if let Some(first) = file.runs.iter().find(|r| r.name == run.name) {
                    diagnostics.push(
                        Diagnostic::error(
                            "Duplicate \"run\" block names",
                            format!(
                                "This test file already has a run named {} block defined at {}.",
                                run.name,
                                place(&first.range)
                            ),
                        )
                        .at(range),
                    );
                    continue;
                }
                file.runs.push(run);
            }
            "variable" => {
                let before = diagnostics.len();
                let found = values::variable(&block, &Overridden::default(), diagnostics);
                if let Some(found) = found.filter(|_| diagnostics.len() == before) {
                    declare(&mut file, found, diagnostics);
                }
            }
            "variables" => {
                if let Some(found) =
                    variables(block, &mut variables_at, "This test file", diagnostics)
                {
                    file.variables = found;
                    for (name, expr) in &file.variables {
                        if let Some(declared) = file.declared.get(name) {
                            diagnostics.push(declared_twice(declared, &expr.range()));
                        }
                    }
                }
            }
            "provider" => {
                if let Some(config) = providers::config(block, diagnostics) {
                    let name = config.name.clone();
                    let provider = TestProvider::Real(config);
                    add_provider(
                        &mut file,
                        name,
                        provider,
                        &mut provider_names,
                        label,
                        diagnostics,
                    );
                }
            }
            "mock_provider" => {
                if let Some((name, mock)) = mock::provider(block, diagnostics) {
                    let provider = TestProvider::Mock(mock);
                    add_provider(
                        &mut file,
                        name,
                        provider,
                        &mut provider_names,
                        label,
                        diagnostics,
                    );
                }
            }
            "override_resource" | "override_data" | "override_module" => {
                if let Some(found) = mock::object(&block, false, diagnostics) {
                    mock::add_override(&mut file.overrides, found, &block.kind, diagnostics);
                }
            }
            "test" => {}
            _ => diagnostics.push(unsupported_block(
                &block,
                BLOCKS.into_iter(),
                std::iter::empty(),
            )),
        }
    }
    file
}

/// A value that is assigned in the file is not given from outside: a variable has one or the other.
fn declare(file: &mut TestFile, variable: Variable, diagnostics: &mut Diagnostics) {
    if let Some(first) = file.declared.get(&variable.name) {
        diagnostics.push(declared_twice(&variable, &first.range));
        return;
    }
    if let Some(assigned) = file.variables.get(&variable.name) {
        diagnostics.push(declared_twice(&variable, &assigned.range()));
    }
    file.declared.insert(Arc::clone(&variable.name), variable);
}

fn declared_twice(variable: &Variable, elsewhere: &SourceRange) -> Diagnostic {
    Diagnostic::error(
        "Duplicate \"variable\" block names",
        format!(
            "This test file already has a variable named {} defined at {}.",
            variable.name,
            place(elsewhere)
        ),
    )
    .at(variable.range.clone())
}

const SETTINGS: Shape = Shape {
    attributes: &["parallel", "skip_cleanup"],
    required: &[],
    blocks: &[],
};

/// The `test` block: whether runs may run beside each other unless they say otherwise.
fn settings(body: &Body, diagnostics: &mut Diagnostics) -> bool {
    let mut blocks = body.blocks_of("test");
    let Some(first) = blocks.next() else {
        return false;
    };
    for other in blocks {
        diagnostics.push(
            Diagnostic::error(
                "Multiple \"test\" blocks",
                format!(
                    "This test file already has a \"test\" block defined at {}.",
                    place(&first.header_range())
                ),
            )
            .at(other.header_range()),
        );
    }
    check_labels(first, &[], diagnostics);
    check_shape(&first.body, &SETTINGS, diagnostics);
    refuse_skip_cleanup(&first.body, diagnostics);
    bool_argument(&first.body, "parallel", diagnostics).unwrap_or(false)
}

/// What is left behind would need a place to be recorded in, which only experimental builds of Terraform have.
pub(super) fn refuse_skip_cleanup(body: &Body, diagnostics: &mut Diagnostics) {
    if let Some(attribute) = body.attribute("skip_cleanup") {
        diagnostics.push(
            Diagnostic::error(
                "Invalid attribute",
                "The skip_cleanup attribute is not supported yet: what a test file creates is always destroyed at its end.",
            )
            .at(attribute.name_range()),
        );
    }
}

/// A `variables` block; `None` when it is not the first.
pub(super) fn variables(
    block: Block,
    seen: &mut Option<SourceRange>,
    owner: &str,
    diagnostics: &mut Diagnostics,
) -> Option<IndexMap<Arc<str>, Expression>> {
    check_labels(&block, &[], diagnostics);
    let range = block.header_range();
    if let Some(first) = seen {
        diagnostics.push(
            Diagnostic::error(
                "Multiple \"variables\" blocks",
                format!(
                    "{owner} already has a variables block defined at {}.",
                    place(first)
                ),
            )
            .at(range),
        );
        return None;
    }
    *seen = Some(range);
    if let Some(inner) = block.body.blocks.first() {
        diagnostics.push(
            Diagnostic::error(
                format!("Unexpected \"{}\" block", inner.kind),
                "Blocks are not allowed here.",
            )
            .at(inner.body.range(inner.kind_span)),
        );
    }
    let attributes = block.body.attributes.into_iter();
    Some(attributes.map(|(name, a)| (name, a.expr)).collect())
}

fn add_provider(
    file: &mut TestFile,
    name: ProviderName,
    provider: TestProvider,
    seen: &mut IndexMap<ProviderName, SourceRange>,
    label: Option<SourceRange>,
    diagnostics: &mut Diagnostics,
) {
    match seen.get(&name) {
        Some(first) => diagnostics.push(
            Diagnostic::error(
                "Duplicate provider block",
                format!(
                    "A provider for {name} is already defined at {}.",
                    place(first)
                ),
            )
            .at(provider.range().clone()),
        ),
        None => {
            let label = label.unwrap_or_else(|| provider.range().clone());
            seen.insert(name.clone(), label);
            file.providers.insert(name, provider);
        }
    }
}
