//! Because: which expression, at which place, makes an attribute differ.

use stead_lang::decode::SourceMap;
use stead_value::{Path, Value};

use super::Planner;
use crate::changes::Because;

/// Longer expressions are cut here, in characters.
const MAX_TEXT: usize = 60;

impl Planner<'_, '_> {
    /// The causes of the differences between two objects, one for each attribute or block that is configured.
    pub(super) fn because(ranges: &SourceMap, before: &Value, after: &Value) -> Vec<Because> {
        let mut causes: Vec<Because> = Vec::new();
        for (name, new) in after.as_entries().into_iter().flatten() {
            let same = before.get(name).is_some_and(|old| old.raw_equals(new));
            let path = Path::root().attr(std::sync::Arc::clone(name));
            let Some(range) = ranges.find(&path).filter(|_| !same) else {
                continue;
            };
            let expression = ranges
                .expression(&path)
                .map(|e| shorten(e.text()))
                .unwrap_or_default();
            causes.push(Because {
                attribute: path,
                range,
                expression,
            });
        }
        causes
    }
}

/// An expression on one line, cut when it is long.
fn shorten(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > MAX_TEXT {
        line.chars().take(MAX_TEXT).chain("…".chars()).collect()
    } else {
        line
    }
}
