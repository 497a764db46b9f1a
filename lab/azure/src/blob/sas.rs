//! Shared access signatures: of an account, and of a container or blob.

use super::auth::{failed, signed};
use super::{Deed, Request, error};
use crate::http::{Answer, iso_seconds, now};
use crate::state::AccessPolicy;

/// 403 unless the signature is right, valid now, and allows the deed.
pub(super) fn authorize(request: &Request<'_>, deed: Deed) -> Result<(), Answer> {
    if request.call.param("skoid").is_some() {
        return Err(error(
            501,
            "NotImplemented",
            "The lab does not simulate user delegation SAS of Blob storage.",
        ));
    }
    let version = parameter(request, "sv");
    let dated = version.len() == 10 && version.split('-').all(|p| p.parse::<u16>().is_ok());
    if !dated || version < "2015-04-05" {
        return Err(failed("sv is missing or not a version from 2015-04-05 on."));
    }
    if request.call.param("ss").is_some() {
        account(request, deed, version)
    } else {
        service(request, deed, version)
    }
}

fn parameter<'a>(request: &'a Request<'_>, name: &str) -> &'a str {
    request.call.param(name).unwrap_or_default()
}

fn account(request: &Request<'_>, deed: Deed, version: &str) -> Result<(), Answer> {
    let p = |name: &str| parameter(request, name);
    let mut lines = vec![
        request.account.as_str(),
        p("sp"),
        p("ss"),
        p("srt"),
        p("st"),
        p("se"),
        p("sip"),
        p("spr"),
        version,
    ];
    if version >= "2020-12-06" {
        lines.push(p("ses"));
    }
    let text: String = lines.iter().map(|l| format!("{l}\n")).collect();
    check_signature(request, &text)?;
    in_time(p("st"), p("se"))?;
    check_origin(request)?;
    if !p("ss").contains('b') {
        return Err(error(
            403,
            "AuthorizationServiceMismatch",
            "This request is not authorized to perform this operation using this service.",
        ));
    }
    let (kind, letters) = match deed {
        Deed::ListContainers => ('s', "l"),
        Deed::ServiceProperties => ('s', "r"),
        Deed::CreateContainer => ('c', "cw"),
        Deed::ReadContainer => ('c', "r"),
        Deed::WriteContainer => ('c', "w"),
        Deed::DeleteContainer => ('c', "d"),
        Deed::ContainerAcl => return Err(permission_mismatch()),
        Deed::ListBlobs => ('c', "l"),
        Deed::ReadBlob => ('o', "r"),
        Deed::WriteBlob => ('o', "wca"),
        Deed::PutBlob => ('o', put_letters(request)),
        Deed::DeleteBlob => ('o', "d"),
    };
    if !p("srt").contains(kind) {
        return Err(error(
            403,
            "AuthorizationResourceTypeMismatch",
            "This request is not authorized to perform this operation using this resource type.",
        ));
    }
    permitted(p("sp"), letters)
}

fn service(request: &Request<'_>, deed: Deed, version: &str) -> Result<(), Answer> {
    let p = |name: &str| parameter(request, name);
    let resource = match p("sr") {
        "c" => format!("/blob/{}/{}", request.account, request.container),
        "b" => format!(
            "/blob/{}/{}/{}",
            request.account, request.container, request.blob
        ),
        other => {
            return Err(error(
                403,
                "AuthenticationFailed",
                &format!("sr '{other}' is not simulated: c for a container or b for a blob."),
            ));
        }
    };
    let mut lines = vec![
        p("sp"),
        p("st"),
        p("se"),
        resource.as_str(),
        p("si"),
        p("sip"),
        p("spr"),
        version,
    ];
    if version >= "2018-11-09" {
        lines.extend([p("sr"), p("snapshot")]);
    }
    if version >= "2020-12-06" {
        lines.push(p("ses"));
    }
    lines.extend([p("rscc"), p("rscd"), p("rsce"), p("rscl"), p("rsct")]);
    check_signature(request, &lines.join("\n"))?;
    let policy = stored_policy(request, p("si"))?;
    let pick = |stored: &Option<String>, given: &str| {
        stored
            .clone()
            .filter(|s| !s.is_empty())
            .unwrap_or_else(|| given.to_owned())
    };
    in_time(
        &pick(&policy.start, p("st")),
        &pick(&policy.expiry, p("se")),
    )?;
    check_origin(request)?;
    let letters = match deed {
        Deed::ListBlobs if p("sr") == "c" => "l",
        Deed::ReadBlob => "r",
        Deed::WriteBlob => "wca",
        Deed::PutBlob => put_letters(request),
        Deed::DeleteBlob => "d",
        // A service SAS reaches the container's content, never the container.
        _ => {
            return Err(error(
                403,
                "AuthorizationFailure",
                "This request is not authorized to perform this operation.",
            ));
        }
    };
    permitted(&pick(&policy.permission, p("sp")), letters)
}

/// Creating a blob needs `c` or `w`; replacing one needs `w`.
fn put_letters(request: &Request<'_>) -> &'static str {
    let state = request.cloud.state();
    let container = state
        .accounts
        .get(&request.account)
        .and_then(|a| a.containers.get(&request.container));
    if container.is_some_and(|c| c.blobs.contains_key(&request.blob)) {
        "w"
    } else {
        "cw"
    }
}

fn permitted(given: &str, letters: &str) -> Result<(), Answer> {
    if given.chars().any(|c| letters.contains(c)) {
        Ok(())
    } else {
        Err(permission_mismatch())
    }
}

fn permission_mismatch() -> Answer {
    error(
        403,
        "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.",
    )
}

fn check_signature(request: &Request<'_>, text: &str) -> Result<(), Answer> {
    if signed(request, text, parameter(request, "sig")) {
        return Ok(());
    }
    Err(failed(&format!(
        "Signature did not match. String to sign used was {text}"
    )))
}

fn stored_policy(request: &Request<'_>, id: &str) -> Result<AccessPolicy, Answer> {
    if id.is_empty() {
        return Ok(AccessPolicy::default());
    }
    let state = request.cloud.state();
    let container = state
        .accounts
        .get(&request.account)
        .and_then(|a| a.containers.get(&request.container));
    container
        .and_then(|c| c.policies.get(id).cloned())
        .ok_or_else(|| failed(&format!("The stored access policy '{id}' does not exist.")))
}

fn check_origin(request: &Request<'_>) -> Result<(), Answer> {
    match parameter(request, "sip") {
        "" => {}
        range
            if range == "127.0.0.1"
                || range.starts_with("127.0.0.1-")
                || range.starts_with("0.0.0.0-") => {}
        _ => {
            return Err(error(
                403,
                "AuthorizationSourceIPMismatch",
                "This request is not authorized to perform this operation using this source IP 127.0.0.1.",
            ));
        }
    }
    match parameter(request, "spr") {
        "" | "https" | "https,http" => Ok(()),
        other => Err(error(
            403,
            "AuthorizationProtocolMismatch",
            &format!(
                "This request is not authorized to perform this operation using this protocol ('{other}')."
            ),
        )),
    }
}

fn in_time(start: &str, expiry: &str) -> Result<(), Answer> {
    let time = now();
    let bad = |name: &str| failed(&format!("{name} is not a valid time."));
    let from = if start.is_empty() {
        i64::MIN
    } else {
        millis(start).ok_or_else(|| bad("st"))?
    };
    let until = millis(expiry).ok_or_else(|| bad("se"))?;
    if (from..until).contains(&time) {
        return Ok(());
    }
    Err(failed(&format!(
        "Signature not valid in the specified time frame: Start [{start}] - Expiry [{expiry}] - Current [{}]",
        iso_seconds(time)
    )))
}

/// A time as SAS write it: with a date only, with minutes, or with seconds, in UTC.
fn millis(text: &str) -> Option<i64> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        17 => format!("{}:00Z", text.strip_suffix('Z')?),
        _ => text.to_owned(),
    };
    full.parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_in_three_forms() {
        assert_eq!(millis("1970-01-02"), Some(86_400_000));
        assert_eq!(millis("1970-01-01T00:01Z"), Some(60_000));
        assert_eq!(millis("1970-01-01T00:00:01Z"), Some(1_000));
        assert_eq!(millis("soon"), None);
    }
}
