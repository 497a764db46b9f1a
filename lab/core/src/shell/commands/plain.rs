//! The everyday commands.

use super::paths::{chmod, chown, each, install, list, mkdir, mktemp, octal, remove, stat, two};
use super::text::{base64, cat, cut, ends, grep, sha256sum, tee};
use crate::files::absolute;
use crate::shell::{Input, Output, Shell, System};

/// Runs a command that `find` knows.
pub(super) async fn run<S: System>(
    shell: &mut Shell<S>,
    name: &str,
    arguments: &[String],
    input: Input,
) -> Output {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match name {
        "true" | ":" => Output::default(),
        "false" => Output::code(1),
        "echo" => echo(&words),
        "printf" => printf(&words),
        "cd" => change_directory(shell, words.first().copied()),
        "pwd" => Output::ok(format!("{}\n", shell.directory)),
        "exit" => {
            shell.exited = true;
            let code = words.first().map_or(Ok(shell.last), |w| w.parse());
            code.map_or_else(
                |_| Output::fail(2, "bash: exit: numeric argument required\n"),
                Output::code,
            )
        }
        "export" => {
            shell.assign(words);
            Output::default()
        }
        "unset" => {
            for word in words {
                shell.variables.remove(word);
            }
            Output::default()
        }
        "set" => set(shell, &words),
        "umask" => match words.as_slice() {
            [] => Output::ok(format!("{:04o}\n", shell.umask)),
            [given] => match octal(given) {
                Some(mask) => {
                    shell.umask = mask & 0o777;
                    Output::default()
                }
                None => Output::fail(
                    1,
                    format!("bash: umask: {given}: octal number out of range\n"),
                ),
            },
            _ => Output::fail(2, "umask: usage: umask [mode]\n"),
        },
        "printenv" => match words.first() {
            Some(name) => shell
                .variables
                .get(*name)
                .map_or_else(|| Output::code(1), |v| Output::ok(format!("{v}\n"))),
            None => super::variables(shell),
        },
        "uname" => match words.as_slice() {
            [] | ["-s"] => Output::ok("Linux\n"),
            ["-m"] | ["-p"] | ["-i"] => Output::ok("x86_64\n"),
            ["-r"] => Output::ok(format!("{}\n", shell.host.kernel().0)),
            ["-n"] => Output::ok(format!("{}\n", shell.host.hostname())),
            ["-a"] => {
                let (release, version) = shell.host.kernel();
                Output::ok(format!(
                    "Linux {} {release} {version} x86_64 x86_64 x86_64 GNU/Linux\n",
                    shell.host.hostname()
                ))
            }
            [other, ..] => usage("uname", other),
        },
        "hostname" => match words.as_slice() {
            [] | ["-s" | "-f"] => Output::ok(format!("{}\n", shell.host.hostname())),
            ["-I"] => Output::ok(format!("{} \n", shell.host.addresses())),
            [other, ..] => usage("hostname", other),
        },
        "whoami" => Output::ok(format!("{}\n", shell.user)),
        "nproc" => Output::ok(format!("{}\n", shell.host.cores())),
        "id" => id(shell, &words),
        "sleep" => {
            let seconds = words
                .first()
                .and_then(|w| w.parse::<f64>().ok())
                .filter(|s| (0.0..86_400.0).contains(s));
            match seconds {
                Some(seconds) => {
                    shell.host.pass(seconds.ceil() as u64).await;
                    Output::default()
                }
                None => Output::fail(1, "sleep: invalid time interval\n"),
            }
        }
        "cat" => cat(shell, &words, input).await,
        "tee" => tee(shell, &words, input).await,
        "base64" => base64(shell, &words, input).await,
        "sha256sum" => sha256sum(shell, &words, input).await,
        "grep" => grep(shell, &words, input).await,
        "cut" => cut(&words, input).await,
        "head" | "tail" => ends(shell, name, &words, input).await,
        "wc" => {
            let read = input.read().await;
            let text = String::from_utf8_lossy(&read);
            match words.first() {
                Some(&"-l") => Output::ok(format!("{}\n", text.matches('\n').count())),
                Some(&"-c") => Output::ok(format!("{}\n", read.len())),
                _ => usage("wc", "anything but -l and -c"),
            }
        }
        "mkdir" => mkdir(shell, &words),
        "rmdir" => each(shell, "rmdir: failed to remove", &words, |files, path| {
            files.remove_directory(path)
        }),
        "rm" => remove(shell, &words),
        "mv" => two(shell, "mv", &words, |files, from, to| {
            files.rename(from, to)
        }),
        "cp" => two(shell, "cp", &words, |files, from, to| files.copy(from, to)),
        "touch" => each(shell, "touch: cannot touch", &words, |files, path| {
            files.write(path, b"", true)
        }),
        "install" => install(shell, &words, input).await,
        "chmod" => chmod(shell, &words),
        "chown" => chown(shell, &words),
        "ls" => list(shell, &words),
        "stat" => stat(shell, &words),
        "mktemp" => mktemp(shell, &words),
        other => super::not_found(other),
    }
}

pub(super) fn usage(command: &str, option: &str) -> Output {
    Output::fail(
        1,
        format!(
            "{command}: invalid option -- '{}'\n(the lab's {command} knows the common options only)\n",
            option.trim_start_matches('-')
        ),
    )
}

/// Joins what is after options.
pub(super) fn operands<'a>(words: &[&'a str]) -> Vec<&'a str> {
    words
        .iter()
        .copied()
        .filter(|w| !w.starts_with('-') || *w == "-")
        .collect()
}

fn echo(words: &[&str]) -> Output {
    let (newline, words) = match words.split_first() {
        Some((&"-n", rest)) => ("", rest),
        Some((&"-e", rest)) => return Output::ok(format!("{}\n", escapes(&rest.join(" ")))),
        _ => ("\n", words),
    };
    Output::ok(format!("{}{newline}", words.join(" ")))
}

fn escapes(text: &str) -> String {
    text.replace("\\n", "\n")
        .replace("\\t", "\t")
        .replace("\\\\", "\\")
}

fn printf(words: &[&str]) -> Output {
    let Some((format, arguments)) = words.split_first() else {
        return Output::fail(2, "printf: usage: printf [-v var] format [arguments]\n");
    };
    let format = escapes(format);
    let mut out = String::new();
    let mut arguments = arguments.iter();
    loop {
        let mut used = false;
        let mut rest = format.as_str();
        while let Some((before, after)) = rest.split_once('%') {
            out.push_str(before);
            let mut chars = after.chars();
            match chars.next() {
                Some('%') => out.push('%'),
                Some('s' | 'b' | 'd') => {
                    out.push_str(arguments.next().copied().unwrap_or_default());
                    used = true;
                }
                other => {
                    return Output::fail(
                        1,
                        format!(
                            "bash: printf: `{}': invalid format character\n",
                            other.map(String::from).unwrap_or_default()
                        ),
                    );
                }
            }
            rest = chars.as_str();
        }
        out.push_str(rest);
        if !used || arguments.len() == 0 {
            return Output::ok(out);
        }
    }
}

fn change_directory<S: System>(shell: &mut Shell<S>, to: Option<&str>) -> Output {
    let to = to.map_or_else(
        || shell.variables.get("HOME").cloned().unwrap_or_default(),
        str::to_owned,
    );
    let path = absolute(&shell.directory, &to);
    let directory = shell.files(|f| f.get(&path).map(|d| d.directory));
    match directory {
        Some(true) => {
            shell.directory = path;
            Output::default()
        }
        Some(false) => Output::fail(1, format!("bash: cd: {to}: Not a directory\n")),
        None => Output::fail(1, format!("bash: cd: {to}: No such file or directory\n")),
    }
}

fn set<S: System>(shell: &mut Shell<S>, words: &[&str]) -> Output {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "-o" | "+o" => match words.next() {
                Some(&"pipefail") => shell.pipefail = *word == "-o",
                Some(&"errexit") => shell.errexit = *word == "-o",
                Some(&"nounset") | None => {}
                Some(other) => {
                    return Output::fail(2, format!("bash: set: {other}: invalid option name\n"));
                }
            },
            flags if flags.starts_with(['-', '+']) => {
                for flag in flags.chars().skip(1) {
                    match flag {
                        'e' => shell.errexit = flags.starts_with('-'),
                        // What these show or refuse does not change what the lab's commands do.
                        'u' | 'x' => {}
                        'o' if words.next() == Some(&"pipefail") => {
                            shell.pipefail = flags.starts_with('-');
                        }
                        other => {
                            return Output::fail(
                                2,
                                format!("bash: set: -{other}: invalid option\n"),
                            );
                        }
                    }
                }
            }
            _ => {}
        }
    }
    Output::default()
}

fn id<S: System>(shell: &Shell<S>, words: &[&str]) -> Output {
    let root = shell.user == "root";
    let groups = || {
        let more = shell.host.groups(&shell.user);
        let own = if root {
            vec!["root".to_owned()]
        } else {
            std::iter::once(shell.user.clone()).chain(more).collect()
        };
        own.join(" ")
    };
    match words {
        ["-u"] => Output::ok(if root { "0\n" } else { "1000\n" }),
        ["-g"] => Output::ok(if root { "0\n" } else { "1000\n" }),
        ["-un"] | ["-nu"] | ["-gn"] => Output::ok(format!("{}\n", shell.user)),
        ["-nG" | "-Gn"] | ["-nG" | "-Gn", _] => Output::ok(format!("{}\n", groups())),
        [] if root => Output::ok("uid=0(root) gid=0(root) groups=0(root)\n"),
        [] => Output::ok(format!(
            "uid=1000({0}) gid=1000({0}) groups=1000({0})\n",
            shell.user
        )),
        [other, ..] => usage("id", other),
    }
}
