//! Whatever happens to the process, the disk or the power during a run: afterwards the state knows every object that exists, once.

mod disk;
mod history;
mod remote;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use disk::{FAULTS, Fault, TestDisk};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use serde_json::value::to_raw_value;
use stead_state::journal::{Doubt, IN_DOUBT, Intent, Journal, Run};
use stead_state::{
    LockInfo, Object, ObjectStatus, ProviderConfigRef, Result, State, StateManager, parse_provider,
    parse_resource_instance,
};
use stead_value::addr::ResourceInstance;

/// The remote side: which objects exist, by their number, and what they hold.
type World = BTreeMap<u64, u64>;

const PROVIDER: &str = r#"provider["registry.terraform.io/a/b"]"#;

fn provider() -> ProviderConfigRef {
    parse_provider(PROVIDER).expect("an address")
}

fn address(number: u64) -> ResourceInstance {
    parse_resource_instance(&format!("thing.a[\"{number}\"]")).expect("an address")
}

fn object(number: u64, holds: Option<u64>) -> Object {
    let attributes = to_raw_value(&json!({ "id": number.to_string(), "holds": holds }));
    Object {
        status: ObjectStatus::Ready,
        schema_version: 0,
        attributes: attributes.expect("JSON").into(),
        is_flat: false,
        sensitive_attributes: Vec::new(),
        private: Vec::new(),
        dependencies: Vec::new(),
        create_before_destroy: false,
        identity: None,
        unknown_fields: serde_json::Map::new(),
    }
}

fn lock() -> LockInfo {
    LockInfo {
        id: "id".into(),
        operation: "OperationTypeApply".into(),
        info: String::new(),
        who: "me@here".into(),
        version: "1.11.4".into(),
        created: "2026-01-01T00:00:00Z".into(),
        path: "terraform.tfstate".into(),
    }
}

/// What a state says exists: number → what it holds, `None` for an object in doubt.
fn recorded(state: &State) -> BTreeMap<u64, Option<u64>> {
    state
        .current_objects()
        .map(|(_, object, _)| {
            let attributes: serde_json::Value =
                serde_json::from_str(object.attributes.get()).expect("attributes");
            let number = attributes["id"].as_str().expect("an id").parse();
            let holds = attributes["holds"].as_u64();
            let in_doubt = object.unknown_fields.contains_key(IN_DOUBT);
            (number.expect("a number"), holds.filter(|_| !in_doubt))
        })
        .collect()
}

/// Looks at what is in doubt, as a refresh does.
fn look(state: &mut State, world: &World, unknown: &[Intent]) {
    let numbers: Vec<u64> = recorded(state)
        .into_iter()
        .filter(|(_, holds)| holds.is_none())
        .map(|(number, _)| number)
        .collect();
    for number in numbers {
        let found = world.get(&number).map(|holds| object(number, Some(*holds)));
        state.set_current(&address(number), &provider(), found);
    }
    for intent in unknown {
        // It is known by nothing but its address: here, by the key in it.
        let (number, holds) = world
            .iter()
            .find(|(number, _)| address(**number) == intent.address)
            .map_or((0, None), |(number, holds)| (*number, Some(*holds)));
        if holds.is_some() {
            state.set_current(&intent.address, &provider(), Some(object(number, holds)));
        }
    }
}

/// The command that a run is.
fn command() -> Run {
    Run {
        command: "apply".into(),
        who: "me@here".into(),
        started: "now".into(),
    }
}

/// One run on a local state.
fn run(folder: &Path, disk: &TestDisk, world: &mut World, seed: u64) -> Result<()> {
    let local = StateManager::at_on(Arc::new(disk.clone()), folder.join("terraform.tfstate"));
    work(local, world, seed, &Cell::new(None), &|| Ok(()))
}

/// One run: settle, look, then some operations. Ends where anything fails, as a process does that is killed there. `doing` is the object that it is about;
/// `between` is called when an operation is over.
fn work(
    manager: StateManager,
    world: &mut World,
    seed: u64,
    doing: &Cell<Option<u64>>,
    between: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut chance = StdRng::seed_from_u64(seed);
    let mut manager = manager.gathering(Duration::ZERO).remembering(command());
    manager.lock(&lock())?;
    let mut state = manager.read()?.unwrap_or_default();
    let unknown = manager.in_doubt().to_vec();
    look(&mut state, world, &unknown);
    manager.write(&mut state)?;
    let journal = manager.begin_journal(command(), Vec::new())?;
    let mut next = world.keys().last().map_or(0, |n| n + 1);
    for _ in 0..6 {
        let there: Vec<u64> = recorded(&state).into_keys().collect();
        let chosen = chance.random_range(0..3);
        if there.is_empty() || chosen == 0 {
            doing.set(Some(next));
            create(&journal, &mut state, world, next, chance.random_bool(0.5))?;
            next += 1;
        } else {
            let number = there[chance.random_range(0..there.len())];
            doing.set(Some(number));
            change(&journal, &mut state, world, number, chosen == 1)?;
        }
        wait(journal.handle().settled())?;
        between()?;
        doing.set(None);
        if chance.random_bool(0.5) {
            manager.checkpoint(&mut state, &journal)?;
        }
    }
    manager.write_last(&mut state, journal)
}

fn create(
    journal: &Journal,
    state: &mut State,
    world: &mut World,
    number: u64,
    identify: bool,
) -> Result<()> {
    let handle = journal.handle();
    let intent = Intent {
        address: address(number),
        provider: provider(),
        deposed: None,
        doubt: Doubt::Create {
            schema_version: 0,
            planned: json!({}),
        },
    };
    let operation = wait(handle.intend(&intent))?;
    if identify {
        let known = object(number, None);
        wait(handle.identified(operation, &intent.address, &intent.provider, known))?;
    }
    world.insert(number, 0);
    state.set_current(
        &intent.address,
        &intent.provider,
        Some(object(number, Some(0))),
    );
    told(&handle, state, operation, &intent)
}

fn change(
    journal: &Journal,
    state: &mut State,
    world: &mut World,
    number: u64,
    delete: bool,
) -> Result<()> {
    let handle = journal.handle();
    let intent = Intent {
        address: address(number),
        provider: provider(),
        deposed: None,
        doubt: if delete { Doubt::Delete } else { Doubt::Update },
    };
    let operation = wait(handle.intend(&intent))?;
    let left = if delete {
        world.remove(&number);
        None
    } else {
        let holds = world.get_mut(&number).expect("it exists");
        *holds += 1;
        Some(object(number, Some(*holds)))
    };
    state.set_current(&intent.address, &intent.provider, left);
    told(&handle, state, operation, &intent)
}

fn told(
    handle: &stead_state::journal::JournalHandle,
    state: &State,
    operation: stead_state::journal::Operation,
    intent: &Intent,
) -> Result<()> {
    let objects = state.instance(&intent.address);
    let objects = objects.map(|objects| (&intent.provider, objects));
    handle.changed(Some(operation), &intent.address, objects, false)
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
    });
    RUNTIME.block_on(future)
}

/// After two further runs on what is left, the state says what the world holds.
fn settles(folder: &Path, disk: &TestDisk, mut world: World, seed: u64, what: &str) {
    for round in 0..2 {
        run(folder, disk, &mut world, seed ^ (round + 7)).unwrap_or_else(|e| panic!("{what}: {e}"));
        let mut local =
            StateManager::at_on(Arc::new(disk.clone()), folder.join("terraform.tfstate"));
        let state = local.read().expect("the state").expect("a state");
        assert!(
            local.take_settlements().is_empty(),
            "{what}: a journal stays"
        );
        let said: BTreeMap<u64, Option<u64>> = recorded(&state);
        let there: BTreeMap<u64, Option<u64>> =
            world.iter().map(|(n, holds)| (*n, Some(*holds))).collect();
        assert_eq!(said, there, "{what}, round {round}");
    }
}

#[test]
fn every_fault_at_every_step_of_the_disk() {
    let mut tried = 0;
    for seed in 1..3 {
        let folder = tempfile::tempdir().expect("a folder");
        // A first run, so that there is something to change.
        let first = TestDisk::default();
        let mut world = World::new();
        run(folder.path(), &first, &mut world, seed).expect("a run without faults");
        let steps = {
            let disk = first.after_exit();
            run(folder.path(), &disk, &mut world.clone(), seed + 100).expect("a run");
            disk.operations()
        };
        assert!(steps > 20, "{steps}");
        for at in 0..steps {
            for fault in FAULTS {
                let what = format!("seed {seed}, step {at}, {fault:?}");
                let disk = first.after_exit().failing(at, fault);
                let mut world = world.clone();
                // Whether the run gets through in spite of the fault is its own affair.
                let _ = run(folder.path(), &disk, &mut world, seed + 100);
                if matches!(fault, Fault::PowerLost | Fault::PowerLostAfter) {
                    for loss in 0..3 {
                        let left = disk.after_power_loss(seed * 1_000_003 + loss);
                        settles(
                            folder.path(),
                            &left,
                            world.clone(),
                            seed,
                            &format!("{what}, loss {loss}"),
                        );
                        tried += 1;
                    }
                } else {
                    settles(folder.path(), &disk.after_exit(), world, seed, &what);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

/// A new state at a path, and the journal of a run on it.
fn begun(path: &Path) -> (State, Journal) {
    let mut local = StateManager::at(path);
    let mut state = State::new();
    local.write(&mut state).expect("written");
    let journal = local.begin_journal(Run::default(), Vec::new());
    (state, journal.expect("begun"))
}

/// The journal's own bytes, damaged in every place: the state is never lost, and nothing ends the process.
#[test]
fn a_damaged_journal_is_kept_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("terraform.tfstate");
    let journal_path = stead_state::journal::journal_path(&path);
    let (mut state, journal) = begun(&path);
    let mut world = World::new();
    for number in 0..3 {
        create(&journal, &mut state, &mut world, number, true).expect("made");
    }
    drop(journal);
    let whole = std::fs::read(&journal_path).expect("the journal");
    let before = std::fs::read(&path).expect("the state");
    let lines = whole.iter().filter(|b| **b == b'\n').count();
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x15;
        std::fs::write(&journal_path, &damaged).expect("written");
        std::fs::write(&path, &before).expect("written");
        let mut local = StateManager::at(&path).with_backup(None);
        local.lock(&lock()).expect("the lock");
        match local.read() {
            // Its beginning is damaged: it is left where it is.
            Err(e) => {
                assert!(e.to_string().contains("journal"), "{e}");
                assert_eq!(std::fs::read(&journal_path).expect("the journal"), damaged);
                assert_eq!(std::fs::read(&path).expect("the state"), before);
            }
            Ok(state) => {
                let settlement = local.take_settlements().pop().expect("something was found");
                let line = settlement.damaged.expect("the line");
                assert!(line <= lines, "{line}");
                let kept = settlement.kept.expect("a copy");
                assert_eq!(std::fs::read(kept).expect("the copy"), damaged);
                // Nothing that stands before the damage is lost.
                let said = recorded(&state.expect("a state"));
                assert!(said.len() + 1 >= (line - 1) / 3, "{said:?} at line {line}");
            }
        }
    }
}

#[test]
fn a_journal_that_is_being_written_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("terraform.tfstate");
    let (mut state, journal) = begun(&path);
    let mut world = World::new();
    create(&journal, &mut state, &mut world, 1, false).expect("made");
    let mut other = StateManager::at(&path);
    assert!(recorded(&other.read().expect("read").expect("a state")).is_empty());
    assert!(other.take_settlements().is_empty());
    assert!(matches!(
        other.begin_journal(Run::default(), Vec::new()),
        Err(stead_state::Error::JournalBusy { .. })
    ));
    drop(journal);
    // Left behind, it is seen by those who only look, and stays for those who may write.
    let found = other.read().expect("read").expect("a state");
    assert_eq!(recorded(&found), BTreeMap::from([(1, Some(0))]));
    assert!(stead_state::journal::journal_path(&path).exists());
}

/// What somebody else has written in the meantime stands; an object that only the journal knows is taken in or named.
#[test]
fn a_state_that_somebody_else_has_written_since_keeps_its_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("terraform.tfstate");
    let (mut state, journal) = begun(&path);
    let mut world = World::new();
    for number in 1..3 {
        create(&journal, &mut state, &mut world, number, false).expect("made");
    }
    drop(journal);
    let mut other = State {
        serial: 7,
        lineage: "somebody's".into(),
        ..State::new()
    };
    other.set_current(&address(1), &provider(), Some(object(11, Some(3))));
    std::fs::write(&path, stead_state::to_bytes(&other).expect("bytes")).expect("written");
    let mut local = StateManager::at(&path);
    local.lock(&lock()).expect("the lock");
    let found = local.read().expect("read").expect("a state");
    assert_eq!(
        recorded(&found),
        BTreeMap::from([(2, Some(0)), (11, Some(3))])
    );
    let settlement = local.take_settlements().pop().expect("something was found");
    assert_eq!(settlement.recorded, 1);
    let disputed = settlement.disputed.first().expect("one");
    assert_eq!(
        (disputed.address.clone(), disputed.id.as_deref()),
        (address(1), Some("1"))
    );
    assert!(settlement.kept.expect("a copy").exists());
}

/// A run that did not read the state beside which a journal lies must not take the journal's place.
#[test]
fn a_journal_that_was_not_read_is_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("terraform.tfstate");
    let (mut state, journal) = begun(&path);
    let mut world = World::new();
    create(&journal, &mut state, &mut world, 1, false).expect("made");
    drop(journal);
    let elsewhere = folder.path().join("elsewhere.tfstate");
    let mut other = StateManager::at(&path).with_source(elsewhere);
    assert!(other.read().expect("nothing there").is_none());
    use stead_state::Error::JournalUnsettled;
    let refused = other.write(&mut State::new());
    assert!(matches!(refused, Err(JournalUnsettled { .. })));
    let refused = other.begin_journal(Run::default(), Vec::new());
    assert!(matches!(refused, Err(JournalUnsettled { .. })));
    let found = StateManager::at(&path)
        .read()
        .expect("read")
        .expect("a state");
    assert_eq!(recorded(&found), BTreeMap::from([(1, Some(0))]));
}
