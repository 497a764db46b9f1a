//! Fabrics: nodes that are joined by a routing protocol. A fabric and its nodes are sections of one file.

use serde_json::{Map, Value, json};

use super::checks::{Verdict, contains};
use super::families::{AUDIT, CONTROLLERS, SDN, ZONES, failed, halves};
use super::lists::Listed;
use crate::Proxmox;
use crate::error::{Answer, ApiError};
use crate::routes::{Call, Routes};
use crate::schema::format::cidr;
use crate::schema::property::plain;
use crate::sections::{Change, Family, Section, Shown, Type};
use crate::state::State;

const FABRIC_FILE: &str = "sdn/fabrics.cfg";

pub(super) const FABRICS: Family = Family {
    file: FABRIC_FILE,
    path: "/cluster/sdn/fabrics/fabric",
    kind_key: "protocol",
    types: &[
        Type {
            optional: &[
                "ip_prefix",
                "ip6_prefix",
                "hello_interval",
                "csnp_interval",
                "route_filter",
            ],
            ..Type::new("openfabric")
        },
        Type {
            required: &["area"],
            optional: &["ip_prefix", "redistribute", "route_filter"],
            ..Type::new("ospf")
        },
        Type {
            optional: &["ip_prefix", "ip6_prefix", "persistent_keepalive"],
            ..Type::new("wireguard")
        },
        Type {
            optional: &[
                "ip_prefix",
                "ip6_prefix",
                "redistribute",
                "route_filter",
                "route_map_in",
                "route_map_out",
            ],
            ..Type::new("bgp")
        },
    ],
    seen: ("/sdn/fabrics/{id}", AUDIT),
    exists: |id| ApiError::failure(format!("fabric '{id}' already exists in config")),
    missing: |_, id| {
        Some(ApiError::failure(format!(
            "fabric '{id}' does not exist in configuration"
        )))
    },
    failed: |act| {
        let texts = [
            "adding fabric failed",
            "updating fabric failed",
            "deleting fabric failed",
        ];
        failed(texts, act)
    },
    check: check_fabric,
    removable: fabric_unused,
    after: nodes_go_too,
    ..SDN
};

const NODE_OPTIONS: &[&str] = &["ip", "ip6", "interfaces"];

pub(super) const NODES: Family = Family {
    file: "sdn/fabric-nodes.cfg",
    path: "/cluster/sdn/fabrics/node/{fabric_id}",
    key: "node_id",
    id: |_, call, node| Ok(format!("{}_{node}", call.params.text("fabric_id"))),
    wanted: |call, _, node| {
        call.params
            .get("fabric_id")
            .is_none_or(|id| node.get("fabric_id") == Some(id))
    },
    kind_key: "protocol",
    types: &[
        Type {
            required: &["fabric_id"],
            optional: NODE_OPTIONS,
            ..Type::new("openfabric")
        },
        Type {
            required: &["fabric_id"],
            optional: NODE_OPTIONS,
            ..Type::new("ospf")
        },
        Type {
            required: &["fabric_id"],
            optional: &[
                "ip",
                "ip6",
                "interfaces",
                "allowed_ips",
                "endpoint",
                "peers",
                "public_key",
                "role",
            ],
            ..Type::new("wireguard")
        },
        Type {
            required: &["fabric_id"],
            optional: NODE_OPTIONS,
            ..Type::new("bgp")
        },
    ],
    exists: |id| {
        let (fabric, node) = halves(id);
        ApiError::failure(format!(
            "node '{node}' already exists in config for fabric {fabric}"
        ))
    },
    missing: |_, id| {
        let (fabric, node) = halves(id);
        Some(ApiError::failure(format!(
            "node '{node}' does not exist in fabric '{fabric}'"
        )))
    },
    failed: |act| {
        let texts = [
            "adding node failed",
            "updating node failed",
            "deleting node failed",
        ];
        failed(texts, act)
    },
    check: check_node,
    show: node_row,
    ..SDN
};

// The server's methods for one fabric or node take any parameter and know none of the views.
static ALL_FABRICS: Listed = Listed {
    one_view: true,
    ..Listed::of(&FABRICS)
};
static ALL_NODES: Listed = Listed {
    one_view: true,
    home: |_, _, node| format!("/sdn/fabrics/{}", node.get("fabric_id").unwrap_or_default()),
    ..Listed::of(&NODES)
};

fn node_row(shown: &Shown<'_>, row: &mut Map<String, Value>) {
    let (fabric, node) = halves(shown.id);
    row.insert("node_id".into(), node.into());
    row.insert("fabric_id".into(), fabric.into());
}

fn nodes_of<'a>(
    state: &'a State,
    fabric: &'a str,
) -> impl Iterator<Item = (&'a String, &'a Section)> {
    state
        .sections(NODES.file)
        .filter(move |(_, node)| node.get("fabric_id") == Some(fabric))
}

fn check_fabric(change: &Change<'_>, fabric: &mut Section) -> Verdict {
    let state = change.state;
    state.sdn_unlocked(change.call)?;
    let others = || {
        state
            .sections(FABRIC_FILE)
            .filter(|(id, _)| *id != change.id)
    };
    if let Some(area) = fabric.get("area")
        && let Some((id, _)) = others().find(|(_, other)| other.get("area") == Some(area))
    {
        return Err(ApiError::failure(format!(
            "OSPF area is already in use in fabric '{id}'"
        )));
    }
    for (prefix, version) in [("ip_prefix", "IPv4"), ("ip6_prefix", "IPv6")] {
        let Some(own) = fabric.get(prefix).and_then(cidr) else {
            continue;
        };
        for (id, other) in others() {
            let Some(text) = other.get(prefix) else {
                continue;
            };
            if cidr(text).is_some_and(|known| contains(known, own.0) || contains(own, known.0)) {
                return Err(ApiError::failure(format!(
                    "IP prefix {}/{} in fabric '{}' overlaps with {version} prefix {text} in fabric '{id}'",
                    own.0, own.1, change.id
                )));
            }
        }
    }
    Ok(())
}

fn fabric_unused(state: &State, call: &Call, id: &str) -> Verdict {
    state.sdn_unlocked(call)?;
    for (key, _) in nodes_of(state, id) {
        let (_, node) = halves(key);
        if state
            .need(&call.caller, &format!("/nodes/{node}"), &["Sys.Modify"])
            .is_err()
        {
            return Err(ApiError::failure(format!(
                "permission check failed: missing 'Sys.Modify' on node {node}"
            )));
        }
    }
    let users = [
        (CONTROLLERS.file, "EVPN controller"),
        (ZONES.file, "VXLAN zone"),
    ];
    for (file, called) in users {
        if let Some((user, _)) = state
            .sections(file)
            .find(|(_, user)| user.get("fabric") == Some(id))
        {
            return Err(ApiError::failure(format!(
                "this fabric is still used in the {called} \"{user}\""
            )));
        }
    }
    Ok(())
}

fn nodes_go_too(state: &mut State, id: &str, fabric: Option<&Section>) {
    if let (None, Some(nodes)) = (fabric, state.configs.get_mut(NODES.file)) {
        nodes.retain(|_, node| node.get("fabric_id") != Some(id));
    }
}

fn check_node(change: &Change<'_>, node: &mut Section) -> Verdict {
    let state = change.state;
    state.sdn_unlocked(change.call)?;
    let fail = |text: String| Err(ApiError::failure(text));
    let id = node.get("fabric_id").unwrap_or_default();
    let Some(fabric) = state.section(FABRIC_FILE, id) else {
        return fail(format!("fabric '{id}' does not exist in configuration"));
    };
    if fabric.kind != node.kind {
        return fail("node has a different protocol than the referenced fabric".into());
    }
    let neighbours = || nodes_of(state, id).filter(|(other, _)| *other != change.id);
    for (option, prefix) in [("ip", "ip_prefix"), ("ip6", "ip6_prefix")] {
        let Some(ip) = node.get(option) else {
            continue;
        };
        let Some(range) = fabric.get(prefix) else {
            return fail(format!(
                "fabric '{id}' does not have an IP prefix configured for the node IP {ip}"
            ));
        };
        let inside = ip
            .parse()
            .is_ok_and(|ip| cidr(range).is_some_and(|range| contains(range, ip)));
        if !inside {
            return fail(format!(
                "node IP {ip} is outside the IP prefix {range} of the fabric"
            ));
        }
        if neighbours().any(|(_, other)| other.get(option) == Some(ip)) {
            return fail(format!("fabric {id} contains nodes with duplicated IPs"));
        }
    }
    let (_, name) = halves(change.id);
    let interfaces = |node: &Section| -> Vec<String> {
        let all = node.all("interfaces").iter();
        all.filter_map(|text| plain(text, "name").map(str::to_owned))
            .collect()
    };
    let own = interfaces(node);
    let elsewhere = state
        .sections(NODES.file)
        .filter(|(other, _)| *other != change.id && halves(other).1 == name);
    if elsewhere
        .flat_map(|(_, other)| interfaces(other))
        .any(|used| own.contains(&used))
    {
        return fail("interface is already in use by another fabric".into());
    }
    Ok(())
}

/// `GET /cluster/sdn/fabrics/all`
fn everything(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    let fabrics = ALL_FABRICS.seen_rows(px, &state, call);
    Ok(json!({ "fabrics": fabrics, "nodes": seen_nodes(px, &state, call) }))
}

/// `GET /cluster/sdn/fabrics/node`
fn nodes(px: &Proxmox, call: &Call) -> Answer {
    let state = px.state();
    Ok(seen_nodes(px, &state, call).into())
}

fn seen_nodes(px: &Proxmox, state: &State, call: &Call) -> Vec<Value> {
    let may = |row: &Value| {
        let node = row["node_id"].as_str().unwrap_or_default();
        state
            .need_any(
                &call.caller,
                &format!("/nodes/{node}"),
                &["Sys.Audit", "Sys.Modify"],
            )
            .is_ok()
    };
    ALL_NODES
        .seen_rows(px, state, call)
        .into_iter()
        .filter(may)
        .collect()
}

pub(super) fn routes(at: &mut Routes<'_>) {
    ALL_FABRICS.routes(at);
    ALL_NODES.routes(at);
    at.get("/cluster/sdn/fabrics/all", everything);
    at.get("/cluster/sdn/fabrics/node", nodes);
    at.get("/cluster/sdn/fabrics/node/{fabric_id}", nodes);
}
