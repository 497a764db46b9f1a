//! Single commands: found by name, run with their arguments.

mod paths;
mod plain;
mod sudo;
mod test;
mod text;

use super::run::Running;
use super::{Input, Output, Shell, System};

/// Programs besides the shell's own commands, all in `/usr/bin`.
const PROGRAMS: &[&str] = &[
    "cat",
    "tee",
    "mkdir",
    "rm",
    "rmdir",
    "mv",
    "cp",
    "install",
    "stat",
    "chmod",
    "chown",
    "ls",
    "sha256sum",
    "base64",
    "grep",
    "cut",
    "head",
    "tail",
    "wc",
    "uname",
    "hostname",
    "id",
    "whoami",
    "env",
    "sh",
    "bash",
    "sudo",
    "touch",
    "sleep",
    "mktemp",
    "nproc",
    "timeout",
    "printenv",
];

/// The shell's own commands.
const BUILTINS: &[&str] = &[
    "echo", "printf", "test", "[", "true", "false", ":", "cd", "pwd", "exit", "export", "unset",
    "umask", "set", "command", "type", "which",
];

/// Where a command is; `None` when there is none of that name.
pub(super) fn find<S: System>(shell: &Shell<S>, name: &str) -> Option<String> {
    if BUILTINS.contains(&name) {
        return Some(name.to_owned());
    }
    // `/bin` and `/sbin` are links.
    let linked = name.starts_with("/bin/") || name.starts_with("/sbin/");
    let linked = linked.then(|| format!("/usr{name}"));
    let name = linked.as_deref().unwrap_or(name);
    let plain = name.strip_prefix("/usr/bin/").unwrap_or(name);
    if PROGRAMS.contains(&plain) {
        return Some(format!("/usr/bin/{plain}"));
    }
    shell.host.program(name)
}

/// Runs one command.
pub(super) fn run<'a, S: System>(
    shell: &'a mut Shell<S>,
    arguments: &'a [String],
    input: Input,
) -> Running<'a> {
    Box::pin(async move {
        let Some((name, rest)) = arguments.split_first() else {
            return Output::default();
        };
        let Some(path) = find(shell, name) else {
            return not_found(name);
        };
        match path.rsplit('/').next().unwrap_or_default() {
            "sudo" => sudo::run(shell, rest, input).await,
            "test" => test::run(shell, rest, false),
            "[" => test::run(shell, rest, true),
            "sh" | "bash" => script(shell, rest, input).await,
            "timeout" => match rest.split_first() {
                Some((_, rest)) => run(shell, rest, input).await,
                None => Output::fail(125, "timeout: missing operand\n"),
            },
            "env" => {
                let set = rest.iter().take_while(|word| word.contains('='));
                let (set, rest) = rest.split_at(set.count());
                let mut inner = shell.inner();
                inner.assign(set.iter().map(String::as_str));
                if rest.is_empty() {
                    return variables(&inner);
                }
                run(&mut inner, rest, input).await
            }
            "command" | "type" | "which"
                if name != "command" || rest.first().is_some_and(|a| a == "-v" || a == "-V") =>
            {
                lookup(shell, name, rest)
            }
            "command" => run(shell, rest, input).await,
            plain
                if BUILTINS.contains(&plain)
                    || PROGRAMS
                        .iter()
                        .any(|p| path.strip_prefix("/usr/bin/") == Some(*p)) =>
            {
                plain::run(shell, plain, rest, input).await
            }
            _ => S::run(shell, &path, rest, input).await,
        }
    })
}

/// The variables, one a line.
fn variables<S>(shell: &Shell<S>) -> Output {
    let lines = shell.variables.iter().map(|(n, v)| format!("{n}={v}\n"));
    Output::ok(lines.collect::<String>())
}

/// What `bash` says of an unknown command.
pub fn not_found(name: &str) -> Output {
    if name.contains('/') {
        return Output::fail(
            127,
            format!("bash: line 1: {name}: No such file or directory\n"),
        );
    }
    Output::fail(127, format!("bash: line 1: {name}: command not found\n"))
}

fn lookup<S: System>(shell: &Shell<S>, command: &str, names: &[String]) -> Output {
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
async fn script<S: System>(shell: &Shell<S>, arguments: &[String], input: Input) -> Output {
    let mut inner = shell.inner();
    inner.errexit = false;
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-c" | "-lc" | "-ec" | "-euc" | "-exc" => {
                inner.errexit = argument.contains('e');
                let text = rest.next().cloned().unwrap_or_default();
                inner.arguments = rest.skip(1).cloned().collect();
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
