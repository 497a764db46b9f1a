//! Getting a configuration onto a node, and waiting until the node lives by it.

use std::sync::atomic::{AtomicBool, Ordering};

use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Error, Fingerprint};
use tonic::Code;

use crate::api::machine::ApplyMode;
use crate::api::specs::MachineStage;
use crate::machinery::Secret;
use crate::node::{Api, CallError, Contact, Node, advised, polling};
use crate::render;

/// A configuration on its way.
pub(in crate::resources) struct Delivery {
    pub(in crate::resources) node: Node,
    pub(in crate::resources) config: Secret,
    /// As configured.
    pub(in crate::resources) mode: String,
    /// The node was configured before: it has to prove itself.
    pub(in crate::resources) known: bool,
    /// The attribute with the configuration, which is to blame when the node refuses it.
    pub(in crate::resources) attribute: &'static str,
}

/// How far the delivery has come.
#[derive(Default)]
struct Way {
    /// An answer got lost: the node may have the configuration already.
    sent: AtomicBool,
    /// Nothing answered, the last time.
    away: AtomicBool,
}

impl Way {
    fn sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

/// What the node did with the configuration.
pub(in crate::resources) struct Accepted {
    /// The mode that was used, in the spelling of the attribute.
    pub(in crate::resources) mode: String,
    after: After,
}

enum After {
    /// It lives by it already, or will with its next start.
    Nothing,
    /// It installs itself and starts for the first time.
    FirstBoot,
    /// It starts again.
    Reboot(Before),
}

/// What the node was before a restart.
struct Before {
    boot_id: Option<String>,
    /// Its services all ran.
    running: bool,
}

fn spelled(mode: ApplyMode) -> &'static str {
    match mode {
        ApplyMode::Reboot => "reboot",
        ApplyMode::Auto => "auto",
        ApplyMode::NoReboot => "no_reboot",
        ApplyMode::Staged => "staged",
        ApplyMode::Try => "try",
    }
}

/// The mode behind the attribute's text. Never unset: the protocol's default is a reboot.
pub(super) fn plain_mode(text: &str) -> ApplyMode {
    match text {
        "reboot" => ApplyMode::Reboot,
        "no_reboot" => ApplyMode::NoReboot,
        "staged" => ApplyMode::Staged,
        _ => ApplyMode::Auto,
    }
}

impl Delivery {
    /// Sends the configuration until the node takes or refuses it.
    pub(in crate::resources) async fn deliver(&self, cx: &Context) -> Result<Accepted, Error> {
        let what = format!("{} to take its configuration", self.node.label());
        let way = Way::default();
        let taken = until(cx, &what, polling(), || self.attempt(&way, cx)).await;
        taken.map_err(|error| match way.away.load(Ordering::Relaxed) {
            true => advised(error, || {
                "Check that the machine is on, that `node` and `endpoint` are its address, and that its port 50000 can be reached \
                 from here."
                    .to_owned()
            }),
            false => error,
        })
    }

    async fn attempt(&self, way: &Way, cx: &Context) -> Result<Poll<Accepted>, Error> {
        let was_sent = way.sent();
        let contact = self.node.contact(cx).await?;
        let away = matches!(contact, Contact::Away(_));
        way.away.store(away, Ordering::Relaxed);
        match contact {
            Contact::Configured(api) => self.update(&api, way, cx).await,
            Contact::Maintenance(..) if self.known => Err(self.reinstalled()),
            Contact::Maintenance(api, certificate) => {
                self.is_the_one(certificate, cx).await?;
                cx.progress(format!(
                    "configuring {} in maintenance mode; its certificate (SHA-256 {certificate}) cannot be verified yet",
                    self.node.label()
                ));
                self.first(&api, way, cx).await
            }
            // Between maintenance mode and the first start anything may show.
            Contact::Stranger(error) if was_sent => {
                Ok(Poll::PendingBecause(error.said().to_owned()))
            }
            Contact::Stranger(error) => Err(error),
            Contact::Away(why) => {
                if was_sent && self.moved(cx).await? {
                    return Ok(Poll::Ready(self.accepted_first()));
                }
                Ok(Poll::PendingBecause(why))
            }
        }
    }

    /// Whether the machine that answers at the endpoint may be the node. In maintenance mode requests are not passed on: what is sent
    /// stays with the one that answers, be it another one than the node.
    ///
    /// # Errors
    /// When another machine has the node's address.
    async fn is_the_one(&self, certificate: Fingerprint, cx: &Context) -> Result<(), Error> {
        let Some(direct) = self.node.direct() else {
            return Ok(());
        };
        let other = match direct.contact(cx).await {
            Err(error) if error.is_cancelled() => return Err(error),
            // It gets this address with its configuration, or only the endpoint can be reached from here.
            Err(_) | Ok(Contact::Away(_)) => return Ok(()),
            Ok(Contact::Maintenance(_, shown)) if shown == certificate => return Ok(()),
            Ok(Contact::Maintenance(..)) => "another machine in maintenance mode",
            Ok(Contact::Configured(_)) => "a machine of this cluster that is configured already",
            Ok(Contact::Stranger(_)) => "a machine that is not of this cluster",
        };
        let said = format!(
            "a machine in maintenance mode answers at the endpoint {}, and {other} at {}",
            self.node.address(),
            direct.address()
        );
        Err(
            Error::new(format!("configure node {}", self.node.name()), said)
                .remedy(
                    "Nothing was sent. Name the node's own address as `endpoint`, or leave it out.",
                )
                .attribute("endpoint"),
        )
    }

    fn accepted_first(&self) -> Accepted {
        Accepted {
            mode: self.plain_mode().0.to_owned(),
            after: After::FirstBoot,
        }
    }

    fn reinstalled(&self) -> Error {
        Error::new(
            format!("configure {}", self.node.label()),
            "it was configured before, and is in maintenance mode now, where nothing proves which machine it is",
        )
        .remedy(
            "If the node was reset or installed anew on purpose, let stead make its first contact again: \
             `-replace=ADDRESS`.",
        )
        .attribute("node")
    }

    /// The mode for a node that is not asked first.
    fn plain_mode(&self) -> (&'static str, ApplyMode) {
        let mode = plain_mode(&self.mode);
        (spelled(mode), mode)
    }

    /// The first contact.
    async fn first(&self, api: &Api, way: &Way, cx: &Context) -> Result<Poll<Accepted>, Error> {
        let (_, mode) = self.plain_mode();
        match api.apply(self.config.expose(), mode, false).await {
            Ok(reply) => {
                warn(cx, &reply.warnings);
                Ok(Poll::Ready(self.accepted_first()))
            }
            Err(call) => self.refused(call, way),
        }
    }

    /// A node that lives by a configuration already.
    async fn update(&self, api: &Api, way: &Way, cx: &Context) -> Result<Poll<Accepted>, Error> {
        if way.sent() && self.is_on_disk(api).await {
            // It restarted, or never had to: either way it has to come up.
            return Ok(Poll::Ready(self.accepted_first()));
        }
        let (mut name, mut mode) = self.plain_mode();
        if self.mode == "staged_if_needing_reboot" {
            let preview = match api.apply(self.config.expose(), ApplyMode::Auto, true).await {
                Ok(preview) => preview,
                Err(call) if call.is_final() => return Err(self.rejection(call)),
                Err(call) => return Ok(Poll::PendingBecause(call.reason())),
            };
            if preview.mode() == ApplyMode::Reboot {
                (name, mode) = (spelled(ApplyMode::Staged), ApplyMode::Staged);
                cx.warn(
                    "The configuration is staged",
                    format!(
                        "{} has to be restarted to live by it: `talosctl reboot`.",
                        self.node.label()
                    ),
                );
            }
        }
        let before = if matches!(mode, ApplyMode::Auto | ApplyMode::Reboot) {
            before(api).await
        } else {
            Before {
                boot_id: None,
                running: false,
            }
        };
        match api.apply(self.config.expose(), mode, false).await {
            Ok(reply) => {
                warn(cx, &reply.warnings);
                let after = if reply.mode() == ApplyMode::Reboot {
                    After::Reboot(before)
                } else {
                    After::Nothing
                };
                let mode = name.to_owned();
                Ok(Poll::Ready(Accepted { mode, after }))
            }
            Err(call) => self.refused(call, way),
        }
    }

    /// Whether the node holds this configuration; an answer that does not come is a no.
    async fn is_on_disk(&self, api: &Api) -> bool {
        for id in ["persistent", "v1alpha1"] {
            if let Ok(Some(found)) = api.machine_config(id).await {
                return render::same(found.expose(), self.config.expose());
            }
        }
        false
    }

    /// Whether the configuration has moved the node to its own address, away from the endpoint.
    async fn moved(&self, cx: &Context) -> Result<bool, Error> {
        let Some(direct) = self.node.direct() else {
            return Ok(false);
        };
        match direct.contact(cx).await? {
            Contact::Configured(api) => Ok(self.is_on_disk(&api).await),
            _ => Ok(false),
        }
    }

    /// Waits until the node has done what its configuration made it do.
    pub(in crate::resources) async fn settle(
        &self,
        accepted: &Accepted,
        cx: &Context,
    ) -> Result<(), Error> {
        let (what, before) = match &accepted.after {
            After::Nothing => return Ok(()),
            After::FirstBoot => ("to start with its configuration", None),
            After::Reboot(before) => ("to restart with its configuration", Some(before)),
        };
        let what = format!("{} {what}", self.node.label());
        let away = AtomicBool::new(false);
        let up = until(cx, &what, polling(), || self.is_up(before, &away, cx)).await;
        up.map_err(|error| match away.load(Ordering::Relaxed) {
            true => advised(error, || {
                "The machine has its configuration, and nothing is lost. If it has got another address by that, or by a lease, name the \
                 new one as `node`, and as `endpoint` where that is set; else look at its console. The next run goes on from there."
                    .to_owned()
            }),
            false => error,
        })
    }

    async fn is_up(
        &self,
        before: Option<&Before>,
        away: &AtomicBool,
        cx: &Context,
    ) -> Result<Poll<()>, Error> {
        let mut contact = self.node.contact(cx).await?;
        if let (Contact::Away(_) | Contact::Stranger(_), Some(direct)) =
            (&contact, self.node.direct())
        {
            contact = direct.contact(cx).await?;
        }
        away.store(matches!(contact, Contact::Away(_)), Ordering::Relaxed);
        let api = match contact {
            Contact::Configured(api) => api,
            Contact::Maintenance(..) => {
                return Ok(Poll::PendingBecause(
                    "it is still in maintenance mode".to_owned(),
                ));
            }
            Contact::Stranger(error) => return Ok(Poll::PendingBecause(error.said().to_owned())),
            Contact::Away(why) => return Ok(Poll::PendingBecause(why)),
        };
        if let Some(old) = before.and_then(|b| b.boot_id.as_ref()) {
            match api.boot_id().await {
                Ok(now) if now == *old => {
                    return Ok(Poll::PendingBecause("it has not restarted yet".to_owned()));
                }
                Ok(_) => {}
                Err(call) if call.is_final() => return Err(call.into()),
                Err(call) => return Ok(Poll::PendingBecause(call.reason())),
            }
        }
        match api.machine_status().await {
            Ok(Some(status)) => {
                // A control plane node without etcd stays at booting until it is bootstrapped.
                let booting =
                    status.stage() == MachineStage::Booting && before.is_none_or(|b| !b.running);
                if booting || status.stage() == MachineStage::Running {
                    return Ok(Poll::Ready(()));
                }
                let stage = status
                    .stage()
                    .as_str_name()
                    .trim_start_matches("MACHINE_STAGE_");
                Ok(Poll::PendingBecause(format!(
                    "it is {}",
                    stage.to_lowercase().replace('_', " ")
                )))
            }
            Ok(None) => Ok(Poll::PendingBecause("it has no status yet".to_owned())),
            Err(call) if call.is_final() => Err(call.into()),
            Err(call) => Ok(Poll::PendingBecause(call.reason())),
        }
    }

    fn refused(&self, call: CallError, way: &Way) -> Result<Poll<Accepted>, Error> {
        if call.is_final() || is_unreadable(&call) {
            return Err(self.rejection(call));
        }
        if call.lost {
            way.sent.store(true, Ordering::Relaxed);
        }
        Ok(Poll::PendingBecause(call.reason()))
    }

    /// What the node has against the configuration.
    fn rejection(&self, call: CallError) -> Error {
        let unreadable = is_unreadable(&call);
        let invalid = call.code == Code::InvalidArgument;
        let error = Error::from(call);
        if unreadable {
            error
                .remedy(
                    "The node's release of Talos does not know this. Generate the configuration for that release (`talos_version` of \
                     `talos_machine_configuration`), or boot the machine from an image of the release that it is written for.",
                )
                .attribute(self.attribute)
        } else if invalid {
            error
                .remedy(format!("Correct `{}`, or its patches.", self.attribute))
                .attribute(self.attribute)
        } else {
            error
        }
    }
}

/// Whether the node cannot even read the configuration. In maintenance mode Talos up to 1.12 says so without a code of its own.
/// Facts: Talos `internal/app/maintenance/server.go`, `pkg/machinery/config/configloader/internal/decoder`.
fn is_unreadable(call: &CallError) -> bool {
    let said = call.error.said();
    let unknown = ["not registered", "unknown keys found during decoding"];
    said.contains("failed to parse config")
        || (call.code == Code::InvalidArgument && unknown.iter().any(|text| said.contains(text)))
}

async fn before(api: &Api) -> Before {
    let running = match api.machine_status().await {
        Ok(Some(status)) => status.stage() == MachineStage::Running,
        _ => false,
    };
    // Without it, the stage alone tells when the restart is over.
    Before {
        boot_id: api.boot_id().await.ok().filter(|id| !id.is_empty()),
        running,
    }
}

fn warn(cx: &Context, warnings: &[String]) {
    for warning in warnings {
        cx.warn("Talos warns about the configuration", warning.clone());
    }
}
