//! What belongs to one node: its network, its names, its time, its packages, its disks.

mod apt;
mod certificate;
mod config;
mod dns;
mod hosts;
mod network;
mod pci;
mod time;
mod zfs;

use crate::client::PlannedKind;
use crate::rest::{Listed, rest};
use apt::{Repository, StandardRepository};
use certificate::Certificate;
use config::NodeConfig;
use dns::Dns;
use hosts::Hosts;
use network::{Bond, Bridge, Vlan};
use pci::PciDevices;
use time::Time;
use zfs::ZfsPool;

const INTERFACE: &str = "/nodes/{node_name}/network/{name}";
const CERTIFICATE: &str = "/nodes/{node_name}/certificates/custom";
const REPOSITORIES: &str = "/nodes/{node}/apt/repositories";

rest! {
    resource Bond with hooks {
        what: "bond", item: INTERFACE, id: "{node_name}:{name}", kind: &[("type", "bond")], kind_in_changes: true,
        needs: ("/nodes/{node_name}", &["Sys.Modify"]),
        listed: Listed::Rows("/nodes/{node_name}/network", &[("name", "iface")])
    }
    resource Bridge with hooks {
        what: "bridge", item: INTERFACE, id: "{node_name}:{name}", kind: &[("type", "bridge")], kind_in_changes: true,
        needs: ("/nodes/{node_name}", &["Sys.Modify"]), brings: Some((PlannedKind::Bridge, "name")),
        listed: Listed::Rows("/nodes/{node_name}/network", &[("name", "iface")]),
        referred_as: &[("bridge", "name")]
    }
    resource Vlan with hooks {
        what: "VLAN", item: INTERFACE, id: "{node_name}:{name}", kind: &[("type", "vlan")], kind_in_changes: true,
        needs: ("/nodes/{node_name}", &["Sys.Modify"]),
        listed: Listed::Rows("/nodes/{node_name}/network", &[("name", "iface")])
    }
    resource Certificate with hooks {
        what: "certificate", item: CERTIFICATE, made_at: CERTIFICATE, id: "{node_name}_certificate", imported_by: "{node_name}",
        needs: ("/nodes/{node_name}", &["Sys.Modify"])
    }
    resource NodeConfig {
        what: "configuration of node", item: "/nodes/{node_name}/config", id: "{node_name}", is_settings: true,
        needs: ("/", &["Sys.Modify"]),
        listed: Listed::Nodes
    }
    lookup NodeConfig {}
    resource Dns with hooks {
        what: "name servers", item: "/nodes/{node_name}/dns", id: "{node_name}_dns", imported_by: "{node_name}", is_settings: true,
        needs: ("/nodes/{node_name}", &["Sys.Modify"]),
        listed: Listed::Nodes
    }
    lookup Dns {}
    resource Hosts with hooks {
        what: "hosts file", item: "/nodes/{node_name}/hosts", made_at: "/nodes/{node_name}/hosts", id: "{node_name}_hosts",
        imported_by: "{node_name}", only_managed: &["entry"],
        needs: ("/nodes/{node_name}", &["Sys.Modify"]),
        listed: Listed::Nodes
    }
    lookup Hosts {}
    resource Time with hooks {
        what: "time zone", item: "/nodes/{node_name}/time", id: "{node_name}_time", imported_by: "{node_name}", is_settings: true,
        needs: ("/nodes/{node_name}", &["Sys.Modify"]),
        listed: Listed::Nodes
    }
    lookup Time {}
    resource Repository with hooks {
        what: "package repository", item: REPOSITORIES, made_at: REPOSITORIES, id: "apt_repository_{node}_{file}_{index}",
        imported_by: "{node},{file_path},{index}",
        needs: ("/nodes/{node}", &["Sys.Modify"])
    }
    lookup Repository {}
    resource StandardRepository with hooks {
        what: "package repository", item: REPOSITORIES, id: "apt_standard_repository_{node}_{file}",
        imported_by: "{node},{handle}", is_settings: true,
        needs: ("/nodes/{node}", &["Sys.Modify"])
    }
    lookup StandardRepository {}
    data PciDevices with hooks { what: "PCI devices", item: "/nodes/{node_name}/hardware/pci", sorted_by: "id" }
    resource ZfsPool with hooks {
        what: "ZFS pool", item: "/nodes/{node_name}/disks/zfs/{name}", id: "{node_name}/{name}",
        needs: ("/", &["Sys.Modify"])
    }
}
