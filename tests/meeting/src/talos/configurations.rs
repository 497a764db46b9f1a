//! What is said about machines and clusters in configurations, and clusters that are made of them.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use stead_sdk::testing::Stored;
use stead_sdk::value::json::to_json;

use super::{ENDPOINT, TalosLab, address};

impl TalosLab {
    /// An administrator of the cluster.
    pub fn client_configuration(&self) -> Json {
        plain(&self.secrets, "client_configuration")
    }

    /// The secrets of the cluster.
    pub fn machine_secrets(&self) -> Json {
        plain(&self.secrets, "machine_secrets")
    }

    /// The state of `talos_machine_secrets` of another cluster.
    pub async fn other_secrets(&self) -> Stored {
        super::secrets(&self.provider).await
    }

    /// A generated configuration in the form of a version, without patches.
    ///
    /// # Panics
    /// When there is none.
    pub async fn generated(&self, kind: &str, version: &str) -> String {
        self.generated_with(self.machine_secrets(), kind, version)
            .await
    }

    /// As [`TalosLab::generated`], with the secrets of another cluster.
    ///
    /// # Panics
    /// When there is none.
    pub async fn generated_with(&self, secrets: Json, kind: &str, version: &str) -> String {
        self.generate(json!({
            "cluster_name": "lab",
            "cluster_endpoint": format!("https://{ENDPOINT}:6443"),
            "machine_type": kind,
            "machine_secrets": secrets,
            "talos_version": version,
        }))
        .await
    }

    async fn generate(&self, config: Json) -> String {
        let made = self
            .provider
            .data("talos_machine_configuration", config)
            .await
            .expect("a configuration");
        let text = made.get("machine_configuration").expect("an attribute");
        text.as_str().expect("a text").to_owned()
    }

    /// The machine configuration of a node.
    ///
    /// # Panics
    /// When there is none.
    pub async fn configuration(&self, number: u8, kubernetes: &str, patch: &str) -> String {
        let plane = number < 20;
        let network = if plane {
            format!(
                "machine:\n  network:\n    hostname: node-{number}\n    interfaces:\n      - interface: eth0\n        dhcp: true\n        vip:\n          ip: {ENDPOINT}\n"
            )
        } else {
            format!("machine:\n  network:\n    hostname: node-{number}\n")
        };
        let mut patches = vec![network];
        if !patch.is_empty() {
            patches.push(patch.to_owned());
        }
        self.generate(json!({
            "cluster_name": "lab",
            "cluster_endpoint": format!("https://{ENDPOINT}:6443"),
            "machine_type": if plane { "controlplane" } else { "worker" },
            "machine_secrets": self.machine_secrets(),
            "talos_version": "v1.11",
            "kubernetes_version": kubernetes,
            "config_patches": patches,
        }))
        .await
    }

    /// The identifier of a schematic with these extensions, which the factory knows from now on.
    ///
    /// # Panics
    /// When the factory does not take the schematic.
    pub async fn schematic(&self, extensions: &[&str]) -> String {
        let text = json!({ "customization": { "systemExtensions": { "officialExtensions": extensions } } });
        let schematic = json!({ "schematic": text.to_string() });
        let made = self
            .provider
            .apply("talos_image_factory_schematic", None, schematic)
            .await
            .expect("a schematic");
        made.text("id")
    }

    /// A configuration of `talos_machine_configuration_apply`.
    pub fn of_apply(&self, number: u8, configuration: &str, patches: &[&str]) -> Json {
        json!({
            "node": address(number),
            "client_configuration": self.client_configuration(),
            "machine_configuration_input": configuration,
            "config_patches": patches,
            "timeouts": { "create": "60s", "update": "60s", "delete": "60s" },
        })
    }

    /// A configuration of `talos_machine`.
    pub fn of_machine(&self, number: u8, configuration: &str, more: Json) -> Json {
        let mut config = json!({
            "node": address(number),
            "client_configuration": self.client_configuration(),
            "machine_configuration": configuration,
            "drain_on_upgrade": false,
            "timeouts": { "create": "60s", "update": "60s", "delete": "60s" },
        });
        merge(&mut config, more);
        config
    }

    /// A configuration of `talos_cluster` with these control plane nodes.
    pub fn of_cluster(&self, numbers: &[u8], kubernetes: &str) -> Json {
        let nodes: Vec<String> = numbers.iter().map(|n| address(*n)).collect();
        json!({
            "node": nodes.first(),
            "control_plane_nodes": nodes,
            "client_configuration": self.client_configuration(),
            "kubernetes_version": kubernetes,
            "timeouts": { "create": "60s", "update": "60s" },
        })
    }

    /// Boots machines and brings them into one cluster: numbers below 20 are its control plane. The objects of the machines, by
    /// their numbers, and the cluster's.
    ///
    /// # Panics
    /// When that fails.
    pub async fn cluster(
        &self,
        numbers: &[u8],
        version: &str,
        schematic: &str,
        kubernetes: &str,
    ) -> (BTreeMap<u8, Stored>, Stored) {
        let mut machines = BTreeMap::new();
        for number in numbers {
            self.boot(*number, version, schematic).await;
            let text = self.configuration(*number, kubernetes, "").await;
            let config = self.of_machine(*number, &text, json!({}));
            let made = self.apply("talos_machine", None, config).await;
            machines.insert(*number, made.expect("a machine"));
        }
        let planes: Vec<u8> = numbers.iter().copied().filter(|n| *n < 20).collect();
        let config = self.of_cluster(&planes, kubernetes);
        let cluster = self.apply("talos_cluster", None, config).await;
        (machines, cluster.expect("a cluster"))
    }
}

/// An attribute of an object as a configuration gives it.
///
/// # Panics
/// When it is not known.
pub fn plain(object: &Stored, name: &str) -> Json {
    let value = object.attribute(name);
    to_json(&value, &value.ty()).expect("JSON")
}

fn merge(config: &mut Json, more: Json) {
    if let Json::Object(more) = more {
        for (name, value) in more {
            config[name] = value;
        }
    }
}
