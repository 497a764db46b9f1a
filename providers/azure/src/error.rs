//! Azure's refusals: code and message from the body, and what the user can do about them.

use azure_core::error::ErrorKind as AzureErrorKind;
use serde_json::Value as Json;
use stead_sdk::value::Diagnostic;
use stead_sdk::{Error, Failure, chain};

/// How `azure_core` says that a request was not sent for want of a token, and no more. While several requests are under way at the same
/// time, the token of all is thrown away when one of them is answered with 401, which is how Key Vault begins: another one that
/// has just got its token does not find it any more. Facts: azure_core 1.1 `http/policies/auth/bearer_token_policy.rs`.
const TOKEN_GONE: &str = "The request failed due to an error while fetching the access token.";

/// A failed request, with the codes that callers decide by.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    /// The outer code, such as `Conflict`, then those of inner errors, such as `ObjectIsBeingDeleted`.
    codes: Vec<String>,
    /// The server could not be reached at all.
    unreachable: bool,
    /// The request did not leave, for its token had been thrown away by another one.
    unsigned: bool,
    /// The write itself was accepted, and what follows it failed: the object may exist.
    accepted: bool,
    error: Error,
}

impl ApiError {
    /// From an answer's status and body: `{"error": {"code", "message", "innererror", "details"}}`.
    pub(crate) fn answered(asked: &str, status: u16, body: &[u8], who: &str) -> ApiError {
        let body: Json = serde_json::from_slice(body).unwrap_or_default();
        let mut codes = Vec::new();
        let outer = body.get("error").unwrap_or(&body);
        let mut inner = Some(outer);
        while let Some(error) = inner {
            codes.extend(error.get("code").and_then(Json::as_str).map(str::to_owned));
            inner = error.get("innererror");
        }
        let details = outer.get("details").and_then(Json::as_array);
        for detail in details.into_iter().flatten() {
            codes.extend(detail.get("code").and_then(Json::as_str).map(str::to_owned));
        }
        let message = outer
            .get("message")
            .and_then(Json::as_str)
            .unwrap_or("no explanation");
        let said = match codes.as_slice() {
            [] => format!("{status}: {message}"),
            codes => format!("{status} {}: {message}", codes.join("/")),
        };
        let error = Error::http(status, asked, said);
        // A 404 of the subscription does not mean that the object is gone: it cannot be seen from here.
        let hidden = |code: &String| {
            ["SubscriptionNotFound", "InvalidSubscriptionId"].contains(&code.as_str())
        };
        let error = if codes.iter().any(hidden) {
            error.with_kind(stead_sdk::ErrorKind::Denied)
        } else {
            error
        };
        let error = match remedy(&codes, message, who) {
            Some(remedy) => error.remedy(remedy),
            None => error,
        };
        ApiError {
            codes,
            unreachable: false,
            unsigned: false,
            accepted: false,
            error,
        }
    }

    /// From the official crates: an HTTP answer, a credential that failed, or a connection that did.
    pub(crate) fn from_azure(asked: &str, error: &azure_core::Error, who: &str) -> ApiError {
        if let AzureErrorKind::HttpResponse {
            status,
            raw_response,
            error_code,
        } = error.kind()
        {
            let body: &[u8] = raw_response.as_ref().map_or(&[], |r| r.body().as_ref());
            let mut found = ApiError::answered(asked, u16::from(*status), body, who);
            if let (true, Some(code)) = (found.codes.is_empty(), error_code) {
                found.codes.push(code.clone());
            }
            return found;
        }
        let said = chain(error);
        let unreachable = matches!(
            error.kind(),
            AzureErrorKind::Connection | AzureErrorKind::Io
        );
        // A credential that failed has a cause of its own behind this.
        let unsigned = said.ends_with(TOKEN_GONE);
        let error = if unreachable {
            let remedy = if said.contains("certificate") {
                "The server's certificate is not trusted: name its authority with SSL_CERT_FILE."
            } else {
                "Check the name, and that this machine reaches the network of Azure."
            };
            Error::transient(asked, said).remedy(remedy)
        } else {
            let remedy = sign_in_remedy(&said);
            let error = match error.kind() {
                AzureErrorKind::Credential => {
                    Error::of_kind(stead_sdk::ErrorKind::Denied, asked, said)
                }
                _ => Error::new(asked, said),
            };
            match remedy {
                Some(remedy) => error.remedy(remedy),
                None => error,
            }
        };
        ApiError {
            codes: Vec::new(),
            unreachable,
            unsigned,
            accepted: false,
            error,
        }
    }

    pub(crate) fn is(&self, codes: &[&str]) -> bool {
        self.codes
            .iter()
            .any(|own| codes.iter().any(|c| own.eq_ignore_ascii_case(c)))
    }

    /// The codes, for a progress line.
    pub(crate) fn reason(&self) -> String {
        if self.codes.is_empty() {
            self.error.said().to_owned()
        } else {
            self.codes.join("/")
        }
    }

    pub(crate) fn is_unreachable(&self) -> bool {
        self.unreachable
    }

    pub(crate) fn is_unsigned(&self) -> bool {
        self.unsigned
    }

    pub(crate) fn is_not_found(&self) -> bool {
        self.error.is_not_found()
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.error.status()
    }

    /// The same failure, of what follows an accepted write.
    #[must_use]
    pub(crate) fn after_acceptance(mut self) -> ApiError {
        self.accepted = true;
        self
    }

    /// The failure of a creation, with the object if it may exist.
    pub(crate) fn keeping<T>(self, object: T) -> Failure<T> {
        if self.accepted {
            Failure::partial(self.error, object)
        } else {
            self.error.into()
        }
    }

    /// The same failure with another remedy.
    #[must_use]
    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> ApiError {
        self.error = self.error.remedy(remedy);
        self
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        ApiError {
            codes: Vec::new(),
            unreachable: false,
            unsigned: false,
            accepted: false,
            error,
        }
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        error.error
    }
}

impl From<ApiError> for Diagnostic {
    fn from(error: ApiError) -> Self {
        error.error.into()
    }
}

impl<T> From<ApiError> for Failure<T> {
    fn from(error: ApiError) -> Self {
        error.error.into()
    }
}

/// What helps against Entra ID's commonest refusals.
fn sign_in_remedy(said: &str) -> Option<&'static str> {
    const KNOWN: &[(&str, &str)] = &[
        (
            "AADSTS7000215",
            "`client_secret` is not valid: pass the secret's value (not its id), or make a new one with `az ad app credential reset --id CLIENT_ID`.",
        ),
        (
            "AADSTS7000222",
            "The client secret has expired: make a new one with `az ad app credential reset --id CLIENT_ID`.",
        ),
        (
            "AADSTS700016",
            "The tenant does not know this application: check `client_id` and `tenant_id`.",
        ),
        ("AADSTS90002", "There is no such tenant: check `tenant_id`."),
        (
            "az login",
            "Run `az login`, or set `client_id`, `client_secret` and `tenant_id` (ARM_CLIENT_ID, ARM_CLIENT_SECRET, ARM_TENANT_ID).",
        ),
    ];
    KNOWN
        .iter()
        .find(|(code, _)| said.contains(code))
        .map(|(_, remedy)| *remedy)
}

/// What the user can do about a refusal. `who` is the application or user that asks.
fn remedy(codes: &[String], message: &str, who: &str) -> Option<String> {
    let assign = |role: &str, scope: &str| {
        format!(
            "Give it the role: `az role assignment create --assignee {who} --role \"{role}\" --scope {scope}`. A new \
             assignment may take some minutes to count."
        )
    };
    let of = |code: &str| -> Option<String> {
        Some(match code {
            "AuthorizationFailed" | "LinkedAuthorizationFailed" => {
                let action = between(message, "action '", "'").unwrap_or_default();
                let role = if action.starts_with("Microsoft.Authorization/roleAssignments") {
                    "Role Based Access Control Administrator"
                } else {
                    "Contributor"
                };
                let scope = between(message, "scope '", "'").unwrap_or("SCOPE");
                assign(role, scope)
            }
            "ForbiddenByRbac" => assign("Key Vault Secrets Officer", "ID_OF_THE_VAULT"),
            "ForbiddenByPolicy" | "AccessDenied" => format!(
                "Let it use the vault's secrets: `az keyvault set-policy --name VAULT --spn {who} --secret-permissions get \
                 list set delete recover purge`."
            ),
            "ForbiddenByFirewall" => {
                "Let this address through: `az keyvault network-rule add --name VAULT --ip-address ADDRESS`.".into()
            }
            "SubscriptionNotFound" | "InvalidSubscriptionId" => {
                "Check `subscription_id` (ARM_SUBSCRIPTION_ID), and that the credentials belong to its tenant.".into()
            }
            "InvalidAuthenticationTokenTenant" => "Check `tenant_id` (ARM_TENANT_ID).".into(),
            "MissingSubscriptionRegistration" => format!(
                "Register it: `az provider register --namespace {}`, or set `resource_provider_registrations = \"core\"`.",
                between(message, "namespace '", "'").unwrap_or("NAMESPACE")
            ),
            "ResourceGroupNotFound" => {
                "Create the resource group first: refer to its `name` instead of writing it out.".into()
            }
            "StorageAccountAlreadyTaken" | "VaultAlreadyExists" | "AccountNameInvalid" => {
                "Such names are unique in all of Azure: choose another one.".into()
            }
            "RoleAssignmentExists" => {
                "The principal has this role at this scope already: import the assignment, or remove it.".into()
            }
            "PrincipalNotFound" => {
                "Check `principal_id`: it is the object id of a user, group or service principal, not an application's client id."
                    .into()
            }
            _ => return None,
        })
    };
    codes.iter().rev().find_map(|code| of(code))
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_role_is_named_with_its_scope() {
        let body = serde_json::json!({"error": {
            "code": "AuthorizationFailed",
            "message": "The client 'a' does not have authorization to perform action \
                'Microsoft.Authorization/roleAssignments/write' over scope '/subscriptions/s' or it is invalid.",
        }});
        let body = body.to_string();
        let error: Error = ApiError::answered("assign a role", 403, body.as_bytes(), "app").into();
        let text = error.to_string();
        assert!(text.contains("--assignee app"), "{text}");
        assert!(
            text.contains("Role Based Access Control Administrator"),
            "{text}"
        );
        assert!(text.contains("--scope /subscriptions/s`"), "{text}");
        assert_eq!(error.kind(), stead_sdk::ErrorKind::Denied);
    }

    #[test]
    fn a_token_that_another_request_threw_away_is_told_from_one_that_is_refused() {
        let credential =
            |text: &'static str| azure_core::Error::with_message(AzureErrorKind::Credential, text);
        let gone = credential(TOKEN_GONE).with_context("it will not be retried");
        assert!(ApiError::from_azure("read", &gone, "app").is_unsigned());
        let refused = credential("AADSTS7000215: invalid client secret");
        let refused =
            azure_core::Error::with_error(AzureErrorKind::Credential, refused, TOKEN_GONE);
        assert!(!ApiError::from_azure("read", &refused, "app").is_unsigned());
    }

    #[test]
    fn a_hidden_subscription_is_not_a_missing_object() {
        let body =
            br#"{"error": {"code": "SubscriptionNotFound", "message": "could not be found"}}"#;
        let error = ApiError::answered("read", 404, body, "app");
        assert!(!error.is_not_found());
        assert!(
            Error::from(error)
                .to_string()
                .contains("ARM_SUBSCRIPTION_ID")
        );
        let body = br#"{"error": {"code": "ResourceGroupNotFound", "message": "gone"}}"#;
        assert!(ApiError::answered("read", 404, body, "app").is_not_found());
    }

    #[test]
    fn inner_codes_decide() {
        let body = br#"{"error": {"code": "Conflict", "message": "deleted", "innererror": {"code": "ObjectIsDeletedButRecoverable"}}}"#;
        let error = ApiError::answered("set", 409, body, "app");
        assert!(error.is(&["ObjectIsDeletedButRecoverable"]));
        assert_eq!(error.reason(), "Conflict/ObjectIsDeletedButRecoverable");
        assert!(!ApiError::answered("set", 502, b"<html>", "app").is(&["Conflict"]));
    }
}
