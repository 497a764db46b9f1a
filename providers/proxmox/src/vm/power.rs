//! Starting, restarting and stopping.

use std::time::Duration;

use reqwest::Method;
use stead_sdk::wait::{Poll, Polling, until};
use stead_sdk::{Context, Error};

use crate::client::{Client, Params, params, text};
use crate::vm::schema::Vm;

/// Longer waits than a month are none that anybody means, and could not be added to a clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// A timeout attribute.
pub(crate) fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or(0).max(1)).min(LONGEST)
}

fn status_path(vm: &Vm, id: i64, verb: &str) -> String {
    format!("/nodes/{}/qemu/{id}/status/{verb}", vm.node_name)
}

pub(crate) async fn is_running(
    client: &Client,
    cx: &Context,
    vm: &Vm,
    id: i64,
) -> Result<bool, Error> {
    let what = format!("read the status of VM {id}");
    let status = client
        .get(cx, &what, &status_path(vm, id, "current"), &Params::new())
        .await?;
    Ok(text(&status, "status").as_deref() == Some("running"))
}

pub(crate) async fn start(client: &Client, cx: &Context, vm: &Vm, id: i64) -> Result<(), Error> {
    let timeout = seconds(vm.timeout_start_vm);
    let form = params([("timeout", timeout.as_secs().to_string())]);
    let started = client
        .run(
            cx,
            Method::POST,
            &format!("start VM {id}"),
            &status_path(vm, id, "start"),
            &form,
            timeout,
        )
        .await;
    match started {
        Err(e) if e.said().contains("already running") => {}
        other => other?,
    }
    client.guests_changed().await;
    settle(client, cx, vm, id, true, timeout).await
}

/// Where HA has the say, the task ends before the machine follows.
async fn settle(
    client: &Client,
    cx: &Context,
    vm: &Vm,
    id: i64,
    running: bool,
    timeout: Duration,
) -> Result<(), Error> {
    let what = format!(
        "VM {id} to be {}",
        if running { "running" } else { "stopped" }
    );
    let polling = Polling::default()
        .cap(Duration::from_secs(1))
        .timeout(timeout);
    until(cx, &what, polling, || async {
        let now = is_running(client, cx, vm, id).await?;
        Ok(if now == running {
            Poll::Ready(())
        } else {
            Poll::Pending
        })
    })
    .await
}

/// Restarts, so that pending changes take effect: by the guest's agent where there is one, else off and on.
pub(crate) async fn restart(client: &Client, cx: &Context, vm: &Vm, id: i64) -> Result<(), Error> {
    let has_agent = vm.agent.as_ref().is_some_and(|a| a.enabled);
    if !has_agent {
        halt(client, cx, vm, id).await?;
        return start(client, cx, vm, id).await;
    }
    let timeout = seconds(vm.timeout_reboot);
    let form = params([("timeout", timeout.as_secs().to_string())]);
    client
        .run(
            cx,
            Method::POST,
            &format!("restart VM {id}"),
            &status_path(vm, id, "reboot"),
            &form,
            timeout,
        )
        .await?;
    client.guests_changed().await;
    settle(client, cx, vm, id, true, timeout).await
}

/// Shuts down through the agent where there is one, else switches off.
pub(crate) async fn halt(client: &Client, cx: &Context, vm: &Vm, id: i64) -> Result<(), Error> {
    let has_agent = vm.agent.as_ref().is_some_and(|a| a.enabled);
    let gently = has_agent && !vm.stop_on_destroy;
    let (verb, timeout, form) = if gently {
        let timeout = seconds(vm.timeout_shutdown_vm);
        let form = params([
            ("forceStop", "1".to_owned()),
            ("timeout", timeout.as_secs().to_string()),
        ]);
        ("shutdown", timeout + Duration::from_secs(60), form)
    } else {
        ("stop", seconds(vm.timeout_stop_vm), Params::new())
    };
    client
        .run(
            cx,
            Method::POST,
            &format!("stop VM {id}"),
            &status_path(vm, id, verb),
            &form,
            timeout,
        )
        .await?;
    client.guests_changed().await;
    settle(client, cx, vm, id, false, timeout).await
}
