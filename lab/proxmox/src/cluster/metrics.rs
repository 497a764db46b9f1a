//! What is measured, and the servers it is sent to. The lab sends them nothing, and takes each for reachable.

use serde_json::{Value, json};

use super::resources::{node_row, storage_row, vm_row};
use crate::error::ApiError;
use crate::now;
use crate::routes::{Call, Routes};
use crate::schema::format;
use crate::sections::{Act, Family, Type};
use crate::state::State;

static SERVERS: Family = Family {
    file: "status.cfg",
    path: "/cluster/metrics/server",
    types: &[
        Type {
            required: &["server"],
            optional: &["port", "mtu", "proto", "timeout", "path", "disable"],
            ..Type::new("graphite")
        },
        Type {
            required: &["server", "port"],
            optional: &[
                "mtu",
                "disable",
                "organization",
                "bucket",
                "token",
                "influxdbproto",
                "timeout",
                "max-body-size",
                "api-path-prefix",
                "verify-certificate",
            ],
            ..Type::new("influxdb")
        },
        Type {
            required: &["server"],
            optional: &[
                "port",
                "disable",
                "otel-protocol",
                "otel-path",
                "otel-timeout",
                "otel-headers",
                "otel-verify-ssl",
                "otel-max-body-size",
                "otel-resource-attributes",
                "otel-compression",
            ],
            ..Type::new("opentelemetry")
        },
    ],
    secret: &["token"],
    exists: |id| ApiError::failure(format!("Metric server '{id}' already exists")),
    missing: |act, id| match act {
        Act::Delete => None,
        Act::Update => Some(ApiError::failure(format!("no such server '{id}'"))),
        _ => Some(ApiError::failure(format!(
            "status server entry '{id}' does not exist"
        ))),
    },
    show: |shown, row| {
        row.remove("digest");
        if shown.listed {
            row.retain(|name, _| ["id", "type", "server", "port"].contains(&name.as_str()));
            row.insert(
                "disable".into(),
                u8::from(shown.section.is_on("disable")).into(),
            );
        }
    },
    ..Family::PLAIN
};

pub(crate) fn routes(at: &mut Routes<'_>) {
    SERVERS.routes(at);
    at.get("/cluster/metrics/export", export);
}

/// What a row of the cluster's resources calls a figure, what it is called here, and whether it only grows.
const FIGURES: &[(&str, &str, &str)] = &[
    ("cpu", "cpu_current", "gauge"),
    ("maxcpu", "cpu_max", "gauge"),
    ("mem", "mem_used", "gauge"),
    ("maxmem", "mem_total", "gauge"),
    ("disk", "disk_used", "gauge"),
    ("maxdisk", "disk_total", "gauge"),
    ("diskread", "disk_read", "derive"),
    ("diskwrite", "disk_write", "derive"),
    ("netin", "net_in", "derive"),
    ("netout", "net_out", "derive"),
    ("uptime", "uptime", "gauge"),
];

/// `GET /cluster/metrics/export`: what is measured now; nothing of the past is kept.
fn export(state: &State, call: &Call) -> Value {
    let (params, time) = (&call.params, now());
    let wanted: Vec<&str> = format::list(params.get("node-list").unwrap_or_default()).collect();
    let counts = |node: &str| {
        (wanted.is_empty() || wanted.contains(&node))
            && (!params.is_on("local-only") || node == call.at)
    };
    let nodes = || state.nodes.keys().filter(|node| counts(node));
    let of_nodes = nodes().filter_map(|node| node_row(state, node, true));
    let guests = state.vms.iter().filter(|(_, vm)| counts(&vm.node));
    let guests = guests.map(|(vmid, vm)| vm_row(state, *vmid, vm));
    let storages = nodes().flat_map(|node| {
        let here = state
            .storages
            .iter()
            .filter(|(_, storage)| storage.is_on(node));
        here.map(|(id, storage)| storage_row(id, storage, node))
    });
    let mut data = Vec::new();
    for row in of_nodes.chain(guests).chain(storages) {
        let figures = FIGURES.iter().filter(|(key, _, _)| row.get(key).is_some());
        data.extend(figures.map(|(key, name, kind)| {
            json!({ "id": row["id"], "metric": name, "type": kind, "value": row[*key], "timestamp": time })
        }));
    }
    if params
        .number("start-time")
        .is_some_and(|start| start >= time)
    {
        data.clear();
    }
    json!({ "data": data })
}
