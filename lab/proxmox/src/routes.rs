//! The table of what is simulated: method to function. What is not here is answered 501 by name.

use std::sync::Arc;

use serde_json::Value;

use crate::access::Caller;
use crate::error::ApiError;
use crate::schema::check::Params;
use crate::storage::sums::Sums;
use crate::{Proxmox, access, cluster, mapping, node, pools, qemu, storage, task};

/// A request that passed privileges and parameter checks.
pub(crate) struct Call {
    pub(crate) verb: String,
    /// As the contract writes it: `/nodes/{node}/qemu`.
    pub(crate) path: String,
    pub(crate) caller: Caller,
    pub(crate) params: Params,
    pub(crate) upload: Option<Upload>,
}

/// A file that came with a request: not its bytes, but what is to be known of them.
pub(crate) struct Upload {
    pub(crate) filename: String,
    pub(crate) size: u64,
    /// The first bytes, enough for an image's label.
    pub(crate) head: Vec<u8>,
    pub(crate) sums: Sums,
}

/// What a call answers.
pub(crate) struct Reply {
    pub(crate) data: Value,
    pub(crate) total: Option<usize>,
}

impl From<Value> for Reply {
    fn from(data: Value) -> Reply {
        Reply { data, total: None }
    }
}

impl Call {
    pub(crate) fn node(&self) -> &str {
        self.params.text("node")
    }

    /// The VM in the path.
    pub(crate) fn vmid(&self) -> u32 {
        self.params.text("vmid").parse().unwrap_or_default()
    }
}

pub(crate) async fn route(px: &Arc<Proxmox>, call: Call) -> Result<Reply, ApiError> {
    let path = call.path.clone();
    let verb = call.verb.clone();
    match (verb.as_str(), path.as_str()) {
        ("GET", "/nodes/{node}/tasks") => {
            return Ok(task::list(&px.state(), &call, Some(call.node())));
        }
        ("GET", "/nodes/{node}/tasks/{upid}/log") => return task::log(&px.state(), &call),
        _ => {}
    }
    let answer = match (verb.as_str(), path.as_str()) {
        ("GET", "/version") => Ok(cluster::version()),
        ("GET", "/cluster/resources") => Ok(cluster::resources(&px.state(), &call)),
        ("GET", "/cluster/nextid") => cluster::nextid(&px.state(), &call),
        ("GET", "/cluster/status") => Ok(cluster::status(&px.state())),
        ("GET", "/cluster/options") => Ok(cluster::options()),
        ("GET", "/cluster/tasks") => Ok(task::list(&px.state(), &call, None).data),
        ("GET", "/cluster/ha/resources") => Ok(Value::Array(Vec::new())),

        ("POST", "/access/ticket") => access::api::ticket(px, &call).await,
        ("GET", "/access/users") => Ok(access::api::users(&px.state(), &call)),
        ("POST", "/access/users") => access::api::add_user(&mut px.state(), &call),
        ("DELETE", "/access/users/{userid}") => access::api::remove_user(&mut px.state(), &call),
        ("GET", "/access/users/{userid}/token") => access::api::tokens(&px.state(), &call),
        ("GET", "/access/users/{userid}/token/{tokenid}") => access::api::token(&px.state(), &call),
        ("POST", "/access/users/{userid}/token/{tokenid}") => {
            access::api::add_token(&mut px.state(), &call)
        }
        ("DELETE", "/access/users/{userid}/token/{tokenid}") => {
            access::api::remove_token(&mut px.state(), &call)
        }
        ("GET", "/access/roles") => Ok(access::api::roles(&px.state())),
        ("GET", "/access/roles/{roleid}") => access::api::role(&px.state(), &call),
        ("POST", "/access/roles") => access::api::add_role(&mut px.state(), &call),
        ("DELETE", "/access/roles/{roleid}") => access::api::remove_role(&mut px.state(), &call),
        ("GET", "/access/acl") => Ok(access::api::acl(&px.state(), &call)),
        ("PUT", "/access/acl") => access::api::change_acl(&mut px.state(), &call),
        ("GET", "/access/permissions") => access::api::permissions(&px.state(), &call),

        ("GET", "/cluster/mapping/pci") => mapping::list(&px.state(), &call),
        ("POST", "/cluster/mapping/pci") => mapping::create(px, &call),
        ("GET", "/cluster/mapping/pci/{id}") => mapping::read(&px.state(), &call),
        ("PUT", "/cluster/mapping/pci/{id}") => mapping::update(px, &call),
        ("DELETE", "/cluster/mapping/pci/{id}") => mapping::delete(&mut px.state(), &call),

        ("GET", "/pools") => pools::list(&px.state(), &call),
        ("POST", "/pools") => pools::create(&mut px.state(), &call),
        ("PUT", "/pools" | "/pools/{poolid}") => pools::update(&mut px.state(), &call),
        ("DELETE", "/pools" | "/pools/{poolid}") => pools::delete(&mut px.state(), &call),
        ("GET", "/pools/{poolid}") => pools::read(&px.state(), &call),

        ("GET", "/storage") => Ok(storage::api::definitions(&px.state(), &call)),
        ("GET", "/storage/{storage}") => storage::api::definition(&px.state(), &call),
        ("PUT", "/storage/{storage}") => storage::api::redefine(&mut px.state(), &call),
        ("GET", "/nodes/{node}/storage") => storage::api::list(&px.state(), &call),
        ("GET", "/nodes/{node}/storage/{storage}/status") => {
            storage::api::status(&px.state(), &call)
        }
        ("GET", "/nodes/{node}/storage/{storage}/content") => {
            storage::content::list(&px.state(), &call)
        }
        ("POST", "/nodes/{node}/storage/{storage}/content") => {
            storage::content::allocate(&mut px.state(), &call)
        }
        ("GET", "/nodes/{node}/storage/{storage}/content/{volume}") => {
            storage::content::read(&px.state(), &call)
        }
        ("DELETE", "/nodes/{node}/storage/{storage}/content/{volume}") => {
            storage::content::delete(px, &call).await
        }
        ("POST", "/nodes/{node}/storage/{storage}/download-url") => {
            storage::download::start(px, &call).await
        }
        ("GET", "/nodes/{node}/query-url-metadata") => storage::download::metadata(px, &call).await,
        ("POST", storage::upload::PATH) => storage::upload::finish(px, call).await,

        ("GET", "/nodes") => Ok(node::list(&px.state(), &call)),
        ("GET", "/nodes/{node}/status") => node::status(&px.state(), &call),
        ("GET", "/nodes/{node}/version") => Ok(cluster::version()),
        ("GET", "/nodes/{node}/network") => node::network(&px.state(), &call),
        ("GET", "/nodes/{node}/network/{iface}") => node::interface(&px.state(), &call),
        ("GET", "/nodes/{node}/dns") => node::dns(&px.state(), &call),
        ("GET", "/nodes/{node}/time") => Ok(node::time()),
        ("GET", "/nodes/{node}/hardware/pci") => node::pci(&px.state(), &call),
        ("GET", "/nodes/{node}/tasks/{upid}/status") => task::status(&px.state(), &call),

        ("GET", "/nodes/{node}/qemu") => Ok(qemu::status::list(&px.state(), &call)),
        ("POST", "/nodes/{node}/qemu") => qemu::create::create(px, call).await,
        ("DELETE", "/nodes/{node}/qemu/{vmid}") => qemu::destroy::destroy(px, call).await,
        ("GET", "/nodes/{node}/qemu/{vmid}/config") => qemu::config::read(px, &call),
        ("PUT", "/nodes/{node}/qemu/{vmid}/config") => qemu::update::now(px, call).await,
        ("POST", "/nodes/{node}/qemu/{vmid}/config") => qemu::update::in_task(px, call).await,
        ("GET", "/nodes/{node}/qemu/{vmid}/pending") => qemu::config::pending(px, &call),
        ("GET", "/nodes/{node}/qemu/{vmid}/cloudinit") => {
            qemu::cloudinit::pending(&px.state(), &call)
        }
        ("PUT", "/nodes/{node}/qemu/{vmid}/cloudinit") => {
            qemu::cloudinit::regenerate(&px.state(), &call)
        }
        ("GET", "/nodes/{node}/qemu/{vmid}/cloudinit/dump") => {
            qemu::cloudinit::dump(&px.state(), &call)
        }
        ("PUT", "/nodes/{node}/qemu/{vmid}/resize") => qemu::disk::resize(px, call).await,
        ("POST", "/nodes/{node}/qemu/{vmid}/move_disk") => qemu::disk::relocate(px, call).await,
        ("POST", "/nodes/{node}/qemu/{vmid}/clone") => qemu::clone::clone(px, call).await,
        ("POST", "/nodes/{node}/qemu/{vmid}/template") => qemu::clone::template(px, call).await,
        ("GET", "/nodes/{node}/qemu/{vmid}/status/current") => {
            qemu::status::current(&px.state(), &call)
        }
        ("POST", "/nodes/{node}/qemu/{vmid}/status/start") => qemu::power::start(px, call).await,
        ("POST", "/nodes/{node}/qemu/{vmid}/status/stop") => qemu::power::stop(px, call).await,
        ("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown") => {
            qemu::power::shutdown(px, call).await
        }
        ("POST", "/nodes/{node}/qemu/{vmid}/status/reboot") => qemu::power::reboot(px, call).await,
        ("POST", "/nodes/{node}/qemu/{vmid}/status/reset") => qemu::power::reset(px, call).await,
        ("GET", "/nodes/{node}/qemu/{vmid}/agent/network-get-interfaces") => {
            qemu::agent::interfaces(px, &call).await
        }
        ("GET", "/nodes/{node}/qemu/{vmid}/agent/info") => qemu::agent::info(px, &call).await,
        ("POST", "/nodes/{node}/qemu/{vmid}/agent/ping") => qemu::agent::ping(px, &call).await,
        ("GET", "/nodes/{node}/lxc") => Ok(Value::Array(Vec::new())),
        _ => Err(ApiError::not_implemented(
            &verb,
            &path.replace("{node}", call.node()),
        )),
    };
    answer.map(Reply::from)
}
