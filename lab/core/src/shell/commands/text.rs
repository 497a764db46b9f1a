//! Commands that read, count and pass on text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::plain::{operands, usage};
use crate::files::absolute;
use crate::shell::{Input, Output, Shell, System};

pub(super) async fn cat<S: System>(shell: &Shell<S>, words: &[&str], input: Input) -> Output {
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
                output.complain(1, format!("cat: {name}: {}\n", problem.text()));
            }
        }
    }
    output
}

pub(super) async fn tee<S: System>(shell: &Shell<S>, words: &[&str], input: Input) -> Output {
    let content = input.read().await;
    let append = words.contains(&"-a");
    let mut output = Output::default();
    for name in operands(words) {
        let path = absolute(&shell.directory, name);
        if let Err(problem) = shell.files(|f| f.write(&path, &content, append)) {
            output.complain(1, format!("tee: {name}: {}\n", problem.text()));
        }
    }
    output.stdout = content;
    output
}

pub(super) async fn sha256sum<S: System>(shell: &Shell<S>, words: &[&str], input: Input) -> Output {
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
                output.complain(1, format!("sha256sum: {name}: {}\n", problem.text()));
            }
        }
    }
    output
}

/// `grep [-qFvicE] TEXT [FILE…]`; the text is taken literally but for `^` and `$` at its ends.
pub(super) async fn grep<S: System>(shell: &Shell<S>, words: &[&str], input: Input) -> Output {
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

pub(super) async fn ends<S: System>(
    shell: &Shell<S>,
    name: &str,
    words: &[&str],
    input: Input,
) -> Output {
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

/// `base64 [-d] [FILE]`.
pub(super) async fn base64<S: System>(shell: &Shell<S>, words: &[&str], input: Input) -> Output {
    let decode = words.iter().any(|w| ["-d", "--decode"].contains(w));
    let read = cat(shell, words, input).await;
    if read.code != 0 {
        return read;
    }
    if !decode {
        return Output::ok(format!("{}\n", STANDARD.encode(read.stdout)));
    }
    let text: String = String::from_utf8_lossy(&read.stdout)
        .split_whitespace()
        .collect();
    STANDARD
        .decode(text)
        .map_or_else(|_| Output::fail(1, "base64: invalid input\n"), Output::ok)
}

/// `cut -d X -f N`.
pub(super) async fn cut(words: &[&str], input: Input) -> Output {
    let (mut delimiter, mut field) = ('\t', None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let (flag, glued) = word.split_at_checked(2).unwrap_or((word, ""));
        let value = if glued.is_empty() {
            rest.next().copied().unwrap_or_default()
        } else {
            glued
        };
        match flag {
            "-d" => delimiter = value.chars().next().unwrap_or('\t'),
            "-f" => field = value.parse::<usize>().ok().filter(|f| *f > 0),
            other => return usage("cut", other),
        }
    }
    let Some(field) = field else {
        return Output::fail(
            1,
            "cut: you must specify a list of bytes, characters, or fields\n",
        );
    };
    let read = input.read().await;
    let text = String::from_utf8_lossy(&read);
    // A line without the delimiter stays whole.
    let cut = |line: &str| match line.contains(delimiter) {
        true => line
            .split(delimiter)
            .nth(field - 1)
            .unwrap_or_default()
            .to_owned(),
        false => line.to_owned(),
    };
    Output::ok(text.lines().map(|l| cut(l) + "\n").collect::<String>())
}
