//! The methods under `/nodes/{node}/disks`: lists, and what is made of disks in tasks.

use std::time::Duration;

use serde_json::{Value, json};

use super::disks::{Disks, Folder, Group, Pool};
use crate::Px;
use crate::access::Caller;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::sections::Section;
use crate::state::State;
use crate::storage::definitions::{create_or_extend, leave};
use crate::task::TaskLog;

fn disks<'a>(state: &'a State, call: &Call) -> Result<&'a Disks, ApiError> {
    state.host(call.node()).map(|host| &host.disks)
}

/// `GET /nodes/{node}/disks/list`
fn list(state: &State, call: &Call) -> Answer {
    let (params, disks) = (&call.params, disks(state, call)?);
    let mut rows = Vec::new();
    for (path, device) in &disks.devices {
        let wanted = match params.get("type") {
            Some("unused") => device.used.is_none(),
            Some("journal_disks") => device.used.as_deref().is_none_or(|used| used == "LVM"),
            _ => true,
        };
        if !wanted {
            continue;
        }
        let name = path.trim_start_matches("/dev/");
        let mut row = json!({
            "devpath": path, "size": device.size, "type": device.kind, "model": device.model, "serial": device.serial,
            "vendor": "ATA", "gpt": u8::from(device.gpt), "mounted": 0, "osdid": -1, "osdid-list": null,
            "rpm": 0, "wwn": "unknown", "by_id_link": format!("/dev/disk/by-id/ata-{}_{}", device.model.replace(' ', "_"), device.serial),
        });
        if let Some(row) = row.as_object_mut() {
            if let Some(used) = &device.used {
                row.insert("used".into(), used.clone().into());
            }
            if !params.is_on("skipsmart") {
                row.insert("health".into(), "PASSED".into());
                row.insert("wearout".into(), 98.into());
            }
        }
        rows.push(row);
        if let (true, Some(used)) = (params.is_on("include-partitions"), &device.used) {
            let partition = if name.ends_with(|c: char| c.is_ascii_digit()) {
                format!("{path}p1")
            } else {
                format!("{path}1")
            };
            rows.push(json!({
                "devpath": partition, "parent": path, "size": device.size - (1 << 20), "used": used, "gpt": 1,
                "mounted": 0, "osdid": -1, "osdid-list": null, "type": "partition",
            }));
        }
    }
    Ok(rows.into())
}

/// `GET /nodes/{node}/disks/smart`
fn smart(state: &State, call: &Call) -> Answer {
    let known = disks(state, call)?.devices.get(call.params.text("disk"));
    let device = known.ok_or_else(|| ApiError::failure("not a valid block device"))?;
    Ok(
        match (call.params.is_on("healthonly"), device.kind.as_str()) {
            (true, _) => json!({ "health": "PASSED" }),
            (_, "nvme") => {
                json!({ "health": "PASSED", "type": "text", "text": "SMART/Health Information (NVMe Log 0x02)\n" })
            }
            _ => json!({ "health": "PASSED", "type": "ata", "attributes": [] }),
        },
    )
}

/// `GET /nodes/{node}/disks/lvm`
fn groups(state: &State, call: &Call) -> Answer {
    let disks = disks(state, call)?;
    let rows = disks.groups.iter().map(|(name, group)| {
        let size = disks.size_of(&group.disks);
        let free = size.saturating_sub(group.thin_pools.values().sum());
        let volumes = group.disks.iter().map(|disk| {
            let size = disks.size_of(std::slice::from_ref(disk));
            json!({ "name": disk, "size": size, "free": free, "leaf": 1 })
        });
        json!({
            "name": name, "size": size, "free": free, "leaf": 0, "lvcount": group.volumes as usize + group.thin_pools.len(),
            "children": volumes.collect::<Vec<_>>(),
        })
    });
    Ok(json!({ "leaf": 0, "children": rows.collect::<Vec<_>>() }))
}

/// `GET /nodes/{node}/disks/lvmthin`
fn thin_pools(state: &State, call: &Call) -> Answer {
    let groups = disks(state, call)?.groups.iter();
    Ok(groups
        .flat_map(|(vg, group)| group.thin_pools.iter().map(move |pool| (vg, pool)))
        .map(|(vg, (name, size))| {
            json!({
                "vg": vg, "lv": name, "lv_size": size, "used": 0, "metadata_size": size / 100, "metadata_used": 0,
                "lv_state": "a", "lv_type": "t",
            })
        })
        .collect())
}

/// `GET /nodes/{node}/disks/zfs`
fn pools(state: &State, call: &Call) -> Answer {
    let disks = disks(state, call)?;
    let rows = disks.pools.iter().map(|(name, pool)| {
        let size = disks.pool_size(pool);
        json!({ "name": name, "size": size, "free": size, "alloc": 0, "frag": 0, "dedup": 1.0, "health": "ONLINE" })
    });
    Ok(rows.collect())
}

/// `GET /nodes/{node}/disks/zfs/{name}`
fn pool(state: &State, call: &Call) -> Answer {
    let name = call.params.text("name");
    let found = disks(state, call)?.pools.get(name);
    let pool = found.ok_or_else(|| {
        ApiError::failure(format!(
            "command 'zpool status -P {name}' failed: exit code 1"
        ))
    })?;
    let online = |name: &str, children: Vec<Value>| {
        let leaf = u8::from(children.is_empty());
        let mut row = json!({ "name": name, "state": "ONLINE", "read": 0, "write": 0, "cksum": 0, "msg": "", "leaf": leaf });
        if let (0, Some(row)) = (leaf, row.as_object_mut()) {
            row.insert("children".into(), children.into());
        }
        row
    };
    let leaves: Vec<Value> = pool
        .disks
        .iter()
        .map(|disk| online(&format!("{disk}1"), Vec::new()))
        .collect();
    let vdevs = match pool.level.as_str() {
        "single" => leaves,
        "raid10" => leaves
            .chunks(2)
            .enumerate()
            .map(|(i, pair)| online(&format!("mirror-{i}"), pair.to_vec()))
            .collect(),
        level => vec![online(&format!("{level}-0"), leaves)],
    };
    Ok(json!({
        "name": name, "state": "ONLINE", "errors": "No known data errors", "leaf": 0, "children": [online(name, vdevs)],
    }))
}

/// `GET /nodes/{node}/disks/directory`
fn folders(state: &State, call: &Call) -> Answer {
    let rows = disks(state, call)?.folders.iter().map(|(name, folder)| {
        json!({
            "path": format!("/mnt/pve/{name}"), "device": format!("/dev/disk/by-uuid/{}", folder.uuid),
            "type": folder.filesystem, "options": "defaults", "unitfile": unit_file(name),
        })
    });
    Ok(rows.collect())
}

fn unit_file(name: &str) -> String {
    format!(
        "/etc/systemd/system/mnt-pve-{}.mount",
        name.replace('-', "\\x2d")
    )
}

/// Something that is made of disks.
struct Making {
    node: String,
    name: String,
    /// The task's type.
    kind: &'static str,
    devices: Vec<String>,
    /// What the disks are used for afterwards.
    used: String,
    storage: Section,
    /// Options in which an existing definition must agree.
    compare: &'static [&'static str],
    add_storage: bool,
    command: String,
}

/// Checks, then makes it in a task, and its storage definition if that is asked for.
async fn make(
    px: &Px,
    caller: &Caller,
    making: Making,
    work: impl FnOnce(&mut Disks, &Making) -> Result<(), String> + Send + 'static,
) -> Answer {
    {
        let mut guard = px.state();
        let state = &mut *guard;
        let disks = &state.host(&making.node)?.disks;
        for device in &making.devices {
            disks.unused(device).map_err(ApiError::failure)?;
        }
        if making.add_storage {
            state.need(caller, "/storage", &["Datastore.Allocate"])?;
            define(state, &making, true).map_err(ApiError::failure)?;
        }
    }
    px.worker(
        &making.node.clone(),
        making.kind,
        &making.name.clone(),
        caller,
        move |task| async move {
            task.line(format!("# {}", making.command));
            task.takes(Duration::from_secs(3)).await;
            let mut guard = task.proxmox.state();
            let state = &mut *guard;
            for device in &making.devices {
                state.host(&making.node)?.disks.unused(device)?;
            }
            let disks = &mut state.host_mut(&making.node)?.disks;
            work(disks, &making)?;
            disks.mark(&making.devices, Some(&making.used));
            if making.add_storage {
                define(state, &making, false)?;
            }
            Ok(())
        },
    )
    .await
}

fn define(state: &mut State, making: &Making, only_look: bool) -> Result<(), String> {
    create_or_extend(
        state,
        &making.name,
        &making.node,
        &making.storage,
        making.compare,
        only_look,
    )
}

/// What all of them take from a call.
fn making(call: &Call, kind: &'static str, storage: &str, options: &[(&str, &str)]) -> Making {
    let mut section = Section {
        kind: storage.to_owned(),
        ..Section::default()
    };
    for (option, value) in options {
        section.set(option, *value);
    }
    section.set("nodes", call.node());
    let devices = if call.params.has("devices") {
        call.params.list("devices")
    } else {
        vec![call.params.text("device").to_owned()]
    };
    Making {
        node: call.node().to_owned(),
        name: call.params.text("name").to_owned(),
        kind,
        devices,
        used: String::new(),
        storage: section,
        compare: &[],
        add_storage: call.params.is_on("add_storage"),
        command: String::new(),
    }
}

/// `POST /nodes/{node}/disks/lvm`
async fn make_group(px: &Px, call: Call) -> Answer {
    let name = call.params.text("name");
    let options = [("vgname", name), ("content", "images,rootdir")];
    let making = Making {
        used: "LVM".into(),
        compare: &["vgname"],
        command: format!("/sbin/vgcreate {name} {}", call.params.text("device")),
        ..making(&call, "lvmcreate", "lvm", &options)
    };
    make(px, &call.caller, making, |disks, making| {
        new_group(disks, making).map(drop)
    })
    .await
}

fn new_group<'a>(disks: &'a mut Disks, making: &Making) -> Result<&'a mut Group, String> {
    let (name, node) = (&making.name, &making.node);
    if disks.groups.contains_key(name) {
        return Err(format!(
            "volume group with name '{name}' already exists on node '{node}'"
        ));
    }
    let group = Group {
        disks: making.devices.clone(),
        ..Group::default()
    };
    Ok(disks.groups.entry(name.clone()).or_insert(group))
}

/// `POST /nodes/{node}/disks/lvmthin`
async fn make_thin_pool(px: &Px, call: Call) -> Answer {
    let name = call.params.text("name");
    let options = [
        ("vgname", name),
        ("thinpool", name),
        ("content", "images,rootdir"),
    ];
    let making = Making {
        used: "LVM".into(),
        compare: &["vgname", "thinpool"],
        command: format!("/sbin/lvcreate --type thin-pool -n {name} {name}"),
        ..making(&call, "lvmthincreate", "lvmthin", &options)
    };
    make(px, &call.caller, making, |disks, making| {
        let size = disks.size_of(&making.devices);
        // A hundredth each for the metadata and its spare.
        new_group(disks, making)?
            .thin_pools
            .insert(making.name.clone(), size - size / 50);
        Ok(())
    })
    .await
}

/// The least number of disks of each level.
const LEVELS: &[(&str, usize)] = &[
    ("single", 1),
    ("mirror", 2),
    ("raid10", 4),
    ("raidz", 3),
    ("raidz2", 4),
    ("raidz3", 5),
    ("draid", 3),
    ("draid2", 4),
    ("draid3", 5),
];

/// `POST /nodes/{node}/disks/zfs`
async fn make_pool(px: &Px, call: Call) -> Answer {
    let (params, name) = (&call.params, call.params.text("name"));
    let (level, count) = (
        params.text("raidlevel").to_owned(),
        params.list("devices").len(),
    );
    if params.has("draid-config") && !level.starts_with("draid") {
        return Err(ApiError::failure(
            "draid-config set without using dRAID level",
        ));
    }
    let least = LEVELS
        .iter()
        .find(|(known, _)| *known == level)
        .map_or(1, |(_, least)| *least);
    let text = if level == "raid10" && count % 2 != 0 {
        "raid10 needs an even number of disks".to_owned()
    } else if level == "single" && count > 1 {
        "please give only one disk for single disk mode".to_owned()
    } else if count < least {
        format!("{level} needs at least {least} disks")
    } else {
        String::new()
    };
    let exists = disks(&px.state(), &call)?.pools.contains_key(name);
    if exists {
        return Err(ApiError::failure(format!(
            "pool '{name}' already exists on node '{}'",
            call.node()
        )));
    }
    if !text.is_empty() {
        return Err(ApiError::failure(text));
    }
    let ashift = params.get("ashift").unwrap_or("12");
    let compression = params.get("compression").unwrap_or("on");
    let mountpoint = format!("/{name}");
    let options = [
        ("pool", name),
        ("content", "images,rootdir"),
        ("mountpoint", mountpoint.as_str()),
    ];
    let making = Making {
        used: "ZFS".into(),
        compare: &["pool"],
        command: format!(
            "/sbin/zpool create -o ashift={ashift} {name} {level} {}",
            params.list("devices").join(" ")
        ),
        ..making(&call, "zfscreate", "zfspool", &options)
    };
    let pool = Pool {
        disks: making.devices.clone(),
        level,
        compression: compression.to_owned(),
    };
    make(px, &call.caller, making, move |disks, making| {
        disks.pools.insert(making.name.clone(), pool);
        Ok(())
    })
    .await
}

/// `POST /nodes/{node}/disks/directory`
async fn make_folder(px: &Px, call: Call) -> Answer {
    let name = call.params.text("name");
    let filesystem = call.params.get("filesystem").unwrap_or("ext4").to_owned();
    let path = format!("/mnt/pve/{name}");
    if disks(&px.state(), &call)?.is_mounted(&path) {
        return Err(ApiError::failure(format!(
            "a systemd mount unit already exists: {}",
            unit_file(name)
        )));
    }
    let content = "images,rootdir,vztmpl,iso,backup,snippets";
    let options = [
        ("path", path.as_str()),
        ("content", content),
        ("is_mountpoint", "1"),
    ];
    let device = call.params.text("device").to_owned();
    let making = Making {
        used: filesystem.clone(),
        compare: &["path"],
        command: format!("/sbin/mkfs -t {filesystem} {device}1"),
        ..making(&call, "dircreate", "dir", &options)
    };
    let uuid = px.state().uuid();
    make(px, &call.caller, making, move |disks, making| {
        disks.folders.insert(
            making.name.clone(),
            Folder {
                device,
                filesystem,
                uuid,
            },
        );
        Ok(())
    })
    .await
}

/// Takes something apart again in a task: `work` gives back the disks, `fits` knows the storages that stood on it.
async fn remove(
    px: &Px,
    call: Call,
    kind: &'static str,
    id: String,
    work: impl FnOnce(&mut Disks) -> Result<Vec<String>, String> + Send + 'static,
    fits: impl Fn(&Section) -> bool + Send + 'static,
) -> Answer {
    let (config, wipe) = (
        call.params.is_on("cleanup-config"),
        call.params.is_on("cleanup-disks"),
    );
    if config {
        px.state()
            .need(&call.caller, "/storage", &["Datastore.Allocate"])?;
    }
    let node = call.node().to_owned();
    let task = move |task: TaskLog| async move {
        task.takes(Duration::from_secs(2)).await;
        let mut guard = task.proxmox.state();
        let state = &mut *guard;
        let disks = &mut state.host_mut(&node)?.disks;
        let freed = work(disks)?;
        if wipe {
            disks.mark(&freed, None);
        }
        if config {
            leave(state, &node, fits);
        }
        Ok(())
    };
    px.worker(call.node(), kind, &id, &call.caller, task).await
}

/// `DELETE /nodes/{node}/disks/lvm/{name}`
async fn remove_group(px: &Px, call: Call) -> Answer {
    let name = call.params.text("name").to_owned();
    let (id, group) = (name.clone(), name.clone());
    let work = move |disks: &mut Disks| {
        let gone = disks
            .groups
            .remove(&name)
            .ok_or_else(|| format!("no such volume group '{name}'"))?;
        Ok(gone.disks)
    };
    let fits =
        move |storage: &Section| storage.kind == "lvm" && storage.get("vgname") == Some(&group);
    remove(px, call, "lvmremove", id, work, fits).await
}

/// `DELETE /nodes/{node}/disks/lvmthin/{name}`
async fn remove_thin_pool(px: &Px, call: Call) -> Answer {
    let (vg, lv) = (
        call.params.text("volume-group").to_owned(),
        call.params.text("name").to_owned(),
    );
    let wipe = call.params.is_on("cleanup-disks");
    let (id, names) = (format!("{vg}-{lv}"), (vg.clone(), lv.clone()));
    let work = move |disks: &mut Disks| {
        let group = disks
            .groups
            .get_mut(&vg)
            .filter(|group| group.thin_pools.contains_key(&lv));
        let group = group.ok_or_else(|| format!("no such thin pool {vg}/{lv}"))?;
        group.thin_pools.remove(&lv);
        if !wipe {
            return Ok(Vec::new());
        }
        if group.volumes > 0 || !group.thin_pools.is_empty() {
            return Err(format!("volume group '{vg}' still in use"));
        }
        Ok(disks
            .groups
            .remove(&vg)
            .map(|group| group.disks)
            .unwrap_or_default())
    };
    let fits = move |storage: &Section| {
        let (vg, lv) = &names;
        storage.kind == "lvmthin"
            && storage.get("vgname") == Some(vg)
            && storage.get("thinpool") == Some(lv)
    };
    remove(px, call, "lvmthinremove", id, work, fits).await
}

/// `DELETE /nodes/{node}/disks/zfs/{name}`
async fn remove_pool(px: &Px, call: Call) -> Answer {
    let name = call.params.text("name").to_owned();
    let (id, pool) = (name.clone(), name.clone());
    let work = move |disks: &mut Disks| {
        let gone = disks.pools.remove(&name);
        gone.map(|pool| pool.disks)
            .ok_or_else(|| format!("command 'zpool destroy {name}' failed: exit code 1"))
    };
    let fits =
        move |storage: &Section| storage.kind == "zfspool" && storage.get("pool") == Some(&pool);
    remove(px, call, "zfsremove", id, work, fits).await
}

/// `DELETE /nodes/{node}/disks/directory/{name}`
async fn remove_folder(px: &Px, call: Call) -> Answer {
    let name = call.params.text("name").to_owned();
    let (id, path) = (name.clone(), format!("/mnt/pve/{name}"));
    let work = move |disks: &mut Disks| {
        let gone = disks.folders.remove(&name);
        let gone = gone.ok_or_else(|| {
            format!(
                "cannot remove {} - No such file or directory",
                unit_file(&name)
            )
        })?;
        Ok(vec![gone.device])
    };
    let fits = move |storage: &Section| storage.kind == "dir" && storage.get("path") == Some(&path);
    remove(px, call, "dirremove", id, work, fits).await
}

/// `POST /nodes/{node}/disks/initgpt`
async fn partition(px: &Px, call: Call) -> Answer {
    let (node, disk) = (call.node().to_owned(), call.params.text("disk").to_owned());
    let free = disks(&px.state(), &call)?.unused(&disk).map(drop);
    free.map_err(|text| {
        ApiError::failure(text.replace(&format!("device '{disk}' is"), &format!("disk {disk}")))
    })?;
    let id = disk.rsplit('/').next().unwrap_or_default().to_owned();
    px.worker(
        &node.clone(),
        "diskinit",
        &id,
        &call.caller,
        move |task| async move {
            let mut state = task.proxmox.state();
            if let Some(device) = state.host_mut(&node)?.disks.devices.get_mut(&disk) {
                device.gpt = true;
            }
            Ok(())
        },
    )
    .await
}

/// `PUT /nodes/{node}/disks/wipedisk`
async fn wipe(px: &Px, call: Call) -> Answer {
    let (node, disk) = (call.node().to_owned(), call.params.text("disk").to_owned());
    {
        let state = px.state();
        let disks = disks(&state, &call)?;
        if !disks.devices.contains_key(&disk) {
            return Err(ApiError::failure("not a valid block device"));
        }
        if disks.folders.values().any(|folder| folder.device == disk) {
            return Err(ApiError::failure(format!(
                "disk/partition '{disk}' is mounted"
            )));
        }
        let groups = disks.groups.values().flat_map(|group| &group.disks);
        if groups
            .chain(disks.pools.values().flat_map(|pool| &pool.disks))
            .any(|held| *held == disk)
        {
            return Err(ApiError::failure(format!(
                "disk/partition '{disk}' has a holder"
            )));
        }
    }
    let id = disk.rsplit('/').next().unwrap_or_default().to_owned();
    px.worker(
        &node.clone(),
        "wipedisk",
        &id,
        &call.caller,
        move |task| async move {
            task.takes(Duration::from_secs(1)).await;
            task.proxmox
                .state()
                .host_mut(&node)?
                .disks
                .mark(std::slice::from_ref(&disk), None);
            Ok(())
        },
    )
    .await
}

pub(super) fn routes(at: &mut Routes<'_>) {
    let path = |rest: &str| format!("/nodes/{{node}}/disks/{rest}");
    at.get(&path("list"), list);
    at.get(&path("smart"), smart);
    at.get(&path("lvm"), groups);
    at.post(&path("lvm"), make_group);
    at.delete(&path("lvm/{name}"), remove_group);
    at.get(&path("lvmthin"), thin_pools);
    at.post(&path("lvmthin"), make_thin_pool);
    at.delete(&path("lvmthin/{name}"), remove_thin_pool);
    at.get(&path("zfs"), pools);
    at.post(&path("zfs"), make_pool);
    at.get(&path("zfs/{name}"), pool);
    at.delete(&path("zfs/{name}"), remove_pool);
    at.get(&path("directory"), folders);
    at.post(&path("directory"), make_folder);
    at.delete(&path("directory/{name}"), remove_folder);
    at.post(&path("initgpt"), partition);
    at.put(&path("wipedisk"), wipe);
}
