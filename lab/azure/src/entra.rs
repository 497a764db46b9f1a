//! Microsoft Entra ID: discovery documents and the client-credentials grant, with AADSTS errors.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{Answer, Call, iso_seconds, now, pairs};
use crate::{Cloud, token};

/// Seconds that a token lives (Entra: 60 to 90 minutes).
const LIFETIME: i64 = 3599;

/// Resources for which the lab's tenant issues tokens; storage accounts' own host names come on top.
const RESOURCES: &[&str] = &[
    "https://management.azure.com",
    "https://management.core.windows.net",
    "https://vault.azure.net",
    "https://storage.azure.com",
    "https://graph.microsoft.com",
];

/// Answers requests to `login.microsoftonline.com`.
pub(crate) fn handle(cloud: &Cloud, call: &Call) -> Answer {
    match (call.method.as_str(), call.path().as_slice()) {
        ("GET", ["common", "discovery", "instance"]) => instance(call),
        ("GET", [tenant, ".well-known", "openid-configuration"]) => {
            configuration(cloud, tenant, false)
        }
        ("GET", [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
            configuration(cloud, tenant, true)
        }
        // Tokens are signed with a secret key, so there is nothing to publish.
        ("GET", [_, "discovery", "keys"] | [_, "discovery", "v2.0", "keys"]) => {
            Answer::json(200, &json!({"keys": []}))
        }
        ("POST", [tenant, "oauth2", "v2.0", "token"]) => grant(cloud, tenant, call, true),
        ("POST", [tenant, "oauth2", "token"]) => grant(cloud, tenant, call, false),
        (_, [_, "oauth2", "v2.0", "token"] | [_, "oauth2", "token"]) => refusal(
            400,
            "invalid_request",
            900561,
            "The endpoint only accepts POST requests. Received a GET request.",
        ),
        _ => Answer::json(
            404,
            &json!({"error": "not_found", "error_description": format!("the lab's Entra ID has no {}", call.raw_path)}),
        ),
    }
}

fn instance(call: &Call) -> Answer {
    let endpoint = call.param("authorization_endpoint").unwrap_or_default();
    let tenant = endpoint
        .split('/')
        .nth(3)
        .filter(|t| !t.is_empty())
        .unwrap_or("common");
    let names = [
        "login.microsoftonline.com",
        "login.windows.net",
        "login.microsoft.com",
        "sts.windows.net",
    ];
    Answer::json(
        200,
        &json!({
            "tenant_discovery_endpoint": format!("https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"),
            "api-version": "1.1",
            "metadata": [{"preferred_network": names[0], "preferred_cache": names[1], "aliases": names}],
        }),
    )
}

fn configuration(cloud: &Cloud, tenant: &str, v2: bool) -> Answer {
    if !cloud.knows_tenant(tenant) {
        return tenant_not_found(tenant);
    }
    let base = format!("https://login.microsoftonline.com/{tenant}");
    let version = if v2 { "/v2.0" } else { "" };
    let issuer = if v2 {
        format!("{base}/v2.0")
    } else {
        format!("https://sts.windows.net/{}/", cloud.options.tenant_id)
    };
    Answer::json(
        200,
        &json!({
            "token_endpoint": format!("{base}/oauth2{version}/token"),
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
            "jwks_uri": format!("{base}/discovery{version}/keys"),
            "response_types_supported": ["token"],
            "issuer": issuer,
            "authorization_endpoint": format!("{base}/oauth2{version}/authorize"),
            "device_authorization_endpoint": format!("{base}/oauth2{version}/devicecode"),
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": "graph.microsoft.com",
        }),
    )
}

fn grant(cloud: &Cloud, tenant: &str, call: &Call, v2: bool) -> Answer {
    if !cloud.knows_tenant(tenant) {
        return tenant_not_found(tenant);
    }
    let form = pairs(&String::from_utf8_lossy(&call.body));
    let field = |name: &str| {
        form.iter()
            .find(|(k, _)| k == name)
            .map(|(_, v)| v.as_str())
            .filter(|v| !v.is_empty())
    };
    let missing = |name: &str| {
        refusal(
            400,
            "invalid_request",
            900144,
            &format!("The request body must contain the following parameter: '{name}'."),
        )
    };
    match field("grant_type") {
        None => return missing("grant_type"),
        Some("client_credentials") => {}
        Some(_) => {
            return refusal(
                400,
                "unsupported_grant_type",
                70003,
                "The app requested an unsupported grant type. The lab issues tokens for 'client_credentials' only.",
            );
        }
    }
    let (basic_id, basic_secret) = basic(call).unzip();
    let Some(client) = field("client_id").map(str::to_owned).or(basic_id) else {
        return missing("client_id");
    };
    let Some(wanted) = field(if v2 { "scope" } else { "resource" }) else {
        return missing(if v2 { "scope" } else { "resource" });
    };
    let audience = if v2 {
        wanted.split(' ').find_map(|s| s.strip_suffix("/.default"))
    } else {
        Some(wanted)
    };
    let Some(audience) = audience else {
        let text = format!(
            "The provided value for scope {wanted} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
        );
        return refusal(400, "invalid_scope", 1002012, &text);
    };
    if field("client_assertion").is_some() {
        return refusal(
            400,
            "invalid_request",
            7000216,
            "The lab's Entra ID does not simulate client assertions; use 'client_secret'.",
        );
    }
    let Some(principal) = cloud
        .options
        .principals
        .iter()
        .find(|p| p.client_id.eq_ignore_ascii_case(&client))
    else {
        let text = format!(
            "Application with identifier '{client}' was not found in the directory 'stead lab'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."
        );
        return refusal(400, "unauthorized_client", 700016, &text);
    };
    let Some(secret) = field("client_secret").map(str::to_owned).or(basic_secret) else {
        return refusal(
            401,
            "invalid_client",
            7000216,
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        );
    };
    if secret != principal.client_secret.0 {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{client}'."
        );
        return refusal(401, "invalid_client", 7000215, &text);
    }
    if !known_resource(audience) {
        let text = format!(
            "The resource principal named {audience} was not found in the tenant named stead lab. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant."
        );
        return refusal(400, "invalid_resource", 500011, &text);
    }
    let time = now() / 1000;
    let claims = token::Claims {
        audience: audience.to_owned(),
        tenant: cloud.options.tenant_id.clone(),
        object_id: principal.object_id.clone(),
        app_id: principal.client_id.clone(),
        expires: time + LIFETIME,
    };
    let token = token::issue(
        &cloud.state().signing_key,
        &claims,
        time,
        &Uuid::new_v4().simple().to_string(),
    );
    let mut body = json!({"token_type": "Bearer", "expires_in": LIFETIME, "ext_expires_in": LIFETIME, "access_token": token});
    if !v2 && let Some(body) = body.as_object_mut() {
        // Version 1 wrote numbers as text and named the resource.
        body.insert("expires_in".into(), json!(LIFETIME.to_string()));
        body.insert("ext_expires_in".into(), json!(LIFETIME.to_string()));
        body.insert("expires_on".into(), json!((time + LIFETIME).to_string()));
        body.insert("not_before".into(), json!(time.to_string()));
        body.insert("resource".into(), json!(audience));
    }
    Answer::json(200, &body)
        .with("cache-control", "no-store, no-cache")
        .with("pragma", "no-cache")
}

/// Client id and secret of an `Authorization: Basic` header.
fn basic(call: &Call) -> Option<(String, String)> {
    use base64::Engine;
    let encoded = call.header("authorization").strip_prefix("Basic ")?;
    let text = String::from_utf8(
        base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .ok()?,
    )
    .ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((
        crate::http::decode(id, true),
        crate::http::decode(secret, true),
    ))
}

fn known_resource(audience: &str) -> bool {
    let bare = audience.trim_end_matches('/');
    RESOURCES.contains(&bare)
        || bare
            .strip_prefix("https://")
            .is_some_and(|host| host.ends_with(".blob.core.windows.net"))
}

fn tenant_not_found(tenant: &str) -> Answer {
    let text = format!(
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
    );
    refusal(400, "invalid_request", 90002, &text)
}

fn refusal(status: u16, error: &str, code: u32, text: &str) -> Answer {
    let (trace, correlation) = (Uuid::new_v4(), Uuid::new_v4());
    let time = iso_seconds(now()).replace('T', " ");
    let body: Value = json!({
        "error": error,
        "error_description": format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"),
        "error_codes": [code], "timestamp": time, "trace_id": trace.to_string(), "correlation_id": correlation.to_string(),
        "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
    });
    Answer::json(status, &body).with("cache-control", "no-store, no-cache")
}
