//! Proxmox's own programs: `pvesm`, `pvesh`, `pveversion`; `qm` and `pct` are in [`guests`].

use regex::Regex;
use serde_json::Value;
use stead_lab_core::files::absolute;
use stead_lab_core::shell::{Input, Output, not_found};

use super::{Shell, guests};
use crate::access::Caller;
use crate::error::ApiError;
use crate::guest::Kind;
use crate::routes::{Asked, perform_at};
use crate::schema::check::Given;
use crate::storage::content::path_of;
use crate::storage::parse_volid;

const PROGRAMS: &[&str] = &[
    "/usr/sbin/qm",
    "/usr/sbin/pct",
    "/usr/sbin/pvesm",
    "/usr/bin/pvesh",
    "/usr/bin/pveversion",
    "/usr/bin/sed",
];

pub(super) fn find(name: &str) -> Option<String> {
    let found = PROGRAMS
        .iter()
        .find(|path| **path == name || path.rsplit('/').next() == Some(name))?;
    Some((*found).to_owned())
}

pub(super) async fn run(shell: &mut Shell, path: &str, arguments: &[String], _: Input) -> Output {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let name = path.rsplit('/').next().unwrap_or_default();
    match name {
        "sed" => return sed(shell, &words),
        "pveversion" => {
            let release = shell.host.px.state().release();
            let (manager, kernel) = (release.manager_version(), release.kernel);
            return Output::ok(format!(
                "pve-manager/{manager} (running kernel: {kernel})\n"
            ));
        }
        _ => {}
    }
    if shell.user != "root" {
        return Output::fail(255, "please run as root\n");
    }
    match name {
        "qm" => guests::run(shell, Kind::Qemu, &words).await,
        "pct" => guests::run(shell, Kind::Lxc, &words).await,
        "pvesm" => pvesm(shell, &words).await,
        "pvesh" => pvesh(shell, &words).await,
        _ => not_found(path),
    }
}

/// Words before the options, and the options: `-name value`, `--name=value`.
pub(super) fn options<'a>(words: &[&'a str]) -> (Vec<&'a str>, Given) {
    let (mut plain, mut given) = (Vec::new(), Given::new());
    let mut rest = words.iter().copied().peekable();
    while let Some(word) = rest.next() {
        let Some(name) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            plain.push(word);
            continue;
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) if !name.is_empty() => (name, value),
            _ => (
                name,
                rest.next_if(|next| !next.starts_with("--")).unwrap_or("1"),
            ),
        };
        given
            .entry(name.to_owned())
            .or_default()
            .push(value.to_owned());
    }
    (plain, given)
}

/// Calls a method of the API as root.
pub(super) async fn ask(
    shell: &Shell,
    verb: &str,
    path: &str,
    given: Given,
) -> Result<Value, Output> {
    let asked = Asked {
        caller: Caller::named("root@pam"),
        at: shell.host.name.clone(),
        given,
        upload: None,
    };
    let reply = perform_at(&shell.host.px, (verb, path), asked).await;
    reply.map(|reply| reply.data).map_err(complaint)
}

/// An error as the programs print it.
pub(super) fn complaint(error: ApiError) -> Output {
    let mut text = error.message.trim_end().to_owned();
    if error.status == 400 {
        text = format!("400 {text}");
    }
    for (name, problem) in &error.errors {
        text.push_str(&format!("\n{name}: {problem}"));
    }
    Output::fail(255, text + "\n")
}

async fn pvesm(shell: &Shell, words: &[&str]) -> Output {
    let node = &shell.host.name;
    let (plain, given) = options(words);
    match plain.as_slice() {
        ["apiinfo"] => Output::ok("APIVER 13\nAPIAGE 4\n"),
        ["path", volid] => {
            let state = shell.host.px.state();
            let Some((id, _)) = parse_volid(volid) else {
                return Output::fail(255, format!("unable to parse volume ID '{volid}'\n\n"));
            };
            let found = state.storage(id, node).map_err(complaint);
            match found.map(|storage| path_of(&state, node, storage, volid)) {
                Ok(Some(path)) => Output::ok(path + "\n"),
                Ok(None) => Output::fail(255, format!("unable to parse volume ID '{volid}'\n\n")),
                Err(output) => output,
            }
        }
        ["list", storage] => {
            let path = format!("/nodes/{node}/storage/{storage}/content");
            let rows = match ask(shell, "GET", &path, given).await {
                Ok(rows) => rows,
                Err(output) => return output,
            };
            let mut text = "Volid Format  Type             Size VMID\n".to_owned();
            for row in rows.as_array().into_iter().flatten() {
                let field = |key: &str| match row.get(key) {
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                    None => String::new(),
                };
                text.push_str(&format!(
                    "{} {:<7} {:<10} {:>10} {}\n",
                    field("volid"),
                    field("format"),
                    field("content"),
                    field("size"),
                    field("vmid")
                ));
            }
            Output::ok(text)
        }
        [other, ..] => refused("pvesm", other, "path, list and apiinfo"),
        [] => Output::fail(255, "ERROR: no command specified\n"),
    }
}

/// What the lab does not do of a program.
pub(super) fn refused(program: &str, command: &str, known: &str) -> Output {
    Output::fail(
        255,
        format!(
            "ERROR: unknown command '{program} {command}'\n(the lab's {program} knows {known})\n"
        ),
    )
}

/// `pvesh VERB PATH`: the API, as JSON.
async fn pvesh(shell: &Shell, words: &[&str]) -> Output {
    let (plain, mut given) = options(words);
    given.remove("output-format");
    let verbs = [
        ("get", "GET"),
        ("ls", "GET"),
        ("create", "POST"),
        ("set", "PUT"),
        ("delete", "DELETE"),
    ];
    let [verb, path] = plain.as_slice() else {
        return Output::fail(255, "ERROR: no command specified\n");
    };
    let Some((_, verb)) = verbs.iter().find(|(name, _)| name == verb) else {
        return refused("pvesh", verb, "get, ls, create, set and delete");
    };
    match ask(shell, verb, path, given).await {
        Ok(Value::Null) => Output::default(),
        Ok(Value::String(text)) => Output::ok(text + "\n"),
        Ok(data) => Output::ok(format!("{data}\n")),
        Err(output) => output,
    }
}

/// `sed -i '/PATTERN/d' FILE…`, the only use that is known.
fn sed(shell: &Shell, words: &[&str]) -> Output {
    let unknown = || Output::fail(1, "sed: the lab's sed knows -i '/PATTERN/d' FILE only\n");
    let ["-i", script, files @ ..] = words else {
        return unknown();
    };
    let pattern = script.strip_prefix('/').and_then(|s| s.strip_suffix("/d"));
    let Some(pattern) = pattern.and_then(|p| Regex::new(p).ok()) else {
        return unknown();
    };
    let mut output = Output::default();
    for name in files {
        let path = absolute(&shell.directory, name);
        let done = shell.files(|files| {
            let content = files.read(&path)?;
            let text = String::from_utf8_lossy(&content);
            let kept: String = text
                .split_inclusive('\n')
                .filter(|line| !pattern.is_match(line.trim_end_matches('\n')))
                .collect();
            files.write(&path, kept.as_bytes(), false)
        });
        if let Err(problem) = done {
            let text = format!("sed: can't read {name}: {}\n", problem.text());
            output.stderr.extend(text.into_bytes());
            output.code = 2;
        }
    }
    output
}
