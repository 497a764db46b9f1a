//! `stead workspace`: several states for one configuration.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};
use stead_state::{State, from_bytes};
use stead_value::addr::ResourceMode;

use super::print;
use crate::backend;
use crate::encryption;
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::Style;
use crate::session::lock_state;
use crate::settled;
use crate::workspace;
use crate::world::Disk;

#[derive(Debug, Subcommand)]
pub(crate) enum WorkspaceCommand {
    /// List the workspaces; a star marks the selected one
    List(ListArgs),
    /// Print the selected workspace's name
    Show(ShowArgs),
    /// Create a workspace and select it
    New(NewArgs),
    /// Select a workspace
    Select(SelectArgs),
    /// Delete a workspace
    Delete(DeleteArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// No colours
    #[arg(long)]
    no_color: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// No colours
    #[arg(long)]
    no_color: bool,
}

#[derive(Args, Debug)]
pub(crate) struct NewArgs {
    /// Hold the new state's lock while working
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    lock: bool,
    /// How long to wait for the lock, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    lock_timeout: String,
    /// Copy the state in this file into the new workspace
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// The workspace
    name: String,
}

#[derive(Args, Debug)]
pub(crate) struct SelectArgs {
    /// Create the workspace if it is not there
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    or_create: bool,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// The workspace
    name: String,
}

#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// Delete the workspace although its state records resources
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set)]
    force: bool,
    /// Hold the state's lock while working
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    lock: bool,
    /// How long to wait for the lock, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    lock_timeout: String,
    /// No colours
    #[arg(long)]
    no_color: bool,
    /// The workspace
    name: String,
}

pub(crate) async fn run(command: WorkspaceCommand) -> Result<u8> {
    match command {
        WorkspaceCommand::List(_) => list(),
        WorkspaceCommand::Show(_) => {
            print(&format!("{}\n", workspace::current()?));
            Ok(0)
        }
        WorkspaceCommand::New(args) => new(&args).await,
        WorkspaceCommand::Select(args) => select(&args),
        WorkspaceCommand::Delete(args) => delete(&args).await,
    }
}

/// `stead env`, as the commands were called once.
pub(crate) async fn run_as_env(command: WorkspaceCommand) -> Result<u8> {
    print(
        "Warning: the \"stead env\" family of commands is deprecated.\n\n\"Workspace\" is now the preferred term for what earlier Terraform versions\ncalled \"environment\", to reduce ambiguity caused by the latter term colliding\nwith other concepts.\n\nThe \"stead workspace\" commands should be used instead. \"stead env\"\nwill be removed in a future stead version.\n\n",
    );
    run(command).await
}

fn list() -> Result<u8> {
    let backend = backend::in_folder(&Disk)?;
    let selected = workspace::selected()?;
    let mut text = String::new();
    for name in backend.workspaces()? {
        let mark = if name == selected.name { '*' } else { ' ' };
        text.push_str(&format!("{mark} {name}\n"));
    }
    text.push('\n');
    if selected.by_environment {
        text.push_str("\n\nThe active workspace is being overridden using the TF_WORKSPACE environment\nvariable.\n\n");
    }
    print(&text);
    Ok(0)
}

async fn new(args: &NewArgs) -> Result<u8> {
    let name = &args.name;
    check_name(name)?;
    let selected = workspace::selected()?;
    if selected.by_environment && selected.name != *name {
        return Err(CommandError::text(
            "\nThe workspace is currently overridden using the TF_WORKSPACE environment\nvariable. You cannot create a new workspace when using this setting.\n\nTo create a new workspace, either unset this environment variable or update it\nto match the workspace name you are trying to create, and then run this command\nagain.\n",
        ));
    }
    let backend = backend::in_folder(&Disk)?;
    if backend.workspaces()?.contains(name) {
        return Err(CommandError::text(format!(
            "Workspace {name:?} already exists"
        )));
    }
    backend.create(name)?;
    workspace::select(name)?;
    print(&created(name, style(args.no_color)));
    let Some(source) = &args.state else {
        return Ok(0);
    };
    let mut file = backend.state(name)?;
    if args.lock {
        lock_state(&mut file, &args.lock_timeout, "workspace-new").await?;
    }
    let bytes = std::fs::read(source)
        .map_err(|e| CommandError::text(super::state::unreadable(source, &e)))?;
    let bytes = encryption::in_folder(&Disk)?.open_file(source, bytes)?;
    let copied = from_bytes(&bytes, source)?;
    // The copy begins a history of its own.
    let mut state = State {
        serial: 0,
        lineage: String::new(),
        ..copied
    };
    file.write(&mut state)?;
    Ok(0)
}

fn select(args: &SelectArgs) -> Result<u8> {
    let name = &args.name;
    let selected = workspace::selected()?;
    if selected.by_environment {
        return Err(CommandError::text(
            "\nThe selected workspace is currently overridden using the TF_WORKSPACE\nenvironment variable.\n\nTo select a new workspace, either update this environment variable or unset\nit and then run this command again.\n",
        ));
    }
    let backend = backend::in_folder(&Disk)?;
    check_name(name)?;
    if *name == selected.name {
        return Ok(0);
    }
    let style = style(args.no_color);
    if backend.workspaces()?.contains(name) {
        workspace::select(name)?;
        print(&format!(
            "{}\n",
            style.green(format!("Switched to workspace {name:?}."))
        ));
    } else if args.or_create {
        backend.create(name)?;
        workspace::select(name)?;
        print(&created(name, style));
    } else {
        return Err(missing(name));
    }
    Ok(0)
}

async fn delete(args: &DeleteArgs) -> Result<u8> {
    let name = &args.name;
    let backend = backend::in_folder(&Disk)?;
    if !backend.workspaces()?.contains(name) {
        return Err(missing(name));
    }
    if *name == workspace::current()? {
        return Err(CommandError::text(format!(
            "Workspace {name:?} is your active workspace.\n\nYou cannot delete the currently active workspace. Please switch\nto another workspace and try again."
        )));
    }
    let mut file = backend.state(name)?;
    if args.lock {
        lock_state(&mut file, &args.lock_timeout, "workspace-delete").await?;
    }
    let objects = managed_objects(&settled::read(&mut file)?.unwrap_or_default());
    if !objects.is_empty() && !args.force {
        return Err(CommandError::new(
            "Workspace is not empty",
            format!(
                "Workspace {name:?} is currently tracking the following resource instances:{}\n\nDeleting this workspace would cause stead to lose track of any associated remote objects, which would then require you to delete them manually outside of stead. You should destroy these objects with stead before deleting the workspace.\n\nIf you want to delete this workspace anyway, and have stead forget about these managed objects, use the -force option to disable this safety check.",
                objects.concat()
            ),
        ));
    }
    file.unlock()?;
    backend.delete(name, args.force)?;
    let style = style(args.no_color);
    let mut text = format!("{}\n", style.green(format!("Deleted workspace {name:?}!")));
    if !objects.is_empty() {
        let warning = format!(
            "WARNING: {name:?} was non-empty.\nThe resources managed by the deleted workspace may still exist,\nbut are no longer manageable by stead since the state has\nbeen deleted.\n"
        );
        text.push_str(&format!("{}\n", style.yellow(warning)));
    }
    print(&text);
    Ok(0)
}

/// What would be lost with a state, a line each.
fn managed_objects(state: &State) -> Vec<String> {
    let current = state
        .current_objects()
        .filter(|(address, ..)| address.resource.mode == ResourceMode::Managed)
        .map(|(address, ..)| format!("\n  - {address}"));
    let deposed = state
        .deposed_objects()
        .map(|(address, key, ..)| format!("\n  - {address} (deposed object {key})"));
    current.chain(deposed).collect()
}

fn check_name(name: &str) -> Result<()> {
    if workspace::is_valid(name) {
        return Ok(());
    }
    Err(CommandError::text(format!(
        "\nThe workspace name {name:?} is not allowed. The name must contain only URL safe\ncharacters, and no path separators.\n"
    )))
}

fn missing(name: &str) -> CommandError {
    CommandError::text(format!(
        "\nWorkspace {name:?} doesn't exist.\n\nYou can create this workspace with the \"new\" subcommand \nor include the \"-or-create\" flag with the \"select\" subcommand."
    ))
}

fn created(name: &str, style: Style) -> String {
    format!(
        "{}\n\n{}\n",
        style.bold_green(format!("Created and switched to workspace {name:?}!")),
        style.green("You're now on a new, empty workspace. Workspaces isolate their state,\nso if you run \"stead plan\" stead will not see any existing state\nfor this configuration.")
    )
}

fn style(no_color: bool) -> Style {
    Style {
        colour: !no_color && colour_wanted(std::io::stdout().is_terminal()),
    }
}
