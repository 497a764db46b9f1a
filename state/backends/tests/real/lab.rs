//! The backends against the lab's simulations of Azure and Kubernetes, which are here wherever the tests run.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use stead_lab_azure::{Azure, Secret};
use stead_lab_core::cluster::{Cluster, ClusterHost as _, ClusterSpec};
use stead_lab_core::faults::{Effect, Fault};
use stead_lab_core::{Lab, Settings};
use stead_lab_kubernetes::Kubernetes;
use stead_sdk::{Dialer, Environment, HttpOptions};
use stead_state::Backend;

use crate::{conformance, open, terraform};

/// Storage Blob Data Contributor.
const CONTRIBUTOR: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";

/// So many of a hundred requests are not served; which ones, the lab's seed says.
fn trouble(lab: &Lab, system: &str, effect: Effect, percent: u8) {
    let fault = Fault {
        name: system.to_owned(),
        effect,
        skip: 0,
        times: None,
        percent,
    };
    lab.faults.set(fault).expect("a fault");
}

/// The ways in which a service may be short of breath.
fn troubles() -> [Effect; 3] {
    let status = |code, message: &str| Effect::Status {
        code,
        message: message.to_owned(),
    };
    [
        status(503, "ServerBusy"),
        status(429, "TooManyRequests"),
        Effect::Drop,
    ]
}

/// Azure with a resource group `rg`, in it the account `salab` with the container `state`.
struct Cloud {
    azure: Arc<Azure>,
    gateway: String,
    authority: PathBuf,
    lab: Lab,
    _folder: tempfile::TempDir,
}

impl Cloud {
    async fn new() -> Cloud {
        stead_sdk::init_crypto();
        let folder = tempfile::tempdir().expect("a folder");
        let lab = Lab::open(folder.path(), Settings::default()).expect("a lab");
        let azure = stead_lab_azure::start(&lab).await.expect("Azure");
        let gateway = stead_lab_core::gateway::start(&lab)
            .await
            .expect("the gateway");
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, lab.authority.pem()).expect("a file");
        let cloud = Cloud {
            azure,
            gateway: gateway.to_string(),
            authority,
            lab,
            _folder: folder,
        };
        cloud.furnish().await;
        cloud
    }

    fn subscription(&self) -> String {
        format!("/subscriptions/{}", self.azure.options().subscription_id)
    }

    fn account(&self) -> String {
        format!(
            "{}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/salab",
            self.subscription()
        )
    }

    async fn furnish(&self) {
        let place = json!({ "location": "westeurope" });
        let group = format!("{}/resourceGroups/rg", self.subscription());
        self.put(&group, "2023-07-01", place).await;
        let account = json!({ "kind": "StorageV2", "location": "westeurope", "sku": { "name": "Standard_LRS" } });
        self.put(&self.account(), "2025-08-01", account).await;
        let container = format!("{}/blobServices/default/containers/state", self.account());
        for _ in 0..100 {
            if self
                .put(&container, "2025-08-01", json!({ "properties": {} }))
                .await
            {
                return;
            }
        }
        panic!("the account does not get ready");
    }

    /// Gives the owner the right to the data.
    async fn grant(&self) {
        let id = format!(
            "{}/providers/Microsoft.Authorization/roleAssignments/22222222-2222-4222-8222-222222222222",
            self.account()
        );
        let role = format!(
            "{}/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}",
            self.subscription()
        );
        let owner = &self.azure.options().principals[0].object_id;
        let body = json!({ "properties": { "roleDefinitionId": role, "principalId": owner } });
        assert!(self.put(&id, "2022-04-01", body).await);
    }

    /// One request of the subscription's owner to Resource Manager; whether it was taken.
    async fn put(&self, path: &str, version: &str, body: Json) -> bool {
        let environment = self.environment();
        let dialer =
            Dialer::new(environment.into_iter().collect::<Environment>()).expect("a dialer");
        let http = dialer.http(&HttpOptions::default()).expect("a client");
        let options = self.azure.options();
        let Secret(secret) = &options.principals[0].client_secret;
        let form = [
            ("client_id", options.principals[0].client_id.as_str()),
            ("client_secret", secret),
            ("grant_type", "client_credentials"),
            ("scope", "https://management.azure.com/.default"),
        ];
        let login = format!(
            "https://login.microsoftonline.com/{}/oauth2/v2.0/token",
            options.tenant_id
        );
        let answer = http.post(login).form(&form).send().await.expect("a token");
        let answer: Json = answer.json().await.expect("JSON");
        let token = answer["access_token"].as_str().expect("a token");
        let url = format!("https://management.azure.com{path}?api-version={version}");
        let answer = http.put(url).bearer_auth(token).json(&body).send().await;
        answer.expect("an answer").status().is_success()
    }

    fn environment(&self) -> Vec<(String, String)> {
        vec![
            (
                "STEAD_DIAL".to_owned(),
                format!("connect://{}", self.gateway),
            ),
            (
                "SSL_CERT_FILE".to_owned(),
                self.authority.display().to_string(),
            ),
        ]
    }

    /// As the owner, who signs in with a client secret.
    fn arguments(&self, key: &str, more: Json) -> Json {
        let options = self.azure.options();
        let Secret(secret) = &options.principals[0].client_secret;
        let mut arguments = json!({
            "storage_account_name": "salab",
            "container_name": "state",
            "key": key,
            "tenant_id": options.tenant_id,
            "subscription_id": options.subscription_id,
            "client_id": options.principals[0].client_id,
            "client_secret": secret,
        });
        for (name, value) in more.as_object().expect("an object") {
            arguments[name] = value.clone();
        }
        arguments
    }

    fn backend(&self, arguments: &Json) -> Arc<dyn Backend> {
        let environment = self.environment();
        let environment: Vec<(&str, &str)> = environment
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        open("azurerm", arguments, &environment)
    }

    async fn share(&self, arguments: &Json) {
        let (proxy, authority) = (
            format!("http://{}", self.gateway),
            self.authority.display().to_string(),
        );
        let environment = [
            ("HTTPS_PROXY", proxy.as_str()),
            ("SSL_CERT_FILE", &authority),
        ];
        let backend = self.backend(arguments);
        terraform::share(&backend, "azurerm", arguments, &environment, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_blobs_by_a_key_that_is_looked_up() {
    let cloud = Cloud::new().await;
    let arguments = cloud.arguments("a/b.tfstate", json!({ "resource_group_name": "rg" }));
    conformance::check(|| cloud.backend(&arguments), "default").await;
    conformance::check(|| cloud.backend(&arguments), "staging").await;
    conformance::one_wins(|| cloud.backend(&arguments), "race").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_blobs_by_signing_in() {
    let cloud = Cloud::new().await;
    let more = json!({ "use_azuread_auth": true, "lookup_blob_endpoint": true, "resource_group_name": "rg" });
    let arguments = cloud.arguments("terraform.tfstate", more);
    let store = cloud.backend(&arguments).store("default").expect("a store");
    let error = store.read().await.expect_err("no right to the data");
    let error = error.to_string();
    assert!(error.contains("Storage Blob Data Contributor"), "{error}");
    cloud.grant().await;
    conformance::check(|| cloud.backend(&arguments), "staging").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_s_refusals_are_told_without_secrets() {
    let cloud = Cloud::new().await;
    for wrong in [
        json!({ "resource_group_name": "rg", "client_secret": "passw0rd-of-nobody" }),
        json!({ "use_azuread_auth": true, "client_secret": "passw0rd-of-nobody" }),
    ] {
        let store = cloud.backend(&cloud.arguments("x", wrong)).store("default");
        let read = store.expect("a store").read().await;
        let error = read.expect_err("a wrong secret").to_string();
        assert!(
            !error.contains("passw0rd") && error.contains("AADSTS7000215"),
            "{error}"
        );
    }
    let nowhere = json!({ "resource_group_name": "rg", "subscription_id": "" });
    let store = cloud
        .backend(&cloud.arguments("x", nowhere))
        .store("default");
    let error = store
        .expect("a store")
        .read()
        .await
        .expect_err("no subscription");
    assert!(error.to_string().contains("ARM_SUBSCRIPTION_ID"), "{error}");
    let elsewhere = cloud.arguments("x", json!({ "resource_group_name": "other" }));
    let store = cloud.backend(&elsewhere).store("default").expect("a store");
    let error = store.read().await.expect_err("another group").to_string();
    assert!(
        error.contains("404") && error.contains("`resource_group_name`"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_may_throttle_and_drop_connections() {
    // At the same time, since most of it is waiting.
    let tasks = troubles().map(|effect| {
        tokio::spawn(async move {
            let cloud = Cloud::new().await;
            let arguments = cloud.arguments("x", json!({ "resource_group_name": "rg" }));
            trouble(&cloud.lab, "azure", effect, 8);
            conformance::check(|| cloud.backend(&arguments), "staging").await;
        })
    });
    for task in tasks {
        task.await.expect("the task");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs terraform: tests/real/run lab"]
async fn azure_is_shared_with_terraform() {
    let cloud = Cloud::new().await;
    cloud
        .share(&cloud.arguments("one.tfstate", json!({ "resource_group_name": "rg" })))
        .await;
    cloud.grant().await;
    cloud
        .share(&cloud.arguments("two.tfstate", json!({ "use_azuread_auth": true })))
        .await;
}

/// A cluster, and a kubeconfig of its administrator.
struct Site {
    config: PathBuf,
    _cluster: Arc<dyn Cluster>,
    _kubernetes: Arc<Kubernetes>,
    lab: Lab,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn new() -> Site {
        stead_sdk::init_crypto();
        let folder = tempfile::tempdir().expect("a folder");
        let key = rcgen::KeyPair::generate().expect("a key");
        let key_pem = key.serialize_pem();
        let named = |kind, name| {
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(kind, name);
            params
        };
        let mut params = named(rcgen::DnType::OrganizationName, "kubernetes");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rcgen::CertifiedIssuer::self_signed(params, key).expect("an authority");
        let spec = ClusterSpec {
            id: "talos/one".to_owned(),
            name: "one".to_owned(),
            ca_certificate_pem: authority.pem(),
            ca_key_pem: key_pem,
            kubernetes_version: "v1.34.1".to_owned(),
            certificate_names: vec!["10.25.150.10".to_owned()],
            needs_cni: false,
        };
        let lab = Lab::open(folder.path(), Settings::default()).expect("a lab");
        let kubernetes = stead_lab_kubernetes::start(&lab).await.expect("Kubernetes");
        let cluster = kubernetes.start(spec).await.expect("a cluster");
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = named(rcgen::DnType::OrganizationName, "system:masters");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "admin");
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let admin = params.signed_by(&key, &*authority).expect("a certificate");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": {
                "server": format!("https://127.0.0.1:{}", cluster.api_address().port()),
                "certificate-authority-data": STANDARD.encode(authority.pem()),
            } }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "c" } }],
            "users": [{ "name": "c", "user": {
                "client-certificate-data": STANDARD.encode(admin.pem()), "client-key-data": STANDARD.encode(key.serialize_pem()),
            } }],
        });
        let config = folder.path().join("config");
        std::fs::write(&config, kubeconfig.to_string()).expect("a kubeconfig");
        Site {
            config,
            _cluster: cluster,
            _kubernetes: kubernetes,
            lab,
            _folder: folder,
        }
    }

    fn arguments(&self) -> Json {
        json!({ "secret_suffix": "state", "config_path": self.config })
    }

    fn backend(&self) -> Arc<dyn Backend> {
        open("kubernetes", &self.arguments(), &[])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_secrets() {
    let site = Site::new().await;
    conformance::check(|| site.backend(), "default").await;
    conformance::check(|| site.backend(), "staging").await;
    conformance::one_wins(|| site.backend(), "race").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_may_throttle_and_drop_connections() {
    let site = Site::new().await;
    for effect in troubles() {
        trouble(&site.lab, "kubernetes", effect, 20);
        conformance::check(|| site.backend(), "staging").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs terraform: tests/real/run lab"]
async fn kubernetes_is_shared_with_terraform() {
    let site = Site::new().await;
    terraform::share(&site.backend(), "kubernetes", &site.arguments(), &[], true).await;
}
