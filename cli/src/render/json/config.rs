//! The configuration as a JSON plan shows it: what is declared, and what each expression refers to.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use stead_engine::Registry;
use stead_lang::config::{
    ConfigNode, ConfigTree, Constraints, DependsOn, Early, ModuleCall, ProviderName, Repetition,
    Resource,
};
use stead_lang::expr::{PathKind, StaticReference, Target, evaluate_constant, references};
use stead_lang::syntax::{Body, Expression};
use stead_value::addr::{InstanceKey, ResourceMode};
use stead_value::schema::{Attribute, Block, Nesting};
use stead_value::{Step, Type};

use super::value::known;
use crate::render::text::quote;

pub(crate) fn configuration(tree: &ConfigTree, registry: &Registry) -> Json {
    let marshal = Marshal { tree, registry };
    let mut out = Map::new();
    let providers = marshal.providers();
    if !providers.is_empty() {
        out.insert("provider_config".into(), providers.into());
    }
    out.insert("root_module".into(), marshal.module(&tree.root));
    out.into()
}

struct Marshal<'a> {
    tree: &'a ConfigTree,
    registry: &'a Registry,
}

impl Marshal<'_> {
    /// Every provider configuration that is written down or implied, by its key.
    fn providers(&self) -> Map<String, Json> {
        let mut found = BTreeMap::new();
        for node in self.tree.nodes() {
            let module = &node.module;
            for config in module.providers.values() {
                let source = module.provider_source(&config.name.local);
                let empty = Block::default();
                let schema = self.registry.schema(&source);
                let schema = schema.map_or(&empty, |s| &s.provider.block);
                let mut entry = provider(node, &config.name);
                if let Some(alias) = &config.name.alias {
                    entry.insert("alias".into(), json!(&**alias));
                }
                let expressions = expressions(&config.body, schema);
                if !expressions.is_empty() {
                    entry.insert("expressions".into(), expressions.into());
                }
                found.insert(provider_key(node, &config.name), entry);
            }
            let required = module.terraform.required_providers.keys();
            let implied = module.resources.values().map(Resource::provider_name);
            let names = required
                .map(|local| ProviderName {
                    local: local.clone(),
                    alias: None,
                })
                .chain(implied.map(|name| ProviderName {
                    alias: None,
                    ..name
                }));
            for name in names {
                let key = provider_key(node, &name);
                // What the caller has is the caller's.
                if !found.contains_key(&key) && self.key_of(node, &name) == key {
                    found.insert(key, provider(node, &name));
                }
            }
        }
        found
            .into_iter()
            .map(|(key, entry)| (key, entry.into()))
            .collect()
    }

    /// The key of the configuration that a name means in a module.
    fn key_of(&self, node: &ConfigNode, name: &ProviderName) -> String {
        let resolved = self.tree.resolve_provider(&node.path, name);
        let Some(resolved) = resolved.filter(|r| r.module != node.path) else {
            return provider_key(node, name);
        };
        let Some(owner) = self.tree.get(&resolved.module) else {
            return provider_key(node, name);
        };
        // The caller's own name for it, if it speaks of that provider at all.
        let module = &owner.module;
        let configured = module.provider_config(&resolved.source, resolved.alias.as_deref());
        let required = module.terraform.required_providers.iter();
        let local = configured.map(|c| c.name.local.clone()).or_else(|| {
            let mut used = required.filter(|(_, p)| p.source == resolved.source);
            used.next().map(|(name, _)| name.clone())
        });
        let local = local.or_else(|| {
            let names = module.resources.values().map(Resource::provider_name);
            let mut names = names.filter(|n| module.provider_source(&n.local) == resolved.source);
            names.next().map(|n| n.local)
        });
        match local {
            Some(local) => provider_key(
                owner,
                &ProviderName {
                    local,
                    alias: resolved.alias.clone(),
                },
            ),
            None => provider_key(node, name),
        }
    }

    fn module(&self, node: &ConfigNode) -> Json {
        let module = &node.module;
        let mut out = Map::new();
        if !module.outputs.is_empty() {
            let outputs = module.outputs.iter().map(|(name, output)| {
                let mut entry = Map::new();
                if output.sensitive {
                    entry.insert("sensitive".into(), true.into());
                }
                entry.insert("expression".into(), expression(&output.value));
                depends_on(&mut entry, &output.depends_on);
                describe(&mut entry, &output.description);
                (name.to_string(), Json::from(entry))
            });
            out.insert("outputs".into(), sorted(outputs));
        }
        let mut resources: Vec<&Resource> = module
            .resources
            .values()
            .filter(|r| r.mode() != ResourceMode::Ephemeral)
            .collect();
        resources.sort_by_cached_key(|r| (r.mode() == ResourceMode::Data, r.addr.to_string()));
        if !resources.is_empty() {
            let resources = resources.into_iter().map(|r| self.resource(node, r));
            out.insert("resources".into(), resources.collect());
        }
        let calls = module.calls.iter().filter_map(|(name, call)| {
            Some((name.to_string(), self.call(call, node.children.get(name)?)))
        });
        let calls = sorted(calls);
        if calls.as_object().is_some_and(|c| !c.is_empty()) {
            out.insert("module_calls".into(), calls);
        }
        if !module.variables.is_empty() {
            let variables = module.variables.iter().map(|(name, variable)| {
                let mut entry = Map::new();
                if let Some(default) = &variable.default {
                    entry.insert("default".into(), known(default));
                }
                describe(&mut entry, &variable.description);
                if variable.sensitive {
                    entry.insert("sensitive".into(), true.into());
                }
                (name.to_string(), Json::from(entry))
            });
            out.insert("variables".into(), sorted(variables));
        }
        out.into()
    }

    fn call(&self, call: &ModuleCall, child: &ConfigNode) -> Json {
        let mut out = Map::new();
        if let Some(Early::Known(source)) = &call.source {
            out.insert("source".into(), source.to_string().into());
        }
        let mut schema = Block::default();
        for name in child.module.variables.keys() {
            schema
                .attributes
                .insert(name.clone(), Attribute::new(Type::Dynamic));
        }
        let arguments = expressions(&call.arguments, &schema);
        if !arguments.is_empty() {
            out.insert("expressions".into(), arguments.into());
        }
        repetition(&mut out, &call.repetition);
        out.insert("module".into(), self.module(child));
        if let Some(Early::Known(version)) = &call.version {
            out.insert(
                "version_constraint".into(),
                constraint(&version.text).into(),
            );
        }
        depends_on(&mut out, &call.depends_on);
        out.into()
    }

    fn resource(&self, node: &ConfigNode, resource: &Resource) -> Json {
        let mut out = Map::new();
        out.insert("address".into(), resource.addr.to_string().into());
        let mode = match resource.mode() {
            ResourceMode::Managed => "managed",
            _ => "data",
        };
        out.insert("mode".into(), mode.into());
        out.insert("type".into(), json!(&*resource.addr.type_name));
        out.insert("name".into(), json!(&*resource.addr.name));
        let name = resource.provider_name();
        out.insert(
            "provider_config_key".into(),
            self.key_of(node, &name).into(),
        );
        let provisioners: Vec<Json> = resource
            .provisioners
            .iter()
            .map(|p| {
                let mut entry = Map::new();
                entry.insert("type".into(), json!(&*p.kind));
                let provisioner = self.registry.provisioner(&p.kind);
                let expressions = provisioner
                    .map(|found| expressions(&p.body, found.schema()))
                    .unwrap_or_default();
                if !expressions.is_empty() {
                    entry.insert("expressions".into(), expressions.into());
                }
                entry.into()
            })
            .collect();
        if !provisioners.is_empty() {
            out.insert("provisioners".into(), provisioners.into());
        }
        let source = node.module.provider_source(&name.local);
        let schema =
            self.registry
                .resource_schema(&source, resource.mode(), &resource.addr.type_name);
        let version = match schema {
            Ok(schema) => {
                let arguments = expressions(&resource.body, &schema.block);
                if !arguments.is_empty() {
                    out.insert("expressions".into(), arguments.into());
                }
                schema.version
            }
            Err(_) => 0,
        };
        out.insert("schema_version".into(), version.into());
        repetition(&mut out, &resource.repetition);
        depends_on(&mut out, &resource.depends_on);
        out.into()
    }
}

fn provider(node: &ConfigNode, name: &ProviderName) -> Map<String, Json> {
    let module = &node.module;
    let mut out = Map::new();
    out.insert("name".into(), json!(&*name.local));
    let source = module.provider_source(&name.local);
    out.insert("full_name".into(), source.to_string().into());
    let required = module.terraform.required_providers.get(&name.local);
    if let Some(version) = required.and_then(|r| r.version.as_ref()) {
        out.insert(
            "version_constraint".into(),
            constraint(&version.text).into(),
        );
    }
    if !node.path.0.is_empty() {
        out.insert("module_address".into(), node.path.to_string().into());
    }
    out
}

fn provider_key(node: &ConfigNode, name: &ProviderName) -> String {
    if node.path.0.is_empty() {
        name.to_string()
    } else {
        format!("{}:{name}", node.path)
    }
}

/// Version constraints in their usual form.
fn constraint(text: &str) -> String {
    let parsed = Constraints::parse(text);
    parsed.map_or_else(|| text.to_owned(), |c| c.display().join(", "))
}

fn sorted(entries: impl Iterator<Item = (String, Json)>) -> Json {
    let entries: BTreeMap<String, Json> = entries.collect();
    entries.into_iter().collect::<Map<_, _>>().into()
}

fn describe(out: &mut Map<String, Json>, description: &str) {
    if !description.is_empty() {
        out.insert("description".into(), description.into());
    }
}

fn depends_on(out: &mut Map<String, Json>, list: &[DependsOn]) {
    if !list.is_empty() {
        let names = list.iter().map(|d| target(&d.target));
        out.insert("depends_on".into(), names.collect());
    }
}

fn repetition(out: &mut Map<String, Json>, repetition: &Repetition) {
    let (name, value) = match repetition {
        Repetition::Single | Repetition::Enabled(_) => return,
        Repetition::Count(count) => ("count_expression", expression(count)),
        Repetition::ForEach(each) => ("for_each_expression", expression(each)),
    };
    // Of an expression that is neither constant nor refers to anything there is nothing to say.
    if value.as_object().is_some_and(|fields| !fields.is_empty()) {
        out.insert(name.into(), value);
    }
}

/// A body's arguments and blocks, as far as a schema knows them.
fn expressions(body: &Body, schema: &Block) -> Map<String, Json> {
    let mut out = BTreeMap::new();
    for (name, attribute) in &body.attributes {
        if schema.attributes.contains_key(name) {
            out.insert(name.to_string(), expression(&attribute.expr));
        }
    }
    for block in &body.blocks {
        let Some(nested) = schema.blocks.get(&block.kind) else {
            continue;
        };
        let inner = Json::from(expressions(&block.body, &nested.block));
        let name = block.kind.to_string();
        match nested.nesting {
            Nesting::Single | Nesting::Group => drop(out.insert(name, inner)),
            Nesting::List | Nesting::Set => {
                let list = out.entry(name).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(inner);
                }
            }
            Nesting::Map => {
                let key = block.labels.first().map(|l| l.text.to_string());
                let map = out.entry(name).or_insert_with(|| json!({}));
                if let (Some(map), Some(key)) = (map.as_object_mut(), key) {
                    map.insert(key, inner);
                }
            }
        }
    }
    out.into_iter().collect()
}

fn expression(expr: &Expression) -> Json {
    let mut out = Map::new();
    let value = evaluate_constant(expr);
    if !value.diagnostics.has_errors() && !value.failed && value.value.is_wholly_known() {
        out.insert("constant_value".into(), known(&value.value));
    }
    let (found, _) = references(expr);
    if !found.is_empty() {
        let names: Vec<String> = found.iter().flat_map(names).collect();
        out.insert("references".into(), names.into());
    }
    out.into()
}

/// A reference, and all that it is a part of.
fn names(reference: &StaticReference) -> Vec<String> {
    let subject = target(&reference.target);
    let steps = reference.rest.steps();
    let mut names: Vec<String> = (0..=steps.len())
        .rev()
        .map(|n| format!("{subject}{}", suffix(steps.get(..n).unwrap_or_default())))
        .collect();
    match &reference.target {
        Target::Resource {
            resource,
            key: Some(key),
        } if *key != InstanceKey::None => names.push(resource.to_string()),
        Target::Module {
            name,
            output: Some(_),
            key,
        } => {
            let key = key.clone().unwrap_or(InstanceKey::None);
            names.push(format!("module.{name}{key}"));
        }
        Target::Module {
            name,
            output: None,
            key: Some(key),
        } if *key != InstanceKey::None => names.push(format!("module.{name}")),
        _ => {}
    }
    names
}

fn suffix(steps: &[Step]) -> String {
    let step = |step: &Step| match step {
        Step::Attr(name) => format!(".{name}"),
        Step::Index(key) => match (key.as_str(), key.as_number()) {
            (Some(text), _) => format!("[{}]", quote(text)),
            (None, Some(number)) => format!("[{number}]"),
            (None, None) => String::new(),
        },
    };
    steps.iter().map(step).collect()
}

fn target(target: &Target) -> String {
    let instance = |key: &Option<InstanceKey>| key.clone().unwrap_or(InstanceKey::None);
    match target {
        Target::Variable(name) => format!("var.{name}"),
        Target::Local(name) => format!("local.{name}"),
        Target::Resource { resource, key } => format!("{resource}{}", instance(key)),
        Target::Module { name, key, output } => {
            let output = output.as_ref().map(|o| format!(".{o}"));
            format!(
                "module.{name}{}{}",
                instance(key),
                output.unwrap_or_default()
            )
        }
        Target::EachKey => "each.key".into(),
        Target::EachValue => "each.value".into(),
        Target::CountIndex => "count.index".into(),
        Target::SelfObject => "self".into(),
        Target::Path(PathKind::Module) => "path.module".into(),
        Target::Path(PathKind::Root) => "path.root".into(),
        Target::Path(PathKind::Cwd) => "path.cwd".into(),
        Target::Workspace => "terraform.workspace".into(),
        Target::Applying => "terraform.applying".into(),
        Target::Other(name) => name.to_string(),
    }
}
