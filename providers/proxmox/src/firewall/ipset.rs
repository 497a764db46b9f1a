//! Sets of addresses and networks.

use reqwest::Method;
use serde_json::{Value as Json, json};
use stead_sdk::form::{Form as _, FormValue, Params, Style, Unreadable};
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{Block, Context, Error, Form, PlanDraft, Resource, async_trait};

use crate::client::{Client, params, text};
use crate::firewall::existing;
use crate::firewall::level::{Level, not_of_a_node};
use crate::firewall::{NAME, renamed};
use crate::guest::keep_order;
use crate::property::percent_encode;
use crate::rest::{Existing, Hooks, object};

/// A set of addresses and networks, for use in rules as `+NAME`.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_firewall_ipset", legacy)]
pub(crate) struct IpSet {
    #[attr(flatten)]
    level: Level,
    /// What the set is for.
    #[attr(optional, default = "")]
    comment: String,
    /// The name.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// The name.
    #[attr(required, pattern(NAME))]
    #[form(create)]
    name: String,
    /// A member. Their order says nothing.
    #[attr(block(list))]
    #[form(skip)]
    cidr: Vec<Member>,
}

/// An address or network of a set.
#[derive(Clone, Debug, Default, PartialEq, Block, Form)]
#[block(legacy)]
pub(crate) struct Member {
    /// What it is.
    #[attr(optional, default = "")]
    comment: String,
    /// The address, network or alias.
    #[attr(required)]
    #[form(name = "cidr")]
    name: String,
    /// Leave it out of the set, of which it would be a part otherwise.
    #[attr(optional, default = false)]
    #[form(unless_default)]
    nomatch: bool,
}

impl IpSet {
    fn sets(&self) -> String {
        format!("{}/ipset", self.level.path())
    }
}

#[async_trait]
impl Hooks for IpSet {
    async fn list(client: &Client, cx: &Context) -> Result<Vec<Existing>, Error> {
        existing::named(client, cx, "ipset").await
    }

    fn validate(config: &Value) -> Diagnostics {
        not_of_a_node(config, "IP sets")
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        // The server sorts members: another order is no change.
        keep_order(plan, "cidr", |member| {
            let name = member.get("name")?;
            name.as_str().map(str::to_owned)
        })?;
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

    /// Name and comment are set in the same way: an existing set is "renamed".
    async fn alter(
        &self,
        prior: &Self,
        client: &Client,
        _form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        if (&prior.name, &prior.comment) == (&self.name, &self.comment) {
            return Ok(());
        }
        let form = params([
            ("name", self.name.clone()),
            ("rename", prior.name.clone()),
            ("comment", self.comment.clone()),
        ]);
        let what = object::doing("change", prior);
        client
            .change(cx, Method::POST, &what, &self.sets(), &form)
            .await?;
        Ok(())
    }

    async fn complement(
        &self,
        prior: Option<&Self>,
        client: &Client,
        cx: &Context,
    ) -> Result<(), Error> {
        let before = prior.map(|p| p.cidr.as_slice()).unwrap_or_default();
        let set = format!("{}/{}", self.sets(), percent_encode(&self.name));
        let item = |member: &Member| format!("{set}/{}", percent_encode(&member.name));
        let what = |verb: &str, member: &Member| {
            format!("{verb} {} of the IP set {}", member.name, self.name)
        };
        let is_in = |members: &[Member], name: &str| members.iter().any(|m| m.name == name);
        for member in before.iter().filter(|m| !is_in(&self.cidr, &m.name)) {
            let what = what("remove", member);
            let gone = client
                .change(cx, Method::DELETE, &what, &item(member), &Params::new())
                .await;
            match gone {
                Err(e) if !e.is_not_found() => return Err(e),
                _ => {}
            }
        }
        for member in self.cidr.iter().filter(|m| !before.contains(m)) {
            if is_in(before, &member.name) {
                let form = params([
                    ("comment", member.comment.clone()),
                    ("nomatch", i32::from(member.nomatch).to_string()),
                ]);
                let what = what("change", member);
                client
                    .change(cx, Method::PUT, &what, &item(member), &form)
                    .await?;
            } else {
                let (what, form) = (what("add", member), member.creation());
                client.change(cx, Method::POST, &what, &set, &form).await?;
            }
        }
        Ok(())
    }

    /// The set's members are in its item, its comment only in the list of all.
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let what = object::doing("read", self);
        let sets = client.get(cx, &what, &self.sets(), &Params::new()).await?;
        let mut sets = sets.as_array().into_iter().flatten();
        let set = sets.find(|s| text(s, "name").as_deref() == Some(&self.name));
        let set = set.ok_or_else(|| Error::not_found(&what, "there is no such set"))?;
        let members = object::fetch(self, client, cx).await?;
        let comment = text(set, "comment").unwrap_or_default();
        Ok(json!({ "name": self.name, "comment": comment, "members": members }))
    }

    /// The same members stay in the order in which people wrote them.
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let members = answer.get("members").unwrap_or(&Json::Null);
        let found = Vec::<Member>::read(Vec::new(), members, Style::PLAIN)?;
        let is_same = self.cidr.len() == found.len() && found.iter().all(|m| self.cidr.contains(m));
        if !is_same {
            self.cidr = found;
        }
        Ok(true)
    }

    fn removal(&self) -> Params {
        params([("force", "1".to_owned())])
    }
}
