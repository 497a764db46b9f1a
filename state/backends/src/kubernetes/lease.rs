//! The lock: a Lease, whose holder is the lock's id.

use serde_json::{Value as Json, json};
use stead_sdk::Error;
use stead_sdk::kube::{Propagation, find, text};
use stead_state::{BackendError, LockInfo};

use super::Workspace;
use crate::sending::failed;

const LOCK_INFO: &str = "app.terraform.io/lock-info";
const MANAGER: &str = "stead";
/// How often others may change the Lease between our look and our change before it is a failure.
const ATTEMPTS: usize = 5;

/// Who holds the lock. An id without a note is a lock all the same.
struct Holder {
    id: String,
    info: Option<LockInfo>,
}

fn holder(lease: &Json) -> Option<Holder> {
    let id = find(lease, &["spec", "holderIdentity"]).and_then(Json::as_str)?;
    let info = text(lease, &["metadata", "annotations", LOCK_INFO]);
    Some(Holder {
        id: id.to_owned(),
        info: serde_json::from_str(info).ok(),
    })
}

impl Holder {
    fn error(self, reason: String) -> BackendError {
        BackendError::Locked {
            holder: self.info.map(Box::new),
            reason,
        }
    }
}

/// Whether the other side may or may not have done it, or somebody else was faster: a look will tell.
fn is_doubtful(error: &Error) -> bool {
    error.is_transient() || error.status() == Some(409)
}

impl Workspace {
    async fn find_lease(&self) -> Result<Option<Json>, BackendError> {
        let (cluster, cx) = self.place.looking();
        let lease = self.place.lease(&self.names.lease);
        cluster.get(&lease, &cx).await.map_err(failed)
    }

    pub(super) async fn take(&self, info: &LockInfo) -> Result<String, BackendError> {
        let note = serde_json::to_string(info)
            .map_err(|e| BackendError::failed("write down who holds the lock", e.to_string()))?;
        let mut doubt = None;
        for _ in 0..ATTEMPTS {
            let found = self.find_lease().await?;
            match found.as_ref().and_then(holder) {
                // Also what an earlier attempt did whose answer was lost.
                Some(held) if held.id == info.id => return Ok(held.id),
                Some(held) => {
                    let reason = "the state is already locked by another client".to_owned();
                    return Err(held.error(reason));
                }
                None => {}
            }
            let (cluster, cx) = self.place.changing();
            let lease = self.place.lease(&self.names.lease);
            let done = match found {
                None => {
                    let manifest = json!({
                        "apiVersion": lease.api_version,
                        "kind": lease.kind,
                        "metadata": {
                            "name": lease.name,
                            "namespace": lease.namespace,
                            "labels": self.names.labels,
                            "annotations": { LOCK_INFO: note },
                        },
                        "spec": { "holderIdentity": info.id },
                    });
                    cluster.create(&manifest, MANAGER, &cx).await
                }
                Some(found) => {
                    let patch = json!({
                        "metadata": {
                            // Fails when somebody changed the Lease since.
                            "resourceVersion": text(&found, &["metadata", "resourceVersion"]),
                            "annotations": { LOCK_INFO: note },
                        },
                        "spec": { "holderIdentity": info.id },
                    });
                    cluster.merge(&lease, &patch, MANAGER, &cx).await
                }
            };
            match done {
                Ok(_) => return Ok(info.id.clone()),
                Err(error) if is_doubtful(&error) => doubt = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(undecided(doubt))
    }

    pub(super) async fn release(&self, id: &str) -> Result<(), BackendError> {
        let mut doubt = None;
        for _ in 0..ATTEMPTS {
            let found = self.find_lease().await?;
            let Some((found, held)) = found.and_then(|l| holder(&l).map(|h| (l, h))) else {
                return match doubt {
                    // An earlier attempt did it, and its answer was lost.
                    Some(_) => Ok(()),
                    None => Err(BackendError::LockLost),
                };
            };
            if held.id != id {
                let reason = format!("lock id {id:?} does not match existing lock");
                return Err(held.error(reason));
            }
            let patch = json!({
                "metadata": {
                    "resourceVersion": text(&found, &["metadata", "resourceVersion"]),
                    "annotations": { LOCK_INFO: null },
                },
                "spec": { "holderIdentity": null },
            });
            let (cluster, cx) = self.place.changing();
            let lease = self.place.lease(&self.names.lease);
            match cluster.merge(&lease, &patch, MANAGER, &cx).await {
                Ok(_) => return Ok(()),
                Err(error) if is_doubtful(&error) => doubt = Some(error),
                Err(error) => return Err(failed(error)),
            }
        }
        Err(undecided(doubt))
    }

    pub(super) async fn is_holder(&self, id: &str) -> Result<(), BackendError> {
        match self.find_lease().await?.as_ref().and_then(holder) {
            None => Err(BackendError::LockLost),
            Some(held) if held.id == id => Ok(()),
            Some(held) => Err(held.error("somebody else holds the lock".to_owned())),
        }
    }

    pub(super) async fn remove_lease(&self) -> Result<(), BackendError> {
        let (cluster, cx) = self.place.changing();
        let lease = self.place.lease(&self.names.lease);
        let gone = cluster.delete(&lease, Propagation::Background, &cx).await;
        gone.map(|_| ()).map_err(failed)
    }
}

/// Every time somebody else was faster, or no answer came.
fn undecided(doubt: Option<Error>) -> BackendError {
    match doubt {
        Some(error) if error.is_transient() => failed(error),
        _ => BackendError::Locked {
            holder: None,
            reason: "others are taking the lock and giving it back all the time".to_owned(),
        },
    }
}
