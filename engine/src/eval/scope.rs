//! What expressions of one module instance can name.

use std::sync::Arc;

use stead_lang::expr::{
    Deprecation, Environment, NoFunction, PathKind, ProviderFunction, Reference, Resolved, Scope,
    Target,
};
use stead_value::addr::{InstanceKey, Resource, ResourceInstance, ResourceMode};
use stead_value::{Declared, Diagnostic, Marks, Type, Value};

use super::{Evaluator, Expansion, ModuleId, Object, Outcome, Phase, Repeated};

/// What `each`, `count` and `self` mean at a place.
#[derive(Clone, Debug, Default)]
pub struct Repetition {
    pub each: Option<(Value, Value)>,
    pub count_index: Option<Value>,
    pub self_object: Option<Value>,
    /// A variable that is being validated, with the value that it would have.
    pub variable: Option<(Arc<str>, Value)>,
}

/// The scope of one module instance, with its repetition.
pub struct EvalScope<'e, 'c> {
    pub evaluator: &'e Evaluator<'c>,
    pub module: ModuleId,
    pub repetition: Repetition,
}

impl<'c> Evaluator<'c> {
    pub fn scope(&self, module: ModuleId, repetition: Repetition) -> EvalScope<'_, 'c> {
        EvalScope {
            evaluator: self,
            module,
            repetition,
        }
    }
}

impl From<Outcome> for Resolved {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Value(value) => Resolved::Value(value),
            Outcome::Pending => Resolved::Pending,
            Outcome::Failed => Resolved::Failed,
        }
    }
}

impl Scope for EvalScope<'_, '_> {
    fn environment(&self) -> Environment<'_> {
        super::environment(&self.evaluator.settings)
    }

    fn resolve(&self, reference: &Reference<'_>) -> Resolved {
        let evaluator = self.evaluator;
        let config = evaluator.config(self.module);
        match &reference.target {
            Target::Variable(name) => {
                if !config.variables.contains_key(name) {
                    return undeclared("input variable", &format!("input variable with the name \"{name}\""), self.suggest(config.variables.keys(), name), &format!("This variable can be declared with a variable {name:?} {{}} block."));
                }
                match &self.repetition.variable {
                    Some((own, value)) if own == name => Resolved::Value(value.clone()),
                    _ => evaluator.demand(Object::Variable(self.module, Arc::clone(name))).into(),
                }
            }
            Target::Local(name) => {
                if !config.locals.contains_key(name) {
                    return undeclared("local value", &format!("local value with the name \"{name}\""), self.suggest(config.locals.keys(), name), "");
                }
                evaluator.demand(Object::Local(self.module, Arc::clone(name))).into()
            }
            Target::Resource { resource, key } => self.resource(resource, key.as_ref()),
            Target::Module { name, key, output } => self.call(name, key.as_ref(), output.as_ref()),
            Target::EachKey => self.each(|each| each.0.clone(), "each.key"),
            Target::EachValue => self.each(|each| each.1.clone(), "each.value"),
            Target::CountIndex => match &self.repetition.count_index {
                Some(index) => Resolved::Value(index.clone()),
                None => Diagnostic::error(
                    "Reference to \"count\" in non-counted context",
                    "The \"count\" object can only be used in \"module\", \"resource\", and \"data\" blocks, and only when the \"count\" argument is set.",
                )
                .into(),
            },
            Target::SelfObject => match &self.repetition.self_object {
                Some(object) => Resolved::Value(object.clone()),
                None => Diagnostic::error(
                    "Invalid \"self\" reference",
                    "The \"self\" object is not available in this context. It can be used only in provisioner, connection, and postcondition blocks.",
                )
                .into(),
            },
            Target::Path(kind) => Resolved::Value(Value::string(evaluator.path(self.module, *kind))),
            Target::Workspace => Resolved::Value(Value::string(&evaluator.settings.workspace)),
            Target::Applying => {
                let applying = Value::bool(evaluator.phase() == Phase::Apply);
                Resolved::Value(applying.with_marks(Marks::EPHEMERAL))
            }
            Target::Other(name) => undeclared("object", &format!("object with the name \"{name}\""), None, ""),
        }
    }

    fn deprecation(&self, number: usize) -> Option<Deprecation> {
        let all = self.evaluator.deprecations.borrow();
        if number < Marks::LAST_DEPRECATION || all.len() <= Marks::LAST_DEPRECATION + 1 {
            return all.get(number).cloned();
        }
        // It stands for several, and no one can say which: better no author's words than another's.
        Some(Deprecation {
            message: "The value comes from a deprecated output.".into(),
            origin: "one of the many deprecated outputs of this configuration".into(),
            declared: Declared::Local,
        })
    }

    fn provider_function(
        &self,
        provider: &str,
        function: &str,
    ) -> Result<ProviderFunction<'_>, NoFunction> {
        let evaluator = self.evaluator;
        let required = &evaluator.config(self.module).terraform.required_providers;
        let declared = required.get(provider).ok_or(NoFunction::Provider)?;
        if declared.source.is_builtin() {
            return stead_lang::functions::builtin_provider_function(function)
                .ok_or(NoFunction::Function);
        }
        let factory = evaluator
            .settings
            .registry
            .factory(&declared.source)
            .map_err(|_| NoFunction::Provider)?;
        let (name, signature) = factory.schema().functions.get_key_value(function).ok_or(
            match factory.schema().functions.is_empty() {
                true => NoFunction::Provider,
                false => NoFunction::Function,
            },
        )?;
        Ok(ProviderFunction {
            signature,
            run: Box::new(|args| factory.call_function(name, args)),
        })
    }
}

/// "Reference to undeclared …", in the reference's words.
fn undeclared(kind: &str, what: &str, suggestion: Option<String>, remedy: &str) -> Resolved {
    let remedy = match suggestion {
        Some(name) => format!(" Did you mean \"{name}\"?"),
        None if remedy.is_empty() => String::new(),
        None => format!(" {remedy}"),
    };
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "An"
    } else {
        "A"
    };
    Diagnostic::error(
        format!("Reference to undeclared {kind}"),
        format!("{article} {what} has not been declared.{remedy}"),
    )
    .into()
}

impl EvalScope<'_, '_> {
    fn suggest<'n>(
        &self,
        names: impl Iterator<Item = &'n Arc<str>>,
        wanted: &str,
    ) -> Option<String> {
        stead_lang::nearest(wanted, names.map(|n| &**n)).map(str::to_owned)
    }

    fn each(&self, pick: impl Fn(&(Value, Value)) -> Value, what: &str) -> Resolved {
        match &self.repetition.each {
            Some(each) => Resolved::Value(pick(each)),
            None => Diagnostic::error(
                "Reference to \"each\" in context without for_each",
                format!("{what} can be used only in \"module\", \"resource\" or \"data\" blocks, and only when the \"for_each\" argument is set."),
            )
            .into(),
        }
    }

    fn resource(&self, resource: &Resource, key: Option<&InstanceKey>) -> Resolved {
        let evaluator = self.evaluator;
        if !evaluator
            .config(self.module)
            .resources
            .contains_key(resource)
        {
            let module = evaluator.module_address(self.module);
            let place = if module.is_root() {
                "the root module".to_owned()
            } else {
                module.to_string()
            };
            let kind = match resource.mode {
                ResourceMode::Managed => "managed resource",
                ResourceMode::Data => "data resource",
                ResourceMode::Ephemeral => "ephemeral resource",
            };
            let type_and_name = format!("\"{}\" \"{}\"", resource.type_name, resource.name);
            return Diagnostic::error(
                "Reference to undeclared resource",
                format!("A {kind} {type_and_name} has not been declared in {place}."),
            )
            .into();
        }
        let expansion = match self.keys(Object::ResourceKeys(self.module, resource.clone())) {
            Ok(expansion) => expansion,
            Err(resolved) => return resolved,
        };
        let address = |key: InstanceKey| ResourceInstance {
            module: evaluator.module_address(self.module),
            resource: resource.clone(),
            key,
        };
        match (&*expansion, key) {
            (Expansion::Unknown, _) => Resolved::Value(Value::dynamic()),
            (_, Some(key)) => {
                if expansion.contains(key) {
                    match evaluator.demand(Object::Instance(address(key.clone()))) {
                        Outcome::Value(value) if evaluator.is_gone(&value) => Resolved::NoInstance,
                        outcome => outcome.into(),
                    }
                } else if expansion.is_single() {
                    // `a[0]` of a resource without count: an index into its object.
                    Resolved::Whole
                } else {
                    Resolved::NoInstance
                }
            }
            (_, None) if evaluator.sees_only_recorded() => self.collect_found(&expansion, |key| {
                evaluator.demand(Object::Instance(address(key)))
            }),
            (_, None) => self.collect(&expansion, |key| {
                evaluator.demand(Object::Instance(address(key)))
            }),
        }
    }

    fn call(
        &self,
        name: &Arc<str>,
        key: Option<&InstanceKey>,
        output: Option<&Arc<str>>,
    ) -> Resolved {
        let evaluator = self.evaluator;
        if !evaluator.config(self.module).calls.contains_key(name) {
            return undeclared(
                "module",
                &format!("module call named \"{name}\""),
                self.suggest(evaluator.config(self.module).calls.keys(), name),
                "",
            );
        }
        let expansion = match self.keys(Object::CallKeys(self.module, Arc::clone(name))) {
            Ok(expansion) => expansion,
            Err(resolved) => return resolved,
        };
        if matches!(*expansion, Expansion::Unknown) {
            return Resolved::Value(Value::dynamic());
        }
        let child = |key: &InstanceKey| evaluator.child(self.module, name, key);
        match (key, output) {
            (None, Some(output)) if expansion.is_single() => match child(&InstanceKey::None) {
                Some(child) => self.output(child, output),
                None => Resolved::Failed,
            },
            (Some(key), Some(output)) if expansion.contains(key) => match child(key) {
                Some(child) => self.output(child, output),
                None => Resolved::Failed,
            },
            (None, Some(_)) => Resolved::Whole,
            (Some(key), None) if expansion.contains(key) => match child(key) {
                Some(child) => self.outputs(child).into(),
                None => Resolved::Failed,
            },
            (Some(_), _) => Resolved::NoInstance,
            (None, None) => self.collect(&expansion, |key| match child(&key) {
                Some(child) => self.outputs(child),
                None => Outcome::Failed,
            }),
        }
    }

    fn output(&self, child: ModuleId, output: &Arc<str>) -> Resolved {
        if !self.evaluator.config(child).outputs.contains_key(output) {
            // Taken of all outputs, the missing one is said at its place.
            return Resolved::Whole;
        }
        self.evaluator
            .demand(Object::Output(child, Arc::clone(output)))
            .into()
    }

    fn outputs(&self, child: ModuleId) -> Outcome {
        let mut attributes = std::collections::BTreeMap::new();
        let mut state = Gathered::default();
        for name in self.evaluator.config(child).outputs.keys() {
            if let Some(value) = state.take(
                self.evaluator
                    .demand(Object::Output(child, Arc::clone(name))),
            ) {
                attributes.insert(Arc::clone(name), value);
            }
        }
        state.finish(|| Value::object(attributes))
    }

    fn keys(&self, object: Object) -> Result<std::rc::Rc<Expansion>, Resolved> {
        let id = self.evaluator.id(object.clone());
        match self.evaluator.demand(object) {
            Outcome::Value(_) => self.evaluator.expansion(id).ok_or(Resolved::Failed),
            Outcome::Pending => Err(Resolved::Pending),
            Outcome::Failed => Err(Resolved::Failed),
        }
    }

    /// Like [`Self::collect`] for instances of which a refresh may have found that they are gone: these are left out; in front
    /// of others that are there, they are unknown.
    fn collect_found(
        &self,
        expansion: &Expansion,
        get: impl Fn(InstanceKey) -> Outcome,
    ) -> Resolved {
        let mut state = Gathered::default();
        match expansion {
            Expansion::Count(n) => {
                let mut items: Vec<Value> = (0..*n)
                    .filter_map(|i| state.take(get(InstanceKey::Int(i))))
                    .collect();
                while items.last().is_some_and(|v| self.evaluator.is_gone(v)) {
                    items.pop();
                }
                let shown = |v: Value| match self.evaluator.is_gone(&v) {
                    true => Value::dynamic(),
                    false => v,
                };
                state
                    .finish(|| Value::tuple(items.into_iter().map(shown).collect::<Vec<_>>()))
                    .into()
            }
            Expansion::ForEach(entries) => {
                let found = entries
                    .keys()
                    .filter_map(|k| {
                        let value = state.take(get(InstanceKey::String(Arc::clone(k))))?;
                        Some((Arc::clone(k), value))
                    })
                    .filter(|(_, value)| !self.evaluator.is_gone(value))
                    .collect();
                state.finish(|| Value::object(found)).into()
            }
            _ => self.collect(expansion, get),
        }
    }

    /// All instances as one value: a tuple for `count`, an object for `for_each`, the object itself otherwise.
    fn collect(&self, expansion: &Expansion, get: impl Fn(InstanceKey) -> Outcome) -> Resolved {
        let mut state = Gathered::default();
        match expansion {
            Expansion::Unknown => Resolved::Value(Value::dynamic()),
            Expansion::Single => get(InstanceKey::None).into(),
            Expansion::Absent => Resolved::Value(Value::null(Type::Dynamic)),
            Expansion::Count(n) => {
                let items: Vec<Value> = (0..*n)
                    .filter_map(|i| state.take(get(InstanceKey::Int(i))))
                    .collect();
                state.finish(|| Value::tuple(items)).into()
            }
            Expansion::ForEach(entries) => {
                let items = entries
                    .keys()
                    .filter_map(|k| {
                        state
                            .take(get(InstanceKey::String(Arc::clone(k))))
                            .map(|v| (Arc::clone(k), v))
                    })
                    .collect();
                state.finish(|| Value::object(items)).into()
            }
        }
    }
}

/// Several outcomes taken as one: pending and failed win over values, and all are asked before saying so.
#[derive(Default)]
struct Gathered {
    pending: bool,
    failed: bool,
}

impl Gathered {
    fn take(&mut self, outcome: Outcome) -> Option<Value> {
        match outcome {
            Outcome::Value(value) => return Some(value),
            Outcome::Pending => self.pending = true,
            Outcome::Failed => self.failed = true,
        }
        None
    }

    fn finish(self, value: impl FnOnce() -> Value) -> Outcome {
        if self.pending {
            Outcome::Pending
        } else if self.failed {
            Outcome::Failed
        } else {
            Outcome::Value(value())
        }
    }
}

impl Evaluator<'_> {
    fn path(&self, module: ModuleId, kind: PathKind) -> String {
        let text = |p: &std::path::Path| {
            let s = p.to_string_lossy().into_owned();
            if s.is_empty() { ".".to_owned() } else { s }
        };
        match kind {
            PathKind::Module => text(&self.config(module).directory),
            PathKind::Root => text(&self.settings.root_directory),
            PathKind::Cwd => text(&self.settings.working_directory),
        }
    }

    /// What `each` and `count` mean for one instance of an expanded object.
    pub fn repetition_of(&self, repeated: &Repeated) -> Repetition {
        match repeated {
            Repeated::Single => Repetition::default(),
            Repeated::Count(i) => Repetition {
                count_index: Some(Value::number(*i as i64)),
                ..Repetition::default()
            },
            Repeated::Each(key, value) => Repetition {
                each: Some((Value::string(key), value.clone())),
                ..Repetition::default()
            },
            Repeated::Unknown => Repetition {
                each: Some((Value::unknown(Type::String), Value::dynamic())),
                count_index: Some(Value::unknown(Type::Number)),
                self_object: None,
                variable: None,
            },
        }
    }
}
