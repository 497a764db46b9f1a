//! The configuration as a JSON plan shows it: what is declared, and what each expression refers to.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use stead_engine::Registry;
use stead_lang::config::{
    ConfigNode, ConfigTree, Constraints, DependsOn, Deprecated, Early, Module, ModuleCall,
    ProviderName, Repetition, Resource,
};
use stead_lang::expr::{PathKind, StaticReference, Target, evaluate_constant, references};
use stead_lang::syntax::{Body, Expression};
use stead_value::addr::{InstanceKey, ResourceMode};
use stead_value::schema::{Attribute, Block, Nesting};
use stead_value::{SourceRange, Step, Type};

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

/// What the root module declares, in OpenTofu's form: nothing that its providers' schemas or the modules that it calls are
/// needed for.
pub(crate) fn module(tree: &ConfigTree, registry: &Registry) -> Json {
    let marshal = Marshal { tree, registry };
    let mut out = Map::new();
    let mut providers = marshal.providers();
    for provider in providers.values_mut().filter_map(Json::as_object_mut) {
        provider.remove("expressions");
    }
    if !providers.is_empty() {
        out.insert("provider_config".into(), providers.into());
    }
    let declared = &tree.root.module;
    let mut module = Map::new();
    let outputs = declared.outputs.iter().map(|(name, output)| {
        let mut entry = Map::new();
        flag(&mut entry, "sensitive", output.sensitive);
        flag(&mut entry, "ephemeral", output.ephemeral);
        deprecated(&mut entry, output.deprecated.as_ref());
        depends_on(&mut entry, &output.depends_on);
        describe(&mut entry, &output.description);
        (name.to_string(), Json::from(entry))
    });
    insert(&mut module, "outputs", sorted(outputs));
    let mut resources: Vec<&Resource> = declared.resources.values().collect();
    resources.sort_by_cached_key(|r| (r.mode(), r.addr.to_string()));
    let resources = resources.into_iter().map(|resource| {
        let mut entry = marshal.head(&tree.root, resource);
        let provisioners = resource.provisioners.iter();
        let provisioners: Vec<Json> = provisioners.map(|p| json!({"type": &*p.kind})).collect();
        insert(&mut entry, "provisioners", provisioners.into());
        depends_on(&mut entry, &resource.depends_on);
        Json::from(entry)
    });
    insert(&mut module, "resources", resources.collect());
    let calls = declared.calls.iter().map(|(name, call)| {
        let mut entry = Map::new();
        source_and_version(&mut entry, declared, call);
        depends_on(&mut entry, &call.depends_on);
        (name.to_string(), Json::from(entry))
    });
    insert(&mut module, "module_calls", sorted(calls));
    let variables = declared.variables.iter().map(|(name, variable)| {
        let mut entry = Map::new();
        if variable.constraint.ty != Type::Dynamic {
            let ty = stead_value::json::type_to_json(&variable.constraint.ty);
            entry.insert("type".into(), ty);
        }
        match &variable.default {
            Some(default) => drop(entry.insert("default".into(), known(default))),
            None => flag(&mut entry, "required", true),
        }
        describe(&mut entry, &variable.description);
        flag(&mut entry, "sensitive", variable.sensitive);
        flag(&mut entry, "ephemeral", variable.ephemeral);
        deprecated(&mut entry, variable.deprecated.as_ref());
        (name.to_string(), Json::from(entry))
    });
    insert(&mut module, "variables", sorted(variables));
    out.insert("root_module".into(), module.into());
    out.into()
}

/// Inserts a list or an object that is not empty.
fn insert(out: &mut Map<String, Json>, name: &str, value: Json) {
    let empty = match &value {
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        _ => false,
    };
    if !empty {
        out.insert(name.into(), value);
    }
}

fn flag(out: &mut Map<String, Json>, name: &str, set: bool) {
    if set {
        out.insert(name.into(), true.into());
    }
}

fn deprecated(out: &mut Map<String, Json>, deprecated: Option<&Deprecated>) {
    if let Some(deprecated) = deprecated {
        out.insert("deprecated".into(), deprecated.message.as_str().into());
    }
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
            let child = node.children.get(name)?;
            Some((name.to_string(), self.call(module, call, child)))
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

    fn call(&self, caller: &Module, call: &ModuleCall, child: &ConfigNode) -> Json {
        let mut out = Map::new();
        source_and_version(&mut out, caller, call);
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
        depends_on(&mut out, &call.depends_on);
        out.into()
    }

    fn head(&self, node: &ConfigNode, resource: &Resource) -> Map<String, Json> {
        let mut out = Map::new();
        out.insert("address".into(), resource.addr.to_string().into());
        let mode = match resource.mode() {
            ResourceMode::Managed => "managed",
            ResourceMode::Data => "data",
            ResourceMode::Ephemeral => "ephemeral",
        };
        out.insert("mode".into(), mode.into());
        out.insert("type".into(), json!(&*resource.addr.type_name));
        out.insert("name".into(), json!(&*resource.addr.name));
        let name = resource.provider_name();
        out.insert(
            "provider_config_key".into(),
            self.key_of(node, &name).into(),
        );
        out
    }

    fn resource(&self, node: &ConfigNode, resource: &Resource) -> Json {
        let mut out = self.head(node, resource);
        let name = resource.provider_name();
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

/// Where a called module comes from.
fn source_and_version(out: &mut Map<String, Json>, caller: &Module, call: &ModuleCall) {
    if let Some(Early::Known(source)) = &call.source {
        let source = as_written(caller, &call.source_range).unwrap_or_else(|| source.to_string());
        out.insert("source".into(), source.into());
    }
    if let Some(Early::Known(version)) = &call.version {
        let parts: Vec<&str> = version.text.split(',').map(str::trim).collect();
        out.insert("version_constraint".into(), parts.join(",").into());
    }
}

/// The text of a string without escapes, as its author wrote it.
fn as_written(module: &Module, range: &SourceRange) -> Option<String> {
    let file = module.files.iter().find(|f| *f.name() == range.file)?;
    let (start, end) = (range.start.byte as usize, range.end.byte as usize);
    let text = file.text().get(start..end)?;
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains(['\\', '$', '%'])).then(|| text.to_owned())
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
