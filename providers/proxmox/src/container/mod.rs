//! `proxmox_virtual_environment_container`, in the order in which a container lives: created, started, asked for its addresses,
//! changed, stopped, deleted.

mod addresses;
mod create;
mod decode;
mod effect;
mod encode;
mod id_map;
mod plan;
mod privileges;
mod schema;
mod update;

use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{
    Context, Cut, Discovered, Error, Failure, PlanDraft, Resource, Resumed, async_trait,
};

use crate::client::{Client, Row, params};
use crate::guest::{Guest, Kind, seconds};

pub(crate) use schema::Container;

#[async_trait]
impl Resource for Container {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        plan::validate(config)
    }

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        cx: &Context,
    ) -> Result<(), Diagnostics> {
        plan::plan(client, draft, cx).await
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        create::create(client, planned, cx).await
    }

    async fn read(client: &Client, mut prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let id = prior.identifier()?;
        let importing = prior.imported.take() == Some(true);
        let Some((guest, row)) = Guest::find(client, cx, Kind::Container, id).await? else {
            return Ok(None);
        };
        let Some(config) = guest.config().await? else {
            client.guests_changed().await;
            return Ok(None);
        };
        let mut found = decode::container(prior, &row, &config, importing);
        if importing {
            found.take_defaults();
        }
        addresses::look(&guest, &mut found).await?;
        Ok(Some(found))
    }

    async fn update(
        client: &Client,
        prior: Self,
        planned: Self,
        _config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        update::update(client, prior, planned, cx).await
    }

    async fn delete(client: &Client, prior: Self, cx: &Context) -> Result<(), Error> {
        let id = prior.identifier()?;
        client.guests_changed().await;
        let Some((guest, row)) = Guest::find(client, cx, Kind::Container, id).await? else {
            return Ok(());
        };
        guest.refuse_protected(prior.protection)?;
        if row.running {
            guest.shut_down(update::stop_timeout(&prior)).await?;
        }
        let query = params([
            ("purge", "1".to_owned()),
            ("destroy-unreferenced-disks", "1".to_owned()),
        ]);
        guest.destroy(&query, seconds(prior.timeout_delete)).await
    }

    async fn resume(client: &Client, cut: Cut<Self>, cx: &Context) -> Result<Resumed<Self>, Error> {
        create::resume(client, cut, cx).await
    }

    /// `NODE/ID`, or the identifier alone.
    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let (id, node_name) = crate::guest::import(client, cx, Kind::Container, id).await?;
        Ok(Container {
            id: id.to_string(),
            vm_id: Some(id),
            node_name,
            imported: Some(true),
            ..Container::default()
        })
    }

    const IS_LISTED: bool = true;
    const REFERRED_AS: &'static [(&'static str, &'static str)] = &[("container_id", "vm_id")];

    async fn discover(client: &Client, cx: &Context) -> Result<Vec<Discovered>, Error> {
        crate::guest::discover(client, cx, Kind::Container).await
    }

    fn key(&self) -> Option<String> {
        self.identifier().ok().map(crate::guest::key)
    }
}

impl Container {
    fn identifier(&self) -> Result<i64, Error> {
        let id = self.vm_id.or_else(|| self.id.parse().ok());
        id.ok_or_else(|| Error::new("find the container", "the state has no `vm_id`"))
    }

    /// What only steers stead and cannot be read: as if the configuration were silent.
    fn take_defaults(&mut self) {
        self.timeout_clone = 1800;
        self.timeout_create = 1800;
        self.timeout_delete = 60;
        self.timeout_start = 300;
        self.timeout_update = 1800;
        if self.template {
            self.started = true;
        }
    }
}

/// The container after a change, as it is on the server.
async fn reread(guest: &Guest<'_>, container: Container) -> Result<Container, Failure<Container>> {
    let found = match guest.config().await {
        Ok(found) => found,
        Err(error) => return Err(Failure::partial(error, container)),
    };
    let Some(found) = found else {
        let asked = format!("read {}", guest.name());
        let error = Error::not_found(asked, "it vanished while it was being changed");
        return Err(Failure::partial(error, container));
    };
    let row = Row {
        running: container.started && !container.template,
        pool: container.pool_id.clone(),
        template: container.template,
        ..Row::of(guest.id, &guest.node)
    };
    Ok(decode::container(container, &row, &found, false))
}
