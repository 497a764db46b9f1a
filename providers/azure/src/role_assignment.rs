//! `azurerm_role_assignment`.

use std::time::Duration;

use azure_core::http::Method;
use serde_json::{Value as Json, json};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, ResourceSchema, async_trait};

use crate::arm::{Ask, ROLE_ASSIGNMENTS, ROLE_DEFINITIONS, until_accepted};
use crate::common::{self, Phase, Timeouts, bounded};
use crate::error::ApiError;
use crate::ids;
use crate::provider::Client;

/// How long a new principal may take to be known everywhere.
const PRINCIPAL_LAG: Duration = Duration::from_secs(300);

/// A role of a principal at a scope.
#[derive(Clone, Debug, Resource)]
#[resource(name = "azurerm_role_assignment", version = 0, legacy)]
pub(crate) struct RoleAssignment {
    #[attr(optional)]
    pub(crate) condition: String,
    #[attr(optional, computed)]
    pub(crate) condition_version: String,
    #[attr(optional, replace, unsupported)]
    pub(crate) delegated_managed_identity_resource_id: String,
    #[attr(optional)]
    pub(crate) description: String,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(optional, computed, replace)]
    pub(crate) name: String,
    #[attr(required, replace)]
    pub(crate) principal_id: String,
    #[attr(optional, computed, replace)]
    pub(crate) principal_type: String,
    #[attr(optional, computed, replace)]
    pub(crate) role_definition_id: String,
    #[attr(optional, computed, replace)]
    pub(crate) role_definition_name: String,
    #[attr(required, replace)]
    pub(crate) scope: String,
    #[attr(optional, computed)]
    pub(crate) skip_service_principal_aad_check: bool,
    #[attr(block(single))]
    pub(crate) timeouts: Option<Timeouts>,
}

/// The path of an assignment: azurerm appends `|tenant` to the ids of cross-tenant ones.
fn path_of(id: &str) -> &str {
    id.split('|').next().unwrap_or(id)
}

/// Whether two role definition ids name the same role: the scope in front of them may differ.
fn same_role(a: &str, b: &str) -> bool {
    ids::last(a).eq_ignore_ascii_case(ids::last(b))
}

impl RoleAssignment {
    /// The definition's id, looked up by its name where that is what is configured.
    async fn definition(&self, client: &Client, cx: &Context) -> Result<String, Error> {
        if !self.role_definition_id.is_empty() {
            return Ok(path_of(&self.role_definition_id).to_owned());
        }
        let name = &self.role_definition_name;
        let doing = format!("find the role {name:?}");
        let path = format!(
            "{}/providers/Microsoft.Authorization/roleDefinitions",
            self.scope.trim_end_matches('/')
        );
        let filter = format!("roleName eq '{}'", name.replace('\'', "''"));
        let ask = Ask {
            method: Method::Get,
            path: &path,
            api: ROLE_DEFINITIONS,
            query: &[("$filter", &filter)],
            body: None,
            doing: &doing,
        };
        let body = client.arm.call(ask, cx).await?;
        let found = common::texts_under(&body, "/value", "id");
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(
                Error::not_found(doing, "there is no role of this name at the scope")
                    .remedy("See `az role definition list --query \"[].roleName\"`.")
                    .attribute("role_definition_name"),
            ),
            many => Err(
                Error::new(doing, format!("there are {} of this name", many.len()))
                    .remedy("Set `role_definition_id` instead.")
                    .attribute("role_definition_name"),
            ),
        }
    }

    fn body(&self, definition: &str) -> Json {
        let mut properties = json!({
            "description": self.description,
            "principalId": self.principal_id,
            "roleDefinitionId": definition,
        });
        // Naming the type spares the service the look-up that fails for a principal made a moment ago.
        let kind = match self.principal_type.as_str() {
            "" if self.skip_service_principal_aad_check => "ServicePrincipal",
            kind => kind,
        };
        for (name, value) in [
            ("principalType", kind),
            ("condition", &self.condition),
            ("conditionVersion", &self.condition_version),
        ] {
            if !value.is_empty() {
                properties[name] = json!(value);
            }
        }
        json!({ "properties": properties })
    }

    async fn put(
        &self,
        client: &Client,
        definition: &str,
        doing: &str,
        cx: &Context,
    ) -> Result<Json, ApiError> {
        let body = self.body(definition);
        let unknown = |e: &ApiError| e.is(&["PrincipalNotFound"]);
        let put = until_accepted(cx, doing, PRINCIPAL_LAG, unknown, || {
            client
                .arm
                .put(path_of(&self.id), ROLE_ASSIGNMENTS, &body, doing, cx)
        });
        let found = put.await?;
        client.note_assignment();
        Ok(found)
    }

    async fn filled(self, body: &Json, client: &Client, cx: &Context) -> Result<Self, Error> {
        let properties = body.get("properties").unwrap_or(&Json::Null);
        let definition = common::text(properties, "/roleDefinitionId");
        let same = same_role(&self.role_definition_id, &definition);
        let role_definition_name = if same && !self.role_definition_name.is_empty() {
            self.role_definition_name
        } else {
            let doing = format!("read the role of the assignment {:?}", self.name);
            let found = client
                .arm
                .get(&definition, ROLE_DEFINITIONS, &doing, cx)
                .await?;
            found.map_or_else(String::new, |d| common::text(&d, "/properties/roleName"))
        };
        Ok(RoleAssignment {
            condition: common::text(properties, "/condition"),
            condition_version: common::text(properties, "/conditionVersion"),
            description: common::text(properties, "/description"),
            principal_id: common::text(properties, "/principalId"),
            principal_type: common::text(properties, "/principalType"),
            role_definition_id: if same {
                self.role_definition_id
            } else {
                definition
            },
            role_definition_name,
            ..self
        })
    }
}

#[async_trait]
impl Resource for RoleAssignment {
    type Client = Client;
    const IDENTIFIES_FIRST: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let [id, name] = ["role_definition_id", "role_definition_name"]
            .map(|n| common::is_configured(config, n));
        if id == name {
            let detail = "Set exactly one of `role_definition_id` and `role_definition_name`.";
            let at = Path::root().attr("role_definition_name");
            found.push(Diagnostic::error("Invalid combination of arguments", detail).attribute(at));
        }
        let kinds = ["User", "Group", "ServicePrincipal"];
        common::one_of(config, "principal_type", &kinds, &mut found);
        common::one_of(config, "condition_version", &["1.0", "2.0"], &mut found);
        let own = config
            .get("name")
            .and_then(|v| v.as_str().map(str::to_owned));
        if own.is_some_and(|n| uuid::Uuid::parse_str(&n).is_err()) {
            let at = Path::root().attr("name");
            found.push(Diagnostic::error("Invalid name", "`name` must be a UUID.").attribute(at));
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        common::keep_when(plan, "role_definition_id", same_role)?;
        common::keep_when(plan, "scope", |a, b| a.eq_ignore_ascii_case(b))?;
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let cx = &bounded(cx, planned.timeouts.as_ref(), Phase::Create)?;
        let name = match planned.name.as_str() {
            "" => uuid::Uuid::new_v4().to_string(),
            name => name.to_owned(),
        };
        let definition = planned.definition(client, cx).await?;
        let id = format!(
            "{}/providers/Microsoft.Authorization/roleAssignments/{name}",
            planned.scope.trim_end_matches('/')
        );
        let doing = format!("assign a role at {}", planned.scope);
        if !planned.name.is_empty()
            && !client.behaviour.overwrite_existing
            && client
                .arm
                .get(&id, ROLE_ASSIGNMENTS, &doing, cx)
                .await?
                .is_some()
        {
            return Err(common::exists(<Self as ResourceSchema>::NAME, &id).into());
        }
        let role_definition_id = match planned.role_definition_id.as_str() {
            "" => definition.clone(),
            configured => configured.to_owned(),
        };
        let planned = RoleAssignment {
            id,
            name,
            role_definition_id,
            ..planned
        };
        cx.identified(&planned).await?;
        let kept = planned.clone();
        let body = match planned.put(client, &definition, &doing, cx).await {
            Ok(body) => body,
            Err(error) => return Err(error.keeping(kept)),
        };
        match planned.filled(&body, client, cx).await {
            Ok(made) => Ok(made),
            Err(error) => Err(Failure::partial(error, kept)),
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Read)?;
        let doing = format!("read the role assignment {:?}", prior.name);
        let found = client
            .arm
            .get(path_of(&prior.id), ROLE_ASSIGNMENTS, &doing, cx)
            .await?;
        match found {
            Some(body) => Ok(Some(prior.filled(&body, client, cx).await?)),
            None => Ok(None),
        }
    }

    async fn update(
        client: &Client,
        _prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let cx = &bounded(cx, planned.timeouts.as_ref(), Phase::Update)?;
        let doing = format!("change the role assignment {:?}", planned.name);
        let definition = planned.definition(client, cx).await?;
        let body = planned.put(client, &definition, &doing, cx).await?;
        Ok(planned.filled(&body, client, cx).await?)
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Delete)?;
        let doing = format!("delete the role assignment {:?}", prior.name);
        Ok(client
            .arm
            .delete(path_of(&prior.id), ROLE_ASSIGNMENTS, &doing, cx)
            .await?)
    }

    async fn import(_client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let marker = "/providers/Microsoft.Authorization/roleAssignments/";
        let scope = ids::above(id, marker);
        if scope.len() + marker.len() >= id.len() {
            let said = format!("{id:?} is not of the form SCOPE{marker}UUID");
            return Err(Error::new("import the role assignment", said));
        }
        Ok(RoleAssignment {
            condition: String::new(),
            condition_version: String::new(),
            delegated_managed_identity_resource_id: String::new(),
            description: String::new(),
            id: id.to_owned(),
            name: ids::last(path_of(id)).to_owned(),
            principal_id: String::new(),
            principal_type: String::new(),
            role_definition_id: String::new(),
            role_definition_name: String::new(),
            scope: scope.to_owned(),
            skip_service_principal_aad_check: false,
            timeouts: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_the_same_at_whichever_scope() {
        let at = |scope: &str| {
            format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/4633458B-17de")
        };
        assert!(same_role(
            &at("/subscriptions/s"),
            &at("").to_ascii_lowercase()
        ));
        assert!(!same_role(&at(""), "x/other"));
        assert_eq!(path_of("/a/b|tenant"), "/a/b");
    }
}
