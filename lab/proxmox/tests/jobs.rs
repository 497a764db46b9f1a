//! Jobs of the cluster: backups, realm synchronization, replication, and when they run.

mod common;

use common::{Cluster, refused};
use serde_json::{Value, json};

#[tokio::test]
async fn a_backup_job_is_created_changed_and_deleted() {
    let cluster = Cluster::new().await;
    for id in [100, 101] {
        let form = format!("vmid={id}&name=m{id}&scsi0=local-lvm%3A1&ide2=none,media%3Dcdrom");
        assert_eq!(cluster.task("POST", "/nodes/abel/qemu", &form).await, "OK");
    }
    let form = "id=nightly&starttime=02:30&dow=mon,fri&vmid=100,999&storage=local&prune-backups=keep-last%3D3&fleecing=1&mode=snapshot\
                &exclude-path=/tmp&exclude-path=/var/cache";
    cluster.root("POST", "/cluster/backup", form).await.data();
    let one = "/cluster/backup/nightly";
    let cluster = cluster.restarted().await;
    let read = cluster.root("GET", one, "").await.data();
    assert_eq!(
        read,
        json!({
            "id": "nightly", "type": "vzdump", "schedule": "mon,fri 02:30", "vmid": "100,999", "storage": "local", "enabled": 1,
            "mode": "snapshot", "prune-backups": { "keep-last": "3" }, "fleecing": { "enabled": 1 },
            "exclude-path": ["/tmp", "/var/cache"],
        })
    );
    let listed = cluster.root("GET", "/cluster/backup", "").await.data();
    assert!(listed[0]["next-run"].as_i64().unwrap() > 0);
    let volumes = cluster
        .root("GET", "/cluster/backup/nightly/included_volumes", "")
        .await
        .data();
    let volumes = volumes["children"].as_array().unwrap();
    assert_eq!(
        volumes[1],
        json!({ "id": 999, "type": "unknown", "leaf": 1 })
    );
    let taken: Vec<(&Value, &Value)> = volumes[0]["children"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (&v["id"], &v["included"]))
        .collect();
    assert_eq!(
        taken,
        [
            (&json!("100:ide2"), &json!(0)),
            (&json!("100:scsi0"), &json!(1))
        ]
    );
    let missing = cluster
        .root("GET", "/cluster/backup-info/not-backed-up", "")
        .await
        .data();
    assert_eq!(
        missing,
        json!([{ "vmid": 101, "type": "qemu", "name": "m101" }])
    );

    cluster
        .root(
            "PUT",
            one,
            "exclude=101&delete=exclude-path,vmid&schedule=daily",
        )
        .await
        .data();
    let read = cluster.root("GET", one, "").await.data();
    assert_eq!((&read["all"], &read["exclude"]), (&json!(1), &json!("101")));
    cluster.root("PUT", one, "vmid=101").await.data();
    let read = cluster.root("GET", one, "").await.data();
    assert_eq!((read.get("all"), &read["vmid"]), (None, &json!("101")));

    let cases = [
        (
            "POST",
            "/cluster/backup",
            "id=nightly&schedule=daily&all=1",
            "Job 'nightly' already exists",
        ),
        (
            "POST",
            "/cluster/backup",
            "all=1",
            r#"{"schedule":"neither 'starttime' nor 'schedule' were set"}"#,
        ),
        (
            "POST",
            "/cluster/backup",
            "schedule=daily",
            r#"{"vmid":"property is missing"}"#,
        ),
        (
            "POST",
            "/cluster/backup",
            "schedule=daily&all=1&vmid=100",
            r#"{"all":"option conflicts with option 'vmid'"}"#,
        ),
        (
            "POST",
            "/cluster/backup",
            "schedule=daily&vmid=100&script=/x",
            r#"{"script":"Only root may set this option."}"#,
        ),
        (
            "POST",
            "/cluster/backup",
            "schedule=daily&pool=none",
            "Permission check failed (pool 'none' does not exist)",
        ),
        ("PUT", one, "", "no options specified"),
        (
            "PUT",
            one,
            "delete=id",
            r#"{"delete":"unknown option 'id'"}"#,
        ),
        (
            "PUT",
            "/cluster/backup/none",
            "enabled=0",
            "no such vzdump job",
        ),
        (
            "GET",
            "/cluster/backup/none",
            "",
            r#"{"id":"No such job 'none'"}"#,
        ),
        (
            "DELETE",
            "/cluster/backup/none",
            "",
            r#"{"id":"No such job 'none'"}"#,
        ),
    ];
    for (verb, path, form, text) in cases {
        assert_eq!(
            refused(cluster.root(verb, path, form).await).1,
            text,
            "{path} {form}"
        );
    }
    let wrong = cluster
        .root("POST", "/cluster/backup", "schedule=25:00&all=1")
        .await;
    assert_eq!(
        wrong.body["errors"]["schedule"],
        "invalid format - invalid calendar event '25:00' - value '25' out of range\n"
    );
    cluster.root("DELETE", one, "").await.data();
    cluster
        .root("POST", "/cluster/backup", "schedule=daily&all=1")
        .await
        .data();
    let listed = cluster.root("GET", "/cluster/backup", "").await.data();
    assert_eq!(
        listed[0]["id"].as_str().unwrap().len(),
        36,
        "an id of its own"
    );
}

#[tokio::test]
async fn realm_sync_jobs_share_the_file_but_not_the_list() {
    let cluster = Cluster::new().await;
    let ldap = "realm=corp&type=ldap&server1=ldap.home.arpa&base_dn=dc%3Dhome&user_attr=uid";
    cluster.root("POST", "/access/domains", ldap).await.data();
    cluster
        .root("POST", "/cluster/backup", "id=nightly&schedule=daily&all=1")
        .await
        .data();
    let path = "/cluster/jobs/realm-sync/corp-sync";
    let form = "realm=corp&schedule=hourly&scope=users";
    cluster.root("POST", path, form).await.data();
    let listed = cluster
        .root("GET", "/cluster/jobs/realm-sync", "")
        .await
        .data();
    let ids: Vec<&Value> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|j| &j["id"])
        .collect();
    assert_eq!(ids, ["corp-sync"]);
    cluster
        .root("PUT", path, "schedule=daily&remove-vanished=entry")
        .await
        .data();
    let read = cluster.root("GET", path, "").await.data();
    assert_eq!(
        read,
        json!({ "type": "realm-sync", "realm": "corp", "schedule": "daily", "scope": "users", "remove-vanished": "entry" })
    );
    let cases = [
        ("POST", path, form, "Job 'corp-sync' already exists"),
        (
            "POST",
            "/cluster/jobs/realm-sync/nightly",
            form,
            "Job 'nightly' already exists",
        ),
        (
            "POST",
            "/cluster/jobs/realm-sync/j2",
            "realm=pve&schedule=hourly&scope=users",
            r#"{"realm":"Only LDAP/AD realms can be synced."}"#,
        ),
        (
            "POST",
            "/cluster/jobs/realm-sync/j2",
            "realm=none&schedule=hourly&scope=users",
            r#"{"realm":"No such realm 'none'"}"#,
        ),
        (
            "GET",
            "/cluster/jobs/realm-sync/nightly",
            "",
            r#"{"id":"No such job 'nightly'"}"#,
        ),
    ];
    for (verb, path, form, text) in cases {
        assert_eq!(
            refused(cluster.root(verb, path, form).await).1,
            text,
            "{path} {form}"
        );
    }
    cluster.root("DELETE", path, "").await.data();
    assert_eq!(
        cluster
            .root("GET", "/cluster/jobs/realm-sync", "")
            .await
            .data(),
        json!([])
    );
}

#[tokio::test]
async fn replication_needs_another_node_and_zfs() {
    let cluster = Cluster::new().await;
    for (id, storage) in [(100, "local-zfs"), (101, "local-lvm")] {
        let form = format!("vmid={id}&scsi0={storage}%3A1");
        assert_eq!(cluster.task("POST", "/nodes/abel/qemu", &form).await, "OK");
    }
    let list = "/cluster/replication";
    let form = "id=100-0&type=local&target=cantor&schedule=*/30&rate=10.5";
    cluster.root("POST", list, form).await.data();
    let read = cluster
        .root("GET", "/cluster/replication/100-0", "")
        .await
        .data();
    assert_eq!(
        (
            &read["guest"],
            &read["jobnum"],
            &read["source"],
            &read["rate"]
        ),
        (&json!(100), &json!(0), &json!("abel"), &json!(10.5))
    );
    cluster
        .root("PUT", "/cluster/replication/100-0", "disable=1&delete=rate")
        .await
        .data();
    let cases = [
        ("POST", list, form, "replication job '100-0' already exists"),
        (
            "POST",
            list,
            "id=100-1&type=local&target=cantor",
            "replication job for guest '100' to target 'local/cantor' already exists",
        ),
        (
            "POST",
            list,
            "id=100-1&type=local&target=abel",
            "Source and target must not be identical",
        ),
        (
            "POST",
            list,
            "id=100-1&type=local&target=zeno",
            "Target 'zeno' does not exist.",
        ),
        (
            "POST",
            list,
            "id=101-0&type=local&target=cantor",
            "No replicatable volumes found",
        ),
        (
            "POST",
            list,
            "id=999-0&type=local&target=cantor",
            "Guest '999' does not exist.",
        ),
        (
            "PUT",
            "/cluster/replication/999-0",
            "disable=1",
            "no such job '999-0'",
        ),
        (
            "DELETE",
            "/cluster/replication/100-0",
            "force=1&keep=1",
            r#"{"keep":"conflicts with parameter 'force'"}"#,
        ),
    ];
    for (verb, path, form, text) in cases {
        assert_eq!(
            refused(cluster.root(verb, path, form).await).1,
            text,
            "{path} {form}"
        );
    }
    cluster
        .root("DELETE", "/cluster/replication/100-0", "")
        .await
        .data();
    loop {
        if cluster.root("GET", list, "").await.data() == json!([]) {
            break;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_schedule_says_when_it_comes() {
    let cluster = Cluster::new().await;
    let form = "schedule=sat+4:00&starttime=1796025600&iterations=2";
    let times = cluster
        .root("GET", "/cluster/jobs/schedule-analyze", form)
        .await
        .data();
    assert_eq!(
        times,
        json!([
            { "timestamp": 1_796_443_200, "utc": "Sat Dec  5 04:00:00 2026" },
            { "timestamp": 1_797_048_000, "utc": "Sat Dec 12 04:00:00 2026" },
        ])
    );
}
