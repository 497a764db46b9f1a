//! The types of resources, as resources themselves: how clients find a type by a short name.

use super::{Item, TYPES, item, list, text};
use crate::proto::resource::ResourceDefinitionSpec;
use crate::yaml::Out;

pub(super) fn definitions() -> Vec<Item> {
    TYPES
        .iter()
        .map(|(namespace, name, sensitive)| define(namespace, name, *sensitive))
        .collect()
}

fn define(namespace: &str, name: &str, sensitive: bool) -> Item {
    let (plural, suffix) = name.split_once('.').unwrap_or((name, ""));
    let singular = singular(plural);
    let mut aliases = vec![singular.to_ascii_lowercase()];
    let initials: String = plural.chars().filter(char::is_ascii_uppercase).collect();
    if initials.len() > 1 {
        aliases.push(initials.to_ascii_lowercase());
        if !initials.ends_with('S') {
            aliases.push(format!("{}s", initials.to_ascii_lowercase()));
        }
    }
    let plural = plural.to_ascii_lowercase();
    let mut all = vec![plural.clone()];
    let parts: Vec<&str> = suffix.split('.').collect();
    all.extend(
        (1..parts.len()).filter_map(|n| Some(format!("{plural}.{}", parts.get(..n)?.join(".")))),
    );
    all.extend(aliases.iter().cloned());
    let spec = ResourceDefinitionSpec {
        resource_type: name.to_owned(),
        display_type: singular.clone(),
        default_namespace: namespace.to_owned(),
        aliases: aliases.clone(),
        all_aliases: all.clone(),
        sensitivity: sensitive.into(),
    };
    let sensitivity = if sensitive { "sensitive" } else { "" };
    let yaml = vec![
        ("type", text(name)),
        ("displayType", text(singular)),
        ("aliases", list(aliases)),
        ("allAliases", list(all)),
        ("printColumns", Out::Sequence(Vec::new())),
        ("defaultNamespace", text(namespace)),
        ("sensitivity", text(sensitivity)),
    ];
    item(name.to_ascii_lowercase(), &spec, yaml)
}

fn singular(plural: &str) -> String {
    if let Some(stem) = plural.strip_suffix("ies") {
        return format!("{stem}y");
    }
    match plural
        .strip_suffix("uses")
        .or_else(|| plural.strip_suffix("esses"))
    {
        Some(_) => plural.strip_suffix("es").unwrap_or(plural).to_owned(),
        None => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_singular() {
        for (plural, expected) in [
            ("MachineConfigs", "MachineConfig"),
            ("MachineStatuses", "MachineStatus"),
            ("NodeAddresses", "NodeAddress"),
            ("Identities", "Identity"),
        ] {
            assert_eq!(singular(plural), expected);
        }
    }
}
