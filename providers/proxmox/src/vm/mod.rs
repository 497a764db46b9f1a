//! `proxmox_virtual_environment_vm`, in the order in which a machine lives: created, with disks and devices, started, asked
//! for its addresses, changed, stopped, deleted.

mod agent;
mod create;
mod decode;
mod delete;
mod disk;
mod encode;
mod plan;
mod power;
mod schema;
mod update;

use serde_json::Value as Json;
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, Cut, Error, Failure, PlanDraft, Resource, Resumed, async_trait};

use crate::client::{Client, Guest, Params};

pub(crate) use power::seconds;
pub(crate) use schema::Vm;

#[async_trait]
impl Resource for Vm {
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
        let Some(guest) = client.guest(cx, id).await?.filter(|g| !g.is_container) else {
            return Ok(None);
        };
        let Some(config) = config(client, cx, &guest.node, id).await? else {
            client.guests_changed().await;
            return Ok(None);
        };
        let mut vm = decode::machine(prior, &guest, &config, importing);
        if importing {
            vm.take_defaults();
        }
        agent::look(client, cx, &mut vm, id).await?;
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
        let number = id.rsplit('/').next().and_then(|n| n.parse::<i64>().ok());
        let asked = format!("import the VM {id}");
        let number = number.ok_or_else(|| {
            Error::new(asked.clone(), "it is not an identifier")
                .remedy("Write NODE/VMID, such as pve/100.")
        })?;
        let guest = client.guest(cx, number).await?.filter(|g| !g.is_container);
        let guest =
            guest.ok_or_else(|| Error::not_found(asked, "there is no such VM in the cluster"))?;
        Ok(Vm {
            id: number.to_string(),
            vm_id: Some(number),
            node_name: guest.node,
            imported: Some(true),
            ..Vm::default()
        })
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

/// The machine's configuration; `None` when it is gone.
async fn config(client: &Client, cx: &Context, node: &str, id: i64) -> Result<Option<Json>, Error> {
    let what = format!("read VM {id}");
    match client
        .get(
            cx,
            &what,
            &format!("/nodes/{node}/qemu/{id}/config"),
            &Params::new(),
        )
        .await
    {
        Ok(config) => Ok(Some(config)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

/// The machine after a change, as it is on the server.
async fn reread(client: &Client, cx: &Context, vm: Vm, id: i64) -> Result<Vm, Failure<Vm>> {
    let running = vm.started && !vm.template;
    let found = match config(client, cx, &vm.node_name, id).await {
        Ok(found) => found,
        Err(error) => return Err(Failure::partial(error, vm)),
    };
    let Some(found) = found else {
        let error = Error::not_found(
            format!("read VM {id}"),
            "it vanished while it was being changed",
        );
        return Err(Failure::partial(error, vm));
    };
    let guest = Guest {
        id,
        node: vm.node_name.clone(),
        running,
        pool: vm.pool_id.clone(),
        template: vm.template,
        is_container: false,
    };
    Ok(decode::machine(vm, &guest, &found, false))
}
