//! Relevant attributes: which parts of which objects contributed to the changes of a plan. Drift elsewhere is no cause of
//! anything and not worth showing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use stead_lang::config::{ConfigTree, Repetition};
use stead_lang::decode::body_references;
use stead_lang::expr::{StaticReference, Target, references};
use stead_lang::syntax::{Body, Expression};
use stead_value::addr::{ConfigResource, InstanceKey, ModuleInstance, Resource, ResourceInstance};
use stead_value::{Path, Step};

use crate::{Action, OutputChange, ResourceChange};

/// Part of an object; without instance key, of all instances of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct RelevantAttribute {
    pub resource: ResourceInstance,
    pub attribute: Path,
}

/// A reference with where it stands, which says what `each` and `count` mean.
#[derive(Clone)]
struct Found {
    module: ModuleInstance,
    within: Option<Resource>,
    target: Target,
    rest: Path,
}

impl Found {
    fn key(&self) -> String {
        let within = self.within.as_ref().map(ToString::to_string);
        format!("{} {within:?} {:?} {}", self.module, self.target, self.rest)
    }
}

pub(super) fn find(
    tree: &ConfigTree,
    changes: &[ResourceChange],
    outputs: &BTreeMap<Arc<str>, OutputChange>,
    computed: &[(ModuleInstance, Arc<str>)],
) -> Vec<RelevantAttribute> {
    let mut finder = Finder {
        tree,
        bodies: HashMap::new(),
        seen: HashSet::new(),
        queue: Vec::new(),
        relevant: BTreeMap::new(),
    };
    for change in changes.iter().filter(|c| c.action != Action::NoOp) {
        let address = &change.address;
        finder.resource(&address.module, &address.resource, &Path::root());
    }
    for (name, _) in outputs.iter().filter(|(_, o)| o.action != Action::NoOp) {
        if let Some(output) = tree.root.module.outputs.get(name) {
            finder.expression(&ModuleInstance::root(), None, &output.value);
        }
    }
    // Terraform counts every output of a module as new.
    for (module, name) in computed {
        let node = tree.get(&module.module());
        if let Some(output) = node.and_then(|n| n.module.outputs.get(name)) {
            finder.expression(module, None, &output.value);
        }
    }
    while let Some(found) = finder.queue.pop() {
        finder.follow(&found);
    }
    finder.relevant.into_values().collect()
}

struct Finder<'c> {
    tree: &'c ConfigTree,
    /// What the bodies of resources refer to: instances share it.
    bodies: HashMap<ConfigResource, Rc<Vec<StaticReference>>>,
    seen: HashSet<String>,
    queue: Vec<Found>,
    relevant: BTreeMap<String, RelevantAttribute>,
}

impl Finder<'_> {
    fn add(
        &mut self,
        module: &ModuleInstance,
        within: Option<&Resource>,
        references: impl IntoIterator<Item = StaticReference>,
    ) {
        for reference in references {
            let found = Found {
                module: module.clone(),
                within: within.cloned(),
                target: reference.target,
                rest: reference.rest,
            };
            let key = found.key();
            if !self.seen.insert(key.clone()) {
                continue;
            }
            if let Target::Resource { resource, key: k } = &found.target {
                let relevant = RelevantAttribute {
                    resource: ResourceInstance {
                        module: module.clone(),
                        resource: resource.clone(),
                        key: k.clone().unwrap_or(InstanceKey::None),
                    },
                    attribute: found.rest.clone(),
                };
                let key = format!("{} {}", relevant.resource, relevant.attribute);
                self.relevant.insert(key, relevant);
            }
            self.queue.push(found);
        }
    }

    fn expression(&mut self, module: &ModuleInstance, within: Option<&Resource>, e: &Expression) {
        self.add(module, within, references(e).0);
    }

    /// What the object behind a reference refers to itself.
    fn follow(&mut self, found: &Found) {
        let module = &found.module;
        let Some(node) = self.tree.get(&module.module()) else {
            return;
        };
        match &found.target {
            Target::Variable(name) => {
                let Some((call, _)) = module.0.last() else {
                    return;
                };
                let Some(caller) = module.parent() else {
                    return;
                };
                let argument = self
                    .tree
                    .get(&caller.module())
                    .and_then(|n| n.module.calls.get(call))
                    .and_then(|c| c.arguments.attribute(name));
                if let Some(argument) = argument {
                    self.expression(&caller, None, &argument.expr);
                }
            }
            Target::Local(name) => {
                if let Some(local) = node.module.locals.get(name) {
                    self.expression(module, None, &local.value);
                }
            }
            Target::Module { name, key, output } => {
                let key = key.clone().unwrap_or(InstanceKey::None);
                let child = module.child(Arc::clone(name), key);
                let Some(callee) = self.tree.get(&child.module()) else {
                    return;
                };
                for (output_name, declared) in &callee.module.outputs {
                    if output.as_ref().is_none_or(|wanted| wanted == output_name) {
                        self.expression(&child, None, &declared.value);
                    }
                }
            }
            Target::Resource { resource, .. } => self.resource(module, resource, &found.rest),
            Target::EachKey | Target::EachValue | Target::CountIndex => {
                let declared = found
                    .within
                    .as_ref()
                    .and_then(|resource| node.module.resources.get(resource));
                match declared.map(|r| &r.repetition) {
                    Some(
                        Repetition::Count(e) | Repetition::ForEach(e) | Repetition::Enabled(e),
                    ) => self.expression(module, None, e),
                    Some(Repetition::Single) | None => {}
                }
            }
            _ => {}
        }
    }

    /// What the part of a resource's block that a path leads to refers to.
    fn resource(&mut self, module: &ModuleInstance, resource: &Resource, rest: &Path) {
        let node = self.tree.get(&module.module());
        let Some(declared) = node.and_then(|n| n.module.resources.get(resource)) else {
            return;
        };
        let name = match rest.steps().first() {
            Some(Step::Attr(name)) => Some(Arc::clone(name)),
            Some(Step::Index(key)) => key.as_str().map(Arc::from),
            None => None,
        };
        let found = match name {
            Some(name) => part(&declared.body, &name),
            None => {
                let config = ConfigResource {
                    module: module.module(),
                    resource: resource.clone(),
                };
                let body = self
                    .bodies
                    .entry(config)
                    .or_insert_with(|| Rc::new(body_references(&declared.body).0));
                body.to_vec()
            }
        };
        self.add(module, Some(resource), found);
    }
}

/// The references of one attribute, or of the blocks of one type.
fn part(body: &Body, name: &str) -> Vec<StaticReference> {
    if let Some(attribute) = body.attribute(name) {
        return references(&attribute.expr).0;
    }
    let labelled = |block: &stead_lang::syntax::Block| {
        &*block.kind == "dynamic" && block.labels.first().is_some_and(|l| &*l.text == name)
    };
    body.blocks
        .iter()
        .filter(|block| &*block.kind == name || labelled(block))
        .flat_map(|block| body_references(&block.body).0)
        .collect()
}
