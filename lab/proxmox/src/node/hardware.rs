//! Devices of a node that guests can have.

use serde_json::json;

use super::spec;
use crate::error::Answer;
use crate::routes::Call;
use crate::state::State;

/// `GET /nodes/{node}/hardware/pci`
pub(crate) fn pci(state: &State, call: &Call) -> Answer {
    let devices = spec(state, call)?.pci.iter().map(|device| {
        let half = |id: &str, second: bool| {
            let (vendor, device) = id.split_once(':').unwrap_or((id, ""));
            format!("0x{}", if second { device } else { vendor })
        };
        json!({
            "id": device.address, "class": device.class, "iommugroup": device.iommu_group,
            "vendor": half(&device.id, false), "device": half(&device.id, true),
            "subsystem_vendor": half(&device.subsystem_id, false), "subsystem_device": half(&device.subsystem_id, true),
            "vendor_name": device.vendor_name, "device_name": device.device_name,
        })
    });
    Ok(devices.collect())
}

/// `GET /nodes/{node}/hardware/usb`
pub(crate) fn usb(_: &State, _: &Call) -> serde_json::Value {
    json!([
        { "busnum": 1, "devnum": 1, "level": 0, "class": 9, "port": 0, "usbpath": "", "vendid": "1d6b", "prodid": "0002",
          "manufacturer": "Linux", "product": "xHCI Host Controller", "speed": "480" },
        { "busnum": 1, "devnum": 2, "level": 1, "class": 0, "port": 1, "usbpath": "2", "vendid": "10c4", "prodid": "ea60",
          "manufacturer": "Silicon Labs", "product": "CP2102N USB to UART Bridge Controller", "serial": "0001", "speed": "12" },
    ])
}
