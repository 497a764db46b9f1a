//! Storages on a Proxmox Backup Server.

use serde_json::Value as Json;
use stead_sdk::form::Unreadable;
use stead_sdk::value::Sensitive;
use stead_sdk::{Form, Resource};

use crate::client::{Params, text};
use crate::rest::Hooks;
use crate::storage::{Backups, Common};

/// A datastore of a Proxmox Backup Server.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_storage_pbs",
    alias = "proxmox_virtual_environment_storage_pbs"
)]
pub(crate) struct StoragePbs {
    #[attr(flatten)]
    common: Common,
    /// The datastore's name on the server.
    #[attr(required, replace)]
    #[form(create)]
    datastore: String,
    /// The key that backups are encrypted with, as the client writes it: JSON.
    #[attr(optional, replace, sensitive, conflicts("generate_encryption_key"))]
    #[form(sent)]
    encryption_key: Option<Sensitive<String>>,
    /// Tells the key from others.
    #[attr(computed)]
    #[form(skip)]
    encryption_key_fingerprint: Option<String>,
    /// The fingerprint of the server's certificate, where no known authority has signed it.
    #[attr(optional)]
    fingerprint: Option<String>,
    /// Have a new key made.
    #[attr(optional, replace, conflicts("encryption_key"))]
    #[form(skip)]
    generate_encryption_key: Option<bool>,
    /// The key that was made. Keep it: without it no backup can be read.
    #[attr(computed, sensitive)]
    #[form(skip)]
    generated_encryption_key: Option<Sensitive<String>>,
    /// The datastore's namespace.
    #[attr(optional, replace)]
    namespace: Option<String>,
    /// The password of the user or token.
    #[attr(required, replace, sensitive)]
    #[form(sent)]
    password: Sensitive<String>,
    /// The server's address.
    #[attr(required, replace)]
    #[form(create)]
    server: String,
    /// Always so.
    #[attr(computed)]
    shared: bool,
    /// The user or token, with the realm.
    #[attr(required, replace)]
    #[form(create)]
    username: String,
    /// How many backups are kept.
    #[attr(block(single))]
    #[form(flatten)]
    backups: Option<Backups>,
}

impl Hooks for StoragePbs {
    fn send(&self, prior: Option<&Self>, form: &mut Params) {
        if prior.is_none() && self.generate_encryption_key == Some(true) {
            form.push(("encryption-key".to_owned(), "autogen".to_owned()));
        }
    }

    /// The server tells the key once.
    fn made(&mut self, answer: &Json) {
        let made = answer.get("config").and_then(|c| text(c, "encryption-key"));
        let given = self.encryption_key.as_ref().map(Sensitive::expose_secret);
        let key = made.as_deref().or(given.map(String::as_str));
        self.encryption_key_fingerprint = key.and_then(fingerprint_of);
        if self.generate_encryption_key == Some(true) {
            self.generated_encryption_key = made.map(Sensitive::new);
        }
    }

    /// An answer holds the key's fingerprint in its place, or 1 where the key has none.
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let held = text(answer, "encryption-key");
        self.encryption_key_fingerprint = held.filter(|held| held != "1");
        Ok(true)
    }
}

fn fingerprint_of(key: &str) -> Option<String> {
    text(&serde_json::from_str(key).ok()?, "fingerprint")
}
