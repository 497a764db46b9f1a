//! What is on a machine's disks, kept in the lab's store under one document per machine.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use stead_lab_core::Store;
use stead_lab_core::machine::ImageLabel;

use super::Image;

/// One machine's disks. Holds the machine configuration with its secrets, as the real disk does; no `Debug`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Disk {
    /// The persisted machine configuration.
    pub(crate) config: Option<String>,
    /// The system in the active boot slot; `None`: not installed (the medium boots).
    pub(crate) installed: Option<ImageLabel>,
    /// The system in the other slot, for a rollback.
    pub(crate) previous: Option<ImageLabel>,
    /// Nothing boots from the disk any more.
    pub(crate) wiped: bool,
    /// This machine's etcd data.
    pub(crate) etcd: Option<EtcdData>,
    /// The address that DHCP gave it.
    pub(crate) lease: Option<IpAddr>,
    /// The machine's identity, base 62; made at the first boot.
    pub(crate) identity: String,
    /// The META partition's values by key.
    #[serde(default)]
    pub(crate) meta: BTreeMap<u8, Vec<u8>>,
    /// Images that somebody pulled or brought.
    #[serde(default)]
    pub(crate) images: BTreeSet<Image>,
    /// Another system that an upgrade installs at the next boot.
    #[serde(default)]
    pub(crate) staged: Option<ImageLabel>,
    /// A system that was installed and has not come up yet: when it fails to, the other slot boots again.
    #[serde(default)]
    pub(crate) untried: bool,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EtcdData {
    pub(crate) cluster: String,
    pub(crate) member: u64,
}

impl Disk {
    /// Puts a system into the other slot, which boots next.
    pub(crate) fn install(&mut self, image: ImageLabel) {
        self.previous = self.installed.replace(image);
        self.untried = true;
    }

    pub(crate) fn load(store: &Store, machine: &str) -> io::Result<Disk> {
        Ok(store.load(&document(machine))?.unwrap_or_default())
    }

    pub(crate) fn save(&self, store: &Store, machine: &str) {
        if let Err(error) = store.save(&document(machine), self) {
            tracing::error!(%error, machine, "cannot save a machine's disk");
        }
    }

    pub(crate) fn delete(store: &Store, machine: &str) {
        remove(store, &document(machine));
    }
}

/// Removes a document from the store.
pub(crate) fn remove(store: &Store, document: &str) {
    let path = store.root().join(format!("{document}.json"));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::error!(%error, document, "cannot remove a document of the lab");
        }
        _ => {}
    }
}

fn document(machine: &str) -> String {
    format!("talos-node-{}", file_name(machine))
}

/// A text as a file name, different texts differing.
pub(crate) fn file_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(char::from(byte)),
            other => name.push_str(&format!("_{other:02x}")),
        }
    }
    name
}
