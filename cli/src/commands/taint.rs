//! `stead taint` and `stead untaint`.

use clap::Args;
use stead_state::{ObjectStatus, State, parse_resource_instance};
use stead_value::Diagnostic;
use stead_value::addr::{ResourceInstance, ResourceMode};

use super::{planning, print};
use crate::args::LockArgs;
use crate::encryption;
use crate::error::{CommandError, Result, warn};
use crate::session::open_state;
use crate::settled;
use crate::world::Disk;

#[derive(Args, Debug)]
pub(crate) struct TaintArgs {
    #[command(flatten)]
    pub(crate) locking: LockArgs,
    /// Succeed when there is no such instance
    #[arg(long)]
    pub(crate) allow_missing: bool,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Accepted for scripts: it concerns remote backends
    #[arg(long, hide = true)]
    pub(crate) ignore_remote_version: bool,
    /// The instance
    pub(crate) address: String,
}

pub(crate) async fn run(args: &TaintArgs, taint: bool) -> Result<u8> {
    let verb = if taint { "tainted" } else { "untainted" };
    let address = parse_resource_instance(&args.address)
        .ok_or_else(|| CommandError::new("Invalid address", planning::problem(&args.address)))?;
    if address.resource.mode != ResourceMode::Managed {
        return Err(CommandError::new(
            format!("Resource instance {address} cannot be {verb}"),
            "Only managed resources can be replaced; a data source is read anew in every plan.",
        ));
    }
    let mut file = open_state(
        &args.locking,
        if taint { "taint" } else { "untaint" },
        &encryption::in_folder(&Disk)?,
    )
    .await?;
    let mut state = settled::read(&mut file)?.unwrap_or_else(State::new);
    if let Err(diagnostic) = mark(&mut state, &address, taint) {
        if args.allow_missing && diagnostic.summary == MISSING {
            warn(
                &Diagnostic::warning(
                    MISSING,
                    format!(
                        "Resource instance {address} was not found, but this is not an error because -allow-missing was set."
                    ),
                ),
                args.no_color,
            );
            return Ok(0);
        }
        return Err(diagnostic.into());
    }
    file.write(&mut state)?;
    print(&if taint {
        format!("Resource instance {address} has been marked as tainted.\n")
    } else {
        format!("Resource instance {address} has been successfully untainted.\n")
    });
    Ok(0)
}

const MISSING: &str = "No such resource instance";

fn mark(state: &mut State, address: &ResourceInstance, taint: bool) -> Result<(), Diagnostic> {
    let missing = |detail: String| Diagnostic::error(MISSING, detail);
    let verb = if taint { "tainted" } else { "untainted" };
    if state.is_empty() {
        return Err(missing("The state currently contains no resource instances whatsoever. This may occur if the configuration has never been applied or if it has recently been destroyed.".into()));
    }
    let Some(instance) = state.instance(address) else {
        return Err(missing(format!(
            "There is no resource instance in the state with the address {address}. If the resource configuration has just been added, you must run \"stead apply\" once to create the corresponding instance(s) before they can be tainted."
        )));
    };
    if instance.current.is_none() {
        return Err(missing(if instance.deposed.is_empty() {
            format!(
                "Resource instance {address} does not currently have a remote object associated with it, so it cannot be {verb}."
            )
        } else {
            let doing = if taint { "tainting" } else { "untainting" };
            format!(
                "Resource instance {address} is currently part-way through a create_before_destroy replacement action. Run \"stead apply\" to complete its replacement before {doing} it."
            )
        }));
    }
    let Some((object, provider)) = state.current(address) else {
        return Ok(());
    };
    if !taint && object.status != ObjectStatus::Tainted {
        return Err(Diagnostic::error(
            "Resource instance is not tainted",
            format!(
                "Resource instance {address} is not currently tainted, and so it cannot be untainted."
            ),
        ));
    }
    let (mut object, provider) = (object.clone(), provider.clone());
    object.status = if taint {
        ObjectStatus::Tainted
    } else {
        ObjectStatus::Ready
    };
    state.set_current(address, &provider, Some(object));
    Ok(())
}
