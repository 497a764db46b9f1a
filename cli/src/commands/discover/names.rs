//! Addresses for objects that were found: valid, unique, and the same in every run.

use std::collections::{HashMap, HashSet};

/// The name of an object: what people call it, in the letters that addresses have.
fn plain(type_name: &str, called: &str) -> String {
    let mut name = String::new();
    for c in called.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            c
        } else {
            '_'
        };
        if c != '_' || !name.ends_with('_') {
            name.push(c);
        }
    }
    let name = name.trim_matches(['_', '-']);
    let noun = type_name.rsplit('_').next().unwrap_or(type_name);
    match name.chars().next() {
        None => noun.to_owned(),
        Some(first) if first.is_ascii_alphabetic() => name.to_owned(),
        Some(_) => format!("{noun}_{name}"),
    }
}

/// Names for objects of one type, of which each is given as what people call it and the identifier that is its own. `taken` are those
/// that the configuration has.
///
/// Objects that share a name all bear their identifiers as well, so that none changes its address when another comes or goes.
pub(super) fn of_type(
    type_name: &str,
    objects: &[(&str, &str)],
    taken: &HashSet<String>,
) -> Vec<String> {
    let wanted: Vec<String> = objects
        .iter()
        .map(|(called, id)| {
            let called = if called.is_empty() { last(id) } else { called };
            plain(type_name, called)
        })
        .collect();
    let mut bearers: HashMap<&str, usize> = HashMap::new();
    for name in &wanted {
        *bearers.entry(name).or_default() += 1;
    }
    let mut given = taken.clone();
    let mut names = Vec::with_capacity(objects.len());
    for (name, (_, id)) in wanted.iter().zip(objects) {
        let shared = bearers.get(name.as_str()).is_some_and(|n| *n > 1) || taken.contains(name);
        let own = plain(type_name, &format!("{name}_{}", last(id)));
        let name = if shared && own != format!("{name}_{name}") {
            own
        } else {
            name.clone()
        };
        // Only identifiers that differ in letters which no name has come this far.
        let numbered = (2..).map(|n| format!("{name}_{n}"));
        let mut candidates = std::iter::once(name.clone()).chain(numbered);
        let free = candidates.find(|name| !given.contains(name));
        let name = free.unwrap_or(name);
        given.insert(name.clone());
        names.push(name);
    }
    names
}

/// The part of an identifier that is the object's own: `100` of `pve/100`.
fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(type_name: &str, objects: &[(&str, &str)]) -> Vec<String> {
        of_type(type_name, objects, &HashSet::new())
    }

    #[test]
    fn names_are_made_of_what_people_call_things() {
        for (called, name) in [
            ("web", "web"),
            ("web-1.lan", "web-1_lan"),
            ("ann@pve", "ann_pve"),
            ("/vms/100?ann@pve?PVEVMUser", "vms_100_ann_pve_PVEVMUser"),
            ("3cx", "vm_3cx"),
            ("Größe", "Gr_e"),
            ("---", "vm"),
        ] {
            assert_eq!(named("x_vm", &[(called, "pve/7")]), [name], "{called}");
        }
        assert_eq!(named("x_vm", &[("", "pve/100")]), ["vm_100"]);
    }

    #[test]
    fn who_shares_a_name_bears_its_identifier() {
        let twins = [("web", "a/100"), ("db", "a/101"), ("web", "b/102")];
        assert_eq!(named("x_vm", &twins), ["web_100", "db", "web_102"]);
        assert_eq!(
            named("x_pool", &[("a.b", "a.b"), ("a b", "a b")]),
            ["a_b", "a_b_2"]
        );
        let taken = HashSet::from(["web".to_owned()]);
        assert_eq!(of_type("x_vm", &[("web", "a/100")], &taken), ["web_100"]);
        let taken = HashSet::from(["lab".to_owned()]);
        assert_eq!(of_type("x_pool", &[("lab", "lab")], &taken), ["lab_2"]);
    }
}
