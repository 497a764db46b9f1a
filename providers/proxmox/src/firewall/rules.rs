//! The rules of the cluster, of a node, or of a guest.

use serde_json::Value as Json;
use stead_sdk::form::{Form as _, Params, Unreadable};
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Context, Error, Form, Resource, async_trait};

use crate::client::Client;
use crate::firewall::existing;
use crate::firewall::guest::checksum;
use crate::firewall::level::Level;
use crate::firewall::rule::{self, List, Rule};
use crate::rest::{Existing, Hooks};

/// The rules of the cluster, of a node, or of a guest. There are no others there.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_firewall_rules", legacy)]
pub(crate) struct Rules {
    #[attr(flatten)]
    level: Level,
    /// Made of the place.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// A rule. The first that fits a packet decides.
    #[attr(block(list))]
    #[form(skip)]
    rule: Vec<Rule>,
}

impl Rules {
    fn list<'a>(&self, client: &'a Client, cx: &'a Context) -> List<'a> {
        List {
            client,
            cx,
            path: format!("{}/rules", self.level.path()),
            what: format!("firewall rules of {}", self.level.place()),
        }
    }
}

#[async_trait]
impl Hooks for Rules {
    async fn list(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
        existing::with_rules(client, cx).await
    }

    fn validate(config: &Value) -> Diagnostics {
        rule::validate(config)
    }

    fn part(&self, name: &str) -> Option<String> {
        match name {
            "level" => Some(self.level.path()),
            "place" => Some(self.level.place()),
            "checksum" => Some(checksum("rule", &self.level, "rules")),
            other => self.text(other),
        }
    }

    fn take_part(&mut self, _name: &str, text: &str) -> Result<(), Unreadable> {
        self.level = Level::parse(text)?;
        Ok(())
    }

    /// Rules that somebody else made are not swept away.
    async fn make(&self, client: &Client, _form: &Params, cx: &Context) -> Result<Json, Error> {
        let list = self.list(client, cx);
        if !list.rules().await?.is_empty() {
            let place = self.level.place();
            return Err(
                Error::new(format!("make the {}", list.what), "there are some already")
                    .remedy(format!("Import them as `{place}`, or delete them.")),
            );
        }
        list.become_these(&self.rule).await?;
        Ok(Json::Null)
    }

    async fn alter(
        &self,
        _prior: &Self,
        client: &Client,
        _form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        self.list(client, cx).become_these(&self.rule).await
    }

    fn finish(&mut self) {
        rule::number(&mut self.rule);
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        self.rule = rule::read(answer)?;
        Ok(true)
    }

    async fn remove(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        self.list(client, cx).become_these(&[]).await
    }
}
