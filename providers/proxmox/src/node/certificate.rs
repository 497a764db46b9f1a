//! The certificate that a node's web server shows.

use serde_json::Value as Json;
use stead_sdk::form::{Params, Unreadable};
use stead_sdk::value::Sensitive;
use stead_sdk::{Context, Error, Form, Resource, async_trait};

use crate::client::{Client, text};
use crate::rest::codec::moment;
use crate::rest::{Hooks, object};

/// The certificate that a node's web server shows in place of its own.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_certificate", legacy)]
pub(crate) struct Certificate {
    /// The certificate, in PEM.
    #[attr(required)]
    #[form(skip)]
    certificate: String,
    /// The certificates of the authorities that have signed it, in PEM.
    #[attr(optional, default = "")]
    #[form(skip)]
    certificate_chain: String,
    /// Until when it is valid.
    #[attr(computed(unknown_on_change))]
    #[form(name = "notafter", with = moment)]
    expiration_date: String,
    /// The file on the node.
    #[attr(computed)]
    #[form(name = "filename")]
    file_name: String,
    /// `NODE_certificate`.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// Who has signed it.
    #[attr(computed(unknown_on_change))]
    issuer: String,
    /// The node.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// Replace a certificate that somebody else has put there.
    #[attr(optional, default = false)]
    #[form(skip)]
    overwrite: bool,
    /// The certificate's private key, in PEM.
    #[attr(required, sensitive)]
    #[form(skip)]
    private_key: Sensitive<String>,
    /// The bits of its key.
    #[attr(computed(unknown_on_change))]
    #[form(name = "public-key-bits")]
    public_key_size: i64,
    /// The type of its key.
    #[attr(computed(unknown_on_change))]
    #[form(name = "public-key-type")]
    public_key_type: String,
    /// Its fingerprint.
    #[attr(computed(unknown_on_change))]
    #[form(name = "fingerprint")]
    ssl_fingerprint: String,
    /// Since when it is valid.
    #[attr(computed(unknown_on_change))]
    #[form(name = "notbefore", with = moment)]
    start_date: String,
    /// Whom it is for.
    #[attr(computed(unknown_on_change))]
    subject: String,
    /// The names that it is valid for.
    #[attr(computed(unknown_on_change))]
    #[form(name = "san")]
    subject_alternative_names: Vec<String>,
}

/// What the node's web server shows instead of its own, if it is there.
const FILE: &str = "pveproxy-ssl.pem";

impl Certificate {
    /// The certificate and those that have signed it, as one text.
    fn whole(&self) -> String {
        let parts = [&self.certificate, &self.certificate_chain];
        let parts = parts.map(|part| part.trim());
        let parts = parts.iter().filter(|part| !part.is_empty());
        parts.map(|part| format!("{part}\n")).collect()
    }
}

#[async_trait]
impl Hooks for Certificate {
    fn send(&self, prior: Option<&Self>, form: &mut Params) {
        let force = self.overwrite || prior.is_some();
        let mut add = |name: &str, value: String| form.push((name.to_owned(), value));
        add("certificates", self.whole());
        add("key", self.private_key.expose_secret().clone());
        add("force", i32::from(force).to_string());
        add("restart", "1".to_owned());
    }

    async fn alter(
        &self,
        prior: &Self,
        client: &Client,
        form: &Params,
        cx: &Context,
    ) -> Result<(), Error> {
        let is_same_key = prior.private_key.expose_secret() == self.private_key.expose_secret();
        if is_same_key && prior.whole() == self.whole() {
            return Ok(());
        }
        object::make(self, client, form, cx).await.map(|_| ())
    }

    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let what = object::doing("read", self);
        let node = crate::property::percent_encode(&self.node_name);
        let path = format!("/nodes/{node}/certificates/info");
        let all = client.get(cx, &what, &path, &Params::new()).await?;
        let mut all = all.as_array().into_iter().flatten();
        let own = all.find(|c| text(c, "filename").as_deref() == Some(FILE));
        own.cloned().ok_or_else(|| {
            Error::not_found(what, "the node shows the certificate that it made itself")
        })
    }

    /// What the node has stays divided as people wrote it.
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let pem = text(answer, "pem").unwrap_or_default();
        if !pem.is_empty() && pem.trim() != self.whole().trim() {
            self.certificate = pem;
            self.certificate_chain = String::new();
        }
        let kinds = ["ecdsa", "rsa", "dsa"].into_iter();
        let kind = kinds
            .into_iter()
            .find(|kind| self.public_key_type.contains(kind));
        if let Some(kind) = kind {
            self.public_key_type = kind.to_owned();
        }
        Ok(true)
    }

    fn removal(&self) -> Params {
        vec![("restart".to_owned(), "1".to_owned())]
    }
}
