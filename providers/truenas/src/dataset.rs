//! `truenas_dataset`: ZFS filesystems and volumes (`pool.dataset.*`).

use serde_json::{Map, Value as Json, json};
use stead_sdk::value::Diagnostics;
use stead_sdk::value::{Path, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};

use crate::client::Client;

/// A ZFS dataset: a filesystem or a volume.
#[derive(Clone, Debug, Resource)]
#[resource(name = "truenas_dataset", version = 0)]
pub(crate) struct Dataset {
    /// The full name, `pool/parent/name`.
    #[attr(computed)]
    id: String,
    /// The full name, `pool/parent/name`. The parent must exist.
    #[attr(required, replace)]
    name: String,
    /// `FILESYSTEM` or `VOLUME`.
    #[attr(optional, computed, replace)]
    r#type: Option<String>,
    /// Such as `LZ4`, `ZSTD` or `INHERIT`.
    #[attr(optional, computed)]
    compression: Option<String>,
    #[attr(optional, computed, replace)]
    acltype: Option<String>,
    /// What the dataset is made for (`GENERIC`, `NFS`, `SMB`, …): decides defaults, cannot be read back.
    #[attr(optional, replace)]
    share_type: Option<String>,
    #[attr(optional, computed)]
    comments: Option<String>,
    /// Bytes, at least 1 GiB; 0 for none.
    #[attr(optional, computed)]
    quota: Option<i64>,
    /// Bytes, at least 1 GiB; 0 for none.
    #[attr(optional, computed)]
    refquota: Option<i64>,
    /// Bytes; 0 for none.
    #[attr(optional, computed)]
    reservation: Option<i64>,
    /// Bytes; volumes only.
    #[attr(optional, computed)]
    volsize: Option<i64>,
    #[attr(optional, computed)]
    special_small_block_size: Option<String>,
    #[attr(computed)]
    mountpoint: Option<String>,
    #[attr(computed)]
    encrypted: Option<bool>,
    #[attr(computed)]
    pool: Option<String>,
}

/// The properties that both create and update take: attribute, value.
impl Dataset {
    fn is_volume(&self) -> bool {
        self.r#type
            .as_deref()
            .is_some_and(|t| t.eq_ignore_ascii_case("VOLUME"))
    }

    /// What an update may change; `prior` leaves out what is as it was.
    fn properties(&self, prior: Option<&Dataset>) -> Map<String, Json> {
        let mut out = Map::new();
        let changed = |new: &Option<String>, old: Option<&Option<String>>| match (
            new,
            old.and_then(Option::as_ref),
        ) {
            (Some(new), Some(old)) => !new.eq_ignore_ascii_case(old),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if changed(&self.compression, prior.map(|p| &p.compression)) {
            out.insert(
                "compression".into(),
                json!(self.compression.as_ref().map(|c| c.to_uppercase())),
            );
        }
        if self.comments.is_some()
            && self.comments.as_ref() != prior.and_then(|p| p.comments.as_ref())
        {
            out.insert("comments".into(), json!(self.comments));
        }
        if changed(
            &self.special_small_block_size,
            prior.map(|p| &p.special_small_block_size),
        ) && let Some(size) = &self.special_small_block_size
        {
            let value = size
                .parse::<u64>()
                .map_or_else(|_| json!(size.to_uppercase()), |n| json!(n));
            out.insert("special_small_block_size".into(), value);
        }
        let sizes = [
            (
                "quota",
                self.quota,
                prior.and_then(|p| p.quota),
                !self.is_volume(),
            ),
            (
                "refquota",
                self.refquota,
                prior.and_then(|p| p.refquota),
                !self.is_volume(),
            ),
            (
                "reservation",
                self.reservation,
                prior.and_then(|p| p.reservation),
                true,
            ),
            (
                "volsize",
                self.volsize,
                prior.and_then(|p| p.volsize),
                self.is_volume(),
            ),
        ];
        for (name, new, old, applies) in sizes {
            if let (Some(new), true) = (new, applies)
                && Some(new) != old
                && !(prior.is_none() && new == 0)
            {
                out.insert(name.into(), json!(new));
            }
        }
        out
    }

    /// Takes what the appliance answers. A ZFS property counts as set only when its source is LOCAL: what is inherited
    /// reads as `INHERIT`, as the vendor's provider records it.
    fn read_entry(&self, entry: &Json) -> Dataset {
        let text = |name: &str| entry.get(name).and_then(Json::as_str).map(str::to_owned);
        let kept_spelling = |new: Option<String>, old: &Option<String>| match (&new, old) {
            (Some(n), Some(o)) if n.eq_ignore_ascii_case(o) => old.clone(),
            _ => new,
        };
        Dataset {
            id: text("id").unwrap_or_else(|| self.name.clone()),
            name: text("name")
                .or_else(|| text("id"))
                .unwrap_or_else(|| self.name.clone()),
            r#type: kept_spelling(text("type"), &self.r#type),
            compression: kept_spelling(local_or_inherit(entry, "compression"), &self.compression),
            acltype: kept_spelling(local_or_inherit(entry, "acltype"), &self.acltype),
            share_type: self.share_type.clone(),
            comments: Some(local(entry, "comments").unwrap_or_default()),
            quota: Some(bytes(entry, "quota")),
            refquota: Some(bytes(entry, "refquota")),
            reservation: Some(bytes(entry, "reservation")),
            volsize: entry.get("volsize").map(|_| bytes(entry, "volsize")),
            special_small_block_size: kept_spelling(
                local_or_inherit(entry, "special_small_block_size"),
                &self.special_small_block_size,
            ),
            mountpoint: text("mountpoint"),
            encrypted: entry.get("encrypted").and_then(Json::as_bool),
            pool: text("pool"),
        }
    }
}

/// The raw value of a property that was set on this dataset itself.
fn local(entry: &Json, name: &str) -> Option<String> {
    let property = entry.get(name)?;
    if property.get("source").and_then(Json::as_str) != Some("LOCAL") {
        return None;
    }
    let value = property
        .get("value")
        .filter(|v| !v.is_null())
        .or_else(|| property.get("rawvalue"))?;
    value
        .as_str()
        .map_or_else(|| Some(value.to_string()), |s| Some(s.to_owned()))
}

fn local_or_inherit(entry: &Json, name: &str) -> Option<String> {
    entry.get(name).filter(|p| !p.is_null())?;
    Some(local(entry, name).unwrap_or_else(|| "INHERIT".into()))
}

/// A size in bytes; none, null and inherited count as 0.
fn bytes(entry: &Json, name: &str) -> i64 {
    let parsed = entry.get(name).and_then(|p| p.get("parsed"));
    parsed
        .and_then(|v| v.as_i64().or_else(|| v.as_str()?.parse().ok()))
        .unwrap_or(0)
}

#[async_trait]
impl Resource for Dataset {
    type Client = Client;

    /// Spelling is not a difference: the appliance answers in capitals.
    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        for name in ["type", "compression", "acltype", "special_small_block_size"] {
            let same = match (plan.prior().get(name), plan.attribute(name)) {
                (Some(old), Some(new)) => match (old.as_str(), new.as_str()) {
                    (Some(old), Some(new)) => old != new && old.eq_ignore_ascii_case(new),
                    _ => false,
                },
                _ => false,
            };
            if same {
                plan.keep(&Path::root().attr(name));
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
        let mut data = planned.properties(None);
        data.insert("name".into(), json!(planned.name));
        data.insert(
            "type".into(),
            json!(if planned.is_volume() {
                "VOLUME"
            } else {
                "FILESYSTEM"
            }),
        );
        if let (Some(share_type), false) = (&planned.share_type, planned.is_volume()) {
            data.insert("share_type".into(), json!(share_type.to_uppercase()));
        }
        if let (Some(acltype), false) = (&planned.acltype, planned.is_volume()) {
            data.insert("acltype".into(), json!(acltype.to_uppercase()));
        }
        let entry = client
            .call_job("pool.dataset.create", &json!([data]), cx)
            .await
            .map_err(|e| explain(e, &planned.name))?;
        Ok(planned.read_entry(&entry))
    }

    fn named(&self) -> Option<Self> {
        Some(Dataset {
            id: self.name.clone(),
            ..self.clone()
        })
    }

    async fn read(client: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        let entry = client.query("pool.dataset.query", &json!(prior.id)).await?;
        Ok(entry.map(|entry| prior.read_entry(&entry)))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let data = planned.properties(Some(&prior));
        let entry = client
            .call_job("pool.dataset.update", &json!([prior.id, data]), cx)
            .await?;
        Ok(planned.read_entry(&entry))
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        match client
            .call_job(
                "pool.dataset.delete",
                &json!([prior.id, {"recursive": false, "force": false}]),
                cx,
            )
            .await
        {
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.remedy(
                "A dataset with children or snapshots is not deleted: remove those first.",
            )),
            Ok(_) => Ok(()),
        }
    }

    async fn import(client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        let entry = client.query("pool.dataset.query", &json!(id)).await?;
        let entry = entry.ok_or_else(|| {
            Error::not_found(format!("import dataset {id}"), "there is no such dataset")
        })?;
        let empty = Dataset {
            id: id.to_owned(),
            name: id.to_owned(),
            r#type: None,
            compression: None,
            acltype: None,
            share_type: None,
            comments: None,
            quota: None,
            refquota: None,
            reservation: None,
            volsize: None,
            special_small_block_size: None,
            mountpoint: None,
            encrypted: None,
            pool: None,
        };
        Ok(empty.read_entry(&entry))
    }
}

fn explain(error: Error, name: &str) -> Error {
    if error.said().contains("already exists") {
        return error.remedy(format!(
            "Import it: an import block with id = \"{name}\", or choose another name."
        ));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(name: &str) -> Dataset {
        Dataset {
            id: name.into(),
            name: name.into(),
            r#type: None,
            compression: Some("lz4".into()),
            acltype: None,
            share_type: Some("NFS".into()),
            comments: None,
            quota: Some(0),
            refquota: None,
            reservation: None,
            volsize: None,
            special_small_block_size: None,
            mountpoint: None,
            encrypted: None,
            pool: None,
        }
    }

    #[test]
    fn inherited_properties_read_as_inherit_and_spelling_is_kept() {
        let entry = json!({
            "id": "tank/k8s", "name": "tank/k8s", "pool": "tank", "type": "FILESYSTEM", "encrypted": false,
            "mountpoint": "/mnt/tank/k8s",
            "compression": {"value": "LZ4", "rawvalue": "lz4", "parsed": "lz4", "source": "LOCAL"},
            "acltype": {"value": "POSIX", "rawvalue": "posix", "parsed": "posix", "source": "INHERITED"},
            "quota": {"value": null, "rawvalue": "0", "parsed": null, "source": "DEFAULT"},
            "refquota": {"value": "10G", "rawvalue": "10737418240", "parsed": 10_737_418_240_i64, "source": "LOCAL"},
        });
        let read = dataset("tank/k8s").read_entry(&entry);
        assert_eq!(read.compression.as_deref(), Some("lz4"));
        assert_eq!(read.acltype.as_deref(), Some("INHERIT"));
        assert_eq!((read.quota, read.refquota), (Some(0), Some(10_737_418_240)));
        assert_eq!(read.mountpoint.as_deref(), Some("/mnt/tank/k8s"));
        assert_eq!(read.volsize, None);
    }

    #[test]
    fn an_update_sends_only_what_changed() {
        let prior = dataset("tank/a");
        let planned = Dataset {
            compression: Some("ZSTD".into()),
            quota: Some(2_147_483_648),
            ..prior.clone()
        };
        let sent = planned.properties(Some(&prior));
        assert_eq!(
            Json::Object(sent),
            json!({"compression": "ZSTD", "quota": 2_147_483_648_i64})
        );
        assert!(prior.properties(Some(&prior)).is_empty());
    }
}
