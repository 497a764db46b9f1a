//! What `microk8s status --format yaml` and `snap list` say.

use serde::Deserialize;

/// The answer of `microk8s status --format yaml`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Status {
    #[serde(default)]
    pub(crate) microk8s: Running,
    #[serde(default)]
    pub(crate) addons: Vec<Addon>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Running {
    #[serde(default)]
    pub(crate) running: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Addon {
    pub(crate) name: String,
    pub(crate) status: String,
}

impl Status {
    /// # Errors
    /// When the text is not such an answer.
    pub(crate) fn parse(text: &str) -> Result<Status, String> {
        serde_saphyr::from_str(text).map_err(|e| e.to_string())
    }

    pub(crate) fn is_enabled(&self, addon: &str) -> bool {
        self.addons
            .iter()
            .any(|a| a.name == base(addon) && a.status == "enabled")
    }
}

/// An addon's name without its arguments: `metallb` of `metallb:10.0.0.1-10.0.0.9`.
pub(crate) fn base(addon: &str) -> &str {
    addon.split(':').next().unwrap_or(addon)
}

/// An installed snap, as a line of `snap list` tells it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snap {
    pub(crate) version: String,
    pub(crate) revision: String,
    /// `1.34/stable`, as `Tracking` shows it.
    pub(crate) channel: String,
}

impl Snap {
    /// Finds a snap in the table: name, version, revision, tracking, publisher, notes.
    pub(crate) fn find(list: &str, name: &str) -> Option<Snap> {
        list.lines().find_map(|line| {
            let mut columns = line.split_whitespace();
            (columns.next() == Some(name)).then_some(())?;
            Some(Snap {
                version: columns.next()?.to_owned(),
                revision: columns.next()?.to_owned(),
                channel: columns.next()?.to_owned(),
            })
        })
    }
}

/// The minor version of a channel: 34 of `1.34/stable`.
pub(crate) fn minor(channel: &str) -> Option<u32> {
    let track = channel.split('/').next()?;
    track.strip_prefix("1.")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_read_with_pythons_booleans() {
        let status = Status::parse(
            "microk8s:\n  running: True\nhigh-availability:\n  enabled: False\n  nodes:\n  - address: 127.0.0.1:19001\n    role: voter\naddons:\n- name: dns\n  repository: core\n  description: CoreDNS\n  version: 1.0.0\n  status: enabled\n- name: hostpath-storage\n  repository: core\n  description: x\n  version: 1.0.0\n  status: disabled\n",
        )
        .expect("reads");
        assert!(status.microk8s.running);
        assert!(status.is_enabled("dns") && status.is_enabled("dns:10.0.0.1"));
        assert!(!status.is_enabled("hostpath-storage") && !status.is_enabled("nothing"));
    }

    #[test]
    fn snaps_and_channels_are_read() {
        let list = "Name      Version  Rev    Tracking     Publisher   Notes\nmicrok8s  v1.34.1  8511   1.34/stable  canonical✓  classic,held\n";
        let snap = Snap::find(list, "microk8s").expect("is there");
        assert_eq!(
            (
                snap.version.as_str(),
                snap.revision.as_str(),
                snap.channel.as_str()
            ),
            ("v1.34.1", "8511", "1.34/stable")
        );
        assert_eq!(Snap::find(list, "lxd"), None);
        assert_eq!(minor("1.34/stable"), Some(34));
        assert_eq!(minor("1.34-strict/edge"), Some(34));
        assert_eq!(minor("latest/stable"), None);
    }
}
