//! The backend `s3` against an S3 server that checks signatures and conditions. Each test has a key of its own.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stead_sdk::s3::{Bridge, Bucket, Encryption, Login, LoginSettings, Place};
use stead_sdk::sending::Patience;
use stead_sdk::{Dialer, Environment, HttpOptions};
use stead_state::{Backend, BackendError};

use crate::flaky::Flaky;
use crate::{conformance, lock_info, open, state, terraform, variable};

const ID: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
const OTHER: &str = "16fd2706-8baf-433b-82eb-8c7fada847da";

fn arguments(key: &str) -> Json {
    json!({
        "bucket": "state",
        "key": key,
        "region": "us-east-1",
        "endpoints": { "s3": variable("STEAD_TEST_S3") },
        "access_key": variable("STEAD_TEST_S3_ACCESS_KEY"),
        "secret_key": variable("STEAD_TEST_S3_SECRET_KEY"),
        "use_path_style": true,
        "use_lockfile": true,
    })
}

fn with(key: &str, more: &Json) -> Json {
    let mut all = arguments(key);
    let members = all.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    all
}

fn backend(key: &str) -> Arc<dyn Backend> {
    open("s3", &arguments(key), &[])
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn keeps_states_and_locks() {
    conformance::check(|| backend("conformance/terraform.tfstate"), "one").await;
    conformance::check(|| backend("conformance/default.tfstate"), "default").await;
    // Characters that signatures and addresses write in different ways.
    conformance::check(|| backend("a folder/ü+&=%20;@,'()!*~.tfstate"), "w+1 2").await;
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn workspaces_may_be_anywhere() {
    let apart = || {
        open(
            "s3",
            &with("apart", &json!({ "workspace_key_prefix": "spaces/here" })),
            &[],
        )
    };
    conformance::check(apart, "one").await;
    let at_the_root = || {
        open(
            "s3",
            &with("journal", &json!({ "workspace_key_prefix": "" })),
            &[],
        )
    };
    conformance::check(at_the_root, "one").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn shares_a_bucket_with_terraform() {
    let skips = json!({
        "skip_credentials_validation": true, "skip_requesting_account_id": true, "skip_metadata_api_check": true, "skip_region_validation": true,
    });
    let arguments = with("shared/terraform.tfstate", &skips);
    terraform::share(&open("s3", &arguments, &[]), "s3", &arguments, &[], true).await;
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn of_many_one_gets_the_lock() {
    let tries = (0..8).map(|n| async move {
        let store = backend("many").store("default").expect("a store");
        match store.lock(&lock_info(&format!("id-{n}"))).await {
            Ok(id) => Some(id),
            Err(BackendError::Locked { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    });
    let got: Vec<String> = futures::future::join_all(tries)
        .await
        .into_iter()
        .flatten()
        .collect();
    assert_eq!(got.len(), 1, "{got:?}");
    backend("many")
        .store("default")
        .expect("a store")
        .unlock(&got[0])
        .await
        .expect("the unlock");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn a_lost_answer_is_no_lock_of_others() {
    let url = variable("STEAD_TEST_S3");
    let service = url
        .trim_start_matches("http://")
        .parse()
        .expect("an address");
    let flaky = Flaky::before(service).await;
    let endpoint = json!({ "endpoints": { "s3": format!("http://{}", flaky.address) } });
    let store = open("s3", &with("flaky", &endpoint), &[])
        .store("default")
        .expect("a store");
    flaky.lose(2);
    store
        .lock(&lock_info(ID))
        .await
        .expect("the lock is ours although answers were lost");
    assert_eq!(flaky.left(), 0);
    flaky.lose(1);
    store.write(&state(1, "one")).await.expect("a write");
    flaky.lose(1);
    store.holds(ID).await.expect("the lock is held");
    flaky.lose_after(1);
    store.unlock(ID).await.expect("the unlock");
    assert_eq!(flaky.left(), 0);
    assert!(matches!(
        store.unlock(ID).await,
        Err(BackendError::LockLost)
    ));
    // Patience ends.
    let hurried =
        json!({ "endpoints": { "s3": format!("http://{}", flaky.address) }, "max_retries": 0 });
    let store = open("s3", &with("flaky", &hurried), &[])
        .store("default")
        .expect("a store");
    flaky.lose(1);
    store.read().await.expect_err("no second try");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn without_a_lock_file_nothing_is_locked() {
    let free = json!({ "use_lockfile": false });
    let store = open("s3", &with("free", &free), &[])
        .store("default")
        .expect("a store");
    for id in [ID, OTHER] {
        assert_eq!(store.lock(&lock_info(id)).await.expect("no lock"), id);
        store.holds(id).await.expect("no lock");
    }
    assert!(
        backend("free")
            .store("default")
            .expect("a store")
            .lock(&lock_info(ID))
            .await
            .is_ok()
    );
    backend("free")
        .store("default")
        .expect("a store")
        .unlock(ID)
        .await
        .expect("the unlock");
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn finds_credentials_where_the_tools_of_aws_do() {
    let (key, secret) = (
        variable("STEAD_TEST_S3_ACCESS_KEY"),
        variable("STEAD_TEST_S3_SECRET_KEY"),
    );
    backend("login")
        .store("default")
        .expect("a store")
        .write(&state(1, "one"))
        .await
        .expect("a write");
    let read = async |arguments: &Json, environment: &[(&str, &str)]| {
        let store = open("s3", arguments, environment)
            .store("default")
            .expect("a store");
        store
            .read()
            .await
            .map(|state| state.is_some())
            .map_err(|e| e.to_string())
    };
    let mut plain = arguments("login");
    let members = plain.as_object_mut().expect("an object");
    members.remove("access_key");
    members.remove("secret_key");
    let variables = [
        ("AWS_ACCESS_KEY_ID", key.as_str()),
        ("AWS_SECRET_ACCESS_KEY", secret.as_str()),
    ];
    assert_eq!(read(&plain, &variables).await, Ok(true));

    // A profile that is named counts more than variables; what a program of the profile says is taken, too.
    let folder = tempfile::tempdir().expect("a folder");
    let (config, credentials) = (
        folder.path().join("config"),
        folder.path().join("credentials"),
    );
    std::fs::write(
        &credentials,
        format!("[good]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"),
    )
    .expect("a file");
    let answer = json!({ "Version": 1, "AccessKeyId": key, "SecretAccessKey": secret });
    std::fs::write(folder.path().join("answer"), answer.to_string()).expect("a file");
    let program = format!(
        "[profile told]\ncredential_process = cat {}/answer\n",
        folder.path().display()
    );
    std::fs::write(&config, program).expect("a file");
    let wrong = [
        ("AWS_ACCESS_KEY_ID", "nobody"),
        ("AWS_SECRET_ACCESS_KEY", "wrong-one"),
    ];
    for profile in ["good", "told"] {
        let mut named = plain.clone();
        named["profile"] = json!(profile);
        named["shared_config_files"] = json!([config]);
        named["shared_credentials_files"] = json!([credentials]);
        assert_eq!(read(&named, &wrong).await, Ok(true), "{profile}");
    }
    let error = read(&plain, &wrong).await.expect_err("a wrong key");
    assert!(
        error.to_lowercase().contains("access key") && !error.contains("wrong-one"),
        "{error}"
    );
    let mut wrong_secret = arguments("login");
    wrong_secret["secret_key"] = json!("wrong-one");
    let error = read(&wrong_secret, &[]).await.expect_err("a wrong secret");
    assert!(
        error.contains("SignatureDoesNotMatch") && !error.contains("wrong-one"),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn says_what_is_wrong() {
    let nowhere = json!({ "bucket": "nowhere" });
    let store = open("s3", &with("k", &nowhere), &[])
        .store("default")
        .expect("a store");
    for error in [
        store.read().await.expect_err("no bucket"),
        store.write(b"{}").await.expect_err("no bucket"),
        store.lock(&lock_info(ID)).await.expect_err("no bucket"),
    ] {
        assert!(
            error
                .to_string()
                .contains("S3 bucket \"nowhere\" does not exist"),
            "{error}"
        );
    }
    open("s3", &with("k", &nowhere), &[])
        .workspaces()
        .await
        .expect_err("no bucket");
}

fn bucket() -> Bucket {
    let dialer = Dialer::new(Environment::default()).expect("a dialer");
    let http = dialer.http(&HttpOptions::default()).expect("a client");
    let (endpoint, region) = (variable("STEAD_TEST_S3"), "us-east-1");
    let place = Place {
        bucket: "state",
        region,
        endpoint: Some(&endpoint),
        path_style: true,
        ..Place::default()
    };
    let login = LoginSettings {
        access_key: Some(variable("STEAD_TEST_S3_ACCESS_KEY")),
        secret_key: Some(variable("STEAD_TEST_S3_SECRET_KEY").into()),
        ..LoginSettings::default()
    };
    let bridge = Bridge::new(&dialer, &http);
    Bucket {
        login: Login::new(login, region, dialer.environment(), bridge),
        address: place.address().expect("an address"),
        dialer,
        http,
        patience: Patience::default(),
        name: "state".to_owned(),
        region: region.to_owned(),
        encryption: Encryption::No,
        acl: None,
        checksums: true,
    }
}

/// What is larger than a portion goes in parts, and comes in ranges.
#[tokio::test]
#[ignore = "needs an S3 server: tests/real/run s3"]
async fn files_of_any_size_come_back_as_they_were() {
    let (bucket, folder) = (bucket(), tempfile::tempdir().expect("a folder"));
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    let kind = "application/octet-stream";
    for (key, size) in [
        ("files/none", 0),
        ("files/small ü+&=%20", 1000),
        ("files/one portion", 16 << 20),
        ("files/a folder/ü+&=%20;@,'()!*~", (40 << 20) + 7),
    ] {
        let content: Vec<u8> = (0..size).map(|n: u32| (n / 251) as u8 ^ n as u8).collect();
        std::fs::write(&there, &content).expect("a file");
        bucket.put_file(key, &there, kind).await.expect("a put");
        let known = bucket.size(key).await.expect("a size");
        assert_eq!(known, Some(u64::from(size)), "{key}");
        assert!(bucket.get_file(key, &back).await.expect("a get"), "{key}");
        assert!(std::fs::read(&back).expect("a file") == content, "{key}");
    }
    assert_eq!(bucket.list("files/").await.ok().map(|k| k.len()), Some(4));
    for key in bucket.list("files/").await.ok().unwrap_or_default() {
        bucket.delete(&key).await.expect("a delete");
        assert_eq!(bucket.size(&key).await.expect("a size"), None);
        assert!(!bucket.get_file(&key, &back).await.expect("a get"));
    }
}
