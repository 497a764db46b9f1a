//! The backend `pg` against PostgreSQL. Each test has a schema of its own.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stead_state::{Backend, BackendError};

use crate::flaky::Flaky;
use crate::{conformance, lock_info, open, state, terraform, variable};

const ID: &str = "6fa459ea-ee8a-3ca4-894e-db77e160355e";
const OTHER: &str = "16fd2706-8baf-433b-82eb-8c7fada847da";

fn arguments(schema: &str) -> Json {
    json!({ "conn_str": variable("STEAD_TEST_PG"), "schema_name": schema })
}

fn backend(schema: &str) -> Arc<dyn Backend> {
    open("pg", &arguments(schema), &[])
}

/// The server's port in its connection string.
fn port() -> u16 {
    let url = reqwest::Url::parse(&variable("STEAD_TEST_PG")).expect("a URL");
    url.port().expect("a port")
}

/// A session, over a connection in the clear.
async fn session(url: &str) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (session, connection) = connected.expect("a session");
    tokio::spawn(connection);
    session
}

/// The connection string of a new database. The key that is held while a row is made is one for a whole database: a test in which
/// it counts keeps away from the others.
async fn own_database(name: &str) -> String {
    let url = variable("STEAD_TEST_PG");
    let create = format!("CREATE DATABASE {name}");
    let server = session(&url).await;
    server.batch_execute(&create).await.expect("a database");
    let mut own = reqwest::Url::parse(&url).expect("a URL");
    own.set_path(name);
    own.into()
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn keeps_states_and_locks() {
    conformance::check(|| backend("conformance"), "one").await;
    conformance::check(|| backend("conformance of \"default\""), "default").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn shares_a_schema_with_terraform() {
    // Terraform tells its own note when PostgreSQL says no: nobody knows who has an advisory lock.
    let arguments = json!({ "conn_str": own_database("shared").await, "schema_name": "shared" });
    let here = open("pg", &arguments, &[]);
    terraform::share(&here, "pg", &arguments, &[], false).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn makes_its_tables_once_for_many() {
    let each = (0..8).map(|n| async move {
        let store = backend("many").store(&format!("w{n}")).expect("a store");
        store.write(&state(1, "x")).await.expect("a write");
    });
    futures::future::join_all(each).await;
    assert_eq!(
        backend("many")
            .workspaces()
            .await
            .expect("workspaces")
            .len(),
        9
    );
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn a_new_workspace_is_locked_without_keeping_others_out() {
    let (one, two) = (backend("new"), backend("new"));
    let (first, second) = (
        one.store("a").expect("a store"),
        two.store("b").expect("a store"),
    );
    first
        .lock(&lock_info(ID))
        .await
        .expect("the lock of a workspace without a state");
    second.lock(&lock_info(OTHER)).await.expect("another one's");
    assert_eq!(
        one.workspaces().await.expect("workspaces"),
        ["default", "a", "b"]
    );
    match two
        .store("a")
        .expect("a store")
        .lock(&lock_info(OTHER))
        .await
    {
        Err(BackendError::Locked {
            holder: Some(holder),
            reason,
        }) => {
            assert_eq!(holder.id, ID);
            assert!(
                reason.starts_with("Workspace is already locked: a (session ")
                    && reason.contains("stead"),
                "{reason}"
            );
        }
        found => panic!("{found:?}"),
    }
    first.unlock(ID).await.expect("the unlock");
    second.unlock(OTHER).await.expect("the unlock");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn a_row_made_elsewhere_is_waited_for() {
    let url = own_database("waiting").await;
    let elsewhere = session(&url).await;
    let here = open("pg", &json!({ "conn_str": url }), &[]);
    let here = here.store("a").expect("a store");
    for what in ["a new row", "the row that is there"] {
        let take = "SELECT pg_advisory_lock(-1)";
        elsewhere.batch_execute(take).await.expect("the key");
        let info = lock_info(ID);
        let (taken, ()) = tokio::join!(here.lock(&info), async {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            let give = "SELECT pg_advisory_unlock(-1)";
            elsewhere.batch_execute(give).await.expect("the unlock");
        });
        taken.expect(what);
        here.unlock(ID).await.expect("the unlock");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn a_lost_connection_loses_the_lock() {
    let flaky = Flaky::before(([127, 0, 0, 1], port()).into()).await;
    let url =
        variable("STEAD_TEST_PG").replace(&port().to_string(), &flaky.address.port().to_string());
    let here = open(
        "pg",
        &json!({ "conn_str": url, "schema_name": "lost" }),
        &[],
    );
    let store = here.store("default").expect("a store");
    store.write(&state(1, "one")).await.expect("a write");
    // Without a lock a broken connection is opened again.
    flaky.lose(1);
    store
        .write(&state(2, "two"))
        .await
        .expect("a write over a new connection");
    assert_eq!(flaky.left(), 0);

    store.lock(&lock_info(ID)).await.expect("the lock");
    flaky.lose(1);
    assert!(matches!(store.holds(ID).await, Err(BackendError::LockLost)));
    assert!(
        matches!(
            store.write(&state(3, "three")).await,
            Err(BackendError::LockLost)
        ),
        "nothing is written without the lock"
    );
    assert!(matches!(
        store.unlock(ID).await,
        Err(BackendError::LockLost)
    ));
    let there = backend("lost").store("default").expect("a store");
    // The server notices in its own time.
    let mut tries = 0;
    while let Err(error) = there.lock(&lock_info(OTHER)).await {
        assert!(
            matches!(error, BackendError::Locked { .. }) && tries < 200,
            "{error}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        tries += 1;
    }
    assert_eq!(
        there.read().await.expect("a read").as_deref(),
        Some(&*state(2, "two"))
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn an_answer_lost_while_locking_is_no_lock_of_others() {
    // The answers of a login and of the lock, one by one.
    let flaky = Flaky::before(([127, 0, 0, 1], port()).into()).await;
    let plain = format!("{}?sslmode=disable", variable("STEAD_TEST_PG"));
    let url = plain.replace(&port().to_string(), &flaky.address.port().to_string());
    let store = open(
        "pg",
        &json!({ "conn_str": url, "schema_name": "ghosts" }),
        &[],
    )
    .store("default")
    .expect("a store");
    store.write(&state(1, "one")).await.expect("a write");
    for before in 0..12 {
        flaky.lose_after(before);
        store
            .lock(&lock_info(ID))
            .await
            .unwrap_or_else(|e| panic!("after {before} answers: {e}"));
        flaky.lose(0);
        store.holds(ID).await.expect("the lock is held");
        store.unlock(ID).await.expect("the unlock");
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn a_forced_unlock_ends_the_session() {
    let store = backend("forced").store("default").expect("a store");
    store.lock(&lock_info(ID)).await.expect("the lock");
    let other = backend("forced").store("default").expect("a store");
    other.unlock(ID).await.expect("a forced unlock");
    other
        .lock(&lock_info(OTHER))
        .await
        .expect("the lock is free");
    assert!(matches!(store.holds(ID).await, Err(BackendError::LockLost)));
    other.unlock(OTHER).await.expect("the unlock");
    assert!(matches!(
        other.unlock(OTHER).await,
        Err(BackendError::LockLost)
    ));
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn believes_certificates_as_it_is_told() {
    let url = variable("STEAD_TEST_PG");
    let root = variable("STEAD_TEST_PG_CA");
    let by_address = url.replace("localhost", "127.0.0.1");
    let read = async |conn_str: String| {
        let store = open("pg", &json!({ "conn_str": conn_str }), &[])
            .store("default")
            .expect("a store");
        store.read().await.map(|_| ()).map_err(|e| e.to_string())
    };
    read(format!("{url}?sslmode=verify-full&sslrootcert={root}"))
        .await
        .expect("the right name");
    let error = read(format!(
        "{by_address}?sslmode=verify-full&sslrootcert={root}"
    ))
    .await
    .expect_err("another name");
    assert!(error.contains("127.0.0.1"), "{error}");
    read(format!("{by_address}?sslmode=verify-ca&sslrootcert={root}"))
        .await
        .expect("any name");
    read(format!("{by_address}?sslmode=require"))
        .await
        .expect("any certificate");
    read(format!("{url}?sslmode=verify-full"))
        .await
        .expect_err("an authority that this machine does not know");
}

#[tokio::test]
#[ignore = "needs PostgreSQL: tests/real/run pg"]
async fn says_what_is_wrong() {
    let url = variable("STEAD_TEST_PG");
    let read = async |conn_str: String, skip: bool| {
        let arguments = json!({ "conn_str": conn_str, "schema_name": "nowhere", "skip_schema_creation": skip, "skip_table_creation": skip, "skip_index_creation": skip });
        let store = open("pg", &arguments, &[])
            .store("default")
            .expect("a store");
        assert_eq!(store.has_room_beside(), !skip);
        store.read().await.expect_err("an error").to_string()
    };
    let error = read(url.replace("secret", "wrong-one"), false).await;
    assert!(
        error.contains("password authentication failed") && error.contains("PGPASSWORD"),
        "{error}"
    );
    assert!(!error.contains("wrong-one"), "{error}");
    let error = read(format!("{url}-of-nobody"), false).await;
    assert!(
        error.contains("3D000") && error.contains("Create the database"),
        "{error}"
    );
    let error = read(url, true).await;
    assert!(
        error.contains("42P01") && error.contains("skip_table_creation"),
        "{error}"
    );
}
