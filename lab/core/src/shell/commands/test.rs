//! `test` and `[`.

use crate::files::absolute;
use crate::shell::{Output, Shell, System};

/// Evaluates an expression; `bracket` wants a closing `]`.
pub(super) fn run<S: System>(shell: &Shell<S>, arguments: &[String], bracket: bool) -> Output {
    let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if bracket && words.pop() != Some("]") {
        return Output::fail(2, "bash: [: missing `]'\n");
    }
    match any(shell, &words) {
        Ok(holds) => Output::code(u32::from(!holds)),
        Err(problem) => Output::fail(2, format!("bash: test: {problem}\n")),
    }
}

fn any<S: System>(shell: &Shell<S>, words: &[&str]) -> Result<bool, String> {
    let mut holds = false;
    for part in words.split(|w| *w == "-o") {
        let mut all = true;
        for one in part.split(|w| *w == "-a") {
            all &= single(shell, one)?;
        }
        holds |= all;
    }
    Ok(holds)
}

fn single<S: System>(shell: &Shell<S>, words: &[&str]) -> Result<bool, String> {
    let number = |text: &str| {
        text.trim()
            .parse::<i64>()
            .map_err(|_| format!("{text}: integer expression expected"))
    };
    Ok(match words {
        [] => false,
        ["!", rest @ ..] => !single(shell, rest)?,
        [word] => !word.is_empty(),
        ["-z", word] => word.is_empty(),
        ["-n", word] => !word.is_empty(),
        [op @ ("-e" | "-f" | "-d" | "-s" | "-r" | "-w" | "-x"), path] => {
            let path = absolute(&shell.directory, path);
            shell.files(|files| match (files.get(&path), *op) {
                (None, _) => false,
                (Some(file), "-f") => !file.directory,
                (Some(file), "-d") => file.directory,
                (Some(file), "-s") => file.size() > 0,
                (Some(file), "-x") => file.mode & 0o111 != 0,
                (Some(_), "-r") => files.readable(&path).is_ok(),
                (Some(file), "-w") => files.user == "root" || file.owner == files.user,
                (Some(_), _) => true,
            })
        }
        [left, "=" | "==", right] => left == right,
        [left, "!=", right] => left != right,
        [left, "-eq", right] => number(left)? == number(right)?,
        [left, "-ne", right] => number(left)? != number(right)?,
        [left, "-lt", right] => number(left)? < number(right)?,
        [left, "-le", right] => number(left)? <= number(right)?,
        [left, "-gt", right] => number(left)? > number(right)?,
        [left, "-ge", right] => number(left)? >= number(right)?,
        [_, op, ..] => return Err(format!("{op}: binary operator expected")),
    })
}
