//! `stead recover`: a lost Talos control plane rebuilt from the state and an etcd snapshot.
//!
//! Two applies, each as people know them: the machines, their configuration and etcd first, for nothing else can be asked while
//! Kubernetes is away; then everything.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use serde_json::Value as Json;
use stead_state::State;
use stead_value::addr::ResourceMode;

use super::print;
use crate::args::{DisplayArgs, VariableArgs, VariableFlag};
use crate::backend;
use crate::error::{CommandError, Result};
use crate::progress::seconds;
use crate::session::Session;
use crate::settled;

/// Tells the provider of which snapshot a bootstrap is made.
const SNAPSHOT: &str = "STEAD_TALOS_RECOVER";
/// Tells the provider that machines may have been made anew.
const MEET_ANEW: &str = "STEAD_TALOS_MEET_ANEW";

pub(crate) const EXAMPLES: &str = "\
For a control plane of which nothing is left: its machines are made again where they are missing, get their configurations, and the
node that bootstraps the cluster begins with the snapshot. The secrets are those of the state, so that workers and clients go on.
An etcd that has data is left alone.

Examples:
  stead recover                                   from the newest file of the one talos_etcd_snapshot in the state
  stead recover -snapshot=etcd-20261130.snapshot  from this file
  stead recover talos_machine_bootstrap.home      of several clusters in one state, this one";

#[derive(Args, Debug)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
    /// The snapshot, instead of the newest that the state knows
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
    /// How many operations may run at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) parallelism: usize,
    /// Do not ask for approval
    #[arg(long)]
    pub(crate) auto_approve: bool,
    /// The bootstrap of the cluster, such as talos_machine_bootstrap.home
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
}

/// The types that bootstrap a cluster.
const BOOTSTRAPS: [&str; 2] = ["talos_machine_bootstrap", "talos_cluster"];

pub(crate) async fn run(args: RecoverArgs, origin: &Path) -> Result<u8> {
    let started = Instant::now();
    let cancel = super::interrupt::token();
    let session = Session::begin(origin, &args.variables, &args.display, true, &cancel).await?;
    let mut state = backend::state(None, &session.encryptions)?;
    let state = settled::read(&mut state)?.unwrap_or_else(State::new);
    let address = bootstrap(&state, args.address.as_deref())?;
    let snapshot = match &args.snapshot {
        Some(given) => given.clone(),
        None => newest(&state)?,
    };
    let snapshot = std::path::absolute(&snapshot)?;
    if !snapshot.is_file() {
        return Err(CommandError::new(
            "No such snapshot",
            format!(
                "{} is not a file. Name another one with -snapshot=FILE.",
                snapshot.display()
            ),
        ));
    }
    let style = session.style;
    let stage = |name: &str, what: &str| {
        let head = style.bold(style.cyan(format!("== {name}:")));
        print(&format!("\n{head} {what}\n\n"));
    };
    stage(
        "Control plane",
        &format!("{address} begins with {}", snapshot.display()),
    );
    let code = apply(&args, &[format!("-target={address}")], Some(&snapshot))?;
    if code != 0 {
        return Ok(code);
    }
    let back = started.elapsed();
    stage(
        "Everything else",
        "what the cluster carries, as the configuration has it",
    );
    let code = apply(&args, &[], None)?;
    if code == 0 {
        print(&format!(
            "\nThe control plane was back after {}, everything after {}.\n",
            seconds(back),
            seconds(started.elapsed())
        ));
    }
    Ok(code)
}

/// An apply as people type it, in a process of its own.
fn apply(args: &RecoverArgs, flags: &[String], snapshot: Option<&Path>) -> Result<u8> {
    let mut arguments: Vec<OsString> = vec!["apply".into()];
    arguments.extend(flags.iter().map(OsString::from));
    arguments.push(format!("-parallelism={}", args.parallelism).into());
    for flag in &args.variables.flags {
        match flag {
            VariableFlag::File(file) => {
                let mut flag = OsString::from("-var-file=");
                flag.push(file);
                arguments.push(flag);
            }
            VariableFlag::Value(value) => arguments.extend(["-var".into(), value.into()]),
        }
    }
    for (set, flag) in [
        (args.auto_approve, "-auto-approve"),
        (args.display.no_color, "-no-color"),
        (args.display.compact_warnings, "-compact-warnings"),
    ] {
        if set {
            arguments.push(flag.into());
        }
    }
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(arguments).env(MEET_ANEW, "1");
    if let Some(snapshot) = snapshot {
        command.env(SNAPSHOT, snapshot);
    }
    let status = command.status()?;
    Ok(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1))
}

/// The address of what bootstraps the cluster.
fn bootstrap(state: &State, wanted: Option<&str>) -> Result<String> {
    let mut found: Vec<String> = state
        .current_objects()
        .map(|(address, ..)| address)
        .filter(|address| address.resource.mode == ResourceMode::Managed)
        .filter(|address| BOOTSTRAPS.contains(&&*address.resource.type_name))
        .map(|address| address.to_string())
        .collect();
    found.sort();
    let list = found.join(", ");
    if let Some(wanted) = wanted {
        return match found.iter().any(|address| address == wanted) {
            true => Ok(wanted.to_owned()),
            false => Err(CommandError::new(
                "No such cluster",
                format!(
                    "The state has no {wanted} that bootstraps a Talos cluster. It has: {}.",
                    if list.is_empty() { "none" } else { &list }
                ),
            )),
        };
    }
    match found.as_slice() {
        [] => Err(CommandError::new(
            "No cluster to recover",
            "The state has no talos_machine_bootstrap and no talos_cluster. Is this the folder of the stack, and its workspace?",
        )),
        [one] => Ok(one.clone()),
        _ => Err(CommandError::new(
            "Several clusters",
            format!("Say which one is to be recovered: stead recover ADDRESS, with one of {list}."),
        )),
    }
}

/// The newest snapshot that the state knows. Where several objects take some, nobody can tell of which cluster each is.
fn newest(state: &State) -> Result<PathBuf> {
    let snapshots = state
        .current_objects()
        .filter(|(address, ..)| &*address.resource.type_name == "talos_etcd_snapshot");
    let mut found: Vec<(String, PathBuf)> = snapshots
        .filter_map(|(address, object, _)| {
            let attributes: Json = serde_json::from_str(object.attributes.get()).ok()?;
            let path = attributes.get("path")?.as_str()?;
            Some((address.to_string(), path.into()))
        })
        .collect();
    found.sort();
    match found.as_slice() {
        [] => Err(CommandError::new(
            "No snapshot",
            "The state knows no snapshot of etcd. Name the file with -snapshot=FILE; the resource talos_etcd_snapshot takes them with each apply.",
        )),
        [(_, path)] => Ok(path.clone()),
        several => {
            let list: Vec<String> = several
                .iter()
                .map(|(address, path)| format!("{} ({address})", path.display()))
                .collect();
            Err(CommandError::new(
                "Several snapshots",
                format!(
                    "Say of which one the cluster is recovered, with -snapshot=FILE. The state knows {}.",
                    list.join(", ")
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A state with a snapshot of each of these names, and a bootstrap.
    fn state(snapshots: &[&str]) -> State {
        let resource = |kind: &str, name: &str, attributes: Json| {
            json!({
                "mode": "managed", "type": kind, "name": name,
                "provider": "provider[\"registry.terraform.io/siderolabs/talos\"]",
                "instances": [{ "schema_version": 0, "attributes": attributes, "sensitive_attributes": [] }],
            })
        };
        let bootstrap = resource("talos_machine_bootstrap", "home", json!({ "id": "x" }));
        let snapshots = snapshots.iter().map(|name| {
            let path = format!("{name}.snapshot");
            resource("talos_etcd_snapshot", name, json!({ "path": path }))
        });
        let resources: Vec<Json> = std::iter::once(bootstrap).chain(snapshots).collect();
        let state = json!({
            "version": 4, "terraform_version": "1.11.4", "serial": 1, "lineage": "l", "outputs": {},
            "resources": resources, "check_results": null,
        });
        let bytes = state.to_string();
        stead_state::from_bytes(bytes.as_bytes(), Path::new("a state")).expect("a state")
    }

    #[test]
    fn the_one_snapshot_is_taken_and_of_several_none() {
        let path = newest(&state(&["home"])).ok();
        assert_eq!(path, Some(PathBuf::from("home.snapshot")));
        // One may be of another cluster.
        assert!(newest(&state(&["away", "home"])).is_err());
        assert!(newest(&state(&[])).is_err());
    }

    #[test]
    fn the_one_cluster_is_meant_unless_another_is_named() {
        let state = state(&[]);
        let home = "talos_machine_bootstrap.home";
        assert_eq!(bootstrap(&state, None).ok().as_deref(), Some(home));
        assert_eq!(bootstrap(&state, Some(home)).ok().as_deref(), Some(home));
        assert!(bootstrap(&state, Some("talos_machine_bootstrap.away")).is_err());
        assert!(bootstrap(&State::new(), None).is_err());
    }
}
