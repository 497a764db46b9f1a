//! The schemas are the published ones: names, types, flags, nesting, versions.
//!
//! `published.txt` is written by `providers/sdk/tools/schema_table.py bpg/proxmox`. Of its types, `pending.txt` lists those that stead
//! does not have yet: it only ever shrinks.

use std::collections::BTreeSet;

use stead_sdk::testing::{provider_table, section_of};
use stead_sdk::{Dialer, ProviderFactory};

const PUBLISHED: &str = include_str!("published.txt");
const PENDING: &str = include_str!("pending.txt");

fn headings(table: &str) -> BTreeSet<&str> {
    let headings = table.lines().filter(|line| !line.starts_with(' '));
    headings
        .filter_map(|line| line.split(" version=").next())
        .collect()
}

#[test]
fn schemas_are_the_published_ones() {
    let own = provider_table(stead_proxmox::factory(&Dialer::direct()).schema());
    let mut differences = Vec::new();
    for heading in headings(&own) {
        let (own, published) = (section_of(&own, heading), section_of(PUBLISHED, heading));
        let only = |which: &str, here: &str, there: &str| -> Vec<String> {
            let lines = here.lines().filter(|l| !there.lines().any(|t| t == *l));
            lines
                .map(|line| format!("{heading}: only {which}: {line}"))
                .collect()
        };
        differences.extend(only("ours", &own, &published));
        differences.extend(only("published", &published, &own));
    }
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn every_published_type_is_there_or_known_to_be_missing() {
    let own = provider_table(stead_proxmox::factory(&Dialer::direct()).schema());
    let missing: BTreeSet<_> = headings(PUBLISHED)
        .difference(&headings(&own))
        .copied()
        .collect();
    assert_eq!(missing, PENDING.lines().collect());
}
