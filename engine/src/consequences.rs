//! Which problems of a configuration stand for themselves. What needs something that is wrong is not looked at by the
//! reference, and what stead finds there too is, more often than not, the same mistake once more.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use stead_lang::config::{ConfigNode, ConfigTree};
use stead_state::ProviderConfigRef;
use stead_value::addr::{ConfigResource, InstanceKey};
use stead_value::{Diagnostic, Diagnostics, Severity, SourceRange};

use crate::references::{Node, References};

/// Leaves out what was found in objects that need, by the configuration's text, an object in which there is an error. What has
/// no place in an object stays, and where objects only need each other everything does.
pub fn without_consequences(tree: &ConfigTree, found: Diagnostics) -> Diagnostics {
    if !found.has_errors() {
        return found;
    }
    let references = References::new(tree);
    let places = Places::of(tree, &references);
    let nothing = Block::default();
    let block = |d: &Diagnostic| {
        let found = d.subject.as_ref().and_then(|at| places.at(at));
        found.unwrap_or(&nothing)
    };
    let errors = || found.iter().filter(|d| d.severity == Severity::Error);
    let wrong: HashSet<Node> = errors().flat_map(|d| &block(d).nodes).cloned().collect();
    let said = found.iter().map(block);
    let said = said.flat_map(|block| block.nodes.iter().chain(&block.needs));
    let blocked = dependants(&references, said.cloned(), &wrong);
    let stays = |d: &&Diagnostic| {
        let block = block(d);
        let unusable = |node: &Node| wrong.contains(node) || blocked.contains(node);
        match block.nodes.as_slice() {
            [] => !block.needs.iter().any(unusable),
            // A module that is called several times is looked at for each call.
            nodes => nodes.iter().any(|node| !blocked.contains(node)),
        }
    };
    let kept: Diagnostics = found.iter().filter(stays).cloned().collect();
    if kept.has_errors() { kept } else { found }
}

/// Whatever needs what is wrong, among the nodes `said` and what these need.
fn dependants(
    references: &References<'_>,
    said: impl IntoIterator<Item = Node>,
    wrong: &HashSet<Node>,
) -> HashSet<Node> {
    let mut users: HashMap<Node, Vec<Node>> = HashMap::new();
    for node in references.with_ancestors(said) {
        for needed in references.direct(&node) {
            users.entry(needed).or_default().push(node.clone());
        }
    }
    let mut found = HashSet::new();
    let mut queue: Vec<&Node> = wrong.iter().collect();
    while let Some(node) = queue.pop() {
        for user in users.get(node).into_iter().flatten() {
            if found.insert(user.clone()) {
                queue.push(user);
            }
        }
    }
    found
}

/// A file, and a byte in it.
type Start = (Arc<str>, u32);

/// What a block of the configuration declares. What nothing can refer to is no node, and may need some.
#[derive(Default)]
struct Block {
    nodes: Vec<Node>,
    needs: Vec<Node>,
}

/// Which block a place is in.
#[derive(Default)]
struct Places {
    /// By where they begin.
    blocks: BTreeMap<Start, Block>,
    /// Parts of blocks that are something else, with their ends: the arguments of module calls are the modules' variables.
    parts: BTreeMap<Start, (u32, Block)>,
}

impl Places {
    fn of(tree: &ConfigTree, references: &References<'_>) -> Places {
        let mut places = Places::default();
        for node in tree.nodes() {
            places.module(node);
            for check in node.module.checks.values() {
                let needs = references.of_rules(&node.path, &check.asserts);
                places.block(&check.range, None).needs.extend(needs);
            }
        }
        places
    }

    fn at(&self, range: &SourceRange) -> Option<&Block> {
        let here = (Arc::clone(&range.file), range.start.byte);
        let up_to_here = (Arc::clone(&range.file), 0)..=here;
        if let Some((_, (end, part))) = self.parts.range(up_to_here.clone()).next_back()
            && range.start.byte < *end
        {
            return Some(part);
        }
        let found = self.blocks.range(up_to_here).next_back();
        found.map(|(_, block)| block)
    }

    fn block(&mut self, range: &SourceRange, node: Option<Node>) -> &mut Block {
        let start = (Arc::clone(&range.file), range.start.byte);
        let block = self.blocks.entry(start).or_default();
        block.nodes.extend(node);
        block
    }

    fn part(&mut self, range: &SourceRange, node: Option<Node>) {
        let start = (Arc::clone(&range.file), range.start.byte);
        let (end, block) = self.parts.entry(start).or_default();
        *end = range.end.byte;
        block.nodes.extend(node);
    }

    fn module(&mut self, node: &ConfigNode) {
        let (path, module) = (&node.path, &node.module);
        for (name, variable) in &module.variables {
            let node = Node::Variable(path.clone(), Arc::clone(name));
            self.block(&variable.range, Some(node));
        }
        for (name, local) in &module.locals {
            let node = Node::Local(path.clone(), Arc::clone(name));
            self.block(&local.range, Some(node));
        }
        for (name, output) in &module.outputs {
            let node = Node::Output(path.clone(), Arc::clone(name));
            self.block(&output.range, Some(node));
        }
        for resource in module.resources.values() {
            let node = Node::Resource(ConfigResource {
                module: path.clone(),
                resource: resource.addr.clone(),
            });
            self.block(&resource.range, Some(node));
        }
        for provider in module.providers.values() {
            let node = Node::Provider(ProviderConfigRef {
                module: path.clone(),
                source: module.provider_source(&provider.name.local),
                alias: provider.name.alias.clone(),
                key: InstanceKey::None,
            });
            self.block(&provider.range, Some(node));
            // Instances are counted before anything is looked at.
            if let Some(keys) = &provider.for_each {
                self.part(&keys.range(), None);
            }
        }
        let moved = module.moved.iter().map(|b| &b.range);
        let removed = module.removed.iter().map(|b| &b.range);
        let imports = module.imports.iter().map(|b| &b.range);
        for range in moved.chain(removed).chain(imports) {
            self.block(range, None);
        }
        for (name, call) in &module.calls {
            let mut child = path.clone();
            child.0.push(Arc::clone(name));
            self.block(&call.range, Some(Node::Call(child.clone())));
            for argument in call.arguments.attributes.values() {
                // One that the module does not have is told whatever else is wrong.
                let declared = node.children.get(name);
                let declared = declared.and_then(|c| c.module.variables.get(&argument.name));
                let variable = declared.map(|v| Node::Variable(child.clone(), Arc::clone(&v.name)));
                self.part(&call.arguments.range(argument.span), variable);
            }
        }
    }
}
