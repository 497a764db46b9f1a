//! `truenas_nfs_share`: NFS exports (`sharing.nfs.*`).

use serde_json::{Map, Value as Json, json};
use stead_sdk::value::Value;
use stead_sdk::{Context, Cut, Error, Failure, Resource, Resumed, async_trait};

use crate::client::Client;

/// An NFS export of a path below `/mnt`.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "truenas_nfs_share", version = 0)]
pub(crate) struct NfsShare {
    #[attr(computed)]
    id: String,
    /// The exported path: reference the dataset's `mountpoint`, so that it exists first.
    #[attr(required)]
    path: String,
    #[attr(optional, computed)]
    comment: Option<String>,
    #[attr(optional, computed)]
    enabled: Option<bool>,
    #[attr(optional, computed)]
    expose_snapshots: Option<bool>,
    /// Host names or addresses that may mount it; all when empty.
    #[attr(optional, computed)]
    hosts: Option<Vec<String>>,
    #[attr(optional, computed)]
    mapall_group: Option<String>,
    #[attr(optional, computed)]
    mapall_user: Option<String>,
    #[attr(optional, computed)]
    maproot_group: Option<String>,
    #[attr(optional, computed)]
    maproot_user: Option<String>,
    /// Networks that may mount it, such as `10.25.150.0/24`; all when empty.
    #[attr(optional, computed)]
    networks: Option<Vec<String>>,
    /// Read-only.
    #[attr(optional, computed)]
    ro: Option<bool>,
    /// `SYS`, `KRB5`, `KRB5I`, `KRB5P`.
    #[attr(optional, computed)]
    security: Option<Vec<String>>,
}

impl NfsShare {
    /// The request: what is not configured is left to the appliance.
    fn data(&self) -> Map<String, Json> {
        let mut out = Map::new();
        out.insert("path".into(), json!(self.path));
        let mut put = |name: &str, value: Option<Json>| {
            if let Some(value) = value {
                out.insert(name.into(), value);
            }
        };
        put("comment", self.comment.as_ref().map(|v| json!(v)));
        put("enabled", self.enabled.map(|v| json!(v)));
        put("expose_snapshots", self.expose_snapshots.map(|v| json!(v)));
        put("hosts", self.hosts.as_ref().map(|v| json!(v)));
        put("networks", self.networks.as_ref().map(|v| json!(v)));
        put("ro", self.ro.map(|v| json!(v)));
        put("security", self.security.as_ref().map(|v| json!(v)));
        // The appliance knows null, people write the empty text for "nobody".
        let user = |v: &Option<String>| {
            v.as_ref()
                .map(|v| if v.is_empty() { Json::Null } else { json!(v) })
        };
        put("mapall_group", user(&self.mapall_group));
        put("mapall_user", user(&self.mapall_user));
        put("maproot_group", user(&self.maproot_group));
        put("maproot_user", user(&self.maproot_user));
        out
    }

    fn read_entry(entry: &Json) -> NfsShare {
        let text = |name: &str| {
            Some(
                entry
                    .get(name)
                    .and_then(Json::as_str)
                    .unwrap_or_default()
                    .to_owned(),
            )
        };
        let list = |name: &str| {
            let items = entry.get(name).and_then(Json::as_array);
            Some(
                items
                    .into_iter()
                    .flatten()
                    .filter_map(|v| v.as_str().map(str::to_owned))
                    .collect(),
            )
        };
        let flag = |name: &str| entry.get(name).and_then(Json::as_bool);
        NfsShare {
            id: entry
                .get("id")
                .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
                .unwrap_or_default(),
            path: text("path").unwrap_or_default(),
            comment: text("comment"),
            enabled: flag("enabled"),
            expose_snapshots: flag("expose_snapshots"),
            hosts: list("hosts"),
            mapall_group: text("mapall_group"),
            mapall_user: text("mapall_user"),
            maproot_group: text("maproot_group"),
            maproot_user: text("maproot_user"),
            networks: list("networks"),
            ro: flag("ro"),
            security: list("security"),
        }
    }

    fn number(&self) -> Result<i64, Error> {
        number(&self.id)
    }
}

fn number(id: &str) -> Result<i64, Error> {
    id.parse()
        .map_err(|_| Error::new("read the share's id", format!("{id:?} is not a number")))
}

#[async_trait]
impl Resource for NfsShare {
    type Client = Client;

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let entry = client
            .call_job("sharing.nfs.create", &json!([planned.data()]), cx)
            .await?;
        // A share's id is a number, and so is a job's: only an object is the share.
        if !entry.is_object() {
            return Err(Error::new(
                "create the share (sharing.nfs.create)",
                "the appliance did not answer with the share",
            )
            .into());
        }
        Ok(NfsShare::read_entry(&entry))
    }

    /// The appliance names a share; what it exports says which one is ours.
    async fn resume(
        client: &Client,
        cut: Cut<Self>,
        _cx: &Context,
    ) -> Result<Resumed<Self>, Error> {
        let path = json!(cut.planned.path);
        let entry = client.query_by("sharing.nfs.query", "path", &path).await?;
        Ok(match entry.map(|entry| NfsShare::read_entry(&entry)) {
            None => Resumed::Absent,
            Some(found) if cut.is_met_by(&found) => Resumed::Complete(found),
            Some(_) => Resumed::Unknown,
        })
    }

    async fn read(client: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        let entry = client
            .query("sharing.nfs.query", &json!(prior.number()?))
            .await?;
        Ok(entry.map(|entry| NfsShare::read_entry(&entry)))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let entry = client
            .call_job(
                "sharing.nfs.update",
                &json!([prior.number()?, planned.data()]),
                cx,
            )
            .await;
        match entry {
            Ok(entry) => Ok(NfsShare::read_entry(&entry)),
            // Shares go with the dataset that they export: one that was replaced in this apply took its share along.
            Err(error) if error.is_not_found() => Self::create(client, planned, config, cx).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn delete(client: &Client, prior: Self, _cx: &Context) -> Result<(), Error> {
        match client
            .call("sharing.nfs.delete", &json!([prior.number()?]))
            .await
        {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn import(client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let entry = client
            .query("sharing.nfs.query", &json!(number(id)?))
            .await?;
        let entry = entry.ok_or_else(|| {
            Error::not_found(format!("import NFS share {id}"), "there is no such share")
        })?;
        Ok(NfsShare::read_entry(&entry))
    }
}
