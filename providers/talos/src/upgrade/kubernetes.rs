//! Another version of Kubernetes: the control plane's pods, one component after the other and node by node, then the kubelets.
//!
//! Facts: Talos `pkg/cluster/kubernetes/upgrade.go`, and the version skew policy of Kubernetes, by which an API server is never
//! older than what talks to it.

use std::time::{Duration, Instant};

use serde_json::Value as Json;
use stead_sdk::kube::{Cluster, find, text};
use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Dialer, Error};

use super::turns::Rollouts;
use super::version::{Version, fits, step};
use super::{configured, kubernetes, manifests, proxy};
use crate::api::machine::ApplyMode;
use crate::data::ailment;
use crate::machinery::{
    Component, component_image, image_repository, image_tag, with_component_image,
};
use crate::node::{Api, CallError, Node, polling};
use crate::render;

/// How long a refresh waits for Kubernetes.
const LOOK: Duration = Duration::from_secs(5);

/// Kubelets with more or less in their images.
const KUBELET_VARIANTS: [&str; 2] = ["-fat", "-slim"];

/// A cluster that is to run a version of Kubernetes.
pub(crate) struct KubernetesUpgrade<'a> {
    /// A control plane node, which passes requests on to the others.
    pub(crate) node: &'a Node,
    pub(crate) dialer: &'a Dialer,
    pub(crate) rollouts: &'a Rollouts,
    pub(crate) to: Version,
    pub(crate) timeout: Duration,
}

/// A node as Kubernetes knows it.
struct Member {
    name: String,
    address: String,
    control_plane: bool,
    ready: bool,
    kubelet: Option<Version>,
}

impl Member {
    fn of(node: &Json) -> Option<Member> {
        let addresses = find(node, &["status", "addresses"]).and_then(Json::as_array);
        let mut internal = addresses.into_iter().flatten();
        let internal = internal.find(|a| text(a, &["type"]) == "InternalIP")?;
        let conditions = find(node, &["status", "conditions"]).and_then(Json::as_array);
        let ready = conditions
            .into_iter()
            .flatten()
            .any(|c| text(c, &["type"]) == "Ready" && text(c, &["status"]) == "True");
        let labels = find(node, &["metadata", "labels"]);
        let role = "node-role.kubernetes.io/control-plane";
        Some(Member {
            name: text(node, &["metadata", "name"]).to_owned(),
            address: text(internal, &["address"]).to_owned(),
            control_plane: labels.is_some_and(|l| l.get(role).is_some()),
            ready,
            kubelet: Version::parse(text(node, &["status", "nodeInfo", "kubeletVersion"])),
        })
    }
}

async fn members(cluster: &Cluster, cx: &Context) -> Result<Vec<Member>, Error> {
    let nodes = cluster.list("v1", "Node", None, cx).await?;
    Ok(nodes.iter().filter_map(Member::of).collect())
}

/// The lowest version that any component of the cluster has: of the control plane's configurations, and of the kubelets where
/// Kubernetes can be asked. `None` when the configurations leave it to Talos.
///
/// # Errors
/// When a control plane node cannot be asked.
pub(crate) async fn kubernetes_version(
    api: &Api,
    control_plane: &[String],
    dialer: &Dialer,
    cx: &Context,
) -> Result<Option<Version>, Error> {
    let mut found = Vec::new();
    for address in control_plane {
        let config = api.for_node(address)?.machine_config("v1alpha1").await?;
        let config = config.as_ref().map(|c| c.expose()).unwrap_or_default();
        found.extend(versions_in(config));
    }
    if let Ok(text) = api.kubeconfig().await {
        let cluster = kubernetes(dialer, &text.expose().to_owned().into()).patience(LOOK);
        if let Ok(members) = members(&cluster, cx).await {
            found.extend(members.into_iter().filter_map(|m| m.kubelet));
        }
    }
    Ok(found.into_iter().min_by_key(Version::numbers))
}

/// The versions of the components in a configuration.
fn versions_in(config: &str) -> impl Iterator<Item = Version> + use<'_> {
    Component::ALL.into_iter().filter_map(move |component| {
        let image = component_image(config, component)?;
        let tag = image_tag(&image)?;
        Version::parse(without_variant(tag))
    })
}

fn without_variant(tag: &str) -> &str {
    let mut variants = KUBELET_VARIANTS.iter();
    let found = variants.find_map(|variant| tag.strip_suffix(variant));
    found.unwrap_or(tag)
}

impl KubernetesUpgrade<'_> {
    /// Does it; what is done already is left alone, so that another run goes on where one stopped.
    ///
    /// # Errors
    /// When a minor version would be skipped, Talos does not run the version, or a component does not come up.
    pub(crate) async fn run(&self, cx: &Context) -> Result<(), Error> {
        let asked = format!("bring Kubernetes to {}", self.to);
        // No node of the control plane restarts meanwhile.
        let turn = self.rollouts.turn(&self.node.cluster(), &asked, cx).await?;
        let within = cx.clone().with_deadline(Instant::now() + self.timeout);
        let done = self.upgrade(&within).await;
        if done.is_err() {
            turn.failed(format!("the attempt to {asked}"));
        }
        done
    }

    async fn upgrade(&self, cx: &Context) -> Result<(), Error> {
        let api = configured(self.node, cx).await?;
        let kubeconfig = api.kubeconfig().await?;
        let cluster = kubernetes(self.dialer, &kubeconfig.expose().to_owned().into());
        let members = members(&cluster, cx).await?;
        let (planes, workers): (Vec<_>, Vec<_>) = members.iter().partition(|m| m.control_plane);
        self.check(&api, &planes, &members).await?;
        for component in [
            Component::ApiServer,
            Component::ControllerManager,
            Component::Scheduler,
        ] {
            for (done, member) in planes.iter().enumerate() {
                let place = format!("{} of {}", done + 1, planes.len());
                self.static_pod(&api, component, member, &place, cx).await?;
            }
        }
        for member in &planes {
            let node = api.for_node(&member.address)?;
            self.renew(&node, Component::Proxy, member).await?;
        }
        proxy::renew(&cluster, &self.to, cx).await?;
        // Before the kubelets: while they are old the upgrade is not over, and the next apply comes back here.
        if let Some(plane) = planes.first() {
            let node = api.for_node(&plane.address)?;
            manifests::renew(&node, &cluster, cx).await?;
        }
        let all: Vec<&Member> = planes.into_iter().chain(workers).collect();
        for (done, member) in all.iter().enumerate() {
            let place = format!("{} of {}", done + 1, all.len());
            self.kubelet(&api, &cluster, member, &place, cx).await?;
        }
        Ok(())
    }

    /// Whether the way is one that Kubernetes and Talos go.
    async fn check(&self, api: &Api, planes: &[&Member], members: &[Member]) -> Result<(), Error> {
        if planes.is_empty() {
            return Err(Error::new(
                format!("bring Kubernetes to {}", self.to),
                "Kubernetes knows no node of its control plane yet",
            ));
        }
        for member in members {
            let node = api.for_node(&member.address)?;
            if let Some(talos) = Version::parse(&node.version().await?) {
                fits(&talos, &self.to).map_err(|e| e.attribute("kubernetes_version"))?;
            }
            let config = node.machine_config("v1alpha1").await?;
            let config = config.as_ref().map(|c| c.expose()).unwrap_or_default();
            for from in versions_in(config) {
                step("Kubernetes", &from, &self.to)
                    .map_err(|e| e.attribute("kubernetes_version"))?;
            }
        }
        Ok(())
    }

    /// Has a node's configuration name another image for a component; `None` when there is nothing to do.
    async fn renew(
        &self,
        node: &Api,
        component: Component,
        member: &Member,
    ) -> Result<Option<String>, Error> {
        let asked = || {
            format!(
                "bring {} on {} to {}",
                component.name(),
                member.name,
                self.to
            )
        };
        let config = node.machine_config("v1alpha1").await?;
        let config = config.as_ref().map(|c| c.expose()).unwrap_or_default();
        let Some(current) = component_image(config, component) else {
            return Ok(None);
        };
        let tag = image_tag(&current).unwrap_or_default();
        let variant = tag.strip_prefix(without_variant(tag)).unwrap_or_default();
        let wanted = format!("{}:{}{variant}", image_repository(&current), self.to);
        if current == wanted {
            return Ok(None);
        }
        let staged = node.machine_config("persistent").await?;
        if staged.is_some_and(|s| !render::same(s.expose(), config)) {
            let said = "the node has a staged configuration, which this one would replace";
            return Err(Error::new(asked(), said).remedy(
                "Restart the node, so that it lives by what is staged: `talosctl reboot`.",
            ));
        }
        let patched = with_component_image(config, component, &wanted)
            .map_err(|e| Error::new(asked(), e.to_string()))?;
        node.apply(&patched, ApplyMode::NoReboot, false).await?;
        Ok(Some(current))
    }

    async fn static_pod(
        &self,
        api: &Api,
        component: Component,
        member: &Member,
        place: &str,
        cx: &Context,
    ) -> Result<(), Error> {
        let node = api.for_node(&member.address)?;
        let before = container_of(&node, component).await?;
        let Some(old) = self.renew(&node, component, member).await? else {
            return Ok(());
        };
        let name = component.name();
        cx.progress(format!(
            "{name} {place}: {} from {} to {}",
            member.name,
            image_tag(&old).unwrap_or("an unknown version"),
            self.to
        ));
        let what = format!("{name} {} on {}", self.to, member.name);
        until(cx, &what, polling(), || {
            self.pod_runs(&node, component, before.as_deref())
        })
        .await
    }

    async fn pod_runs(
        &self,
        node: &Api,
        component: Component,
        before: Option<&str>,
    ) -> Result<Poll<()>, Error> {
        let not_yet = |why: &str| Ok(Poll::PendingBecause(why.to_owned()));
        let pods = match node.static_pods().await {
            Ok(pods) => pods,
            Err(call) => return setback(call),
        };
        let prefix = format!("kube-system/{}-", component.name());
        let Some((_, pod)) = pods.iter().find(|(id, _)| id.starts_with(&prefix)) else {
            return not_yet("its pod is not there");
        };
        let Some((image, id)) = pod.container(component.name()) else {
            return not_yet("its container is not there");
        };
        match image_tag(image) {
            Some(tag) if tag != self.to.to_string() => {
                return not_yet(&format!("{tag} still runs"));
            }
            // Some runtimes tell the digest alone: then it has to be another container than before.
            None if before == Some(id) => return not_yet("the old container still runs"),
            _ => {}
        }
        if pod.is_ready() {
            Ok(Poll::Ready(()))
        } else {
            not_yet("its pod is not ready")
        }
    }

    async fn kubelet(
        &self,
        api: &Api,
        cluster: &Cluster,
        member: &Member,
        place: &str,
        cx: &Context,
    ) -> Result<(), Error> {
        let node = api.for_node(&member.address)?;
        if let Some(old) = self.renew(&node, Component::Kubelet, member).await? {
            cx.progress(format!(
                "kubelet {place}: {} from {} to {}",
                member.name,
                image_tag(&old).unwrap_or("an unknown version"),
                self.to
            ));
        }
        let what = format!("kubelet {} on {}", self.to, member.name);
        until(cx, &what, polling().tolerating_transient(), || {
            self.kubelet_runs(&node, cluster, member, cx)
        })
        .await
    }

    async fn kubelet_runs(
        &self,
        node: &Api,
        cluster: &Cluster,
        member: &Member,
        cx: &Context,
    ) -> Result<Poll<()>, Error> {
        let service = match node.service("kubelet").await {
            Ok(service) => service,
            Err(call) => return setback(call),
        };
        if let Some(why) = ailment("kubelet", service.as_ref()) {
            return Ok(Poll::PendingBecause(why));
        }
        let config = match node.machine_config("v1alpha1").await {
            Ok(config) => config,
            Err(call) => return setback(call),
        };
        let config = config.as_ref().map(|c| c.expose()).unwrap_or_default();
        if component_image(config, Component::Kubelet).is_none() {
            // Its version is Talos' own affair.
            return Ok(Poll::Ready(()));
        }
        let found = cluster.node(&member.name, cx).await?;
        let Some(now) = found.as_ref().and_then(Member::of) else {
            return Ok(Poll::PendingBecause(
                "Kubernetes does not know it".to_owned(),
            ));
        };
        if now.kubelet.as_ref() != Some(&self.to) {
            return Ok(Poll::PendingBecause(
                "it reports another version".to_owned(),
            ));
        }
        if member.ready && !now.ready {
            return Ok(Poll::PendingBecause("it is not ready".to_owned()));
        }
        Ok(Poll::Ready(()))
    }
}

/// What tells the container of a component from a later one.
async fn container_of(node: &Api, component: Component) -> Result<Option<String>, Error> {
    let pods = node.static_pods().await?;
    let prefix = format!("kube-system/{}-", component.name());
    let pod = pods.iter().find(|(id, _)| id.starts_with(&prefix));
    let container = pod.and_then(|(_, pod)| pod.container(component.name()));
    Ok(container.map(|(_, id)| id.to_owned()))
}

fn setback<T>(call: CallError) -> Result<Poll<T>, Error> {
    if call.is_final() {
        return Err(call.into());
    }
    Ok(Poll::PendingBecause(call.reason()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_version_of_a_configuration_counts() {
        let config = "version: v1alpha1\nmachine:\n    kubelet:\n        image: ghcr.io/siderolabs/kubelet:v1.35.0-fat\ncluster:\n    apiServer:\n        image: registry.k8s.io/kube-apiserver:v1.36.0\n    scheduler:\n        image: registry.k8s.io/kube-scheduler\n";
        let found = versions_in(config).min_by_key(Version::numbers);
        assert_eq!(found.unwrap().to_string(), "v1.35.0");
        assert!(versions_in("").next().is_none());
    }

    #[test]
    fn a_node_is_read_from_its_object() {
        let node = serde_json::json!({
            "metadata": { "name": "cp-1", "labels": { "node-role.kubernetes.io/control-plane": "" } },
            "status": {
                "addresses": [{ "type": "Hostname", "address": "cp-1" }, { "type": "InternalIP", "address": "10.0.0.2" }],
                "conditions": [{ "type": "Ready", "status": "True" }],
                "nodeInfo": { "kubeletVersion": "v1.36.1" },
            },
        });
        let member = Member::of(&node).unwrap();
        assert_eq!(
            (member.name.as_str(), member.address.as_str()),
            ("cp-1", "10.0.0.2")
        );
        assert!(member.control_plane && member.ready);
        assert_eq!(member.kubelet.unwrap().to_string(), "v1.36.1");
    }
}
