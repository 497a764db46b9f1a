//! Schemas in the JSON form of `terraform providers schema -json`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use stead_engine::Registry;
use stead_lang::functions::builtin_provider_functions;
use stead_value::Diagnostics;
use stead_value::addr::ProviderSource;
use stead_value::json::type_to_json;
use stead_value::schema::{
    Attribute, AttributeType, Block, Identity, NestedBlock, Nesting, ProviderSchema, Schema,
};

use crate::commands::metadata::signature;

/// Those of several providers, by their sources.
pub(crate) fn providers<'s>(
    wanted: impl IntoIterator<Item = &'s ProviderSource>,
    registry: &Registry,
) -> Result<Map<String, Json>, Diagnostics> {
    let mut schemas = Map::new();
    let mut problems = Diagnostics::new();
    for source in wanted {
        match registry.factory(source) {
            Ok(factory) => {
                schemas.insert(source.to_string(), provider(source, factory.schema()));
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.into_result()?;
    Ok(schemas)
}

fn provider(source: &ProviderSource, provider: &ProviderSchema) -> Json {
    let mut out = Map::new();
    out.insert("provider".into(), schema(&provider.provider));
    for (name, schemas) in [
        ("resource_schemas", &provider.resources),
        ("data_source_schemas", &provider.data_sources),
        ("ephemeral_resource_schemas", &provider.ephemeral_resources),
    ] {
        if !schemas.is_empty() {
            let all: Map<_, _> = schemas
                .iter()
                .map(|(name, s)| (name.to_string(), schema(s)))
                .collect();
            out.insert(name.into(), all.into());
        }
    }
    let identities: Map<_, _> = provider
        .resources
        .iter()
        .filter_map(|(name, s)| Some((name.to_string(), identity(s.identity.as_ref()?))))
        .collect();
    if !identities.is_empty() {
        out.insert("resource_identity_schemas".into(), identities.into());
    }
    let mut functions: Map<_, _> = provider
        .functions
        .iter()
        .map(|(name, function)| (name.to_string(), signature(function)))
        .collect();
    if source.is_builtin() {
        // These are the language's own.
        let builtin = builtin_provider_functions();
        functions.extend(builtin.map(|(name, function)| (name.to_owned(), signature(function))));
    }
    if !functions.is_empty() {
        out.insert("functions".into(), functions.into());
    }
    out.into()
}

fn schema(schema: &Schema) -> Json {
    json!({"version": schema.version, "block": block(&schema.block)})
}

fn identity(schema: &Identity) -> Json {
    let attributes = schema.attributes.iter().map(|(name, attribute)| {
        let mut out = Map::new();
        out.insert("type".into(), type_to_json(&attribute.value_type()));
        if !attribute.description.is_empty() {
            out.insert("description".into(), json!(attribute.description));
        }
        for (flag, is_set) in [
            ("required_for_import", attribute.required),
            ("optional_for_import", attribute.optional),
        ] {
            if is_set {
                out.insert(flag.into(), true.into());
            }
        }
        (name.to_string(), Json::Object(out))
    });
    json!({"version": schema.version, "attributes": attributes.collect::<Map<_, _>>()})
}

fn block(block: &Block) -> Json {
    let mut out = Map::new();
    if !block.attributes.is_empty() {
        out.insert("attributes".into(), attributes(&block.attributes));
    }
    if !block.blocks.is_empty() {
        let nested: Map<_, _> = block
            .blocks
            .iter()
            .map(|(name, b)| (name.to_string(), nested_block(b)))
            .collect();
        out.insert("block_types".into(), nested.into());
    }
    describe(&mut out, &block.description, block.deprecated.is_some());
    out.into()
}

fn nested_block(nested: &NestedBlock) -> Json {
    let mut out = Map::new();
    out.insert("nesting_mode".into(), json!(nesting(nested.nesting)));
    out.insert("block".into(), block(&nested.block));
    for (name, count) in [
        ("min_items", nested.min_items),
        ("max_items", nested.max_items),
    ] {
        if count > 0 {
            out.insert(name.into(), json!(count));
        }
    }
    out.into()
}

fn attributes(all: &BTreeMap<Arc<str>, Attribute>) -> Json {
    let all: Map<_, _> = all
        .iter()
        .map(|(name, a)| (name.to_string(), attribute(a)))
        .collect();
    all.into()
}

fn attribute(attribute: &Attribute) -> Json {
    let mut out = Map::new();
    match &attribute.ty {
        AttributeType::Simple(ty) => {
            out.insert("type".into(), type_to_json(ty));
        }
        AttributeType::Nested {
            nesting: mode,
            attributes: inner,
        } => {
            let nested = json!({"attributes": attributes(inner), "nesting_mode": nesting(*mode)});
            out.insert("nested_type".into(), nested);
        }
    }
    describe(
        &mut out,
        &attribute.description,
        attribute.deprecated.is_some(),
    );
    for (name, set) in [
        ("required", attribute.required),
        ("optional", attribute.optional),
        ("computed", attribute.computed),
        ("sensitive", attribute.sensitive),
        ("write_only", attribute.write_only),
    ] {
        if set {
            out.insert(name.into(), json!(true));
        }
    }
    out.into()
}

fn describe(out: &mut Map<String, Json>, description: &str, deprecated: bool) {
    if !description.is_empty() {
        out.insert("description".into(), json!(description));
    }
    out.insert("description_kind".into(), json!("plain"));
    if deprecated {
        out.insert("deprecated".into(), json!(true));
    }
}

fn nesting(nesting: Nesting) -> &'static str {
    match nesting {
        Nesting::Single => "single",
        Nesting::Group => "group",
        Nesting::List => "list",
        Nesting::Set => "set",
        Nesting::Map => "map",
    }
}
