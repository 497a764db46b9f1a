//! A lab with Talos machines that boot from their disks, and the provider, connected through the lab's gateway.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use stead_lab_core::machine::{
    CloudInit, Disk, Guest, GuestKind as _, Hardware, ImageLabel, IpConfig, Nic,
};
use stead_lab_core::{Lab, Settings, gateway};
use stead_lab_talos::Talos;
use stead_lab_talos::proto::machine::ApplyConfigurationRequest;
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_sdk::testing::{Harness, object};
use stead_sdk::value::{Diagnostics, Value, json::to_json};
use stead_sdk::{ClientIdentity, Dialer, Environment, ProviderFactory, Roots, TlsOptions};

pub(crate) const APPLY: &str = "talos_machine_configuration_apply";
/// The machine secrets of the golden cases.
const SECRETS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../providers/talos/tests/golden/secrets/v1.13.yaml"
);

/// Machines and who configures them.
pub(crate) struct Rack {
    pub(crate) talos: Harness,
    /// The state of `talos_machine_secrets`.
    pub(crate) secrets: Json,
    machines: Arc<Talos>,
    environment: Environment,
    /// Removed in the end, with what the lab keeps in it.
    _folder: tempfile::TempDir,
}

impl Rack {
    pub(crate) async fn start() -> Rack {
        let folder = tempfile::tempdir().expect("a folder");
        let lab = Lab::open(folder.path(), Settings::default()).expect("a lab");
        let kubernetes = stead_lab_kubernetes::start(&lab).await.expect("Kubernetes");
        let machines = stead_lab_talos::start(&lab, kubernetes)
            .await
            .expect("machines");
        let gateway = gateway::start(&lab).await.expect("a gateway");
        let bundle = folder.path().join("authority.pem");
        std::fs::write(&bundle, lab.authority.pem()).expect("a bundle");
        let environment: Environment = [
            ("STEAD_DIAL", format!("connect://{gateway}")),
            ("SSL_CERT_FILE", bundle.display().to_string()),
        ]
        .into_iter()
        .collect();
        let talos = provider(environment.clone()).await.expect("configured");
        let imported = talos.import("talos_machine_secrets", SECRETS).await;
        let imported = imported.expect("secrets").value;
        Rack {
            talos,
            secrets: to_json(&imported, &imported.ty()).expect("plain"),
            machines,
            environment,
            _folder: folder,
        }
    }

    /// The provider with one more environment variable.
    pub(crate) async fn with_variable(&self, name: &str, value: &str) -> Harness {
        let more = [(name.to_owned(), value.to_owned())];
        let provider = provider(self.environment.with(more)).await;
        provider.expect("configured")
    }

    /// Boots machine `10.5.0.NUMBER` from a disk image of this version.
    pub(crate) async fn boot(&self, number: u8, version: &str) -> Arc<dyn Guest> {
        self.machines.boot(hardware(number, version)).await
    }

    /// What the lab tells of a machine's stage, such as `running`.
    pub(crate) fn stage(&self, number: u8) -> String {
        let inventory = self.machines.inventory();
        let nodes = inventory["nodes"].as_array().expect("nodes");
        let id = format!("pve/{number}");
        let node = nodes.iter().find(|n| n["machine"] == json!(id));
        node.and_then(|n| n["stage"].as_str())
            .unwrap_or("off")
            .to_owned()
    }

    /// A generated configuration in the form of a version.
    pub(crate) async fn generate(&self, kind: &str, version: &str) -> String {
        let config = json!({
            "cluster_name": "lab",
            "cluster_endpoint": "https://10.5.0.11:6443",
            "machine_type": kind,
            "machine_secrets": self.secrets["machine_secrets"],
            "talos_version": version,
        });
        let data = self.talos.data("talos_machine_configuration", config).await;
        text(&data.expect("generated"), &["machine_configuration"])
    }

    /// What is said about the configuration of a machine.
    pub(crate) fn apply_config(&self, number: u8, configuration: &str, patches: &[&str]) -> Json {
        json!({
            "node": format!("10.5.0.{number}"),
            "client_configuration": self.secrets["client_configuration"],
            "machine_configuration_input": configuration,
            "config_patches": patches,
            "timeouts": { "create": "60s", "update": "60s", "delete": "60s" },
        })
    }

    /// Opens an ephemeral resource.
    pub(crate) async fn open(&self, kind: &str, config: Json) -> Result<Value, Diagnostics> {
        let (_, factory) = stead_talos::factories(&Dialer::direct()).remove(0);
        let schema = &factory.schema().ephemeral_resources[kind];
        let config = object(schema, config)?;
        let provider = self.talos.provider();
        let opened = provider
            .open_ephemeral(kind, config, &self.talos.cx)
            .await?;
        Ok(opened.0.object)
    }

    /// What the machine says to a configuration that nobody has looked at before; `None` when it would take it.
    pub(crate) async fn dry_run(&self, number: u8, configuration: &str) -> Option<String> {
        let dialer = Dialer::new(self.environment.clone()).expect("a dialer");
        let client = &self.secrets["client_configuration"];
        let pem = |name: &str| {
            let encoded = client[name].as_str().expect("a text");
            let decoded = STANDARD.decode(encoded).expect("base64");
            String::from_utf8(decoded).expect("a PEM text")
        };
        let options = TlsOptions {
            roots: Roots::Only(pem("ca_certificate")),
            identity: Some(ClientIdentity {
                certificates: pem("client_certificate"),
                key: pem("client_key")
                    .replace("ED25519 PRIVATE", "PRIVATE")
                    .into(),
            }),
            alpn: vec!["h2".to_owned()],
            ..TlsOptions::default()
        };
        let channel = dialer.grpc_channel(&format!("10.5.0.{number}"), 50000, &options);
        let mut machine = MachineServiceClient::new(channel.expect("a channel"));
        let request = ApplyConfigurationRequest {
            data: configuration.as_bytes().to_vec(),
            mode: Mode::Auto.into(),
            dry_run: true,
            ..ApplyConfigurationRequest::default()
        };
        let answer = machine.apply_configuration(request).await;
        answer.err().map(|status| status.message().to_owned())
    }
}

async fn provider(environment: Environment) -> Result<Harness, Diagnostics> {
    let dialer = Dialer::new(environment)?;
    let (_, factory) = stead_talos::factories(&dialer).remove(0);
    Harness::configured(&*factory as &dyn ProviderFactory, json!({})).await
}

/// A text in an object.
pub(crate) fn text(object: &Value, path: &[&str]) -> String {
    let found = path.iter().fold(object.clone(), |value, name| {
        value.get(name).expect("an attribute")
    });
    found.as_str().expect("a text").to_owned()
}

fn hardware(number: u8, version: &str) -> Hardware {
    let ip = IpConfig {
        address: Some((format!("10.5.0.{number}").parse().expect("an address"), 24)),
        gateway: Some("10.5.0.1".parse().expect("an address")),
    };
    Hardware {
        id: format!("pve/{number}"),
        name: format!("node-{number}"),
        cores: 4,
        memory_mib: 4096,
        disks: vec![Disk {
            interface: "scsi0".to_owned(),
            size_bytes: 20 << 30,
            image: Some(ImageLabel {
                os: "talos".to_owned(),
                version: version.to_owned(),
                schematic: "ce4c980550dd2ab1b17bbf2b08801c7eb59418eafe8f279833297925d67c7515"
                    .to_owned(),
                guest_agent: true,
            }),
        }],
        nics: vec![Nic {
            mac: format!("BC:24:11:00:00:{number:02X}"),
            bridge: "vmbr0".to_owned(),
            vlan: None,
        }],
        cloud_init: Some(CloudInit {
            ip_config: BTreeMap::from([(0, ip)]),
            ..CloudInit::default()
        }),
        pci_devices: Vec::new(),
        agent_channel: true,
    }
}
