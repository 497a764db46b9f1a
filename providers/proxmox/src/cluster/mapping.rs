//! Hardware mappings: devices and folders of several nodes under one name, so that a guest may move between them.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use stead_sdk::form::Unreadable;
use stead_sdk::value::schema::Pattern;
use stead_sdk::{Block, Context, DataSource, Error, Form, Resource};

use crate::client::{Client, params, text};
use crate::rest::Hooks;
use crate::rest::object::get;
use crate::rest::patterns::COMMENT;

const DEVICE_ID: Pattern = Pattern {
    regex: "[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}",
    form: "a vendor and a device, such as `8086:5916`",
};

const PCI_PATH: Pattern = Pattern {
    regex: r"([0-9a-fA-F]{4,}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(\.[0-9a-fA-F])?;?)+",
    form: "a PCI address, such as `0000:00:02.0`",
};

const USB_PATH: Pattern = Pattern {
    regex: r"\d+-\d+(\.\d+)*",
    form: "a USB port, such as `1-5.2`",
};

const FOLDER: Pattern = Pattern {
    regex: "/[^,=]*",
    form: "an absolute path without `,` and `=`",
};

/// A remark in a property string.
const REMARK: Pattern = Pattern {
    regex: r"[^\s,=]([^,=]*[^\s,=])?",
    form: "a text without `,` and `=`, and without blanks at its ends",
};

/// Folders of nodes that machines may share under one name.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_hardware_mapping_dir",
    alias = "proxmox_virtual_environment_hardware_mapping_dir"
)]
pub(crate) struct MappingDir {
    /// The mapping's name.
    #[attr(computed)]
    id: String,
    /// What the mapping is for.
    #[attr(optional, pattern(COMMENT))]
    #[form(name = "description")]
    comment: Option<String>,
    /// The folder on each node.
    #[attr(required, nested(set), length(1..))]
    #[form(repeat, always)]
    map: Vec<Folder>,
    /// The mapping's name.
    #[attr(required, replace)]
    #[form(name = "id", create)]
    name: String,
}

/// A folder on a node.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Folder {
    /// The node that has it.
    #[attr(required)]
    node: String,
    /// Where it is.
    #[attr(required, pattern(FOLDER))]
    path: String,
}

/// PCI devices that machines may be given by name.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_hardware_mapping_pci",
    alias = "proxmox_virtual_environment_hardware_mapping_pci"
)]
pub(crate) struct MappingPci {
    /// The mapping's name.
    #[attr(computed)]
    id: String,
    /// What the mapping is for.
    #[attr(optional, pattern(COMMENT))]
    #[form(name = "description")]
    comment: Option<String>,
    /// The devices, one of which a machine is given.
    #[attr(required, nested(set), length(1..))]
    #[form(repeat, always)]
    map: Vec<PciDevice>,
    /// Whether the devices can be split into mediated ones.
    #[attr(optional, computed, default = false)]
    #[form(name = "mdev")]
    mediated_devices: bool,
    /// The mapping's name.
    #[attr(required, replace)]
    #[form(name = "id", create)]
    name: String,
}

/// A device on a node.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct PciDevice {
    /// What the device is for.
    #[attr(optional, pattern(REMARK))]
    #[form(name = "description")]
    comment: Option<String>,
    /// Vendor and device, `8086:5916`.
    #[attr(required, pattern(DEVICE_ID))]
    id: String,
    /// The IOMMU group, which a machine gets as a whole.
    #[attr(optional)]
    #[form(name = "iommugroup")]
    iommu_group: Option<i64>,
    /// The node that has it.
    #[attr(required)]
    node: String,
    /// The address, `0000:00:02.0`.
    #[attr(required, pattern(PCI_PATH))]
    path: String,
    /// Vendor and device of the subsystem.
    #[attr(optional, pattern(DEVICE_ID))]
    subsystem_id: Option<String>,
}

/// USB devices that machines may be given by name.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_hardware_mapping_usb",
    alias = "proxmox_virtual_environment_hardware_mapping_usb"
)]
pub(crate) struct MappingUsb {
    /// The mapping's name.
    #[attr(computed)]
    id: String,
    /// What the mapping is for.
    #[attr(optional, pattern(COMMENT))]
    #[form(name = "description")]
    comment: Option<String>,
    /// The devices, one of which a machine is given.
    #[attr(required, nested(set), length(1..))]
    #[form(repeat, always)]
    map: Vec<UsbDevice>,
    /// The mapping's name.
    #[attr(required, replace)]
    #[form(name = "id", create)]
    name: String,
}

/// A device on a node.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct UsbDevice {
    /// What the device is for.
    #[attr(optional, pattern(REMARK))]
    #[form(name = "description")]
    comment: Option<String>,
    /// Vendor and device, `8087:0033`.
    #[attr(required, pattern(DEVICE_ID))]
    id: String,
    /// The node that has it.
    #[attr(required)]
    node: String,
    /// The port, when the device is to be the one that is plugged in there.
    #[attr(optional, pattern(USB_PATH))]
    path: Option<String>,
}

/// The hardware mappings of a type.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(
    name = "proxmox_hardware_mappings",
    alias = "proxmox_virtual_environment_hardware_mappings"
)]
pub(crate) struct Mappings {
    /// The node on which the mappings are checked.
    #[attr(optional)]
    #[form(path)]
    check_node: Option<String>,
    /// What is wrong with mappings on that node.
    #[attr(computed, nested(list))]
    #[form(skip)]
    checks: Vec<Finding>,
    /// Always `hardware_mappings`.
    #[attr(computed)]
    id: String,
    /// The mappings' names.
    #[attr(computed)]
    #[form(rows = "id")]
    ids: BTreeSet<String>,
    /// Of folders, PCI or USB devices.
    #[attr(required, one_of("dir", "pci", "usb"))]
    #[form(path)]
    r#type: String,
}

/// What is wrong with a mapping.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Finding {
    /// The mapping's name.
    #[attr(computed)]
    mapping_id: String,
    /// What it is.
    #[attr(computed)]
    message: String,
    /// `warning` or `error`.
    #[attr(computed)]
    severity: String,
}

#[stead_sdk::async_trait]
impl Hooks for Mappings {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let node = self.check_node.clone();
        let query = node.map(|node| params([("check-node", node)]));
        get(self, client, &query.unwrap_or_default(), cx).await
    }

    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let rows = answer.as_array().into_iter().flatten();
        let checks = rows.flat_map(|row| {
            // Of USB devices they are called otherwise.
            let found = row.get("checks").or_else(|| row.get("error"));
            let found = found.and_then(Json::as_array).into_iter().flatten();
            let of = text(row, "id").unwrap_or_default();
            found.map(move |check| Finding {
                mapping_id: of.clone(),
                message: text(check, "message")
                    .unwrap_or_default()
                    .trim_end()
                    .to_owned(),
                severity: text(check, "severity").unwrap_or_default(),
            })
        });
        self.checks = checks.collect();
        Ok(true)
    }
}
