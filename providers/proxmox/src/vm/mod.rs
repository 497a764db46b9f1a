//! `proxmox_virtual_environment_vm`, in the order in which a machine lives: created, with disks and devices, started, asked
//! for its addresses, changed, stopped, deleted.

mod agent;
mod create;
mod decode;
mod delete;
mod disk;
mod effect;
mod encode;
mod parts;
mod plan;
mod power;
mod privileges;
mod schema;
mod update;
mod validate;

use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{
    Context, Cut, Discovered, Error, Failure, PlanDraft, Resource, Resumed, async_trait,
};

use crate::client::{Client, Row};
use crate::guest::{Guest, Kind};

pub(crate) use decode::is_drive;
pub(crate) use schema::Vm;

#[async_trait]
impl Resource for Vm {
    type Client = Client;

    fn validate(config: &Value) -> Diagnostics {
        validate::validate(config)
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
        let Some((guest, row)) = Guest::find(client, cx, Kind::Machine, id).await? else {
            return Ok(None);
        };
        let (config, answer) = agent::config_and_answer(&guest, &prior, row.running).await;
        let Some(config) = config? else {
            client.guests_changed().await;
            return Ok(None);
        };
        let mut vm = decode::machine(prior, &row, &config, importing);
        if importing {
            vm.take_defaults();
        }
        agent::look(&guest, &mut vm, answer).await?;
        Ok(Some(vm))
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
        delete::delete(client, prior, cx).await
    }

    async fn resume(client: &Client, cut: Cut<Self>, cx: &Context) -> Result<Resumed<Self>, Error> {
        create::resume(client, cut, cx).await
    }

    /// `NODE/VMID`, or the identifier alone.
    async fn import(client: &Client, id: &str, cx: &Context) -> Result<Self, Error> {
        let (id, node_name) = crate::guest::import(client, cx, Kind::Machine, id).await?;
        Ok(Vm {
            id: id.to_string(),
            vm_id: Some(id),
            node_name,
            imported: Some(true),
            ..Vm::default()
        })
    }

    const IS_LISTED: bool = true;
    const REFERRED_AS: &'static [(&'static str, &'static str)] = &[("vm_id", "vm_id")];

    async fn discover(client: &Client, cx: &Context) -> Result<Vec<Discovered>, Error> {
        crate::guest::discover(client, cx, Kind::Machine).await
    }

    fn key(&self) -> Option<String> {
        self.identifier().ok().map(crate::guest::key)
    }
}

impl Vm {
    fn identifier(&self) -> Result<i64, Error> {
        let id = self
            .vm_id
            .or_else(|| self.id.rsplit('/').next()?.parse().ok());
        id.ok_or_else(|| Error::new("find the VM", "the state has no `vm_id`"))
    }

    /// What only steers stead and cannot be read: as if the configuration were silent.
    fn take_defaults(&mut self) {
        self.delete_unreferenced_disks_on_destroy = true;
        self.purge_on_destroy = true;
        self.reboot_after_update = true;
        for timeout in [
            &mut self.timeout_clone,
            &mut self.timeout_create,
            &mut self.timeout_migrate,
            &mut self.timeout_move_disk,
            &mut self.timeout_reboot,
            &mut self.timeout_shutdown_vm,
            &mut self.timeout_start_vm,
        ] {
            *timeout = 1800;
        }
        self.timeout_stop_vm = 300;
        if self.template {
            self.started = true;
        }
    }
}

/// The machine after a change, as it is on the server.
async fn reread(guest: &Guest<'_>, vm: Vm) -> Result<Vm, Failure<Vm>> {
    let found = match guest.config().await {
        Ok(found) => found,
        Err(error) => return Err(Failure::partial(error, vm)),
    };
    let Some(found) = found else {
        let asked = format!("read {}", guest.name());
        let error = Error::not_found(asked, "it vanished while it was being changed");
        return Err(Failure::partial(error, vm));
    };
    let row = Row {
        running: vm.started && !vm.template,
        pool: vm.pool_id.clone(),
        template: vm.template,
        ..Row::of(guest.id, &guest.node)
    };
    Ok(decode::machine(vm, &row, &found, false))
}
