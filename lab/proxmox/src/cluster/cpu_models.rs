//! CPU models that someone defined, and the flags that VMs can ask for.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::routes::{Call, Routes};
use crate::sections::{Act, Family, Type};
use crate::state::State;

static MODELS: Family = Family {
    file: "virtual-guest/cpu-models.conf",
    path: "/cluster/qemu/custom-cpu-models",
    key: "cputype",
    types: &[Type::of_contract("cpu-model")],
    id: |_, _, id| Ok(id.strip_prefix("custom-").unwrap_or(id).to_owned()),
    digest_in_list: true,
    id_in_read: true,
    seen: (
        "/mapping/cpu/{id}",
        &["Mapping.Modify", "Mapping.Use", "Mapping.Audit"],
    ),
    exists: |id| ApiError::failure(format!("custom CPU model '{id}' already exists")),
    missing: |act, id| {
        Some(match act {
            Act::Read => ApiError::failure(format!("Custom cputype '{id}' not found")),
            _ => ApiError::failure(format!("custom CPU model '{id}' does not exist")),
        })
    },
    show: |shown, row| {
        row.remove("type");
        row.insert("cputype".into(), format!("custom-{}", shown.id).into());
    },
    ..Family::PLAIN
};

/// Flags that say more than a model does, and what they are for.
const FLAGS: &[(&str, &str)] = &[
    ("aes", "AES instructions"),
    (
        "amd-no-ssb",
        "Tells the guest that the host is not affected by speculative store bypass (AMD)",
    ),
    (
        "amd-ssbd",
        "Mitigates speculative store bypass faster than virt-ssbd (AMD)",
    ),
    (
        "hv-evmcs",
        "Faster nested virtualization with Hyper-V (Intel)",
    ),
    (
        "hv-tlbflush",
        "Faster Windows guests on overcommitted hosts",
    ),
    ("ibpb", "Mitigates Spectre better (AMD)"),
    (
        "md-clear",
        "Tells the guest that the host clears its buffers against MDS",
    ),
    (
        "nested-virt",
        "Nested virtualization, whatever the vendor calls it",
    ),
    ("pcid", "Makes the mitigation of Meltdown cheaper (Intel)"),
    ("pdpe1gb", "Pages of 1 GiB"),
    ("spec-ctrl", "Mitigates Spectre better (Intel)"),
    ("ssbd", "Mitigates speculative store bypass (Intel)"),
    ("virt-ssbd", "Mitigates speculative store bypass (AMD)"),
];

pub(super) fn routes(at: &mut Routes<'_>) {
    MODELS.routes(at);
    at.get("/cluster/qemu/cpu-flags", flags);
}

/// `GET /cluster/qemu/cpu-flags`: every simulated node supports all of them.
fn flags(state: &State, call: &Call) -> Value {
    if call.params.get("arch") == Some("aarch64") {
        return json!([]);
    }
    let nodes: Vec<&String> = state.nodes.keys().collect();
    let rows = FLAGS
        .iter()
        .map(|(name, what)| json!({ "name": name, "description": what, "supported-on": nodes }));
    rows.collect()
}
