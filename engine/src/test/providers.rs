//! The providers of a run: those of the module under test, with those of the test file in their places.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use stead_lang::config::test_file::{
    MockProvider, MockValues, Override, TestFile, TestProvider, TestRun,
};
use stead_lang::config::{ConfigTree, Module, ProviderConfig, ProviderName};
use stead_lang::syntax::{Attribute, Block, Body, Expr, ExprKind, Expression};
use stead_sdk::ProviderFactory;
use stead_state::ProviderConfigRef;
use stead_value::addr::{self, ModuleInstance};
use stead_value::schema::Block as SchemaBlock;
use stead_value::{Diagnostic, Diagnostics, Type, Value};

use super::mock::{Chance, Defaults, Given, Mock, Overrides, Overriding};
use super::scope::{Outputs, Place};
use super::variables::Surrounding;
use crate::eval::StandIns;
use crate::providers::Registry;

/// A configuration as a run sees it.
pub(super) struct Prepared {
    pub(super) config: ConfigTree,
    pub(super) registry: Registry,
    pub(super) stand_ins: Option<Arc<dyn StandIns>>,
}

impl StandIns for Overrides {
    fn outputs(&self, module: &ModuleInstance) -> Option<Value> {
        let given = self.module(module)?;
        Some(given.values.clone().unwrap_or_else(Value::empty_object))
    }
}

/// Puts the file's providers and overrides into a configuration.
pub(super) fn prepare(
    config: &ConfigTree,
    file: &TestFile,
    run: &TestRun,
    surrounding: &Surrounding<'_>,
    outputs: &Outputs,
    registry: &Registry,
    chance: &Chance,
) -> Result<Prepared, Diagnostics> {
    let mut preparer = Preparer {
        surrounding,
        outputs,
        diagnostics: Diagnostics::new(),
    };
    let module = &config.root.module;
    let chosen = choose(module, file, run, &mut preparer.diagnostics);
    let local = preparer.overrides(run.overrides.iter().chain(&file.overrides));
    let mut registry = match local.has_objects() {
        true => registry.wrapped(|inner| overriding(inner, &local, chance)),
        false => registry.clone(),
    };
    let mut providers = module.providers.clone();
    for (name, provider) in chosen {
        let (body, for_each) = match provider {
            TestProvider::Real(config) => {
                let source = module.provider_source(&name.local);
                let schema = registry.schema(&source).ok();
                let block = schema.map(|s| s.provider.block.clone());
                let body = preparer.resolved(&config.body, block.as_ref());
                (body, config.for_each.clone())
            }
            TestProvider::Mock(mock) => {
                let source = module.provider_source(&name.local);
                let address = ProviderConfigRef {
                    module: addr::Module::default(),
                    source,
                    alias: name.alias.clone(),
                    key: addr::InstanceKey::None,
                };
                match registry.factory(&address.source) {
                    Ok(real) => {
                        let factory = preparer.mock(mock, Arc::clone(real), &local, chance);
                        registry.substitute(address, factory);
                    }
                    Err(diagnostic) => preparer
                        .diagnostics
                        .push(diagnostic.at(provider.range().clone())),
                }
                (Body::empty(), mock.for_each.clone())
            }
        };
        let config = ProviderConfig {
            name: name.clone(),
            body: Arc::new(body),
            version: None,
            for_each,
            range: provider.range().clone(),
        };
        providers.insert(name, config);
    }
    preparer
        .diagnostics
        .extend(missing_aliases(module, &providers));
    preparer.diagnostics.into_result()?;
    let stand_ins = local
        .has_modules()
        .then(|| Arc::new(local) as Arc<dyn StandIns>);
    Ok(Prepared {
        config: config.with_providers(providers),
        registry,
        stand_ins,
    })
}

/// The file's providers that a run uses, under the names that the module knows them by.
fn choose<'f>(
    module: &Module,
    file: &'f TestFile,
    run: &TestRun,
    diagnostics: &mut Diagnostics,
) -> Vec<(ProviderName, &'f TestProvider)> {
    if run.providers.is_empty() {
        let wanted = names(module);
        let wanted = file
            .providers
            .iter()
            .filter(|(name, _)| wanted.contains(*name));
        return wanted.map(|(name, p)| (name.clone(), p)).collect();
    }
    let mut chosen = Vec::new();
    for passed in &run.providers {
        match file.providers.get(&passed.in_parent.name) {
            Some(provider) => chosen.push((passed.in_child.name.clone(), provider)),
            None => diagnostics.push(
                Diagnostic::error(
                    format!("Missing provider definition for {}", passed.in_parent.name),
                    "This provider block references a provider definition that does not exist.",
                )
                .at(passed.in_parent.range.clone()),
            ),
        }
    }
    chosen
}

/// A module that wants provider configurations from its caller must get them from the test file.
fn missing_aliases<'m>(
    module: &'m Module,
    given: &'m IndexMap<ProviderName, ProviderConfig>,
) -> impl Iterator<Item = Diagnostic> + 'm {
    let required = module.terraform.required_providers.values();
    let wanted = required.flat_map(|r| r.aliases.iter().map(move |alias| (r, alias)));
    wanted
        .filter(|(_, name)| !given.contains_key(*name))
        .map(|(required, name)| {
            Diagnostic::error(
                "Undefined provider configuration",
                format!(
                    "The root module declares that it requires the caller to pass a configuration for provider {} with alias \"{}\".",
                    required.source,
                    name.alias.as_deref().unwrap_or_default()
                ),
            )
        })
}

/// The provider configurations that a module names in any way.
fn names(module: &Module) -> BTreeSet<ProviderName> {
    let default = |local: &Arc<str>| ProviderName {
        local: Arc::clone(local),
        alias: None,
    };
    let required = module.terraform.required_providers.iter();
    let required = required
        .flat_map(|(local, r)| std::iter::once(default(local)).chain(r.aliases.iter().cloned()));
    let used = module.resources.values().map(|r| match &r.provider {
        Some(provider) => provider.name.clone(),
        None => default(&module.provider_source(&r.provider_name().local).name),
    });
    let passed = module.calls.values().flat_map(|call| &call.providers);
    required
        .chain(module.providers.keys().cloned())
        .chain(used)
        .chain(passed.map(|p| p.in_parent.name.clone()))
        .collect()
}

fn overriding(
    inner: &Arc<dyn ProviderFactory>,
    overrides: &Overrides,
    chance: &Chance,
) -> Arc<dyn ProviderFactory> {
    Arc::new(Overriding {
        inner: Arc::clone(inner),
        overrides: Arc::new(overrides.clone()),
        chance: Arc::clone(chance),
    })
}

struct Preparer<'a> {
    surrounding: &'a Surrounding<'a>,
    outputs: &'a Outputs,
    diagnostics: Diagnostics,
}

impl Preparer<'_> {
    /// The first of several overrides of one target counts.
    fn overrides<'o>(&mut self, found: impl Iterator<Item = &'o Override>) -> Overrides {
        let mut overrides = Overrides::default();
        for found in found {
            if let Some(given) = self.given(&found.values) {
                let range = found.range.clone();
                overrides.add(&found.target, Given { range, ..given });
            }
        }
        overrides
    }

    fn given(&mut self, mock: &MockValues) -> Option<Given> {
        let values = match &mock.values {
            None => None,
            Some(expr) => Some(self.value(expr)?),
        };
        if let Some(values) = &values
            && !matches!(values.ty(), Type::Object(_))
        {
            self.diagnostics.push(
                Diagnostic::error(
                    "Invalid replacement value",
                    format!(
                        "The requested replacement value must be an object type, but was {}.",
                        values.ty().friendly_name()
                    ),
                )
                .at(mock.range.clone()),
            );
            return None;
        }
        Some(Given {
            values,
            range: mock.range.clone(),
            during_plan: mock.during_plan,
        })
    }

    fn value(&mut self, expr: &Expression) -> Option<Value> {
        let (surrounding, outputs) = (self.surrounding, self.outputs);
        surrounding.evaluate(expr, Place::Provider, outputs, &mut self.diagnostics)
    }

    fn mock(
        &mut self,
        mock: &MockProvider,
        real: Arc<dyn ProviderFactory>,
        local: &Overrides,
        chance: &Chance,
    ) -> Arc<dyn ProviderFactory> {
        let mut defaults = Defaults::new();
        for (key, found) in &mock.data.types {
            if let Some(given) = self.given(&found.values) {
                defaults.insert(key.clone(), given);
            }
        }
        let own = self.overrides(mock.data.overrides.iter());
        let mock: Arc<dyn ProviderFactory> =
            Arc::new(Mock::new(real, defaults, Arc::clone(chance)));
        let all = local.or(&own);
        if all.has_objects() {
            overriding(&mock, &all, chance)
        } else {
            mock
        }
    }

    /// The body with the values of its arguments in place of their expressions: these speak of the test file, and the body will
    /// stand in the module under test.
    fn resolved(&mut self, body: &Body, schema: Option<&SchemaBlock>) -> Body {
        let mut resolved = body.clone();
        for attribute in resolved.attributes.values_mut() {
            // What the schema does not know is refused without being evaluated.
            if schema.is_some_and(|s| !s.attributes.contains_key(&attribute.name)) {
                attribute.expr = literal(attribute, Value::null(Type::Dynamic));
            } else if let Some(value) = self.value(&attribute.expr) {
                attribute.expr = literal(attribute, value);
            }
        }
        resolved.blocks = body
            .blocks
            .iter()
            .map(|b| self.resolved_block(b, schema))
            .collect();
        resolved
    }

    fn resolved_block(&mut self, block: &Block, schema: Option<&SchemaBlock>) -> Block {
        let inner = schema.and_then(|s| s.blocks.get(&block.kind));
        Block {
            body: self.resolved(&block.body, inner.map(|nested| &nested.block)),
            ..block.clone()
        }
    }
}

fn literal(attribute: &Attribute, value: Value) -> Expression {
    let node = Expr {
        kind: ExprKind::Literal(value),
        span: attribute.expr.span(),
    };
    Expression::new(Arc::clone(attribute.expr.file()), node)
}
