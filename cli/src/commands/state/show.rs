//! `stead state show`.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use stead_state::{State, parse_resource_instance};

use super::machine::{MachineArgs, Output};
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::{self, Style};

#[derive(clap::Args, Debug)]
pub(crate) struct ShowArgs {
    /// Where the state is kept, instead of the selected workspace's place
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Show sensitive values too
    #[arg(long)]
    show_sensitive: bool,
    /// No colours
    #[arg(long)]
    no_color: bool,
    #[command(flatten)]
    machine: MachineArgs,
    /// An instance's address
    address: String,
}

const ONE_INSTANCE: &str = "This command requires that the address references one specific instance.\nTo view the available instances, use \"stead state list\". Please modify \nthe address to reference a specific instance.";

pub(super) fn run(args: &ShowArgs) -> Result<u8> {
    args.machine.tell(|output| show(args, output))
}

fn show(args: &ShowArgs, output: &Output) -> Result<()> {
    let style = Style {
        colour: !args.no_color && colour_wanted(std::io::stdout().is_terminal()),
    };
    let wanted = parse_resource_instance(&args.address).ok_or_else(|| {
        CommandError::text(format!(
            "Error parsing instance address: {}\n\n{ONE_INSTANCE}",
            args.address
        ))
    })?;
    let state = super::read(args.state.as_ref())?;
    let (object, provider) = state.current(&wanted).ok_or_else(|| {
        CommandError::text(format!(
            "No instance found for the given address!\n\n{ONE_INSTANCE}"
        ))
    })?;
    let registry = crate::providers::registry()?;
    if let Some(stream) = &output.stream {
        let mut alone = State::new();
        alone.terraform_version.clone_from(&state.terraform_version);
        alone.set_current(&wanted, provider, Some(object.clone()));
        stream.document(&render::json::state(&alone, &registry)?);
    }
    output.text(&render::state::object(
        &wanted,
        None,
        object,
        provider,
        &registry,
        style,
        args.show_sensitive,
    )?);
    Ok(())
}
