//! `stead providers`: which providers the configuration and the state need, and what their schemas are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use stead_lang::config::ConfigNode;
use stead_state::State;
use stead_value::addr::ProviderSource;

use super::print;
use crate::args::VariableArgs;
use crate::backend;
use crate::encryption;
use crate::error::{CommandError, Result};
use crate::render::schema;
use crate::render::tree::Branch;
use crate::session::{Given, Session};
use crate::settled;
use crate::world::Disk;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ProvidersArgs {
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// Where the test files lie
    #[arg(long, value_name = "DIR", default_value = "tests")]
    pub(crate) test_directory: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Option<ProvidersCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProvidersCommand {
    /// Show what providers take and give, in Terraform's JSON format
    Schema {
        /// Print as JSON: the only form there is
        #[arg(long, required = true)]
        json: bool,
        /// No colours
        #[arg(long)]
        no_color: bool,
        #[command(flatten)]
        variables: VariableArgs,
    },
}

pub(crate) fn run(args: ProvidersArgs, origin: &Path) -> Result<u8> {
    if let Some(ProvidersCommand::Schema {
        variables,
        no_color,
        ..
    }) = &args.command
    {
        return print_schemas(variables, origin, *no_color);
    }
    let given = Given::Gather(&args.variables);
    let session = Session::read(&Disk, origin, &given, args.no_color)?;
    let root = &session.tree.root;
    if root.module.files.is_empty() {
        let directory = std::env::current_dir()?;
        return Err(CommandError::new(
            "No configuration files",
            format!(
                "The directory {} contains no Terraform configuration files.",
                directory.display()
            ),
        ));
    }
    let mut text = String::from("\nProviders required by configuration:\n");
    text.push_str(&branch(root, String::from(".")).render());
    text.push('\n');
    let recorded = recorded_providers(&read_state()?);
    if !recorded.is_empty() {
        text.push_str("Providers required by state:\n\n");
        for source in recorded {
            text.push_str(&format!("    provider[{source}]\n\n"));
        }
    }
    print(&text);
    Ok(0)
}

fn read_state() -> Result<State> {
    let state = settled::read(&mut backend::state(None, &encryption::in_folder(&Disk)?)?)?;
    Ok(state.unwrap_or_default())
}

fn recorded_providers(state: &State) -> BTreeSet<ProviderSource> {
    state
        .current_objects()
        .map(|(_, _, provider)| provider.source.clone())
        .collect()
}

fn branch(node: &ConfigNode, text: String) -> Branch {
    let mut children: Vec<Branch> = required(node)
        .into_iter()
        .map(|(source, versions)| {
            let versions = if versions.is_empty() {
                String::new()
            } else {
                format!(" {}", versions.join(", "))
            };
            Branch {
                text: format!("provider[{source}]{versions}"),
                children: Vec::new(),
            }
        })
        .collect();
    let mut modules: Vec<_> = node.children.iter().collect();
    modules.sort_by_key(|(name, _)| (*name).clone());
    children.extend(
        modules
            .into_iter()
            .map(|(name, child)| branch(child, format!("module.{name}"))),
    );
    Branch { text, children }
}

/// The providers that a module itself needs, with the version constraints that it names.
pub(crate) fn required(node: &ConfigNode) -> BTreeMap<ProviderSource, Vec<String>> {
    let constraints = |text: &str| -> Vec<String> {
        match stead_lang::config::Constraints::parse(text) {
            Some(constraints) => constraints.display(),
            None => vec![text.to_owned()],
        }
    };
    let needed = node.module.needed_providers().into_iter();
    needed
        .map(|(source, versions)| {
            let texts = versions.iter().flat_map(|v| constraints(&v.text));
            (source, texts.collect())
        })
        .collect()
}

fn print_schemas(variables: &VariableArgs, origin: &Path, no_color: bool) -> Result<u8> {
    let session = Session::read(&Disk, origin, &Given::Gather(variables), no_color)?;
    let mut wanted = recorded_providers(&read_state()?);
    for node in session.tree.nodes() {
        wanted.extend(node.module.needed_providers().into_keys());
    }
    let schemas = schema::providers(&wanted, &session.registry).map_err(|e| session.failure(e))?;
    let mut out = json!({"format_version": "1.0"});
    if !schemas.is_empty() {
        out["provider_schemas"] = schemas.into();
    }
    print(&format!("{out}\n"));
    Ok(0)
}
