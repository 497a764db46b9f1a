//! Where there is something of a firewall, whoever made it.

use std::sync::Arc;

use serde_json::Value as Json;
use stead_sdk::{Context, Error};

use crate::client::{Client, text};
use crate::firewall::level::Level;
use crate::rest::Existing;
use crate::rest::discovery::{each, is_set};

/// The cluster itself.
const CLUSTER: Level = Level {
    container_id: None,
    node_name: None,
    vm_id: None,
};

/// What is in the lists of this name, such as `aliases`, of the cluster and of its guests.
pub(super) async fn named(
    client: &Client,
    cx: &Context,
    list: &str,
) -> Result<Vec<Existing>, Error> {
    let mut levels = vec![CLUSTER];
    levels.extend(guests_with_one(client, cx).await?);
    each(levels, async |level| {
        let rows = client.rows(cx, &format!("{}/{list}", level.path())).await?;
        let names = rows.iter().filter_map(|row| text(row, "name"));
        let ids = names.map(|name| Existing::new(format!("{}/{name}", level.place())));
        Ok(ids.collect())
    })
    .await
}

/// The levels that have rules.
pub(super) async fn with_rules(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
    let nodes = client.nodes(cx).await?.into_iter().map(|node| Level {
        node_name: Some(node),
        ..CLUSTER
    });
    let mut levels: Vec<_> = std::iter::once(CLUSTER).chain(nodes).collect();
    levels.extend(guests(client, cx).await?);
    each(levels, async |level| {
        let has = !rules(client, cx, &level).await?.is_empty();
        Ok(has
            .then(|| Existing::new(level.place()))
            .into_iter()
            .collect())
    })
    .await
}

/// The guests whose firewalls are set.
pub(super) async fn with_options(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
    each(guests(client, cx).await?, async |level| {
        let options = options(client, cx, &level).await?;
        Ok(is_set(&options)
            .then(|| Existing::new(level.place()))
            .into_iter()
            .collect())
    })
    .await
}

async fn guests(client: &Client, cx: &Context) -> Result<Vec<Level>, Error> {
    let guests = client.guests(cx).await?;
    let mut levels: Vec<_> = guests
        .iter()
        .map(|row| Level {
            container_id: row.is_container.then_some(row.id),
            vm_id: (!row.is_container).then_some(row.id),
            node_name: Some(row.node.clone()),
        })
        .collect();
    levels.sort_by_key(|level| level.vm_id.or(level.container_id));
    Ok(levels)
}

/// The guests that have rules or options. Others are not asked for more: most guests have no firewall at all, and two requests of
/// each are enough to know.
async fn guests_with_one(client: &Client, cx: &Context) -> Result<Vec<Level>, Error> {
    each(guests(client, cx).await?, async |level| {
        let options = options(client, cx, &level).await?;
        let has = is_set(&options) || !rules(client, cx, &level).await?.is_empty();
        Ok(has.then_some(level).into_iter().collect())
    })
    .await
}

async fn rules(client: &Client, cx: &Context, level: &Level) -> Result<Vec<Json>, Error> {
    client.rows(cx, &format!("{}/rules", level.path())).await
}

async fn options(client: &Client, cx: &Context, level: &Level) -> Result<Arc<Json>, Error> {
    client
        .listed(cx, &format!("{}/options", level.path()))
        .await
}
