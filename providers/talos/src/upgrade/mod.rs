//! Changes that take a node out of service: one node of a cluster at a time, and none when the cluster could not bear it.
//!
//! [`Rolling`] is what every restart of a node has around it: the turn among the control plane, etcd's quorum, the drain, and the
//! wait until all is well again. What restarts the node is a [`rolling::Restart`]: another system ([`Installation`]) or another
//! configuration ([`Reconfiguration`]). `retire` takes a node away for good; `kubernetes` renews Kubernetes itself.

mod configuration;
mod etcd;
mod installer;
mod kubernetes;
mod manifests;
mod proxy;
mod retire;
mod rolling;
mod system;
mod turns;
mod version;

pub(crate) use configuration::Reconfiguration;
pub(crate) use installer::Installer;
pub(crate) use kubernetes::{KubernetesUpgrade, kubernetes_version};
pub(crate) use retire::Retirement;
pub(crate) use rolling::Rolling;
pub(crate) use system::{Installation, running};
pub(crate) use turns::Rollouts;
pub(crate) use version::{Version, step};

use stead_sdk::kube::{Cluster, ClusterSettings};
use stead_sdk::value::Sensitive;
use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Dialer, Error};

use crate::node::{Api, Contact, Node, polling};

/// How long to wait for what ails a cluster to pass by itself before a change is refused.
const GRACE: std::time::Duration = std::time::Duration::from_secs(60);

/// The Kubernetes of a kubeconfig; it is connected to when it is needed.
pub(crate) fn kubernetes(dialer: &Dialer, kubeconfig: &Sensitive<String>) -> Cluster {
    let settings = ClusterSettings {
        config_text: Some(kubeconfig.clone()),
        ..ClusterSettings::default()
    };
    Cluster::new(settings, dialer.clone())
}

/// The API of a node that is configured, as soon as it answers.
pub(crate) async fn configured(node: &Node, cx: &Context) -> Result<Api, Error> {
    let what = format!("{} to answer", node.label());
    until(cx, &what, polling(), || async {
        Ok(match reach(node, cx).await? {
            Contact::Configured(api) => Poll::Ready(api),
            Contact::Maintenance(..) => {
                let asked = format!("reach {}", node.label());
                let said = "it is in maintenance mode: it has no configuration";
                return Err(Error::new(asked, said).remedy(
                    "If it was reset or installed anew on purpose, let stead make its first contact again: `-replace=ADDRESS`.",
                ));
            }
            Contact::Stranger(error) => return Err(error),
            Contact::Away(why) => Poll::PendingBecause(why),
        })
    })
    .await
}

/// How the node answers at its endpoint, else at its own address.
async fn reach(node: &Node, cx: &Context) -> Result<Contact, Error> {
    let contact = node.contact(cx).await?;
    match (contact, node.direct()) {
        (Contact::Away(_) | Contact::Stranger(_), Some(direct)) => direct.contact(cx).await,
        (contact, _) => Ok(contact),
    }
}
