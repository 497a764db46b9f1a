//! Which instances resources and module calls have: `count`, `for_each`, `enabled`.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use stead_lang::config;
use stead_lang::expr::{About, Evaluation, evaluate, reference_values};
use stead_lang::syntax::Expression;
use stead_state::ResourceId;
use stead_value::addr::{InstanceKey, Resource, ResourceMode};
use stead_value::{Diagnostic, Kind, Marks, SourceRange, Type, Value};

use super::{Evaluator, ModuleId, ModuleNode, Object, ObjectId, Phase, Repetition};

/// The instances of one resource or module call.
#[derive(Clone, Debug)]
pub enum Expansion {
    Single,
    /// `enabled = false`.
    Absent,
    Count(u64),
    ForEach(BTreeMap<Arc<str>, Value>),
    /// Only while validating: there may be any.
    Unknown,
}

/// One instance's part in an expansion.
#[derive(Clone, Debug)]
pub enum Repeated {
    Single,
    Count(u64),
    Each(Arc<str>, Value),
    Unknown,
}

impl Expansion {
    pub fn contains(&self, key: &InstanceKey) -> bool {
        match (self, key) {
            (Expansion::Single, InstanceKey::None) => true,
            (Expansion::Count(n), InstanceKey::Int(i)) => i < n,
            (Expansion::ForEach(entries), InstanceKey::String(k)) => entries.contains_key(k),
            _ => false,
        }
    }

    pub fn is_single(&self) -> bool {
        matches!(self, Expansion::Single)
    }

    /// Every instance's key and what `each`/`count` are there. Unknown: one stand-in instance.
    pub fn instances(&self) -> Vec<(InstanceKey, Repeated)> {
        match self {
            Expansion::Single => vec![(InstanceKey::None, Repeated::Single)],
            Expansion::Absent => Vec::new(),
            Expansion::Unknown => vec![(InstanceKey::None, Repeated::Unknown)],
            Expansion::Count(n) => (0..*n)
                .map(|i| (InstanceKey::Int(i), Repeated::Count(i)))
                .collect(),
            Expansion::ForEach(entries) => entries
                .iter()
                .map(|(k, v)| {
                    (
                        InstanceKey::String(Arc::clone(k)),
                        Repeated::Each(Arc::clone(k), v.clone()),
                    )
                })
                .collect(),
        }
    }

    pub fn repeated(&self, key: &InstanceKey) -> Option<Repeated> {
        match (self, key) {
            (Expansion::Single, InstanceKey::None) => Some(Repeated::Single),
            (Expansion::Unknown, _) => Some(Repeated::Unknown),
            (Expansion::Count(n), InstanceKey::Int(i)) if i < n => Some(Repeated::Count(*i)),
            (Expansion::ForEach(entries), InstanceKey::String(k)) => entries
                .get(k)
                .map(|v| Repeated::Each(Arc::clone(k), v.clone())),
            _ => None,
        }
    }
}

impl<'c> Evaluator<'c> {
    /// The expansion behind a `CallKeys` or `ResourceKeys` object that has been computed.
    pub fn expansion(&self, id: ObjectId) -> Option<Rc<Expansion>> {
        self.expansions.borrow().get(&id).cloned()
    }

    pub(super) fn resource_keys(
        &self,
        id: ObjectId,
        module: ModuleId,
        resource: &Resource,
    ) -> Evaluation {
        match self.config(module).resources.get(resource) {
            Some(config) => {
                let evaluation = self.expand(id, module, &config.repetition);
                self.restrict(id, module, resource);
                evaluation
            }
            None => Evaluation {
                failed: true,
                ..Evaluation::of(Value::dynamic())
            },
        }
    }

    /// Leaves only the instances that are recorded, when only those count.
    fn restrict(&self, id: ObjectId, module: ModuleId, resource: &Resource) {
        let recorded = self.recorded.borrow();
        let (Some(recorded), Some(expansion)) = (&*recorded, self.expansion(id)) else {
            return;
        };
        if resource.mode != ResourceMode::Managed {
            return;
        }
        let keys = recorded.get(&ResourceId {
            module: self.module_address(module),
            resource: resource.clone(),
        });
        let keys = || keys.into_iter().flatten();
        let left = match &*expansion {
            Expansion::Count(_) => Expansion::Count(
                keys()
                    .filter_map(|key| match key {
                        InstanceKey::Int(i) => Some(i + 1),
                        _ => None,
                    })
                    .max()
                    .unwrap_or(0),
            ),
            Expansion::ForEach(entries) => Expansion::ForEach(
                keys()
                    .filter_map(|key| match key {
                        InstanceKey::String(key) => Some((
                            Arc::clone(key),
                            entries.get(key).cloned().unwrap_or_else(Value::dynamic),
                        )),
                        _ => None,
                    })
                    .collect(),
            ),
            Expansion::Single | Expansion::Absent | Expansion::Unknown => return,
        };
        self.expansions.borrow_mut().insert(id, Rc::new(left));
    }

    pub(super) fn call_keys(&self, id: ObjectId, module: ModuleId, name: &Arc<str>) -> Evaluation {
        let Some(call) = self.config(module).calls.get(name) else {
            return Evaluation {
                failed: true,
                ..Evaluation::of(Value::dynamic())
            };
        };
        let evaluation = self.expand(id, module, &call.repetition);
        if evaluation.is_settled() {
            self.make_children(id, module, name);
        }
        evaluation
    }

    pub(super) fn provider_keys(
        &self,
        id: ObjectId,
        module: ModuleId,
        name: &config::ProviderName,
    ) -> Evaluation {
        let declared = self.config(module).providers.get(name);
        match declared.and_then(|provider| provider.for_each.clone()) {
            Some(keys) => self.expand(id, module, &config::Repetition::ForEach(keys)),
            None => self.expand(id, module, &config::Repetition::Single),
        }
    }

    /// Evaluates a repetition; the value itself is only a sign that the expansion is there.
    fn expand(
        &self,
        id: ObjectId,
        module: ModuleId,
        repetition: &config::Repetition,
    ) -> Evaluation {
        let scope = self.scope(module, Repetition::default());
        let (expr, read): (&Expression, fn(&Value) -> Result<Expansion, Refusal>) = match repetition
        {
            config::Repetition::Single => {
                self.expansions
                    .borrow_mut()
                    .insert(id, Rc::new(Expansion::Single));
                return Evaluation::of(Value::bool(true));
            }
            config::Repetition::Count(e) => (e, read_count),
            config::Repetition::ForEach(e) => (e, read_for_each),
            config::Repetition::Enabled(e) => (e, read_enabled),
        };
        let mut evaluation = evaluate(expr, &scope);
        if !evaluation.is_settled() {
            return evaluation;
        }
        match read(&evaluation.value) {
            // Validation looks at what one instance says, whichever and however many there will be.
            Ok(_) if self.settings.phase == Phase::Validate => {
                self.expansions
                    .borrow_mut()
                    .insert(id, Rc::new(Expansion::Unknown));
                evaluation.value = Value::bool(true);
            }
            Ok(expansion) => {
                self.expansions.borrow_mut().insert(id, Rc::new(expansion));
                evaluation.value = Value::bool(true);
            }
            Err(Refusal::Unknown(_)) if self.settings.phase == Phase::Validate => {
                self.expansions
                    .borrow_mut()
                    .insert(id, Rc::new(Expansion::Unknown));
                evaluation.value = Value::bool(true);
            }
            Err(refusal) => {
                let about = refusal.about();
                let mut diagnostic = at(refusal.into_diagnostic(), expr.range());
                diagnostic.values = reference_values(expr, &scope, about);
                evaluation.diagnostics.push(diagnostic);
            }
        }
        evaluation
    }

    fn make_children(&self, id: ObjectId, module: ModuleId, name: &Arc<str>) {
        let parent = self.node(module);
        let (Some(config), Some(expansion)) =
            (parent.config.children.get(name), self.expansion(id))
        else {
            return;
        };
        let mut ids = Vec::new();
        for (key, repeated) in expansion.instances() {
            let address = parent.address.child(Arc::clone(name), key);
            let node = ModuleNode {
                config,
                address: address.clone(),
                parent: Some(module),
                repetition: self.repetition_of(&repeated),
                children: std::cell::RefCell::default(),
            };
            let child = ModuleId(self.modules.borrow().len() as u32);
            self.modules.borrow_mut().push(Rc::new(node));
            self.module_ids.borrow_mut().insert(address, child);
            ids.push(child);
        }
        parent
            .children
            .borrow_mut()
            .insert(Arc::clone(name), Rc::new(ids));
    }

    /// The instances of a call whose keys have been computed.
    pub fn children(&self, module: ModuleId, name: &Arc<str>) -> Rc<Vec<ModuleId>> {
        self.node(module)
            .children
            .borrow()
            .get(name)
            .cloned()
            .unwrap_or_default()
    }

    pub(super) fn child(
        &self,
        module: ModuleId,
        name: &Arc<str>,
        key: &InstanceKey,
    ) -> Option<ModuleId> {
        let address = self
            .node(module)
            .address
            .child(Arc::clone(name), key.clone());
        self.module(&address)
    }

    /// Demands a resource's keys and returns its expansion when known.
    pub fn expand_resource(&self, module: ModuleId, resource: &Resource) -> Option<Rc<Expansion>> {
        let object = Object::ResourceKeys(module, resource.clone());
        let id = self.id(object.clone());
        self.demand(object);
        self.expansion(id)
    }
}

/// Why a value does not say which instances there are.
pub(super) enum Refusal {
    Unknown(Diagnostic),
    Sensitive(Diagnostic),
    Wrong(Diagnostic),
}

impl Refusal {
    pub(super) fn into_diagnostic(self) -> Diagnostic {
        match self {
            Refusal::Unknown(diagnostic)
            | Refusal::Sensitive(diagnostic)
            | Refusal::Wrong(diagnostic) => diagnostic,
        }
    }

    pub(super) fn about(&self) -> About {
        match self {
            Refusal::Unknown(_) => About::Unknown,
            Refusal::Sensitive(_) => About::Sensitive,
            Refusal::Wrong(_) => About::Anything,
        }
    }
}

/// More instances of one resource than this are taken for a mistake, before they fill the memory.
const MAX_COUNT: i64 = 1_000_000;

fn at(mut diagnostic: Diagnostic, range: SourceRange) -> Diagnostic {
    diagnostic.subject.get_or_insert(range);
    diagnostic
}

fn read_count(value: &Value) -> Result<Expansion, Refusal> {
    let wrong = |detail: &str| Refusal::Wrong(Diagnostic::error("Invalid count argument", detail));
    // How many there are of something is no secret, whatever it is made of.
    let (value, marks) = value.clone().unmark();
    if marks.contains(Marks::EPHEMERAL) {
        return Err(wrong(
            "The given \"count\" is derived from an ephemeral value, which means that Terraform cannot persist it between plan/apply rounds. Use only non-ephemeral values to specify the number of resource instances.",
        ));
    }
    if value.is_null() {
        return Err(wrong(
            "The given \"count\" argument value is null. An integer is required.",
        ));
    }
    let number = stead_value::convert::convert(&value, &Type::Number).map_err(|e| {
        Refusal::Wrong(Diagnostic::error(
            "Incorrect value type",
            format!("Invalid expression value: {}.", e.message),
        ))
    })?;
    if !number.is_known() {
        return Err(Refusal::Unknown(Diagnostic::error(
            "Invalid count argument",
            "The \"count\" value depends on resource attributes that cannot be determined until apply, so stead cannot predict how many instances will be created. To work around this, use the -target argument to first apply only the resources that the count depends on.",
        )));
    }
    match number.as_i64() {
        Some(n) if n > MAX_COUNT => Err(wrong(&format!(
            "The given \"count\" argument value is unsuitable: stead makes at most {MAX_COUNT} instances."
        ))),
        Some(n) if n >= 0 => Ok(Expansion::Count(n as u64)),
        Some(_) => Err(wrong(
            "The given \"count\" argument value is unsuitable: must be greater than or equal to zero.",
        )),
        None => Err(wrong(
            "The given \"count\" argument value is unsuitable: value must be a whole number, between -9223372036854775808 and 9223372036854775807.",
        )),
    }
}

fn read_enabled(value: &Value) -> Result<Expansion, Refusal> {
    let wrong =
        |detail: &str| Refusal::Wrong(Diagnostic::error("Invalid enabled argument", detail));
    let (value, marks) = value.clone().unmark();
    if !marks.is_empty() {
        return Err(wrong(
            "Sensitive and ephemeral values cannot decide whether an object is enabled.",
        ));
    }
    if value.is_null() {
        return Err(wrong(
            "The given \"enabled\" argument value is null. A bool is required.",
        ));
    }
    let value = stead_value::convert::convert(&value, &Type::Bool).map_err(|e| {
        wrong(&format!(
            "The given \"enabled\" argument value is unsuitable: {}.",
            e.message
        ))
    })?;
    match value.as_bool() {
        Some(true) => Ok(Expansion::Single),
        Some(false) => Ok(Expansion::Absent),
        None => Err(Refusal::Unknown(Diagnostic::error(
            "Invalid enabled argument",
            "The \"enabled\" value depends on resource attributes that cannot be determined until apply.",
        ))),
    }
}

pub(super) fn read_for_each(value: &Value) -> Result<Expansion, Refusal> {
    let wrong =
        |detail: String| Refusal::Wrong(Diagnostic::error("Invalid for_each argument", detail));
    let (value, marks) = value.clone().unmark();
    if marks.contains(Marks::SENSITIVE) {
        return Err(Refusal::Sensitive(Diagnostic::error(
            "Invalid for_each argument",
            "Sensitive values, or values derived from sensitive values, cannot be used as for_each arguments. If used, the sensitive value could be exposed as a resource instance key.",
        )));
    }
    if marks.contains(Marks::EPHEMERAL) {
        return Err(wrong("The given \"for_each\" value is derived from an ephemeral value, which cannot be used as the for_each argument.".into()));
    }
    let unknown = || {
        let (what, remedy) = match value.ty() {
            Type::Set(_) => (
                "set includes values",
                "use a map value where the keys are defined statically in your configuration and where only the values contain apply-time results",
            ),
            _ => (
                "map includes keys",
                "define the map keys statically in your configuration and place apply-time results only in the map values",
            ),
        };
        Refusal::Unknown(Diagnostic::error(
            "Invalid for_each argument",
            format!(
                "The \"for_each\" {what} derived from resource attributes that cannot be determined until apply, and so stead cannot determine the full set of keys that will identify the instances of this resource.\n\nWhen working with unknown values in for_each, it's better to {remedy}.\n\nAlternatively, you could use the -target planning option to first apply only the resources that the for_each value depends on, and then apply a second time to fully converge."
            ),
        ))
    };
    match value.kind() {
        Kind::Null(_) => Err(wrong(
            "The given \"for_each\" argument value is unsuitable: the given \"for_each\" argument value is null. A map, or set of strings is allowed."
                .into(),
        )),
        Kind::Unknown(..) => Err(unknown()),
        Kind::Map(_, entries) | Kind::Object(entries) => {
            Ok(Expansion::ForEach((**entries).clone()))
        }
        Kind::Set(element, items) => {
            if items.iter().any(|i| !i.is_known()) {
                return Err(unknown());
            }
            let wrong = |detail: String| {
                Refusal::Wrong(Diagnostic::error("Invalid for_each set argument", detail))
            };
            let null_only = *element == Type::Dynamic && !items.is_empty();
            if !matches!(element, Type::String | Type::Dynamic) || null_only {
                return Err(wrong(format!(
                    "The given \"for_each\" argument value is unsuitable: \"for_each\" supports maps and sets of strings, but you have provided a set containing type {}.",
                    element.friendly_name()
                )));
            }
            let mut entries = BTreeMap::new();
            for item in items.iter() {
                let Some(key) = item.as_str() else {
                    return Err(wrong("The given \"for_each\" argument value is unsuitable: \"for_each\" sets must not contain null values.".into()));
                };
                entries.insert(Arc::from(key), item.clone());
            }
            Ok(Expansion::ForEach(entries))
        }
        _ => Err(wrong(format!(
            "The given \"for_each\" argument value is unsuitable: the \"for_each\" argument must be a map, or set of strings, and you have provided a value of type {}.",
            value.ty().friendly_name()
        ))),
    }
}
