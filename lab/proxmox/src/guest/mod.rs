//! What virtual machines and containers have in common: configuration, lock and digest, disks, life.

pub(crate) mod backup;
pub(crate) mod clone;
pub(crate) mod config;
pub(crate) mod console;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod disk;
pub(crate) mod drive;
pub(crate) mod feature;
pub(crate) mod kind;
pub(crate) mod migrate;
pub(crate) mod power;
pub(crate) mod routes;
pub(crate) mod rrd;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod template;
pub(crate) mod vm;
pub(crate) mod volumes;
pub(crate) mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

pub(crate) use self::kind::Kind;
use crate::error::ApiError;
use crate::routes::Call;
use crate::state::{State, Vm};
use crate::{Proxmox, lock};

pub(crate) use crate::Px;

/// What for a guest's lock is taken: how long that waits, and what its own fault switch is called.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Change,
    Create,
    Clone,
}

impl Purpose {
    fn wait(self) -> Duration {
        Duration::from_secs(match self {
            Purpose::Change => 10,
            Purpose::Create => 5,
            Purpose::Clone => 1,
        })
    }

    fn fault(self) -> &'static str {
        match self {
            Purpose::Change => "proxmox.lock-timeout.change",
            Purpose::Create => "proxmox.lock-timeout.create",
            Purpose::Clone => "proxmox.lock-timeout.clone",
        }
    }
}

impl Call {
    /// Which kind of guests the method is about.
    pub(crate) fn kind(&self) -> Kind {
        Kind::of_path(&self.path)
    }

    /// The guest in the path.
    pub(crate) fn guest<'a>(&self, state: &'a State) -> Result<&'a Vm, ApiError> {
        state
            .vm(self.node(), self.vmid())
            .ok()
            .filter(|vm| vm.kind == self.kind())
            .ok_or_else(|| ApiError::failure(no_config(self.kind(), self.node(), self.vmid())))
    }

    /// The guest in the path, which runs.
    pub(crate) fn running<'a>(&self, state: &'a State) -> Result<&'a Vm, ApiError> {
        let vm = self.guest(state)?;
        match vm.running {
            Some(_) => Ok(vm),
            None => Err(self.not_running()),
        }
    }

    pub(crate) fn not_running(&self) -> ApiError {
        ApiError::failure(format!(
            "{} {} not running",
            self.kind().noun(),
            self.vmid()
        ))
    }

    /// The guest in the path, which may be changed now: nothing else works on it, and it is as the caller last saw it.
    pub(crate) fn changeable<'a>(&self, state: &'a State) -> Result<&'a Vm, ApiError> {
        let vm = self.guest(state)?;
        check_digest(vm, self)?;
        check_lock(vm, self)?;
        Ok(vm)
    }

    /// The options of a configuration that a request sets.
    pub(crate) fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        let kind = self.kind();
        self.params
            .iter()
            .filter(move |(name, _)| kind.is_option(name))
    }
}

pub(crate) fn no_config(kind: Kind, node: &str, vmid: u32) -> String {
    let folder = kind.folder();
    format!("Configuration file 'nodes/{node}/{folder}/{vmid}.conf' does not exist")
}

impl Proxmox {
    /// Takes the lock of a guest's configuration file, or gives up as PVE does.
    pub(crate) async fn lock_vm(
        &self,
        kind: Kind,
        vmid: u32,
        purpose: Purpose,
    ) -> Result<OwnedRwLockWriteGuard<()>, String> {
        let lock = self.vm_lock(kind, vmid, purpose).await?;
        tokio::time::timeout(purpose.wait(), lock.write_owned())
            .await
            .map_err(|_| timed_out(kind, vmid))
    }

    /// Takes the lock of what is to be cloned: of a guest that is off, others may do so at the same time.
    pub(crate) async fn lock_source(
        &self,
        kind: Kind,
        vmid: u32,
        running: bool,
    ) -> Result<SourceLock, String> {
        if running {
            let alone = self.lock_vm(kind, vmid, Purpose::Clone).await?;
            return Ok(SourceLock {
                _alone: Some(alone),
                _shared: None,
            });
        }
        let lock = self.vm_lock(kind, vmid, Purpose::Clone).await?;
        let shared = tokio::time::timeout(Purpose::Clone.wait(), lock.read_owned())
            .await
            .map_err(|_| timed_out(kind, vmid))?;
        Ok(SourceLock {
            _alone: None,
            _shared: Some(shared),
        })
    }

    async fn vm_lock(
        &self,
        kind: Kind,
        vmid: u32,
        purpose: Purpose,
    ) -> Result<Arc<RwLock<()>>, String> {
        let faults = &self.lab.faults;
        if faults.is_on("proxmox.lock-timeout").await || faults.is_on(purpose.fault()).await {
            return Err(timed_out(kind, vmid));
        }
        Ok(lock(&self.locks).entry(vmid).or_default().clone())
    }
}

/// Held while a guest is cloned.
pub(crate) struct SourceLock {
    _alone: Option<OwnedRwLockWriteGuard<()>>,
    _shared: Option<OwnedRwLockReadGuard<()>>,
}

fn timed_out(kind: Kind, vmid: u32) -> String {
    format!("can't lock file '{}' - got timeout", kind.lock_file(vmid))
}

/// Refuses to work on a guest that something else works on; only root@pam may look past that.
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
    vm.check_unlocked().map_err(ApiError::failure)
}

/// As the file's digest: changes whenever the configuration does.
pub(crate) fn digest(vm: &Vm) -> String {
    use sha1::{Digest, Sha1};
    let mut hasher = Sha1::new();
    for (key, value) in &vm.config {
        hasher.update(format!("{key}: {value}\n"));
    }
    for (key, value) in &vm.raw {
        hasher.update(format!("{key}: {value}\n"));
    }
    for (key, value) in &vm.pending {
        hasher.update(format!("[PENDING] {key}: {value:?}\n"));
    }
    for (name, section) in &vm.snapshots {
        hasher.update(format!("[{name}] {section:?}\n"));
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

impl Vm {
    /// Whether something else works on it.
    pub(crate) fn check_unlocked(&self) -> Result<(), String> {
        match self.config.get("lock") {
            None => Ok(()),
            Some(what) => Err(format!("{} is locked ({what})", self.kind.noun())),
        }
    }

    /// `can't remove VM 100 - protection mode enabled`
    pub(crate) fn check_protection(&self, what: &str) -> Result<(), String> {
        if self.config.get("protection").is_some_and(|p| p == "1") {
            return Err(format!("{what} - protection mode enabled"));
        }
        Ok(())
    }
}
