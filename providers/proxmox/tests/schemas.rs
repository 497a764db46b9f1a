//! The schemas are the published ones: names, types, flags, nesting, versions.
//!
//! `published.txt` is written by `providers/sdk/tools/schema_table.py bpg/proxmox NAMES…`, without the data sources that stead does not have.

use stead_sdk::testing::provider_table;
use stead_sdk::{Dialer, ProviderFactory};

#[test]
fn schemas_are_the_published_ones() {
    let own = provider_table(stead_proxmox::factory(&Dialer::direct()).schema());
    let published = include_str!("published.txt");
    let differences: Vec<_> = own
        .lines()
        .filter(|l| !published.lines().any(|p| p == *l))
        .map(|l| format!("only ours: {l}"))
        .chain(
            published
                .lines()
                .filter(|p| !own.lines().any(|l| l == *p))
                .map(|p| format!("only published: {p}")),
        )
        .collect();
    assert_eq!(differences, Vec::<String>::new());
    assert_eq!(own.trim_end(), published.trim_end());
}
