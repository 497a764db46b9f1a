//! `proxmox_virtual_environment_hardware_mapping_pci`: PCI devices of nodes under one name.

use reqwest::Method;
use serde_json::Value as Json;
use stead_sdk::value::Value;
use stead_sdk::{Block, Context, Error, Failure, Resource, async_trait};

use crate::client::{Client, Params, flag, params, text};
use crate::property::Properties;

/// PCI devices that machines may be given by name.
#[derive(Clone, Debug, Default, Resource)]
#[resource(name = "proxmox_virtual_environment_hardware_mapping_pci", version = 0)]
pub(crate) struct MappingPci {
    #[attr(computed)]
    id: String,
    #[attr(optional)]
    comment: Option<String>,
    #[attr(required, nested(set))]
    map: Vec<Device>,
    #[attr(optional, computed, default = false)]
    mediated_devices: Option<bool>,
    #[attr(required, replace)]
    name: String,
}

/// A device on a node.
#[derive(Clone, Debug, Default, Block)]
pub(crate) struct Device {
    #[attr(optional)]
    comment: Option<String>,
    /// Vendor and device, `8086:5916`.
    #[attr(required)]
    id: String,
    #[attr(optional)]
    iommu_group: Option<i64>,
    #[attr(required)]
    node: String,
    /// The address, `0000:00:02.0`.
    #[attr(required)]
    path: String,
    #[attr(optional)]
    subsystem_id: Option<String>,
}

impl Device {
    fn encode(&self) -> String {
        let properties = Properties::default()
            .with("id", &self.id)
            .with("node", &self.node)
            .with("path", &self.path)
            .text("description", self.comment.as_deref().unwrap_or_default())
            .text(
                "subsystem-id",
                self.subsystem_id.as_deref().unwrap_or_default(),
            );
        match self.iommu_group {
            Some(group) => properties.with("iommugroup", group).encode(""),
            None => properties.encode(""),
        }
    }

    fn decode(text: &str) -> Device {
        let read = Properties::parse(text, "");
        let get = |key: &str| read.get(key).map(str::to_owned);
        Device {
            comment: get("description"),
            id: get("id").unwrap_or_default(),
            iommu_group: read.number("iommugroup"),
            node: get("node").unwrap_or_default(),
            path: get("path").unwrap_or_default(),
            subsystem_id: get("subsystem-id"),
        }
    }
}

impl MappingPci {
    fn form(&self) -> Params {
        let mut form = params([
            ("id", self.name.clone()),
            (
                "mdev",
                i32::from(self.mediated_devices.unwrap_or(false)).to_string(),
            ),
        ]);
        form.extend(self.map.iter().map(|d| ("map".to_owned(), d.encode())));
        if let Some(comment) = self.comment.clone().filter(|c| !c.is_empty()) {
            form.push(("description".into(), comment));
        }
        form
    }
}

const PATH: &str = "/cluster/mapping/pci";

#[async_trait]
impl Resource for MappingPci {
    type Client = Client;

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let what = format!("create the PCI mapping {}", planned.name);
        client
            .change(cx, Method::POST, &what, PATH, &planned.form())
            .await?;
        Ok(MappingPci {
            id: planned.name.clone(),
            ..planned
        })
    }

    fn named(&self) -> Option<Self> {
        Some(MappingPci {
            id: self.name.clone(),
            ..self.clone()
        })
    }

    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let what = format!("read the PCI mapping {}", prior.id);
        let found = match client
            .get(cx, &what, &format!("{PATH}/{}", prior.id), &Params::new())
            .await
        {
            Err(e) if e.is_not_found() => return Ok(None),
            other => other?,
        };
        let map = found
            .get("map")
            .and_then(Json::as_array)
            .into_iter()
            .flatten();
        Ok(Some(MappingPci {
            name: prior.id.clone(),
            comment: text(&found, "description"),
            mediated_devices: Some(flag(&found, "mdev").unwrap_or(false)),
            map: map.filter_map(Json::as_str).map(Device::decode).collect(),
            id: prior.id,
        }))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let what = format!("change the PCI mapping {}", prior.id);
        let mut form = planned.form();
        form.retain(|(k, _)| k != "id");
        if planned.comment.is_none() && prior.comment.is_some() {
            form.push(("delete".into(), "description".into()));
        }
        client
            .change(
                cx,
                Method::PUT,
                &what,
                &format!("{PATH}/{}", prior.id),
                &form,
            )
            .await?;
        Ok(planned)
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let what = format!("delete the PCI mapping {}", prior.id);
        match client
            .change(
                cx,
                Method::DELETE,
                &what,
                &format!("{PATH}/{}", prior.id),
                &Params::new(),
            )
            .await
        {
            Err(e) if e.is_not_found() => Ok(()),
            other => other.map(|_| ()),
        }
    }

    async fn import(_client: &Client, id: &str, _cx: &Context) -> Result<Self, Error> {
        Ok(MappingPci {
            id: id.to_owned(),
            name: id.to_owned(),
            ..MappingPci::default()
        })
    }
}
