//! Another release or schematic of Talos on a node.
//!
//! Since 1.13 the image is pulled and installed beside the running system, and the restart is a step of its own; before, one call
//! does it all. Facts: Talos `api/machine/lifecycle.proto` and `image.proto`.

use std::sync::atomic::{AtomicBool, Ordering};

use stead_sdk::wait::Poll;
use stead_sdk::{Context, Error, async_trait};

use super::installer::Installer;
use super::rolling::Restart;
use super::version::{Version, step};
use crate::api::machine::{UpgradeRequest, reboot_request, upgrade_request};
use crate::node::{Api, CallError, Installed};

/// The system of an installer image that is to run on a node.
pub(crate) struct Installation<'a> {
    /// Of the node, for messages.
    pub(crate) label: String,
    pub(crate) installer: &'a Installer,
    /// Through the firmware, instead of from kernel to kernel.
    pub(crate) power_cycle: bool,
    /// What runs now.
    from: Version,
    /// The node has no separate steps yet.
    at_once: AtomicBool,
}

/// The release that runs on a node, and its schematic.
pub(crate) async fn running(api: &Api) -> Result<(String, Option<String>), Error> {
    Ok((api.version().await?, api.schematic().await?))
}

impl<'a> Installation<'a> {
    /// The installation of an image on a node; `None` when its system runs there already.
    ///
    /// # Errors
    /// When the node does not say what runs, or a minor version would be skipped.
    pub(crate) async fn needed(
        api: &Api,
        label: String,
        installer: &'a Installer,
        power_cycle: bool,
    ) -> Result<Option<Installation<'a>>, Error> {
        let (version, schematic) = running(api).await?;
        if installer.is(&version, schematic.as_deref()) {
            return Ok(None);
        }
        let from = Version::parse(&version).ok_or_else(|| {
            let said = format!("it says that {version:?} runs, which is not a release");
            Error::new(format!("upgrade {label}"), said)
        })?;
        step("Talos", &from, installer.version()).map_err(|e| e.attribute("image"))?;
        Ok(Some(Installation {
            label,
            installer,
            power_cycle,
            from,
            at_once: AtomicBool::new(false),
        }))
    }

    fn failed(&self, said: String) -> Error {
        Error::new(self.asked(), said)
    }
}

#[async_trait]
impl Restart for Installation<'_> {
    fn asked(&self) -> String {
        format!("upgrade {} to {}", self.label, self.installer)
    }

    async fn prepare(&self, api: &Api, cx: &Context) -> Result<(), Error> {
        let image = self.installer.to_string();
        cx.progress(format!("pulling {image} on {}", self.label));
        match api.pull(&image).await {
            Ok(()) => {}
            Err(call) if call.is_unimplemented() => {
                self.at_once.store(true, Ordering::Relaxed);
                return Ok(());
            }
            Err(call) => {
                let error = Error::from(call);
                return Err(error.remedy(
                    "Check the image's name and that the node reaches its registry. An Image Factory knows only schematics that \
                     were given to it (`talos_image_factory_schematic`).",
                ));
            }
        }
        cx.progress(format!(
            "installing {} on {}",
            self.installer.version(),
            self.label
        ));
        let installed = api
            .install(&image, |said| {
                let line = said.trim();
                if !line.is_empty() {
                    cx.progress(format!("{}: {line}", self.label));
                }
            })
            .await?;
        match installed {
            Installed::Done => Ok(()),
            Installed::Failed(code, last) => {
                let said = format!("the installer ended with code {code}: {last}");
                Err(self.failed(said).remedy(format!(
                    "The node still runs {}; nothing was restarted.",
                    self.from
                )))
            }
        }
    }

    async fn begin(&self, api: &Api, in_etcd: bool, cx: &Context) -> Result<bool, Error> {
        let outcome = if self.at_once.load(Ordering::Relaxed) {
            let mode = if self.power_cycle {
                upgrade_request::RebootMode::Powercycle
            } else {
                upgrade_request::RebootMode::Default
            };
            cx.progress(format!(
                "installing {} on {}",
                self.installer.version(),
                self.label
            ));
            api.upgrade_at_once(UpgradeRequest {
                image: self.installer.to_string(),
                // Without it the node asks its etcd, which one that was not bootstrapped yet does not have. Its data stays either way.
                preserve: !in_etcd,
                reboot_mode: mode.into(),
                ..UpgradeRequest::default()
            })
            .await
        } else {
            let mode = if self.power_cycle {
                reboot_request::Mode::Powercycle
            } else {
                reboot_request::Mode::Default
            };
            api.reboot(mode).await
        };
        match outcome {
            Err(call) if call.lost && !call.is_final() => Ok(true),
            outcome => outcome.map(|()| true).map_err(Error::from),
        }
    }

    async fn is_done(&self, api: &Api) -> Result<Poll<()>, Error> {
        let not_yet = |call: CallError| match call.is_final() {
            true => Err(call.into()),
            false => Ok(Poll::PendingBecause(call.reason())),
        };
        let version = match api.version().await {
            Ok(version) => version,
            Err(call) => return not_yet(call),
        };
        let schematic = match api.schematic().await {
            Ok(schematic) => schematic,
            Err(call) => return not_yet(call),
        };
        if self.installer.is(&version, schematic.as_deref()) {
            return Ok(Poll::Ready(()));
        }
        let schematic = schematic.map_or_else(String::new, |id| format!(" with schematic {id}"));
        Err(self
            .failed(format!(
                "it came back with {version}{schematic}: the new system did not start, and Talos returned to the one before"
            ))
            .remedy("Look at the console or `talosctl dmesg` for why. The next run tries again."))
    }
}
