//! Microsoft Graph, only as far as looking up the tenant's own applications.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{Answer, Call, iso_seconds, now};
use crate::{Cloud, Principal, token};

/// Answers requests to `graph.microsoft.com`.
pub(crate) fn handle(cloud: &Cloud, call: &Call) -> Answer {
    let valid = call
        .bearer()
        .map(|t| token::check(&cloud.state().signing_key, t, now() / 1000));
    match valid {
        Some(Ok(claims))
            if claims.audience.trim_end_matches('/') == "https://graph.microsoft.com" => {}
        Some(Ok(_)) => {
            return error(
                401,
                "InvalidAuthenticationToken",
                "Access token validation failure. Invalid audience.",
            );
        }
        Some(Err(_)) => {
            return error(
                401,
                "InvalidAuthenticationToken",
                "Lifetime validation failed, the token is expired or invalid.",
            );
        }
        None => return error(401, "InvalidAuthenticationToken", "Access token is empty."),
    }
    let principals = &cloud.options.principals;
    match (call.method.as_str(), call.path().as_slice()) {
        ("GET", ["v1.0" | "beta", "servicePrincipals"]) => {
            match call.param("$filter").map(app_id_filter) {
                None => list(principals.iter().collect()),
                Some(Some(id)) => list(
                    principals
                        .iter()
                        .filter(|p| p.client_id.eq_ignore_ascii_case(&id))
                        .collect(),
                ),
                Some(None) => error(
                    400,
                    "Request_UnsupportedQuery",
                    "The lab's Graph filters service principals by \"appId eq '…'\" only.",
                ),
            }
        }
        (
            "GET",
            [
                "v1.0" | "beta",
                "servicePrincipals" | "directoryObjects",
                id,
            ],
        ) => {
            match principals
                .iter()
                .find(|p| p.object_id.eq_ignore_ascii_case(id))
            {
                Some(found) => Answer::json(200, &object(found)),
                None => {
                    let text = format!(
                        "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
                    );
                    error(404, "Request_ResourceNotFound", &text)
                }
            }
        }
        (method, _) => error(
            501,
            "NotImplemented",
            &format!(
                "the lab does not simulate {method} {} of Microsoft Graph",
                call.raw_path
            ),
        ),
    }
}

fn app_id_filter(filter: &str) -> Option<String> {
    filter
        .trim()
        .strip_prefix("appId eq '")?
        .strip_suffix('\'')
        .map(str::to_owned)
}

fn list(found: Vec<&Principal>) -> Answer {
    let value: Vec<Value> = found.into_iter().map(object).collect();
    Answer::json(
        200,
        &json!({"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#servicePrincipals", "value": value}),
    )
}

fn object(principal: &Principal) -> Value {
    json!({
        "@odata.type": "#microsoft.graph.servicePrincipal", "id": principal.object_id, "appId": principal.client_id,
        "displayName": principal.name, "accountEnabled": true, "servicePrincipalType": "Application",
    })
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let inner = json!({"date": iso_seconds(now()), "request-id": Uuid::new_v4().to_string()});
    Answer::json(
        status,
        &json!({"error": {"code": code, "message": message, "innerError": inner}}),
    )
}
