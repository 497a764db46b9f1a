//! Transport, parameter checks and refusals, as the published contract has them.

mod common;

use axum::body::Bytes;
use axum::http::Request;
use common::Cluster;
use serde_json::json;

#[tokio::test]
async fn parameters_are_checked_one_by_one() {
    let cluster = Cluster::new().await;
    let cases = [
        ("vmid=99", "vmid", "value must have a minimum value of 100"),
        (
            "vmid=abc",
            "vmid",
            "type check ('integer') failed - got 'abc'",
        ),
        (
            "name=x",
            "vmid",
            "property is missing and it is not optional",
        ),
        (
            "vmid=100&foo=1",
            "foo",
            "property is not defined in schema and the schema does not allow additional properties",
        ),
        (
            "vmid=100&bios=uefi",
            "bios",
            "value 'uefi' does not have a value in the enumeration 'seabios, ovmf'",
        ),
        (
            "vmid=100&onboot=maybe",
            "onboot",
            "type check ('boolean') failed - got 'maybe'",
        ),
        (
            "vmid=100&name=under_score",
            "name",
            "invalid format - value does not look like a valid DNS name\n",
        ),
        (
            "vmid=100&net0=virtio,foo=1",
            "net0",
            "invalid format - invalid key in comma-separated list property: foo\n",
        ),
        (
            "vmid=100&net0=virtio,tag=5000",
            "net0",
            "invalid format - format error\ntag: value must have a maximum value of 4094\n",
        ),
        (
            "vmid=100&scsi99=local-lvm%3A8",
            "scsi99",
            "property is not defined in schema and the schema does not allow additional properties",
        ),
        (
            "vmid=100&cores=2&cores=4",
            "cores",
            "type check ('integer') failed - got ARRAY",
        ),
        (
            "vmid=100&force=1",
            "archive",
            "missing property - 'force' requires this property",
        ),
        (
            "vmid=100&scsi0=local-lvm%3A8%2Cimport-from%3Dlocal%3Aimport%2Fx.qcow2",
            "scsi0",
            "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>",
        ),
        (
            "vmid=100&scsi0=local%3A8",
            "storage",
            "storage 'local' does not support vm images",
        ),
        (
            "vmid=100&ipconfig0=ip%3D10.0.0.1",
            "ipconfig0",
            "invalid format - format error\nip: invalid format - value does not look like a valid ipv4 network configuration\n\n",
        ),
    ];
    for (form, parameter, text) in cases {
        let answer = cluster.root("POST", "/nodes/abel/qemu", form).await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (400, "Parameter verification failed."),
            "{form}"
        );
        assert_eq!(
            answer.body["errors"][parameter], text,
            "{form}: {}",
            answer.body
        );
        assert_eq!(answer.body["data"], json!(null));
    }
    assert_eq!(
        cluster
            .root("GET", "/cluster/resources", "type=vm")
            .await
            .data(),
        json!([])
    );
}

#[tokio::test]
async fn parameters_come_in_path_query_and_body_and_lists_may_be_repeated() {
    let cluster = Cluster::new().await;
    let pool = "poolid=lab";
    cluster.root("POST", "/pools", pool).await.data();
    cluster
        .root("PUT", "/pools?poolid=lab", "comment=trials")
        .await
        .data();
    cluster
        .root(
            "PUT",
            "/pools/lab",
            "poolid=lab&storage=local&storage=local-lvm",
        )
        .await
        .data();
    let found = cluster.root("GET", "/pools/lab", "").await.data();
    assert_eq!(found["comment"], "trials");
    assert_eq!(found["members"].as_array().unwrap().len(), 2, "{found}");
    let other = cluster.root("PUT", "/pools/lab", "poolid=other").await;
    assert_eq!(
        other.body["errors"]["poolid"],
        "duplicate parameter (already defined in URI) with conflicting values!"
    );
}

#[tokio::test]
async fn only_a_change_of_a_boot_order_is_checked_against_the_devices() {
    let cluster = Cluster::new().await;
    let form = "vmid=100&boot=order%3Dnet0";
    cluster.done("POST", "/nodes/abel/qemu", form).await;
    let path = "/nodes/abel/qemu/100/config";
    let wrong = cluster.root("PUT", path, "boot=order%3Dscsi0").await;
    let text = "invalid bootorder: device 'scsi0' does not exist'";
    assert!(wrong.body.to_string().contains(text), "{}", wrong.body);
}

#[tokio::test]
async fn unknown_methods_nodes_and_machines_are_refused_by_name() {
    let cluster = Cluster::new().await;
    let cases = [
        (
            "GET",
            "/nonsense",
            501,
            "Method 'GET /nonsense' not implemented",
        ),
        (
            "POST",
            "/nodes/abel/lxc",
            400,
            "Parameter verification failed.",
        ),
        (
            "GET",
            "/nodes/nobody/status",
            500,
            "hostname lookup 'nobody' failed - failed to get address info for: nobody: Name or service not known",
        ),
        (
            "GET",
            "/nodes/abel/qemu/100/config",
            500,
            "Configuration file 'nodes/abel/qemu-server/100.conf' does not exist",
        ),
        (
            "GET",
            "/nodes/abel/storage/nowhere/content",
            500,
            "storage 'nowhere' does not exist",
        ),
    ];
    for (verb, path, status, reason) in cases {
        let answer = cluster.root(verb, path, "").await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (status, reason),
            "{verb} {path}"
        );
    }
}

#[tokio::test]
async fn json_bodies_do_as_well_as_forms_and_other_types_do_not() {
    let cluster = Cluster::new().await;
    let send = |kind: &'static str, body: &'static str| {
        let request = Request::builder()
            .method("POST")
            .uri("https://10.25.150.102:8006/api2/json/nodes/localhost/qemu")
            .header("content-type", kind)
            .header(
                "authorization",
                format!("PVEAPIToken={}", stead_lab_proxmox::Options::ROOT_TOKEN),
            );
        cluster.send(request.body(Bytes::from_static(body.as_bytes())).unwrap())
    };
    let upid = send(
        "application/json",
        r#"{"vmid": 100, "name": "json", "onboot": true}"#,
    )
    .await
    .data();
    assert!(
        upid.as_str().unwrap().starts_with("UPID:cantor:"),
        "localhost is the node that was asked: {upid}"
    );
    assert_eq!(cluster.wait(&upid).await, "OK");
    assert_eq!(
        send("application/json", r#"{"vmid": {"a": 1}}"#)
            .await
            .status,
        400
    );
    assert_eq!(send("application/json", "{").await.status, 500);
    assert_eq!(send("text/plain", "vmid=101").await.status, 501);
}

#[tokio::test]
async fn tickets_need_the_anti_forgery_token_and_tokens_do_not() {
    let cluster = Cluster::new().await;
    assert_eq!(
        cluster.call("", "GET", "/version", "").await.reason,
        "No ticket"
    );
    let wrong = cluster
        .call(
            "",
            "POST",
            "/access/ticket",
            "username=root%40pam&password=wrong",
        )
        .await;
    assert_eq!(
        (wrong.status, wrong.reason.as_str()),
        (401, "authentication failure")
    );
    let login = cluster
        .call(
            "",
            "POST",
            "/access/ticket",
            "username=root%40pam&password=lab-root-password",
        )
        .await
        .data();
    let request = |csrf: &str, verb: &str| {
        let cookie = login["ticket"]
            .as_str()
            .unwrap()
            .replace('=', "%3D")
            .replace('+', "%2B")
            .replace('/', "%2F");
        Request::builder()
            .method(verb)
            .uri("https://10.25.150.103:8006/api2/json/pools")
            .header("cookie", format!("PVEAuthCookie={cookie}"))
            .header("csrfpreventiontoken", csrf)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from_static(if verb == "GET" {
                b""
            } else {
                b"poolid=homelab"
            }))
            .unwrap()
    };
    let csrf = login["CSRFPreventionToken"].as_str().unwrap();
    assert_eq!(cluster.send(request("", "GET")).await.status, 200);
    let refused = cluster.send(request("nonsense", "POST")).await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (401, "Permission denied - invalid csrf token")
    );
    assert_eq!(cluster.send(request(csrf, "POST")).await.status, 200);

    let bad = cluster
        .call(
            "PVEAPIToken=root@pam!stead=00000000-0000-0000-0000-000000000000",
            "GET",
            "/version",
            "",
        )
        .await;
    assert_eq!(
        (bad.status, bad.reason.as_str()),
        (401, "invalid token value!")
    );
    let bad = cluster
        .call("PVEAPIToken=root@pam!nobody=1", "GET", "/version", "")
        .await;
    assert_eq!(bad.reason, "no such token 'nobody' for user 'root@pam'");
    assert_eq!(
        cluster.root("GET", "/version", "").await.data()["release"],
        "9.2"
    );
}

#[tokio::test]
async fn what_only_root_in_person_may_is_refused_to_his_token() {
    let cluster = Cluster::new().await;
    let answer = cluster
        .root("POST", "/nodes/abel/qemu", "vmid=100&args=-nographic")
        .await;
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (500, "only root can set 'args' config")
    );
    let answer = cluster
        .root(
            "POST",
            "/nodes/abel/qemu",
            "vmid=100&hostpci0=0000%3A01%3A00.0",
        )
        .await;
    assert_eq!(
        answer.reason,
        "only root can set 'hostpci0' config for real devices"
    );
    let path = "vmid=100&scsi0=local-lvm%3A0%2Cimport-from%3D%2Fvar%2Flib%2Fvz%2Fx.img";
    assert_eq!(
        cluster.root("POST", "/nodes/abel/qemu", path).await.reason,
        "Only root can pass arbitrary filesystem paths."
    );
}
