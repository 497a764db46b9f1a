//! What is wrong with a configuration whatever its variables are given.

use std::collections::HashSet;
use std::sync::Arc;

use stead_engine::eval::{Evaluator, Phase};
use stead_engine::without_consequences;
use stead_lang::config::ConfigTree;
use stead_value::{Diagnostic, Diagnostics};

use crate::session::Session;

impl Session {
    /// Every problem that stands for itself, warnings included.
    pub(crate) async fn problems(&self, tree: &ConfigTree) -> Diagnostics {
        let mut found = tree.check(&self.registry);
        let evaluator = Evaluator::new(tree, self.settings(Phase::Validate));
        let evaluated = stead_engine::plan::validate(&evaluator, &self.registry).await;
        add_new(&mut found, evaluated.unwrap_or_else(|errors| errors));
        without_consequences(tree, found)
    }
}

/// Adds what evaluation found to what was found without it: the same mistake is said once, and the same of several instances.
pub(crate) fn add_new(found: &mut Diagnostics, evaluated: Diagnostics) {
    let key = |d: &Diagnostic| {
        let place = d
            .subject
            .as_ref()
            .map(|r| (Arc::clone(&r.file), r.start.byte));
        (d.summary.clone(), place)
    };
    let mut seen: HashSet<_> = found.iter().map(key).collect();
    let mut evaluated: Vec<Diagnostic> = evaluated.into_iter().collect();
    evaluated.sort_by_cached_key(|d| {
        d.subject
            .as_ref()
            .map(|r| (r.file.to_string(), r.start, r.end))
    });
    let told = found.has_errors();
    for diagnostic in evaluated {
        // What refers to itself has been found already.
        let of_itself = diagnostic.summary == "Self-referential block"
            || diagnostic.summary.starts_with("Cycle: ") && !diagnostic.summary.contains(',');
        if told && of_itself {
            continue;
        }
        if diagnostic.subject.is_none() || seen.insert(key(&diagnostic)) {
            found.push(diagnostic);
        }
    }
}
