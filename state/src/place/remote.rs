//! A state at a remote place, for code that is not asynchronous: the engine hands over its state from wherever it stands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::AbortHandle;

use super::Place;
use crate::{BackendError, Error, LockInfo, Result, Store};

/// How often a held lock is looked after: leases are renewed then, and a lock that somebody broke is noticed.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The runtime of everything remote in this crate. Connections belong to the runtime that opened them, and the caller's may be the
/// one that waits here.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("state")
            .enable_all()
            .build()
    });
    made.as_ref()
        .map_err(|e| Error::Threads(std::io::Error::new(e.kind(), e.to_string())))
}

/// Runs something asynchronous to its end and blocks the calling thread meanwhile, which may belong to another runtime.
///
/// # Errors
/// When no thread can be had for it.
pub fn wait_for<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let (sender, receiver) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        // Nobody gives up waiting.
        let _ = sender.send(work.await);
    });
    receiver
        .recv()
        .map_err(|_| Error::Threads(std::io::Error::other("the work ended without a result")))
}

#[derive(Debug)]
pub(crate) struct RemotePlace {
    store: Arc<dyn Store>,
    lock: Option<Held>,
    /// Hears of a lock that could not be given back when the place is dropped.
    tell: fn(&Error),
}

#[derive(Debug)]
struct Held {
    id: String,
    watch: LockWatch,
    heartbeat: AbortHandle,
}

/// Knows whether a lock is still ours, without asking for it.
#[derive(Clone, Debug)]
pub(crate) struct LockWatch {
    location: String,
    lost: Arc<AtomicBool>,
}

impl LockWatch {
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// # Errors
    /// When the lock is lost.
    pub(crate) fn check(&self) -> Result<()> {
        match self.is_lost() {
            true => Err(Error::LockLost {
                location: self.location.clone(),
            }),
            false => Ok(()),
        }
    }
}

impl RemotePlace {
    pub(crate) fn new(store: Arc<dyn Store>, tell: fn(&Error)) -> RemotePlace {
        RemotePlace {
            store,
            lock: None,
            tell,
        }
    }

    fn ask<T, F>(&self, action: &'static str, ask: impl FnOnce(Arc<dyn Store>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = std::result::Result<T, BackendError>> + Send + 'static,
    {
        wait_for(ask(Arc::clone(&self.store)))?
            .map_err(|error| Error::remote(action, self.store.location(), error))
    }
}

/// Looks after a held lock until it is given back or lost.
async fn look_after(store: Arc<dyn Store>, id: String, watch: LockWatch) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match store.holds(&id).await {
            Ok(()) => {}
            Err(BackendError::LockLost | BackendError::Locked { .. }) => {
                watch.lost.store(true, Ordering::Release);
                return;
            }
            // The place cannot be asked just now; that says nothing of the lock.
            Err(error) => tracing::debug!(%error, "asking after the lock"),
        }
    }
}

impl Place for RemotePlace {
    fn location(&self) -> String {
        self.store.location()
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>> {
        let bytes = self.ask("reading", |store| async move { store.read().await })?;
        Ok(bytes.filter(|bytes| !bytes.is_empty()))
    }

    fn write(&mut self, content: &[u8]) -> Result<()> {
        self.make_sure_of_lock()?;
        let content = content.to_vec();
        self.ask(
            "writing",
            |store| async move { store.write(&content).await },
        )
    }

    fn lock(&mut self, info: &LockInfo) -> Result<()> {
        let info = info.clone();
        let id = self.ask("locking", |store| async move { store.lock(&info).await })?;
        let watch = LockWatch {
            location: self.location(),
            lost: Arc::default(),
        };
        let work = look_after(Arc::clone(&self.store), id.clone(), watch.clone());
        let heartbeat = runtime()?.spawn(work).abort_handle();
        self.lock = Some(Held {
            id,
            watch,
            heartbeat,
        });
        Ok(())
    }

    fn holds_lock(&self) -> bool {
        self.lock.is_some()
    }

    /// A lock may have been broken since the last heartbeat.
    fn make_sure_of_lock(&self) -> Result<()> {
        let Some(Held { id, watch, .. }) = &self.lock else {
            return Ok(());
        };
        watch.check()?;
        let id = id.clone();
        let held = self.ask("asking after the lock of", |store| async move {
            store.holds(&id).await
        });
        if let Err(Error::LockLost { .. } | Error::Locked { .. }) = held {
            watch.lost.store(true, Ordering::Release);
            return watch.check();
        }
        held
    }

    fn unlock(&mut self) -> Result<()> {
        let Some(Held {
            id,
            watch,
            heartbeat,
        }) = self.lock.take()
        else {
            return Ok(());
        };
        heartbeat.abort();
        if watch.is_lost() {
            return Ok(()); // Told when it was noticed; whose it is now we must not touch.
        }
        self.ask("unlocking", |store| async move { store.unlock(&id).await })
    }

    fn force_unlock(&mut self, id: &str) -> Result<()> {
        let id = id.to_owned();
        self.ask("unlocking", |store| async move { store.unlock(&id).await })
    }

    fn lock_watch(&self) -> Option<LockWatch> {
        Some(self.lock.as_ref()?.watch.clone())
    }

    fn beside(&self) -> Option<Arc<dyn Store>> {
        self.store
            .has_room_beside()
            .then(|| Arc::clone(&self.store))
    }
}

impl Drop for RemotePlace {
    fn drop(&mut self) {
        if let Err(error) = self.unlock() {
            (self.tell)(&error);
        }
    }
}
