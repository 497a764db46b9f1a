//! The disks of a machine, before and after it is configured.

use serde_json::json;
use stead_meeting::talos::{TalosLab, address};
use stead_sdk::value::Value;

use super::said;

fn paths(found: &Value) -> Vec<String> {
    let disks = found.get("disks").unwrap();
    let disks = disks.as_sequence().unwrap().iter();
    disks
        .map(|d| d.get("dev_path").unwrap().as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn disks_are_told_in_maintenance_mode_and_afterwards() {
    for version in ["v1.12.4", "v1.13.9", "v1.14.0"] {
        let lab = TalosLab::start().await;
        lab.boot(11, version, "").await;
        let asked = |selector: &str| {
            json!({
                "node": address(11),
                "client_configuration": lab.client_configuration(),
                "selector": selector,
                "timeouts": { "read": "30s" },
            })
        };
        let read = async |selector: &str| {
            let found = lab.provider.data("talos_machine_disks", asked(selector));
            found
                .await
                .unwrap_or_else(|e| panic!("{version}: {}", said(&e)))
        };
        let found = read("disk.size == 20u * GiB && disk.dev_path == '/dev/sda'").await;
        assert_eq!(paths(&found), ["/dev/sda"], "{version}");
        let disks = found.get("disks").unwrap();
        let disk = &disks.as_sequence().unwrap()[0];
        assert_eq!(disk.get("size").unwrap().as_i64(), Some(20 << 30));
        assert_eq!(disk.get("model").unwrap().as_str(), Some("QEMU HARDDISK"));
        assert_eq!(
            paths(&read("disk.size > 1u * TB").await),
            Vec::<String>::new()
        );

        let text = lab.configuration(11, "v1.34.1", "").await;
        let machine = lab.of_machine(11, &text, json!({}));
        lab.apply("talos_machine", None, machine)
            .await
            .unwrap_or_else(|e| panic!("{version}: {}", super::failed(&e)));
        assert_eq!(paths(&read("system_disk").await), ["/dev/sda"], "{version}");
        assert_eq!(paths(&read("!system_disk").await), Vec::<String>::new());
        lab.stop().await;
    }
}
