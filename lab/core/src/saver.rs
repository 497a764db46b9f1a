//! Saves a system's document after its changes: at once, but changes that come while one is being written share the next,
//! and a document that takes long is written less often.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;

use crate::Lab;

/// What may be saved after each change.
const LONG: Duration = Duration::from_millis(5);

/// Tells the saving task that something changed. Cheap to clone.
#[derive(Clone)]
pub struct Saver {
    changed: Arc<Notify>,
}

impl Saver {
    /// Saves `snapshot()` as document `system` after every [`Saver::changed`], and a last time when the lab stops
    /// and all its tasks have ended. Saving large documents takes at most a tenth of the time.
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
                    () = signal.notified() => {}
                    () = flush.cancelled() => break save(),
                }
                let begun = Instant::now();
                save();
                let taken = begun.elapsed();
                if taken > LONG {
                    tokio::select! {
                        () = tokio::time::sleep(taken * 9) => {}
                        () = flush.cancelled() => break save(),
                    }
                }
            }
        });
        Saver { changed }
    }

    pub fn changed(&self) {
        self.changed.notify_one();
    }
}
