//! The life of a small object, the same for all: made, unchanged, changed in place, changed by others, imported, deleted.

// Each test binary uses a part.
#![allow(dead_code)]

use std::collections::BTreeMap;

use crate::fake::Fake;
use serde_json::{Value as Json, json};
use stead_sdk::Dialer;
use stead_sdk::testing::{Harness, Stored};

/// One type's life. Parameters are written as a query.
pub(crate) struct Life<'a> {
    pub(crate) type_name: &'a str,
    /// Where the object is, once it is made.
    pub(crate) at: &'static str,
    pub(crate) id: &'static str,
    pub(crate) made: Json,
    pub(crate) sent: &'static str,
    pub(crate) changed: Json,
    pub(crate) sent_then: &'static str,
    /// A parameter that somebody else changes, and the attribute in which it shows.
    pub(crate) drift: (&'static str, &'static str, &'static str),
    /// Attributes that an import cannot know.
    pub(crate) unknown_to_import: &'static [&'static str],
}

pub(crate) async fn provider(fake: &Fake) -> Harness {
    let factory = stead_proxmox::factory(&Dialer::direct());
    let config = json!({ "endpoint": fake.url, "api_token": "root@pam!t=very-secret" });
    Harness::configured(&factory, config).await.unwrap()
}

fn query(form: &BTreeMap<String, String>) -> String {
    let pairs: Vec<_> = form.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join("&")
}

/// Reads, and checks that nothing is left to do.
async fn unchanged(proxmox: &Harness, life: &Life<'_>, object: &Stored, config: &Json) -> Stored {
    let name = life.type_name;
    let read = proxmox.read(name, object).await.unwrap().unwrap();
    let config = proxmox.config(name, config.clone()).unwrap();
    let plan = proxmox.plan(name, Some(&read), &config).await.unwrap();
    assert_eq!(
        plan.planned, read.value,
        "{name}: nothing changed, and yet there is a plan"
    );
    assert_eq!(plan.requires_replace, [], "{name}");
    read
}

impl Life<'_> {
    fn sent(&self, fake: &Fake, method: &str) -> Vec<String> {
        let state = fake.state.lock().unwrap();
        let own = |path: &str| method == "POST" || path == self.at;
        let sent = state.changes.iter().filter(|c| c.0 == method && own(&c.1));
        sent.map(|c| query(&c.2)).collect()
    }

    pub(crate) async fn run(&self) {
        let fake = Fake::start().await;
        let proxmox = provider(&fake).await;
        let name = self.type_name;
        let made = proxmox.apply(name, None, self.made.clone()).await;
        let made = made.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(made.text("id"), self.id, "{name}");
        assert_eq!(self.sent(&fake, "POST"), [self.sent], "{name}");
        assert!(
            fake.state.lock().unwrap().objects.0.contains_key(self.at),
            "{name}"
        );
        let read = unchanged(&proxmox, self, &made, &self.made).await;

        let changed = proxmox.apply(name, Some(&read), self.changed.clone()).await;
        let changed = changed.unwrap_or_else(|e| panic!("{name}: {e:?}"));
        assert_eq!(self.sent(&fake, "PUT"), [self.sent_then], "{name}");
        let read = unchanged(&proxmox, self, &changed, &self.changed).await;

        let imported = proxmox.import(name, self.id).await.unwrap();
        let imported = proxmox.read(name, &imported).await.unwrap().unwrap();
        for (attribute, value) in read.value.as_entries().unwrap() {
            if !self.unknown_to_import.contains(&attribute.as_ref()) {
                assert_eq!(imported.attribute(attribute), *value, "{name}: {attribute}");
            }
        }

        let (parameter, value, attribute) = self.drift;
        let by_others = vec![value.to_owned()];
        fake.state
            .lock()
            .unwrap()
            .objects
            .0
            .get_mut(self.at)
            .unwrap()
            .insert(parameter.into(), by_others);
        let drifted = proxmox.read(name, &read).await.unwrap().unwrap();
        assert_ne!(
            drifted.attribute(attribute),
            read.attribute(attribute),
            "{name}"
        );

        proxmox.delete(name, &read).await.unwrap();
        assert!(fake.state.lock().unwrap().objects.0.is_empty(), "{name}");
        assert!(proxmox.read(name, &read).await.unwrap().is_none(), "{name}");
        proxmox.delete(name, &read).await.unwrap();
    }
}
