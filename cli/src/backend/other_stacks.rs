//! The states of other stacks, for `terraform_remote_state`.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_sdk::async_trait;
use stead_state::{OutputValue, State};
use stead_utility::RemoteStates;
use stead_value::convert::convert;
use stead_value::json::{from_json, type_from_json};
use stead_value::{Diagnostic, Path, Value};

use super::{Backend, schema};
use crate::encryption::Encryptions;
use crate::error::CommandError;

/// Reads them where they lie; nothing is locked or written there.
#[derive(Default)]
pub(crate) struct OtherStacks {
    encryptions: Encryptions,
}

impl OtherStacks {
    /// States that are sealed open with these.
    pub(crate) fn opened_with(encryptions: Encryptions) -> OtherStacks {
        OtherStacks { encryptions }
    }
}

#[async_trait]
impl RemoteStates for OtherStacks {
    fn backends(&self) -> Vec<&'static str> {
        let remote = stead_backends::KINDS.iter().map(|kind| kind.name);
        std::iter::once("local").chain(remote).collect()
    }

    async fn outputs(
        &self,
        reader: &str,
        backend: &str,
        config: &Value,
        workspace: &str,
    ) -> Result<Option<BTreeMap<Arc<str>, Value>>, Diagnostic> {
        let config = arguments(backend, config)?;
        let (backend, workspace) = (backend.to_owned(), workspace.to_owned());
        let encryptions = self.encryptions.for_remote(reader);
        // Reading blocks its thread, and this one belongs to everybody.
        let read =
            tokio::task::spawn_blocking(move || read(&backend, &config, &workspace, &encryptions));
        match read.await {
            Ok(state) => state?.map(|state| outputs(&state)).transpose(),
            Err(e) => Err(unreadable(e.to_string())),
        }
    }
}

/// The given arguments as the backend's schema has them.
fn arguments(backend: &str, config: &Value) -> Result<Value, Diagnostic> {
    let invalid = |detail: String| {
        Diagnostic::error(
            "Invalid backend configuration",
            format!("The given configuration is not valid for backend \"{backend}\": {detail}."),
        )
        .attribute(Path::root().attr("config"))
    };
    let schema = schema(backend).ok_or_else(|| invalid("there is no such backend".into()))?;
    let given = config.as_entries().cloned().unwrap_or_default();
    let mut whole = BTreeMap::new();
    for name in given.keys() {
        if !schema.attributes.contains_key(name) && !schema.blocks.contains_key(name) {
            return Err(invalid(format!("unsupported attribute {name:?}")));
        }
    }
    let types = schema.attributes.iter();
    let types = types.map(|(name, attribute)| (name, attribute.value_type()));
    let blocks = schema.blocks.iter();
    let blocks = blocks.map(|(name, block)| (name, block.value_type()));
    for (name, ty) in types.chain(blocks) {
        let value = match given.get(name) {
            Some(value) => {
                convert(value, &ty).map_err(|e| invalid(format!("{name}: {}", e.message)))?
            }
            None => Value::null(ty),
        };
        let required = schema.attributes.get(name).is_some_and(|a| a.required);
        if required && value.is_null() {
            return Err(invalid(format!("attribute {name:?} is required")));
        }
        whole.insert(Arc::clone(name), value.unmark_deep().0);
    }
    Ok(Value::object(whole))
}

fn read(
    backend: &str,
    config: &Value,
    workspace: &str,
    encryptions: &Encryptions,
) -> Result<Option<State>, Diagnostic> {
    let backend = Backend::open(backend, config, encryptions).map_err(first)?;
    let state = backend.state(workspace).map_err(|e| first(e.diagnostics))?;
    state.alone().read().map_err(|error| match error {
        sealed @ stead_state::Error::Encryption { .. } => {
            first(CommandError::from(sealed).diagnostics)
        }
        other => unreadable(other.to_string()),
    })
}

/// One diagnostic is what a data source can tell; the first one is the cause.
fn first(found: stead_value::Diagnostics) -> Diagnostic {
    let first = found.iter().next().cloned();
    first.unwrap_or_else(|| unreadable("it could not be opened".into()))
}

fn unreadable(why: String) -> Diagnostic {
    Diagnostic::error(
        "Error loading remote state",
        format!("Reading the state of the other stack failed: {why}."),
    )
}

fn outputs(state: &State) -> Result<BTreeMap<Arc<str>, Value>, Diagnostic> {
    let value = |(name, output): (&String, &OutputValue)| {
        let malformed = || unreadable(format!("its output {name:?} is malformed"));
        let ty = type_from_json(&output.ty).ok_or_else(malformed)?;
        let json = serde_json::from_str(output.value.get()).map_err(|_| malformed())?;
        let value = from_json(&json, &ty).map_err(|_| malformed())?;
        Ok((Arc::from(name.as_str()), value))
    };
    state.outputs.iter().map(value).collect()
}
