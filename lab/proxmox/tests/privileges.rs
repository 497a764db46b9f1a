//! Who may do what: roles, propagation, privilege separation, pools.

mod common;

use common::Cluster;
use serde_json::Value;

/// A new user `alice@pve` with a separated token; gives what she sends.
async fn alice(cluster: &Cluster) -> String {
    cluster
        .root("POST", "/access/users", "userid=alice%40pve")
        .await
        .data();
    let token = cluster
        .root("POST", "/access/users/alice%40pve/token/t1", "privsep=1")
        .await
        .data();
    format!(
        "PVEAPIToken={}={}",
        token["full-tokenid"].as_str().unwrap(),
        token["value"].as_str().unwrap()
    )
}

async fn grant(cluster: &Cluster, subject: &str, path: &str, role: &str, extra: &str) {
    let kind = if subject.contains('!') {
        "tokens"
    } else {
        "users"
    };
    let form = format!(
        "path={path}&roles={role}&{kind}={}{extra}",
        subject.replace('@', "%40").replace('!', "%21")
    );
    cluster.root("PUT", "/access/acl", &form).await.data();
}

#[tokio::test]
async fn a_separated_token_has_what_both_have() {
    let cluster = Cluster::new().await;
    let alice = alice(&cluster).await;
    let status = || cluster.call(&alice, "GET", "/nodes/abel/status", "");
    let refused = status().await;
    assert_eq!(
        (refused.status, refused.reason.as_str()),
        (403, "Permission check failed (/nodes/abel, Sys.Audit)")
    );
    grant(&cluster, "alice@pve!t1", "/", "PVEAuditor", "").await;
    assert_eq!(status().await.status, 403, "the token alone does not do");
    grant(&cluster, "alice@pve", "/nodes", "PVEAuditor", "").await;
    assert_eq!(status().await.status, 200);
    grant(&cluster, "alice@pve", "/nodes/abel", "NoAccess", "").await;
    assert_eq!(status().await.status, 403, "what is nearest counts");
    assert_eq!(
        cluster
            .call(&alice, "GET", "/nodes/cantor/status", "")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn rights_that_do_not_propagate_stay_where_they_are() {
    let cluster = Cluster::new().await;
    let alice = alice(&cluster).await;
    for subject in ["alice@pve", "alice@pve!t1"] {
        grant(&cluster, subject, "/nodes", "PVEAuditor", "&propagate=0").await;
    }
    assert_eq!(
        cluster
            .call(&alice, "GET", "/nodes/abel/status", "")
            .await
            .status,
        403
    );
    let held = cluster
        .call(&alice, "GET", "/access/permissions", "path=%2Fnodes")
        .await
        .data();
    assert_eq!(held["/nodes"]["Sys.Audit"], 0, "held, but not below");
}

#[tokio::test]
async fn making_a_machine_needs_the_right_of_each_part() {
    let cluster = Cluster::new().await;
    let alice = alice(&cluster).await;
    let both = ["alice@pve", "alice@pve!t1"];
    let create = "vmid=100&name=web&cores=2&scsi0=local-lvm%3A8&net0=virtio%2Cbridge%3Dvmbr0";
    let steps = [
        (
            "/vms",
            "PVEVMAdmin",
            "Permission check failed (/vms/100, VM.Allocate)",
        ),
        (
            "/storage",
            "PVEDatastoreUser",
            "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)",
        ),
    ];
    let attempt = || cluster.call(&alice, "POST", "/nodes/abel/qemu", create);
    for (path, role, complaint) in steps {
        let refused = attempt().await;
        if role == "PVEVMAdmin" {
            assert_eq!(refused.reason, complaint);
        }
        for subject in both {
            grant(&cluster, subject, path, role, "").await;
        }
        if role == "PVEDatastoreUser" {
            assert_eq!(attempt().await.reason, complaint);
        }
    }
    for subject in both {
        grant(
            &cluster,
            subject,
            "/sdn/zones/localnetwork",
            "PVESDNUser",
            "",
        )
        .await;
    }
    let upid = attempt().await.data();
    assert_eq!(cluster.wait(&upid).await, "OK");
    let startup = cluster
        .call(
            &alice,
            "PUT",
            "/nodes/abel/qemu/100/config",
            "startup=order%3D1",
        )
        .await;
    assert_eq!(startup.reason, "Permission check failed (/, Sys.Modify)");
}

#[tokio::test]
async fn a_pool_lends_its_rights_to_its_machines() {
    let cluster = Cluster::new().await;
    let alice = alice(&cluster).await;
    cluster.root("POST", "/pools", "poolid=hers").await.data();
    for subject in ["alice@pve", "alice@pve!t1"] {
        grant(&cluster, subject, "/pool/hers", "PVEVMAdmin", "").await;
    }
    let upid = cluster
        .call(
            &alice,
            "POST",
            "/nodes/abel/qemu",
            "vmid=100&name=a&pool=hers",
        )
        .await
        .data();
    assert_eq!(cluster.wait(&upid).await, "OK");
    let refused = cluster
        .call(&alice, "POST", "/nodes/abel/qemu", "vmid=101&name=b")
        .await;
    assert_eq!(
        refused.reason,
        "Permission check failed (/vms/101, VM.Allocate)"
    );
    let seen = cluster
        .call(&alice, "GET", "/cluster/resources", "type=vm")
        .await
        .data();
    let ids: Vec<&Value> = seen
        .as_array()
        .unwrap()
        .iter()
        .map(|vm| &vm["vmid"])
        .collect();
    assert_eq!(ids, [&Value::from(100)]);
    assert_eq!(seen[0].get("pool"), None, "without Pool.Audit");
}

#[tokio::test]
async fn the_default_provider_token_can_do_its_job_and_no_more() {
    let cluster = Cluster::new().await;
    cluster.import_image().await;
    let provider = format!("PVEAPIToken={}", stead_lab_proxmox::Options::PROVIDER_TOKEN);
    let form = "vmid=100&name=ctrl&memory=2048&net0=virtio%2Cbridge%3Dvmbr0&ide2=local-lvm%3Acloudinit\
                &scsi0=local-lvm%3A0%2Cimport-from%3Dlocal%3Aimport%2Ftalos.qcow2&ipconfig0=ip%3Ddhcp&startup=order%3D1";
    let upid = cluster
        .call(&provider, "POST", "/nodes/abel/qemu", form)
        .await
        .data();
    assert!(
        upid.as_str()
            .unwrap()
            .ends_with(":qmcreate:100:terraform@pve!provider:"),
        "{upid}"
    );
    assert_eq!(cluster.wait(&upid).await, "OK");
    let refused = cluster
        .call(&provider, "POST", "/access/users", "userid=eve%40pve")
        .await;
    assert_eq!(refused.status, 403);
}
