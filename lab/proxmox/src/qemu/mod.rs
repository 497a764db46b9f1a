//! Virtual machines: their configuration, disks, life and guest agent.

pub(crate) mod agent;
pub(crate) mod clone;
pub(crate) mod cloudinit;
pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod disk;
pub(crate) mod drive;
pub(crate) mod hardware;
pub(crate) mod permission;
pub(crate) mod power;
pub(crate) mod status;
pub(crate) mod update;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::error::ApiError;
use crate::routes::Call;
use crate::schema::spec::Spec;
use crate::state::Vm;
use crate::{Proxmox, lock};

/// The method whose parameters are the options of a VM's configuration.
const CREATE: &str = "/nodes/{node}/qemu";

/// How long a change of the configuration waits for the VM's lock.
pub(crate) const CHANGE_WAIT: Duration = Duration::from_secs(10);
pub(crate) const CREATE_WAIT: Duration = Duration::from_secs(5);
pub(crate) const CLONE_WAIT: Duration = Duration::from_secs(1);

/// Parameters of `POST qemu` and `PUT config` that are not configuration.
pub(crate) const NOT_CONFIG: &[&str] = &[
    "node",
    "vmid",
    "archive",
    "background_delay",
    "bwlimit",
    "delete",
    "digest",
    "force",
    "ha-managed",
    "import-working-storage",
    "live-restore",
    "pool",
    "revert",
    "skiplock",
    "start",
    "storage",
    "unique",
];

impl Proxmox {
    /// What the contract says of a configuration option, such as `net0`.
    pub(crate) fn config_option(&self, key: &str) -> Option<&Spec> {
        if NOT_CONFIG.contains(&key) {
            None
        } else {
            self.api.option("POST", CREATE, key)
        }
    }

    /// Takes the lock of a VM's configuration file, or gives up as PVE does.
    pub(crate) async fn lock_vm(
        &self,
        vmid: u32,
        wait: Duration,
    ) -> Result<OwnedMutexGuard<()>, String> {
        let timed_out =
            || format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout");
        if self.lab.faults.is_on("proxmox.lock-timeout").await {
            return Err(timed_out());
        }
        let mutex = lock(&self.locks).entry(vmid).or_default().clone();
        tokio::time::timeout(wait, mutex.lock_owned())
            .await
            .map_err(|_| timed_out())
    }
}

/// Refuses to work on a VM that something else works on; only root@pam may look past that.
pub(crate) fn check_lock(vm: &Vm, call: &Call) -> Result<(), ApiError> {
    if call.params.is_on("skiplock") {
        let root = call.caller.is_root();
        return if root {
            Ok(())
        } else {
            Err(ApiError::parameter(
                "skiplock",
                "Only root may use this option.",
            ))
        };
    }
    match vm.config.get("lock") {
        None => Ok(()),
        Some(what) => Err(ApiError::failure(format!("VM is locked ({what})"))),
    }
}

/// As the file's digest: changes whenever the configuration does.
pub(crate) fn digest(vm: &Vm) -> String {
    use sha1::{Digest, Sha1};
    let mut hasher = Sha1::new();
    for (key, value) in &vm.config {
        hasher.update(format!("{key}: {value}\n"));
    }
    for (key, value) in &vm.pending {
        hasher.update(format!("[PENDING] {key}: {value:?}\n"));
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

pub(crate) fn check_digest(vm: &Vm, call: &Call) -> Result<(), ApiError> {
    match call.params.get("digest") {
        Some(given) if given != digest(vm) => Err(ApiError::failure(
            "checksum mismatch (file change by other user?)",
        )),
        _ => Ok(()),
    }
}

/// The shared handle, named once.
pub(crate) type Px = Arc<Proxmox>;
