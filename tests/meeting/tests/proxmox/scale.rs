//! What grows with the number of machines: requests of a refresh, and clones at the same time.

use std::collections::BTreeSet;

use serde_json::json;
use stead_lab_proxmox::Options;
use stead_meeting::Homelab;
use stead_sdk::testing::Stored;

const VM: &str = "proxmox_virtual_environment_vm";

/// Makes machines by other hands and imports them: those with an even number run and have an agent.
async fn imported(homelab: &Homelab, count: usize) -> Vec<Stored> {
    let mut machines = Vec::new();
    for n in 0..count {
        let id = 300 + n;
        let agent = if n % 2 == 0 {
            "agent=1&start=1"
        } else {
            "agent=0"
        };
        let form = format!("vmid={id}&name=vm{n}&memory=128&scsi0=local-lvm%3A1&{agent}");
        homelab.call("POST", "/nodes/abel/qemu", &form).await;
    }
    for n in 0..count {
        let id = format!("abel/{}", 300 + n);
        let machine = homelab.proxmox.import(VM, &id).await.unwrap();
        let read = homelab.proxmox.read(VM, &machine).await.unwrap();
        machines.push(read.expect("it is there"));
    }
    machines
}

#[tokio::test]
async fn a_refresh_takes_two_requests_a_machine_at_most() {
    const MACHINES: usize = 40;
    let homelab = Homelab::start(&Options::default()).await;
    let machines = imported(&homelab, MACHINES).await;
    // What was read at once is old by then.
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let before = homelab.requests();
    for machine in &machines {
        let read = homelab.proxmox.read(VM, machine).await.unwrap();
        assert!(read.is_some());
    }
    let asked = homelab.requests() - before;
    // The configuration of each, the agent of half of them, and now and then the list of all guests.
    let least = (MACHINES + MACHINES / 2) as u64;
    assert!(asked > least && asked <= 2 * MACHINES as u64, "{asked}");
    homelab.stop().await;
}

#[tokio::test]
async fn sixty_clones_of_one_template_are_made_at_the_same_time() {
    const CLONES: usize = 60;
    let homelab = Homelab::start(&Options::default()).await;
    let template = "vmid=900&name=template&memory=128&scsi0=local-lvm%3A1&template=1";
    homelab.call("POST", "/nodes/abel/qemu", template).await;
    // Others are at the locks, too.
    homelab.fault("proxmox.lock-timeout.clone", Some(7));
    homelab.fault("proxmox.no-worker", Some(5));
    let nodes = ["abel", "cantor", "euclid"];
    let clones = (0..CLONES).map(|n| {
        let config = json!({
            "node_name": nodes[n % nodes.len()], "name": format!("clone{n}"), "started": false,
            "clone": [{ "vm_id": 900, "full": true }],
        });
        homelab.proxmox.apply(VM, None, config)
    });
    let made = futures::future::join_all(clones).await;
    let ids: BTreeSet<i64> = made
        .into_iter()
        .map(|made| made.unwrap_or_else(|e| panic!("{e:?}")))
        .map(|made| made.attribute("vm_id").as_i64().unwrap())
        .collect();
    assert_eq!(ids.len(), CLONES, "each has an identifier of its own");
    let listed = homelab.call("GET", "/cluster/resources", "type=vm").await;
    for node in nodes {
        let there = listed.as_array().unwrap().iter();
        let there = there.filter(|row| row["node"] == node && row["vmid"] != 900);
        assert_eq!(there.count(), CLONES / nodes.len(), "on {node}");
    }
    assert_eq!(
        listed.as_array().unwrap().len(),
        CLONES + 1,
        "none is left over"
    );
    homelab.stop().await;
}
