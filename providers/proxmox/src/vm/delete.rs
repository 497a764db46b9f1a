//! Stopping and removing a machine.

use reqwest::Method;
use stead_sdk::wait::{Poll, Polling, until};
use stead_sdk::{Context, Error};

use crate::client::{Client, params};
use crate::vm::power::{self, seconds};
use crate::vm::{Vm, config};

pub(crate) async fn delete(client: &Client, mut vm: Vm, cx: &Context) -> Result<(), Error> {
    let id = vm.identifier()?;
    client.guests_changed().await;
    let Some(guest) = client.guest(cx, id).await?.filter(|g| !g.is_container) else {
        return Ok(());
    };
    vm.node_name = guest.node;
    if vm.protection {
        return Err(Error::new(format!("delete VM {id}"), "it is protected")
            .remedy("Set protection = false and apply, then destroy.")
            .attribute("protection"));
    }
    if guest.running {
        power::halt(client, cx, &vm, id).await?;
    }
    let flag = |value: bool| i32::from(value).to_string();
    let query = params([
        ("purge", flag(vm.purge_on_destroy)),
        (
            "destroy-unreferenced-disks",
            flag(vm.delete_unreferenced_disks_on_destroy),
        ),
    ]);
    let path = format!("/nodes/{}/qemu/{id}", vm.node_name);
    let done = client
        .run(
            cx,
            Method::DELETE,
            &format!("delete VM {id}"),
            &path,
            &query,
            seconds(vm.timeout_stop_vm),
        )
        .await;
    client.guests_changed().await;
    match done {
        Err(e) if e.is_not_found() => return Ok(()),
        other => other?,
    }
    let polling = Polling::default().timeout(seconds(vm.timeout_stop_vm));
    until(cx, &format!("VM {id} to be gone"), polling, || async {
        let gone = config(client, cx, &vm.node_name, id).await?.is_none();
        Ok(if gone { Poll::Ready(()) } else { Poll::Pending })
    })
    .await
}
