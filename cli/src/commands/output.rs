//! `stead output`.

use std::path::PathBuf;

use clap::Args;
use stead_engine::outputs::decode;
use stead_state::{OutputValue, State};
use stead_value::{Diagnostic, Type, Value, convert};

use super::print;
use crate::backend;
use crate::encryption;
use crate::error::{CommandError, Result, warn};
use crate::render::value::render;
use crate::settled;
use crate::world::Disk;

#[derive(Args, Debug)]
pub(crate) struct OutputArgs {
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print one output's string, number or bool as it is
    #[arg(long)]
    pub(crate) raw: bool,
    /// Show sensitive values too
    #[arg(long)]
    pub(crate) show_sensitive: bool,
    /// Where the state is kept, instead of the selected workspace's place
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// One output's name
    pub(crate) name: Option<String>,
}

pub(crate) fn run(args: OutputArgs) -> Result<u8> {
    if args.json && args.raw {
        return Err(CommandError::new(
            "Invalid output format",
            "The -raw and -json options are mutually-exclusive.",
        ));
    }
    if args.raw && args.name.is_none() {
        return Err(CommandError::new(
            "Output name required",
            "You must give the name of a single output value when using the -raw option.",
        ));
    }
    backend::in_folder(&Disk)?;
    let encryptions = encryption::in_folder(&Disk)?;
    let state = settled::read(&mut backend::state(args.state.as_deref(), &encryptions)?)?
        .unwrap_or_default();
    match &args.name {
        None if args.json => print(&all_json(&state)?),
        _ if state.outputs.is_empty() && !args.json => return Ok(no_outputs(args.no_color)),
        Some(name) => {
            let output = state.outputs.get(name).ok_or_else(|| missing(name))?;
            print(&one(name, output, &args)?);
        }
        None => print(&all(&state, args.show_sensitive)?),
    }
    Ok(0)
}

/// Every output with its name; sensitive ones show their value only when that is asked for.
pub(crate) fn all(state: &State, reveal: bool) -> Result<String, Diagnostic> {
    let mut text = String::new();
    for (name, output) in &state.outputs {
        let value = if output.sensitive && !reveal {
            "<sensitive>".to_owned()
        } else {
            render(&decode(output)?.unmark_deep().0, 0)
        };
        text.push_str(&format!("{name} = {value}\n"));
    }
    Ok(text)
}

/// Every output with its type, for machines.
pub(crate) fn all_json(state: &State) -> Result<String> {
    let mut all = serde_json::Map::new();
    for (name, output) in &state.outputs {
        let value: serde_json::Value =
            serde_json::from_str(output.value.get()).map_err(malformed)?;
        all.insert(
            name.clone(),
            serde_json::json!({"sensitive": output.sensitive, "type": output.ty, "value": value}),
        );
    }
    serde_json::to_string_pretty(&all)
        .map(|text| text + "\n")
        .map_err(malformed)
}

fn one(name: &str, output: &OutputValue, args: &OutputArgs) -> Result<String> {
    if args.json {
        let json: serde_json::Value =
            serde_json::from_str(output.value.get()).map_err(malformed)?;
        return Ok(format!("{json}\n"));
    }
    // Asked for by name, a sensitive output is shown: that is what the name is for.
    let (value, _) = decode(output)?.unmark_deep();
    if !args.raw {
        return Ok(format!("{}\n", render(&value, 0)));
    }
    raw(name, &value)
}

fn raw(name: &str, value: &Value) -> Result<String> {
    let wrong = |detail: String| CommandError::new("Unsupported value for raw output", detail);
    let text = convert::convert(value, &Type::String).map_err(|_| {
        wrong(format!(
            "The -raw option only supports strings, numbers, and boolean values, but output value \"{name}\" is {}.\n\nUse the -json option for machine-readable representations of output values that have complex types.",
            value.ty().friendly_name()
        ))
    })?;
    let text = text.as_str().ok_or_else(|| {
        wrong(format!(
            "The value for output value \"{name}\" is null, so -raw mode cannot print it."
        ))
    })?;
    Ok(text.to_owned())
}

fn missing(name: &str) -> CommandError {
    CommandError::new(
        format!("Output \"{name}\" not found"),
        "The output variable requested could not be found in the state file. If you recently added this to your configuration, be sure to run `stead apply`, since the state won't be updated with new output variables until that command is run.",
    )
}

/// Not a failure: scripts ask before there is anything.
fn no_outputs(no_color: bool) -> u8 {
    let warning = Diagnostic::warning(
        "No outputs found",
        "The state file either has no outputs defined, or all the defined outputs are empty. Please define an output in your configuration with the `output` keyword and run `stead refresh` for it to become available. If you are using interpolation, please verify the interpolated value is not empty. You can use the `stead console` command to assist.",
    );
    warn(&warning, no_color);
    0
}

fn malformed(error: serde_json::Error) -> CommandError {
    CommandError::new("Malformed state", format!("{error}."))
}
