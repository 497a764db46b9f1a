//! MicroK8s on a host: its life from install to removal, and the `microk8s` command.

mod addons;
mod cluster;
mod commands;
mod join;
mod launch;

use std::sync::Arc;

use crate::host::Host;
use crate::shell::{Input, Output, Shell};
use stead_lab_core::files::File;

use crate::state::{Member, Snap};

/// Where the snap's command is, for `test -x`.
const COMMAND: &str = "/snap/bin/microk8s";

pub(crate) use cluster::{silence, start, stop};

/// The install hook and the first start: a cluster of one node, configured by the launch configuration.
pub(crate) async fn installed(host: &Arc<Host>, snap: Snap) -> Result<(), String> {
    let text = launch::found(host);
    // A configuration that cannot be read fails the hook, and with it the install.
    launch::parse(&text)?;
    let fresh = cluster::fresh(host)?;
    host.with(|state| {
        state.snaps.insert("microk8s".to_owned(), snap);
        state.microk8s = Some(fresh);
        let command = File {
            owner: "root".to_owned(),
            mode: 0o755,
            ..File::default()
        };
        state.files.insert(COMMAND.to_owned(), command);
    });
    launch::place(host, "install.yaml", &text);
    if let Err(problem) = start(host).await {
        host.with(|state| {
            state.snaps.remove("microk8s");
            state.microk8s = None;
        });
        return Err(problem);
    }
    launch::apply_all(host).await;
    Ok(())
}

/// `snap refresh`: the node comes back with the new version.
pub(crate) async fn refreshed(host: &Arc<Host>, snap: Snap) -> Result<(), String> {
    stop(host).await;
    host.with(|state| state.snaps.insert("microk8s".to_owned(), snap));
    start(host).await
}

/// `snap remove`: the node leaves, its own cluster is gone.
pub(crate) async fn removed(host: &Arc<Host>) -> Result<(), String> {
    let name = host.spec.name.clone();
    let (last, owner) = {
        let state = host.shared.state();
        let owner = state
            .hosts
            .get(&name)
            .and_then(|h| h.microk8s.as_ref())
            .map(|m| m.cluster_of.clone())
            .unwrap_or_default();
        let members = state
            .hosts
            .get(&owner)
            .and_then(|h| h.microk8s.as_ref())
            .map(|m| m.members.len())
            .unwrap_or(0);
        (members <= 1, owner)
    };
    if !last && owner == name {
        return Err(
            "the lab does not simulate removing the first node of a cluster while others remain"
                .to_owned(),
        );
    }
    stop(host).await;
    if last {
        host.shared.clusters.destroy(&cluster::id(&owner)).await;
    }
    host.with(|state| {
        state.snaps.remove("microk8s");
        state.microk8s = None;
        state
            .files
            .retain(|path, _| !path.starts_with("/var/snap/microk8s") && path != COMMAND);
    });
    Ok(())
}

/// `snap set microk8s config=…`: one more file for the cluster agent.
pub(crate) async fn configured(host: &Arc<Host>, text: &str) {
    launch::place(host, "snap-set.yaml", text);
    launch::apply_all(host).await;
}

/// After a command: the cluster agent looks for new launch configurations.
pub(crate) async fn agent_looks(host: &Arc<Host>) {
    if host.with(|s| s.microk8s.as_ref().is_some_and(|m| m.running)) {
        launch::apply_all(host).await;
    }
}

/// Runs `microk8s …`.
pub(crate) async fn run(shell: &mut Shell, arguments: &[String], input: Input) -> Output {
    let in_group = shell.host.with(|h| h.groups.contains("microk8s"));
    if shell.user != "root" && !in_group {
        let user = &shell.user;
        let text = format!(
            "Insufficient permissions to access MicroK8s.\nYou can either try again with sudo or add the user {user} to the 'microk8s' group:\n\n    sudo usermod -a -G microk8s {user}\n    sudo chown -R {user} ~/.kube\n\nAfter this, reload the user groups either via a reboot or by running 'newgrp microk8s'.\n"
        );
        return Output::fail(1, text);
    }
    commands::run(shell, arguments, input).await
}

/// The members of the cluster that a host belongs to.
pub(crate) fn members(host: &Host) -> Vec<Member> {
    let state = host.shared.state();
    let owner = state
        .hosts
        .get(&host.spec.name)
        .and_then(|h| h.microk8s.as_ref())
        .map(|m| m.cluster_of.clone());
    owner
        .and_then(|o| state.hosts.get(&o))
        .and_then(|h| h.microk8s.as_ref())
        .map(|m| m.members.clone())
        .unwrap_or_default()
}
