//! `stead state undo`: the state as it was at an earlier serial, shown as a difference first.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use stead_engine::{Registry, outputs, recorded_value};
use stead_state::{Object, OutputValue, ProviderConfigRef, State};
use stead_value::addr::{ResourceInstance, ResourceMode};
use stead_value::{Type, Value};

use super::{HoldArgs, place, save};
use crate::commands::{interrupt, print};
use crate::error::{CommandError, Result, colour_wanted};
use crate::prompt::{self, Question};
use crate::render::Style;
use crate::render::diff::{self, Drawing, Edit};
use crate::session::lock_state;
use crate::settled;

#[derive(clap::Args, Debug)]
#[command(
    after_help = "Nothing but the state is changed: objects that were made or removed since stay as they are. The next plan shows\nhow they differ from what the state says again. `stead state history` lists the serials."
)]
pub(crate) struct UndoArgs {
    /// The serial to go back to; the one before the last command that changed the state unless given
    serial: Option<u64>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Do not ask for approval
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    lock: HoldArgs,
    #[arg(long)]
    no_color: bool,
}

pub(super) async fn run(args: &UndoArgs) -> Result<u8> {
    let mut file = place(None)?;
    if args.lock.lock {
        lock_state(&mut file, &args.lock.lock_timeout, "state-undo").await?;
    }
    let state = settled::read(&mut file)?.ok_or_else(|| CommandError::text(super::NOT_FOUND))?;
    let serial = match args.serial {
        Some(serial) => serial,
        None => before_last_command(&file.history()?.entries).ok_or_else(|| {
            CommandError::new(
                "Nothing to undo",
                "Nothing is known of the past of this state: stead has not written it yet.",
            )
        })?,
    };
    if serial >= state.serial {
        return Err(CommandError::new(
            "Nothing to undo",
            format!(
                "The state has serial {}, so that there is nothing to undo since serial {serial}. `stead state history` lists the serials.",
                state.serial
            ),
        ));
    }
    let back = file.back_to(serial, &state).map_err(|e| {
        CommandError::new(
            "The state can't be taken back",
            format!("{e}. `stead state history` lists the serials that are known."),
        )
    })?;
    let style = Style {
        colour: !args.no_color && colour_wanted(std::io::stdout().is_terminal()),
    };
    let registry = crate::providers::registry()?;
    print(&format!(
        "From serial {} back to what the state was at serial {serial}:\n\n{}",
        state.serial,
        difference(&state, &back, &registry, style)?
    ));
    if args.dry_run {
        return Ok(0);
    }
    if !args.auto_approve {
        let question = Question {
            query: "\nDo you want to take the state back?",
            description: "Only the state is changed, not the objects that it is about.\nOnly 'yes' will be accepted to approve.",
            secret: false,
        };
        let answer = prompt::ask(&question, style, &interrupt::token()).await;
        let answer = answer.map_err(|e| {
            CommandError::new(
                format!("error asking for approval: {e}"),
                "There is no answer to read. Use -auto-approve.",
            )
        })?;
        if answer != "yes" {
            print("Undo cancelled.\n");
            return Ok(1);
        }
    }
    let mut back = back;
    save(&mut file, &mut back)?;
    print(&format!(
        "The state is what it was at serial {serial}; it has serial {} now.\n",
        back.serial
    ));
    Ok(0)
}

/// A command may write several times.
fn before_last_command(entries: &[stead_state::history::Entry]) -> Option<u64> {
    let last = entries.first()?;
    let own = entries.iter().take_while(|e| e.run == last.run);
    own.last().map(|e| e.from)
}

/// What changes, object by object.
fn difference(now: &State, back: &State, registry: &Registry, style: Style) -> Result<String> {
    let drawing = Drawing::new(style);
    let mut text = String::new();
    let ids: BTreeSet<_> = now.resources.keys().chain(back.resources.keys()).collect();
    for id in ids {
        let instances = |state: &State| {
            let resource = state.resources.get(id);
            resource.map(|r| r.instances.keys().cloned().collect::<Vec<_>>())
        };
        let keys: BTreeSet<_> = [now, back]
            .into_iter()
            .filter_map(instances)
            .flatten()
            .collect();
        for key in keys {
            let address = id.instance(key);
            let (before, after) = (now.instance(&address), back.instance(&address));
            if let (Some(before), Some(after)) = (before, after)
                && before.says_the_same(after)
            {
                continue;
            }
            text.push_str(&instance(&address, now, back, registry, drawing)?);
        }
    }
    let names: BTreeSet<_> = now.outputs.keys().chain(back.outputs.keys()).collect();
    for name in names {
        let value = |state: &State| output(state.outputs.get(name));
        let node = diff::values(&value(now)?, &value(back)?);
        if node.edit != Edit::Same {
            text.push_str(&format!("# output {name}\n{}\n\n", drawing.node(&node, 0)));
        }
    }
    if text.is_empty() {
        text.push_str("Nothing but results of checks differs.\n\n");
    }
    Ok(text)
}

fn instance(
    address: &ResourceInstance,
    now: &State,
    back: &State,
    registry: &Registry,
    drawing: Drawing,
) -> Result<String> {
    let (before, after) = (now.current(address), back.current(address));
    let what = match (before, after) {
        (None, Some(_)) => "is recorded again",
        (Some(_), None) => "is not recorded any more",
        (Some(_), Some(_)) => "is recorded as it was",
        (None, None) => "has other deposed objects",
    };
    let mut text = format!("# {address} {what}\n");
    let Some((_, provider)) = before.or(after) else {
        return Ok(text + "\n");
    };
    let value = |side: Option<(&Object, &ProviderConfigRef)>| match side {
        Some((object, provider)) => recorded_value(registry, address, &provider.source, object),
        None => Ok(Value::null(Type::Dynamic)),
    };
    let (before, after) = (value(before)?, value(after)?);
    let resource = &address.resource;
    let schema = registry.resource_schema(&provider.source, resource.mode, &resource.type_name);
    let node = match schema {
        Ok(schema) => diff::objects(&schema.block, &before, &after, &[], None),
        // What no provider here knows is compared as it was recorded.
        Err(_) => diff::values(&before, &after),
    };
    text.push_str(&format!(
        "{} \"{}\" \"{}\" {}\n\n",
        match resource.mode {
            ResourceMode::Data => "data",
            _ => "resource",
        },
        resource.type_name,
        resource.name,
        drawing.node(&node, 0)
    ));
    Ok(text)
}

fn output(value: Option<&OutputValue>) -> Result<Value> {
    Ok(match value {
        Some(output) => outputs::decode(output)?,
        None => Value::null(Type::Dynamic),
    })
}
