//! How the language reads files: through a trait, so that it stays pure and tests need no disk.

use std::io;
use std::path::Path;

/// Read-only access to files. Relative paths are relative to the working directory of the run.
pub trait Files: Send + Sync {
    /// The content of one file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names (without directory) of the plain files in a directory, sorted.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Whether a plain file is there.
    fn exists(&self, path: &Path) -> bool;

    /// Every plain file below a directory, as paths relative to it with `/`, sorted; what `fileset` looks through.
    fn walk(&self, directory: &Path) -> io::Result<Vec<String>>;
}

/// No files at all: for what may not read any.
pub(crate) struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }

    fn walk(&self, _: &Path) -> io::Result<Vec<String>> {
        Err(io::ErrorKind::NotFound.into())
    }
}
