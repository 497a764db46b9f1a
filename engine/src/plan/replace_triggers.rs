//! `replace_triggered_by`: whether what it names changes in this plan.

use stead_lang::expr::{Target, evaluate, references};
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostic, Diagnostics, Path};

use super::Planner;
use crate::Action;
use crate::eval::{InstanceConfig, Object};

impl Planner<'_, '_> {
    /// Demands every object that the triggers name and says whether one of them changes.
    pub(super) fn is_triggered(&self, config: &InstanceConfig<'_>) -> Result<bool, Diagnostics> {
        let mut triggered = false;
        for expression in &config.resource.lifecycle.replace_triggered_by {
            let scope = self
                .evaluator
                .scope(config.module, config.repetition.clone());
            let (evaluation, asked) = self.evaluator.traced(|| evaluate(expression, &scope));
            if evaluation.diagnostics.has_errors() {
                return Err(evaluation.diagnostics);
            }
            let (found, _) = references(expression);
            let named: Vec<_> = found
                .into_iter()
                .filter_map(|reference| match reference.target {
                    Target::Resource { resource, .. } => Some((resource, reference.rest)),
                    _ => None,
                })
                .collect();
            if named.is_empty() {
                return Err(Diagnostic::error(
                    "Invalid replace_triggered_by expression",
                    "Only resources, instances of resources and their attributes can be given in replace_triggered_by.",
                )
                .at(expression.range())
                .into());
            }
            // What was asked for while evaluating are just the instances meant: one for `a[each.key]`, all for `a`.
            for object in asked.into_iter().filter_map(|id| self.evaluator.object(id)) {
                let Object::Instance(address) = object else {
                    continue;
                };
                let paths = named
                    .iter()
                    .filter(|(resource, _)| *resource == address.resource);
                for (_, rest) in paths {
                    triggered |= self.changes_at(&address, rest);
                }
            }
        }
        Ok(triggered)
    }

    fn changes_at(&self, address: &ResourceInstance, rest: &Path) -> bool {
        let Some(change) = self.changes.get(&(address.clone(), None)) else {
            return false;
        };
        // What comes to be or goes has no earlier or later value to differ from.
        if change.action != Action::Update && !change.action.is_replace() {
            return false;
        }
        if rest.is_root() {
            return true;
        }
        match (change.before.at(rest), change.after.at(rest)) {
            (Some(before), Some(after)) => !before.raw_equals(&after),
            (before, after) => before.is_some() != after.is_some(),
        }
    }
}
