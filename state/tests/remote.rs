//! A state at a remote place, which here is a map in memory that many managers share.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{json, value::to_raw_value};
use stead_state::journal::{Doubt, Intent, JournalHandle, Run};
use stead_state::{
    BackendError, Error, LockInfo, Object, ObjectStatus, ProviderConfigRef, State, StateManager,
    Store, from_bytes, parse_provider, parse_resource_instance,
};
use stead_value::addr::ResourceInstance;

#[derive(Debug, Default)]
struct Memory {
    files: BTreeMap<String, Vec<u8>>,
    lock: Option<LockInfo>,
    /// Asked for, and refused.
    refuses_writes: bool,
    refuses_listing: bool,
}

#[derive(Clone, Debug, Default)]
struct Place(Arc<Mutex<Memory>>);

impl Place {
    fn with<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> T {
        act(&mut self.0.lock().expect("the memory"))
    }

    fn manager(&self, machine: &Path) -> StateManager {
        let journal = machine.join(".stead/default.tfstate.journal");
        StateManager::remote(Arc::new(self.clone()), journal, |error| panic!("{error}"))
    }

    fn beside(&self) -> Vec<String> {
        self.with(|m| m.files.keys().filter(|k| *k != "state").cloned().collect())
    }
}

#[async_trait]
impl Store for Place {
    fn location(&self) -> String {
        "memory/state".into()
    }

    async fn read(&self) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.with(|m| m.files.get("state").cloned()))
    }

    async fn write(&self, state: &[u8]) -> Result<(), BackendError> {
        self.with(|m| match m.refuses_writes {
            true => Err(BackendError::failed("PUT memory/state", "507 full")),
            false => {
                m.files.insert("state".into(), state.to_vec());
                Ok(())
            }
        })
    }

    async fn lock(&self, info: &LockInfo) -> Result<String, BackendError> {
        self.with(|m| match &m.lock {
            Some(holder) => Err(BackendError::Locked {
                holder: Some(Box::new(holder.clone())),
                reason: "423".into(),
            }),
            None => {
                m.lock = Some(info.clone());
                Ok(info.id.clone())
            }
        })
    }

    async fn unlock(&self, id: &str) -> Result<(), BackendError> {
        self.holds(id).await?;
        self.with(|m| m.lock = None);
        Ok(())
    }

    async fn holds(&self, id: &str) -> Result<(), BackendError> {
        self.with(|m| match &m.lock {
            Some(holder) if holder.id == id => Ok(()),
            Some(holder) => Err(BackendError::Locked {
                holder: Some(Box::new(holder.clone())),
                reason: "423".into(),
            }),
            None => Err(BackendError::LockLost),
        })
    }

    async fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.with(|m| m.files.get(name).cloned()))
    }

    async fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), BackendError> {
        self.with(|m| m.files.insert(name.into(), content.to_vec()));
        Ok(())
    }

    async fn remove_beside(&self, name: &str) -> Result<(), BackendError> {
        self.with(|m| m.files.remove(name));
        Ok(())
    }

    async fn list_beside(&self) -> Result<Vec<String>, BackendError> {
        match self.with(|m| m.refuses_listing) {
            true => Err(BackendError::failed("LIST memory", "403 no list")),
            false => Ok(self.beside()),
        }
    }
}

fn lock(id: &str) -> LockInfo {
    LockInfo {
        id: id.into(),
        operation: "OperationTypeApply".into(),
        info: String::new(),
        who: "me@here".into(),
        version: "1.11.4".into(),
        created: "2026-11-29T12:00:00Z".into(),
        path: "memory/state".into(),
    }
}

fn run() -> Run {
    Run {
        command: "apply".into(),
        who: "me@here".into(),
        started: "2026-11-29T12:00:00Z".into(),
    }
}

fn address(number: u32) -> ResourceInstance {
    parse_resource_instance(&format!("thing.of[{number}]")).expect("an address")
}

fn provider() -> ProviderConfigRef {
    parse_provider(r#"provider["registry.terraform.io/my/things"]"#).expect("a provider")
}

fn object(id: &str) -> Object {
    Object {
        status: ObjectStatus::Ready,
        schema_version: 0,
        attributes: to_raw_value(&json!({ "id": id })).expect("JSON").into(),
        is_flat: false,
        sensitive_attributes: Vec::new(),
        private: Vec::new(),
        dependencies: Vec::new(),
        create_before_destroy: false,
        identity: None,
        unknown_fields: serde_json::Map::new(),
    }
}

fn creation(number: u32) -> Intent {
    Intent {
        address: address(number),
        provider: provider(),
        deposed: None,
        doubt: Doubt::Create {
            schema_version: 0,
            planned: json!({}),
        },
    }
}

/// Drives a future without a runtime of its own, as the engine's runtime would.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Makes the first object, from its intent to its outcome.
async fn make_whole(handle: &JournalHandle, state: &mut State) {
    let whole = handle.intend(&creation(1)).await.expect("noted");
    state.set_current(&address(1), &provider(), Some(object("vm-1")));
    let objects = state.instance(&address(1)).expect("it is there").clone();
    handle
        .changed(
            Some(whole),
            &address(1),
            Some((&provider(), &objects)),
            false,
        )
        .expect("noted");
}

/// A machine begins an apply, makes one object whole and one half, and is never seen again.
fn cut_off(place: &Place, machine: &Path) {
    let mut manager = place.manager(machine);
    manager.lock(&lock("first")).expect("the lock");
    let mut state = manager.read().expect("a state").unwrap_or_default();
    manager.write(&mut state).expect("written");
    let journal = manager.begin_journal(run(), Vec::new()).expect("a journal");
    let handle = journal.handle();
    wait(async {
        make_whole(&handle, &mut state).await;
        let half = handle.intend(&creation(2)).await.expect("noted");
        handle
            .identified(half, &address(2), &provider(), object("vm-2"))
            .await
            .expect("noted");
    });
    // The journal's copy is on its way when the journal ends; the lock is left behind.
    drop(journal);
    std::mem::forget(manager);
}

#[test]
fn another_machine_settles_by_the_copy_beside_the_state() {
    let place = Place::default();
    let (first, second) = machines();
    cut_off(&place, first.path());
    let copy = place.beside();
    assert!(
        matches!(&*copy, [name] if name.starts_with("journal.") && name.ends_with(".000000")),
        "{copy:?}"
    );

    // Who only looks sees what was done, and leaves it alone: the run might be going on.
    let mut manager = place.manager(second.path());
    let state = manager.read().expect("a state").expect("one");
    assert!(state.current(&address(1)).is_some());
    assert!(state.current(&address(2)).is_some());
    let settlements = manager.take_settlements();
    assert!(
        matches!(&*settlements, [s] if s.may_be_at_work && !s.left_out && s.recorded == 1),
        "{settlements:?}"
    );
    assert_eq!(place.beside(), copy);
    place.with(|m| {
        let state = from_bytes(&m.files["state"], Path::new("x")).expect("a state");
        assert!(state.current(&address(1)).is_none(), "nothing was written");
    });
    assert!(
        matches!(manager.lock(&lock("second")), Err(Error::Locked { holder: Some(h), .. }) if h.id == "first")
    );

    place.with(|m| m.lock = None); // force-unlock
    manager.lock(&lock("second")).expect("the lock");
    let state = manager.read().expect("a state").expect("one");
    assert!(state.current(&address(1)).is_some());
    let (half, _) = state.current(&address(2)).expect("what was identified");
    assert_eq!(half.status, ObjectStatus::Tainted);
    let settlements = manager.take_settlements();
    assert_eq!(settlements.len(), 1);
    assert_eq!(settlements[0].recorded, 1);
    assert!(place.beside().is_empty(), "{:?}", place.beside());
    let written = place.with(|m| m.files["state"].clone());
    let written = from_bytes(&written, Path::new("x")).expect("a state");
    assert!(written.current(&address(1)).is_some());
}

/// What was read of the state and what lies beside it may be of two moments: then neither is bent to fit the other.
#[test]
fn who_only_looks_takes_nothing_in_that_is_not_about_the_state() {
    let place = Place::default();
    let (first, second) = machines();
    cut_off(&place, first.path());
    // Somebody who keeps no journal beside it has written the state since.
    place.with(|m| {
        let mut state = from_bytes(&m.files["state"], Path::new("x")).expect("a state");
        state.serial += 1;
        state.set_current(&address(1), &provider(), Some(object("vm-9")));
        let bytes = stead_state::to_bytes(&state).expect("bytes");
        m.files.insert("state".into(), bytes);
    });
    let mut manager = place.manager(second.path());
    let state = manager.read().expect("a state").expect("one");
    assert!(state.current(&address(2)).is_none());
    let settlements = manager.take_settlements();
    assert!(
        matches!(&*settlements, [s] if s.left_out && s.disputed.is_empty() && !s.is_silent()),
        "{settlements:?}"
    );
    assert!(manager.in_doubt().is_empty());
    // For the outputs nobody needs what lies beside.
    let mut alone = place.manager(second.path()).alone();
    alone.read().expect("a state").expect("one");
    assert!(alone.take_settlements().is_empty());
}

/// Readers may be allowed to read the state and no more.
#[test]
fn who_only_looks_can_do_without_what_lies_beside() {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let place = Place::default();
    let (first, second) = machines();
    cut_off(&place, first.path());
    let open = |tell| {
        let journal = second.path().join("default.tfstate.journal");
        StateManager::remote(Arc::new(place.clone()), journal, tell)
    };
    let told = || std::mem::take(&mut *TOLD.lock().expect("the list"));
    let tell = |error: &Error| TOLD.lock().expect("the list").push(error.to_string());
    place.with(|m| m.refuses_listing = true);
    let mut reader = open(tell);
    reader.read().expect("a state").expect("one");
    let said = told();
    assert!(said[0].contains("403 no list"), "{said:?}");
    // Who may write must know.
    place.with(|m| m.lock = None);
    let mut writer = open(tell);
    writer.lock(&lock("second")).expect("the lock");
    let refused = writer.read();
    assert!(matches!(refused, Err(Error::Remote { .. })), "{refused:?}");
    drop(writer);
    // What cannot be made out is told as well.
    place.with(|m| {
        m.refuses_listing = false;
        m.files.insert("journal.zz.000000".into(), b"x\n".to_vec());
    });
    let mut reader = open(tell);
    let state = reader.read().expect("a state").expect("one");
    assert!(state.current(&address(1)).is_some(), "by the other copy");
    let said = told();
    assert!(
        said[0].contains("does not begin like a journal"),
        "{said:?}"
    );
}

#[test]
fn the_same_machine_settles_once_by_its_own_journal() {
    let place = Place::default();
    let (machine, _) = machines();
    cut_off(&place, machine.path());
    place.with(|m| m.lock = None);
    let mut manager = place.manager(machine.path());
    manager.lock(&lock("second")).expect("the lock");
    let state = manager.read().expect("a state").expect("one");
    assert!(state.current(&address(1)).is_some());
    assert_eq!(manager.take_settlements().len(), 1);
    assert!(place.beside().is_empty());
    let mut again = place.manager(machine.path());
    again.read().expect("a state");
    assert!(again.take_settlements().is_empty());
}

#[test]
fn a_state_that_cannot_be_written_stays_in_the_journal() {
    let place = Place::default();
    let (machine, _) = machines();
    let mut manager = place.manager(machine.path());
    manager.lock(&lock("first")).expect("the lock");
    let mut state = State::new();
    manager.write(&mut state).expect("written");
    let journal = manager.begin_journal(run(), Vec::new()).expect("a journal");
    let handle = journal.handle();
    wait(make_whole(&handle, &mut state));
    place.with(|m| m.refuses_writes = true);
    let error = manager
        .write_last(&mut state, journal)
        .expect_err("refused");
    assert!(error.to_string().contains("507 full"), "{error}");
    drop(manager);
    place.with(|m| m.refuses_writes = false);
    let mut next = place.manager(machine.path());
    next.lock(&lock("second")).expect("the lock was given back");
    let state = next.read().expect("a state").expect("one");
    assert!(state.current(&address(1)).is_some());
}

#[test]
fn nothing_is_written_under_a_lock_that_somebody_broke() {
    let place = Place::default();
    let (machine, other) = machines();
    let mut manager = place.manager(machine.path());
    manager.lock(&lock("first")).expect("the lock");
    let mut state = State::new();
    manager.write(&mut state).expect("written");
    let journal = manager.begin_journal(run(), Vec::new()).expect("a journal");
    let handle = journal.handle();
    wait(make_whole(&handle, &mut state));
    place.with(|m| m.lock = None);
    let mut thief = place.manager(other.path());
    thief.lock(&lock("thief")).expect("the lock");
    let checkpoint = manager.checkpoint(&mut state, &journal);
    assert!(
        matches!(checkpoint, Err(Error::LockLost { .. })),
        "{checkpoint:?}"
    );
    assert!(manager.check_lock().is_err());
    let refused = wait(handle.intend(&creation(2)));
    assert!(
        matches!(refused, Err(Error::LockLost { .. })),
        "{refused:?}"
    );
    let last = manager.write_last(&mut state, journal);
    assert!(matches!(last, Err(Error::LockLost { .. })), "{last:?}");
    drop(manager);
    place.with(|m| assert_eq!(m.lock.as_ref().map(|l| l.id.as_str()), Some("thief")));
    drop(thief);
    // What was done is not forgotten.
    let mut next = place.manager(machine.path());
    next.lock(&lock("second")).expect("the lock");
    let state = next.read().expect("a state").expect("one");
    assert!(state.current(&address(1)).is_some());
}

/// Who works without the lock must not take away what the holder of the lock, or one that was cut off, has left.
#[test]
fn a_run_without_the_lock_leaves_the_copy_of_another_alone() {
    let place = Place::default();
    let (first, second) = machines();
    cut_off(&place, first.path());
    let copy = place.beside();
    let mut manager = place.manager(second.path());
    let mut state = manager.read().expect("a state").expect("one");
    let journal = manager.begin_journal(run(), Vec::new()).expect("a journal");
    wait(make_whole(&journal.handle(), &mut state));
    manager.write_last(&mut state, journal).expect("written");
    assert_eq!(place.beside(), copy);
    place.with(|m| m.lock = None);
    let mut next = place.manager(second.path());
    next.lock(&lock("second")).expect("the lock");
    let state = next.read().expect("a state").expect("one");
    assert!(
        state.current(&address(2)).is_some(),
        "what the first had begun"
    );
}

#[test]
fn a_journal_that_cannot_be_looked_at_is_not_taken_for_none() {
    let place = Place::default();
    let (machine, _) = machines();
    std::fs::write(machine.path().join(".stead"), "no folder").expect("a file");
    let refused = place.manager(machine.path()).read();
    assert!(matches!(refused, Err(Error::Io { .. })), "{refused:?}");
}

fn machines() -> (tempfile::TempDir, tempfile::TempDir) {
    let folder = || tempfile::tempdir().expect("a folder");
    (folder(), folder())
}
