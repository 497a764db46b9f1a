//! `stead state mv`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stead_state::{ResourceId, ResourceObjects, State};
use stead_value::addr::{InstanceKey, ModuleInstance, ResourceInstance, ResourceMode};
use stead_value::{Diagnostic, Diagnostics};

use super::address::{Named, parse};
use super::{ChangeArgs, open, open_file, save};
use crate::commands::print;
use crate::error::{CommandError, Result};
use crate::settled;

#[derive(clap::Args, Debug)]
pub(crate) struct MvArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Move into the state in this file
    #[arg(long, value_name = "FILE")]
    state_out: Option<PathBuf>,
    /// Where the other state as it was is kept
    #[arg(long, value_name = "FILE")]
    backup_out: Option<PathBuf>,
    /// Only say what would be moved
    #[arg(long)]
    dry_run: bool,
    /// What moves: a resource, an instance or a module
    source: String,
    /// Its new address
    destination: String,
}

pub(super) async fn run(args: &MvArgs) -> Result<u8> {
    let (mut file, mut state) = open(&args.change, "state-mv").await?;
    let mut other = match &args.state_out {
        Some(path) => {
            let lock = &args.change.lock;
            let backup = args.backup_out.as_ref();
            let mut file = open_file(Some(path), backup, lock, "state-mv").await?;
            let state = settled::read(&mut file)?.unwrap_or_else(State::new);
            Some((file, state))
        }
        None => None,
    };
    let mut text = String::new();
    let moved = Move::of(args, &state)
        .and_then(|moves| moves.run(&mut state, other.as_mut().map(|(_, to)| to), &mut text));
    print(&text);
    let moved = moved?;
    if args.dry_run {
        return Ok(0);
    }
    if let Some((file, to)) = &mut other {
        save(file, to)?;
    }
    save(&mut file, &mut state)?;
    print(&format!("Successfully moved {moved} object(s).\n"));
    Ok(0)
}

/// What is to be moved where.
struct Move<'a> {
    args: &'a MvArgs,
    searched: Named,
    sources: Vec<Named>,
    destination: Named,
}

impl<'a> Move<'a> {
    fn of(args: &'a MvArgs, state: &State) -> Result<Move<'a>> {
        let mut diagnostics = Diagnostics::new();
        let mut read = |text: &str| parse(text).map_err(|d| diagnostics.push(d)).ok();
        let addresses = (read(&args.source), read(&args.destination));
        let (Some(source), Some(destination)) = addresses else {
            return Err(diagnostics.into());
        };
        let sources = sources(state, &source);
        if sources.is_empty() {
            return Err(CommandError::new(
                "Invalid source address",
                format!("Cannot move {source}: does not match anything in the current state."),
            ));
        }
        Ok(Move {
            args,
            searched: source,
            sources,
            destination,
        })
    }

    /// Moves everything, within one state or into another; the number of objects.
    fn run(
        &self,
        from: &mut State,
        mut to: Option<&mut State>,
        text: &mut String,
    ) -> Result<usize> {
        for source in &self.sources {
            match source {
                Named::Module(module) => self.module(module, from, to.as_deref_mut(), text)?,
                Named::Resource(id) => self.resource(id, from, to.as_deref_mut(), text)?,
                Named::Instance(address) => {
                    self.instance(address, from, to.as_deref_mut(), text)?;
                }
            }
            if !self.args.dry_run {
                forget_dependencies(to.as_deref_mut().unwrap_or(from), source);
            }
        }
        Ok(self.sources.len())
    }

    fn module(
        &self,
        module: &ModuleInstance,
        from: &mut State,
        to: Option<&mut State>,
        text: &mut String,
    ) -> Result<()> {
        let destination = &self.destination;
        let (Named::Module(target), Named::Module(searched)) = (destination, &self.searched) else {
            return Err(invalid_target(format!(
                "Cannot move {module} to {destination}: the target must also be a module."
            )));
        };
        let inner = module.0.get(searched.0.len()..).unwrap_or_default();
        let target = inner.iter().fold(target.clone(), |target, (name, key)| {
            target.child(name.clone(), key.clone())
        });
        let there = to.as_deref().unwrap_or(from);
        if there.resources.keys().any(|id| id.module == target) {
            return Err(CommandError::text(
                "Error moving state: destination module already exists\n\nPlease ensure your addresses and state paths are valid. No\nstate was persisted. Your existing states are untouched.",
            ));
        }
        self.say(text, module, &target);
        if self.args.dry_run {
            return Ok(());
        }
        let ids: Vec<ResourceId> = from
            .resources
            .keys()
            .filter(|id| id.module == *module)
            .cloned()
            .collect();
        let taken: Vec<_> = ids
            .into_iter()
            .filter_map(|id| from.resources.remove_entry(&id))
            .collect();
        let to = to.unwrap_or(from);
        for (id, objects) in taken {
            let id = ResourceId {
                module: target.clone(),
                resource: id.resource,
            };
            to.resources.insert(id, objects);
        }
        Ok(())
    }

    fn resource(
        &self,
        id: &ResourceId,
        from: &mut State,
        to: Option<&mut State>,
        text: &mut String,
    ) -> Result<()> {
        let (source, destination) = (&self.searched, &self.destination);
        let Named::Resource(target) = destination else {
            return Err(invalid_target(format!(
                "Cannot move {source} to {destination}: the source is a whole resource (not a resource instance) so the target must also be a whole resource."
            )));
        };
        let mut diagnostics = same_kind(id, target);
        let there = to.as_deref().unwrap_or(from);
        if there.resources.contains_key(target) {
            diagnostics.push(Diagnostic::error(
                "Invalid target address",
                format!("Cannot move to {destination}: there is already a resource at that address in the current state."),
            ));
        }
        diagnostics.into_result()?;
        self.say(text, source, destination);
        if self.args.dry_run {
            return Ok(());
        }
        let objects = from.resources.remove(id);
        let to = to.unwrap_or(from);
        to.resources
            .extend(objects.map(|objects| (target.clone(), objects)));
        Ok(())
    }

    fn instance(
        &self,
        address: &ResourceInstance,
        from: &mut State,
        to: Option<&mut State>,
        text: &mut String,
    ) -> Result<()> {
        let target = match &self.destination {
            Named::Instance(target) => target.clone(),
            Named::Resource(id) => id.instance(InstanceKey::None),
            Named::Module(_) => {
                return Err(invalid_target(format!(
                    "Cannot move {address} to {}: the target must also be a resource instance.",
                    self.destination
                )));
            }
        };
        let (id, target_id) = (ResourceId::of(address), ResourceId::of(&target));
        let mut diagnostics = same_kind(&id, &target_id);
        let there = to.as_deref().unwrap_or(from);
        if there.instance(&target).is_some() {
            diagnostics.push(Diagnostic::error(
                "Invalid target address",
                format!("Cannot move to {target}: there is already a resource instance at that address in the current state."),
            ));
        }
        if from.instance(address).is_none() {
            diagnostics.push(Diagnostic::error(
                "Invalid source address",
                format!("The current state does not contain {address}."),
            ));
        }
        diagnostics.into_result()?;
        self.say(text, address, &self.args.destination);
        if self.args.dry_run {
            return Ok(());
        }
        let Some(resource) = from.resources.get_mut(&id) else {
            return Ok(());
        };
        let provider = resource.provider.clone();
        let objects = resource.instances.remove(&address.key);
        if resource.instances.is_empty() {
            from.resources.remove(&id);
        }
        let to = to.unwrap_or(from);
        let resource = to
            .resources
            .entry(target_id)
            .or_insert_with(|| ResourceObjects {
                provider,
                instances: BTreeMap::new(),
                unknown_fields: serde_json::Map::new(),
            });
        resource
            .instances
            .extend(objects.map(|objects| (target.key, objects)));
        Ok(())
    }

    fn say(&self, text: &mut String, from: &dyn std::fmt::Display, to: &dyn std::fmt::Display) {
        let word = if self.args.dry_run {
            "Would move"
        } else {
            "Move"
        };
        text.push_str(&format!(
            "{word} {:?} to {:?}\n",
            from.to_string(),
            to.to_string()
        ));
    }
}

/// What an address means in this state: every module from it downwards, a resource, or its only instance.
fn sources(state: &State, source: &Named) -> Vec<Named> {
    match source {
        Named::Module(module) => {
            let mut modules: Vec<&ModuleInstance> = state
                .resources
                .keys()
                .map(|id| &id.module)
                .filter(|m| m.0.starts_with(&module.0))
                .collect();
            modules.dedup();
            modules.into_iter().cloned().map(Named::Module).collect()
        }
        Named::Resource(id) => match state.resources.get(id) {
            Some(resource) if resource.instances.contains_key(&InstanceKey::None) => {
                vec![Named::Instance(id.instance(InstanceKey::None))]
            }
            Some(_) => vec![source.clone()],
            None => Vec::new(),
        },
        Named::Instance(_) => vec![source.clone()],
    }
}

fn same_kind(from: &ResourceId, to: &ResourceId) -> Diagnostics {
    let mut diagnostics = Diagnostics::new();
    let (from_text, to_text) = (
        from.instance(InstanceKey::None),
        to.instance(InstanceKey::None),
    );
    let mut wrong = |why: &str| {
        diagnostics.push(Diagnostic::error(
            "Invalid state move request",
            format!("Cannot move {from_text} to {to_text}: {why}."),
        ));
    };
    let (from, to) = (&from.resource, &to.resource);
    if from.mode != to.mode {
        wrong(match from.mode {
            ResourceMode::Data => {
                "a data resource can be moved only to another data resource address"
            }
            _ => "a managed resource can be moved only to another managed resource address",
        });
    }
    if from.type_name != to.type_name {
        wrong("resource types don't match");
    }
    diagnostics
}

/// What depended on the object at its old address is not known to depend on the new one: the next apply records it again.
fn forget_dependencies(state: &mut State, moved: &Named) {
    let meant = match moved {
        Named::Module(module) if module.0.iter().all(|(_, key)| *key == InstanceKey::None) => {
            format!("{module}.")
        }
        Named::Module(_) => return,
        Named::Resource(id) => config_address(id),
        Named::Instance(address) => config_address(&ResourceId::of(address)),
    };
    let is_module = matches!(moved, Named::Module(_));
    let objects = state
        .resources
        .values_mut()
        .flat_map(|resource| resource.instances.values_mut())
        .filter_map(|instance| instance.current.as_mut());
    for object in objects {
        let touched = object.dependencies.iter().any(|dependency| {
            *dependency == meant || (is_module && dependency.starts_with(&meant))
        });
        if touched {
            object.dependencies.clear();
        }
    }
}

fn config_address(id: &ResourceId) -> String {
    let module = id.module.module();
    let resource = &id.resource;
    if module.0.is_empty() {
        resource.to_string()
    } else {
        format!("{module}.{resource}")
    }
}

fn invalid_target(detail: String) -> CommandError {
    CommandError::new("Invalid target address", detail)
}
