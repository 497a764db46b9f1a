//! Commands that change and show files and directories.

use super::plain::{operands, usage};
use crate::files::{Files, Problem, absolute};
use crate::shell::{Input, Output, Shell, System};

/// Does something with every operand; complains as the command does.
pub(super) fn each<S: System>(
    shell: &Shell<S>,
    complaint: &str,
    words: &[&str],
    mut work: impl FnMut(&mut Files<'_>, &str) -> Result<(), Problem>,
) -> Output {
    let mut output = Output::default();
    for name in operands(words) {
        let path = absolute(&shell.directory, name);
        if let Err(problem) = shell.files(|f| work(f, &path)) {
            output.complain(1, format!("{complaint} '{name}': {}\n", problem.text()));
        }
    }
    output
}

pub(super) fn two<S: System>(
    shell: &Shell<S>,
    command: &str,
    words: &[&str],
    work: impl FnOnce(&mut Files<'_>, &str, &str) -> Result<(), Problem>,
) -> Output {
    let rest = operands(words);
    let [from, to] = rest.as_slice() else {
        return Output::fail(
            1,
            format!("{command}: the lab's {command} takes one source and one target\n"),
        );
    };
    let (source, mut target) = (
        absolute(&shell.directory, from),
        absolute(&shell.directory, to),
    );
    shell.files(|files| {
        if files.get(&target).is_some_and(|t| t.directory) {
            target = format!("{target}/{}", source.rsplit('/').next().unwrap_or_default());
        }
        match work(files, &source, &target) {
            Ok(()) => Output::default(),
            Err(Problem::NoEntry) if files.get(&source).is_none() => Output::fail(
                1,
                format!("{command}: cannot stat '{from}': No such file or directory\n"),
            ),
            Err(problem) => Output::fail(
                1,
                format!(
                    "{command}: cannot create regular file '{to}': {}\n",
                    problem.text()
                ),
            ),
        }
    })
}

pub(super) fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o7777)
}

pub(super) fn mkdir<S: System>(shell: &Shell<S>, words: &[&str]) -> Output {
    let parents = words.iter().any(|w| ["-p", "--parents", "-pv"].contains(w));
    let given = words
        .iter()
        .position(|w| *w == "-m")
        .and_then(|at| words.get(at + 1))
        .copied();
    let names: Vec<&str> = words
        .iter()
        .copied()
        .filter(|w| Some(*w) != given)
        .collect();
    let mode = match given.map(octal) {
        Some(None) => return Output::fail(1, "mkdir: invalid mode\n"),
        Some(mode) => mode,
        None => None,
    };
    each(
        shell,
        "mkdir: cannot create directory",
        &names,
        |files, path| {
            files.make_directory(path, parents, 0o777)?;
            // A mode that is asked for is taken as it is, whatever the umask.
            mode.map_or(Ok(()), |mode| files.set_mode(path, mode))
        },
    )
}

pub(super) fn remove<S: System>(shell: &Shell<S>, words: &[&str]) -> Output {
    let flags: String = words
        .iter()
        .filter(|w| w.starts_with('-'))
        .flat_map(|w| w.chars().skip(1))
        .collect();
    let (force, recursive) = (flags.contains('f'), flags.contains(['r', 'R']));
    each(
        shell,
        "rm: cannot remove",
        words,
        |files, path| match files.remove(path, recursive) {
            Err(Problem::NoEntry) if force => Ok(()),
            other => other,
        },
    )
}

/// `install [-D] [-d] [-m MODE] [-o OWNER] [-g GROUP] SOURCE TARGET`.
pub(super) async fn install<S: System>(shell: &Shell<S>, words: &[&str], input: Input) -> Output {
    let (mut mode, mut owner, mut make, mut directories, mut names) =
        (0o755, None, false, false, Vec::new());
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            "-d" => directories = true,
            "-D" => make = true,
            "-m" => match rest.next().and_then(|m| octal(m)) {
                Some(given) => mode = given,
                None => return Output::fail(1, "install: invalid mode\n"),
            },
            "-o" => owner = rest.next().copied(),
            "-g" => drop(rest.next()),
            flag if flag.starts_with("-m") => match octal(flag.trim_start_matches("-m")) {
                Some(given) => mode = given,
                None => return Output::fail(1, "install: invalid mode\n"),
            },
            flag if flag.starts_with('-') => return usage("install", flag),
            name => names.push(name),
        }
    }
    if directories {
        let made = each(
            shell,
            "install: cannot create directory",
            &names,
            |files, path| files.make_directory(path, true, mode),
        );
        return made;
    }
    let [from, to] = names.as_slice() else {
        return Output::fail(1, "install: missing destination file operand\n");
    };
    let content = match *from {
        "/dev/stdin" => Ok(input.read().await),
        path => shell.files(|f| f.read(&absolute(&shell.directory, path))),
    };
    let content = match content {
        Ok(content) => content,
        Err(problem) => {
            return Output::fail(
                1,
                format!("install: cannot stat '{from}': {}\n", problem.text()),
            );
        }
    };
    let target = absolute(&shell.directory, to);
    let done = shell.files(|files| {
        if make && let Some((parent, _)) = target.rsplit_once('/') {
            files.make_directory(if parent.is_empty() { "/" } else { parent }, true, 0o755)?;
        }
        files.write(&target, &content, false)?;
        files.set_mode(&target, mode)?;
        owner.map_or(Ok(()), |o| files.set_owner(&target, o, false))
    });
    done.map_or_else(
        |p| {
            Output::fail(
                1,
                format!("install: cannot create regular file '{to}': {}\n", p.text()),
            )
        },
        |()| Output::default(),
    )
}

pub(super) fn chmod<S: System>(shell: &Shell<S>, words: &[&str]) -> Output {
    let rest = operands(words);
    let Some((given, names)) = rest.split_first() else {
        return Output::fail(1, "chmod: missing operand\n");
    };
    let change = |mode: u32| match *given {
        "+x" | "a+x" => Some(mode | 0o111),
        "u+x" => Some(mode | 0o100),
        "go-rwx" => Some(mode & 0o700),
        other => octal(other),
    };
    if change(0).is_none() {
        return Output::fail(1, format!("chmod: invalid mode: '{given}'\n"));
    }
    each(shell, "chmod: cannot access", names, |files, path| {
        let mode = files.get(path).map(|f| f.mode).ok_or(Problem::NoEntry)?;
        files.set_mode(path, change(mode).unwrap_or(mode))
    })
}

pub(super) fn chown<S: System>(shell: &Shell<S>, words: &[&str]) -> Output {
    let recursive = words
        .iter()
        .any(|w| ["-R", "-f", "-Rf"].contains(w) && w.contains('R'));
    let rest = operands(words);
    let Some((owner, names)) = rest.split_first() else {
        return Output::fail(1, "chown: missing operand\n");
    };
    let user = owner.split(':').next().unwrap_or_default();
    let Some(user) = shell.host.user(user) else {
        return Output::fail(1, format!("chown: invalid user: '{owner}'\n"));
    };
    each(
        shell,
        "chown: changing ownership of",
        names,
        |files, path| files.set_owner(path, &user, recursive),
    )
}

pub(super) fn list<S: System>(shell: &Shell<S>, words: &[&str]) -> Output {
    let names = operands(words);
    let (all, long) = (
        words
            .iter()
            .any(|w| w.starts_with('-') && w.contains(['a', 'A'])),
        words.iter().any(|w| w.starts_with('-') && w.contains('l')),
    );
    let targets = if names.is_empty() { vec!["."] } else { names };
    let mut output = Output::default();
    for name in targets {
        let path = absolute(&shell.directory, name);
        let found = shell.files(|files| match files.get(&path) {
            None => None,
            Some(file) if !file.directory => Some(vec![(name.to_owned(), file.clone())]),
            Some(_) => Some(
                files
                    .names(&path)
                    .into_iter()
                    .filter_map(|n| files.get(&absolute(&path, &n)).map(|f| (n, f.clone())))
                    .collect(),
            ),
        });
        let Some(found) = found else {
            output.complain(
                2,
                format!("ls: cannot access '{name}': No such file or directory\n"),
            );
            continue;
        };
        for (name, file) in found
            .into_iter()
            .filter(|(n, _)| all || !n.starts_with('.') || n.contains('/'))
        {
            let kind = if file.directory { 'd' } else { '-' };
            let line = if long {
                format!(
                    "{kind}{} 1 {} {} {} Nov 21 00:00 {name}\n",
                    bits(file.mode),
                    file.owner,
                    file.owner,
                    file.size()
                )
            } else {
                format!("{name}\n")
            };
            output.stdout.extend(line.into_bytes());
        }
    }
    output
}

/// `rwxr-xr-x`.
fn bits(mode: u32) -> String {
    (0..9)
        .map(|n| {
            if mode & (0o400 >> n) != 0 {
                ['r', 'w', 'x'].get(n % 3).copied().unwrap_or('-')
            } else {
                '-'
            }
        })
        .collect()
}

/// `stat -c FORMAT FILE`, with %a %U %G %s %n %F.
pub(super) fn stat<S: System>(shell: &Shell<S>, words: &[&str]) -> Output {
    let (format, names) = match words {
        ["-c" | "--format", format, names @ ..] => (*format, names),
        [flag, names @ ..] if flag.starts_with("--format=") => {
            (flag.trim_start_matches("--format="), names)
        }
        _ => return Output::fail(1, "stat: the lab's stat needs -c FORMAT\n"),
    };
    let mut output = Output::default();
    for name in names {
        let path = absolute(&shell.directory, name);
        match shell.files(|f| f.get(&path).cloned()) {
            Some(file) => {
                let kind = if file.directory {
                    "directory"
                } else {
                    "regular file"
                };
                let line = format
                    .replace("%a", &format!("{:o}", file.mode))
                    .replace("%U", &file.owner)
                    .replace("%G", &file.owner)
                    .replace("%s", &file.size().to_string())
                    .replace("%n", name)
                    .replace("%F", kind);
                output.stdout.extend(format!("{line}\n").into_bytes());
            }
            None => {
                output.complain(
                    1,
                    format!("stat: cannot statx '{name}': No such file or directory\n"),
                );
            }
        }
    }
    output
}

pub(super) fn mktemp<S: System>(shell: &Shell<S>, words: &[&str]) -> Output {
    let path = format!("/tmp/tmp.{}", uuid::Uuid::new_v4().simple());
    let done = match words {
        [] => shell.files(|f| {
            f.write(&path, b"", false)
                .and_then(|()| f.set_mode(&path, 0o600))
        }),
        ["-d"] => shell.files(|f| f.make_directory(&path, false, 0o700)),
        [other, ..] => return usage("mktemp", other),
    };
    done.map_or_else(
        |p| Output::fail(1, format!("mktemp: failed to create file: {}\n", p.text())),
        |()| Output::ok(format!("{path}\n")),
    )
}
