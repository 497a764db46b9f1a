//! `azurerm_storage_container`, through Resource Manager: the account's firewall and keys do not matter to it.

use std::time::Duration;

use serde_json::{Value as Json, json};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, ResourceSchema, async_trait};

use crate::arm::{STORAGE, until_accepted};
use crate::common::{self, Phase, Tags, Timeouts, bounded};
use crate::ids;
use crate::provider::Client;

/// How long the name of a deleted container stays taken: half a minute and more.
const BEING_DELETED: Duration = Duration::from_secs(300);

/// A container for blobs.
#[derive(Clone, Debug, Resource)]
#[resource(name = "azurerm_storage_container", version = 2, legacy)]
pub(crate) struct Container {
    #[attr(optional, default = "private")]
    pub(crate) container_access_type: String,
    #[attr(optional, computed, replace)]
    pub(crate) default_encryption_scope: String,
    #[attr(optional, default = true, replace)]
    pub(crate) encryption_scope_override_enabled: bool,
    #[attr(computed)]
    pub(crate) has_immutability_policy: bool,
    #[attr(computed)]
    pub(crate) has_legal_hold: bool,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(optional, computed)]
    pub(crate) metadata: Tags,
    #[attr(required, replace)]
    pub(crate) name: String,
    #[attr(computed, deprecated = "Gone in azurerm 5.")]
    pub(crate) resource_manager_id: String,
    #[attr(optional, replace)]
    pub(crate) storage_account_id: String,
    #[attr(optional, deprecated = "Gone in azurerm 5.")]
    pub(crate) storage_account_name: String,
    #[attr(computed)]
    pub(crate) url: String,
    #[attr(block(single))]
    pub(crate) timeouts: Option<Timeouts>,
}

impl Container {
    fn body(&self) -> Json {
        let access = match self.container_access_type.as_str() {
            "blob" => "Blob",
            "container" => "Container",
            _ => "None",
        };
        let mut properties = json!({"metadata": self.metadata, "publicAccess": access});
        if !self.default_encryption_scope.is_empty() {
            properties["defaultEncryptionScope"] = json!(self.default_encryption_scope);
            properties["denyEncryptionScopeOverride"] =
                json!(!self.encryption_scope_override_enabled);
        }
        json!({ "properties": properties })
    }

    fn filled(self, body: &Json, client: &Client) -> Self {
        let properties = body.get("properties").unwrap_or(&Json::Null);
        let access = match common::text(properties, "/publicAccess").as_str() {
            "Blob" => "blob",
            "Container" => "container",
            _ => "private",
        };
        let account = ids::last(ids::above(&self.id, "/blobServices/")).to_owned();
        let suffix = &client.cloud.storage_suffix;
        Container {
            container_access_type: access.into(),
            default_encryption_scope: common::text(properties, "/defaultEncryptionScope"),
            encryption_scope_override_enabled: !common::flag(
                properties,
                "/denyEncryptionScopeOverride",
                false,
            ),
            has_immutability_policy: common::flag(properties, "/hasImmutabilityPolicy", false),
            has_legal_hold: common::flag(properties, "/hasLegalHold", false),
            metadata: common::tags(properties, "/metadata"),
            resource_manager_id: self.id.clone(),
            url: format!("https://{account}.blob.{suffix}/{}", self.name),
            ..self
        }
    }

    /// The account's id; the older `storage_account_name` is looked up in the subscription.
    async fn account_id(&self, client: &Client, cx: &Context) -> Result<String, Error> {
        if !self.storage_account_id.is_empty() {
            let [subscription, group, name] =
                ids::parse(ids::ACCOUNT, &self.storage_account_id, "storage_account_id")?;
            return Ok(ids::format(ids::ACCOUNT, &[subscription, group, name]));
        }
        let name = &self.storage_account_name;
        let doing = format!("find the storage account {name:?}");
        let path = format!(
            "/subscriptions/{}/providers/Microsoft.Storage/storageAccounts",
            client.subscription_id
        );
        let listed = client.arm.get(&path, STORAGE, &doing, cx).await?;
        let all = listed.unwrap_or_default();
        let found = common::texts_under(&all, "/value", "id")
            .into_iter()
            .find(|id| ids::last(id).eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            Error::not_found(doing, "the subscription has none of this name")
                .attribute("storage_account_name")
        })
    }
}

#[async_trait]
impl Resource for Container {
    type Client = Client;
    const IDENTIFIES_FIRST: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-$".contains(c);
        let rule = "a container's name has 3 to 63 lower-case letters, digits and dashes";
        common::name_rule(config, "name", 3..=63, allowed, rule, &mut found);
        let types = ["blob", "container", "private"];
        common::one_of(config, "container_access_type", &types, &mut found);
        let [id, name] = ["storage_account_id", "storage_account_name"]
            .map(|n| common::is_configured(config, n));
        if id == name {
            let detail = "Set `storage_account_id` (and not the older `storage_account_name`).";
            let at = Path::root().attr("storage_account_id");
            found.push(Diagnostic::error("Invalid combination of arguments", detail).attribute(at));
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        if plan.is_create() {
            return Ok(());
        }
        // The id names the account, whichever attribute the configuration does it with.
        let text = |v: Option<Value>| v.and_then(|v| v.as_str().map(str::to_owned));
        let id = text(plan.prior().get("id")).unwrap_or_default();
        let account = ids::above(&id, "/blobServices/").to_owned();
        for (name, own) in [
            ("storage_account_id", account.as_str()),
            ("storage_account_name", ids::last(&account)),
        ] {
            let path = Path::root().attr(name);
            let planned = text(plan.attribute(name)).filter(|t| !t.is_empty());
            match planned {
                Some(planned) if !planned.eq_ignore_ascii_case(own) => plan.replace(path),
                _ if plan.attribute(name).is_some_and(|v| v.is_known()) => plan.keep(&path),
                _ => {}
            }
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let cx = &bounded(cx, planned.timeouts.as_ref(), Phase::Create)?;
        let account = planned.account_id(client, cx).await?;
        let id = format!("{account}/blobServices/default/containers/{}", planned.name);
        let doing = format!("create the container {:?}", planned.name);
        if !client.behaviour.overwrite_existing
            && client.arm.get(&id, STORAGE, &doing, cx).await?.is_some()
        {
            return Err(common::exists(<Self as ResourceSchema>::NAME, &id).into());
        }
        let planned = Container {
            id: id.clone(),
            ..planned
        };
        cx.identified(&planned).await?;
        let body = planned.body();
        let busy = |e: &crate::error::ApiError| e.is(&["ContainerBeingDeleted"]);
        let made = until_accepted(cx, &doing, BEING_DELETED, busy, || {
            client.arm.put(&id, STORAGE, &body, &doing, cx)
        });
        let made = made.await;
        match made {
            Ok(body) => Ok(planned.filled(&body, client)),
            Err(error) => Err(error.keeping(planned)),
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Read)?;
        let doing = format!("read the container {:?}", prior.name);
        let id = if prior.id.starts_with('/') {
            prior.id.clone()
        } else {
            // azurerm 4 with `storage_account_name` kept the container's address as its id.
            let account = match prior.account_id(client, cx).await {
                Ok(account) => account,
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error),
            };
            format!("{account}/blobServices/default/containers/{}", prior.name)
        };
        let found = client.arm.get(&id, STORAGE, &doing, cx).await?;
        Ok(found.map(|body| Container { id, ..prior }.filled(&body, client)))
    }

    async fn update(
        client: &Client,
        _prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let cx = &bounded(cx, planned.timeouts.as_ref(), Phase::Update)?;
        let doing = format!("change the container {:?}", planned.name);
        let body = client
            .arm
            .patch(&planned.id, STORAGE, &planned.body(), &doing, cx)
            .await?;
        Ok(planned.filled(&body, client))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Delete)?;
        let doing = format!("delete the container {:?}", prior.name);
        Ok(client.arm.delete(&prior.id, STORAGE, &doing, cx).await?)
    }

    async fn import(_client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let [subscription, group, account, name] = ids::parse(ids::CONTAINER, id, "id")?;
        Ok(Container {
            container_access_type: String::new(),
            default_encryption_scope: String::new(),
            encryption_scope_override_enabled: true,
            has_immutability_policy: false,
            has_legal_hold: false,
            id: ids::format(ids::CONTAINER, &[subscription, group, account, name]),
            metadata: Tags::new(),
            name: name.to_owned(),
            resource_manager_id: String::new(),
            storage_account_id: ids::format(ids::ACCOUNT, &[subscription, group, account]),
            storage_account_name: String::new(),
            url: String::new(),
            timeouts: None,
        })
    }

    /// Version 2 has the Resource Manager id as its id; version 1 had it beside the container's address.
    fn upgrade(_version: u64, mut attributes: Json) -> Result<Json, Error> {
        let id = common::text(&attributes, "/resource_manager_id");
        if let (false, Some(members)) = (id.is_empty(), attributes.as_object_mut()) {
            members.insert("id".to_owned(), json!(id));
        }
        Ok(attributes)
    }
}
