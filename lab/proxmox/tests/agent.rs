//! The guest agent: what it tells, runs, reads and writes.

mod common;

use common::Cluster;
use serde_json::{Value, json};

async fn running() -> Cluster {
    let cluster = Cluster::new().await;
    cluster.import_image().await;
    let form = "vmid=100&name=vm&cores=2&memory=1024&agent=1&net0=virtio%2Cbridge%3Dvmbr0&start=1\
        &scsi0=local-lvm%3A0%2Cimport-from%3Dlocal%3Aimport%2Ftalos.qcow2";
    cluster.done("POST", "/nodes/abel/qemu", form).await;
    cluster
}

async fn get(cluster: &Cluster, command: &str, form: &str) -> Value {
    let path = format!("/nodes/abel/qemu/100/agent/{command}");
    cluster.root("GET", &path, form).await.data()
}

async fn post(cluster: &Cluster, command: &str, form: &str) -> Value {
    let path = format!("/nodes/abel/qemu/100/agent/{command}");
    cluster.root("POST", &path, form).await.data()
}

#[tokio::test]
async fn it_tells_of_its_guest() {
    let cluster = running().await;
    let os = get(&cluster, "get-osinfo", "").await["result"].clone();
    assert_eq!(
        (&os["id"], &os["version-id"]),
        (&json!("talos"), &json!("1.12.0"))
    );
    assert_eq!(
        get(&cluster, "get-host-name", "").await["result"]["host-name"],
        "vm"
    );
    assert_eq!(
        get(&cluster, "get-vcpus", "").await["result"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        get(&cluster, "get-memory-blocks", "").await["result"]
            .as_array()
            .unwrap()
            .len(),
        8
    );
    let systems = get(&cluster, "get-fsinfo", "").await["result"].clone();
    assert_eq!(
        (&systems[0]["mountpoint"], &systems[0]["total-bytes"]),
        (&json!("/"), &json!(2_u64 << 30))
    );
    assert_eq!(
        get(&cluster, "get-timezone", "").await["result"]["zone"],
        "UTC"
    );
    assert!(
        get(&cluster, "get-time", "").await["result"]
            .as_u64()
            .unwrap()
            > 1_600_000_000_000_000_000
    );
    assert_eq!(
        post(&cluster, "fsfreeze-status", "").await["result"],
        "thawed"
    );
    assert_eq!(post(&cluster, "fsfreeze-freeze", "").await["result"], 1);
    let command = cluster
        .root(
            "POST",
            "/nodes/abel/qemu/100/agent",
            "command=fsfreeze-status",
        )
        .await;
    assert_eq!(command.data()["result"], "frozen");
    assert_eq!(post(&cluster, "fsfreeze-thaw", "").await["result"], 1);
    assert_eq!(
        post(&cluster, "fstrim", "").await["result"]["paths"][0]["path"],
        "/"
    );
    post(&cluster, "shutdown", "").await;
    let off = cluster
        .root("POST", "/nodes/abel/qemu/100/agent/ping", "")
        .await;
    assert_eq!(off.reason, "VM 100 is not running");
}

#[tokio::test]
async fn it_runs_programs_and_moves_files() {
    let cluster = running().await;
    let pid =
        post(&cluster, "exec", "command=echo&command=a%20b&input-data=in").await["pid"].clone();
    let form = format!("pid={pid}");
    let ran = loop {
        let status = get(&cluster, "exec-status", &form).await;
        if status["exited"] == 1 {
            break status;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (&ran["exitcode"], &ran["out-data"]),
        (&json!(0), &json!("echo|a b|in"))
    );
    let again = cluster
        .root("GET", "/nodes/abel/qemu/100/agent/exec-status", &form)
        .await;
    assert_eq!(
        again.reason,
        format!("Agent error: PID {pid} does not exist")
    );
    assert_eq!(
        post(&cluster, "file-write", "file=%2Fx&content=hello").await,
        json!(null)
    );
    let read = get(&cluster, "file-read", "file=%2Fx").await;
    assert_eq!(
        (&read["content"], &read["bytes-read"]),
        (&json!("hello"), &json!(5))
    );
    let part = get(&cluster, "file-read", "file=%2Fx&offset=1&count=2").await;
    assert_eq!(
        (&part["content"], &part["truncated"]),
        (&json!("el"), &json!(1))
    );
    let missing = cluster
        .root("GET", "/nodes/abel/qemu/100/agent/file-read", "file=%2Fy")
        .await;
    assert_eq!(
        missing.reason,
        "Agent error: failed to open file '/y' (mode: 'r'): No such file or directory"
    );
}

#[tokio::test]
async fn consoles_features_and_the_past() {
    let cluster = running().await;
    let vm = "/nodes/abel/qemu/100";
    let vnc = cluster
        .root(
            "POST",
            &format!("{vm}/vncproxy"),
            "generate-password=1&websocket=1",
        )
        .await
        .data();
    assert!(
        vnc["ticket"].as_str().unwrap().starts_with("PVEVNC:")
            && vnc["password"].as_str().unwrap().len() == 8
    );
    let term = cluster.root("POST", &format!("{vm}/termproxy"), "").await;
    assert_eq!(term.reason, "unable to find a serial interface");
    let spice = cluster.root("POST", &format!("{vm}/spiceproxy"), "").await;
    assert_eq!(spice.reason, "VM 100 does not have a SPICE display");
    let feature = |name: &str| format!("feature={name}");
    let has = cluster
        .root("GET", &format!("{vm}/feature"), &feature("snapshot"))
        .await
        .data();
    assert_eq!(has, json!({ "hasFeature": 1, "nodes": ["abel"] }));
    let has = cluster
        .root("GET", &format!("{vm}/feature"), &feature("clone"))
        .await
        .data();
    assert_eq!(
        has["hasFeature"], 0,
        "only a template's disks are cloned by a link"
    );
    let past = cluster
        .root("GET", &format!("{vm}/rrddata"), "timeframe=hour")
        .await
        .data();
    assert_eq!(past.as_array().unwrap().len(), 70);
    let monitor = cluster
        .root("POST", &format!("{vm}/monitor"), "command=info%20status")
        .await
        .data();
    assert_eq!(monitor, "VM status: running\r\n");
    let refused = cluster
        .root("POST", &format!("{vm}/monitor"), "command=info%20qtree")
        .await;
    assert_eq!(refused.status, 501);
    assert_eq!(
        cluster
            .root("PUT", &format!("{vm}/sendkey"), "key=ctrl-alt-delete")
            .await
            .data(),
        json!(null)
    );
    // Migration to another cluster is refused by name.
    let tunnel = cluster.root("POST", &format!("{vm}/mtunnel"), "").await;
    assert_eq!(tunnel.status, 501);
}
