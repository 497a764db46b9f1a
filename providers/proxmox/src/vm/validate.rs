//! Checks of a machine's configuration that no schema can express.

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::wait::parse_duration;

use crate::vm::decode::is_drive;

pub(crate) fn validate(config: &Value) -> Diagnostics {
    let mut found = Diagnostics::new();
    slots(config, &mut found);
    numa(config, &mut found);
    for agent in blocks(config, "agent") {
        let timeout = text(&agent, "timeout");
        if let Some(timeout) = timeout.filter(|t| parse_duration(t).is_none()) {
            let place = Path::root().attr("agent").index_number(0).attr("timeout");
            let detail = format!("{timeout:?} is not a duration such as 15m or 90s.");
            found.push(Diagnostic::error("Invalid duration", detail).attribute(place));
        }
    }
    if blocks(config, "rng").len() > 1 {
        let place = Path::root().attr("rng").index_number(1);
        let detail = "A machine has one random number generator: keep one `rng` block.";
        found.push(Diagnostic::error("Too many rng blocks", detail).attribute(place));
    }
    found
}

fn blocks(config: &Value, name: &str) -> Vec<Value> {
    let blocks = config.get(name);
    blocks.map_or_else(Vec::new, |b| b.as_sequence().unwrap_or_default().to_vec())
}

fn text(block: &Value, name: &str) -> Option<String> {
    block.get(name)?.as_str().map(str::to_owned)
}

/// Every drive has a slot of its own.
fn slots(config: &Value, found: &mut Diagnostics) {
    let mut taken: Vec<String> = Vec::new();
    for block in ["disk", "cdrom", "initialization"] {
        for (i, drive) in blocks(config, block).iter().enumerate() {
            let Some(slot) = text(drive, "interface").filter(|s| !s.is_empty()) else {
                continue;
            };
            let place = Path::root().attr(block).index_number(i).attr("interface");
            if !is_drive(&slot) {
                let detail = format!(
                    "{slot:?} is no slot for a drive: write scsi0 to scsi30, virtio0 to virtio15, sata0 to sata5 or ide0 to ide3."
                );
                found.push(
                    Diagnostic::error("Invalid disk interface", detail).attribute(place.clone()),
                );
            }
            if taken.contains(&slot) {
                let detail = format!("Two drives are in the slot {slot}.");
                found.push(Diagnostic::error("Duplicate disk interface", detail).attribute(place));
            }
            taken.push(slot);
        }
    }
    let mut devices: Vec<String> = Vec::new();
    for (block, prefix, count) in [("hostpci", "hostpci", 16), ("numa", "numa", 8)] {
        for (i, device) in blocks(config, block).iter().enumerate() {
            let Some(slot) = text(device, "device") else {
                continue;
            };
            let place = Path::root().attr(block).index_number(i).attr("device");
            let number = slot
                .strip_prefix(prefix)
                .and_then(|n| n.parse::<u32>().ok());
            if number.is_none_or(|n| n >= count) {
                let detail = format!(
                    "{slot:?} is no slot: write {prefix}0 to {prefix}{}.",
                    count - 1
                );
                found.push(
                    Diagnostic::error("Invalid device slot", detail).attribute(place.clone()),
                );
            }
            if devices.contains(&slot) {
                let detail = format!("Two devices are in the slot {slot}.");
                found.push(Diagnostic::error("Duplicate device slot", detail).attribute(place));
            }
            devices.push(slot);
        }
    }
}

/// What describes nodes of memory means nothing to a machine without them.
fn numa(config: &Value, found: &mut Diagnostics) {
    let cpu = blocks(config, "cpu");
    let on = cpu.first().and_then(|cpu| cpu.get("numa"));
    let off = on.is_none_or(|on| on.is_null() || on.as_bool() == Some(false));
    if off && !blocks(config, "numa").is_empty() {
        let detail = "Blocks of `numa` need `numa = true` in the block `cpu`.";
        let place = Path::root().attr("numa");
        found.push(Diagnostic::error("NUMA is switched off", detail).attribute(place));
    }
}
