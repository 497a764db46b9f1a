//! `stead show`: the state, a saved plan, or the configuration.

use std::io::IsTerminal as _;
use std::path::Path;

use stead_engine::planfile;
use stead_lang::config::ConfigTree;
use stead_state::State;

use super::print;
use crate::args::ShowArgs;
use crate::backend;
use crate::encryption;
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::{self, Style};
use crate::session::Session;
use crate::settled;
use crate::world::Disk;

pub(crate) fn run(args: ShowArgs, origin: &Path) -> Result<u8> {
    let style = Style {
        colour: !args.no_color && colour_wanted(std::io::stdout().is_terminal()),
    };
    check_what(&args)?;
    let named = args.file.as_deref().filter(|p| planfile::is_plan(p));
    if let Some(path) = args.plan.as_deref().or(named) {
        return plan(path, &args, origin);
    }
    if let Some(directory) = &args.module {
        return module(directory, &args, origin);
    }
    if args.config {
        let session = Session::load(origin, &args.variables, args.no_color)?;
        let json = render::json::config::configuration(&session.tree, &session.registry);
        print(&format!("{json}\n"));
        return Ok(0);
    }
    if args.file.is_none() {
        backend::in_folder(&Disk)?;
    }
    let encryptions = encryption::in_folder(&Disk)?;
    let registry = crate::providers::registry()?;
    let mut file = match &args.file {
        Some(path) => backend::in_file(path, &encryptions),
        None => backend::state(None, &encryptions)?,
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
        Some(state) => print(&render::state::whole(
            &state,
            &registry,
            style,
            args.show_sensitive,
        )?),
        None => print("No state.\n"),
    }
    Ok(0)
}

/// One thing is shown, and a configuration only to machines.
fn check_what(args: &ShowArgs) -> Result<()> {
    let wrong = |summary: &str, detail: &str| Err(CommandError::new(summary, detail));
    let module = args.module.is_some();
    let kinds = [args.of_state, args.plan.is_some(), args.config, module];
    let chosen = kinds.into_iter().filter(|chosen| *chosen).count();
    if args.config && !args.json {
        return wrong(
            "JSON output required for configuration",
            "The -config option requires -json to be specified.",
        );
    }
    if module && !args.json {
        return wrong(
            "JSON output required for module",
            "The -module=DIR option requires -json to be specified.",
        );
    }
    if chosen > 0 && args.file.is_some() {
        return wrong(
            "Unexpected command line arguments",
            "This command does not expect a file's name beside -state, -plan, -config or -module.",
        );
    }
    if chosen > 1 {
        return wrong(
            "Conflicting object types to show",
            "The -state, -plan=FILE, -config and -module=DIR options are mutually-exclusive, to specify which kind of object to show.",
        );
    }
    Ok(())
}

fn module(directory: &Path, args: &ShowArgs, origin: &Path) -> Result<u8> {
    let (module, found) = stead_lang::config::load_module(&Disk, directory);
    let session = Session::of_tree(ConfigTree::of_root(module), origin, args.no_color)?;
    if found.has_errors() {
        return Err(session.failure(found));
    }
    let json = render::json::config::module(&session.tree, &session.registry);
    print(&format!("{json}\n"));
    Ok(0)
}

fn plan(path: &Path, args: &ShowArgs, origin: &Path) -> Result<u8> {
    let (session, file) = super::saved::open(path, origin, args.no_color, &args.variables)?;
    if args.json {
        let json = render::json::plan::whole(&file.plan, &session, &file.created)?;
        print(&format!("{json}\n"));
    } else {
        let revealed = args
            .show_sensitive
            .then(|| render::plan::revealed(&file.plan));
        let plan = revealed.as_ref().unwrap_or(&file.plan);
        print(&render::plan::render(
            plan,
            &session.registry,
            session.view(),
        ));
    }
    Ok(0)
}
