//! `stead metadata`: what tools ask about stead itself.

use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};
use stead_value::json::type_to_json;
use stead_value::{FunctionParameter, FunctionSignature};

use super::print;
use crate::error::{CommandError, Result};

#[derive(Debug, Subcommand)]
pub(crate) enum MetadataCommand {
    /// Show the signatures of the language's functions
    Functions(FunctionsArgs),
}

#[derive(Args, Debug)]
pub(crate) struct FunctionsArgs {
    /// Print as JSON; there is no other form
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &MetadataCommand) -> Result<u8> {
    let MetadataCommand::Functions(args) = command;
    if !args.json {
        return Err(CommandError::new(
            "The `stead metadata functions` command requires the `-json` flag.",
            "It is for tools: run `stead metadata functions -json`.",
        ));
    }
    let mut signatures = Map::new();
    for (name, function) in stead_lang::functions::signatures() {
        let json = signature(&function);
        signatures.insert(format!("core::{name}"), json.clone());
        signatures.insert(name.to_owned(), json);
    }
    signatures.sort_keys();
    let all = json!({"format_version": "1.0", "function_signatures": signatures});
    print(&format!("{all}\n"));
    Ok(0)
}

/// A function as Terraform's JSON describes it.
pub(crate) fn signature(function: &FunctionSignature) -> Json {
    let mut json = Map::new();
    let mut text = |key: &str, text: &str| {
        if !text.is_empty() {
            json.insert(key.into(), text.into());
        }
    };
    text("description", &function.description);
    text("summary", &function.summary);
    text(
        "deprecation_message",
        function.deprecated.as_deref().unwrap_or_default(),
    );
    json.insert("return_type".into(), type_to_json(&function.returns));
    if !function.parameters.is_empty() {
        let parameters = function.parameters.iter().map(parameter).collect();
        json.insert("parameters".into(), Json::Array(parameters));
    }
    if let Some(variadic) = &function.variadic {
        json.insert("variadic_parameter".into(), parameter(variadic));
    }
    Json::Object(json)
}

fn parameter(parameter: &FunctionParameter) -> Json {
    let mut json = Map::new();
    json.insert("name".into(), parameter.name.as_str().into());
    if !parameter.description.is_empty() {
        json.insert("description".into(), parameter.description.as_str().into());
    }
    if parameter.nullable {
        json.insert("is_nullable".into(), true.into());
    }
    json.insert("type".into(), type_to_json(&parameter.ty));
    Json::Object(json)
}
