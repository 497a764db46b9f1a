//! What a node is at present.

use stead_sdk::{Context, Error};

use super::Machine;
use crate::client::Client;
use crate::machinery::{Secret, comparable};
use crate::node::{Api, CallError, Contact};
use crate::render;
use crate::upgrade::{Installer, running};

/// Looks at the node. One that cannot be looked at stays as it is known, with a warning: it must not get lost.
pub(super) async fn read(client: &Client, prior: Machine, cx: &Context) -> Machine {
    match look(client, &prior, cx).await {
        Ok(Some(now)) => now,
        Ok(None) => prior,
        Err(error) => {
            let detail = format!("{error} It is taken to be as the state has it.");
            cx.warn(format!("Could not look at node {}", prior.node), detail);
            prior
        }
    }
}

async fn look(client: &Client, prior: &Machine, cx: &Context) -> Result<Option<Machine>, Error> {
    // Without credentials in the state nobody can look.
    let Some(identity) = &prior.client_configuration else {
        return Ok(None);
    };
    let node = prior.target(client, identity, prior.stored_configuration())?;
    let mut contact = node.contact(cx).await?;
    if let (Contact::Away(_), Some(direct)) = (&contact, node.direct()) {
        contact = direct.contact(cx).await?;
    }
    let asked = || format!("look at {}", node.label());
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
    if let Some(image) = prior
        .image
        .as_deref()
        .and_then(|i| Installer::parse(i).ok())
    {
        let (version, schematic) = running(&api).await?;
        now.image = Some(image.running(&version, schematic.as_deref()));
    }
    if let Some(changed) = changed(&api, prior).await? {
        let tagless = prior.ignore_kubernetes_upgrade_drift;
        now.machine_configuration_hash = Some(hash(changed.expose(), tagless));
        if now.machine_configuration.is_some() {
            now.machine_configuration = Some(changed.expose().to_owned().into());
        }
    }
    Ok(Some(now))
}

/// The hash of a configuration as the published provider takes it.
pub(super) fn hash(config: &str, tagless: bool) -> String {
    render::hash(&comparable(config, tagless))
}

/// The node's configuration, in use or on the disk for the next start, when it is another one than the state's.
async fn changed(api: &Api, prior: &Machine) -> Result<Option<Secret>, CallError> {
    let tagless = prior.ignore_kubernetes_upgrade_drift;
    let is_wanted = |found: &str| match (
        &prior.machine_configuration,
        &prior.machine_configuration_hash,
    ) {
        (Some(wanted), _) if tagless => {
            // Layout and versions aside, nothing may differ.
            let (found, wanted) = (
                comparable(found, true),
                comparable(wanted.expose_secret(), true),
            );
            render::same(&found, &wanted)
        }
        (Some(wanted), _) => render::same(found, wanted.expose_secret()),
        (None, Some(wanted)) => hash(found, tagless) == *wanted,
        (None, None) => true,
    };
    for id in ["persistent", "v1alpha1"] {
        if let Some(found) = api.machine_config(id).await?
            && !is_wanted(found.expose())
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
