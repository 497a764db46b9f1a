//! The data source of one machine, with its settings.

use std::collections::{BTreeMap, BTreeSet};

use stead_sdk::{Block, Context, DataSource, Error, async_trait};

use crate::client::Client;
use crate::guest::{Guest, Kind};
use crate::vm2::blocks::{FoundCpu, FoundDisc, FoundRng, FoundVga, found, in_time};

/// A machine, by its identifier; it is found on whichever node it is.
#[derive(Clone, Debug, Default, DataSource)]
#[data_source(name = "proxmox_vm", alias = "proxmox_virtual_environment_vm2")]
pub(crate) struct Found {
    #[attr(computed, nested(map))]
    cdrom: Option<BTreeMap<String, FoundDisc>>,
    #[attr(computed, nested(single))]
    cpu: Option<FoundCpu>,
    #[attr(computed)]
    description: Option<String>,
    #[attr(required)]
    id: i64,
    #[attr(computed)]
    name: Option<String>,
    #[attr(required)]
    node_name: String,
    #[attr(computed, nested(single))]
    rng: Option<FoundRng>,
    /// Such as `running` or `stopped`.
    #[attr(computed)]
    status: Option<String>,
    #[attr(computed)]
    tags: BTreeSet<String>,
    #[attr(computed)]
    template: Option<bool>,
    #[attr(optional, nested(single))]
    timeouts: Option<ReadTimeout>,
    #[attr(computed, nested(single))]
    vga: Option<FoundVga>,
}

/// How long the reading may take, such as `5m`.
#[derive(Clone, Debug, Default, Block)]
pub(crate) struct ReadTimeout {
    #[attr(optional)]
    read: Option<String>,
}

#[async_trait]
impl DataSource for Found {
    type Client = Client;

    async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
        let what = format!("read VM {}", config.id);
        let missing =
            || Error::not_found(&what, "there is no such VM in the cluster").attribute("id");
        let timeouts = config.timeouts.as_ref();
        let (settings, row) = in_time(timeouts.and_then(|t| t.read.as_ref()), async {
            let found = Guest::find(client, cx, Kind::Machine, config.id).await?;
            let (guest, row) = found.ok_or_else(missing)?;
            Ok((guest.config().await?.ok_or_else(missing)?, row))
        })
        .await?;
        let text = |key: &str| settings.get(key).cloned();
        let discs = FoundDisc::found(&settings);
        Ok(Found {
            cdrom: (!discs.is_empty()).then_some(discs),
            cpu: FoundCpu::found(&settings),
            description: text("description"),
            name: text("name"),
            rng: found(&settings, "rng0"),
            status: Some(row.status),
            tags: row.tags.into_iter().collect(),
            template: Some(row.template),
            vga: found(&settings, "vga"),
            ..config
        })
    }
}
