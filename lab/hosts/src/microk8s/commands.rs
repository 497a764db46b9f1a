//! The `microk8s` command line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::addons::{self, ADDONS};
use super::{cluster, join, members};
use crate::host::Host;
use crate::shell::{Input, Output, Shell};
use crate::state::Member;

/// How often a waiting command looks.
const LOOK: Duration = Duration::from_millis(20);
/// How long `status --wait-ready` waits when no time is given; the real one has no end.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) async fn run(shell: &Shell, arguments: &[String], _input: Input) -> Output {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((verb, rest)) = words.split_first() else {
        return Output::fail(
            1,
            "Available subcommands are:\n\tadd-node\n\tconfig\n\tdisable\n\tenable\n\tjoin\n\tkubectl\n\tleave\n\tremove-node\n\tstart\n\tstatus\n\tstop\n\tversion\n",
        );
    };
    let host = &shell.host;
    if *verb == "status" {
        return status(host, rest).await;
    }
    let _one = if [
        "enable",
        "disable",
        "join",
        "leave",
        "remove-node",
        "start",
        "stop",
    ]
    .contains(verb)
    {
        Some(host.shared.changing.lock().await)
    } else {
        None
    };
    let running = host.with(|s| s.microk8s.as_ref().is_some_and(|m| m.running));
    if !running && !["start", "stop", "version", "config"].contains(verb) {
        return not_running();
    }
    match *verb {
        "version" => {
            let snap = host.with(|s| s.snaps.get("microk8s").cloned());
            snap.map_or_else(not_running, |s| {
                Output::ok(format!("MicroK8s {} revision {}\n", s.version, s.revision))
            })
        }
        "config" => config(host, rest),
        "start" => cluster::start(host).await.map_or_else(
            |p| Output::fail(1, format!("{p}\n")),
            |()| Output::default(),
        ),
        "stop" => {
            cluster::stop(host).await;
            Output::ok("Stopped.\n")
        }
        "enable" | "disable" => addon(host, verb, rest).await,
        "add-node" => join::add_node(host, rest),
        "join" => {
            let worker = rest.contains(&"--worker");
            if let Some(bad) = rest.iter().find(|w| {
                w.starts_with('-')
                    && !["--worker", "--skip-verify", "--disable-low-memory-guard"].contains(w)
            }) {
                return Output::fail(2, format!("Error: No such option: {bad}\n"));
            }
            let Some(url) = rest.iter().find(|w| !w.starts_with('-')) else {
                return Output::fail(
                    2,
                    "Usage: microk8s join [OPTIONS] CONNECTION\nError: Missing argument 'CONNECTION'.\n",
                );
            };
            join::join(host, url, worker).await
        }
        "leave" => join::leave(host).await,
        "remove-node" => join::remove_node(host, rest).await,
        "kubectl" => kubectl(host, rest).await,
        other => Output::fail(
            1,
            format!("the lab does not simulate \"microk8s {other}\"\n"),
        ),
    }
}

fn not_running() -> Output {
    Output::fail(
        1,
        "microk8s is not running. Use microk8s inspect for a deeper inspection.\n",
    )
}

async fn addon(host: &Arc<Host>, verb: &str, words: &[&str]) -> Output {
    let mut all = Output::default();
    let mut words = words.iter().peekable();
    if words.peek().is_none() {
        return Output::fail(
            2,
            format!(
                "Usage: microk8s {verb} [OPTIONS] ADDONS...\nError: Missing argument 'ADDONS...'.\n"
            ),
        );
    }
    while let Some(word) = words.next() {
        let (name, mut arguments) = addons::split(word);
        if ADDONS.iter().all(|a| a.name != name)
            || word.contains(':')
            || words
                .peek()
                .is_none_or(|next| ADDONS.iter().any(|a| a.name == addons::split(next).0))
        {
            // One more addon follows, or nothing.
        } else {
            arguments.extend(words.by_ref().map(|w| (*w).to_owned()));
        }
        let one = if verb == "enable" {
            addons::enable(host, &name, arguments).await
        } else {
            addons::disable(host, &name).await
        };
        all.stdout.extend(one.stdout);
        all.stderr.extend(one.stderr);
        if one.code != 0 {
            all.code = one.code;
            return all;
        }
    }
    all
}

fn config(host: &Arc<Host>, words: &[&str]) -> Output {
    let address = match words {
        [] => host.address(),
        ["-l" | "--use-loopback"] => "127.0.0.1".to_owned(),
        [other, ..] => {
            return Output::fail(1, format!("microk8s config: unknown option {other}\n"));
        }
    };
    let Some(shared) = addons::on_owner(host, |m| m.clone()) else {
        return not_running();
    };
    let encode = |pem: &str| STANDARD.encode(pem);
    Output::ok(format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    server: https://{address}:{}\n  name: microk8s-cluster\ncontexts:\n- context:\n    cluster: microk8s-cluster\n    user: admin\n  name: microk8s\ncurrent-context: microk8s\nkind: Config\npreferences: {{}}\nusers:\n- name: admin\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        encode(&shared.ca_certificate_pem),
        cluster::API_PORT,
        encode(&shared.admin_certificate_pem),
        encode(&shared.admin_key_pem)
    ))
}

async fn status(host: &Arc<Host>, words: &[&str]) -> Output {
    let (mut wait, mut timeout, mut format) = (false, PATIENCE, "pretty");
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (name, value) = word
            .split_once('=')
            .map_or((*word, None), |(n, v)| (n, Some(v)));
        match name {
            "-w" | "--wait-ready" => wait = true,
            "-t" | "--timeout" => match value
                .or_else(|| rest.next().copied())
                .and_then(|v| v.parse().ok())
            {
                Some(seconds) => timeout = Duration::from_secs(seconds),
                None => {
                    return Output::fail(
                        2,
                        "status: error: argument -t/--timeout: invalid int value\n",
                    );
                }
            },
            "--format" => format = value.or_else(|| rest.next().copied()).unwrap_or_default(),
            "--yaml" => format = "yaml",
            other => {
                return Output::fail(
                    2,
                    format!(
                        "usage: microk8s status [-h] [--format {{pretty,yaml,short}}] [-w] [-t TIMEOUT] [-a ADDON] [--yaml]\nmicrok8s status: error: unrecognized arguments: {other}\n"
                    ),
                );
            }
        }
    }
    if !["pretty", "yaml", "short"].contains(&format) {
        return Output::fail(
            2,
            format!(
                "microk8s status: error: argument --format: invalid choice: '{format}' (choose from 'pretty', 'yaml', 'short')\n"
            ),
        );
    }
    let begun = Instant::now();
    let mut ready = is_ready(host).await;
    while wait && !ready && begun.elapsed() < timeout {
        tokio::time::sleep(LOOK).await;
        ready = is_ready(host).await;
    }
    if !ready {
        if format == "yaml" {
            return Output {
                stdout: b"microk8s:\n  running: False\n".to_vec(),
                code: u32::from(wait),
                ..Output::default()
            };
        }
        return Output {
            code: u32::from(wait),
            ..Output::ok("microk8s is not running. Use microk8s inspect for a deeper inspection.\n")
        };
    }
    let (enabled, members) = (
        addons::on_owner(host, |m| m.addons.clone()).unwrap_or_default(),
        members(host),
    );
    Output::ok(match format {
        "yaml" => yaml(&enabled, &members),
        "short" => {
            let line = |a: &addons::Addon| {
                format!(
                    "core/{}: {}\n",
                    a.name,
                    if enabled.contains_key(a.name) {
                        "enabled"
                    } else {
                        "disabled"
                    }
                )
            };
            format!(
                "microk8s is running\naddons:\n{}",
                ADDONS.iter().map(line).collect::<String>()
            )
        }
        _ => pretty(&enabled, &members),
    })
}

/// Whether the services run and a node of the cluster is Ready.
async fn is_ready(host: &Arc<Host>) -> bool {
    if !host.with(|s| s.microk8s.as_ref().is_some_and(|m| m.running)) {
        return false;
    }
    match cluster::open(host).await {
        Ok(cluster) => cluster.nodes().await.iter().any(|(_, ready)| *ready),
        Err(_) => false,
    }
}

/// Masters (the first three control planes vote) and standbys.
fn roles(members: &[Member]) -> (Vec<&Member>, Vec<&Member>) {
    let planes: Vec<&Member> = members.iter().filter(|m| !m.worker).collect();
    let voters = if planes.len() >= 3 { 3 } else { 1 };
    (
        planes.iter().take(voters).copied().collect(),
        planes.iter().skip(voters).copied().collect(),
    )
}

type Enabled = std::collections::BTreeMap<String, Vec<String>>;

fn yaml(enabled: &Enabled, members: &[Member]) -> String {
    let (voters, standby) = roles(members);
    let mut text = format!(
        "microk8s:\n  running: True\nhigh-availability:\n  enabled: {}\n  nodes:\n",
        if voters.len() > 2 { "True" } else { "False" }
    );
    for (list, role) in [(voters, "voter"), (standby, "standby")] {
        for member in list {
            text.push_str(&format!(
                "  - address: {}:19001\n    role: {role}\n",
                member.address
            ));
        }
    }
    text.push_str("addons:\n");
    for addon in ADDONS {
        let status = if enabled.contains_key(addon.name) {
            "enabled"
        } else {
            "disabled"
        };
        let description = addon.description.trim_start_matches("(core) ");
        text.push_str(&format!("- name: {}\n  repository: core\n  description: {description}\n  version: \"{}\"\n  status: {status}\n", addon.name, addon.version));
    }
    text
}

fn pretty(enabled: &Enabled, members: &[Member]) -> String {
    let (voters, standby) = roles(members);
    let list = |members: &[&Member]| match members {
        [] => "none".to_owned(),
        some => some
            .iter()
            .map(|m| format!("{}:19001", m.address))
            .collect::<Vec<_>>()
            .join(" "),
    };
    let lines = |on: bool| {
        let of = ADDONS.iter().filter(|a| enabled.contains_key(a.name) == on);
        of.map(|a| format!("    {:<20} # {}\n", a.name, a.description))
            .collect::<String>()
    };
    format!(
        "microk8s is running\nhigh-availability: {}\n  datastore master nodes: {}\n  datastore standby nodes: {}\naddons:\n  enabled:\n{}  disabled:\n{}",
        if voters.len() > 2 { "yes" } else { "no" },
        list(&voters),
        list(&standby),
        lines(true),
        lines(false)
    )
}

/// The little of kubectl that provisioning tools ask through MicroK8s.
async fn kubectl(host: &Arc<Host>, words: &[&str]) -> Output {
    let cluster = match cluster::open(host).await {
        Ok(cluster) => cluster,
        Err(problem) => {
            return Output::fail(
                1,
                format!(
                    "The connection to the server 127.0.0.1:16443 was refused - did you specify the right host or port?\n{problem}\n"
                ),
            );
        }
    };
    let version = host
        .with(|s| s.snaps.get("microk8s").map(|p| p.version.clone()))
        .unwrap_or_default();
    match words {
        ["get", "node" | "nodes" | "no"] | ["get", "node" | "nodes" | "no", "--no-headers"] => {
            let mut text = if words.len() == 2 {
                "NAME   STATUS   ROLES    AGE   VERSION\n".to_owned()
            } else {
                String::new()
            };
            for (name, ready) in cluster.nodes().await {
                text.push_str(&format!(
                    "{name}   {}   <none>   1m   {version}\n",
                    if ready { "Ready" } else { "NotReady" }
                ));
            }
            Output::ok(text)
        }
        ["get", "node" | "nodes" | "no", "-o", "json"]
        | ["get", "node" | "nodes" | "no", "-ojson" | "-o=json"] => {
            let node = |(name, ready): (String, bool)| {
                let status = if ready { "True" } else { "False" };
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
                    "status": {"conditions": [{"type": "Ready", "status": status}], "nodeInfo": {"kubeletVersion": version}}})
            };
            let items: Vec<_> = cluster.nodes().await.into_iter().map(node).collect();
            Output::ok(format!(
                "{:#}\n",
                json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
            ))
        }
        ["get", "--raw" | "--raw=/readyz", ..]
            if words.last() == Some(&"/readyz") || words.last() == Some(&"--raw=/readyz") =>
        {
            match cluster.healthy().await {
                Ok(()) => Output::ok("ok"),
                Err(problem) => Output::fail(1, format!("{problem}\n")),
            }
        }
        _ => Output::fail(
            1,
            format!(
                "the lab does not simulate \"microk8s kubectl {}\": use the kubeconfig of microk8s config\n",
                words.join(" ")
            ),
        ),
    }
}
