//! What a changed setting does to a machine that runs.

use crate::table::Change;
use crate::vm::encode::settings;
use crate::vm::schema::Vm;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The running machine takes it.
    Live,
    /// It means nothing before the next start, and nobody needs to hurry.
    Waits,
    /// The machine is to restart for it.
    Restart,
    /// The machine must be off for it.
    Off,
}

/// Settings by their name without a number; all others take a restart. Those with a feature are live when it is hot-pluggable.
const EFFECTS: [(&str, Effect, Option<&str>); 16] = [
    ("boot", Effect::Waits, None),
    ("cpulimit", Effect::Live, None),
    ("cpuunits", Effect::Live, None),
    ("description", Effect::Live, None),
    ("hookscript", Effect::Live, None),
    ("hotplug", Effect::Live, None),
    ("memory", Effect::Live, Some("memory")),
    ("name", Effect::Live, None),
    ("net", Effect::Live, Some("network")),
    ("onboot", Effect::Live, None),
    ("protection", Effect::Live, None),
    ("smbios", Effect::Waits, None),
    ("startup", Effect::Live, None),
    ("tags", Effect::Live, None),
    ("usb", Effect::Live, Some("usb")),
    ("vcpus", Effect::Live, Some("cpu")),
];

/// Whether the machine takes changes of a feature while it runs.
fn hot_pluggable(hotplug: Option<&str>, feature: &str) -> bool {
    match hotplug.unwrap_or("1") {
        "1" => ["network", "disk", "usb"].contains(&feature),
        features => features.split(',').any(|f| f.trim() == feature),
    }
}

/// The effect of a setting that changes, or appears or vanishes (`whole`).
fn of_setting(key: &str, whole: bool, hotplug: Option<&str>) -> Effect {
    if crate::vm::decode::is_drive(key) {
        // The medium of a disc drive changes in place; the drive itself does not come or go.
        return if whole { Effect::Waits } else { Effect::Live };
    }
    let stem = key.trim_end_matches(|c: char| c.is_ascii_digit());
    match EFFECTS.iter().find(|(name, ..)| *name == stem) {
        Some((_, _, Some(feature))) if !hot_pluggable(hotplug, feature) => Effect::Restart,
        Some((_, effect, _)) => *effect,
        None => Effect::Restart,
    }
}

/// The settings that change, each with what it does.
pub(crate) fn effects(prior: &Vm, planned: &Vm) -> Vec<(String, Effect)> {
    let (old, new) = (settings(prior), settings(planned));
    let change = Change::between(&old, &new);
    let hotplug = planned.hotplug.as_deref().or(prior.hotplug.as_deref());
    let of = |key: &str| {
        let whole = !(old.contains_key(key) && new.contains_key(key));
        (key.to_owned(), of_setting(key, whole, hotplug))
    };
    let mut found: Vec<_> = change.keys().map(of).collect();
    for disk in &planned.disk {
        let before = prior.disk.iter().find(|d| d.interface == disk.interface);
        if before.is_some_and(|b| {
            b.aio != disk.aio || b.queues != disk.queues || b.iothread != disk.iothread
        }) {
            found.push((format!("disk {}", disk.interface), Effect::Restart));
        }
    }
    let drives = [
        (
            "efi_disk",
            Effect::Restart,
            prior.efi_disk.is_some() != planned.efi_disk.is_some(),
        ),
        (
            "tpm_state",
            Effect::Off,
            prior.tpm_state.is_some() != planned.tpm_state.is_some(),
        ),
        (
            "initialization",
            Effect::Restart,
            cloud_init_place(prior) != cloud_init_place(planned),
        ),
    ];
    let changed = drives.into_iter().filter(|(.., changed)| *changed);
    found.extend(changed.map(|(name, effect, _)| (name.to_owned(), effect)));
    found
}

fn cloud_init_place(vm: &Vm) -> Option<(&str, &str)> {
    let init = vm.initialization.as_ref()?;
    Some((&init.datastore_id, &init.interface))
}

/// Whether the change from one to the other needs a restart.
pub(crate) fn restarts(prior: &Vm, planned: &Vm) -> bool {
    effects(prior, planned)
        .iter()
        .any(|(_, effect)| matches!(effect, Effect::Restart | Effect::Off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hot_pluggable_features_decide() {
        assert_eq!(of_setting("net0", false, None), Effect::Live);
        assert_eq!(of_setting("net0", false, Some("disk,usb")), Effect::Restart);
        assert_eq!(of_setting("vcpus", false, Some("cpu")), Effect::Live);
        assert_eq!(of_setting("vcpus", false, Some("1")), Effect::Restart);
        assert_eq!(of_setting("memory", false, None), Effect::Restart);
        assert_eq!(of_setting("smbios1", false, None), Effect::Waits);
        assert_eq!(of_setting("ide3", false, None), Effect::Live);
        assert_eq!(of_setting("ide3", true, None), Effect::Waits);
        assert_eq!(of_setting("hostpci0", true, None), Effect::Restart);
    }
}
