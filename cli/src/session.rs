//! What every command that looks at a stack begins with: its configuration, its variables and its state.

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use stead_engine::Registry;
use stead_engine::eval::{Evaluator, GivenVariable, Phase, Settings};
use stead_lang::Files;
use stead_lang::config::{ConfigTree, EarlyValues, Module, Variable};
use stead_lang::functions::World;
use stead_state::{LocalState, LockInfo};
use stead_value::{Diagnostic, Diagnostics, Value};

use crate::args::{LockArgs, VariableArgs};
use crate::error::{CommandError, Result, colour_wanted};
use crate::render::Style;
use crate::render::diagnostics::{Sources, render};
use crate::variables;
use crate::world::{Disk, Here};

/// The Terraform whose rules stead follows, for tools and state files that ask.
pub(crate) const TERRAFORM_VERSION: &str = "1.11.4";

/// Where the state lies unless `-state` or the backend says otherwise.
const STATE_FILE: &str = "terraform.tfstate";

/// A loaded stack.
pub(crate) struct Session {
    pub(crate) tree: ConfigTree,
    pub(crate) sources: Sources,
    pub(crate) registry: Registry,
    pub(crate) style: Style,
    compact_warnings: bool,
    variables: BTreeMap<Arc<str>, GivenVariable>,
    origin: PathBuf,
    /// When this command began, in RFC 3339 with whole seconds.
    started: String,
}

impl Session {
    /// Reads the stack in the current folder. `origin` is where the command was started (before `-chdir`).
    pub(crate) fn load(origin: &Path, variables: &VariableArgs, no_color: bool) -> Result<Session> {
        Session::load_from(&Disk, origin, Given::Gather(variables), no_color)
    }

    /// Reads a stack whose files and variables come from elsewhere, such as a plan file.
    pub(crate) fn load_from(
        files: &dyn Files,
        origin: &Path,
        given: Given<'_>,
        no_color: bool,
    ) -> Result<Session> {
        let mut session = Session::read(files, origin, &given, no_color)?;
        if session.tree.root.module.files.is_empty() {
            return Err(CommandError::new(
                "No configuration files",
                "Plan requires configuration to be present. Planning without a configuration would mark everything for destruction, which is normally not what is desired. Create a configuration file (a .tf file) and try again.",
            ));
        }
        let diagnostics = session.tree.check(&session.registry);
        if diagnostics.has_errors() {
            return Err(session.failure(diagnostics));
        }
        session.warn(&diagnostics);
        session.check_backend()?;
        check_workspace()?;
        session.variables = match given {
            Given::Saved(values) => values,
            Given::Gather(arguments) => session.gather(files, arguments)?,
        };
        Ok(session)
    }

    /// Reads a stack's configuration, and nothing else. Warnings are shown at once.
    pub(crate) fn read(
        files: &dyn Files,
        origin: &Path,
        given: &Given<'_>,
        no_color: bool,
    ) -> Result<Session> {
        let (session, diagnostics) = Session::read_quietly(files, origin, given, no_color)?;
        if diagnostics.has_errors() {
            return Err(session.failure(diagnostics));
        }
        session.warn(&diagnostics);
        Ok(session)
    }

    /// Reads a stack's configuration, with all that is wrong in it.
    pub(crate) fn read_quietly(
        files: &dyn Files,
        origin: &Path,
        given: &Given<'_>,
        no_color: bool,
    ) -> Result<(Session, Diagnostics)> {
        let installed = crate::modules::installed(files)?;
        let (tree, diagnostics) =
            ConfigTree::load_with(files, Path::new(""), &installed, &|root| {
                given.early(files, root)
            });
        let session = Session::of_tree(tree, origin, no_color)?;
        Ok((session, diagnostics))
    }

    /// Reads the root module alone: before the modules that it calls are there.
    pub(crate) fn read_root(
        files: &dyn Files,
        origin: &Path,
        no_color: bool,
    ) -> Result<(Session, Diagnostics)> {
        let (root, diagnostics) = stead_lang::config::load_module(files, Path::new(""));
        let session = Session::of_tree(ConfigTree::of_root(root), origin, no_color)?;
        Ok((session, diagnostics))
    }

    /// A session for a configuration that has been read.
    pub(crate) fn of_tree(tree: ConfigTree, origin: &Path, no_color: bool) -> Result<Session> {
        let style = Style {
            colour: !no_color && colour_wanted(std::io::stdout().is_terminal()),
        };
        let mut sources = Sources::default();
        for node in tree.nodes() {
            for file in &node.module.files {
                sources.add(file);
            }
        }
        Ok(Session {
            tree,
            sources,
            registry: crate::providers::registry()?,
            style,
            compact_warnings: false,
            variables: BTreeMap::new(),
            origin: origin.to_owned(),
            started: crate::world::now(),
        })
    }

    /// Only the local backend is here yet; anything else is refused rather than ignored.
    pub(crate) fn check_backend(&self) -> Result<()> {
        match &self.tree.root.module.terraform.backend {
            Some(backend) if &*backend.kind != "local" => {
                let diagnostic = Diagnostic::error(
                    "Backend not supported yet",
                    format!("stead keeps state in a local file so far; the backend \"{}\" is not supported yet. Take the block out to keep the state in {STATE_FILE}.", backend.kind),
                )
                .at(backend.range.clone());
                Err(self.failure(diagnostic.into()))
            }
            Some(backend) if !backend.body.attributes.is_empty() => {
                let diagnostic = Diagnostic::error(
                    "Backend argument not supported yet",
                    format!("The local backend takes no arguments in stead yet: use -state=FILE instead of {}.", backend.body.attributes.keys().map(|k| &**k).collect::<Vec<_>>().join(", ")),
                )
                .at(backend.range.clone());
                Err(self.failure(diagnostic.into()))
            }
            _ => Ok(()),
        }
    }

    /// Values for root variables, later ones winning: environment, terraform.tfvars, *.auto.tfvars, the command line.
    fn gather(
        &mut self,
        files: &dyn Files,
        arguments: &VariableArgs,
    ) -> Result<BTreeMap<Arc<str>, GivenVariable>> {
        let declared = &self.tree.root.module.variables;
        let found = gather(files, declared, arguments);
        for file in &found.sources {
            self.sources.add(file);
        }
        if found.diagnostics.has_errors() {
            return Err(self.failure(found.diagnostics));
        }
        self.warn(&found.diagnostics);
        Ok(found.values)
    }

    pub(crate) fn evaluator(&self, phase: Phase) -> Evaluator<'_> {
        Evaluator::new(&self.tree, self.settings(phase))
    }

    /// For the console: with clock and chance, and with unknown values for variables that are not set.
    pub(crate) fn console_evaluator(&self) -> Evaluator<'_> {
        let mut settings = self.settings(Phase::Plan);
        settings.world = Some(Arc::new(Here));
        for variable in self.tree.root.module.variables.values() {
            let unset = || GivenVariable {
                value: Value::unknown(variable.constraint.ty.without_optional()),
                origin: String::new(),
                range: None,
            };
            if variable.default.is_none() {
                let name = Arc::clone(&variable.name);
                settings.variables.entry(name).or_insert_with(unset);
            }
        }
        Evaluator::new(&self.tree, settings)
    }

    pub(crate) fn settings(&self, phase: Phase) -> Settings {
        Settings {
            phase,
            variables: self.variables.clone(),
            workspace: "default".into(),
            root_directory: PathBuf::from("."),
            working_directory: self.origin.clone(),
            files: Arc::new(Disk),
            home_directory: std::env::var("HOME").ok(),
            registry: self.registry.clone(),
            plan_timestamp: (phase != Phase::Validate).then(|| self.started.clone()),
            world: (phase == Phase::Apply).then(|| Arc::new(Here) as Arc<dyn World>),
            stand_ins: None,
        }
    }

    /// A failure that shows excerpts of this stack's files.
    pub(crate) fn failure(&self, diagnostics: Diagnostics) -> CommandError {
        CommandError {
            diagnostics,
            sources: self.sources.clone(),
            no_color: !self.style.colour,
        }
    }

    /// Shows warnings on standard error at once.
    #[expect(clippy::print_stderr, reason = "warnings go where errors go")]
    pub(crate) fn warn(&self, diagnostics: &Diagnostics) {
        let warnings: Diagnostics = diagnostics
            .iter()
            .filter(|d| !d.is_error())
            .cloned()
            .collect();
        if warnings.is_empty() {
            return;
        }
        if self.compact_warnings {
            eprintln!("\nWarnings:\n");
            for warning in warnings.iter() {
                eprintln!("- {}", warning.summary);
            }
            return;
        }
        eprint!("{}", render(&warnings, &self.sources, self.style));
    }

    /// Shows warnings as one line each from now on (`-compact-warnings`).
    #[must_use]
    pub(crate) fn with_compact_warnings(mut self, compact: bool) -> Session {
        self.compact_warnings = compact;
        self
    }

    /// The configuration's files, for a plan file.
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        let nodes = self.tree.nodes();
        let files = nodes.iter().flat_map(|node| node.module.files.iter());
        let mut files: BTreeMap<String, String> = files
            .map(|f| (f.name().to_string(), f.text().to_owned()))
            .collect();
        // Where the modules lie whose files these are.
        let manifest = stead_modules::Manifest::path(Path::new(""));
        if let Ok(text) = std::fs::read_to_string(&manifest) {
            files.insert(manifest.display().to_string(), text);
        }
        files
    }

    /// When this command began, or the plan that it applies was made.
    pub(crate) fn started(&self) -> &str {
        &self.started
    }

    #[must_use]
    pub(crate) fn with_started(mut self, started: String) -> Session {
        self.started = started;
        self
    }

    /// The ephemeral root variables that were given a value.
    pub(crate) fn ephemeral_variables(&self) -> BTreeSet<String> {
        let declared = &self.tree.root.module.variables;
        self.variables
            .iter()
            .filter(|(name, given)| {
                !given.value.is_null() && declared.get(*name).is_some_and(|v| v.ephemeral)
            })
            .map(|(name, _)| name.to_string())
            .collect()
    }

    /// The values for root variables that there are beside those of a saved plan, with where they come from.
    pub(crate) fn gather_again(
        &mut self,
        arguments: &VariableArgs,
    ) -> Result<BTreeMap<Arc<str>, (GivenVariable, variables::Source)>> {
        let found = self.gather(&Disk, arguments)?;
        Ok(found
            .into_iter()
            .map(|(name, given)| {
                let source = variables::Source::of(&given, &arguments.var_files);
                (name, (given, source))
            })
            .collect())
    }

    /// Adds values for root variables.
    pub(crate) fn give(&mut self, values: BTreeMap<Arc<str>, GivenVariable>) {
        self.variables.extend(values);
    }
}

/// There is one workspace so far; another one must not be taken for it.
fn check_workspace() -> Result<()> {
    let wanted = std::env::var("TF_WORKSPACE")
        .ok()
        .or_else(|| std::fs::read_to_string(".terraform/environment").ok())
        .map(|w| w.trim().to_owned())
        .unwrap_or_default();
    if wanted.is_empty() || wanted == "default" {
        return Ok(());
    }
    Err(CommandError::new(
        "Workspaces not supported yet",
        format!(
            "The workspace \"{wanted}\" is selected (TF_WORKSPACE, or .terraform/environment), and stead has only \"default\" so far. Give the state's file with -state=terraform.tfstate.d/{wanted}/terraform.tfstate, and unset the workspace."
        ),
    ))
}

/// Where root variables come from.
pub(crate) enum Given<'a> {
    Saved(BTreeMap<Arc<str>, GivenVariable>),
    Gather(&'a VariableArgs),
}

impl Given<'_> {
    /// The values as far as they are needed to find modules. What is wrong with them is said when they are gathered.
    pub(crate) fn early(&self, files: &dyn Files, root: &Module) -> EarlyValues {
        let values = match self {
            Given::Saved(values) => values.clone(),
            Given::Gather(arguments) => gather(files, &root.variables, arguments).values,
        };
        EarlyValues {
            variables: values.into_iter().map(|(k, v)| (k, v.value)).collect(),
            workspace: "default".into(),
        }
    }
}

/// Values from the environment, the variables files and the command line.
fn gather(
    files: &dyn Files,
    declared: &IndexMap<Arc<str>, Variable>,
    arguments: &VariableArgs,
) -> variables::Gathered {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(k, v)| {
            Some((
                k.to_str()?.strip_prefix("TF_VAR_")?.to_owned(),
                v.into_string().ok()?,
            ))
        })
        .collect();
    // The lab's gateway is the one thing that only the lab sets.
    let in_lab = std::env::var_os("STEAD_DIAL").is_some();
    variables::gather(
        files,
        declared,
        &environment,
        &arguments.var_files,
        &arguments.vars,
        in_lab,
    )
}

/// Where the state lies.
pub(crate) fn state_path(given: Option<&Path>) -> PathBuf {
    given.map_or_else(|| PathBuf::from(STATE_FILE), Path::to_owned)
}

/// Opens the state and locks it, waiting as long as `-lock-timeout` says.
pub(crate) async fn open_state(locking: &LockArgs, operation: &str) -> Result<LocalState> {
    let path = state_path(locking.state.as_deref());
    let mut state = LocalState::at(&path);
    if !locking.lock {
        return Ok(state);
    }
    let patience = duration(&locking.lock_timeout)?;
    let info = LockInfo {
        id: uuid::Uuid::new_v4().to_string(),
        operation: operation.to_owned(),
        info: String::new(),
        who: who(),
        version: TERRAFORM_VERSION.into(),
        created: crate::world::now(),
        path: path.display().to_string(),
    };
    let started = Instant::now();
    loop {
        match state.lock(&info) {
            Ok(()) => return Ok(state),
            Err(stead_state::Error::Locked { .. }) if started.elapsed() < patience => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn who() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "unknown".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    if host.is_empty() {
        user
    } else {
        format!("{user}@{host}")
    }
}

/// `30s`, `5m`, `1h30m`, `0`.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let wrong = || {
        CommandError::new(
            "Invalid duration",
            format!(
                "\"{text}\" is not a duration: write a number with a unit, such as 30s, 5m or 1h30m."
            ),
        )
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut digits = String::new();
    let mut any = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let unit = match c {
            's' => Duration::from_secs(1),
            'm' if chars.peek() == Some(&'s') => {
                chars.next();
                Duration::from_millis(1)
            }
            'm' => Duration::from_secs(60),
            'h' => Duration::from_secs(3600),
            _ => return Err(wrong()),
        };
        total += unit
            .checked_mul(u32::try_from(count).map_err(|_| wrong())?)
            .ok_or_else(wrong)?;
        digits.clear();
        any = true;
    }
    if any && digits.is_empty() {
        Ok(total)
    } else {
        Err(wrong())
    }
}
