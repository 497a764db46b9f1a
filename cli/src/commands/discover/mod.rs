//! `stead discover`: what exists at a provider, and files that take it over.

mod names;
mod references;
mod shown;
mod wanted;
mod written;

use std::cell::Cell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use stead_engine::eval::Phase;
use stead_engine::plan::{Discovery, Question};
use stead_lang::config::ProviderName;
use stead_state::State;
use stead_value::addr::ResourceInstance;
use stead_value::{Diagnostic, Diagnostics};

use super::print;
use crate::args::{DisplayArgs, VariableArgs};
use crate::backend;
use crate::error::{CommandError, Result};
use crate::session::{Given, Session};
use crate::settled;

pub(crate) const EXAMPLES: &str = "\
Without -out nothing is written: what there is is shown, with what stead manages already.

Examples:
  stead discover proxmox                                  what there is in the cluster that `provider \"proxmox\"` names
  stead discover proxmox -out=discovered.tf               import blocks and configuration for what is new; then:
  stead plan                                              shows that only imports are to be done
  stead apply                                             takes it over; nothing is changed in the cluster
  stead discover proxmox -type=vm -type='sdn_*'           some types: names, ends of names, patterns
  stead discover proxmox.site2 -out=site2.tf              through `provider \"proxmox\"` with the alias site2
  PROXMOX_VE_ENDPOINT=… PROXMOX_VE_API_TOKEN=… stead discover proxmox
                                                          in an empty folder: the environment says where

Secrets are never written: passwords and keys that exist stay as they are (`ignore_changes`), tokens are taken over without
their secrets. What came with the server, such as root@pam and the built-in roles, is left alone.";

#[derive(Args, Debug)]
pub(crate) struct DiscoverArgs {
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
    /// Write import blocks and configuration for what is new to this file, or to discovered.tf in this folder
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
    /// Only these types: a name, the end of one, or a pattern with * and ?; may be given several times
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// Print what there is as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// How many requests may run at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) parallelism: usize,
    /// The provider, as the configuration calls it: proxmox, or proxmox.ALIAS
    #[arg(value_name = "PROVIDER")]
    pub(crate) provider: String,
}

/// An object that was found.
struct Thing {
    type_name: Arc<str>,
    /// By which it is imported.
    id: String,
    /// What people call it.
    called: String,
    fate: Fate,
}

/// What becomes of it.
enum Fate {
    /// It can be taken over, under this name.
    New(String),
    Managed(ResourceInstance),
    /// With the reason.
    LeftAlone(&'static str),
}

/// The provider configuration that is asked.
struct Asked {
    provider: ProviderName,
    /// What the configuration lacks to name the provider.
    prelude: String,
}

impl Asked {
    /// What blocks say that do not mean the provider anyway.
    fn written_as(&self) -> Option<String> {
        self.provider
            .alias
            .as_ref()
            .map(|_| self.provider.to_string())
    }
}

pub(crate) async fn run(args: DiscoverArgs, origin: &Path) -> Result<u8> {
    let cancel = super::interrupt::token();
    let path = match &args.out {
        Some(given) => Some(written::target(given, args.force)?),
        None => None,
    };
    let session = begin(&args, origin, path.as_deref(), &cancel).await?;
    let asked = asked(&session, &args.provider)?;
    let session = match asked.prelude.is_empty() {
        true => session,
        false => session.of_files(&written::overlay(path.as_deref(), asked.prelude.clone()))?,
    };
    let mut state = backend::state(None, &session.encryptions)?;
    let prior = settled::read(&mut state)?.unwrap_or_else(State::new);
    let told = written::Told::default();
    let types = Cell::new(0);
    let listed = |_: &str, _: usize| {
        types.set(types.get() + 1);
        told.now_and_then(|| format!("Listed {} types…", types.get()));
    };
    let question = Question {
        provider: asked.provider.clone(),
        wanted: &|type_name| wanted::is_wanted(&args.types, type_name),
        parallelism: args.parallelism,
        listed: &listed,
    };
    let evaluator = session.evaluator(Phase::Plan);
    let discovery = stead_engine::plan::discover(
        &evaluator,
        &session.registry,
        question,
        prior,
        cancel.clone(),
    )
    .await
    .map_err(|diagnostics| session.failure(diagnostics))?;
    if discovery.found.is_empty() {
        return Err(match discovery.diagnostics.has_errors() {
            true => session.failure(discovery.diagnostics),
            false => CommandError::new(
                "No such type",
                format!(
                    "No type of which {} lists what there is fits {}.",
                    args.provider,
                    args.types.join(" or ")
                ),
            ),
        });
    }
    let mut problems = as_warnings(discovery.diagnostics.clone());
    let things = things(&session, discovery);
    let mut said = None;
    if let Some(path) = &path {
        let parallelism = args.parallelism.max(1);
        let (text, count, unread) =
            written::text(&session, &asked, path, &things, parallelism, cancel).await?;
        problems.extend(as_warnings(unread));
        if count > 0 {
            std::fs::write(path, text).map_err(|error| {
                let detail = format!("{}: {error}.", path.display());
                CommandError::new("Failed to write what was found", detail)
            })?;
        }
        said = Some(outcome(&things, count, path));
    }
    if args.json {
        print(&format!("{}\n", shown::json(&things, &problems)));
        return Ok(0);
    }
    session.warn(&problems);
    match said {
        Some(said) => print(&said),
        None => print(&shown::table(&things, &args.provider, session.style)),
    }
    Ok(0)
}

/// Reads the configuration; a folder without any is one that the environment speaks for.
async fn begin(
    args: &DiscoverArgs,
    origin: &Path,
    path: Option<&Path>,
    cancel: &tokio_util::sync::CancellationToken,
) -> Result<Session> {
    let files = written::overlay(path, String::new());
    let given = Given::Gather(&args.variables);
    let (session, _) = Session::read_quietly(&files, origin, &given, args.display.no_color)?;
    let only_ours = session.tree.root.module.files.len() <= 1;
    if only_ours {
        return Session::load_from(&files, origin, given, args.display.no_color);
    }
    let session =
        Session::begin(origin, &args.variables, &args.display, !args.json, cancel).await?;
    // Without the file that is replaced.
    session.of_files(&files)
}

/// The provider configuration that an argument names.
fn asked(session: &Session, named: &str) -> Result<Asked> {
    let (local, alias) = match named.split_once('.') {
        Some((local, alias)) => (local, Some(alias.into())),
        None => (named, None),
    };
    let module = &session.tree.root.module;
    let required = &module.terraform.required_providers;
    let mut asked = Asked {
        provider: ProviderName {
            local: local.into(),
            alias,
        },
        prelude: String::new(),
    };
    let source = module.provider_source(local);
    if required.contains_key(local) || session.registry.factory(&source).is_ok() {
        return Ok(asked);
    }
    let mut sources: Vec<_> = session
        .registry
        .sources()
        .filter(|source| &*source.name == local)
        .collect();
    sources.sort_by_key(|source| source.to_string());
    let Some(source) = sources.first() else {
        let known = session.registry.sources().map(|source| &*source.name);
        let near = stead_lang::nearest(local, known);
        let near = near.map(|near| format!(" Did you mean {near:?}?"));
        return Err(CommandError::new(
            "Unknown provider",
            format!(
                "Neither does the configuration have a provider {local:?}, nor is one of that name built in.{}",
                near.unwrap_or_default()
            ),
        ));
    };
    asked.prelude = format!(
        "terraform {{\n  required_providers {{\n    {local} = {{\n      source = \"{}/{}\"\n    }}\n  }}\n}}\n",
        source.namespace, source.name
    );
    Ok(asked)
}

/// What could not be listed or read does not keep the rest from being so.
fn as_warnings(diagnostics: Diagnostics) -> Diagnostics {
    diagnostics
        .into_iter()
        .map(|found| match found.is_error() {
            true => Diagnostic::warning(found.summary, found.detail),
            false => found,
        })
        .collect()
}

/// Decides what becomes of what was found.
fn things(session: &Session, discovery: Discovery) -> Vec<Thing> {
    let resources = &session.tree.root.module.resources;
    let mut things = Vec::new();
    for (type_name, existing) in discovery.found {
        let taken: HashSet<String> = resources
            .keys()
            .filter(|resource| resource.type_name == type_name)
            .map(|resource| resource.name.to_string())
            .collect();
        let of_type: Vec<_> = existing
            .into_iter()
            .map(|existing| (existing.object, existing.managed_as))
            .collect();
        let is_new = |(object, address): &&(stead_sdk::Discovered, Option<ResourceInstance>)| {
            address.is_none() && object.left_alone.is_none()
        };
        let fresh: Vec<(&str, &str)> = of_type
            .iter()
            .filter(is_new)
            .map(|(object, _)| (object.name.as_str(), object.id.as_str()))
            .collect();
        let mut names = names::of_type(&type_name, &fresh, &taken).into_iter();
        for (object, managed_as) in of_type {
            let fate = match (managed_as, object.left_alone) {
                (Some(address), _) => Fate::Managed(address),
                (None, Some(why)) => Fate::LeftAlone(why),
                (None, None) => Fate::New(names.next().unwrap_or_default()),
            };
            things.push(Thing {
                type_name: Arc::clone(&type_name),
                id: object.id,
                called: object.name,
                fate,
            });
        }
    }
    things
}

fn outcome(things: &[Thing], written: usize, path: &Path) -> String {
    let managed = things.iter().filter(|t| matches!(t.fate, Fate::Managed(_)));
    let managed = managed.count();
    if written == 0 {
        return format!(
            "Nothing new was found ({managed} objects are managed already): no file was written.\n"
        );
    }
    format!(
        "Wrote {written} objects to {} ({managed} are managed already). What happens next:\n  stead plan     shows that they are imported as they are\n  stead apply    takes them over\n",
        path.display()
    )
}
