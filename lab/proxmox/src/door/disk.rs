//! A node's files: its own, those of its storages, and guests' configurations below /etc/pve.

use std::collections::BTreeMap;

use stead_lab_core::files::File;

use crate::guest::Kind;
use crate::state::{State, Vm, Volume};
use crate::storage::content::folder;
use crate::storage::download::{file, label};
use crate::storage::parse_volid;

type Tree = BTreeMap<String, File>;

/// Folders of an installed node.
const FOLDERS: &[&str] = &[
    "/",
    "/dev",
    "/etc",
    "/etc/pve",
    "/home",
    "/mnt",
    "/opt",
    "/run",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/sbin",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/tmp",
];
/// Folders of a storage, each with the content that lies there.
const CONTENT: &[(&str, &str)] = &[
    ("template/iso", "iso"),
    ("template/cache", "vztmpl"),
    ("dump", "backup"),
    ("snippets", "snippets"),
    ("import", "import"),
    ("images", "images"),
];

/// Works on the files of a node, and keeps what changed where it belongs.
pub(super) fn with<T>(state: &mut State, node: &str, work: impl FnOnce(&mut Tree) -> T) -> T {
    let before = tree(state, node);
    let mut after = before.clone();
    let result = work(&mut after);
    for path in before.keys().filter(|path| !after.contains_key(*path)) {
        match volume_at(state, node, path) {
            Some((volid, _)) if state.free(node, &volid) => {}
            _ => {
                if let Some(host) = state.hosts.get_mut(node) {
                    host.files.remove(path);
                }
            }
        }
    }
    for (path, file) in after {
        if before.get(&path) != Some(&file) {
            keep(state, node, path, file);
        }
    }
    result
}

fn tree(state: &State, node: &str) -> Tree {
    let mut tree: Tree = FOLDERS
        .iter()
        .map(|path| ((*path).to_owned(), File::directory()))
        .collect();
    for path in ["/tmp", "/var/tmp"] {
        open(&mut tree, path);
    }
    let closed = |mode, owner: &str| File {
        mode,
        owner: owner.to_owned(),
        ..File::directory()
    };
    tree.insert("/root".to_owned(), closed(0o700, "root"));
    for id in state.access.users.keys() {
        if let Some(user) = id
            .strip_suffix("@pam")
            .filter(|user| *user != "root" && state.access.has_account(user))
        {
            tree.insert(format!("/home/{user}"), closed(0o755, user));
        }
    }
    tree.insert("/etc/hostname".to_owned(), File::text(format!("{node}\n")));
    configurations(state, node, &mut tree);
    for (id, storage) in &state.storages {
        let Some(path) = storage.path.as_deref() else {
            continue;
        };
        if storage.disabled || !storage.is_on(node) {
            continue;
        }
        folders(&mut tree, path);
        for (below, _) in CONTENT {
            folders(&mut tree, &format!("{path}/{below}"));
        }
        for (name, volume) in storage.volumes_of(node) {
            let place = format!("{path}/{}", folder(&volume.content, name));
            if volume_at(state, node, &place)
                .is_some_and(|(volid, _)| volid == format!("{id}:{name}"))
            {
                if let Some((parent, _)) = place.rsplit_once('/') {
                    folders(&mut tree, parent);
                }
                tree.insert(place, shown(volume));
            }
        }
    }
    if let Some(host) = state.hosts.get(node) {
        tree.insert("/etc/hosts".to_owned(), File::text(host.hosts.clone()));
        tree.extend(host.files.iter().map(|(p, f)| (p.clone(), f.clone())));
    }
    tree
}

fn open(tree: &mut Tree, path: &str) {
    if let Some(folder) = tree.get_mut(path) {
        folder.mode = 0o1777;
    }
}

/// A folder and those above it.
fn folders(tree: &mut Tree, path: &str) {
    let mut at = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        at = format!("{at}/{part}");
        tree.entry(at.clone()).or_insert_with(File::directory);
    }
}

/// A volume as a file; of images the lab knows the size only.
fn shown(volume: &Volume) -> File {
    match &volume.text {
        Some(text) => File::text(text.clone()),
        None => File {
            unkept: volume.size,
            ..File::text("")
        },
    }
}

/// The volume that a file in a storage is, and its content.
pub(super) fn volume_at(state: &State, node: &str, path: &str) -> Option<(String, &'static str)> {
    state.storages.iter().find_map(|(id, storage)| {
        if storage.disabled || !storage.is_on(node) {
            return None;
        }
        let rest = path
            .strip_prefix(storage.path.as_deref()?)?
            .strip_prefix('/')?;
        CONTENT.iter().find_map(|(below, content)| {
            let name = rest.strip_prefix(below)?.strip_prefix('/')?;
            match *content {
                "images" => name
                    .contains('/')
                    .then(|| (format!("{id}:{name}"), *content)),
                // Folders below these are no volumes.
                _ if name.contains('/') => None,
                _ => Some((format!("{id}:{content}/{name}"), *content)),
            }
        })
    })
}

fn keep(state: &mut State, node: &str, path: String, given: File) {
    if !given.directory {
        if let Some((volid, content)) = volume_at(state, node, &path) {
            let same = |v: &Volume| shown(v).content == given.content && v.size == given.size();
            if state.volume(node, &volid).is_none_or(|v| !same(v)) {
                let name = parse_volid(&volid).map_or("", |(_, name)| name);
                let name = name.rsplit('/').next().unwrap_or_default();
                let mut volume = file(
                    content,
                    name,
                    given.size(),
                    label(&given.content).ok().flatten(),
                );
                if content == "snippets" {
                    volume.text = Some(String::from_utf8_lossy(&given.content).into_owned());
                }
                if let Err(problem) = state.add_file(node, &volid, volume) {
                    tracing::warn!(volid, problem, "a file brought over SSH finds no place");
                }
            }
            return;
        }
        if let Some(vm) = guest_of(&path).and_then(|id| state.vms.get_mut(&id)) {
            return configure(vm, &String::from_utf8_lossy(&given.content));
        }
    }
    if let Some(host) = state.hosts.get_mut(node) {
        if path == "/etc/hosts" {
            host.hosts = String::from_utf8_lossy(&given.content).into_owned();
        } else {
            host.files.insert(path, given);
        }
    }
}

fn guest_of(path: &str) -> Option<u32> {
    let name = path
        .strip_prefix("/etc/pve/lxc/")
        .or_else(|| path.strip_prefix("/etc/pve/qemu-server/"))?;
    name.strip_suffix(".conf")?.parse().ok()
}

/// The configuration files of the guests here.
fn configurations(state: &State, node: &str, tree: &mut Tree) {
    for folder in ["/etc/pve/qemu-server", "/etc/pve/lxc", "/etc/pve/nodes"] {
        folders(tree, folder);
    }
    for (id, vm) in state.vms.iter().filter(|(_, vm)| vm.node == node) {
        let folder = match vm.kind {
            Kind::Qemu => "qemu-server",
            Kind::Lxc => "lxc",
        };
        let conf = File {
            mode: 0o640,
            ..File::text(written(vm))
        };
        tree.insert(format!("/etc/pve/{folder}/{id}.conf"), conf);
    }
}

/// A guest's configuration as its file holds it.
fn written(vm: &Vm) -> String {
    let section = |config: &BTreeMap<String, String>| {
        let description = config.get("description").into_iter();
        let notes = description.flat_map(|text| text.lines().map(|line| format!("#{line}\n")));
        let lines = config.iter().filter(|(key, _)| *key != "description");
        notes
            .chain(lines.map(|(key, value)| format!("{key}: {value}\n")))
            .collect::<String>()
    };
    let raw: String = vm
        .raw
        .iter()
        .map(|(key, value)| format!("{key}: {value}\n"))
        .collect();
    let mut text = section(&vm.config) + &raw;
    if !vm.pending.is_empty() {
        text.push_str("\n[PENDING]\n");
        for (key, value) in &vm.pending {
            match value {
                Some(value) => text.push_str(&format!("{key}: {value}\n")),
                None => text.push_str(&format!("delete: {key}\n")),
            }
        }
    }
    for (name, snapshot) in &vm.snapshots {
        text.push_str(&format!("\n[{name}]\n{}", section(snapshot)));
    }
    text
}

/// Takes over what someone wrote to a guest's file: the guest itself, not what waits or its snapshots.
fn configure(vm: &mut Vm, text: &str) {
    let description = vm.config.remove("description");
    vm.config.clear();
    vm.config
        .extend(description.map(|text| ("description".to_owned(), text)));
    vm.raw.clear();
    let mut own = true;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        own &= !line.starts_with('[');
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if key.starts_with("lxc.") {
            // What is appended to a file with snapshots counts, too.
            vm.raw.push((key, value));
        } else if own {
            vm.config.insert(key, value);
        }
    }
}
