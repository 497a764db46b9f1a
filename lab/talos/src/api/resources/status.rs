//! Services, clock, platform and META as resources.

use super::{Item, item, raw, text};
use crate::node::Node;
use crate::proto::resource::{
    MetaKeySpec, PlatformMetadataSpec, SecurityStateSpec, ServiceSpec, TimeStatusSpec,
};

/// A service has a resource as long as it runs.
pub(super) fn services(node: &Node) -> Vec<Item> {
    let running = node.services().into_iter().filter(|s| s.state == "Running");
    running
        .map(|service| {
            let spec = ServiceSpec {
                running: true,
                healthy: service.healthy == Some(true),
                unknown: service.healthy.is_none(),
            };
            let yaml = vec![
                ("running", raw(spec.running)),
                ("healthy", raw(spec.healthy)),
                ("unknown", raw(spec.unknown)),
            ];
            item(service.id, &spec, yaml)
        })
        .collect()
}

pub(super) fn time(node: &Node) -> Vec<Item> {
    let spec = TimeStatusSpec {
        synced: node.clock_skew().is_zero(),
        epoch: 0,
        sync_disabled: false,
    };
    let yaml = vec![
        ("synced", raw(spec.synced)),
        ("epoch", raw(spec.epoch)),
        ("syncDisabled", raw(spec.sync_disabled)),
    ];
    vec![item("node", &spec, yaml)]
}

pub(super) fn security() -> Vec<Item> {
    let spec = SecurityStateSpec {
        secure_boot: false,
        booted_with_uki: false,
    };
    let yaml = vec![
        ("secureBoot", raw(spec.secure_boot)),
        ("bootedWithUKI", raw(spec.booted_with_uki)),
    ];
    vec![item("securitystate", &spec, yaml)]
}

pub(super) fn platform(node: &Node) -> Vec<Item> {
    let hardware = node.hardware();
    let given = hardware.cloud_init.and_then(|c| c.hostname);
    let spec = PlatformMetadataSpec {
        platform: node.platform().0.to_owned(),
        hostname: given.unwrap_or_default(),
        instance_id: hardware.id,
    };
    let yaml = vec![
        ("platform", text(spec.platform.clone())),
        ("hostname", text(spec.hostname.clone())),
        ("instanceId", text(spec.instance_id.clone())),
    ];
    vec![item("platformmetadata", &spec, yaml)]
}

/// Values of the META partition, each under its key in hexadecimal.
pub(super) fn meta(node: &Node) -> Vec<Item> {
    let values = node.disk().meta.into_iter();
    values
        .map(|(key, value)| {
            let spec = MetaKeySpec {
                value: String::from_utf8_lossy(&value).into_owned(),
            };
            let yaml = vec![("value", text(spec.value.clone()))];
            item(format!("{key:#04x}"), &spec, yaml)
        })
        .collect()
}
