//! ApplyConfiguration: checks, modes, trial with return, and what each line does differently.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::{Node, Order, Stage};
use crate::config::{self, Config, Mode};
use crate::proto::machine::apply_configuration_request::Mode as ApplyMode;
use crate::proto::machine::{ApplyConfiguration, ApplyConfigurationRequest};

/// How long a tried configuration stays when the request does not say.
const TRY_TIMEOUT: Duration = Duration::from_secs(60);

/// Ends the exclusive use of a node's configuration.
struct Exclusive<'a>(&'a Node);

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        self.0.update(|b| b.applying = false);
    }
}

impl Node {
    fn exclusive(&self) -> Result<Exclusive<'_>, Status> {
        let mut outcome = Err(Status::unavailable("the machine is down"));
        self.update(|b| {
            outcome = if b.applying {
                Err(Status::failed_precondition(
                    "another apply configuration is already in progress",
                ))
            } else {
                b.applying = true;
                Ok(())
            }
        });
        outcome.map(|()| Exclusive(self))
    }

    pub(crate) fn apply(
        self: &Arc<Self>,
        request: &ApplyConfigurationRequest,
        admin: bool,
    ) -> Result<ApplyConfiguration, Status> {
        let maintenance = self.stage() == Stage::Maintenance;
        if maintenance && self.line().small_maintenance_server() {
            return self.apply_small(request);
        }
        let exclusive = self.exclusive()?;
        if self.with_boot(|b| b.rebooting) == Some(true) {
            return Err(Status::failed_precondition(
                "configuration was already applied and node is rebooting, cannot apply more configuration changes until next reboot",
            ));
        }
        if !maintenance && !admin {
            return Err(Status::permission_denied("not authorized"));
        }
        let reply = self.apply_exclusively(request, maintenance);
        drop(exclusive);
        reply
    }

    fn validation(&self) -> Mode {
        let metal = self.platform().1 == "metal";
        Mode {
            line: self.line(),
            requires_install: metal && self.disk().installed.is_none(),
        }
    }

    /// The maintenance server up to 1.12.
    fn apply_small(
        self: &Arc<Self>,
        request: &ApplyConfigurationRequest,
    ) -> Result<ApplyConfiguration, Status> {
        let mode = mode_of(request)?;
        if !matches!(mode, ApplyMode::Try | ApplyMode::Reboot | ApplyMode::Auto) {
            let name = mode.as_str_name().to_ascii_lowercase().replace('_', "-");
            return Err(Status::unimplemented(format!(
                "apply configuration --mode='{name}' is not supported in maintenance mode"
            )));
        }
        let config = Config::load(self.line(), &request.data)
            .map_err(|e| Status::unknown(format!("failed to parse config: {e}")))?;
        let warnings = config::validate(&config, self.validation()).map_err(|e| {
            Status::invalid_argument(format!("configuration validation failed: {e}"))
        })?;
        let mut reply = ApplyConfiguration {
            warnings,
            ..ApplyConfiguration::default()
        };
        if request.dry_run {
            reply.mode_details = "Dry run summary:\nNode is running in maintenance mode and does not have a config yet.".to_owned();
            return Ok(reply);
        }
        self.lease_another_address();
        self.persist_and_use(config);
        Ok(reply)
    }

    /// The fault under which the DHCP server gives a machine another address as soon as it is configured.
    fn lease_another_address(&self) {
        let mac = self.hardware().nics.first().map(|n| n.mac.clone());
        let (Some(mac), Some(world), true) =
            (mac, self.world(), self.strike("address-changes").is_some())
        else {
            return;
        };
        let old = self.disk().lease;
        let new = super::address::lease(&mac, |a| old == Some(a) || world.is_taken(a, &self.id));
        self.update_disk(|d| d.lease = new);
    }

    fn apply_exclusively(
        self: &Arc<Self>,
        request: &ApplyConfigurationRequest,
        maintenance: bool,
    ) -> Result<ApplyConfiguration, Status> {
        let line = self.line();
        let mut mode = mode_of(request)?;
        if mode != ApplyMode::Try {
            self.end_trial();
        }
        let new = Config::load(line, &request.data).map_err(Status::invalid_argument)?;
        if !maintenance && new.main().is_none() {
            return Err(Status::invalid_argument(
                "the applied machine configuration doesn't contain v1alpha1 config, did you mean to patch the machine config instead?",
            ));
        }
        if mode == ApplyMode::Reboot && maintenance {
            mode = ApplyMode::NoReboot;
        } else if mode == ApplyMode::Reboot && line.applies_without_reboot() {
            return Err(Status::unimplemented(
                "the REBOOT mode is not supported, please use AUTO or NO_REBOOT modes instead",
            ));
        }
        let warnings =
            config::validate(&new, self.validation()).map_err(Status::invalid_argument)?;
        let old = self.config();
        let immediate = match &old {
            Some(old) if !maintenance && !line.applies_without_reboot() => {
                config::applies_immediately(old, &new)
            }
            _ => Ok(()),
        };
        let (mode, mut details) = resolve(mode, immediate)?;
        if request.dry_run {
            let difference = match &old {
                Some(old) => config::diff(&old.text, &new.text),
                None => config::diff("", &new.text),
            };
            let difference = if difference.is_empty() {
                "No changes."
            } else {
                &difference
            };
            let summary = details
                .split(": this config change")
                .next()
                .unwrap_or_default();
            return Ok(ApplyConfiguration {
                mode: mode.into(),
                mode_details: format!(
                    "Dry run summary:\n{summary} (skipped in dry-run).\nConfig diff:\n\n{difference}"
                ),
                ..ApplyConfiguration::default()
            });
        }
        match mode {
            ApplyMode::Try => {
                let wanted = request
                    .try_mode_timeout
                    .and_then(|d| Duration::try_from(d).ok());
                let timeout = wanted.unwrap_or(TRY_TIMEOUT);
                details.push_str(&format!(
                    "\nThe config is applied in 'try' mode and will be automatically reverted back in {}",
                    go_duration(timeout)
                ));
                self.try_config(new, old, timeout);
            }
            ApplyMode::Staged => self.update_disk(|d| d.config = Some(new.text)),
            ApplyMode::Reboot => {
                self.update_disk(|d| d.config = Some(new.text));
                self.order(Order::Reboot, "");
            }
            ApplyMode::NoReboot | ApplyMode::Auto => {
                if maintenance {
                    self.lease_another_address();
                }
                self.persist_and_use(new);
            }
        }
        Ok(ApplyConfiguration {
            mode: mode.into(),
            warnings,
            mode_details: details,
            ..ApplyConfiguration::default()
        })
    }

    pub(super) fn persist_and_use(self: &Arc<Self>, config: Config) {
        self.update_disk(|d| d.config = Some(config.text.clone()));
        self.use_config(Some(Arc::new(config)));
    }

    fn use_config(self: &Arc<Self>, config: Option<Arc<Config>>) {
        let line = self.line();
        let kubelet = |c: Option<Arc<Config>>| c.map(|c| super::kubelet_image(&c, line));
        let before = kubelet(self.config());
        let changed = before.is_some() && before != kubelet(config.clone());
        self.update(|b| b.config = config);
        if changed && self.with_boot(|b| b.kubelet_running) == Some(true) {
            self.restart_kubelet();
        }
        self.configured_in_maintenance();
        if let Some(world) = self.world() {
            world.node_changed(self);
        }
    }

    fn end_trial(&self) {
        let mut trial = None;
        self.update(|b| trial = b.trial.take());
        if let Some(trial) = trial {
            trial.cancel();
        }
    }

    /// Uses a configuration without saving it, and the old one again after the timeout.
    fn try_config(self: &Arc<Self>, new: Config, old: Option<Arc<Config>>, timeout: Duration) {
        let ends = CancellationToken::new();
        let mut earlier = None;
        self.update(|b| earlier = b.trial.replace(ends.clone()));
        if let Some(earlier) = earlier {
            earlier.cancel();
        }
        self.use_config(Some(Arc::new(new)));
        let node = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(timeout) => node.use_config(old),
                () = ends.cancelled() => {}
            }
        });
    }
}

fn mode_of(request: &ApplyConfigurationRequest) -> Result<ApplyMode, Status> {
    ApplyMode::try_from(request.mode).map_err(|_| {
        Status::invalid_argument(format!(
            "incorrect mode '{}' specified for the apply config call",
            request.mode
        ))
    })
}

/// The mode that will be carried out, and its description.
fn resolve(mode: ApplyMode, immediate: Result<(), String>) -> Result<(ApplyMode, String), Status> {
    const AT_ONCE: &str = "Applied configuration without a reboot";
    const REBOOT: &str = "Applied configuration with a reboot";
    Ok(match (mode, immediate) {
        (ApplyMode::Try | ApplyMode::NoReboot, Err(reason)) => {
            return Err(Status::invalid_argument(reason));
        }
        (ApplyMode::Try | ApplyMode::NoReboot, Ok(())) => (mode, AT_ONCE.to_owned()),
        (ApplyMode::Auto, Ok(())) => (ApplyMode::NoReboot, AT_ONCE.to_owned()),
        (ApplyMode::Auto, Err(reason)) => (ApplyMode::Reboot, format!("{REBOOT}: {reason}")),
        (ApplyMode::Reboot, _) => (mode, REBOOT.to_owned()),
        (ApplyMode::Staged, _) => (
            mode,
            "Staged configuration to be applied after the next reboot".to_owned(),
        ),
    })
}

/// As Go prints a duration of whole seconds.
fn go_duration(time: Duration) -> String {
    let (hours, minutes, seconds) = (
        time.as_secs() / 3600,
        time.as_secs() / 60 % 60,
        time.as_secs() % 60,
    );
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}
