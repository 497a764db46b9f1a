//! A copy of the journal beside a remote state, for the next command when this machine, and the journal on it, is gone.
//!
//! It follows the journal on disk by about a second: operations do not wait for it. It is kept in parts, so that an upload costs
//! no more however long the journal has become.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::place::{runtime, wait_for};
use crate::{BackendError, Error, Result, Store};

/// What the names of the parts begin with.
const PREFIX: &str = "journal.";
/// A part that has grown beyond this is left, and another one begun.
const PART: usize = 256 * 1024;
/// At least this long lies between two uploads.
const PACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Mirror {
    lines: UnboundedSender<Vec<u8>>,
    uploads: JoinHandle<()>,
}

impl Mirror {
    /// Begins a copy in the place of an older one.
    pub(crate) fn begin(store: Arc<dyn Store>) -> Result<Mirror> {
        remove(&store)?;
        let (lines, received) = unbounded_channel();
        let uploads = runtime()?.spawn(upload(store, received));
        Ok(Mirror { lines, uploads })
    }

    /// Takes what has been written to the journal.
    pub(crate) fn append(&self, lines: &[u8]) {
        // The other end lives until the last sender is gone.
        let _ = self.lines.send(lines.to_vec());
    }

    /// Waits for the uploads to end.
    pub(crate) fn finish(self) -> Result<()> {
        drop(self.lines);
        let uploads = self.uploads;
        let _ = wait_for(uploads)?;
        Ok(())
    }
}

async fn upload(store: Arc<dyn Store>, mut lines: UnboundedReceiver<Vec<u8>>) {
    let mut number = 0_u64;
    let mut part = Vec::new();
    while let Some(first) = lines.recv().await {
        part.extend(first);
        while let Ok(more) = lines.try_recv() {
            part.extend(more);
        }
        let name = format!("{PREFIX}{number:06}");
        if let Err(error) = store.write_beside(&name, &part).await {
            // It goes with the next one; the journal on disk has it in any case.
            tracing::warn!(%error, "the copy of the journal beside the state");
        } else if part.len() > PART {
            number += 1;
            part.clear();
        }
        if !lines.is_closed() {
            tokio::time::sleep(PACE).await;
        }
    }
}

/// The journal that lies beside a state; `None` when there is none.
pub(crate) fn read(store: &Arc<dyn Store>) -> Result<Option<Vec<u8>>> {
    let from = Arc::clone(store);
    let read = async move {
        let mut journal = None;
        for name in parts(&*from).await? {
            if let Some(part) = from.read_beside(&name).await? {
                journal.get_or_insert_with(Vec::new).extend(part);
            }
        }
        Ok(journal)
    };
    wait_for(read)?.map_err(|e| Error::remote("reading the journal beside", store.location(), e))
}

/// Removes the journal beside a state, the last part first: what is left after a failure is a journal that ends earlier.
pub(crate) fn remove(store: &Arc<dyn Store>) -> Result<()> {
    let from = Arc::clone(store);
    let remove = async move {
        for name in parts(&*from).await?.iter().rev() {
            from.remove_beside(name).await?;
        }
        Ok(())
    };
    wait_for(remove)?.map_err(|e| Error::remote("removing the journal beside", store.location(), e))
}

async fn parts(store: &dyn Store) -> std::result::Result<Vec<String>, BackendError> {
    let mut names = store.list_beside().await?;
    names.retain(|name| name.starts_with(PREFIX));
    names.sort();
    Ok(names)
}
