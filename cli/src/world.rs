//! The world for the language: files, time and chance.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use stead_lang::Files;
use stead_lang::functions::World;

/// Files on this machine's disk.
pub(crate) struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(here(path))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(here(directory))? {
            let entry = entry?;
            if std::fs::metadata(entry.path()).is_ok_and(|m| m.is_file()) {
                names.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn walk(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let mut pending = vec![PathBuf::new()];
        while let Some(inner) = pending.pop() {
            for entry in std::fs::read_dir(here(&directory.join(&inner)))? {
                let entry = entry?;
                let path = inner.join(entry.file_name());
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    pending.push(path);
                } else if kind.is_file()
                    || std::fs::metadata(entry.path()).is_ok_and(|m| m.is_file())
                {
                    found.push(path.to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// The empty path means the current folder.
fn here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

/// The clock and the chance of this machine.
pub(crate) struct Here;

impl World for Here {
    fn now(&self) -> String {
        now()
    }

    fn random(&self, bytes: &mut [u8]) {
        use rand::Rng as _;
        rand::rng().fill_bytes(bytes);
    }
}

/// The time, in UTC and RFC 3339 with microseconds.
pub(crate) fn now_precise() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string()
}

/// The time, in UTC and RFC 3339 with whole seconds.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// The configuration files of a saved plan; everything else (templates, keys) comes from the disk.
pub(crate) struct PlannedFiles {
    files: BTreeMap<PathBuf, String>,
}

impl PlannedFiles {
    pub(crate) fn new(files: BTreeMap<String, String>) -> PlannedFiles {
        PlannedFiles {
            files: files
                .into_iter()
                .map(|(name, text)| (PathBuf::from(name), text))
                .collect(),
        }
    }
}

impl Files for PlannedFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(text) => Ok(text.clone().into_bytes()),
            None => Disk.read(path),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        let here = self
            .files
            .keys()
            .filter(|p| p.parent().unwrap_or(Path::new("")) == directory);
        let names: Vec<String> = here
            .filter_map(|p| Some(p.file_name()?.to_string_lossy().into_owned()))
            .collect();
        if names.is_empty() {
            Disk.list(directory)
        } else {
            Ok(names)
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path) || Disk.exists(path)
    }

    fn walk(&self, directory: &Path) -> io::Result<Vec<String>> {
        Disk.walk(directory)
    }
}
