//! What every backend does, whatever it is: one test, told how to open the backend.

use std::sync::Arc;

use stead_state::{Backend, BackendError, Store};

use crate::{lock_info, state};

const OURS: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
const THEIRS: &str = "16fd2706-8baf-433b-82eb-8c7fada847da";

/// Puts a backend through all of its operations. `open` gives another handle each time, as another process would have; `workspace` is
/// one that has no state yet, `default` where there is room for one only.
pub(crate) async fn check(open: impl Fn() -> Arc<dyn Backend>, workspace: &str) {
    let (here, elsewhere) = (open(), open());
    let store = here.store(workspace).expect("a store");
    let other = elsewhere.store(workspace).expect("a second store");
    assert!(!store.location().is_empty());

    reads_and_writes(&*store, &*other).await;
    locks(&*store, &*other).await;
    if store.has_room_beside() {
        beside(&*store, &*other).await;
    }
    match here.workspaces().await {
        Err(BackendError::OneWorkspace) => {
            assert_eq!(workspace, "default");
            assert!(matches!(
                here.store("other"),
                Err(BackendError::OneWorkspace)
            ));
            assert!(here.delete("other", false).await.is_err());
        }
        found => workspaces(&*here, found.expect("workspaces"), workspace).await,
    }
}

async fn reads_and_writes(store: &dyn Store, other: &dyn Store) {
    assert_eq!(store.read().await.expect("a read of nothing"), None);
    store
        .write(&state(1, "one"))
        .await
        .expect("the first write");
    assert_eq!(
        other.read().await.expect("a read").as_deref(),
        Some(&*state(1, "one"))
    );

    let long: String = (0..6_000_000u32)
        .map(|i| char::from(b'a' + (i % 23) as u8))
        .collect();
    let big = state(2, &long);
    store.write(&big).await.expect("a write of 6 MB");
    let read = other
        .read()
        .await
        .expect("a read of 6 MB")
        .expect("a state");
    assert!(read == big, "6 MB come back as they were");
    store
        .write(&state(3, "three"))
        .await
        .expect("a smaller write");
    assert_eq!(
        other.read().await.expect("a read").as_deref(),
        Some(&*state(3, "three"))
    );
}

async fn locks(store: &dyn Store, other: &dyn Store) {
    let id = store.lock(&lock_info(OURS)).await.expect("the lock");
    assert_eq!(id, OURS);
    store.holds(&id).await.expect("the lock is held");
    match other.lock(&lock_info(THEIRS)).await {
        Err(BackendError::Locked { holder, .. }) => {
            if let Some(holder) = holder {
                assert_eq!(
                    (holder.id.as_str(), holder.who.as_str()),
                    (OURS, "tests@stead")
                );
            }
        }
        found => panic!("a second lock: {found:?}"),
    }
    store
        .holds(&id)
        .await
        .expect("the refused one did not take it away");
    store
        .write(&state(4, "four"))
        .await
        .expect("a write under the lock");
    other
        .unlock(THEIRS)
        .await
        .expect_err("an unlock of somebody else's lock");
    other
        .holds(THEIRS)
        .await
        .expect_err("somebody else does not hold it");
    store.holds(&id).await.expect("the lock is still held");
    store.unlock(&id).await.expect("the unlock");
    let theirs = other
        .lock(&lock_info(THEIRS))
        .await
        .expect("the lock is free again");
    store.holds(&id).await.expect_err("it is not held any more");
    other.unlock(&theirs).await.expect("the second unlock");
    assert_eq!(
        store.read().await.expect("a read").as_deref(),
        Some(&*state(4, "four"))
    );
}

async fn beside(store: &dyn Store, other: &dyn Store) {
    assert_eq!(
        store.list_beside().await.expect("a list"),
        Vec::<String>::new()
    );
    assert_eq!(
        store
            .read_beside("journal")
            .await
            .expect("a read of nothing"),
        None
    );
    store.write_beside("journal", b"one").await.expect("a file");
    store
        .write_beside("journal", b"two\n")
        .await
        .expect("the file again");
    store
        .write_beside("history.0001", &[0, 159, 255])
        .await
        .expect("bytes that are no text");
    assert_eq!(
        other
            .read_beside("journal")
            .await
            .expect("a read")
            .as_deref(),
        Some(&b"two\n"[..])
    );
    assert_eq!(
        other
            .read_beside("history.0001")
            .await
            .expect("a read")
            .as_deref(),
        Some(&[0, 159, 255][..])
    );
    assert_eq!(
        other.list_beside().await.expect("a list"),
        ["history.0001", "journal"]
    );
    other
        .remove_beside("history.0001")
        .await
        .expect("a removal");
    other
        .remove_beside("history.0001")
        .await
        .expect("a removal of nothing");
    assert_eq!(store.list_beside().await.expect("a list"), ["journal"]);
}

/// Many ask for the lock at the same time: one gets it, and the others are told who.
pub(crate) async fn one_wins(open: impl Fn() -> Arc<dyn Backend>, workspace: &str) {
    let store = open().store(workspace).expect("a store");
    store.write(&state(1, "one")).await.expect("a state");
    for _ in 0..3 {
        let ids = (0..8).map(|n| format!("6fa459ea-ee8a-3ca4-894e-db77e160355{n}"));
        let tasks: Vec<_> = ids
            .map(|id| {
                let store = open().store(workspace).expect("a store");
                tokio::spawn(async move { store.lock(&lock_info(&id)).await })
            })
            .collect();
        let mut winners = Vec::new();
        for task in tasks {
            match task.await.expect("a task") {
                Ok(id) => winners.push(id),
                Err(BackendError::Locked { .. }) => {}
                Err(error) => panic!("neither locked nor refused: {error}"),
            }
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        store.holds(&winners[0]).await.expect("the lock is held");
        store.unlock(&winners[0]).await.expect("the unlock");
    }
}

/// `workspace` has a state and a file beside it. Ends without them.
async fn workspaces(backend: &dyn Backend, found: Vec<String>, workspace: &str) {
    assert_eq!(found.first().map(String::as_str), Some("default"));
    assert_eq!(
        found.iter().filter(|name| *name == workspace).count(),
        1,
        "{found:?}"
    );
    let second = format!("{workspace}-2");
    let store = backend.store(&second).expect("a store");
    assert_eq!(
        store.read().await.expect("a read"),
        None,
        "workspaces share nothing"
    );
    assert_eq!(
        store.list_beside().await.expect("a list"),
        Vec::<String>::new()
    );
    store.write(&state(1, "second")).await.expect("a write");
    store.write_beside("journal", b"x").await.expect("a file");
    let mut expected = found.clone();
    expected.push(second.clone());
    expected[1..].sort();
    assert_eq!(backend.workspaces().await.expect("workspaces"), expected);

    backend.delete(&second, false).await.expect("a removal");
    assert_eq!(backend.workspaces().await.expect("workspaces"), found);
    assert_eq!(store.read().await.expect("a read"), None);
    assert_eq!(
        store.list_beside().await.expect("a list"),
        Vec::<String>::new(),
        "what lay beside it went along"
    );
    backend
        .delete("default", true)
        .await
        .expect_err("the default workspace stays");
    if workspace != "default" {
        backend.delete(workspace, false).await.expect("a removal");
    }
}
