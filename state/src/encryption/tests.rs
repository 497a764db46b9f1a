use std::sync::Arc;

use super::*;

const STATE: &[u8] = br#"{"version":4,"terraform_version":"1.11.4","serial":7,"lineage":"l","outputs":{},"resources":[],"check_results":null}"#;

/// Sealed by OpenTofu 1.12.6 with pbkdf2 (200,000 rounds) and aes_gcm, passphrase "correct horse battery".
const FROM_TOFU: &str = r#"{
  "serial": 1,
  "lineage": "149070a5-f0e1-93e1-af5a-960faceabd4c",
  "meta": {
    "key_provider.pbkdf2.main": "eyJzYWx0Ijoid29aamVrdkwzbWp0WGdJSUZEbDlRU2NETTRqOWZYTERtdEhvakJEczdZTT0iLCJpdGVyYXRpb25zIjoyMDAwMDAsImhhc2hfZnVuY3Rpb24iOiJzaGE1MTIiLCJrZXlfbGVuZ3RoIjozMn0="
  },
  "encrypted_data": "XC+XAuFISMJUXuMPEh2fjjUNld7ldPFbTV9ClSKExCjXhzggDkjax8eBkmM8iNkbQpTRASsZFzj/9ADdubEnWID/UJwmAeTaUyYzpLyCwSaJ1HUcrAqfCsnK6l6KGGoC6Nd2jbeYJPVYZngHHIGYKA6Pv+CIs26kErJ6CZxmGoloHg08PZR/B0cewamMPam3vGA2HdG6wT65uSmpxWgmLqsW6T9wrPjJoKq9cTFdq6i7KsJLrEM5aOhWaCPopD+oL/UzCkA90mBoeA031jV1qNj3qFWD+fLK9Wds9tBvjJHQOzy3zRBditaYuJvnFx/q21cZqBo83RrVlTI1jSK0rGN0oHM/SDdosBuPs4RLXQfoKVC3O3X3QKNBh4OiK5gRFG5S/LDqAIfzLRmsdYEdyeOXF1xeAglhEe/L0TNUWnT/fuYpZM3lRQyzqI8NA9uOKtLCIYsspWpL+zcXWK+wZ+PCrrTKDUuD8rkTwOx6sv3KNpC+SHTKM8lhnj+DVfYv7q6yq3aIyGi120YCLlyVgeq7PfWI0ZJ6n6Yydn4MDWtY1BkqFO2QCa/L2ijxqIeWieND/dODc+0bUpGizHYWasDGO0XxjlihNQPjMX5AUR7psLEzIMpzuSmUCo7yEBQDsPtxHycYzUB+HAcB7MQLd+SkE4Pdzx2kK/R1YsFoCto=",
  "encryption_version": "v0"
}
"#;

fn provider(name: &str, kind: ProviderKind) -> Arc<KeySource> {
    Arc::new(KeySource::Provider(KeyProvider {
        metadata_key: name.into(),
        kind,
    }))
}

fn passphrase(text: &str) -> Arc<KeySource> {
    let settings = Pbkdf2 {
        iterations: 1000,
        ..Pbkdf2::new(Passphrase::Text(Secret::new(text)))
    };
    provider("key_provider.pbkdf2.main", ProviderKind::Pbkdf2(settings))
}

fn fixed(byte: u8, length: usize) -> Arc<KeySource> {
    let key = Secret::new(vec![byte; length]);
    provider("key_provider.static.s", ProviderKind::Static(key))
}

fn aes(keys: Arc<KeySource>) -> Method {
    Method::AesGcm {
        keys,
        aad: Vec::new(),
    }
}

fn only(keys: Arc<KeySource>) -> Encryption {
    Encryption::new("state", vec![aes(keys)])
}

/// What PBKDF2 makes of that passphrase with the salt and the rounds above, by Python's `hashlib`: the rounds take too long here.
const TOFU_KEY: &str = "78c877b6ee069c1b7af764bbb45433860b3f6600bfd5aec75870fa081a273e45";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

#[test]
fn a_state_that_opentofu_sealed_opens() {
    let with = |key: Vec<u8>| {
        only(Arc::new(KeySource::Literal {
            encryption: Secret::new(key.clone()),
            decryption: Some(Secret::new(key)),
        }))
    };
    let opened = with(bytes(TOFU_KEY)).open_state(FROM_TOFU.as_bytes());
    let opened = opened.expect("the state");
    let state = crate::from_bytes(&opened.content, std::path::Path::new("s")).expect("a state");
    assert_eq!(state.serial, 1);
    assert_eq!(state.resources.len(), 1);
    assert!(!opened.outdated);
    let wrong = with(vec![1; 32]).open_state(FROM_TOFU.as_bytes());
    assert!(matches!(wrong, Err(Error::NoMethod(_))), "{wrong:?}");
}

#[test]
fn a_passphrase_gives_the_key_that_others_derive_from_it() {
    let salt = "woZjekvL3mjtXgIIFDl9QScDM4j9fXLDmtHojBDs7YM=";
    for (hash, expected) in [
        (
            "sha512",
            "289bebd911c6b4045b2008cdc87de25c109a4f5449fe20e40f14024f657bb510",
        ),
        (
            "sha256",
            "1e30ef622f90a5f027685d45c5103d76d867d7c41ea9fcbddd635f1784312e32",
        ),
    ] {
        let metadata = format!(
            r#"{{"salt":"{salt}","iterations":1000,"hash_function":"{hash}","key_length":32}}"#
        );
        let metadata = Metadata::from([("key_provider.pbkdf2.main".into(), metadata.into())]);
        let key = passphrase("correct horse battery").key(Purpose::Open(&metadata));
        assert_eq!(*key.expect("a key"), bytes(expected), "{hash}");
    }
}

#[test]
fn what_is_sealed_opens_with_the_same_key_of_every_length_and_with_no_other() {
    for length in [16, 24, 32] {
        let sealed = only(fixed(7, length)).seal_state(STATE).expect("sealed");
        assert!(is_sealed(&sealed));
        let text = String::from_utf8_lossy(&sealed);
        assert!(text.contains("\"serial\":7") && text.contains("\"lineage\":\"l\""));
        assert!(!text.contains("resources"));
        let opened = only(fixed(7, length)).open_state(&sealed).expect("opened");
        assert_eq!(opened.content, STATE);
        assert!(only(fixed(8, length)).open_state(&sealed).is_err());
    }
    let odd = only(fixed(7, 20)).seal_state(STATE);
    assert!(
        matches!(&odd, Err(Error::Method(text)) if text.contains("received 20 bytes")),
        "{odd:?}"
    );
}

#[test]
fn two_sealings_differ_and_a_changed_one_does_not_open() {
    let encryption = only(fixed(1, 32));
    let first = encryption.seal_other(b"PK plan").expect("sealed");
    let second = encryption.seal_other(b"PK plan").expect("sealed");
    assert_ne!(first, second);
    let opened = encryption.open_plan(&first).expect("opened");
    assert_eq!(opened.content, b"PK plan");
    let mut payload: serde_json::Value = serde_json::from_slice(&first).expect("JSON");
    let data = payload["encrypted_data"].as_str().expect("text");
    let mut bytes = BASE64.decode(data).expect("base64");
    for at in 0..bytes.len() {
        bytes[at] ^= 1;
        payload["encrypted_data"] = BASE64.encode(&bytes).into();
        assert!(
            encryption
                .open_plan(payload.to_string().as_bytes())
                .is_err()
        );
        bytes[at] ^= 1;
    }
}

#[test]
fn an_outside_that_says_something_else_than_the_inside_is_noticed() {
    let encryption = only(fixed(1, 32));
    let sealed = encryption.seal_state(STATE).expect("sealed");
    let mut payload: serde_json::Value = serde_json::from_slice(&sealed).expect("JSON");
    payload["serial"] = 8.into();
    let found = encryption.open_state(payload.to_string().as_bytes());
    assert!(matches!(
        found,
        Err(Error::Mismatch {
            field: "serial",
            ..
        })
    ));
    payload["serial"] = 7.into();
    payload["lineage"] = "other".into();
    let found = encryption.open_state(payload.to_string().as_bytes());
    assert!(matches!(
        found,
        Err(Error::Mismatch {
            field: "lineage",
            ..
        })
    ));
}

#[test]
fn what_is_in_the_clear_opens_only_while_that_is_allowed() {
    let strict = only(fixed(1, 32));
    assert_eq!(strict.open_state(STATE), Err(Error::Plain));
    let lenient = Encryption::new("state", vec![aes(fixed(1, 32)), Method::Unencrypted]);
    let opened = lenient.open_state(STATE).expect("the state");
    assert!(opened.plain && opened.outdated);
    // The way back: what was sealed opens, and is written in the clear.
    let back = Encryption::new("state", vec![Method::Unencrypted, aes(fixed(1, 32))]);
    let sealed = strict.seal_state(STATE).expect("sealed");
    let opened = back.open_state(&sealed).expect("the state");
    assert!(opened.outdated && !opened.plain);
    assert_eq!(back.seal_state(STATE).expect("plain"), STATE);
    for junk in [&b""[..], b"{", b"{}", b"[1]", b"\xff\xfe"] {
        assert!(lenient.open_state(junk).is_err(), "{junk:?}");
    }
}

#[test]
fn a_fallback_opens_what_the_first_method_cannot() {
    let old = only(fixed(1, 32)).seal_state(STATE).expect("sealed");
    let turning = Encryption::new("state", vec![aes(fixed(2, 32)), aes(fixed(1, 32))]);
    let opened = turning.open_state(&old).expect("the state");
    assert!(opened.outdated);
    let new = turning.seal_state(STATE).expect("sealed");
    assert!(!turning.open_state(&new).expect("the state").outdated);
    assert!(only(fixed(1, 32)).open_state(&new).is_err());
}

#[test]
fn a_chain_makes_a_key_from_anothers_key() {
    let chained = |byte| {
        let settings = Pbkdf2 {
            iterations: 1000,
            ..Pbkdf2::new(Passphrase::Chain(fixed(byte, 32)))
        };
        only(provider(
            "key_provider.pbkdf2.p",
            ProviderKind::Pbkdf2(settings),
        ))
    };
    let sealed = chained(1).seal_state(STATE).expect("sealed");
    assert_eq!(
        chained(1).open_state(&sealed).expect("opened").content,
        STATE
    );
    assert!(chained(2).open_state(&sealed).is_err());
    let text = String::from_utf8_lossy(&sealed);
    assert!(text.contains("key_provider.pbkdf2.p") && text.contains("key_provider.static.s"));
}

#[test]
fn a_command_gives_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("keys");
    let say = |text: &str| std::fs::write(&script, text).expect("a script");
    let command = || vec!["sh".to_owned(), script.display().to_string()];
    let encryption = || {
        only(provider(
            "key_provider.external.e",
            ProviderKind::External(command()),
        ))
    };
    let key = BASE64.encode([5; 32]);
    say(&format!(
        "read meta\necho '{{\"magic\":\"OpenTofu-External-Key-Provider\",\"version\":1}}'\nif [ \"$meta\" = null ]; then\necho '{{\"keys\":{{\"encryption_key\":\"{key}\"}},\"meta\":{{\"external_data\":{{\"a\":1}}}}}}'\nelse\necho '{{\"keys\":{{\"encryption_key\":\"{key}\",\"decryption_key\":\"{key}\"}},\"meta\":{{\"external_data\":{{}}}}}}'\nfi\n"
    ));
    let sealed = encryption().seal_state(STATE).expect("sealed");
    assert_eq!(
        encryption().open_state(&sealed).expect("opened").content,
        STATE
    );
    for (script, expected) in [
        ("exit 3", "non-zero exit code"),
        ("echo x", "failed to unmarshal header"),
        ("echo '{\"magic\":\"m\",\"version\":1}'", "invalid magic"),
        (
            "echo '{\"magic\":\"OpenTofu-External-Key-Provider\",\"version\":2}'",
            "invalid version number",
        ),
        (
            "echo '{\"magic\":\"OpenTofu-External-Key-Provider\",\"version\":1}'; echo '{\"keys\":3}'",
            "invalid JSON response",
        ),
    ] {
        say(script);
        let error = encryption()
            .seal_state(STATE)
            .expect_err("refused")
            .to_string();
        assert!(error.contains(expected), "{script}: {error}");
    }
}

#[test]
fn weak_settings_are_refused_and_no_secret_is_shown() {
    let refused = |change: fn(&mut Pbkdf2)| {
        let mut settings = Pbkdf2::new(Passphrase::Text(Secret::new("a long passphrase")));
        change(&mut settings);
        settings.check().expect_err("refused")
    };
    assert!(refused(|s| s.iterations = 1000).contains("dangerously low"));
    assert!(refused(|s| s.key_length = 0).contains("key length"));
    assert!(refused(|s| s.salt_length = 0).contains("salt length"));
    assert!(
        refused(|s| s.passphrase = Passphrase::Text(Secret::new("short"))).contains("too short")
    );
    let shown = format!("{:?}", only(passphrase("correct horse battery")));
    assert!(
        !shown.contains("horse") && shown.contains("(secret)"),
        "{shown}"
    );
}
