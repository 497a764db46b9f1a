//! Contents of blobs and blocks: files in the lab's store.

use std::io;

use stead_lab_core::Store;
use uuid::Uuid;

use crate::http::Answer;
use crate::state::{Block, Container};

/// Writes bytes to a new file of the store.
pub(crate) fn write(store: &Store, bytes: &[u8]) -> Result<Block, Answer> {
    let file = format!("azure-{}", Uuid::new_v4().simple());
    std::fs::write(store.blob(&file), bytes).map_err(|e| broken(&e))?;
    Ok(Block {
        file,
        length: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
    })
}

/// Reads a file of the store; the empty name is the empty content.
pub(crate) fn read(store: &Store, file: &str) -> Result<Vec<u8>, Answer> {
    if file.is_empty() {
        return Ok(Vec::new());
    }
    std::fs::read(store.blob(file)).map_err(|e| broken(&e))
}

/// Removes a file that nothing refers to any more.
pub(crate) fn forget(store: &Store, file: &str) {
    if file.is_empty() {
        return;
    }
    if let Err(error) = std::fs::remove_file(store.blob(file)) {
        tracing::warn!(%error, file, "cannot remove a blob's content");
    }
}

/// Removes all files of a container.
pub(crate) fn forget_container(store: &Store, container: &Container) {
    for blob in container.blobs.values() {
        forget(store, &blob.file);
        for (_, block) in &blob.blocks {
            forget(store, &block.file);
        }
    }
    for block in container.staged.values().flat_map(|s| s.values()) {
        forget(store, &block.file);
    }
}

fn broken(error: &io::Error) -> Answer {
    tracing::error!(%error, "the store cannot keep a blob's content");
    super::error(
        500,
        "InternalError",
        "The server encountered an internal error. Please retry the request.",
    )
}
