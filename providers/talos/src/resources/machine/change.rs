//! What is done to a node: a configuration, a release.

use std::time::{Duration, Instant};

use stead_sdk::kube::Cluster;
use stead_sdk::value::Value;
use stead_sdk::{Context, Error};

use super::Machine;
use super::look::hash;
use crate::blocks::effective_client_configuration;
use crate::client::Client;
use crate::machinery::{
    Component, Secret, component_image, image_repository, with_component_image,
};
use crate::node::{Contact, Node};
use crate::resources::apply::Delivery;
use crate::upgrade::{
    Installation, Installer, Reconfiguration, Rolling, configured, kubernetes, running,
};

/// The changes that one operation may make to a node.
pub(super) struct Change<'a> {
    client: &'a Client,
    node: Node,
    wanted: Secret,
    installer: Option<Installer>,
    kubernetes: Option<Cluster>,
    keeps_kubernetes: bool,
    power_cycle: bool,
    timeout: Duration,
}

impl<'a> Change<'a> {
    pub(super) fn new(
        client: &'a Client,
        planned: &Machine,
        config: &Value,
        timeout: Duration,
    ) -> Result<Change<'a>, Error> {
        let identity =
            effective_client_configuration(planned.client_configuration.as_ref(), config)?;
        let kubeconfig = planned.kubeconfig(config)?;
        let kubeconfig = kubeconfig.filter(|_| planned.drain_on_upgrade);
        let wanted = planned.wanted(config)?;
        Ok(Change {
            client,
            node: planned.target(client, &identity, Some(wanted.expose()))?,
            wanted,
            installer: planned.installer(config)?,
            kubernetes: kubeconfig.map(|text| kubernetes(&client.dialer, &text)),
            keeps_kubernetes: planned.ignore_kubernetes_upgrade_drift,
            power_cycle: planned.reboot_mode == "POWERCYCLE",
            timeout,
        })
    }

    /// The hash of the wanted configuration.
    pub(super) fn hash(&self) -> String {
        hash(self.wanted.expose(), self.keeps_kubernetes)
    }

    /// The image that is asked for.
    pub(super) fn image(&self) -> Option<String> {
        self.installer.as_ref().map(Installer::to_string)
    }

    fn rolling(&self) -> Rolling<'_> {
        Rolling {
            node: &self.node,
            kubernetes: self.kubernetes.as_ref(),
            rollouts: &self.client.rollouts,
            timeout: self.timeout,
        }
    }

    /// Has the node live by the wanted configuration. `known` is the node that is known to be configured.
    pub(super) async fn configure(&self, known: Option<&str>, cx: &Context) -> Result<(), Error> {
        let within = cx.clone().with_deadline(Instant::now() + self.timeout);
        let mut config = self.wanted.clone();
        if let Contact::Configured(api) = self.node.contact(&within).await?
            && let Ok(Some(found)) = api.machine_config("v1alpha1").await
        {
            if self.keeps_kubernetes {
                config = with_images_of(&config, &found)?;
            }
            if Reconfiguration::is_in_use(&api, &config)
                .await
                .unwrap_or(false)
            {
                return Ok(());
            }
            if Reconfiguration::restarts(&api, &config)
                .await
                .map_err(refused)?
            {
                let label = self.node.label();
                let restart = Reconfiguration { label, config };
                return self.rolling().run(&restart, cx).await;
            }
        }
        let delivery = Delivery {
            node: self.node.clone(),
            config,
            mode: "auto".to_owned(),
            known: known == Some(self.node.name()),
            attribute: "machine_configuration",
        };
        let accepted = delivery.deliver(&within).await?;
        delivery.settle(&accepted, &within).await
    }

    /// Has the node run the wanted release, unless it is to be left alone.
    pub(super) async fn install(&self, cx: &Context) -> Result<(), Error> {
        let Some(installer) = &self.installer else {
            return Ok(());
        };
        let within = cx.clone().with_deadline(Instant::now() + self.timeout);
        let api = configured(&self.node, &within).await?;
        let label = self.node.label();
        let needed = Installation::needed(&api, label, installer, self.power_cycle).await?;
        match needed {
            Some(installation) => self.rolling().run(&installation, cx).await,
            None => Ok(()),
        }
    }

    /// The image as it would be written for what runs now, where that can be told at once.
    pub(super) async fn found(&self, cx: &Context) -> Option<String> {
        let installer = self.installer.as_ref()?;
        let Ok(Contact::Configured(api)) = self.node.contact(cx).await else {
            return None;
        };
        let (version, schematic) = running(&api).await.ok()?;
        Some(installer.running(&version, schematic.as_deref()))
    }
}

fn refused(call: crate::node::CallError) -> Error {
    let invalid = call.code == tonic::Code::InvalidArgument;
    let error = Error::from(call);
    if invalid {
        error
            .remedy("Correct `machine_configuration`.")
            .attribute("machine_configuration")
    } else {
        error
    }
}

/// The configuration with the images that the node has, where only their versions differ: those are somebody else's business.
fn with_images_of(wanted: &Secret, found: &Secret) -> Result<Secret, Error> {
    let mut text = wanted.expose().to_owned();
    for component in Component::ALL {
        let images = (
            component_image(&text, component),
            component_image(found.expose(), component),
        );
        if let (Some(wanted), Some(found)) = images
            && wanted != found
            && image_repository(&wanted) == image_repository(&found)
        {
            text = with_component_image(&text, component, &found).map_err(|e| {
                Error::new("read the machine configuration", e.to_string())
                    .attribute("machine_configuration")
            })?;
        }
    }
    Ok(Secret::new(text))
}
