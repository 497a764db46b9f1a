//! What was written can be told and taken back.

use std::path::Path;

use serde_json::{json, value::to_raw_value};
use stead_state::history::ChangeKind;
use stead_state::journal::Run;
use stead_state::{
    Error, LockInfo, Object, ObjectStatus, OutputValue, State, StateManager, parse_provider,
    parse_resource_instance, to_bytes,
};

fn object(holds: u32) -> Object {
    Object {
        status: ObjectStatus::Ready,
        schema_version: 0,
        attributes: to_raw_value(&json!({ "id": "x", "holds": holds }))
            .expect("JSON")
            .into(),
        is_flat: false,
        sensitive_attributes: Vec::new(),
        private: Vec::new(),
        dependencies: Vec::new(),
        create_before_destroy: false,
        identity: None,
        unknown_fields: serde_json::Map::new(),
    }
}

fn set(state: &mut State, address: &str, holds: Option<u32>) {
    let provider = parse_provider(r#"provider["registry.terraform.io/my/things"]"#);
    let address = parse_resource_instance(address).expect("an address");
    state.set_current(&address, &provider.expect("a provider"), holds.map(object));
}

fn output(state: &mut State, value: u32) {
    let value = OutputValue {
        value: to_raw_value(&value).expect("JSON").into(),
        ty: json!("number"),
        sensitive: false,
    };
    state.outputs.insert("o".into(), value);
}

fn manager(folder: &Path, command: &str) -> StateManager {
    let mut manager = StateManager::at(folder.join("terraform.tfstate")).remembering(Run {
        command: command.into(),
        who: "me@here".into(),
        started: "2026-11-29T12:00:00Z".into(),
    });
    let lock = LockInfo {
        id: "x".into(),
        operation: String::new(),
        info: String::new(),
        who: String::new(),
        version: String::new(),
        created: String::new(),
        path: String::new(),
    };
    manager.lock(&lock).expect("the lock");
    manager
}

/// Runs a command that changes the state; what the state was afterwards.
fn command(folder: &Path, name: &str, change: impl FnOnce(&mut State)) -> Vec<u8> {
    let mut manager = manager(folder, name);
    let mut state = manager.read().expect("a state").unwrap_or_default();
    change(&mut state);
    manager.write(&mut state).expect("written");
    content(state)
}

/// All but what says when it was written.
fn content(state: State) -> Vec<u8> {
    let state = State { serial: 0, ..state };
    to_bytes(&state).expect("bytes")
}

#[test]
fn every_serial_can_be_reached_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut were = vec![command(folder.path(), "apply", |state| {
        set(state, "thing.a", Some(1));
        set(state, "thing.b[0]", Some(1));
        output(state, 1);
    })];
    were.push(command(folder.path(), "apply", |state| {
        set(state, "thing.a", Some(2));
        set(state, "module.m[\"x\"].thing.c", Some(1));
    }));
    were.push(command(folder.path(), "state rm", |state| {
        set(state, "thing.b[0]", None);
        state.outputs.clear();
    }));
    were.push(command(folder.path(), "destroy", |state| {
        *state = State {
            resources: Default::default(),
            ..state.clone()
        }
    }));

    let mut manager = manager(folder.path(), "state undo");
    let state = manager.read().expect("a state").expect("one");
    assert_eq!(state.serial, 4);
    for (serial, was) in (1..).zip(&were) {
        let back = manager.back_to(serial, &state).expect("a past");
        assert_eq!(
            String::from_utf8_lossy(&content(back)),
            String::from_utf8_lossy(was),
            "serial {serial}"
        );
    }
    assert!(
        manager
            .back_to(0, &state)
            .expect("the beginning")
            .is_empty()
    );
    let history = manager.history().expect("a history");
    let told: Vec<(u64, &str, Vec<_>)> = history
        .entries
        .iter()
        .map(|e| (e.serial, e.run.command.as_str(), e.instances().collect()))
        .collect();
    assert_eq!(
        told[1],
        (3, "state rm", vec![("thing.b[0]", ChangeKind::Forgotten)])
    );
    assert_eq!(
        told[2],
        (
            2,
            "apply",
            vec![
                ("thing.a", ChangeKind::Changed),
                ("module.m[\"x\"].thing.c", ChangeKind::Recorded)
            ]
        )
    );
    assert_eq!(history.entries[1].outputs().collect::<Vec<_>>(), ["o"]);
}

#[test]
fn what_others_have_written_is_not_guessed_at() {
    let folder = tempfile::tempdir().expect("a folder");
    command(folder.path(), "apply", |state| {
        set(state, "thing.a", Some(1));
    });
    command(folder.path(), "apply", |state| {
        set(state, "thing.a", Some(2));
    });
    // Another tool writes, and keeps no history.
    let path = folder.path().join("terraform.tfstate");
    let mut other = StateManager::at(&path);
    let mut state = other.read().expect("a state").expect("one");
    set(&mut state, "thing.a", Some(3));
    other.write(&mut state).expect("written");
    command(folder.path(), "apply", |state| {
        set(state, "thing.a", Some(4));
    });

    let mut manager = manager(folder.path(), "state undo");
    let state = manager.read().expect("a state").expect("one");
    assert!(manager.back_to(3, &state).is_ok());
    let refused = manager.back_to(1, &state);
    assert!(
        matches!(refused, Err(Error::HistoryGap { from: 3, to: 2 })),
        "{refused:?}"
    );
}

#[test]
fn only_the_last_writes_are_kept_and_nobody_else_may_read_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..225 {
        command(folder.path(), "apply", |state| {
            set(state, "thing.a", Some(number));
        });
    }
    let kept = folder.path().join("terraform.tfstate.history");
    let files: Vec<_> = std::fs::read_dir(&kept).expect("the history").collect();
    assert!((200..=220).contains(&files.len()), "{}", files.len());
    let one = files.into_iter().next().expect("one").expect("a file");
    let mode = one.metadata().expect("its mode").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_state_that_begins_anew_has_a_past_of_its_own() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..250 {
        command(folder.path(), "apply", |state| {
            set(state, "thing.old", Some(number));
        });
    }
    std::fs::remove_file(folder.path().join("terraform.tfstate")).expect("removed");
    for number in 0..25 {
        command(folder.path(), "apply", |state| {
            set(state, "thing.new", Some(number));
        });
    }
    let mut manager = manager(folder.path(), "state undo");
    let state = manager.read().expect("a state").expect("one");
    let history = manager.history().expect("a history");
    assert_eq!(history.entries.len(), 25);
    assert_eq!(history.entries[0].serial, 25);
    let back = manager.back_to(1, &state).expect("a past");
    assert_eq!(back.current_objects().count(), 1);
}

#[test]
fn what_is_said_of_going_back_by_force_is_still_known() {
    let folder = tempfile::tempdir().expect("a folder");
    for number in 0..5 {
        command(folder.path(), "apply", |state| {
            set(state, "thing.a", Some(number));
        });
    }
    let mut pushed = manager(folder.path(), "state push");
    let mut state = pushed.read().expect("a state").expect("one");
    set(&mut state, "thing.a", Some(9));
    state.serial = 2;
    pushed.import(&mut state, true).expect("forced");
    drop(pushed);
    command(folder.path(), "apply", |state| {
        set(state, "thing.a", Some(10));
    });
    let mut manager = manager(folder.path(), "state undo");
    let state = manager.read().expect("a state").expect("one");
    assert_eq!(state.serial, 3);
    assert!(manager.back_to(2, &state).is_ok());
    assert!(matches!(
        manager.back_to(1, &state),
        Err(Error::HistoryGap { from: 5, .. })
    ));
}

static TOLD: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());

#[test]
fn a_history_that_cannot_be_written_is_told_of() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("terraform.tfstate.history"), "no folder").expect("a file");
    let mut manager = manager(folder.path(), "apply")
        .telling(|error| TOLD.lock().expect("the list").push(error.to_string()));
    let mut state = State::new();
    manager
        .write(&mut state)
        .expect("the state is written all the same");
    let told = TOLD.lock().expect("the list");
    assert!(told[0].contains("not in its history"), "{told:?}");
}
