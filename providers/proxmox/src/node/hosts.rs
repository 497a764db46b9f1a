//! The names that a node knows by itself.

use serde_json::Value as Json;
use stead_sdk::form::{Params, Unreadable};
use stead_sdk::{Block, Context, Error, Form, Resource, async_trait};

use crate::client::{Client, text};
use crate::rest::{Hooks, object};

/// The names that a node knows by itself: `/etc/hosts`. They stay as they are when this is destroyed.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_hosts", legacy)]
pub(crate) struct Hosts {
    /// The addresses, in the order of the file.
    #[attr(computed(unknown_on_change))]
    #[form(skip)]
    addresses: Vec<String>,
    /// Changes with the file.
    #[attr(computed(unknown_on_change))]
    digest: String,
    /// The lines of the file.
    #[attr(computed(unknown_on_change), object)]
    #[form(skip)]
    entries: Vec<Entry>,
    /// The names of each address.
    #[attr(computed(unknown_on_change))]
    #[form(skip)]
    hostnames: Vec<Vec<String>>,
    /// `NODE_hosts`.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// The node.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// A line of the file. There are no others.
    #[attr(block(list, min = 1))]
    #[form(skip)]
    entry: Vec<Entry>,
}

/// An address and its names.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Entry {
    /// The address.
    #[attr(required)]
    address: String,
    /// Its names.
    #[attr(required, length(1..))]
    hostnames: Vec<String>,
}

impl Entry {
    /// A line of the file, unless it says nothing.
    fn parse(line: &str) -> Option<Entry> {
        let line = line.split_once('#').map_or(line, |(before, _)| before);
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Entry {
            address: words.next()?,
            hostnames: words.collect(),
        })
    }
}

#[async_trait]
impl Hooks for Hosts {
    /// A file that somebody else has written in between is not overwritten.
    fn send(&self, prior: Option<&Self>, form: &mut Params) {
        let line = |e: &Entry| format!("{} {}\n", e.address, e.hostnames.join(" "));
        form.push(("data".to_owned(), self.entry.iter().map(line).collect()));
        let digest = prior.map(|p| &p.digest).filter(|d| !d.is_empty());
        form.extend(digest.map(|digest| ("digest".to_owned(), digest.clone())));
    }

    async fn alter(
        &self,
        _prior: &Self,
        client: &Client,
        form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        object::make(self, client, form, cx).await.map(|_| ())
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let file = text(answer, "data").unwrap_or_default();
        self.entry = file.lines().filter_map(Entry::parse).collect();
        self.entries = self.entry.clone();
        self.addresses = self.entry.iter().map(|e| e.address.clone()).collect();
        self.hostnames = self.entry.iter().map(|e| e.hostnames.clone()).collect();
        Ok(true)
    }

    async fn remove(&self, _client: &Client, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}
