//! `removed`: objects whose configuration went away on purpose, to be destroyed or only forgotten.

use stead_lang::config::Removed;
use stead_value::Diagnostic;
use stead_value::addr::{ConfigResource, Module, ResourceInstance};

use super::Planner;

/// Whether a statement that stands in `base` speaks of a resource, by name or by its module.
fn covers(base: &Module, removed: &Removed, resource: &ConfigResource) -> bool {
    let mut names = base
        .0
        .iter()
        .chain(removed.from.module.iter().map(|(name, _)| name));
    let mut path = resource.module.0.iter();
    let inside = names.by_ref().all(|name| path.next() == Some(name));
    inside
        && match &removed.from.resource {
            Some((named, _)) => path.next().is_none() && *named == resource.resource,
            None => true,
        }
}

impl Planner<'_, '_> {
    /// What `removed` names must be declared no more.
    pub(super) fn check_removed(&mut self) {
        let mut found = Vec::new();
        for node in self.evaluator.tree().nodes() {
            for removed in &node.module.removed {
                let mut path = node.path.clone();
                path.0
                    .extend(removed.from.module.iter().map(|(name, _)| name.clone()));
                let there = self.evaluator.tree().get(&path);
                // The place is that of the declaration, as in Terraform.
                let (what, name, declaration) = match &removed.from.resource {
                    Some((resource, _)) => (
                        "resource",
                        resource.to_string(),
                        there.and_then(|n| Some(n.module.resources.get(resource)?.range.clone())),
                    ),
                    None => ("module", path.to_string(), self.call_range(&path)),
                };
                if let Some(declaration) = declaration {
                    let (file, line) = (&removed.from_range.file, removed.from_range.start.line);
                    found.push(
                        Diagnostic::error(
                            format!("Removed {what} still exists"),
                            format!("The statement at {file}:{line} declares that {name} was removed, but it is still declared in configuration. Take out one of the two."),
                        )
                        .at(declaration),
                    );
                }
            }
        }
        self.diagnostics.extend(found);
    }

    fn call_range(&self, module: &Module) -> Option<stead_value::SourceRange> {
        let (name, parent) = module.0.split_last()?;
        let parent = self.evaluator.tree().get(&Module(parent.to_vec()))?;
        Some(parent.module.calls.get(name)?.range.clone())
    }

    /// Whether an object that nothing declares is to be left alone: the nearest statement about it decides.
    pub(super) fn is_forgotten(&self, address: &ResourceInstance) -> bool {
        let config = address.config();
        let mut decided: Option<(usize, bool)> = None;
        for node in self.evaluator.tree().nodes() {
            for removed in &node.module.removed {
                if covers(&node.path, removed, &config) {
                    let closeness = node.path.0.len()
                        + removed.from.module.len()
                        + usize::from(removed.from.resource.is_some());
                    if decided.is_none_or(|(best, _)| closeness > best) {
                        decided = Some((closeness, !removed.destroy));
                    }
                }
            }
        }
        decided.is_some_and(|(_, forget)| forget)
    }

    /// Whether the configuration has any `removed` block that forgets: without one, no orphan needs to be looked up.
    pub(super) fn forgets(&self) -> bool {
        self.evaluator
            .tree()
            .nodes()
            .iter()
            .any(|n| n.module.removed.iter().any(|r| !r.destroy))
    }
}
