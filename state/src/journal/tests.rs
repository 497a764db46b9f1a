use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::record::{Header, Run};
use super::settle::Unfinished;
use super::writer::Journal;
use crate::disk::RealDisk;
use crate::encryption::{self, Encryption, KeyProvider, KeySource, Method, ProviderKind, Secret};
use crate::{Error, State, parse_provider, parse_resource_instance};

fn sealing(byte: u8) -> Encryption {
    Encryption::new("state", vec![with_key(byte)])
}

fn with_key(byte: u8) -> Method {
    Method::AesGcm {
        keys: Arc::new(KeySource::Provider(KeyProvider {
            metadata_key: "key_provider.static.s".into(),
            kind: ProviderKind::Static(Secret::new(vec![byte; 32])),
        })),
        aad: Vec::new(),
    }
}

fn intent(name: &str) -> super::Intent {
    super::Intent {
        address: parse_resource_instance(&format!("t_x.{name}")).expect("an address"),
        provider: parse_provider("provider[\"registry.terraform.io/a/t\"]").expect("a provider"),
        deposed: None,
        doubt: super::Doubt::Create {
            schema_version: 0,
            planned: serde_json::json!({ "password": "hunter2" }),
        },
    }
}

/// A journal that writes what can wait after `group` times [`writer::PATIENCE`](super::writer).
fn begin(path: &Path, group: Duration, in_doubt: &[super::Intent], with: &Encryption) -> Journal {
    let header = Header::new(3, "d".into(), Run::default());
    let path = path.to_owned();
    Journal::begin(&RealDisk, path, header, in_doubt, group, with, None, None).expect("a journal")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

/// A journal in which two operations were intended.
fn journal(encryption: &Encryption) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.journal");
    let journal = begin(&path, super::GROUP, &[intent("a")], encryption);
    for name in ["b", "c"] {
        wait(journal.handle().intend(&intent(name))).expect("intended");
    }
    drop(journal);
    std::fs::read_to_string(path).expect("the journal")
}

/// The kinds of the records in a journal that was not sealed.
fn kinds(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("the journal");
    let kind = |line: &str| line.split('"').nth(1).expect("a kind").to_owned();
    text.lines().map(kind).collect()
}

#[test]
fn what_can_wait_is_there_before_what_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.journal");
    let never = Duration::from_secs(3600);
    let journal = begin(&path, never, &[], &Encryption::default());
    let removed = |name: &str| {
        let address = intent(name).address;
        let noted = journal.handle().changed(None, &address, None, true);
        noted.expect("noted");
    };
    removed("a");
    wait(journal.handle().intend(&intent("b"))).expect("intended");
    assert_eq!(kinds(&path), ["begin", "changed", "intent"]);

    // A provisioner waits for what was noted, without noting anything itself.
    removed("c");
    wait(journal.handle().settled()).expect("settled");
    assert_eq!(kinds(&path)[3..], ["changed"]);

    // The whole state stands in for it, once it has been written.
    removed("d");
    journal.checkpoint(4, "e".into()).expect("noted");
    assert_eq!(kinds(&path)[4..], ["checkpoint"]);
    journal.caught_up();
    removed("e");
    journal.checkpoint(5, "f".into()).expect("noted");
    // That one was not written: what still waits is not lost.
    drop(journal);
    assert_eq!(kinds(&path)[5..], ["checkpoint", "changed"]);
}

#[test]
fn what_can_wait_does_not_wait_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.journal");
    let journal = begin(&path, Duration::from_micros(1), &[], &Encryption::default());
    let address = intent("a").address;
    let noted = journal.handle().changed(None, &address, None, true);
    noted.expect("noted");
    while kinds(&path).len() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(kinds(&path), ["begin", "changed"]);
}

fn parse(text: &str, encryption: &Encryption) -> Result<(usize, Option<usize>), Error> {
    let found = Unfinished::parse(text.as_bytes(), Path::new("s.journal"), encryption)?;
    let settled = found.expect("begun").fold(&mut State::new(), 3, "d");
    Ok((settled.unknown.len(), settled.damaged))
}

fn why(outcome: Result<(usize, Option<usize>), Error>) -> encryption::Error {
    match outcome {
        Err(Error::Encryption { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_lines_of_a_sealed_journal_open_with_its_key_alone() {
    let text = journal(&sealing(1));
    assert!(!text.contains("hunter2") && !text.contains("t_x"), "{text}");
    assert!(journal(&Encryption::default()).contains("hunter2"));
    assert_eq!(parse(&text, &sealing(1)).expect("read"), (3, None));
    let turning = Encryption::new("state", vec![with_key(2), with_key(1)]);
    assert_eq!(parse(&text, &turning).expect("read"), (3, None));
    assert!(matches!(
        why(parse(&text, &sealing(2))),
        encryption::Error::NoMethod(_)
    ));
    assert_eq!(
        why(parse(&text, &Encryption::default())),
        encryption::Error::NotConfigured
    );
}

#[test]
fn a_line_opens_in_its_own_place_alone() {
    let text = journal(&sealing(1));
    let other = journal(&sealing(1));
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let swapped = [lines[0], lines[2], lines[1], lines[3]].concat();
    assert_eq!(
        parse(&swapped, &sealing(1)).expect("read"),
        (0, Some(2)),
        "lines in another order"
    );
    let doubled = [&text, lines[3]].concat();
    assert_eq!(parse(&doubled, &sealing(1)).expect("read"), (3, Some(5)));
    let foreign = other.split_inclusive('\n').nth(1).expect("a line");
    let mixed = [lines[0], foreign].concat();
    assert_eq!(
        parse(&mixed, &sealing(1)).expect("read"),
        (0, Some(2)),
        "a line of another journal"
    );
}

#[test]
fn a_journal_in_the_clear_is_read_only_where_that_is_allowed() {
    let text = journal(&Encryption::default());
    assert_eq!(why(parse(&text, &sealing(1))), encryption::Error::Plain);
    let lenient = Encryption::new("state", vec![with_key(1), Method::Unencrypted]);
    assert_eq!(parse(&text, &lenient).expect("read"), (3, None));
}
