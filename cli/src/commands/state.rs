//! `stead state list` and `stead state show`.

use std::io::IsTerminal as _;

use stead_state::{LocalState, State, parse_module_instance, parse_resource_instance};
use stead_value::addr::ResourceInstance;

use super::print;
use crate::args::StateCommand;
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::{self, Style};
use crate::session::state_path;

pub(crate) fn run(command: StateCommand) -> Result<u8> {
    match command {
        StateCommand::List { state, addresses } => list(&read(state.as_deref())?, &addresses),
        StateCommand::Show {
            state,
            no_color,
            address,
        } => {
            let style = Style {
                colour: !no_color && colour_wanted(std::io::stdout().is_terminal()),
            };
            show(&read(state.as_deref())?, &address, style)
        }
    }
}

fn read(path: Option<&std::path::Path>) -> Result<State> {
    let path = state_path(path);
    LocalState::at(&path).read()?.ok_or_else(|| {
        CommandError::new(
            "No state file was found",
            format!("There is no state at {}. Run `stead apply` first, or name another file with -state.", path.display()),
        )
    })
}

/// Every instance, current or deposed, that one of the addresses covers.
fn list(state: &State, addresses: &[String]) -> Result<u8> {
    let filters: Vec<Filter> = addresses
        .iter()
        .map(|a| Filter::parse(a))
        .collect::<Result<_>>()?;
    let mut text = String::new();
    for (id, resource) in &state.resources {
        for key in resource.instances.keys() {
            let address = id.instance(key.clone());
            if filters.is_empty() || filters.iter().any(|f| f.covers(&address)) {
                text.push_str(&format!("{address}\n"));
            }
        }
    }
    print(&text);
    Ok(0)
}

/// What an address on the command line covers.
enum Filter {
    Module(stead_value::addr::ModuleInstance),
    Resource(ResourceInstance),
}

impl Filter {
    fn parse(text: &str) -> Result<Filter> {
        if let Some(module) = parse_module_instance(text) {
            return Ok(Filter::Module(module));
        }
        parse_resource_instance(text)
            .map(Filter::Resource)
            .ok_or_else(|| {
                CommandError::new(
                    "Invalid address",
                    format!("{text} is not the address of a module or a resource."),
                )
            })
    }

    fn covers(&self, address: &ResourceInstance) -> bool {
        match self {
            Filter::Module(module) => {
                let inner = &address.module.0;
                inner.len() >= module.0.len()
                    && inner.iter().zip(module.0.iter()).all(|(a, b)| a == b)
            }
            Filter::Resource(wanted) => {
                wanted.module == address.module
                    && wanted.resource == address.resource
                    && (wanted.key == stead_value::addr::InstanceKey::None
                        || wanted.key == address.key)
            }
        }
    }
}

fn show(state: &State, address: &str, style: Style) -> Result<u8> {
    let wanted = parse_resource_instance(address).ok_or_else(|| {
        CommandError::new(
            "Invalid address",
            format!("{address} is not the address of a resource instance."),
        )
    })?;
    let (object, provider) = state.current(&wanted).ok_or_else(|| {
        CommandError::new(
            "No instance found for the given address",
            "This command requires that the address references one specific instance. To view the available instances, use `stead state list`.",
        )
    })?;
    print(&render::state::object(
        &wanted,
        object,
        provider,
        &crate::providers::registry()?,
        style,
    )?);
    Ok(0)
}
