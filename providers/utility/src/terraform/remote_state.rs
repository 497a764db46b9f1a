//! `terraform_remote_state`: the outputs of another stack, from its state.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value, json};
use stead_sdk::{Context, DataSource, Dynamic, Error, async_trait};

/// The outputs of another stack.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "terraform_remote_state")]
pub(super) struct RemoteState {
    /// Where the other stack keeps its state: `local`.
    #[attr(required)]
    backend: String,
    /// The backend's own arguments, such as `{ path = "…" }`.
    #[attr(optional)]
    config: Dynamic,
    /// Outputs to assume where the state lacks them.
    #[attr(optional)]
    defaults: Dynamic,
    /// The outputs.
    #[attr(computed)]
    outputs: Dynamic,
    /// The workspace; `default` unless set.
    #[attr(optional)]
    workspace: Option<String>,
}

/// The arguments of `backend "local"`.
const LOCAL: [&str; 2] = ["path", "workspace_dir"];

fn wrong(name: &str, summary: &str, detail: impl Into<String>) -> Diagnostic {
    Diagnostic::error(summary, detail).attribute(Path::root().attr(name))
}

fn is_mapping(value: &Value) -> bool {
    value.as_entries().is_some() || !value.is_known() || value.is_null()
}

fn validate(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    let text = |name: &str| config.get(name).and_then(|v| v.as_str().map(str::to_owned));
    let arguments = config.get("config").unwrap_or_else(Value::dynamic);
    match text("backend").as_deref() {
        None | Some("local" | "_local") => {
            for name in arguments.as_entries().into_iter().flat_map(|e| e.keys()) {
                if text("backend").is_some() && !LOCAL.contains(&&**name) {
                    let detail = format!(
                        "The given configuration is not valid for backend \"local\": unsupported attribute {name:?}."
                    );
                    found.push(wrong("config", "Invalid backend configuration", detail));
                }
            }
        }
        Some(other) => {
            let detail = format!(
                "stead reads the state of other stacks from \"local\" only so far; the backend {other:?} is not supported yet."
            );
            found.push(wrong("backend", "Backend not supported yet", detail));
        }
    }
    if !is_mapping(&arguments) {
        let detail = "The configuration must be an object value.";
        found.push(wrong("config", "Invalid backend configuration", detail));
    }
    if config.get("defaults").is_some_and(|v| !is_mapping(&v)) {
        let detail = "Defaults must be given in an object value.";
        found.push(wrong("defaults", "Invalid default values", detail));
    }
    found
}

impl RemoteState {
    fn path(&self) -> PathBuf {
        let argument = |name: &str| {
            let value = self.config.get(name)?;
            value.as_str().filter(|t| !t.is_empty()).map(PathBuf::from)
        };
        match self.workspace.as_deref() {
            None | Some("" | "default") => {
                argument("path").unwrap_or_else(|| "terraform.tfstate".into())
            }
            Some(workspace) => argument("workspace_dir")
                .unwrap_or_else(|| "terraform.tfstate.d".into())
                .join(workspace)
                .join("terraform.tfstate"),
        }
    }
}

/// The outputs in a state file; `None` when there is no file.
fn recorded(path: &FilePath) -> Result<Option<BTreeMap<Arc<str>, Value>>, Error> {
    let asked = format!("read the state {}", path.display());
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::new(asked, error.to_string())),
    };
    let broken = |why: String| Error::new(&asked, why);
    if bytes.is_empty() {
        return Ok(None);
    }
    let state: Json = serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?;
    if state.get("version").and_then(Json::as_u64) != Some(4) {
        return Err(broken("it is not of version 4".into()));
    }
    let outputs = state.get("outputs").and_then(Json::as_object);
    let mut found = BTreeMap::new();
    for (name, output) in outputs.into_iter().flatten() {
        let part = |key: &str| output.get(key).cloned().unwrap_or_default();
        let malformed = || broken(format!("its output {name:?} is malformed"));
        let ty = json::type_from_json(&part("type")).ok_or_else(malformed)?;
        let value = json::from_json(&part("value"), &ty).map_err(|_| malformed())?;
        found.insert(Arc::from(name.as_str()), value);
    }
    Ok(Some(found))
}

#[async_trait]
impl DataSource for RemoteState {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    async fn read(_client: &(), config: Self, _cx: &Context) -> Result<Self, Error> {
        let mut outputs = config.defaults.as_entries().cloned().unwrap_or_default();
        let Some(found) = recorded(&config.path())? else {
            return Err(wrong(
                "workspace",
                "Unable to find remote state",
                "No stored state was found for the given workspace in the given backend.",
            )
            .into());
        };
        outputs.extend(found);
        let defaults = if config.defaults.is_null() {
            Value::null(Type::Dynamic)
        } else {
            config.defaults
        };
        Ok(RemoteState {
            outputs: Value::object(outputs),
            defaults,
            ..config
        })
    }
}
