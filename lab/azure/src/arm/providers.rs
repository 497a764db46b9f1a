//! Resource providers and regions.

use serde_json::{Value, json};

use super::body::LOCATIONS;
use super::{Arm, Outcome, versions};
use crate::http::{Answer, error};

/// Namespaces that the lab simulates, with their types; always registered.
const NAMESPACES: &[(&str, &[&str])] = &[
    (
        "Microsoft.Authorization",
        &["roleAssignments", "roleDefinitions"],
    ),
    ("Microsoft.KeyVault", &["vaults"]),
    ("Microsoft.ManagedIdentity", &["userAssignedIdentities"]),
    ("Microsoft.Resources", &["subscriptions", "resourceGroups"]),
    ("Microsoft.Storage", &["storageAccounts"]),
];

impl Arm<'_> {
    pub(super) fn providers(&self) -> Answer {
        let state = self.cloud.state();
        let mut value: Vec<Value> = NAMESPACES
            .iter()
            .map(|(name, _)| self.provider_json(name))
            .collect();
        value.extend(state.registered.iter().map(|name| self.provider_json(name)));
        Answer::json(200, &json!({"value": value}))
    }

    pub(super) fn provider(&self, name: &str) -> Outcome {
        let known = NAMESPACES.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if known
            || self
                .cloud
                .state()
                .registered
                .iter()
                .any(|n| n.eq_ignore_ascii_case(name))
        {
            return Ok(Answer::json(200, &self.provider_json(name)));
        }
        Err(error(
            404,
            "InvalidResourceNamespace",
            format!("The resource namespace '{name}' is invalid."),
        ))
    }

    /// Registration of a namespace: the lab lets anything of Microsoft's be registered, though it simulates few.
    pub(super) fn register(&self, name: &str) -> Outcome {
        self.authorize(
            &self.cloud.subscription_scope(),
            &format!("{name}/register/action"),
        )?;
        let known = NAMESPACES.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !known {
            if !name.to_ascii_lowercase().starts_with("microsoft.") {
                return Err(error(
                    404,
                    "InvalidResourceNamespace",
                    format!("The resource namespace '{name}' is invalid."),
                ));
            }
            self.cloud.state().registered.insert(name.to_owned());
            self.cloud.changed();
        }
        Ok(Answer::json(200, &self.provider_json(name)))
    }

    fn provider_json(&self, name: &str) -> Value {
        let found = NAMESPACES
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        let (name, types) = found.map_or((name, &[][..]), |(n, t)| (*n, *t));
        let types: Vec<Value> =
            types.iter().map(|t| json!({"resourceType": t, "locations": LOCATIONS, "apiVersions": versions::of(t)})).collect();
        json!({
            "id": format!("{}/providers/{name}", self.cloud.subscription_scope()), "namespace": name,
            "registrationState": "Registered", "registrationPolicy": "RegistrationRequired", "resourceTypes": types,
        })
    }
}

/// `GET /subscriptions/{id}/locations`.
pub(super) fn locations(scope: &str) -> Answer {
    let value: Vec<Value> = LOCATIONS
        .iter()
        .map(|l| json!({"id": format!("{scope}/locations/{l}"), "name": l, "type": "Region", "displayName": l, "regionalDisplayName": l}))
        .collect();
    Answer::json(200, &json!({"value": value}))
}
