//! One workspace: its object, its lock, and what lies beside it.
//!
//! The lock is the reference's: the object `KEY.tflock`, put with `If-None-Match: *`. Files beside the state are `KEY.stead.NAME`: no key
//! of that form is a workspace's, wherever the folder of the workspaces is.

use std::sync::Arc;

use async_trait::async_trait;
use stead_sdk::s3::{Bucket, Put};
use stead_state::{BackendError, LockInfo, Store};

use crate::sending::OrFailed as _;

#[derive(Debug)]
pub(super) struct Object {
    pub(super) bucket: Arc<Bucket>,
    pub(super) key: String,
    /// Whether there are locks at all.
    pub(super) locks: bool,
}

impl Object {
    fn lock_key(&self) -> String {
        format!("{}.tflock", self.key)
    }

    /// Who has the lock. `Some(None)`: somebody, whose note cannot be read.
    async fn holder(&self) -> Result<Option<Option<LockInfo>>, BackendError> {
        let content = self.bucket.get(&self.lock_key()).await.or_failed()?;
        Ok(content.map(|content| serde_json::from_slice(&content).ok()))
    }

    /// That the lock is `id`'s.
    async fn expect(&self, id: &str) -> Result<(), BackendError> {
        match self.holder().await? {
            None => Err(BackendError::LockLost),
            Some(Some(holder)) if holder.id == id => Ok(()),
            Some(holder) => {
                let there = holder
                    .as_ref()
                    .map_or("an unknown one", |holder| holder.id.as_str());
                let reason =
                    format!("lock ID '{id}' does not match the existing lock ID '{there}'");
                Err(BackendError::Locked {
                    holder: holder.map(Box::new),
                    reason,
                })
            }
        }
    }
}

/// The key of a file beside the state.
pub(super) fn beside(key: &str, name: &str) -> String {
    format!("{key}.stead.{name}")
}

#[async_trait]
impl Store for Object {
    fn location(&self) -> String {
        format!("{}/{}", self.bucket.name, self.key)
    }

    fn identity(&self) -> String {
        format!("{}{}", self.bucket.address, self.key)
    }

    async fn read(&self) -> Result<Option<Vec<u8>>, BackendError> {
        let content = self.bucket.get(&self.key).await.or_failed()?;
        Ok(content.filter(|content| !content.is_empty()))
    }

    async fn write(&self, state: &[u8]) -> Result<(), BackendError> {
        self.bucket
            .put(&self.key, state, "application/json")
            .await
            .or_failed()
    }

    async fn lock(&self, info: &LockInfo) -> Result<String, BackendError> {
        if !self.locks {
            return Ok(info.id.clone());
        }
        let info = LockInfo {
            path: self.location(),
            ..info.clone()
        };
        let key = self.lock_key();
        let note = serde_json::to_vec(&info)
            .map_err(|e| BackendError::failed("write the lock's note", e.to_string()))?;
        match self.bucket.put_new(&key, &note).await.or_failed()? {
            Put::Done => {}
            Put::Exists(reason) => match self.holder().await? {
                // Ours: the put that made it lost its answer.
                Some(Some(holder)) if holder.id == info.id => {}
                holder => {
                    return Err(BackendError::Locked {
                        holder: holder.flatten().map(Box::new),
                        reason,
                    });
                }
            },
        }
        // Servers that do not know the condition do not refuse it: then everybody would get the lock. The same once more tells.
        match self.bucket.put_new(&key, &note).await.or_failed()? {
            // Servers that look for the object first and put theirs afterwards (versitygw before its pull request 2288) let two put it
            // at once: whose note is there has the lock.
            Put::Exists(_) => self.expect(&info.id).await.map(|()| info.id),
            Put::Done => {
                self.bucket.delete(&key).await.or_failed()?;
                let asked = format!("lock {} with {key}", self.location());
                Err(BackendError::failed(asked, "the server ignores conditional writes (`If-None-Match`), so that its locks keep nobody out.")
                    .hint("Update the server, or leave `use_lockfile` out and let only one work at a time."))
            }
        }
    }

    async fn unlock(&self, id: &str) -> Result<(), BackendError> {
        if !self.locks {
            return Ok(());
        }
        self.expect(id).await?;
        self.bucket.delete(&self.lock_key()).await.or_failed()
    }

    async fn holds(&self, id: &str) -> Result<(), BackendError> {
        match self.locks {
            true => self.expect(id).await,
            false => Ok(()),
        }
    }

    async fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.bucket.get(&beside(&self.key, name)).await.or_failed()
    }

    async fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), BackendError> {
        self.bucket
            .put(
                &beside(&self.key, name),
                content,
                "application/octet-stream",
            )
            .await
            .or_failed()
    }

    async fn remove_beside(&self, name: &str) -> Result<(), BackendError> {
        self.bucket
            .delete(&beside(&self.key, name))
            .await
            .or_failed()
    }

    async fn list_beside(&self) -> Result<Vec<String>, BackendError> {
        let prefix = beside(&self.key, "");
        let keys = self.bucket.list(&prefix).await.or_failed()?;
        let mut names: Vec<String> = keys
            .iter()
            .filter_map(|key| Some(key.strip_prefix(&prefix)?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }
}
