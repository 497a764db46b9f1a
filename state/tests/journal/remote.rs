//! Whatever happens to the requests to a remote state during a run: afterwards this machine knows every object that exists; and another one, which
//! has the journal's copy alone, all but the one that was being made or changed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stead_state::{BackendError, Disk as _, LockInfo, StateManager, Store};

use crate::disk::TestDisk;
use crate::{World, lock, look, recorded, work};

const JOURNAL: &str = "/machine/default.tfstate.journal";

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails and does nothing; the next ones work.
    Fails,
    /// So does every later one: the network is gone.
    FailsFromNowOn,
    /// It is done, but nobody hears of that.
    AnswerLost,
    /// What was to be put beside the state is taken for lost, and comes to its place some requests later.
    LandsLater,
    /// It is done, and takes longer than several others.
    Slow,
    /// The process ends before it.
    Killed,
    /// The process ends when it has been done.
    KilledAfter,
}

const FAULTS: [Fault; 7] = [
    Fault::Fails,
    Fault::FailsFromNowOn,
    Fault::AnswerLost,
    Fault::LandsLater,
    Fault::Slow,
    Fault::Killed,
    Fault::KilledAfter,
];

#[derive(Clone, Debug, Default)]
struct Kept {
    files: BTreeMap<String, Vec<u8>>,
    lock: Option<LockInfo>,
    requests: usize,
    fault: Option<(usize, Fault)>,
    /// Only requests about files with this in their names are counted, and fail.
    about: Option<&'static str>,
    off: bool,
    /// Under way since that request.
    late: Option<(usize, String, Vec<u8>)>,
}

/// A place in memory that fails as told, and the disk of the machine that uses it.
#[derive(Clone, Debug)]
pub(crate) struct TestStore {
    kept: Arc<Mutex<Kept>>,
    disk: TestDisk,
}

impl TestStore {
    pub(crate) fn new(disk: TestDisk) -> TestStore {
        TestStore {
            kept: Arc::default(),
            disk,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().expect("what is kept"))
    }

    pub(crate) fn failing(self, at: usize, fault: Fault) -> TestStore {
        self.with(|kept| kept.fault = Some((at, fault)));
        self
    }

    pub(crate) fn about(self, part: &'static str) -> TestStore {
        self.with(|kept| kept.about = Some(part));
        self
    }

    pub(crate) fn requests(&self) -> usize {
        self.with(|kept| kept.requests)
    }

    /// The place as it is found later, its lock broken, by a machine with that disk.
    fn for_machine(&self, disk: TestDisk) -> TestStore {
        let files = self.with(|kept| {
            kept.land(usize::MAX);
            kept.files.clone()
        });
        let store = TestStore::new(disk);
        store.with(|kept| kept.files = files);
        store
    }

    /// The same by this machine.
    pub(crate) fn after(&self) -> TestStore {
        self.for_machine(self.disk.after_exit())
    }

    pub(crate) fn manager(&self) -> StateManager {
        let disk = Arc::new(self.disk.clone());
        let store = Arc::new(self.clone());
        StateManager::remote_on(disk, store, JOURNAL.into(), |_| {}).gathering(Duration::ZERO)
    }

    /// The copy of the newest journal.
    fn copies(&self) -> Vec<Vec<u8>> {
        let mut journals: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        self.with(|kept| {
            for (name, bytes) in &kept.files {
                if let Some((run, _)) = name.rsplit_once('.').filter(|_| name.contains("journal")) {
                    journals.entry(run.into()).or_default().extend(bytes);
                }
            }
        });
        journals.into_values().collect()
    }

    /// Waits until the copy of the journal has all that is in it, unless it never will.
    ///
    /// # Errors
    /// When the process has ended.
    fn catches_up(&self) -> stead_state::Result<()> {
        let began = Instant::now();
        loop {
            let journal = self.disk.read(Path::new(JOURNAL)).expect("the disk");
            let journal = journal.expect("a journal");
            if self.copies().contains(&journal) {
                return Ok(());
            }
            if self.with(|kept| kept.off) {
                return match self.is_alive() {
                    true => Ok(()),
                    false => Err(stead_state::Error::Threads(io::Error::other("killed"))),
                };
            }
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "the copy stays behind"
            );
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Whether there is still a process, if one without a network.
    fn is_alive(&self) -> bool {
        let fault = self.with(|kept| kept.fault.map(|(_, fault)| fault));
        !matches!(fault, Some(Fault::Killed | Fault::KilledAfter))
    }

    /// Counts a request and does it as far as the fault lets it.
    async fn request<T>(
        &self,
        name: &str,
        act: impl FnOnce(&mut Kept) -> Result<T, BackendError> + Send,
    ) -> Result<T, BackendError> {
        let failed = || BackendError::failed("ask the place", "told to fail");
        let fault = self.with(|kept| {
            if kept.about.is_some_and(|about| !name.contains(about)) {
                return Ok(None);
            }
            let number = kept.requests;
            kept.requests += 1;
            kept.land(number);
            let fault = kept.fault.filter(|(at, _)| *at == number).map(|(_, f)| f);
            if fault == Some(Fault::Killed) {
                self.disk.switch_off();
            }
            kept.off |= matches!(fault, Some(Fault::FailsFromNowOn | Fault::Killed));
            match kept.off {
                true => Err(failed()),
                false => Ok(fault),
            }
        })?;
        if fault == Some(Fault::Fails) {
            return Err(failed());
        }
        if fault == Some(Fault::Slow) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let done = self.with(act);
        match fault {
            Some(Fault::AnswerLost) => Err(failed()),
            Some(Fault::KilledAfter) => {
                self.with(|kept| kept.off = true);
                self.disk.switch_off();
                Err(failed())
            }
            _ => done,
        }
    }
}

impl Kept {
    /// What is late has arrived by the third request after it.
    fn land(&mut self, now: usize) {
        if let Some((_, name, content)) = self.late.take_if(|(since, ..)| *since + 3 <= now) {
            self.files.insert(name, content);
        }
    }

    fn holder(&self, id: &str) -> Result<(), BackendError> {
        match &self.lock {
            Some(holder) if holder.id == id => Ok(()),
            Some(holder) => Err(BackendError::Locked {
                holder: Some(Box::new(holder.clone())),
                reason: "423".into(),
            }),
            None => Err(BackendError::LockLost),
        }
    }
}

#[async_trait]
impl Store for TestStore {
    fn location(&self) -> String {
        "memory/state".into()
    }

    async fn read(&self) -> Result<Option<Vec<u8>>, BackendError> {
        self.request("state", |kept| Ok(kept.files.get("state").cloned()))
            .await
    }

    async fn write(&self, state: &[u8]) -> Result<(), BackendError> {
        let state = state.to_vec();
        let put = |kept: &mut Kept| {
            kept.files.insert("state".into(), state);
            Ok(())
        };
        self.request("state", put).await
    }

    async fn lock(&self, info: &LockInfo) -> Result<String, BackendError> {
        let take = |kept: &mut Kept| {
            if kept.lock.is_some() {
                kept.holder("")?;
            }
            kept.lock = Some(info.clone());
            Ok(info.id.clone())
        };
        self.request("lock", take).await
    }

    async fn unlock(&self, id: &str) -> Result<(), BackendError> {
        let give_back = |kept: &mut Kept| {
            kept.holder(id)?;
            kept.lock = None;
            Ok(())
        };
        self.request("lock", give_back).await
    }

    async fn holds(&self, id: &str) -> Result<(), BackendError> {
        self.request("lock", |kept| kept.holder(id)).await
    }

    async fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        self.request(name, |kept| Ok(kept.files.get(name).cloned()))
            .await
    }

    async fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), BackendError> {
        let put = |kept: &mut Kept| {
            let number = kept.requests.saturating_sub(1);
            match kept.fault {
                Some((at, Fault::LandsLater)) if at == number && kept.late.is_none() => {
                    kept.late = Some((number, name.to_owned(), content.to_vec()));
                    Err(BackendError::failed("ask the place", "no answer"))
                }
                _ => {
                    kept.files.insert(name.to_owned(), content.to_vec());
                    Ok(())
                }
            }
        };
        self.request(name, put).await
    }

    async fn remove_beside(&self, name: &str) -> Result<(), BackendError> {
        let remove = |kept: &mut Kept| {
            kept.files.remove(name);
            Ok(())
        };
        self.request(name, remove).await
    }

    async fn list_beside(&self) -> Result<Vec<String>, BackendError> {
        let list = |kept: &mut Kept| {
            let names = kept.files.keys().filter(|name| *name != "state");
            Ok(names.cloned().collect())
        };
        self.request("list", list).await
    }
}

/// One run; what it was about when it ended.
fn run(store: &TestStore, world: &mut World, seed: u64) -> (stead_state::Result<()>, Option<u64>) {
    let doing = Cell::new(None);
    let outcome = work(store.manager(), world, seed, &doing, &|| store.catches_up());
    (outcome, doing.get())
}

fn expected(world: &World) -> BTreeMap<u64, Option<u64>> {
    world.iter().map(|(n, holds)| (*n, Some(*holds))).collect()
}

/// After two further runs by the same machine, the state says what the world holds.
fn settles(store: &TestStore, mut world: World, seed: u64, what: &str) {
    for round in 0..2 {
        let (outcome, _) = run(store, &mut world, seed ^ (round + 7));
        outcome.unwrap_or_else(|e| panic!("{what}: {e}"));
        let mut manager = store.manager();
        let state = manager.read().expect("the state").expect("a state");
        assert!(
            manager.take_settlements().is_empty(),
            "{what}: a journal stays"
        );
        assert_eq!(recorded(&state), expected(&world), "{what}, round {round}");
    }
}

/// What a machine knows that settles what is there.
fn known(store: &TestStore, world: &World) -> BTreeMap<u64, Option<u64>> {
    let mut manager = store.manager();
    manager.lock(&lock()).expect("the lock");
    let mut state = manager.read().expect("the state").unwrap_or_default();
    let unknown = manager.in_doubt().to_vec();
    look(&mut state, world, &unknown);
    recorded(&state)
}

/// Another machine knows all but what was being done, unless the copy could not follow. When the first one comes back, nothing is lost even then.
fn settles_elsewhere(store: &TestStore, world: &World, uncertain: Option<u64>, what: &str) {
    let elsewhere = store.for_machine(TestDisk::default());
    let mut said = known(&elsewhere, world);
    let mut there = expected(world);
    if let Some(uncertain) = uncertain {
        said.remove(&uncertain);
        there.remove(&uncertain);
    }
    if !store.with(|kept| matches!(kept.fault, Some((_, Fault::FailsFromNowOn)))) {
        assert_eq!(said, there, "{what}, elsewhere");
    }
    let back = known(&elsewhere.for_machine(store.disk.after_exit()), world);
    let lost: Vec<_> = world.keys().filter(|n| !back.contains_key(n)).collect();
    assert!(lost.is_empty(), "{what}, back again: {lost:?} of {back:?}");
}

/// What a run leaves behind that was killed while something was being made of which nothing is known but its address; and the world then.
fn with_doubt(first: &TestStore, world: &World) -> (TestStore, World) {
    let kill_at = |at| {
        let store = first.after().failing(at, Fault::KilledAfter);
        let mut world = world.clone();
        // How often the copy is put there depends on how fast that goes: this run may come to its end with fewer requests.
        run(&store, &mut world, 100).0.err()?;
        let left = store.for_machine(TestDisk::default());
        let mut manager = left.manager();
        manager.read().expect("a state");
        (!manager.in_doubt().is_empty()).then_some((left, world))
    };
    // For the same reason there may be none at first.
    let left = (0..100).find_map(|_| (0..first.requests()).find_map(kill_at));
    left.expect("one with something in doubt")
}

/// A run on what another has left, with every fault at every one of its requests; how many were tried.
fn every_fault(first: &TestStore, world: &World, seed: u64) -> usize {
    let steps = {
        let store = first.after();
        let (outcome, _) = run(&store, &mut world.clone(), seed);
        outcome.expect("a run without faults");
        assert!(store.copies().is_empty(), "a copy stays");
        store.requests()
    };
    assert!(steps > 20, "{steps}");
    for at in 0..steps {
        for fault in FAULTS {
            let what = format!("seed {seed}, request {at}, {fault:?}");
            let store = first.after().failing(at, fault);
            let mut world = world.clone();
            // Whether the run gets through in spite of the fault is its own affair.
            let (_, doing) = run(&store, &mut world, seed);
            settles_elsewhere(&store, &world, doing, &what);
            settles(&store.after(), world, seed, &what);
        }
    }
    steps * FAULTS.len()
}

#[test]
fn every_fault_at_every_request() {
    let first = TestStore::new(TestDisk::default());
    let mut world = World::new();
    run(&first, &mut world, 1).0.expect("a run without faults");
    let (left, then) = with_doubt(&first, &world);
    let tried = every_fault(&first, &world, 101) + every_fault(&left, &then, 102);
    assert!(tried > 300, "{tried}");
}
