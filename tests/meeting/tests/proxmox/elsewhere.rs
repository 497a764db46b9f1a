//! Types that need what the lab does not have, as far as they get: the cause is told, and nothing is half-made.

use serde_json::json;
use stead_lab_proxmox::Options;
use stead_meeting::Homelab;

#[tokio::test]
async fn a_pool_of_ceph_needs_ceph() {
    let homelab = Homelab::start(&Options::default()).await;
    let config = json!({ "node_name": "abel", "name": "vms" });
    let refused = homelab
        .proxmox
        .apply("proxmox_ceph_pool", None, config)
        .await;
    let refused = refused.expect_err("there is no Ceph");
    let said = format!("{:?}", refused.diagnostics);
    assert!(
        said.contains("binary not installed: /usr/bin/ceph-mon"),
        "{said}"
    );
    assert!(refused.kept.is_none());
    homelab.stop().await;
}

#[tokio::test]
async fn a_realm_is_not_synchronized_without_its_directory() {
    let homelab = Homelab::start(&Options::default()).await;
    let realm = json!({ "realm": "lab.lan", "base_dn": "dc=lab,dc=lan", "server1": "10.25.150.30", "user_attr": "uid" });
    let made = homelab
        .proxmox
        .apply("proxmox_realm_ldap", None, realm)
        .await;
    let made = made.unwrap_or_else(|e| panic!("{e:?}"));
    let config = json!({ "realm": "lab.lan", "scope": "users" });
    let refused = homelab
        .proxmox
        .apply("proxmox_realm_sync", None, config.clone())
        .await;
    let refused = refused.expect_err("there is no directory");
    let said = format!("{:?}", refused.diagnostics);
    assert!(said.contains("10.25.150.30"), "{said}");
    assert!(refused.kept.is_none());
    // Without a default for what is fetched, people must say it.
    let silent = json!({ "realm": "lab.lan" });
    let refused = homelab
        .proxmox
        .apply("proxmox_realm_sync", None, silent)
        .await;
    let said = format!("{:?}", refused.expect_err("no scope").diagnostics);
    assert!(said.contains("scope"), "{said}");
    homelab
        .proxmox
        .delete("proxmox_realm_ldap", &made)
        .await
        .unwrap();
    homelab.stop().await;
}
