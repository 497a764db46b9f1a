//! A state in a local file: locked against others, backed up, whole at every moment, and kept word for word.

use stead_state::{Error, LockInfo, StateManager, from_bytes, to_bytes};

const STATE: &str = r#"{
  "version": 4,
  "terraform_version": "1.11.4",
  "serial": 7,
  "lineage": "11111111-2222-3333-4444-555555555555",
  "outputs": {
    "o": { "value": [1, "x"], "type": ["tuple", ["number", "string"]], "sensitive": true }
  },
  "resources": [
    {
      "module": "module.m[\"k\"]",
      "mode": "managed",
      "type": "terraform_data",
      "name": "a",
      "provider": "provider[\"terraform.io/builtin/terraform\"]",
      "future_field": { "x": 1 },
      "instances": [
        {
          "index_key": 0,
          "status": "tainted",
          "schema_version": 3,
          "attributes": { "id": "i", "n": 12345678901234567890.5 },
          "sensitive_attributes": [[{ "type": "get_attr", "value": "id" }]],
          "identity_schema_version": 0,
          "identity": { "id": "i" },
          "private": "c2VjcmV0",
          "dependencies": ["terraform_data.b"],
          "create_before_destroy": true
        }
      ]
    }
  ],
  "check_results": null,
  "future": [true]
}
"#;

fn info() -> LockInfo {
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

#[test]
fn everything_survives_a_round_trip() {
    let path = std::path::Path::new("terraform.tfstate");
    let once = to_bytes(&from_bytes(STATE.as_bytes(), path).expect("a state")).expect("bytes");
    let twice = to_bytes(&from_bytes(&once, path).expect("a state")).expect("bytes");
    assert_eq!(once, twice);
    let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).expect("JSON");
    assert_eq!(json(&once), json(STATE.as_bytes()));
}

#[test]
fn a_second_command_is_told_who_holds_the_lock() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("terraform.tfstate");
    let mut first = StateManager::at(&path);
    first.lock(&info()).expect("the lock");
    let mut second = StateManager::at(&path);
    match second.lock(&info()) {
        Err(Error::Locked {
            holder: Some(holder),
            ..
        }) => assert_eq!(*holder, info()),
        other => panic!("{other:?}"),
    }
    // Writing renames a new file over the locked one: the lock goes along.
    let mut state = from_bytes(STATE.as_bytes(), &path).expect("a state");
    first.write(&mut state).expect("written");
    assert!(matches!(second.lock(&info()), Err(Error::Locked { .. })));
    first.unlock().expect("unlocked");
    second.lock(&info()).expect("free again");
}

#[test]
fn a_lock_that_wrote_nothing_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut state = StateManager::at(dir.path().join("terraform.tfstate"));
    state.lock(&info()).expect("the lock");
    state.unlock().expect("unlocked");
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("the folder").count(),
        0
    );
}

#[test]
fn the_backup_is_what_was_there_before_the_first_write() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("terraform.tfstate");
    std::fs::write(&path, STATE).expect("a state");
    let mut local = StateManager::at(&path);
    let mut state = local.read().expect("read").expect("a state");
    local.write(&mut state).expect("written");
    state.outputs.clear();
    local.write(&mut state).expect("written");
    state.resources.clear();
    local.write(&mut state).expect("written");
    let backup =
        std::fs::read_to_string(dir.path().join("terraform.tfstate.backup")).expect("the backup");
    let serial = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text).expect("JSON")["serial"].clone()
    };
    assert!(backup.contains("terraform_data") && backup.contains("\"o\""));
    assert!(serial(&std::fs::read_to_string(&path).expect("the state")).as_u64() > Some(8));
    // The state, its backup, and no temporary file.
    assert_eq!(
        std::fs::read_dir(dir.path()).expect("the folder").count(),
        2
    );
}

#[test]
fn another_history_and_an_older_serial_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("terraform.tfstate");
    std::fs::write(&path, STATE).expect("a state");
    let mut local = StateManager::at(&path);
    let state = local.read().expect("read").expect("a state");
    let mut other = state.clone();
    other.lineage = "other".into();
    assert!(matches!(
        local.write(&mut other),
        Err(Error::Lineage { .. })
    ));
    let mut old = state;
    old.serial = 1;
    assert!(matches!(local.write(&mut old), Err(Error::Stale { .. })));
    assert_eq!(
        std::fs::read_to_string(&path).expect("the state"),
        STATE,
        "nothing was written"
    );
}
