//! `stead import`: an object that exists comes under an address.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use stead_engine::Observer;
use stead_engine::eval::{ImportTarget, Phase};
use stead_engine::plan::import_object;
use stead_lang::config::ConfigTree;
use stead_sdk::ImportBy;
use stead_state::{State, parse_resource_instance};
use stead_value::addr::{ResourceInstance, ResourceMode};

use super::{planning, print};
use crate::args::{DisplayArgs, LockArgs, VariableArgs};
use crate::error::{CommandError, Result};
use crate::progress::Progress;
use crate::session::{Session, open_state};
use crate::settled;

#[derive(Args, Debug)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
    #[command(flatten)]
    pub(crate) locking: LockArgs,
    /// The folder of the configuration
    #[arg(long, value_name = "DIR")]
    pub(crate) config: Option<PathBuf>,
    /// How many operations may run at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) parallelism: usize,
    /// Accepted for scripts: it concerns remote backends
    #[arg(long, hide = true)]
    pub(crate) ignore_remote_version: bool,
    /// The address of a resource instance that the configuration declares
    #[arg(value_name = "ADDR")]
    pub(crate) address: String,
    /// What the provider knows the object by
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

pub(crate) async fn run(args: ImportArgs, origin: &Path) -> Result<u8> {
    let cancel = super::interrupt::token();
    let address = parse_resource_instance(&args.address)
        .ok_or_else(|| CommandError::new("Invalid address", planning::problem(&args.address)))?;
    if address.resource.mode != ResourceMode::Managed {
        return Err(CommandError::new(
            "A managed resource address is required. Importing into a data resource is not allowed.",
            "",
        ));
    }
    if let Some(folder) = &args.config {
        std::env::set_current_dir(folder)?;
    }
    let session = Session::begin(origin, &args.variables, &args.display, true, &cancel).await?;
    declared(&session.tree, &address)?;
    let mut file = open_state(&args.locking, "OperationTypeImport", &session.encryptions).await?;
    let prior = settled::read(&mut file)?.unwrap_or_else(State::new);
    let target = ImportTarget {
        to: address,
        by: ImportBy::Id(args.id),
        range: None,
    };
    let progress: Arc<dyn Observer> = Progress::new(session.style);
    let evaluator = session.evaluator(Phase::Plan);
    let imported = import_object(
        &evaluator,
        &session.registry,
        prior,
        target,
        args.parallelism.max(1),
        progress,
        cancel,
    )
    .await;
    let (mut state, warnings) = imported.map_err(|diagnostics| session.failure(diagnostics))?;
    file.write(&mut state)?;
    print(&format!(
        "{}\n\nThe resources that were imported are shown above. These resources are now in\nyour stead state and will henceforth be managed by stead.\n\n",
        session.style.bold_green("\nImport successful!")
    ));
    session.warn(&warnings);
    Ok(0)
}

/// What is imported must be configured, or the next plan would destroy it.
fn declared(tree: &ConfigTree, address: &ResourceInstance) -> Result<()> {
    let Some(node) = tree.get(&address.module.module()) else {
        return Err(CommandError::new(
            "Import to non-existent module",
            format!(
                "{} is not defined in the configuration. Please add configuration for this module before importing into it.",
                address.module
            ),
        ));
    };
    if node.module.resources.contains_key(&address.resource) {
        return Ok(());
    }
    let module = if address.module.is_root() {
        "the root module".to_owned()
    } else {
        address.module.to_string()
    };
    Err(CommandError::new(
        format!("resource address \"{address}\" does not exist in the configuration."),
        format!(
            "Before importing this resource, please create its configuration in {module}. For example:\n\nresource \"{}\" \"{}\" {{\n  # (resource arguments)\n}}",
            address.resource.type_name, address.resource.name
        ),
    ))
}
