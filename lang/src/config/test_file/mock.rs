//! `mock_provider`, what stands in it and in files of mock data, and `override_*` blocks anywhere.

use std::sync::Arc;

use indexmap::map::Entry;
use stead_value::addr::ResourceMode;
use stead_value::{Diagnostic, Diagnostics};

use super::{MockData, MockProvider, MockType, MockValues, Override};
use crate::config::content::{
    Shape, check_labels, check_shape, is_identifier, place, string_argument, unsupported_argument,
    unsupported_block,
};
use crate::config::model::{ObjectAddress, ProviderName};
use crate::config::providers::alias_required;
use crate::config::refactor::object_address;
use crate::config::references::check_local_name;
use crate::config::statics;
use crate::expr::evaluate_constant;
use crate::syntax::{Block, Body};

const PROVIDER_ARGUMENTS: [&str; 4] = ["alias", "for_each", "source", "override_during"];
const DATA_BLOCKS: [&str; 5] = [
    "mock_resource",
    "mock_data",
    "mock_ephemeral",
    "override_resource",
    "override_data",
];

pub(super) fn provider(
    mut block: Block,
    diagnostics: &mut Diagnostics,
) -> Option<(ProviderName, MockProvider)> {
    check_labels(&block, &["name"], diagnostics).then_some(())?;
    let range = block.header_range();
    let local = Arc::clone(&block.labels.first()?.text);
    check_local_name(&local, range.clone(), diagnostics).then_some(())?;
    let alias = string_argument(&block.body, "alias", diagnostics);
    if let (Some(alias), Some(attribute)) = (&alias, block.body.attribute("alias"))
        && !is_identifier(alias)
    {
        diagnostics.push(
                Diagnostic::error(
                    "Invalid provider configuration alias",
                    "An alias must be a valid name. A name must start with a letter or underscore and may contain only letters, digits, underscores, and dashes.",
                )
                .at(attribute.expr.range()),
            );
    }
    let during_plan = during_plan(&block.body, false, diagnostics);
    let source = string_argument(&block.body, "source", diagnostics);
    let for_each = block.body.attribute("for_each").map(|a| a.expr.clone());
    if let Some(keys) = for_each.as_ref().filter(|_| alias.is_none()) {
        diagnostics.push(alias_required(keys));
    }
    for name in PROVIDER_ARGUMENTS {
        block.body.attributes.shift_remove(name);
    }
    let data = data(block.body, during_plan, false, diagnostics);
    let mock = MockProvider {
        data,
        for_each,
        source,
        during_plan,
        range,
    };
    Some((ProviderName { local, alias }, mock))
}

/// The blocks of a mock provider, or of a file of mock data (`shared`).
pub(super) fn data(
    body: Body,
    during_plan: bool,
    shared: bool,
    diagnostics: &mut Diagnostics,
) -> MockData {
    let mut data = MockData::default();
    for attribute in body.attributes.values() {
        diagnostics.push(unsupported_argument(
            attribute,
            PROVIDER_ARGUMENTS.into_iter().filter(|_| !shared),
            DATA_BLOCKS.into_iter(),
        ));
    }
    for block in &body.blocks {
        let mode = match &*block.kind {
            "mock_resource" => ResourceMode::Managed,
            "mock_data" => ResourceMode::Data,
            "mock_ephemeral" => ResourceMode::Ephemeral,
            "override_resource" | "override_data" => {
                if let Some(found) = object(block, during_plan, diagnostics) {
                    let found = Override { shared, ..found };
                    add_override(&mut data.overrides, found, &block.kind, diagnostics);
                }
                continue;
            }
            _ => {
                diagnostics.push(unsupported_block(
                    block,
                    DATA_BLOCKS.into_iter(),
                    PROVIDER_ARGUMENTS.into_iter().filter(|_| !shared),
                ));
                continue;
            }
        };
        mock_type(block, mode, during_plan, &mut data, diagnostics);
    }
    data
}

const MOCK: Shape = Shape {
    attributes: &["defaults", "override_during"],
    required: &[],
    blocks: &[],
};

fn mock_type(
    block: &Block,
    mode: ResourceMode,
    by_default: bool,
    data: &mut MockData,
    diagnostics: &mut Diagnostics,
) {
    if !check_labels(block, &["type"], diagnostics) {
        return;
    }
    check_shape(&block.body, &MOCK, diagnostics);
    let Some(label) = block.labels.first() else {
        return;
    };
    let found = MockType {
        values: values(block, "defaults", by_default, diagnostics),
        range: block.header_range(),
    };
    match data.types.entry((mode, Arc::clone(&label.text))) {
        Entry::Occupied(first) => diagnostics.push(
            Diagnostic::error(
                format!("Duplicate {} block", block.kind),
                format!(
                    "A {} block for {} has already been defined at {}.",
                    block.kind,
                    label.text,
                    place(&first.get().range)
                ),
            )
            .at(block.body.range(label.span)),
        ),
        Entry::Vacant(free) => drop(free.insert(found)),
    }
}

/// `override_resource`, `override_data` or `override_module`.
pub(super) fn object(
    block: &Block,
    by_default: bool,
    diagnostics: &mut Diagnostics,
) -> Option<Override> {
    const VALUES: Shape = Shape {
        attributes: &["target", "override_during", "values"],
        required: &[],
        blocks: &[],
    };
    const OUTPUTS: Shape = Shape {
        attributes: &["target", "override_during", "outputs"],
        required: &[],
        blocks: &[],
    };
    check_labels(block, &[], diagnostics);
    let kind = &*block.kind;
    let (shape, argument) = match kind {
        "override_module" => (&OUTPUTS, "outputs"),
        _ => (&VALUES, "values"),
    };
    check_shape(&block.body, shape, diagnostics);
    let values = values(block, argument, by_default, diagnostics);
    if let Some(expr) = &values.values {
        let constant = evaluate_constant(expr);
        // What refers to variables is looked at when they have values.
        if !constant.diagnostics.has_errors() && !is_object(&constant.value) {
            let article = if argument == "outputs" { "an" } else { "a" };
            diagnostics.push(
                Diagnostic::error(
                    format!("Invalid {argument} attribute"),
                    format!("{kind} blocks must specify {article} {argument} attribute that is an object."),
                )
                .at(values.range.clone()),
            );
        }
    }
    let Some(attribute) = block.body.attribute("target") else {
        diagnostics.push(
            Diagnostic::error(
                "Missing target attribute",
                format!("{kind} blocks must specify a target address."),
            )
            .at(block.header_range()),
        );
        return None;
    };
    if statics::traversal(attribute.expr.node(), attribute.expr.file()).is_none() {
        diagnostics.push(statics::not_static(attribute.expr.range()));
        return None;
    }
    let target = match object_address(&attribute.expr) {
        Ok(target) => target,
        Err(detail) => {
            diagnostics
                .push(Diagnostic::error("Invalid address", detail).at(attribute.expr.range()));
            return None;
        }
    };
    let mode = target.resource.as_ref().map(|(resource, _)| resource.mode);
    let (fits, what) = match kind {
        "override_module" => (mode.is_none(), "modules"),
        "override_resource" => (mode == Some(ResourceMode::Managed), "resources"),
        _ => (mode == Some(ResourceMode::Data), "data sources"),
    };
    if !fits {
        diagnostics.push(
            Diagnostic::error(
                "Invalid override target",
                format!("You can only target {what} from {kind} blocks, not {target}."),
            )
            .at(attribute.range()),
        );
        return None;
    }
    Some(Override {
        target,
        values,
        shared: false,
        range: block.header_range(),
        target_range: attribute.range(),
    })
}

fn is_object(value: &stead_value::Value) -> bool {
    matches!(value.ty(), stead_value::Type::Object(_))
}

fn values(
    block: &Block,
    argument: &str,
    by_default: bool,
    diagnostics: &mut Diagnostics,
) -> MockValues {
    let attribute = block.body.attribute(argument);
    MockValues {
        values: attribute.map(|a| a.expr.clone()),
        range: attribute.map_or_else(|| block.header_range(), |a| a.range()),
        during_plan: during_plan(&block.body, by_default, diagnostics),
    }
}

fn during_plan(body: &Body, by_default: bool, diagnostics: &mut Diagnostics) -> bool {
    let Some(attribute) = body.attribute("override_during") else {
        return by_default;
    };
    match statics::keyword(&attribute.expr).as_deref() {
        Some("plan") => true,
        Some("apply") => false,
        _ => {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid override_during value",
                    "The override_during attribute must be a value of plan or apply.",
                )
                .at(attribute.range()),
            );
            by_default
        }
    }
}

/// Adds an override, unless there is one of the same target.
pub(super) fn add_override(
    overrides: &mut Vec<Override>,
    found: Override,
    kind: &str,
    diagnostics: &mut Diagnostics,
) {
    match overrides.iter().find(|o| o.target == found.target) {
        Some(first) => diagnostics.push(
            Diagnostic::error(
                format!("Duplicate {kind} block"),
                format!(
                    "An {kind} block targeting {} has already been defined at {}.",
                    found.target,
                    place(&first.range)
                ),
            )
            .at(found.range),
        ),
        None => overrides.push(found),
    }
}

impl MockData {
    /// Adds what is not there yet. With `diagnostics`, what is there already is reported.
    pub(super) fn merge(&mut self, other: MockData, mut diagnostics: Option<&mut Diagnostics>) {
        for (key, found) in other.types {
            match self.types.entry(key) {
                Entry::Vacant(free) => drop(free.insert(found)),
                Entry::Occupied(first) => {
                    if let Some(diagnostics) = &mut diagnostics {
                        let (mode, name) = first.key();
                        let kind = match mode {
                            ResourceMode::Managed => "mock_resource",
                            ResourceMode::Data => "mock_data",
                            ResourceMode::Ephemeral => "mock_ephemeral",
                        };
                        diagnostics.push(
                            Diagnostic::error(
                                "Duplicate mock resource block",
                                format!(
                                    "A {kind} \"{name}\" block already exists at {}.",
                                    place(&first.get().range)
                                ),
                            )
                            .at(found.range),
                        );
                    }
                }
            }
        }
        for found in other.overrides {
            match self.overrides.iter().find(|o| o.target == found.target) {
                None => self.overrides.push(found),
                Some(first) => {
                    if let Some(diagnostics) = &mut diagnostics {
                        diagnostics.push(
                            Diagnostic::error(
                                "Duplicate override block",
                                format!(
                                    "An override block for {} already exists at {}.",
                                    found.target,
                                    place(&first.range)
                                ),
                            )
                            .at(found.range),
                        );
                    }
                }
            }
        }
    }
}

impl ObjectAddress {
    /// Whether the address names a module as a whole.
    pub fn is_module(&self) -> bool {
        self.resource.is_none()
    }
}
