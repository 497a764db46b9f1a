//! User-assigned managed identities.

use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{location, member, object, only, tags, text};
use super::{Arm, Outcome, resource_not_found};
use crate::http::{Answer, error, now};
use crate::state::Identity;

const KIND: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

impl Arm<'_> {
    pub(super) fn identities(&self, group: Option<&str>) -> Outcome {
        self.authorize(&self.cloud.subscription_scope(), &format!("{KIND}/read"))?;
        let state = self.cloud.state();
        let of = state
            .identities
            .values()
            .filter(|i| group.is_none_or(|g| g.eq_ignore_ascii_case(&i.group)));
        let value: Vec<Value> = of.map(|i| self.identity_json(i)).collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    pub(super) fn identity(&self, group: &str, name: &str) -> Outcome {
        let id = self.resource_id(group, KIND, name);
        let key = format!("{group}/{}", name.to_ascii_lowercase());
        match self.call.method.as_str() {
            "GET" => {
                self.authorize(&id, &format!("{KIND}/read"))?;
                if self.read_lags() {
                    return Err(resource_not_found(KIND, name, group));
                }
                let state = self.cloud.state();
                let found = state
                    .identities
                    .get(&key)
                    .ok_or_else(|| resource_not_found(KIND, name, group))?;
                Ok(Answer::json(200, &self.identity_json(found)))
            }
            "PUT" | "PATCH" => {
                self.authorize(&id, &format!("{KIND}/write"))?;
                self.put_identity(group, name, key)
            }
            "DELETE" => {
                self.authorize(&id, &format!("{KIND}/delete"))?;
                let removed = self.cloud.state().identities.remove(&key);
                self.cloud.changed();
                Ok(Answer::empty(if removed.is_some() { 200 } else { 204 }))
            }
            _ => Err(self.not_simulated()),
        }
    }

    fn put_identity(&self, group: &str, name: &str, key: String) -> Outcome {
        if name.len() < 3
            || name.len() > 128
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            return Err(error(
                400,
                "BadRequest",
                format!(
                    "Resource name '{name}' is invalid: 3 to 128 letters, digits, '-' and '_'."
                ),
            ));
        }
        let body = object(self)?;
        only(
            &body,
            &["id", "name", "type", "location", "tags", "properties"],
            "Identity",
        )?;
        let properties = member(&body, "properties")?;
        only(
            &properties,
            &["isolationScope", "tenantId", "principalId", "clientId"],
            "UserAssignedIdentityProperties",
        )?;
        let patch = self.call.method == "PATCH";
        let mut state = self.cloud.state();
        let old = state.identities.get(&key).cloned();
        let status = if old.is_some() { 200 } else { 201 };
        let mut identity = match old {
            Some(old) => old,
            None if patch => return Err(resource_not_found(KIND, name, group)),
            None => Identity {
                name: name.to_owned(),
                group: state
                    .groups
                    .get(group)
                    .map_or_else(|| group.to_owned(), |g| g.name.clone()),
                location: location(&body)?,
                tags: serde_json::Map::new(),
                isolation_scope: None,
                principal_id: Uuid::new_v4().to_string(),
                client_id: Uuid::new_v4().to_string(),
                replicated_at: now().saturating_add(self.cloud.lasting(10)),
            },
        };
        if !patch || body.contains_key("tags") {
            identity.tags = tags(&body)?;
        }
        if let Some(scope) = text(&properties, "isolationScope")? {
            identity.isolation_scope = Some(scope);
        }
        let answer = Answer::json(status, &self.identity_json(&identity));
        state.identities.insert(key, identity);
        self.cloud.changed();
        Ok(answer)
    }

    pub(super) fn identity_json(&self, identity: &Identity) -> Value {
        let mut properties = json!({
            "tenantId": self.cloud.options.tenant_id, "principalId": identity.principal_id, "clientId": identity.client_id,
        });
        if let (Some(map), Some(scope)) = (properties.as_object_mut(), &identity.isolation_scope) {
            map.insert("isolationScope".to_owned(), json!(scope));
        }
        json!({
            "id": self.resource_id(&identity.group, KIND, &identity.name), "name": identity.name, "type": KIND,
            "location": identity.location, "tags": identity.tags, "properties": properties,
        })
    }
}
