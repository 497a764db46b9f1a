//! ACME: accounts with an authority, and how the cluster proves that a domain is its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use stead_sdk::form::{Form as _, Params, Unreadable};
use stead_sdk::value::Sensitive;
use stead_sdk::value::schema::Pattern;
use stead_sdk::{Block, DataSource, Form, Resource};

use crate::rest::Hooks;

const URL: Pattern = Pattern {
    regex: r"https?://\S+",
    form: "a URL",
};

/// An account with an authority that gives certificates by ACME.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_acme_account",
    alias = "proxmox_virtual_environment_acme_account"
)]
pub(crate) struct Account {
    /// Where the authority sends mail; several are separated by commas.
    #[attr(required)]
    #[form(name = "contact", sent)]
    contact: String,
    /// When the account was made.
    #[attr(computed)]
    #[form(name = "account/createdAt")]
    created_at: Option<String>,
    /// The authority's directory; without it that of Let's Encrypt.
    #[attr(optional, replace, pattern(URL))]
    #[form(create, implied = "")]
    directory: Option<String>,
    /// The key of an external account, where the authority wants one.
    #[attr(optional, sensitive, replace, requires("eab_kid"))]
    #[form(create)]
    eab_hmac_key: Option<Sensitive<String>>,
    /// The identifier of an external account, where the authority wants one.
    #[attr(optional, sensitive, replace, requires("eab_hmac_key"))]
    #[form(create)]
    eab_kid: Option<Sensitive<String>>,
    /// The account's address at the authority.
    #[attr(computed)]
    location: Option<String>,
    /// The account's name.
    #[attr(optional, computed, replace, default = "default")]
    #[form(create)]
    name: String,
    /// The terms of service that are agreed to: a URL.
    #[attr(optional, replace)]
    #[form(name = "tos_url", create)]
    tos: Option<String>,
}

impl Hooks for Account {
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let contacts = answer.pointer("/account/contact").and_then(Json::as_array);
        let contacts: Vec<_> = contacts
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .map(|contact| contact.strip_prefix("mailto:").unwrap_or(contact))
            .collect();
        // Some authorities keep it to themselves. The same addresses stay as people wrote them.
        let own: Vec<_> = self.contact.split([',', ';', ' ']).map(str::trim).collect();
        if !contacts.is_empty() && contacts != own {
            self.contact = contacts.join(",");
        }
        Ok(true)
    }
}

/// An account with an authority that gives certificates by ACME.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_acme_account",
    alias = "proxmox_virtual_environment_acme_account"
)]
pub(crate) struct AccountData {
    /// The account as the authority has it.
    #[attr(computed, nested(single))]
    account: Option<AccountState>,
    /// The authority's directory.
    #[attr(computed)]
    directory: String,
    /// The account's address at the authority.
    #[attr(computed)]
    location: String,
    /// The account's name; without it `default`.
    #[attr(optional)]
    #[form(path)]
    name: Option<String>,
    /// The terms of service that were agreed to.
    #[attr(computed)]
    tos: String,
}

/// An account as the authority has it.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct AccountState {
    /// Where the authority sends mail.
    #[attr(computed)]
    contact: Vec<String>,
    /// When the account was made.
    #[attr(computed)]
    #[form(name = "createdAt")]
    created_at: String,
    /// `valid`, or what else has become of it.
    #[attr(computed)]
    status: String,
}

impl Hooks for AccountData {
    fn part(&self, name: &str) -> Option<String> {
        match name {
            "account" => self.text("name").or_else(|| Some("default".to_owned())),
            field => self.text(field),
        }
    }
}

/// The accounts of the cluster.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_acme_accounts",
    alias = "proxmox_virtual_environment_acme_accounts"
)]
pub(crate) struct Accounts {
    /// The accounts' names.
    #[attr(computed)]
    #[form(rows = "name")]
    accounts: BTreeSet<String>,
}

/// A way to prove by DNS that a domain is one's own.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_acme_dns_plugin",
    alias = "proxmox_virtual_environment_acme_dns_plugin"
)]
pub(crate) struct DnsPlugin {
    /// The DNS service, as the server calls it: `cf`, `hetzner`.
    #[attr(required)]
    api: String,
    /// The service's credentials and settings, by the names that the server's documentation has.
    #[attr(optional, secret, conflicts("data_wo"))]
    #[form(with = data)]
    data: Option<BTreeMap<String, String>>,
    /// The same, kept out of the state.
    #[attr(optional, write_only)]
    #[form(name = "data", with = data)]
    data_wo: Option<BTreeMap<String, String>>,
    /// Another number sends `data_wo` anew.
    #[attr(optional, requires("data_wo"))]
    #[form(path)]
    data_wo_version: Option<i64>,
    /// The digest of the server's file of plugins.
    #[attr(optional, computed(unknown_on_change))]
    #[form(read)]
    digest: Option<String>,
    /// Keep the plugin, and do not use it.
    #[attr(optional)]
    #[form(implied = "0")]
    disable: Option<bool>,
    /// The plugin's name.
    #[attr(required, replace)]
    #[form(name = "id", create)]
    plugin: String,
    /// How many seconds to wait for DNS before the authority looks.
    #[attr(optional, computed, default = 30, range(0..=172_800))]
    validation_delay: i64,
}

impl Hooks for DnsPlugin {
    /// A digest that is configured is a condition of the change.
    fn send(&self, prior: Option<&Self>, form: &mut Params) {
        if let (Some(_), Some(digest)) = (prior, &self.digest) {
            form.push(("digest".to_owned(), digest.clone()));
        }
    }

    /// With `data_wo` the state has no data, though the server tells it.
    fn found(&mut self, _answer: &Json) -> Result<bool, Unreadable> {
        if self.data_wo_version.is_some() {
            self.data = None;
        }
        Ok(true)
    }
}

/// A way to prove that a domain is one's own.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_acme_plugin",
    alias = "proxmox_virtual_environment_acme_plugin"
)]
pub(crate) struct PluginData {
    /// The DNS service.
    #[attr(computed)]
    api: Option<String>,
    /// The service's credentials and settings.
    #[attr(computed)]
    #[form(with = data)]
    data: Option<BTreeMap<String, String>>,
    /// The digest of the server's file of plugins.
    #[attr(computed)]
    digest: Option<String>,
    /// The plugin's name.
    #[attr(required)]
    #[form(path)]
    plugin: String,
    /// `dns` or `standalone`.
    #[attr(computed)]
    r#type: String,
    /// How many seconds to wait for DNS before the authority looks.
    #[attr(computed)]
    validation_delay: Option<i64>,
}

/// The ways to prove that a domain is one's own.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_acme_plugins",
    alias = "proxmox_virtual_environment_acme_plugins"
)]
pub(crate) struct Plugins {
    /// The plugins.
    #[attr(computed, nested(list))]
    #[form(rows)]
    plugins: Vec<Plugin>,
}

/// A way to prove that a domain is one's own.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Plugin {
    /// The DNS service.
    #[attr(computed)]
    api: Option<String>,
    /// The service's credentials and settings.
    #[attr(computed)]
    #[form(with = data)]
    data: Option<BTreeMap<String, String>>,
    /// The digest of the server's file of plugins.
    #[attr(computed)]
    digest: Option<String>,
    /// The plugin's name.
    #[attr(computed)]
    plugin: String,
    /// `dns` or `standalone`.
    #[attr(computed)]
    r#type: String,
    /// How many seconds to wait for DNS before the authority looks.
    #[attr(computed)]
    validation_delay: Option<i64>,
}

/// A plugin's data: a line for each setting, in Base64 on the way there and as it is on the way back.
mod data {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{BTreeMap, Json, Unreadable};

    type Data = Option<BTreeMap<String, String>>;

    pub(super) fn write(data: &Data) -> Vec<String> {
        let Some(data) = data.as_ref().filter(|data| !data.is_empty()) else {
            return Vec::new();
        };
        let lines: Vec<_> = data.iter().map(|(k, v)| format!("{k}={v}")).collect();
        vec![STANDARD.encode(lines.join("\n"))]
    }

    pub(super) fn read(prior: Data, found: Option<&Json>) -> Result<Data, Unreadable> {
        let Some(found) = found else {
            return Ok(prior.filter(BTreeMap::is_empty));
        };
        let text = found.as_str().ok_or(Unreadable::new("a text"))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let pairs = lines.map(|line| line.split_once('=').unwrap_or((line, "")));
        let data = pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        Ok(Some(data))
    }
}
