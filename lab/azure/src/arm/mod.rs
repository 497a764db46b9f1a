//! Resource Manager: who asks, which API version, which resource; the parts of the tree are in the modules below.

mod accounts;
mod assignments;
mod body;
mod containers;
mod definitions;
mod groups;
mod identities;
mod operations;
mod providers;
mod vaults;
mod versions;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::http::{Answer, Call, error, now};
use crate::roles::Plane;
use crate::token::{Claims, Refusal};
use crate::{Cloud, metadata, token};

pub(crate) use containers::valid_container_name;

/// The answer to go on with, or the one that refuses.
pub(crate) type Outcome = Result<Answer, Answer>;

/// One authenticated request.
pub(crate) struct Arm<'a> {
    pub cloud: &'a Cloud,
    pub call: &'a Call,
    pub caller: Claims,
}

/// Answers requests to `management.azure.com`.
pub(crate) fn handle(cloud: &Cloud, call: &Call) -> Answer {
    let answer = if call.path() == ["metadata", "endpoints"] && call.method == "GET" {
        metadata::handle(call)
    } else {
        authenticate(cloud, call)
            .and_then(|arm| arm.route())
            .unwrap_or_else(|refused| refused)
    };
    let correlation = match call.header("x-ms-correlation-request-id") {
        "" => Uuid::new_v4().to_string(),
        given => given.to_owned(),
    };
    answer
        .with("x-ms-request-id", Uuid::new_v4().to_string())
        .with("x-ms-correlation-request-id", correlation)
}

fn authenticate<'a>(cloud: &'a Cloud, call: &'a Call) -> Result<Arm<'a>, Answer> {
    let refuse = |code: &str, text: &str| {
        let authority = format!(
            "https://login.microsoftonline.com/{}",
            cloud.options.tenant_id
        );
        let challenge = format!(
            "Bearer authorization_uri=\"{authority}\", error=\"invalid_token\", error_description=\"{text}\""
        );
        error(401, code, text).with("www-authenticate", challenge)
    };
    let Some(token) = call.bearer() else {
        return Err(refuse(
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        ));
    };
    let key = cloud.state().signing_key.clone();
    let caller = token::check(&key, token, now() / 1000).map_err(|refusal| match refusal {
        Refusal::Expired => refuse(
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than the current UTC time.",
        ),
        Refusal::Malformed => refuse("InvalidAuthenticationToken", "The access token is invalid."),
        Refusal::Signature => refuse(
            "InvalidAuthenticationToken",
            "Could not validate the access token: the signature is invalid.",
        ),
    })?;
    if ![
        "https://management.azure.com",
        "https://management.core.windows.net",
    ]
    .contains(&caller.audience.trim_end_matches('/'))
    {
        let text = format!(
            "The access token has been obtained for wrong audience or resource '{}'. It should exactly match with one of the allowed audiences 'https://management.core.windows.net/','https://management.core.windows.net','https://management.azure.com/','https://management.azure.com'.",
            caller.audience
        );
        return Err(refuse("InvalidAuthenticationTokenAudience", &text));
    }
    if !cloud.knows_tenant(&caller.tenant) {
        return Err(refuse(
            "InvalidAuthenticationTokenTenant",
            "The access token is from the wrong issuer. It must match the tenant of this subscription.",
        ));
    }
    if cloud.fault("throttle") {
        let text = "The request was throttled. The number of requests for the subscription has exceeded the limit of the token bucket.";
        return Err(error(429, "SubscriptionRequestsThrottled", text)
            .with("retry-after", if cloud.lasting(1) == 0 { "0" } else { "1" }));
    }
    Ok(Arm {
        cloud,
        call,
        caller,
    })
}

impl Arm<'_> {
    fn route(&self) -> Outcome {
        let version = self.call.param("api-version").filter(|v| !v.is_empty());
        let version = version.ok_or_else(|| {
            error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        })?;
        let lower: Vec<String> = self
            .call
            .segments
            .iter()
            .map(|s| s.to_ascii_lowercase())
            .collect();
        let path: Vec<&str> = lower.iter().map(String::as_str).collect();
        let names = self.call.path();
        let method = self.call.method.as_str();
        // Extension resources hang below any scope, so they are looked for from the end.
        if let Some(at) = path
            .windows(2)
            .rposition(|w| w == ["providers", "microsoft.authorization"])
        {
            let scope = self.scope(&names, at)?;
            return match path.get(at + 2..).unwrap_or_default() {
                ["roleassignments"] => self
                    .checked("roleAssignments", version)
                    .and_then(|()| self.assignments(&scope)),
                ["roleassignments", _] => self
                    .checked("roleAssignments", version)
                    .and_then(|()| self.assignment(&scope, last(&names))),
                ["roledefinitions"] => self
                    .checked("roleDefinitions", version)
                    .and_then(|()| self.definitions(&scope)),
                ["roledefinitions", _] => self
                    .checked("roleDefinitions", version)
                    .and_then(|()| self.definition(&scope, last(&names))),
                _ => Err(self.not_simulated()),
            };
        }
        match path.as_slice() {
            ["subscriptions"] if method == "GET" => {
                self.checked("subscriptions", version)?;
                Ok(Answer::json(
                    200,
                    &json!({"value": [self.subscription()], "count": {"type": "Total", "value": 1}}),
                ))
            }
            ["tenants"] if method == "GET" => {
                self.checked("subscriptions", version)?;
                let tenant = &self.cloud.options.tenant_id;
                Ok(Answer::json(
                    200,
                    &json!({"value": [{"id": format!("/tenants/{tenant}"), "tenantId": tenant, "displayName": "stead lab"}]}),
                ))
            }
            ["subscriptions", id, rest @ ..] => {
                self.in_subscription(id)?;
                self.below_subscription(rest, names.get(2..).unwrap_or_default(), version)
            }
            _ => Err(self.not_simulated()),
        }
    }

    fn below_subscription(&self, path: &[&str], names: &[&str], version: &str) -> Outcome {
        let name = |at: usize| names.get(at).copied().unwrap_or_default();
        let method = self.call.method.as_str();
        let checked = |kind: &str| self.checked(kind, version);
        match path {
            [] if method == "GET" => {
                checked("subscriptions").map(|()| Answer::json(200, &self.subscription()))
            }
            ["locations"] if method == "GET" => checked("subscriptions")
                .map(|()| providers::locations(&self.cloud.subscription_scope())),
            ["providers"] if method == "GET" => checked("providers").map(|()| self.providers()),
            ["providers", _] if method == "GET" => {
                checked("providers").and_then(|()| self.provider(name(1)))
            }
            ["providers", _, "register"] if method == "POST" => {
                checked("providers").and_then(|()| self.register(name(1)))
            }
            ["resources"] if method == "GET" => {
                checked("resources").and_then(|()| self.resources(None))
            }
            ["operationresults", _] if method == "GET" => {
                checked("resourceGroups").and_then(|()| self.poll(name(1)))
            }
            ["resourcegroups"] if method == "GET" => {
                checked("resourceGroups").and_then(|()| self.groups())
            }
            ["resourcegroups", _] => checked("resourceGroups").and_then(|()| self.group(name(1))),
            ["resourcegroups", _, "resources"] if method == "GET" => {
                checked("resources").and_then(|()| self.resources(Some(name(1))))
            }
            ["providers", "microsoft.keyvault", rest @ ..] => {
                checked("vaults")?;
                match rest {
                    ["vaults"] if method == "GET" => self.vaults(None),
                    ["deletedvaults"] if method == "GET" => self.deleted_vaults(),
                    ["checknameavailability"] if method == "POST" => self.vault_name_available(),
                    ["locations", _, "deletedvaults", _] if method == "GET" => {
                        self.deleted_vault(name(3), name(5))
                    }
                    ["locations", _, "deletedvaults", _, "purge"] if method == "POST" => {
                        self.purge_vault(name(3), name(5))
                    }
                    ["locations", _, "operationresults", _] if method == "GET" => {
                        self.poll(name(5))
                    }
                    _ => Err(self.not_simulated()),
                }
            }
            ["providers", "microsoft.storage", rest @ ..] => {
                checked("storageAccounts")?;
                match rest {
                    ["storageaccounts"] if method == "GET" => self.accounts(None),
                    ["checknameavailability"] if method == "POST" => self.account_name_available(),
                    ["locations", _, "asyncoperations", _] if method == "GET" => self.poll(name(5)),
                    _ => Err(self.not_simulated()),
                }
            }
            [
                "providers",
                "microsoft.managedidentity",
                "userassignedidentities",
            ] if method == "GET" => {
                checked("userAssignedIdentities").and_then(|()| self.identities(None))
            }
            ["resourcegroups", group, "providers", rest @ ..] => {
                let names = names.get(3..).unwrap_or_default();
                self.below_group(group, rest, names, version)
            }
            _ => Err(self.not_simulated()),
        }
    }

    fn below_group(&self, group: &str, path: &[&str], names: &[&str], version: &str) -> Outcome {
        let name = |at: usize| names.get(at).copied().unwrap_or_default();
        let method = self.call.method.as_str();
        match path {
            ["microsoft.keyvault", "vaults", rest @ ..] => {
                self.checked("vaults", version)?;
                self.group_exists(group)?;
                match rest {
                    [] if method == "GET" => self.vaults(Some(group)),
                    [_] => self.vault(group, name(2)),
                    [_, "accesspolicies", _] if method == "PUT" => {
                        self.access_policies(group, name(2), name(4))
                    }
                    _ => Err(self.not_simulated()),
                }
            }
            ["microsoft.storage", "storageaccounts", rest @ ..] => {
                self.checked("storageAccounts", version)?;
                self.group_exists(group)?;
                match rest {
                    [] if method == "GET" => self.accounts(Some(group)),
                    [_] => self.account(group, name(2)),
                    [_, "listkeys"] if method == "POST" => self.list_keys(group, name(2)),
                    [_, "regeneratekey"] if method == "POST" => self.regenerate_key(group, name(2)),
                    [
                        _,
                        "blobservices" | "fileservices" | "queueservices" | "tableservices",
                        "default",
                    ] => self.service(group, name(2), name(3)),
                    [_, "blobservices", "default", "containers"] if method == "GET" => {
                        self.containers(group, name(2))
                    }
                    [_, "blobservices", "default", "containers", _] => {
                        self.container(group, name(2), name(6))
                    }
                    _ => Err(self.not_simulated()),
                }
            }
            [
                "microsoft.managedidentity",
                "userassignedidentities",
                rest @ ..,
            ] => {
                self.checked("userAssignedIdentities", version)?;
                self.group_exists(group)?;
                match rest {
                    [] if method == "GET" => self.identities(Some(group)),
                    [_] => self.identity(group, name(2)),
                    _ => Err(self.not_simulated()),
                }
            }
            _ => Err(self.not_simulated()),
        }
    }

    /// The scope that precedes an extension resource; the subscription must be the lab's.
    fn scope(&self, names: &[&str], at: usize) -> Result<String, Answer> {
        let segments = names.get(..at).unwrap_or_default();
        if let [first, subscription, ..] = segments
            && first.eq_ignore_ascii_case("subscriptions")
        {
            self.in_subscription(subscription)?;
        }
        Ok(segments.iter().map(|s| format!("/{s}")).collect())
    }

    fn in_subscription(&self, id: &str) -> Result<(), Answer> {
        if id.eq_ignore_ascii_case(&self.cloud.options.subscription_id) {
            return Ok(());
        }
        if Uuid::parse_str(id).is_err() {
            return Err(error(
                400,
                "InvalidSubscriptionId",
                format!("The provided subscription identifier '{id}' is malformed or invalid."),
            ));
        }
        Err(error(
            404,
            "SubscriptionNotFound",
            format!("The subscription '{id}' could not be found."),
        ))
    }

    fn subscription(&self) -> Value {
        let options = &self.cloud.options;
        json!({
            "id": self.cloud.subscription_scope(), "subscriptionId": options.subscription_id, "tenantId": options.tenant_id,
            "displayName": "stead lab", "state": "Enabled", "authorizationSource": "RoleBased", "managedByTenants": [],
            "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off"},
        })
    }

    fn checked(&self, kind: &str, version: &str) -> Result<(), Answer> {
        versions::check(kind, version)
    }

    /// 403 unless the caller may do this.
    pub(crate) fn authorize(&self, scope: &str, action: &str) -> Result<(), Answer> {
        if self
            .cloud
            .state()
            .allows(&self.caller.object_id, scope, action, Plane::Control)
        {
            return Ok(());
        }
        let text = format!(
            "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
            self.caller.app_id, self.caller.object_id
        );
        Err(error(403, "AuthorizationFailed", text))
    }

    /// The path of a resource in a group, as ids are written.
    pub(crate) fn resource_id(&self, group: &str, kind: &str, name: &str) -> String {
        format!(
            "{}/resourceGroups/{group}/providers/{kind}/{name}",
            self.cloud.subscription_scope()
        )
    }

    /// Whether this read is to miss what exists (the fault `azure.read-lag`).
    pub(crate) fn read_lags(&self) -> bool {
        self.call.method == "GET" && self.cloud.fault("read-lag")
    }

    pub(crate) fn not_simulated(&self) -> Answer {
        let text = format!(
            "The lab does not simulate {} {} of Azure Resource Manager.",
            self.call.method, self.call.raw_path
        );
        error(501, "NotImplemented", text)
    }
}

/// 404 for a resource that is not there.
pub(crate) fn resource_not_found(kind: &str, name: &str, group: &str) -> Answer {
    let text = format!(
        "The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
    );
    error(404, "ResourceNotFound", text)
}

fn last<'a>(names: &[&'a str]) -> &'a str {
    names.last().copied().unwrap_or_default()
}
