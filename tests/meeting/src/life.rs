//! What an object of one type goes through, the same for all types.

use serde_json::{Value as Json, json};
use stead_lab_proxmox::{Options, Version};
use stead_sdk::testing::Stored;
use stead_sdk::value::Value;

use crate::Homelab;

/// An object's life: made, unchanged, changed in place, changed by somebody else, imported, deleted.
#[derive(Clone, Debug)]
pub struct Life {
    type_name: &'static str,
    /// What somebody else asks of the API first.
    prepared: Option<(&'static str, &'static str, &'static str)>,
    /// What must be there before: type and configuration.
    before: Vec<(&'static str, Json)>,
    made: Json,
    changed: Option<Json>,
    replaced: Option<Json>,
    drift: Option<(&'static str, String, String, &'static str)>,
    import: Option<String>,
    not_imported: &'static [&'static str],
    stays: bool,
    before_9: bool,
}

impl Life {
    /// The life of an object with this configuration.
    #[must_use]
    pub fn of(type_name: &'static str, made: Json) -> Life {
        Life {
            type_name,
            prepared: None,
            before: Vec::new(),
            made,
            changed: None,
            replaced: None,
            drift: None,
            import: None,
            not_imported: &[],
            stays: false,
            before_9: false,
        }
    }

    pub fn type_name(&self) -> &'static str {
        self.type_name
    }

    /// Somebody else calls the API before.
    #[must_use]
    pub fn prepared(mut self, verb: &'static str, path: &'static str, form: &'static str) -> Life {
        self.prepared = Some((verb, path, form));
        self
    }

    /// Another object that must be there before.
    #[must_use]
    pub fn after(mut self, type_name: &'static str, config: Json) -> Life {
        self.before.push((type_name, config));
        self
    }

    /// Its configuration with these members in the place of their namesakes; null takes one away. It changes in place.
    #[must_use]
    pub fn changes(mut self, members: Json) -> Life {
        self.changed = Some(with(&self.made, members));
        self
    }

    /// With these members another object is needed.
    #[must_use]
    pub fn is_replaced_by(mut self, members: Json) -> Life {
        self.replaced = Some(with(&self.made, members));
        self
    }

    /// Somebody else calls the API, and that attribute shows it.
    #[must_use]
    pub fn drifts(
        mut self,
        verb: &'static str,
        path: impl Into<String>,
        form: impl Into<String>,
        attribute: &'static str,
    ) -> Life {
        self.drift = Some((verb, path.into(), form.into(), attribute));
        self
    }

    /// It is imported by this id, and nothing is left to do; or all is as it was but these attributes, which cannot be known then.
    #[must_use]
    pub fn imports(mut self, id: impl Into<String>, not: &'static [&'static str]) -> Life {
        self.import = Some(id.into());
        self.not_imported = not;
        self
    }

    /// Only servers before version 9 have such objects.
    #[must_use]
    pub fn before_9(mut self) -> Life {
        self.before_9 = true;
        self
    }

    /// There is one always: deleting it sets it back.
    #[must_use]
    pub fn stays(mut self) -> Life {
        self.stays = true;
        self
    }

    /// Lives it, in a homelab of its own.
    ///
    /// # Panics
    /// When anything is otherwise than it should be.
    pub async fn run(&self) {
        let options = Options {
            version: if self.before_9 {
                Version::V8_4
            } else {
                Version::V9_2
            },
            ..Options::default()
        };
        let homelab = Homelab::start(&options).await;
        homelab.publish("disk.qcow2", vec![7; 4096]);
        self.run_in(&homelab).await;
        homelab.stop().await;
    }

    async fn run_in(&self, homelab: &Homelab) {
        let (name, proxmox) = (self.type_name, &homelab.proxmox);
        if let Some((verb, path, form)) = self.prepared {
            homelab.call(verb, path, form).await;
        }
        let mut before = Vec::new();
        for (other, config) in &self.before {
            let made = proxmox.apply(other, None, config.clone()).await;
            before.push((
                *other,
                made.unwrap_or_else(|e| panic!("{name} needs a {other}: {e:?}")),
            ));
        }
        let made = proxmox.apply(name, None, self.made.clone()).await;
        let made = made.unwrap_or_else(|e| panic!("{name}: create: {e:?}"));
        let mut object = self.unchanged(homelab, &made, &self.made).await;
        let mut config = &self.made;

        if let Some(changed) = &self.changed {
            let updated = proxmox.apply(name, Some(&object), changed.clone()).await;
            let updated = updated.unwrap_or_else(|e| panic!("{name}: update: {e:?}"));
            object = self.unchanged(homelab, &updated, changed).await;
            config = changed;
        }
        if let Some(replaced) = &self.replaced {
            let replaced = proxmox
                .config(name, replaced.clone())
                .expect("a configuration");
            let plan = proxmox.plan(name, Some(&object), &replaced).await;
            let plan = plan.unwrap_or_else(|e| panic!("{name}: replacement: {e:?}"));
            assert!(!plan.requires_replace.is_empty(), "{name} is not replaced");
        }
        if let Some(id) = &self.import {
            self.imported(homelab, id, &object, config).await;
            self.discovered(homelab, id, &object).await;
        }
        if let Some((verb, path, form, attribute)) = &self.drift {
            homelab.call(verb, path, form).await;
            let drifted = self
                .read(homelab, &object)
                .await
                .unwrap_or_else(|| panic!("{name} is gone"));
            assert_ne!(
                drifted.attribute(attribute),
                object.attribute(attribute),
                "{name}: {attribute} is as before"
            );
            // The next apply makes it good.
            let mended = proxmox.apply(name, Some(&drifted), config.clone()).await;
            let mended = mended.unwrap_or_else(|e| panic!("{name}: mending: {e:?}"));
            object = self.unchanged(homelab, &mended, config).await;
        }
        for _ in 0..2 {
            // Deleting what is gone is no error.
            let deleted = proxmox.delete(name, &object).await;
            deleted.unwrap_or_else(|e| panic!("{name}: delete: {e:?}"));
        }
        let left = self.read(homelab, &object).await;
        assert_eq!(left.is_some(), self.stays, "{name}: {left:?}");
        for (other, object) in before.iter().rev() {
            let deleted = proxmox.delete(other, object).await;
            deleted.unwrap_or_else(|e| panic!("{name}: delete the {other}: {e:?}"));
        }
    }

    async fn read(&self, homelab: &Homelab, object: &Stored) -> Option<Stored> {
        let read = homelab.proxmox.read(self.type_name, object).await;
        read.unwrap_or_else(|e| panic!("{}: read: {e:?}", self.type_name))
    }

    /// Reads, and checks that nothing is left to do.
    async fn unchanged(&self, homelab: &Homelab, object: &Stored, config: &Json) -> Stored {
        let name = self.type_name;
        let read = self
            .read(homelab, object)
            .await
            .unwrap_or_else(|| panic!("{name} is gone"));
        self.nothing_to_do(homelab, &read, config).await;
        read
    }

    async fn nothing_to_do(&self, homelab: &Homelab, object: &Stored, config: &Json) {
        let name = self.type_name;
        let config = homelab
            .proxmox
            .config(name, config.clone())
            .expect("a configuration");
        let plan = homelab.proxmox.plan(name, Some(object), &config).await;
        let plan = plan.unwrap_or_else(|e| panic!("{name}: plan: {e:?}"));
        let differs = |attribute: &str, value| {
            (plan.planned.get(attribute).as_ref() != Some(value)).then(|| attribute.to_owned())
        };
        let entries = object.value.as_entries().into_iter().flatten();
        let differences: Vec<_> = entries
            .filter_map(|(name, value)| differs(name, value))
            .collect();
        assert!(
            plan.planned == object.value,
            "{name}: nothing changed, and yet there is a plan for {differences:?}: {:?}",
            plan.planned
        );
        assert_eq!(plan.requires_replace, [], "{name}");
    }

    /// Whoever looks what there is finds it, and knows it for the same.
    async fn discovered(&self, homelab: &Homelab, id: &str, object: &Stored) {
        let name = self.type_name;
        if NOT_LISTED.contains(&name) {
            return;
        }
        let found = homelab.proxmox.discover(name).await;
        let found = found.unwrap_or_else(|e| panic!("{name}: discover: {e:?}"));
        let this = found.iter().find(|found| found.id == id);
        let this = this.unwrap_or_else(|| panic!("{name}: {id} is not among {found:?}"));
        let key = homelab.proxmox.key(name, object);
        assert_eq!(key.as_deref(), Some(this.key.as_str()), "{name}");
        assert_eq!(this.left_alone, None, "{name}");
    }

    async fn imported(&self, homelab: &Homelab, id: &str, object: &Stored, config: &Json) {
        let name = self.type_name;
        let imported = homelab.proxmox.import(name, id).await;
        let imported = imported.unwrap_or_else(|e| panic!("{name}: import: {e:?}"));
        let imported = self
            .read(homelab, &imported)
            .await
            .unwrap_or_else(|| panic!("{name}: {id} is not found"));
        if self.not_imported.is_empty() {
            return self.nothing_to_do(homelab, &imported, config).await;
        }
        for (attribute, value) in object.value.as_entries().into_iter().flatten() {
            if !self.not_imported.contains(&attribute.as_ref()) {
                assert_eq!(
                    said(&imported.attribute(attribute)),
                    said(value),
                    "{name}: {attribute} after an import"
                );
            }
        }
    }
}

/// Types that nobody adopts: certificates, whose keys cannot be read, what comes with a node, disks, and files, of which nothing tells
/// where they came from.
const NOT_LISTED: &[&str] = &[
    "proxmox_acme_certificate",
    "proxmox_apt_repository",
    "proxmox_apt_standard_repository",
    "proxmox_download_file",
    "proxmox_node_disk_zfs",
    "proxmox_virtual_environment_certificate",
    "proxmox_virtual_environment_file",
];

/// What a value says, as text: states of the older kind have null for nothing, or an empty text or collection, `false`, zero.
fn said(value: &Value) -> String {
    let nothing = value.is_null()
        || value.as_str().is_some_and(str::is_empty)
        || value.as_bool() == Some(false)
        || value.as_i64() == Some(0);
    if let Some(entries) = value.as_entries() {
        let said = entries.iter().map(|(name, value)| (name, said(value)));
        let said = said.filter(|(_, said)| !said.is_empty());
        said.map(|(name, said)| format!("{name} = {said}; "))
            .collect()
    } else if let Some(items) = value.as_sequence() {
        let said = items.iter().map(|item| format!("[{}]", said(item)));
        said.collect()
    } else if nothing {
        String::new()
    } else {
        format!("{:?}", value.kind())
    }
}

/// An object with other members in the place of their namesakes; null takes one away.
fn with(object: &Json, members: Json) -> Json {
    let mut object = object.as_object().cloned().unwrap_or_default();
    let Json::Object(members) = members else {
        panic!("{members} is no object");
    };
    for (name, value) in members {
        match value {
            Json::Null => drop(object.shift_remove(&name)),
            value => drop(object.insert(name, value)),
        }
    }
    json!(object)
}
