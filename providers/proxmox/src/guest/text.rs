//! Small texts that machines and containers write alike: tags, descriptions, the order of starting, addresses.

use stead_sdk::Block;

use crate::table::{parts, words};

/// -1 leaves a setting to the cluster's default. Delays are in seconds.
#[derive(Clone, Debug, Default, PartialEq, Block)]
#[block(legacy)]
pub(crate) struct Startup {
    /// Seconds between this guest's shutdown and that of the next.
    #[attr(optional, default = -1)]
    pub(crate) down_delay: i64,
    /// Guests start in this order and stop in the reverse one.
    #[attr(optional, default = -1)]
    pub(crate) order: i64,
    /// Seconds between this guest's start and that of the next.
    #[attr(optional, default = -1)]
    pub(crate) up_delay: i64,
}

parts! {
    Startup alone "order" { order "order" = -1, up_delay "up" = -1, down_delay "down" = -1 }
}

/// Sorted and without doubles, as the server keeps them.
fn sorted(tags: &[String]) -> Vec<&str> {
    let mut tags: Vec<_> = tags
        .iter()
        .map(|t| t.trim())
        .filter(|t| !t.is_empty())
        .collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

pub(crate) fn joined_tags(tags: &[String]) -> String {
    sorted(tags).join(";")
}

/// The tags that were found, in `prior`'s order when they are the same: the order is the server's affair.
pub(crate) fn tags(prior: Vec<String>, found: Option<&String>) -> Vec<String> {
    let found = words(found.map_or("", String::as_str), &[';', ',', ' ']);
    match sorted(&prior) == sorted(&found) {
        true => prior,
        false => found,
    }
}

/// The description that was found, as `prior` writes it: the server ends the text with a newline.
pub(crate) fn described(prior: String, found: Option<&String>) -> String {
    let found = found.map_or("", String::as_str).trim_end();
    match prior.trim_end() == found {
        true => prior,
        false => found.to_owned(),
    }
}

/// Whether an address can be reached from elsewhere.
fn global_address(address: &str) -> Option<std::net::IpAddr> {
    let bare = address.split(['%', '/']).next()?;
    let parsed: std::net::IpAddr = bare.parse().ok()?;
    let link_local = match parsed {
        std::net::IpAddr::V4(v4) => v4.is_link_local(),
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let other = parsed.is_loopback() || parsed.is_unspecified() || parsed.is_multicast();
    (!link_local && !other).then_some(parsed)
}

/// Whether these addresses end a wait for the wanted families; for any, when none is named.
pub(crate) fn wait_enough<'a>(
    addresses: impl Iterator<Item = &'a str>,
    v4_wanted: bool,
    v6_wanted: bool,
) -> bool {
    let (mut v4, mut v6) = (false, false);
    for address in addresses.filter_map(global_address) {
        match address {
            std::net::IpAddr::V4(_) => v4 = true,
            std::net::IpAddr::V6(_) => v6 = true,
        }
    }
    match (v4_wanted, v6_wanted) {
        (false, false) => v4 || v6,
        _ => (v4 || !v4_wanted) && (v6 || !v6_wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Parts as _;

    #[test]
    fn the_order_of_tags_and_a_last_newline_are_no_change() {
        let prior = vec!["b".to_owned(), "a".to_owned()];
        assert_eq!(joined_tags(&prior), "a;b");
        assert_eq!(tags(prior.clone(), Some(&"a;b".to_owned())), prior);
        assert_eq!(tags(prior, Some(&"a;c".to_owned())), ["a", "c"]);
        assert_eq!(described("x".into(), Some(&"x\n".to_owned())), "x");
        assert_eq!(described("x".into(), None), "");
    }

    #[test]
    fn the_start_order_may_stand_alone() {
        let startup = Startup {
            order: 3,
            up_delay: 60,
            down_delay: -1,
        };
        assert_eq!(startup.encode(), "order=3,up=60");
        assert_eq!(Startup::default().decode("3,up=60"), startup);
    }

    #[test]
    fn only_addresses_that_others_reach_end_a_wait() {
        let ends = |address: &str, v4, v6| wait_enough(std::iter::once(address), v4, v6);
        assert!(ends("10.0.0.5", false, false));
        assert!(!ends("169.254.1.1", false, false));
        assert!(!ends("127.0.0.1", false, false));
        assert!(!ends("fe80::1%eth0", false, false));
        assert!(!ends("10.0.0.5", false, true));
        assert!(ends("2001:db8::1/64", false, true));
    }
}
