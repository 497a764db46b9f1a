//! Checks across a configuration: arguments against variables, references against declarations, providers against calls.
//! They need no values, so that all mistakes of a run are reported at once, also those in what is never evaluated.

use std::sync::Arc;

use stead_value::addr::{self, ResourceMode};
use stead_value::{Diagnostic, Diagnostics};

use super::content::{missing_argument, unsupported_argument};
use super::model::{CheckRule, Module, ModuleCall, ProviderName, Repetition, Resource};
use super::tree::{ConfigNode, ConfigTree};
use crate::decode::body_references;
use crate::expr::{StaticReference, Target, references};
use crate::suggest::did_you_mean;
use crate::syntax::{Body, Expression};

pub(crate) fn check_tree(tree: &ConfigTree, diagnostics: &mut Diagnostics) {
    let mut seen: Vec<*const Module> = Vec::new();
    for node in tree.nodes() {
        check_providers(tree, node, diagnostics);
        // What concerns the module alone is said once, however often it is called.
        let identity = Arc::as_ptr(&node.module);
        if seen.contains(&identity) {
            continue;
        }
        seen.push(identity);
        for (name, child) in &node.children {
            if let Some(call) = node.module.calls.get(name) {
                check_arguments(call, &child.module, diagnostics);
            }
        }
        Checker { node, diagnostics }.module();
    }
}

/// The arguments of a module call are the child's variables.
fn check_arguments(call: &ModuleCall, child: &Module, diagnostics: &mut Diagnostics) {
    for attribute in call.arguments.attributes.values() {
        if !child.variables.contains_key(&attribute.name) {
            let known = child.variables.keys().map(|k| &**k);
            diagnostics.push(unsupported_argument(attribute, known, std::iter::empty()));
        }
    }
    for variable in child.variables.values() {
        if variable.default.is_none() && !call.arguments.attributes.contains_key(&variable.name) {
            let mut diagnostic = missing_argument(&call.arguments, &variable.name);
            diagnostic.subject = Some(call.range.clone());
            diagnostics.push(diagnostic);
        }
    }
}

/// Every provider configuration that is named must exist.
fn check_providers(tree: &ConfigTree, node: &ConfigNode, diagnostics: &mut Diagnostics) {
    let undefined = |name: &ProviderName, range| {
        Diagnostic::error(
            "Reference to undefined provider",
            format!(
                "There is no provider configuration \"{name}\" in {}. Declare it with a provider block, or list it in \
                 configuration_aliases and let the caller pass it.",
                module_name(&node.path)
            ),
        )
        .at(range)
    };
    for resource in node.module.resources.values() {
        if let Some(provider) = &resource.provider
            && tree.resolve_provider(&node.path, &provider.name).is_none()
        {
            diagnostics.push(undefined(&provider.name, provider.range.clone()));
        }
    }
    for call in node.module.calls.values() {
        for passed in &call.providers {
            if tree
                .resolve_provider(&node.path, &passed.in_parent.name)
                .is_none()
            {
                diagnostics.push(undefined(
                    &passed.in_parent.name,
                    passed.in_parent.range.clone(),
                ));
            }
        }
        let Some(child) = node.children.get(&call.name) else {
            continue;
        };
        for required in child.module.terraform.required_providers.values() {
            for alias in &required.aliases {
                if !call.providers.iter().any(|p| p.in_child.name == *alias) {
                    diagnostics.push(
                        Diagnostic::error(
                            "Missing required provider configuration",
                            format!(
                                "The child module requires an additional configuration for provider {}, with the local name \
                                 \"{alias}\". Pass it in the \"providers\" argument of the module block.",
                                required.source
                            ),
                        )
                        .at(call.range.clone()),
                    );
                }
            }
        }
    }
}

fn module_name(path: &addr::Module) -> String {
    if path.0.is_empty() {
        "the root module".into()
    } else {
        path.to_string()
    }
}

/// Where an expression stands, as far as it decides what may be referred to.
#[derive(Clone, Copy, Default)]
struct Place {
    count: bool,
    for_each: bool,
    /// `self` is there: in postconditions.
    object: bool,
}

impl Place {
    fn of(repetition: &Repetition) -> Place {
        Place {
            count: matches!(repetition, Repetition::Count(_)),
            for_each: matches!(repetition, Repetition::ForEach(_)),
            object: false,
        }
    }
}

struct Checker<'a> {
    node: &'a ConfigNode,
    diagnostics: &'a mut Diagnostics,
}

impl Checker<'_> {
    fn module(&mut self) {
        let module = Arc::clone(&self.node.module);
        for variable in module.variables.values() {
            self.rules(&variable.validations, Place::default());
        }
        for local in module.locals.values() {
            self.expression(&local.value, Place::default());
        }
        for provider in module.providers.values() {
            self.body(&provider.body, Place::default());
        }
        for resource in module.resources.values() {
            self.resource(resource);
        }
        for call in module.calls.values() {
            self.repetition(&call.repetition);
            self.body(&call.arguments, Place::of(&call.repetition));
            for dependency in &call.depends_on {
                self.target(&dependency.target, &dependency.range, Place::default());
            }
        }
        for output in module.outputs.values() {
            self.expression(&output.value, Place::default());
            self.rules(&output.preconditions, Place::default());
            for dependency in &output.depends_on {
                self.target(&dependency.target, &dependency.range, Place::default());
            }
        }
        for check in module.checks.values() {
            if let Some(data) = &check.data {
                self.body(&data.body, Place::default());
            }
            // Asserts may refer to the data source of their own block, which is declared nowhere else.
            if check.data.is_none() {
                self.rules(&check.asserts, Place::default());
            }
        }
    }

    fn resource(&mut self, resource: &Resource) {
        let place = Place::of(&resource.repetition);
        self.repetition(&resource.repetition);
        self.body(&resource.body, place);
        self.rules(&resource.lifecycle.preconditions, place);
        self.rules(
            &resource.lifecycle.postconditions,
            Place {
                object: true,
                ..place
            },
        );
        for trigger in &resource.lifecycle.replace_triggered_by {
            self.expression(trigger, place);
        }
        for dependency in &resource.depends_on {
            self.target(&dependency.target, &dependency.range, place);
        }
        let inside = Place {
            object: true,
            ..place
        };
        let own = resource.connection.iter().map(|c| &c.body);
        let bodies = resource
            .provisioners
            .iter()
            .flat_map(|p| std::iter::once(&p.body).chain(p.connection.iter().map(|c| &c.body)));
        for body in own.chain(bodies) {
            self.body(body, inside);
        }
        if let Some(expr) = &resource.lifecycle.prevent_destroy {
            self.expression(expr, place);
        }
    }

    fn repetition(&mut self, repetition: &Repetition) {
        if let Repetition::Count(expr) | Repetition::ForEach(expr) | Repetition::Enabled(expr) =
            repetition
        {
            self.expression(expr, Place::default());
        }
    }

    fn rules(&mut self, rules: &[CheckRule], place: Place) {
        for rule in rules {
            self.expression(&rule.condition, place);
            self.expression(&rule.error_message, place);
        }
    }

    fn expression(&mut self, expr: &Expression, place: Place) {
        let (found, problems) = references(expr);
        self.found(found, problems, place);
    }

    fn body(&mut self, body: &Body, place: Place) {
        let (found, problems) = body_references(body);
        self.found(found, problems, place);
    }

    fn found(&mut self, found: Vec<StaticReference>, problems: Diagnostics, place: Place) {
        self.diagnostics.extend(problems);
        for reference in found {
            self.target(&reference.target, &reference.range, place);
        }
    }

    fn target(&mut self, target: &Target, range: &stead_value::SourceRange, place: Place) {
        let module = &self.node.module;
        let wrong = match target {
            Target::Variable(name) if !module.variables.contains_key(name) => {
                let hint = match did_you_mean(name, module.variables.keys().map(|k| &**k)) {
                    hint if hint.is_empty() => {
                        format!(" This variable can be declared with a variable \"{name}\" {{}} block.")
                    }
                    hint => hint,
                };
                ("Reference to undeclared input variable", format!("An input variable with the name \"{name}\" has not been declared.{hint}"))
            }
            Target::Local(name) if !module.locals.contains_key(name) => {
                let hint = did_you_mean(name, module.locals.keys().map(|k| &**k));
                ("Reference to undeclared local value", format!("A local value with the name \"{name}\" has not been declared.{hint}"))
            }
            Target::Resource { resource, .. } if !module.resources.contains_key(resource) => self.undeclared_resource(resource),
            Target::Module { name, output, .. } => match (module.calls.get(name), output) {
                (None, _) => {
                    let hint = did_you_mean(name, module.calls.keys().map(|k| &**k));
                    (
                        "Reference to undeclared module",
                        format!("No module call named \"{name}\" is declared in {}.{hint}", module_name(&self.node.path)),
                    )
                }
                (Some(call), Some(output)) => {
                    let Some(child) = self.node.children.get(name) else { return };
                    // The attributes of a repeated call are its instances' keys.
                    let direct = matches!(call.repetition, Repetition::Single | Repetition::Enabled(_))
                        || matches!(target, Target::Module { key: Some(_), .. });
                    if !direct || child.module.outputs.contains_key(output) {
                        return;
                    }
                    let hint = did_you_mean(output, child.module.outputs.keys().map(|k| &**k));
                    ("Unsupported attribute", format!("This object does not have an attribute named \"{output}\".{hint}"))
                }
                _ => return,
            },
            Target::EachKey | Target::EachValue if !place.for_each => (
                "Reference to \"each\" in context without for_each",
                "The \"each\" object can be used only in \"module\" or \"resource\" blocks, and only when the \"for_each\" \
                 argument is set."
                    .to_owned(),
            ),
            Target::CountIndex if !place.count => (
                "Reference to \"count\" in non-counted context",
                "The \"count\" object can only be used in \"module\", \"resource\", and \"data\" blocks, and only when the \
                 \"count\" argument is set."
                    .to_owned(),
            ),
            Target::SelfObject if !place.object => (
                "Invalid \"self\" reference",
                "The \"self\" object is not available in this context. This object can be used only in resource provisioner, \
                 connection, and postcondition blocks."
                    .to_owned(),
            ),
            _ => return,
        };
        self.diagnostics
            .push(Diagnostic::error(wrong.0, wrong.1).at(range.clone()));
    }

    fn undeclared_resource(&self, resource: &addr::Resource) -> (&'static str, String) {
        let kind = match resource.mode {
            ResourceMode::Managed => "managed",
            ResourceMode::Data => "data",
            ResourceMode::Ephemeral => "ephemeral",
        };
        let declared = &self.node.module.resources;
        let modes = [
            ResourceMode::Managed,
            ResourceMode::Data,
            ResourceMode::Ephemeral,
        ];
        let twin = modes
            .into_iter()
            .map(|mode| addr::Resource {
                mode,
                ..resource.clone()
            })
            .find(|twin| declared.contains_key(twin));
        let hint = match twin {
            Some(twin) => format!(" Did you mean {twin}?"),
            None => {
                let known: Vec<String> = declared
                    .keys()
                    .filter(|r| r.mode == resource.mode)
                    .map(ToString::to_string)
                    .collect();
                did_you_mean(&resource.to_string(), known.iter().map(String::as_str))
            }
        };
        (
            "Reference to undeclared resource",
            format!(
                "A {kind} resource \"{}\" \"{}\" has not been declared in {}.{hint}",
                resource.type_name,
                resource.name,
                module_name(&self.node.path)
            ),
        )
    }
}
