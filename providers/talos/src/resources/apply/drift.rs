//! Whether a node still has the configuration that it was given.

use stead_sdk::{Context, Error};

use super::MachineConfigurationApply;
use crate::client::Client;
use crate::machinery::Secret;
use crate::node::{Api, CallError, Contact};
use crate::render;

/// Looks at the node. One that cannot be looked at stays as it is known, with a warning: it must not get lost.
pub(super) async fn read(
    client: &Client,
    prior: MachineConfigurationApply,
    cx: &Context,
) -> MachineConfigurationApply {
    match look(client, &prior, cx).await {
        Ok(Some(now)) => now,
        Ok(None) => prior,
        Err(error) => {
            let detail = format!("{error} Its configuration is taken to be the one in the state.");
            cx.warn(format!("Could not look at node {}", prior.node), detail);
            prior
        }
    }
}

async fn look(
    client: &Client,
    prior: &MachineConfigurationApply,
    cx: &Context,
) -> Result<Option<MachineConfigurationApply>, Error> {
    let Some(identity) = &prior.client_configuration else {
        return Ok(None);
    };
    let node = prior.target(client, identity, prior.stored_configuration())?;
    let mut contact = node.contact(cx).await?;
    if let (Contact::Away(_), Some(direct)) = (&contact, node.direct()) {
        contact = direct.contact(cx).await?;
    }
    let asked = || format!("read the configuration of {}", node.label());
    let api = match contact {
        Contact::Configured(api) => api,
        Contact::Away(why) => return Err(Error::transient(asked(), why)),
        Contact::Stranger(error) => return Err(error),
        Contact::Maintenance(..) => {
            let error = Error::new(
                asked(),
                "it is in maintenance mode: it has lost its configuration",
            );
            return Err(error
                .remedy("If it was installed anew, replace this resource: `-replace=ADDRESS`."));
        }
    };
    let mut now = prior.clone();
    now.configured = Some(prior.node.clone());
    if let Some(changed) = changed(&api, prior).await? {
        now.machine_configuration_hash = Some(render::hash(changed.expose()));
        if now.machine_configuration.is_some() {
            now.machine_configuration = Some(changed.expose().to_owned().into());
        }
    }
    Ok(Some(now))
}

/// The node's configuration, when it is another one than the state's.
async fn changed(
    api: &Api,
    prior: &MachineConfigurationApply,
) -> Result<Option<Secret>, CallError> {
    // A staged configuration is on the disk only, until the next start.
    let staged = prior.resolved_apply_mode.as_deref() == Some("staged");
    let on_disk = api.machine_config("persistent").await?;
    let in_use = if staged && on_disk.is_some() {
        None
    } else {
        api.machine_config("v1alpha1").await?
    };
    let is_wanted = |found: &Secret| match (
        &prior.machine_configuration,
        &prior.machine_configuration_hash,
    ) {
        (Some(wanted), _) => render::same(found.expose(), wanted.expose_secret()),
        (None, Some(wanted)) => render::hash(found.expose()) == *wanted,
        (None, None) => true,
    };
    Ok([on_disk, in_use]
        .into_iter()
        .flatten()
        .find(|found| !is_wanted(found)))
}
