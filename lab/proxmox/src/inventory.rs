//! What exists in the cluster, for tests such as "destroy leaves the lab empty".

use serde_json::{Value, json};

use crate::Proxmox;
use crate::cluster::mapping::pci_names;

impl Proxmox {
    /// Machines, volumes, pools and mappings by name; what every cluster has (nodes, storages) is left out.
    pub fn inventory(&self) -> Value {
        let state = self.state();
        let vms = state.vms.iter().map(|(id, vm)| {
            json!({ "id": id, "name": vm.name(*id), "node": vm.node, "running": vm.running.is_some() })
        });
        let volumes = state.storages.iter().flat_map(|(id, storage)| {
            let by_node = storage.volumes.iter();
            by_node.flat_map(move |(node, volumes)| {
                volumes
                    .keys()
                    .map(move |name| format!("{node}/{id}:{name}"))
            })
        });
        json!({
            "vms": vms.collect::<Vec<_>>(),
            "volumes": volumes.collect::<Vec<_>>(),
            "pools": state.pools.keys().collect::<Vec<_>>(),
            "pci_mappings": pci_names(&state).collect::<Vec<_>>(),
        })
    }
}
