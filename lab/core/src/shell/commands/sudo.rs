//! `sudo`: becomes root, with or without the user's password.

use crate::shell::{Input, Output, Shell, Sudo, System};

/// Runs a command as root.
pub(super) async fn run<S: System>(shell: &Shell<S>, arguments: &[String], input: Input) -> Output {
    let (mut never_ask, mut from_input, mut user) = (false, false, "root".to_owned());
    let mut rest = arguments.iter();
    let mut command: Vec<String> = Vec::new();
    let mut set = Vec::new();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-n" | "--non-interactive" => never_ask = true,
            "-S" | "--stdin" => from_input = true,
            "-E" | "-H" | "-k" | "-i" | "--preserve-env" => {}
            "-p" | "--prompt" => drop(rest.next()),
            "-u" | "--user" => user = rest.next().cloned().unwrap_or_default(),
            "--" => {
                command.extend(rest.cloned());
                break;
            }
            "-v" | "-l" => command.push("true".to_owned()),
            flag if flag.starts_with('-') => {
                return Output::fail(1, format!("sudo: invalid option '{flag}'\n"));
            }
            word if word.contains('=') && !word.starts_with('/') => set.push(word),
            word => {
                command.push(word.to_owned());
                command.extend(rest.cloned());
                break;
            }
        }
    }
    let mut input = input;
    if shell.user != "root" {
        match (shell.host.sudo(&shell.user), never_ask, from_input) {
            (Sudo::NoPassword, ..) => {}
            (Sudo::Never, ..) => {
                return Output::fail(
                    1,
                    format!(
                        "{} is not in the sudoers file.\nThis incident has been reported to the administrator.\n",
                        shell.user
                    ),
                );
            }
            (Sudo::Password, true, _) => return Output::fail(1, "sudo: a password is required\n"),
            (Sudo::Password, false, false) => {
                let text = "sudo: a terminal is required to read the password; either use the -S option to read from standard input or configure an askpass helper\nsudo: a password is required\n";
                return Output::fail(1, text);
            }
            (Sudo::Password, false, true) => {
                let (line, left) = input.line().await;
                input = left;
                if !shell.host.is_password(&shell.user, &line) {
                    return Output::fail(
                        1,
                        "Sorry, try again.\nsudo: no password was provided\nsudo: 1 incorrect password attempt\n",
                    );
                }
            }
        }
    }
    if shell.host.user(&user).is_none() {
        return Output::fail(
            1,
            format!(
                "sudo: unknown user {user}\nsudo: error initializing audit plugin sudoers_audit\n"
            ),
        );
    }
    if command.is_empty() {
        return Output::fail(
            1,
            "usage: sudo -h | -K | -k | -V\nusage: sudo [-ABbEHnPS] [-u user] [command [arg ...]]\n",
        );
    }
    let mut inner = Shell {
        directory: shell.directory.clone(),
        depth: shell.depth + 1,
        umask: shell.umask,
        ..Shell::new(shell.host.clone(), &user)
    };
    inner.assign(set);
    if let Some(name) = command
        .first()
        .filter(|name| super::find(&inner, name).is_none())
    {
        return Output::fail(1, format!("sudo: {name}: command not found\n"));
    }
    super::run(&mut inner, &command, input).await
}
