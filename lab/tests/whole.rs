//! The composed lab: found by other processes, driven through its gateway, and empty again in the end.

use std::net::SocketAddr;
use std::path::Path;

use axum::body::Bytes;
use axum::http::Request;
use serde_json::{Value, json};
use stead_lab::core::Client;
use stead_lab::{Options, RunningLab, find, request, reset};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

async fn start(dir: &Path) -> RunningLab {
    RunningLab::start(dir, Options::default()).await.unwrap()
}

fn variable<'a>(environment: &'a [(String, String)], name: &str) -> &'a str {
    &environment.iter().find(|(n, _)| n == name).unwrap().1
}

/// A call of Proxmox's API as a client of the lab's environment makes it.
async fn proxmox(lab: &RunningLab, verb: &str, path: &str, form: &str) -> Value {
    let client = Client::new(lab.lab()).unwrap();
    let endpoint = variable(lab.environment(), "PROXMOX_VE_ENDPOINT").to_owned();
    let query = if verb == "POST" {
        String::new()
    } else {
        format!("?{form}")
    };
    let request = Request::builder()
        .method(verb)
        .uri(format!("{endpoint}api2/json{path}{query}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header(
            "authorization",
            format!(
                "PVEAPIToken={}",
                variable(lab.environment(), "PROXMOX_VE_API_TOKEN")
            ),
        );
    let body = if verb == "POST" {
        Bytes::from(form.to_owned())
    } else {
        Bytes::new()
    };
    let response = client.send(request.body(body).unwrap()).await.unwrap();
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    assert!(response.status().is_success(), "{verb} {path}: {body}");
    body["data"].clone()
}

/// Calls what starts a task, and waits until it ended well.
async fn task(lab: &RunningLab, verb: &str, path: &str, form: &str) {
    let upid = proxmox(lab, verb, path, form).await;
    let escaped = upid
        .as_str()
        .unwrap()
        .replace(':', "%3A")
        .replace('@', "%40")
        .replace('!', "%21");
    loop {
        let status = proxmox(
            lab,
            "GET",
            &format!("/nodes/abel/tasks/{escaped}/status"),
            "",
        )
        .await;
        if status["status"] == "stopped" {
            assert_eq!(status["exitstatus"], "OK", "{verb} {path}");
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_lab_runs_in_a_folder_and_others_find_it() {
    let dir = tempfile::tempdir().unwrap();
    assert!(find(dir.path()).unwrap().is_none());
    let lab = start(dir.path()).await;
    let Err(refused) = RunningLab::start(dir.path(), Options::default()).await else {
        panic!("two labs in one folder")
    };
    assert!(refused.to_string().contains("already runs"), "{refused}");
    assert!(reset(dir.path()).is_err(), "a running lab is not reset");

    let found = find(dir.path()).unwrap().unwrap();
    assert_eq!(
        (found.pid, found.gateway),
        (std::process::id(), lab.gateway())
    );
    assert_eq!(found.environment(), lab.environment());
    assert!(!format!("{found:?}").contains("lab-truenas-api-key"));
    assert_eq!(
        variable(found.environment(), "STEAD_DIAL"),
        format!("connect://{}", lab.gateway())
    );
    let bundle = std::fs::read_to_string(variable(found.environment(), "SSL_CERT_FILE")).unwrap();
    assert!(bundle.contains("BEGIN CERTIFICATE"));

    let fault = json!({ "name": "proxmox", "effect": { "status": { "code": 503, "message": "busy" } }, "times": 1 });
    request(found.gateway, "POST", "/faults", Some(&fault))
        .await
        .unwrap();
    assert_eq!(
        request(found.gateway, "GET", "/faults", None)
            .await
            .unwrap()[0]["name"],
        "proxmox"
    );
    let wrong = request(
        found.gateway,
        "POST",
        "/faults",
        Some(&json!({ "name": "x", "effekt": "on" })),
    )
    .await;
    assert!(wrong.unwrap_err().to_string().starts_with("400"));
    request(found.gateway, "DELETE", "/faults/proxmox", None)
        .await
        .unwrap();
    assert_eq!(
        request(found.gateway, "GET", "/inventory", None)
            .await
            .unwrap(),
        lab.inventory().unwrap()
    );

    lab.shutdown().await.unwrap();
    assert!(find(dir.path()).unwrap().is_none());
    reset(dir.path()).unwrap();
    assert!(!dir.path().join("authority.json").exists());
    std::fs::write(dir.path().join("precious.txt"), "mine").unwrap();
    assert!(
        reset(dir.path()).is_err(),
        "a folder that is no lab's is left alone"
    );
    assert!(dir.path().join("precious.txt").exists());
}

async fn connect(gateway: SocketAddr, target: &str) -> String {
    let mut stream = TcpStream::connect(gateway).await.unwrap();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap()
}

#[tokio::test]
async fn the_gateway_leads_to_every_system_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(dir.path()).await;
    let inside = [
        "10.25.150.101:8006",
        "10.25.150.103:8006",
        "10.25.150.101:22",
        "truenas.lab:443",
        "10.25.150.20:443",
        "10.25.151.11:22",
        "management.azure.com:443",
        "login.microsoftonline.com:443",
        "some.vault.azure.net:443",
        "some.blob.core.windows.net:443",
        "factory.talos.dev:443",
    ];
    for target in inside {
        assert!(
            connect(lab.gateway(), target)
                .await
                .starts_with("HTTP/1.1 200"),
            "{target}"
        );
    }
    for target in [
        "github.com:443",
        "10.25.150.101:3128",
        "registry.terraform.io:443",
    ] {
        assert!(
            connect(lab.gateway(), target)
                .await
                .starts_with("HTTP/1.1 502"),
            "{target}"
        );
    }
    lab.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_machine_from_a_talos_image_waits_in_maintenance_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(dir.path()).await;
    let empty = lab.inventory().unwrap();
    let client = Client::new(lab.lab()).unwrap();
    let schematic =
        "customization: {systemExtensions: {officialExtensions: [siderolabs/qemu-guest-agent]}}";
    let request = Request::post("https://factory.talos.dev/schematics")
        .body(Bytes::from_static(schematic.as_bytes()));
    let made: Value =
        serde_json::from_slice(client.send(request.unwrap()).await.unwrap().body()).unwrap();
    let id = made["id"].as_str().unwrap();
    let image =
        format!("https%3A%2F%2Ffactory.talos.dev%2Fimage%2F{id}%2Fv1.12.0%2Fnocloud-amd64.qcow2");
    let download = format!("content=import&filename=talos.qcow2&url={image}");
    task(
        &lab,
        "POST",
        "/nodes/abel/storage/local/download-url",
        &download,
    )
    .await;
    let vm = "vmid=4001&name=ctrl-00&cores=4&memory=2480&agent=1&net0=virtio%2Cbridge%3Dvmbr0&ide2=local-lvm%3Acloudinit\
              &scsi0=local-lvm%3A0%2Cimport-from%3Dlocal%3Aimport%2Ftalos.qcow2&ipconfig0=ip%3D10.25.150.11%2F24%2Cgw%3D10.25.150.1&start=1";
    task(&lab, "POST", "/nodes/abel/qemu", vm).await;
    while lab.inventory().unwrap()["talos"]["nodes"][0]["stage"] != "maintenance" {
        tokio::task::yield_now().await;
    }
    assert!(
        connect(lab.gateway(), "10.25.150.11:50000")
            .await
            .starts_with("HTTP/1.1 200")
    );
    lab.shutdown().await.unwrap();

    let lab = start(dir.path()).await;
    assert_eq!(
        lab.inventory().unwrap()["proxmox"]["vms"][0]["running"],
        true
    );
    while lab.inventory().unwrap()["talos"]["nodes"][0]["stage"] != "maintenance" {
        tokio::task::yield_now().await;
    }
    task(&lab, "POST", "/nodes/abel/qemu/4001/status/stop", "").await;
    task(
        &lab,
        "DELETE",
        "/nodes/abel/qemu/4001",
        "purge=1&destroy-unreferenced-disks=1",
    )
    .await;
    task(
        &lab,
        "DELETE",
        "/nodes/abel/storage/local/content/local%3Aimport%2Ftalos.qcow2",
        "",
    )
    .await;
    assert_eq!(lab.inventory().unwrap(), empty);
    lab.shutdown().await.unwrap();
}
