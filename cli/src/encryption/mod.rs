//! How states and plan files are sealed here: the root module's `encryption` block, with `TF_ENCRYPTION` merged over it.

mod making;
mod words;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stead_lang::Files;
use stead_lang::config::{
    EncryptionConfig, EncryptionScope, EncryptionTarget, Module, encryption_from_text, load_module,
};
use stead_state::State;
use stead_state::encryption::{Encryption, is_sealed};
use stead_value::{Diagnostic, Diagnostics};

use crate::args::VariableArgs;
use crate::error::{CommandError, Result};
use crate::session::Given;
use crate::workspace;

pub(crate) use words::explain;

/// The variable with a configuration that goes over the block.
const VARIABLE: &str = "TF_ENCRYPTION";

/// The variable by which people say that they know of secrets in the clear.
const ACCEPTED: &str = "STEAD_PLAIN_STATE";

/// What seals and opens each kind of content. Without a configuration nothing does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encryptions {
    pub(crate) state: Arc<Encryption>,
    pub(crate) plan: Arc<Encryption>,
    remote_default: Arc<Encryption>,
    /// By the names of the data sources that read them.
    remotes: BTreeMap<String, Arc<Encryption>>,
    /// There is a block, or `TF_ENCRYPTION`.
    pub(crate) configured: bool,
}

impl Encryptions {
    /// For the state that the data source of that name reads: `NAME`, or `MODULE.NAME`, with `[KEY]` where it has several instances.
    pub(crate) fn for_remote(&self, name: &str) -> Encryptions {
        let state = self.remotes.get(name).unwrap_or(&self.remote_default);
        Encryptions {
            state: Arc::clone(state),
            ..Encryptions::default()
        }
    }

    /// What is said of a state with secrets that anybody can read who can read the state, unless somebody has chosen that.
    pub(crate) fn of_plain_secrets(&self, state: &State) -> Option<Diagnostic> {
        let accepted = || std::env::var_os(ACCEPTED).is_some_and(|value| !value.is_empty());
        if self.state.is_chosen() || !state.holds_secrets() || accepted() {
            return None;
        }
        Some(Diagnostic::warning(
            "The state holds secrets in the clear",
            format!(
                "Whoever can read the state can read its sensitive values. `stead state encrypt` seals it. If it is meant to stay as it is, set {ACCEPTED}=1, or choose the method \"unencrypted\" in an encryption block."
            ),
        ))
    }

    /// The bytes of a plan file as they are written.
    pub(crate) fn seal_plan(&self, path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Diagnostic> {
        if self.plan.is_plain() {
            return Ok(bytes);
        }
        let sealed = self.plan.seal_other(&bytes);
        sealed.map_err(|error| explain(&path.display().to_string(), &error))
    }

    /// The bytes of the plan in a file.
    pub(crate) fn open_plan(&self, path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Diagnostic> {
        let opened = self.plan.open_plan(bytes);
        let opened = opened.map_err(|error| explain(&path.display().to_string(), &error))?;
        Ok(opened.content)
    }

    /// The state in a file that somebody hands over: sealed, or in the clear whatever is configured.
    pub(crate) fn open_file(&self, path: &Path, bytes: Vec<u8>) -> Result<Vec<u8>, Diagnostic> {
        if !is_sealed(&bytes) {
            return Ok(bytes);
        }
        let opened = self.state.open_state(bytes);
        let opened = opened.map_err(|error| explain(&path.display().to_string(), &error))?;
        Ok(opened.content)
    }
}

/// What the folder's configuration says, for commands that read no more of it.
pub(crate) fn in_folder(files: &dyn Files) -> Result<Encryptions> {
    in_folder_given(files, &VariableArgs::default())
}

/// The same with variables from the command line.
pub(crate) fn in_folder_given(files: &dyn Files, variables: &VariableArgs) -> Result<Encryptions> {
    let (root, diagnostics) = load_module(files, Path::new(""));
    let made = match diagnostics.has_errors() {
        true => Err(diagnostics.into()),
        false => of(files, &root, &Given::Gather(variables)),
    };
    let (made, _) = made.map_err(|mut error| {
        root.files.iter().for_each(|file| error.sources.add(file));
        error
    })?;
    Ok(made)
}

/// What the configuration says, with what is worth a warning.
///
/// # Errors
/// What is wrong with it: then nothing may be read or written, lest it be in the clear.
pub(crate) fn of(
    files: &dyn Files,
    root: &Module,
    given: &Given<'_>,
) -> Result<(Encryptions, Diagnostics)> {
    let text = std::env::var_os(VARIABLE).unwrap_or_default();
    let text = text.into_string().map_err(|_| {
        CommandError::new(
            "Invalid environment variable",
            format!("{VARIABLE} does not hold text."),
        )
    })?;
    let (config, diagnostics) = configured(root, text.trim());
    let mut diagnostics = diagnostics.into_result()?;
    let Some(config) = config else {
        return Ok((Encryptions::default(), diagnostics));
    };
    let values = given.early(files, root, &workspace::selected()?.name);
    let scope = EncryptionScope::new(files, root, &values, &config);
    let mut make = |name: &str, target: Option<&EncryptionTarget>| match target {
        Some(target) => making::encryption(&scope, name, target, &mut diagnostics),
        None => Arc::default(),
    };
    let made = Encryptions {
        state: make("state", config.state.as_ref()),
        plan: make("plan", config.plan.as_ref()),
        remote_default: make("remote.default", config.remote_default.as_ref()),
        remotes: config
            .remotes
            .iter()
            .map(|(name, target)| {
                let shown = format!("remote.remote_state_datasource.{name}");
                (name.to_string(), make(&shown, Some(target)))
            })
            .collect(),
        configured: true,
    };
    diagnostics.extend(plain_methods(&config));
    Ok((made, diagnostics.into_result()?))
}

/// The block with the variable's text over it.
fn configured(root: &Module, text: &str) -> (Option<EncryptionConfig>, Diagnostics) {
    let block = root.terraform.encryption.clone();
    match text {
        "" => (block, Diagnostics::new()),
        text => {
            let (over, diagnostics) = encryption_from_text(VARIABLE, text);
            let merged = match block {
                Some(block) => block.merge(over),
                None => over,
            };
            (Some(merged), diagnostics)
        }
    }
}

/// A way to leave secrets in the clear is worth a word each time.
fn plain_methods(config: &EncryptionConfig) -> Diagnostics {
    let plain = config.methods.values();
    plain
        .filter(|method| &*method.name.kind == "unencrypted")
        .map(|method| {
            Diagnostic::warning(
                "Unencrypted method configured",
                "Method unencrypted is present in configuration. This is a security risk and should only be enabled during migrations.",
            )
            .at(method.range.clone())
        })
        .collect()
}
