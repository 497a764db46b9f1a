//! Checks across a configuration: arguments against variables, references against declarations, providers against calls.
//! They need no values, so that all mistakes of a run are reported at once, also those in what is never evaluated.

use std::collections::HashSet;
use std::sync::Arc;

use stead_value::addr::{self, ResourceMode};
use stead_value::schema::Block;
use stead_value::{Diagnostic, Diagnostics, SourceRange, Step};

use super::content::{missing_argument, unsupported_argument};
use super::model::{
    CheckRule, DependsOn, IgnoreChanges, Local, Module, ModuleCall, Repetition, Resource,
};
use super::traversal;
use super::tree::{ConfigNode, ConfigTree};
use crate::decode::body_references;
use crate::expr::{StaticReference, Target, references};
use crate::suggest::did_you_mean;
use crate::syntax::{Body, Expression};

/// What resources look like, as far as their providers are known.
pub trait Schemas {
    fn resource(
        &self,
        provider: &addr::ProviderSource,
        mode: ResourceMode,
        type_name: &str,
    ) -> Option<&Block>;
}

impl ConfigTree {
    /// Checks arguments of calls and references, also in what is never evaluated. The configuration must have been read without
    /// errors.
    pub fn check(&self, schemas: &dyn Schemas) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        let mut seen: HashSet<*const Module> = HashSet::new();
        for node in self.nodes() {
            // What concerns the module alone is said once, however often it is called.
            if !seen.insert(Arc::as_ptr(&node.module)) {
                continue;
            }
            for (name, child) in &node.children {
                if let Some(call) = node.module.calls.get(name) {
                    check_arguments(call, &child.module, &mut diagnostics);
                }
            }
            super::provider_instances::check_keys(self, node, &mut diagnostics);
            Checker {
                node,
                schemas,
                inside: None,
                around: None,
                diagnostics: &mut diagnostics,
            }
            .module();
        }
        diagnostics
    }
}

impl ConfigTree {
    /// Checks the references of an expression that stands in the root module, but in none of its files.
    pub fn check_expression(&self, expr: &Expression, schemas: &dyn Schemas) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        Checker {
            node: &self.root,
            schemas,
            inside: None,
            around: None,
            diagnostics: &mut diagnostics,
        }
        .expression(expr, Place::default());
        diagnostics
    }

    /// Checks one reference as [`ConfigTree::check_expression`] checks all.
    pub fn check_reference(
        &self,
        reference: &StaticReference,
        schemas: &dyn Schemas,
    ) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        Checker {
            node: &self.root,
            schemas,
            inside: None,
            around: None,
            diagnostics: &mut diagnostics,
        }
        .found(
            vec![reference.clone()],
            Diagnostics::new(),
            Place::default(),
        );
        diagnostics
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
            diagnostics.push(missing_argument(&call.arguments, &variable.name));
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
    schemas: &'a dyn Schemas,
    /// The check block that is looked at.
    inside: Option<Arc<str>>,
    /// The resource that is looked at: what `self` means there.
    around: Option<addr::Resource>,
    diagnostics: &'a mut Diagnostics,
}

impl Checker<'_> {
    fn module(&mut self) {
        let module = Arc::clone(&self.node.module);
        for variable in module.variables.values() {
            self.rules(&variable.validations, Place::default());
        }
        for local in module.locals.values() {
            self.local(local);
        }
        self.provider_metas();
        for provider in module.providers.values() {
            let keys = provider.for_each.as_ref();
            let place = Place {
                for_each: keys.is_some(),
                ..Place::default()
            };
            self.body(&provider.body, place);
            if let Some(keys) = keys {
                self.expression(keys, Place::default());
            }
        }
        for resource in module.resources.values() {
            self.around = Some(resource.addr.clone());
            self.resource(resource);
        }
        self.around = None;
        for call in module.calls.values() {
            self.repetition(&call.repetition);
            self.body(&call.arguments, Place::of(&call.repetition));
            self.depends_on(&call.depends_on, Place::default());
            for key in call
                .providers
                .iter()
                .filter_map(|p| p.in_parent.key.as_ref())
            {
                self.expression(key, Place::of(&call.repetition));
            }
        }
        for output in module.outputs.values() {
            self.expression(&output.value, Place::default());
            self.rules(&output.preconditions, Place::default());
            self.depends_on(&output.depends_on, Place::default());
            if output.ephemeral && self.node.path.0.is_empty() {
                self.diagnostics.push(
                    Diagnostic::error(
                        "Ephemeral output not allowed",
                        "Ephemeral outputs are not allowed in context of a root module",
                    )
                    .at(output.range.clone()),
                );
            }
        }
        for check in module.checks.values() {
            self.inside = Some(Arc::clone(&check.name));
            self.rules(&check.asserts, Place::default());
            self.inside = None;
        }
    }

    fn resource(&mut self, resource: &Resource) {
        let place = Place::of(&resource.repetition);
        self.repetition(&resource.repetition);
        if let Some(key) = resource.provider.as_ref().and_then(|p| p.key.as_ref()) {
            self.expression(key, place);
        }
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
        self.depends_on(&resource.depends_on, place);
        self.ignored(resource);
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
        if let Some(rollout) = &resource.lifecycle.rollout {
            // A rollout is of all instances: it has no key.
            for expr in rollout.settings() {
                self.expression(expr, Place::default());
            }
            for body in rollout.health_bodies() {
                self.body(body, Place::default());
            }
        }
    }

    /// No native provider wants to be told about modules.
    fn provider_metas(&mut self) {
        let module = Arc::clone(&self.node.module);
        for meta in &module.terraform.provider_metas {
            let source = module.provider_source(&meta.provider);
            let user = module
                .resources
                .values()
                .find(|r| module.provider_source(&r.provider_name().local) == source);
            if let Some(user) = user {
                self.diagnostics.push(
                    Diagnostic::error(
                        format!("Provider {source} doesn't support provider_meta"),
                        format!("The resource {} belongs to a provider that doesn't support provider_meta blocks", user.addr),
                    )
                    .at(meta.range.clone()),
                );
            }
        }
    }

    fn depends_on(&mut self, dependencies: &[DependsOn], place: Place) {
        for dependency in dependencies {
            match &dependency.wrong {
                Some(wrong) => self.diagnostics.push((**wrong).clone()),
                None => self.target(&dependency.target, &dependency.range, place),
            }
        }
    }

    fn local(&mut self, local: &Local) {
        let (found, problems) = references(&local.value);
        for reference in &found {
            if matches!(&reference.target, Target::Local(name) if *name == local.name) {
                let mut diagnostic = Diagnostic::error(
                    "Self-referencing local value",
                    format!(
                        "Local value local.{} cannot use its own result as part of its expression.",
                        local.name
                    ),
                )
                .at(reference.range.clone());
                diagnostic.context = Some(local.value.range());
                self.diagnostics.push(diagnostic);
            }
        }
        self.found(found, problems, Place::default());
    }

    /// What `ignore_changes` names must be there, and be something that a configuration can set.
    fn ignored(&mut self, resource: &Resource) {
        let IgnoreChanges::Paths(paths) = &resource.lifecycle.ignore_changes else {
            return;
        };
        let source = self
            .node
            .module
            .provider_source(&resource.provider_name().local);
        let addr = &resource.addr;
        let Some(schema) = self.schemas.resource(&source, addr.mode, &addr.type_name) else {
            return;
        };
        for (path, range) in paths {
            if let Err(problem) = traversal::check_path(schema, path, range) {
                self.diagnostics.push(problem);
                continue;
            }
            let decided = match path.steps() {
                [Step::Attr(name)] => schema
                    .attributes
                    .get(name)
                    .is_some_and(|a| a.computed && !a.optional),
                _ => false,
            };
            if decided {
                self.diagnostics.push(
                    Diagnostic::warning(
                        "Redundant ignore_changes element",
                        format!("Adding an attribute name to ignore_changes tells Terraform to ignore future changes to the argument in configuration after the object has been created, retaining the value originally configured.\n\nThe attribute {path} is decided by the provider alone and therefore there can be no configured value to compare with. Including this attribute in ignore_changes has no effect. Remove the attribute from ignore_changes to quiet this warning."),
                    )
                    .at(resource.type_range.clone()),
                );
            }
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
            match &reference.target {
                Target::SelfObject => self.self_reference(&reference),
                Target::Resource { resource, key } => {
                    self.resource_reference(resource, key.is_some(), &reference);
                }
                Target::Module {
                    name,
                    key,
                    output: Some(output),
                } => self.output_reference(name, key.is_some(), output, &reference.range),
                _ => {}
            }
        }
    }

    /// What follows `self` must be an attribute of the resource around it.
    fn self_reference(&mut self, reference: &StaticReference) {
        let Some(addr) = &self.around else {
            return;
        };
        let module = &self.node.module;
        let Some(resource) = module.resources.get(addr) else {
            return;
        };
        let source = module.provider_source(&resource.provider_name().local);
        if let Some(schema) = self.schemas.resource(&source, addr.mode, &addr.type_name) {
            traversal::check(schema, reference, self.diagnostics);
        }
    }

    /// An output of a call with `count` is one of an instance. All else about outputs is said when they are evaluated.
    fn output_reference(
        &mut self,
        name: &Arc<str>,
        keyed: bool,
        output: &Arc<str>,
        range: &SourceRange,
    ) {
        let module = Arc::clone(&self.node.module);
        let (Some(call), Some(child)) = (module.calls.get(name), self.node.children.get(name))
        else {
            return;
        };
        let detail = match &call.repetition {
            Repetition::Count(_) if !keyed => "This value does not have any attributes.".to_owned(),
            Repetition::Count(_) | Repetition::ForEach(_)
                if keyed && !child.module.outputs.contains_key(output) =>
            {
                format!("This object does not have an attribute named \"{output}\".")
            }
            _ => return,
        };
        // The output's name, with its dot, ends the reference.
        let mut at = range.clone();
        let length = output.len() as u32 + 1;
        at.start.byte = at.end.byte.saturating_sub(length);
        at.start.column = at
            .end
            .column
            .saturating_sub(output.chars().count() as u32 + 1);
        at.start.line = at.end.line;
        self.diagnostics
            .push(Diagnostic::error("Unsupported attribute", detail).at(at));
    }

    /// What follows a resource's name must be there, as far as its schema tells.
    fn resource_reference(
        &mut self,
        addr: &addr::Resource,
        keyed: bool,
        reference: &StaticReference,
    ) {
        let module = Arc::clone(&self.node.module);
        let Some(resource) = module.resources.get(addr) else {
            return;
        };
        let repeated = match &resource.repetition {
            Repetition::Count(_) => Some(("count", "count.index")),
            Repetition::ForEach(_) => Some(("for_each", "each.key")),
            Repetition::Single | Repetition::Enabled(_) => None,
        };
        let at = reference.range.clone();
        match repeated {
            Some((argument, key)) if !keyed && !reference.rest.is_root() => {
                self.diagnostics.push(
                    Diagnostic::error(
                        "Missing resource instance key",
                        format!("Because {addr} has \"{argument}\" set, its attributes must be accessed on specific instances.\n\nFor example, to correlate with indices of a referring resource, use:\n    {addr}[{key}]"),
                    )
                    .at(at),
                );
            }
            None if keyed => self.diagnostics.push(
                Diagnostic::error(
                    "Unexpected resource instance key",
                    format!("Because {addr} does not have \"count\" or \"for_each\" set, references to it must not include an index key. Remove the bracketed index to refer to the single instance of this resource."),
                )
                .at(at),
            ),
            _ => {}
        }
        let source = module.provider_source(&resource.provider_name().local);
        if let Some(schema) = self.schemas.resource(&source, addr.mode, &addr.type_name) {
            traversal::check(schema, reference, self.diagnostics);
        }
    }

    fn target(&mut self, target: &Target, range: &SourceRange, place: Place) {
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
            Target::Resource { resource, .. } if self.is_out_of_scope(resource) => (
                "Reference to scoped resource",
                format!("The referenced data resource \"{}\" \"{}\" is not available from this context.", resource.type_name, resource.name),
            ),
            Target::Resource { resource, .. } if !module.resources.contains_key(resource) => self.undeclared_resource(resource),
            Target::Module { name, .. } if !module.calls.contains_key(name) => {
                let hint = did_you_mean(name, module.calls.keys().map(|k| &**k));
                (
                    "Reference to undeclared module",
                    format!("No module call named \"{name}\" is declared in {}.{hint}", module_name(&self.node.path)),
                )
            }
            Target::EachValue if !place.for_each => (
                "each.value cannot be used in this context",
                "A reference to \"each.value\" has been used in a context in which it is unavailable, such as when the configuration no longer contains the value in its \"for_each\" expression. Remove this reference to each.value in your configuration to work around this error.".to_owned(),
            ),
            Target::EachKey if !place.for_each => (
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

    /// Whether another check block keeps this data source to itself.
    fn is_out_of_scope(&self, resource: &addr::Resource) -> bool {
        let declared = self.node.module.resources.get(resource);
        declared.is_some_and(|r| r.check.is_some() && r.check != self.inside)
    }

    fn undeclared_resource(&self, resource: &addr::Resource) -> (&'static str, String) {
        let kind = match resource.mode {
            ResourceMode::Managed => "managed",
            ResourceMode::Data => "data",
            ResourceMode::Ephemeral => "ephemeral",
        };
        let declared = &self.node.module.resources;
        let twin = addr::Resource {
            mode: ResourceMode::Data,
            ..resource.clone()
        };
        let hint = if declared.contains_key(&twin) && resource.mode == ResourceMode::Managed {
            format!("\n\nDid you mean the data resource {twin}?")
        } else {
            let known: Vec<String> = declared
                .keys()
                .filter(|r| r.mode == resource.mode)
                .map(ToString::to_string)
                .collect();
            did_you_mean(&resource.to_string(), known.iter().map(String::as_str))
        };
        let article = if resource.mode == ResourceMode::Ephemeral {
            "An"
        } else {
            "A"
        };
        (
            "Reference to undeclared resource",
            format!(
                "{article} {kind} resource \"{}\" \"{}\" has not been declared in {}.{hint}",
                resource.type_name,
                resource.name,
                module_name(&self.node.path)
            ),
        )
    }
}
