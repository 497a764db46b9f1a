//! Software-defined networking: zones, their networks and subnets, controllers, fabrics. Changes wait until an applier applies them.

mod applier;
mod controller;
mod fabric;
mod subnet;
mod vnet;
mod zone;
mod zones;

use crate::client::PlannedKind;
use crate::rest::{Clearing, Listed, rest};
use controller::ControllerEvpn;
use fabric::{FabricOpenFabric, FabricOspf, NodeOpenFabric, NodeOspf};
use subnet::{Subnet, SubnetData};
use vnet::{Vnet, Vnets};
use zone::{ZoneEvpn, ZoneQinq, ZoneSimple, ZoneVlan, ZoneVxlan};
use zones::Zones;

pub(crate) use applier::SdnApplier;

const ZONE: &str = "/cluster/sdn/zones/{id}";
/// How zones will be, and how they are as long as that differs.
const PENDING: &[(&str, &str)] = &[("pending", "1")];
const FABRIC: &str = "/cluster/sdn/fabrics/fabric/{id}";
const FABRIC_NODE: &str = "/cluster/sdn/fabrics/node/{fabric_id}/{node_id}";
const SUBNET: &str = "/cluster/sdn/vnets/{vnet}/subnets/{id}";

rest! {
    resource ZoneEvpn with hooks {
        what: "SDN zone", item: ZONE, kind: &[("type", "evpn")], query: PENDING,
        needs: ("/sdn/zones", &["SDN.Allocate"]),
        listed: Listed::Rows("/cluster/sdn/zones", &[("id", "zone")]),
        referred_as: &[("zone", "id")]
    }
    resource ZoneQinq with hooks {
        what: "SDN zone", item: ZONE, kind: &[("type", "qinq")], query: PENDING,
        needs: ("/sdn/zones", &["SDN.Allocate"]),
        listed: Listed::Rows("/cluster/sdn/zones", &[("id", "zone")]),
        referred_as: &[("zone", "id")]
    }
    resource ZoneSimple with hooks {
        what: "SDN zone", item: ZONE, kind: &[("type", "simple")], query: PENDING,
        needs: ("/sdn/zones", &["SDN.Allocate"]),
        listed: Listed::Rows("/cluster/sdn/zones", &[("id", "zone")]),
        referred_as: &[("zone", "id")]
    }
    resource ZoneVlan with hooks {
        what: "SDN zone", item: ZONE, kind: &[("type", "vlan")], query: PENDING,
        needs: ("/sdn/zones", &["SDN.Allocate"]),
        listed: Listed::Rows("/cluster/sdn/zones", &[("id", "zone")]),
        referred_as: &[("zone", "id")]
    }
    resource ZoneVxlan with hooks {
        what: "SDN zone", item: ZONE, kind: &[("type", "vxlan")], query: PENDING,
        needs: ("/sdn/zones", &["SDN.Allocate"]),
        listed: Listed::Rows("/cluster/sdn/zones", &[("id", "zone")]),
        referred_as: &[("zone", "id")]
    }
    lookup ZoneEvpn {}
    lookup ZoneQinq {}
    lookup ZoneSimple {}
    lookup ZoneVlan {}
    lookup ZoneVxlan {}
    data Zones with hooks { what: "SDN zones", item: "/cluster/sdn/zones", sorted_by: "zone" }
    resource Vnet {
        what: "SDN network", item: "/cluster/sdn/vnets/{id}",
        needs: ("/sdn/zones/{zone}", &["SDN.Allocate"]), brings: Some((PlannedKind::Bridge, "id")),
        listed: Listed::Rows("/cluster/sdn/vnets", &[("id", "vnet")]),
        referred_as: &[("vnet", "id"), ("bridge", "id")]
    }
    lookup Vnet {}
    data Vnets { what: "SDN networks", item: "/cluster/sdn/vnets", sorted_by: "vnet" }
    resource Subnet with hooks {
        what: "SDN subnet", item: SUBNET, imported_by: "{vnet}/{id}", kind: &[("type", "subnet")],
        listed: Listed::Otherwise
    }
    data SubnetData with hooks { what: "SDN subnet", item: SUBNET }
    resource ControllerEvpn {
        what: "SDN controller", item: "/cluster/sdn/controllers/{id}", kind: &[("type", "evpn")],
        needs: ("/sdn/controllers", &["SDN.Allocate"]),
        listed: Listed::Rows("/cluster/sdn/controllers", &[("id", "controller")])
    }
    lookup ControllerEvpn {}
    resource FabricOpenFabric {
        what: "SDN fabric", item: FABRIC, kind: &[("protocol", "openfabric")], kind_in_changes: true,
        clearing: Clearing::DeleteEach,
        needs: ("/sdn/fabrics", &["SDN.Allocate"]),
        listed: Listed::Rows("/cluster/sdn/fabrics/fabric", &[])
    }
    resource FabricOspf {
        what: "SDN fabric", item: FABRIC, kind: &[("protocol", "ospf")], kind_in_changes: true,
        clearing: Clearing::DeleteEach,
        needs: ("/sdn/fabrics", &["SDN.Allocate"]),
        listed: Listed::Rows("/cluster/sdn/fabrics/fabric", &[])
    }
    resource NodeOpenFabric {
        what: "node of an SDN fabric", item: FABRIC_NODE, id: "{fabric_id}/{node_id}", kind: &[("protocol", "openfabric")],
        kind_in_changes: true, clearing: Clearing::DeleteEach,
        listed: Listed::Rows("/cluster/sdn/fabrics/node", &[])
    }
    resource NodeOspf {
        what: "node of an SDN fabric", item: FABRIC_NODE, id: "{fabric_id}/{node_id}", kind: &[("protocol", "ospf")],
        kind_in_changes: true, clearing: Clearing::DeleteEach,
        listed: Listed::Rows("/cluster/sdn/fabrics/node", &[])
    }
    lookup FabricOpenFabric {}
    lookup FabricOspf {}
    lookup NodeOpenFabric {}
    lookup NodeOspf {}
}
