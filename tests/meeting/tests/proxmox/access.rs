//! Users and what they may do.

use serde_json::json;
use stead_meeting::Life;

pub(crate) fn lives() -> Vec<Life> {
    let user = json!({ "user_id": "ann@pve", "password": "a long secret" });
    vec![
        Life::of("proxmox_user_token", json!({ "user_id": "root@pam", "token_name": "ci", "comment": "for the pipeline" }))
            .changes(json!({ "comment": "for the nightly pipeline" }))
            .is_replaced_by(json!({ "token_name": "cd" }))
            .drifts("PUT", "/access/users/root@pam/token/ci", "comment=mine", "comment")
            .imports("root@pam!ci", &["value"]),
        Life::of("proxmox_virtual_environment_user", json!({ "user_id": "ann@pve", "password": "a long secret", "first_name": "Ann", "groups": ["admins"] }))
            .after("proxmox_virtual_environment_group", json!({ "group_id": "admins" }))
            .changes(json!({ "email": "ann@lab.lan", "groups": null, "enabled": false }))
            .is_replaced_by(json!({ "user_id": "eve@pve" }))
            .drifts("PUT", "/access/users/ann@pve", "comment=mine", "comment")
            .imports("ann@pve", &["password"]),
        Life::of("proxmox_virtual_environment_group", json!({ "group_id": "admins", "comment": "all of them", "acl": [{ "path": "/vms", "role_id": "PVEVMAdmin", "propagate": true }] }))
            .changes(json!({ "comment": "some of them", "acl": [{ "path": "/vms", "role_id": "PVEVMUser", "propagate": true }] }))
            .is_replaced_by(json!({ "group_id": "others" }))
            .drifts("PUT", "/access/groups/admins", "comment=mine", "comment")
            // Without blocks of its own, a group does not care who else grants it something.
        .imports("admins", &["acl"]),
        Life::of("proxmox_virtual_environment_role", json!({ "role_id": "Watcher", "privileges": ["VM.Audit", "Sys.Audit"] }))
            .changes(json!({ "privileges": ["VM.Audit"] }))
            .is_replaced_by(json!({ "role_id": "Other" }))
            .drifts("PUT", "/access/roles/Watcher", "privs=VM.Audit,VM.Backup", "privileges")
            .imports("Watcher", &[]),
        Life::of("proxmox_acl", json!({ "path": "/vms", "role_id": "PVEVMUser", "user_id": "ann@pve" }))
            .after("proxmox_virtual_environment_user", user)
            .changes(json!({ "propagate": false }))
            .is_replaced_by(json!({ "path": "/storage" }))
            .imports("/vms?ann@pve?PVEVMUser", &[]),
        Life::of("proxmox_virtual_environment_pool", json!({ "pool_id": "lab", "comment": "for trials" }))
            .changes(json!({ "comment": null }))
            .is_replaced_by(json!({ "pool_id": "other" }))
            .drifts("PUT", "/pools", "poolid=lab&comment=mine", "comment")
            .imports("lab", &[]),
        Life::of("proxmox_pool_membership", json!({ "pool_id": "lab", "storage_id": "local-lvm" }))
            .after("proxmox_virtual_environment_pool", json!({ "pool_id": "lab" }))
            .is_replaced_by(json!({ "storage_id": "local" }))
            .imports("lab/storage/local-lvm", &[]),
        Life::of("proxmox_realm_ldap", json!({ "realm": "lab.lan", "base_dn": "dc=lab,dc=lan", "server1": "10.25.150.30", "bind_dn": "cn=reader,dc=lab,dc=lan", "bind_password": "secret" }))
            .changes(json!({ "server2": "10.25.150.31", "comment": "the directory" }))
            .is_replaced_by(json!({ "realm": "other.lan" }))
            .drifts("PUT", "/access/domains/lab.lan", "comment=mine", "comment")
            .imports("lab.lan", &["bind_password"]),
        Life::of("proxmox_realm_openid", json!({ "realm": "sso", "issuer_url": "https://id.lab.lan", "client_id": "pve", "client_key": "secret", "username_claim": "email" }))
            .changes(json!({ "autocreate": true, "comment": "single sign-on" }))
            .is_replaced_by(json!({ "username_claim": "username" }))
            .drifts("PUT", "/access/domains/sso", "comment=mine", "comment")
            .imports("sso", &["client_key"]),
    ]
}
