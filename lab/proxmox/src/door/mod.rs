//! A node's SSH door: its users, its files and the programs that tools run there.

mod disk;
mod guests;
mod programs;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use stead_lab_core::files::Files;
use stead_lab_core::shell::{Input, Output, Sudo, System};
use stead_lab_core::ssh::{self, Reachable};
use stead_lab_core::{Lab, shell};
use tokio_util::sync::CancellationToken;

use crate::Px;

pub(crate) type Shell = shell::Shell<Node>;

/// A node as who logs in sees it.
pub(crate) struct Node {
    px: Px,
    name: String,
    address: String,
}

/// Serves SSH at a node's address.
pub(crate) async fn open(px: &Px, name: &str, address: &str) -> io::Result<()> {
    let known = px.state().hosts.get(name).map(|h| h.ssh_key.clone());
    let key = match known.filter(|key| !key.is_empty()) {
        Some(key) => key,
        None => {
            let key = ssh::new_key()?;
            if let Some(host) = px.state().hosts.get_mut(name) {
                host.ssh_key.clone_from(&key);
            }
            key
        }
    };
    let node = Node {
        px: px.clone(),
        name: name.to_owned(),
        address: address.to_owned(),
    };
    ssh::serve(&Arc::new(node), address, &key).await
}

impl System for Node {
    fn hostname(&self) -> String {
        self.name.clone()
    }

    fn addresses(&self) -> String {
        self.address.clone()
    }

    fn kernel(&self) -> (&'static str, &'static str) {
        let release = self.px.state().release();
        (release.kernel, release.kernel_build)
    }

    fn cores(&self) -> u32 {
        self.px.state().nodes.get(&self.name).map_or(1, |n| n.cpu)
    }

    async fn pass(&self, seconds: u64) {
        self.px.takes(Duration::from_secs(seconds)).await;
    }

    fn files<T>(&self, user: &str, umask: u32, work: impl FnOnce(&mut Files<'_>) -> T) -> T {
        let result = disk::with(&mut self.px.state(), &self.name, |files| {
            work(&mut Files { files, user, umask })
        });
        self.px.changed();
        result
    }

    /// `root`, and users of the realm `pam` with a password.
    fn user(&self, text: &str) -> Option<String> {
        if ["root", "0"].contains(&text) {
            return Some("root".to_owned());
        }
        let known = self.px.state().access.has_account(text);
        known.then(|| text.to_owned())
    }

    fn groups(&self, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn sudo(&self, _: &str) -> Sudo {
        Sudo::NoPassword
    }

    fn is_password(&self, user: &str, given: &str) -> bool {
        self.px
            .state()
            .access
            .is_password(&format!("{user}@pam"), given)
    }

    fn program(&self, name: &str) -> Option<String> {
        programs::find(name)
    }

    async fn run(shell: &mut Shell, path: &str, arguments: &[String], input: Input) -> Output {
        programs::run(shell, path, arguments, input).await
    }
}

impl Reachable for Node {
    fn lab(&self) -> &Lab {
        &self.px.lab
    }

    fn off(&self) -> CancellationToken {
        self.px.lab.shutdown.clone()
    }

    /// What the user's own file of keys says.
    fn authorized_keys(&self, user: &str) -> Vec<String> {
        if self.user(user).as_deref() != Some(user) {
            return Vec::new();
        }
        let home = if user == "root" {
            "/root".to_owned()
        } else {
            format!("/home/{user}")
        };
        let path = format!("{home}/.ssh/authorized_keys");
        let read = self.files("root", 0o022, |files| files.read(&path));
        let text = read.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        text.lines().map(str::to_owned).collect()
    }

    async fn after_command(_: &Arc<Node>) {}
}
