//! High availability: resources, rules, groups of old, and a manager that starts and stops what it manages.

mod common;

use common::{Cluster, refused};
use serde_json::json;
use stead_lab_proxmox::{Options, Version};

async fn machines(cluster: &Cluster, ids: &[u32]) {
    for id in ids {
        let form = format!("vmid={id}&name=m{id}&memory=512");
        let exit = cluster.task("POST", "/nodes/abel/qemu", &form).await;
        assert_eq!(exit, "OK");
    }
}

#[tokio::test]
async fn a_resource_is_created_changed_and_deleted_and_the_manager_obeys() {
    let cluster = Cluster::new().await;
    machines(&cluster, &[100]).await;
    let list = "/cluster/ha/resources";
    let one = "/cluster/ha/resources/vm:100";
    let form = "sid=100&state=started&comment=web&max_restart=2";
    cluster.root("POST", list, form).await.data();
    let read = cluster.root("GET", one, "").await.data();
    assert_eq!(
        (
            &read["sid"],
            &read["type"],
            &read["state"],
            &read["max_restart"]
        ),
        (&json!("vm:100"), &json!("vm"), &json!("started"), &json!(2))
    );
    let status = "/nodes/abel/qemu/100/status/current";
    loop {
        if cluster.root("GET", status, "").await.data()["status"] == "running" {
            break;
        }
        tokio::task::yield_now().await;
    }
    let current = cluster
        .root("GET", "/cluster/ha/status/current", "")
        .await
        .data();
    let rows = current.as_array().unwrap();
    let service = rows.iter().find(|row| row["type"] == "service").unwrap();
    assert_eq!(
        (&service["sid"], &service["state"], &service["node"]),
        (&json!("vm:100"), &json!("started"), &json!("abel"))
    );
    let digest = read["digest"].as_str().unwrap();
    let change = format!("state=stopped&delete=comment&digest={digest}");
    cluster.root("PUT", one, &change).await.data();
    let (status_code, text) = refused(cluster.root("PUT", one, &change).await);
    assert_eq!(status_code, 500);
    assert!(text.starts_with("update resources config failed: detected modified configuration"));
    loop {
        if cluster.root("GET", status, "").await.data()["status"] == "stopped" {
            break;
        }
        tokio::task::yield_now().await;
    }
    let cases = [
        (
            "POST",
            list,
            "sid=vm:100",
            "create resource failed: resource ID 'vm:100' already defined",
        ),
        (
            "POST",
            list,
            "sid=999",
            "unable to detect SID from VMID - VM/CT 999 does not exist",
        ),
        (
            "POST",
            list,
            "sid=vm:999",
            "resource 'vm:999' does not exist in cluster",
        ),
        (
            "PUT",
            one,
            "group=g1",
            "update resources config failed: invalid parameter 'group': ha groups have been migrated to rules",
        ),
        (
            "GET",
            "/cluster/ha/resources/vm:101",
            "",
            "no such resource 'vm:101'",
        ),
        (
            "DELETE",
            "/cluster/ha/resources/vm:101",
            "",
            "cannot delete service 'vm:101', not HA managed!",
        ),
        (
            "GET",
            "/cluster/ha/groups",
            "",
            "cannot index groups: ha groups have been migrated to rules",
        ),
        (
            "POST",
            "/cluster/ha/groups",
            "group=g1&nodes=abel",
            "cannot create group: ha groups have been migrated to rules",
        ),
    ];
    for (verb, path, form, text) in cases {
        assert_eq!(
            refused(cluster.root(verb, path, form).await).1,
            text,
            "{path} {form}"
        );
    }
    cluster.root("DELETE", one, "").await.data();
    assert_eq!(cluster.root("GET", list, "").await.data(), json!([]));
}

#[tokio::test]
async fn rules_that_contradict_each_other_are_refused() {
    let cluster = Cluster::new().await;
    machines(&cluster, &[100, 101, 102]).await;
    for id in [100, 101, 102] {
        let form = format!("sid=vm:{id}&state=stopped");
        cluster
            .root("POST", "/cluster/ha/resources", &form)
            .await
            .data();
    }
    let list = "/cluster/ha/rules";
    let apart = "rule=apart&type=resource-affinity&affinity=negative&resources=vm:101,vm:100";
    cluster.root("POST", list, apart).await.data();
    let pinned = "rule=pinned&type=node-affinity&resources=vm:102&nodes=cantor:2,abel&strict=1";
    cluster.root("POST", list, pinned).await.data();
    let cluster = cluster.restarted().await;
    let read = cluster
        .root("GET", "/cluster/ha/rules/pinned", "")
        .await
        .data();
    assert_eq!(
        (&read["nodes"], &read["strict"], &read["order"]),
        (&json!("abel,cantor:2"), &json!(1), &json!(2))
    );
    let about = cluster.root("GET", list, "resource=vm:100").await.data();
    assert_eq!(about.as_array().unwrap().len(), 1);
    assert_eq!(about[0]["resources"], "vm:100,vm:101");

    let impossible = [
        (
            "rule=r2&type=resource-affinity&affinity=positive&resources=vm:100,vm:101",
            "rule shares two or more resources with a negative resource affinity rule",
        ),
        (
            "rule=r2&type=resource-affinity&affinity=positive&resources=vm:100",
            "rule is ineffective as there are less than two resources",
        ),
        (
            "rule=r2&type=node-affinity&resources=vm:102&nodes=abel",
            "resource 'vm:102' is already used in another node affinity rule",
        ),
        (
            "rule=r2&type=node-affinity&resources=vm:100&nodes=abel:1,cantor:2",
            "resources are in a resource affinity rule and cannot be in a node affinity rule with multiple priorities",
        ),
    ];
    for (form, text) in impossible {
        let answer = cluster.root("POST", list, form).await;
        assert_eq!(
            (answer.status, answer.reason.as_str()),
            (400, "Rule 'r2' is invalid."),
            "{form}"
        );
        assert_eq!(answer.body["errors"]["resources"], text, "{form}");
    }
    let cases = [
        (
            "rule=r2&type=node-affinity&resources=vm:999&nodes=abel",
            "create ha rule failed: cannot use unmanaged resource(s) vm:999.",
        ),
        (
            "rule=r2&type=node-affinity&resources=vm:100&nodes=zeno",
            "create ha rule failed: cannot use non-existent node(s) zeno.",
        ),
        (
            "rule=r2&type=node-affinity&resources=vm:100&nodes=abel&affinity=positive",
            "unexpected property 'affinity'",
        ),
        (
            apart,
            "create ha rule failed: HA rule 'apart' already defined",
        ),
    ];
    for (form, text) in cases {
        assert_eq!(
            refused(cluster.root("POST", list, form).await).1,
            text,
            "{form}"
        );
    }
    cluster
        .root("DELETE", "/cluster/ha/resources/vm:102", "")
        .await
        .data();
    assert_eq!(
        refused(cluster.root("GET", "/cluster/ha/rules/pinned", "").await).1,
        "no such ha rule 'pinned'",
        "a rule without resources goes with the last of them"
    );
    cluster
        .root("DELETE", "/cluster/ha/rules/apart", "")
        .await
        .data();
    assert_eq!(cluster.root("GET", list, "").await.data(), json!([]));
}

#[tokio::test]
async fn before_version_9_groups_say_where() {
    let options = Options {
        version: Version::V8_4,
        ..Options::default()
    };
    let cluster = Cluster::in_dir(tempfile::tempdir().unwrap(), options).await;
    machines(&cluster, &[100]).await;
    let form = "group=rack&nodes=abel:2,cantor&restricted=1";
    cluster
        .root("POST", "/cluster/ha/groups", form)
        .await
        .data();
    let form = "sid=vm:100&group=rack&state=stopped";
    cluster
        .root("POST", "/cluster/ha/resources", form)
        .await
        .data();
    let one = "/cluster/ha/groups/rack";
    let read = cluster.root("GET", one, "").await.data();
    assert_eq!(
        (&read["group"], &read["restricted"], &read["type"]),
        (&json!("rack"), &json!(1), &json!("group"))
    );
    assert_eq!(
        refused(cluster.root("DELETE", one, "").await).1,
        "delete ha group failed: ha group is used by service 'vm:100'"
    );
    let change = "group=none";
    assert_eq!(
        refused(
            cluster
                .root("PUT", "/cluster/ha/resources/vm:100", change)
                .await
        )
        .1,
        "update resources config failed: HA group 'none' does not exist"
    );
    cluster.root("PUT", one, "delete=restricted").await.data();
    cluster
        .root("DELETE", "/cluster/ha/resources/vm:100", "")
        .await
        .data();
    cluster.root("DELETE", one, "").await.data();
    assert_eq!(
        cluster.root("GET", "/cluster/ha/groups", "").await.data(),
        json!([])
    );
}

#[tokio::test]
async fn the_manager_moves_what_it_manages() {
    let cluster = Cluster::new().await;
    for id in [100, 101] {
        let form = format!("vmid={id}&memory=512");
        assert_eq!(cluster.task("POST", "/nodes/abel/qemu", &form).await, "OK");
        let form = format!("sid=vm:{id}&state=started");
        cluster
            .root("POST", "/cluster/ha/resources", &form)
            .await
            .data();
    }
    let at = |id: u64, node: &'static str| {
        let cluster = &cluster;
        async move {
            loop {
                let rows = cluster
                    .root("GET", "/cluster/resources", "type=vm")
                    .await
                    .data();
                let row = rows
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|r| r["vmid"] == id)
                    .unwrap()
                    .clone();
                if row["node"] == node && row["status"] == "running" {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    };
    at(100, "abel").await;
    at(101, "abel").await;
    let one = "/cluster/ha/resources/vm:100";
    let answer = cluster
        .root("POST", &format!("{one}/migrate"), "node=cantor")
        .await
        .data();
    assert_eq!(
        answer,
        json!({ "sid": "vm:100", "requested-node": "cantor" })
    );
    at(100, "cantor").await;
    cluster
        .root("POST", &format!("{one}/relocate"), "node=euclid")
        .await
        .data();
    at(100, "euclid").await;
    let apart = "rule=apart&type=resource-affinity&affinity=negative&resources=vm:100,vm:101";
    cluster
        .root("POST", "/cluster/ha/rules", apart)
        .await
        .data();
    let blocked = cluster
        .root("POST", &format!("{one}/migrate"), "node=abel")
        .await
        .data();
    assert_eq!(
        blocked["blocking-resources"],
        json!([{ "sid": "vm:101", "cause": "resource-affinity" }])
    );
    assert_eq!(
        refused(
            cluster
                .root("POST", "/cluster/ha/resources/vm:999/migrate", "node=abel")
                .await
        )
        .1,
        "resource 'vm:999' is not HA managed"
    );
}
