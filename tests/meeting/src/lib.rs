//! Native providers and the lab's simulations, which share no code, brought together without the engine.
//!
//! A [`Homelab`] is a cluster in a temporary folder, the provider that is connected to it through the lab's gateway, and somebody else who
//! has the root password. A [`Life`] is what an object of one type goes through.

mod life;
pub mod talos;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::http::{Request, StatusCode, Uri};
use axum::routing::get;
use serde_json::{Value as Json, json};
use stead_lab_core::faults::{Effect, Fault};
use stead_lab_core::serve::serve;
use stead_lab_core::{Client, Lab, Settings, gateway};
use stead_lab_proxmox::Options;
use stead_sdk::testing::Harness;
use stead_sdk::{Dialer, Environment};

pub use life::Life;

/// Files of the web server `images.lab`, by their paths.
type Published = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A simulated cluster and a provider that is connected to it.
pub struct Homelab {
    pub proxmox: Harness,
    dialer: Dialer,
    lab: Lab,
    client: Client,
    endpoint: String,
    published: Published,
    /// Removed in the end. It is the home of who runs the provider.
    folder: tempfile::TempDir,
}

impl fmt::Debug for Homelab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Homelab")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Homelab {
    /// Starts a cluster; tasks take no time in it.
    ///
    /// # Panics
    /// When it does not start: there is nothing to test then.
    pub async fn start(options: &Options) -> Homelab {
        // Only root@pam itself may do everything.
        let root = |endpoint: &str| json!({ "endpoint": endpoint, "username": "root@pam", "password": Options::ROOT_PASSWORD });
        Homelab::configured(options, root).await
    }

    /// As [`Homelab::start`], with the provider's configuration for an endpoint.
    ///
    /// # Panics
    /// When it does not start: there is nothing to test then.
    pub async fn configured(options: &Options, config: impl Fn(&str) -> Json) -> Homelab {
        let folder = tempfile::tempdir().expect("a folder");
        let lab = Lab::open(folder.path(), Settings::default()).expect("a lab");
        stead_lab_proxmox::start(&lab, options, Vec::new())
            .await
            .expect("a cluster");
        let gateway = gateway::start(&lab).await.expect("a gateway");
        let bundle = folder.path().join("authority.pem");
        std::fs::write(&bundle, lab.authority.pem()).expect("a bundle");
        let environment = [
            ("STEAD_DIAL", format!("connect://{gateway}")),
            ("SSL_CERT_FILE", bundle.display().to_string()),
            ("HOME", folder.path().display().to_string()),
            ("PROXMOX_VE_SSH_ACCEPT_NEW_HOST_KEYS", "true".to_owned()),
        ];
        let dialer = Dialer::new(environment.into_iter().collect::<Environment>());
        let dialer = dialer.expect("a dialer");
        let published = Published::default();
        web_server(&lab, &published).await;
        let factory = stead_proxmox::factory(&dialer);
        let node = options.nodes.first().expect("a node");
        let endpoint = format!("https://{}:8006", node.address);
        Homelab {
            proxmox: Harness::configured(&factory, config(&endpoint))
                .await
                .expect("configured"),
            dialer,
            client: Client::new(&lab).expect("a client"),
            lab,
            endpoint,
            published,
            folder,
        }
    }

    /// The provider as somebody else configures it; the endpoint is added.
    ///
    /// # Panics
    /// When it does not take the configuration.
    pub async fn provider(&self, mut config: Json) -> Harness {
        if let Some(config) = config.as_object_mut() {
            config.insert("endpoint".into(), json!(self.endpoint));
        }
        let factory = stead_proxmox::factory(&self.dialer);
        Harness::configured(&factory, config)
            .await
            .expect("configured")
    }

    /// Puts a file on a web server of the lab, as `https://images.lab/NAME`, in the place of one of that name; its URL.
    pub fn publish(&self, name: &str, content: Vec<u8>) -> String {
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        published.insert(format!("/{name}"), content);
        format!("https://images.lab/{name}")
    }

    /// The home of who runs the provider.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// What somebody else asks of the cluster, with root's token; parameters are `name=value&…`, already encoded.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn call(&self, verb: &str, path: &str, form: &str) -> Json {
        let in_query = matches!(verb, "GET" | "DELETE") && !form.is_empty();
        let query = if in_query {
            format!("?{form}")
        } else {
            String::new()
        };
        let body = if in_query { "" } else { form };
        let request = Request::builder()
            .method(verb)
            .uri(format!("{}/api2/json{path}{query}", self.endpoint))
            .header("content-type", "application/x-www-form-urlencoded")
            .header(
                "authorization",
                format!("PVEAPIToken={}", Options::ROOT_TOKEN),
            )
            .body(Bytes::from(body.to_owned()))
            .expect("a request");
        let response = self.client.send(request).await.expect("an answer");
        let answer = String::from_utf8_lossy(response.body());
        assert!(
            response.status().is_success(),
            "{verb} {path}: {} {answer}",
            response.status()
        );
        serde_json::from_str::<Json>(&answer)
            .map(|mut answer| answer["data"].take())
            .expect("JSON")
    }

    /// How many requests the provider has sent.
    pub fn requests(&self) -> u64 {
        self.dialer.counters().requests
    }

    /// Switches a fault of the lab on, for so many occasions; for ever when it is `None`.
    ///
    /// # Panics
    /// When it cannot be kept.
    pub fn fault(&self, name: &str, times: Option<u64>) {
        let fault = Fault {
            name: name.to_owned(),
            effect: Effect::On,
            skip: 0,
            times,
            percent: 100,
        };
        self.lab.faults.set(fault).expect("a fault");
    }

    pub async fn stop(self) {
        self.lab.stop().await;
    }
}

async fn web_server(lab: &Lab, published: &Published) {
    let name = "images.lab";
    let listener = lab.network.listen(name, 443).await.expect("a listener");
    let tls = lab.authority.server_config(&[name.to_owned()]);
    let router = Router::new()
        .fallback(get(file))
        .with_state(Arc::clone(published));
    serve(lab, "images", listener, Some(tls.expect("TLS")), router);
}

async fn file(
    State(published): State<Published>,
    uri: Uri,
) -> Result<([(axum::http::HeaderName, String); 1], Vec<u8>), StatusCode> {
    let published = published.lock().unwrap_or_else(PoisonError::into_inner);
    let content = published.get(uri.path()).ok_or(StatusCode::NOT_FOUND)?;
    let sum: u64 = content.iter().map(|byte| u64::from(*byte)).sum();
    let tag = format!("\"{sum:x}-{:x}\"", content.len());
    Ok(([(ETAG, tag)], content.clone()))
}
