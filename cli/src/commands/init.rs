//! `stead init`: fetches modules and checks that the providers are there; native providers need nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Args, ValueEnum};
use serde_json::{Value as Json, json};
use stead_lang::config::{Constraints, ModuleSource, RegistryModule, RemoteModule, Version};
use stead_modules::{Event, Installation, Remote as _, copy_directory};
use stead_value::addr::ProviderSource;
use stead_value::{Diagnostic, Diagnostics};

use super::{print, providers};
use crate::args::{DisplayArgs, VariableArgs};
use crate::backend::{self, Initialise};
use crate::error::{CommandError, Result};
use crate::modules;
use crate::render::json::diagnostic;
use crate::session::{Given, Session, TERRAFORM_VERSION};
use crate::world::{Disk, now};

#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    /// Fetch modules anew, in the newest versions that are allowed (native providers need no upgrade)
    #[arg(long)]
    pub(crate) upgrade: bool,
    /// Fetch the modules that are missing
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) get: bool,
    /// Set up the backend that the configuration names
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) backend: bool,
    /// An argument of the backend, NAME=VALUE, or a file of them
    #[arg(long, value_name = "CONFIG", action = ArgAction::Append)]
    pub(crate) backend_config: Vec<String>,
    /// Copy a module into this folder first, which must be empty
    #[arg(long, value_name = "SOURCE")]
    pub(crate) from_module: Option<String>,
    /// What may happen to the lock file; native providers are not in it, so that it stays as it is
    #[arg(long, value_name = "MODE")]
    pub(crate) lockfile: Option<LockFile>,
    /// Print one JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Use what is at the new backend, whatever the old one was
    #[arg(long)]
    pub(crate) reconfigure: bool,
    /// Take the states along to the new backend
    #[arg(long)]
    pub(crate) migrate_state: bool,
    /// As -migrate-state, without asking
    #[arg(long)]
    pub(crate) force_copy: bool,
    /// Where the test files lie
    #[arg(long, value_name = "DIR", default_value = "tests")]
    pub(crate) test_directory: PathBuf,
    /// Hold the locks of states that are taken along to another backend
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) lock: bool,
    /// How long to wait for these locks, such as 30s or 5m
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub(crate) lock_timeout: String,
    /// Accepted for scripts: it concerns remote backends
    #[arg(long, hide = true)]
    pub(crate) ignore_remote_version: bool,
    /// Accepted for scripts: native providers are built in, no plugin is looked for
    #[arg(long, value_name = "DIR", hide = true, action = ArgAction::Append)]
    pub(crate) plugin_dir: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LockFile {
    Readonly,
}

/// How progress is shown: as text, or as one JSON object a line.
#[derive(Clone, Copy)]
struct View {
    json: bool,
}

impl View {
    fn say(self, code: &str, text: &str) {
        if self.json {
            self.line(text.trim(), "init_output", &[("message_code", json!(code))]);
        } else {
            print(&format!("{text}\n"));
        }
    }

    fn log(self, text: &str) {
        if self.json {
            self.line(text.trim_start_matches("- "), "log", &[]);
        } else {
            print(&format!("{text}\n"));
        }
    }

    fn line(self, message: &str, kind: &str, more: &[(&str, Json)]) {
        let mut line = json!({
            "@level": "info",
            "@message": message,
            "@module": "terraform.ui",
            "@timestamp": now(),
            "type": kind,
        });
        for (name, value) in more {
            line[*name] = value.clone();
        }
        print(&format!("{line}\n"));
    }

    fn diagnostics(self, error: &CommandError) {
        for found in error.diagnostics.iter() {
            let word = if found.is_error() { "error" } else { "warn" };
            let shown = if found.is_error() { "Error" } else { "Warning" };
            let line = json!({
                "@level": word,
                "@message": format!("{shown}: {}", found.summary),
                "@module": "terraform.ui",
                "@timestamp": now(),
                "diagnostic": diagnostic(found, &error.sources),
                "type": "diagnostic",
            });
            print(&format!("{line}\n"));
        }
    }
}

const NEXT: &str = "You may now begin working with stead. Try running \"stead plan\" to see\nany changes that are required for your infrastructure. All stead commands\nshould now work.\n\nIf you ever set or change modules or backend configuration, rerun this command\nto reinitialize your working directory. If you forget, other commands will\ndetect it and remind you to do so if necessary.";

pub(crate) async fn run(args: InitArgs, origin: &Path) -> Result<u8> {
    let view = View { json: args.json };
    if view.json {
        view.line(
            &format!("Terraform {TERRAFORM_VERSION}"),
            "version",
            &[
                ("terraform", json!(TERRAFORM_VERSION)),
                ("ui", json!("1.2")),
            ],
        );
    }
    match init(&args, origin, view).await {
        Err(error) if view.json => {
            view.diagnostics(&error);
            Ok(1)
        }
        result => result,
    }
}

async fn init(args: &InitArgs, origin: &Path, view: View) -> Result<u8> {
    if args.migrate_state && args.reconfigure {
        return Err(CommandError::new(
            "Invalid init options",
            "The -migrate-state and -reconfigure options are mutually-exclusive.",
        ));
    }
    if let Some(source) = &args.from_module {
        copy_module(source, view).await?;
    }
    if is_empty(Path::new("."))? {
        view.say("output_init_empty_message", "Initialized in an empty directory!\n\nThe directory has no configuration files. You may begin working with stead\nimmediately by creating configuration files.");
        return Ok(0);
    }
    let given = Given::Gather(&args.variables);
    let session = {
        let (session, found) = Session::read_root(&Disk, origin, args.display.no_color)?;
        if found.has_errors() {
            return Err(session.failure(found));
        }
        session
    };
    if args.backend {
        view.say(
            "initializing_backend_message",
            "Initializing the backend...",
        );
        set_up_backend(args, &given, &session, view).await?;
    }
    let (session, found) = if args.get {
        install(args, &given, &session, origin, view).await?
    } else {
        Session::read_quietly(&Disk, origin, &given, args.display.no_color)?
    };
    if found.has_errors() {
        return Err(session.failure(found));
    }
    if view.json {
        let mut shown = session.failure(found);
        view.diagnostics(&std::mem::take(&mut shown));
    } else {
        session.warn(&found);
    }
    view.say(
        "initializing_provider_plugin_message",
        "Initializing provider plugins...",
    );
    for source in find_providers(&session)? {
        let what = if &*source.host == "terraform.io" {
            source.to_string()
        } else {
            source.display()
        };
        view.log(&format!("- {what} is built in to stead"));
    }
    let done = "stead has been successfully initialized!";
    if view.json {
        view.say("output_init_success_message", done);
    } else {
        print(&format!("\n{}\n\n", session.style.bold_green(done)));
    }
    view.say("output_init_success_cli_message", NEXT);
    Ok(0)
}

async fn install(
    args: &InitArgs,
    given: &Given<'_>,
    session: &Session,
    origin: &Path,
    view: View,
) -> Result<(Session, Diagnostics)> {
    if !session.tree.root.module.calls.is_empty() {
        if args.upgrade {
            view.say("upgrading_modules_message", "Upgrading modules...");
        } else {
            view.say("initializing_modules_message", "Initializing modules...");
        }
    }
    let mut show = |event: Event| view.log(&modules::line(&event));
    let Installation {
        tree, diagnostics, ..
    } = modules::install(given, args.upgrade, &mut show).await?;
    let session = Session::of_tree(tree, origin, args.display.no_color)?;
    Ok((session, diagnostics))
}

/// Every provider of the configuration, which must be built in, and in a version that is asked for.
fn find_providers(session: &Session) -> Result<BTreeSet<ProviderSource>> {
    let mut sources = BTreeSet::new();
    let mut missing = Diagnostics::new();
    for node in session.tree.nodes() {
        for (source, _) in providers::required(node) {
            if sources.insert(source.clone())
                && let Err(diagnostic) = session.registry.factory(&source)
            {
                let mut users = node.module.resources.values();
                let user =
                    users.find(|r| node.module.provider_source(&r.provider_name().local) == source);
                missing.push(match user {
                    Some(user) => diagnostic.at(user.range.clone()),
                    None => diagnostic,
                });
            }
        }
    }
    if missing.has_errors() {
        return Err(session.failure(missing));
    }
    Ok(sources)
}

/// Makes the declared backend the one in use.
async fn set_up_backend(
    args: &InitArgs,
    given: &Given<'_>,
    session: &Session,
    view: View,
) -> Result<()> {
    let root = &session.tree.root.module;
    if root.terraform.backend.is_none() && !args.backend_config.is_empty() {
        let warning = Diagnostic::warning(
            "Missing backend configuration",
            "-backend-config was used without a \"backend\" block in the configuration.\n\nIf you intended to override the default local backend configuration,\nno action is required, but you may add an explicit backend block to your\nconfiguration to clear this warning:\n\nterraform {\n  backend \"local\" {}\n}\n\nHowever, if you intended to override a defined backend, please verify that\nthe backend configuration is present and valid.\n",
        );
        session.warn(&warning.into());
    }
    let wanted = Initialise {
        reconfigure: args.reconfigure,
        migrate: args.migrate_state || args.force_copy,
        force_copy: args.force_copy,
        input: args.display.input.unwrap_or(true) && !args.json,
        lock_timeout: args.lock.then(|| args.lock_timeout.clone()),
    };
    let declared = backend::declared(&Disk, root, given, &args.backend_config)
        .map_err(|error| error.with_sources(session))?;
    let encryptions = session.encryptions_of(&Disk, given)?;
    let done = backend::initialise(declared, wanted, &encryptions)
        .await
        .map_err(|error| error.with_sources(session))?;
    for text in done {
        view.say("backend_configured_success", &text);
    }
    Ok(())
}

/// Whether a folder holds no configuration at all.
fn is_empty(directory: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        let ends = [".tf", ".tofu", ".tf.json", ".tofu.json"];
        if ends.iter().any(|end| name.ends_with(end)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `-from-module`: fetches a module and copies it here.
async fn copy_module(source: &str, view: View) -> Result<()> {
    let here = Path::new(".");
    let mut entries = std::fs::read_dir(here)?;
    let occupied = entries.any(|e| e.is_ok_and(|e| e.file_name() != ".terraform"));
    if occupied {
        return Err(CommandError::new(
            "Can't populate non-empty directory",
            "The target directory . is not empty, so it cannot be initialized with the -from-module=... option.",
        ));
    }
    view.say(
        "copying_configuration_message",
        &format!("Copying configuration from \"{source}\"..."),
    );
    let failed = |why: String| CommandError::new("Failed to copy module", why);
    let parsed = ModuleSource::parse(source).map_err(|error| {
        CommandError::new(
            "Invalid module source address",
            format!("Failed to parse module source address: {error}."),
        )
    })?;
    let network = modules::network()?;
    let remote = match parsed {
        ModuleSource::Local(path) => {
            return copy_directory(Path::new(&path), here)
                .map_err(|error| failed(format!("{error}.")));
        }
        ModuleSource::Remote(remote) => remote,
        ModuleSource::Registry(module) => newest(&network, &module)
            .await
            .map_err(|error| failed(format!("{}: {error}.", module.display())))?,
    };
    let whole = tempfile::tempdir()?;
    let package = whole.path().join("package");
    network
        .package(&remote.package, &package)
        .await
        .map_err(|error| failed(format!("{remote}: {error}.")))?;
    copy_directory(&package.join(&remote.subdir), here).map_err(|error| failed(format!("{error}.")))
}

/// Where the newest version of a registry's module lies.
async fn newest(
    network: &stead_modules::Network,
    module: &RegistryModule,
) -> std::result::Result<RemoteModule, stead_modules::FetchError> {
    let any = Constraints::parse(">= 0.0.0");
    let versions = network.versions(module).await?;
    let newest = versions
        .iter()
        .filter_map(|text| Some((Version::parse(text)?, text)))
        .filter(|(version, _)| any.as_ref().is_some_and(|any| any.allow(version)))
        .max_by(|(a, _), (b, _)| a.cmp(b));
    let Some((_, version)) = newest else {
        return Err(stead_modules::FetchError::NoSuchModule);
    };
    let location = network.location(module, version).await?;
    let mut remote = RemoteModule::parse(&location)
        .map_err(|error| stead_modules::FetchError::Address(error.to_string()))?;
    if !module.subdir.is_empty() {
        remote.subdir = format!("{}/{}", remote.subdir, module.subdir);
    }
    Ok(remote)
}
