//! A data source: the PCI devices of a node.

use serde_json::Value as Json;
use stead_sdk::form::{Params, Unreadable};
use stead_sdk::{Block, Context, DataSource, Error, Form, async_trait};

use crate::client::Client;
use crate::rest::{Hooks, object};

/// The PCI devices of a node.
#[derive(Clone, Debug, DataSource, Form)]
#[data_source(name = "proxmox_hardware_pci")]
pub(crate) struct PciDevices {
    /// The devices, by their addresses.
    #[attr(computed, nested(list))]
    #[form(rows)]
    devices: Vec<Device>,
    /// Only some of them.
    #[attr(optional, nested(single))]
    #[form(skip)]
    filters: Option<Filters>,
    /// The node.
    #[attr(required)]
    #[form(path)]
    node_name: String,
    /// Classes that are left out, by how they begin; the server leaves out memory, bridges and processors when this is not set.
    #[attr(optional)]
    #[form(skip)]
    pci_class_blacklist: Option<Vec<String>>,
}

/// A device.
#[derive(Clone, Debug, Block, Form)]
pub(crate) struct Device {
    /// What kind of device it is: `0x030000`.
    #[attr(computed)]
    class: String,
    /// The device's number.
    #[attr(computed)]
    device: String,
    /// What it is called.
    #[attr(computed)]
    #[form(name = "device_name")]
    device_name: Option<String>,
    /// The address: `0000:01:00.0`.
    #[attr(computed)]
    id: String,
    /// Devices of one group are given to guests together; -1 without an IOMMU.
    #[attr(computed)]
    #[form(name = "iommugroup")]
    iommu_group: i64,
    /// Whether it can be split into mediated devices.
    #[attr(computed)]
    mdev: Option<bool>,
    /// The number of the subsystem's device.
    #[attr(computed)]
    #[form(name = "subsystem_device")]
    subsystem_device: Option<String>,
    /// What the subsystem's device is called.
    #[attr(computed)]
    #[form(name = "subsystem_device_name")]
    subsystem_device_name: Option<String>,
    /// The number of the subsystem's vendor.
    #[attr(computed)]
    #[form(name = "subsystem_vendor")]
    subsystem_vendor: Option<String>,
    /// What the subsystem's vendor is called.
    #[attr(computed)]
    #[form(name = "subsystem_vendor_name")]
    subsystem_vendor_name: Option<String>,
    /// The vendor's number.
    #[attr(computed)]
    vendor: String,
    /// What the vendor is called.
    #[attr(computed)]
    #[form(name = "vendor_name")]
    vendor_name: Option<String>,
}

/// Which devices are shown: those whose values begin so. Numbers may be written without `0x`.
#[derive(Clone, Debug, Block)]
pub(crate) struct Filters {
    /// The class: `03` is everything that displays.
    #[attr(optional)]
    class: Option<String>,
    /// The device's number.
    #[attr(optional)]
    device_id: Option<String>,
    /// The address.
    #[attr(optional)]
    id: Option<String>,
    /// The vendor's number.
    #[attr(optional)]
    vendor_id: Option<String>,
}

impl Filters {
    fn lets_pass(&self, device: &Device) -> bool {
        let digits = |text: &str| text.to_lowercase().trim_start_matches("0x").to_owned();
        let begins = |value: &str, wanted: &Option<String>| {
            let wanted = wanted.as_deref().unwrap_or_default();
            digits(value).starts_with(&digits(wanted))
        };
        let wanted = self.id.as_deref().unwrap_or_default();
        device.id.starts_with(wanted)
            && begins(&device.class, &self.class)
            && begins(&device.vendor, &self.vendor_id)
            && begins(&device.device, &self.device_id)
    }
}

#[async_trait]
impl Hooks for PciDevices {
    async fn fetch(&self, client: &Client, cx: &Context) -> Result<Json, Error> {
        let without = self.pci_class_blacklist.as_ref();
        let query = without.map(|classes| ("pci-class-blacklist".to_owned(), classes.join(";")));
        let query: Params = query.into_iter().collect();
        object::get(self, client, &query, cx).await
    }

    fn found(&mut self, _answer: &Json) -> Result<bool, Unreadable> {
        if let Some(filters) = &self.filters {
            self.devices.retain(|device| filters.lets_pass(device));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use stead_sdk::form::Form as _;

    use super::*;

    #[test]
    fn filters_compare_beginnings_with_and_without_the_prefix() {
        let device = Device {
            class: "0x030200".into(),
            device: "0x1eb8".into(),
            id: "0000:01:00.0".into(),
            vendor: "0x10DE".into(),
            ..Device::blank()
        };
        let filters = |class: &str, vendor: &str, id: &str| Filters {
            class: Some(class.into()),
            device_id: None,
            id: Some(id.into()),
            vendor_id: Some(vendor.into()),
        };
        assert!(filters("03", "0x10de", "0000:01").lets_pass(&device));
        assert!(!filters("02", "10de", "").lets_pass(&device));
        assert!(!filters("", "8086", "").lets_pass(&device));
        assert!(!filters("", "", "0000:02").lets_pass(&device));
    }
}
