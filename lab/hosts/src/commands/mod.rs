//! Single commands: found by name, run with their arguments.

mod core;
mod paths;
mod snap;
mod sudo;
mod test;
mod text;

use crate::microk8s;
use crate::shell::{Input, Output, Shell};

/// Programs besides the shell's own commands, with their paths.
const PROGRAMS: &[(&str, &str)] = &[
    ("cat", "/usr/bin/cat"),
    ("tee", "/usr/bin/tee"),
    ("mkdir", "/usr/bin/mkdir"),
    ("rm", "/usr/bin/rm"),
    ("rmdir", "/usr/bin/rmdir"),
    ("mv", "/usr/bin/mv"),
    ("cp", "/usr/bin/cp"),
    ("install", "/usr/bin/install"),
    ("stat", "/usr/bin/stat"),
    ("chmod", "/usr/bin/chmod"),
    ("chown", "/usr/bin/chown"),
    ("ls", "/usr/bin/ls"),
    ("sha256sum", "/usr/bin/sha256sum"),
    ("base64", "/usr/bin/base64"),
    ("grep", "/usr/bin/grep"),
    ("head", "/usr/bin/head"),
    ("tail", "/usr/bin/tail"),
    ("wc", "/usr/bin/wc"),
    ("uname", "/usr/bin/uname"),
    ("hostname", "/usr/bin/hostname"),
    ("id", "/usr/bin/id"),
    ("whoami", "/usr/bin/whoami"),
    ("env", "/usr/bin/env"),
    ("sh", "/usr/bin/sh"),
    ("bash", "/usr/bin/bash"),
    ("sudo", "/usr/bin/sudo"),
    ("snap", "/usr/bin/snap"),
    ("touch", "/usr/bin/touch"),
    ("usermod", "/usr/sbin/usermod"),
    ("sleep", "/usr/bin/sleep"),
    ("mktemp", "/usr/bin/mktemp"),
    ("nproc", "/usr/bin/nproc"),
    ("timeout", "/usr/bin/timeout"),
    ("printenv", "/usr/bin/printenv"),
];

/// The shell's own commands.
const BUILTINS: &[&str] = &[
    "echo", "printf", "test", "[", "true", "false", ":", "cd", "pwd", "exit", "export", "unset",
    "umask", "set", "command", "type", "which",
];

/// Where a command is; `None` when there is none of that name.
pub(super) fn find(shell: &Shell, name: &str) -> Option<String> {
    if BUILTINS.contains(&name) {
        return Some(name.to_owned());
    }
    if let Some((_, path)) = PROGRAMS
        .iter()
        .find(|(n, path)| *n == name || *path == name)
    {
        return Some((*path).to_owned());
    }
    let snapped = name.strip_prefix("/snap/bin/").unwrap_or(name);
    let installed = shell.host.with(|h| h.snaps.contains_key("microk8s"));
    (installed && (snapped == "microk8s" || snapped.starts_with("microk8s.")))
        .then(|| format!("/snap/bin/{snapped}"))
}

/// Runs one command.
pub(crate) async fn run(shell: &mut Shell, arguments: &[String], input: Input) -> Output {
    let Some((name, rest)) = arguments.split_first() else {
        return Output::default();
    };
    let Some(path) = find(shell, name) else {
        return not_found(name);
    };
    match path.rsplit('/').next().unwrap_or_default() {
        "sudo" => sudo::run(shell, rest, input).await,
        "snap" => snap::run(shell, rest).await,
        "test" => test::run(shell, rest, false),
        "[" => test::run(shell, rest, true),
        "sh" | "bash" => script(shell, rest, input).await,
        "timeout" => match rest.split_first() {
            Some((_, rest)) => Box::pin(run(shell, rest, input)).await,
            None => Output::fail(125, "timeout: missing operand\n"),
        },
        "env" => {
            let (set, rest): (Vec<&String>, Vec<&String>) = {
                let at = rest
                    .iter()
                    .position(|a| !a.contains('='))
                    .unwrap_or(rest.len());
                (
                    rest.iter().take(at).collect(),
                    rest.iter().skip(at).collect(),
                )
            };
            let mut inner = shell.inner();
            inner.variables.extend(
                set.iter()
                    .filter_map(|s| s.split_once('='))
                    .map(|(n, v)| (n.to_owned(), v.to_owned())),
            );
            let rest: Vec<String> = rest.into_iter().cloned().collect();
            if rest.is_empty() {
                return Output::ok(
                    inner
                        .variables
                        .iter()
                        .map(|(n, v)| format!("{n}={v}\n"))
                        .collect::<String>(),
                );
            }
            Box::pin(run(&mut inner, &rest, input)).await
        }
        "command" | "type" | "which"
            if name != "command" || rest.first().is_some_and(|a| a == "-v" || a == "-V") =>
        {
            lookup(shell, name, rest)
        }
        "command" => Box::pin(run(shell, rest, input)).await,
        snapped if snapped == "microk8s" || snapped.starts_with("microk8s.") => {
            let mut all: Vec<String> = snapped
                .strip_prefix("microk8s.")
                .map(str::to_owned)
                .into_iter()
                .collect();
            all.extend(rest.iter().cloned());
            microk8s::run(shell, &all, input).await
        }
        other => core::run(shell, other, rest, input).await,
    }
}

/// What `bash` says of an unknown command.
pub(super) fn not_found(name: &str) -> Output {
    if name.contains('/') {
        return Output::fail(
            127,
            format!("bash: line 1: {name}: No such file or directory\n"),
        );
    }
    Output::fail(127, format!("bash: line 1: {name}: command not found\n"))
}

fn lookup(shell: &Shell, command: &str, names: &[String]) -> Output {
    let mut output = Output::default();
    for name in names.iter().filter(|n| !n.starts_with('-')) {
        match find(shell, name) {
            Some(path) if command == "type" => output
                .stdout
                .extend(format!("{name} is {path}\n").into_bytes()),
            Some(path) => output.stdout.extend(format!("{path}\n").into_bytes()),
            None => output.code = 1,
        }
    }
    output
}

/// `sh -c TEXT`, `sh -s`, `sh FILE`.
async fn script(shell: &Shell, arguments: &[String], input: Input) -> Output {
    let mut inner = shell.inner();
    inner.errexit = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-c" | "-lc" | "-ec" | "-euc" | "-exc" => {
                inner.errexit = argument.contains('e');
                let text = rest.next().cloned().unwrap_or_default();
                return inner.script(&text, input).await;
            }
            "-e" | "-eu" => inner.errexit = true,
            "-l" | "-u" | "--login" | "--" => {}
            "-s" | "-" => break,
            flag if flag.starts_with('-') => {
                return Output::fail(
                    2,
                    format!("bash: {flag}: the lab's bash does not know this option\n"),
                );
            }
            file => {
                let path = crate::files::absolute(&shell.directory, file);
                return match shell.files(|f| f.read(&path)) {
                    Ok(text) => inner.script(&String::from_utf8_lossy(&text), input).await,
                    Err(problem) => {
                        Output::fail(127, format!("bash: {file}: {}\n", problem.text()))
                    }
                };
            }
        }
    }
    let text = input.read().await;
    inner
        .script(
            &String::from_utf8_lossy(&text),
            Input::Bytes(Default::default()),
        )
        .await
}
