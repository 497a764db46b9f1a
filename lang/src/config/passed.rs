//! Which provider configurations modules pass to each other, checked along the calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use stead_value::addr::ProviderSource;
use stead_value::{Diagnostic, Diagnostics, SourceRange, addr};

use super::model::{Module, ModuleCall, PassedProvider, Repetition, Resource};
use super::references::provider_part;
use super::required_providers::implied_source;
use super::tree::ConfigNode;

/// Checks a root module and all below it.
pub(crate) fn check_providers(root: &ConfigNode, diagnostics: &mut Diagnostics) {
    check_node(root, None, None, diagnostics);
}

/// `forbidden` is what along the way rules out provider blocks of one's own: `count`, `for_each` or `depends_on` of a call.
fn check_node(
    node: &ConfigNode,
    caller: Option<(&ConfigNode, &ModuleCall)>,
    forbidden: Option<&SourceRange>,
    diagnostics: &mut Diagnostics,
) {
    for (name, child) in &node.children {
        let Some(call) = node.module.calls.get(name) else {
            continue;
        };
        let own = match &call.repetition {
            Repetition::Count(expr) | Repetition::ForEach(expr) => Some(expr.range()),
            _ => call.depends_on.first().map(|d| d.range.clone()),
        };
        check_node(
            child,
            Some((node, call)),
            own.as_ref().or(forbidden),
            diagnostics,
        );
    }
    let view = View::of(&node.module);
    view.duplicates(&node.module, diagnostics);
    super::provider_instances::check_uses(node, diagnostics);
    for resource in node.module.resources.values() {
        view.implied(resource, diagnostics);
    }
    let passed = |name: &str| {
        caller.is_some_and(|(_, call)| {
            call.providers
                .iter()
                .any(|p| p.in_child.name.to_string() == name)
        })
    };
    for call in node.module.calls.values() {
        for given in &call.providers {
            if given.in_parent.name.alias.is_none() {
                view.named(node, caller, given, &passed, diagnostics);
            } else if caller.is_none() {
                view.aliased(given, diagnostics);
            }
        }
    }
    if let Some((parent, call)) = caller {
        let child = Child {
            node,
            parent,
            call,
            view: &view,
        };
        child.check(forbidden, diagnostics);
    }
}

/// What a module says of providers, by names as written: `null`, `null.west`.
struct View {
    /// Blocks that configure something.
    configured: BTreeMap<String, SourceRange>,
    /// Blocks that say nothing: the old way to ask for a configuration.
    empty: BTreeMap<String, SourceRange>,
    aliases: BTreeMap<String, ProviderSource>,
    local_names: BTreeMap<Arc<str>, ProviderSource>,
}

impl View {
    fn of(module: &Module) -> View {
        let mut view = View {
            configured: BTreeMap::new(),
            empty: BTreeMap::new(),
            aliases: BTreeMap::new(),
            local_names: BTreeMap::new(),
        };
        for (name, config) in &module.providers {
            let says_nothing = config.body.attributes.is_empty()
                && config.body.blocks.is_empty()
                && config.version.is_none();
            let place = if says_nothing {
                &mut view.empty
            } else {
                &mut view.configured
            };
            place.insert(name.to_string(), config.range.clone());
        }
        for (local, required) in &module.terraform.required_providers {
            view.local_names
                .insert(Arc::clone(local), required.source.clone());
            for alias in &required.aliases {
                view.aliases
                    .insert(alias.to_string(), required.source.clone());
            }
        }
        view
    }

    fn duplicates(&self, module: &Module, diagnostics: &mut Diagnostics) {
        let mut seen: BTreeMap<&ProviderSource, &Arc<str>> = BTreeMap::new();
        for (local, required) in &module.terraform.required_providers {
            let shown = required.source.display();
            if let Some(first) = seen.get(&required.source) {
                diagnostics.push(
                    Diagnostic::warning(
                        "Duplicate required provider",
                        format!("Provider {shown} with the local name \"{local}\" was previously required as \"{first}\". A provider can only be required once within required_providers."),
                    )
                    .at(required.range.clone()),
                );
            } else if required.source == ProviderSource::implied(&required.source.name)
                && **local != *required.source.name
                && module
                    .providers
                    .keys()
                    .any(|n| n.local == required.source.name)
            {
                diagnostics.push(
                    Diagnostic::warning(
                        "Duplicate required provider",
                        format!("Provider {shown} with the local name \"{local}\" was implicitly required via a configuration block as \"{}\". The provider configuration block name must match the name used in required_providers.", required.source.name),
                    )
                    .at(required.range.clone()),
                );
            }
            seen.insert(&required.source, local);
        }
    }

    /// A resource whose type's first word is not the name under which its provider is required.
    fn implied(&self, resource: &Resource, diagnostics: &mut Diagnostics) {
        if resource.provider.is_some() {
            return;
        }
        let local = super::model::implied_provider(&resource.addr.type_name);
        if let Err(why) = provider_part(local) {
            diagnostics.push(
                Diagnostic::error(
                    "Invalid provider local name",
                    format!("\"{local}\" is an invalid implied provider local name: {why}"),
                )
                .at(resource.range.clone()),
            );
            return;
        }
        if self.local_names.contains_key(local) {
            return;
        }
        let source = implied_source(local);
        for (other, required) in &self.local_names {
            if *required == source {
                diagnostics.push(
                    Diagnostic::warning(
                        "Duplicate required provider",
                        format!("Provider \"{source}\" was implicitly required via resource \"{}\", but listed in required_providers as \"{other}\". Either the local name in required_providers must match the resource name, or the \"{other}\" provider must be assigned within the resource block.", resource.addr),
                    )
                    .at(resource.range.clone()),
                );
            }
        }
    }

    /// A configuration passed on by its plain name must be known here.
    fn named(
        &self,
        node: &ConfigNode,
        caller: Option<(&ConfigNode, &ModuleCall)>,
        given: &PassedProvider,
        passed: &dyn Fn(&str) -> bool,
        diagnostics: &mut Diagnostics,
    ) {
        let name = given.in_parent.name.to_string();
        let configured = self.configured.contains_key(&name);
        let here = module_name(&node.path);
        let parent = caller.map_or_else(|| module_name(&node.path), |(p, _)| module_name(&p.path));
        let shown = ProviderSource::implied(&name).display();
        if !configured && !self.local_names.contains_key(&*name) {
            diagnostics.push(
                Diagnostic::warning(
                    "Reference to undefined provider",
                    format!("There is no explicit declaration for local provider name \"{name}\" in {here}, so Terraform is assuming you mean to pass a configuration for provider \"{shown}\".\n\nTo clarify your intent and silence this warning, add to {parent} a required_providers entry named \"{name}\" with source = \"{shown}\", or a different source address if appropriate."),
                )
                .at(given.in_parent.range.clone()),
            );
        } else if let Some((_, call)) = caller
            && !configured
            && !passed(&name)
        {
            diagnostics.push(
                Diagnostic::warning(
                    "Missing required provider configuration",
                    format!("The configuration for {here} expects to inherit a configuration for provider {shown} with local name \"{name}\", but {parent} doesn't pass a configuration under that name.\n\nTo satisfy this requirement, add an entry for \"{name}\" to the \"providers\" argument in the module \"{}\" block.", call.name),
                )
                .at(call.range.clone()),
            );
        }
    }

    /// The root module can pass only aliases that it configures.
    fn aliased(&self, given: &PassedProvider, diagnostics: &mut Diagnostics) {
        let name = given.in_parent.name.to_string();
        if self.configured.contains_key(&name)
            || self.empty.contains_key(&name)
            || self.aliases.contains_key(&name)
        {
            return;
        }
        diagnostics.push(Diagnostic::error(
            "Provider configuration not present",
            format!("A configuration for provider \"{name}\" is passed to a module, but the root module has no provider block for it. Declare it with a provider \"{}\" block with this alias.", given.in_parent.name.local),
        ).at(given.in_parent.range.clone()));
    }
}

/// A module with the call that leads to it.
struct Child<'a> {
    node: &'a ConfigNode,
    parent: &'a ConfigNode,
    call: &'a ModuleCall,
    view: &'a View,
}

impl Child<'_> {
    fn check(&self, forbidden: Option<&SourceRange>, diagnostics: &mut Diagnostics) {
        if let (Some(forbidden), false) = (forbidden, self.view.configured.is_empty()) {
            let source = self.node.source.as_ref().map(ToString::to_string);
            diagnostics.push(
                Diagnostic::error(
                    "Module is incompatible with count, for_each, and depends_on",
                    format!(
                        "The module at {} is a legacy module which contains its own local provider configurations, and so calls to it may not use the count, for_each, or depends_on arguments.\n\nIf you also control the module \"{}\", consider updating this module to instead expect provider configurations to be passed by its caller.",
                        self.node.path,
                        source.unwrap_or_default()
                    ),
                )
                .at(forbidden.clone()),
            );
        }
        for given in &self.call.providers {
            self.overridden(given, diagnostics);
        }
        self.missing_aliases(diagnostics);
        for given in &self.call.providers {
            self.accepted(given, diagnostics);
        }
        self.redundant(diagnostics);
    }

    fn overridden(&self, given: &PassedProvider, diagnostics: &mut Diagnostics) {
        let name = given.in_child.name.to_string();
        if self.view.configured.contains_key(&name) {
            diagnostics.push(
                Diagnostic::error(
                    "Cannot override provider configuration",
                    format!(
                        "The configuration of {} has its own local configuration for {name}, and so it cannot accept an overridden configuration provided by {}.",
                        module_name(&self.node.path),
                        module_name(&self.parent.path)
                    ),
                )
                .at(name_range(given)),
            );
        }
    }

    fn missing_aliases(&self, diagnostics: &mut Diagnostics) {
        for (name, source) in &self.view.aliases {
            let passed = |p: &PassedProvider| p.in_child.name.to_string() == *name;
            if self.view.configured.contains_key(name) || self.call.providers.iter().any(passed) {
                continue;
            }
            diagnostics.push(
                Diagnostic::error(
                    "Missing required provider configuration",
                    format!("The child module requires an additional configuration for provider {}, with the local name \"{name}\".\n\nRefer to the module's documentation to understand the intended purpose of this additional provider configuration, and then add an entry for {name} in the \"providers\" meta-argument in the module block to choose which provider configuration the module should use for that purpose.", source.display()),
                )
                .at(self.call.range.clone()),
            );
        }
    }

    /// What is passed must be something that the child asks for, and of the same provider.
    fn accepted(&self, given: &PassedProvider, diagnostics: &mut Diagnostics) {
        let view = self.view;
        let name = given.in_child.name.to_string();
        let module = module_name(&self.node.path);
        let listed = view.local_names.get(&*name).or(view.aliases.get(&name));
        let source = listed
            .cloned()
            .unwrap_or_else(|| self.node.module.provider_source(&given.in_child.name.local));
        let shown = source.display();
        if listed.is_none() && !view.empty.contains_key(&name) {
            let is_default = source == implied_source(&given.in_child.name.local);
            let diagnostic = if is_default {
                Diagnostic::warning(
                    "Reference to undefined provider",
                    format!(
                        "There is no explicit declaration for local provider name \"{name}\" in {module}, so Terraform is assuming you mean to pass a configuration for \"{shown}\".\n\nIf you also control the child module, add a required_providers entry named \"{name}\" with the source address \"{shown}\"."
                    ),
                )
            } else {
                Diagnostic::error(
                    "Reference to undefined provider",
                    format!(
                        "The child module does not declare any provider requirement with the local name \"{name}\".\n\nIf you also control the child module, you can add a required_providers entry named \"{name}\" with the source address \"{shown}\" to accept this provider configuration."
                    ),
                )
            };
            diagnostics.push(diagnostic.at(name_range(given)));
        }
        let theirs = self
            .parent
            .module
            .provider_source(&given.in_parent.name.local);
        if theirs == source {
            return;
        }
        let parent = module_name(&self.parent.path);
        let summary = "Provider type mismatch";
        let other = view.local_names.iter().find(|(_, s)| **s == theirs);
        let diagnostic = match other {
            Some((other, _)) => Diagnostic::error(
                summary,
                format!("The assigned configuration is for provider \"{}\", but local name \"{}\" in {parent} represents \"{shown}\".\n\nTo pass this configuration to the child module, use the local name \"{other}\" instead.", theirs.display(), given.in_child.name.local),
            )
            .at(name_range(given)),
            None => Diagnostic::error(
                summary,
                format!("The local name \"{}\" in {parent} represents provider \"{}\", but \"{name}\" in {module} represents \"{shown}\".\n\nEach provider has its own distinct configuration schema and provider types, so this module's \"{name}\" can be assigned only a configuration for {shown}, which is not required by {module}.", given.in_parent.name, theirs.display()),
            )
            .at(given.in_parent.range.clone()),
        };
        diagnostics.push(diagnostic);
    }

    /// Empty provider blocks, which required_providers has replaced; one warning for each provider.
    fn redundant(&self, diagnostics: &mut Diagnostics) {
        let mut by_provider: BTreeMap<&str, Vec<(&String, &SourceRange)>> = BTreeMap::new();
        for (name, range) in &self.view.empty {
            let local = name.split('.').next().unwrap_or(name);
            by_provider.entry(local).or_default().push((name, range));
        }
        for (local, blocks) in by_provider {
            let source = self
                .view
                .local_names
                .get(local)
                .cloned()
                .unwrap_or_else(|| ProviderSource::implied(local));
            let mut detail = format!(
                "Earlier versions of Terraform used empty provider blocks (\"proxy provider configurations\") for child modules to declare their need to be passed a provider configuration by their callers. That approach was ambiguous and is now deprecated.\n\nIf you control this module, you can migrate to the new declaration syntax by removing all of the empty provider \"{local}\" blocks and then adding or updating an entry like the following to the required_providers block of {}:\n    {local} = {{\n      source = \"{}\"\n",
                module_name(&self.node.path),
                source.display()
            );
            if blocks.iter().any(|(name, _)| name.contains('.')) {
                detail.push_str("      configuration_aliases = [\n");
                for (name, _) in &blocks {
                    let _ = writeln!(detail, "        {name},");
                }
                detail.push_str("      ]\n");
            }
            detail.push_str("    }");
            let first = blocks
                .iter()
                .map(|(_, range)| *range)
                .min_by_key(|r| (r.file.to_string(), r.start.line.to_string()));
            let mut diagnostic = Diagnostic::warning("Redundant empty provider block", detail);
            diagnostic.subject = first.cloned();
            diagnostics.push(diagnostic);
        }
    }
}

/// The local name alone, without the alias.
fn name_range(given: &PassedProvider) -> SourceRange {
    let mut range = given.in_child.range.clone();
    let length = given.in_child.name.local.len() as u32;
    range.end.byte = range.start.byte + length;
    range.end.column = range.start.column + length;
    range
}

fn module_name(path: &addr::Module) -> String {
    if path.0.is_empty() {
        "the root module".into()
    } else {
        path.to_string()
    }
}
