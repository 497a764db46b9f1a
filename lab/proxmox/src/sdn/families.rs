//! The kinds of SDN objects: their files, paths, types and options.

use super::checks;
use super::lists::Listed;
use crate::error::ApiError;
use crate::routes::Routes;
use crate::sections::{Act, Family, Section, Type};
use crate::state::State;

/// What every SDN object has in common.
pub(super) const SDN: Family = Family {
    control: &["lock-token", "running", "pending"],
    wanted: |call, _, section| {
        call.params
            .get("type")
            .is_none_or(|kind| kind == section.kind)
    },
    digest_in_list: true,
    id_in_read: true,
    missing: |_, id| Some(ApiError::failure(format!("sdn '{id}' does not exist"))),
    check: |change, _| change.state.sdn_unlocked(change.call),
    removable: |state, call, _| state.sdn_unlocked(call),
    ..Family::PLAIN
};

/// Of a failure's texts, that of the method.
pub(super) const fn failed(texts: [&'static str; 3], act: Act) -> &'static str {
    let [create, update, delete] = texts;
    match act {
        Act::Create => create,
        Act::List | Act::Read => "",
        Act::Update => update,
        Act::Delete => delete,
    }
}

macro_rules! failures {
    ($name:literal) => {
        |act| {
            failed(
                [
                    concat!("create sdn ", $name, " object failed"),
                    concat!("update sdn ", $name, " object failed"),
                    concat!("delete sdn ", $name, " object failed"),
                ],
                act,
            )
        }
    };
}

/// Options of every zone, and more.
macro_rules! zone {
    ($($more:literal),*) => {
        &["nodes", "mtu", "dns", "reversedns", "dnszone", "ipam" $(, $more)*]
    };
}

fn defined(kind: &str, id: &str) -> ApiError {
    ApiError::failure(format!("sdn {kind} object ID '{id}' already defined"))
}

pub(super) const ZONES: Family = Family {
    file: "sdn/zones.cfg",
    path: "/cluster/sdn/zones",
    key: "zone",
    types: &[
        Type {
            optional: zone!("dhcp"),
            ..Type::new("simple")
        },
        Type {
            required: &["bridge"],
            optional: zone!("bridge-disable-mac-learning"),
            ..Type::new("vlan")
        },
        Type {
            required: &["tag", "bridge"],
            optional: zone!("bridge-disable-mac-learning", "vlan-protocol"),
            ..Type::new("qinq")
        },
        Type {
            optional: zone!("peers", "vxlan-port", "fabric"),
            ..Type::new("vxlan")
        },
        Type {
            required: &["vrf-vxlan", "controller"],
            optional: zone!(
                "exitnodes",
                "exitnodes-local-routing",
                "exitnodes-primary",
                "advertise-subnets",
                "disable-arp-nd-suppression",
                "bridge-disable-mac-learning",
                "rt-import",
                "vxlan-port",
                "mac",
                "secondary-controllers"
            ),
            ..Type::new("evpn")
        },
    ],
    seen: ("/sdn/zones/{id}", AUDIT),
    exists: |id| defined("zone", id),
    failed: failures!("zone"),
    check: checks::zone,
    removable: checks::zone_unused,
    ..SDN
};

pub(super) const AUDIT: &[&str] = &["SDN.Audit", "SDN.Allocate"];

pub(super) const VNETS: Family = Family {
    file: "sdn/vnets.cfg",
    path: "/cluster/sdn/vnets",
    key: "vnet",
    types: &[Type {
        required: &["zone"],
        optional: &["tag", "alias", "vlanaware", "isolate-ports"],
        ..Type::new("vnet")
    }],
    exists: |id| defined("vnet", id),
    missing: |_, id| Some(ApiError::failure(format!("sdn vnet '{id}' does not exist"))),
    failed: failures!("vnet"),
    check: checks::vnet,
    removable: checks::vnet_unused,
    ..SDN
};

pub(super) const SUBNETS: Family = Family {
    file: "sdn/subnets.cfg",
    path: "/cluster/sdn/vnets/{vnet}/subnets",
    key: "subnet",
    id: checks::subnet_id,
    wanted: |call, _, subnet| subnet.get("vnet") == call.params.get("vnet"),
    types: &[Type {
        required: &["vnet"],
        optional: &[
            "gateway",
            "snat",
            "dnszoneprefix",
            "dhcp-range",
            "dhcp-dns-server",
        ],
        ..Type::new("subnet")
    }],
    exists: |id| defined("subnet", id),
    missing: |act, id| match act {
        Act::Delete => None,
        _ => Some(ApiError::failure(format!(
            "sdn subnet '{id}' does not exist"
        ))),
    },
    failed: failures!("subnet"),
    check: checks::subnet,
    removable: checks::subnet_removable,
    after: super::ipam::subnet_changed,
    show: super::lists::subnet_row,
    ..SDN
};

pub(super) const CONTROLLERS: Family = Family {
    file: "sdn/controllers.cfg",
    path: "/cluster/sdn/controllers",
    key: "controller",
    types: &[
        Type {
            required: &["asn"],
            optional: &[
                "peers",
                "fabric",
                "nodes",
                "peer-group-name",
                "bgp-mode",
                "route-map-in",
                "route-map-out",
                "ebgp",
                "ebgp-multihop",
                "loopback",
            ],
            ..Type::new("evpn")
        },
        Type {
            required: &["node", "asn", "peers"],
            optional: &[
                "bgp-multipath-as-path-relax",
                "ebgp",
                "ebgp-multihop",
                "loopback",
                "route-map-in",
                "route-map-out",
                "bgp-mode",
                "peer-group-name",
            ],
            ..Type::new("bgp")
        },
        Type {
            required: &["isis-domain", "isis-net", "isis-ifaces", "node"],
            optional: &["loopback"],
            ..Type::new("isis")
        },
    ],
    seen: ("/sdn/controllers/{id}", AUDIT),
    exists: |id| defined("controller", id),
    failed: failures!("controller"),
    check: checks::controller,
    removable: checks::controller_unused,
    ..SDN
};

const NAMESERVERS: Family = Family {
    file: "sdn/dns.cfg",
    path: "/cluster/sdn/dns",
    key: "dns",
    types: &[Type {
        required: &["url", "key"],
        optional: &["ttl", "reversemaskv6", "fingerprint"],
        ..Type::new("powerdns")
    }],
    seen: ("/sdn/dns/{id}", AUDIT),
    exists: |id| defined("dns", id),
    failed: failures!("dns"),
    ..SDN
};

pub(super) const IPAMS: Family = Family {
    file: "sdn/ipams.cfg",
    path: "/cluster/sdn/ipams",
    key: "ipam",
    types: &[
        Type::new("pve"),
        Type {
            required: &["url", "token"],
            optional: &["fingerprint"],
            ..Type::new("netbox")
        },
        Type {
            required: &["url", "token", "section"],
            optional: &["fingerprint"],
            ..Type::new("phpipam")
        },
    ],
    seen: ("/sdn/ipams/{id}", AUDIT),
    exists: |id| defined("ipam", id),
    failed: failures!("ipam"),
    ..SDN
};

pub(super) const NAMESERVER_FILE: &str = NAMESERVERS.file;

/// Both parts of an id such as `f1_abel`.
pub(super) fn halves(id: &str) -> (&str, &str) {
    id.split_once('_').unwrap_or_default()
}

/// Where the privileges on an object are looked up.
fn vnet_home(state: &State, id: &str, vnet: &Section) -> String {
    let zone = vnet.get("zone").or_else(|| state.sdn.running_zone_of(id));
    format!("/sdn/zones/{}/{id}", zone.unwrap_or_default())
}

static ALL_ZONES: Listed = Listed::of(&ZONES);
static ALL_VNETS: Listed = Listed {
    home: vnet_home,
    guarded: true,
    ..Listed::of(&VNETS)
};
static ALL_SUBNETS: Listed = Listed {
    within: Some(|state, call| checks::vnet_access(state, call, AUDIT)),
    ..Listed::of(&SUBNETS)
};
static ALL_CONTROLLERS: Listed = Listed::of(&CONTROLLERS);

pub(super) fn routes(at: &mut Routes<'_>) {
    static PLAIN: [Family; 2] = [NAMESERVERS, IPAMS];
    PLAIN.iter().for_each(|family| family.routes(at));
    for listed in [&ALL_ZONES, &ALL_VNETS, &ALL_SUBNETS, &ALL_CONTROLLERS] {
        listed.routes(at);
    }
}
