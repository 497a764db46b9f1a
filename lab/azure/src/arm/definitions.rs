//! Role definitions: the built-in ones, by name or GUID.

use serde_json::{Value, json};

use super::{Arm, Outcome};
use crate::http::{Answer, error};
use crate::roles::{self, ROLES, Role};

impl Arm<'_> {
    pub(super) fn definitions(&self, scope: &str) -> Outcome {
        if self.call.method != "GET" {
            return Err(self.not_simulated());
        }
        self.authorize(
            &self.readable(scope),
            "Microsoft.Authorization/roleDefinitions/read",
        )?;
        let filter = self
            .call
            .param("$filter")
            .unwrap_or_default()
            .trim()
            .to_owned();
        let name = filter
            .strip_prefix("roleName eq '")
            .and_then(|f| f.strip_suffix('\''))
            .map(|n| n.replace("''", "'"));
        let all = filter.is_empty()
            || ["atScopeAndBelow()", "type eq 'BuiltInRole'"].contains(&filter.as_str());
        if name.is_none() && !all {
            return Err(error(
                400,
                "BadRequestFilter",
                format!(
                    "The filter '{filter}' is not supported. Supported filters are either 'atScopeAndBelow()' or 'roleName eq '{{value}}''."
                ),
            ));
        }
        let matching = ROLES
            .iter()
            .filter(|r| name.as_ref().is_none_or(|n| r.name.eq_ignore_ascii_case(n)));
        let value: Vec<Value> = matching.map(|r| definition(r, scope)).collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    pub(super) fn definition(&self, scope: &str, id: &str) -> Outcome {
        if self.call.method != "GET" {
            return Err(self.not_simulated());
        }
        self.authorize(
            &self.readable(scope),
            "Microsoft.Authorization/roleDefinitions/read",
        )?;
        match roles::by_id(id) {
            Some(role) => Ok(Answer::json(200, &definition(role, scope))),
            None => Err(error(
                404,
                "RoleDefinitionDoesNotExist",
                format!("The specified role definition with ID '{id}' does not exist."),
            )),
        }
    }

    /// Built-in roles at the root scope are readable by whoever reads the subscription.
    fn readable(&self, scope: &str) -> String {
        if scope.is_empty() {
            self.cloud.subscription_scope()
        } else {
            scope.to_owned()
        }
    }
}

fn definition(role: &Role, scope: &str) -> Value {
    // Definitions belong to the subscription, whatever scope was asked.
    let home: String = scope.split('/').take(3).collect::<Vec<_>>().join("/");
    json!({
        "id": format!("{home}/providers/Microsoft.Authorization/roleDefinitions/{}", role.id),
        "type": "Microsoft.Authorization/roleDefinitions", "name": role.id,
        "properties": {
            "roleName": role.name, "type": "BuiltInRole", "description": role.description, "assignableScopes": ["/"],
            "permissions": [{"actions": role.actions, "notActions": role.not_actions, "dataActions": role.data_actions, "notDataActions": []}],
            "createdOn": "2015-02-02T21:55:09.8806423Z", "updatedOn": "2023-11-27T21:02:40.4301416Z", "createdBy": null, "updatedBy": null,
        },
    })
}
