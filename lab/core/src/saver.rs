//! Saves a system's document after its changes: at once, but changes that come while one is being written share the next.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Notify;

use crate::Lab;

/// Tells the saving task that something changed. Cheap to clone.
#[derive(Clone)]
pub struct Saver {
    changed: Arc<Notify>,
}

impl Saver {
    /// Saves `snapshot()` as document `system` after every [`Saver::changed`], and a last time when the lab stops
    /// and all its tasks have ended.
    pub fn start<T: Serialize + Send>(
        lab: &Lab,
        system: &'static str,
        snapshot: impl Fn() -> T + Send + Sync + 'static,
    ) -> Saver {
        let changed = Arc::new(Notify::new());
        let (store, flush, signal) = (lab.store.clone(), lab.flush.clone(), changed.clone());
        let save = move || {
            if let Err(error) = store.save(system, &snapshot()) {
                tracing::error!(%error, system, "cannot save the lab's state");
            }
        };
        lab.savers.spawn(async move {
            loop {
                tokio::select! {
                    () = signal.notified() => save(),
                    () = flush.cancelled() => break save(),
                }
            }
        });
        Saver { changed }
    }

    pub fn changed(&self) {
        self.changed.notify_one();
    }
}
