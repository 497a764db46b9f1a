//! Restarting and stopping a machine, by its guest agent where there is one.

use stead_sdk::Error;

use crate::guest::{Guest, seconds};
use crate::vm::schema::Vm;

fn has_agent(vm: &Vm) -> bool {
    vm.agent.as_ref().is_some_and(|agent| agent.enabled)
}

/// Restarts, so that pending changes take effect.
pub(crate) async fn restart(guest: &Guest<'_>, vm: &Vm) -> Result<(), Error> {
    if has_agent(vm) {
        return guest.reboot(seconds(vm.timeout_reboot)).await;
    }
    halt(guest, vm).await?;
    guest.start(seconds(vm.timeout_start_vm)).await
}

/// Shuts down where something in the guest listens, else switches off.
pub(crate) async fn halt(guest: &Guest<'_>, vm: &Vm) -> Result<(), Error> {
    match has_agent(vm) && !vm.stop_on_destroy {
        true => guest.shut_down(seconds(vm.timeout_shutdown_vm)).await,
        false => guest.switch_off(seconds(vm.timeout_stop_vm)).await,
    }
}
