//! A node taken away for good: drained, out of etcd, wiped, out of Kubernetes' books.

use std::time::{Duration, Instant};

use stead_sdk::kube::Cluster;
use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Dialer, Error, ErrorKind};

use super::etcd::{self, Place};
use super::turns::Rollouts;
use super::{GRACE, kubernetes};
use crate::api::machine::{ResetPartitionSpec, ResetRequest};
use crate::machinery::is_control_plane;
use crate::node::{Api, Contact, Node, polling};

/// The partitions with the configuration and the data; the installation itself stays.
const WIPED: [&str; 2] = ["STATE", "EPHEMERAL"];

/// For the pods of the node to go elsewhere.
const DRAIN: Duration = Duration::from_secs(5 * 60);

/// A node that is to be wiped.
pub(crate) struct Retirement<'a> {
    pub(crate) node: &'a Node,
    pub(crate) dialer: &'a Dialer,
    /// The Kubernetes of the kubeconfig that is configured.
    pub(crate) kubernetes: Option<Cluster>,
    pub(crate) rollouts: &'a Rollouts,
    /// Move its pods away and leave etcd first.
    pub(crate) graceful: bool,
    /// Start again afterwards, instead of halting.
    pub(crate) reboot: bool,
    pub(crate) timeout: Duration,
}

impl Retirement<'_> {
    /// Does it. A node that is wiped already is a success.
    ///
    /// # Errors
    /// When the cluster would lose its quorum by it, or the node does not do it.
    pub(crate) async fn run(&self, cx: &Context) -> Result<(), Error> {
        let begun = Instant::now();
        let within = cx.clone().with_deadline(begun + self.timeout);
        let what = format!("{} to be reset", self.node.label());
        let Some(api) = until(&within, &what, polling(), || self.reachable(&within)).await? else {
            return Ok(());
        };
        let config = api.machine_config("v1alpha1").await?;
        if !config.is_some_and(|c| is_control_plane(c.expose())) {
            return self.step(&api, Place::None, &within).await;
        }
        // One after the other, so that each finds the etcd that the one before has left.
        let turn = self
            .rollouts
            .turn(&self.node.cluster(), &self.asked(), cx)
            .await?;
        let within = cx.clone().with_deadline(Instant::now() + self.timeout);
        let place = self.consent(&api, &within).await?;
        let done = self.step(&api, place, &within).await;
        if done.is_err() {
            turn.failed(format!("the attempt to {}", self.asked()));
        }
        done
    }

    fn asked(&self) -> String {
        format!("reset {}", self.node.label())
    }

    /// The node's API; `None` when the node is wiped already.
    async fn reachable(&self, cx: &Context) -> Result<Poll<Option<Api>>, Error> {
        Ok(match self.node.contact(cx).await? {
            Contact::Configured(api) => Poll::Ready(Some(api)),
            Contact::Maintenance(..) => Poll::Ready(None),
            Contact::Stranger(error) => return Err(error),
            Contact::Away(why) => Poll::PendingBecause(why),
        })
    }

    /// Waits for a while until etcd can lose the node.
    async fn consent(&self, api: &Api, cx: &Context) -> Result<Place, Error> {
        let what = format!("etcd to be able to lose {}", self.node.label());
        let found = until(cx, &what, polling().timeout(GRACE), || etcd::may_leave(api)).await;
        match found {
            Err(error) if error.kind() == ErrorKind::TimedOut && !self.graceful => {
                cx.warn(
                    "etcd may have lost its quorum",
                    format!(
                        "{} was reset without leaving etcd, as `on_destroy.graceful = false` asks for: {}.",
                        self.node.label(),
                        error.said()
                    ),
                );
                Ok(Place::None)
            }
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                Err(Error::new(self.asked(), error.said()).remedy(
                    "Mend the other members first. To give the cluster up, set `on_destroy.graceful = false` and apply that.",
                ))
            }
            found => found,
        }
    }

    async fn step(&self, api: &Api, place: Place, cx: &Context) -> Result<(), Error> {
        let last = matches!(place, Place::Last);
        // With the last control plane node Kubernetes goes, and nobody is left to drain or to leave to.
        let books = match last {
            true => None,
            false => self.found_in_books(api, cx).await,
        };
        if last {
            cx.progress(format!(
                "{} is the last of its control plane",
                self.node.label()
            ));
        }
        if let Some((cluster, name)) = books.as_ref().filter(|_| self.graceful) {
            cx.progress(format!("draining node {name}"));
            cluster.cordon(name, cx).await?;
            cluster.drain(name, DRAIN, cx).await?;
        }
        self.wipe(api, self.graceful && !last, cx).await?;
        if let Some((cluster, name)) = books {
            // The node is gone all the same.
            if let Err(error) = cluster.forget_node(&name, cx).await {
                cx.warn(
                    format!("Node {name} is still known to Kubernetes"),
                    format!("{error} Take it from the books: `kubectl delete node {name}`."),
                );
            }
        }
        Ok(())
    }

    /// Kubernetes, and the node's name there; `None` when it is in nobody's books, or when they cannot be reached: then the user is told
    /// what is left undone.
    async fn found_in_books(&self, api: &Api, cx: &Context) -> Option<(Cluster, String)> {
        let label = self.node.label();
        let (why, name) = match api.nodename().await {
            // It never had a kubelet that said its name.
            Ok(None) => return None,
            Ok(Some(name)) => match self.books(api).await {
                Ok(cluster) => return Some((cluster, name)),
                Err(why) => (
                    format!("No kubeconfig could be had ({})", why.trim_end_matches('.')),
                    name,
                ),
            },
            Err(call) => {
                let why = format!(
                    "The node does not say what Kubernetes calls it ({})",
                    call.reason().trim_end_matches('.')
                );
                (why, "NAME".to_owned())
            }
        };
        let left = match self.graceful {
            true => "its pods are not moved away, and it is not taken from the books",
            false => "it is not taken from the books",
        };
        cx.warn(
            format!("Kubernetes is not told of the reset of {label}"),
            format!(
                "{why}: {left}. Take it from the books: `kubectl delete node {name}`. Before other nodes are destroyed, set `kubeconfig` of \
                 their `talos_machine`, or a control plane node as their `endpoint`, and apply that.",
            ),
        );
        None
    }

    /// The cluster's Kubernetes: of the kubeconfig that was given, else of the one that a control plane node gives. The error is why there
    /// is none.
    async fn books(&self, api: &Api) -> Result<Cluster, String> {
        if let Some(given) = &self.kubernetes {
            return Ok(given.clone());
        }
        // A worker has none, and its endpoint only when that is a control plane node.
        let text = match api.kubeconfig().await {
            Ok(text) => text,
            Err(own) => match api.of_endpoint().kubeconfig().await {
                Ok(text) => text,
                Err(endpoint) if self.node.direct().is_some() => {
                    let (own, endpoint) = (own.reason(), endpoint.reason());
                    return Err(format!("{own}, and at its endpoint: {endpoint}"));
                }
                Err(_) => return Err(own.reason()),
            },
        };
        Ok(kubernetes(self.dialer, &text.expose().to_owned().into()))
    }

    /// Resets the node and waits until it is down, or back in maintenance mode.
    async fn wipe(&self, api: &Api, graceful: bool, cx: &Context) -> Result<(), Error> {
        let request = ResetRequest {
            graceful,
            reboot: self.reboot,
            system_partitions_to_wipe: WIPED
                .map(|label| ResetPartitionSpec {
                    label: label.to_owned(),
                    wipe: true,
                })
                .to_vec(),
        };
        let what = format!("{} to be reset", self.node.label());
        let boot_id = api.boot_id().await?;
        match api.reset(request).await {
            Ok(()) => {}
            // The node goes down by it: that the answer is lost is no failure.
            Err(call) if call.lost && call.error.kind() != ErrorKind::Denied => {}
            Err(call) => return Err(call.into()),
        }
        until(cx, &what, polling(), || self.is_over(&boot_id, cx)).await
    }

    async fn is_over(&self, boot_id: &str, cx: &Context) -> Result<Poll<()>, Error> {
        match self.node.contact(cx).await? {
            Contact::Away(_) if !self.reboot => Ok(Poll::Ready(())),
            Contact::Away(why) => Ok(Poll::PendingBecause(why)),
            Contact::Maintenance(..) => Ok(Poll::Ready(())),
            Contact::Stranger(error) => Ok(Poll::PendingBecause(error.said().to_owned())),
            Contact::Configured(api) => self.still_there(&api, boot_id).await,
        }
    }

    /// Something answers with a certificate of the cluster: the node before it goes down, or an endpoint that is another node.
    async fn still_there(&self, api: &Api, boot_id: &str) -> Result<Poll<()>, Error> {
        match api.boot_id().await {
            Ok(now) if now != boot_id => Err(Error::new(
                self.asked(),
                "it came back with its configuration: the reset did not succeed",
            )
            .remedy("Look at its console or `talosctl dmesg` for why.")),
            Ok(_) => Ok(Poll::PendingBecause("it is still up".to_owned())),
            // With another endpoint than the node itself this is how one sees that the node is down.
            Err(call) if call.code == tonic::Code::Unavailable => match self.reboot {
                false => Ok(Poll::Ready(())),
                true => self.in_maintenance(call.reason()).await,
            },
            Err(call) => Ok(Poll::PendingBecause(call.reason())),
        }
    }

    /// Behind another endpoint, a node in maintenance mode is seen at its own address only.
    async fn in_maintenance(&self, why: String) -> Result<Poll<()>, Error> {
        let Some(direct) = self.node.direct() else {
            return Ok(Poll::PendingBecause(why));
        };
        match direct.contact(&Context::detached()).await? {
            Contact::Maintenance(..) => Ok(Poll::Ready(())),
            _ => Ok(Poll::PendingBecause(why)),
        }
    }
}
