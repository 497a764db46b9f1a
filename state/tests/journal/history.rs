//! A history that cannot be written is told of; it fails no command, and loses no state.

use std::sync::{Arc, Mutex};

use stead_state::{Error, State, StateManager};

use crate::disk::{FAULTS, Fault, TestDisk};
use crate::remote::{self, TestStore};
use crate::{address, command, lock, object, provider, recorded};

/// Part of the name of the folder, and of the names beside a remote state.
const HISTORY: &str = "history";

static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn tell(error: &Error) {
    TOLD.lock().expect("the list").push(error.to_string());
}

/// Three writes, each of which must be kept; what was told of them.
fn three_writes(open: impl Fn() -> StateManager, what: &str) -> Vec<String> {
    TOLD.lock().expect("the list").clear();
    for number in 1..4 {
        let mut manager = open().telling(tell).remembering(command());
        manager.lock(&lock()).expect("the lock");
        let mut state = manager.read().expect("a state").unwrap_or_default();
        state.set_current(
            &address(number),
            &provider(),
            Some(object(number, Some(number))),
        );
        let written = manager.write(&mut state);
        written.unwrap_or_else(|e| panic!("{what}: {e}"));
    }
    std::mem::take(&mut *TOLD.lock().expect("the list"))
}

/// The state is whole; what is known of its past can be read, and ends where it is not known.
fn is_whole(mut manager: StateManager, gaps: usize, what: &str) {
    let state = manager.read().expect("a state").expect("one");
    assert_eq!(recorded(&state).len(), 3, "{what}");
    let history = manager.history().unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(history.entries.len() + gaps >= 3, "{what}");
    for serial in 0..state.serial {
        match manager.back_to(serial, &state) {
            Ok(State { resources, .. }) => {
                let instances = resources.values().map(|r| r.instances.len()).sum::<usize>();
                assert_eq!(instances as u64, serial, "{what}, serial {serial}");
            }
            Err(Error::HistoryGap { .. }) => assert!(gaps > 0, "{what}, serial {serial}"),
            Err(e) => panic!("{what}, serial {serial}: {e}"),
        }
    }
}

/// One after the other: what is told is told to a function, which has one place for it.
#[test]
fn every_fault_at_every_step_of_the_history() {
    // The lock is the operating system's, on a file that is not on the disk in memory.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("terraform.tfstate");
    let open = |disk: &TestDisk| StateManager::at_on(Arc::new(disk.clone()), &path);
    let disk = || TestDisk::default().about(HISTORY);
    let undisturbed = disk();
    assert!(three_writes(|| open(&undisturbed), "no fault").is_empty());
    is_whole(open(&undisturbed), 0, "no fault");
    let steps = undisturbed.operations();
    assert!(steps >= 15, "{steps}");
    for at in 0..steps {
        for fault in FAULTS {
            let what = format!("step {at}, {fault:?}");
            let disk = disk().failing(at, fault);
            let told = three_writes(|| open(&disk), &what);
            let one = matches!(fault, Fault::Fails | Fault::CutShort);
            assert!(
                !told.is_empty() && (!one || told.len() == 1),
                "{what}: {told:?}"
            );
            assert!(told[0].contains("not in its history"), "{what}: {told:?}");
            is_whole(open(&disk.after_exit()), told.len(), &what);
            for loss in 0..3 {
                let left = disk.after_power_loss(at as u64 * 31 + loss);
                // What power takes of a history is not told by anybody; the state was synced.
                is_whole(open(&left), 3, &what);
            }
        }
    }
    beside_a_remote_state();
}

fn beside_a_remote_state() {
    let new = || TestStore::new(TestDisk::default()).about(HISTORY);
    let undisturbed = new();
    assert!(three_writes(|| undisturbed.manager(), "no fault").is_empty());
    let steps = undisturbed.requests();
    is_whole(undisturbed.manager(), 0, "no fault");
    assert!(steps >= 3, "{steps}");
    for at in 0..steps {
        for fault in [
            remote::Fault::Fails,
            remote::Fault::FailsFromNowOn,
            remote::Fault::AnswerLost,
            remote::Fault::LandsLater,
            remote::Fault::Slow,
        ] {
            let what = format!("request {at}, {fault:?}");
            let store = new().failing(at, fault);
            let told = three_writes(|| store.manager(), &what);
            assert_eq!(
                told.is_empty(),
                fault == remote::Fault::Slow,
                "{what}: {told:?}"
            );
            assert!(
                told.iter().all(|t| t.contains("not in its history")),
                "{what}: {told:?}"
            );
            is_whole(store.after().manager(), told.len(), &what);
        }
    }
}
