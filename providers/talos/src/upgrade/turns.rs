//! One control plane node of a cluster at a time, however many operations run beside each other.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use stead_sdk::{Context, Error, ErrorKind};
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is, by cluster. Of the whole process: several configurations of the provider may reach one cluster.
static TURNS: LazyLock<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>> =
    LazyLock::new(Mutex::default);

/// What became of the control planes that were changed in this run.
#[derive(Debug, Default)]
pub(crate) struct Rollouts {
    /// By cluster, the node that failed.
    failed: Mutex<HashMap<String, String>>,
}

/// The right to take one control plane node of a cluster out of service.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    rollouts: &'a Rollouts,
    cluster: String,
    _turn: OwnedMutexGuard<()>,
}

impl Rollouts {
    /// Waits until no other control plane node of the cluster is out of service. `asked` completes "Could not …".
    ///
    /// # Errors
    /// When another one failed in this run: the cluster may not bear one more. When interrupted.
    pub(crate) async fn turn(
        &self,
        cluster: &str,
        asked: &str,
        cx: &Context,
    ) -> Result<Turn<'_>, Error> {
        let lock = Arc::clone(
            TURNS
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(cluster.to_owned())
                .or_default(),
        );
        let turn = match Arc::clone(&lock).try_lock_owned() {
            Ok(turn) => turn,
            Err(_) => {
                cx.progress("waiting for another control plane node of the cluster to be done");
                tokio::select! {
                    turn = lock.lock_owned() => turn,
                    () = cx.cancelled().cancelled() => {
                        return Err(Error::of_kind(ErrorKind::Cancelled, asked, "interrupted"));
                    }
                }
            }
        };
        if let Some(failed) = self.lock().get(cluster) {
            let said = format!(
                "{failed} failed; the cluster is left with that node as it is, and this one was not begun"
            );
            return Err(Error::new(asked, said)
                .remedy("See to that node first. The next run goes on where this one stopped."));
        }
        Ok(Turn {
            rollouts: self,
            cluster: cluster.to_owned(),
            _turn: turn,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// No further control plane node of the cluster is to be begun in this run. `what` names what failed.
    pub(crate) fn failed(&self, what: impl Into<String>) {
        self.rollouts
            .lock()
            .insert(self.cluster.clone(), what.into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn one_at_a_time_and_none_after_a_failure() {
        let rollouts = Arc::new(Rollouts::default());
        let busy = Arc::new(AtomicUsize::new(0));
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (rollouts, busy) = (Arc::clone(&rollouts), Arc::clone(&busy));
            running.spawn(async move {
                let cx = Context::detached();
                let turn = rollouts.turn("one", "go", &cx).await;
                assert_eq!(busy.fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                busy.fetch_sub(1, Ordering::SeqCst);
                drop(turn);
            });
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
        let cx = Context::detached();
        rollouts
            .turn("one", "go", &cx)
            .await
            .unwrap()
            .failed("cp-1");
        let error = rollouts.turn("one", "go", &cx).await.unwrap_err();
        assert!(error.said().contains("cp-1 failed"), "{error}");
        rollouts.turn("other", "go", &cx).await.unwrap();
        Rollouts::default().turn("one", "go", &cx).await.unwrap();
    }

    #[tokio::test]
    async fn who_waits_can_be_interrupted() {
        let rollouts = Rollouts::default();
        let token = tokio_util::sync::CancellationToken::new();
        let cx = Context::new(token.clone());
        let _turn = rollouts.turn("wait", "go", &cx).await.unwrap();
        token.cancel();
        let error = rollouts.turn("wait", "go", &cx).await.unwrap_err();
        assert!(error.is_cancelled());
    }
}
