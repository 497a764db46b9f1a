//! The everyday commands.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::files::{Problem, absolute};
use crate::shell::{Input, Output, Shell};

/// Runs a command that `find` knows.
pub(super) async fn run(
    shell: &mut Shell,
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
            shell.variables.extend(
                words
                    .iter()
                    .filter_map(|w| w.split_once('='))
                    .map(|(n, v)| (n.to_owned(), v.to_owned())),
            );
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
            None => Output::ok(
                shell
                    .variables
                    .iter()
                    .map(|(n, v)| format!("{n}={v}\n"))
                    .collect::<String>(),
            ),
        },
        "uname" => match words.as_slice() {
            [] | ["-s"] => Output::ok("Linux\n"),
            ["-m"] | ["-p"] | ["-i"] => Output::ok("x86_64\n"),
            ["-r"] => Output::ok("6.8.0-85-generic\n"),
            ["-n"] => Output::ok(format!("{}\n", shell.host.spec.hostname)),
            ["-a"] => Output::ok(format!(
                "Linux {} 6.8.0-85-generic #85-Ubuntu SMP x86_64 x86_64 x86_64 GNU/Linux\n",
                shell.host.spec.hostname
            )),
            [other, ..] => usage("uname", other),
        },
        "hostname" => match words.as_slice() {
            [] | ["-s" | "-f"] => Output::ok(format!("{}\n", shell.host.spec.hostname)),
            ["-I"] => Output::ok(format!("{} \n", shell.host.address())),
            [other, ..] => usage("hostname", other),
        },
        "whoami" => Output::ok(format!("{}\n", shell.user)),
        "nproc" => Output::ok(format!("{}\n", shell.host.spec.cores)),
        "id" => id(shell, &words),
        "usermod" => usermod(shell, &words),
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
        "base64" => {
            let decode = words.iter().any(|w| ["-d", "--decode"].contains(w));
            let files: Vec<&str> = words.into_iter().filter(|w| !w.starts_with('-')).collect();
            let read = cat(shell, &files, input).await;
            if read.code != 0 || !decode {
                return if read.code != 0 {
                    read
                } else {
                    Output::ok(format!("{}\n", STANDARD.encode(read.stdout)))
                };
            }
            let text: String = String::from_utf8_lossy(&read.stdout)
                .split_whitespace()
                .collect();
            STANDARD
                .decode(text)
                .map_or_else(|_| Output::fail(1, "base64: invalid input\n"), Output::ok)
        }
        "sha256sum" => sha256sum(shell, &words, input).await,
        "grep" => grep(shell, &words, input).await,
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
        "cp" => two(shell, "cp", &words, |files, from, to| {
            files.read(from).and_then(|c| files.write(to, &c, false))
        }),
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

fn usage(command: &str, option: &str) -> Output {
    Output::fail(
        1,
        format!(
            "{command}: invalid option -- '{}'\n(the lab's {command} knows the common options only)\n",
            option.trim_start_matches('-')
        ),
    )
}

/// Joins what is after options.
fn operands<'a>(words: &[&'a str]) -> Vec<&'a str> {
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

fn change_directory(shell: &mut Shell, to: Option<&str>) -> Output {
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

fn set(shell: &mut Shell, words: &[&str]) -> Output {
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

fn id(shell: &Shell, words: &[&str]) -> Output {
    let root = shell.user == "root";
    let groups = || {
        let more = shell.host.with(|h| h.groups.clone());
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

fn usermod(shell: &Shell, words: &[&str]) -> Output {
    if shell.user != "root" {
        return Output::fail(
            1,
            "usermod: Permission denied.\nusermod: cannot lock /etc/passwd; try again later.\n",
        );
    }
    match words {
        ["-a", "-G", group, user] | ["-aG", group, user] if *user == shell.host.spec.user => {
            let known = ["sudo", "adm", "docker"].contains(group)
                || (*group == "microk8s" && shell.host.with(|h| h.snaps.contains_key("microk8s")));
            if !known {
                return Output::fail(6, format!("usermod: group '{group}' does not exist\n"));
            }
            shell.host.with(|h| h.groups.insert((*group).to_owned()));
            Output::default()
        }
        ["-a", "-G", _, user] | ["-aG", _, user] => {
            Output::fail(6, format!("usermod: user '{user}' does not exist\n"))
        }
        _ => usage("usermod", "anything but -aG"),
    }
}

async fn cat(shell: &Shell, words: &[&str], input: Input) -> Output {
    let names = operands(words);
    if names.is_empty() {
        return Output::ok(input.read().await);
    }
    let mut output = Output::default();
    for name in names {
        if name == "-" {
            output.stdout.extend(input.read().await);
            continue;
        }
        let path = absolute(&shell.directory, name);
        match shell.files(|f| f.read(&path)) {
            Ok(content) => output.stdout.extend(content),
            Err(problem) => {
                output
                    .stderr
                    .extend(format!("cat: {name}: {}\n", problem.text()).into_bytes());
                output.code = 1;
            }
        }
    }
    output
}

async fn tee(shell: &Shell, words: &[&str], input: Input) -> Output {
    let content = input.read().await;
    let append = words.contains(&"-a");
    let mut output = Output::default();
    for name in operands(words) {
        let path = absolute(&shell.directory, name);
        if let Err(problem) = shell.files(|f| f.write(&path, &content, append)) {
            output
                .stderr
                .extend(format!("tee: {name}: {}\n", problem.text()).into_bytes());
            output.code = 1;
        }
    }
    output.stdout = content;
    output
}

async fn sha256sum(shell: &Shell, words: &[&str], input: Input) -> Output {
    let names = operands(words);
    let hex = |bytes: &[u8]| {
        Sha256::digest(bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    };
    if names.is_empty() {
        return Output::ok(format!("{}  -\n", hex(&input.read().await)));
    }
    let mut output = Output::default();
    for name in names {
        let path = absolute(&shell.directory, name);
        match shell.files(|f| f.read(&path)) {
            Ok(content) => output
                .stdout
                .extend(format!("{}  {name}\n", hex(&content)).into_bytes()),
            Err(problem) => {
                output
                    .stderr
                    .extend(format!("sha256sum: {name}: {}\n", problem.text()).into_bytes());
                output.code = 1;
            }
        }
    }
    output
}

/// `grep [-qFvicE] TEXT [FILE…]`; the text is taken literally but for `^` and `$` at its ends.
async fn grep(shell: &Shell, words: &[&str], input: Input) -> Output {
    let flags: String = words
        .iter()
        .filter(|w| w.starts_with('-') && w.len() > 1)
        .flat_map(|w| w.chars().skip(1))
        .collect();
    if let Some(unknown) = flags.chars().find(|c| !"qFvicEw".contains(*c)) {
        return usage("grep", &unknown.to_string());
    }
    let rest = operands(words);
    let Some((pattern, files)) = rest.split_first() else {
        return Output::fail(2, "Usage: grep [OPTION]... PATTERNS [FILE]...\n");
    };
    let plain = pattern.trim_start_matches('^').trim_end_matches('$');
    if !flags.contains('F') && plain.contains(['*', '[', '\\', '(', '|', '+', '?']) {
        return Output::fail(
            2,
            format!("grep: the lab's grep takes literal texts only, not '{pattern}'\n"),
        );
    }
    let read = cat(shell, files, input).await;
    if read.code != 0 {
        return Output { code: 2, ..read };
    }
    let fold = |t: &str| {
        if flags.contains('i') {
            t.to_lowercase()
        } else {
            t.to_owned()
        }
    };
    let (start, end, wanted) = (
        pattern.starts_with('^'),
        pattern.ends_with('$'),
        fold(plain),
    );
    let literal = flags.contains('F');
    let matches = |line: &str| {
        let line = fold(line);
        match (start && !literal, end && !literal) {
            (true, true) => line == wanted,
            (true, false) => line.starts_with(&wanted),
            (false, true) => line.ends_with(&wanted),
            (false, false) => line.contains(&wanted),
        }
    };
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    let found: Vec<&str> = text
        .lines()
        .filter(|l| matches(l) != flags.contains('v'))
        .collect();
    let out = match () {
        () if flags.contains('q') => String::new(),
        () if flags.contains('c') => format!("{}\n", found.len()),
        () => found.iter().map(|l| format!("{l}\n")).collect(),
    };
    Output {
        stdout: out.into_bytes(),
        code: u32::from(found.is_empty()),
        ..Output::default()
    }
}

async fn ends(shell: &Shell, name: &str, words: &[&str], input: Input) -> Output {
    let mut count = 10;
    let mut files = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let number = match *word {
            "-n" => rest.next().copied().unwrap_or_default(),
            flag if flag.starts_with('-') => flag.trim_start_matches("-n").trim_start_matches('-'),
            file => {
                files.push(file);
                continue;
            }
        };
        match number.parse::<usize>() {
            Ok(n) => count = n,
            Err(_) => {
                return Output::fail(1, format!("{name}: invalid number of lines: '{number}'\n"));
            }
        }
    }
    let read = cat(shell, &files, input).await;
    let text = String::from_utf8_lossy(&read.stdout).into_owned();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let skip = if name == "tail" {
        lines.len().saturating_sub(count)
    } else {
        0
    };
    Output {
        stdout: lines
            .into_iter()
            .skip(skip)
            .take(count)
            .collect::<String>()
            .into_bytes(),
        ..read
    }
}

/// Does something with every operand; complains as the command does.
fn each(
    shell: &Shell,
    complaint: &str,
    words: &[&str],
    mut work: impl FnMut(&mut crate::files::Files<'_>, &str) -> Result<(), Problem>,
) -> Output {
    let mut output = Output::default();
    for name in operands(words) {
        let path = absolute(&shell.directory, name);
        if let Err(problem) = shell.files(|f| work(f, &path)) {
            output
                .stderr
                .extend(format!("{complaint} '{name}': {}\n", problem.text()).into_bytes());
            output.code = 1;
        }
    }
    output
}

fn two(
    shell: &Shell,
    command: &str,
    words: &[&str],
    work: impl FnOnce(&mut crate::files::Files<'_>, &str, &str) -> Result<(), Problem>,
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

fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|m| *m <= 0o7777)
}

fn mkdir(shell: &Shell, words: &[&str]) -> Output {
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

fn remove(shell: &Shell, words: &[&str]) -> Output {
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
async fn install(shell: &Shell, words: &[&str], input: Input) -> Output {
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

fn chmod(shell: &Shell, words: &[&str]) -> Output {
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

fn chown(shell: &Shell, words: &[&str]) -> Output {
    let recursive = words
        .iter()
        .any(|w| ["-R", "-f", "-Rf"].contains(w) && w.contains('R'));
    let rest = operands(words);
    let Some((owner, names)) = rest.split_first() else {
        return Output::fail(1, "chown: missing operand\n");
    };
    let user = owner.split(':').next().unwrap_or_default();
    if !["root", "0", &shell.host.spec.user, "1000"].contains(&user) {
        return Output::fail(1, format!("chown: invalid user: '{owner}'\n"));
    }
    let user = match user {
        "0" => "root",
        "1000" => &shell.host.spec.user,
        other => other,
    };
    each(
        shell,
        "chown: changing ownership of",
        names,
        |files, path| files.set_owner(path, user, recursive),
    )
}

fn list(shell: &Shell, words: &[&str]) -> Output {
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
            output.stderr.extend(
                format!("ls: cannot access '{name}': No such file or directory\n").into_bytes(),
            );
            output.code = 2;
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
                    file.content.len()
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
fn stat(shell: &Shell, words: &[&str]) -> Output {
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
                    .replace("%s", &file.content.len().to_string())
                    .replace("%n", name)
                    .replace("%F", kind);
                output.stdout.extend(format!("{line}\n").into_bytes());
            }
            None => {
                output.stderr.extend(
                    format!("stat: cannot statx '{name}': No such file or directory\n")
                        .into_bytes(),
                );
                output.code = 1;
            }
        }
    }
    output
}

fn mktemp(shell: &Shell, words: &[&str]) -> Output {
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
