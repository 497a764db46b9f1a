//! Local users and groups: those that every appliance has, read-only.

use serde_json::{Value, json};

use crate::error::Failure;
use crate::query::query;
use crate::system::System;

type Outcome = Result<Value, Failure>;

/// Row id, uid, name, primary gid, full name, home, shell.
const USERS: &[(i64, i64, &str, i64, &str, &str, &str)] = &[
    (1, 0, "root", 0, "root", "/root", "/usr/bin/zsh"),
    (
        2,
        1,
        "daemon",
        1,
        "daemon",
        "/usr/sbin",
        "/usr/sbin/nologin",
    ),
    (
        3,
        33,
        "www-data",
        33,
        "www-data",
        "/var/www",
        "/usr/sbin/nologin",
    ),
    (
        4,
        65534,
        "nobody",
        65534,
        "nobody",
        "/var/empty",
        "/usr/sbin/nologin",
    ),
    (
        5,
        568,
        "apps",
        568,
        "Applications",
        "/var/empty",
        "/usr/sbin/nologin",
    ),
    (
        6,
        950,
        "truenas_admin",
        950,
        "Local Administrator",
        "/home/truenas_admin",
        "/usr/bin/zsh",
    ),
    (
        7,
        666,
        "webdav",
        666,
        "WebDAV Anonymous User",
        "/var/empty",
        "/usr/sbin/nologin",
    ),
];

/// Row id, gid, name.
const GROUPS: &[(i64, i64, &str)] = &[
    (1, 0, "root"),
    (2, 1, "daemon"),
    (3, 33, "www-data"),
    (4, 65534, "nogroup"),
    (5, 568, "apps"),
    (6, 950, "truenas_admin"),
    (7, 666, "webdav"),
    (8, 544, "builtin_administrators"),
    (9, 545, "builtin_users"),
];

pub(super) fn is_user(name: &str) -> bool {
    uid(name).is_some()
}

pub(super) fn is_group(name: &str) -> bool {
    gid(name).is_some()
}

pub(super) fn uid(name: &str) -> Option<i64> {
    USERS.iter().find(|u| u.2 == name).map(|u| u.1)
}

pub(super) fn gid(name: &str) -> Option<i64> {
    GROUPS.iter().find(|g| g.2 == name).map(|g| g.1)
}

pub(super) fn user_name(uid: i64) -> Option<&'static str> {
    USERS.iter().find(|u| u.1 == uid).map(|u| u.2)
}

pub(super) fn group_name(gid: i64) -> Option<&'static str> {
    GROUPS.iter().find(|g| g.1 == gid).map(|g| g.2)
}

fn users(system: &System) -> Vec<Value> {
    let one = |u: &(i64, i64, &str, i64, &str, &str, &str)| {
        let group = GROUPS.iter().find(|g| g.1 == u.3);
        let admin = u.2 == system.options.username;
        json!({
            "id": u.0, "uid": u.1, "username": u.2, "unixhash": null, "smbhash": null, "home": u.5, "shell": u.6, "full_name": u.4,
            "builtin": u.2 != "truenas_admin", "smb": false, "userns_idmap": null,
            "group": {"id": group.map(|g| g.0), "bsdgrp_gid": u.3, "bsdgrp_group": group.map(|g| g.2)}, "groups": [],
            "password_disabled": !admin, "ssh_password_enabled": false, "sshpubkey": null, "locked": false, "sudo_commands": [],
            "sudo_commands_nopasswd": [], "email": null, "local": true, "immutable": u.1 < 1000, "twofactor_auth_configured": false,
            "sid": null, "last_password_change": null, "password_age": null, "password_history": null, "password_change_required": false,
            "roles": if admin { json!(["FULL_ADMIN"]) } else { json!([]) }, "api_keys": if admin { json!([1]) } else { json!([]) },
        })
    };
    USERS.iter().map(one).collect()
}

fn groups() -> Vec<Value> {
    let one = |g: &(i64, i64, &str)| {
        json!({
            "id": g.0, "gid": g.1, "name": g.2, "builtin": true, "sudo_commands": [], "sudo_commands_nopasswd": [], "smb": false,
            "userns_idmap": null, "group": g.2, "local": true, "sid": null, "roles": [], "users": [], "immutable": true,
        })
    };
    GROUPS.iter().map(one).collect()
}

pub(super) fn query_users(system: &System, filters: &Value, options: &Value) -> Outcome {
    query(users(system), filters, options)
}

pub(super) fn query_groups(filters: &Value, options: &Value) -> Outcome {
    query(groups(), filters, options)
}

pub(super) fn user(system: &System, id: &Value) -> Outcome {
    users(system)
        .into_iter()
        .find(|u| u.get("id") == Some(id))
        .ok_or_else(|| Failure::missing("User", id))
}

pub(super) fn group(id: &Value) -> Outcome {
    groups()
        .into_iter()
        .find(|g| g.get("id") == Some(id))
        .ok_or_else(|| Failure::missing("Group", id))
}
