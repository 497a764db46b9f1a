//! Resource mappings: one name for a PCI device, a USB device or a folder on each node.

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::options::PciDevice;
use crate::routes::Routes;
use crate::schema::property::plain;
use crate::sections::{Act, Family, Section, Shown, Type};
use crate::state::State;

const SEEN_BY: &[&str] = &["Mapping.Modify", "Mapping.Use", "Mapping.Audit"];

static PCI: Family = Family {
    file: "mapping/pci.cfg",
    path: "/cluster/mapping/pci",
    types: &[Type {
        required: &["map"],
        optional: &["description", "mdev", "live-migration-capable"],
        ..Type::new("pci")
    }],
    seen: ("/mapping/pci/{id}", SEEN_BY),
    exists: |id| ApiError::failure(format!("pci ID '{id}' already defined")),
    missing: |act, id| missing("pci", act, id),
    show: |shown, row| {
        let check =
            |node: &str, map: &str| pci_device(shown.state, shown.id, shown.section, node, map);
        show_checks(shown, row, "checks", &check);
    },
    ..MAPPING
};

static USB: Family = Family {
    file: "mapping/usb.cfg",
    path: "/cluster/mapping/usb",
    types: &[Type {
        required: &["map"],
        optional: &["description"],
        ..Type::new("usb")
    }],
    seen: ("/mapping/usb/{id}", SEEN_BY),
    exists: |id| ApiError::failure(format!("usb ID '{id}' already defined")),
    missing: |act, id| missing("usb", act, id),
    // The simulated nodes have no USB devices.
    show: |shown, row| {
        show_checks(shown, row, "errors", &|_, map| {
            let wanted = plain(map, "path").or(plain(map, "id"));
            Err::<(), _>(format!(
                "usb device '{}' not found",
                wanted.unwrap_or_default()
            ))
        });
    },
    ..MAPPING
};

static DIR: Family = Family {
    file: "mapping/directory.cfg",
    path: "/cluster/mapping/dir",
    types: &[Type {
        required: &["map"],
        optional: &["description"],
        ..Type::new("dir")
    }],
    seen: ("/mapping/dir/{id}", SEEN_BY),
    exists: |id| ApiError::failure(format!("dir ID '{id}' already defined")),
    missing: |act, id| missing("dir", act, id),
    failed: |act| match act {
        Act::Create => "create directory mapping failed",
        Act::Update => "update directory mapping failed",
        _ => "",
    },
    check_within: false,
    check: |_, section| one_folder_a_node(section),
    show: |shown, row| show_checks(shown, row, "checks", &|_, _| Ok(())),
    ..MAPPING
};

const MAPPING: Family = Family {
    control: &["check-node"],
    whole_updates: true,
    digest_in_list: true,
    failed: |act| match act {
        Act::Create => "create hardware mapping failed",
        Act::Update => "update hardware mapping failed",
        _ => "",
    },
    ..Family::PLAIN
};

pub(crate) fn routes(at: &mut Routes<'_>) {
    for family in [&PCI, &USB, &DIR] {
        family.routes(at);
    }
}

fn missing(kind: &str, act: Act, id: &str) -> Option<ApiError> {
    match act {
        Act::Delete => None,
        Act::Update => Some(ApiError::failure(format!(
            "{kind} ID '{id}' does not exist"
        ))),
        _ => Some(ApiError::failure(format!("mapping '{id}' not found"))),
    }
}

fn one_folder_a_node(section: &Section) -> Result<(), ApiError> {
    let nodes: Vec<&str> = section
        .all("map")
        .iter()
        .filter_map(|map| plain(map, "node"))
        .collect();
    for node in &nodes {
        let times = nodes.iter().filter(|n| n == &node).count();
        if times > 1 {
            return Err(ApiError::failure(format!(
                "Node '{node}' is specified {times} times."
            )));
        }
    }
    Ok(())
}

/// With `check-node`, what is wrong with a mapping there.
fn show_checks<T>(
    shown: &Shown<'_>,
    row: &mut Map<String, Value>,
    key: &str,
    check: &dyn Fn(&str, &str) -> Result<T, String>,
) {
    let Some(node) = shown.call.params.get("check-node").filter(|_| shown.listed) else {
        return;
    };
    let maps: Vec<&str> = on_node(shown.section, node).collect();
    let mut found: Vec<Value> = maps
        .iter()
        .filter_map(|map| check(node, map).err())
        .map(|text| json!({ "severity": "error", "message": format!("Invalid configuration: {text}\n") }))
        .collect();
    if maps.is_empty() {
        found.push(
            json!({ "severity": "warning", "message": format!("No mapping for node {node}.") }),
        );
    }
    row.insert(key.into(), found.into());
}

fn on_node<'a>(section: &'a Section, node: &str) -> impl Iterator<Item = &'a str> {
    section
        .all("map")
        .iter()
        .map(String::as_str)
        .filter(move |map| plain(map, "node") == Some(node))
}

/// The devices of one entry, if they are what it says.
fn pci_device(
    state: &State,
    id: &str,
    section: &Section,
    node: &str,
    map: &str,
) -> Result<Vec<PciDevice>, String> {
    let present = state
        .nodes
        .get(node)
        .map(|n| n.pci.as_slice())
        .unwrap_or_default();
    let mut found = Vec::new();
    for (i, path) in plain(map, "path")
        .unwrap_or_default()
        .split(';')
        .enumerate()
    {
        let device = present.iter().find(|d| same_device(&d.address, path));
        let device = device.ok_or_else(|| format!("pci device '{path}' not found"))?;
        let group = device.iommu_group.to_string();
        let mdev = if section.is_on("mdev") { "1" } else { "0" };
        let facts = [
            ("id", device.id.as_str(), plain(map, "id")),
            ("iommugroup", group.as_str(), plain(map, "iommugroup")),
            ("mdev", "0", Some(mdev)),
            (
                "subsystem-id",
                device.subsystem_id.as_str(),
                plain(map, "subsystem-id"),
            ),
        ];
        for (name, expected, configured) in facts {
            match configured {
                _ if name == "iommugroup" && i > 0 => {}
                None => {
                    return Err(format!(
                        "missing expected property '{name}' for device '{path}'"
                    ));
                }
                Some(configured) if !configured.eq_ignore_ascii_case(expected) => {
                    return Err(format!(
                        "'{name}' does not match for '{id}' ({expected} != {configured})"
                    ));
                }
                Some(_) => {}
            }
        }
        found.push(device.clone());
    }
    Ok(found)
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

/// The devices of a PCI mapping on a node; when it is not valid there, why a machine with it does not start.
pub(crate) fn resolve(state: &State, id: &str, node: &str) -> Result<Vec<PciDevice>, String> {
    let absent = || format!("PCI device mapping not found for '{id}'");
    let section = state.section(PCI.file, id).ok_or_else(absent)?;
    let mut found = Vec::new();
    for map in on_node(section, node) {
        let devices = pci_device(state, id, section, node, map);
        found.extend(devices.map_err(|text| {
            format!("PCI device mapping invalid (hardware probably changed): {text}")
        })?);
    }
    if found.is_empty() {
        Err(absent())
    } else {
        Ok(found)
    }
}

/// Names of the PCI mappings.
pub(crate) fn pci_names(state: &State) -> impl Iterator<Item = &String> {
    state.sections(PCI.file).map(|(id, _)| id)
}

/// Whether a running machine may take a PCI mapping's device along to another node.
pub(crate) fn live_migratable(state: &State, id: &str) -> bool {
    state
        .section(PCI.file, id)
        .is_some_and(|section| section.is_on("live-migration-capable"))
}
