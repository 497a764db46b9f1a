//! The patterns of a provider's schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_value::schema::{Attribute, AttributeType, Block, Check, Pattern, ProviderSchema};

use crate::plan::compile;

/// The patterns of a provider's schemas that are no regular expressions, each with what is wrong. Whoever
/// checks a configuration takes such a pattern for one that everything fits.
pub fn malformed_patterns(schema: &ProviderSchema) -> Vec<String> {
    let mut found = Vec::new();
    let types = schema.resources.values();
    let types = types.chain(schema.data_sources.values());
    let types = types.chain(schema.ephemeral_resources.values());
    for schema in std::iter::once(&schema.provider).chain(types.map(|schema| &**schema)) {
        in_block(&schema.block, &mut found);
    }
    found
}

fn in_block(block: &Block, found: &mut Vec<String>) {
    in_attributes(&block.attributes, found);
    for nested in block.blocks.values() {
        in_block(&nested.block, found);
    }
}

fn in_attributes(attributes: &BTreeMap<Arc<str>, Attribute>, found: &mut Vec<String>) {
    for (name, attribute) in attributes {
        let patterns = attribute.checks.iter().filter_map(pattern_of);
        let wrong = patterns.filter_map(|pattern| compile(pattern).err());
        found.extend(wrong.map(|error| format!("{name}: {error}")));
        if let AttributeType::Nested { attributes, .. } = &attribute.ty {
            in_attributes(attributes, found);
        }
    }
}

fn pattern_of(check: &Check) -> Option<&Pattern> {
    match check {
        Check::Pattern(pattern) | Check::Keys(pattern) => Some(pattern),
        _ => None,
    }
}
