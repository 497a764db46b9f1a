//! What Talos itself brought into Kubernetes: the network plugin, DNS, the roles of its own, and the manifests of the
//! configuration. It makes them once; what another release has in their place has to be written there.
//!
//! Facts: Talos `pkg/cluster/kubernetes/talos_managed.go` (an upgrade ends with the manifests) and the resource
//! `Manifests.kubernetes.talos.dev`.

use serde_json::Value as Json;
use stead_sdk::kube::{Apply, Cluster, ObjectRef, Readiness, rollout, text};
use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Error, ErrorKind};

use super::proxy;
use crate::node::{Api, polling};

/// Who owns the fields: as Talos and `talosctl` call themselves.
const MANAGER: &str = "talos";

/// Those who may have written the same fields for Talos before: it, its client, and the machine's own service.
const OURS: [&str; 3] = [MANAGER, "talosctl", "machined"];

/// Brings each object to what the node has for it, and waits for those that roll something out. An object that people or programs have
/// changed for themselves is left to them, with a warning.
///
/// # Errors
/// When the node or Kubernetes refuses, or what was changed does not come up.
pub(super) async fn renew(api: &Api, cluster: &Cluster, cx: &Context) -> Result<(), Error> {
    let mut changed = Vec::new();
    for object in api.manifests().await? {
        let target = ObjectRef::of(&object)?;
        // kube-proxy has its own step, which keeps the image's registry.
        if target == proxy::daemon_set() {
            continue;
        }
        if apply(cluster, &object, &target, cx).await? {
            cx.progress(format!("{target}: renewed"));
            changed.push(target);
        }
    }
    for target in changed {
        let what = target.to_string();
        let polling = polling().tolerating_transient();
        until(cx, &what, polling, || comes_up(cluster, &target, cx)).await?;
    }
    Ok(())
}

/// Whether the object is another one now.
async fn apply(
    cluster: &Cluster,
    object: &Json,
    target: &ObjectRef,
    cx: &Context,
) -> Result<bool, Error> {
    let version = |object: &Json| text(object, &["metadata", "resourceVersion"]).to_owned();
    let before = cluster.get(target, cx).await?;
    let mut how = Apply {
        manager: MANAGER,
        force: false,
        dry_run: false,
    };
    let mut applied = cluster.apply(object, how, cx).await;
    if let Err(refused) = &applied
        && refused.kind() == ErrorKind::Conflict
    {
        let others: Vec<_> = owners(refused.said())
            .filter(|name| !OURS.contains(name))
            .collect();
        if !others.is_empty() {
            let said = refused.said();
            cx.warn(
                format!("{target} is left as it is"),
                format!(
                    "Talos has another one for it, but {} changed it: {said}. To have the one of Talos, delete it and run the upgrade again.",
                    others.join(" and ")
                ),
            );
            return Ok(false);
        }
        how.force = true;
        applied = cluster.apply(object, how, cx).await;
    }
    let applied = applied?;
    Ok(before.is_none_or(|before| version(&before) != version(&applied)))
}

async fn comes_up(cluster: &Cluster, target: &ObjectRef, cx: &Context) -> Result<Poll<()>, Error> {
    let Some(found) = cluster.get(target, cx).await? else {
        return Ok(Poll::PendingBecause("it is not there".to_owned()));
    };
    match rollout(&found) {
        Readiness::Ready => Ok(Poll::Ready(())),
        Readiness::Pending(why) => Ok(Poll::PendingBecause(why)),
        Readiness::Failed(why) => Err(Error::new(format!("renew {target}"), why)),
    }
}

/// The owners of the fields in dispute, as an API server names them: `conflict with "kubectl-edit" using v1: .data`.
fn owners(said: &str) -> impl Iterator<Item = &str> {
    let parts = said.split("with \"").skip(1);
    parts.filter_map(|part| part.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_named_by_the_refusal() {
        let one = "409: Apply failed with 1 conflict: conflict with \"kubectl-edit\" using v1: .data.Corefile";
        assert_eq!(owners(one).collect::<Vec<_>>(), ["kubectl-edit"]);
        let two = "409: Apply failed with 2 conflicts: conflicts with \"talos\" using apps/v1:\n- .spec.replicas\nconflicts with \"argocd-controller\":\n- .spec.template";
        assert_eq!(
            owners(two).collect::<Vec<_>>(),
            ["talos", "argocd-controller"]
        );
        assert_eq!(owners("409: it has been changed").count(), 0);
    }
}
