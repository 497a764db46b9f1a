//! The schemas are the union of azurerm 4.81's and 5.2's.
//!
//! `published/azurerm-*.txt` were written by `tools/schema_table.py`. The rule of the union, line by line:
//! - what only 5.2 has is as it is there;
//! - what only 4.81 has is as it is there, and deprecated (of a block only the block itself, not what is in it);
//! - what both have is required if both require it, otherwise optional if either takes it, and computed if either computes
//!   it; all else is the same in both;
//! - the version is 5.2's, which is the later one.

use std::collections::{BTreeMap, BTreeSet};

use stead_sdk::Dialer;
use stead_sdk::testing::{identity_table, provider_table};

/// Lines by heading and path; the heading's own line is under the empty path.
type Table = BTreeMap<(String, String), Vec<String>>;

fn table(text: &str) -> Table {
    let mut found = Table::new();
    let mut heading = String::new();
    for line in text.lines() {
        match line.strip_prefix("  ") {
            None => {
                let (name, version) = line.split_once(" version=").unwrap();
                heading = name.to_owned();
                found.insert((heading.clone(), String::new()), vec![version.to_owned()]);
            }
            Some(line) => {
                let (path, rest) = line.split_once(": ").unwrap();
                let words = split_type(rest);
                found.insert((heading.clone(), path.to_owned()), words);
            }
        }
    }
    found
}

/// The type, which may hold spaces, then the flags.
fn split_type(text: &str) -> Vec<String> {
    let flags = [
        "required",
        "optional",
        "computed",
        "sensitive",
        "write_only",
        "deprecated",
    ];
    let mut words: Vec<&str> = text.split(' ').collect();
    let mut tail = Vec::new();
    while words.last().is_some_and(|w| flags.contains(w)) {
        tail.insert(0, words.pop().unwrap().to_owned());
    }
    std::iter::once(words.join(" ")).chain(tail).collect()
}

fn union(old: &Table, new: &Table) -> Table {
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
    let only_old =
        |(heading, path): &(String, String)| !new.contains_key(&(heading.clone(), path.clone()));
    keys.into_iter()
        .map(|key| {
            let merged = match (old.get(&key), new.get(&key)) {
                (None, Some(new)) => new.clone(),
                (Some(old), None) => {
                    let parent = key
                        .1
                        .rsplit_once('.')
                        .map(|(p, _)| (key.0.clone(), p.to_owned()));
                    let topmost = parent.is_none_or(|p| !only_old(&p));
                    let mut words = old.clone();
                    if topmost {
                        words.push("deprecated".into());
                    }
                    words
                }
                (Some(old), Some(new)) => merge(&key, old, new),
                (None, None) => unreachable!(),
            };
            (key, merged)
        })
        .collect()
}

fn merge(key: &(String, String), old: &[String], new: &[String]) -> Vec<String> {
    if key.1.is_empty() {
        return new.to_vec();
    }
    assert_eq!(old[0], new[0], "the type of {key:?}");
    let has = |side: &[String], flag: &str| side[1..].iter().any(|w| w == flag);
    let required = has(old, "required") && has(new, "required");
    let taken = ["required", "optional"]
        .iter()
        .any(|f| has(old, f) || has(new, f));
    let mut words = vec![new[0].clone()];
    for (flag, on) in [
        ("required", required),
        ("optional", taken && !required),
        ("computed", has(old, "computed") || has(new, "computed")),
        ("sensitive", has(new, "sensitive")),
        ("write_only", has(new, "write_only")),
        ("deprecated", has(new, "deprecated")),
    ] {
        if on {
            words.push(flag.to_owned());
        }
    }
    words
}

#[test]
fn schemas_are_the_union_of_both_major_versions() {
    let old = table(include_str!("published/azurerm-4.81.txt"));
    let new = table(include_str!("published/azurerm-5.2.txt"));
    let factories = stead_azure::factories(&Dialer::direct());
    let (source, factory) = &factories[0];
    assert_eq!(*source, "registry.terraform.io/hashicorp/azurerm");
    let ours = table(&provider_table(factory.schema()));
    let wanted = union(&old, &new);
    assert!(wanted.len() > 400);
    for (key, words) in &wanted {
        assert_eq!(ours.get(key), Some(words), "{key:?}");
    }
    for key in ours.keys() {
        assert!(wanted.contains_key(key), "{key:?} is in neither");
    }
}

/// As azurerm makes them of the ids' types (`pluginsdk.GenerateIdentitySchema` with `commonids.ResourceGroupId`, `KeyVaultId` and
/// `StorageAccountId`), the same in 4.81 and 5.2, which give no identity to the other types here.
#[test]
fn identities_equal_the_published_ones() {
    let in_group = |name: &str| {
        format!(
            "identity {name} version=0\n  name: string required\n  resource_group_name: string required\n  subscription_id: string required\n"
        )
    };
    let published = [
        in_group("azurerm_key_vault"),
        "identity azurerm_resource_group version=0\n  name: string required\n  subscription_id: string required\n".to_owned(),
        in_group("azurerm_storage_account"),
    ];
    let factories = stead_azure::factories(&Dialer::direct());
    assert_eq!(identity_table(factories[0].1.schema()), published.concat());
}

#[test]
fn the_union_makes_what_is_gone_deprecated_and_what_differs_lenient() {
    let old = table(
        "resource r version=1\n  a: string required\n  b: block list\n  b.c: bool optional\n  d: string optional computed",
    );
    let new = table(
        "resource r version=2\n  a: string required\n  d: string required\n  e: number computed",
    );
    let both = union(&old, &new);
    let line = |path: &str| both[&("resource r".to_owned(), path.to_owned())].join(" ");
    assert_eq!(line(""), "2");
    assert_eq!(line("a"), "string required");
    assert_eq!(line("b"), "block list deprecated");
    assert_eq!(line("b.c"), "bool optional");
    assert_eq!(line("d"), "string optional computed");
    assert_eq!(line("e"), "number computed");
}
