//! What a node tells about itself: its stage and its services.

use super::{Boot, Node};

/// Where a machine is in its life, numbered as the API does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Off = 0,
    Booting = 1,
    Installing = 2,
    Maintenance = 3,
    Running = 4,
    Rebooting = 5,
    ShuttingDown = 6,
    Resetting = 7,
    Upgrading = 8,
}

impl Stage {
    pub(crate) fn number(self) -> i32 {
        self as i32
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Off => "unknown",
            Stage::Booting => "booting",
            Stage::Installing => "installing",
            Stage::Maintenance => "maintenance",
            Stage::Running => "running",
            Stage::Rebooting => "rebooting",
            Stage::ShuttingDown => "shutting down",
            Stage::Resetting => "resetting",
            Stage::Upgrading => "upgrading",
        }
    }

    pub(super) fn has_network(self) -> bool {
        matches!(
            self,
            Stage::Booting | Stage::Maintenance | Stage::Running | Stage::Installing
        )
    }
}

impl Boot {
    /// A configured node runs once its own services do.
    pub(crate) fn stage(&self) -> Stage {
        match self.stage {
            Stage::Booting if self.services_ready() => Stage::Running,
            other => other,
        }
    }

    fn services_ready(&self) -> bool {
        let control_plane = self.config.as_ref().is_some_and(|c| c.is_control_plane());
        self.api_up && self.kubelet_running && (!control_plane || self.etcd_running)
    }

    /// What keeps the machine from being ready.
    pub(crate) fn unmet(&self) -> Vec<(&'static str, String)> {
        let waiting: Vec<&str> = services(self)
            .into_iter()
            .filter(|s| !(s.state == "Running" && s.healthy != Some(false)))
            .map(|s| s.id)
            .collect();
        match waiting.is_empty() {
            true => Vec::new(),
            false => vec![("services", format!("[{}] not running", waiting.join(" ")))],
        }
    }
}

/// A service as `ServiceList` tells it.
pub(crate) struct Service {
    pub(crate) id: &'static str,
    pub(crate) state: &'static str,
    pub(crate) message: &'static str,
    /// `None`: no health check.
    pub(crate) healthy: Option<bool>,
}

fn service(
    id: &'static str,
    running: bool,
    healthy: Option<bool>,
    waiting: &'static str,
) -> Service {
    match running {
        true => Service {
            id,
            state: "Running",
            message: "Started task",
            healthy,
        },
        false => Service {
            id,
            state: waiting,
            message: match waiting {
                "Finished" => "Service finished successfully",
                "Waiting" => "Waiting for conditions",
                "Failed" => "Failed to run pre stage: failed to restore etcd snapshot",
                _ => "Running pre state",
            },
            healthy: None,
        },
    }
}

/// Every service of the running system, in alphabetical order.
pub(crate) fn services(boot: &Boot) -> Vec<Service> {
    let mut found = vec![service(
        "apid",
        boot.stage == Stage::Maintenance || boot.api_up,
        Some(true),
        "Waiting",
    )];
    found.push(service("auditd", true, Some(true), ""));
    found.push(service("containerd", true, Some(true), ""));
    if boot.config.is_none() {
        found.push(service("machined", true, Some(true), ""));
        found.push(service("syslogd", true, Some(true), ""));
        found.push(service("udevd", true, Some(true), ""));
        return found;
    }
    let control_plane = boot.config.as_ref().is_some_and(|c| c.is_control_plane());
    found.push(service("cri", true, Some(true), ""));
    if control_plane {
        let waiting = if boot.etcd_left {
            "Finished"
        } else if boot.etcd_failed {
            "Failed"
        } else {
            "Preparing"
        };
        found.push(service(
            "etcd",
            boot.etcd_running,
            Some(boot.etcd_healthy),
            waiting,
        ));
    }
    if boot.image.guest_agent {
        let stopped = boot.stopped.contains("ext-qemu-guest-agent");
        found.push(service("ext-qemu-guest-agent", !stopped, None, "Finished"));
    }
    found.push(service(
        "kubelet",
        boot.kubelet_running,
        Some(true),
        "Waiting",
    ));
    found.push(service("machined", true, Some(true), ""));
    found.push(service("syslogd", true, Some(true), ""));
    if control_plane {
        found.push(service("trustd", boot.api_up, Some(true), "Waiting"));
    }
    found.push(service("udevd", true, Some(true), ""));
    found
}

impl Node {
    pub(crate) fn services(&self) -> Vec<Service> {
        self.with_boot(services).unwrap_or_default()
    }
}
