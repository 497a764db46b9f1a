//! Graphs for people: in Graphviz's language as Terraform writes it, or in Mermaid's, which pull requests draw.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::ValueEnum;
use stead_engine::Plan;
use stead_engine::graph::{Op, OpId};
use stead_engine::relations::{Relations, Thing};
use stead_state::State;
use stead_value::addr::{ConfigResource, ResourceMode};

use super::text::quote;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Dot,
    Mermaid,
}

/// Names with their label and shape, and edges between them.
#[derive(Default)]
struct Drawing {
    nodes: BTreeMap<String, Option<(String, &'static str)>>,
    /// With the mark of a cycle.
    edges: BTreeSet<(String, String, bool)>,
}

impl Drawing {
    fn render(&self, format: Format) -> String {
        match format {
            Format::Dot => self.dot(),
            Format::Mermaid => {
                let names = self.nodes.iter().map(|(name, shown)| {
                    let label = shown.as_ref().map_or(name, |(label, _)| label);
                    (name.as_str(), label.as_str())
                });
                let edges = self.edges.iter().map(|(a, b, _)| (a.as_str(), b.as_str()));
                let all = names.collect::<Vec<_>>();
                mermaid(&[(String::new(), all)], &edges.collect::<Vec<_>>())
            }
        }
    }

    fn dot(&self) -> String {
        let mut out = String::from(
            "digraph {\n\tcompound = \"true\"\n\tnewrank = \"true\"\n\tsubgraph \"root\" {\n",
        );
        let root = |name: &str| quote(&format!("[root] {name}"));
        for (name, shown) in &self.nodes {
            if let Some((label, shape)) = shown {
                let _ = writeln!(
                    out,
                    "\t\t{} [label = {}, shape = \"{shape}\"]",
                    root(name),
                    quote(label)
                );
            }
        }
        for (from, to, cycle) in &self.edges {
            let mark = if *cycle {
                " [color = \"red\", penwidth = \"2.0\"]"
            } else {
                ""
            };
            let _ = writeln!(out, "\t\t{} -> {}{mark}", root(from), root(to));
        }
        out.push_str("\t}\n}\n");
        out
    }
}

/// Groups of names with labels, and edges. An empty group name is no group.
fn mermaid(groups: &[(String, Vec<(&str, &str)>)], edges: &[(&str, &str)]) -> String {
    let mut out = String::from("flowchart RL\n");
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    // Mermaid takes what HTML takes in labels.
    let escape = |text: &str| {
        text.replace('&', "#amp;")
            .replace('"', "#quot;")
            .replace('<', "#lt;")
            .replace('>', "#gt;")
    };
    for (i, (group, names)) in groups.iter().enumerate() {
        let margin = if group.is_empty() { "  " } else { "    " };
        if !group.is_empty() {
            let _ = writeln!(out, "  subgraph m{i}[\"{}\"]", escape(group));
        }
        for (name, label) in names {
            let place = places.len();
            places.insert(name, place);
            let _ = writeln!(out, "{margin}n{place}[\"{}\"]", escape(label));
        }
        if !group.is_empty() {
            out.push_str("  end\n");
        }
    }
    for (from, to) in edges {
        if let (Some(from), Some(to)) = (places.get(from), places.get(to)) {
            let _ = writeln!(out, "  n{from} --> n{to}");
        }
    }
    out
}

/// The resources of a configuration, by module.
pub(crate) fn resources(relations: &Relations, format: Format) -> String {
    let mut all = relations.resources();
    let key = |r: &ConfigResource| {
        let inner = &r.resource;
        let managed = inner.mode != ResourceMode::Data;
        let (kind, name) = (inner.type_name.to_string(), inner.name.to_string());
        (r.module.to_string(), managed, kind, name)
    };
    all.retain(|(r, _)| r.resource.mode != ResourceMode::Ephemeral);
    all.sort_by_cached_key(|(r, _)| key(r));
    let mut edges = Vec::new();
    for (from, needs) in &all {
        let mut needs = needs.clone();
        needs.retain(|r| r.resource.mode != ResourceMode::Ephemeral);
        needs.sort_by_cached_key(|r| key(r));
        edges.extend(needs.iter().map(|to| (from.to_string(), to.to_string())));
    }
    let mut groups: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for (resource, _) in &all {
        let module = resource.module.to_string();
        let name = (resource.to_string(), resource.resource.to_string());
        match groups.last_mut().filter(|(group, _)| *group == module) {
            Some((_, names)) => names.push(name),
            None => groups.push((module, vec![name])),
        }
    }
    match format {
        Format::Dot => resources_dot(&groups, &edges),
        Format::Mermaid => {
            let groups: Vec<_> = groups
                .iter()
                .map(|(group, names)| {
                    let names = names.iter().map(|(n, l)| (n.as_str(), l.as_str()));
                    (group.clone(), names.collect())
                })
                .collect();
            let edges: Vec<_> = edges
                .iter()
                .map(|(a, b)| (a.as_str(), b.as_str()))
                .collect();
            mermaid(&groups, &edges)
        }
    }
}

fn resources_dot(groups: &[(String, Vec<(String, String)>)], edges: &[(String, String)]) -> String {
    let mut out = String::from(
        "digraph G {\n  rankdir = \"RL\";\n  node [shape = rect, fontname = \"sans-serif\"];\n",
    );
    if groups.is_empty() {
        out.push_str("  /* This configuration does not contain any resources.         */\n  /* For a more detailed graph, try: stead graph -type=plan */\n");
    }
    for (group, names) in groups {
        let margin = if group.is_empty() { "  " } else { "    " };
        if !group.is_empty() {
            let _ = writeln!(
                out,
                "  subgraph {} {{\n    label = {}\n    fontname = \"sans-serif\"",
                quote(&format!("cluster_{group}")),
                quote(group)
            );
        }
        for (name, label) in names {
            let _ = writeln!(out, "{margin}{} [label={}];", quote(name), quote(label));
        }
        if !group.is_empty() {
            out.push_str("  }\n");
        }
    }
    for (from, to) in edges {
        let _ = writeln!(out, "  {} -> {};", quote(from), quote(to));
    }
    out.push_str("}\n");
    out
}

/// Everything in a configuration.
pub(crate) fn whole(relations: &Relations, format: Format) -> String {
    let mut drawing = Drawing::default();
    let name = |thing: &Thing| match thing {
        Thing::Variable(module, _) if module.0.is_empty() => thing.to_string(),
        Thing::Provider(_) | Thing::Root => thing.to_string(),
        Thing::ModuleEnd(_) | Thing::ProviderEnd(_) => format!("{thing} (close)"),
        _ => format!("{thing} (expand)"),
    };
    let in_cycle = |from: usize, to: usize| {
        let both = |cycle: &&Vec<usize>| cycle.contains(&from) && cycle.contains(&to);
        relations.cycles.iter().any(|cycle| both(&cycle))
    };
    for (place, thing) in relations.things.iter().enumerate() {
        let shape = match thing {
            Thing::Resource(_) => Some("box"),
            Thing::Provider(_) => Some("diamond"),
            Thing::Variable(module, _) if module.0.is_empty() => Some("note"),
            _ => None,
        };
        let shown = shape.map(|shape| (thing.to_string(), shape));
        drawing.nodes.insert(name(thing), shown);
        for needed in relations.needs.get(place).into_iter().flatten() {
            if let Some(other) = relations.things.get(*needed) {
                let cycle = in_cycle(place, *needed);
                drawing.edges.insert((name(thing), name(other), cycle));
            }
        }
    }
    drawing.render(format)
}

/// What is destroyed before what, by what the state records.
pub(crate) fn destruction(state: &State, format: Format) -> String {
    let mut drawing = Drawing::default();
    let name = |address: &str| format!("{address} (destroy)");
    let mut instances: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (address, ..) in state.current_objects() {
        let config = address.config().to_string();
        instances
            .entry(config)
            .or_default()
            .push(address.to_string());
    }
    for (address, object, _) in state.current_objects() {
        let this = address.to_string();
        // Graphviz files name their nodes and label them apart; there the labels are Terraform's.
        let label = match format {
            Format::Dot => address.config().to_string(),
            Format::Mermaid => this.clone(),
        };
        let shown = (label, "box");
        drawing.nodes.insert(name(&this), Some(shown));
        let needed = object.dependencies.iter();
        for other in needed.flat_map(|d| instances.get(d).into_iter().flatten()) {
            drawing.edges.insert((name(other), name(&this), false));
        }
    }
    drawing.render(format)
}

/// The operations of a plan's apply, each after those that it needs.
pub(crate) fn operations(plan: &Plan, format: Format) -> String {
    let graph = &plan.graph;
    let name = |op: Op| -> Option<String> {
        if let Some(place) = op.ephemeral() {
            let address = &plan.ephemerals.get(place)?.address;
            return Some(match op {
                Op::Close { .. } => format!("{address} (close)"),
                _ => address.to_string(),
            });
        }
        let address = &plan.changes.get(op.change()?)?.address;
        Some(match op {
            Op::Delete { .. } | Op::DeleteDeposed { .. } => format!("{address} (destroy)"),
            Op::Depose { .. } => format!("{address} (depose)"),
            Op::Forget { .. } => format!("{address} (forget)"),
            _ => address.to_string(),
        })
    };
    let mut drawing = Drawing::default();
    for id in graph.ids() {
        let Some(this) = name(graph.op(id)) else {
            continue;
        };
        let shown = (this.clone(), "box");
        drawing.nodes.insert(this.clone(), Some(shown));
        // What stands behind joins.
        let mut queue: Vec<OpId> = graph.predecessors(id).collect();
        let mut seen: BTreeSet<OpId> = queue.iter().copied().collect();
        while let Some(before) = queue.pop() {
            match name(graph.op(before)) {
                Some(other) if other == this => {}
                Some(other) => drop(drawing.edges.insert((this.clone(), other, false))),
                None => queue.extend(graph.predecessors(before).filter(|p| seen.insert(*p))),
            }
        }
    }
    drawing.render(format)
}
