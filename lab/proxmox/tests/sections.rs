//! Objects of the cluster that are sections of a file: created, read, changed and deleted as a table says.

mod common;

use common::Cluster;
use serde_json::json;

#[tokio::test]
async fn a_metric_server_is_created_read_changed_and_deleted() {
    let cluster = Cluster::new().await;
    let path = "/cluster/metrics/server/influx";
    let form = "type=influxdb&server=10.25.150.9&port=8089&disable=0&token=s3cret";
    cluster.root("POST", path, form).await.data();
    assert_eq!(
        cluster.root("GET", path, "").await.data(),
        json!({ "type": "influxdb", "server": "10.25.150.9", "port": 8089, "disable": 0 }),
        "typed as in the contract, without the secret"
    );
    assert_eq!(
        cluster
            .root("GET", "/cluster/metrics/server", "")
            .await
            .data(),
        json!([{ "id": "influx", "type": "influxdb", "server": "10.25.150.9", "port": 8089, "disable": 0 }])
    );
    let again = cluster.root("POST", path, form).await;
    assert_eq!(
        (again.status, again.reason.as_str()),
        (500, "Metric server 'influx' already exists")
    );
    let change = "server=10.25.150.9&port=8090&mtu=1400&delete=disable";
    cluster.root("PUT", path, change).await.data();
    let cluster = cluster.restarted().await;
    assert_eq!(
        cluster.root("GET", path, "").await.data(),
        json!({ "type": "influxdb", "server": "10.25.150.9", "port": 8090, "mtu": 1400 })
    );
    cluster.root("DELETE", path, "").await.data();
    assert_eq!(
        cluster.root("GET", path, "").await.reason,
        "status server entry 'influx' does not exist"
    );
}

#[tokio::test]
async fn what_a_type_does_not_have_is_refused() {
    let cluster = Cluster::new().await;
    let path = "/cluster/metrics/server/carbon";
    let cases = [
        (
            "type=graphite&server=a&port=2003&bucket=b",
            "unexpected property 'bucket'",
        ),
        (
            "type=nonsense&server=a&port=1",
            "Parameter verification failed.",
        ),
    ];
    for (form, text) in cases {
        assert_eq!(
            cluster.root("POST", path, form).await.reason,
            text,
            "{form}"
        );
    }
    cluster
        .root("POST", path, "type=graphite&server=a&port=2003")
        .await
        .data();
    let cases = [
        ("delete=server", "unable to delete required option 'server'"),
        ("delete=bucket", "no such option 'bucket'"),
        (
            "mtu=1400&delete=mtu",
            "cannot set and delete property 'mtu' at the same time!",
        ),
        (
            "mtu=1400&digest=0000000000000000000000000000000000000000",
            "detected modified configuration - file changed by other user? Try again.",
        ),
    ];
    for (form, text) in cases {
        let form = format!("server=a&port=2003&{form}");
        assert_eq!(
            cluster.root("PUT", path, &form).await.reason,
            text,
            "{form}"
        );
    }
}

#[tokio::test]
async fn a_mapping_shows_who_may_see_it_and_what_is_wrong_with_it() {
    let cluster = Cluster::new().await;
    let path = "/cluster/mapping/dir";
    let twice = "id=share&map=node%3Dabel%2Cpath%3D%2Fsrv&map=node%3Dabel%2Cpath%3D%2Fmnt";
    assert_eq!(
        cluster.root("POST", path, twice).await.reason,
        "Node 'abel' is specified 2 times."
    );
    let form = "id=share&map=node%3Dabel%2Cpath%3D%2Fsrv&description=files";
    cluster.root("POST", path, form).await.data();
    assert_eq!(
        cluster.root("POST", path, form).await.reason,
        "create directory mapping failed: dir ID 'share' already defined"
    );
    let listed = cluster.root("GET", path, "check-node=cantor").await.data();
    assert_eq!(
        listed[0]["checks"],
        json!([{ "severity": "warning", "message": "No mapping for node cantor." }])
    );
    let read = cluster
        .root("GET", "/cluster/mapping/dir/share", "")
        .await
        .data();
    assert_eq!(read["digest"], listed[0]["digest"]);
    assert_eq!(read["map"], json!(["node=abel,path=/srv"]));
    assert_eq!(
        cluster
            .root("PUT", "/cluster/mapping/dir/share", "description=x")
            .await
            .reason,
        "update directory mapping failed: missing value for required option 'map'"
    );
    cluster
        .root("POST", "/access/users", "userid=alice%40pve")
        .await
        .data();
    let token = cluster
        .root("POST", "/access/users/alice%40pve/token/t1", "privsep=0")
        .await
        .data();
    let alice = format!(
        "PVEAPIToken=alice@pve!t1={}",
        token["value"].as_str().unwrap()
    );
    assert_eq!(
        cluster.call(&alice, "GET", path, "").await.data(),
        json!([])
    );
    assert_eq!(cluster.call(&alice, "POST", path, form).await.status, 403);
}
