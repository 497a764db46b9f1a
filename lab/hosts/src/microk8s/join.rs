//! Clusters of several hosts: tokens, joining, leaving, removing.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{addons, cluster, members};
use crate::host::Host;
use crate::shell::Output;
use crate::state::{Member, MicroK8s};

/// Milliseconds since 1970.
fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The first twelve hexadecimal digits of the certificate's SHA-256, which a joiner pins.
fn fingerprint(microk8s: &MicroK8s) -> String {
    Sha256::digest(&microk8s.ca_der)
        .iter()
        .take(6)
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// `microk8s add-node`.
pub(super) fn add_node(host: &Arc<Host>, words: &[&str]) -> Output {
    let option = |name: &str| {
        let joined = words
            .iter()
            .find_map(|w| w.strip_prefix(name).and_then(|r| r.strip_prefix('=')));
        joined.or_else(|| {
            words
                .iter()
                .position(|w| *w == name)
                .and_then(|at| words.get(at + 1).copied())
        })
    };
    let token = option("--token")
        .or_else(|| option("-t"))
        .map_or_else(|| Uuid::new_v4().simple().to_string(), str::to_owned);
    if token.len() < 32 {
        return Output::fail(1, "Invalid token size. It must be 32 characters long.\n");
    }
    let until = match option("--token-ttl")
        .or_else(|| option("-l"))
        .map(str::parse::<i64>)
    {
        None | Some(Ok(-1)) => None,
        Some(Ok(seconds)) if seconds >= 0 => {
            Some(now().saturating_add(seconds.saturating_mul(1000)))
        }
        Some(_) => {
            return Output::fail(
                2,
                "add-node: error: argument --token-ttl: invalid int value\n",
            );
        }
    };
    let worker = host.with(|s| s.microk8s.as_ref().is_some_and(|m| m.worker));
    if worker {
        return Output::fail(
            1,
            "This MicroK8s deployment is acting as a node in a cluster. Please use the command on the control plane.\n",
        );
    }
    addons::on_owner(host, |m| m.tokens.insert(token.clone(), until));
    let check = addons::on_owner(host, |m| fingerprint(m)).unwrap_or_default();
    let url = format!("{}:25000/{token}/{check}", host.address());
    match option("--format") {
        Some("json") => Output::ok(format!(
            "{}\n",
            serde_json::json!({"token": format!("{token}/{check}"), "urls": [url]})
        )),
        Some("short") => Output::ok(format!("microk8s join {url}\n")),
        Some("token") => Output::ok(format!("{token}/{check}\n")),
        Some(other) if other != "default" => Output::fail(
            2,
            format!(
                "add-node: error: argument --format: invalid choice: '{other}' (choose from 'default', 'short', 'token', 'token-check', 'json')\n"
            ),
        ),
        _ => Output::ok(format!(
            "From the node you wish to join to this cluster, run the following:\nmicrok8s join {url}\n\nUse the '--worker' flag to join a node as a worker not running the control plane, eg:\nmicrok8s join {url} --worker\n\nIf the node you are adding is not reachable through the default interface you can use one of the following:\nmicrok8s join {url}\n"
        )),
    }
}

/// `microk8s join ADDRESS:25000/TOKEN/CHECK`.
pub(super) async fn join(host: &Arc<Host>, url: &str, worker: bool) -> Output {
    let mut parts = url.split('/');
    let (endpoint, token, check) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
        parts.next(),
    );
    let address = endpoint.split(':').next().unwrap_or_default();
    let member = host
        .shared
        .by_address(address)
        .filter(|m| m.with(|s| s.microk8s.as_ref().is_some_and(|k| k.running && !k.worker)));
    let Some(member) = member else {
        return Output::fail(
            5,
            format!("Connecting to cluster failed. Could not connect to {endpoint}.\n"),
        );
    };
    if member.spec.name == host.spec.name || members(host).len() > 1 {
        return Output::fail(
            1,
            "This node is already part of a cluster, or is the one to join. Please leave first (microk8s leave).\n",
        );
    }
    let expected = addons::on_owner(&member, |m| fingerprint(m)).unwrap_or_default();
    if check.is_some_and(|c| c != expected) {
        return Output::fail(
            4,
            format!(
                "Joining cluster failed. Could not verify the identity of {endpoint}. Use '--skip-verify' to skip server certificate check.\n"
            ),
        );
    }
    let valid = addons::on_owner(&member, |m| match m.tokens.get(token).copied() {
        Some(None) => m.tokens.remove(token).is_some(),
        Some(Some(until)) => now() < until,
        None => false,
    });
    if valid != Some(true) {
        return Output::fail(6, "Joining cluster failed. Invalid token (500).\n");
    }
    if !worker && host.spec.memory_mib < 512 {
        return Output::fail(
            1,
            "This node does not have enough RAM to host the Kubernetes control plane services and join the database quorum. You may consider joining this node as a worker instead.\n",
        );
    }
    let Some(owner) = member.with(|s| s.microk8s.as_ref().map(|m| m.cluster_of.clone())) else {
        return Output::fail(
            5,
            format!("Connecting to cluster failed. Could not connect to {endpoint}.\n"),
        );
    };
    cluster::stop(host).await;
    host.shared
        .clusters
        .destroy(&cluster::id(&host.spec.name))
        .await;
    host.pass(20).await;
    let joined = Member {
        host: host.spec.name.clone(),
        address: host.address(),
        worker,
    };
    host.shared.with(&owner, |s| {
        s.microk8s.as_mut().map(|m| m.members.push(joined))
    });
    host.with(|s| {
        if let Some(m) = s.microk8s.as_mut() {
            m.cluster_of.clone_from(&owner);
            m.worker = worker;
            m.members.clear();
            m.addons.clear();
        }
    });
    match cluster::start(host).await {
        Ok(()) => Output::ok(format!(
            "Contacting cluster at {address}\nWaiting for this node to finish joining the cluster. .. .. ..\nSuccessfully joined the cluster.\n"
        )),
        Err(problem) => Output::fail(6, format!("Joining cluster failed. {problem}\n")),
    }
}

/// `microk8s leave`: the node gets a cluster of its own again; the others still list it until `remove-node`.
pub(super) async fn leave(host: &Arc<Host>) -> Output {
    let own = host.with(|s| {
        s.microk8s
            .as_ref()
            .is_none_or(|m| m.cluster_of == host.spec.name)
    });
    if own {
        if members(host).len() > 1 {
            return Output::fail(
                1,
                "the lab does not simulate the first node of a cluster leaving it while others remain\n",
            );
        }
        return Output::fail(1, "This node is not part of a cluster.\n");
    }
    cluster::stop(host).await;
    let fresh = match cluster::fresh(host) {
        Ok(fresh) => fresh,
        Err(problem) => return Output::fail(1, format!("{problem}\n")),
    };
    host.with(|s| s.microk8s = Some(fresh));
    match cluster::start(host).await {
        Ok(()) => {
            Output::ok("Generating new cluster certificates.\nWaiting for node to start. .\n")
        }
        Err(problem) => Output::fail(1, format!("{problem}\n")),
    }
}

/// `microk8s remove-node NAME [--force]`.
pub(super) async fn remove_node(host: &Arc<Host>, words: &[&str]) -> Output {
    let Some(name) = words.iter().find(|w| !w.starts_with('-')) else {
        return Output::fail(
            2,
            "Usage: microk8s remove-node [OPTIONS] NODE\nError: Missing argument 'NODE'.\n",
        );
    };
    let force = words.iter().any(|w| ["--force", "-f"].contains(w));
    let known = host.shared.by_address(name).or_else(|| {
        host.shared
            .hosts()
            .into_iter()
            .find(|h| h.spec.name == *name || h.spec.hostname == *name)
    });
    let member = members(host)
        .into_iter()
        .find(|m| m.address == *name || known.as_ref().is_some_and(|k| k.spec.name == m.host));
    let Some(member) = member else {
        return Output::fail(1, format!("Node {name} does not exist in Kubernetes.\n"));
    };
    let node = known
        .as_ref()
        .map_or_else(|| member.host.clone(), |h| h.spec.hostname.clone());
    let still = known.is_some_and(|k| {
        k.with(|s| {
            s.microk8s
                .as_ref()
                .is_some_and(|m| m.running && m.cluster_of != k.spec.name)
        })
    });
    if still && !force && !member.worker {
        return Output::fail(
            1,
            format!(
                "Removal failed. Node {name} is registered with dqlite. Please, run first 'microk8s leave' on the departing node. \nIf the node is not available anymore and will never attempt to join the cluster in the future use the '--force' flag \nto unregister the node while removing it.\n"
            ),
        );
    }
    addons::on_owner(host, |m| {
        m.members.retain(|other| other.host != member.host);
    });
    match cluster::open(host).await {
        Ok(cluster) => {
            cluster.node_removed(&node).await;
            Output::default()
        }
        Err(problem) => Output::fail(1, format!("{problem}\n")),
    }
}
