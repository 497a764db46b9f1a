//! The schemas are the published ones: names, types, flags, nesting, versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_sdk::Dialer;
use stead_sdk::value::schema::{Attribute, AttributeType, Nesting, Schema};

fn attributes(of: &BTreeMap<Arc<str>, Attribute>, prefix: &str, out: &mut Vec<String>) {
    for (name, a) in of {
        let ty = match &a.ty {
            AttributeType::Simple(ty) => ty.to_string(),
            AttributeType::Nested {
                nesting: Nesting::Single,
                ..
            } => "nested(single)".to_owned(),
            AttributeType::Nested {
                nesting: Nesting::List,
                ..
            } => "nested(list)".to_owned(),
            AttributeType::Nested { nesting, .. } => format!("nested({nesting:?})"),
        };
        let flags = [
            (a.required, "required"),
            (a.optional, "optional"),
            (a.computed, "computed"),
            (a.sensitive, "sensitive"),
            (a.write_only, "write_only"),
        ];
        let flags: Vec<_> = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
        out.push(format!("  {prefix}{name} {ty} {}", flags.join(" ")));
        assert!(
            !a.description.is_empty(),
            "{prefix}{name} has no description"
        );
        if let AttributeType::Nested { attributes: a, .. } = &a.ty {
            attributes(a, &format!("{prefix}{name}."), out);
        }
    }
}

fn schema(head: &str, schema: &Schema, out: &mut Vec<String>) {
    out.push(format!("{head} {}", schema.version));
    assert!(schema.block.blocks.is_empty(), "{head} has blocks");
    attributes(&schema.block.attributes, "", out);
}

/// What stead adds.
const OWN: [&str; 1] = ["talos_etcd_snapshot"];

#[test]
fn schemas_are_the_published_ones() {
    let (_, factory) = &stead_talos::factories(&Dialer::direct())[0];
    let ours = factory.schema();
    let mut lines = Vec::new();
    schema("provider", &ours.provider, &mut lines);
    for (name, s) in &ours.resources {
        if OWN.contains(&&**name) {
            continue;
        }
        schema(&format!("resource {name}"), s, &mut lines);
    }
    for (name, s) in &ours.data_sources {
        schema(&format!("data {name}"), s, &mut lines);
    }
    for (name, s) in &ours.ephemeral_resources {
        schema(&format!("ephemeral {name}"), s, &mut lines);
    }
    let published: Vec<&str> = include_str!("schema.txt").lines().collect();
    for (ours, published) in lines.iter().zip(&published) {
        assert_eq!(ours, published);
    }
    assert_eq!(lines.len(), published.len());
}
