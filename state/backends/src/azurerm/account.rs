//! The storage account's container, connected to when it is first needed, and the leases that are held in it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use stead_sdk::azure::Blobs;
use stead_sdk::{Dialer, Error};
use tokio::sync::OnceCell;

use super::settings::Plan;

#[derive(Debug)]
pub(super) struct Account {
    pub(super) plan: Plan,
    dialer: Dialer,
    blobs: OnceCell<Blobs>,
    /// The leases that this process holds, by blob: what is done to a blob under a lease must name it.
    leases: Mutex<HashMap<String, String>>,
}

impl Account {
    pub(super) fn new(plan: Plan, dialer: Dialer) -> Account {
        Account {
            plan,
            dialer,
            blobs: OnceCell::new(),
            leases: Mutex::default(),
        }
    }

    pub(super) fn lease_of(&self, blob: &str) -> Option<String> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.get(blob).cloned()
    }

    pub(super) fn note_lease(&self, blob: &str, id: &str) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.insert(blob.to_owned(), id.to_owned());
    }

    pub(super) fn forget_lease(&self, blob: &str) {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        leases.remove(blob);
    }

    pub(super) async fn blobs(&self) -> Result<&Blobs, Error> {
        let connect = || self.plan.container.connect(&self.dialer);
        self.blobs.get_or_try_init(connect).await
    }
}
