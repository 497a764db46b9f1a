//! A copy of the journal beside a remote state, for the next command when this machine, and the journal on it, is gone.
//!
//! It follows the journal on disk by about a second: operations do not wait for it. It is kept in parts, so that an upload costs
//! no more however long the journal has become. The parts of each run have a name of their own: what an older run has left in doubt stays until the
//! journal that repeats it is there too.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::place::{runtime, wait_for};
use crate::{BackendError, Error, Result, Store};

/// What the names of the parts begin with; then come the run and the part's number.
const PREFIX: &str = "journal.";
/// A part that has grown beyond this is left, and another one begun.
const PART: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Mirror {
    lines: UnboundedSender<Vec<u8>>,
    uploads: JoinHandle<()>,
}

impl Mirror {
    /// Puts a copy with the journal's first lines in the place of an older one. At least `pace` lies between two uploads.
    ///
    /// # Errors
    /// When those lines cannot be put there, or the older copy cannot be removed.
    pub(crate) fn begin(store: Arc<dyn Store>, first: &[u8], pace: Duration) -> Result<Mirror> {
        let mut upload = Upload {
            store: Arc::clone(&store),
            run: uuid::Uuid::new_v4().simple().to_string(),
            number: 0,
            part: first.to_vec(),
        };
        let run = upload.run.clone();
        let upload = wait_for(async move { upload.put().await.map(|()| upload) })?;
        let upload =
            upload.map_err(|e| Error::remote("copying the journal beside", store.location(), e))?;
        remove_but(&store, Some(run))?;
        let (lines, received) = unbounded_channel();
        let uploads = runtime()?.spawn(upload.follow(received, pace));
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

/// Where the copy of a journal has come to.
struct Upload {
    store: Arc<dyn Store>,
    run: String,
    /// Of the part that grows, which holds this.
    number: u64,
    part: Vec<u8>,
}

impl Upload {
    /// Puts the part that grows to its place.
    async fn put(&mut self) -> std::result::Result<(), BackendError> {
        let name = format!("{PREFIX}{}.{:06}", self.run, self.number);
        self.store.write_beside(&name, &self.part).await?;
        if self.part.len() > PART {
            self.number += 1;
            self.part.clear();
        }
        Ok(())
    }

    /// Uploads what comes, until the journal ends.
    async fn follow(mut self, mut lines: UnboundedReceiver<Vec<u8>>, pace: Duration) {
        let mut next = Instant::now() + pace;
        let mut behind = false;
        loop {
            if !behind {
                match lines.recv().await {
                    Some(more) => self.part.extend(more),
                    None => return,
                }
            }
            let mut ended = false;
            while !ended && let Ok(more) = timeout_at(next, lines.recv()).await {
                match more {
                    Some(more) => self.part.extend(more),
                    None => ended = true,
                }
            }
            let put = self.put().await;
            if let Err(error) = &put {
                // Tried again, with what has come by then; the journal on disk has it in any case.
                tracing::warn!(%error, "the copy of the journal beside the state");
            }
            if ended {
                return;
            }
            behind = put.is_err();
            next = Instant::now() + pace;
        }
    }
}

/// The journals that lie beside a state: that of the last run, and older ones that could not be removed.
pub(crate) fn read(store: &Arc<dyn Store>) -> Result<Vec<Vec<u8>>> {
    let from = Arc::clone(store);
    let read = async move {
        let mut journals: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        for name in parts(&*from).await? {
            let run = run_of(&name).to_owned();
            let part = from.read_beside(&name).await?;
            match journals.last_mut() {
                Some((last, journal)) if *last == run => match (journal, part) {
                    (Some(journal), Some(part)) => journal.extend(part),
                    // One that is being removed: what lies behind a part that is gone is not a continuation.
                    (journal, _) => *journal = None,
                },
                _ => journals.push((run, part)),
            }
        }
        let whole = journals.into_iter().filter_map(|(_, journal)| journal);
        Ok(whole.collect())
    };
    wait_for(read)?.map_err(|e| Error::remote("reading the journal beside", store.location(), e))
}

/// Removes the journals beside a state.
pub(crate) fn remove(store: &Arc<dyn Store>) -> Result<()> {
    remove_but(store, None)
}

/// Each from its last part on: what is left after a failure is a journal that ends earlier.
fn remove_but(store: &Arc<dyn Store>, kept: Option<String>) -> Result<()> {
    let from = Arc::clone(store);
    let remove = async move {
        for name in parts(&*from).await?.iter().rev() {
            if kept.as_deref() != Some(run_of(name)) {
                from.remove_beside(name).await?;
            }
        }
        Ok(())
    };
    wait_for(remove)?.map_err(|e| Error::remote("removing the journal beside", store.location(), e))
}

/// The names of all parts, those of one run together and in their order.
async fn parts(store: &dyn Store) -> std::result::Result<Vec<String>, BackendError> {
    let mut names = store.list_beside().await?;
    names.retain(|name| name.starts_with(PREFIX));
    names.sort();
    Ok(names)
}

/// The run that a part is of; none for those of a release that knew one run only.
fn run_of(name: &str) -> &str {
    let run = name.strip_prefix(PREFIX).and_then(|n| n.rsplit_once('.'));
    run.map_or("", |(run, _)| run)
}
