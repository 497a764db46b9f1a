//! A cluster of simulated Talos machines without a hypervisor, and the provider that is connected to it.

mod calls;
mod configurations;
mod hardware;
mod stranger;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};
use stead_lab_core::faults::{Effect, Fault};
use stead_lab_core::machine::{Guest, GuestKind as _};
use stead_lab_core::{Lab, Settings, gateway};
use stead_lab_talos::Talos;
use stead_sdk::kube::{Cluster, ClusterSettings};
use stead_sdk::testing::{ApplyFailure, Harness, Stored, object};
use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Context, Dialer, Environment, Progress};

pub use calls::would_do;
pub use configurations::plain;
use hardware::hardware;
pub use stranger::Received;

/// The Kubernetes API, wherever the control plane is.
pub const ENDPOINT: &str = "10.5.0.10";

/// Machines that boot from Talos images, and who manages them.
pub struct TalosLab {
    pub provider: Harness,
    pub lab: Lab,
    talos: Arc<Talos>,
    dialer: Dialer,
    said: Arc<Mutex<Vec<String>>>,
    guests: Mutex<BTreeMap<u8, Arc<dyn Guest>>>,
    secrets: Stored,
    /// Removed in the end, with what the lab keeps in it.
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

/// What the lab calls a machine.
fn machine(number: u8) -> String {
    format!("pve/{number}")
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
        let environment: Environment = [
            ("STEAD_DIAL", format!("connect://{gateway}")),
            ("SSL_CERT_FILE", bundle.display().to_string()),
        ]
        .into_iter()
        .collect();
        let dialer = Dialer::new(environment).expect("a dialer");
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let provider = connect(&dialer, &said).await;
        let secrets = secrets(&provider).await;
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

    /// The provider as another run opens it.
    pub async fn another_run(&mut self) {
        self.provider = connect(&self.dialer, &self.said).await;
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

    /// Boots a machine from a disk image of this release.
    pub async fn boot(&self, number: u8, version: &str, schematic: &str) {
        let hardware = hardware(number, version, schematic, false);
        let guest = self.talos.boot(hardware).await;
        self.guests().insert(number, guest);
    }

    /// Boots a machine to which a DHCP server leases its address.
    pub async fn boot_leased(&self, number: u8, version: &str) {
        let guest = self.talos.boot(hardware(number, version, "", true)).await;
        self.guests().insert(number, guest);
    }

    /// Somebody puts another machine in the place of this one, or installs it anew.
    pub async fn reinstall(&self, number: u8, version: &str) {
        self.talos.destroyed(&machine(number)).await;
        self.boot(number, version, "").await;
        while self.stage(number) != "maintenance" {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
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
        let id = machine(number);
        nodes
            .into_iter()
            .find(|n| n["machine"] == id.as_str())
            .unwrap_or_default()
    }

    /// Where a machine is in its life, such as `running`.
    pub fn stage(&self, number: u8) -> String {
        let stage = self.machine(number)["stage"].clone();
        stage.as_str().unwrap_or("off").to_owned()
    }

    /// The first address that a machine has now.
    pub fn address_of(&self, number: u8) -> Option<String> {
        let addresses = self.machine(number)["addresses"].clone();
        let first = addresses.get(0)?.as_str()?;
        first.split('/').next().map(str::to_owned)
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

    pub async fn apply(
        &self,
        type_name: &str,
        prior: Option<&Stored>,
        config: Json,
    ) -> Result<Stored, ApplyFailure> {
        self.provider.apply(type_name, prior, config).await
    }

    /// Opens an ephemeral resource.
    pub async fn open(&self, kind: &str, config: Json) -> Result<Value, Diagnostics> {
        let factories = stead_talos::factories(&self.dialer);
        let (_, factory) = factories.first().expect("a provider");
        let config = object(&factory.schema().ephemeral_resources[kind], config)?;
        let provider = self.provider.provider();
        let opened = provider
            .open_ephemeral(kind, config, &self.provider.cx)
            .await?;
        Ok(opened.0.object)
    }

    /// Refreshes an object.
    ///
    /// # Panics
    /// When it is gone, or cannot be read.
    pub async fn read(&self, type_name: &str, prior: &Stored) -> Stored {
        let read = self.provider.read(type_name, prior).await;
        read.expect("a refresh").expect("an object")
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
        self.fault_for(name, Some(times));
    }

    /// Switches a fault of the lab on, until [`TalosLab::mend`].
    ///
    /// # Panics
    /// When it cannot be kept.
    pub fn lasting_fault(&self, name: &str) {
        self.fault_for(name, None);
    }

    fn fault_for(&self, name: &str, times: Option<u64>) {
        let fault = Fault {
            name: name.to_owned(),
            effect: Effect::On,
            skip: 0,
            times,
            percent: 100,
        };
        self.lab.faults.set(fault).expect("a fault");
    }

    /// Ends every fault, and says how many there still were.
    ///
    /// # Panics
    /// When that cannot be kept.
    pub fn mend(&self) -> usize {
        self.lab.faults.clear(None).expect("no faults")
    }

    pub async fn stop(self) {
        self.lab.stop().await;
    }
}

/// The secrets of a new cluster; the old contract spares the RSA key.
async fn secrets(provider: &Harness) -> Stored {
    let config = json!({ "talos_version": "v1.6" });
    let made = provider.apply("talos_machine_secrets", None, config).await;
    made.expect("secrets")
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
