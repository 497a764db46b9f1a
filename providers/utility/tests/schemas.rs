//! Every schema equals the published provider's. The tables were written by `../sdk/tools/schema_table.py` from
//! `terraform providers schema -json` with random 3.9, tls 4.2, local 2.9, null 3.3, http 3.6 and time 0.14.

mod nowhere;

use stead_sdk::testing::{provider_table, section_of};
use stead_sdk::{Dialer, ProviderFactory};

fn check(factory: &dyn ProviderFactory, published: &str) {
    let ours = provider_table(factory.schema());
    let headings: Vec<&str> = ours.lines().filter(|l| !l.starts_with(' ')).collect();
    assert!(headings.len() > 1, "{ours}");
    for heading in headings {
        let name = heading.split(" version=").next().unwrap();
        assert_eq!(section_of(&ours, name), section_of(published, name));
    }
}

#[test]
fn schemas_equal_the_published_ones() {
    let dialer = Dialer::direct();
    check(
        &stead_utility::random::factory(&dialer),
        include_str!("published/random.txt"),
    );
    check(
        &stead_utility::tls::factory(&dialer),
        include_str!("published/tls.txt"),
    );
    check(
        &stead_utility::local::factory(&dialer),
        include_str!("published/local.txt"),
    );
    check(
        &stead_utility::null::factory(&dialer),
        include_str!("published/null.txt"),
    );
    check(
        &stead_utility::http::factory(&dialer),
        include_str!("published/http.txt"),
    );
    check(
        &stead_utility::time::factory(&dialer),
        include_str!("published/time.txt"),
    );
    check(
        &stead_utility::terraform::factory(&dialer, nowhere::nowhere()),
        include_str!("published/terraform.txt"),
    );
}

#[test]
fn every_source_address_is_served_once() {
    let factories = stead_utility::factories(&Dialer::direct(), nowhere::nowhere());
    let mut sources: Vec<&str> = factories.iter().map(|(source, _)| *source).collect();
    sources.sort_unstable();
    sources.dedup();
    assert_eq!(sources.len(), factories.len());
    assert!(sources.contains(&"terraform.io/builtin/terraform"));
}
