//! The newest snapshot of an object that a state knows: what `stead recover` begins with.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use stead_sdk::{Dialer, Error};

use super::place::{Place, Wanted};
use super::{AzureBlob, S3, snapshots};
use crate::node::look_at;

/// What a state says of a `talos_etcd_snapshot`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Snapshots {
    directory: Option<String>,
    azure_blob: Option<AzureBlob>,
    s3: Option<S3>,
    prefix: Option<String>,
    path: Option<String>,
    sha256: Option<String>,
}

/// A snapshot that lies in a file. One that was fetched lies in a file of its own, which can be read by its owner only and is removed with this.
#[derive(Debug)]
pub struct Taken {
    /// Where it came from, as people find it.
    pub address: String,
    /// The one that the state knows, where that is another one.
    pub recorded: Option<String>,
    path: PathBuf,
    _fetched: Option<tempfile::NamedTempFile>,
}

impl Taken {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Snapshots {
    /// By the attributes that a state holds; `None` when they are not those of a `talos_etcd_snapshot`.
    pub fn of(attributes: &Json) -> Option<Snapshots> {
        let found = Snapshots::deserialize(attributes).ok()?;
        found.prefix.is_some().then_some(found)
    }

    /// The newest one in its place, which may be newer than the state. One that is elsewhere is fetched.
    ///
    /// # Errors
    /// When there is none, its place cannot be reached, or it is damaged.
    pub async fn newest(&self, dialer: &Dialer) -> Result<Taken, Error> {
        let wanted = Wanted {
            directory: self.directory.as_deref(),
            azure_blob: self.azure_blob.as_ref(),
            s3: self.s3.as_ref(),
        };
        let place = wanted.open(dialer).await?;
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let names = snapshots(&place, prefix).await?;
        let missing = || {
            let asked = format!("find a snapshot in {}", place.address(""));
            Error::not_found(asked, "there is none").remedy("Name a file with -snapshot=FILE.")
        };
        let name = names.last().ok_or_else(missing)?;
        let address = place.address(name);
        let (path, fetched) = match &place {
            Place::Folder(folder) => (folder.join(name), None),
            _ => {
                let file = place.unfinished()?;
                if !place.fetch(name, file.path()).await? {
                    return Err(missing());
                }
                (file.path().to_owned(), Some(file))
            }
        };
        let summary = look_at(&path).await.map_err(|e| {
            Error::new(format!("use the etcd snapshot {address}"), e.said())
                .remedy("Name the file of another one with -snapshot=FILE.")
        })?;
        let is_recorded = self.path.as_deref() == Some(address.as_str());
        let known = self.sha256.as_deref().filter(|_| is_recorded);
        if known.is_some_and(|known| known != summary.sha256) {
            let said = "its SHA-256 is not the one in the state: it was changed";
            return Err(Error::new(format!("use the etcd snapshot {address}"), said)
                .remedy("Name the file of another one with -snapshot=FILE."));
        }
        Ok(Taken {
            address,
            recorded: self.path.clone().filter(|_| !is_recorded),
            path,
            _fetched: fetched,
        })
    }
}
