//! Names for addresses.

use stead_sdk::form::{Form as _, Params, Unreadable};
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, Error, Form, PlanDraft, Resource, async_trait};

use crate::client::Client;
use crate::firewall::existing;
use crate::firewall::level::{Level, not_of_a_node};
use crate::firewall::{NAME, renamed};
use crate::rest::{Existing, Hooks};

/// A name for an address or network, for use in rules.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_firewall_alias", legacy)]
pub(crate) struct Alias {
    #[attr(flatten)]
    level: Level,
    /// The address or network.
    #[attr(required)]
    #[form(always)]
    cidr: String,
    /// What it is.
    #[attr(optional, default = "")]
    #[form(always)]
    comment: String,
    /// The name.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// The name.
    #[attr(required, pattern(NAME))]
    #[form(create)]
    name: String,
}

#[async_trait]
impl Hooks for Alias {
    async fn list(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
        existing::named(client, cx, "aliases").await
    }

    fn validate(config: &Value) -> Diagnostics {
        not_of_a_node(config, "aliases")
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        renamed(plan)
    }

    fn part(&self, name: &str) -> Option<String> {
        match name {
            "level" => Some(self.level.path()),
            "place" => Some(format!("{}/{}", self.level.place(), self.name)),
            other => self.text(other),
        }
    }

    fn take_part(&mut self, _name: &str, text: &str) -> Result<(), Unreadable> {
        let (place, name) = text.rsplit_once('/').unwrap_or(("cluster", text));
        self.level = Level::parse(place)?;
        self.name = name.to_owned();
        Ok(())
    }

    fn send(&self, prior: Option<&Self>, form: &mut Params) {
        if prior.is_some_and(|prior| prior.name != self.name) {
            form.push(("rename".to_owned(), self.name.clone()));
        }
    }
}
