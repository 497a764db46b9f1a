//! What every command that looks at a stack begins with: its configuration, its variables and its state.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexMap;
use stead_engine::eval::{Evaluator, GivenVariable, Origin, Phase, Settings};
use stead_engine::{Registry, without_consequences};
use stead_lang::Files;
use stead_lang::config::{ConfigTree, EarlyValues, Module, Variable};
use stead_lang::functions::World;
use stead_state::{LockInfo, State, StateManager};
use stead_value::{Diagnostic, Diagnostics, Value};
use tokio_util::sync::CancellationToken;

use crate::args::{DisplayArgs, LockArgs, VariableArgs};
use crate::backend;
use crate::encryption::{self, Encryptions};
use crate::error::{CommandError, Result, colour_wanted};
use crate::prompt;
use crate::render::Style;
use crate::render::arrange::Layout;
use crate::render::diagnostics::Sources;
use crate::render::plan::View;
use crate::variables;
use crate::warnings::Warnings;
use crate::workspace;
use crate::world::{Disk, Here};

/// The Terraform whose rules stead follows, for tools and state files that ask.
pub(crate) const TERRAFORM_VERSION: &str = "1.11.4";

/// A loaded stack.
pub(crate) struct Session {
    pub(crate) tree: ConfigTree,
    pub(crate) sources: Sources,
    pub(crate) registry: Registry,
    pub(crate) encryptions: Encryptions,
    pub(crate) style: Style,
    warnings: Warnings,
    warned_of_secrets: Cell<bool>,
    variables: BTreeMap<Arc<str>, GivenVariable>,
    origin: PathBuf,
    workspace: String,
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
        let found = session.tree.check(&session.registry);
        let found = without_consequences(&session.tree, found);
        session.check_configuration(files, &given, found)?;
        session.variables = match given {
            Given::Saved(values) => values,
            Given::Gather(arguments) => session.gather(files, arguments)?,
        };
        Ok(session)
    }

    /// Reads the stack for a command that needs the value of every variable. `asks`: those that nothing gives a value are
    /// asked for.
    pub(crate) async fn begin(
        origin: &Path,
        variables: &VariableArgs,
        display: &DisplayArgs,
        asks: bool,
        cancel: &CancellationToken,
    ) -> Result<Session> {
        let given = Given::Gather(variables);
        let mut session =
            Session::read(&Disk, origin, &given, display.no_color)?.with_layout(display.layout());
        session.not_empty()?;
        let declared = &session.tree.root.module.variables;
        let mut found = gather(&Disk, declared, variables);
        if asks && display.input() {
            for variable in found.missing(declared) {
                let question = prompt::Question {
                    query: &match variable.ephemeral {
                        true => format!("var.{} (ephemeral)", variable.name),
                        false => format!("var.{}", variable.name),
                    },
                    description: &variable.description,
                    secret: variable.sensitive,
                };
                // That there is no answer is told as what it means: a variable without a value.
                if let Ok(text) = prompt::ask(&question, session.style, cancel).await {
                    found.text(variable, &text, Origin::Prompt);
                }
            }
        }
        found.require(declared);
        session.variables = session.accept(found)?;
        let found = match session.tree.check(&session.registry) {
            // What is found by the text alone may be the consequence of what is not.
            found if found.has_errors() => session.problems(&session.tree).await,
            found => found,
        };
        session.check_configuration(&Disk, &given, found)?;
        Ok(session)
    }

    /// The same stack with other files: the variables are as they are here.
    pub(crate) fn of_files(&self, files: &dyn Files) -> Result<Session> {
        let given = Given::Saved(self.variables.clone());
        let no_color = !self.style.colour;
        let mut session = Session::load_from(files, &self.origin, given, no_color)?;
        session.seal_with(self.encryptions.clone())?;
        Ok(session.with_layout(self.warnings.layout))
    }

    fn not_empty(&self) -> Result<()> {
        if self.tree.root.module.files.is_empty() {
            return Err(CommandError::new(
                "No configuration files",
                "Plan requires configuration to be present. Planning without a configuration would mark everything for destruction, which is normally not what is desired. Create a configuration file (a .tf file) and try again.",
            ));
        }
        Ok(())
    }

    /// Goes on if nothing is wrong whatever the values are: `found` says what is.
    fn check_configuration(
        &mut self,
        files: &dyn Files,
        given: &Given<'_>,
        found: Diagnostics,
    ) -> Result<()> {
        if found.has_errors() {
            return Err(self.failure(found));
        }
        self.warn(&found);
        backend::in_use(files, &self.tree.root.module, given)
            .map_err(|error| error.with_sources(self))?;
        // For a saved plan there may be more values.
        if let Given::Gather(_) = given {
            let encryptions = self.encryptions_of(files, given)?;
            self.seal_with(encryptions)?;
        }
        Ok(())
    }

    /// Warns, once a run, of secrets that lie in the clear in a state.
    pub(crate) fn warn_of_secrets(&self, state: &State) {
        if !self.warned_of_secrets.get()
            && let Some(warning) = self.encryptions.of_plain_secrets(state)
        {
            self.warned_of_secrets.set(true);
            self.warn(&warning.into());
        }
    }

    /// Takes what seals and opens here.
    fn seal_with(&mut self, encryptions: Encryptions) -> Result<()> {
        if encryptions.configured {
            crate::providers::open_states(&mut self.registry, encryptions.clone())?;
        }
        self.encryptions = encryptions;
        Ok(())
    }

    /// Seals by the configuration of a saved plan, with its values and, for ephemeral variables, those given besides.
    pub(crate) fn seal_as_planned(
        &mut self,
        files: &dyn Files,
        besides: &VariableArgs,
    ) -> Result<()> {
        let declared = &self.tree.root.module.variables;
        let mut values = gather(&Disk, declared, besides).values;
        values.extend(self.variables.clone());
        let encryptions = self.encryptions_of(files, &Given::Saved(values))?;
        self.seal_with(encryptions)
    }

    /// What seals and opens, by this configuration.
    pub(crate) fn encryptions_of(
        &self,
        files: &dyn Files,
        given: &Given<'_>,
    ) -> Result<Encryptions> {
        let made = encryption::of(files, &self.tree.root.module, given);
        let (made, warnings) = made.map_err(|error| error.with_sources(self))?;
        self.warn(&warnings);
        Ok(made)
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
        let workspace = workspace::selected()?.name;
        let (tree, diagnostics) =
            ConfigTree::load_with(files, Path::new(""), &installed, &|root| {
                given.early(files, root, &workspace)
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
            encryptions: Encryptions::default(),
            style,
            warnings: Warnings::new(style),
            warned_of_secrets: Cell::new(false),
            variables: BTreeMap::new(),
            origin: origin.to_owned(),
            workspace: workspace::selected()?.name,
            started: crate::world::now(),
        })
    }

    /// Values for root variables, later ones winning: environment, terraform.tfvars, *.auto.tfvars, the command line.
    fn gather(
        &mut self,
        files: &dyn Files,
        arguments: &VariableArgs,
    ) -> Result<BTreeMap<Arc<str>, GivenVariable>> {
        let declared = &self.tree.root.module.variables;
        let found = gather(files, declared, arguments);
        self.accept(found)
    }

    fn accept(&mut self, found: variables::Gathered) -> Result<BTreeMap<Arc<str>, GivenVariable>> {
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
                origin: Origin::Elsewhere,
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
            workspace: self.workspace.clone(),
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

    /// How plans are shown here.
    pub(crate) fn view(&self) -> View {
        View::new(self.style)
    }

    /// A failure that shows excerpts of this stack's files.
    pub(crate) fn failure(&self, diagnostics: Diagnostics) -> CommandError {
        let mut all = self.take_warnings();
        all.extend(diagnostics);
        CommandError {
            diagnostics: all,
            sources: self.sources.clone(),
            no_color: !self.style.colour,
            layout: self.warnings.layout,
            text: None,
        }
    }

    /// Shows warnings where results stand, when the command shows what it has found or ends.
    pub(crate) fn warn(&self, diagnostics: &Diagnostics) {
        let warnings = diagnostics.iter().filter(|d| !d.is_error()).cloned();
        self.warnings.hold(warnings, &self.sources);
    }

    /// The warnings that have not been shown yet; they are the caller's now.
    pub(crate) fn take_warnings(&self) -> Diagnostics {
        self.warnings.take()
    }

    /// Shows what is held.
    pub(crate) fn show_warnings(&self) {
        self.warnings.show();
    }

    /// Lays out diagnostics like that from now on.
    #[must_use]
    pub(crate) fn with_layout(mut self, layout: Layout) -> Session {
        self.warnings.layout = layout;
        self
    }

    /// The configuration's files, for a plan file.
    pub(crate) fn files(&self) -> Result<BTreeMap<String, String>> {
        let nodes = self.tree.nodes();
        let files = nodes.iter().flat_map(|node| node.module.files.iter());
        let mut files: BTreeMap<String, String> = files
            .map(|f| (f.name().to_string(), f.text().to_owned()))
            .collect();
        // Where the modules lie whose files these are.
        let manifest = stead_modules::Manifest::path(Path::new(""));
        match std::fs::read_to_string(&manifest) {
            Ok(text) => drop(files.insert(manifest.display().to_string(), text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(CommandError::new(
                    "Failed to read modules manifest file",
                    format!("{}: {error}.", manifest.display()),
                ));
            }
        }
        Ok(files)
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
    ) -> Result<BTreeMap<Arc<str>, GivenVariable>> {
        self.gather(&Disk, arguments)
    }

    /// Adds values for root variables.
    pub(crate) fn give(&mut self, values: BTreeMap<Arc<str>, GivenVariable>) {
        self.variables.extend(values);
    }
}

/// Where root variables come from.
pub(crate) enum Given<'a> {
    Saved(BTreeMap<Arc<str>, GivenVariable>),
    Gather(&'a VariableArgs),
}

impl Given<'_> {
    /// The values as far as they are needed to find modules. What is wrong with them is said when they are gathered.
    pub(crate) fn early(&self, files: &dyn Files, root: &Module, workspace: &str) -> EarlyValues {
        let values = match self {
            Given::Saved(values) => values.clone(),
            Given::Gather(arguments) => gather(files, &root.variables, arguments).values,
        };
        EarlyValues {
            variables: values.into_iter().map(|(k, v)| (k, v.value)).collect(),
            workspace: workspace.to_owned(),
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
    variables::gather(files, declared, &environment, &arguments.flags, in_lab)
}

/// Opens the state and locks it, waiting as long as `-lock-timeout` says.
pub(crate) async fn open_state(
    locking: &LockArgs,
    operation: &str,
    encryptions: &Encryptions,
) -> Result<StateManager> {
    if locking.state.is_some() {
        warn_of_state_flag();
    }
    let mut state = backend::state(locking.state.as_deref(), encryptions)?;
    if let Some(path) = &locking.state_out {
        let source = PathBuf::from(state.location());
        state = backend::state(Some(path), encryptions)?.with_source(source);
    }
    match &locking.backup {
        Some(path) if path.as_os_str() == "-" => state = state.with_backup(None),
        Some(path) => state = state.with_backup(Some(path.clone())),
        None => {}
    }
    if locking.lock {
        lock_state(&mut state, &locking.lock_timeout, operation).await?;
    }
    Ok(state)
}

/// Terraform warns of the flag, and so do we: it will be gone some day.
fn warn_of_state_flag() {
    let warning = Diagnostic::warning(
        "Deprecated flag: -state",
        "Use the \"path\" attribute within the \"local\" backend to specify a file for state storage",
    );
    crate::error::warn(&warning, true);
}

/// Locks a state, waiting as long as `-lock-timeout` says.
pub(crate) async fn lock_state(
    state: &mut StateManager,
    timeout: &str,
    operation: &str,
) -> Result<()> {
    let patience = duration(timeout)?;
    let info = lock_info(operation, &state.location());
    let started = Instant::now();
    let mut told = false;
    loop {
        match state.lock(&info) {
            Err(stead_state::Error::Locked { .. }) if started.elapsed() < patience => {
                if !std::mem::replace(&mut told, true) {
                    crate::commands::print_error(
                        "Acquiring state lock. This may take a few moments...\n",
                    );
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            // Nobody has it; it cannot be taken.
            Err(error @ stead_state::Error::Io { .. }) => {
                return Err(CommandError::new(
                    "Error acquiring the state lock",
                    format!("Error message: {error}\n\n{}", crate::error::LOCKS),
                ));
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// What a lock's note says of us.
pub(crate) fn lock_info(operation: &str, location: &str) -> LockInfo {
    LockInfo {
        id: uuid::Uuid::new_v4().to_string(),
        operation: operation.to_owned(),
        info: String::new(),
        who: who(),
        version: TERRAFORM_VERSION.into(),
        created: crate::world::now(),
        path: location.to_owned(),
    }
}

pub(crate) fn who() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .ok()
        .or_else(|| {
            let user = nix::unistd::User::from_uid(nix::unistd::getuid());
            user.ok().flatten().map(|user| user.name)
        })
        .unwrap_or_else(|| "unknown".into());
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
