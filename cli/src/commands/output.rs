//! `stead output`.

use std::io::IsTerminal as _;

use stead_engine::outputs::decode;
use stead_state::{LocalState, OutputValue};
use stead_value::Value;

use super::print;
use crate::args::OutputArgs;
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::Style;
use crate::render::value::render;
use crate::session::state_path;

pub(crate) fn run(args: OutputArgs) -> Result<u8> {
    let _style = Style {
        colour: !args.no_color && colour_wanted(std::io::stdout().is_terminal()),
    };
    let state = LocalState::at(state_path(args.state.as_deref()))
        .read()?
        .unwrap_or_default();
    match &args.name {
        Some(name) => {
            let output = state.outputs.get(name).ok_or_else(|| {
                CommandError::new(
                    format!("Output \"{name}\" not found"),
                    "The output variable requested could not be found in the state file. If you recently added this to your configuration, be sure to run `stead apply`, since the state won't be updated with new output variables until that command is run.",
                )
            })?;
            one(name, output, &args)
        }
        None if args.json => {
            let mut all = serde_json::Map::new();
            for (name, output) in &state.outputs {
                let value: serde_json::Value =
                    serde_json::from_str(output.value.get()).map_err(malformed)?;
                all.insert(
                    name.clone(),
                    serde_json::json!({"sensitive": output.sensitive, "type": output.ty, "value": value}),
                );
            }
            print(&pretty(&all.into())?);
            Ok(0)
        }
        None => {
            if state.outputs.is_empty() {
                return Err(CommandError {
                    diagnostics: stead_value::Diagnostic::warning(
                        "No outputs found",
                        "The state file either has no outputs defined, or all the defined outputs are empty.",
                    )
                    .into(),
                    ..CommandError::default()
                });
            }
            let mut text = String::new();
            for (name, output) in &state.outputs {
                text.push_str(&format!("{name} = {}\n", render(&value(output)?, 0)));
            }
            print(&text);
            Ok(0)
        }
    }
}

fn one(name: &str, output: &OutputValue, args: &OutputArgs) -> Result<u8> {
    if args.json {
        let value: serde_json::Value =
            serde_json::from_str(output.value.get()).map_err(malformed)?;
        print(&pretty(&value)?);
        return Ok(0);
    }
    // Asked for by name, a sensitive output is shown: that is what the name is for.
    let (value, _) = value(output)?.unmark_deep();
    if !args.raw {
        print(&format!("{}\n", render(&value, 0)));
        return Ok(0);
    }
    let text = stead_value::convert::convert(&value, &stead_value::Type::String)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .ok_or_else(|| {
            CommandError::new(
                "Unsupported value for raw output",
                format!("The -raw option only supports strings, numbers, and boolean values, but output value \"{name}\" is {}.\n\nUse the -json option for machine-readable representations of output values that have complex types.", value.ty().friendly_name()),
            )
        })?;
    print(&text);
    Ok(0)
}

fn value(output: &OutputValue) -> Result<Value> {
    Ok(decode(output)?)
}

fn malformed(error: serde_json::Error) -> CommandError {
    CommandError::new("Malformed state", format!("{error}."))
}

fn pretty(value: &serde_json::Value) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map(|s| s + "\n")
        .map_err(malformed)
}
