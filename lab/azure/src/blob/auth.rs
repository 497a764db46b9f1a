//! Who may do what with blobs: bearer tokens with roles, account keys, shared access signatures, public containers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Deed, Request, error, sas};
use crate::http::{Answer, now};
use crate::roles::Plane;
use crate::token;

/// How far a SharedKey request's date may be off, in seconds.
const SKEW: i64 = 15 * 60;

/// 401 or 403 unless the request may do this.
pub(super) fn authorize(request: &Request<'_>, deed: Deed) -> Result<(), Answer> {
    firewall(request)?;
    let header = request.call.header("authorization");
    let scheme = header
        .split(' ')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    match scheme.as_str() {
        "bearer" => bearer(request, deed),
        "sharedkey" => {
            keys_permitted(request)?;
            shared_key(request, header)
        }
        "" if request.call.param("sig").is_some() => {
            keys_permitted(request)?;
            sas::authorize(request, deed)
        }
        "" => anonymous(request, deed),
        _ => Err(failed(
            "The scheme of the Authorization header is not supported: Bearer or SharedKey.",
        )),
    }
}

fn firewall(request: &Request<'_>) -> Result<(), Answer> {
    let text = |v: &Value, name: &str| {
        v.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let acls = request.account_property("networkAcls");
    let open = request.account_property("publicNetworkAccess");
    let mine = |rule: &Value| {
        rule.get("value")
            .and_then(Value::as_str)
            .is_some_and(|v| v.starts_with("127.0.0.1"))
    };
    let listed = acls
        .get("ipRules")
        .and_then(Value::as_array)
        .is_some_and(|rules| rules.iter().any(mine));
    if open
        .as_str()
        .is_some_and(|o| o.eq_ignore_ascii_case("Disabled"))
        || (text(&acls, "defaultAction") == "deny" && !listed)
    {
        return Err(error(
            403,
            "AuthorizationFailure",
            "This request is not authorized to perform this operation.",
        ));
    }
    Ok(())
}

fn keys_permitted(request: &Request<'_>) -> Result<(), Answer> {
    if request.account_property("allowSharedKeyAccess") == Value::Bool(false) {
        return Err(error(
            403,
            "KeyBasedAuthenticationNotPermitted",
            "Key based authentication is not permitted on this storage account.",
        ));
    }
    Ok(())
}

/// The challenge for whoever comes without credentials.
fn unauthenticated(request: &Request<'_>, code: &str) -> Answer {
    let text = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.";
    let challenge = format!(
        "Bearer authorization_uri=https://login.microsoftonline.com/{}/oauth2/authorize resource_id=https://storage.azure.com",
        request.cloud.options.tenant_id
    );
    error(401, code, text).with("www-authenticate", challenge)
}

fn bearer(request: &Request<'_>, deed: Deed) -> Result<(), Answer> {
    if request.call.header("x-ms-version") < "2017-11-09" {
        return Err(failed(
            "Authentication scheme Bearer is not supported in this version.",
        ));
    }
    let token = request.call.bearer().unwrap_or_default();
    let time = now();
    let key = request.cloud.state().signing_key.clone();
    let claims = token::check(&key, token, time / 1000)
        .map_err(|_| unauthenticated(request, "InvalidAuthenticationInfo"))?;
    let own = format!("https://{}.blob.core.windows.net", request.account);
    let audience = claims.audience.trim_end_matches('/');
    if audience != "https://storage.azure.com" && audience != own {
        return Err(unauthenticated(request, "InvalidAuthenticationInfo"));
    }
    let lagging = request.cloud.fault("rbac-lag");
    let state = request.cloud.state();
    let Some(account) = state.accounts.get(&request.account) else {
        return Err(error(
            404,
            "ResourceNotFound",
            "The specified resource does not exist.",
        ));
    };
    let mut scope = format!(
        "{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}",
        request.cloud.subscription_scope(),
        account.group,
        account.name
    );
    if !request.container.is_empty() {
        scope.push_str("/blobServices/default/containers/");
        scope.push_str(&request.container);
    }
    let allowed = needed(deed, request.call.method == "PUT")
        .iter()
        .any(|(action, plane)| {
            let action = format!("Microsoft.Storage/storageAccounts/blobServices/{action}");
            state.allows(
                &claims.object_id,
                &scope,
                &action,
                if *plane {
                    Plane::Data(time)
                } else {
                    Plane::Control
                },
            )
        });
    if allowed && !lagging {
        return Ok(());
    }
    Err(error(
        403,
        "AuthorizationPermissionMismatch",
        "This request is not authorized to perform this operation using this permission.",
    ))
}

/// The actions of which one is needed; `true` for data actions.
fn needed(deed: Deed, put: bool) -> &'static [(&'static str, bool)] {
    match deed {
        Deed::ListContainers | Deed::ReadContainer => &[("containers/read", false)],
        Deed::ServiceProperties => &[("read", false), ("containers/blobs/read", true)],
        Deed::CreateContainer | Deed::WriteContainer => &[("containers/write", false)],
        Deed::DeleteContainer => &[("containers/delete", false)],
        Deed::ContainerAcl if put => &[("containers/setAcl/action", false)],
        Deed::ContainerAcl => &[("containers/getAcl/action", false)],
        Deed::ListBlobs | Deed::ReadBlob => &[("containers/blobs/read", true)],
        Deed::WriteBlob => &[("containers/blobs/write", true)],
        Deed::PutBlob => &[
            ("containers/blobs/write", true),
            ("containers/blobs/add/action", true),
        ],
        Deed::DeleteBlob => &[("containers/blobs/delete", true)],
    }
}

fn anonymous(request: &Request<'_>, deed: Deed) -> Result<(), Answer> {
    let state = request.cloud.state();
    let container = state
        .accounts
        .get(&request.account)
        .and_then(|a| a.containers.get(&request.container));
    let access = container
        .map(|c| c.public_access.as_str())
        .unwrap_or_default();
    public_access(access, deed).ok_or_else(|| {
        drop(state);
        unauthenticated(request, "NoAuthenticationInformation")
    })
}

/// What a public container lets anybody do.
fn public_access(access: &str, deed: Deed) -> Option<()> {
    let open = match access {
        "Container" => matches!(deed, Deed::ReadBlob | Deed::ListBlobs | Deed::ReadContainer),
        "Blob" => deed == Deed::ReadBlob,
        _ => false,
    };
    open.then_some(())
}

fn shared_key(request: &Request<'_>, header: &str) -> Result<(), Answer> {
    let given = header
        .split_once(' ')
        .map(|(_, rest)| rest.trim())
        .and_then(|rest| rest.split_once(':'));
    let Some((account, signature)) = given.filter(|(account, _)| *account == request.account)
    else {
        return Err(failed(
            "The account name of the Authorization header is not this account's.",
        ));
    };
    let date = match request.call.header("x-ms-date") {
        "" => request.call.header("date"),
        given => given,
    };
    let sent = jiff::fmt::rfc2822::parse(date)
        .map_err(|_| failed("Request date header is missing or invalid."))?;
    if (sent.timestamp().as_second() - now() / 1000).abs() > SKEW {
        return Err(failed(&format!("Request date header too old: '{date}'")));
    }
    let text = string_to_sign(request, account);
    if signed(request, &text, signature) {
        return Ok(());
    }
    let shown = text.replace('\n', "\\n");
    Err(failed(&format!(
        "The MAC signature found in the HTTP request '{signature}' is not the same as any computed signature. Server used following string to sign: '{shown}'."
    )))
}

/// Whether one of the account's keys gives this signature (base64) for the text.
pub(super) fn signed(request: &Request<'_>, text: &str, signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else {
        return false;
    };
    let keys = request
        .cloud
        .state()
        .accounts
        .get(&request.account)
        .map(|a| a.keys.clone())
        .unwrap_or_default();
    keys.iter()
        .filter_map(|(key, _)| STANDARD.decode(key).ok())
        .any(|key| token::hmac(&key, text.as_bytes()) == signature)
}

/// The string that a SharedKey signature covers (versions from 2015-02-21 on).
fn string_to_sign(request: &Request<'_>, account: &str) -> String {
    let call = request.call;
    let mut text = format!("{}\n", call.method);
    for name in [
        "content-encoding",
        "content-language",
        "content-length",
        "content-md5",
        "content-type",
    ] {
        let value = call.header(name);
        text.push_str(if name == "content-length" && value == "0" {
            ""
        } else {
            value
        });
        text.push('\n');
    }
    text.push_str(if call.header("x-ms-date").is_empty() {
        call.header("date")
    } else {
        ""
    });
    text.push('\n');
    for name in [
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ] {
        text.push_str(call.header(name));
        text.push('\n');
    }
    let mut headers: Vec<(String, String)> = call
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).trim().to_owned(),
            )
        })
        .collect();
    headers.sort();
    for (name, value) in headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("/{account}{}", call.raw_path));
    let mut query: Vec<(String, String)> = call
        .query
        .iter()
        .map(|(k, v)| (k.to_ascii_lowercase(), v.clone()))
        .collect();
    query.sort();
    let mut last = None;
    for (name, value) in query {
        if last.as_ref() == Some(&name) {
            text.push_str(&format!(",{value}"));
        } else {
            text.push_str(&format!("\n{name}:{value}"));
        }
        last = Some(name);
    }
    text
}

/// 403 AuthenticationFailed, with what was wrong.
pub(super) fn failed(detail: &str) -> Answer {
    let text = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
    let mut answer = error(403, "AuthenticationFailed", text);
    let body = String::from_utf8_lossy(&answer.body).replace(
        "</Error>",
        &format!(
            "{}</Error>",
            super::xml::element("AuthenticationErrorDetail", detail)
        ),
    );
    answer.body = bytes::Bytes::from(body);
    answer
}
