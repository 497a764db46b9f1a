//! How nodes are set up: names, clock, configuration, packages, services.

mod common;

use common::Cluster;
use serde_json::{Value, json};

#[tokio::test]
async fn names_and_the_clock_are_kept() {
    let cluster = Cluster::new().await;
    let dns = "/nodes/abel/dns";
    assert_eq!(
        cluster.root("GET", dns, "").await.data(),
        json!({ "search": "home.arpa", "dns1": "10.25.150.1" })
    );
    cluster
        .root(
            "PUT",
            dns,
            "search=lab&dns1=1.1.1.1&dns2=1.1.1.1&dns3=9.9.9.9",
        )
        .await
        .data();
    let written = json!({ "search": "lab", "dns1": "1.1.1.1", "dns2": "9.9.9.9" });
    assert_eq!(
        cluster.root("GET", dns, "").await.data(),
        written,
        "named once, moved up"
    );
    let refused = cluster.root("PUT", dns, "search=lab&dns1=nonsense").await;
    assert_eq!(refused.status, 400);

    let hosts = "/nodes/abel/hosts";
    let old = cluster.root("GET", hosts, "").await.data();
    assert!(
        old["data"]
            .as_str()
            .unwrap()
            .contains("10.25.150.101 abel.home.arpa abel\n")
    );
    let digest = old["digest"].as_str().unwrap();
    let form = format!("data=127.0.0.1%20localhost%0A&digest={digest}");
    cluster.root("POST", hosts, &form).await.data();
    let stale = cluster.root("POST", hosts, &form).await;
    assert_eq!(
        stale.reason,
        "detected modified configuration - file changed by other user? Try again."
    );
    for (data, text) in [
        ("256.1.1.1%20x", "Invalid IP '256.1.1.1'"),
        ("1.1.1.1%20a_b", "Invalid Hostname 'a_b'"),
    ] {
        let answer = cluster.root("POST", hosts, &format!("data={data}")).await;
        assert_eq!(answer.body["errors"]["data"], text);
    }

    cluster
        .root("PUT", "/nodes/abel/time", "timezone=Europe%2FBerlin")
        .await
        .data();
    let refused = cluster
        .root("PUT", "/nodes/abel/time", "timezone=Nowhere")
        .await;
    assert_eq!(refused.body["errors"]["timezone"], "No such timezone");
    let cluster = cluster.restarted().await;
    assert_eq!(
        cluster.root("GET", "/nodes/abel/time", "").await.data()["timezone"],
        "Europe/Berlin"
    );
    assert_eq!(cluster.root("GET", dns, "").await.data(), written);
    assert_eq!(
        cluster.root("GET", "/nodes/cantor/dns", "").await.data()["search"],
        "home.arpa",
        "of one node only"
    );
}

#[tokio::test]
async fn a_nodes_configuration_is_checked_as_a_whole() {
    let cluster = Cluster::new().await;
    let path = "/nodes/abel/config";
    assert_eq!(cluster.root("GET", path, "").await.data(), json!({}));
    let form = "description=rack%201&startall-onboot-delay=5&acmedomain0=abel.example.com&wakeonlan=BC%3A24%3A11%3A00%3A00%3A01";
    cluster.root("PUT", path, form).await.data();
    let config = cluster.root("GET", path, "").await.data();
    assert_eq!(
        (&config["description"], &config["startall-onboot-delay"]),
        (&json!("rack 1\n"), &json!(5))
    );
    assert_eq!(config["digest"].as_str().unwrap().len(), 40);
    let one = cluster
        .root("GET", path, "property=acmedomain0")
        .await
        .data();
    assert_eq!(one, json!({ "acmedomain0": "abel.example.com" }));
    for (form, text) in [
        (
            "acmedomain1=domain%3DABEL.example.com",
            "duplicate domain 'ABEL.example.com' in ACME config properties 'acmedomain1'",
        ),
        (
            "acmedomain1=domain%3Db.example.com%2Cplugin%3Dcloud",
            "plugin 'cloud' for domain 'b.example.com' not found!",
        ),
    ] {
        assert_eq!(cluster.root("PUT", path, form).await.reason, text);
    }
    let stale = cluster
        .root("PUT", path, "delete=description&digest=0000")
        .await;
    assert_eq!(stale.status, 500, "{}", stale.reason);
    cluster
        .root("PUT", path, "delete=description,wakeonlan")
        .await
        .data();
    let config = cluster.root("GET", path, "").await.data();
    assert_eq!(
        (config.get("description"), config.get("wakeonlan")),
        (None, None)
    );
}

#[tokio::test]
async fn standard_repositories_are_added_and_switched() {
    let cluster = Cluster::new().await;
    let path = "/nodes/abel/apt/repositories";
    let status = |all: &Value, handle: &str| {
        let all = all["standard-repos"].as_array().unwrap();
        all.iter()
            .find(|r| r["handle"] == handle)
            .unwrap()
            .get("status")
            .cloned()
    };
    let all = cluster.root("GET", path, "").await.data();
    assert_eq!(
        (status(&all, "enterprise"), status(&all, "no-subscription")),
        (Some(json!(1)), None)
    );
    let digest = all["digest"].as_str().unwrap();
    cluster
        .root(
            "PUT",
            path,
            &format!("handle=no-subscription&digest={digest}"),
        )
        .await
        .data();
    let stale = cluster
        .root("PUT", path, &format!("handle=test&digest={digest}"))
        .await;
    assert!(
        stale.reason.starts_with("detected modified configuration"),
        "{}",
        stale.reason
    );
    let task = cluster.task("POST", "/nodes/abel/apt/update", "").await;
    assert_eq!(
        task, "command 'apt-get update' failed: exit code 100",
        "no subscription"
    );
    for file in ["pve-enterprise", "ceph"] {
        let form = format!("path=%2Fetc%2Fapt%2Fsources.list.d%2F{file}.sources&index=0&enabled=0");
        cluster.root("POST", path, &form).await.data();
    }
    let all = cluster.root("GET", path, "").await.data();
    assert_eq!(
        (status(&all, "enterprise"), status(&all, "no-subscription")),
        (Some(json!(0)), Some(json!(1)))
    );
    assert_eq!(
        cluster.task("POST", "/nodes/abel/apt/update", "").await,
        "OK"
    );
    assert_eq!(
        cluster.root("PUT", path, "handle=nonsense").await.status,
        500
    );
    let versions = cluster
        .root("GET", "/nodes/abel/apt/versions", "")
        .await
        .data();
    assert!(
        versions
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["Package"] == "pve-manager" && p["OldVersion"] == "9.2.3")
    );
}

#[tokio::test]
async fn services_stop_and_start_and_the_essential_do_not_stop() {
    let cluster = Cluster::new().await;
    let path = |rest: &str| format!("/nodes/abel/services/postfix/{rest}");
    assert_eq!(cluster.task("POST", &path("stop"), "").await, "OK");
    assert_eq!(
        cluster.root("GET", &path("state"), "").await.data()["state"],
        "dead"
    );
    assert_eq!(cluster.task("POST", &path("restart"), "").await, "OK");
    assert_eq!(
        cluster.root("GET", &path("state"), "").await.data()["state"],
        "running"
    );
    let refused = cluster
        .task("POST", "/nodes/abel/services/pveproxy/stop", "")
        .await;
    assert!(
        refused.contains("refusing to stop essential service"),
        "{refused}"
    );
    assert_eq!(
        cluster
            .root("POST", "/nodes/abel/services/nonsense/stop", "")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_certificate_is_uploaded_with_its_key() {
    let cluster = Cluster::new().await;
    let issue = |name: &str| {
        let (chain, key) = cluster.lab.authority.issue(&[name.to_owned()]).unwrap();
        let encoded =
            |text: String| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        (encoded(chain), encoded(key))
    };
    let path = "/nodes/abel/certificates/custom";
    let ((chain, key), (_, other)) = (issue("abel.example.com"), issue("x"));
    let bare = cluster
        .root("POST", path, &format!("certificates={chain}"))
        .await;
    assert_eq!(
        bare.body["errors"]["key"],
        "Attempted to upload custom certificate without (existing) key."
    );
    let wrong = cluster
        .root("POST", path, &format!("certificates={chain}&key={other}"))
        .await;
    assert!(
        wrong.reason.contains("key does not match"),
        "{}",
        wrong.reason
    );
    let form = format!("certificates={chain}&key={key}");
    let made = cluster.root("POST", path, &form).await.data();
    assert_eq!(
        (&made["filename"], &made["san"], &made["public-key-type"]),
        (
            &json!("pveproxy-ssl.pem"),
            &json!(["abel.example.com"]),
            &json!("id-ecPublicKey")
        )
    );
    let again = cluster.root("POST", path, &form).await;
    assert_eq!(
        again.reason,
        "Custom certificate file exists but force flag is not set."
    );
    cluster
        .root("POST", path, &format!("{form}&force=1"))
        .await
        .data();
    let all = cluster
        .root("GET", "/nodes/abel/certificates/info", "")
        .await
        .data();
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[2]["fingerprint"], made["fingerprint"]);
    assert!(!all.to_string().contains("PRIVATE KEY"));
    cluster.root("DELETE", path, "").await.data();
    let acme = cluster
        .root("POST", "/nodes/abel/certificates/acme/certificate", "")
        .await;
    assert_eq!(
        (acme.status, acme.reason.as_str()),
        (400, "ACME domain list in node configuration is missing!")
    );
}

#[tokio::test]
async fn all_guests_start_in_their_order_and_stop() {
    let cluster = Cluster::new().await;
    for (id, more) in [
        (100, "&onboot=1&startup=order%3D2"),
        (101, "&onboot=1&startup=order%3D1"),
        (102, ""),
    ] {
        let form = format!("vmid={id}{more}");
        assert_eq!(cluster.task("POST", "/nodes/abel/qemu", &form).await, "OK");
    }
    let upid = cluster
        .root("POST", "/nodes/abel/startall", "")
        .await
        .data();
    assert_eq!(cluster.wait(&upid).await, "OK");
    let running = |rows: Value| -> Vec<u64> {
        let rows = rows.as_array().unwrap().iter();
        let running = rows.filter(|vm| vm["status"] == "running");
        running.map(|vm| vm["vmid"].as_u64().unwrap()).collect()
    };
    let vms = cluster
        .root("GET", "/cluster/resources", "type=vm")
        .await
        .data();
    assert_eq!(
        running(vms),
        [100, 101],
        "only those that start with the node"
    );
    let encoded = upid
        .as_str()
        .unwrap()
        .replace(':', "%3A")
        .replace('@', "%40")
        .replace('!', "%21");
    let log = cluster
        .root("GET", &format!("/nodes/abel/tasks/{encoded}/log"), "")
        .await
        .data();
    assert_eq!(
        (&log[0]["t"], &log[1]["t"]),
        (&json!("Starting VM 101"), &json!("Starting VM 100"))
    );
    assert_eq!(cluster.task("POST", "/nodes/abel/stopall", "").await, "OK");
    let vms = cluster
        .root("GET", "/cluster/resources", "type=vm")
        .await
        .data();
    assert_eq!(running(vms), Vec::<u64>::new());
}

#[tokio::test]
async fn nodes_tell_of_themselves() {
    let cluster = Cluster::new().await;
    for path in [
        "rrddata?timeframe=hour",
        "syslog",
        "journal",
        "netstat",
        "capabilities/qemu/cpu",
        "capabilities/qemu/machines",
        "capabilities/qemu/cpu-flags",
        "aplinfo",
        "hardware/usb",
        "disks/list",
        "disks/zfs",
        "storage/local/rrddata?timeframe=day",
        "apt/update",
        "sdn/zones",
    ] {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let rows = cluster
            .root("GET", &format!("/nodes/abel/{path}"), query)
            .await
            .data();
        assert!(rows.is_array(), "{path}: {rows}");
    }
    let key = "/nodes/abel/subscription";
    assert_eq!(
        cluster.root("GET", key, "").await.data()["status"],
        "notfound"
    );
    assert_eq!(
        cluster
            .root("PUT", key, "key=pve2c-0123456789")
            .await
            .data(),
        Value::Null
    );
    assert_eq!(cluster.root("GET", key, "").await.data()["level"], "c");
    let ceph = cluster.root("GET", "/nodes/abel/ceph/status", "").await;
    assert_eq!(ceph.reason, "binary not installed: /usr/bin/ceph-mon");
    let wake = cluster.root("POST", "/nodes/abel/wakeonlan", "").await;
    assert_eq!(
        wake.reason,
        "No wake on LAN MAC address defined for 'abel'!"
    );
    let form = "storage=local&template=debian-13-standard_13.1-2_amd64.tar.zst";
    assert_eq!(
        cluster.task("POST", "/nodes/abel/aplinfo", form).await,
        "OK"
    );
    assert_eq!(
        cluster
            .root("POST", "/nodes/abel/status", "command=reboot")
            .await
            .status,
        501
    );
}
