//! `azurerm_key_vault`.

use azure_core::http::Method;
use serde_json::{Map, Value as Json, json};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{
    Block, Context, Error, Failure, PlanDraft, Remains, Resource, ResourceSchema, async_trait,
};

use crate::arm::{Ask, KEY_VAULT, until_accepted};
use crate::common::{self, Phase, Tags, Timeouts, bounded, enabled};
use crate::identity::InGroup;
use crate::ids;
use crate::provider::Client;

/// A vault for secrets, keys and certificates. Its name is unique in all of Azure.
#[derive(Clone, Debug, Resource)]
#[resource(name = "azurerm_key_vault", version = 2, legacy, identity = InGroup)]
pub(crate) struct KeyVault {
    #[attr(optional, computed)]
    pub(crate) access_policy: Vec<AccessPolicy>,
    #[attr(optional, computed, deprecated = "Gone in azurerm 5.")]
    pub(crate) enable_rbac_authorization: Option<bool>,
    #[attr(optional)]
    pub(crate) enabled_for_deployment: bool,
    #[attr(optional)]
    pub(crate) enabled_for_disk_encryption: bool,
    #[attr(optional)]
    pub(crate) enabled_for_template_deployment: bool,
    #[attr(optional, computed)]
    pub(crate) id: String,
    #[attr(required, replace)]
    pub(crate) location: String,
    #[attr(required, replace)]
    pub(crate) name: String,
    #[attr(optional, default = true)]
    pub(crate) public_network_access_enabled: bool,
    #[attr(optional)]
    pub(crate) purge_protection_enabled: bool,
    #[attr(optional, computed)]
    pub(crate) rbac_authorization_enabled: bool,
    #[attr(required, replace)]
    pub(crate) resource_group_name: String,
    #[attr(required)]
    pub(crate) sku_name: String,
    #[attr(optional, default = 90)]
    pub(crate) soft_delete_retention_days: i64,
    #[attr(optional)]
    pub(crate) tags: Tags,
    #[attr(required)]
    pub(crate) tenant_id: String,
    #[attr(computed)]
    pub(crate) vault_uri: String,
    #[attr(block(set), unsupported, deprecated = "Gone in azurerm 5.")]
    pub(crate) contact: Vec<Contact>,
    #[attr(block(list, max = 1))]
    pub(crate) network_acls: Option<NetworkAcls>,
    #[attr(block(single))]
    pub(crate) timeouts: Option<Timeouts>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct NetworkAcls {
    #[attr(required)]
    pub(crate) bypass: String,
    #[attr(required)]
    pub(crate) default_action: String,
    #[attr(optional, set)]
    pub(crate) ip_rules: Vec<String>,
    #[attr(optional, set)]
    pub(crate) virtual_network_subnet_ids: Vec<String>,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Contact {
    #[attr(required)]
    pub(crate) email: String,
    #[attr(optional)]
    pub(crate) name: String,
    #[attr(optional)]
    pub(crate) phone: String,
}

#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct AccessPolicy {
    #[attr(optional, computed)]
    pub(crate) application_id: String,
    #[attr(optional, computed)]
    pub(crate) certificate_permissions: Vec<String>,
    #[attr(optional, computed)]
    pub(crate) key_permissions: Vec<String>,
    #[attr(optional, computed)]
    pub(crate) object_id: String,
    #[attr(optional, computed)]
    pub(crate) secret_permissions: Vec<String>,
    #[attr(optional, computed)]
    pub(crate) storage_permissions: Vec<String>,
    #[attr(optional, computed)]
    pub(crate) tenant_id: String,
}

impl AccessPolicy {
    fn of(body: &Json) -> AccessPolicy {
        AccessPolicy {
            application_id: common::text(body, "/applicationId"),
            certificate_permissions: capitalised(body, "/permissions/certificates"),
            key_permissions: capitalised(body, "/permissions/keys"),
            object_id: common::text(body, "/objectId"),
            secret_permissions: capitalised(body, "/permissions/secrets"),
            storage_permissions: capitalised(body, "/permissions/storage"),
            tenant_id: common::text(body, "/tenantId"),
        }
    }

    fn body(&self) -> Json {
        let mut body = json!({
            "objectId": self.object_id,
            "tenantId": self.tenant_id,
            "permissions": {
                "certificates": self.certificate_permissions,
                "keys": self.key_permissions,
                "secrets": self.secret_permissions,
                "storage": self.storage_permissions,
            },
        });
        if !self.application_id.is_empty() {
            body["applicationId"] = json!(self.application_id);
        }
        body
    }
}

/// Permissions in the spelling of the configuration: the service may answer `get` for `Get`.
fn capitalised(body: &Json, pointer: &str) -> Vec<String> {
    let first_upper = |text: String| {
        let mut letters = text.chars();
        match letters.next() {
            Some(first) => first.to_uppercase().chain(letters).collect(),
            None => text,
        }
    };
    common::texts(body, pointer)
        .into_iter()
        .map(first_upper)
        .collect()
}

impl NetworkAcls {
    fn of(body: &Json) -> Option<NetworkAcls> {
        let rules = body.pointer("/properties/networkAcls")?;
        Some(NetworkAcls {
            bypass: common::text(rules, "/bypass"),
            default_action: common::text(rules, "/defaultAction"),
            ip_rules: common::texts_under(rules, "/ipRules", "value"),
            virtual_network_subnet_ids: common::texts_under(rules, "/virtualNetworkRules", "id"),
        })
    }

    /// A vault without rules of its own, as azurerm shows it.
    fn open() -> NetworkAcls {
        NetworkAcls {
            bypass: "AzureServices".into(),
            default_action: "Allow".into(),
            ..NetworkAcls::default()
        }
    }

    fn body(&self) -> Json {
        let wrap = |name: &str, items: &[String]| -> Vec<Json> {
            items.iter().map(|item| json!({ name: item })).collect()
        };
        json!({
            "bypass": self.bypass,
            "defaultAction": self.default_action,
            "ipRules": wrap("value", &self.ip_rules),
            "virtualNetworkRules": wrap("id", &self.virtual_network_subnet_ids),
        })
    }
}

impl KeyVault {
    /// What a creation and a change have in common.
    fn properties(&self) -> Map<String, Json> {
        let policies: Vec<Json> = self.access_policy.iter().map(AccessPolicy::body).collect();
        let mut properties = Map::from_iter([
            ("accessPolicies".to_owned(), json!(policies)),
            (
                "enableRbacAuthorization".to_owned(),
                json!(self.rbac_authorization_enabled),
            ),
            (
                "enabledForDeployment".to_owned(),
                json!(self.enabled_for_deployment),
            ),
            (
                "enabledForDiskEncryption".to_owned(),
                json!(self.enabled_for_disk_encryption),
            ),
            (
                "enabledForTemplateDeployment".to_owned(),
                json!(self.enabled_for_template_deployment),
            ),
            (
                "publicNetworkAccess".to_owned(),
                enabled(self.public_network_access_enabled),
            ),
            (
                "sku".to_owned(),
                json!({"family": "A", "name": self.sku_name}),
            ),
            ("tenantId".to_owned(), json!(self.tenant_id)),
        ]);
        // Protection can be turned on only: `false` is refused by the service.
        if self.purge_protection_enabled {
            properties.insert("enablePurgeProtection".to_owned(), json!(true));
        }
        if let Some(rules) = &self.network_acls {
            properties.insert("networkAcls".to_owned(), rules.body());
        }
        properties
    }

    fn creation(&self, mode: &str) -> Json {
        let mut properties = self.properties();
        properties.insert("createMode".to_owned(), json!(mode));
        properties.insert("enableSoftDelete".to_owned(), json!(true));
        properties.insert(
            "softDeleteRetentionInDays".to_owned(),
            json!(self.soft_delete_retention_days),
        );
        json!({
            "location": common::normal_location(&self.location),
            "properties": properties,
            "tags": self.tags,
        })
    }

    fn filled(self, body: &Json) -> Self {
        let properties = body.get("properties").unwrap_or(&Json::Null);
        let policies = properties.get("accessPolicies").and_then(Json::as_array);
        let rbac = common::flag(properties, "/enableRbacAuthorization", false);
        let days = properties
            .get("softDeleteRetentionInDays")
            .and_then(Json::as_i64);
        KeyVault {
            access_policy: policies
                .into_iter()
                .flatten()
                .map(AccessPolicy::of)
                .collect(),
            enable_rbac_authorization: self.enable_rbac_authorization.map(|_| rbac),
            enabled_for_deployment: common::flag(properties, "/enabledForDeployment", false),
            enabled_for_disk_encryption: common::flag(
                properties,
                "/enabledForDiskEncryption",
                false,
            ),
            enabled_for_template_deployment: common::flag(
                properties,
                "/enabledForTemplateDeployment",
                false,
            ),
            location: common::spelled(&self.location, &common::text(body, "/location")),
            public_network_access_enabled: common::text(properties, "/publicNetworkAccess")
                != "Disabled",
            purge_protection_enabled: common::flag(properties, "/enablePurgeProtection", false),
            rbac_authorization_enabled: rbac,
            sku_name: common::text(properties, "/sku/name").to_ascii_lowercase(),
            soft_delete_retention_days: days.unwrap_or(90),
            tags: common::tags(body, "/tags"),
            tenant_id: common::text(properties, "/tenantId"),
            vault_uri: with_slash(&common::text(properties, "/vaultUri")),
            network_acls: Some(NetworkAcls::of(body).unwrap_or_else(NetworkAcls::open)),
            ..self
        }
    }

    fn deleted_id(&self, subscription: &str) -> String {
        format!(
            "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{}/deletedVaults/{}",
            common::normal_location(&self.location),
            self.name
        )
    }

    /// Whether a deleted vault holds the name. Without the right to look, the creation itself will tell.
    async fn is_soft_deleted(&self, client: &Client, cx: &Context) -> Result<bool, Error> {
        let doing = format!("look for a deleted vault {:?}", self.name);
        let path = self.deleted_id(&client.subscription_id);
        match client.arm.get(&path, KEY_VAULT, &doing, cx).await {
            Ok(found) => Ok(found.is_some()),
            Err(error) if error.status() == Some(403) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn is_to_be_purged(&self, client: &Client) -> bool {
        client.behaviour.purge_vaults && !self.purge_protection_enabled
    }

    /// Gives the name free again. The vault is gone for its owner either way, so a refusal is a warning.
    async fn purge(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        let doing = format!("purge the deleted vault {:?}", self.name);
        let path = format!("{}/purge", self.deleted_id(&client.subscription_id));
        let ask = Ask {
            method: Method::Post,
            path: &path,
            api: KEY_VAULT,
            query: &[],
            body: None,
            doing: &doing,
        };
        let limit = std::time::Duration::from_secs(120);
        let purged = until_accepted(
            cx,
            &doing,
            limit,
            |e| e.is_not_found(),
            || client.arm.call(ask, cx),
        );
        match purged.await {
            Ok(_) => Ok(()),
            Err(error) if error.status() == Some(403) => {
                let name = &self.name;
                cx.warn(
                    format!("The vault {name:?} is deleted, but not purged"),
                    format!(
                        "{} Its name stays taken until it is purged: `az keyvault purge --name {name}`, which takes the \
                         role Key Vault Contributor or Contributor on the subscription.",
                        Error::from(error)
                    ),
                );
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

pub(crate) fn with_slash(uri: &str) -> String {
    if uri.is_empty() || uri.ends_with('/') {
        uri.to_owned()
    } else {
        format!("{uri}/")
    }
}

/// The two spellings of one switch: what is configured of either is planned for both.
fn plan_rbac(plan: &mut PlanDraft) -> Result<(), Diagnostic> {
    let names = ["rbac_authorization_enabled", "enable_rbac_authorization"];
    let configured = names
        .iter()
        .find_map(|name| plan.config().get(name).filter(|v| !v.is_null()));
    let Some(value) = configured else {
        if plan.is_create() {
            for name in names {
                plan.set(&Path::root().attr(name), Value::bool(false))?;
            }
        }
        return Ok(());
    };
    for name in names {
        // A state of azurerm 5 does not have the older name.
        let absent = !plan.is_create() && plan.prior().get(name).is_none_or(|v| v.is_null());
        if !absent || common::is_configured(plan.config(), name) {
            plan.set(&Path::root().attr(name), value.clone())?;
        }
    }
    Ok(())
}

#[async_trait]
impl Resource for KeyVault {
    type Client = Client;
    const IDENTIFIES_FIRST: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let rule = "a vault's name has 3 to 24 letters, digits and dashes";
        common::name_rule(config, "name", 3..=24, allowed, rule, &mut found);
        common::one_of(config, "sku_name", &["standard", "premium"], &mut found);
        let days = config
            .get("soft_delete_retention_days")
            .and_then(|v| v.as_i64());
        if days.is_some_and(|d| !(7..=90).contains(&d)) {
            let detail = "`soft_delete_retention_days` must be between 7 and 90.";
            let at = Path::root().attr("soft_delete_retention_days");
            found.push(Diagnostic::error("Invalid value", detail).attribute(at));
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        common::keep_location(plan)?;
        common::computed_block(plan, "network_acls")?;
        plan_rbac(plan)?;
        let protected = |v: Option<Value>| v.and_then(|v| v.as_bool()) == Some(true);
        let was = protected(plan.prior().get("purge_protection_enabled"));
        if was && !protected(plan.attribute("purge_protection_enabled")) {
            let detail = "Purge protection cannot be turned off again: set `purge_protection_enabled = true`.";
            let at = Path::root().attr("purge_protection_enabled");
            return Err(Diagnostic::error("Impossible change", detail)
                .attribute(at)
                .into());
        }
        // Fixed at the creation.
        if !plan.is_create() && plan.changes("soft_delete_retention_days") {
            plan.replace(Path::root().attr("soft_delete_retention_days"));
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
        let name = planned.name.clone();
        let parts = [
            client.subscription_id.as_str(),
            &planned.resource_group_name,
            &name,
        ];
        let id = ids::format(ids::VAULT, &parts);
        let doing = format!("create the key vault {name:?}");
        if !client.behaviour.overwrite_existing
            && client.arm.get(&id, KEY_VAULT, &doing, cx).await?.is_some()
        {
            return Err(common::exists(<Self as ResourceSchema>::NAME, &id).into());
        }
        let deleted = planned.is_soft_deleted(client, cx).await?;
        if deleted && !client.behaviour.recover_vaults {
            return Err(Error::new(doing, "a deleted vault holds the name")
                .remedy(format!(
                    "Purge it with `az keyvault purge --name {name}`, or let it be recovered: `features {{ key_vault {{ \
                     recover_soft_deleted_key_vaults = true }} }}`."
                ))
                .attribute("name")
                .into());
        }
        let mode = if deleted {
            cx.progress(format!("recovering the deleted vault {name:?}"));
            "recover"
        } else {
            "default"
        };
        let planned = KeyVault { id, ..planned };
        cx.identified(&planned).await?;
        let made = client
            .arm
            .put(&planned.id, KEY_VAULT, &planned.creation(mode), &doing, cx)
            .await;
        let mut body = match made {
            Ok(body) => body,
            Err(error) if error.is(&["ConflictError"]) => {
                return Err(error
                    .remedy(format!(
                        "A vault of this name was deleted in another group or location: `az keyvault purge --name {name}`."
                    ))
                    .into());
            }
            Err(error) => return Err(error.keeping(planned)),
        };
        if deleted {
            // A recovered vault comes back as it was.
            let change = json!({"properties": planned.properties(), "tags": planned.tags});
            match client
                .arm
                .patch(&planned.id, KEY_VAULT, &change, &doing, cx)
                .await
            {
                Ok(changed) => body = changed,
                Err(error) => return Err(Failure::partial(error.into(), planned.filled(&body))),
            }
        }
        Ok(planned.filled(&body))
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Read)?;
        let doing = format!("read the key vault {:?}", prior.name);
        let found = client.arm.get(&prior.id, KEY_VAULT, &doing, cx).await?;
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
        let doing = format!("change the key vault {:?}", planned.name);
        let change = json!({"properties": planned.properties(), "tags": planned.tags});
        let body = client
            .arm
            .patch(&planned.id, KEY_VAULT, &change, &doing, cx)
            .await?;
        Ok(planned.filled(&body))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Delete)?;
        let doing = format!("delete the key vault {:?}", prior.name);
        client.arm.delete(&prior.id, KEY_VAULT, &doing, cx).await?;
        if prior.is_to_be_purged(client) {
            prior.purge(client, cx).await?;
        }
        Ok(())
    }

    async fn remains(client: &Client, prior: Self, cx: &Context) -> Result<Remains<Self>, Error> {
        if let Some(found) = Self::read(client, prior.clone(), cx).await? {
            return Ok(Remains::Whole(found));
        }
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Read)?;
        if prior.is_to_be_purged(client) && prior.is_soft_deleted(client, cx).await? {
            return Ok(Remains::Part(prior));
        }
        Ok(Remains::Nothing)
    }

    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let [subscription, group, name] = ids::parse(ids::VAULT, id, "id")?;
        let id = ids::format(ids::VAULT, &[subscription, group, name]);
        KeyVault::find(client, id, group, name, cx)
            .await?
            .ok_or_else(|| {
                Error::not_found(
                    format!("import the key vault {name:?}"),
                    "it does not exist",
                )
            })
    }
}

impl KeyVault {
    /// The vault with this id as the server has it.
    pub(crate) async fn find(
        client: &Client,
        id: String,
        group: &str,
        name: &str,
        cx: &Context,
    ) -> Result<Option<Self>, Error> {
        let doing = format!("read the key vault {name:?}");
        let found = client.arm.get(&id, KEY_VAULT, &doing, cx).await?;
        let empty = KeyVault {
            access_policy: Vec::new(),
            enable_rbac_authorization: None,
            enabled_for_deployment: false,
            enabled_for_disk_encryption: false,
            enabled_for_template_deployment: false,
            id,
            location: String::new(),
            name: name.to_owned(),
            public_network_access_enabled: true,
            purge_protection_enabled: false,
            rbac_authorization_enabled: false,
            resource_group_name: group.to_owned(),
            sku_name: String::new(),
            soft_delete_retention_days: 90,
            tags: Tags::new(),
            tenant_id: String::new(),
            vault_uri: String::new(),
            contact: Vec::new(),
            network_acls: None,
            timeouts: None,
        };
        Ok(found.map(|body| empty.filled(&body)))
    }
}
