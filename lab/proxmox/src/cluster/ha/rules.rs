//! Rules: on which nodes guests run, together or apart.

use std::collections::{BTreeMap, BTreeSet};

use super::resources;
use crate::error::ApiError;
use crate::routes::Routes;
use crate::schema::format;
use crate::sections::{Act, Change, Family, Section, Type};
use crate::state::State;

const FILE: &str = "ha/rules.cfg";

static RULES: Family = Family {
    file: FILE,
    path: "/cluster/ha/rules",
    key: "rule",
    types: &[
        Type {
            required: &["resources", "nodes"],
            optional: &["strict", "disable", "comment"],
            ..Type::new("node-affinity")
        },
        Type {
            required: &["resources", "affinity"],
            optional: &["disable", "comment"],
            ..Type::new("resource-affinity")
        },
    ],
    control: &["state", "resource"],
    digest_in_list: true,
    id_in_read: true,
    wanted: |call, _, section| {
        let (kind, resource) = (call.params.get("type"), call.params.get("resource"));
        kind.is_none_or(|kind| kind == section.kind)
            && resource.is_none_or(|sid| items(section, "resources").contains(sid))
    },
    exists: |id| ApiError::failure(format!("HA rule '{id}' already defined")),
    missing: |act, id| match act {
        Act::Delete => None,
        Act::Update => Some(ApiError::failure(format!("HA rule '{id}' does not exist"))),
        _ => Some(ApiError::failure(format!("no such ha rule '{id}'"))),
    },
    failed: |act| match act {
        Act::Create => "create ha rule failed",
        Act::Update => "update HA rules failed",
        _ => "",
    },
    check,
    show: |shown, row| {
        row.insert("order".into(), shown.section.order.into());
        let sections = shown.state.sections(FILE);
        let rules = sections.map(|(id, section)| (id.as_str(), section));
        let problems = problems(shown.state, &rules.collect(), shown.id);
        if !problems.is_empty() {
            let errors = serde_json::json!({ "resources": problems });
            row.insert("errors".into(), errors);
        }
    },
    ..Family::PLAIN
};

pub(super) fn routes(at: &mut Routes<'_>) {
    RULES.routes(at);
}

fn items<'a>(section: &'a Section, option: &str) -> BTreeSet<&'a str> {
    format::list(section.get(option).unwrap_or_default()).collect()
}

/// Lists are kept in order and without doubles; a rule that contradicts another is refused.
fn check(change: &Change<'_>, section: &mut Section) -> Result<(), ApiError> {
    if section.get("disable") == Some("0") {
        section.remove("disable");
    }
    for option in ["resources", "nodes"] {
        let sorted: Vec<&str> = items(section, option).into_iter().collect();
        let sorted = sorted.join(",");
        if section.get(option).is_some() {
            section.set(option, sorted);
        }
    }
    let none = |option: &str, what: &str, missing: Vec<&str>| match (section.get(option), missing) {
        (Some(""), _) => Err(ApiError::failure(format!("no {option} were specified"))),
        (_, missing) if !missing.is_empty() => Err(ApiError::failure(format!(
            "cannot use {what} {}.",
            missing.join(", ")
        ))),
        _ => Ok(()),
    };
    let configured = |sid: &&str| change.state.section(resources::FILE, sid).is_none();
    let unmanaged = items(section, "resources").into_iter().filter(configured);
    none("resources", "unmanaged resource(s)", unmanaged.collect())?;
    let names = items(section, "nodes").into_iter();
    let names = names.map(|node| node.split(':').next().unwrap_or_default());
    let unknown = names.filter(|node| !change.state.nodes.contains_key(*node));
    none("nodes", "non-existent node(s)", unknown.collect())?;

    let others = change.state.sections(FILE);
    let mut rules: BTreeMap<&str, &Section> =
        others.map(|(id, section)| (id.as_str(), section)).collect();
    rules.insert(change.id, section);
    let problems = problems(change.state, &rules, change.id);
    if problems.is_empty() {
        return Ok(());
    }
    let mut error = ApiError::parameter("resources", problems.join(", "));
    error.message = format!("Rule '{}' is invalid.", change.id);
    Err(error)
}

/// Why a rule can't be followed beside the others.
fn problems(state: &State, rules: &BTreeMap<&str, &Section>, id: &str) -> Vec<String> {
    let Some(rule) = rules.get(id).filter(|rule| !rule.is_on("disable")) else {
        return Vec::new();
    };
    let own = items(rule, "resources");
    let others = || {
        let others = rules.iter().filter(|(other, _)| **other != id);
        others
            .map(|(_, other)| *other)
            .filter(|other| !other.is_on("disable"))
    };
    let of = |kind: &'static str| others().filter(move |other| affinity(other) == kind);
    let shared = |other: &Section| {
        let theirs = items(other, "resources");
        own.intersection(&theirs).count()
    };
    let mut found = Vec::new();
    match affinity(rule) {
        "node" => {
            let used = own
                .iter()
                .filter(|sid| of("node").any(|other| items(other, "resources").contains(*sid)));
            found.extend(used.map(|sid| {
                format!("resource '{sid}' is already used in another node affinity rule")
            }));
            let affine = of("positive").chain(of("negative"));
            if has_priorities(rule) && affine.map(shared).any(|n| n > 0) {
                found.push(
                    "resources are in a resource affinity rule and cannot be in a node affinity rule with multiple priorities"
                        .into(),
                );
            }
        }
        own_affinity => {
            if own.len() < 2 {
                found.push("rule is ineffective as there are less than two resources".into());
            }
            if own_affinity == "negative" && own.len() > state.nodes.len() {
                found.push("rule defines more resources than available nodes".into());
            }
            let opposite = if own_affinity == "negative" {
                "positive"
            } else {
                "negative"
            };
            if of(opposite).map(shared).any(|n| n > 1) {
                found.push(format!(
                    "rule shares two or more resources with a {opposite} resource affinity rule"
                ));
            }
            let located: Vec<&Section> = of("node").filter(|other| shared(other) > 0).collect();
            if located.iter().any(|other| has_priorities(other)) {
                found.push("resources are in node affinity rules with multiple priorities".into());
            }
            if own_affinity == "positive" && located.len() > 1 {
                found.push("resources are in multiple node affinity rules".into());
            }
            let allowed: BTreeSet<&str> = located
                .iter()
                .flat_map(|other| items(other, "nodes"))
                .map(|node| node.split(':').next().unwrap_or_default())
                .collect();
            let bound = own.iter().filter(|sid| {
                located
                    .iter()
                    .any(|other| items(other, "resources").contains(*sid))
            });
            if own_affinity == "negative" && allowed.len() < bound.count() {
                found.push(
                    "two or more resources are restricted to less nodes than available to the resources"
                        .into(),
                );
            }
        }
    }
    found
}

/// `node`, `positive` or `negative`.
fn affinity(rule: &Section) -> &str {
    rule.get("affinity").unwrap_or("node")
}

fn has_priorities(rule: &Section) -> bool {
    let nodes = items(rule, "nodes").into_iter();
    let priorities: BTreeSet<&str> = nodes
        .map(|node| node.split_once(':').map_or("0", |(_, priority)| priority))
        .collect();
    priorities.len() > 1
}

/// The resources that must run together with one, and apart from it.
pub(super) fn affine(state: &State, sid: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut together, mut apart) = (BTreeSet::new(), BTreeSet::new());
    for (_, rule) in state.sections(FILE) {
        let members = items(rule, "resources");
        if rule.is_on("disable") || !members.contains(sid) {
            continue;
        }
        let others = members.into_iter().filter(|other| *other != sid);
        match affinity(rule) {
            "positive" => together.extend(others.map(str::to_owned)),
            "negative" => apart.extend(others.map(str::to_owned)),
            _ => {}
        }
    }
    (together, apart)
}

/// Takes a resource out of all rules; a rule without any goes, too.
pub(super) fn forget(state: &mut State, sid: &str) {
    let Some(rules) = state.configs.get_mut(FILE) else {
        return;
    };
    for rule in rules.values_mut() {
        let rest: Vec<&str> = items(rule, "resources")
            .into_iter()
            .filter(|s| *s != sid)
            .collect();
        let rest = rest.join(",");
        rule.set("resources", rest);
    }
    rules.retain(|_, rule| rule.get("resources") != Some(""));
}
