//! A schema as compact text, one line per attribute or block, for comparison with what is published.
//!
//! `tools/schema_table.py` writes the same text from the output of `terraform providers schema -json`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use stead_value::schema::{Attribute, AttributeType, Block, Nesting, ProviderSchema, Schema};

/// All of a provider's schemas, resources first. Descriptions, defaults and what forces a replacement are not part of a
/// published schema and left out.
pub fn provider_table(schema: &ProviderSchema) -> String {
    let mut out = String::new();
    section(&mut out, "provider", &schema.provider);
    for (name, schema) in &schema.resources {
        section(&mut out, &format!("resource {name}"), schema);
    }
    for (name, schema) in &schema.data_sources {
        section(&mut out, &format!("data {name}"), schema);
    }
    out
}

/// The identities of a provider's resources, in the same form: a heading for each type that has one, then a line for every attribute,
/// `required` and `optional` for import.
pub fn identity_table(schema: &ProviderSchema) -> String {
    let mut out = String::new();
    for (name, schema) in &schema.resources {
        if let Some(identity) = &schema.identity {
            let _ = writeln!(out, "identity {name} version={}", identity.version);
            attributes(&mut out, "", &identity.attributes);
        }
    }
    out
}

/// The section of one schema: its heading (such as `resource acme_disk`), then a line for everything in it.
pub fn schema_table(heading: &str, schema: &Schema) -> String {
    let mut out = String::new();
    section(&mut out, heading, schema);
    out
}

/// The section under a heading in a whole table, as [`schema_table`] would write it; empty when there is none.
pub fn section_of(table: &str, heading: &str) -> String {
    let start = format!("{heading} version=");
    let mut lines = table.lines().skip_while(|l| !l.starts_with(&start));
    let Some(first) = lines.next() else {
        return String::new();
    };
    let rest = lines.take_while(|l| l.starts_with("  "));
    std::iter::once(first)
        .chain(rest)
        .fold(String::new(), |all, line| all + line + "\n")
}

// Writing to a string cannot fail.
fn section(out: &mut String, heading: &str, schema: &Schema) {
    let _ = writeln!(out, "{heading} version={}", schema.version);
    block(out, "", &schema.block);
}

fn block(out: &mut String, prefix: &str, schema: &Block) {
    attributes(out, prefix, &schema.attributes);
    for (name, nested) in &schema.blocks {
        let _ = write!(out, "  {prefix}{name}: block {}", word(nested.nesting));
        if nested.min_items > 0 {
            let _ = write!(out, " min={}", nested.min_items);
        }
        if nested.max_items > 0 {
            let _ = write!(out, " max={}", nested.max_items);
        }
        let _ = writeln!(
            out,
            "{}",
            if nested.block.deprecated.is_some() {
                " deprecated"
            } else {
                ""
            }
        );
        block(out, &format!("{prefix}{name}."), &nested.block);
    }
}

fn attributes(out: &mut String, prefix: &str, all: &BTreeMap<Arc<str>, Attribute>) {
    for (name, attribute) in all {
        let ty = match &attribute.ty {
            AttributeType::Simple(ty) => ty.to_string(),
            AttributeType::Nested { nesting, .. } => format!("nested {}", word(*nesting)),
        };
        let flags = [
            (attribute.required, "required"),
            (attribute.optional, "optional"),
            (attribute.computed, "computed"),
            (attribute.sensitive, "sensitive"),
            (attribute.write_only, "write_only"),
            (attribute.deprecated.is_some(), "deprecated"),
        ];
        let flags: String = flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, word)| format!(" {word}"))
            .collect();
        let _ = writeln!(out, "  {prefix}{name}: {ty}{flags}");
        if let AttributeType::Nested {
            attributes: inner, ..
        } = &attribute.ty
        {
            attributes(out, &format!("{prefix}{name}."), inner);
        }
    }
}

fn word(nesting: Nesting) -> &'static str {
    match nesting {
        Nesting::Single => "single",
        Nesting::Group => "group",
        Nesting::List => "list",
        Nesting::Set => "set",
        Nesting::Map => "map",
    }
}
