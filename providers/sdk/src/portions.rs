//! Files that are read and written a portion at a time, on their way to and from stores of objects.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::Error;

/// A file that is read in portions.
pub(crate) struct File {
    file: tokio::fs::File,
    shown: String,
    pub(crate) size: u64,
}

impl File {
    pub(crate) async fn open(path: &Path) -> Result<File, Error> {
        let shown = path.display().to_string();
        let failed = |e: std::io::Error| Error::new(format!("read {shown}"), e.to_string());
        let file = tokio::fs::File::open(path).await.map_err(failed)?;
        let size = file.metadata().await.map_err(failed)?.len();
        Ok(File { file, shown, size })
    }

    /// The next so many bytes; fewer at the end, and then none.
    pub(crate) async fn next(&mut self, count: u64) -> Result<Vec<u8>, Error> {
        let mut portion = Vec::new();
        let read = (&mut self.file).take(count).read_to_end(&mut portion).await;
        read.map_err(|e| Error::new(format!("read {}", self.shown), e.to_string()))?;
        Ok(portion)
    }
}

fn unwritten(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |e| Error::new(format!("write {}", path.display()), e.to_string())
}

/// The file, empty. One that is there keeps its mode.
pub(crate) async fn overwritten(path: &Path) -> Result<tokio::fs::File, Error> {
    let opened = tokio::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)
        .await;
    opened.map_err(unwritten(path))
}

pub(crate) async fn write(
    file: &mut tokio::fs::File,
    path: &Path,
    bytes: &[u8],
) -> Result<(), Error> {
    file.write_all(bytes).await.map_err(unwritten(path))
}

pub(crate) async fn synced(file: &mut tokio::fs::File, path: &Path) -> Result<(), Error> {
    file.flush().await.map_err(unwritten(path))?;
    file.sync_all().await.map_err(unwritten(path))
}
