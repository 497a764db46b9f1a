use std::sync::Arc;

use stead_sdk::Dialer;
use stead_state::encryption::{
    Encryption, KeyProvider, KeySource, Method, Passphrase, ProviderKind,
};
use stead_value::{Type, Value};

use super::{Missing, kind, literal};

/// A key provider of the arguments that are given.
fn make(
    name: &str,
    given: &[(&str, Value)],
    chain: Option<Arc<KeySource>>,
) -> Result<ProviderKind, String> {
    let kind = kind(name).expect("a kind");
    let attributes = (kind.schema)().attributes;
    let value = |name: &str, ty: Type| {
        let given = given.iter().find(|(n, _)| *n == name);
        given.map_or_else(|| Value::null(ty), |(_, value)| value.clone())
    };
    let config = Value::object_from(
        attributes
            .iter()
            .map(|(name, attribute)| (Arc::clone(name), value(name, attribute.value_type()))),
    );
    (kind.make)(&config, chain, &Dialer::direct())
}

fn words(items: &[&str]) -> Value {
    Value::list(Type::String, items.iter().map(Value::string).collect())
}

fn bytes(items: &[i64]) -> Value {
    Value::tuple(items.iter().map(|n| Value::number(*n)).collect())
}

#[test]
fn arguments_make_key_providers() {
    let passphrase = ("passphrase", Value::string("a passphrase of some length"));
    let ProviderKind::Pbkdf2(plain) =
        make("pbkdf2", std::slice::from_ref(&passphrase), None).expect("made")
    else {
        panic!("another kind");
    };
    assert_eq!((plain.key_length, plain.iterations), (32, 600_000));
    let settings = [
        passphrase,
        ("iterations", Value::number(200_000)),
        ("hash_function", Value::string("sha256")),
        ("key_length", Value::number(16)),
    ];
    let ProviderKind::Pbkdf2(set) = make("pbkdf2", &settings, None).expect("made") else {
        panic!("another kind");
    };
    assert_eq!((set.key_length, set.iterations), (16, 200_000));
    assert!(matches!(
        make("external", &[("command", words(&["keys", "-x"]))], None),
        Ok(ProviderKind::External(command)) if command == ["keys", "-x"]
    ));
}

#[test]
fn a_static_key_is_that_of_its_digits() {
    let key = |text: &str| make("static", &[("key", Value::string(text))], None);
    let sealed = |kind: ProviderKind| {
        let keys = Arc::new(KeySource::Provider(KeyProvider {
            metadata_key: "k".into(),
            kind,
        }));
        let aad = Vec::new();
        Encryption::new("plan", vec![Method::AesGcm { keys, aad }])
    };
    let digits = "000102030405060708090a0B0c0d0e0f";
    let opened = sealed(key(digits).expect("made"))
        .seal_other(b"PK")
        .expect("sealed");
    let written_out = literal(&Value::object_from([
        ("encryption_key", bytes(&[0])),
        ("decryption_key", bytes(&(0..16).collect::<Vec<_>>())),
    ]));
    let by_bytes = Encryption::new(
        "plan",
        vec![Method::AesGcm {
            keys: Arc::new(written_out.expect("keys")),
            aad: Vec::new(),
        }],
    );
    assert_eq!(by_bytes.open_plan(&opened).expect("opened").content, b"PK");
    for wrong in ["0", "zz", "00 1"] {
        let said = key(wrong).expect_err("refused");
        assert!(
            said.contains("hex-decode") && !said.contains(wrong),
            "{said}"
        );
    }
    assert_eq!(key("").expect_err("refused"), "Missing key");
}

#[test]
fn what_is_wrong_is_said_without_the_secret() {
    let chain = || Some(Arc::new(literal(&keys(bytes(&[1]))).expect("keys")));
    fn keys(encryption: Value) -> Value {
        Value::object_from([("encryption_key", encryption)])
    }
    let text = |text: &str| ("passphrase", Value::string(text));
    let long = || text("a passphrase of some length");
    for (given, chain, expected) in [
        (vec![], None, "no passphrase provided"),
        (vec![text("hunter2")], None, "passphrase is too short"),
        (vec![long()], chain(), "mutually exclusive"),
        (
            vec![long(), ("iterations", Value::number(1000))],
            None,
            "dangerously low",
        ),
        (
            vec![long(), ("iterations", Value::number(1_i64 << 40))],
            None,
            "too large",
        ),
        (
            vec![long(), ("key_length", Value::number(-1))],
            None,
            "key length must be larger",
        ),
        (
            vec![long(), ("hash_function", Value::string("md5"))],
            None,
            "invalid hash function name: md5",
        ),
    ] {
        let said = make("pbkdf2", &given, chain).expect_err("refused");
        assert!(
            said.contains(expected) && !said.contains("hunter2"),
            "{said}"
        );
    }
    assert!(matches!(
        make("pbkdf2", &[], chain()),
        Ok(ProviderKind::Pbkdf2(made)) if matches!(made.passphrase, Passphrase::Chain(_))
    ));
    assert!(make("external", &[("command", words(&[]))], None).is_err());
    for wrong in [bytes(&[256]), bytes(&[-1]), Value::string("x")] {
        assert!(literal(&keys(wrong)).is_err());
    }
    assert!(literal(&Value::empty_object()).is_err());
}

#[test]
fn what_is_not_here_is_known_by_name() {
    assert_eq!(kind("aws_kms").err(), Some(Missing::NotYet));
    assert_eq!(kind("nobody").err(), Some(Missing::Unknown));
}
