//! `moved`: objects that keep their life under a new address.

use std::collections::{BTreeSet, HashMap};

use petgraph::graph::{DiGraph, NodeIndex};
use stead_lang::config::{ObjectAddress, Repetition};
use stead_state::{ProviderConfigRef, ResourceId, State};
use stead_value::addr::{
    ConfigResource, InstanceKey, Module, ModuleInstance, Resource, ResourceInstance, ResourceMode,
};
use stead_value::{Diagnostic, SourceRange};

use super::Planner;

/// One statement, with the module that it stands in.
#[derive(Clone, Debug)]
pub(super) struct Move {
    module: Module,
    from: ObjectAddress,
    to: ObjectAddress,
    range: SourceRange,
}

impl Planner<'_, '_> {
    /// Applies every `moved` block to the prior state, following chains.
    pub(super) fn move_objects(&mut self) {
        let moves = self.statements();
        if !self.statements_are_sound(&moves) {
            return;
        }
        // What leads in a circle moves nothing; whatever else is wrong is said first.
        let Some(order) = in_order(&moves) else {
            return;
        };
        let implied = self.implied(&moves);
        if !order.is_empty() {
            let mut index = Index::of(&self.state);
            for step in order {
                for address in index.candidates(step) {
                    let Some(target) = target(step, &address) else {
                        continue;
                    };
                    if self.move_object(&address, &target, Some(&step.range)) {
                        index.moved(&address, &target);
                    }
                }
            }
        }
        for (from, to) in implied {
            if self.state.instance(&to).is_none() {
                self.move_object(&from, &to, None);
            }
        }
    }

    pub(super) fn warn_of_blocked_moves(&mut self) {
        if self.blocked_moves.is_empty() {
            return;
        }
        let list: String = std::mem::take(&mut self.blocked_moves)
            .iter()
            .map(|(from, to)| format!("\n  - {from} could not move to {to}"))
            .collect();
        self.diagnostics.push(Diagnostic::warning(
            "Unresolved resource instance address changes",
            format!("stead tried to adjust resource instance addresses in the prior state based on change information recorded in the configuration, but some adjustments did not succeed due to existing objects already at the intended addresses:{list}\n\nstead has planned to destroy these objects. If stead's proposed changes aren't appropriate, you must first resolve the conflicts using the \"stead state\" subcommands and then create a new plan."),
        ));
    }

    fn statements(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for node in self.evaluator.tree().nodes() {
            moves.extend(node.module.moved.iter().map(|moved| Move {
                module: node.path.clone(),
                from: moved.from.clone(),
                to: moved.to.clone(),
                range: moved.range.clone(),
            }));
        }
        moves
    }

    /// What can be said of the statements without any object: each stands for itself, and no two contradict each other.
    fn statements_are_sound(&mut self, moves: &[Move]) -> bool {
        let before = self.diagnostics.len();
        let mut sources: HashMap<String, &Move> = HashMap::new();
        let mut targets: HashMap<String, &Move> = HashMap::new();
        for step in moves {
            let (from, to) = (
                describe(&step.module, &step.from),
                describe(&step.module, &step.to),
            );
            if from == to {
                self.diagnostics.push(
                    Diagnostic::error("Redundant move statement", format!("This statement declares a move from {from} to the same address, which is the same as not declaring this move at all."))
                        .at(step.range.clone()),
                );
            }
            if let Some(diagnostic) = unsuitable(step) {
                self.diagnostics.push(diagnostic.at(step.range.clone()));
            }
            for (seen, key, other, what) in [
                (&mut sources, &from, &to, "moves"),
                (&mut targets, &to, &from, "is moved to"),
            ] {
                let Some(earlier) = seen.insert(key.clone(), step) else {
                    continue;
                };
                let end = if what == "moves" {
                    &earlier.to
                } else {
                    &earlier.from
                };
                let end = describe(&earlier.module, end);
                if end != *other {
                    let detail = if what == "moves" {
                        format!(
                            "A statement at {}:{} declared that {from} moved to {end}, but this statement instead declares that it moved to {to}.\n\nEach resource can move to only one destination resource.",
                            earlier.range.file, earlier.range.start.line
                        )
                    } else {
                        format!(
                            "A statement at {}:{} declared that {end} moved to {to}, but this statement instead declares that {from} moved there.\n\nEach resource can have moved from only one source resource.",
                            earlier.range.file, earlier.range.start.line
                        )
                    };
                    self.diagnostics.push(
                        Diagnostic::error("Ambiguous move statements", detail)
                            .at(step.range.clone()),
                    );
                }
            }
        }
        self.diagnostics.len() == before
    }

    /// After the walk: what a statement moves away must not be wanted at its old address as well.
    pub(super) fn check_moves(&mut self) {
        let moves = self.statements();
        if moves.is_empty() {
            return;
        }
        let mut wanted: HashMap<ConfigResource, Vec<&ResourceInstance>> = HashMap::new();
        for address in &self.desired {
            wanted.entry(address.config()).or_default().push(address);
        }
        let mut found = Vec::new();
        for step in &moves {
            let clash = match &step.from.resource {
                Some((resource, _)) => {
                    let mut module = step.module.clone();
                    module
                        .0
                        .extend(step.from.module.iter().map(|(name, _)| name.clone()));
                    let config = ConfigResource {
                        module,
                        resource: resource.clone(),
                    };
                    let declared = wanted.get(&config).into_iter().flatten();
                    declared
                        .into_iter()
                        .any(|address| target(step, address).is_some())
                }
                None => self
                    .desired
                    .iter()
                    .any(|address| target(step, address).is_some()),
            };
            if clash {
                let from = describe(&step.module, &step.from);
                found.push(
                    Diagnostic::error(
                        "Moved object still exists",
                        format!("This statement declares a move from {from}, but that object is still declared in the configuration.\n\nChange your configuration so that this object is declared as {} instead.", describe(&step.module, &step.to)),
                    )
                    .at(step.range.clone()),
                );
            }
        }
        if found.is_empty() && in_order(&moves).is_none() {
            found.push(circle(&moves));
        }
        self.diagnostics.extend(found);
    }

    /// Moves one object unless its new place is taken; a move without a statement stays within its resource.
    fn move_object(
        &mut self,
        from: &ResourceInstance,
        to: &ResourceInstance,
        statement: Option<&SourceRange>,
    ) -> bool {
        if from == to {
            return false;
        }
        if self.state.instance(to).is_some() {
            self.blocked_moves.push((from.clone(), to.clone()));
            return false;
        }
        let provider = match statement {
            Some(statement) => match self.take_over(from, to, statement) {
                Some(provider) => Some(provider),
                None => return false,
            },
            None => None,
        };
        if !rename(&mut self.state, from, to, provider) {
            return false;
        }
        let origin = self.moved_from.remove(from).unwrap_or_else(|| from.clone());
        if origin != *to {
            self.moved_from.insert(to.clone(), origin);
        }
        true
    }

    /// Adding or removing `count` moves `a` to `a[0]` and back, where no statement says otherwise.
    fn implied(&self, moves: &[Move]) -> Vec<(ResourceInstance, ResourceInstance)> {
        let mut implied = Vec::new();
        for (id, resource) in &self.state.resources {
            if id.resource.mode != ResourceMode::Managed {
                continue;
            }
            let node = self.evaluator.tree().get(&id.module.module());
            let declared = node.and_then(|n| n.module.resources.get(&id.resource));
            let Some(declared) = declared else {
                continue;
            };
            let (from, to) = match declared.repetition {
                Repetition::Count(_) => (InstanceKey::None, InstanceKey::Int(0)),
                Repetition::ForEach(_) => continue,
                Repetition::Single | Repetition::Enabled(_) => {
                    (InstanceKey::Int(0), InstanceKey::None)
                }
            };
            if !resource.instances.contains_key(&from) || resource.instances.contains_key(&to) {
                continue;
            }
            let from = id.instance(from);
            let said = moves
                .iter()
                .any(|m| m.from.resource.is_some() && target(m, &from).is_some());
            if !said {
                implied.push((from, id.instance(to)));
            }
        }
        implied
    }

    /// Moves that a plan of a part would see only one end of.
    pub(super) fn check_targeted_moves(&mut self) {
        let targets = self.selection.targets();
        if targets.is_empty() {
            return;
        }
        let contained = |address: &ResourceInstance| targets.iter().any(|t| t.contains(address));
        let mut left_out: BTreeSet<ResourceInstance> = BTreeSet::new();
        for (to, from) in &self.moved_from {
            for end in [from, to] {
                if !contained(end) {
                    left_out.insert(ResourceInstance {
                        key: InstanceKey::None,
                        ..end.clone()
                    });
                }
            }
        }
        if left_out.is_empty() {
            return;
        }
        let options: String = left_out
            .iter()
            .map(|address| format!("\n  -target={:?}", address.to_string()))
            .collect();
        self.diagnostics.push(Diagnostic::error(
            "Moved resource instances excluded by targeting",
            format!("Resource instances in your current state have moved to new addresses in the latest configuration. stead must include those resource instances while planning in order to ensure a correct result, but your -target=... options do not fully cover all of those resource instances.\n\nTo create a valid plan, either remove your -target=... options altogether or add the following additional target options:{options}\n\nNote that adding these options may include further additional resource instances in your plan, in order to respect object dependencies."),
        ));
    }
}

/// Moves that no object can make.
fn unsuitable(step: &Move) -> Option<Diagnostic> {
    let (Some((old, _)), Some((new, _))) = (&step.from.resource, &step.to.resource) else {
        return None;
    };
    if old.mode != ResourceMode::Managed || new.mode != ResourceMode::Managed {
        return Some(Diagnostic::error(
            "Invalid \"moved\" addresses",
            "Data sources cannot be moved: they are read anew under their new address.",
        ));
    }
    None
}

/// An endpoint as messages name it, seen from the root; statements with equal texts mean the same objects.
fn describe(module: &Module, address: &ObjectAddress) -> String {
    let mut parts: Vec<String> = module
        .0
        .iter()
        .map(|name| format!("module.{name}"))
        .collect();
    let key = |key: &Option<InstanceKey>| key.as_ref().map(ToString::to_string).unwrap_or_default();
    parts.extend(
        address
            .module
            .iter()
            .map(|(name, k)| format!("module.{name}{}", key(k))),
    );
    if let Some((resource, k)) = &address.resource {
        parts.push(format!("{resource}{}", key(k)));
    }
    parts.join(".")
}

fn circle(moves: &[Move]) -> Diagnostic {
    let mut list: Vec<String> = moves
        .iter()
        .map(|m| {
            let (from, to) = (describe(&m.module, &m.from), describe(&m.module, &m.to));
            let place = format!("{}:{}", m.range.file, m.range.start.line);
            format!("\n  - {place}: {from} → {to}")
        })
        .collect();
    list.sort();
    Diagnostic::error(
        "Cyclic dependency in move statements",
        format!(
            "The following chained move statements form a cycle, and so there is no final location to move objects to:{}\n\nA chain of move statements must end with an address that doesn't appear in any other statements, and which typically also refers to an object still declared in the configuration.",
            list.concat()
        ),
    )
}

/// Where the objects of a state are, so that a statement looks only at those that it can mean.
struct Index {
    by_config: HashMap<ConfigResource, BTreeSet<ResourceInstance>>,
}

impl Index {
    fn of(state: &State) -> Index {
        let mut index = Index {
            by_config: HashMap::new(),
        };
        for (id, resource) in &state.resources {
            for key in resource.instances.keys() {
                index.insert(id.instance(key.clone()));
            }
        }
        index
    }

    fn insert(&mut self, address: ResourceInstance) {
        self.by_config
            .entry(address.config())
            .or_default()
            .insert(address);
    }

    fn moved(&mut self, from: &ResourceInstance, to: &ResourceInstance) {
        if let Some(instances) = self.by_config.get_mut(&from.config()) {
            instances.remove(from);
        }
        self.insert(to.clone());
    }

    fn candidates(&self, step: &Move) -> Vec<ResourceInstance> {
        let mut module = step.module.clone();
        module
            .0
            .extend(step.from.module.iter().map(|(name, _)| name.clone()));
        match &step.from.resource {
            Some((resource, _)) => {
                let config = ConfigResource {
                    module,
                    resource: resource.clone(),
                };
                self.by_config
                    .get(&config)
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect()
            }
            None => {
                let mut found: Vec<ResourceInstance> = self
                    .by_config
                    .iter()
                    .filter(|(config, _)| config.module.0.starts_with(&module.0))
                    .flat_map(|(_, instances)| instances.iter().cloned())
                    .collect();
                found.sort();
                found
            }
        }
    }
}

/// The statements so that one whose objects another goes on with comes first; `None` when they lead in a circle.
fn in_order(moves: &[Move]) -> Option<Vec<&Move>> {
    let mut graph: DiGraph<usize, ()> = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..moves.len()).map(|i| graph.add_node(i)).collect();
    for (first, a) in moves.iter().zip(&nodes) {
        let reached = Reach::of(&first.module, &first.to, &first.from);
        for (then, b) in moves.iter().zip(&nodes) {
            if a != b && reached.meets(&Reach::of(&then.module, &then.from, &then.to)) {
                graph.add_edge(*a, *b, ());
            }
        }
    }
    let order = petgraph::algo::toposort(&graph, None).ok()?;
    order
        .into_iter()
        .map(|node| moves.get(*graph.node_weight(node)?))
        .collect()
}

/// The objects that an endpoint stands for. A key of `None` stands for every instance.
struct Reach<'a> {
    modules: Vec<(&'a str, Option<InstanceKey>)>,
    resource: Option<(&'a Resource, Option<InstanceKey>)>,
}

impl<'a> Reach<'a> {
    fn of(base: &'a Module, end: &'a ObjectAddress, other: &ObjectAddress) -> Reach<'a> {
        let whole = is_whole(end, other);
        let exact = |key: &Option<InstanceKey>| Some(key.clone().unwrap_or(InstanceKey::None));
        let mut modules: Vec<_> = base.0.iter().map(|name| (&**name, None)).collect();
        let last = end.module.len().saturating_sub(1);
        for (i, (name, key)) in end.module.iter().enumerate() {
            let any = whole && end.resource.is_none() && i == last;
            modules.push((&**name, if any { None } else { exact(key) }));
        }
        let resource = end
            .resource
            .as_ref()
            .map(|(r, key)| (r, if whole { None } else { exact(key) }));
        Reach { modules, resource }
    }

    fn meets(&self, other: &Reach<'_>) -> bool {
        let fits = |a: &Option<InstanceKey>, b: &Option<InstanceKey>| match (a, b) {
            (Some(a), Some(b)) => a == b,
            _ => true,
        };
        let along = self
            .modules
            .iter()
            .zip(&other.modules)
            .all(|((a, ka), (b, kb))| a == b && fits(ka, kb));
        along
            && match (&self.resource, &other.resource) {
                (Some((a, ka)), Some((b, kb))) => {
                    self.modules.len() == other.modules.len() && a == b && fits(ka, kb)
                }
                (Some(_), None) => self.modules.len() >= other.modules.len(),
                (None, Some(_)) => self.modules.len() <= other.modules.len(),
                (None, None) => true,
            }
    }
}

/// Without a key on both sides, a statement means all instances; each keeps its key.
fn is_whole(a: &ObjectAddress, b: &ObjectAddress) -> bool {
    let keyless = |end: &ObjectAddress| match &end.resource {
        Some((_, key)) => key.is_none(),
        None => end.module.last().is_none_or(|(_, key)| key.is_none()),
    };
    keyless(a) && keyless(b)
}

/// Where an object goes by a statement, if the statement is about it.
fn target(step: &Move, address: &ResourceInstance) -> Option<ResourceInstance> {
    let depth = step.module.0.len();
    let calls = &address.module.0;
    // The statement speaks of every instance of the module that it stands in.
    if calls.len() < depth
        || !calls
            .iter()
            .zip(&step.module.0)
            .all(|((name, _), wanted)| name == wanted)
    {
        return None;
    }
    let (base, inner) = calls.split_at(depth);
    let (from, to) = (&step.from, &step.to);
    if inner.len() < from.module.len() {
        return None;
    }
    let (matched, rest) = inner.split_at(from.module.len());
    let whole = is_whole(from, to);
    let whole_module = whole && from.resource.is_none();
    let last = from.module.len().saturating_sub(1);
    for (i, ((name, key), (wanted, wanted_key))) in matched.iter().zip(&from.module).enumerate() {
        let any = whole_module && i == last;
        if name != wanted || !(any || *key == wanted_key.clone().unwrap_or(InstanceKey::None)) {
            return None;
        }
    }
    let kept = matched.last().map(|(_, key)| key.clone());
    let last = to.module.len().saturating_sub(1);
    let renamed = to.module.iter().enumerate().map(|(i, (name, key))| {
        let key = if whole_module && i == last {
            kept.clone()
        } else {
            key.clone()
        };
        (name.clone(), key.unwrap_or(InstanceKey::None))
    });
    let module: Vec<_> = base.iter().cloned().chain(renamed).collect();
    match (&from.resource, &to.resource) {
        (None, None) => Some(ResourceInstance {
            module: ModuleInstance(module.into_iter().chain(rest.iter().cloned()).collect()),
            resource: address.resource.clone(),
            key: address.key.clone(),
        }),
        (Some((resource, key)), Some((to_resource, to_key))) => {
            let fits = whole || address.key == key.clone().unwrap_or(InstanceKey::None);
            if !rest.is_empty() || *resource != address.resource || !fits {
                return None;
            }
            let key = if whole {
                address.key.clone()
            } else {
                to_key.clone().unwrap_or(InstanceKey::None)
            };
            Some(ResourceInstance {
                module: ModuleInstance(module.into_iter().collect()),
                resource: to_resource.clone(),
                key,
            })
        }
        _ => None,
    }
}

/// Takes an instance with all its objects to another address, and to another provider configuration when one is given.
fn rename(
    state: &mut State,
    from: &ResourceInstance,
    to: &ResourceInstance,
    provider: Option<ProviderConfigRef>,
) -> bool {
    let id = ResourceId::of(from);
    let Some(resource) = state.resources.get_mut(&id) else {
        return false;
    };
    let Some(objects) = resource.instances.remove(&from.key) else {
        return false;
    };
    let provider = provider.unwrap_or_else(|| resource.provider_of(&objects).clone());
    if resource.instances.is_empty() {
        state.resources.remove(&id);
    }
    if let Some(current) = objects.current {
        state.set_current(to, &provider, Some(current));
    }
    for (key, object) in objects.deposed {
        state.set_deposed(to, &provider, &key, Some(object));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use stead_state::parse_resource_instance;

    fn end(text: &str) -> ObjectAddress {
        let file = std::sync::Arc::new(stead_lang::syntax::SourceFile::new("t.tf", text));
        let (expr, diagnostics) = stead_lang::syntax::parse_expression(&file);
        assert!(!diagnostics.has_errors(), "{text}");
        stead_lang::config::object_address(&expr).expect(text)
    }

    fn file_range() -> SourceRange {
        let file = stead_lang::syntax::SourceFile::new("t.tf", "moved {}");
        file.range(stead_lang::syntax::Span::default())
    }

    fn statement(module: &[&str], from: &str, to: &str) -> Move {
        let module = Module(module.iter().map(|m| (*m).into()).collect());
        Move {
            module,
            from: end(from),
            to: end(to),
            range: file_range(),
        }
    }

    #[track_caller]
    fn check(module: &[&str], from: &str, to: &str, address: &str, expected: Option<&str>) {
        let step = statement(module, from, to);
        let address = parse_resource_instance(address).expect("an address");
        assert_eq!(
            target(&step, &address).map(|a| a.to_string()).as_deref(),
            expected
        );
    }

    #[test]
    fn a_whole_resource_keeps_its_keys_and_an_instance_goes_alone() {
        check(&[], "t.a", "t.b", "t.a[1]", Some("t.b[1]"));
        check(&[], "t.a", "t.b[\"k\"]", "t.a", Some("t.b[\"k\"]"));
        check(&[], "t.a", "t.b[\"k\"]", "t.a[1]", None);
        check(&[], "t.a[1]", "t.b", "t.a[1]", Some("t.b"));
        check(&[], "t.a[1]", "t.b", "t.a", None);
        check(&[], "t.a", "t.b", "module.m.t.a", None);
    }

    #[test]
    fn modules_take_what_is_in_them_along() {
        check(
            &[],
            "module.m",
            "module.n",
            "module.m[0].module.x.t.a[1]",
            Some("module.n[0].module.x.t.a[1]"),
        );
        check(
            &[],
            "module.m",
            "module.n[\"k\"]",
            "module.m.t.a",
            Some("module.n[\"k\"].t.a"),
        );
        check(&[], "module.m", "module.n[\"k\"]", "module.m[0].t.a", None);
        check(
            &["m"],
            "t.a",
            "t.b",
            "module.m[\"k\"].t.a",
            Some("module.m[\"k\"].t.b"),
        );
        check(
            &[],
            "module.m[0].t.a",
            "t.b",
            "module.m[0].t.a",
            Some("t.b"),
        );
        check(
            &[],
            "t.b",
            "module.m[0].t.a[2]",
            "t.b",
            Some("module.m[0].t.a[2]"),
        );
    }

    #[test]
    fn chains_run_from_their_beginning_in_whatever_order_they_stand() {
        let moves = [
            statement(&[], "t.b", "t.c"),
            statement(&[], "t.a", "t.b"),
            statement(&["n"], "t.x", "t.y"),
            statement(&[], "module.m", "module.n"),
        ];
        let order: Vec<String> = in_order(&moves)
            .expect("no circle")
            .iter()
            .map(|m| describe(&m.module, &m.from))
            .collect();
        let at = |what: &str| order.iter().position(|o| o == what).expect("there");
        assert!(at("t.a") < at("t.b"));
        assert!(at("module.m") < at("module.n.t.x"));
        let circle = [statement(&[], "t.b", "t.a"), statement(&[], "t.a", "t.b")];
        assert!(in_order(&circle).is_none());
        let shift = [
            statement(&[], "t.a[0]", "t.a[1]"),
            statement(&[], "t.a[1]", "t.b"),
        ];
        assert!(in_order(&shift).is_some());
    }
}
