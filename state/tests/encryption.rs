//! A state that is sealed: what lies on the disk, what opens it, and what is left alone when it does not open.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stead_state::encryption::{
    self, Encryption, KeyProvider, KeySource, Method, ProviderKind, Secret, is_sealed,
};
use stead_state::journal::Run;
use stead_state::{Error, State, StateManager};

const SECRET: &str = "hunter2";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("s.tfstate")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("the state")
    }

    fn open(&self, methods: &[Method]) -> StateManager {
        let encryption = Encryption::new("state", methods.to_vec());
        StateManager::at(self.path())
            .with_encryption(Arc::new(encryption))
            .noting_serials(self.0.path().join("notes/serials.json"))
    }

    /// Writes a state with another output.
    fn write(&self, methods: &[Method], output: &str) {
        let mut file = self.open(methods);
        let read = file.read().expect("read").unwrap_or_default();
        let mut state = with_output(read, output);
        file.write(&mut state).expect("written");
    }

    /// Everything that lies there.
    fn everything(&self) -> String {
        let entries = std::fs::read_dir(self.0.path()).expect("the folder");
        let files = entries.map(|e| e.expect("an entry").path());
        files
            .filter(|path| path.is_file())
            .map(|path| String::from_utf8_lossy(&std::fs::read(path).expect("a file")).into_owned())
            .collect()
    }
}

fn with_output(state: State, output: &str) -> State {
    let text = format!(
        r#"{{"version":4,"terraform_version":"1.11.4","serial":{},"lineage":"{}","outputs":{{"o":{{"value":"{output}","type":"string","sensitive":true}}}},"resources":[],"check_results":null}}"#,
        state.serial, state.lineage
    );
    stead_state::from_bytes(text.as_bytes(), Path::new("s")).expect("a state")
}

fn key(byte: u8) -> Method {
    Method::AesGcm {
        keys: Arc::new(KeySource::Provider(KeyProvider {
            metadata_key: "key_provider.static.s".into(),
            kind: ProviderKind::Static(Secret::new(vec![byte; 32])),
        })),
        aad: Vec::new(),
    }
}

fn why(outcome: Result<Option<State>, Error>) -> encryption::Error {
    match outcome {
        Err(Error::Encryption { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_lies_on_the_disk_is_sealed_and_so_is_the_backup() {
    let place = Place::new();
    place.write(&[key(1)], SECRET);
    place.write(&[key(1)], "hunter3");
    assert!(!place.everything().contains("hunter"));
    assert!(is_sealed(&place.bytes()));
    let backup = place.0.path().join("s.tfstate.backup");
    assert!(is_sealed(&std::fs::read(backup).expect("a backup")));
    let state = place
        .open(&[key(1)])
        .read()
        .expect("read")
        .expect("a state");
    assert_eq!(
        (state.serial, state.outputs["o"].value.get()),
        (2, "\"hunter3\"")
    );
}

#[test]
fn a_write_of_the_same_state_is_no_write() {
    let place = Place::new();
    place.write(&[key(1)], SECRET);
    let before = place.bytes();
    let mut file = place.open(&[key(1)]);
    let mut state = file.read().expect("read").expect("a state");
    file.write(&mut state).expect("written");
    assert_eq!(place.bytes(), before);
}

#[test]
fn what_does_not_open_is_left_alone() {
    let place = Place::new();
    place.write(&[key(1)], SECRET);
    let before = place.bytes();
    assert!(matches!(
        why(place.open(&[key(2)]).read()),
        encryption::Error::NoMethod(_)
    ));
    assert_eq!(
        why(place.open(&[]).read()),
        encryption::Error::NotConfigured
    );
    assert_eq!(place.bytes(), before);
    // One byte of the sealed text, and the serial outside.
    let mut payload: serde_json::Value = serde_json::from_slice(&before).expect("JSON");
    let data = payload["encrypted_data"].as_str().expect("text");
    let other = if data.starts_with('A') { "B" } else { "A" };
    payload["encrypted_data"] = format!("{other}{}", &data[1..]).into();
    std::fs::write(place.path(), payload.to_string()).expect("written");
    assert!(matches!(
        why(place.open(&[key(1)]).read()),
        encryption::Error::NoMethod(_)
    ));
    payload = serde_json::from_slice(&before).expect("JSON");
    payload["serial"] = 9.into();
    std::fs::write(place.path(), payload.to_string()).expect("written");
    assert!(matches!(
        why(place.open(&[key(1)]).read()),
        encryption::Error::Mismatch { .. }
    ));
}

#[test]
fn a_state_in_the_clear_is_taken_only_where_that_is_allowed_and_sealed_then() {
    let place = Place::new();
    place.write(&[], SECRET);
    assert!(place.everything().contains(SECRET));
    assert_eq!(why(place.open(&[key(1)]).read()), encryption::Error::Plain);
    let mut file = place.open(&[key(1), Method::Unencrypted]);
    let mut state = file.read().expect("read").expect("a state");
    assert!(file.is_outdated());
    file.write(&mut state).expect("written");
    assert!(!file.is_outdated());
    assert_eq!(state.serial, 1, "nothing of it has changed");
    assert!(
        !place.everything().contains(SECRET),
        "not in the backup either"
    );
}

#[test]
fn another_key_takes_over_from_its_fallback() {
    let place = Place::new();
    place.write(&[key(1)], SECRET);
    let mut file = place.open(&[key(2), key(1)]);
    let mut state = file.read().expect("read").expect("a state");
    file.write(&mut state).expect("written");
    assert!(place.open(&[key(2)]).read().is_ok());
    assert!(place.open(&[key(1)]).read().is_err());
}

#[test]
fn an_older_copy_that_is_put_back_is_noticed() {
    let place = Place::new();
    place.write(&[key(1)], SECRET);
    let old = place.bytes();
    place.write(&[key(1)], "hunter3");
    std::fs::write(place.path(), &old).expect("put back");
    let found = place.open(&[key(1)]).read();
    assert!(
        matches!(
            &found,
            Err(Error::OlderThanSeen {
                serial: 1,
                seen: 2,
                ..
            })
        ),
        "{found:?}"
    );
    // Somebody who wants it says so, and is not asked again.
    let told = found.expect_err("refused").to_string();
    assert!(told.contains("serials.json"), "{told}");
    std::fs::remove_file(place.0.path().join("notes/serials.json")).expect("removed");
    let mut file = place.open(&[key(1)]);
    let state = file.read().expect("read").expect("a state");
    assert_eq!(state.serial, 1);
    file.write(&mut with_output(state, "hunter4"))
        .expect("written");
    assert!(place.open(&[key(1)]).read().is_ok());
}

#[test]
fn an_older_state_that_is_pushed_by_force_is_the_newest_then() {
    let place = Place::new();
    place.write(&[key(1)], SECRET);
    let mut older = place
        .open(&[key(1)])
        .read()
        .expect("read")
        .expect("a state");
    place.write(&[key(1)], "hunter3");
    place.write(&[key(1)], "hunter4");
    let mut file = place.open(&[key(1)]);
    file.read().expect("read");
    file.import(&mut older, true).expect("pushed");
    let state = place
        .open(&[key(1)])
        .read()
        .expect("read")
        .expect("a state");
    assert_eq!(state.serial, 1);
}

#[test]
fn the_history_is_sealed_with_the_state_and_follows_another_key() {
    let place = Place::new();
    let open = |methods: &[Method]| place.open(methods).remembering(Run::default());
    let write = |methods: &[Method], output: &str| {
        let mut file = open(methods);
        let read = file.read().expect("read").unwrap_or_default();
        file.write(&mut with_output(read, output)).expect("written");
    };
    write(&[], SECRET);
    write(&[], "hunter3");
    let history = || {
        let mut text = String::new();
        for entry in std::fs::read_dir(place.path().with_extension("tfstate.history")).expect("it")
        {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("a file");
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        text
    };
    assert!(history().contains(SECRET), "what was there before");
    for methods in [&[key(1), Method::Unencrypted][..], &[key(2), key(1)]] {
        let mut file = open(methods);
        let mut state = file.read().expect("read").expect("a state");
        file.write(&mut state).expect("written");
        assert!(!history().contains("hunter"));
    }
    write(&[key(2)], "hunter4");
    let mut file = open(&[key(2)]);
    let state = file.read().expect("read").expect("a state");
    assert_eq!(state.serial, 3);
    for (serial, output) in [(2, "\"hunter3\""), (1, "\"hunter2\"")] {
        let back = file.back_to(serial, &state).expect("back");
        assert_eq!(back.outputs["o"].value.get(), output);
    }
    assert!(open(&[key(1)]).history().is_err());
}
