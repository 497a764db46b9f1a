//! Storage definitions: sections of `storage.cfg`, and what each makes of the storage behind it.

use serde_json::{Map, Value, json};
use sha1::{Digest as _, Sha1};

use super::kinds::{Kind, TYPES};
use crate::error::ApiError;
use crate::routes::{Call, Routes};
use crate::schema::format::{list, matches};
use crate::schema::property::{boolean, plain};
use crate::sections::{Act, Change, Family, Section, Shown, colons, hex};
use crate::state::{State, Storage};

pub(crate) const FILE: &str = "storage.cfg";

/// Kept in a file of their own, which only root can read.
const SECRETS: &[&str] = &["password", "keyring"];

static STORAGES: Family = Family {
    file: FILE,
    path: "/storage",
    key: "storage",
    types: TYPES,
    secret: SECRETS,
    digest_in_list: true,
    id_in_read: true,
    wanted: |call, _, storage| {
        call.params
            .get("type")
            .is_none_or(|kind| kind == storage.kind)
    },
    seen: ("/storage/{id}", super::api::SEEN_BY),
    exists: |id| ApiError::failure(format!("storage ID '{id}' already defined")),
    missing: |_, id| Some(super::missing(id)),
    failed: |act| match act {
        Act::Create => "create storage failed",
        Act::List | Act::Read => "",
        Act::Update => "update storage failed",
        Act::Delete => "delete storage failed",
    },
    check,
    removable: is_no_base,
    after: changed,
    show,
    answer,
    ..Family::PLAIN
};

fn check(change: &Change<'_>, storage: &mut Section) -> Result<(), ApiError> {
    let kind = Kind::of(&storage.kind);
    let content = kind
        .content(storage.get("content"))
        .map_err(ApiError::failure)?;
    storage.set("content", content.join(","));
    if storage.get("prune-backups").is_some_and(contradicts_itself) {
        let text = "invalid format - keep-all cannot be set together with other options.\n";
        return Err(ApiError::parameter("prune-backups", text));
    }
    if change.old.is_none() {
        create(change, storage)?;
    }
    if kind.name == "pbs" {
        encrypt(change, storage)?;
    }
    if change.old.is_none() && !storage.is_on("disable") {
        activate(change, storage)?;
    }
    Ok(())
}

/// `keep-all` beside another rule that keeps something.
fn contradicts_itself(text: &str) -> bool {
    let all = plain(text, "keep-all").and_then(boolean) == Some(true);
    let others = text.split(',').filter_map(|part| part.split_once('='));
    all && others
        .into_iter()
        .any(|(name, value)| name != "keep-all" && value != "0")
}

fn create(change: &Change<'_>, storage: &mut Section) -> Result<(), ApiError> {
    match storage.kind.as_str() {
        "nfs" | "cifs" | "cephfs" if storage.get("path").is_none() => {
            storage.set("path", format!("/mnt/pve/{}", change.id));
        }
        "zfspool" if storage.get("mountpoint").is_none() => {
            storage.set(
                "mountpoint",
                format!("/{}", storage.get("pool").unwrap_or_default()),
            );
        }
        "esxi" if storage.get("password").is_none() => {
            return Err(ApiError::failure("missing password"));
        }
        "lvm" => {
            if let Some((base, _)) = storage.get("base").and_then(super::parse_volid)
                && change
                    .state
                    .storages
                    .get(base)
                    .is_none_or(|storage| storage.kind != "iscsi")
            {
                return Err(ApiError::failure(format!(
                    "base storage ID '{base}' does not exist"
                )));
            }
        }
        _ => {}
    }
    let Some(path) = storage.get("path") else {
        return Ok(());
    };
    if matches("/[-/a-zA-Z0-9_.@]+", path) != Ok(true) {
        return Err(ApiError::failure(format!(
            "illegal path for directory storage: {path}"
        )));
    }
    let path = format!(
        "/{}",
        path.split('/')
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/")
    );
    storage.set("path", path);
    Ok(())
}

/// Looks for what the definition names where it is to be used; a pool or a mount that no such node has is refused.
fn activate(change: &Change<'_>, storage: &Section) -> Result<(), ApiError> {
    let id = change.id;
    let restricted: Vec<&str> = list(storage.get("nodes").unwrap_or_default()).collect();
    let hosts = change
        .state
        .hosts
        .iter()
        .filter(|(name, _)| restricted.is_empty() || restricted.contains(&name.as_str()));
    let mut disks = hosts.map(|(_, host)| &host.disks);
    let path = storage.get("path").unwrap_or_default();
    match storage.kind.as_str() {
        "zfspool" => {
            let dataset = storage.get("pool").unwrap_or_default();
            let pool = dataset.split('/').next().unwrap_or_default();
            if !disks.any(|disks| disks.pools.contains_key(pool)) {
                let text = format!(
                    "could not activate storage '{id}', zfs error: cannot import '{pool}': no such pool available"
                );
                return Err(ApiError::failure(text));
            }
        }
        "dir" | "btrfs" => {
            let mounted = storage
                .get("is_mountpoint")
                .is_some_and(|text| boolean(text) != Some(false));
            if mounted && !disks.any(|disks| disks.is_mounted(path)) {
                return Err(ApiError::failure(format!(
                    "unable to activate storage '{id}' - directory is expected to be a mount point but is not mounted: '{path}'"
                )));
            }
            let created = ["mkdir", "create-base-path"]
                .iter()
                .all(|name| storage.get(name) != Some("0"));
            let known = change
                .state
                .storages
                .values()
                .any(|other| other.path.as_deref() == Some(path));
            if !created
                && !known
                && !SYSTEM_FOLDERS.contains(&path)
                && !disks.any(|disks| disks.is_mounted(path))
            {
                return Err(ApiError::failure(format!(
                    "unable to activate storage '{id}' - directory '{path}' does not exist or is unreachable"
                )));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Folders of every node.
const SYSTEM_FOLDERS: &[&str] = &["/", "/mnt", "/srv", "/tmp", "/var/lib/vz", "/var/tmp"];

/// A backup server's key is kept apart; the definition only has its fingerprint.
fn encrypt(change: &Change<'_>, storage: &mut Section) -> Result<(), ApiError> {
    let params = &change.call.params;
    if let Some(given) = params.get("encryption-key") {
        let key: Value = match given {
            "autogen" => serde_json::from_str(&generated_key(change.id)).unwrap_or_default(),
            text => serde_json::from_str(text).unwrap_or_default(),
        };
        if key.get("data").is_none() {
            return Err(ApiError::failure(
                "Value does not seems like a valid, JSON formatted encryption key!",
            ));
        }
        storage.set("encryption-key", key["fingerprint"].as_str().unwrap_or("1"));
    }
    if params.has("master-pubkey") {
        if storage.get("encryption-key").is_none() {
            return Err(ApiError::failure(
                "'master-pubkey' can only be used together with 'encryption-key'",
            ));
        }
        storage.set("master-pubkey", "1");
    }
    Ok(())
}

/// A key as `proxmox-backup-client key create` writes it; the lab encrypts nothing with it.
fn generated_key(id: &str) -> String {
    let bytes = Sha1::digest(id.as_bytes());
    let fingerprint = colons(bytes.get(..8).unwrap_or_default()).to_lowercase();
    json!({ "kdf": null, "data": hex(&bytes), "fingerprint": fingerprint }).to_string()
}

fn answer(call: &Call, id: &str, storage: &Section) -> Value {
    let mut answer = json!({ "storage": id, "type": storage.kind });
    if let ("pbs", Some(fields)) = (storage.kind.as_str(), answer.as_object_mut()) {
        let config = match call.params.get("encryption-key") {
            Some("autogen") => json!({ "encryption-key": generated_key(id) }),
            Some(key) => json!({ "encryption-key": key }),
            None => json!({}),
        };
        fields.insert("config".into(), config);
    }
    answer
}

fn show(shown: &Shown<'_>, row: &mut Map<String, Value>) {
    if Kind::of(&shown.section.kind).shared {
        row.insert("shared".into(), 1.into());
    }
}

fn is_no_base(state: &State, _: &Call, id: &str) -> Result<(), ApiError> {
    let stands_on = |storage: &Section| {
        storage
            .get("base")
            .and_then(super::parse_volid)
            .is_some_and(|(base, _)| base == id)
    };
    if state.sections(FILE).any(|(_, other)| stands_on(other)) {
        return Err(ApiError::failure(
            "can't remove storage - storage is used as base of another storage",
        ));
    }
    Ok(())
}

/// The storage follows its definition. What lies in it stays where it is when the definition goes.
fn changed(state: &mut State, id: &str, section: Option<&Section>) {
    let Some(section) = section else {
        if let Some(gone) = state.storages.remove(id) {
            state.detached.insert(gone.backing(), gone.volumes);
        }
        state.access.acl.remove(&format!("/storage/{id}"));
        return;
    };
    let mut storage = match state.storages.remove(id) {
        Some(known) => known,
        None => Storage::behind(state, section),
    };
    storage.follow(section);
    state.storages.insert(id.to_owned(), storage);
}

const TIB: u64 = 1 << 40;

impl Storage {
    /// What a new definition finds.
    fn behind(state: &mut State, section: &Section) -> Storage {
        let mut storage = Storage {
            kind: section.kind.clone(),
            content: Vec::new(),
            capacity: 0,
            shared: false,
            disabled: false,
            nodes: Vec::new(),
            path: None,
            source: source(section),
            volumes: Default::default(),
        };
        let found = state
            .hosts
            .values()
            .find_map(|host| host.disks.capacity(section));
        storage.capacity = found.unwrap_or(TIB);
        storage.volumes = state
            .detached
            .remove(&storage.backing())
            .unwrap_or_default();
        storage
    }

    fn follow(&mut self, section: &Section) {
        let owned = |option: &str| {
            list(section.get(option).unwrap_or_default())
                .map(str::to_owned)
                .collect()
        };
        self.content = owned("content");
        self.nodes = owned("nodes");
        self.shared = section.is_on("shared") || Kind::of(&section.kind).shared;
        self.disabled = section.is_on("disable");
        self.path = section.get("path").map(str::to_owned);
    }

    /// What it stands on, so that the same storage under another name holds the same.
    fn backing(&self) -> String {
        format!("{}:{}", self.kind, self.source)
    }
}

fn source(section: &Section) -> String {
    let parts = [
        "path",
        "server",
        "export",
        "share",
        "datastore",
        "namespace",
        "vgname",
        "thinpool",
        "pool",
        "portal",
        "target",
    ];
    let named = parts.into_iter().filter_map(|name| section.get(name));
    // A network storage's path is only where it is mounted.
    let network = Kind::of(&section.kind).shared;
    named
        .filter(|value| !(network && value.starts_with("/mnt/pve/")))
        .collect::<Vec<_>>()
        .join("/")
}

impl State {
    /// Gives storages that are there from the beginning their definitions.
    pub(crate) fn define_storages(&mut self) {
        let ids: Vec<String> = self.storages.keys().cloned().collect();
        for id in ids {
            if self.section(FILE, &id).is_some() {
                continue;
            }
            let Some(storage) = self.storages.get_mut(&id) else {
                continue;
            };
            let section = storage.installed(&id);
            storage.source = source(&section);
            storage.follow(&section);
            self.configs
                .entry(FILE.to_owned())
                .or_default()
                .insert(id, section);
        }
    }
}

impl Storage {
    /// The definition that the installer, or whoever set the lab up, wrote.
    fn installed(&self, id: &str) -> Section {
        let mut section = Section {
            kind: self.kind.clone(),
            ..Section::default()
        };
        let options: &[(&str, &str)] = match (self.kind.as_str(), id) {
            ("dir", "local") => &[("path", "/var/lib/vz")],
            ("lvmthin", _) => &[("vgname", "pve"), ("thinpool", "data")],
            ("lvm", _) => &[("vgname", "pve")],
            ("zfspool", _) => &[
                ("pool", "rpool/data"),
                ("mountpoint", "/rpool/data"),
                ("sparse", "1"),
            ],
            ("nfs", _) => &[("server", "10.25.150.20"), ("export", "/mnt/tank/pve")],
            _ => &[],
        };
        for (option, value) in options {
            section.set(option, *value);
        }
        if matches!(
            self.kind.as_str(),
            "dir" | "btrfs" | "nfs" | "cifs" | "cephfs"
        ) && section.get("path").is_none()
        {
            section.set("path", format!("/mnt/pve/{id}"));
        }
        section.set("content", self.content.join(","));
        for (option, on) in [
            ("shared", self.shared && !Kind::of(&self.kind).shared),
            ("disable", self.disabled),
        ] {
            if on {
                section.set(option, "1");
            }
        }
        if !self.nodes.is_empty() {
            section.set("nodes", self.nodes.join(","));
        }
        section
    }
}

pub(super) fn routes(at: &mut Routes<'_>) {
    STORAGES.routes(at);
}

/// Makes or extends a definition for what a node has just made; only looks whether it could, when told so.
pub(crate) fn create_or_extend(
    state: &mut State,
    id: &str,
    node: &str,
    wanted: &Section,
    compare: &[&str],
    only_look: bool,
) -> Result<(), String> {
    let Some(known) = state.section(FILE, id).cloned() else {
        if !only_look {
            state.define(id, wanted.clone());
        }
        return Ok(());
    };
    let nodes: Vec<&str> = list(known.get("nodes").unwrap_or_default()).collect();
    if nodes.is_empty() || nodes.contains(&node) {
        return Err(format!("Storage ID '{id}' already exists on node {node}"));
    }
    let pairs = compare
        .iter()
        .map(|option| (*option, wanted.get(option), known.get(option)));
    let kinds = (
        "type",
        Some(wanted.kind.as_str()),
        Some(known.kind.as_str()),
    );
    for (option, new, old) in std::iter::once(kinds).chain(pairs) {
        if new != old {
            return Err(format!(
                "Option '{option}' ({}) does not match existing storage configuration '{}'",
                new.unwrap_or_default(),
                old.unwrap_or_default()
            ));
        }
    }
    if !only_look {
        let mut extended = known.clone();
        let mut all: Vec<&str> = nodes.into_iter().chain([node]).collect();
        all.sort_unstable();
        extended.set("nodes", all.join(","));
        state.define(id, extended);
    }
    Ok(())
}

/// Takes a node out of the definitions that fit; a definition without a node goes.
pub(crate) fn leave(state: &mut State, node: &str, fits: impl Fn(&Section) -> bool) {
    let found: Vec<(String, Section)> = state
        .sections(FILE)
        .filter(|(_, section)| fits(section))
        .map(|(id, s)| (id.clone(), s.clone()))
        .collect();
    for (id, mut section) in found {
        let all: Vec<String> = match section.get("nodes") {
            Some(nodes) => list(nodes).map(str::to_owned).collect(),
            None => state.nodes.keys().cloned().collect(),
        };
        let rest: Vec<String> = all.into_iter().filter(|name| name != node).collect();
        if rest.is_empty() {
            if let Some(sections) = state.configs.get_mut(FILE) {
                sections.remove(&id);
            }
            changed(state, &id, None);
        } else {
            section.set("nodes", rest.join(","));
            state.define(&id, section);
        }
    }
}

impl State {
    fn define(&mut self, id: &str, section: Section) {
        self.configs
            .entry(FILE.to_owned())
            .or_default()
            .insert(id.to_owned(), section.clone());
        changed(self, id, Some(&section));
    }
}
