//! `talos_machine_bootstrap`: the start of a cluster's etcd, once, on one node.

use std::path::Path as File;
use std::time::Instant;

use serde_json::Value as Json;
use stead_sdk::value::{Diagnostics, Path, Value};
use stead_sdk::wait::{Poll, until};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};
use tonic::Code;

use super::apply::{check_client_configuration, plan_endpoint};
use crate::api::machine::EtcdMember;
use crate::blocks::{
    ClientConfiguration, ClientConfigurationWriteOnly, CreateTimeout, check_timeouts,
    effective_client_configuration, timeout_of,
};
use crate::client::Client;
use crate::node::{Api, CallError, Contact, Node, advised, look_at, polling};

/// The published provider's constant.
const ID: &str = "machine_bootstrap";

/// Bootstraps etcd on one control plane node; the others join by themselves.
#[derive(Clone, Debug, Resource)]
#[resource(name = "talos_machine_bootstrap", version = 1)]
pub(crate) struct MachineBootstrap {
    /// A constant.
    #[attr(computed)]
    id: String,
    /// The control plane node to bootstrap.
    #[attr(required)]
    node: String,
    /// The address that is contacted, with an optional port; the node by default.
    #[attr(optional, computed)]
    endpoint: Option<String>,
    /// How to prove who one is to the node.
    #[attr(optional, nested(single))]
    client_configuration: Option<ClientConfiguration>,
    /// The same, never stored.
    #[attr(optional, write_only, nested(single))]
    client_configuration_wo: Option<ClientConfigurationWriteOnly>,
    /// How long the bootstrap may take.
    #[attr(optional, nested(single))]
    timeouts: Option<CreateTimeout>,
}

impl MachineBootstrap {
    async fn bootstrap(&self, client: &Client, config: &Value, cx: &Context) -> Result<(), Error> {
        let identity = effective_client_configuration(self.client_configuration.as_ref(), config)?;
        let timeout = timeout_of(self.timeouts.as_ref().and_then(|t| t.create.as_ref()))?;
        let cx = cx.clone().with_deadline(Instant::now() + timeout);
        let endpoint = self.endpoint.as_deref().filter(|e| !e.is_empty());
        let node = Node::new(
            &client.dialer,
            endpoint.unwrap_or(&self.node),
            &self.node,
            &identity,
        )?;
        bootstrap(client, &node, &cx).await
    }
}

/// Starts the etcd of a node, unless it is a member already, and waits until it is healthy. While a lost control plane is rebuilt,
/// it starts with the data of the snapshot.
pub(crate) async fn bootstrap(client: &Client, node: &Node, cx: &Context) -> Result<(), Error> {
    match &client.recover_from {
        None => {
            let what = format!("{} to be bootstrapped", node.label());
            let done = until(cx, &what, polling(), || attempt(node, cx)).await;
            done.map_err(|error| what_to_do(error, node))?;
        }
        Some(snapshot) => {
            look_at(snapshot).await?;
            let what = format!("{} to be recovered from a snapshot", node.label());
            until(cx, &what, polling(), || {
                attempt_recovery(node, snapshot, cx)
            })
            .await?;
        }
    }
    let what = format!("etcd on {} to be healthy", node.label());
    until(cx, &what, polling(), || is_healthy(node, cx)).await
}

/// What helps a node that could not be bootstrapped in time, where that is plain.
fn what_to_do(error: Error, node: &Node) -> Error {
    let said = error.said();
    let advice = if said.contains(UNCONFIGURED) {
        "Its configuration comes first: have the bootstrap depend on the resource that applies it."
    } else if said.contains("time is not in sync") {
        "Set the machine's clock, and see that it reaches a time server (`machine.time.servers`; `talosctl time`)."
    } else {
        return error;
    };
    let advice = format!("{advice} Nothing was begun on {}.", node.label());
    advised(error, || advice)
}

/// Why a node without a configuration is waited for.
const UNCONFIGURED: &str = "it is in maintenance mode, without a configuration";

/// Plans that a lost cluster begins again: in place, so that a recovery that fails leaves it in the state and can be tried again.
pub(crate) fn plan_recovery(
    client: Option<&Client>,
    draft: &mut PlanDraft,
) -> Result<(), Diagnostics> {
    let snapshot = client.and_then(|client| client.recover_from.as_ref());
    if let (Some(snapshot), false) = (snapshot, draft.is_create()) {
        draft.set_unknown(&Path::root().attr("id"))?;
        draft.note(format!(
            "the cluster begins again with {}",
            snapshot.display()
        ));
    }
    Ok(())
}

/// What stands in the way of talking to a node that should be configured.
async fn configured(node: &Node, cx: &Context) -> Result<Result<Api, String>, Error> {
    Ok(match node.contact(cx).await? {
        Contact::Configured(api) => Ok(api),
        Contact::Maintenance(..) => Err(UNCONFIGURED.to_owned()),
        Contact::Stranger(error) => return Err(error),
        Contact::Away(why) => Err(why),
    })
}

async fn attempt(node: &Node, cx: &Context) -> Result<Poll<()>, Error> {
    let api = match configured(node, cx).await? {
        Ok(api) => api,
        Err(why) => return Ok(Poll::PendingBecause(why)),
    };
    match api.bootstrap().await {
        Ok(()) => Ok(Poll::Ready(())),
        Err(call) if call.code == Code::AlreadyExists => already(node, &api, &call).await,
        // A worker says so, and will not become a control plane node by waiting.
        Err(call) if call.error.said().contains("control plane") => Err(Error::from(call)
            .remedy("Bootstrap one of the control plane nodes.")
            .attribute("node")),
        Err(call) if call.is_final() => Err(call.into()),
        Err(call) => Ok(Poll::PendingBecause(call.reason())),
    }
}

/// Bootstraps from a snapshot. A node whose etcd has data is left alone.
async fn attempt_recovery(node: &Node, snapshot: &File, cx: &Context) -> Result<Poll<()>, Error> {
    let api = match configured(node, cx).await? {
        Ok(api) => api,
        Err(why) => return Ok(Poll::PendingBecause(why)),
    };
    match api.service("etcd").await {
        Ok(Some(etcd)) if etcd.state == "Preparing" => {}
        Ok(Some(etcd)) if etcd.state == "Running" => return Err(has_data(node, "it runs")),
        Ok(Some(etcd)) => {
            let why = format!("etcd is in the state {}", etcd.state);
            return Ok(Poll::PendingBecause(why));
        }
        Ok(None) => return Ok(Poll::PendingBecause("etcd is not there yet".to_owned())),
        Err(call) if call.is_final() => return Err(call.into()),
        Err(call) => return Ok(Poll::PendingBecause(call.reason())),
    }
    cx.progress(format!("giving it the snapshot {}", snapshot.display()));
    let recovered = match api.etcd_recover(snapshot).await {
        Ok(()) => api.bootstrap_recovered().await,
        Err(call) => Err(call),
    };
    match recovered {
        Ok(()) => Ok(Poll::Ready(())),
        Err(call) if call.code == Code::AlreadyExists => Err(has_data(node, &call.reason())),
        Err(call) if call.is_final() => Err(call.into()),
        Err(call) => Ok(Poll::PendingBecause(call.reason())),
    }
}

fn has_data(node: &Node, why: &str) -> Error {
    let asked = format!("recover etcd on {}", node.label());
    Error::new(asked, format!("its etcd has data already: {why}")).remedy(
        "A recovery is for a control plane that is lost. If this one is to go, wipe what etcd has on every control plane node (`talosctl reset --system-labels-to-wipe EPHEMERAL --reboot --graceful=false`), and recover then.",
    )
}

/// etcd has data already: by this bootstrap or an earlier one when the node is a member, else by something else.
async fn already(node: &Node, api: &Api, call: &CallError) -> Result<Poll<()>, Error> {
    let why = |found: &str| Ok(Poll::PendingBecause(format!("{}; {found}", call.reason())));
    let members = match api.etcd_members().await {
        Ok(members) => members,
        Err(call) if call.is_final() => return Err(call.into()),
        Err(call) => return why(&format!("its etcd does not answer: {}", call.reason())),
    };
    let hostname = match api.hostname().await {
        Ok(hostname) => hostname,
        Err(call) if call.is_final() => return Err(call.into()),
        Err(call) => return why(&call.reason()),
    };
    if members.iter().any(|m| is_member(m, &hostname, node.name())) {
        return Ok(Poll::Ready(()));
    }
    why("the node is no member of etcd")
}

/// Whether an etcd member is this node.
pub(crate) fn is_member(member: &EtcdMember, hostname: &str, address: &str) -> bool {
    let by_name = !hostname.is_empty() && member.hostname == hostname;
    let urls = member.peer_urls.iter().chain(&member.client_urls);
    by_name || urls.into_iter().any(|url| url_host(url) == Some(address))
}

/// The host of `https://host:port`.
pub(crate) fn url_host(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    }
}

async fn is_healthy(node: &Node, cx: &Context) -> Result<Poll<()>, Error> {
    let api = match configured(node, cx).await? {
        Ok(api) => api,
        Err(why) => return Ok(Poll::PendingBecause(why)),
    };
    match api.service("etcd").await {
        Ok(service) => Ok(match crate::data::ailment("etcd", service.as_ref()) {
            None => Poll::Ready(()),
            Some(why) => Poll::PendingBecause(why),
        }),
        Err(call) if call.is_final() => Err(call.into()),
        Err(call) => Ok(Poll::PendingBecause(call.reason())),
    }
}

#[async_trait]
impl Resource for MachineBootstrap {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let mut found = check_timeouts(config);
        found.extend(check_client_configuration(config));
        found
    }

    async fn plan(
        client: Option<&Client>,
        draft: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        plan_endpoint(draft)?;
        plan_recovery(client, draft)
    }

    async fn create(
        client: &Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        planned.bootstrap(client, config, cx).await?;
        Ok(MachineBootstrap {
            id: ID.to_owned(),
            ..planned
        })
    }

    /// A bootstrap is an event: there is nothing to look at afterwards.
    async fn read(_client: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    /// A cluster is bootstrapped once, whatever changes here, unless it is recovered.
    async fn update(
        client: &Client,
        _prior: Self,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        if client.recover_from.is_some() {
            planned.bootstrap(client, config, cx).await?;
        }
        Ok(MachineBootstrap {
            id: ID.to_owned(),
            ..planned
        })
    }

    async fn delete(_client: &Client, _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }

    /// Any identifier stands for a cluster that is bootstrapped already.
    async fn import(_client: &Client, _id: &str, _cx: &Context) -> Result<Self, Error> {
        Ok(MachineBootstrap {
            id: ID.to_owned(),
            node: String::new(),
            endpoint: None,
            client_configuration: None,
            client_configuration_wo: None,
            timeouts: None,
        })
    }

    /// Version 0 kept a talosconfig, which the next apply replaces by the configured client configuration.
    fn upgrade(_version: u64, mut attributes: Json) -> Result<Json, Error> {
        if let Some(object) = attributes.as_object_mut() {
            object.insert("id".to_owned(), ID.into());
        }
        Ok(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_known_by_name_or_address() {
        let member = EtcdMember {
            hostname: "cp-1".to_owned(),
            peer_urls: vec!["https://10.0.0.2:2380".to_owned()],
            client_urls: vec!["https://[fd00::2]:2379".to_owned()],
            ..EtcdMember::default()
        };
        assert!(is_member(&member, "cp-1", "elsewhere"));
        assert!(is_member(&member, "", "10.0.0.2"));
        assert!(is_member(&member, "", "fd00::2"));
        assert!(!is_member(&member, "cp-2", "10.0.0.3"));
        assert!(!is_member(&EtcdMember::default(), "", ""));
    }
}
