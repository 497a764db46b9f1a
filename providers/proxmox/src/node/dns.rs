//! The name servers that a node asks.

use serde_json::Value as Json;
use stead_sdk::form::{Params, Unreadable};
use stead_sdk::{Context, Error, Form, Resource, async_trait};

use crate::client::{Client, text};
use crate::rest::Hooks;

/// The name servers that a node asks. They stay as they are when this is destroyed.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_dns", legacy)]
pub(crate) struct Dns {
    /// The domain of names that have none.
    #[attr(required)]
    #[form(name = "search", always)]
    domain: String,
    /// `NODE_dns`.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// The node.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// The addresses of the servers, in the order in which they are asked.
    #[attr(optional, length(..=3))]
    #[form(skip)]
    servers: Vec<String>,
}

const SERVERS: [&str; 3] = ["dns1", "dns2", "dns3"];

#[async_trait]
impl Hooks for Dns {
    /// All of them, every time: the server writes its file anew.
    fn send(&self, _prior: Option<&Self>, form: &mut Params) {
        let servers = SERVERS.iter().zip(&self.servers);
        form.extend(servers.map(|(name, server)| ((*name).to_owned(), server.clone())));
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let servers = SERVERS.iter().filter_map(|name| text(answer, name));
        self.servers = servers.filter(|server| !server.is_empty()).collect();
        Ok(true)
    }

    async fn remove(&self, _client: &Client, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}
