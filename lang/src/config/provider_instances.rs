//! Provider configurations with `for_each`, as in OpenTofu: what may decide their keys, and how their instances are named.

use std::collections::HashSet;

use stead_value::{Diagnostic, Diagnostics, addr};

use super::model::{Module, ProviderConfig, ProviderRef, Repetition};
use super::tree::{ConfigNode, ConfigTree};
use crate::expr::{Target, references};
use crate::syntax::{ExprKind, Expression};

/// Reports keys that are not known before anything is planned: objects can't outlive the provider instance they belong to,
/// so its keys must not depend on objects.
pub(super) fn check_keys(tree: &ConfigTree, node: &ConfigNode, diagnostics: &mut Diagnostics) {
    for provider in node.module.providers.values() {
        let Some(keys) = &provider.for_each else {
            continue;
        };
        let subject = format!("provider.{}.for_each", provider.name);
        let mut walk = Walk {
            tree,
            diagnostics,
            seen: HashSet::new(),
        };
        walk.expression(&node.path, keys, &subject);
    }
}

/// Follows references from an expression to what it is made of.
struct Walk<'a> {
    tree: &'a ConfigTree,
    diagnostics: &'a mut Diagnostics,
    /// Against values that refer to themselves, which is reported elsewhere.
    seen: HashSet<(addr::Module, String)>,
}

impl Walk<'_> {
    /// Says whether the expression, which `subject` needs, is known early.
    fn expression(&mut self, module: &addr::Module, expr: &Expression, subject: &str) -> bool {
        let mut known = true;
        for reference in references(expr).0 {
            let said = |summary: &str, what: &dyn std::fmt::Display| {
                Diagnostic::error(
                    summary,
                    format!("Unable to use {what} in static context, which is required by {subject}: only variables, local values made of them, path and terraform.workspace are known before anything is planned."),
                )
                .at(reference.range.clone())
            };
            let wrong = match &reference.target {
                Target::Variable(name) => {
                    let text = format!("var.{name}");
                    match self.argument(module, name) {
                        Some((caller, argument)) => {
                            known &= self.through(&caller, &argument, &text, subject, expr);
                            continue;
                        }
                        None => continue,
                    }
                }
                Target::Local(name) => {
                    let local = self
                        .tree
                        .get(module)
                        .and_then(|n| n.module.locals.get(name));
                    if let Some(value) = local.map(|l| l.value.clone()) {
                        let text = format!("local.{name}");
                        known &= self.through(module, &value, &text, subject, expr);
                    }
                    continue;
                }
                Target::Resource { resource, .. } => {
                    said("Dynamic value in static context", resource)
                }
                Target::Module { name, .. } => said(
                    "Module output not supported in static context",
                    &format!("module.{name}"),
                ),
                _ => continue,
            };
            self.diagnostics.push(wrong);
            known = false;
        }
        known
    }

    /// What the caller of a module gives for a variable.
    fn argument(&self, module: &addr::Module, name: &str) -> Option<(addr::Module, Expression)> {
        let (call, parent) = module.0.split_last()?;
        let parent = addr::Module(parent.to_vec());
        let call = self.tree.get(&parent)?.module.calls.get(call)?;
        Some((parent, call.arguments.attribute(name)?.expr.clone()))
    }

    /// A named value on the way.
    fn through(
        &mut self,
        module: &addr::Module,
        value: &Expression,
        name: &str,
        subject: &str,
        user: &Expression,
    ) -> bool {
        if !self.seen.insert((module.clone(), name.to_owned())) {
            return true;
        }
        let known = self.expression(module, value, name);
        if !known {
            self.diagnostics.push(
                Diagnostic::error(
                    "Unable to compute static value",
                    format!("{subject} depends on {name} which is not available"),
                )
                .at(user.range()),
            );
        }
        known
    }
}

/// Checks how resources and calls of a module name the instances of its provider configurations.
pub(super) fn check_uses(node: &ConfigNode, diagnostics: &mut Diagnostics) {
    let module = &*node.module;
    for resource in module.resources.values() {
        let Some(named) = &resource.provider else {
            continue;
        };
        check_use(module, named, "resource", diagnostics);
        if resource.addr.mode == addr::ResourceMode::Managed {
            let target = match node.path.0.is_empty() {
                true => resource.addr.to_string(),
                false => format!("{}.{}", node.path, resource.addr),
            };
            warn_of_same(
                module,
                named,
                &resource.repetition,
                "resource",
                &target,
                diagnostics,
            );
        }
    }
    for call in module.calls.values() {
        for passed in &call.providers {
            if let Some(key) = &passed.in_child.key {
                diagnostics.push(
                    Diagnostic::error(
                        "Invalid module provider configuration",
                        "Instance keys are not allowed on the left side of a provider configuration assignment.",
                    )
                    .at(key.range()),
                );
            }
            check_use(module, &passed.in_parent, "module", diagnostics);
            let mut path = node.path.clone();
            path.0.push(std::sync::Arc::clone(&call.name));
            let target = path.to_string();
            warn_of_same(
                module,
                &passed.in_parent,
                &call.repetition,
                "module",
                &target,
                diagnostics,
            );
        }
    }
}

/// A configuration with `for_each` is named with a key, any other without.
fn check_use(module: &Module, named: &ProviderRef, kind: &str, diagnostics: &mut Diagnostics) {
    let declared = module.providers.get(&named.name);
    let repeated = declared.is_some_and(|p| p.for_each.is_some());
    let alias = named.name.alias.as_deref().unwrap_or_default();
    let (detail, range) = match (&named.key, declared) {
        (Some(_), _) | (None, Some(_)) if named.key.is_some() == repeated => return,
        (None, None) => return,
        (None, Some(_)) => (
            "A reference to a provider configuration which uses for_each requires an instance key. Passing a collection of provider instances into a child module is not allowed.".to_owned(),
            named.range.clone(),
        ),
        (Some(_), None) => (
            format!("This module doesn't declare a provider \"{}\" block with alias = \"{alias}\", which is required for use with for_each.", named.name.local),
            named.range.clone(),
        ),
        (Some(key), Some(_)) => (
            "An instance key can be specified only for a provider configuration that uses for_each.".to_owned(),
            key.range(),
        ),
    };
    diagnostics.push(
        Diagnostic::error(format!("Invalid {kind} provider configuration"), detail).at(range),
    );
}

/// Whoever repeats over the same expression as its provider can't remove an element: the object that goes would need the
/// provider instance that goes with it.
fn warn_of_same(
    module: &Module,
    named: &ProviderRef,
    repetition: &Repetition,
    kind: &str,
    target: &str,
    diagnostics: &mut Diagnostics,
) {
    let provider: Option<&ProviderConfig> = module.providers.get(&named.name);
    let (Some(_), Some(keys), Repetition::ForEach(own)) = (
        &named.key,
        provider.and_then(|p| p.for_each.as_ref()),
        repetition,
    ) else {
        return;
    };
    let refers = |expr: &Expression| !references(expr).0.is_empty();
    if !refers(own) || !refers(keys) || as_written(own) != as_written(keys) {
        return;
    }
    diagnostics.push(
        Diagnostic::warning(
            format!("Provider configuration for_each matches {kind}"),
            format!("This provider configuration uses the same for_each expression as a {kind}, so that removing an element from it would make the next plan fail: a provider instance is needed to destroy the objects that belong to it, and must outlive them by one apply. Give the provider's for_each a collection that keeps the element for that time.\n\nTo destroy this object before its provider instance goes, destroy it alone:\n    stead apply -destroy -target={target}"),
        )
        .at(own.range()),
    );
}

/// An expression's text without spaces and the parentheses around it. It is for a warning: no need to be exact within quotes.
fn as_written(expr: &Expression) -> String {
    let mut node = expr.node();
    while let ExprKind::Parens(inner) = &node.kind {
        node = inner;
    }
    let text = expr.file().slice(node.span);
    text.split_whitespace().collect()
}
