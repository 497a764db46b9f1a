//! Where snapshots are kept: a folder, a container of Azure's, a bucket of S3.

use std::path::{Path, PathBuf};

use stead_sdk::azure::Blobs;
use stead_sdk::s3::Bucket;
use stead_sdk::{Dialer, Error};

use super::{AzureBlob, S3};
use crate::machinery::snapshot::Summary;
use crate::node::look_at;

const CONTENT_TYPE: &str = "application/octet-stream";

/// What the configuration says of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) directory: Option<&'a str>,
    pub(super) azure_blob: Option<&'a AzureBlob>,
    pub(super) s3: Option<&'a S3>,
}

/// A place that is ready for use.
pub(super) enum Place {
    Folder(PathBuf),
    Container { blobs: Blobs, prefix: String },
    Bucket { bucket: Box<Bucket>, prefix: String },
}

impl Wanted<'_> {
    /// # Errors
    /// When nothing is configured, or what is cannot be reached.
    pub(super) async fn open(self, dialer: &Dialer) -> Result<Place, Error> {
        Ok(match self {
            Wanted {
                directory: Some(folder),
                ..
            } => Place::Folder(folder.into()),
            Wanted {
                azure_blob: Some(wanted),
                ..
            } => Place::Container {
                blobs: wanted.connect(dialer).await?,
                prefix: wanted.prefix.clone().unwrap_or_default(),
            },
            Wanted {
                s3: Some(wanted), ..
            } => Place::Bucket {
                bucket: Box::new(wanted.bucket(dialer)?),
                prefix: wanted.prefix.clone().unwrap_or_default(),
            },
            _ => {
                return Err(
                    Error::new("find the place of the snapshots", "none is configured")
                        .remedy("Set one of `directory`, `azure_blob` and `s3`."),
                );
            }
        })
    }

    /// What can be said of it without asking anybody.
    ///
    /// # Errors
    /// As [`open`](Wanted::open).
    pub(super) fn check(self, dialer: &Dialer) -> Result<(), Error> {
        if let Some(wanted) = self.azure_blob {
            wanted.settings(dialer.environment())?;
        }
        if let Some(wanted) = self.s3 {
            wanted.bucket(dialer)?;
        }
        Ok(())
    }
}

impl Place {
    /// The snapshot as people find it.
    pub(super) fn address(&self, name: &str) -> String {
        match self {
            Place::Folder(folder) => folder.join(name).to_string_lossy().into_owned(),
            Place::Container { blobs, prefix } => blobs.address(&format!("{prefix}{name}")),
            Place::Bucket { bucket, prefix } => format!("s3://{}/{prefix}{name}", bucket.name),
        }
    }

    /// The name in such an address, if it is one of here.
    pub(super) fn name<'a>(&self, address: &'a str) -> Option<&'a str> {
        let name = match self {
            Place::Folder(folder) => Path::new(address).strip_prefix(folder).ok()?.to_str()?,
            _ => address.strip_prefix(&self.address(""))?,
        };
        (!name.is_empty()).then_some(name)
    }

    /// The names that begin so, in their order.
    pub(super) async fn names(&self, start: &str) -> Result<Vec<String>, Error> {
        let mut names = match self {
            Place::Folder(folder) => files(folder).map_err(|e| told("look into", folder, &e))?,
            Place::Container { blobs, prefix } => {
                below(blobs.list(&format!("{prefix}{start}")).await?, prefix)
            }
            Place::Bucket { bucket, prefix } => {
                let found = bucket.list(&format!("{prefix}{start}")).await;
                below(found.map_err(Error::from)?, prefix)
            }
        };
        names.retain(|name| name.starts_with(start));
        names.sort();
        Ok(names)
    }

    /// The size in bytes, if it is there.
    pub(super) async fn size(&self, name: &str) -> Result<Option<u64>, Error> {
        Ok(match self {
            Place::Folder(folder) => {
                let path = folder.join(name);
                match std::fs::metadata(&path) {
                    Ok(found) => Some(found.len()),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
                    Err(e) => return Err(told("look at", &path, &e)),
                }
            }
            Place::Container { blobs, prefix } => {
                let found = blobs.properties(&format!("{prefix}{name}"), None).await?;
                found.map(|found| found.size)
            }
            Place::Bucket { bucket, prefix } => bucket.size(&format!("{prefix}{name}")).await?,
        })
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), Error> {
        match self {
            Place::Folder(folder) => {
                let path = folder.join(name);
                std::fs::remove_file(&path).map_err(|e| told("delete", &path, &e))
            }
            Place::Container { blobs, prefix } => {
                Ok(blobs.delete(&format!("{prefix}{name}"), None).await?)
            }
            Place::Bucket { bucket, prefix } => bucket.delete(&format!("{prefix}{name}")).await,
        }
    }

    /// A file for a snapshot on its way here: it can be read by its owner only, and is removed unless it is kept.
    pub(super) fn unfinished(&self) -> Result<tempfile::NamedTempFile, Error> {
        match self {
            Place::Folder(folder) => std::fs::create_dir_all(folder)
                .and_then(|()| tempfile::NamedTempFile::new_in(folder))
                .map_err(|e| told("write into", folder, &e)),
            _ => tempfile::NamedTempFile::new()
                .map_err(|e| told("write into", &std::env::temp_dir(), &e)),
        }
    }

    /// Takes the snapshot in. What is elsewhere is read back and compared.
    pub(super) async fn keep(
        &self,
        name: &str,
        unfinished: tempfile::NamedTempFile,
        summary: &Summary,
    ) -> Result<(), Error> {
        if let Place::Folder(folder) = self {
            let path = folder.join(name);
            let kept = unfinished.persist(&path);
            return kept.map(drop).map_err(|e| told("write", &path, &e.error));
        }
        match self {
            Place::Folder(_) => {}
            Place::Container { blobs, prefix } => {
                let name = format!("{prefix}{name}");
                blobs
                    .put_file(&name, unfinished.path(), CONTENT_TYPE)
                    .await?;
            }
            Place::Bucket { bucket, prefix } => {
                let name = format!("{prefix}{name}");
                bucket
                    .put_file(&name, unfinished.path(), CONTENT_TYPE)
                    .await?;
            }
        }
        let asked = || format!("keep the snapshot {}", self.address(name));
        let back = match self.fetch(name, unfinished.path()).await {
            Ok(true) => look_at(unfinished.path()).await,
            Ok(false) => Err(Error::new(asked(), "it is not there after it was written")),
            // It may be whole: it stays.
            Err(error) => return Err(error),
        };
        let said = match back {
            Ok(back) if back == *summary => return Ok(()),
            Ok(_) => "what is there is not what was written".to_owned(),
            Err(error) => error.said().to_owned(),
        };
        // A damaged snapshot must not stand for a good one.
        let removed = self.remove(name).await;
        let error = Error::new(asked(), said);
        Err(match removed {
            Ok(()) => error
                .remedy("It was deleted again. Look at the disk of the store, and apply again."),
            Err(e) => error.remedy(format!("Delete it: {}", e.said())),
        })
    }

    /// Reads a snapshot into a file. `false`: there is none of that name.
    pub(super) async fn fetch(&self, name: &str, into: &Path) -> Result<bool, Error> {
        match self {
            Place::Folder(folder) => {
                let path = folder.join(name);
                match tokio::fs::copy(&path, into).await {
                    Ok(_) => Ok(true),
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
                    Err(e) => Err(told("read", &path, &e)),
                }
            }
            Place::Container { blobs, prefix } => {
                Ok(blobs.get_file(&format!("{prefix}{name}"), into).await?)
            }
            Place::Bucket { bucket, prefix } => {
                bucket.get_file(&format!("{prefix}{name}"), into).await
            }
        }
    }
}

fn told(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(format!("{verb} {}", path.display()), error.to_string())
}

fn below(keys: Vec<String>, prefix: &str) -> Vec<String> {
    let names = keys.iter().filter_map(|key| key.strip_prefix(prefix));
    names.map(str::to_owned).collect()
}

fn files(folder: &Path) -> std::io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_cannot_be_looked_into_is_no_missing_snapshot() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::Folder(folder.path().to_owned());
        assert_eq!(place.size("etcd").await.unwrap(), None);
        let file = folder.path().join("etcd");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(place.size("etcd").await.unwrap(), Some(5));
        // Not a folder any more.
        let place = Place::Folder(file);
        let said = place.size("etcd").await.unwrap_err().to_string();
        assert!(said.contains("look at"), "{said}");
    }
}
