//! Work on guests: in tasks, under the guest's lock, and undone when it comes to nothing.

use std::future::Future;

use super::{Purpose, Px};
use crate::Proxmox;
use crate::error::Answer;
use crate::routes::Call;
use crate::state::State;
use crate::task::TaskLog;

/// Work on the guest in the path, in a task of its node that is called by the guest's kind and a verb.
pub(crate) async fn in_task<F, W>(px: &Px, call: Call, verb: &str, work: F) -> Answer
where
    F: FnOnce(TaskLog, Call) -> W + Send + 'static,
    W: Future<Output = Result<(), String>> + Send + 'static,
{
    let (node, name) = (call.node().to_owned(), call.kind().task(verb));
    let (caller, id) = (call.caller.clone(), call.vmid().to_string());
    px.worker(&node, &name, &id, &caller, move |task| work(task, call))
        .await
}

/// As [`in_task`], while nothing else may change the guest.
pub(crate) async fn locked<F, W>(px: &Px, call: Call, verb: &str, work: F) -> Answer
where
    F: FnOnce(TaskLog, Call) -> W + Send + 'static,
    W: Future<Output = Result<(), String>> + Send + 'static,
{
    in_task(px, call, verb, |task, call| async move {
        let px = task.proxmox.clone();
        let lock = px.lock_vm(call.kind(), call.vmid(), Purpose::Change);
        let _lock = lock.await?;
        work(task, call).await
    })
    .await
}

/// Undoes something when it is dropped: when work fails, is interrupted or never begins. Not to be dropped while the
/// state is borrowed.
pub(crate) struct Undo(Option<Box<dyn FnOnce() + Send>>);

impl Undo {
    pub(crate) fn new(undo: impl FnOnce() + Send + 'static) -> Undo {
        Undo(Some(Box::new(undo)))
    }

    /// There is nothing to undo any more.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if let Some(undo) = self.0.take() {
            undo();
        }
    }
}

/// Marks a guest's configuration as locked, until what is given back is dropped.
pub(crate) fn hold(px: &Px, state: &mut State, vmid: u32, what: &'static str) -> Undo {
    if let Some(vm) = state.vms.get_mut(&vmid) {
        vm.set_lock(what);
    }
    let px = px.clone();
    Undo::new(move || px.unlock(vmid, what))
}

impl Proxmox {
    /// Takes a lock of this kind off a guest's configuration.
    fn unlock(&self, vmid: u32, what: &str) {
        if let Some(vm) = self.state().vms.get_mut(&vmid)
            && vm.config.get("lock").is_some_and(|lock| lock == what)
        {
            vm.config.remove("lock");
        }
        self.changed();
    }
}
