//! `remote-exec` and `file` against a small SSH server on this machine.

#[path = "../../sdk/tests/ssh_server/mod.rs"]
mod ssh_server;

use std::sync::{Arc, Mutex};

use ssh_server::{Host, PASSWORD, USER, host};
use stead_sdk::value::{Diagnostics, Type, Value};
use stead_sdk::{Context, Dialer, ProvisionOutput, Provisioner, Provisioning, connection_schema};

/// A value of a block: what is given, and null for the rest.
fn block(ty: &Type, given: &[(&str, Value)]) -> Value {
    let Type::Object(attributes) = ty else {
        panic!("an object")
    };
    let entries = attributes.attributes.iter().map(|(name, ty)| {
        let found = given.iter().find(|(n, _)| *n == &**name);
        let value = found.map_or_else(|| Value::null(ty.clone()), |(_, v)| v.clone());
        (Arc::clone(name), value)
    });
    Value::object(entries.collect())
}

fn connection(host: &Host, more: &[(&str, Value)]) -> Value {
    let mut given = vec![
        ("host", Value::string("127.0.0.1")),
        ("port", Value::number(i64::from(host.port))),
        ("user", Value::string(USER)),
        ("password", Value::string(PASSWORD)),
        ("timeout", Value::string("0s")),
    ];
    for (name, value) in more {
        given.retain(|(n, _)| n != name);
        given.push((name, value.clone()));
    }
    block(&connection_schema().value_type(), &given)
}

fn provisioner(kind: &str) -> Arc<dyn Provisioner> {
    let all = stead_utility::provision::provisioners(&Dialer::direct());
    let found = all.into_iter().find(|(name, _)| *name == kind);
    found.expect("a provisioner").1
}

async fn provision(
    kind: &str,
    given: &[(&str, Value)],
    connection: Value,
) -> (Vec<String>, Result<(), Diagnostics>) {
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&said);
    let provisioner = provisioner(kind);
    let request = Provisioning {
        config: block(&provisioner.schema().value_type(), given),
        connection,
        output: ProvisionOutput::new(move |text| sink.lock().unwrap().push(text.to_owned())),
    };
    let result = provisioner.provision(request, &Context::detached()).await;
    let said = said.lock().unwrap().clone();
    (said, result)
}

fn detail(result: Result<(), Diagnostics>) -> String {
    let errors = result.expect_err("an error");
    let error = errors.iter().next().expect("an error");
    assert!(error.summary.ends_with("provisioner error"), "{error:?}");
    error.detail.clone()
}

fn inline(lines: &[&str]) -> Value {
    Value::list(Type::String, lines.iter().map(Value::string).collect())
}

#[tokio::test]
async fn inline_commands_are_one_script_that_leaves_nothing_behind() {
    let host = host().await;
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script_%RAND%.sh");
    let connection = connection(
        &host,
        &[("script_path", Value::string(script.to_str().unwrap()))],
    );
    let lines = ["secret=tiger", "echo $secret", "echo trouble >&2"];
    let (said, result) = provision("remote-exec", &[("inline", inline(&lines))], connection).await;
    result.unwrap();
    assert!(said[0].starts_with("Connecting to remote host via SSH...\n  Host: 127.0.0.1\n  User: ubuntu\n  Password: true\n  Private key: false\n"), "{said:?}");
    assert_eq!(said[1], "Connected!");
    let mut printed = said[2..].to_vec();
    printed.sort();
    assert_eq!(printed, ["tiger", "trouble"]);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    let script = left[0].as_ref().unwrap().path();
    assert!(!script.to_str().unwrap().contains("RAND"));
    assert_eq!(std::fs::read_to_string(script).unwrap(), "");
}

#[tokio::test]
async fn scripts_run_in_order_up_to_the_first_that_fails() {
    let host = host().await;
    let folder = tempfile::tempdir().unwrap();
    let scripts: Vec<Value> = ["#!/bin/sh\necho one", "echo two; exit 4", "echo three"]
        .iter()
        .enumerate()
        .map(|(i, text)| {
            let path = folder.path().join(format!("{i}.sh"));
            std::fs::write(&path, text).unwrap();
            Value::string(path.to_str().unwrap())
        })
        .collect();
    let scripts = Value::list(Type::String, scripts);
    let (said, result) = provision(
        "remote-exec",
        &[("scripts", scripts)],
        connection(&host, &[]),
    )
    .await;
    assert_eq!(said[2..], ["one", "two"]);
    assert!(detail(result).ends_with("Process exited with status 4"));
}

#[tokio::test]
async fn files_and_folders_are_copied() {
    let host = host().await;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let given = [
        ("content", Value::string("hello")),
        ("destination", Value::string(at("a.txt"))),
    ];
    provision("file", &given, connection(&host, &[]))
        .await
        .1
        .unwrap();
    assert_eq!(std::fs::read_to_string(at("a.txt")).unwrap(), "hello");

    std::fs::create_dir_all(at("from/inner")).unwrap();
    std::fs::write(at("from/inner/it's b.txt"), "b").unwrap();
    for (source, there) in [("from", "to/from/inner"), ("from/", "flat/inner")] {
        let destination = there.split('/').next().unwrap();
        let given = [
            ("source", Value::string(at(source))),
            ("destination", Value::string(at(destination))),
        ];
        provision("file", &given, connection(&host, &[]))
            .await
            .1
            .unwrap();
        let copy = format!("{there}/it's b.txt");
        assert_eq!(std::fs::read_to_string(at(&copy)).unwrap(), "b");
    }
    let nowhere = [
        ("content", Value::string("x")),
        ("destination", Value::string("/nowhere/x")),
    ];
    let (_, result) = provision("file", &nowhere, connection(&host, &[])).await;
    assert!(detail(result).starts_with("Upload failed: "));
}

#[tokio::test]
async fn a_bastion_leads_to_the_host() {
    let (bastion, host) = (host().await, host().await);
    let more = [
        ("bastion_host", Value::string("127.0.0.1")),
        ("bastion_port", Value::number(i64::from(bastion.port))),
        ("bastion_host_key", Value::string(&bastion.host_key)),
        ("host_key", Value::string(&host.host_key)),
        ("private_key", Value::string(&host.user_key)),
    ];
    let (said, result) = provision(
        "remote-exec",
        &[("inline", inline(&["echo through"]))],
        connection(&host, &more),
    )
    .await;
    result.unwrap();
    assert!(
        said[1].starts_with("Using configured bastion host...\n"),
        "{said:?}"
    );
    assert_eq!(said.last().unwrap(), "through");
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let host = host().await;
    let other = ssh_server::host().await;
    let run = |connection| async {
        let given = [("inline", inline(&["true"]))];
        detail(provision("remote-exec", &given, connection).await.1)
    };
    let null = Value::null(connection_schema().value_type());
    assert_eq!(
        run(null).await,
        "Missing connection configuration for provisioner."
    );
    let winrm = connection(&host, &[("type", Value::string("winrm"))]);
    assert!(run(winrm).await.contains("winrm"));
    let stranger = connection(&host, &[("host_key", Value::string(&other.host_key))]);
    assert!(run(stranger).await.contains("not the known one"));
    let refused = connection(&host, &[("password", Value::string("wrong"))]);
    let said = run(refused).await;
    assert!(
        said.starts_with("timeout - last error: ") && !said.contains("wrong"),
        "{said}"
    );
}
