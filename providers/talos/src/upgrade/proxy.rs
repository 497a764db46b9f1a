//! kube-proxy, whose pods follow a daemon set that Talos makes once: another version has to be written there, too.

use serde_json::{Value as Json, json};
use stead_sdk::kube::{Cluster, ObjectRef, Readiness, find, rollout, text};
use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Error};

use super::version::Version;
use crate::machinery::{Component, image_repository};
use crate::node::polling;

/// What this module looks after.
pub(super) fn daemon_set() -> ObjectRef {
    let name = Component::Proxy.name();
    ObjectRef::new("apps/v1", "DaemonSet", Some("kube-system"), name)
}

/// Brings the daemon set's image to a version, and waits until its pods have it. A cluster without kube-proxy is left alone.
///
/// # Errors
/// When Kubernetes refuses, or the pods do not come up.
pub(super) async fn renew(cluster: &Cluster, to: &Version, cx: &Context) -> Result<(), Error> {
    let name = Component::Proxy.name();
    let Some(found) = cluster.get(&daemon_set(), cx).await? else {
        return Ok(());
    };
    let Some(containers) = renewed(&found, to) else {
        return Ok(());
    };
    cx.progress(format!("{name}: all nodes to {to}"));
    let patch = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    cluster.merge(&daemon_set(), &patch, "talos", cx).await?;
    let what = format!("{name} {to} on all nodes");
    let polling = polling().tolerating_transient();
    until(cx, &what, polling, || async {
        let Some(found) = cluster.get(&daemon_set(), cx).await? else {
            return Ok(Poll::PendingBecause("it is not there".to_owned()));
        };
        match rollout(&found) {
            Readiness::Ready => Ok(Poll::Ready(())),
            Readiness::Pending(why) => Ok(Poll::PendingBecause(why)),
            Readiness::Failed(why) => Err(Error::new(format!("bring {name} to {to}"), why)),
        }
    })
    .await
}

/// The containers with kube-proxy's image at a version; `None` when it has it already.
fn renewed(daemon_set: &Json, to: &Version) -> Option<Json> {
    let path = ["spec", "template", "spec", "containers"];
    let mut containers = find(daemon_set, &path)?.as_array()?.clone();
    let proxy = containers
        .iter_mut()
        .find(|c| text(c, &["name"]) == Component::Proxy.name())?;
    let current = text(proxy, &["image"]).to_owned();
    let wanted = format!("{}:{to}", image_repository(&current));
    if current == wanted {
        return None;
    }
    *proxy.get_mut("image")? = json!(wanted);
    Some(Json::Array(containers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_of_the_proxy_changes() {
        let containers = json!([
            { "name": "other", "image": "other:v1" },
            { "name": "kube-proxy", "image": "mirror.lab:5000/kube-proxy:v1.34.1", "args": ["a"] },
        ]);
        let set = json!({ "spec": { "template": { "spec": { "containers": containers } } } });
        let to = Version::parse("v1.35.4").unwrap();
        let now = renewed(&set, &to).unwrap();
        assert_eq!(now[1]["image"], "mirror.lab:5000/kube-proxy:v1.35.4");
        assert_eq!(
            (&now[0], &now[1]["args"]),
            (&containers[0], &containers[1]["args"])
        );
        let set = json!({ "spec": { "template": { "spec": { "containers": now } } } });
        assert_eq!(renewed(&set, &to), None);
    }
}
