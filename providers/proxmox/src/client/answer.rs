//! What the server answered: data, or an error with what can be done about it.

use serde_json::Value as Json;
use stead_sdk::{Error, ErrorKind};

/// A member as text: the API writes numbers either way.
pub(crate) fn text(object: &Json, key: &str) -> Option<String> {
    match object.get(key)? {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(i32::from(*flag).to_string()),
        _ => None,
    }
}

pub(crate) fn number(object: &Json, key: &str) -> Option<i64> {
    text(object, key)?.parse().ok()
}

pub(crate) fn flag(object: &Json, key: &str) -> Option<bool> {
    text(object, key).map(|t| crate::property::is_on(&t))
}

/// The server did nothing, and may do it the next time: no worker, or a lock that others held for too long.
pub(crate) fn did_nothing(error: &Error) -> bool {
    let said = error.said();
    said.contains("got no worker upid") || super::is_lock_timeout(said)
}

/// `data` of an answer, or the error that it is.
pub(crate) async fn read(asked: &str, response: reqwest::Response) -> Result<Json, Error> {
    let status = response.status();
    let reason = response
        .extensions()
        .get::<hyper::ext::ReasonPhrase>()
        .map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned())
        .or_else(|| status.canonical_reason().map(str::to_owned))
        .unwrap_or_default();
    let body = response
        .text()
        .await
        .map_err(|e| stead_sdk::http_error(asked, e))?;
    let json: Option<Json> = serde_json::from_str(&body).ok();
    if status.is_success() {
        let mut json = json.ok_or_else(|| {
            Error::new(asked, "the answer is not JSON")
                .remedy("Check that the endpoint is a Proxmox VE node: `https://HOST:8006`.")
        })?;
        return Ok(json.get_mut("data").map(Json::take).unwrap_or_default());
    }
    Err(error(asked, status.as_u16(), &reason, json.as_ref()))
}

fn error(asked: &str, status: u16, reason: &str, body: Option<&Json>) -> Error {
    let message = body.and_then(|b| text(b, "message"));
    let mut said = message.as_deref().unwrap_or(reason).trim().to_owned();
    let errors = body.and_then(|b| b.get("errors")).and_then(Json::as_object);
    for (name, why) in errors.into_iter().flatten() {
        let why = why.as_str().unwrap_or_default().trim();
        said.push_str(&format!(" {name}: {why}"));
    }
    let said = format!("{status} {said}");
    let missing = [
        "does not exist",
        "no such ",
        "No such file or directory",
        "not HA managed",
        "is not a pool member",
        // All that is said of a ZFS pool that is not there.
        "zpool status",
    ];
    let kind = match status {
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        // `/nodes/…/network/IFACE` calls its own path a wrong parameter.
        400 if said.contains("iface: interface does not exist") => ErrorKind::NotFound,
        500 if missing.iter().any(|m| said.contains(m)) || is_missing_section(&said) => {
            ErrorKind::NotFound
        }
        // Of jobs in the cluster's calendar and of ACME accounts it is said of the parameter.
        400 if ["No such job", "ACME account config file", "no such alias"]
            .iter()
            .any(|m| said.contains(m)) =>
        {
            ErrorKind::NotFound
        }
        500 | 400 if said.contains("already exists") || said.contains("checksum mismatch") => {
            ErrorKind::Conflict
        }
        595 | 596 | 599 | 502..=504 | 429 => ErrorKind::Transient,
        501 => ErrorKind::Unsupported,
        _ => ErrorKind::Other,
    };
    let error = Error::http(status, asked, &said).with_kind(kind);
    match remedy(status, &said) {
        Some(remedy) => error.remedy(remedy),
        None => error,
    }
}

/// What to do, as far as the message tells.
fn remedy(status: u16, said: &str) -> Option<String> {
    if let Some((path, privilege)) = said
        .split_once("Permission check failed (")
        .and_then(|(_, rest)| rest.split(')').next()?.split_once(", "))
    {
        let first = privilege.split('|').next().unwrap_or(privilege);
        return Some(format!(
            "Grant the privilege {privilege} on {path}: `pveum role add stead-{role} -privs {first}` and `pveum acl modify \
             {path} -user USER@REALM -role stead-{role}` (for a token with its own privileges also `-token \
             'USER@REALM!NAME'` in place of `-user`).",
            role = first.replace('.', "-").to_lowercase(),
        ));
    }
    if said.contains("only root can set") {
        return Some(
            "Log in as root@pam with its password; a token of root is not enough for this setting."
                .into(),
        );
    }
    match status {
        401 => Some("Check the API token, or user name and password.".into()),
        595 | 596 => Some(
            "Check that the node is up and that the cluster has quorum: `pvecm status`.".into(),
        ),
        _ => None,
    }
}

/// What `/cluster/mapping/…/ID` and `/cluster/acme/plugins/ID` say of an id that is not there (`PVE::API2::Cluster::Mapping`, `ACMEPlugin`). A VM that names such a device fails with other
/// words, and is not missing itself.
fn is_missing_section(said: &str) -> bool {
    (said.contains("mapping '") && said.contains("' not found"))
        || (said.contains("ACME plugin '") && said.contains("' not defined"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_missing_privilege_is_named_with_its_remedy() {
        let said = "Permission check failed (/storage/local, Datastore.AllocateSpace)";
        let error = error("create VM 100", 403, said, None);
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert!(
            error
                .to_string()
                .contains("pveum acl modify /storage/local"),
            "{error}"
        );
    }

    #[test]
    fn what_is_missing_and_what_is_wrong_are_told_apart() {
        let gone = "Configuration file 'nodes/pve/qemu-server/100.conf' does not exist";
        assert!(error("read", 500, gone, None).is_not_found());
        assert!(error("read", 500, "mapping 'gpu' not found", None).is_not_found());
        assert!(error("read", 500, "ACME plugin 'cf' not defined", None).is_not_found());
        assert!(
            !error("start", 500, "PCI device mapping not found for 'gpu'", None).is_not_found()
        );
        let body = json!({ "errors": { "vmid": "invalid" }, "message": "Parameter verification failed.\n" });
        let refused = error("create", 400, "x", Some(&body));
        assert_eq!(
            refused.said(),
            "400 Parameter verification failed. vmid: invalid"
        );
    }
}
