//! What the objects are called and labelled.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use stead_sdk::kube::text;
use stead_state::BackendError;

use super::Place;

/// The names of one workspace's objects.
#[derive(Debug)]
pub(super) struct Names {
    pub(super) workspace: String,
    /// The Secret with the state, or with its beginning.
    pub(super) secret: String,
    pub(super) lease: String,
    /// Labels of Secret and Lease.
    pub(super) labels: Map<String, Json>,
    /// Chooses the Secrets of the state.
    pub(super) selector: String,
    /// Chooses the Secrets of the files beside it.
    pub(super) beside: String,
}

impl Names {
    /// # Errors
    /// When Kubernetes would not take the name.
    pub(super) fn new(workspace: &str, place: &Place) -> Result<Names, BackendError> {
        let suffix = &place.suffix;
        let secret = format!("tfstate-{workspace}-{suffix}");
        if !is_subdomain(&secret) {
            return Err(BackendError::failed(
                format!("name the Secret of the workspace {workspace:?}"),
                format!("the secret name {secret:?} is invalid"),
            )
            .hint(
                "Workspace and `secret_suffix` must keep to Kubernetes' names: lower case letters, digits, `-` and `.`, at most 253 \
                 characters.",
            ));
        }
        let own = [
            ("tfstate", "true"),
            ("tfstateSecretSuffix", suffix),
            ("tfstateWorkspace", workspace),
            ("app.kubernetes.io/managed-by", "terraform"),
        ];
        let mut labels: Map<String, Json> = own
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        for (name, value) in &place.labels {
            labels.insert(name.clone(), value.as_str().into());
        }
        // Without the user's own labels: a state is still found after these were changed.
        let selector = own[..3]
            .iter()
            .map(|(name, _)| format!("{name}={}", labels[*name].as_str().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join(",");
        Ok(Names {
            beside: format!("{BESIDE}=true,{SUFFIX}={suffix},{WORKSPACE}={workspace}"),
            lease: format!("lock-{secret}"),
            workspace: workspace.to_owned(),
            secret,
            labels,
            selector,
        })
    }

    /// The Secret with the part of that number of the state.
    pub(super) fn part(&self, number: usize) -> String {
        part(&self.secret, "-part-", number)
    }

    /// The Secret with a file beside the state. A hash, since the parts of a plain name could run into each other.
    pub(super) fn file(&self, suffix: &str, name: &str) -> String {
        let hash = Sha256::digest(format!("{}\0{suffix}\0{name}", self.workspace));
        let hash: String = hash.iter().take(16).map(|b| format!("{b:02x}")).collect();
        format!("stead-{hash}")
    }
}

/// Labels of the Secrets of files beside the state.
pub(super) const BESIDE: &str = "steadBeside";
pub(super) const SUFFIX: &str = "steadSecretSuffix";
pub(super) const WORKSPACE: &str = "steadWorkspace";

pub(super) fn part(base: &str, between: &str, number: usize) -> String {
    match number {
        0 => base.to_owned(),
        n => format!("{base}{between}{n}"),
    }
}

/// The workspaces that have Secrets, `default` first.
pub(super) fn workspaces(secrets: &[Json], suffix: &str) -> Vec<String> {
    let label = |secret, name| text(secret, &["metadata", "labels", name]);
    let named: BTreeSet<&str> = secrets
        .iter()
        .filter(|s| label(s, "tfstateSecretSuffix") == suffix)
        .map(|s| label(s, "tfstateWorkspace"))
        .filter(|w| !matches!(*w, "" | "default"))
        .collect();
    std::iter::once("default")
        .chain(named)
        .map(str::to_owned)
        .collect()
}

/// A DNS subdomain in the sense of RFC 1123, as names of Secrets must be.
fn is_subdomain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|b| plain(*b) || *b == b'-')
            && bytes.first().is_some_and(|b| plain(*b))
            && bytes.last().is_some_and(|b| plain(*b))
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stead_sdk::Dialer;
    use stead_sdk::kube::{Cluster, ClusterSettings};

    use super::*;

    fn place(labels: &[(&str, &str)]) -> Place {
        Place {
            cluster: Cluster::new(ClusterSettings::default(), Dialer::direct()),
            namespace: "default".to_owned(),
            suffix: "state".to_owned(),
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        }
    }

    #[test]
    fn names_are_the_reference_s() {
        let names = Names::new("staging", &place(&[("team", "a")])).unwrap();
        assert_eq!(names.secret, "tfstate-staging-state");
        assert_eq!(names.lease, "lock-tfstate-staging-state");
        assert_eq!(
            (names.part(0), names.part(2)),
            (
                "tfstate-staging-state".into(),
                "tfstate-staging-state-part-2".into()
            )
        );
        assert_eq!(names.labels["team"], "a");
        assert_eq!(names.labels["app.kubernetes.io/managed-by"], "terraform");
        assert_eq!(
            names.selector,
            "tfstate=true,tfstateSecretSuffix=state,tfstateWorkspace=staging"
        );
        assert_ne!(names.file("a", "b"), names.file("a.b", ""));
    }

    #[test]
    fn names_that_kubernetes_would_not_take_are_refused() {
        for workspace in ["Upper", "a_b", "a/b", "é", &"a".repeat(250)] {
            assert!(Names::new(workspace, &place(&[])).is_err(), "{workspace}");
        }
    }

    #[test]
    fn workspaces_are_those_of_the_suffix_and_each_once() {
        let secret = |workspace: &str, suffix: &str| json!({ "metadata": { "labels": { "tfstateWorkspace": workspace, "tfstateSecretSuffix": suffix } } });
        let found = [
            secret("b", "state"),
            secret("default", "state"),
            secret("a", "state"),
            secret("c", "other"),
            secret("b", "state"),
            json!({ "metadata": {} }),
        ];
        assert_eq!(workspaces(&found, "state"), ["default", "a", "b"]);
    }
}
