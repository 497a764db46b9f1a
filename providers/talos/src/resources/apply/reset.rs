//! Wiping a node when its configuration is destroyed.

use std::time::Instant;

use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Error, ErrorKind};

use super::MachineConfigurationApply;
use crate::api::machine::{ResetPartitionSpec, ResetRequest};
use crate::blocks::timeout_of;
use crate::client::Client;
use crate::node::{Api, Contact, Node, polling};

/// The partitions with the configuration and the data; the installation itself stays.
const WIPED: [&str; 2] = ["STATE", "EPHEMERAL"];

pub(super) async fn on_destroy(
    client: &Client,
    prior: &MachineConfigurationApply,
    cx: &Context,
) -> Result<(), Error> {
    let Some(wish) = prior.on_destroy.as_ref().filter(|w| w.reset) else {
        return Ok(());
    };
    let asked = || format!("reset node {}", prior.node);
    let identity = prior.client_configuration.as_ref().ok_or_else(|| {
        Error::new(asked(), "the state has no client configuration for it")
            .remedy("Use `client_configuration` instead of `client_configuration_wo`, or set `on_destroy.reset = false`.")
    })?;
    let timeout = timeout_of(prior.timeouts.as_ref().and_then(|t| t.delete.as_ref()))?;
    let cx = cx.clone().with_deadline(Instant::now() + timeout);
    let node = prior.target(client, identity)?;
    let request = ResetRequest {
        graceful: wish.graceful,
        reboot: wish.reboot,
        system_partitions_to_wipe: WIPED
            .map(|label| ResetPartitionSpec {
                label: label.to_owned(),
                wipe: true,
            })
            .to_vec(),
    };
    let what = format!("{} to be reset", node.label());
    let begun = until(&cx, &what, polling(), || begin(&node, &request, &cx)).await?;
    let Some(boot_id) = begun else {
        return Ok(());
    };
    until(&cx, &what, polling(), || {
        is_over(&node, wish.reboot, &boot_id, &cx)
    })
    .await
}

/// Asks for the reset; the answer is the boot that ends by it, or `None` when the node is wiped already.
async fn begin(
    node: &Node,
    request: &ResetRequest,
    cx: &Context,
) -> Result<Poll<Option<String>>, Error> {
    let api = match node.contact(cx).await? {
        Contact::Configured(api) => api,
        Contact::Maintenance(..) => return Ok(Poll::Ready(None)),
        Contact::Stranger(error) => return Err(error),
        Contact::Away(why) => return Ok(Poll::PendingBecause(why)),
    };
    let boot_id = match api.boot_id().await {
        Ok(id) => id,
        Err(call) if call.is_final() => return Err(call.into()),
        Err(call) => return Ok(Poll::PendingBecause(call.reason())),
    };
    match api.reset(request.clone()).await {
        Ok(()) => Ok(Poll::Ready(Some(boot_id))),
        // The node goes down by it: that the answer is lost is no failure.
        Err(call) if call.lost && call.error.kind() != ErrorKind::Denied => {
            Ok(Poll::Ready(Some(boot_id)))
        }
        Err(call) => Err(Error::from(call).remedy(
            "The last control plane node cannot leave etcd: it can only be reset with `on_destroy.graceful = false`.",
        )),
    }
}

async fn is_over(
    node: &Node,
    reboot: bool,
    boot_id: &str,
    cx: &Context,
) -> Result<Poll<()>, Error> {
    match node.contact(cx).await? {
        Contact::Away(_) if !reboot => Ok(Poll::Ready(())),
        Contact::Away(why) => Ok(Poll::PendingBecause(why)),
        Contact::Maintenance(..) => Ok(Poll::Ready(())),
        Contact::Stranger(error) => Ok(Poll::PendingBecause(error.said().to_owned())),
        Contact::Configured(api) => Ok(still_there(&api, reboot, boot_id).await),
    }
}

/// Something answers with a certificate of the cluster: the node before it goes down, or after it came back.
async fn still_there(api: &Api, reboot: bool, boot_id: &str) -> Poll<()> {
    match api.boot_id().await {
        Ok(now) if reboot && now != boot_id => Poll::Ready(()),
        Ok(_) => Poll::PendingBecause("it is still up".to_owned()),
        // With another endpoint than the node itself this is how one sees that the node is down.
        Err(call) if !reboot && call.code == tonic::Code::Unavailable => Poll::Ready(()),
        Err(call) => Poll::PendingBecause(call.reason()),
    }
}
