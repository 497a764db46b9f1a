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
  stead recover                                     from the newest snapshot of the one talos_etcd_snapshot in the state
  stead recover -snapshot=etcd-20261130.snapshot    from this file
  stead recover -snapshot=talos_etcd_snapshot.home  of several in one state, from the newest of this one
  stead recover talos_machine_bootstrap.home        of several clusters in one state, this one";

#[derive(Args, Debug)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) variables: VariableArgs,
    #[command(flatten)]
    pub(crate) display: DisplayArgs,
    /// The snapshot's file, or the talos_etcd_snapshot of which the newest is taken
    #[arg(long, value_name = "FILE|ADDRESS")]
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
    let snapshot = chosen(&state, args.snapshot.as_deref()).await?;
    let style = session.style;
    let stage = |name: &str, what: &str| {
        let head = style.bold(style.cyan(format!("== {name}:")));
        print(&format!("\n{head} {what}\n\n"));
    };
    stage(
        "Control plane",
        &format!("{address} begins with {}", snapshot.told()),
    );
    let path = std::path::absolute(snapshot.path())?;
    // Health checks ask a cluster that is not there yet.
    let flags = [
        format!("-target={address}"),
        "-health-checks=false".to_owned(),
    ];
    let code = apply(&args, &flags, Some(&path))?;
    // What was fetched holds all secrets of the cluster.
    drop(snapshot);
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

/// The snapshot that the cluster begins with.
enum Chosen {
    /// A file that was named.
    File(PathBuf),
    #[cfg(feature = "homelab")]
    Taken(stead_talos::Taken),
}

impl Chosen {
    fn path(&self) -> &Path {
        match self {
            Chosen::File(path) => path,
            #[cfg(feature = "homelab")]
            Chosen::Taken(taken) => taken.path(),
        }
    }

    fn told(&self) -> String {
        match self {
            Chosen::File(path) => path.display().to_string(),
            #[cfg(feature = "homelab")]
            Chosen::Taken(taken) => match &taken.recorded {
                None => taken.address.clone(),
                Some(recorded) => format!("{} (the state knows {recorded})", taken.address),
            },
        }
    }
}

/// The snapshot that was named, else the newest of the one object that takes some.
async fn chosen(state: &State, given: Option<&Path>) -> Result<Chosen> {
    let given = match given {
        Some(path) if path.is_file() => return Ok(Chosen::File(path.to_owned())),
        Some(path) => Some(path.to_string_lossy().into_owned()),
        None => None,
    };
    let (address, attributes) = source(state, given.as_deref())?;
    fetched(&address, &attributes).await
}

#[cfg(feature = "homelab")]
async fn fetched(address: &str, attributes: &Json) -> Result<Chosen> {
    let Some(snapshots) = stead_talos::Snapshots::of(attributes) else {
        return Err(CommandError::new(
            "Unreadable state",
            format!(
                "What the state says of {address} cannot be read. Name a file with -snapshot=FILE."
            ),
        ));
    };
    let dialer = stead_sdk::Dialer::from_env().map_err(stead_value::Diagnostic::from)?;
    let taken = snapshots.newest(&dialer).await;
    Ok(Chosen::Taken(taken.map_err(stead_value::Diagnostic::from)?))
}

#[cfg(not(feature = "homelab"))]
async fn fetched(address: &str, _attributes: &Json) -> Result<Chosen> {
    Err(CommandError::new(
        "No Talos",
        format!("This build knows nothing of {address}. Name a file with -snapshot=FILE."),
    ))
}

/// The object whose snapshots count, and its attributes. Where several objects take some, nobody can tell of which cluster each is.
fn source(state: &State, wanted: Option<&str>) -> Result<(String, Json)> {
    let snapshots = state
        .current_objects()
        .filter(|(address, ..)| &*address.resource.type_name == "talos_etcd_snapshot");
    let mut found: Vec<(String, Json)> = snapshots
        .filter_map(|(address, object, _)| {
            let attributes = serde_json::from_str(object.attributes.get()).ok()?;
            Some((address.to_string(), attributes))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some(wanted) = wanted {
        let known = found.iter().find(|(address, _)| address == wanted);
        return known.cloned().ok_or_else(|| {
            CommandError::new(
                "No such snapshot",
                format!(
                    "{wanted} is neither a file nor a talos_etcd_snapshot in the state. Name another one with -snapshot=FILE."
                ),
            )
        });
    }
    match found.as_slice() {
        [] => Err(CommandError::new(
            "No snapshot",
            "The state knows no snapshot of etcd. Name the file with -snapshot=FILE; the resource talos_etcd_snapshot takes them with each apply.",
        )),
        [one] => Ok(one.clone()),
        several => {
            let list: Vec<&str> = several
                .iter()
                .map(|(address, _)| address.as_str())
                .collect();
            Err(CommandError::new(
                "Several snapshots",
                format!(
                    "Say of which one the cluster is recovered, with -snapshot=ADDRESS or -snapshot=FILE. The state knows {}.",
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
        let found = |names: &[&str], wanted| source(&state(names), wanted).map(|(a, _)| a).ok();
        let home = Some("talos_etcd_snapshot.home".to_owned());
        assert_eq!(found(&["home"], None), home);
        // One may be of another cluster.
        assert_eq!(found(&["away", "home"], None), None);
        assert_eq!(found(&["away", "home"], home.as_deref()), home);
        assert_eq!(found(&["home"], Some("talos_etcd_snapshot.away")), None);
        assert_eq!(found(&[], None), None);
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
