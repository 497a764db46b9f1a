//! Key Vault's data plane: the challenge, who may do what, and the errors that every operation shares.

mod secrets;

use serde_json::{Value, json};

use crate::http::{Answer, Call, error, now};
use crate::roles::Plane;
use crate::state::Vault;
use crate::token::{Claims, Refusal};
use crate::{Cloud, token};

/// The answer to go on with, or the one that refuses.
type Outcome = Result<Answer, Answer>;

/// API versions that the data plane accepts.
const VERSIONS: &[&str] = &[
    "2016-10-01",
    "7.0",
    "7.1",
    "7.2",
    "7.3",
    "7.4",
    "7.5",
    "7.6",
    "2025-07-01",
];

/// One authenticated request to a vault.
struct Request<'a> {
    cloud: &'a Cloud,
    call: &'a Call,
    caller: Claims,
    /// The vault's key in the state.
    vault: String,
}

/// Answers requests to `*.vault.azure.net`.
pub(crate) fn handle(cloud: &Cloud, call: &Call) -> Answer {
    let answer = authenticate(cloud, call)
        .and_then(|request| request.route())
        .unwrap_or_else(|refused| refused);
    answer
        .with("x-ms-request-id", uuid::Uuid::new_v4().to_string())
        .with("x-ms-keyvault-service-version", "1.9.2000.1")
        .with(
            "x-ms-keyvault-network-info",
            "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;",
        )
        .with("cache-control", "no-cache")
}

fn authenticate<'a>(cloud: &'a Cloud, call: &'a Call) -> Result<Request<'a>, Answer> {
    let vault = call.host.split('.').next().unwrap_or_default().to_owned();
    if !cloud.state().vaults.contains_key(&vault) {
        // The real host name of a vault that does not exist cannot be resolved; a proxy says so with 502.
        return Err(error(
            502,
            "VaultNotFound",
            format!(
                "No vault answers at {}: the lab's Azure has none of that name.",
                call.host
            ),
        ));
    }
    let challenge = |text: &str, more: &str| {
        let authority = format!(
            "https://login.microsoftonline.com/{}",
            cloud.options.tenant_id
        );
        let header = format!(
            "Bearer authorization=\"{authority}\", resource=\"https://vault.azure.net\"{more}"
        );
        error(401, "Unauthorized", text).with("www-authenticate", header)
    };
    let Some(bearer) = call.bearer() else {
        return Err(challenge(
            "AKV10000: Request is missing a Bearer or PoP token.",
            "",
        ));
    };
    let key = cloud.state().signing_key.clone();
    let invalid = ", error=\"invalid_token\"";
    let caller = token::check(&key, bearer, now() / 1000).map_err(|refusal| match refusal {
        Refusal::Expired => challenge(
            "[TokenExpired] Error validating token: 'S2S12086'.",
            invalid,
        ),
        Refusal::Malformed | Refusal::Signature => challenge(
            "[BearerReadAccessTokenFailed] Error validating token: 'S2S12005'.",
            invalid,
        ),
    })?;
    if caller.audience.trim_end_matches('/') != "https://vault.azure.net" {
        let text = format!(
            "AKV10022: Invalid audience. Expected https://vault.azure.net, found: {}.",
            caller.audience
        );
        return Err(challenge(&text, invalid));
    }
    let request = Request {
        cloud,
        call,
        caller,
        vault,
    };
    match call.param("api-version") {
        None | Some("") => Err(error(400, "BadParameter", "api-version must be specified")),
        Some(v)
            if !VERSIONS.contains(
                &v.trim_end_matches("-preview.1")
                    .trim_end_matches("-preview"),
            ) =>
        {
            Err(error(
                400,
                "BadParameter",
                format!(
                    "The specified version ({v}) is not recognized. Consider using the latest supported version ({}).",
                    "7.6"
                ),
            ))
        }
        Some(_) => {
            request.firewall()?;
            Ok(request)
        }
    }
}

impl Request<'_> {
    fn route(&self) -> Outcome {
        let path = self.call.path();
        match (self.call.method.as_str(), path.as_slice()) {
            ("GET", ["secrets"]) => self.list_secrets(),
            ("PUT", ["secrets", name]) => self.set_secret(name),
            ("GET", ["secrets", name, "versions"]) => self.list_versions(name),
            ("GET", ["secrets", name]) => self.get_secret(name, None),
            ("GET", ["secrets", name, version]) => self.get_secret(name, Some(version)),
            ("PATCH", ["secrets", name]) => self.update_secret(name, None),
            ("PATCH", ["secrets", name, version]) => self.update_secret(name, Some(version)),
            ("DELETE", ["secrets", name]) => self.delete_secret(name),
            ("GET", ["deletedsecrets"]) => self.list_deleted(),
            ("GET", ["deletedsecrets", name]) => self.get_deleted(name),
            ("DELETE", ["deletedsecrets", name]) => self.purge_secret(name),
            ("POST", ["deletedsecrets", name, "recover"]) => self.recover_secret(name),
            (
                method,
                [
                    "secrets"
                    | "deletedsecrets"
                    | "certificates"
                    | "keys"
                    | "storage"
                    | "deletedkeys"
                    | "deletedcertificates"
                    | "rng",
                    ..,
                ],
            ) => {
                let text = format!(
                    "The lab does not simulate {method} {} of Key Vault.",
                    self.call.raw_path
                );
                Err(error(501, "NotImplemented", text))
            }
            _ => Err(error(
                404,
                "NotFound",
                format!("The requested path {} was not found.", self.call.raw_path),
            )),
        }
    }

    /// 403 from a vault that is closed to the public network.
    fn firewall(&self) -> Result<(), Answer> {
        let state = self.cloud.state();
        let Some(vault) = state.vaults.get(&self.vault) else {
            return Ok(());
        };
        let text = |path: &str| {
            vault
                .properties
                .get(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let acls = vault
            .properties
            .get("networkAcls")
            .cloned()
            .unwrap_or_default();
        let denied = acls
            .get("defaultAction")
            .and_then(Value::as_str)
            .is_some_and(|a| a.eq_ignore_ascii_case("Deny"));
        if text("publicNetworkAccess").eq_ignore_ascii_case("Disabled") {
            return Err(forbidden(
                "Public network access is disabled and request is not from a trusted service nor via an approved private link.",
                "ForbiddenByConnection",
            ));
        }
        let mine = |rule: &Value| {
            rule.get("value")
                .and_then(Value::as_str)
                .is_some_and(|v| v.starts_with("127.0.0.1") || v == "0.0.0.0/0")
        };
        let allowed = acls
            .get("ipRules")
            .and_then(Value::as_array)
            .is_some_and(|rules| rules.iter().any(mine));
        if denied && !allowed {
            let text = format!(
                "Client address is not authorized and caller is not a trusted service.\r\nClient address: 127.0.0.1\r\nCaller: {}\r\nVault: {};location={}",
                self.caller_text(),
                vault.name,
                vault.location
            );
            return Err(forbidden(&text, "ForbiddenByFirewall"));
        }
        Ok(())
    }

    /// 403 unless a role (or, without RBAC, an access policy) lets the caller do this.
    fn authorize(&self, action: &str, permission: &str, name: &str) -> Result<(), Answer> {
        let lagging = self.cloud.fault("rbac-lag");
        let state = self.cloud.state();
        let Some(vault) = state.vaults.get(&self.vault) else {
            return Err(error(404, "VaultNotFound", "The vault is gone."));
        };
        let id = format!(
            "{}/resourceGroups/{}/providers/Microsoft.KeyVault/vaults/{}",
            self.cloud.subscription_scope(),
            vault.group,
            vault.name
        );
        let resource = if name.is_empty() {
            id
        } else {
            format!("{id}/secrets/{name}")
        };
        if vault.flag("enableRbacAuthorization") {
            let action = format!("Microsoft.KeyVault/vaults/secrets/{action}");
            if !lagging
                && state.allows(
                    &self.caller.object_id,
                    &resource,
                    &action,
                    Plane::Data(now()),
                )
            {
                return Ok(());
            }
            let text = format!(
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: {}\r\nAction: '{action}'\r\nResource: '{}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: null \r\nVault: {};location={}\r\n",
                self.caller_text(),
                resource.to_ascii_lowercase(),
                vault.name,
                vault.location
            );
            return Err(forbidden(&text, "ForbiddenByRbac"));
        }
        if policy_allows(vault, &self.caller.object_id, permission) {
            return Ok(());
        }
        let text = format!(
            "The user, group or application '{}' does not have secrets {permission} permission on key vault '{};location={}'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287",
            self.caller_text(),
            vault.name,
            vault.location
        );
        Err(forbidden(&text, "AccessDenied"))
    }

    fn caller_text(&self) -> String {
        format!(
            "appid={};oid={};iss=https://sts.windows.net/{}/",
            self.caller.app_id, self.caller.object_id, self.caller.tenant
        )
    }

    fn base(&self) -> String {
        format!("https://{}.vault.azure.net", self.vault)
    }
}

fn policy_allows(vault: &Vault, principal: &str, permission: &str) -> bool {
    let policies = vault
        .properties
        .get("accessPolicies")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let mine = policies.iter().filter(|p| {
        p.get("objectId")
            .and_then(Value::as_str)
            .is_some_and(|o| o.eq_ignore_ascii_case(principal))
    });
    mine.filter_map(|p| p.pointer("/permissions/secrets").and_then(Value::as_array))
        .flatten()
        .any(|granted| {
            granted.as_str().is_some_and(|g| {
                g.eq_ignore_ascii_case(permission)
                    || (g.eq_ignore_ascii_case("all") && permission != "purge")
            })
        })
}

fn forbidden(text: &str, inner: &str) -> Answer {
    with_inner(403, "Forbidden", text, inner)
}

/// An error with an inner code.
fn with_inner(status: u16, code: &str, text: &str, inner: &str) -> Answer {
    Answer::json(
        status,
        &json!({"error": {"code": code, "message": text, "innererror": {"code": inner}}}),
    )
}
