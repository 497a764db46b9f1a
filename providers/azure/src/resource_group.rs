//! `azurerm_resource_group`.

use azure_core::http::Method;
use serde_json::{Value as Json, json};
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, ResourceSchema, async_trait};

use crate::arm::{Ask, GROUPS};
use crate::common::{self, Phase, Tags, Timeouts, bounded};
use crate::identity::InSubscription;
use crate::ids;
use crate::provider::Client;

/// A group of resources that are deleted together.
#[derive(Clone, Debug, Resource)]
#[resource(name = "azurerm_resource_group", version = 0, legacy, identity = InSubscription)]
pub(crate) struct ResourceGroup {
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(required, replace)]
    pub(crate) location: String,
    #[attr(optional)]
    pub(crate) managed_by: String,
    #[attr(required, replace)]
    pub(crate) name: String,
    #[attr(optional)]
    pub(crate) tags: Tags,
    #[attr(block(single))]
    pub(crate) timeouts: Option<Timeouts>,
}

impl ResourceGroup {
    fn body(&self) -> Json {
        let mut body = json!({
            "location": common::normal_location(&self.location),
            "tags": self.tags,
        });
        if !self.managed_by.is_empty() {
            body["managedBy"] = json!(self.managed_by);
        }
        body
    }

    /// As the server has it.
    fn filled(self, body: &Json) -> Self {
        ResourceGroup {
            location: common::spelled(&self.location, &common::text(body, "/location")),
            managed_by: common::text(body, "/managedBy"),
            tags: common::tags(body, "/tags"),
            ..self
        }
    }

    /// The first ten objects within, by id.
    async fn contents(&self, client: &Client, cx: &Context) -> Result<Vec<String>, Error> {
        let doing = format!("list what the resource group {:?} holds", self.name);
        let path = format!("{}/resources", self.id);
        let ask = Ask {
            method: Method::Get,
            path: &path,
            api: GROUPS,
            query: &[("$expand", "provisioningState"), ("$top", "10")],
            body: None,
            doing: &doing,
        };
        match client.arm.call(ask, cx).await {
            Ok(body) => Ok(common::texts_under(&body, "/value", "id")),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Resource for ResourceGroup {
    type Client = Client;
    const IDENTIFIES_FIRST: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let allowed = |c: char| c.is_alphanumeric() || "-_().".contains(c);
        let rule = "a resource group's name has 1 to 90 letters, digits, or -_().";
        common::name_rule(config, "name", 1..=90, allowed, rule, &mut found);
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        Ok(common::keep_location(plan)?)
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let cx = &bounded(cx, planned.timeouts.as_ref(), Phase::Create)?;
        let id = ids::format(
            ids::RESOURCE_GROUP,
            &[&client.subscription_id, &planned.name],
        );
        let doing = format!("create the resource group {:?}", planned.name);
        if !client.behaviour.overwrite_existing
            && client.arm.get(&id, GROUPS, &doing, cx).await?.is_some()
        {
            return Err(common::exists(<Self as ResourceSchema>::NAME, &id).into());
        }
        let planned = ResourceGroup { id, ..planned };
        cx.identified(&planned).await?;
        let made = client
            .arm
            .put(&planned.id, GROUPS, &planned.body(), &doing, cx)
            .await;
        match made {
            Ok(body) => Ok(planned.filled(&body)),
            Err(error) => Err(error.keeping(planned)),
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Read)?;
        let doing = format!("read the resource group {:?}", prior.name);
        let found = client.arm.get(&prior.id, GROUPS, &doing, cx).await?;
        Ok(found.map(|body| prior.filled(&body)))
    }

    async fn update(
        client: &Client,
        _prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let cx = &bounded(cx, planned.timeouts.as_ref(), Phase::Update)?;
        let doing = format!("change the resource group {:?}", planned.name);
        let body = client
            .arm
            .put(&planned.id, GROUPS, &planned.body(), &doing, cx)
            .await?;
        Ok(planned.filled(&body))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Delete)?;
        let doing = format!("delete the resource group {:?}", prior.name);
        if client.behaviour.keep_filled_groups {
            let contents = prior.contents(client, cx).await?;
            if !contents.is_empty() {
                let said = format!("it still holds {}", contents.join(", "));
                return Err(Error::new(doing, said).remedy(
                    "Delete these first, or let them go with the group: `features { resource_group { \
                     prevent_deletion_if_contains_resources = false } }`.",
                ));
            }
        }
        Ok(client.arm.delete(&prior.id, GROUPS, &doing, cx).await?)
    }

    async fn import(_client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let [subscription, name] = ids::parse(ids::RESOURCE_GROUP, id, "id")?;
        Ok(ResourceGroup {
            id: ids::format(ids::RESOURCE_GROUP, &[subscription, name]),
            location: String::new(),
            managed_by: String::new(),
            name: name.to_owned(),
            tags: Tags::new(),
            timeouts: None,
        })
    }
}
