//! Stopping and removing a machine.

use stead_sdk::{Context, Error};

use crate::client::{Client, params};
use crate::guest::{Guest, Kind, seconds};
use crate::vm::{Vm, power};

pub(crate) async fn delete(client: &Client, vm: Vm, cx: &Context) -> Result<(), Error> {
    let id = vm.identifier()?;
    client.guests_changed().await;
    let Some((guest, row)) = Guest::find(client, cx, Kind::Machine, id).await? else {
        return Ok(());
    };
    guest.refuse_protected(vm.protection)?;
    if row.running {
        power::halt(&guest, &vm).await?;
    }
    let flag = |value: bool| i32::from(value).to_string();
    let query = params([
        ("purge", flag(vm.purge_on_destroy)),
        (
            "destroy-unreferenced-disks",
            flag(vm.delete_unreferenced_disks_on_destroy),
        ),
    ]);
    guest.destroy(&query, seconds(vm.timeout_stop_vm)).await
}
