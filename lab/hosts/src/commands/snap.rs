//! `snap`: what is installed, from which channel, and MicroK8s' life with it.

use std::collections::BTreeMap;

use crate::microk8s;
use crate::shell::{Output, Shell};
use crate::state::Snap;

/// Tracks of the microk8s snap with the version that their stable channel holds.
const TRACKS: &[(&str, &str, u32)] = &[
    ("1.28", "v1.28.15", 7448),
    ("1.29", "v1.29.15", 8023),
    ("1.30", "v1.30.14", 8290),
    ("1.31", "v1.31.13", 8400),
    ("1.32", "v1.32.9", 8443),
    ("1.33", "v1.33.5", 8472),
    ("1.34", "v1.34.1", 8510),
    ("1.35", "v1.35.2", 8601),
    ("1.36", "v1.36.1", 8702),
    ("latest", "v1.36.1", 8702),
];
const RISKS: &[&str] = &["stable", "candidate", "beta", "edge"];

/// `1.32` is `1.32/stable`; the version and revision there. `None` for a channel that does not exist.
fn channel(text: &str) -> Option<(String, &'static str, u32)> {
    let (track, risk) = match text.split_once('/') {
        Some((track, risk)) => (track, risk),
        None if RISKS.contains(&text) => ("latest", text),
        None => (text, "stable"),
    };
    let (plain, strict) = track
        .strip_suffix("-strict")
        .map_or((track, false), |t| (t, true));
    let found = TRACKS
        .iter()
        .find(|(t, ..)| *t == plain)
        .filter(|_| RISKS.contains(&risk))?;
    Some((
        format!("{track}/{risk}"),
        found.1,
        found.2 + u32::from(strict),
    ))
}

/// Runs a `snap` command.
pub(crate) async fn run(shell: &Shell, arguments: &[String]) -> Output {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((verb, rest)) = words.split_first() else {
        return Output::ok(
            "The snap command lets you install, configure, refresh and remove snaps.\n",
        );
    };
    let changes = [
        "install", "refresh", "remove", "set", "unset", "start", "stop", "restart", "revert",
    ]
    .contains(verb);
    if changes && shell.user != "root" {
        return Output::fail(1, "error: access denied (try with sudo)\n");
    }
    let _one = if changes {
        Some(shell.host.shared.changing.lock().await)
    } else {
        None
    };
    match *verb {
        "list" => list(shell, rest),
        "info" => info(shell, rest),
        "install" => install(shell, rest).await,
        "refresh" => refresh(shell, rest).await,
        "remove" => remove(shell, rest).await,
        "set" => set(shell, rest).await,
        "get" => get(shell, rest),
        "start" | "restart" | "stop" => service(shell, verb, rest).await,
        "version" | "--version" => Output::ok(
            "snap    2.71\nsnapd   2.71\nseries  16\nubuntu  24.04\nkernel  6.8.0-85-generic\n",
        ),
        "wait" => Output::default(),
        other => Output::fail(
            1,
            format!("error: the lab's snap does not simulate \"snap {other}\"\n"),
        ),
    }
}

fn name_of<'a>(words: &[&'a str]) -> &'a str {
    words
        .iter()
        .copied()
        .find(|w| !w.starts_with('-'))
        .unwrap_or_default()
}

fn channel_of<'a>(words: &[&'a str]) -> Option<&'a str> {
    let joined = words.iter().find_map(|w| w.strip_prefix("--channel="));
    joined.or_else(|| {
        words
            .iter()
            .position(|w| *w == "--channel")
            .and_then(|at| words.get(at + 1).copied())
    })
}

fn unknown_option(words: &[&str], known: &[&str]) -> Option<Output> {
    let bad = words
        .iter()
        .find(|w| w.starts_with("--") && !known.iter().any(|k| w.split('=').next() == Some(*k)))?;
    Some(Output::fail(
        1,
        format!("error: unknown flag `{}'\n", bad.trim_start_matches('-')),
    ))
}

fn list(shell: &Shell, words: &[&str]) -> Output {
    let wanted: Vec<&str> = words
        .iter()
        .copied()
        .filter(|w| !w.starts_with('-'))
        .collect();
    let mut rows =
        vec![["Name", "Version", "Rev", "Tracking", "Publisher", "Notes"].map(str::to_owned)];
    let base = |name: &str, version: &str, rev: &str, notes: &str| {
        [name, version, rev, "latest/stable", "canonical✓", notes].map(str::to_owned)
    };
    let mut all = vec![
        base("core22", "20250923", "2139", "base"),
        base("snapd", "2.71", "25577", "snapd"),
    ];
    let snaps = shell.host.with(|h| h.snaps.clone());
    for (name, snap) in &snaps {
        let notes = match (snap.classic, snap.held) {
            (true, true) => "classic,held",
            (true, false) => "classic",
            (false, true) => "held",
            (false, false) => "-",
        };
        all.push([
            name.clone(),
            snap.version.clone(),
            snap.revision.to_string(),
            snap.channel.clone(),
            "canonical✓".to_owned(),
            notes.to_owned(),
        ]);
    }
    all.sort();
    rows.extend(
        all.into_iter().filter(|r| {
            wanted.is_empty() || r.first().is_some_and(|n| wanted.contains(&n.as_str()))
        }),
    );
    if rows.len() == 1 {
        return Output::fail(1, "error: no matching snaps installed\n");
    }
    let width = |column: usize| {
        rows.iter()
            .filter_map(|r| r.get(column))
            .map(|c| c.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(c, w)| format!("{c}{}", " ".repeat(w.saturating_sub(c.chars().count()))))
            .collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    Output::ok(rows.iter().map(line).collect::<String>())
}

fn info(shell: &Shell, words: &[&str]) -> Output {
    if name_of(words) != "microk8s" {
        return Output::fail(
            1,
            format!(
                "warning: no snap found for \"{}\"\nerror: no valid snaps given\n",
                name_of(words)
            ),
        );
    }
    let mut text = String::from(
        "name:      microk8s\nsummary:   Kubernetes for workstations and appliances\npublisher: Canonical✓\nlicense:   Apache-2.0\n",
    );
    if let Some(snap) = shell.host.with(|h| h.snaps.get("microk8s").cloned()) {
        text.push_str(&format!("tracking:  {}\n", snap.channel));
    }
    text.push_str("channels:\n");
    for (track, version, revision) in TRACKS {
        text.push_str(&format!(
            "  {track}/stable: {version} 2026-09-01 ({revision}) 180MB classic\n"
        ));
    }
    Output::ok(text)
}

async fn install(shell: &Shell, words: &[&str]) -> Output {
    if let Some(refused) = unknown_option(
        words,
        &["--classic", "--channel", "--stable", "--edge", "--no-wait"],
    ) {
        return refused;
    }
    let name = name_of(words);
    if name.ends_with(".snap") || words.contains(&"--dangerous") {
        return Output::fail(
            1,
            "error: the lab's snap does not simulate installing from a file\n",
        );
    }
    if name != "microk8s" {
        return Output::fail(1, format!("error: snap \"{name}\" not found\n"));
    }
    if shell.host.with(|h| h.snaps.contains_key("microk8s")) {
        return Output {
            stderr: b"snap \"microk8s\" is already installed, see 'snap help refresh'\n".to_vec(),
            ..Output::default()
        };
    }
    let wanted = channel_of(words).unwrap_or("latest/stable");
    let Some((channel, version, revision)) = channel(wanted) else {
        return no_channel(wanted);
    };
    let strict = channel.contains("-strict");
    if !strict && !words.contains(&"--classic") {
        let text = "error: This revision of snap \"microk8s\" was published using classic confinement and thus may\n       perform arbitrary system changes outside of the security sandbox that snaps are usually\n       confined to, which may put your system at risk.\n\n       If you understand and want to proceed repeat the command including --classic.\n";
        return Output::fail(1, text);
    }
    let snap = Snap {
        channel: channel.clone(),
        version: version.to_owned(),
        revision,
        classic: !strict,
        held: false,
        options: BTreeMap::new(),
    };
    shell.host.pass(45).await;
    if let Err(problem) = microk8s::installed(&shell.host, snap).await {
        let text = format!(
            "error: cannot perform the following tasks:\n- Run install hook of \"microk8s\" snap if present (run hook \"install\": \n-----\n{problem}\n-----)\n"
        );
        return Output::fail(1, text);
    }
    Output::ok(format!(
        "microk8s ({channel}) {version} from Canonical✓ installed\n"
    ))
}

fn no_channel(wanted: &str) -> Output {
    let all: String = TRACKS
        .iter()
        .map(|(track, ..)| format!("       {track}/stable\n"))
        .collect();
    Output::fail(
        1,
        format!(
            "error: snap \"microk8s\" is not available on {wanted} but is available to install on the following\n       channels:\n\n{all}\n"
        ),
    )
}

async fn refresh(shell: &Shell, words: &[&str]) -> Output {
    if let Some(refused) = unknown_option(
        words,
        &[
            "--channel",
            "--classic",
            "--hold",
            "--unhold",
            "--stable",
            "--list",
            "--time",
        ],
    ) {
        return refused;
    }
    let name = name_of(words);
    let hold = words.iter().find(|w| w.starts_with("--hold"));
    let Some(old) = shell.host.with(|h| h.snaps.get(name).cloned()) else {
        if name.is_empty() {
            return Output::ok("All snaps up to date.\n");
        }
        return Output::fail(1, format!("error: snap \"{name}\" is not installed\n"));
    };
    if hold.is_some() || words.contains(&"--unhold") {
        shell
            .host
            .with(|h| h.snaps.get_mut(name).map(|s| s.held = hold.is_some()));
        let text = if hold.is_some() {
            format!("General refreshes of \"{name}\" held indefinitely.\n")
        } else {
            format!("Removed general refresh hold of \"{name}\".\n")
        };
        return Output::ok(text);
    }
    let wanted = channel_of(words).unwrap_or(&old.channel);
    let Some((channel, version, revision)) = channel(wanted) else {
        return no_channel(wanted);
    };
    if channel == old.channel {
        return Output {
            stderr: format!("snap \"{name}\" has no updates available\n").into_bytes(),
            ..Output::default()
        };
    }
    shell.host.pass(60).await;
    let snap = Snap {
        channel: channel.clone(),
        version: version.to_owned(),
        revision,
        ..old
    };
    match microk8s::refreshed(&shell.host, snap).await {
        Ok(()) => Output::ok(format!(
            "{name} ({channel}) {version} from Canonical✓ refreshed\n"
        )),
        Err(problem) => Output::fail(1, format!("error: cannot refresh \"{name}\": {problem}\n")),
    }
}

async fn remove(shell: &Shell, words: &[&str]) -> Output {
    if let Some(refused) = unknown_option(words, &["--purge"]) {
        return refused;
    }
    let name = name_of(words);
    if !shell.host.with(|h| h.snaps.contains_key(name)) {
        return Output {
            stderr: format!("snap \"{name}\" is not installed\n").into_bytes(),
            ..Output::default()
        };
    }
    shell.host.pass(20).await;
    match microk8s::removed(&shell.host).await {
        Ok(()) => Output::ok(format!("{name} removed\n")),
        Err(problem) => Output::fail(1, format!("error: cannot remove \"{name}\": {problem}\n")),
    }
}

async fn set(shell: &Shell, words: &[&str]) -> Output {
    let Some((name, pairs)) = words.split_first() else {
        return Output::fail(
            1,
            "error: the required arguments `<snap>` and `<conf value>` were not provided\n",
        );
    };
    if *name == "system" {
        // Only when refreshes happen, which the lab has none of by itself.
        return Output::default();
    }
    if !shell.host.with(|h| h.snaps.contains_key(*name)) {
        return Output::fail(1, format!("error: snap \"{name}\" is not installed\n"));
    }
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            return Output::fail(
                1,
                format!("error: invalid configuration: \"{pair}\" (want key=value)\n"),
            );
        };
        shell.host.with(|h| {
            h.snaps
                .get_mut(*name)
                .map(|s| s.options.insert(key.to_owned(), value.to_owned()))
        });
        if key == "config" {
            microk8s::configured(&shell.host, value).await;
        }
    }
    Output::default()
}

fn get(shell: &Shell, words: &[&str]) -> Output {
    let (name, key) = match words {
        [name, key] => (*name, *key),
        _ => return Output::fail(1, "error: the lab's snap get takes a snap and one key\n"),
    };
    match shell
        .host
        .with(|h| h.snaps.get(name).map(|s| s.options.get(key).cloned()))
    {
        None => Output::fail(1, format!("error: snap \"{name}\" is not installed\n")),
        Some(None) => Output::fail(
            1,
            format!("error: snap \"{name}\" has no \"{key}\" configuration option\n"),
        ),
        Some(Some(value)) => Output::ok(format!("{value}\n")),
    }
}

async fn service(shell: &Shell, verb: &str, words: &[&str]) -> Output {
    let name = name_of(words);
    let (snap, daemon) = name.split_once('.').unwrap_or((name, ""));
    if !shell.host.with(|h| h.snaps.contains_key(snap)) {
        return Output::fail(1, format!("error: snap \"{snap}\" not found\n"));
    }
    let whole = daemon.is_empty() || daemon == "daemon-kubelite";
    if whole && verb != "start" {
        microk8s::stop(&shell.host).await;
    }
    if whole
        && verb != "stop"
        && let Err(problem) = microk8s::start(&shell.host).await
    {
        return Output::fail(1, format!("error: {problem}\n"));
    }
    Output::ok(match verb {
        "start" => "Started.\n",
        "stop" => "Stopped.\n",
        _ => "Restarted.\n",
    })
}
