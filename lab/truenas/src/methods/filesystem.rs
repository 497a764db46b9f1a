//! Paths below `/mnt`: what they are, and their owners and modes.

use serde_json::{Value, json};

use super::accounts;
use crate::error::{EEXIST, EINVAL, ENOENT, EPERM, Failure};
use crate::state::Node;
use crate::system::{System, now};

type Outcome = Result<Value, Failure>;

pub(super) fn stat(system: &System, path: &Value) -> Outcome {
    let path = path.as_str().unwrap_or_default();
    if !path.starts_with('/') {
        return Err(Failure::call(
            EINVAL,
            format!("{path}: path must be absolute"),
        ));
    }
    let path = clean(path);
    let state = system.state();
    let node = match state.nodes.get(&path) {
        Some(node) => node.clone(),
        None if ["/", "/mnt"].contains(&path.as_str()) => Node::directory(state.installed / 1000),
        None => return Err(Failure::call(ENOENT, format!("Path {path} not found"))),
    };
    let mount = path
        .strip_prefix("/mnt/")
        .is_some_and(|id| state.datasets.contains_key(id));
    let time = node.created as f64;
    let inode = 34 + state.nodes.keys().position(|k| *k == path).unwrap_or(0);
    Ok(json!({
        "realpath": path, "type": "DIRECTORY", "size": 2, "allocation_size": 512, "mode": 0o40000 | node.mode, "mount_id": if mount { 100 } else { 50 },
        "uid": node.uid, "gid": node.gid, "atime": time, "mtime": time, "ctime": time, "btime": time, "dev": 50, "inode": inode, "nlink": 2,
        "acl": node.acl, "is_mountpoint": mount, "is_ctldir": false, "attributes": [], "user": accounts::user_name(node.uid), "group": accounts::group_name(node.gid),
    }))
}

pub(super) fn mkdir(system: &System, data: &Value) -> Outcome {
    let path = clean(data.get("path").and_then(Value::as_str).unwrap_or_default());
    if !path.starts_with("/mnt/") {
        return Err(Failure::call(EPERM, format!("{path}: path not permitted")));
    }
    let mode = data
        .pointer("/options/mode")
        .and_then(Value::as_str)
        .and_then(octal)
        .unwrap_or(0o755);
    let mut state = system.state();
    if state.nodes.contains_key(&path) {
        return Err(Failure::call(
            EEXIST,
            format!("{path}: path already exists."),
        ));
    }
    let parent = path.rsplit_once('/').map_or("", |(p, _)| p);
    if !state.nodes.contains_key(parent) {
        return Err(Failure::call(
            ENOENT,
            format!("Directory {parent} does not exist"),
        ));
    }
    state.nodes.insert(
        path.clone(),
        Node {
            mode,
            ..Node::directory(now() / 1000)
        },
    );
    drop(state);
    system.changed();
    let name = path.rsplit('/').next();
    Ok(
        json!({"name": name, "path": path, "realpath": path, "type": "DIRECTORY", "size": 2, "allocation_size": 512, "mode": 0o40000 | mode,
        "acl": false, "uid": 0, "gid": 0, "is_mountpoint": false, "is_ctldir": false, "attributes": [], "xattrs": [], "zfs_attrs": ["ARCHIVE"]}),
    )
}

/// `filesystem.setperm` and `filesystem.chown`: what the job does.
pub(super) fn set_permissions(system: &System, method: &str, data: &Value) -> Outcome {
    let path = clean(data.get("path").and_then(Value::as_str).unwrap_or_default());
    let option = |name: &str| data.pointer(&format!("/options/{name}")) == Some(&Value::Bool(true));
    if !path.starts_with("/mnt/") {
        let text = format!(
            "Changes to permissions on paths that are not beneath the directory /mnt are not permitted: {path}"
        );
        return Err(Failure::invalid(&format!("{method}.path"), text));
    }
    let uid = owner(
        data,
        "uid",
        "user",
        accounts::uid,
        &format!("{method}.user"),
    )?;
    let gid = owner(
        data,
        "gid",
        "group",
        accounts::gid,
        &format!("{method}.group"),
    )?;
    let mode = match data.get("mode").and_then(Value::as_str) {
        None => None,
        Some(text) => match octal(text) {
            Some(0) => {
                return Err(Failure::invalid(
                    &format!("{method}.mode"),
                    "Empty permissions are not permitted.",
                ));
            }
            Some(mode) => Some(mode),
            None => {
                return Err(Failure::invalid(
                    &format!("{method}.mode"),
                    "mode must be octal.",
                ));
            }
        },
    };
    let mut state = system.state();
    let Some(node) = state.nodes.get(&path) else {
        return Err(Failure::call(ENOENT, format!("Path {path} not found")));
    };
    if mode.is_some() && node.acl && !option("stripacl") {
        let text = format!(
            "Non-trivial ACL present on [{path}]. Option \"stripacl\" required to change permission."
        );
        return Err(Failure::invalid("filesystem.setperm.mode", text));
    }
    let below = format!("{path}/");
    // Recursion stops at other datasets unless told to traverse them.
    let other: Vec<String> = state
        .datasets
        .keys()
        .map(|id| format!("/mnt/{id}"))
        .filter(|m| m.starts_with(&below))
        .collect();
    let foreign = |p: &str| {
        other
            .iter()
            .any(|m| p == m || p.starts_with(&format!("{m}/")))
    };
    for (at, node) in state.nodes.iter_mut() {
        let reached = *at == path
            || (option("recursive")
                && at.starts_with(&below)
                && (option("traverse") || !foreign(at)));
        if reached {
            node.uid = uid.unwrap_or(node.uid);
            node.gid = gid.unwrap_or(node.gid);
            node.mode = mode.unwrap_or(node.mode);
            node.acl = node.acl && mode.is_none() && !option("stripacl");
        }
    }
    drop(state);
    system.changed();
    Ok(Value::Null)
}

/// The wanted owner by number or by name; -1 and null leave it.
fn owner(
    data: &Value,
    number: &str,
    name: &str,
    known: fn(&str) -> Option<i64>,
    attribute: &str,
) -> Result<Option<i64>, Failure> {
    match (
        data.get(number).and_then(Value::as_i64),
        data.get(name).and_then(Value::as_str),
    ) {
        (Some(id), _) if id >= 0 => Ok(Some(id)),
        (_, Some(text)) => known(text)
            .map(Some)
            .ok_or_else(|| Failure::invalid(attribute, format!("{text}: {name} does not exist"))),
        _ => Ok(None),
    }
}

fn octal(text: &str) -> Option<u32> {
    if !(3..=4).contains(&text.len()) {
        return None;
    }
    u32::from_str_radix(text, 8).ok()
}

/// Without a trailing slash or doubled ones.
fn clean(path: &str) -> String {
    let joined: String = path
        .split('/')
        .filter(|p| !p.is_empty())
        .map(|p| format!("/{p}"))
        .collect();
    if joined.is_empty() {
        "/".to_owned()
    } else {
        joined
    }
}
