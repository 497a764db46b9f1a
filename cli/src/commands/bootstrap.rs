//! `stead bootstrap DIR`: the whole job, from preflight to a cluster that Git owns.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stead_engine::apply::Applied;
use stead_engine::{Action, Observer, Plan, PlanMode};
use stead_state::State;
use stead_value::Value;

use super::lab::Repository;
use super::plan::{Prepared, begin, prepare};
use super::print;
use crate::args::{
    BootstrapArgs, DisplayArgs, LabArgs, LockArgs, PlanFormat, PlanningArgs, ReportArgs,
    VariableArgs, VariableFlag,
};
use crate::error::{CommandError, Result};
use crate::progress::Progress;
use crate::render::Style;
use crate::report::{Headline, Report};
use crate::session::open_state;

pub(crate) async fn run(args: BootstrapArgs, origin: &Path) -> Result<u8> {
    if !args.dir.is_dir() {
        return Err(CommandError::new(
            "No such stack",
            format!("{} is not a folder.", args.dir.display()),
        ));
    }
    if args.lab {
        in_lab(&args).await
    } else {
        bootstrap(&args, origin).await
    }
}

/// In the lab the same command runs as a child with the lab's environment, so that what is measured and seen is just what a
/// real run is.
async fn in_lab(args: &BootstrapArgs) -> Result<u8> {
    let mut arguments: Vec<OsString> = vec![
        "bootstrap".into(),
        args.dir.clone().into(),
        "--auto-approve".into(),
    ];
    arguments.push(format!("--parallelism={}", args.parallelism).into());
    for flag in &args.variables.flags {
        match flag {
            VariableFlag::File(file) => {
                arguments.push("--var-file".into());
                arguments.push(absolute(file)?.into());
            }
            VariableFlag::Value(value) => {
                arguments.push("--var".into());
                arguments.push(value.into());
            }
        }
    }
    if args.no_color {
        arguments.push("--no-color".into());
    }
    let program = std::env::current_exe()?;
    let lab = LabArgs {
        lab_dir: args.lab_dir.clone(),
        pace: 0.0,
        latency: 0,
        seed: 0,
        proxmox: None,
    };
    print(&format!(
        "The lab is in {}: nothing outside this machine is touched.\n\n",
        args.lab_dir.display()
    ));
    let folder = args.dir.join("gitops");
    let name = absolute(&args.dir)?
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let repository = folder.is_dir().then(|| Repository {
        url: format!("https://git.lab.stead/{name}.git"),
        folder: &folder,
    });
    super::lab::exec_with(&lab, repository, program.as_os_str(), &arguments).await
}

fn absolute(path: &Path) -> Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}

async fn bootstrap(args: &BootstrapArgs, origin: &Path) -> Result<u8> {
    let started = Instant::now();
    // From here on, paths are seen from the stack's folder.
    let mut flags = args.variables.flags.clone();
    for flag in &mut flags {
        if let VariableFlag::File(file) = flag {
            *file = absolute(file)?;
        }
    }
    std::env::set_current_dir(&args.dir)?;
    let planning = PlanningArgs {
        variables: VariableArgs { flags },
        display: DisplayArgs {
            no_color: args.no_color,
            ..DisplayArgs::default()
        },
        report: ReportArgs::default(),
        locking: LockArgs {
            lock: true,
            lock_timeout: "0s".into(),
            state: None,
            state_out: None,
            backup: None,
        },
        destroy: false,
        refresh: true,
        replace: Vec::new(),
        parallelism: i64::try_from(args.parallelism).unwrap_or(i64::MAX),
        target: Vec::new(),
        target_file: Vec::new(),
        exclude: Vec::new(),
        exclude_file: Vec::new(),
        refresh_only: false,
        minimal_refresh: false,
        health_checks: true,
    };
    let cancel = super::interrupt::token();
    let session = begin(origin, &planning, &cancel).await?;
    let style = session.style;
    stage(
        style,
        "Preflight",
        "the configuration, the providers and what is there already",
    );
    let mut state = open_state(
        &planning.locking,
        "OperationTypeApply",
        &session.encryptions,
    )
    .await?;
    let progress: Arc<dyn Observer> = Progress::new(style);
    let told = Report::new(&planning.report, PlanFormat::Text)?;
    let Prepared { planned, .. } = prepare(
        &session,
        &mut state,
        &planning,
        false,
        (&told, Arc::clone(&progress)),
        cancel.clone(),
    )
    .await?;
    let preflight = started.elapsed();
    print(&overview(&planned.plan, style));
    session.warn(&planned.plan.warnings);
    if planned.plan.has_changes() && !args.auto_approve {
        session.show_warnings();
        if !super::apply::approve(&session, PlanMode::Normal, &cancel).await? {
            print("Apply cancelled.\n");
            return Ok(1);
        }
    }
    stage(
        style,
        "Apply",
        "longest paths first; what depends on nothing runs at once",
    );
    let applied = super::apply::execute(
        &session,
        planned,
        &mut state,
        args.parallelism,
        progress,
        cancel,
    )
    .await;
    let closing = report(&applied, preflight, started.elapsed(), style);
    let code = super::apply::conclude(&session, &told, applied, 0, Headline::Apply)?;
    print(&closing);
    Ok(code)
}

fn stage(style: Style, name: &str, what: &str) {
    print(&format!(
        "\n{} {}\n\n",
        style.bold(style.cyan(format!("== {name}:"))),
        what
    ));
}

/// What is going to happen, a line for each object: `stead plan` in the stack's folder shows every attribute.
fn overview(plan: &Plan, style: Style) -> String {
    let mut text = String::new();
    for change in &plan.changes {
        let sign = match change.action {
            Action::NoOp => continue,
            Action::Read => style.cyan("<="),
            Action::Create => style.green(" +"),
            Action::Update => style.yellow(" ~"),
            Action::DeleteThenCreate | Action::CreateThenDelete => style.red("-+"),
            Action::ForgetThenCreate => style.yellow(".+"),
            Action::Delete => style.red(" -"),
            Action::Forget => style.yellow(" ."),
        };
        let late = if change.late {
            " (decided during the apply)"
        } else {
            ""
        };
        text.push_str(&format!("  {sign} {}{}\n", change.address, style.dim(late)));
    }
    let (add, change, destroy) = plan.counts();
    text.push_str(&format!(
        "\n{} {add} to add, {change} to change, {destroy} to destroy.\n",
        style.bold("Plan:")
    ));
    text
}

/// Which part of the job a resource type belongs to, in the order in which the parts come.
fn part(type_name: &str) -> (&'static str, u8) {
    match type_name.split('_').next().unwrap_or_default() {
        "azurerm" => ("cloud: vault, storage, roles", 0),
        "truenas" => ("storage: datasets and shares", 1),
        "proxmox" => ("machines", 2),
        "talos" | "microk8s" => ("cluster", 3),
        "kubernetes" => ("cluster objects", 4),
        "gitops" => ("handoff to Git", 5),
        _ => ("keys, files and the like", 6),
    }
}

/// The closing report: time per part, addresses, the kubeconfig, and what Git owns now.
fn report(applied: &Applied, preflight: Duration, total: Duration, style: Style) -> String {
    let mut parts: BTreeMap<(u8, &str), (usize, Duration, Duration)> = BTreeMap::new();
    for timing in &applied.timings {
        let (name, order) = part(&timing.address.resource.type_name);
        let end = timing.started + timing.elapsed;
        let entry = parts
            .entry((order, name))
            .or_insert((0, timing.started, end));
        entry.0 += 1;
        entry.1 = entry.1.min(timing.started);
        entry.2 = entry.2.max(end);
    }
    let mut text = format!("\n{}\n\n", style.bold(style.cyan("== Report")));
    text.push_str(&format!(
        "  {:<32} {:>6}\n",
        "preflight and plan",
        seconds_exact(preflight)
    ));
    for ((_, name), (count, start, end)) in &parts {
        text.push_str(&format!(
            "  {name:<32} {:>6}  {count} operations\n",
            seconds_exact(end.saturating_sub(*start))
        ));
    }
    text.push_str(&format!("  {:<32} {:>6}\n", "in all", seconds_exact(total)));
    let facts = facts(&applied.state);
    if !facts.machines.is_empty() {
        text.push_str(&format!("\n{}\n", style.bold("Machines")));
        for (name, addresses) in &facts.machines {
            text.push_str(&format!("  {name:<24} {}\n", addresses.join(", ")));
        }
    }
    if !facts.kubeconfigs.is_empty() {
        text.push_str(&format!("\n{}\n", style.bold("Kubeconfig")));
        for path in &facts.kubeconfigs {
            text.push_str(&format!("  {path}\n"));
        }
    }
    if !facts.applications.is_empty() {
        text.push_str(&format!("\n{}\n", style.bold("Git owns now")));
        for line in &facts.applications {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str(
            "  stead reports no drift on these and does not destroy them: change them in Git.\n",
        );
    }
    text
}

fn seconds_exact(duration: Duration) -> String {
    format!("{:.1}s", duration.as_secs_f64())
}

#[derive(Default)]
struct Facts {
    machines: Vec<(String, Vec<String>)>,
    kubeconfigs: Vec<String>,
    applications: Vec<String>,
}

/// What the state knows that people want to see at the end.
fn facts(state: &State) -> Facts {
    let mut facts = Facts::default();
    for (address, object, _) in state.current_objects() {
        let json: serde_json::Value =
            serde_json::from_str(object.attributes.get()).unwrap_or_default();
        let Ok(value) = stead_value::json::from_json_implied(&json) else {
            continue;
        };
        let text = |name: &str| value.get(name).and_then(|v| v.as_str().map(str::to_owned));
        match &*address.resource.type_name {
            "proxmox_virtual_environment_vm" => {
                let name = text("name").unwrap_or_else(|| address.to_string());
                facts.machines.push((name, addresses(&value)));
            }
            "microk8s_node" => {
                let name = text("name")
                    .or_else(|| text("host"))
                    .unwrap_or_else(|| address.to_string());
                facts
                    .machines
                    .push((name, text("host").into_iter().collect()));
            }
            "local_sensitive_file" | "local_file" => {
                if let Some(path) = text("filename")
                    .filter(|f| f.contains("kubeconfig") || f.ends_with("kube-config"))
                {
                    facts
                        .kubeconfigs
                        .push(std::path::absolute(&path).map_or(path, |p| p.display().to_string()));
                }
            }
            "gitops_application" => facts.applications.extend(applications(&value)),
            _ => {}
        }
    }
    facts
}

/// The addresses that a guest agent told of, loopback left out.
fn addresses(vm: &Value) -> Vec<String> {
    let lists = vm.get("ipv4_addresses");
    let lists = lists
        .as_ref()
        .and_then(Value::as_sequence)
        .unwrap_or_default();
    lists
        .iter()
        .flat_map(|list| list.as_sequence().unwrap_or_default())
        .filter_map(Value::as_str)
        .filter(|a| !a.starts_with("127."))
        .map(str::to_owned)
        .collect()
}

/// One line for each application that the handoff waited for.
fn applications(value: &Value) -> Vec<String> {
    let listed = value.get("applications");
    let listed = listed
        .as_ref()
        .and_then(Value::as_sequence)
        .unwrap_or_default();
    listed
        .iter()
        .map(|application| {
            let text = |name: &str| {
                application
                    .get(name)
                    .and_then(|v| v.as_str().map(str::to_owned))
                    .unwrap_or_default()
            };
            format!(
                "{:<32} {}, {}",
                text("name"),
                text("sync_status"),
                text("health_status")
            )
        })
        .collect()
}
