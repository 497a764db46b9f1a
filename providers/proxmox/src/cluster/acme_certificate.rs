//! Certificates that a node orders by ACME: its account and domains, which are in the node's configuration, and what came of them.

use reqwest::Method;
use serde_json::{Value as Json, json};
use stead_sdk::form::{Form as _, FormValue as _, Params, Style, Unreadable};
use stead_sdk::{Block, Context, Error, Form, Resource};

use crate::access::expiry;
use crate::client::{Client, number, params, text};
use crate::rest::Hooks;
use crate::rest::object::{doing, get};

/// The certificate that the web interface shows when somebody gave it one.
const CUSTOM: &str = "pveproxy-ssl.pem";

/// A certificate that a node orders by ACME and shows.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_acme_certificate",
    alias = "proxmox_virtual_environment_acme_certificate"
)]
pub(crate) struct Certificate {
    /// The ACME account.
    #[attr(required)]
    account: String,
    /// The certificate as PEM.
    #[attr(computed(unknown_on_change))]
    certificate: Option<String>,
    /// The domains, and how each is proven to be one's own.
    #[attr(required, nested(list), length(1..))]
    domains: Vec<Domain>,
    /// The fingerprint.
    #[attr(computed(unknown_on_change))]
    fingerprint: Option<String>,
    /// Order a new one with every change of this resource.
    #[attr(optional, computed, default = false)]
    #[form(path)]
    force: bool,
    /// The node's name.
    #[attr(computed)]
    id: String,
    /// Who gave it.
    #[attr(computed(unknown_on_change))]
    issuer: Option<String>,
    /// The node.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// Until when it is good.
    #[attr(computed(unknown_on_change))]
    not_after: Option<String>,
    /// From when on it is good.
    #[attr(computed(unknown_on_change))]
    not_before: Option<String>,
    /// Whom it is for.
    #[attr(computed(unknown_on_change))]
    subject: Option<String>,
    /// The names that it is good for.
    #[attr(computed(unknown_on_change))]
    subject_alternative_names: Option<Vec<String>>,
}

/// A domain of a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Block, Form)]
pub(crate) struct Domain {
    /// Another domain, which the proof is done for in its place.
    #[attr(optional)]
    alias: Option<String>,
    /// The domain.
    #[attr(required)]
    #[form(bare)]
    domain: String,
    /// The DNS plugin of the proof; without it the node answers on port 80 itself.
    #[attr(optional)]
    plugin: Option<String>,
}

/// How many domains with a plugin a node has places for.
const PLACES: usize = 6;

impl Certificate {
    /// Domains that the node proves itself, and those with a plugin.
    fn sorted(&self) -> (Vec<&str>, Vec<&Domain>) {
        let (by_plugin, alone): (Vec<_>, Vec<_>) =
            self.domains.iter().partition(|d| d.plugin.is_some());
        (alone.iter().map(|d| d.domain.as_str()).collect(), by_plugin)
    }

    /// Account and domains as the node's configuration has them.
    fn config(&self) -> Result<Params, Error> {
        let (alone, by_plugin) = self.sorted();
        if by_plugin.len() > PLACES {
            let said = format!("a node has room for {PLACES} domains with a plugin");
            return Err(Error::new(doing("order", self), said).attribute("domains"));
        }
        let mut acme = format!("account={}", self.account);
        if !alone.is_empty() {
            acme.push_str(&format!(",domains={}", alone.join(";")));
        }
        let mut form = params([("acme", acme)]);
        for (place, domain) in by_plugin.into_iter().enumerate() {
            let value = domain.write(Style::PLAIN).concat();
            form.push((format!("acmedomain{place}"), value));
        }
        Ok(form)
    }

    /// Writes account and domains to the node's configuration; places that `prior` had and this has not are cleared.
    async fn configure(
        &self,
        prior: Option<&Self>,
        client: &Client,
        cx: &Context,
    ) -> Result<(), Error> {
        let mut form = self.config()?;
        let used = self.sorted().1.len();
        let before = prior.map_or(0, |prior| prior.sorted().1.len());
        let unused: Vec<_> = (used..before).map(|n| format!("acmedomain{n}")).collect();
        if !unused.is_empty() {
            form.push(("delete".to_owned(), unused.join(",")));
        }
        self.put_config(&doing("configure", self), client, &form, cx)
            .await
    }

    async fn put_config(
        &self,
        what: &str,
        client: &Client,
        form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        let path = format!("/nodes/{}/config", self.node_name);
        client.change(cx, Method::PUT, what, &path, form).await?;
        Ok(())
    }

    async fn order(&self, force: bool, client: &Client, cx: &Context) -> Result<Json, Error> {
        let path = format!("/nodes/{}/certificates/acme/certificate", self.node_name);
        let form = params([("force", i32::from(force).to_string())]);
        client
            .change_and_wait(cx, Method::POST, &doing("order", self), &path, &form)
            .await
    }

    /// The domains of a node's configuration, in our own order where they are the same.
    fn domains_of(&self, config: &Json) -> Result<Vec<Domain>, Unreadable> {
        let mut found = Vec::new();
        let acme = text(config, "acme").unwrap_or_default();
        let acme = crate::property::Properties::parse(&acme, "account");
        let alone = acme.get("domains").unwrap_or_default().split(';');
        found.extend(alone.filter(|d| !d.is_empty()).map(|domain| Domain {
            alias: None,
            domain: domain.to_owned(),
            plugin: None,
        }));
        for place in 0..PLACES {
            if let Some(domain) = config.get(format!("acmedomain{place}")) {
                found.push(Domain::read(Domain::blank(), domain, Style::PLAIN)?);
            }
        }
        let same = found.len() == self.domains.len();
        if same && found.iter().all(|d| self.domains.contains(d)) {
            return Ok(self.domains.clone());
        }
        Ok(found)
    }
}

#[stead_sdk::async_trait]
impl Hooks for Certificate {
    async fn make(&self, client: &Client, _form: &Params, cx: &Context) -> Result<Json, Error> {
        self.configure(None, client, cx).await?;
        self.order(self.force, client, cx).await
    }

    async fn alter(
        &self,
        prior: &Self,
        client: &Client,
        _form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        let changed = self.account != prior.account || self.domains != prior.domains;
        if changed {
            self.configure(Some(prior), client, cx).await?;
        }
        if changed || self.force {
            // The one that is there is to be replaced.
            self.order(true, client, cx).await?;
        }
        Ok(())
    }

    /// The node's certificate and its configuration, by the names of the fields.
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let what = doing("read", self);
        let all = get(self, client, &Params::new(), cx).await?;
        let own = all.as_array().into_iter().flatten();
        let own = own
            .into_iter()
            .find(|c| text(c, "filename").as_deref() == Some(CUSTOM));
        let Some(own) = own else {
            return Err(Error::not_found(
                what,
                "the node has no certificate of its own",
            ));
        };
        let path = format!("/nodes/{}/config", self.node_name);
        let config = client.get(cx, &what, &path, &Params::new()).await?;
        let acme = text(&config, "acme").unwrap_or_default();
        let account = crate::property::Properties::parse(&acme, "account");
        let wrong = |e: Unreadable| Error::new(what.clone(), e.to_string());
        let domains = self.domains_of(&config).map_err(wrong)?;
        let domains = domains
            .iter()
            .map(|d| json!({ "domain": d.domain, "alias": d.alias, "plugin": d.plugin }));
        let date = |name: &str| number(own, name).map(expiry::date).transpose();
        Ok(json!({
            "account": account.get("account").unwrap_or("default"),
            "domains": domains.collect::<Vec<_>>(),
            "certificate": own.get("pem"),
            "fingerprint": own.get("fingerprint"),
            "issuer": own.get("issuer"),
            "subject": own.get("subject"),
            "subject-alternative-names": own.get("san"),
            "not-after": date("notafter").map_err(wrong)?,
            "not-before": date("notbefore").map_err(wrong)?,
        }))
    }

    async fn remove(&self, client: &Client, cx: &Context) -> Result<(), Error> {
        let path = format!("/nodes/{}/certificates/acme/certificate", self.node_name);
        let what = doing("delete", self);
        let deleted = client
            .change_and_wait(cx, Method::DELETE, &what, &path, &Params::new())
            .await;
        match deleted {
            Err(e) if e.said().contains("No current (custom) certificate found") => {}
            other => drop(other?),
        }
        let own = self.config()?.into_iter().map(|(name, _)| name);
        let own = own.collect::<Vec<_>>().join(",");
        let form = params([("delete", own)]);
        self.put_config(&what, client, &form, cx).await
    }
}
