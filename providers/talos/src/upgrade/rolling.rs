//! One node taken out of service, started again, and brought back.

use std::time::{Duration, Instant};

use stead_sdk::kube::Cluster;
use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Error, ErrorKind, async_trait};

use super::etcd::{self, Place};
use super::turns::Rollouts;
use super::{GRACE, configured, reach};
use crate::api::specs::{MachineStage, MachineStatus};
use crate::machinery::is_control_plane;
use crate::node::{Api, Contact, Node, polling};

/// For the pods of a node to go elsewhere.
const DRAIN: Duration = Duration::from_secs(10 * 60);

/// What takes a node out of service.
#[async_trait]
pub(crate) trait Restart: Send + Sync {
    /// What it does, after "Could not …": `upgrade node 10.0.0.2 to v1.13.9`.
    fn asked(&self) -> String;

    /// What can be done while the node still serves.
    async fn prepare(&self, api: &Api, cx: &Context) -> Result<(), Error>;

    /// Makes the node start again; whether it does. That an answer got lost is no failure: the node may be going down. `in_etcd`
    /// says whether the node is a member of etcd.
    async fn begin(&self, api: &Api, in_etcd: bool, cx: &Context) -> Result<bool, Error>;

    /// Whether the node, which has started again and runs, is what it was to become. An error ends the wait.
    async fn is_done(&self, api: &Api) -> Result<Poll<()>, Error>;
}

/// A node that is to start again, and what depends on it.
pub(crate) struct Rolling<'a> {
    pub(crate) node: &'a Node,
    /// Where its pods are moved away; `None` when they are not to be moved.
    pub(crate) kubernetes: Option<&'a Cluster>,
    pub(crate) rollouts: &'a Rollouts,
    /// From when it is this node's turn.
    pub(crate) timeout: Duration,
}

/// What the node was before.
struct Before {
    boot_id: String,
    running: bool,
    ready: bool,
    place: Place,
}

impl Rolling<'_> {
    /// Does it: alone among the control plane, with etcd's consent, without pods.
    ///
    /// # Errors
    /// When the cluster cannot bear it now, or the node did not come back as it should.
    pub(crate) async fn run(&self, restart: &dyn Restart, cx: &Context) -> Result<(), Error> {
        let api = configured(self.node, cx).await?;
        let config = api.machine_config("v1alpha1").await?;
        if !config.is_some_and(|c| is_control_plane(c.expose())) {
            return self.step(&api, restart, false, cx).await;
        }
        let turn = self
            .rollouts
            .turn(&self.node.cluster(), &restart.asked(), cx)
            .await?;
        let done = self.step(&api, restart, true, cx).await;
        if done.is_err() {
            turn.failed(format!("the attempt to {}", restart.asked()));
        }
        done
    }

    async fn step(
        &self,
        api: &Api,
        restart: &dyn Restart,
        control_plane: bool,
        cx: &Context,
    ) -> Result<(), Error> {
        let cx = &cx.clone().with_deadline(Instant::now() + self.timeout);
        self.consent(api, restart, control_plane, cx).await?;
        restart.prepare(api, cx).await?;
        let status = api.machine_status().await?.unwrap_or_default();
        let running = status.stage() == MachineStage::Running;
        // A node that does not run has no pods to move.
        let drained = match self.kubernetes.filter(|_| running) {
            Some(kubernetes) => Some((kubernetes, self.name(api).await?)),
            None => None,
        };
        let cordoned = match &drained {
            Some((kubernetes, name)) => {
                cx.progress(format!("draining node {name}"));
                kubernetes.cordon(name, cx).await?
            }
            None => false,
        };
        let done = async {
            if let Some((kubernetes, name)) = &drained {
                kubernetes.drain(name, DRAIN, cx).await?;
            }
            // The preparation and the drain may have taken long.
            let place = self.consent(api, restart, control_plane, cx).await?;
            let before = Before {
                boot_id: api.boot_id().await?,
                running,
                ready: status.status.is_some_and(|s| s.ready),
                place,
            };
            self.restarted(api, restart, &before, cx).await
        };
        let done = done.await;
        match (drained, cordoned) {
            (Some((kubernetes, name)), true) => self.back(done, kubernetes, &name, cx).await,
            _ => done,
        }
    }

    /// Waits for a while until etcd can do without the node.
    async fn consent(
        &self,
        api: &Api,
        restart: &dyn Restart,
        control_plane: bool,
        cx: &Context,
    ) -> Result<Place, Error> {
        if !control_plane {
            return Ok(Place::None);
        }
        let what = format!("etcd to be able to do without {}", self.node.label());
        let asked = until(cx, &what, polling().timeout(GRACE), || {
            etcd::may_restart(api)
        })
        .await;
        asked.map_err(|error| {
            let refused = Error::of_kind(error.kind(), restart.asked(), error.said());
            match (error.kind(), error.advice()) {
                (_, Some(advice)) => refused.remedy(advice),
                (ErrorKind::TimedOut, None) => refused.remedy(
                    "Every other member of etcd has to be well before one is taken out of service: `talosctl etcd status`.",
                ),
                _ => refused,
            }
        })
    }

    async fn name(&self, api: &Api) -> Result<String, Error> {
        api.nodename().await?.ok_or_else(|| {
            Error::new(
                format!("drain {}", self.node.label()),
                "it has no name in Kubernetes yet",
            )
        })
    }

    /// Lets pods onto the node again, also when it did not come back well: Kubernetes itself keeps them away from a node that is
    /// not ready.
    async fn back(
        &self,
        done: Result<(), Error>,
        kubernetes: &Cluster,
        name: &str,
        cx: &Context,
    ) -> Result<(), Error> {
        match (done, kubernetes.uncordon(name, cx).await) {
            (done, Ok(())) => done,
            (Ok(()), Err(error)) => Err(error.remedy(format!(
                "Let pods onto it again: `kubectl uncordon {name}`."
            ))),
            (Err(error), Err(_)) => {
                cx.warn(
                    format!("Node {name} is still cordoned"),
                    format!("When it is well again: `kubectl uncordon {name}`."),
                );
                Err(error)
            }
        }
    }

    async fn restarted(
        &self,
        api: &Api,
        restart: &dyn Restart,
        before: &Before,
        cx: &Context,
    ) -> Result<(), Error> {
        if let Place::Member = before.place {
            // Else etcd is without a leader until it has noticed.
            api.forfeit_leadership().await?;
        }
        let label = self.node.label();
        cx.progress(format!("restarting {label}"));
        let in_etcd = !matches!(before.place, Place::None);
        let restarts = restart.begin(api, in_etcd, cx).await?;
        let before = if restarts { Some(before) } else { None };
        let what = format!("{label} to be back");
        until(cx, &what, polling(), || self.is_back(restart, before, cx)).await
    }

    async fn is_back(
        &self,
        restart: &dyn Restart,
        before: Option<&Before>,
        cx: &Context,
    ) -> Result<Poll<()>, Error> {
        let not_yet = |why: &str| Ok(Poll::PendingBecause(why.to_owned()));
        let api = match reach(self.node, cx).await? {
            Contact::Configured(api) => api,
            Contact::Maintenance(..) => return not_yet("it is in maintenance mode"),
            Contact::Stranger(error) => return not_yet(error.said()),
            Contact::Away(why) => return not_yet(&why),
        };
        if let Some(before) = before {
            match api.boot_id().await {
                Ok(now) if now == before.boot_id => return not_yet("it has not restarted yet"),
                Ok(_) => {}
                Err(call) if call.is_final() => return Err(call.into()),
                Err(call) => return not_yet(&call.reason()),
            }
            let status = match api.machine_status().await {
                Ok(status) => status.unwrap_or_default(),
                Err(call) if call.is_final() => return Err(call.into()),
                Err(call) => return not_yet(&call.reason()),
            };
            if let Some(why) = unfit(&status, before) {
                return not_yet(&why);
            }
        }
        match restart.is_done(&api).await? {
            Poll::Ready(()) => {}
            pending => return Ok(pending),
        }
        match before.map(|b| &b.place) {
            Some(Place::Last | Place::Member) => etcd::is_back(&api).await,
            _ => Ok(Poll::Ready(())),
        }
    }
}

/// What a node still lacks to be what it was before.
fn unfit(status: &MachineStatus, before: &Before) -> Option<String> {
    let stage = status.stage();
    // A control plane node that was never bootstrapped gets no further than booting.
    if stage != MachineStage::Running && (before.running || stage != MachineStage::Booting) {
        let name = stage.as_str_name().trim_start_matches("MACHINE_STAGE_");
        return Some(format!("it is {}", name.to_lowercase().replace('_', " ")));
    }
    let readiness = status.status.as_ref();
    if before.ready && !readiness.is_some_and(|r| r.ready) {
        let unmet = readiness.map(|r| &r.unmet_conditions).into_iter().flatten();
        let unmet: Vec<String> = unmet.map(|c| format!("{}: {}", c.name, c.reason)).collect();
        return Some(format!("it is not ready: {}", unmet.join("; ")));
    }
    None
}
