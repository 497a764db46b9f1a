//! Role assignments at any scope.

use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{content, member, object, only, text};
use super::{Arm, Outcome};
use crate::http::{Answer, error, iso, now};
use crate::roles;
use crate::state::{Assignment, State};

const ACTION: &str = "Microsoft.Authorization/roleAssignments";
const KNOWN: &[&str] = &[
    "roleDefinitionId",
    "principalId",
    "principalType",
    "description",
    "condition",
    "conditionVersion",
    "delegatedManagedIdentityResourceId",
    "scope",
];

impl Arm<'_> {
    pub(super) fn assignments(&self, scope: &str) -> Outcome {
        if self.call.method != "GET" {
            return Err(self.not_simulated());
        }
        self.authorize(scope, &format!("{ACTION}/read"))?;
        let filter = self.call.param("$filter").unwrap_or_default().to_owned();
        let quoted = |prefix: &str, suffix: &str| {
            filter
                .strip_prefix(prefix)
                .and_then(|f| f.strip_suffix(suffix))
                .map(str::to_owned)
        };
        let principal = quoted("principalId eq '", "'").or_else(|| quoted("assignedTo('", "')"));
        if !filter.is_empty() && filter != "atScope()" && principal.is_none() {
            let text = format!(
                "The filter '{filter}' is not supported. Supported filters are 'atScope()', 'assignedTo(...)' and 'principalId eq ...'."
            );
            return Err(error(400, "UnsupportedQuery", text));
        }
        let (at_scope, here) = (filter == "atScope()", scope.to_ascii_lowercase());
        let state = self.cloud.state();
        let value: Vec<Value> = state
            .assignments
            .values()
            .filter(|a| {
                let there = a.scope.to_ascii_lowercase();
                here.starts_with(&there) || (!at_scope && there.starts_with(&here))
            })
            .filter(|a| {
                principal
                    .as_ref()
                    .is_none_or(|p| a.principal_id.eq_ignore_ascii_case(p))
            })
            .map(|a| self.assignment_json(a))
            .collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    pub(super) fn assignment(&self, scope: &str, name: &str) -> Outcome {
        let id = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        let key = id.to_ascii_lowercase();
        match self.call.method.as_str() {
            "GET" => {
                self.authorize(scope, &format!("{ACTION}/read"))?;
                let missing = || {
                    error(
                        404,
                        "RoleAssignmentNotFound",
                        format!("The role assignment '{name}' is not found."),
                    )
                };
                if self.read_lags() {
                    return Err(missing());
                }
                let state = self.cloud.state();
                state
                    .assignments
                    .get(&key)
                    .map(|a| Answer::json(200, &self.assignment_json(a)))
                    .ok_or_else(missing)
            }
            "PUT" => {
                self.authorize(scope, &format!("{ACTION}/write"))?;
                self.scope_exists(scope)?;
                self.put_assignment(scope, name, id)
            }
            "DELETE" => {
                self.authorize(scope, &format!("{ACTION}/delete"))?;
                let removed = self.cloud.state().assignments.remove(&key);
                self.cloud.changed();
                Ok(removed.map_or_else(
                    || Answer::empty(204),
                    |a| Answer::json(200, &self.assignment_json(&a)),
                ))
            }
            _ => Err(self.not_simulated()),
        }
    }

    fn put_assignment(&self, scope: &str, name: &str, id: String) -> Outcome {
        if Uuid::parse_str(name).is_err() {
            return Err(error(
                400,
                "InvalidRoleAssignmentId",
                format!(
                    "The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID."
                ),
            ));
        }
        let body = object(self)?;
        only(&body, &["properties"], "RoleAssignmentCreateParameters")?;
        let properties = member(&body, "properties")?;
        only(&properties, KNOWN, "RoleAssignmentProperties")?;
        let required = |member: &str| {
            text(&properties, member)?
                .filter(|v| !v.is_empty())
                .ok_or_else(|| {
                    content(&format!(
                        "Required property '{member}' not found in JSON. Path 'properties'."
                    ))
                })
        };
        let (definition, principal) = (required("roleDefinitionId")?, required("principalId")?);
        let role = definition
            .rsplit('/')
            .next()
            .and_then(roles::by_id)
            .ok_or_else(|| {
                let id = definition.rsplit('/').next().unwrap_or_default();
                error(
                    404,
                    "RoleDefinitionDoesNotExist",
                    format!("The specified role definition with ID '{id}' does not exist."),
                )
            })?;
        if Uuid::parse_str(&principal).is_err() {
            return Err(error(
                400,
                "InvalidPrincipalId",
                format!(
                    "A valid principal ID must be provided for role assignment. '{principal}' is not one."
                ),
            ));
        }
        let given_type = text(&properties, "principalType")?.filter(|t| !t.is_empty());
        let principal_type = self.principal_type(&principal, given_type)?;
        let time = now();
        let mut state = self.cloud.state();
        let key = id.to_ascii_lowercase();
        if let Some(answer) = self.existing(&state, &key, scope, role.id, &principal) {
            return answer;
        }
        let optional =
            |member: &str| Ok::<_, Answer>(text(&properties, member)?.filter(|v| !v.is_empty()));
        let assignment = Assignment {
            id,
            name: name.to_owned(),
            scope: scope.to_owned(),
            role: role.id.to_owned(),
            role_definition_id: format!(
                "{}/providers/Microsoft.Authorization/roleDefinitions/{}",
                self.cloud.subscription_scope(),
                role.id
            ),
            principal_id: principal,
            principal_type,
            description: optional("description")?,
            condition: optional("condition")?,
            condition_version: optional("conditionVersion")?,
            delegated_identity: optional("delegatedManagedIdentityResourceId")?,
            created: time,
            created_by: self.caller.object_id.clone(),
            effective_at: time.saturating_add(self.cloud.lasting(20)),
        };
        let answer = Answer::json(201, &self.assignment_json(&assignment));
        state.assignments.insert(key, assignment);
        self.cloud.changed();
        Ok(answer)
    }

    /// What an assignment that is already there makes of the request; `None` when there is none.
    fn existing(
        &self,
        state: &State,
        key: &str,
        scope: &str,
        role: &str,
        principal: &str,
    ) -> Option<Outcome> {
        if let Some(old) = state.assignments.get(key) {
            return Some(
                if old.role == role && old.principal_id.eq_ignore_ascii_case(principal) {
                    Ok(Answer::json(200, &self.assignment_json(old)))
                } else {
                    let text = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.";
                    Err(error(400, "RoleAssignmentUpdateNotPermitted", text))
                },
            );
        }
        let same = |a: &&Assignment| {
            a.role == role
                && a.principal_id.eq_ignore_ascii_case(principal)
                && a.scope.eq_ignore_ascii_case(scope)
        };
        let other = state.assignments.values().find(same)?;
        let id = other.name.replace('-', "");
        Some(Err(error(
            409,
            "RoleAssignmentExists",
            format!(
                "The role assignment already exists. The ID of the existing role assignment is {id}."
            ),
        )))
    }

    /// The kind of principal; without `principalType` the directory must know it.
    fn principal_type(&self, principal: &str, given: Option<String>) -> Result<String, Answer> {
        let known_application = self
            .cloud
            .options
            .principals
            .iter()
            .any(|p| p.object_id.eq_ignore_ascii_case(principal));
        let identity = {
            let state = self.cloud.state();
            state
                .identities
                .values()
                .find(|i| i.principal_id.eq_ignore_ascii_case(principal))
                .map(|i| i.replicated_at <= now())
        };
        if let Some(given) = given {
            let kinds = [
                "User",
                "Group",
                "ServicePrincipal",
                "ForeignGroup",
                "Device",
            ];
            return kinds.iter().find(|k| k.eq_ignore_ascii_case(&given)).map(|k| (*k).to_owned()).ok_or_else(|| {
                error(400, "UnsupportedPrincipalType", format!("Principals of type '{given}' cannot validly be used in role assignments."))
            });
        }
        if (known_application || identity == Some(true)) && !self.cloud.fault("principal-lag") {
            return Ok("ServicePrincipal".to_owned());
        }
        let text = format!(
            "Principal {} does not exist in the directory {}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group. See https://aka.ms/docs-principaltype",
            principal.replace('-', ""),
            self.cloud.options.tenant_id
        );
        Err(error(400, "PrincipalNotFound", text))
    }

    /// 404 when the assignment's scope names something that the lab does not have.
    fn scope_exists(&self, scope: &str) -> Result<(), Answer> {
        let lower = scope.to_ascii_lowercase();
        let segments: Vec<&str> = lower.split('/').filter(|s| !s.is_empty()).collect();
        let state = self.cloud.state();
        let exists = match segments.as_slice() {
            [] | ["subscriptions", _] => true,
            ["subscriptions", _, "resourcegroups", group] => state.groups.contains_key(*group),
            [
                "subscriptions",
                _,
                "resourcegroups",
                group,
                "providers",
                "microsoft.keyvault",
                "vaults",
                name,
                ..,
            ] => state
                .vaults
                .get(*name)
                .is_some_and(|v| v.group.eq_ignore_ascii_case(group)),
            [
                "subscriptions",
                _,
                "resourcegroups",
                group,
                "providers",
                "microsoft.storage",
                "storageaccounts",
                name,
                ..,
            ] => state
                .accounts
                .get(*name)
                .is_some_and(|a| a.group.eq_ignore_ascii_case(group)),
            [
                "subscriptions",
                _,
                "resourcegroups",
                group,
                "providers",
                "microsoft.managedidentity",
                "userassignedidentities",
                name,
            ] => state.identities.contains_key(&format!("{group}/{name}")),
            _ => false,
        };
        if exists {
            return Ok(());
        }
        Err(error(
            404,
            "ResourceNotFound",
            format!("The scope '{scope}' was not found."),
        ))
    }

    fn assignment_json(&self, a: &Assignment) -> Value {
        json!({
            "id": a.id, "type": "Microsoft.Authorization/roleAssignments", "name": a.name,
            "properties": {
                "roleDefinitionId": a.role_definition_id, "principalId": a.principal_id, "principalType": a.principal_type,
                "scope": a.scope, "description": a.description, "condition": a.condition, "conditionVersion": a.condition_version,
                "delegatedManagedIdentityResourceId": a.delegated_identity,
                "createdOn": iso(a.created), "updatedOn": iso(a.created), "createdBy": a.created_by, "updatedBy": a.created_by,
            },
        })
    }
}
