//! The lab's disk: one JSON document per simulated system and one folder for blobs, so that a lab survives a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A folder such as `.stead/lab`.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<PathBuf>,
}

impl Store {
    pub fn open(root: &Path) -> io::Result<Store> {
        std::fs::create_dir_all(root.join("blobs"))?;
        Ok(Store {
            root: Arc::new(root.to_owned()),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The saved document of a system, or `None` when it was never saved.
    pub fn load<T: DeserializeOwned>(&self, system: &str) -> io::Result<Option<T>> {
        match std::fs::read(self.document(system)) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(io::Error::other),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Saves a system's document: temporary file, then rename, so that a killed lab leaves the old one or the new one.
    pub fn save<T: Serialize>(&self, system: &str, document: &T) -> io::Result<()> {
        let target = self.document(system);
        let temporary = target.with_extension("json.new");
        std::fs::write(
            &temporary,
            serde_json::to_vec(document).map_err(io::Error::other)?,
        )?;
        std::fs::rename(temporary, target)
    }

    /// Where a system keeps large things (image files): `blobs/NAME`.
    pub fn blob(&self, name: &str) -> PathBuf {
        self.root.join("blobs").join(name)
    }

    fn document(&self, system: &str) -> PathBuf {
        self.root.join(format!("{system}.json"))
    }
}
