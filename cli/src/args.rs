//! The command line: Terraform's commands and flags, with one dash or two.

#[cfg(feature = "homelab")]
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand};

use crate::command_line::boolean;
use crate::commands::console::ConsoleArgs;
use crate::commands::force_unlock::ForceUnlockArgs;
use crate::commands::get::GetArgs;
use crate::commands::init::InitArgs;
use crate::commands::metadata::MetadataCommand;
use crate::commands::modules::ModulesArgs;
use crate::commands::providers::ProvidersArgs;
use crate::commands::state::StateCommand;
use crate::commands::workspace::WorkspaceCommand;
use crate::render::arrange::{Deprecations, Layout};

const GETTING_STARTED: &str = "\
In a folder with *.tf files:
  stead init       once, and when modules or providers change
  stead plan       what would change, and why (-because)
  stead apply      the same, then asks and does it
  stead destroy    takes everything away again

Help for a command and its flags: stead COMMAND -help";

const PLAN_EXAMPLES: &str = "\
Examples:
  stead plan -out=saved.plan && stead apply saved.plan    exactly what was shown is done
  stead plan -because -concise                            short, with the reason of each change
  stead plan -target=module.cluster                       one module, and what it needs
  stead plan -refresh-only                                what has changed outside
  stead plan -detailed-exitcode                           for scripts: 2 when there are changes";

const APPLY_EXAMPLES: &str = "\
Examples:
  stead apply                                   plans, asks, and applies
  stead apply saved.plan                        does what `stead plan -out=saved.plan` has shown, without asking
  stead apply -replace='talos_machine.cp[0]'    makes one object anew
  stead apply -auto-approve -json               for scripts";

/// Provisions a homelab or a small platform, from bare hypervisor to a cluster that GitOps owns.
///
/// Describe what there should be in *.tf files; stead plans what has to change, asks, and changes it. Existing Terraform
/// and OpenTofu configurations and states run as they are. Every flag may be written with one dash (-auto-approve) or two
/// (--auto-approve).
#[derive(Debug, Parser)]
#[command(
    name = "stead",
    version,
    disable_version_flag = true,
    max_term_width = 120,
    after_help = GETTING_STARTED
)]
pub(crate) struct Cli {
    /// Run as if started in this folder
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) chdir: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prepare the folder: check providers and fetch modules (native providers need nothing)
    Init(InitArgs),
    /// Check that the configuration is valid; asks no one and needs no state
    Validate(ValidateArgs),
    /// Show what an apply would change
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(PlanArgs),
    /// Make the changes: of a fresh plan, or of a saved one
    #[command(after_help = APPLY_EXAMPLES)]
    Apply(ApplyArgs),
    /// Destroy everything that the state records
    Destroy(ApplyArgs),
    #[cfg(feature = "homelab")]
    /// Do the whole job: preflight, apply, and a closing report
    Bootstrap(BootstrapArgs),
    #[cfg(feature = "homelab")]
    /// Rebuild a lost Talos control plane from the state and an etcd snapshot
    #[command(after_help = crate::commands::recover::EXAMPLES)]
    Recover(crate::commands::recover::RecoverArgs),
    #[cfg(feature = "homelab")]
    /// The simulated homelab: try a stack, or rehearse a change, without touching iron
    #[command(subcommand)]
    Lab(LabCommand),
    /// Show output values from the state
    Output(crate::commands::OutputArgs),
    /// Show the state, a saved plan, or the configuration
    Show(ShowArgs),
    /// Take an object that exists already under an address
    Import(crate::commands::import::ImportArgs),
    /// Show what exists at a provider, and write what takes it over
    #[command(after_help = crate::commands::discover::EXAMPLES)]
    Discover(crate::commands::discover::DiscoverArgs),
    /// Find out what has changed outside, and record it
    Refresh(ApplyArgs),
    /// Mark an instance as unfit, so that the next apply replaces it
    Taint(crate::commands::taint::TaintArgs),
    /// Take that mark back
    Untaint(crate::commands::taint::TaintArgs),
    /// Look into the state, and change it
    #[command(subcommand)]
    State(StateCommand),
    /// Keep several states for one configuration
    #[command(subcommand)]
    Workspace(WorkspaceCommand),
    /// Release a lock that outlived its command
    ForceUnlock(ForceUnlockArgs),
    /// Bring files into the canonical layout
    Fmt(crate::commands::FmtArgs),
    /// Evaluate expressions at a prompt
    Console(ConsoleArgs),
    /// Draw what depends on what
    Graph(crate::commands::GraphArgs),
    /// Run the tests of *.tftest.hcl and *.tofutest.hcl files
    Test(crate::commands::test::TestArgs),
    /// Fetch the modules that the configuration calls
    Get(GetArgs),
    /// Show the modules that the configuration calls
    Modules(ModulesArgs),
    /// Show the providers that the configuration needs, or their schemas
    Providers(ProvidersArgs),
    /// Show what tools ask about stead itself
    #[command(subcommand)]
    Metadata(MetadataCommand),
    /// Show the version and the providers that are built in
    #[command(alias = "--version", alias = "-v")]
    Version(VersionArgs),
    /// Print a completion script for a shell
    Completions {
        /// For bash: stead completions bash > /etc/bash_completion.d/stead
        shell: clap_complete::Shell,
    },
    #[command(subcommand, hide = true)]
    Env(WorkspaceCommand),
}

/// Flags of every command that evaluates the configuration, in the order in which they stand: later ones win.
#[derive(Clone, Debug, Default)]
pub(crate) struct VariableArgs {
    pub(crate) flags: Vec<VariableFlag>,
}

#[derive(Clone, Debug)]
pub(crate) enum VariableFlag {
    /// `-var NAME=VALUE`
    Value(String),
    /// `-var-file FILE`
    File(PathBuf),
}

impl VariableArgs {
    pub(crate) fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.flags.iter().filter_map(|flag| match flag {
            VariableFlag::File(file) => Some(file),
            VariableFlag::Value(_) => None,
        })
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &String> {
        self.flags.iter().filter_map(|flag| match flag {
            VariableFlag::Value(value) => Some(value),
            VariableFlag::File(_) => None,
        })
    }
}

impl Args for VariableArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        command
            .arg(
                Arg::new("var")
                    .long("var")
                    .value_name("NAME=VALUE")
                    .action(ArgAction::Append)
                    .help_heading("Variables")
                    .help("Set a root variable: -var 'name=value'; repeatable"),
            )
            .arg(
                Arg::new("var-file")
                    .long("var-file")
                    .value_name("FILE")
                    .action(ArgAction::Append)
                    .value_parser(clap::value_parser!(PathBuf))
                    .help_heading("Variables")
                    .help("Read variables from a file, besides terraform.tfvars and *.auto.tfvars"),
            )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for VariableArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Vec::new();
        let values = matches.get_many::<String>("var").unwrap_or_default();
        let places = matches.indices_of("var").unwrap_or_default();
        flags.extend(places.zip(values.cloned().map(VariableFlag::Value)));
        let files = matches.get_many::<PathBuf>("var-file").unwrap_or_default();
        let places = matches.indices_of("var-file").unwrap_or_default();
        flags.extend(places.zip(files.cloned().map(VariableFlag::File)));
        flags.sort_by_key(|(at, _)| *at);
        Ok(VariableArgs {
            flags: flags.into_iter().map(|(_, flag)| flag).collect(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct DisplayArgs {
    /// No colours
    #[arg(help_heading = "Output", long)]
    pub(crate) no_color: bool,
    /// Ask for the values of variables that nothing gives; -input=false fails instead
    #[arg(help_heading = "Output", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", hide_possible_values = true, hide_default_value = true)]
    pub(crate) input: Option<bool>,
    /// Show warnings as one line each
    #[arg(help_heading = "Output", long)]
    pub(crate) compact_warnings: bool,
    /// Tell warnings of one kind together; -consolidate-warnings=false tells each
    #[arg(help_heading = "Output", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", hide_possible_values = true, hide_default_value = true)]
    pub(crate) consolidate_warnings: Option<bool>,
    /// Tell errors of one kind together
    #[arg(help_heading = "Output", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_possible_values = true, hide_default_value = true)]
    pub(crate) consolidate_errors: Option<bool>,
    /// Whose deprecated variables and outputs are warned of: module:all, module:local (not fetched) or module:none
    #[arg(help_heading = "Output", long, value_name = "module:WHICH", require_equals = true, value_parser = Deprecations::parse)]
    pub(crate) deprecation: Option<Deprecations>,
}

impl DisplayArgs {
    /// How diagnostics are laid out.
    pub(crate) fn layout(&self) -> Layout {
        Layout {
            compact: self.compact_warnings,
            warnings_apart: self.consolidate_warnings == Some(false),
            errors_together: self.consolidate_errors == Some(true),
            deprecations: self.deprecation.unwrap_or_default(),
        }
    }

    /// Whether questions may be asked: not with `-input=false`, nor where `TF_INPUT` says so.
    pub(crate) fn input(&self) -> bool {
        let environment = std::env::var("TF_INPUT").ok();
        let forbidden = environment.is_some_and(|v| boolean(&v) == Some(false));
        self.input.unwrap_or(true) && !forbidden
    }
}

/// Flags of every command that shows a plan.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ReportArgs {
    /// Tell everything as JSON, one object a line, instead of text
    #[arg(help_heading = "Output", long)]
    pub(crate) json: bool,
    /// Write the same JSON to a file, beside the text
    #[arg(
        help_heading = "Output",
        long,
        value_name = "FILE",
        conflicts_with = "json"
    )]
    pub(crate) json_into: Option<PathBuf>,
    /// No progress, and one line for each object, without its attributes
    #[arg(help_heading = "Output", long)]
    pub(crate) concise: bool,
    /// Say which expression, at which place, makes each attribute differ
    #[arg(help_heading = "Output", long)]
    pub(crate) because: bool,
    /// Show sensitive values too
    #[arg(help_heading = "Output", long)]
    pub(crate) show_sensitive: bool,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct LockArgs {
    /// Hold the state's lock while working; -lock=false only where nobody else can work
    #[arg(help_heading = "State", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true, hide_default_value = true)]
    pub(crate) lock: bool,
    /// How long to wait for the lock, such as 30s or 5m
    #[arg(
        help_heading = "State",
        long,
        value_name = "DURATION",
        default_value = "0s"
    )]
    pub(crate) lock_timeout: String,
    /// Where the state is kept, instead of terraform.tfstate
    #[arg(help_heading = "State", long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Where the state is written, instead of where it is read
    #[arg(help_heading = "State", long, value_name = "FILE")]
    pub(crate) state_out: Option<PathBuf>,
    /// Where the state as it was is kept; - for nowhere
    #[arg(
        help_heading = "State",
        long,
        value_name = "FILE",
        allow_hyphen_values = true
    )]
    pub(crate) backup: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct PlanningArgs {
    /// Plan to destroy everything
    #[arg(help_heading = "What is planned", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true, hide_default_value = true)]
    pub(crate) destroy: bool,
    /// Ask providers for the present state of every object first; -refresh=false believes the state
    #[arg(help_heading = "What is planned", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true, hide_default_value = true)]
    pub(crate) refresh: bool,
    /// Replace this instance although nothing forces it; repeatable
    #[arg(help_heading = "What is planned", long, value_name = "ADDRESS", action = ArgAction::Append)]
    pub(crate) replace: Vec<String>,
    /// How many operations may run at once
    #[arg(
        help_heading = "What is planned",
        long,
        value_name = "N",
        default_value = "10",
        allow_negative_numbers = true
    )]
    pub(crate) parallelism: i64,
    /// Plan only this resource, instance or module, and what it needs; repeatable
    #[arg(help_heading = "What is planned", long, value_name = "ADDRESS", action = ArgAction::Append)]
    pub(crate) target: Vec<String>,
    /// Like -target, with the addresses in a file, one a line
    #[arg(help_heading = "What is planned", long, value_name = "FILE", action = ArgAction::Append)]
    pub(crate) target_file: Vec<PathBuf>,
    /// Plan everything but this resource, instance or module, and what needs it
    #[arg(help_heading = "What is planned", long, value_name = "ADDRESS", action = ArgAction::Append)]
    pub(crate) exclude: Vec<String>,
    /// Like -exclude, with the addresses in a file, one a line
    #[arg(help_heading = "What is planned", long, value_name = "FILE", action = ArgAction::Append)]
    pub(crate) exclude_file: Vec<PathBuf>,
    /// Only find out what has changed outside, and record it
    #[arg(help_heading = "What is planned", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true, hide_default_value = true)]
    pub(crate) refresh_only: bool,
    /// Ask providers only about objects whose configuration differs from what is recorded
    #[arg(help_heading = "What is planned", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true, hide_default_value = true)]
    pub(crate) minimal_refresh: bool,
    /// Run the health checks of rollouts; -health-checks=false goes on without them
    #[arg(help_heading = "What is planned", long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", action = ArgAction::Set, hide_possible_values = true, hide_default_value = true)]
    pub(crate) health_checks: bool,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
    #[command(flatten)]
    pub(crate) locking: LockArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    /// Do not look at test files
    #[arg(long)]
    pub(crate) no_tests: bool,
    /// Where the test files lie
    #[arg(long, value_name = "DIR", default_value = "tests")]
    pub(crate) test_directory: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    /// Save the plan for `stead apply FILE`
    #[arg(help_heading = "Results", long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Exit with 0 when there is nothing to do, 2 when there are changes, 1 on errors
    #[arg(help_heading = "Results", long)]
    pub(crate) detailed_exitcode: bool,
    /// Write configuration for what import blocks bring in and no resource declares into a new file
    #[arg(help_heading = "Results", long, value_name = "FILE")]
    pub(crate) generate_config_out: Option<PathBuf>,
    /// How the plan is printed: text, or markdown for a comment on a pull request
    #[arg(help_heading = "Results", long, value_enum, default_value_t = PlanFormat::Text)]
    pub(crate) format: PlanFormat,
    #[command(flatten)]
    pub(crate) planning: PlanningArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PlanFormat {
    #[default]
    Text,
    Markdown,
}

#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) planning: PlanningArgs,
    /// Do not ask for approval
    #[arg(long)]
    pub(crate) auto_approve: bool,
    /// Succeed although a destruction has left objects alone that have destroy = false
    #[arg(long)]
    pub(crate) suppress_forget_errors: bool,
    /// A plan saved by `stead plan -out FILE`
    #[arg(value_name = "PLAN")]
    pub(crate) plan_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Print as JSON, in Terraform's format
    #[arg(long)]
    pub(crate) json: bool,
    /// The state, which is also what is shown without any of these
    #[arg(long = "state")]
    pub(crate) of_state: bool,
    /// A saved plan
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: Option<PathBuf>,
    /// The configuration, with the modules that it calls (with -json only)
    #[arg(long)]
    pub(crate) config: bool,
    /// What a module declares, without what it calls and who provides it (with -json only)
    #[arg(long, value_name = "DIR")]
    pub(crate) module: Option<PathBuf>,
    /// Show sensitive values too
    #[arg(long)]
    pub(crate) show_sensitive: bool,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// A saved plan or a state file
    pub(crate) file: Option<PathBuf>,
}

#[cfg(feature = "homelab")]
#[derive(Args, Debug)]
pub(crate) struct BootstrapArgs {
    /// The stack's folder
    pub(crate) dir: PathBuf,
    /// Do it in the lab: a simulated homelab on this machine
    #[arg(long)]
    pub(crate) lab: bool,
    /// Where the lab keeps its state
    #[arg(long, value_name = "DIR", default_value = ".stead/lab")]
    pub(crate) lab_dir: PathBuf,
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    /// No colours
    #[arg(long)]
    pub(crate) no_color: bool,
    /// How many operations may run at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) parallelism: usize,
    /// Do not ask for approval (the lab never asks)
    #[arg(long)]
    pub(crate) auto_approve: bool,
}

#[cfg(feature = "homelab")]
#[derive(Debug, Subcommand)]
pub(crate) enum LabCommand {
    /// Run the lab until interrupted, and print the environment for its clients
    Up(LabArgs),
    /// Run a command with the lab running and its environment set
    Exec {
        #[command(flatten)]
        lab: LabArgs,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
    /// Forget the lab: every simulated machine, disk and secret
    Reset(LabArgs),
    /// Show what exists in the lab, as JSON
    Inventory(LabArgs),
    /// Make something go wrong: NAME, NAME=503, NAME=250ms or NAME=drop, such as proxmox*2=503; lists what is set
    Fault {
        #[command(flatten)]
        lab: LabArgs,
        /// First take back every fault that is set
        #[arg(long)]
        clear: bool,
        faults: Vec<String>,
    },
}

#[cfg(feature = "homelab")]
#[derive(Args, Clone, Debug)]
pub(crate) struct LabArgs {
    /// Where the lab keeps its state
    #[arg(long, value_name = "DIR", default_value = ".stead/lab")]
    pub(crate) lab_dir: PathBuf,
    /// How long things take: 0 not at all, 1 as in life
    #[arg(long, value_name = "FACTOR", default_value_t = 0.0)]
    pub(crate) pace: f64,
    /// Added to every answer, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub(crate) latency: u64,
    /// Seed of what is random, so that a run can be repeated
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Version of Proxmox VE: 9.2 or 8.4; 9.2 in a new lab, and a lab keeps what it was made with
    #[arg(long, value_name = "VERSION")]
    pub(crate) proxmox: Option<stead_lab::proxmox::Version>,
}

#[derive(Args, Debug)]
pub(crate) struct VersionArgs {
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
