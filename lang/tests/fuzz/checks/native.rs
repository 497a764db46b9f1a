//! Native syntax, as it is read, laid out, loaded and decoded.

use std::path::Path;
use std::sync::Arc;

use stead_lang::config::{ConfigTree, NothingInstalled, Schemas, test_file::TestSuite};
use stead_lang::decode::{body_references, decode};
use stead_lang::fmt::format;
use stead_lang::syntax::{Body, SourceFile, could_continue, parse_file, parse_template};
use stead_value::addr::{ProviderSource, ResourceMode};
use stead_value::schema::Block;

use super::scope::{Odd, schema};
use super::{OneFile, check_places};

/// Reading says where each error is. The layout can be read, has as many errors as the text (none), keeps every argument and
/// block, and is its own layout. Loading and decoding end, whatever was read.
pub fn native(text: &str) {
    let file = Arc::new(SourceFile::new("fuzz.tf", text));
    let (body, diagnostics) = parse_file(&file);
    check_places(&diagnostics, text);
    check_places(&parse_template(&file).1, text);
    could_continue(text);
    let once = format(&file);
    assert_eq!(once.is_ok(), !diagnostics.has_errors());
    if let Ok(once) = once {
        check_layout(&body, once);
    }
    load("main.tf", text);
    load("main.tftest.hcl", text);
    load("override.tf", text);
    check_decoding(&body);
}

fn check_layout(body: &Body, once: String) {
    let file = Arc::new(SourceFile::new("fuzz.tf", &*once));
    let (again, diagnostics) = parse_file(&file);
    // As in the reference, a legacy index grows together with the number before it: `0.1. 6` becomes `0.1.6`.
    if !diagnostics.is_empty()
        && diagnostics
            .iter()
            .all(|d| d.summary == "Invalid number literal")
    {
        return;
    }
    assert!(
        !diagnostics.has_errors(),
        "the layout can't be read: {once:?}"
    );
    assert_eq!(outline(body), outline(&again), "{once:?}");
    check_settles(once);
}

/// Each time one of several interpolations in each other is peeled, as in the reference; then nothing changes any more.
fn check_settles(mut layout: String) {
    for _ in 0..=layout.matches("${").count() {
        let file = Arc::new(SourceFile::new("fuzz.tf", &*layout));
        let Ok(again) = format(&file) else {
            panic!("no layout of the layout: {layout:?}");
        };
        if again == layout {
            return;
        }
        layout = again;
    }
    panic!("the layout goes on changing: {layout:?}");
}

/// The names in a body, at any depth.
fn outline(body: &Body) -> String {
    let mut out = String::new();
    for name in body.attributes.keys() {
        out.push_str(name);
        out.push('=');
    }
    for block in &body.blocks {
        out.push_str(&block.kind);
        for label in &block.labels {
            out.push_str(&format!(" {:?}", label.text));
        }
        out.push_str(&format!("{{{}}}", outline(&block.body)));
    }
    out
}

/// Decodes the body by a schema with every kind of nesting: the value has the schema's type, whatever is wrong.
pub(super) fn check_decoding(body: &Body) {
    body_references(body);
    let schema = schema();
    let decoded = decode(body, &schema, &Odd::unknown());
    let (got, want) = (decoded.value.ty(), schema.value_type());
    assert!(got.conforms_to(&want), "{got:?} is not {want:?}");
}

struct NoSchemas;

impl Schemas for NoSchemas {
    fn resource(&self, _: &ProviderSource, _: ResourceMode, _: &str) -> Option<&Block> {
        None
    }
}

/// Loads the text as a root module's file, and checks it as far as no values are needed.
pub(super) fn load(name: &str, text: &str) {
    let files = OneFile {
        name,
        content: text.as_bytes(),
    };
    let (tree, diagnostics) = ConfigTree::load(&files, Path::new("."), &NothingInstalled);
    if !diagnostics.has_errors() {
        tree.check(&NoSchemas);
        TestSuite::load(&files, &tree, "tests", &NothingInstalled);
    }
}
