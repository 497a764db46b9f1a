//! What a host's shell stands on: its files, its user, `snap` and MicroK8s.

use std::sync::Arc;

use stead_lab_core::Lab;
use stead_lab_core::files::Files;
use stead_lab_core::shell::{Sudo, System, not_found};
use stead_lab_core::ssh::Reachable;
use tokio_util::sync::CancellationToken;

use crate::commands::{snap, usermod};
use crate::host::Host;
use crate::microk8s;

pub(crate) use stead_lab_core::shell::{Input, Output};

pub(crate) type Shell = stead_lab_core::shell::Shell<Host>;

impl System for Host {
    fn hostname(&self) -> String {
        self.spec.hostname.clone()
    }

    fn addresses(&self) -> String {
        self.address()
    }

    fn kernel(&self) -> (&'static str, &'static str) {
        ("6.8.0-85-generic", "#85-Ubuntu SMP")
    }

    fn cores(&self) -> u32 {
        self.spec.cores
    }

    async fn pass(&self, seconds: u64) {
        Host::pass(self, seconds).await;
    }

    fn files<T>(&self, user: &str, umask: u32, work: impl FnOnce(&mut Files<'_>) -> T) -> T {
        self.files_masked(user, umask, work)
    }

    fn user(&self, text: &str) -> Option<String> {
        match text {
            "root" | "0" => Some("root".to_owned()),
            own if own == self.spec.user || own == "1000" => Some(self.spec.user.clone()),
            _ => None,
        }
    }

    fn groups(&self, _: &str) -> Vec<String> {
        self.with(|h| h.groups.iter().cloned().collect())
    }

    fn sudo(&self, _: &str) -> Sudo {
        self.spec.sudo
    }

    fn is_password(&self, user: &str, given: &str) -> bool {
        let known = self.spec.password.as_ref();
        user == self.spec.user && known.is_some_and(|p| p.0 == given)
    }

    fn program(&self, name: &str) -> Option<String> {
        match name {
            "snap" | "/usr/bin/snap" => return Some("/usr/bin/snap".to_owned()),
            "usermod" | "/usr/sbin/usermod" => return Some("/usr/sbin/usermod".to_owned()),
            _ => {}
        }
        let snapped = name.strip_prefix("/snap/bin/").unwrap_or(name);
        let installed = self.with(|h| h.snaps.contains_key("microk8s"));
        (installed && (snapped == "microk8s" || snapped.starts_with("microk8s.")))
            .then(|| format!("/snap/bin/{snapped}"))
    }

    async fn run(shell: &mut Shell, path: &str, arguments: &[String], input: Input) -> Output {
        match path.rsplit('/').next().unwrap_or_default() {
            "snap" => snap::run(shell, arguments).await,
            "usermod" => usermod::run(shell, arguments),
            "microk8s" => microk8s::run(shell, arguments, input).await,
            other => match other.strip_prefix("microk8s.") {
                Some(verb) => {
                    let mut all = vec![verb.to_owned()];
                    all.extend(arguments.iter().cloned());
                    microk8s::run(shell, &all, input).await
                }
                None => not_found(path),
            },
        }
    }
}

impl Reachable for Host {
    fn lab(&self) -> &Lab {
        &self.shared.lab
    }

    fn off(&self) -> CancellationToken {
        self.off.clone()
    }

    fn authorized_keys(&self, user: &str) -> Vec<String> {
        if user == self.spec.user {
            self.spec.authorized_keys.clone()
        } else {
            Vec::new()
        }
    }

    async fn after_command(host: &Arc<Host>) {
        microk8s::agent_looks(host).await;
    }
}
