//! Talos versions: what a node of one line does differently from another.

use std::cmp::Ordering;

/// A release line, by behaviour: older ones behave as the oldest known, newer ones as the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Line {
    V1_11,
    V1_12,
    V1_13,
    V1_14,
}

/// A version such as `v1.13.9` or `v1.14.0-rc.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    major: u32,
    minor: u32,
    patch: u32,
    /// Empty for a release.
    prerelease: String,
}

impl Version {
    pub(crate) fn parse(text: &str) -> Option<Version> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, prerelease) = match text.split_once('-') {
            Some((numbers, prerelease)) if !prerelease.is_empty() => (numbers, prerelease),
            Some(_) => return None,
            None => (text, ""),
        };
        let mut parts = numbers.split('.').map(|p| p.parse::<u32>().ok());
        let (major, minor, patch) = (parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then(|| Version {
            major,
            minor,
            patch,
            prerelease: prerelease.to_owned(),
        })
    }

    pub(crate) fn line(&self) -> Line {
        match (self.major, self.minor) {
            (..=0, _) | (1, ..=11) => Line::V1_11,
            (1, 12) => Line::V1_12,
            (1, 13) => Line::V1_13,
            _ => Line::V1_14,
        }
    }

    pub(crate) fn is_minor(&self, major: u32, minor: u32) -> bool {
        self.major == major && self.minor == minor
    }

    /// Whether an upgrade from `self` to `to` skips no minor version (downgrades by one minor are allowed too).
    pub(crate) fn upgrades_to(&self, to: &Version) -> bool {
        self.major == to.major && to.minor <= self.minor.saturating_add(2)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Version) -> Option<Ordering> {
        let numbers =
            (self.major, self.minor, self.patch).cmp(&(other.major, other.minor, other.patch));
        Some(numbers.then_with(|| {
            match (self.prerelease.is_empty(), other.prerelease.is_empty()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) => self.prerelease.cmp(&other.prerelease),
            }
        }))
    }
}

impl Line {
    /// The Kubernetes version that a node runs when its configuration names no image.
    pub(crate) fn default_kubernetes(self) -> &'static str {
        match self {
            Line::V1_11 => "v1.34.1",
            Line::V1_12 => "v1.35.4",
            Line::V1_13 => "v1.36.3",
            Line::V1_14 => "v1.37.0",
        }
    }

    /// The releases of CoreDNS and flannel that a node brings.
    pub(crate) fn add_ons(self) -> (&'static str, &'static str) {
        match self {
            Line::V1_11 => ("v1.12.3", "v0.27.2"),
            Line::V1_12 => ("v1.13.2", "v0.28.8"),
            Line::V1_13 => ("v1.14.6", "v0.28.8"),
            Line::V1_14 => ("v1.14.7", "v0.28.10"),
        }
    }

    /// Up to 1.12 a small server of its own serves maintenance mode; since then the ordinary one does, with role `os:reader`.
    pub(crate) fn small_maintenance_server(self) -> bool {
        self <= Line::V1_12
    }

    /// Since 1.14 applying a configuration never reboots.
    pub(crate) fn applies_without_reboot(self) -> bool {
        self >= Line::V1_14
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_lines() {
        let v = |t: &str| Version::parse(t).unwrap();
        assert_eq!(v("v1.11.6").line(), Line::V1_11);
        assert_eq!(v("1.14.0-rc.1").line(), Line::V1_14);
        assert_eq!(v("v2.0.0").line(), Line::V1_14);
        assert!(v("v1.14.0-rc.1") < v("v1.14.0"));
        assert!(v("v1.13.9") < v("v1.14.0-alpha.1"));
        assert!(
            v("v1.11.2").upgrades_to(&v("v1.13.0")) && !v("v1.11.2").upgrades_to(&v("v1.14.0"))
        );
        for bad in ["", "v1", "v1.2.3.4", "latest", "v1.2.x", "v1.2.3-"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }
}
