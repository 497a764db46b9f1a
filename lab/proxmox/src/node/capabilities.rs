//! What a node's QEMU can do.

use serde_json::{Value, json};

use crate::routes::{Call, Routes};
use crate::state::State;

/// CPU models and their vendors.
const MODELS: &[(&str, &[&str])] = &[
    (
        "default",
        &[
            "x86-64-v2",
            "x86-64-v2-AES",
            "x86-64-v3",
            "x86-64-v4",
            "host",
            "kvm32",
            "kvm64",
            "max",
            "qemu32",
            "qemu64",
        ],
    ),
    (
        "AuthenticAMD",
        &[
            "athlon",
            "EPYC",
            "EPYC-Genoa",
            "EPYC-IBPB",
            "EPYC-Milan",
            "EPYC-Milan-v2",
            "EPYC-Rome",
            "EPYC-Rome-v2",
            "EPYC-Turin",
            "Opteron_G1",
            "Opteron_G2",
            "Opteron_G3",
            "Opteron_G4",
            "Opteron_G5",
            "phenom",
        ],
    ),
    (
        "GenuineIntel",
        &[
            "486",
            "Broadwell",
            "Broadwell-noTSX",
            "Cascadelake-Server",
            "Conroe",
            "Cooperlake",
            "core2duo",
            "coreduo",
            "GraniteRapids",
            "Haswell",
            "Haswell-noTSX",
            "Icelake-Server",
            "IvyBridge",
            "KnightsMill",
            "Nehalem",
            "Penryn",
            "pentium",
            "pentium2",
            "pentium3",
            "SandyBridge",
            "SapphireRapids",
            "Skylake-Client",
            "Skylake-Server",
            "Westmere",
        ],
    ),
];

/// `GET /nodes/{node}/capabilities/qemu/cpu`
fn cpus(_: &State, call: &Call) -> Value {
    if call.params.get("arch") == Some("aarch64") {
        let names = [
            "cortex-a53",
            "cortex-a57",
            "cortex-a72",
            "host",
            "max",
            "neoverse-n1",
        ];
        return names
            .iter()
            .map(|name| json!({ "name": name, "vendor": "default", "custom": 0 }))
            .collect();
    }
    let all = MODELS
        .iter()
        .flat_map(|(vendor, names)| names.iter().map(move |name| (vendor, name)));
    all.map(|(vendor, name)| {
        let mut row = json!({ "name": name, "vendor": vendor, "custom": 0 });
        if let (true, Some(row)) = (name.starts_with("x86-64-v"), row.as_object_mut()) {
            row.insert("abstract".into(), 1.into());
        }
        row
    })
    .collect()
}

/// `GET /nodes/{node}/capabilities/qemu/cpu-flags`
fn flags(state: &State, _: &Call) -> Value {
    let names = [
        "nested-virt",
        "md-clear",
        "pcid",
        "spec-ctrl",
        "ssbd",
        "ibpb",
        "virt-ssbd",
        "amd-ssbd",
        "amd-no-ssb",
        "pdpe1gb",
        "hv-tlbflush",
        "hv-evmcs",
        "aes",
    ];
    let nodes: Vec<&String> = state.nodes.keys().collect();
    names
        .iter()
        .map(|name| json!({ "name": name, "supported-on": nodes }))
        .collect()
}

/// `GET /nodes/{node}/capabilities/qemu/machines`
fn machines(state: &State, call: &Call) -> Value {
    if call.params.get("arch") == Some("aarch64") {
        return state
            .release()
            .machines
            .iter()
            .take(4)
            .map(|v| json!({ "id": format!("virt-{v}"), "type": "virt", "version": v }))
            .collect();
    }
    let versions = state.release().machines;
    let kinds = [("pc-i440fx", "i440fx"), ("pc-q35", "q35")];
    let rows = kinds.iter().flat_map(|(prefix, kind)| {
        versions
            .iter()
            .map(move |v| json!({ "id": format!("{prefix}-{v}"), "type": kind, "version": v }))
    });
    rows.collect()
}

pub(super) fn routes(at: &mut Routes<'_>) {
    at.get("/nodes/{node}/capabilities/qemu/cpu", cpus);
    at.get("/nodes/{node}/capabilities/qemu/cpu-flags", flags);
    at.get("/nodes/{node}/capabilities/qemu/machines", machines);
    at.get(
        "/nodes/{node}/capabilities/qemu/migration",
        |_: &State, _: &Call| json!({ "has-dbus-vmstate": 1 }),
    );
}
