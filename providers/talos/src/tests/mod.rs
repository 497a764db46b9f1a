//! The provider against a node of our own, which answers as the published contract says.

mod apply;
mod bootstrap;
mod bucket;
mod disks;
mod ephemeral;
mod etcd_snapshot;
mod etcd_snapshot_s3;
mod expiry;
mod factory;
mod generate;
mod health;
mod kubeconfig;
mod node;
mod pins;
mod preview;

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use serde_json::{Value as Json, json};
use stead_sdk::testing::Harness;
use stead_sdk::value::{Diagnostic, Diagnostics};
use stead_sdk::{Context, Dialer, Progress};

use crate::blocks::encode_pem;
use crate::machinery::{Contract, Role, SecretsBundle};

/// A cluster's secrets; the old contract spares the RSA key.
fn secrets() -> SecretsBundle {
    let contract = Contract::parse("v1.6").unwrap();
    SecretsBundle::generate(contract, &mut rand::rng(), SystemTime::now()).unwrap()
}

/// The attribute `client_configuration` of an administrator.
fn administrator(secrets: &SecretsBundle) -> Json {
    administrator_from(secrets, SystemTime::now())
}

/// The same, with a certificate for a day from then on.
fn administrator_from(secrets: &SecretsBundle, from: SystemTime) -> Json {
    let day = std::time::Duration::from_secs(24 * 3600);
    let client = secrets
        .client_certificate(&[Role::Admin], day, &mut rand::rng(), from)
        .unwrap();
    json!({
        "ca_certificate": encode_pem(&secrets.certs.os.cert),
        "client_certificate": encode_pem(&client.cert),
        "client_key": encode_pem(client.key.expose()),
    })
}

/// The provider, and what it says while it waits.
struct Talos {
    harness: Harness,
    said: Arc<Mutex<Vec<String>>>,
}

impl Talos {
    async fn with(config: Json) -> Talos {
        Talos::over(&Dialer::direct(), config).await
    }

    async fn over(dialer: &Dialer, config: Json) -> Talos {
        let factory = crate::factory(dialer);
        let mut harness = Harness::configured(&factory, config).await.unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&said);
        let record = move |p: Progress| sink.lock().unwrap().push(p.message);
        harness.cx = Context::detached().with_progress(Arc::new(record));
        Talos { harness, said }
    }

    async fn new() -> Talos {
        Talos::with(json!({})).await
    }

    fn said(&self, text: &str) -> bool {
        self.said.lock().unwrap().iter().any(|m| m.contains(text))
    }
}

fn first(diagnostics: &Diagnostics) -> &Diagnostic {
    diagnostics.iter().next().unwrap()
}
