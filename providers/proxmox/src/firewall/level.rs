//! Where a part of the firewall belongs: the cluster, a node, a virtual machine or a container.

use stead_sdk::form::Unreadable;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block, Form};

use crate::property::percent_encode;

/// The cluster, unless a guest or a node is named.
#[derive(Clone, Debug, Default, Block, Form)]
#[block(legacy)]
pub(crate) struct Level {
    /// The container that it belongs to.
    #[attr(optional, replace, range(100..=2_147_483_647), requires("node_name"), conflicts("vm_id"))]
    #[form(path)]
    pub(super) container_id: Option<i64>,
    /// The node of the guest; alone, the node that it belongs to.
    #[attr(optional, replace)]
    #[form(path)]
    pub(super) node_name: Option<String>,
    /// The virtual machine that it belongs to.
    #[attr(optional, replace, range(100..=2_147_483_647), requires("node_name"))]
    #[form(path)]
    pub(super) vm_id: Option<i64>,
}

impl Level {
    fn guest(&self) -> Option<(&'static str, &'static str, i64)> {
        let vm = self.vm_id.filter(|id| *id > 0);
        let container = self.container_id.filter(|id| *id > 0);
        vm.map(|id| ("qemu", "vm", id))
            .or(container.map(|id| ("lxc", "container", id)))
    }

    /// The path of its firewall.
    pub(super) fn path(&self) -> String {
        let node = self.node_name.as_deref().filter(|node| !node.is_empty());
        match (node.map(percent_encode), self.guest()) {
            (Some(node), Some((kind, _, id))) => format!("/nodes/{node}/{kind}/{id}/firewall"),
            (Some(node), None) => format!("/nodes/{node}/firewall"),
            (None, _) => "/cluster/firewall".to_owned(),
        }
    }

    /// How people name it: `cluster`, `node/pve`, `vm/pve/100`, `container/pve/100`.
    pub(super) fn place(&self) -> String {
        let node = self.node_name.as_deref().filter(|node| !node.is_empty());
        match (node, self.guest()) {
            (Some(node), Some((_, kind, id))) => format!("{kind}/{node}/{id}"),
            (Some(node), None) => format!("node/{node}"),
            (None, _) => "cluster".to_owned(),
        }
    }

    pub(super) fn parse(place: &str) -> Result<Level, Unreadable> {
        let wrong = Unreadable::new("`cluster`, `node/NODE`, `vm/NODE/ID` or `container/NODE/ID`");
        let parts: Vec<_> = place.split('/').collect();
        let id = |text: &str| text.parse::<i64>().map_err(|_| wrong.clone());
        let mut level = Level::default();
        match parts.as_slice() {
            ["cluster"] => return Ok(level),
            ["node", _] => {}
            ["vm", _, vm] => level.vm_id = Some(id(vm)?),
            ["container", _, container] => level.container_id = Some(id(container)?),
            _ => return Err(wrong),
        }
        level.node_name = parts.get(1).map(|node| (*node).to_owned());
        Ok(level)
    }
}

/// Nodes have no such things of their own.
pub(super) fn not_of_a_node(config: &Value, what: &str) -> Diagnostics {
    let lacks = |name: &str| config.get(name).is_none_or(|v| v.is_null());
    if lacks("node_name") || !lacks("vm_id") || !lacks("container_id") {
        return Diagnostics::new();
    }
    let detail = format!(
        "A node has no {what} of its own, only the cluster and guests do: set `vm_id` or `container_id`, or leave `node_name` out."
    );
    Diagnostic::error("Missing guest", detail)
        .attribute(Path::root().attr("node_name"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_go_there_and_back() {
        for (place, path) in [
            ("cluster", "/cluster/firewall"),
            ("node/pve", "/nodes/pve/firewall"),
            ("vm/pve/100", "/nodes/pve/qemu/100/firewall"),
            ("container/pve/101", "/nodes/pve/lxc/101/firewall"),
        ] {
            let level = Level::parse(place).unwrap();
            assert_eq!(
                (level.place().as_str(), level.path().as_str()),
                (place, path)
            );
        }
        for wrong in ["", "vm/pve", "vm/pve/x", "pool/a"] {
            assert!(Level::parse(wrong).is_err(), "{wrong}");
        }
    }
}
