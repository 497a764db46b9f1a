//! What a body refers to, without evaluating it.

use std::sync::Arc;

use stead_value::Diagnostics;

use super::dynamic::iterator_name;
use crate::expr::{StaticReference, references_except};
use crate::syntax::Body;

/// All that a body and its blocks refer to. The iterators of `dynamic` blocks are no references.
pub fn body_references(body: &Body) -> (Vec<StaticReference>, Diagnostics) {
    let mut found = Vec::new();
    let mut diagnostics = Diagnostics::new();
    collect(body, &mut Vec::new(), &mut found, &mut diagnostics);
    (found, diagnostics)
}

fn collect(
    body: &Body,
    bound: &mut Vec<Arc<str>>,
    found: &mut Vec<StaticReference>,
    diagnostics: &mut Diagnostics,
) {
    for attribute in body.attributes.values() {
        references_except(&attribute.expr, bound, found, diagnostics);
    }
    for block in &body.blocks {
        let depth = bound.len();
        if &*block.kind != "dynamic" {
            collect(&block.body, bound, found, diagnostics);
            continue;
        }
        if let Some(attribute) = block.body.attribute("for_each") {
            references_except(&attribute.expr, bound, found, diagnostics);
        }
        let iterator = match block.body.attribute("iterator") {
            Some(attribute) => iterator_name(&attribute.expr),
            None => block.labels.first().map(|l| Arc::clone(&l.text)),
        };
        bound.extend(iterator);
        if let Some(attribute) = block.body.attribute("labels") {
            references_except(&attribute.expr, bound, found, diagnostics);
        }
        for content in block.body.blocks_of("content") {
            collect(&content.body, bound, found, diagnostics);
        }
        bound.truncate(depth);
    }
}
