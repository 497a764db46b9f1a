//! One declared instance: evaluate its configuration, then hand it to its provider.

use std::sync::Arc;

use stead_lang::decode::SourceMap;
use stead_state::ProviderConfigRef;
use stead_value::addr::{ResourceInstance, ResourceMode};
use stead_value::schema::{Attribute, Block, Schema};
use stead_value::{Diagnostic, Diagnostics, Marks, Path, Type, Value};

use super::ephemeral::of_mode;
use super::{Kind, Planner, decide, locate};
use crate::checks::{CheckObject, RuleKind};
use crate::eval::{InstanceConfig, NamedProvider, Object, ObjectId, Rules};
use crate::{Action, object};

/// An instance whose configuration is evaluated.
pub(super) struct Prepared {
    pub(super) id: ObjectId,
    pub(super) address: ResourceInstance,
    pub(super) provider: ProviderConfigRef,
    /// With its marks.
    pub(super) config: Value,
    pub(super) ranges: SourceMap,
    /// `replace_triggered_by` says so.
    pub(super) triggered: bool,
}

impl Prepared {
    /// An instance of which only what was recorded counts.
    pub(super) fn recorded(
        id: ObjectId,
        address: ResourceInstance,
        provider: ProviderConfigRef,
    ) -> Prepared {
        Prepared {
            id,
            address,
            provider,
            config: Value::null(Type::Dynamic),
            ranges: SourceMap::default(),
            triggered: false,
        }
    }
}

/// What an evaluation of an instance gives.
struct Evaluated {
    decoded: stead_lang::decode::Decoded,
    preconditions: Diagnostics,
    provisioners: Diagnostics,
    triggered: Result<bool, Diagnostics>,
}

/// The object's `id` attribute as progress lines show it.
pub(crate) fn display_id(value: &Value) -> Option<String> {
    let id = value.get("id")?;
    if !id.marks().is_empty() {
        return None;
    }
    id.as_str().map(str::to_owned)
}

impl Planner<'_, '_> {
    pub(super) fn instance(&mut self, id: ObjectId, address: ResourceInstance) {
        let Some(config) = self.evaluator.instance_config(&address) else {
            return self.publish_failed(id);
        };
        let given = config.resource.provider.as_ref();
        let named = NamedProvider {
            name: config.resource.provider_name(),
            key: given
                .and_then(|p| p.key.as_ref())
                .map(|key| (key, config.repetition.clone())),
        };
        let keyed = self.evaluator.has_provider_key(config.module, &named);
        let find = || {
            self.evaluator
                .provider_address(config.module, named, &address.to_string())
        };
        let found = match keyed {
            false => find(),
            true => match self.evaluator.run(id, find) {
                Some(attempt) => attempt.value,
                None => return,
            },
        };
        let provider = match found {
            Ok(provider) => provider,
            Err(diagnostics) => return self.fail(id, &address, diagnostics),
        };
        let schema = match self.registry.resource_schema(
            &provider.source,
            address.resource.mode,
            &address.resource.type_name,
        ) {
            Ok(schema) => schema,
            Err(mut diagnostic) => {
                diagnostic
                    .subject
                    .get_or_insert_with(|| config.resource.type_range.clone());
                return self.fail(id, &address, diagnostic.into());
            }
        };
        self.want_provider(&provider);
        let ephemeral = address.resource.mode == ResourceMode::Ephemeral;
        if self.kind == Kind::Destroy && !ephemeral && !self.is_read_before_destroy(&config) {
            return self.recorded_instance(id, address, provider);
        }
        if self.is_refresh_only() && Self::is_managed(&address) {
            return self.refresh_instance(id, address, provider);
        }
        if !ephemeral {
            self.want_refresh(&address, &provider);
        }
        let Some(attempt) = self.evaluator.run(id, || {
            self.evaluate(&address, &config, &provider, &schema.block)
        }) else {
            return;
        };
        let Evaluated {
            decoded,
            preconditions,
            provisioners,
            triggered,
        } = attempt.value;
        // Conditions are named by their place alone.
        let unmet = preconditions.has_errors();
        self.diagnostics.extend(preconditions);
        let mut diagnostics = provisioners;
        let mut failed = attempt.failed || decoded.failed;
        // What must hold first and does not makes the rest not worth saying.
        if !unmet && !diagnostics.has_errors() {
            diagnostics.extend(decoded.diagnostics);
        }
        if !unmet && !diagnostics.has_errors() && !failed {
            diagnostics.extend(self.validate(&address, &provider, &decoded.value, &decoded.ranges));
            diagnostics.extend(misplaced_marks(
                &schema.block,
                &decoded.value,
                &decoded.ranges,
            ));
        }
        let triggered = triggered.unwrap_or_else(|errors| {
            diagnostics.extend(errors);
            false
        });
        failed |= unmet || diagnostics.has_errors();
        // What the text alone shows is wrong for whichever instance: its place says where.
        let anywhere = |d: &Diagnostic| {
            self.kind == Kind::Validate && d.subject.is_some() && d.origin.is_none()
        };
        let placed = diagnostics.into_iter().map(|d| {
            if d.address.is_none() && !anywhere(&d) {
                d.address(address.to_string())
            } else {
                d
            }
        });
        let placed: Vec<Diagnostic> = placed.collect();
        self.diagnostics.extend(placed);
        if failed {
            return self.publish_failed(id);
        }
        if self.kind == Kind::Validate {
            let value = Value::unknown(schema.block.value_type());
            return self.publish(id, of_mode(&address, value));
        }
        let prepared = Prepared {
            id,
            address,
            provider,
            config: decoded.value,
            ranges: decoded.ranges,
            triggered,
        };
        self.plan_prepared(Box::new(prepared));
    }

    /// Evaluates what an instance says; everything it lacks makes it wait.
    fn evaluate(
        &self,
        address: &ResourceInstance,
        config: &InstanceConfig<'_>,
        provider: &ProviderConfigRef,
        schema: &Block,
    ) -> Evaluated {
        self.evaluator.demand_declaration(config);
        self.demand_imports(address);
        self.evaluator.demand(Object::Provider(provider.clone()));
        self.evaluator.demand_depends_on(config);
        if address.resource.mode == ResourceMode::Data {
            for awaited in self.awaited(address, config) {
                self.evaluator.demand_resource(&awaited, &address.module);
            }
        }
        let triggered = self.is_triggered(config);
        let decoded = self.evaluator.decode_instance(config, schema);
        let provisioners = self.check_provisioners(address, config, schema);
        let scope = self
            .evaluator
            .scope(config.module, config.repetition.clone());
        let object = CheckObject::Instance(address.clone());
        let preconditions = match self.kind {
            // What is destroyed need not meet conditions any more.
            Kind::Destroy => Diagnostics::new(),
            Kind::Plan | Kind::Validate => self.evaluator.check(
                &Rules::new(
                    &object,
                    RuleKind::Precondition,
                    &config.resource.lifecycle.preconditions,
                    self.condition_severity(),
                ),
                &scope,
            ),
        };
        Evaluated {
            decoded,
            preconditions,
            provisioners,
            triggered,
        }
    }

    fn validate(
        &self,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
        config: &Value,
        ranges: &SourceMap,
    ) -> Diagnostics {
        let Ok(factory) = self.registry.factory_for(provider) else {
            return Diagnostics::new();
        };
        let opened = self.pool.get(provider).map(|o| Arc::clone(o.provider()));
        let checker = opened.unwrap_or_else(|| factory.instantiate());
        let (plain, _) = config.clone().unmark_deep();
        let type_name = &address.resource.type_name;
        let found = match address.resource.mode {
            ResourceMode::Managed => checker.validate_resource(type_name, &plain),
            ResourceMode::Data => checker.validate_data(type_name, &plain),
            ResourceMode::Ephemeral => checker.validate_ephemeral(type_name, &plain),
        };
        locate(found, ranges, &address.to_string()).collect()
    }

    fn fail(&mut self, id: ObjectId, address: &ResourceInstance, diagnostics: Diagnostics) {
        // What has a place in the configuration needs no address beside it.
        self.diagnostics.extend(diagnostics.into_iter().map(|d| {
            if d.subject.is_some() {
                d
            } else {
                d.address(address.to_string())
            }
        }));
        self.publish_failed(id);
    }

    /// In a destroy plan a managed instance is what was recorded of it, refreshed.
    fn recorded_instance(
        &mut self,
        id: ObjectId,
        address: ResourceInstance,
        provider: ProviderConfigRef,
    ) {
        if self.state.current(&address).is_none() && !self.may_exist(&address) {
            return self.publish_destroyed(id, &address, None);
        }
        self.want_refresh(&address, &provider);
        // Until the refresh is done the instance stays pending for those who ask (the provider configurations).
        self.evaluator.run(id, || ());
        let prepared = Prepared::recorded(id, address, provider);
        self.plan_prepared(Box::new(prepared));
    }

    /// Publishes what there is, before it goes, of an instance that a destroy plan does not evaluate. What is not there would
    /// have to be made before a data source could see it.
    pub(super) fn publish_destroyed(
        &mut self,
        id: ObjectId,
        address: &ResourceInstance,
        value: Option<Value>,
    ) {
        let value = value.filter(|v| !v.is_null()).unwrap_or_else(|| {
            let modules = self.pending.entry(address.config()).or_default();
            modules.push(address.module.clone());
            Value::dynamic()
        });
        self.publish(id, value);
    }

    /// Goes on with an evaluated instance, when its prior object is known too.
    pub(super) fn plan_prepared(&mut self, prepared: Box<Prepared>) {
        let address = &prepared.address;
        if self.refresh_errors.contains(address) {
            return self.publish_failed(prepared.id);
        }
        let recorded = self.state.current(address).is_some()
            || self.refreshed.contains_key(address)
            || self.may_exist(address);
        if recorded && (!self.refreshed.contains_key(address) || self.refreshing.contains(address))
        {
            self.parked.insert(address.clone(), prepared);
            return;
        }
        let evaluated = match prepared.address.resource.mode {
            ResourceMode::Managed => self.kind != Kind::Destroy,
            ResourceMode::Data => self.kind != Kind::Destroy || !prepared.config.is_null(),
            ResourceMode::Ephemeral => true,
        };
        if !evaluated {
            let value = self.refreshed.get(address).map(|prior| prior.value.clone());
            return self.publish_destroyed(prepared.id, &prepared.address, value);
        }
        if self.is_refresh_only() && Self::is_managed(address) {
            let settled = if recorded {
                Some(prepared)
            } else {
                self.start_import(prepared)
            };
            if let Some(prepared) = settled {
                self.take_refreshed_instance(&prepared);
            }
            return;
        }
        match prepared.address.resource.mode {
            ResourceMode::Managed if !recorded => {
                if let Some(prepared) = self.start_import(prepared) {
                    self.plan_managed(prepared);
                }
            }
            ResourceMode::Managed => self.plan_managed(prepared),
            ResourceMode::Data => self.plan_data(prepared),
            ResourceMode::Ephemeral => self.plan_ephemeral(prepared),
        }
    }

    fn plan_managed(&mut self, prepared: Box<Prepared>) {
        let (Some(opened), Some((module, _))) = (
            self.pool.get(&prepared.provider).cloned(),
            self.repetition(&prepared.address),
        ) else {
            return self.publish_failed(prepared.id);
        };
        let Ok(schema) = self.schema_of(&prepared) else {
            return self.publish_failed(prepared.id);
        };
        let Some(resource) = self
            .evaluator
            .config(module)
            .resources
            .get(&prepared.address.resource)
        else {
            return self.publish_failed(prepared.id);
        };
        let prior = self.refreshed.get(&prepared.address).cloned();
        let request = decide::Request {
            address: prepared.address.clone(),
            schema: Arc::clone(schema),
            prior,
            config: prepared.config.clone(),
            ignore: resource.lifecycle.ignore_changes.clone(),
            replace_requested: self.options.replace.contains(&prepared.address),
            replace_triggered: prepared.triggered,
            late: opened.is_late(),
        };
        let context = self.context(&prepared.address);
        self.jobs.push_back(Box::pin(async move {
            let result = decide::decide(&**opened.provider(), request, &context).await;
            super::Finished::Planned { prepared, result }
        }));
    }

    pub(super) fn schema_of(&self, prepared: &Prepared) -> Result<&Arc<Schema>, Diagnostic> {
        self.registry.resource_schema(
            &prepared.provider.source,
            prepared.address.resource.mode,
            &prepared.address.resource.type_name,
        )
    }

    pub(super) fn take_planned(
        &mut self,
        prepared: Prepared,
        result: Result<decide::Decision, Diagnostics>,
    ) {
        let mut decision = match result {
            Ok(decision) => decision,
            Err(errors) => {
                self.diagnostics.extend(locate(
                    errors,
                    &prepared.ranges,
                    &prepared.address.to_string(),
                ));
                return self.publish_failed(prepared.id);
            }
        };
        if decision.action != Action::NoOp && self.refresh_before_change(&prepared.address) {
            self.parked
                .insert(prepared.address.clone(), Box::new(prepared));
            return;
        }
        self.diagnostics.extend(locate(
            decision.warnings,
            &prepared.ranges,
            &prepared.address.to_string(),
        ));
        let Some(config) = self.evaluator.instance_config(&prepared.address) else {
            return self.publish_failed(prepared.id);
        };
        let lifecycle = &config.resource.lifecycle;
        if decision.action.is_replace() && lifecycle.destroy == Some(false) {
            decision.action = Action::ForgetThenCreate;
        }
        if decision.action.destroys()
            && self
                .evaluator
                .prevents_destroy(&prepared.address, config.resource)
        {
            self.diagnostics
                .push(prevented(&prepared.address, &config.resource.range));
            return self.publish_failed(prepared.id);
        }
        let after = decision
            .after
            .clone()
            .apply_marks(&decision.sensitive, Marks::SENSITIVE);
        let after = self.mark_by_schema(&prepared, after);
        // A value that becomes or ceases to be sensitive is written anew, although it stays the same.
        let marked = |value: &Value| {
            let mut paths = value.marked_paths(Marks::SENSITIVE);
            paths.sort_by_cached_key(ToString::to_string);
            paths
        };
        if decision.action == Action::NoOp && marked(&decision.before) != marked(&after) {
            decision.action = Action::Update;
        }
        if !self.postconditions(&prepared.address, &after) {
            return self.publish_failed(prepared.id);
        }
        let because = if decision.action == Action::Update || decision.action.is_replace() {
            Self::because(&prepared.ranges, &decision.before, &after)
        } else {
            Vec::new()
        };
        let prior = self.refreshed.get(&prepared.address);
        let change = crate::ResourceChange {
            previous_address: self.moved_from.get(&prepared.address).cloned(),
            deposed: None,
            importing: self.imports.importing(&prepared.address),
            provider: prepared.provider.clone(),
            action: decision.action,
            reason: decision.reason,
            before: decision.before,
            after: after.clone(),
            identity: prior.and_then(|p| p.identity.clone()),
            replace_paths: decision.replace_paths,
            because,
            notes: decision.notes,
            late: decision.late,
            private: decision.private,
            prior_private: prior.map(|p| p.private.clone()).unwrap_or_default(),
            create_before_destroy: lifecycle.create_before_destroy.unwrap_or(false),
            dependencies: Vec::new(),
            address: prepared.address.clone(),
        };
        self.add_change(change);
        self.publish(prepared.id, after);
    }

    /// Puts back the marks: those of the configuration, and those that the schema demands.
    pub(super) fn mark(&self, prepared: &Prepared, value: Value) -> Value {
        if value.is_null() {
            return value;
        }
        let by_config = prepared.config.marked_paths(Marks::SENSITIVE);
        self.mark_by_schema(prepared, value.apply_marks(&by_config, Marks::SENSITIVE))
    }

    fn mark_by_schema(&self, prepared: &Prepared, value: Value) -> Value {
        if value.is_null() {
            return value;
        }
        let by_schema = match self.schema_of(prepared) {
            Ok(schema) => object::sensitive_by_schema(&schema.block, &value),
            Err(_) => Vec::new(),
        };
        value.apply_marks(&by_schema, Marks::SENSITIVE)
    }
}

pub(super) fn prevented(
    address: &ResourceInstance,
    range: &stead_value::SourceRange,
) -> Diagnostic {
    Diagnostic::error(
        "Instance cannot be destroyed",
        format!("Resource {address} has lifecycle.prevent_destroy set, but the plan calls for this resource to be destroyed. To avoid this error and continue with the plan, either disable lifecycle.prevent_destroy or reduce the scope of the plan using the -target option."),
    )
    .at(range.clone())
}

/// Ephemeral values may only go to write-only attributes.
fn misplaced_marks(block: &Block, config: &Value, ranges: &SourceMap) -> Diagnostics {
    config
        .marked_paths(Marks::EPHEMERAL)
        .into_iter()
        .filter(|path| !is_write_only(block, path))
        .map(|path| {
            let diagnostic = Diagnostic::error(
                "Invalid use of ephemeral value",
                format!("Ephemeral values are not valid for {path}, because the attribute is not write-only and its value would be stored in state."),
            );
            match ranges.find(&path) {
                Some(range) => diagnostic.at(range),
                None => diagnostic,
            }
        })
        .collect()
}

fn is_write_only(block: &Block, path: &Path) -> bool {
    fn within(attributes: &std::collections::BTreeMap<Arc<str>, Attribute>, name: &str) -> bool {
        attributes.get(name).is_some_and(|a| a.write_only)
    }
    let mut block = Some(block);
    for step in path.steps() {
        let stead_value::Step::Attr(name) = step else {
            continue;
        };
        let Some(here) = block else { return false };
        if within(&here.attributes, name) {
            return true;
        }
        block = here.blocks.get(name).map(|b| &b.block);
    }
    false
}

/// An object of the schema's type in which what the provider decides is unknown: a data source to be read later.
pub(super) fn unknown_where_computed(block: &Block, config: &Value) -> Value {
    let mut attributes = std::collections::BTreeMap::new();
    for (name, attribute) in &block.attributes {
        let value = config
            .get(name)
            .unwrap_or_else(|| Value::null(attribute.value_type()));
        let decided_later = value.is_null() && attribute.computed;
        attributes.insert(
            Arc::clone(name),
            if decided_later {
                Value::unknown(attribute.value_type())
            } else {
                value
            },
        );
    }
    for (name, nested) in &block.blocks {
        let value = config
            .get(name)
            .unwrap_or_else(|| Value::null(nested.value_type()));
        attributes.insert(Arc::clone(name), unknown_in_blocks(&nested.block, value));
    }
    Value::object(attributes)
}

fn unknown_in_blocks(block: &Block, value: Value) -> Value {
    use stead_value::Kind as V;
    let marks = value.marks();
    let element = || block.value_type();
    let each = |items: &[Value]| {
        items
            .iter()
            .map(|i| unknown_where_computed(block, i))
            .collect::<Vec<_>>()
    };
    match value.kind() {
        V::Object(_) => unknown_where_computed(block, &value),
        V::List(_, items) => Value::list(element(), each(items)),
        V::Set(_, items) => Value::set(element(), each(items)),
        V::Map(_, entries) => Value::map(
            element(),
            entries
                .iter()
                .map(|(k, v)| (Arc::clone(k), unknown_where_computed(block, v)))
                .collect(),
        ),
        _ => return value,
    }
    .with_marks(marks)
}
