//! `talos_machine_configuration`: what is said of patches before any node sees them.

use serde_json::{Value as Json, json};
use stead_sdk::testing::object;
use stead_sdk::value::Diagnostics;
use stead_sdk::{Dialer, ProviderFactory};

use super::ephemeral::attribute;
use super::{Talos, first, secrets};

const KIND: &str = "talos_machine_configuration";

impl Talos {
    /// The warnings of a generated configuration.
    async fn generate(&self, version: &str, patches: &[&str]) -> Result<Diagnostics, Diagnostics> {
        let config = json!({
            "cluster_name": "lab", "cluster_endpoint": "https://10.0.0.1:6443", "machine_type": "worker",
            "machine_secrets": attribute(&secrets()), "talos_version": version, "config_patches": patches,
        });
        let factory = crate::factory(&Dialer::direct());
        let schema = &factory.schema().data_sources[KIND];
        let config = object(schema, config as Json)?;
        let provider = self.harness.provider();
        Ok(provider.read_data(KIND, config, &self.harness.cx).await?.1)
    }
}

fn details(warnings: &Diagnostics) -> Vec<&str> {
    warnings.iter().map(|w| w.detail.as_str()).collect()
}

#[tokio::test]
async fn what_a_node_would_refuse_is_warned_of() {
    let talos = Talos::new().await;
    let name = "machine:\n  network:\n    hostname: w-1\n";
    let told = talos.generate("v1.12", &[name]).await.unwrap();
    let [said] = details(&told)[..] else {
        panic!("{told:?}")
    };
    assert!(said.starts_with(
        "`machine.network.hostname` is set beside the document HostnameConfig, which replaces it."
    ));
    // Before, the field was the way.
    assert!(talos.generate("v1.11", &[name]).await.unwrap().is_empty());
    // A later patch may still put it right: that is no error.
    let away = "apiVersion: v1alpha1\nkind: HostnameConfig\n$patch: delete\n";
    assert!(
        talos
            .generate("v1.12", &[name, away])
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_document_of_a_later_version_is_named() {
    let talos = Talos::new().await;
    let newer = "apiVersion: v1alpha1\nkind: OOMConfig\n";
    let told = talos.generate("v1.11", &[newer]).await.unwrap();
    let said = "OOMConfig is a document of Talos v1.12, and the configuration is for v1.11. \
                Use Talos v1.12 or newer on the node, or leave the document out.";
    assert_eq!(details(&told), [said]);
    // What is installed counts for more than the form.
    let image = "machine:\n  install:\n    image: factory.talos.dev/metal-installer/0:v1.12.3\n";
    assert!(
        talos
            .generate("v1.11", &[image, newer])
            .await
            .unwrap()
            .is_empty()
    );
    // What the form's own release cannot even read is refused, with the reason.
    let kubelet = "apiVersion: v1alpha1\nkind: KubeletConfig\n";
    let refused = talos
        .generate("v1.13", &[newer, kubelet])
        .await
        .unwrap_err();
    let refused = first(&refused);
    assert_eq!(
        refused.attribute.as_ref().unwrap().to_string(),
        "config_patches[1]"
    );
    assert!(
        refused.detail.contains("it is written for Talos v1.14"),
        "{}",
        refused.detail
    );
    assert!(
        refused.detail.contains("`talos_version = \"v1.14\"`"),
        "{}",
        refused.detail
    );
    let nonsense = talos
        .generate("v1.13", &["machine:\n  nope: 1\n"])
        .await
        .unwrap_err();
    assert!(!first(&nonsense).detail.contains("v1.14"));
}
