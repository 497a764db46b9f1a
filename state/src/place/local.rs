//! A state in a local file, under a lock of the operating system.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Place;
use super::lock::StateLock;
use crate::disk::{self, Disk, folder_of};
use crate::{Error, LockInfo, Result};

#[derive(Debug)]
pub(crate) struct LocalPlace {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    lock: Option<StateLock>,
}

impl LocalPlace {
    pub(crate) fn new(disk: Arc<dyn Disk>, path: PathBuf) -> LocalPlace {
        LocalPlace {
            disk,
            path,
            lock: None,
        }
    }
}

impl Place for LocalPlace {
    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>> {
        let bytes = self.disk.read(&self.path);
        let bytes = bytes.map_err(Error::io("reading", &self.path))?;
        // An empty file is what a lock leaves before the first write.
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }

    fn write(&mut self, content: &[u8]) -> Result<()> {
        let folder = folder_of(&self.path);
        self.disk
            .make_folder(folder)
            .map_err(Error::io("making the folder", folder))?;
        let lock = &mut self.lock;
        let replaced = disk::replace(&*self.disk, &self.path, content, |file| {
            match (lock, file.os_file()) {
                (Some(lock), Some(file)) => lock.extend(file.try_clone()?),
                _ => Ok(()),
            }
        });
        replaced.map_err(Error::io("replacing", &self.path))?;
        Ok(())
    }

    fn lock(&mut self, info: &LockInfo) -> Result<()> {
        self.lock = Some(StateLock::acquire(&self.path, info)?);
        Ok(())
    }

    fn holds_lock(&self) -> bool {
        self.lock.is_some()
    }

    fn unlock(&mut self) -> Result<()> {
        self.lock = None;
        Ok(())
    }

    fn force_unlock(&mut self, _: &str) -> Result<()> {
        Err(Error::OtherProcess)
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }
}
