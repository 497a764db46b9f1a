//! What refers to what by the configuration's text, whole resources at a time: what state records as dependencies, what
//! `-target` takes along, what a data source waits for, and what must be created before its predecessor is destroyed.
//!
//! The evaluator knows more (which instance of what an object really needed); this is what can be said before anything has a
//! value, and what Terraform records. Nodes and edges are found when first asked for.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use stead_lang::config::{
    CheckRule, ConfigNode, ConfigTree, Import, ProvisionerWhen, Repetition, Resource,
};
use stead_lang::decode::body_references;
use stead_lang::expr::{StaticReference, Target, references};
use stead_lang::syntax::{Body, Expression};
use stead_state::ProviderConfigRef;
use stead_value::addr::{ConfigResource, InstanceKey, Module, ResourceMode};

use crate::eval::import_resource;
use crate::providers::config_ref;

/// Something in the configuration that refers, or is referred to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    Variable(Module, Arc<str>),
    Local(Module, Arc<str>),
    Output(Module, Arc<str>),
    /// Which instances the module at this path has.
    Call(Module),
    /// Everything in a module.
    Whole(Module),
    Resource(ConfigResource),
    /// A resource by one of its instances.
    Instance(ConfigResource, InstanceKey),
    Provider(ProviderConfigRef),
}

/// A node's number.
pub(crate) type Id = usize;
/// Numbers of the resources among a node's ancestors.
pub(crate) type Resources = Rc<BTreeSet<Id>>;

/// See the module.
pub(crate) struct References<'c> {
    tree: &'c ConfigTree,
    /// The import blocks by the resource that they are about.
    imports: HashMap<ConfigResource, Vec<&'c Import>>,
    nodes: RefCell<IndexSet<Node, FxBuildHasher>>,
    edges: RefCell<FxHashMap<Id, Rc<[Id]>>>,
    resources: RefCell<FxHashMap<Id, Resources>>,
}

impl<'c> References<'c> {
    pub(crate) fn new(tree: &'c ConfigTree) -> References<'c> {
        let mut imports: HashMap<ConfigResource, Vec<&Import>> = HashMap::new();
        for import in &tree.root.module.imports {
            if let Some(resource) = import_resource(import) {
                imports.entry(resource).or_default().push(import);
            }
        }
        References {
            tree,
            imports,
            nodes: RefCell::default(),
            edges: RefCell::default(),
            resources: RefCell::default(),
        }
    }

    pub(crate) fn id(&self, node: Node) -> Id {
        self.nodes.borrow_mut().insert_full(node).0
    }

    fn node(&self, id: Id) -> Option<Node> {
        self.nodes.borrow().get_index(id).cloned()
    }

    fn edges(&self, id: Id) -> Rc<[Id]> {
        if let Some(found) = self.edges.borrow().get(&id) {
            return Rc::clone(found);
        }
        let found: IndexSet<Id, FxBuildHasher> = match self.node(id) {
            Some(node) => self
                .referred(&node)
                .into_iter()
                .map(|n| self.id(n))
                .filter(|n| *n != id)
                .collect(),
            None => IndexSet::default(),
        };
        let found: Rc<[Id]> = found.into_iter().collect();
        self.edges.borrow_mut().insert(id, Rc::clone(&found));
        found
    }

    /// What a node refers to directly.
    pub(crate) fn direct(&self, node: &Node) -> Vec<Node> {
        let id = self.id(node.clone());
        let edges = self.edges(id);
        edges.iter().filter_map(|edge| self.node(*edge)).collect()
    }

    pub(crate) fn all_resources(&self) -> Vec<ConfigResource> {
        let nodes = self.tree.nodes().into_iter();
        nodes
            .flat_map(|node| {
                node.module.resources.keys().map(|resource| ConfigResource {
                    module: node.path.clone(),
                    resource: resource.clone(),
                })
            })
            .collect()
    }

    pub(crate) fn root_outputs(&self) -> Vec<Node> {
        let outputs = self.tree.root.module.outputs.keys();
        outputs
            .map(|name| Node::Output(Module::default(), Arc::clone(name)))
            .collect()
    }

    /// The managed resources that are created before their predecessors are destroyed: those that say so, and whatever they
    /// need, or the two orders would contradict each other. What is not `planned` has no say.
    pub(crate) fn created_before_destroyed(
        &self,
        planned: &dyn Fn(&ConfigResource) -> bool,
    ) -> HashSet<ConfigResource> {
        let mut found: HashSet<ConfigResource> = HashSet::new();
        for address in self.explicitly_before_destroy(planned) {
            if found.insert(address.clone()) {
                found.extend(self.resources(Node::Resource(address)));
            }
        }
        found.retain(|resource| resource.resource.mode == ResourceMode::Managed);
        found
    }

    fn explicitly_before_destroy(
        &self,
        planned: &dyn Fn(&ConfigResource) -> bool,
    ) -> Vec<ConfigResource> {
        let mut found = self.all_resources();
        found.retain(|address| {
            self.declared(address)
                .is_some_and(|(_, resource)| resource.lifecycle.create_before_destroy == Some(true))
                && planned(address)
        });
        found
    }

    /// The same for the objects that a plan changes, instance by instance: what is needed by its key only, and is among
    /// `changed`, stands for itself and not for its whole resource. `None` stands for all instances.
    pub(crate) fn changed_before_destroyed(
        &self,
        changed: &HashSet<(ConfigResource, InstanceKey)>,
    ) -> HashSet<(ConfigResource, Option<InstanceKey>)> {
        let starts = self.explicitly_before_destroy(&|_| true);
        let mut found: HashSet<(ConfigResource, Option<InstanceKey>)> =
            starts.iter().map(|r| (r.clone(), None)).collect();
        let mut queue: Vec<Id> = starts
            .into_iter()
            .map(|r| self.id(Node::Resource(r)))
            .collect();
        let mut seen: HashSet<Id> = queue.iter().copied().collect();
        while let Some(id) = queue.pop() {
            for next in self.edges(id).iter() {
                // Behind an instance lies what its resource needs, but not the resource.
                let behind = match self.node(*next) {
                    Some(Node::Resource(resource)) => {
                        found.insert((resource, None));
                        *next
                    }
                    Some(Node::Instance(resource, key)) => {
                        let own = changed.contains(&(resource.clone(), key.clone()));
                        found.insert((resource.clone(), own.then_some(key)));
                        self.id(Node::Resource(resource))
                    }
                    _ => *next,
                };
                if seen.insert(behind) {
                    queue.push(behind);
                }
            }
        }
        found
    }

    /// Every node that these need, themselves included.
    pub(crate) fn with_ancestors(&self, from: impl IntoIterator<Item = Node>) -> HashSet<Node> {
        let mut queue: Vec<Id> = from.into_iter().map(|n| self.id(n)).collect();
        let mut seen: HashSet<Id> = queue.iter().copied().collect();
        while let Some(id) = queue.pop() {
            queue.extend(self.edges(id).iter().filter(|n| seen.insert(**n)));
        }
        seen.into_iter().filter_map(|id| self.node(id)).collect()
    }

    /// The resources that a node needs, through whatever lies between; without the node itself.
    pub(crate) fn resources(&self, node: Node) -> Vec<ConfigResource> {
        let id = self.id(node);
        let found = self.resources_of(id);
        let nodes = self.nodes.borrow();
        found
            .iter()
            .filter(|found| **found != id)
            .filter_map(|found| match nodes.get_index(*found) {
                Some(Node::Resource(resource)) => Some(resource.clone()),
                _ => None,
            })
            .collect()
    }

    /// The addresses of resources that the configuration declares or the state remembers.
    pub(crate) fn names(&self, resources: &Resources, but: Id) -> Vec<String> {
        let nodes = self.nodes.borrow();
        let others = resources.iter().filter(|id| **id != but);
        let names = others.filter_map(|id| match nodes.get_index(*id) {
            Some(Node::Resource(resource)) => Some(resource.to_string()),
            _ => None,
        });
        names.collect()
    }

    /// The numbers of the resources that a node needs, through whatever lies between. A cycle may bring the node itself.
    ///
    /// Without recursion: chains may be as long as the configuration is large.
    pub(crate) fn resources_of(&self, start: Id) -> Resources {
        let mut open: Vec<(Id, Rc<[Id]>, usize)> = Vec::new();
        let mut on_path: FxHashSet<Id> = FxHashSet::default();
        let mut next = Some(start);
        loop {
            if let Some(id) = next.take()
                && !self.resources.borrow().contains_key(&id)
                && on_path.insert(id)
            {
                open.push((id, self.edges(id), 0));
            }
            let Some((id, edges, at)) = open.last_mut() else {
                break;
            };
            if let Some(edge) = edges.get(*at) {
                *at += 1;
                next = Some(*edge);
                continue;
            }
            let (id, edges) = (*id, Rc::clone(edges));
            open.pop();
            on_path.remove(&id);
            let mut all = BTreeSet::new();
            for edge in edges.iter() {
                if matches!(self.node(*edge), Some(Node::Resource(_))) {
                    all.insert(*edge);
                }
                if let Some(behind) = self.resources.borrow().get(edge) {
                    all.extend(behind.iter().copied());
                }
            }
            self.resources.borrow_mut().insert(id, Rc::new(all));
        }
        self.resources
            .borrow()
            .get(&start)
            .cloned()
            .unwrap_or_default()
    }

    /// The resources that a data source must see settled before it is read: what `depends_on` names, its own and that of the
    /// module calls around it, and managed resources that it refers to.
    pub(crate) fn awaited_by(&self, data: &ConfigResource) -> Vec<ConfigResource> {
        let Some((node, resource)) = self.declared(data) else {
            return Vec::new();
        };
        let mut found: IndexSet<ConfigResource> = IndexSet::new();
        let mut wanted: Vec<Node> = resource
            .depends_on
            .iter()
            .filter_map(|d| self.target(&node.path, &d.target))
            .collect();
        for reference in resource_references(resource) {
            if let Target::Resource { resource, .. } = &reference.target
                && resource.mode == ResourceMode::Managed
            {
                let named = ConfigResource {
                    module: node.path.clone(),
                    resource: resource.clone(),
                };
                wanted.push(Node::Resource(named));
            }
        }
        let mut path = node.path.clone();
        while let Some(name) = path.0.pop() {
            let call = self.tree.get(&path).and_then(|n| n.module.calls.get(&name));
            for dependency in call.into_iter().flat_map(|c| &c.depends_on) {
                wanted.extend(self.target(&path, &dependency.target));
            }
        }
        for named in wanted {
            match named {
                Node::Resource(resource) | Node::Instance(resource, _) => {
                    found.insert(resource);
                }
                other => found.extend(self.resources(other)),
            }
        }
        found.into_iter().collect()
    }

    fn declared(&self, resource: &ConfigResource) -> Option<(&'c ConfigNode, &'c Resource)> {
        let node = self.tree.get(&resource.module)?;
        Some((node, node.module.resources.get(&resource.resource)?))
    }

    /// What a node refers to.
    fn referred(&self, node: &Node) -> Vec<Node> {
        let mut found = Vec::new();
        let module = match node {
            Node::Variable(module, _)
            | Node::Local(module, _)
            | Node::Output(module, _)
            | Node::Whole(module) => module,
            Node::Resource(resource) => &resource.module,
            Node::Instance(resource, _) => return vec![Node::Resource(resource.clone())],
            Node::Provider(provider) => &provider.module,
            Node::Call(module) => return self.call(module),
        };
        let Some(here) = self.tree.get(module) else {
            return found;
        };
        // Whatever stands in a module waits for the module's instances.
        if !module.0.is_empty() {
            found.push(Node::Call(module.clone()));
        }
        match node {
            Node::Variable(_, name) => self.variable(here, name, &mut found),
            Node::Local(_, name) => {
                if let Some(local) = here.module.locals.get(name) {
                    self.expression(module, &local.value, &mut found);
                }
            }
            Node::Output(_, name) => {
                if let Some(output) = here.module.outputs.get(name) {
                    self.expression(module, &output.value, &mut found);
                    self.rules(module, &output.preconditions, &mut found);
                    for dependency in &output.depends_on {
                        found.extend(self.target(module, &dependency.target));
                    }
                }
            }
            Node::Whole(_) => whole(here, &mut found),
            Node::Resource(address) => {
                if let Some(resource) = here.module.resources.get(&address.resource) {
                    self.add(module, resource_references(resource), &mut found);
                    for dependency in &resource.depends_on {
                        found.extend(self.target(module, &dependency.target));
                    }
                    for import in self.imports.get(address).into_iter().flatten() {
                        let said = [&import.id, &import.identity, &import.for_each];
                        for expression in said.into_iter().flatten() {
                            self.expression(&Module::default(), expression, &mut found);
                        }
                    }
                    if let Some(passed) =
                        self.tree.passed_instance(module, &resource.provider_name())
                    {
                        found.push(Node::Provider(config_ref(passed.provider)));
                        // The key of a provider's instance stands in the caller of the module that it is evaluated for.
                        if let Some((mut called, key)) = passed.key {
                            called.0.pop();
                            self.expression(&called, key, &mut found);
                        }
                    }
                }
            }
            Node::Provider(provider) => {
                let config = here
                    .module
                    .provider_config(&provider.source, provider.alias.as_deref());
                if let Some(config) = config {
                    self.body(module, &config.body, &mut found);
                    if let Some(keys) = &config.for_each {
                        self.expression(module, keys, &mut found);
                    }
                }
            }
            Node::Call(_) | Node::Instance(..) => {}
        }
        found
    }

    /// A call waits for the call around it, for what its repetition refers to, and for its `depends_on`.
    fn call(&self, module: &Module) -> Vec<Node> {
        let mut found = Vec::new();
        let Some((name, parent)) = module.0.split_last() else {
            return found;
        };
        let parent = Module(parent.to_vec());
        if !parent.0.is_empty() {
            found.push(Node::Call(parent.clone()));
        }
        let call = self
            .tree
            .get(&parent)
            .and_then(|n| n.module.calls.get(name));
        if let Some(call) = call {
            self.add(&parent, repetition(&call.repetition), &mut found);
            for dependency in &call.depends_on {
                found.extend(self.target(&parent, &dependency.target));
            }
        }
        found
    }

    /// A module's variable is what the caller gives, and what its validations look at.
    fn variable(&self, here: &ConfigNode, name: &Arc<str>, found: &mut Vec<Node>) {
        if let Some((call, parent)) = here.path.0.split_last() {
            let parent = Module(parent.to_vec());
            let argument = self
                .tree
                .get(&parent)
                .and_then(|n| n.module.calls.get(call))
                .and_then(|c| c.arguments.attribute(name));
            if let Some(argument) = argument {
                self.expression(&parent, &argument.expr, found);
            }
        }
        if let Some(variable) = here.module.variables.get(name) {
            self.rules(&here.path, &variable.validations, found);
        }
    }

    fn expression(&self, module: &Module, expression: &Expression, found: &mut Vec<Node>) {
        self.add(module, references(expression).0, found);
    }

    /// What the conditions and messages of rules in a module refer to.
    pub(crate) fn of_rules(&self, module: &Module, rules: &[CheckRule]) -> Vec<Node> {
        let mut found = Vec::new();
        self.rules(module, rules, &mut found);
        found
    }

    /// What the arguments of a block in a module refer to.
    pub(crate) fn of_body(&self, module: &Module, body: &Body) -> Vec<Node> {
        let mut found = Vec::new();
        self.body(module, body, &mut found);
        found
    }

    fn rules(&self, module: &Module, rules: &[CheckRule], found: &mut Vec<Node>) {
        self.add(module, rule_references(rules), found);
    }

    fn body(&self, module: &Module, body: &Body, found: &mut Vec<Node>) {
        self.add(module, body_references(body).0, found);
    }

    fn add(
        &self,
        module: &Module,
        references: impl IntoIterator<Item = StaticReference>,
        found: &mut Vec<Node>,
    ) {
        found.extend(
            references
                .into_iter()
                .filter_map(|r| self.target(module, &r.target)),
        );
    }

    /// The node that a reference within a module means.
    fn target(&self, module: &Module, target: &Target) -> Option<Node> {
        Some(match target {
            Target::Variable(name) => Node::Variable(module.clone(), Arc::clone(name)),
            Target::Local(name) => Node::Local(module.clone(), Arc::clone(name)),
            Target::Resource { resource, key } => {
                let resource = ConfigResource {
                    module: module.clone(),
                    resource: resource.clone(),
                };
                match key {
                    Some(key) => Node::Instance(resource, key.clone()),
                    None => Node::Resource(resource),
                }
            }
            Target::Module { name, output, .. } => {
                let mut child = module.clone();
                child.0.push(Arc::clone(name));
                let declared = self.tree.get(&child)?;
                match output {
                    Some(output) if declared.module.outputs.contains_key(output) => {
                        Node::Output(child, Arc::clone(output))
                    }
                    _ => Node::Whole(child),
                }
            }
            _ => return None,
        })
    }
}

/// Everything that stands in a module and below it.
fn whole(here: &ConfigNode, found: &mut Vec<Node>) {
    let path = &here.path;
    let module = &here.module;
    found.extend(
        module
            .variables
            .keys()
            .map(|n| Node::Variable(path.clone(), Arc::clone(n))),
    );
    found.extend(
        module
            .locals
            .keys()
            .map(|n| Node::Local(path.clone(), Arc::clone(n))),
    );
    found.extend(
        module
            .outputs
            .keys()
            .map(|n| Node::Output(path.clone(), Arc::clone(n))),
    );
    found.extend(module.resources.keys().map(|resource| {
        Node::Resource(ConfigResource {
            module: path.clone(),
            resource: resource.clone(),
        })
    }));
    found.extend(
        here.children
            .values()
            .map(|child| Node::Whole(child.path.clone())),
    );
}

/// What a resource's block refers to, `depends_on` aside.
fn resource_references(resource: &Resource) -> Vec<StaticReference> {
    let mut found = repetition(&resource.repetition);
    if let Some(key) = resource.provider.as_ref().and_then(|p| p.key.as_ref()) {
        found.extend(references(key).0);
    }
    for trigger in &resource.lifecycle.replace_triggered_by {
        found.extend(references(trigger).0);
    }
    found.extend(body_references(&resource.body).0);
    found.extend(rule_references(&resource.lifecycle.preconditions));
    found.extend(rule_references(&resource.lifecycle.postconditions));
    // Destroy-time provisioners refer to their own object only.
    let creation = resource
        .provisioners
        .iter()
        .filter(|p| p.when == ProvisionerWhen::Create);
    let bodies =
        creation.flat_map(|p| std::iter::once(&p.body).chain(p.connection.iter().map(|c| &c.body)));
    let own = resource.connection.iter().map(|c| &c.body);
    for body in own.chain(bodies) {
        found.extend(body_references(body).0);
    }
    found
}

pub(crate) fn repetition(repetition: &Repetition) -> Vec<StaticReference> {
    match repetition {
        Repetition::Single => Vec::new(),
        Repetition::Count(e) | Repetition::ForEach(e) | Repetition::Enabled(e) => references(e).0,
    }
}

fn rule_references(rules: &[CheckRule]) -> Vec<StaticReference> {
    rules
        .iter()
        .flat_map(|rule| [&rule.condition, &rule.error_message])
        .flat_map(|e| references(e).0)
        .collect()
}
