//! The boot order of a VM.

use std::collections::BTreeMap;

use crate::Proxmox;
use crate::error::ApiError;
use crate::guest::{Kind, drive};
use crate::state::Vm;

impl Proxmox {
    /// Every device of a boot order must be there.
    pub(crate) fn check_boot_order(
        &self,
        config: &BTreeMap<String, String>,
    ) -> Result<(), ApiError> {
        for device in boot_order(config) {
            let bootable = drive::is_drive(Kind::Qemu, &device)
                || ["net", "usb", "hostpci"]
                    .iter()
                    .any(|stem| device.starts_with(stem));
            if !bootable || !config.contains_key(&device) {
                let text = format!("invalid bootorder: device '{device}' does not exist'");
                return Err(ApiError::parameter("boot", text));
            }
        }
        Ok(())
    }

    /// What boots when nobody says: the first disk, the first CD, the first network card.
    pub(crate) fn default_boot(&self, config: &BTreeMap<String, String>) -> Option<String> {
        let drives: Vec<drive::Drive> = self
            .drives(Kind::Qemu, config)
            .filter(|d| d.key != "efidisk0" && d.key != "tpmstate0" && !d.is_cloudinit())
            .collect();
        let first = |cdrom: bool| {
            let mut of_kind = drives.iter().filter(|d| d.is_cdrom() == cdrom);
            of_kind.next().map(|d| d.key.clone())
        };
        let net = (0..32)
            .map(|n| format!("net{n}"))
            .find(|key| config.contains_key(key));
        let devices: Vec<String> = first(false)
            .into_iter()
            .chain(first(true))
            .chain(net)
            .collect();
        (!devices.is_empty()).then(|| format!("order={}", devices.join(";")))
    }
}

/// The devices of `boot: order=…`.
pub(crate) fn boot_order(config: &BTreeMap<String, String>) -> Vec<String> {
    let order = config.get("boot").and_then(|boot| {
        boot.split(',')
            .find_map(|p| p.trim().strip_prefix("order="))
    });
    order
        .into_iter()
        .flat_map(|o| o.split(';'))
        .filter(|d| !d.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Takes a device that is gone out of a boot order.
pub(crate) fn forget_device(vm: &mut Vm, key: &str) {
    let before = boot_order(&vm.config);
    let mut after = before.clone();
    after.retain(|device| device != key);
    if after != before {
        vm.config
            .insert("boot".into(), format!("order={}", after.join(";")));
    }
}
