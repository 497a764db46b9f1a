//! Roles that are taken on, as the reference's configurations have them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stead_value::Sensitive;

use crate::Block;

/// A role to take on.
#[derive(Clone, Debug, Block)]
pub struct AssumeRole {
    /// The role.
    #[attr(required)]
    pub role_arn: String,
    /// How long it is taken on, such as `1h`: from 15 minutes to 12 hours.
    #[attr(optional)]
    pub duration: Option<String>,
    #[attr(optional)]
    pub external_id: Option<String>,
    /// A policy in JSON that takes rights away.
    #[attr(optional)]
    pub policy: Option<String>,
    #[attr(optional)]
    pub policy_arns: Option<BTreeSet<String>>,
    #[attr(optional)]
    pub session_name: Option<String>,
    #[attr(optional)]
    pub source_identity: Option<String>,
    #[attr(optional)]
    pub tags: Option<BTreeMap<String, String>>,
    #[attr(optional)]
    pub transitive_tag_keys: Option<BTreeSet<String>>,
}

/// A role to take on with a token of an identity provider.
#[derive(Clone, Debug, Block)]
pub struct AssumeRoleWithWebIdentity {
    /// The role.
    #[attr(required)]
    pub role_arn: String,
    #[attr(optional)]
    pub duration: Option<String>,
    #[attr(optional)]
    pub policy: Option<String>,
    #[attr(optional)]
    pub policy_arns: Option<BTreeSet<String>>,
    #[attr(optional)]
    pub session_name: Option<String>,
    #[attr(optional)]
    pub web_identity_token: Option<Sensitive<String>>,
    #[attr(optional)]
    pub web_identity_token_file: Option<String>,
}

/// A duration as Go writes it, between 15 minutes and 12 hours.
pub fn duration(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number * seconds;
        rest = after;
    }
    (900.0..=43_200.0)
        .contains(&total)
        .then(|| Duration::from_secs_f64(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        for (text, seconds) in [
            ("15m", 900),
            ("1h30m", 5400),
            ("12h", 43_200),
            ("1.5h", 5400),
            ("3600s", 3600),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "14m59s", "12h1s", "1", "1d", "h", "-1h", "1h 30m"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
