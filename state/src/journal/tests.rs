use std::path::Path;
use std::sync::Arc;

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

/// A journal in which two operations were intended.
fn journal(encryption: &Encryption) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.journal");
    let intent = |name: &str| super::Intent {
        address: parse_resource_instance(&format!("t_x.{name}")).expect("an address"),
        provider: parse_provider("provider[\"registry.terraform.io/a/t\"]").expect("a provider"),
        deposed: None,
        doubt: super::Doubt::Create {
            schema_version: 0,
            planned: serde_json::json!({ "password": "hunter2" }),
        },
    };
    let journal = Journal::begin(
        &RealDisk,
        path.clone(),
        Header::new(3, "d".into(), Run::default()),
        &[intent("a")],
        super::GROUP,
        encryption,
        None,
        None,
    )
    .expect("a journal");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    for name in ["b", "c"] {
        let intended = journal.handle();
        runtime
            .block_on(intended.intend(&intent(name)))
            .expect("intended");
    }
    drop(journal);
    std::fs::read_to_string(path).expect("the journal")
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
