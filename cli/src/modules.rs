//! The modules of the stack in the current folder: what is installed, and how the rest comes.

use std::path::{Path, PathBuf};

use stead_lang::Files;
use stead_modules::{CliConfig, Event, Installation, Installer, Manifest, Network};
use stead_sdk::Dialer;
use stead_value::Diagnostic;

use crate::commands::print;
use crate::error::{CommandError, Result};
use crate::session::Given;
use crate::world::Disk;

impl From<stead_modules::FetchError> for CommandError {
    fn from(error: stead_modules::FetchError) -> Self {
        CommandError::new("Failed to read modules manifest file", format!("{error}."))
    }
}

/// What has been installed here.
pub(crate) fn installed(files: &dyn Files) -> Result<Manifest> {
    Ok(Manifest::read(files, Path::new(""))?)
}

/// The network, with the settings of the command line for registries.
pub(crate) fn network() -> Result<Network> {
    let dialer = Dialer::from_env().map_err(Diagnostic::from)?;
    let config = CliConfig::of_environment(&|name| std::env::var(name).ok());
    Network::new(dialer, config)
        .map_err(|error| CommandError::new("Modules can't be fetched", format!("{error}.")))
}

/// Installs what the configuration calls, and writes down what is there.
pub(crate) async fn install(
    given: &Given<'_>,
    upgrade: bool,
    observe: &mut (dyn FnMut(Event) + Send),
) -> Result<Installation> {
    let network = network()?;
    let workspace = crate::workspace::selected()?.name;
    let installer = Installer {
        files: &Disk,
        remote: &network,
        root: PathBuf::new(),
        upgrade,
        early: &|root| given.early(&Disk, root, &workspace),
    };
    let installation = installer.install(installed(&Disk)?, observe).await;
    // Terraform leaves no trace of a stack without modules either.
    if !installation.tree.root.module.calls.is_empty() {
        installation
            .manifest
            .write(Path::new(""))
            .map_err(|error| {
                CommandError::new("Failed to update module manifest", format!("{error}."))
            })?;
    }
    Ok(installation)
}

/// An event as a line.
pub(crate) fn line(event: &Event) -> String {
    match event {
        Event::Downloading {
            key,
            address,
            version: Some(version),
        } => format!("Downloading {address} {version} for {key}..."),
        Event::Downloading { key, address, .. } => format!("Downloading {address} for {key}..."),
        Event::Installed { key, directory } => format!("- {key} in {}", directory.display()),
    }
}

/// Shows what happens, as it happens.
pub(crate) fn show(event: Event) {
    print(&format!("{}\n", line(&event)));
}
