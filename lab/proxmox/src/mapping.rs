//! PCI resource mappings: one name for a device on each node.

use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::options::PciDevice;
use crate::routes::Call;
use crate::schema::check::check_properties;
use crate::schema::property::Properties;
use crate::state::{PciMapping, State};

const CREATE: &str = "/cluster/mapping/pci";
const SEEN_BY: &[&str] = &["Mapping.Audit", "Mapping.Use", "Mapping.Modify"];

impl Proxmox {
    fn parse_map(&self, text: &str) -> Result<Properties, ApiError> {
        let spec = self
            .api
            .option("POST", CREATE, "map")
            .and_then(|s| s.items.as_ref())
            .and_then(|i| i.properties());
        let keys = spec.ok_or_else(|| ApiError::failure("no such parameter"))?;
        check_properties(keys, text)
            .map_err(|text| ApiError::parameter("map[0]", format!("invalid format - {text}")))
    }
}

fn digest(state: &State) -> String {
    let text: Vec<String> = state
        .pci_mappings
        .iter()
        .map(|(id, m)| format!("{id}:{:?}:{:?}", m.description, m.map))
        .collect();
    Sha1::digest(text.join("\n").as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn check_digest(state: &State, call: &Call) -> Result<(), ApiError> {
    match call.params.get("digest") {
        Some(given) if given != digest(state) => Err(ApiError::failure(
            "detected modified configuration - file changed by other user? Try again.",
        )),
        _ => Ok(()),
    }
}

fn shown(state: &State, id: &str, mapping: &PciMapping) -> Value {
    let mut row = json!({ "id": id, "type": "pci", "map": mapping.map, "digest": digest(state) });
    if let Some(row) = row.as_object_mut() {
        if let Some(description) = &mapping.description {
            row.insert("description".into(), description.clone().into());
        }
        if mapping.mdev {
            row.insert("mdev".into(), 1.into());
        }
        if mapping.live_migration_capable {
            row.insert("live-migration-capable".into(), 1.into());
        }
    }
    row
}

/// `GET /cluster/mapping/pci`; with `check-node`, what is wrong with each there.
pub(crate) fn list(state: &State, call: &Call) -> Answer {
    let seen = state
        .pci_mappings
        .iter()
        .filter(|(id, _)| state.need_any(&call.caller, &path(id), SEEN_BY).is_ok());
    let rows = seen.map(|(id, mapping)| {
        let mut row = shown(state, id, mapping);
        if let (Some(node), Some(fields)) = (call.params.get("check-node"), row.as_object_mut()) {
            let checks = match find(state, mapping, node) {
                Ok(_) => json!([]),
                Err(text) => json!([{ "severity": "error", "message": text }]),
            };
            fields.insert("checks".into(), checks);
        }
        row
    });
    Ok(rows.collect())
}

fn path(id: &str) -> String {
    format!("/mapping/pci/{id}")
}

/// `POST /cluster/mapping/pci`
pub(crate) fn create(px: &Proxmox, call: &Call) -> Answer {
    let id = call.params.text("id");
    let mapping = changed(px, call, PciMapping::default())?;
    let mut state = px.state();
    if state.pci_mappings.contains_key(id) {
        return Err(ApiError::failure(format!("pci ID '{id}' already defined")));
    }
    assert_devices(px, &state, &mapping)?;
    state.pci_mappings.insert(id.to_owned(), mapping);
    Ok(Value::Null)
}

/// `PUT /cluster/mapping/pci/{id}`
pub(crate) fn update(px: &Proxmox, call: &Call) -> Answer {
    let id = call.params.text("id");
    let old = px
        .state()
        .pci_mappings
        .get(id)
        .cloned()
        .ok_or_else(|| missing(id))?;
    check_digest(&px.state(), call)?;
    let mapping = changed(px, call, old)?;
    let mut state = px.state();
    assert_devices(px, &state, &mapping)?;
    state.pci_mappings.insert(id.to_owned(), mapping);
    Ok(Value::Null)
}

fn changed(px: &Proxmox, call: &Call, mut mapping: PciMapping) -> Result<PciMapping, ApiError> {
    let known = [
        "id",
        "map",
        "description",
        "mdev",
        "live-migration-capable",
        "delete",
        "digest",
        "check-node",
    ];
    if let Some((name, _)) = call.params.iter().find(|(name, _)| !known.contains(name)) {
        return Err(ApiError::parameter(name, "unexpected property"));
    }
    for name in call.params.list("delete") {
        match name.as_str() {
            "description" => mapping.description = None,
            "mdev" => mapping.mdev = false,
            "live-migration-capable" => mapping.live_migration_capable = false,
            _ => {
                return Err(ApiError::failure(format!(
                    "unable to delete required option '{name}'"
                )));
            }
        }
    }
    if let Some(description) = call.params.get("description") {
        mapping.description = Some(description.to_owned());
    }
    if call.params.has("mdev") {
        mapping.mdev = call.params.is_on("mdev");
    }
    if call.params.has("live-migration-capable") {
        mapping.live_migration_capable = call.params.is_on("live-migration-capable");
    }
    if call.params.has("map") {
        mapping.map = call.params.all("map").to_vec();
    }
    let mut nodes = std::collections::BTreeSet::new();
    for text in &mapping.map {
        let map = px.parse_map(text)?;
        if !nodes.insert((
            map.get("node").map(str::to_owned),
            map.get("path").map(str::to_owned),
        )) {
            return Err(ApiError::parameter(
                "map",
                "duplicate entry for a node and path",
            ));
        }
    }
    Ok(mapping)
}

/// Each entry must say of the device what the node finds there.
fn assert_devices(px: &Proxmox, state: &State, mapping: &PciMapping) -> Result<(), ApiError> {
    for text in &mapping.map {
        let map = px.parse_map(text)?;
        let (Some(node), Some(paths)) = (map.get("node"), map.get("path")) else {
            continue;
        };
        let Some(spec) = state.nodes.get(node) else {
            return Err(ApiError::failure(format!("no such cluster node '{node}'")));
        };
        for path in paths.split(';') {
            let found = spec.pci.iter().find(|d| same_device(&d.address, path));
            let found =
                found.ok_or_else(|| ApiError::failure(format!("pci device '{path}' not found")))?;
            check_device(found, &map).map_err(ApiError::failure)?;
        }
    }
    Ok(())
}

fn check_device(device: &PciDevice, map: &Properties) -> Result<(), String> {
    let group = device.iommu_group.to_string();
    let facts = [
        ("id", device.id.as_str()),
        ("subsystem-id", device.subsystem_id.as_str()),
        ("iommugroup", group.as_str()),
    ];
    for (name, actual) in facts {
        if let Some(given) = map
            .get(name)
            .filter(|given| !given.eq_ignore_ascii_case(actual))
        {
            return Err(format!(
                "'{name}' does not match for '{}' ({actual} != {given})",
                device.address
            ));
        }
    }
    Ok(())
}

/// `01:00.0`, `0000:01:00` and `0000:01:00.0` are one device.
pub(crate) fn same_device(address: &str, given: &str) -> bool {
    let full = if given.matches(':').count() == 1 {
        format!("0000:{given}")
    } else {
        given.to_owned()
    };
    address == full || address.split('.').next() == Some(full.as_str())
}

/// `GET /cluster/mapping/pci/{id}`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let id = call.params.text("id");
    let mapping = state.pci_mappings.get(id).ok_or_else(|| missing(id))?;
    let mut row = shown(state, id, mapping);
    if let Some(row) = row.as_object_mut() {
        row.remove("id");
    }
    Ok(row)
}

/// `DELETE /cluster/mapping/pci/{id}`
pub(crate) fn delete(state: &mut State, call: &Call) -> Answer {
    check_digest(state, call)?;
    state.pci_mappings.remove(call.params.text("id"));
    Ok(Value::Null)
}

fn missing(id: &str) -> ApiError {
    ApiError::failure(format!("mapping '{id}' not found"))
}

/// The devices of a mapping on a node.
pub(crate) fn resolve(state: &State, id: &str, node: &str) -> Result<Vec<PciDevice>, String> {
    let mapping = state
        .pci_mappings
        .get(id)
        .ok_or_else(|| format!("PCI device mapping not found for '{id}'"))?;
    find(state, mapping, node).map_err(|_| {
        format!(
            "PCI device mapping invalid (hardware probably changed) for '{id}' on node '{node}'"
        )
    })
}

fn find(state: &State, mapping: &PciMapping, node: &str) -> Result<Vec<PciDevice>, String> {
    let here = |text: &&String| text.split(',').any(|part| part == format!("node={node}"));
    let devices = state
        .nodes
        .get(node)
        .map(|n| n.pci.as_slice())
        .unwrap_or_default();
    let paths = mapping
        .map
        .iter()
        .filter(here)
        .filter_map(|text| text.split(',').find_map(|p| p.strip_prefix("path=")));
    let found: Vec<PciDevice> = paths
        .flat_map(|path| path.split(';'))
        .filter_map(|path| {
            devices
                .iter()
                .find(|d| same_device(&d.address, path))
                .cloned()
        })
        .collect();
    if found.is_empty() {
        Err(format!("No mapping for node {node}."))
    } else {
        Ok(found)
    }
}
