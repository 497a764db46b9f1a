//! Pools and datasets.

use serde_json::{Map, Value, json};

use super::properties::{self, belongs, bytes, dataset_entry, in_force, is_property, raw_of};
use crate::error::{EFAULT, ENOTEMPTY, Failure, Invalid, Problem};
use crate::query::query;
use crate::state::{Dataset, Node, State};
use crate::system::{System, now};

type Outcome = Result<Value, Failure>;

/// `pool.query`'s one entry.
fn pool(system: &System, state: &State) -> Value {
    let size = system.options.pool_size;
    let used = properties::used(state, &system.options.pool);
    let disk = |n: u32| {
        json!({"name": format!("sd{}", ["b", "c"].get(n as usize).unwrap_or(&"d")), "type": "DISK", "path": format!("/dev/sd{n}"), "guid": (4_000_000_000_u64 + u64::from(n)).to_string(),
            "status": "ONLINE", "stats": {"size": size}, "children": [], "device": format!("sd{n}"), "disk": format!("sd{n}"), "unavail_disk": null})
    };
    json!({
        "id": 1, "name": system.options.pool, "guid": "4207926379520000001", "status": "ONLINE", "path": format!("/mnt/{}", system.options.pool),
        "scan": null, "expand": null, "is_upgraded": true, "healthy": true, "warning": false, "status_code": "OK", "status_detail": null,
        "size": size, "allocated": used, "free": size.saturating_sub(used), "freeing": 0, "dedup_table_size": 0, "dedup_table_quota": "auto",
        "fragmentation": "0", "size_str": size.to_string(), "allocated_str": used.to_string(), "free_str": size.saturating_sub(used).to_string(), "freeing_str": "0",
        "autotrim": {"value": "off", "rawvalue": "off", "parsed": "off", "source": "DEFAULT"},
        "topology": {"data": [{"name": "mirror-0", "type": "MIRROR", "path": null, "guid": "4000000009", "status": "ONLINE", "stats": {"size": size}, "children": [disk(0), disk(1)], "unavail_disk": null}],
            "log": [], "cache": [], "spare": [], "special": [], "dedup": []},
    })
}

pub(super) fn pools(system: &System, filters: &Value, options: &Value) -> Outcome {
    let row = pool(system, &system.state());
    query(vec![row], filters, options)
}

pub(super) fn pool_instance(system: &System, id: &Value) -> Outcome {
    if id.as_i64() == Some(1) {
        return Ok(pool(system, &system.state()));
    }
    Err(Failure::missing("Pool", id))
}

/// A dataset's entry; with everything below it when asked for.
fn entry(system: &System, state: &State, id: &str, children: bool) -> Option<Value> {
    let dataset = state.datasets.get(id)?;
    let mut out = dataset_entry(state, id, dataset, system.options.pool_size);
    if children {
        let direct = |other: &&String| {
            other
                .strip_prefix(id)
                .and_then(|r| r.strip_prefix('/'))
                .is_some_and(|r| !r.contains('/'))
        };
        let below: Vec<Value> = state
            .datasets
            .keys()
            .filter(direct)
            .filter_map(|child| entry(system, state, child, true))
            .collect();
        out.insert("children".to_owned(), Value::Array(below));
    }
    Some(Value::Object(out))
}

pub(super) fn list(system: &System, filters: &Value, options: &Value) -> Outcome {
    let extra = options.get("extra").cloned().unwrap_or_default();
    let known = [
        "flat",
        "retrieve_children",
        "properties",
        "retrieve_user_props",
        "snapshots",
        "snapshots_recursive",
        "snapshots_count",
        "snapshots_properties",
        "checkpoint",
    ];
    if let Some(unknown) = extra
        .as_object()
        .and_then(|e| e.keys().find(|k| !known.contains(&k.as_str())))
    {
        return Err(Failure::not_simulated(&format!(
            "the extra option {unknown:?} of pool.dataset.query"
        )));
    }
    let flag =
        |name: &str, default: bool| extra.get(name).and_then(Value::as_bool).unwrap_or(default);
    let (flat, children) = (flag("flat", true), flag("retrieve_children", true));
    let state = system.state();
    let ids = state.datasets.keys().filter(|id| flat || !id.contains('/'));
    let mut rows: Vec<Value> = ids
        .filter_map(|id| entry(system, &state, id, children))
        .collect();
    drop(state);
    // `properties: [..]` keeps only those of the ZFS properties.
    if let Some(wanted) = extra.get("properties").and_then(Value::as_array) {
        for row in rows.iter_mut().filter_map(Value::as_object_mut) {
            row.retain(|name, _| {
                !is_property(name) || wanted.iter().any(|w| w.as_str() == Some(name))
            });
        }
    }
    query(rows, filters, options)
}

pub(super) fn instance(system: &System, id: &Value) -> Outcome {
    let id = id.as_str().unwrap_or_default();
    entry(system, &system.state(), id, true).ok_or_else(|| Failure::missing("PoolDataset", id))
}

/// Collects problems of one schema's attributes.
struct Check {
    schema: &'static str,
    problems: Vec<Problem>,
}

impl Check {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.problems
            .push(Problem::new(&format!("{}.{field}", self.schema), message));
    }

    fn done(self) -> Result<(), Failure> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(Failure::Invalid(Invalid(self.problems)))
        }
    }
}

pub(super) fn create(system: &System, data: &Value) -> Outcome {
    let data = data.as_object().cloned().unwrap_or_default();
    let name = data
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let kind = data
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("FILESYSTEM")
        .to_owned();
    if data.get("encryption") == Some(&Value::Bool(true))
        || data.get("inherit_encryption") == Some(&Value::Bool(false))
            && data.contains_key("encryption_options")
    {
        return Err(Failure::not_simulated(
            "encrypted datasets (pool.dataset.create with encryption)",
        ));
    }
    let mut state = system.state();
    let mut check = Check {
        schema: "pool_dataset_create",
        problems: Vec::new(),
    };
    let ancestors = data.get("create_ancestors") == Some(&Value::Bool(true));
    check_name(system, &state, &name, ancestors, &mut check);
    common_checks(&data, &kind, &mut check);
    if kind == "VOLUME" {
        check_volume(system, &state, &name, &data, &mut check);
    }
    check.done()?;
    let time = now();
    let mut missing: Vec<String> = Vec::new();
    let mut parent = name.as_str();
    while let Some((above, _)) = parent.rsplit_once('/') {
        if !state.datasets.contains_key(above) {
            missing.push(above.to_owned());
        }
        parent = above;
    }
    for above in missing.into_iter().rev() {
        add(
            &mut state,
            &above,
            Dataset {
                kind: "FILESYSTEM".to_owned(),
                local: Default::default(),
                user_properties: Default::default(),
                created: time / 1000,
            },
            false,
        );
    }
    let mut dataset = Dataset {
        kind,
        local: Default::default(),
        user_properties: Default::default(),
        created: time / 1000,
    };
    let acl = share_type(&data, &mut dataset);
    apply(&data, &mut dataset);
    add(&mut state, &name, dataset, acl);
    let made = entry(system, &state, &name, true).unwrap_or_default();
    drop(state);
    system.changed();
    system.event("pool.dataset.query", "added", &json!(name), Some(&made));
    Ok(made)
}

fn add(state: &mut State, id: &str, dataset: Dataset, acl: bool) {
    if dataset.kind == "FILESYSTEM" {
        let node = Node {
            acl,
            mode: if acl { 0o770 } else { 0o755 },
            ..Node::directory(dataset.created)
        };
        state.nodes.insert(format!("/mnt/{id}"), node);
    }
    state.datasets.insert(id.to_owned(), dataset);
}

/// What `share_type` presets; whether the new dataset carries an ACL.
fn share_type(data: &Map<String, Value>, dataset: &mut Dataset) -> bool {
    let presets: &[(&str, &str)] = match data
        .get("share_type")
        .and_then(Value::as_str)
        .unwrap_or("GENERIC")
    {
        "SMB" => &[
            ("casesensitivity", "insensitive"),
            ("acltype", "nfsv4"),
            ("aclmode", "restricted"),
        ],
        "NFS" | "MULTIPROTOCOL" | "APPS" => &[
            ("casesensitivity", "sensitive"),
            ("atime", "off"),
            ("acltype", "nfsv4"),
            ("aclmode", "passthrough"),
        ],
        _ => &[],
    };
    for (name, value) in presets {
        dataset
            .local
            .insert((*name).to_owned(), (*value).to_owned());
    }
    matches!(
        data.get("share_type").and_then(Value::as_str),
        Some("SMB" | "APPS")
    )
}

fn check_name(system: &System, state: &State, name: &str, ancestors: bool, check: &mut Check) {
    let Some((parent, _)) = name.rsplit_once('/') else {
        check.add("name", "You need a full name, e.g. pool/newdataset");
        return;
    };
    if name.ends_with(' ') {
        check.add("name", "Trailing spaces are not permitted in dataset names");
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.: ".contains(c);
    if name.len() > 200
        || name.split('/').any(|part| {
            part.is_empty() || part == "." || part == ".." || !part.chars().all(allowed)
        })
    {
        check.add("name", "Invalid dataset name");
        return;
    }
    if name.split('/').next() != Some(&system.options.pool) {
        check.add(
            "name",
            "Please specify a pool which exists for the dataset/volume to be created",
        );
        return;
    }
    if name
        .split('/')
        .nth(1)
        .is_some_and(|top| [".system", "ix-applications", "ix-apps", ".ix-virt"].contains(&top))
    {
        check.add("name", format!("{name:?} is using system internal managed dataset. Please specify a different parent."));
    }
    if state.datasets.contains_key(name) || state.nodes.contains_key(&format!("/mnt/{name}")) {
        check.add("name", format!("Path /mnt/{name} already exists"));
    }
    match state.datasets.get(parent) {
        Some(above) if above.kind == "VOLUME" => check.add("name", format!("{parent}: parent may not be a ZFS volume")),
        Some(_) if in_force(state, parent, "readonly") == "on" => check.add("readonly", format!("Turn off readonly mode on {parent} to create {name}")),
        None if !ancestors => check.add("name", format!("Parent dataset {parent} does not exist. Please use \"create_ancestors\" to create it.")),
        Some(_) | None => {}
    }
}

/// Checks that creating and updating share.
fn common_checks(data: &Map<String, Value>, kind: &str, check: &mut Check) {
    for (name, _) in data
        .iter()
        .filter(|(n, v)| is_property(n) && !belongs(n, kind) && v.as_str() != Some("INHERIT"))
    {
        check.add(name, format!("This field is not valid for {kind}"));
    }
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    match (text("acltype"), text("aclmode")) {
        ("POSIX" | "OFF", mode) if !["", "DISCARD", "INHERIT"].contains(&mode) => check.add(
            "aclmode",
            "Must be set to DISCARD when acltype is POSIX or OFF",
        ),
        ("NFSV4", "DISCARD") => check.add(
            "aclmode",
            "DISCARD aclmode may not be set for NFSv4 acl type",
        ),
        _ => {}
    }
    let recordsize = text("recordsize");
    if !["", "INHERIT"].contains(&recordsize)
        && !bytes(recordsize).is_some_and(|n| n.is_power_of_two() && (512..=16 << 20).contains(&n))
    {
        check.add(
            "recordsize",
            format!("{recordsize:?} is an invalid recordsize."),
        );
    }
    if let Some(small) = data.get("special_small_block_size").and_then(Value::as_i64)
        && !(small == 0
            || u64::try_from(small)
                .is_ok_and(|n| n.is_power_of_two() && (512..=1 << 20).contains(&n)))
    {
        check.add(
            "special_small_block_size",
            "This field must be zero or a power of 2 from 512B to 1M",
        );
    }
    if data.contains_key("user_properties") && data.contains_key("user_properties_update") {
        check.add(
            "user_properties_update",
            "Should not be specified when \"user_properties\" are explicitly specified",
        );
    }
    for (at, update) in data
        .get("user_properties_update")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
    {
        match (
            update.get("value").is_some(),
            update.get("remove").is_some(),
        ) {
            (true, true) => check.add(
                &format!("user_properties_update.{at}.remove"),
                "When \"value\" is specified, this cannot be set",
            ),
            (false, false) => check.add(
                &format!("user_properties_update.{at}.value"),
                "Either \"value\" or \"remove\" must be specified",
            ),
            _ => {}
        }
    }
}

fn check_volume(
    system: &System,
    state: &State,
    name: &str,
    data: &Map<String, Value>,
    check: &mut Check,
) {
    let size = data.get("volsize").and_then(Value::as_u64).unwrap_or(0);
    let block = data
        .get("volblocksize")
        .and_then(Value::as_str)
        .and_then(bytes)
        .unwrap_or(16_384);
    if size == 0 || !size.is_multiple_of(block) {
        check.add(
            "volsize",
            "Volume size should be a multiple of volume block size",
        );
    }
    let parent = name.rsplit_once('/').map_or(name, |(p, _)| p);
    let free = properties::available(state, parent, system.options.pool_size);
    if data.get("force_size") != Some(&Value::Bool(true)) && size > free / 100 * 80 {
        check.add(
            "volsize",
            "It is not recommended to use more than 80% of your available space for VOLUME",
        );
    }
}

/// Takes a checked request's properties over.
fn apply(data: &Map<String, Value>, dataset: &mut Dataset) {
    for (name, value) in data.iter().filter(|(n, _)| belongs(n, &dataset.kind)) {
        match raw_of(name, value) {
            Some(raw) => dataset.local.insert(name.clone(), raw),
            None => dataset.local.remove(name),
        };
    }
    match data.get("acltype").and_then(Value::as_str) {
        Some("POSIX" | "OFF") => drop(
            dataset
                .local
                .insert("aclmode".to_owned(), "discard".to_owned()),
        ),
        Some("INHERIT") => drop(dataset.local.remove("aclmode")),
        _ => {}
    }
    if dataset.kind == "VOLUME"
        && data.contains_key("volsize")
        && data.get("sparse") != Some(&Value::Bool(true))
    {
        let size = dataset.local.get("volsize").cloned().unwrap_or_default();
        if !data.contains_key("refreservation") {
            dataset.local.insert("refreservation".to_owned(), size);
        }
    }
    let text = |v: &Value, name: &str| {
        v.get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    if let Some(given) = data.get("user_properties").and_then(Value::as_array) {
        dataset.user_properties = given
            .iter()
            .map(|p| (text(p, "key"), text(p, "value")))
            .collect();
    }
    for update in data
        .get("user_properties_update")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if update.get("remove") == Some(&Value::Bool(true)) {
            dataset.user_properties.remove(&text(update, "key"));
        } else if update.get("value").is_some() {
            dataset
                .user_properties
                .insert(text(update, "key"), text(update, "value"));
        }
    }
}

pub(super) fn update(system: &System, id: &Value, data: &Value) -> Outcome {
    let id = id.as_str().unwrap_or_default().to_owned();
    let data = data.as_object().cloned().unwrap_or_default();
    let mut state = system.state();
    let Some(mut dataset) = state.datasets.get(&id).cloned() else {
        let problem = Problem {
            attribute: Some("id".to_owned()),
            message: format!("{id} does not exist"),
            errno: crate::error::ENOENT,
        };
        return Err(Failure::Invalid(Invalid(vec![problem])));
    };
    let mut check = Check {
        schema: "pool_dataset_update",
        problems: Vec::new(),
    };
    common_checks(&data, &dataset.kind, &mut check);
    if let Some(size) = data.get("volsize").and_then(Value::as_u64) {
        let old = dataset
            .local
            .get("volsize")
            .and_then(|v| v.parse::<u64>().ok())
            .unwrap_or(0);
        let block = dataset
            .local
            .get("volblocksize")
            .and_then(|v| v.parse::<u64>().ok())
            .unwrap_or(16_384);
        if size < old {
            check.add(
                "volsize",
                "You cannot shrink a zvol from GUI, this may lead to data loss.",
            );
        } else if size % block != 0 {
            check.add(
                "volsize",
                "Volume size should be a multiple of volume block size",
            );
        }
    }
    check.done()?;
    for name in ["quota", "refquota"] {
        let wanted = data.get(name).and_then(Value::as_u64).unwrap_or(0);
        if wanted > 0 && wanted < properties::used(&state, &id) {
            return Err(Failure::call(
                EFAULT,
                format!(
                    "Failed to update properties: cannot set property for '{id}': size is less than current used or reserved space"
                ),
            ));
        }
    }
    let thin = dataset.kind == "VOLUME" && !dataset.local.contains_key("refreservation");
    let mut wanted = data.clone();
    if thin {
        wanted.insert("sparse".to_owned(), Value::Bool(true));
    }
    apply(&wanted, &mut dataset);
    state.datasets.insert(id.clone(), dataset);
    let changed = entry(system, &state, &id, true).unwrap_or_default();
    drop(state);
    system.changed();
    system.event("pool.dataset.query", "changed", &json!(id), Some(&changed));
    Ok(changed)
}

pub(super) fn delete(system: &System, id: &Value, options: &Value) -> Outcome {
    let id = id.as_str().unwrap_or_default().to_owned();
    let recursive = options.get("recursive") == Some(&Value::Bool(true));
    let mut state = system.state();
    if !state.datasets.contains_key(&id) {
        return Err(Failure::missing("PoolDataset", &id));
    }
    if !id.contains('/') {
        return Err(Failure::call(
            EFAULT,
            format!(
                "Failed to delete dataset: cannot destroy '{id}': operation does not apply to pools"
            ),
        ));
    }
    let below = format!("{id}/");
    let children: Vec<String> = state
        .datasets
        .keys()
        .filter(|d| d.starts_with(&below))
        .cloned()
        .collect();
    if !children.is_empty() && !recursive {
        return Err(Failure::call(
            ENOTEMPTY,
            format!("Failed to delete dataset: cannot destroy '{id}': filesystem has children"),
        ));
    }
    for gone in children.iter().chain([&id]) {
        state.datasets.remove(gone);
    }
    let (mount, under) = (format!("/mnt/{id}"), format!("/mnt/{id}/"));
    let within = |path: &str| path == mount || path.starts_with(&under);
    state.nodes.retain(|path, _| !within(path));
    // The middleware removes what was attached to the dataset: its shares.
    state.shares.retain(|_, share| {
        !share
            .get("path")
            .and_then(Value::as_str)
            .is_some_and(within)
    });
    drop(state);
    system.changed();
    for gone in children.iter().chain([&id]) {
        system.event("pool.dataset.query", "removed", &json!(gone), None);
    }
    Ok(Value::Bool(true))
}

/// The pool's root dataset, as a new pool has it.
pub(crate) fn root(created: i64) -> Dataset {
    let local = [
        ("compression", "lz4"),
        ("aclmode", "discard"),
        ("acltype", "posix"),
        ("atime", "off"),
    ];
    let local = local
        .iter()
        .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
        .collect();
    Dataset {
        kind: "FILESYSTEM".to_owned(),
        local,
        user_properties: Default::default(),
        created,
    }
}
