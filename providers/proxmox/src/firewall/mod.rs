//! The firewall: of the cluster, of nodes, and of guests.

mod alias;
mod cluster;
mod existing;
mod group;
mod guest;
mod ipset;
mod level;
mod node;
mod rule;
mod rules;

use stead_sdk::value::Path;
use stead_sdk::value::schema::Pattern;
use stead_sdk::{PlanDraft, value::Diagnostics};

use crate::rest::{Listed, rest};
use alias::Alias;
use cluster::ClusterFirewall;
use group::SecurityGroup;
use guest::GuestOptions;
use ipset::IpSet;
use node::NodeFirewall;
use rules::Rules;

const NAME: Pattern = Pattern {
    regex: "[A-Za-z][A-Za-z0-9_-]+",
    form: "a name of at least two letters, digits, `-` and `_` that starts with a letter",
};

rest! {
    resource Alias with hooks { what: "firewall alias", item: "{+level}/aliases/{name}", imported_by: "{place}", listed: Listed::Otherwise }
    resource ClusterFirewall with hooks {
        what: "firewall of the cluster", item: "/cluster/firewall/options", id: "cluster-firewall", imported_by: "{place}",
        is_settings: true,
        listed: Listed::One
    }
    resource SecurityGroup with hooks {
        what: "security group", item: "/cluster/firewall/groups/{name}",
        listed: Listed::Rows("/cluster/firewall/groups", &[("name", "group")]),
        referred_as: &[("security_group", "name")]
    }
    resource GuestOptions with hooks {
        what: "firewall of guest", item: "{+level}/options", id: "{checksum}", imported_by: "{place}", is_settings: true,
        listed: Listed::Otherwise
    }
    resource IpSet with hooks { what: "IP set", item: "{+level}/ipset/{name}", imported_by: "{place}", listed: Listed::Otherwise }
    resource NodeFirewall {
        what: "firewall of node", item: "/nodes/{node_name}/firewall/options", id: "{node_name}", is_settings: true,
        listed: Listed::Nodes
    }
    resource Rules with hooks {
        what: "firewall rules", item: "{+level}/rules", id: "{checksum}", imported_by: "{place}",
        listed: Listed::Otherwise
    }
}

/// The `id` is the name, and goes with it.
fn renamed(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
    if !plan.is_create() && plan.changes("name") {
        plan.set_unknown(&Path::root().attr("id"))?;
    }
    Ok(())
}
