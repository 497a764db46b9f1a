//! `terraform_remote_state`: the outputs of another stack, from its state.

use std::collections::BTreeMap;
use std::sync::Arc;

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value};
use stead_sdk::{Context, DataSource, Dynamic, Error, async_trait};

/// The states of other stacks, which a provider knows nothing of: the binary has the backends.
#[async_trait]
pub trait RemoteStates: Send + Sync {
    /// The types of backend that there are.
    fn backends(&self) -> Vec<&'static str>;

    /// The outputs in the state of a workspace; `None` when there is no state. `reader` is what an `encryption` block calls the data
    /// source: `NAME`, or `MODULE.NAME`, with `[KEY]` where there are several.
    ///
    /// # Errors
    /// When the arguments are wrong or the state cannot be read.
    async fn outputs(
        &self,
        reader: &str,
        backend: &str,
        config: &Value,
        workspace: &str,
    ) -> Result<Option<BTreeMap<Arc<str>, Value>>, Diagnostic>;
}

/// The outputs of another stack.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "terraform_remote_state")]
pub(super) struct RemoteState {
    /// Where the other stack keeps its state: `local`, `s3`, ….
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
        // The others say what is wrong when they are opened.
        Some(_) => {}
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

/// The data source's address without what is the same for all of them, as OpenTofu takes it.
fn name_of(cx: &Context) -> String {
    let address = cx.object().map(ToString::to_string).unwrap_or_default();
    let name = address.replacen("data.terraform_remote_state.", "", 1);
    name.strip_prefix("module.").unwrap_or(&name).to_owned()
}

#[async_trait]
impl DataSource for RemoteState {
    type Client = Arc<dyn RemoteStates>;

    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    async fn read(
        states: &Arc<dyn RemoteStates>,
        config: Self,
        cx: &Context,
    ) -> Result<Self, Error> {
        let mut outputs = config.defaults.as_entries().cloned().unwrap_or_default();
        let backend = match config.backend.as_str() {
            "_local" => "local",
            name => name,
        };
        let known = states.backends();
        if !known.contains(&backend) {
            let detail = format!(
                "There is no backend type named {backend:?}. There are: {}.",
                known.join(", ")
            );
            return Err(wrong("backend", "Invalid backend configuration", detail).into());
        }
        let workspace = config.workspace.as_deref().filter(|name| !name.is_empty());
        let workspace = workspace.unwrap_or("default");
        let found = states
            .outputs(&name_of(cx), backend, &config.config, workspace)
            .await?;
        let Some(found) = found else {
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
