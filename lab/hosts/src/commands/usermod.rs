//! `usermod`: groups of the login user.

use crate::shell::{Output, Shell};

/// Runs `usermod`.
pub(crate) fn run(shell: &Shell, arguments: &[String]) -> Output {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if shell.user != "root" {
        return Output::fail(
            1,
            "usermod: Permission denied.\nusermod: cannot lock /etc/passwd; try again later.\n",
        );
    }
    match words.as_slice() {
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
        _ => Output::fail(
            2,
            "usermod: invalid option\n(the lab's usermod knows -aG only)\n",
        ),
    }
}
