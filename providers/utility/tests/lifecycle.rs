//! Each resource from creation to deletion, through the provider as the engine sees it.

mod nowhere;

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stead_sdk::testing::{Harness, Stored};
use stead_sdk::value::{Path, Type, Value};
use stead_sdk::{Dialer, ProviderFactory};

async fn harness(name: &str) -> Harness {
    let ends = format!("/{name}");
    let all = stead_utility::factories(&Dialer::direct(), nowhere::nowhere());
    let found: Vec<Arc<dyn ProviderFactory>> = all
        .into_iter()
        .filter(|(s, _)| s.ends_with(&ends))
        .map(|(_, f)| f)
        .collect();
    Harness::configured(&*found[0], json!({})).await.unwrap()
}

/// Creates, reads, plans again without change, and gives back the object.
async fn settled(harness: &Harness, type_name: &str, config: Json) -> Stored {
    let object = harness
        .apply(type_name, None, config.clone())
        .await
        .unwrap();
    let read = harness.read(type_name, &object).await.unwrap().unwrap();
    assert_eq!(read.value, object.value, "{type_name}");
    let config = harness.config(type_name, config).unwrap();
    let plan = harness
        .plan(type_name, Some(&object), &config)
        .await
        .unwrap();
    assert_eq!(plan.planned, object.value, "{type_name}");
    object
}

async fn refused(harness: &Harness, type_name: &str, config: Json) -> String {
    let config = harness.config(type_name, config).unwrap();
    let diagnostics = harness.plan(type_name, None, &config).await.unwrap_err();
    diagnostics
        .iter()
        .map(|d| d.detail.clone())
        .collect::<Vec<_>>()
        .join("\n")
}

async fn replaced(
    harness: &Harness,
    type_name: &str,
    before: &Stored,
    config: Json,
) -> Vec<String> {
    let config = harness.config(type_name, config).unwrap();
    let plan = harness
        .plan(type_name, Some(before), &config)
        .await
        .unwrap();
    plan.requires_replace
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[tokio::test]
async fn passwords_are_drawn_once() {
    let random = harness("random").await;
    let config = json!({"length": 24, "special": false, "min_numeric": 4, "keepers": {"a": "1"}});
    let password = settled(&random, "random_password", config).await;
    let text = password.text("result");
    assert_eq!(text.len(), 24);
    assert!(
        text.chars().all(|c| c.is_ascii_alphanumeric())
            && text.chars().filter(char::is_ascii_digit).count() >= 4
    );
    assert!(bcrypt::verify(&text, &password.text("bcrypt_hash")).unwrap());
    let other = settled(
        &random,
        "random_password",
        json!({"length": 24, "special": false}),
    )
    .await;
    assert_ne!(other.text("result"), text);
    assert_eq!(
        replaced(
            &random,
            "random_password",
            &other,
            json!({"length": 25, "special": false})
        )
        .await,
        ["length"]
    );
    random.delete("random_password", &password).await.unwrap();
}

#[tokio::test]
async fn number_is_numeric_under_its_old_name() {
    let random = harness("random").await;
    for name in ["number", "numeric"] {
        let string = settled(
            &random,
            "random_string",
            json!({"length": 30, name: false, "special": false}),
        )
        .await;
        assert!(
            string
                .text("result")
                .chars()
                .all(|c| c.is_ascii_alphabetic())
        );
        assert_eq!(string.attribute("number"), string.attribute("numeric"));
    }
    let both = json!({"length": 3, "number": false, "numeric": true});
    assert!(
        refused(&random, "random_string", both)
            .await
            .contains("must not differ")
    );
    let none =
        json!({"length": 3, "numeric": false, "special": false, "upper": false, "lower": false});
    assert!(
        refused(&random, "random_string", none)
            .await
            .contains("At least one")
    );
    let many = json!({"length": 3, "min_upper": 2, "min_lower": 2});
    assert!(
        refused(&random, "random_string", many)
            .await
            .contains("at least 4")
    );
    assert!(
        refused(&random, "random_string", json!({"length": 0}))
            .await
            .contains("at least 1")
    );
}

#[tokio::test]
async fn keepers_replace_unless_only_nulls_differ() {
    let random = harness("random").await;
    let uuid = settled(&random, "random_uuid", json!({"keepers": {"a": "1"}})).await;
    assert_eq!(uuid.text("id").len(), 36);
    assert_eq!(
        replaced(
            &random,
            "random_uuid",
            &uuid,
            json!({"keepers": {"a": "2"}})
        )
        .await,
        ["keepers"]
    );
    assert!(
        replaced(
            &random,
            "random_uuid",
            &uuid,
            json!({"keepers": {"a": "1", "b": null}})
        )
        .await
        .is_empty()
    );
    let kept = random
        .apply(
            "random_uuid",
            Some(&uuid),
            json!({"keepers": {"a": "1", "b": null}}),
        )
        .await
        .unwrap();
    assert_eq!(kept.text("id"), uuid.text("id"));
}

#[tokio::test]
async fn ids_are_spelt_in_every_way() {
    let random = harness("random").await;
    let id = settled(
        &random,
        "random_id",
        json!({"byte_length": 4, "prefix": "p-"}),
    )
    .await;
    let hex = id.text("hex");
    let number = u32::from_str_radix(hex.strip_prefix("p-").unwrap(), 16).unwrap();
    assert_eq!(id.text("dec"), format!("p-{number}"));
    assert_eq!(id.text("b64_url"), format!("p-{}", id.text("id")));
    let imported = random
        .import("random_id", &format!("p-,{}", id.text("id")))
        .await
        .unwrap();
    assert_eq!(imported.value, id.value);
    assert!(random.import("random_id", "?!").await.is_err());
}

#[tokio::test]
async fn numbers_and_orders_stay_within_what_is_asked() {
    let random = harness("random").await;
    let number = settled(&random, "random_integer", json!({"min": -3, "max": 3})).await;
    assert!((-3..=3).contains(&number.attribute("result").as_i64().unwrap()));
    assert!(
        refused(&random, "random_integer", json!({"min": 3, "max": 1}))
            .await
            .contains("must not be less")
    );
    assert!(
        refused(
            &random,
            "random_integer",
            json!({"min": 1, "max": 1, "seed": "s"})
        )
        .await
        .contains("`seed`")
    );
    let config = json!({"input": ["a", "b", "c"], "result_count": 7});
    let order = settled(&random, "random_shuffle", config).await;
    let order = order.attribute("result");
    let order: Vec<&str> = order
        .as_sequence()
        .unwrap()
        .iter()
        .filter_map(|v| v.as_str())
        .collect();
    assert_eq!(order.len(), 7);
    for name in ["a", "b", "c"] {
        assert!((2..=3).contains(&order.iter().filter(|n| **n == name).count()));
    }
    let bytes = settled(&random, "random_bytes", json!({"length": 6})).await;
    assert_eq!(bytes.text("hex").len(), 12);
}

#[tokio::test]
async fn keys_have_all_their_forms() {
    let tls = harness("tls").await;
    for config in [
        json!({"algorithm": "RSA", "rsa_bits": 1024}),
        json!({"algorithm": "ECDSA"}),
        json!({"algorithm": "ECDSA", "ecdsa_curve": "P256"}),
        json!({"algorithm": "ECDSA", "ecdsa_curve": "P384"}),
        json!({"algorithm": "ECDSA", "ecdsa_curve": "P521"}),
        json!({"algorithm": "ED25519"}),
    ] {
        let key = settled(&tls, "tls_private_key", config.clone()).await;
        for form in ["private_key_pem", "private_key_pem_pkcs8"] {
            let public = tls
                .data("tls_public_key", json!({"private_key_pem": key.text(form)}))
                .await
                .unwrap();
            assert_eq!(
                public.get("algorithm").unwrap().as_str(),
                config["algorithm"].as_str()
            );
            for name in [
                "public_key_pem",
                "public_key_openssh",
                "public_key_fingerprint_md5",
                "id",
            ] {
                assert_eq!(
                    public.get(name),
                    Some(key.attribute(name)),
                    "{name} of {config} from {form}"
                );
            }
        }
        let no_ssh = config == json!({"algorithm": "ECDSA"});
        assert_eq!(key.text("private_key_openssh").is_empty(), no_ssh);
        assert_eq!(key.text("public_key_openssh").is_empty(), no_ssh);
    }
    assert!(
        refused(&tls, "tls_private_key", json!({"algorithm": "DSA"}))
            .await
            .contains("one of RSA, ECDSA, ED25519")
    );
    assert!(
        refused(
            &tls,
            "tls_private_key",
            json!({"algorithm": "RSA", "rsa_bits": 512})
        )
        .await
        .contains("rsa_bits")
    );
}

#[tokio::test]
async fn files_are_written_checked_and_removed() {
    let local = harness("local").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a/b/c.txt");
    let name = file.to_str().unwrap();
    let config = json!({"filename": name, "content": "hello", "file_permission": "0640"});
    let object = settled(&local, "local_file", config.clone()).await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "hello");
    assert_eq!(
        object.text("content_md5"),
        "5d41402abc4b2a76b9719d911017c592"
    );
    assert_eq!(
        object.text("id"),
        "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(&file).unwrap().permissions().mode() & 0o7137,
            0
        );
    }
    let data = local
        .data("local_file", json!({"filename": name}))
        .await
        .unwrap();
    assert_eq!(
        data.get("content_base64").unwrap().as_str(),
        Some("aGVsbG8=")
    );
    let other = json!({"filename": name, "content": "x", "file_permission": "0640"});
    assert_eq!(
        replaced(&local, "local_file", &object, other).await,
        ["content"]
    );
    std::fs::write(&file, "changed by hand").unwrap();
    assert!(local.read("local_file", &object).await.unwrap().is_none());
    let object = local.apply("local_file", None, config).await.unwrap();
    local.delete("local_file", &object).await.unwrap();
    assert!(!file.exists());
    local.delete("local_file", &object).await.unwrap();
    assert!(local.read("local_file", &object).await.unwrap().is_none());
    let error = local
        .data("local_file", json!({"filename": name}))
        .await
        .unwrap_err();
    assert!(error.iter().next().unwrap().summary.contains(name));
}

#[tokio::test]
async fn secret_files_come_from_every_source() {
    let local = harness("local").await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    settled(
        &local,
        "local_sensitive_file",
        json!({"filename": path("a"), "content_base64": "AP8="}),
    )
    .await;
    assert_eq!(std::fs::read(path("a")).unwrap(), [0, 255]);
    settled(
        &local,
        "local_sensitive_file",
        json!({"filename": path("b"), "source": path("a")}),
    )
    .await;
    assert_eq!(std::fs::read(path("b")).unwrap(), [0, 255]);
    let data = local
        .data("local_sensitive_file", json!({"filename": path("b")}))
        .await
        .unwrap();
    assert_eq!(data.get("content").unwrap().as_str(), Some("\u{0}\u{fffd}"));
    for (bad, text) in [
        (json!({"filename": path("c")}), "Exactly one"),
        (
            json!({"filename": path("c"), "content": "a", "source": "b"}),
            "Exactly one",
        ),
        (
            json!({"filename": path("c"), "content": "a", "file_permission": "rw"}),
            "octal",
        ),
        (
            json!({"filename": path("c"), "content_base64": "?"}),
            "base64",
        ),
    ] {
        assert!(
            refused(&local, "local_sensitive_file", bad)
                .await
                .contains(text)
        );
    }
}

#[tokio::test]
async fn null_resources_do_nothing() {
    let null = harness("null").await;
    let object = settled(&null, "null_resource", json!({"triggers": {"a": "1"}})).await;
    assert!(object.text("id").parse::<u64>().is_ok());
    assert_eq!(
        replaced(
            &null,
            "null_resource",
            &object,
            json!({"triggers": {"a": "2"}})
        )
        .await,
        ["triggers"]
    );
    let data = null
        .data("null_data_source", json!({"inputs": {"a": "b"}}))
        .await
        .unwrap();
    assert_eq!(data.get("outputs"), data.get("inputs"));
    assert_eq!(
        data.get("has_computed_default"),
        Some(Value::string("default"))
    );
}

#[tokio::test]
async fn terraform_data_hands_its_input_on() {
    let builtin = harness("terraform").await;
    const DATA: &str = "terraform_data";
    let config = builtin.config(DATA, json!({"input": {"a": 1}})).unwrap();
    let plan = builtin.plan(DATA, None, &config).await.unwrap();
    let output = plan.planned.get("output").unwrap();
    assert_eq!(output, Value::unknown(Type::object([("a", Type::Number)])));
    let object = settled(
        &builtin,
        DATA,
        json!({"input": {"a": 1}, "triggers_replace": [1]}),
    )
    .await;
    assert_eq!(object.attribute("output"), object.attribute("input"));
    let changed = builtin
        .apply(
            DATA,
            Some(&object),
            json!({"input": "x", "triggers_replace": [1]}),
        )
        .await
        .unwrap();
    assert_eq!(changed.text("output"), "x");
    assert_eq!(changed.text("id"), object.text("id"));
    let config = builtin
        .config(
            DATA,
            json!({"input": "x", "triggers_replace": ["other", 2]}),
        )
        .unwrap();
    let plan = builtin.plan(DATA, Some(&changed), &config).await.unwrap();
    assert_eq!(
        plan.requires_replace,
        [Path::root().attr("triggers_replace")]
    );
    assert!(!plan.planned.get("id").unwrap().is_known());
    settled(&builtin, DATA, json!({})).await;
    assert!(
        builtin
            .import(DATA, "some-id")
            .await
            .unwrap()
            .attribute("input")
            .is_null()
    );
}

#[tokio::test]
async fn points_in_time_stay() {
    let time = harness("time").await;
    let config = json!({"rfc3339": "2026-02-03T04:05:06+02:00"});
    let plan = time
        .plan(
            "time_static",
            None,
            &time.config("time_static", config.clone()).unwrap(),
        )
        .await
        .unwrap();
    assert!(plan.planned.is_wholly_known(), "{:?}", plan.planned);
    let given = settled(&time, "time_static", config).await;
    assert_eq!(
        (
            given.attribute("hour").as_i64(),
            given.attribute("unix").as_i64()
        ),
        (Some(4), Some(1_770_084_306))
    );
    let now = settled(&time, "time_static", json!({})).await;
    assert!(
        now.text("rfc3339").ends_with('Z') && now.text("rfc3339").len() == 20,
        "{}",
        now.text("rfc3339")
    );
    assert!(
        refused(&time, "time_static", json!({"rfc3339": "yesterday"}))
            .await
            .contains("RFC 3339")
    );
}

#[tokio::test]
async fn pauses_end_when_the_user_interrupts() {
    let time = harness("time").await;
    let pause = settled(
        &time,
        "time_sleep",
        json!({"create_duration": "1ms", "destroy_duration": "1000h"}),
    )
    .await;
    time.cx.cancelled().cancel();
    let error = time.delete("time_sleep", &pause).await.unwrap_err();
    assert!(error.iter().next().unwrap().detail.contains("interrupted"));
    for (bad, text) in [
        (json!({}), "At least one"),
        (
            json!({"create_duration": "1m30s"}),
            "a number and ms, s, m or h",
        ),
        (
            json!({"create_duration": "soon"}),
            "a number and ms, s, m or h",
        ),
    ] {
        assert!(refused(&time, "time_sleep", bad).await.contains(text));
    }
}

#[tokio::test]
async fn a_certificate_signs_itself_and_is_replaced_before_it_expires() {
    let tls = harness("tls").await;
    let key = settled(
        &tls,
        "tls_private_key",
        json!({"algorithm": "ECDSA", "ecdsa_curve": "P256"}),
    )
    .await;
    let pem = key
        .value
        .get("private_key_pem")
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned();
    let config = |early: i64| {
        json!({
            "private_key_pem": pem, "validity_period_hours": 24, "early_renewal_hours": early,
            "allowed_uses": ["digital_signature", "server_auth"], "dns_names": ["sealed.example"],
            "subject": [{"common_name": "sealed-secrets"}],
        })
    };
    let made = settled(&tls, "tls_self_signed_cert", config(1)).await;
    let cert = made.value.get("cert_pem").unwrap();
    let cert = cert.as_str().unwrap();
    assert!(
        cert.starts_with("-----BEGIN CERTIFICATE-----\n")
            && cert.ends_with("-----END CERTIFICATE-----\n")
    );
    assert_eq!(
        made.value.get("key_algorithm").unwrap().as_str(),
        Some("ECDSA")
    );
    assert_eq!(
        replaced(&tls, "tls_self_signed_cert", &made, config(25)).await,
        ["ready_for_renewal"]
    );
    let mut wrong = config(1);
    wrong["allowed_uses"] = json!(["world_domination"]);
    assert!(
        refused(&tls, "tls_self_signed_cert", wrong)
            .await
            .contains("world_domination")
    );
}
