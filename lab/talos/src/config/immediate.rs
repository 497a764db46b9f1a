//! What differs between two configurations, and whether the difference takes effect without a reboot (up to 1.13).

use super::Config;
use crate::yaml::{self, Node, Value};

/// Keys of the main document whose change needs no reboot; of `machine` those below, of `machine.features` those below that.
const ROOT: &[&str] = &["debug", "cluster"];
const MACHINE: &[&str] = &[
    "ca",
    "acceptedCAs",
    "time",
    "certSANs",
    "install",
    "network",
    "sysfs",
    "sysctls",
    "logging",
    "controlPlane",
    "kubelet",
    "kernel",
    "registries",
    "pods",
    "seccompProfiles",
    "nodeAnnotations",
    "nodeLabels",
    "nodeTaints",
];
const FEATURES: &[&str] = &[
    "kubernetesTalosAPIAccess",
    "kubePrism",
    "hostDNS",
    "imageCache",
    "nodeAddressSortAlgorithm",
];

/// `Err` carries the node's explanation when a reboot is needed.
pub(crate) fn applies_immediately(current: &Config, new: &Config) -> Result<(), String> {
    let (Some(old_main), Some(new_main)) = (current.main(), new.main()) else {
        return Err("current config is not v1alpha1".to_owned());
    };
    let (old, new) = (fixed_part(old_main), fixed_part(new_main));
    if old.same(&new) {
        return Ok(());
    }
    let difference = diff(&yaml::emit(&old.out()), &yaml::emit(&new.out()));
    Err(format!(
        "this config change can't be applied in immediate mode\ndiff:\n{difference}"
    ))
}

/// The part of the main document that only a reboot changes.
fn fixed_part(main: &Node) -> Node {
    without(main, &|path, key| match path {
        [] => ROOT.contains(&key),
        ["machine"] => MACHINE.contains(&key),
        ["machine", "features"] => FEATURES.contains(&key),
        _ => false,
    })
}

fn without(node: &Node, drop: &dyn Fn(&[&str], &str) -> bool) -> Node {
    fn walk(node: &Node, path: &[&str], drop: &dyn Fn(&[&str], &str) -> bool) -> Node {
        let Value::Mapping(entries) = &node.value else {
            return node.clone();
        };
        let mut kept = Vec::new();
        for (key, value) in entries {
            let name = key.text().unwrap_or_default();
            if drop(path, name) || value.is_null() {
                continue;
            }
            let below: Vec<&str> = path.iter().copied().chain([name]).collect();
            let value = if path.len() < 2 {
                walk(value, &below, drop)
            } else {
                value.clone()
            };
            kept.push((key.clone(), value));
        }
        Node {
            line: node.line,
            value: Value::Mapping(kept),
        }
    }
    walk(node, &[], drop)
}

/// A unified diff without file dates; empty when nothing differs.
pub(crate) fn diff(old: &str, new: &str) -> String {
    if old == new {
        return String::new();
    }
    similar::TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header("a", "b")
        .to_string()
}
