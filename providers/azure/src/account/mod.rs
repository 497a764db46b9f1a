//! `azurerm_storage_account`.

mod body;
mod schema;

use std::sync::Arc;

use azure_core::http::Method;
use serde_json::{Value as Json, json};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value};
use stead_sdk::{
    Context, Error, Failure, Field as _, PlanDraft, Resource, ResourceSchema, async_trait,
};

use crate::arm::{Ask, STORAGE};
use crate::common::{self, Phase, bounded};
use crate::ids;
use crate::provider::Client;

pub(crate) use schema::StorageAccount;

impl StorageAccount {
    fn blob_service(&self) -> String {
        format!("{}/blobServices/default", self.id)
    }

    /// Writes the settings of the blob service, when the configuration has any.
    async fn set_blob_properties(
        &self,
        client: &Client,
        doing: &str,
        cx: &Context,
    ) -> Result<(), Error> {
        let Some(properties) = &self.blob_properties else {
            return Ok(());
        };
        let body = properties.body();
        let path = self.blob_service();
        client.arm.put(&path, STORAGE, &body, doing, cx).await?;
        Ok(())
    }

    /// Both keys; empty without the right to see them.
    async fn keys(&self, client: &Client, cx: &Context) -> Result<[String; 2], Error> {
        let doing = format!("list the keys of the storage account {:?}", self.name);
        let path = format!("{}/listKeys", self.id);
        let ask = Ask {
            method: Method::Post,
            path: &path,
            api: STORAGE,
            query: &[("$expand", "kerb")],
            body: None,
            doing: &doing,
        };
        match client.arm.call(ask, cx).await {
            Ok(body) => Ok(["/keys/0/value", "/keys/1/value"].map(|at| common::text(&body, at))),
            Err(error) if error.status() == Some(403) => {
                let summary = format!("The keys of the storage account {:?} are hidden", self.name);
                cx.warn(summary, Error::from(error).to_string());
                Ok([String::new(), String::new()])
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As the server has it, with the settings of its blob service and its keys.
    async fn filled(self, body: &Json, client: &Client, cx: &Context) -> Result<Self, Error> {
        let mut account = self.with_properties(body);
        let doing = format!("read the blob service of {:?}", account.name);
        let path = account.blob_service();
        if account.account_kind != "FileStorage"
            && let Some(service) = client.arm.get(&path, STORAGE, &doing, cx).await?
        {
            let prior = account.blob_properties.take().unwrap_or_default();
            account.blob_properties = Some(prior.filled(&service));
        }
        let keys = account.keys(client, cx).await?;
        account.with_endpoints(body, keys, &client.cloud.storage_suffix)
    }

    /// Endpoints, hosts and connection strings: many attributes whose names are made of parts.
    fn with_endpoints(self, body: &Json, keys: [String; 2], suffix: &str) -> Result<Self, Error> {
        let Some(mut entries) = self.encode().as_entries().cloned() else {
            return Ok(self);
        };
        let mut set = |name: String, value: &str| {
            if let Some(slot) = entries.get_mut(name.as_str()) {
                *slot = Value::string(value);
            }
        };
        for (side, key) in [("primary", &keys[0]), ("secondary", &keys[1])] {
            let endpoints = body
                .pointer(&format!("/properties/{side}Endpoints"))
                .unwrap_or(&Json::Null);
            let location = common::text(body, &format!("/properties/{side}Location"));
            set(
                format!("{side}_location"),
                &common::normal_location(&location),
            );
            for service in ["blob", "dfs", "file", "queue", "table", "web"] {
                for (infix, at) in [
                    ("", ""),
                    ("_microsoft", "/microsoftEndpoints"),
                    ("_internet", "/internetEndpoints"),
                ] {
                    let endpoint = common::text(endpoints, &format!("{at}/{service}"));
                    set(format!("{side}_{service}{infix}_endpoint"), &endpoint);
                    set(format!("{side}_{service}{infix}_host"), host(&endpoint));
                }
            }
            let name = &self.name;
            let account = format!("AccountName={name};AccountKey={key}");
            let protocol = "DefaultEndpointsProtocol=https";
            let blob = common::text(endpoints, "/blob");
            set(format!("{side}_access_key"), key);
            if !key.is_empty() {
                let whole = format!("{protocol};{account};EndpointSuffix={suffix}");
                set(format!("{side}_connection_string"), &whole);
            }
            if !key.is_empty() && !blob.is_empty() {
                let blobs = format!("{protocol};BlobEndpoint={blob};{account}");
                set(format!("{side}_blob_connection_string"), &blobs);
            }
        }
        Ok(StorageAccount::decode(
            &Value::object(entries),
            &Path::root(),
        )?)
    }
}

/// The host of an endpoint such as `https://acct.blob.core.windows.net/`.
fn host(endpoint: &str) -> &str {
    let rest = endpoint.strip_prefix("https://").unwrap_or(endpoint);
    rest.split('/').next().unwrap_or(rest)
}

/// An attribute whose default differs between azurerm 4 and 5.
fn plan_public_items(plan: &mut PlanDraft) -> Result<(), Diagnostic> {
    let name = "allow_nested_items_to_be_public";
    if common::is_configured(plan.config(), name) {
        return Ok(());
    }
    let prior = plan.prior().get(name).filter(|_| !plan.is_create());
    plan.set(
        &Path::root().attr(name),
        prior.unwrap_or_else(|| Value::bool(false)),
    )
}

#[async_trait]
impl Resource for StorageAccount {
    type Client = Client;
    const IDENTIFIES_FIRST: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = Diagnostics::new();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let rule = "a storage account's name has 3 to 24 lower-case letters and digits";
        common::name_rule(config, "name", 3..=24, allowed, rule, &mut found);
        for (name, values) in [
            ("account_tier", &["Standard", "Premium"] as &[&str]),
            (
                "account_replication_type",
                &["LRS", "ZRS", "GRS", "RAGRS", "GZRS", "RAGZRS"],
            ),
            (
                "account_kind",
                &[
                    "BlobStorage",
                    "BlockBlobStorage",
                    "FileStorage",
                    "Storage",
                    "StorageV2",
                ],
            ),
            ("access_tier", &["Cold", "Cool", "Hot", "Premium", "Smart"]),
            ("min_tls_version", &["TLS1_0", "TLS1_1", "TLS1_2"]),
            ("allowed_copy_scope", &["AAD", "All", "PrivateLink"]),
            ("dns_endpoint_type", &["Standard", "AzureDnsZone"]),
            ("queue_encryption_key_type", &["Account", "Service"]),
            ("table_encryption_key_type", &["Account", "Service"]),
        ] {
            common::one_of(config, name, values, &mut found);
        }
        found
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        common::keep_location(plan)?;
        plan_public_items(plan)?;
        common::computed_block(plan, "blob_properties")?;
        common::computed_block(plan, "network_rules")?;
        if !plan.is_create() {
            common::computed_block(plan, "share_properties")?;
            common::computed_block(plan, "routing")?;
            common::computed_block(plan, "queue_properties")?;
        }
        let text = |v: Option<Value>| v.and_then(|v| v.as_str().map(str::to_owned));
        let kinds = [
            plan.prior().get("account_kind"),
            plan.attribute("account_kind"),
        ]
        .map(text);
        let upgrade =
            kinds.each_ref().map(|k| k.as_deref()) == [Some("Storage"), Some("StorageV2")];
        if !plan.is_create() && plan.changes("account_kind") && !upgrade {
            plan.replace(Path::root().attr("account_kind"));
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
        let parts = [
            client.subscription_id.as_str(),
            &planned.resource_group_name,
            &planned.name,
        ];
        let id = ids::format(ids::ACCOUNT, &parts);
        let doing = format!("create the storage account {:?}", planned.name);
        if !client.behaviour.overwrite_existing
            && client.arm.get(&id, STORAGE, &doing, cx).await?.is_some()
        {
            return Err(common::exists(<Self as ResourceSchema>::NAME, &id).into());
        }
        let planned = StorageAccount { id, ..planned };
        cx.identified(&planned).await?;
        let made = client
            .arm
            .put(&planned.id, STORAGE, &planned.creation(), &doing, cx)
            .await;
        match made {
            Ok(body) => finish(planned, &body, client, &doing, cx).await,
            Err(error) => Err(error.keeping(planned)),
        }
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Read)?;
        let doing = format!("read the storage account {:?}", prior.name);
        match client.arm.get(&prior.id, STORAGE, &doing, cx).await? {
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
        let doing = format!("change the storage account {:?}", planned.name);
        let body = client
            .arm
            .patch(&planned.id, STORAGE, &planned.change(), &doing, cx)
            .await?;
        finish(planned, &body, client, &doing, cx).await
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let cx = &bounded(cx, prior.timeouts.as_ref(), Phase::Delete)?;
        let doing = format!("delete the storage account {:?}", prior.name);
        Ok(client.arm.delete(&prior.id, STORAGE, &doing, cx).await?)
    }

    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let [subscription, group, name] = ids::parse(ids::ACCOUNT, id, "id")?;
        let id = ids::format(ids::ACCOUNT, &[subscription, group, name]);
        let doing = format!("import the storage account {name:?}");
        let found = client.arm.get(&id, STORAGE, &doing, cx).await?;
        let body = found.ok_or_else(|| Error::not_found(doing, "it does not exist"))?;
        let known = json!({
            "id": id, "name": name, "resource_group_name": group,
            "location": "", "account_tier": "", "account_replication_type": "",
        });
        StorageAccount::imported(&known)?
            .filled(&body, client, cx)
            .await
    }
}

/// What follows a write of the account itself. The account exists: a failure keeps it.
async fn finish(
    planned: StorageAccount,
    body: &Json,
    client: &Client,
    doing: &str,
    cx: &Context,
) -> Result<StorageAccount, Failure<StorageAccount>> {
    let known = planned.clone().with_properties(body);
    if let Err(error) = planned.set_blob_properties(client, doing, cx).await {
        return Err(Failure::partial(error, known));
    }
    match planned.filled(body, client, cx).await {
        Ok(made) => Ok(made),
        Err(error) => Err(Failure::partial(error, known)),
    }
}

impl StorageAccount {
    /// An account of which only these attributes are known; the others are null.
    fn imported(known: &Json) -> Result<Self, Error> {
        let Type::Object(object) = StorageAccount::ty() else {
            return Err(Error::new(
                "import the storage account",
                "its schema is no object",
            ));
        };
        let entries = object.attributes.iter().map(|(name, ty)| {
            let text = known.get(name.as_ref()).and_then(Json::as_str);
            let value = text.map_or_else(|| Value::null(ty.clone()), Value::string);
            (Arc::clone(name), value)
        });
        Ok(StorageAccount::decode(
            &Value::object(entries.collect()),
            &Path::root(),
        )?)
    }
}
