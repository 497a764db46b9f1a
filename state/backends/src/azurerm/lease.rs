//! The lock: an infinite lease on the state's blob, with a note in the blob's metadata.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stead_sdk::Error;
use stead_sdk::azure::{Properties, Refusal};
use stead_state::{BackendError, LockInfo};

use super::{STATE_TYPE, Workspace};
use crate::sending::{OrFailed as _, failed};

/// In lower case: OpenTofu's client and Terraform's write it in different cases.
const NOTE: &str = "terraformlockid";

/// How long a lease lasts that nobody has written a name to yet, in seconds: who is killed just then leaves no lock that nobody can break by its
/// id.
const NAMELESS: i32 = 60;
const FOR_EVER: i32 = -1;

/// Who holds the lease, if that is written down.
fn holder(found: &Properties) -> Option<LockInfo> {
    let note = STANDARD.decode(found.metadata.get(NOTE)?).ok()?;
    serde_json::from_slice(&note).ok()
}

impl Workspace {
    async fn look(&self, lease: Option<&str>) -> Result<Option<Properties>, Refusal> {
        let blobs = self.account.blobs().await?;
        blobs.properties(&self.blob, lease).await
    }

    /// Whether the lease is there and of this id: the service takes the id of a lease that is not, never.
    async fn is_leased_as(&self, id: &str) -> Result<bool, BackendError> {
        match self.look(Some(id)).await {
            Ok(found) => Ok(found.is_some_and(|f| f.leased)),
            Err(refusal) if refusal.is_about_the_lease() => Ok(false),
            Err(refusal) => Err(failed(refusal.into())),
        }
    }

    /// What stands in the way: the lock of somebody else, as far as it can be told.
    async fn locked(&self, reason: &str) -> BackendError {
        let found = self.look(None).await.ok().flatten();
        BackendError::Locked {
            holder: found.as_ref().and_then(holder).map(Box::new),
            reason: reason.to_owned(),
        }
    }

    /// The refusal of something done to the blob: perhaps it is about the lock.
    pub(super) async fn explain(&self, refusal: Refusal) -> BackendError {
        match refusal.code.as_str() {
            "LeaseIdMissing" => self.locked("the state blob is locked").await,
            "LeaseIdMismatchWithBlobOperation" => {
                self.locked("the state blob is locked by somebody else")
                    .await
            }
            "LeaseNotPresentWithBlobOperation" | "LeaseLost" => BackendError::LockLost,
            _ => failed(refusal.into()),
        }
    }

    pub(super) async fn take(&self, info: &LockInfo) -> Result<String, BackendError> {
        let blobs = self.account.blobs().await.or_failed()?;
        match self.look(None).await.or_failed()? {
            None => blobs.make(&self.blob, STATE_TYPE).await.or_failed()?,
            // Also what an earlier try took whose answer was lost.
            Some(found) if found.leased && !self.is_leased_as(&info.id).await? => {
                return Err(self.locked("state blob is already locked").await);
            }
            Some(_) => {}
        }
        if let Err(refusal) = blobs.acquire(&self.blob, &info.id, NAMELESS).await {
            if !refusal.is_about_the_lease() {
                return Err(failed(refusal.into()));
            }
            if !self.is_leased_as(&info.id).await? {
                return Err(self.locked("state blob is already locked").await);
            }
        }
        let named = match self.annotate(&info.id, Some(info)).await {
            Ok(()) => blobs.acquire(&self.blob, &info.id, FOR_EVER).await,
            refused => refused,
        };
        match named {
            Ok(()) => {
                self.account.note_lease(&self.blob, &info.id);
                Ok(info.id.clone())
            }
            Err(refusal) => {
                // Nobody could say whose lock it is. The first failure is the one to tell of.
                let _ = blobs.release(&self.blob, &info.id).await;
                Err(failed(refusal.into()))
            }
        }
    }

    /// Writes down who holds the lease, or takes that away.
    async fn annotate(&self, lease: &str, info: Option<&LockInfo>) -> Result<(), Refusal> {
        let found = self.look(Some(lease)).await?;
        let mut metadata = found.map(|f| f.metadata).unwrap_or_default();
        match info {
            Some(info) => {
                let note = serde_json::to_vec(info)
                    .map_err(|e| Error::new("write down who holds the lock", e.to_string()))?;
                metadata.insert(NOTE.to_owned(), STANDARD.encode(note));
            }
            None => {
                metadata.remove(NOTE);
            }
        }
        let blobs = self.account.blobs().await?;
        blobs.set_metadata(&self.blob, &metadata, lease).await
    }

    pub(super) async fn release(&self, id: &str) -> Result<(), BackendError> {
        let Some(found) = self.look(None).await.or_failed()?.filter(|f| f.leased) else {
            self.account.forget_lease(&self.blob);
            return Err(BackendError::LockLost);
        };
        if !self.is_leased_as(id).await? {
            return Err(BackendError::Locked {
                holder: holder(&found).map(Box::new),
                reason: format!("lock id {id:?} does not match existing lock"),
            });
        }
        let blobs = self.account.blobs().await.or_failed()?;
        let done = match self.annotate(id, None).await {
            Ok(()) => blobs.release(&self.blob, id).await,
            Err(refusal) => Err(refusal),
        };
        match done {
            // An earlier try did it, and its answer was lost.
            Err(refusal) if refusal.is_about_the_lease() && !self.is_leased_as(id).await? => {}
            done => done.or_failed()?,
        }
        self.account.forget_lease(&self.blob);
        Ok(())
    }

    pub(super) async fn is_holder(&self, id: &str) -> Result<(), BackendError> {
        if self.is_leased_as(id).await? {
            return Ok(());
        }
        match self.look(None).await.or_failed()? {
            Some(found) if found.leased => Err(BackendError::Locked {
                holder: holder(&found).map(Box::new),
                reason: "somebody else holds the lock".to_owned(),
            }),
            _ => Err(BackendError::LockLost),
        }
    }
}
