//! The block around a place, for messages.

use std::sync::Arc;

use super::{SourceFile, parse_file};

/// The header of the top-level block that a byte lies in: `resource "a" "b"`. The file is read anew: this is for messages only.
pub fn enclosing_block(file: &Arc<SourceFile>, byte: u32) -> Option<String> {
    let (body, _) = parse_file(file);
    let block = body.blocks.iter().find(|block| {
        let whole = block.kind_span.to(block.close_brace);
        (whole.start..whole.end.max(whole.start + 1)).contains(&byte)
    })?;
    let mut header = block.kind.to_string();
    for label in &block.labels {
        header.push(' ');
        header.push_str(&stead_value::addr::quote(&label.text));
    }
    Some(header)
}
