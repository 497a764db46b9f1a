//! A cluster of simulated Talos machines without a hypervisor, and the provider that is connected to it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};
use stead_lab_core::faults::{Effect, Fault};
use stead_lab_core::machine::{
    CloudInit, Disk, Guest, GuestKind as _, Hardware, ImageLabel, IpConfig, Nic,
};
use stead_lab_core::{Lab, Settings, gateway};
use stead_lab_talos::Talos;
use stead_sdk::kube::{Cluster, ClusterSettings};
use stead_sdk::testing::{ApplyFailure, Harness, Stored};
use stead_sdk::value::Sensitive;
use stead_sdk::{Context, Dialer, Environment, Progress};

/// The Kubernetes API, wherever the control plane is.
const ENDPOINT: &str = "10.5.0.10";

/// Machines that boot from Talos images, and who manages them.
pub struct TalosLab {
    pub provider: Harness,
    pub lab: Lab,
    talos: Arc<Talos>,
    dialer: Dialer,
    said: Arc<Mutex<Vec<String>>>,
    guests: Mutex<BTreeMap<u8, Arc<dyn Guest>>>,
    secrets: Stored,
    _folder: tempfile::TempDir,
}

impl fmt::Debug for TalosLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TalosLab").finish_non_exhaustive()
    }
}

/// The address of a machine.
pub fn address(number: u8) -> String {
    format!("10.5.0.{number}")
}

fn hardware(number: u8, version: &str, schematic: &str) -> Hardware {
    let ip = IpConfig {
        address: Some((address(number).parse().expect("an address"), 24)),
        gateway: Some("10.5.0.1".parse().expect("an address")),
    };
    Hardware {
        id: format!("pve/{number}"),
        name: format!("node-{number}"),
        cores: 4,
        memory_mib: 2480,
        disks: vec![Disk {
            interface: "scsi0".to_owned(),
            size_bytes: 20 << 30,
            image: Some(ImageLabel {
                os: "talos".to_owned(),
                version: version.to_owned(),
                schematic: schematic.to_owned(),
                guest_agent: false,
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

impl TalosLab {
    /// Starts a lab and makes the secrets of a cluster.
    ///
    /// # Panics
    /// When it does not start: there is nothing to test then.
    pub async fn start() -> TalosLab {
        let folder = tempfile::tempdir().expect("a folder");
        let lab = Lab::open(folder.path(), Settings::default()).expect("a lab");
        let kubernetes = stead_lab_kubernetes::start(&lab).await.expect("Kubernetes");
        let talos = stead_lab_talos::start(&lab, kubernetes)
            .await
            .expect("Talos");
        let gateway = gateway::start(&lab).await.expect("a gateway");
        let bundle = folder.path().join("authority.pem");
        std::fs::write(&bundle, lab.authority.pem()).expect("a bundle");
        let environment = [
            ("STEAD_DIAL", format!("connect://{gateway}")),
            ("SSL_CERT_FILE", bundle.display().to_string()),
        ];
        let dialer = Dialer::new(environment.into_iter().collect::<Environment>());
        let dialer = dialer.expect("a dialer");
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let provider = connect(&dialer, &said).await;
        // The old contract spares the RSA key.
        let secrets = provider
            .apply(
                "talos_machine_secrets",
                None,
                json!({ "talos_version": "v1.6" }),
            )
            .await
            .expect("secrets");
        TalosLab {
            provider,
            lab,
            talos,
            dialer,
            said,
            guests: Mutex::default(),
            secrets,
            _folder: folder,
        }
    }

    /// The environment of the provider, with more variables in it.
    ///
    /// # Panics
    /// When they make no sense.
    pub fn dialer_with(&self, variables: &[(&str, String)]) -> Dialer {
        let variables = variables.iter().map(|(n, v)| ((*n).to_owned(), v.clone()));
        Dialer::new(self.dialer.environment().with(variables)).expect("a dialer")
    }

    /// The provider as another run opens it, with these variables in its environment.
    pub async fn provider_with(&self, variables: &[(&str, String)]) -> Harness {
        connect(&self.dialer_with(variables), &self.said).await
    }

    /// The provider as another run opens it.
    pub async fn another_run(&mut self) {
        self.provider = connect(&self.dialer, &self.said).await;
    }

    /// Boots a machine from a disk image of this release.
    pub async fn boot(&self, number: u8, version: &str, schematic: &str) {
        let guest = self.talos.boot(hardware(number, version, schematic)).await;
        self.guests().insert(number, guest);
    }

    /// Pulls a machine's plug.
    ///
    /// # Panics
    /// When it was never booted.
    pub async fn cut(&self, number: u8) {
        let guest = self.guests().get(&number).cloned();
        guest.expect("a machine").power_off().await;
    }

    fn guests(&self) -> std::sync::MutexGuard<'_, BTreeMap<u8, Arc<dyn Guest>>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the lab knows of its machines, by their numbers.
    pub fn machine(&self, number: u8) -> Json {
        let inventory = self.talos.inventory();
        let nodes = inventory["nodes"].as_array().cloned().unwrap_or_default();
        let id = format!("pve/{number}");
        nodes
            .into_iter()
            .find(|n| n["machine"] == id.as_str())
            .unwrap_or_default()
    }

    /// The numbers of the machines that are members of etcd.
    pub fn members(&self) -> Vec<String> {
        let inventory = self.talos.inventory();
        let members = inventory["clusters"][0]["etcd_members"].as_array().cloned();
        let members = members.unwrap_or_default().into_iter();
        members
            .filter_map(|m| m.as_str().map(|t| t.trim_start_matches("pve/").to_owned()))
            .collect()
    }

    /// Machines that are up for their cluster.
    pub fn in_service(&self, numbers: &[u8]) -> usize {
        let running = |n: &&u8| self.machine(**n)["stage"] == "running";
        numbers.iter().filter(running).count()
    }

    pub fn client_configuration(&self) -> Json {
        let value = self.secrets.attribute("client_configuration");
        stead_sdk::value::json::to_json(&value, &value.ty()).expect("JSON")
    }

    /// The machine configuration of a node.
    ///
    /// # Panics
    /// When there is none.
    pub async fn configuration(&self, number: u8, kubernetes: &str, patch: &str) -> String {
        let secrets = self.secrets.attribute("machine_secrets");
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
        let config = json!({
            "cluster_name": "lab",
            "cluster_endpoint": format!("https://{ENDPOINT}:6443"),
            "machine_type": if plane { "controlplane" } else { "worker" },
            "machine_secrets": stead_sdk::value::json::to_json(&secrets, &secrets.ty()).expect("JSON"),
            "talos_version": "v1.11",
            "kubernetes_version": kubernetes,
            "config_patches": patches,
        });
        let made = self
            .provider
            .data("talos_machine_configuration", config)
            .await
            .expect("a configuration");
        let text = made.get("machine_configuration").expect("an attribute");
        text.as_str().expect("a text").to_owned()
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

    pub async fn apply(
        &self,
        type_name: &str,
        prior: Option<&Stored>,
        config: Json,
    ) -> Result<Stored, ApplyFailure> {
        self.provider.apply(type_name, prior, config).await
    }

    /// Refreshes an object.
    ///
    /// # Panics
    /// When it is gone, or cannot be read.
    pub async fn read(&self, type_name: &str, prior: &Stored) -> Stored {
        let read = self.provider.read(type_name, prior).await;
        read.expect("a refresh").expect("an object")
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

    /// The administrator's kubeconfig.
    ///
    /// # Panics
    /// When no node gives one.
    pub async fn kubeconfig(&self, number: u8) -> String {
        let config =
            json!({ "node": address(number), "client_configuration": self.client_configuration() });
        let made = self
            .apply("talos_cluster_kubeconfig", None, config)
            .await
            .expect("a kubeconfig");
        made.text("kubeconfig_raw")
    }

    /// The cluster's Kubernetes.
    pub async fn kubernetes(&self, number: u8) -> Cluster {
        let settings = ClusterSettings {
            config_text: Some(Sensitive::new(self.kubeconfig(number).await)),
            ..ClusterSettings::default()
        };
        Cluster::new(settings, self.dialer.clone())
    }

    /// Whether the provider has said so while it waited.
    pub fn said(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// What the provider has said.
    pub fn lines(&self) -> Vec<String> {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Switches a fault of the lab on, for so many occasions.
    ///
    /// # Panics
    /// When it cannot be kept.
    pub fn fault(&self, name: &str, times: u64) {
        let fault = Fault {
            name: name.to_owned(),
            effect: Effect::On,
            skip: 0,
            times: Some(times),
            percent: 100,
        };
        self.lab.faults.set(fault).expect("a fault");
    }

    pub async fn stop(self) {
        self.lab.stop().await;
    }
}

async fn connect(dialer: &Dialer, said: &Arc<Mutex<Vec<String>>>) -> Harness {
    let factories = stead_talos::factories(dialer);
    let (_, factory) = factories.first().expect("a provider");
    let mut harness = Harness::configured(factory.as_ref(), json!({}))
        .await
        .expect("configured");
    let sink = Arc::clone(said);
    let record = move |p: Progress| {
        let mut said = sink.lock().unwrap_or_else(PoisonError::into_inner);
        said.push(p.message);
    };
    harness.cx = Context::detached().with_progress(Arc::new(record));
    harness
}

fn merge(config: &mut Json, more: Json) {
    if let Json::Object(more) = more {
        for (name, value) in more {
            config[name] = value;
        }
    }
}
