//! The command line as people write it, with one dash or two and with what the environment adds, read by clap; what is wrong
//! with it is told in Terraform's words.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::sync::OnceLock;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};
use stead_value::Diagnostics;

use crate::args::Cli;
use crate::error::CommandError;

/// Why there is nothing to run.
pub(crate) enum Refused {
    /// Help is what there is to show, with this exit code.
    Help(String, u8),
    Usage(CommandError),
    /// The same for a command that was asked to tell everything as a stream of JSON.
    UsageForMachines(Diagnostics),
}

/// Terraform's commands that stead does not have yet: named, rather than taken for a misspelling.
const NOT_YET: &[&str] = &["login", "logout", "query"];

/// Reads a command line. `environment` looks up `TF_CLI_ARGS` and its like.
pub(crate) fn parse(
    arguments: impl Iterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Cli, Refused> {
    let arguments = with_two_dashes(arguments);
    let command = later_flags_win(Cli::command());
    let path = Path::of(&command, &arguments);
    let streams = path.streams(&arguments);
    read(command, &path, arguments, environment).map_err(|refused| match refused {
        Refused::Usage(error) if streams && error.text.is_none() => {
            let told = error.diagnostics.into_iter().map(|mut d| {
                // What to type is for people.
                let pointer = d.detail.find("For more help on using");
                d.detail.truncate(pointer.unwrap_or(d.detail.len()));
                d.detail.truncate(d.detail.trim_end().len());
                d
            });
            Refused::UsageForMachines(told.collect())
        }
        other => other,
    })
}

fn read(
    command: Command,
    path: &Path,
    mut arguments: Vec<OsString>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Cli, Refused> {
    if let Some(name) = path.names.first().filter(|c| NOT_YET.contains(&c.as_str())) {
        return Err(Refused::Usage(CommandError::new(
            "Command not supported yet",
            format!(
                "Terraform's command \"{name}\" is not in stead yet. `stead --help` lists what is."
            ),
        )));
    }
    // Set once: a process has one command line.
    let _ = TYPED.set(path.name());
    path.add_from_environment(&mut arguments, environment)?;
    let leaf = path.leaf(&command);
    for argument in arguments.iter_mut() {
        settle_boolean(leaf, argument, path)?;
    }
    arguments.retain(|argument| argument != DROPPED);
    let matches = command.try_get_matches_from(&arguments);
    matches
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| told(&error, path))
}

static TYPED: OnceLock<String> = OnceLock::new();

/// The name of the command that was typed: `state mv`.
pub(crate) fn typed() -> &'static str {
    TYPED.get().map_or("", String::as_str)
}

/// Scripts add flags to those that are there already.
fn later_flags_win(command: Command) -> Command {
    let command = command.args_override_self(true);
    let names: Vec<String> = command
        .get_subcommands()
        .map(|c| c.get_name().to_owned())
        .collect();
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, later_flags_win)
    })
}

/// The command that is named, such as `state mv`.
struct Path {
    names: Vec<String>,
    /// Where its last name stands.
    at: usize,
}

impl Path {
    fn of(command: &Command, arguments: &[OsString]) -> Path {
        let mut path = Path {
            names: Vec::new(),
            at: 0,
        };
        let mut command = command;
        for (at, argument) in arguments.iter().enumerate().skip(1) {
            let Some(word) = argument.to_str() else { break };
            if word.starts_with('-') {
                continue;
            }
            let found = command.find_subcommand(word);
            if found.is_none() && !path.names.is_empty() {
                break;
            }
            path.names.push(word.to_owned());
            path.at = at;
            match found {
                Some(found) => command = found,
                None => break,
            }
        }
        path
    }

    /// What clap knows of it, or of as much of it as there is.
    fn leaf<'a>(&self, command: &'a Command) -> &'a Command {
        self.names.iter().fold(command, |command, name| {
            command.find_subcommand(name).unwrap_or(command)
        })
    }

    /// Whether the command tells what it does as a stream of JSON.
    fn streams(&self, arguments: &[OsString]) -> bool {
        matches!(
            self.name().as_str(),
            "plan" | "apply" | "destroy" | "refresh" | "test"
        ) && arguments
            .iter()
            .any(|a| a == "--json" || a == "--json=true")
    }

    fn name(&self) -> String {
        self.names.join(" ")
    }

    /// Puts the arguments of `TF_CLI_ARGS` and `TF_CLI_ARGS_plan` behind the command's name: what was typed comes later.
    fn add_from_environment(
        &self,
        arguments: &mut Vec<OsString>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(), Refused> {
        let own = format!("TF_CLI_ARGS_{}", self.names.join("_").replace('-', "_"));
        for name in ["TF_CLI_ARGS", &own] {
            let Some(text) = environment(name).filter(|text| !text.is_empty()) else {
                continue;
            };
            let words = shlex::split(&text).ok_or_else(|| {
                Refused::Usage(CommandError::text(format!(
                    "Error parsing extra CLI args from {name}: invalid command line string"
                )))
            })?;
            let program = arguments.first().cloned().unwrap_or_default();
            let words = std::iter::once(program).chain(words.into_iter().map(OsString::from));
            let extra = with_two_dashes(words);
            let behind = (self.at + 1).min(arguments.len());
            arguments.splice(behind..behind, extra.into_iter().skip(1));
        }
        Ok(())
    }
}

/// Gives `-flag` its second dash. What stands behind `--`, negative numbers and short flags of one letter stay.
fn with_two_dashes(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut verbatim = false;
    arguments
        .enumerate()
        .map(|(i, argument)| {
            let Some(text) = argument.to_str() else {
                return argument;
            };
            if text == "--" {
                verbatim = true;
            }
            if i == 1 && matches!(text, "-v" | "-version" | "--version") {
                return "version".into();
            }
            let mut chars = text.chars();
            let single =
                chars.next() == Some('-') && chars.next().is_some_and(|c| c.is_ascii_alphabetic());
            if single
                && !verbatim
                && text
                    .chars()
                    .nth(2)
                    .is_some_and(|c| c.is_ascii_alphanumeric() || c == '-')
            {
                return format!("-{text}").into();
            }
            argument
        })
        .collect()
}

/// Stands for `-flag=false`, which is the same as no flag.
const DROPPED: &str = "\u{0}";

/// Any flag that is on or off may be given a value, in the forms that Terraform reads: `-auto-approve=1`.
fn settle_boolean(command: &Command, argument: &mut OsString, path: &Path) -> Result<(), Refused> {
    let Some((name, value)) = argument
        .to_str()
        .and_then(|text| text.strip_prefix("--")?.split_once('='))
    else {
        return Ok(());
    };
    let Some(arg) = command.get_arguments().find(|a| a.get_long() == Some(name)) else {
        return Ok(());
    };
    let switch = matches!(arg.get_action(), ArgAction::SetTrue);
    if !switch && !takes_boolean(arg) {
        return Ok(());
    }
    let value = boolean(value).ok_or_else(|| {
        unusable(
            path,
            format!("invalid boolean value {value:?} for -{name}: parse error"),
        )
    })?;
    *argument = match (switch, value) {
        (true, true) => format!("--{name}").into(),
        (true, false) => DROPPED.into(),
        (false, value) => format!("--{name}={value}").into(),
    };
    Ok(())
}

fn takes_boolean(arg: &Arg) -> bool {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().is_some_and(|name| name == "BOOL")
}

/// A truth value as flags and environment variables give it.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn unusable(path: &Path, why: String) -> Refused {
    refused(path, "Failed to parse command-line flags", &why)
}

fn refused(path: &Path, summary: &str, why: &str) -> Refused {
    let name = path.name();
    let help = format!("For more help on using this command, run:\n  stead {name} -help");
    let detail = if why.is_empty() {
        help
    } else {
        format!("{why}\n\n{help}")
    };
    Refused::Usage(CommandError::new(summary, detail))
}

/// What clap finds wrong, in Terraform's words.
fn told(error: &clap::Error, path: &Path) -> Refused {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    // `--out <FILE>` is about `-out`.
    let flag = |shown: &str| {
        let name = shown.split([' ', '[', '=']).next().unwrap_or_default();
        name.strip_prefix('-').unwrap_or(name).to_owned()
    };
    let argument = text(ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Refused::Help(help(error), 0),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            Refused::Help(help(error), if path.names.is_empty() { 127 } else { 1 })
        }
        ErrorKind::InvalidSubcommand => {
            let near = text(ContextKind::SuggestedSubcommand);
            let near = match near.split(", ").next() {
                None | Some("") => String::new(),
                Some(near) => format!(" Did you mean {near:?}?"),
            };
            let name = text(ContextKind::InvalidSubcommand);
            let (group, of) = match path.name() {
                group if group == name || group.is_empty() => ("stead".to_owned(), String::new()),
                group => (format!("`stead {group}`"), format!(" {group}")),
            };
            Refused::Usage(CommandError::text(format!(
                "{group} has no command named {name:?}.{near}\n\nTo see all of its commands, run:\n  stead{of} -help\n"
            )))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            let near = flag(&text(ContextKind::SuggestedArg));
            let near = if near.is_empty() {
                String::new()
            } else {
                format!("\nDid you mean {near}?")
            };
            let flag = flag(&argument);
            unusable(path, format!("flag provided but not defined: {flag}{near}"))
        }
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues => {
            let (summary, why) = too_many(&path.name());
            refused(path, summary, why)
        }
        ErrorKind::InvalidValue | ErrorKind::NoEquals | ErrorKind::ValueValidation => {
            let (flag, value) = (flag(&argument), text(ContextKind::InvalidValue));
            if value.is_empty() {
                return unusable(path, format!("flag needs an argument: {flag}"));
            }
            let valid = match text(ContextKind::ValidValue).as_str() {
                "" => "parse error".to_owned(),
                valid => format!("it must be one of {valid}"),
            };
            unusable(
                path,
                format!("invalid value {value:?} for flag {flag}: {valid}"),
            )
        }
        ErrorKind::MissingRequiredArgument => refused(path, too_few(&path.name()), ""),
        _ => {
            let text = error.render().to_string();
            let text = text.trim_start_matches("error: ");
            let (summary, rest) = text.split_once('\n').unwrap_or((text, ""));
            Refused::Usage(CommandError::new(summary.trim(), rest.trim()))
        }
    }
}

fn help(error: &clap::Error) -> String {
    let help = error.render();
    if crate::error::colour_wanted(std::io::stdout().is_terminal()) {
        help.ansi().to_string()
    } else {
        help.to_string()
    }
}

fn too_many(command: &str) -> (&'static str, &'static str) {
    let summary = "Too many command line arguments";
    match command {
        "plan" | "refresh" | "destroy" => (
            summary,
            "To specify a working directory for the plan, use the global -chdir flag.",
        ),
        "apply" | "show" => (summary, "Expected at most one positional argument."),
        "output" => (
            "Unexpected argument",
            "The output command expects exactly one argument with the name of an output variable or no arguments to show all outputs.",
        ),
        _ => (
            "Too many command line arguments. Did you mean to use -chdir?",
            "",
        ),
    }
}

fn too_few(command: &str) -> &'static str {
    match command {
        "taint" => "The taint command expects exactly one argument.",
        "untaint" => "The untaint command expects exactly one argument.",
        "import" => "The import command expects two arguments.",
        "state mv" | "state replace-provider" => "Exactly two arguments expected.",
        "state rm" => "At least one address is required.",
        "state show" | "state push" => "Exactly one argument expected.",
        "force-unlock" => "Expected a single argument: LOCK_ID",
        "workspace new" | "workspace select" | "workspace delete" => {
            "Expected a single argument: NAME."
        }
        _ => "Too few command line arguments",
    }
}

/// Whether colours are refused, as far as a command line that could not be read says so.
pub(crate) fn refuses_colour(argument: &OsStr) -> bool {
    argument == "-no-color" || argument == "--no-color"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Command as Chosen;

    fn os(arguments: &[&str]) -> Vec<OsString> {
        let arguments = std::iter::once("stead").chain(arguments.iter().copied());
        arguments.map(OsString::from).collect()
    }

    fn two_dashes(arguments: &[&str]) -> Vec<String> {
        with_two_dashes(os(arguments).into_iter())
            .into_iter()
            .skip(1)
            .map(|a| a.to_string_lossy().into_owned())
            .collect()
    }

    fn parsed(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Cli, String> {
        let get = |name: &str| {
            let found = environment.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        parse(os(arguments).into_iter(), get).map_err(|refused| match refused {
            Refused::Help(_, code) => format!("help, {code}"),
            Refused::UsageForMachines(told) => {
                let told = told.iter();
                let told = told.map(|d| format!("json {}: {}", d.summary, d.detail));
                told.collect::<Vec<_>>().join("; ")
            }
            Refused::Usage(error) => error.text.unwrap_or_else(|| {
                let told = error.diagnostics.iter();
                let told = told.map(|d| format!("{}: {}", d.summary, d.detail));
                told.collect::<Vec<_>>().join("; ")
            }),
        })
    }

    #[track_caller]
    fn refuses(arguments: &[&str], expected: &str) {
        match parsed(arguments, &[]) {
            Ok(_) => panic!("{arguments:?} is read"),
            Err(text) => assert!(text.contains(expected), "{text}"),
        }
    }

    #[test]
    fn single_dashes_become_double() {
        assert_eq!(
            two_dashes(&["plan", "-out=x", "-var", "a=-b"]),
            ["plan", "--out=x", "--var", "a=-b"]
        );
        assert_eq!(
            two_dashes(&["-chdir=a", "plan", "-h"]),
            ["--chdir=a", "plan", "-h"]
        );
        assert_eq!(two_dashes(&["-version"]), ["version"]);
        assert_eq!(
            two_dashes(&["lab", "exec", "--", "ls", "-la"]),
            ["lab", "exec", "--", "ls", "-la"]
        );
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_that_are_on_or_off_take_a_value_or_none() {
        for (arguments, expected) in [
            (&["apply", "-auto-approve"][..], true),
            (&["apply", "-auto-approve=true"], true),
            (&["apply", "--auto-approve=1"], true),
            (&["apply", "-auto-approve=F"], false),
            (&["apply", "-auto-approve", "-auto-approve=false"], true),
        ] {
            let Ok(Chosen::Apply(apply)) = parsed(arguments, &[]).map(|cli| cli.command) else {
                panic!("{arguments:?}")
            };
            assert_eq!(apply.auto_approve, expected, "{arguments:?}");
        }
        let cli = parsed(
            &["plan", "-refresh=0", "-lock", "-lock=false", "-lock=T"],
            &[],
        );
        let Ok(Chosen::Plan(plan)) = cli.map(|cli| cli.command) else {
            panic!("plan")
        };
        assert!(!plan.planning.refresh);
        assert!(plan.planning.locking.lock);
        refuses(
            &["plan", "-lock=maybe"],
            "invalid boolean value \"maybe\" for -lock: parse error",
        );
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_that_people_know() {
        refuses(
            &["plan", "-foo"],
            "Failed to parse command-line flags: flag provided but not defined: -foo\n\nFor more help on using this command, run:\n  stead plan -help",
        );
        refuses(
            &["plan", "-json", "-foo"],
            "json Failed to parse command-line flags: flag provided but not defined: -foo",
        );
        refuses(&["plan", "-outt=x"], "Did you mean -out?");
        refuses(&["plan", "-out"], "flag needs an argument: -out");
        refuses(
            &["plan", "-parallelism=x"],
            "invalid value \"x\" for flag -parallelism: parse error",
        );
        refuses(&["plan", "x"], "use the global -chdir flag");
        refuses(&["output", "a", "b"], "Unexpected argument");
        refuses(
            &["taint"],
            "The taint command expects exactly one argument.",
        );
        refuses(
            &["plann"],
            "stead has no command named \"plann\". Did you mean \"plan\"?",
        );
        refuses(
            &["state", "lst"],
            "`stead state` has no command named \"lst\"",
        );
        refuses(&[], "help, 127");
        refuses(&["state"], "help, 1");
        refuses(&["state", "-help"], "help, 0");
        refuses(&["login"], "not in stead yet");
    }

    #[test]
    fn the_environment_adds_arguments_that_later_ones_overrule() {
        let environment = [
            ("TF_CLI_ARGS", "-no-color -lock-timeout='7s'"),
            ("TF_CLI_ARGS_plan", "-out=\"a b\" -lock-timeout=5s -var x=1"),
            ("TF_CLI_ARGS_apply", "-auto-approve"),
        ];
        let cli = parsed(&["plan", "-var", "x=2", "-out=c"], &environment);
        let Ok(Chosen::Plan(plan)) = cli.map(|cli| cli.command) else {
            panic!("plan")
        };
        assert!(plan.planning.display.no_color);
        assert_eq!(plan.out.as_deref(), Some(std::path::Path::new("c")));
        assert_eq!(plan.planning.locking.lock_timeout, "7s");
        let values: Vec<_> = plan.planning.variables.values().collect();
        assert_eq!(values, ["x=1", "x=2"]);

        let environment = [("TF_CLI_ARGS_state_list", "-id=x")];
        assert!(parsed(&["state", "list", "a.b"], &environment).is_ok());
        let environment = [("TF_CLI_ARGS_force_unlock", "-force")];
        assert!(parsed(&["force-unlock", "id"], &environment).is_ok());
        let open = [("TF_CLI_ARGS", "'open")];
        assert_eq!(
            parsed(&["plan"], &open).err().as_deref(),
            Some("Error parsing extra CLI args from TF_CLI_ARGS: invalid command line string")
        );
    }
}
