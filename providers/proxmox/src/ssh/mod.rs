//! The way onto a node over SSH, for the little that its API cannot do.

mod settings;

use std::io::Read;

use serde_json::Value as Json;
use stead_sdk::{Context, Error, ErrorKind, SshOutput, shell_quote};

use crate::client::{Client, Params, text};
use crate::property::percent_encode;

pub(crate) use settings::{ApiLogin, Settings, Ssh};

/// How many connections to a node at a time: sshd begins to drop them at ten.
const CONNECTIONS: usize = 4;

/// How a file comes to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through a command that writes what it reads, as root.
    Stream,
    /// Over SFTP, as the user who logs in.
    Sftp,
}

/// A login on a node. Commands run as root.
pub(crate) struct Shell {
    ssh: stead_sdk::Ssh,
    node: String,
    is_root: bool,
    _place: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Client {
    /// Logs in to a node.
    pub(crate) async fn shell(&self, cx: &Context, node: &str) -> Result<Shell, Error> {
        let settings = self.ssh();
        let options = settings.options()?;
        let (host, port) = self.address_of(cx, node).await?;
        let place = self.turn(&format!("ssh:{node}"), CONNECTIONS).await;
        cx.progress(format!("logging in to {node} ({host}) over SSH"));
        let dialer = self.dialer();
        let ssh = match &settings.proxy {
            Some(proxy) => dialer.ssh_by_proxy(proxy, &host, port, &options).await,
            None => dialer.ssh(&host, port, &options).await,
        };
        Ok(Shell {
            ssh: ssh.map_err(|error| advised(error, &host))?,
            node: node.to_owned(),
            is_root: options.user == "root",
            _place: place,
        })
    }

    /// Where the SSH server of a node is: what the configuration says, else what the node's network configuration says, else its name.
    async fn address_of(&self, cx: &Context, node: &str) -> Result<(String, u16), Error> {
        let settings = self.ssh();
        if let Some(known) = settings.address(node) {
            return Ok(known.clone());
        }
        if settings.by_name {
            return Ok((node.to_owned(), 22));
        }
        let what = format!("find the address of {node}");
        let path = format!("/nodes/{}/network", percent_encode(node));
        match self.get(cx, &what, &path, &Params::new()).await {
            Ok(cards) => Ok((first_address(&cards).unwrap_or(node.to_owned()), 22)),
            Err(error) if error.kind() == ErrorKind::Denied => Ok((node.to_owned(), 22)),
            Err(error) => Err(error),
        }
    }
}

/// The address of the first interface with an IPv4 gateway, or with an IPv6 gateway, or with any IPv4 address: the published order.
fn first_address(cards: &Json) -> Option<String> {
    let cards = || cards.as_array().into_iter().flatten();
    let with = |address: &str, gateway: &str| {
        let mut found = cards().filter(|card| gateway.is_empty() || text(card, gateway).is_some());
        found.find_map(|card| text(card, address).filter(|a| !a.is_empty()))
    };
    with("address", "gateway")
        .or_else(|| with("address6", "gateway6"))
        .or_else(|| with("address", ""))
}

/// What to do about a node that cannot be logged in to.
fn advised(error: Error, host: &str) -> Error {
    if error.said().contains("does not know the host") {
        return error.remedy(format!(
            "Compare the key with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the node itself, then log in once with \
             `ssh {host}`; or set {}=true, which believes each node the first time.",
            settings::ACCEPT_NEW
        ));
    }
    if error.is_transient() {
        return error.remedy(
            "Check that the node's SSH server can be reached from here. If its address is another one, name it in the provider's \
             block `ssh { node { name = …, address = … } }`.",
        );
    }
    error
}

impl Shell {
    /// Runs a command as root that must succeed; its words are quoted. `label` stands for it in messages.
    pub(crate) async fn must(
        &self,
        label: &str,
        words: &[&str],
        cx: &Context,
    ) -> Result<String, Error> {
        let quoted: Vec<String> = words.iter().map(|word| shell_quote(word)).collect();
        let command = format!("{}{}", self.sudo(), quoted.join(" "));
        let output = self.ssh.exec(label, &command, None, cx).await?;
        self.judge(label, &output)
    }

    /// Runs a command as root that must succeed, and gives it something to read. Nobody sees what it prints.
    pub(crate) async fn pipe(
        &self,
        label: &str,
        words: &[&str],
        input: String,
        cx: &Context,
    ) -> Result<(), Error> {
        let quoted: Vec<String> = words.iter().map(|word| shell_quote(word)).collect();
        let command = format!("{}{} > /dev/null", self.sudo(), quoted.join(" "));
        let input = Some(input.into_bytes());
        let output = self.ssh.exec(label, &command, input, cx).await?;
        self.judge(label, &output).map(|_| ())
    }

    fn sudo(&self) -> &'static str {
        if self.is_root { "" } else { "sudo -n " }
    }

    /// Writes a file, and the folder that it is in.
    pub(crate) async fn write(
        &self,
        way: Way,
        path: &str,
        mode: Option<u32>,
        content: impl Read + Send + 'static,
        cx: &Context,
    ) -> Result<(), Error> {
        if way == Way::Sftp {
            return self.ssh.put(path, mode.unwrap_or(0o644), content, cx).await;
        }
        let label = format!("the upload of {path}");
        let command = self.writing(path, mode);
        let output = self.ssh.feed(&label, &command, content, cx).await?;
        self.judge(&label, &output).map(|_| ())
    }

    /// A command that writes a file from what it reads. With sudo it is `tee` on the file itself, which is what people allow the published
    /// provider's user to run.
    fn writing(&self, path: &str, mode: Option<u32>) -> String {
        let folder = shell_quote(path.rsplit_once('/').map_or("/", |(folder, _)| folder));
        let target = shell_quote(path);
        let sudo = self.sudo();
        let make = format!("{{ [ -d {folder} ] || {sudo}mkdir -p {folder}; }}");
        if self.is_root {
            let draft = shell_quote(&format!("{path}.stead-{:08x}", rand::random::<u32>()));
            let mode = mode.unwrap_or(0o644);
            return format!(
                "{make} && cat > {draft} && chmod {mode:04o} {draft} && mv -f {draft} {target} || {{ rm -f {draft}; exit 1; }}"
            );
        }
        let chmod = mode.map(|mode| format!(" && {sudo}chmod {mode:04o} {target}"));
        format!(
            "{make} && {sudo}/usr/bin/tee {target} > /dev/null{}",
            chmod.unwrap_or_default()
        )
    }

    fn judge(&self, label: &str, output: &SshOutput) -> Result<String, Error> {
        if output.success() {
            return Ok(output.text());
        }
        let mut said = output.error_text();
        if said.is_empty() {
            said = output.text().trim().to_owned();
        }
        let asked = format!("do {label} on {} over SSH", self.node);
        if [
            "a password is required",
            "a terminal is required",
            "sudo: not found",
            "sudo: command not found",
        ]
        .iter()
        .any(|refusal| said.contains(refusal))
        {
            return Err(Error::of_kind(ErrorKind::Denied, asked, said).remedy(
                "Log in as root, or install sudo and allow the user to use it without a password (NOPASSWD).",
            ));
        }
        Err(Error::new(
            asked,
            format!("exit status {}: {said}", output.status),
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::first_address;

    #[test]
    fn a_node_is_reached_where_its_gateway_is() {
        let cards = json!([
            { "iface": "vmbr1", "address": "192.168.9.1" },
            { "iface": "vmbr0", "address": "10.0.0.5", "gateway": "10.0.0.1" },
        ]);
        assert_eq!(first_address(&cards).as_deref(), Some("10.0.0.5"));
        let six = json!([
            { "iface": "vmbr1", "address": "192.168.9.1" },
            { "iface": "vmbr0", "address6": "fd00::5", "gateway6": "fd00::1" },
        ]);
        assert_eq!(first_address(&six).as_deref(), Some("fd00::5"));
        let none = json!([{ "iface": "vmbr1", "address": "192.168.9.1" }, { "iface": "eno1" }]);
        assert_eq!(first_address(&none).as_deref(), Some("192.168.9.1"));
        assert_eq!(first_address(&json!([])), None);
    }
}
