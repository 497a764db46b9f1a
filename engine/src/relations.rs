//! The configuration's objects and what each of them needs, for graphs that people look at: an edge that others imply is left out.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexSet;
use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use stead_lang::config::ConfigTree;
use stead_state::ProviderConfigRef;
use stead_value::addr::{ConfigResource, Module};

use crate::references::{Node, References};

/// An object of the configuration, or the end of one that has parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Thing {
    Variable(Module, Arc<str>),
    Local(Module, Arc<str>),
    Output(Module, Arc<str>),
    Module(Module),
    /// Everything in a module is done.
    ModuleEnd(Module),
    Resource(ConfigResource),
    Provider(ProviderConfigRef),
    /// Nothing needs the provider any more.
    ProviderEnd(ProviderConfigRef),
    /// Everything is done.
    Root,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, word, name) = match self {
            Thing::Variable(module, name) => (module, "var", name),
            Thing::Local(module, name) => (module, "local", name),
            Thing::Output(module, name) => (module, "output", name),
            Thing::Module(module) | Thing::ModuleEnd(module) => return module.fmt(f),
            Thing::Resource(resource) => return resource.fmt(f),
            Thing::Provider(provider) | Thing::ProviderEnd(provider) => return provider.fmt(f),
            Thing::Root => return f.write_str("root"),
        };
        if !module.0.is_empty() {
            write!(f, "{module}.")?;
        }
        write!(f, "{word}.{name}")
    }
}

/// Things, and for each the places of those that it needs.
pub struct Relations {
    pub things: Vec<Thing>,
    pub needs: Vec<Vec<usize>>,
    /// Things that need themselves through each other.
    pub cycles: Vec<Vec<usize>>,
}

struct Builder<'t> {
    tree: &'t ConfigTree,
    references: References<'t>,
    things: IndexSet<Thing>,
    edges: HashSet<(usize, usize)>,
}

impl Builder<'_> {
    fn place(&mut self, thing: Thing) -> usize {
        self.things.insert_full(thing).0
    }

    fn edge(&mut self, from: usize, to: Thing) {
        let to = self.place(to);
        if from != to {
            self.edges.insert((from, to));
        }
    }

    fn add(&mut self, node: &Node) -> usize {
        let place = self.place(thing(node));
        for needed in self.references.direct(node) {
            if self.is_declared(&needed) {
                self.edge(place, thing(&needed));
            }
        }
        place
    }

    /// References may be wrong: whoever draws them wants to find out.
    fn is_declared(&self, node: &Node) -> bool {
        let module = |path| self.tree.get(path).map(|node| &node.module);
        let declared = match node {
            Node::Variable(path, name) => module(path).map(|m| m.variables.contains_key(name)),
            Node::Local(path, name) => module(path).map(|m| m.locals.contains_key(name)),
            Node::Resource(resource) | Node::Instance(resource, _) => {
                module(&resource.module).map(|m| m.resources.contains_key(&resource.resource))
            }
            Node::Output(..) | Node::Call(_) | Node::Whole(_) | Node::Provider(_) => Some(true),
        };
        declared.unwrap_or_default()
    }
}

fn thing(node: &Node) -> Thing {
    match node {
        Node::Variable(module, name) => Thing::Variable(module.clone(), Arc::clone(name)),
        Node::Local(module, name) => Thing::Local(module.clone(), Arc::clone(name)),
        Node::Output(module, name) => Thing::Output(module.clone(), Arc::clone(name)),
        Node::Call(module) => Thing::Module(module.clone()),
        Node::Whole(module) => Thing::ModuleEnd(module.clone()),
        Node::Resource(resource) | Node::Instance(resource, _) => Thing::Resource(resource.clone()),
        Node::Provider(provider) => Thing::Provider(provider.clone()),
    }
}

/// The relations of a whole configuration.
pub fn relations(tree: &ConfigTree) -> Relations {
    let mut builder = Builder {
        tree,
        references: References::new(tree),
        things: IndexSet::new(),
        edges: HashSet::new(),
    };
    for node in tree.nodes() {
        let (path, module) = (&node.path, &node.module);
        let mut inside = Vec::new();
        let variables = module.variables.keys();
        inside.extend(variables.map(|n| Node::Variable(path.clone(), Arc::clone(n))));
        let locals = module.locals.keys();
        inside.extend(locals.map(|n| Node::Local(path.clone(), Arc::clone(n))));
        let outputs = module.outputs.keys();
        inside.extend(outputs.map(|n| Node::Output(path.clone(), Arc::clone(n))));
        let resources = module.resources.keys();
        inside.extend(resources.map(|r| {
            Node::Resource(ConfigResource {
                module: path.clone(),
                resource: r.clone(),
            })
        }));
        let end = Thing::ModuleEnd(path.clone());
        let is_root = path.0.is_empty();
        if !is_root {
            builder.add(&Node::Call(path.clone()));
            let end = builder.place(end.clone());
            builder.edge(end, Thing::Module(path.clone()));
        }
        for node in inside {
            let place = builder.add(&node);
            if !is_root {
                let end = builder.place(end.clone());
                builder.edges.insert((end, place));
            }
        }
    }
    end_providers(&mut builder);
    let root = builder.place(Thing::Root);
    let needed: HashSet<usize> = builder.edges.iter().map(|(_, to)| *to).collect();
    for place in 0..root {
        if !needed.contains(&place) {
            builder.edges.insert((root, place));
        }
    }
    reduce(&builder)
}

/// A provider's end waits for whatever uses it.
fn end_providers(builder: &mut Builder<'_>) {
    let provider = |thing: Option<&Thing>| match thing {
        Some(Thing::Provider(provider)) => Some(provider.clone()),
        _ => None,
    };
    let uses: Vec<(usize, ProviderConfigRef)> = builder
        .edges
        .iter()
        .filter_map(|(from, to)| Some((*from, provider(builder.things.get_index(*to))?)))
        .collect();
    for (user, provider) in uses {
        let end = builder.place(Thing::ProviderEnd(provider));
        builder.edges.insert((end, user));
    }
}

/// Leaves out what is implied, unless there are cycles: then everything is shown as it is.
fn reduce(builder: &Builder<'_>) -> Relations {
    let things: Vec<Thing> = builder.things.iter().cloned().collect();
    let mut graph: DiGraph<(), ()> = DiGraph::new();
    let ids: Vec<_> = things.iter().map(|_| graph.add_node(())).collect();
    let mut needs = vec![Vec::new(); things.len()];
    for (from, to) in &builder.edges {
        if let (Some(a), Some(b), Some(list)) = (ids.get(*from), ids.get(*to), needs.get_mut(*from))
        {
            graph.add_edge(*a, *b, ());
            list.push(*to);
        }
    }
    let cycles: Vec<Vec<usize>> = tarjan_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|component| component.into_iter().map(|id| id.index()).collect())
        .collect();
    if cycles.is_empty() {
        let whole = needs.clone();
        for direct in &mut needs {
            let mut behind: HashSet<usize> = HashSet::new();
            let mut queue: Vec<usize> = Vec::new();
            let of = |place: &usize| whole.get(*place).map(Vec::as_slice).unwrap_or_default();
            queue.extend(direct.iter().flat_map(of));
            while let Some(place) = queue.pop() {
                if behind.insert(place) {
                    queue.extend(of(&place));
                }
            }
            direct.retain(|place| !behind.contains(place));
        }
    }
    Relations {
        things,
        needs,
        cycles,
    }
}

impl Relations {
    /// The resources alone, each with those that it needs directly or through what is no resource.
    pub fn resources(&self) -> Vec<(&ConfigResource, Vec<&ConfigResource>)> {
        let resource = |place: usize| match self.things.get(place) {
            Some(Thing::Resource(resource)) => Some(resource),
            _ => None,
        };
        let mut found = Vec::new();
        for (place, needs) in self.needs.iter().enumerate() {
            let Some(this) = resource(place) else {
                continue;
            };
            let mut seen: HashSet<usize> = needs.iter().copied().collect();
            let mut queue: Vec<usize> = needs.clone();
            let mut needed = Vec::new();
            while let Some(next) = queue.pop() {
                if let Some(other) = resource(next) {
                    needed.push(other);
                    continue;
                }
                let further = self.needs.get(next).into_iter().flatten();
                queue.extend(further.filter(|p| seen.insert(**p)));
            }
            found.push((this, needed));
        }
        found
    }
}
