//! The evaluator: every declared object is a value computed once, when first asked for.
//!
//! Dependencies are discovered by evaluating. An object that needs a resource instance whose value is not there yet is
//! *pending*: it waits for exactly what it lacked and is computed again when that has been published. The evaluator is
//! pure and single-threaded; who computes resource instances (the planner, the executor, validation) publishes them here.

mod checks;
mod destroy;
mod expand;
mod imports;
mod instance;
mod provider;
mod scope;
mod variables;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use stead_lang::config::{ConfigNode, ConfigTree, Module, ProviderName};
use stead_lang::decode::body_references;
use stead_lang::expr::{Deprecation, Evaluation, StaticReference, Target};
use stead_state::{ProviderConfigRef, ResourceId};
use stead_value::addr::{InstanceKey, ModuleInstance, Resource, ResourceInstance};
use stead_value::{Diagnostic, Diagnostics, Value};

use crate::Registry;
use crate::checks::Recorded;
use crate::references::{References, repetition};

pub use checks::Rules;
pub use destroy::{DestroyScope, Provisioners};
pub use expand::{Expansion, Repeated};
pub use imports::{ImportTarget, has_key, import_resource};
pub use instance::InstanceConfig;
pub use provider::NamedProvider;
pub use scope::{EvalScope, Repetition};
pub(crate) use variables::accept_given;
pub use variables::no_value;

/// A module instance within one evaluator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModuleId(u32);

/// The root module's instance.
pub const ROOT: ModuleId = ModuleId(0);

/// Anything that has a value of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Object {
    Variable(ModuleId, Arc<str>),
    Local(ModuleId, Arc<str>),
    Output(ModuleId, Arc<str>),
    /// Which instances a module call has.
    CallKeys(ModuleId, Arc<str>),
    /// Which instances a resource has.
    ResourceKeys(ModuleId, Resource),
    /// Which instances a provider configuration with `for_each` has.
    ProviderKeys(ModuleId, ProviderName),
    /// A resource instance: published from outside.
    Instance(ResourceInstance),
    /// A provider configuration that is ready, or known to be late: published from outside.
    Provider(ProviderConfigRef),
    /// Work of the planner that waits for objects: declaring a resource's instances, entering a module, a module's checks.
    Declare(ModuleId, Resource),
    Enter(ModuleId, Arc<str>),
    Checks(ModuleId),
    /// An `import` block of the root module, by its position.
    Import(u32),
}

/// A number for an [`Object`], unique in its evaluator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(pub(crate) u32);

/// What asking for an object gave.
#[derive(Clone, Debug)]
pub enum Outcome {
    Value(Value),
    Pending,
    /// Its errors have been reported.
    Failed,
}

/// What is being evaluated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing is known: inputs and resources are unknown values of their types.
    Validate,
    Plan,
    Apply,
}

/// What the outside gives to an evaluation.
#[derive(Clone)]
pub struct Settings {
    pub phase: Phase,
    /// Root variables as given, unconverted: names to values with where they came from.
    pub variables: BTreeMap<Arc<str>, GivenVariable>,
    pub workspace: String,
    pub root_directory: PathBuf,
    /// Absolute.
    pub working_directory: PathBuf,
    /// Files for functions.
    pub files: Arc<dyn stead_lang::Files>,
    pub home_directory: Option<String>,
    /// When the plan was made, in RFC 3339.
    pub plan_timestamp: Option<String>,
    /// The providers, whose functions expressions may call.
    pub registry: Registry,
    /// Clock and chance; only while applying.
    pub world: Option<Arc<dyn stead_lang::functions::World>>,
    /// What stands for whole modules, in tests.
    pub stand_ins: Option<Arc<dyn StandIns>>,
}

/// Outputs that take the place of those of whole module instances: nothing inside these is looked at.
pub trait StandIns: Send + Sync {
    /// The outputs of a module instance by name, if they are given; an output that is not among them is null.
    fn outputs(&self, module: &ModuleInstance) -> Option<Value>;
}

/// What functions get from outside.
fn environment(settings: &Settings) -> stead_lang::expr::Environment<'_> {
    stead_lang::expr::Environment {
        files: &*settings.files,
        working_directory: settings.working_directory.to_str(),
        home_directory: settings.home_directory.as_deref(),
        plan_timestamp: settings.plan_timestamp.as_deref(),
        world: settings.world.as_deref(),
    }
}

/// A root variable's value from the command line, a file or the environment.
#[derive(Clone, Debug)]
pub struct GivenVariable {
    pub value: Value,
    pub origin: Origin,
    /// Where it stands, when it stands in a file.
    pub range: Option<stead_value::SourceRange>,
}

/// Where a root variable's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `-var`.
    Flag,
    /// A file that `-var-file` names.
    NamedFile,
    /// A file that is read without being named.
    AutomaticFile,
    /// `TF_VAR_…`.
    Environment,
    /// An answer to a question.
    Prompt,
    /// A saved plan, a test file: nowhere where this command was given it.
    Elsewhere,
}

enum Memo {
    Running,
    Value(Value),
    Failed,
    /// Waits for that many objects.
    Waiting(u32),
}

struct ModuleNode<'c> {
    /// The module in the configuration tree.
    config: &'c ConfigNode,
    address: ModuleInstance,
    parent: Option<ModuleId>,
    /// The call's own instance data: what `each` and `count` mean in its arguments.
    repetition: Repetition,
    children: RefCell<BTreeMap<Arc<str>, Rc<Vec<ModuleId>>>>,
}

/// What an evaluation under way has asked for so far.
#[derive(Default)]
struct Frame {
    dependencies: IndexSet<ObjectId, FxBuildHasher>,
    missing: IndexSet<ObjectId, FxBuildHasher>,
    failed: bool,
}

/// See the module.
pub struct Evaluator<'c> {
    tree: &'c ConfigTree,
    settings: Settings,
    root: Rc<ModuleNode<'c>>,
    modules: RefCell<Vec<Rc<ModuleNode<'c>>>>,
    module_ids: RefCell<FxHashMap<ModuleInstance, ModuleId>>,
    objects: RefCell<IndexSet<Object, FxBuildHasher>>,
    memos: RefCell<FxHashMap<ObjectId, Memo>>,
    dependencies: RefCell<FxHashMap<ObjectId, Rc<[ObjectId]>>>,
    /// Who waits for an object that is not there.
    waiters: RefCell<FxHashMap<ObjectId, Vec<ObjectId>>>,
    expansions: RefCell<FxHashMap<ObjectId, Rc<Expansion>>>,
    frames: RefCell<Vec<(ObjectId, Frame)>>,
    diagnostics: RefCell<Diagnostics>,
    reported: RefCell<FxHashSet<ObjectId>>,
    depth: Cell<u32>,
    references: References<'c>,
    checks: RefCell<Recorded>,
    /// By the numbers that values carry.
    deprecations: RefCell<Vec<Deprecation>>,
    /// When only what is recorded is looked at: the instances that there are.
    recorded: RefCell<Option<FxHashMap<ResourceId, BTreeSet<InstanceKey>>>>,
}

/// How deep objects may refer to objects before the evaluator refuses, to protect the stack.
const MAX_DEPTH: u32 = 2_000;

impl<'c> Evaluator<'c> {
    pub fn new(tree: &'c ConfigTree, settings: Settings) -> Evaluator<'c> {
        let root = Rc::new(ModuleNode {
            config: &tree.root,
            address: ModuleInstance::root(),
            parent: None,
            repetition: Repetition::default(),
            children: RefCell::default(),
        });
        Evaluator {
            tree,
            settings,
            modules: RefCell::new(vec![Rc::clone(&root)]),
            root,
            module_ids: RefCell::new(FxHashMap::from_iter([(ModuleInstance::root(), ROOT)])),
            objects: RefCell::default(),
            memos: RefCell::default(),
            dependencies: RefCell::default(),
            waiters: RefCell::default(),
            expansions: RefCell::default(),
            frames: RefCell::default(),
            diagnostics: RefCell::default(),
            reported: RefCell::default(),
            depth: Cell::new(0),
            references: References::new(tree),
            checks: RefCell::default(),
            deprecations: RefCell::default(),
            recorded: RefCell::default(),
        }
    }

    /// What refers to what by the configuration's text.
    pub(crate) fn references(&self) -> &References<'c> {
        &self.references
    }

    /// From now on resources have the instances that are recorded, not those that the configuration wants.
    pub(crate) fn see_only(&self, recorded: FxHashMap<ResourceId, BTreeSet<InstanceKey>>) {
        *self.recorded.borrow_mut() = Some(recorded);
    }

    pub(crate) fn sees_only_recorded(&self) -> bool {
        self.recorded.borrow().is_some()
    }

    /// Whether an instance's value says that the recorded object is not there any more.
    pub(crate) fn is_gone(&self, value: &Value) -> bool {
        value.is_null() && self.sees_only_recorded()
    }

    /// The configuration tree that is evaluated.
    pub fn tree(&self) -> &'c ConfigTree {
        self.tree
    }

    /// Every module instance that has been entered.
    pub fn modules(&self) -> impl Iterator<Item = ModuleId> + use<> {
        (0..self.modules.borrow().len() as u32).map(ModuleId)
    }

    pub fn phase(&self) -> Phase {
        self.settings.phase
    }

    pub fn config(&self, module: ModuleId) -> &'c Module {
        let node: &'c ConfigNode = self.node(module).config;
        &node.module
    }

    pub fn module_address(&self, module: ModuleId) -> ModuleInstance {
        self.node(module).address.clone()
    }

    /// Whether something stands for the module instance, so that nothing inside it is looked at.
    pub fn is_replaced(&self, module: ModuleId) -> bool {
        self.replacement(module).is_some()
    }

    fn replacement(&self, module: ModuleId) -> Option<Value> {
        let stand_ins = self.settings.stand_ins.as_ref()?;
        stand_ins.outputs(&self.node(module).address)
    }

    /// The module instance with this address, if it has been entered.
    pub fn module(&self, address: &ModuleInstance) -> Option<ModuleId> {
        self.module_ids.borrow().get(address).copied()
    }

    fn node(&self, module: ModuleId) -> Rc<ModuleNode<'c>> {
        // Ids are only made by `add_module`, next to the node they stand for; an id of another evaluator means the root.
        let modules = self.modules.borrow();
        Rc::clone(modules.get(module.0 as usize).unwrap_or(&self.root))
    }

    pub fn id(&self, object: Object) -> ObjectId {
        let (index, _) = self.objects.borrow_mut().insert_full(object);
        ObjectId(index as u32)
    }

    /// The object behind an id of this evaluator.
    pub fn object(&self, id: ObjectId) -> Option<Object> {
        self.objects.borrow().get_index(id.0 as usize).cloned()
    }

    /// The modules' checks that have been asked for.
    pub fn checks(&self) -> Vec<ObjectId> {
        let objects = self.objects.borrow();
        let ids = objects.iter().enumerate();
        ids.filter(|(_, object)| matches!(object, Object::Checks(_)))
            .map(|(index, _)| ObjectId(index as u32))
            .collect()
    }

    /// What the object asked for when it was computed; empty before.
    pub fn dependencies(&self, id: ObjectId) -> Rc<[ObjectId]> {
        self.dependencies
            .borrow()
            .get(&id)
            .cloned()
            .unwrap_or_else(|| Rc::from([]))
    }

    /// Diagnostics collected since the last call.
    pub fn take_diagnostics(&self) -> Diagnostics {
        std::mem::take(&mut *self.diagnostics.borrow_mut())
    }

    pub fn report(&self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        self.diagnostics.borrow_mut().extend(diagnostics);
    }

    /// Gives an object its value from outside and returns the planner's objects that may go on now.
    pub fn publish(&self, id: ObjectId, value: Value) -> Vec<ObjectId> {
        self.memos.borrow_mut().insert(id, Memo::Value(value));
        self.wake(id)
    }

    /// Like [`Evaluator::publish`], for an object that could not be had; its errors have been reported.
    pub fn publish_failed(&self, id: ObjectId) -> Vec<ObjectId> {
        self.memos.borrow_mut().insert(id, Memo::Failed);
        self.wake(id)
    }

    /// The published or computed value, without computing.
    pub fn known(&self, id: ObjectId) -> Option<Outcome> {
        match self.memos.borrow().get(&id)? {
            Memo::Value(value) => Some(Outcome::Value(value.clone())),
            Memo::Failed => Some(Outcome::Failed),
            Memo::Running | Memo::Waiting(_) => None,
        }
    }

    /// Evaluates on behalf of one of the planner's objects: runs `body` with a frame for it. When something was missing,
    /// the object is put to wait and `None` is returned; [`Evaluator::publish`] names it when it may be tried again.
    pub fn run<T>(&self, id: ObjectId, body: impl FnOnce() -> T) -> Option<Attempt<T>> {
        self.memos.borrow_mut().insert(id, Memo::Running);
        self.frames.borrow_mut().push((id, Frame::default()));
        let value = body();
        let frame = self
            .frames
            .borrow_mut()
            .pop()
            .map(|(_, frame)| frame)
            .unwrap_or_default();
        if !frame.missing.is_empty() {
            self.wait(id, &frame.missing);
            return None;
        }
        // Until its value is published or remembered, the object is pending for whoever asks: it waits for nothing here.
        self.memos.borrow_mut().insert(id, Memo::Waiting(0));
        self.dependencies
            .borrow_mut()
            .insert(id, frame.dependencies.into_iter().collect());
        Some(Attempt {
            value,
            failed: frame.failed,
        })
    }

    /// Runs `body` and says which objects it asked for; they count for the frame around it as well.
    pub fn traced<T>(&self, body: impl FnOnce() -> T) -> (T, Vec<ObjectId>) {
        let outer = self
            .frames
            .borrow()
            .last()
            .map_or(ObjectId(u32::MAX), |(id, _)| *id);
        self.frames.borrow_mut().push((outer, Frame::default()));
        let value = body();
        let inner = self
            .frames
            .borrow_mut()
            .pop()
            .map(|(_, frame)| frame)
            .unwrap_or_default();
        let asked = inner.dependencies.iter().copied().collect();
        if let Some((_, frame)) = self.frames.borrow_mut().last_mut() {
            frame.dependencies.extend(inner.dependencies);
            frame.missing.extend(inner.missing);
            frame.failed |= inner.failed;
        }
        (value, asked)
    }

    fn wait(&self, id: ObjectId, missing: &IndexSet<ObjectId, FxBuildHasher>) {
        let mut waiters = self.waiters.borrow_mut();
        for object in missing {
            waiters.entry(*object).or_default().push(id);
        }
        self.memos
            .borrow_mut()
            .insert(id, Memo::Waiting(missing.len() as u32));
    }

    /// Counts down those who wait for `id`. Value objects that lack nothing any more may be computed again, so their
    /// waiters go on too; the planner's own objects are returned.
    fn wake(&self, id: ObjectId) -> Vec<ObjectId> {
        let mut ready = Vec::new();
        let mut queue = vec![id];
        while let Some(id) = queue.pop() {
            let Some(waiting) = self.waiters.borrow_mut().remove(&id) else {
                continue;
            };
            for waiter in waiting {
                let mut memos = self.memos.borrow_mut();
                let Some(Memo::Waiting(count)) = memos.get_mut(&waiter) else {
                    continue;
                };
                *count = count.saturating_sub(1);
                if *count > 0 {
                    continue;
                }
                memos.remove(&waiter);
                drop(memos);
                match self.object(waiter) {
                    Some(
                        Object::Instance(_)
                        | Object::Provider(_)
                        | Object::Declare(..)
                        | Object::Enter(..)
                        | Object::Checks(_)
                        | Object::Import(_),
                    ) => ready.push(waiter),
                    // Named values are the planner's and others' at once: what is wrong with one is said although nobody asks for it.
                    Some(Object::Output(..) | Object::Local(..) | Object::Variable(..)) => {
                        ready.push(waiter);
                        queue.push(waiter);
                    }
                    _ => queue.push(waiter),
                }
            }
        }
        ready
    }

    /// Every object that still waits, with what it waits for: the material of a cycle.
    pub fn waiting(&self) -> Vec<(ObjectId, ObjectId)> {
        self.waiters
            .borrow()
            .iter()
            .flat_map(|(missing, waiters)| waiters.iter().map(move |waiter| (*waiter, *missing)))
            .collect()
    }

    /// The value of an object, computed now if need be; notes the dependency in the frame that asks.
    pub fn demand(&self, object: Object) -> Outcome {
        let id = self.id(object.clone());
        self.note(id);
        enum Found {
            Outcome(Outcome),
            Cycle,
            Compute,
        }
        let found = match self.memos.borrow().get(&id) {
            Some(Memo::Value(value)) => Found::Outcome(Outcome::Value(value.clone())),
            Some(Memo::Failed) => Found::Outcome(Outcome::Failed),
            Some(Memo::Waiting(_)) => Found::Outcome(Outcome::Pending),
            Some(Memo::Running) => Found::Cycle,
            None => Found::Compute,
        };
        let outcome = match found {
            Found::Outcome(outcome) => outcome,
            Found::Cycle => self.cycle(id),
            Found::Compute => self.compute(id, &object),
        };
        self.settle_in_frame(id, &outcome);
        outcome
    }

    fn note(&self, id: ObjectId) {
        if let Some((_, frame)) = self.frames.borrow_mut().last_mut() {
            frame.dependencies.insert(id);
        }
    }

    fn settle_in_frame(&self, id: ObjectId, outcome: &Outcome) {
        if let Some((_, frame)) = self.frames.borrow_mut().last_mut() {
            match outcome {
                Outcome::Pending => {
                    frame.missing.insert(id);
                }
                Outcome::Failed => frame.failed = true,
                Outcome::Value(_) => {}
            }
        }
    }

    fn compute(&self, id: ObjectId, object: &Object) -> Outcome {
        if self.depth.get() >= MAX_DEPTH {
            return self.too_deep(id, object);
        }
        self.depth.set(self.depth.get() + 1);
        let outcome = match object {
            // Published from outside: until then, pending.
            Object::Instance(_)
            | Object::Provider(_)
            | Object::Declare(..)
            | Object::Enter(..)
            | Object::Checks(_)
            | Object::Import(_) => Outcome::Pending,
            Object::Variable(module, name) => self.remember(id, || self.variable(*module, name)),
            Object::Local(module, name) => self.remember(id, || self.local(*module, name)),
            Object::Output(module, name) => self.remember(id, || self.output(*module, name)),
            Object::CallKeys(module, name) => {
                self.remember(id, || self.call_keys(id, *module, name))
            }
            Object::ProviderKeys(module, name) => {
                self.remember(id, || self.provider_keys(id, *module, name))
            }
            Object::ResourceKeys(module, resource) => {
                self.remember(id, || self.resource_keys(id, *module, resource))
            }
        };
        self.depth.set(self.depth.get() - 1);
        outcome
    }

    fn remember(&self, id: ObjectId, body: impl FnOnce() -> Evaluation) -> Outcome {
        let Some(attempt) = self.run(id, body) else {
            return Outcome::Pending;
        };
        let evaluation = attempt.value;
        // A cycle through this object has been reported while it ran.
        let cyclic = self.reported.borrow().contains(&id);
        let failed =
            cyclic || attempt.failed || evaluation.failed || evaluation.diagnostics.has_errors();
        if !cyclic {
            self.report(evaluation.diagnostics);
        }
        let (memo, outcome) = if failed {
            (Memo::Failed, Outcome::Failed)
        } else {
            (
                Memo::Value(evaluation.value.clone()),
                Outcome::Value(evaluation.value),
            )
        };
        self.memos.borrow_mut().insert(id, memo);
        outcome
    }

    /// Reports a cycle that closed at `id`, as the path through the objects that are being evaluated.
    fn cycle(&self, id: ObjectId) -> Outcome {
        let frames = self.frames.borrow();
        let start = frames.iter().position(|(f, _)| *f == id).unwrap_or(0);
        let members: Vec<ObjectId> = frames.iter().skip(start).map(|(f, _)| *f).collect();
        drop(frames);
        let fresh = members
            .iter()
            .all(|m| self.reported.borrow_mut().insert(*m));
        if fresh {
            let alone = match members.as_slice() {
                [one] => self.object(*one).and_then(|o| self.self_reference(&o)),
                _ => None,
            };
            self.report([alone.unwrap_or_else(|| self.cycle_diagnostic(&members))]);
        }
        Outcome::Failed
    }

    fn is_validated(&self, module: ModuleId, variable: &str) -> bool {
        let declared = self.config(module).variables.get(variable);
        declared.is_some_and(|v| !v.validations.is_empty())
    }

    /// A resource that names itself, and where.
    fn self_reference(&self, object: &Object) -> Option<Diagnostic> {
        let (module, resource, key) = match object {
            Object::Instance(a) => (self.module(&a.module)?, &a.resource, Some(&a.key)),
            Object::ResourceKeys(module, resource) => (*module, resource, None),
            _ => return None,
        };
        let config = self.config(module).resources.get(resource)?;
        let names_itself = |found: &StaticReference| match (&found.target, key) {
            (
                Target::Resource {
                    resource: named,
                    key: index,
                },
                Some(key),
            ) => named == resource && index.as_ref().is_none_or(|index| index == key),
            (
                Target::Resource {
                    resource: named, ..
                },
                None,
            ) => named == resource,
            _ => false,
        };
        let said = match key {
            Some(_) => body_references(&config.body).0,
            None => repetition(&config.repetition),
        };
        let reference = said.into_iter().find(names_itself)?;
        Some(
            Diagnostic::error(
                "Self-referential block",
                format!("Configuration for {resource} may not refer to itself."),
            )
            .at(reference.range),
        )
    }

    /// "Cycle: a, b, c" in words.
    pub fn cycle_diagnostic(&self, members: &[ObjectId]) -> Diagnostic {
        let names: Vec<String> = members
            .iter()
            .filter_map(|m| self.object(*m))
            .map(|o| self.describe(&o))
            .collect();
        let mut detail = String::from(
            "These objects need each other's values, so that none can be computed first:\n",
        );
        for (i, name) in names.iter().enumerate() {
            let next = names.get((i + 1) % names.len()).map_or("", String::as_str);
            detail.push_str(&format!("  - {name} needs {next}\n"));
        }
        detail.push_str("Break the circle by taking one of these references out.");
        // Named values are shown as people know them from Terraform.
        let shown = members
            .iter()
            .zip(&names)
            .map(|(id, name)| match self.object(*id) {
                Some(Object::Local(..) | Object::Output(..)) => format!("{name} (expand)"),
                Some(Object::Variable(module, variable))
                    if self.is_validated(module, &variable) =>
                {
                    format!("{name} (validation)")
                }
                _ => name.clone(),
            });
        let shown: Vec<String> = shown.collect();
        Diagnostic::error(format!("Cycle: {}", shown.join(", ")), detail)
    }

    fn too_deep(&self, id: ObjectId, object: &Object) -> Outcome {
        if self.reported.borrow_mut().insert(id) {
            self.report([Diagnostic::error(
                "References nested too deeply",
                format!(
                    "{} stands at the end of a chain of more than {MAX_DEPTH} values.",
                    self.describe(object)
                ),
            )]);
        }
        Outcome::Failed
    }

    /// How messages name an object.
    pub fn describe(&self, object: &Object) -> String {
        let within = |module: ModuleId, rest: String| {
            let address = self.module_address(module);
            if address.is_root() {
                rest
            } else {
                format!("{address}.{rest}")
            }
        };
        match object {
            Object::Variable(m, n) => within(*m, format!("var.{n}")),
            Object::Local(m, n) => within(*m, format!("local.{n}")),
            Object::Output(m, n) => within(*m, format!("output.{n}")),
            Object::CallKeys(m, n) | Object::Enter(m, n) => {
                within(*m, format!("module.{n} (expand)"))
            }
            Object::ResourceKeys(m, r) | Object::Declare(m, r) => {
                within(*m, format!("{r} (expand)"))
            }
            Object::ProviderKeys(m, name) => within(*m, format!("provider.{name} (expand)")),
            Object::Instance(address) => address.to_string(),
            Object::Provider(provider) => provider.to_string(),
            Object::Checks(m) => within(*m, "checks".into()),
            Object::Import(index) => format!("import[{index}]"),
        }
    }
}

/// What [`Evaluator::run`] gives when nothing was missing.
pub struct Attempt<T> {
    pub value: T,
    /// Something that was asked for had failed.
    pub failed: bool,
}
