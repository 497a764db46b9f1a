//! `stead show`: the state or a saved plan.

use std::io::IsTerminal as _;
use std::path::Path;

use stead_engine::planfile;
use stead_state::{State, StateManager};

use super::print;
use crate::args::ShowArgs;
use crate::backend;
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::{self, Style};
use crate::settled;
use crate::world::Disk;

pub(crate) fn run(args: ShowArgs, origin: &Path) -> Result<u8> {
    let style = Style {
        colour: !args.no_color && colour_wanted(std::io::stdout().is_terminal()),
    };
    if let Some(path) = args.file.as_deref().filter(|p| planfile::is_plan(p)) {
        return plan(path, &args, origin);
    }
    if args.file.is_none() {
        backend::in_folder(&Disk)?;
    }
    let registry = crate::providers::registry()?;
    let mut file = match &args.file {
        Some(path) => StateManager::at(path),
        None => backend::state(None)?,
    };
    let state = match (&args.file, settled::read(&mut file)) {
        (Some(path), Ok(None)) => {
            return Err(CommandError::new(
                "Failed to read the given file as a state or plan file",
                format!(
                    "State read error: Error loading statefile: open {}: no such file or directory.",
                    path.display()
                ),
            ));
        }
        (_, state) => state?,
    };
    if args.json {
        let json = render::json::state(&state.unwrap_or_else(State::new), &registry)?;
        print(&format!("{json}\n"));
        return Ok(0);
    }
    match state {
        Some(state) => print(&render::state::whole(&state, &registry, style)?),
        None => print("No state.\n"),
    }
    Ok(0)
}

fn plan(path: &Path, args: &ShowArgs, origin: &Path) -> Result<u8> {
    let (session, file) = super::saved::open(path, origin, args.no_color)?;
    if args.json {
        let json = render::json::plan::whole(&file.plan, &session, &file.created)?;
        print(&format!("{json}\n"));
    } else {
        let view = session.view();
        print(&render::plan::render(&file.plan, &session.registry, view));
    }
    Ok(0)
}
