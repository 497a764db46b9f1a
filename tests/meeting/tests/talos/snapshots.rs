//! Snapshots of etcd in a container of Azure's.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use stead_lab_azure::{Azure, Secret};
use stead_lab_core::faults::{Effect, Fault};
use stead_meeting::talos::{TalosLab, address};
use stead_sdk::HttpOptions;
use stead_sdk::azure::{Blobs, ContainerSettings, LoginSettings};
use stead_sdk::testing::{Harness, Stored};
use stead_talos::Snapshots;

use super::failed;

const SNAPSHOT: &str = "talos_etcd_snapshot";
/// Storage Blob Data Contributor.
const CONTRIBUTOR: &str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe";

/// A cluster, and an account `salab` with the container `etcd` in the same lab.
struct Site {
    lab: TalosLab,
    azure: Arc<Azure>,
}

impl Site {
    async fn new() -> Site {
        let lab = TalosLab::start().await;
        let azure = stead_lab_azure::start(&lab.lab).await.expect("Azure");
        let site = Site { lab, azure };
        site.lab.cluster(&[11], "v1.13.9", "", "v1.34.1").await;
        let place = json!({ "location": "westeurope" });
        let group = format!("{}/resourceGroups/rg", site.subscription());
        assert!(site.put(&group, "2023-07-01", place).await);
        let account = json!({ "kind": "StorageV2", "location": "westeurope", "sku": { "name": "Standard_LRS" } });
        site.put(&site.account(), "2025-08-01", account).await;
        let container = format!("{}/blobServices/default/containers/etcd", site.account());
        for _ in 0..100 {
            if site
                .put(&container, "2025-08-01", json!({ "properties": {} }))
                .await
            {
                return site;
            }
        }
        panic!("the account does not get ready");
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

    /// Who signs in as the subscription's owner.
    fn owner(&self) -> Vec<(&'static str, String)> {
        let options = self.azure.options();
        let Secret(secret) = &options.principals[0].client_secret;
        vec![
            ("ARM_TENANT_ID", options.tenant_id.clone()),
            ("ARM_SUBSCRIPTION_ID", options.subscription_id.clone()),
            ("ARM_CLIENT_ID", options.principals[0].client_id.clone()),
            ("ARM_CLIENT_SECRET", secret.clone()),
        ]
    }

    async fn put(&self, path: &str, version: &str, body: Json) -> bool {
        let dialer = self.lab.dialer_with(&[]);
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

    /// The container as its owner sees it.
    async fn blobs(&self) -> Blobs {
        let dialer = self.lab.dialer_with(&self.owner());
        let settings = ContainerSettings {
            account: "salab".to_owned(),
            container: "etcd".to_owned(),
            resource_group: "rg".to_owned(),
            login: LoginSettings::of(dialer.environment()).expect("a login"),
            ..ContainerSettings::default()
        };
        settings.connect(&dialer).await.expect("the container")
    }

    async fn provider(&self) -> Harness {
        self.lab.provider_with(&self.owner()).await
    }

    fn config(&self, blob: Json, more: Json) -> Json {
        let mut block =
            json!({ "storage_account_name": "salab", "container_name": "etcd", "prefix": "home/" });
        let mut config = json!({
            "node": address(11),
            "client_configuration": self.lab.client_configuration(),
            "timeouts": { "create": "60s", "update": "60s" },
        });
        for (into, from) in [(&mut block, blob), (&mut config, more)] {
            let from = from.as_object().expect("an object").clone();
            into.as_object_mut().expect("an object").extend(from);
        }
        config["azure_blob"] = block;
        config
    }
}

fn attributes(stored: &Stored) -> Json {
    stead_sdk::value::json::to_json(&stored.value, &stored.value.ty()).expect("JSON")
}

fn looked_up() -> Json {
    json!({ "resource_group_name": "rg" })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_are_kept_in_a_container_and_the_last_of_them() {
    let site = Site::new().await;
    let provider = site.provider().await;
    for name in ["home/etcd-20200101T000000Z.snapshot", "home/other"] {
        let blobs = site.blobs().await;
        let written = blobs.write(name, b"x", "text/plain", Default::default(), None);
        written.await.map_err(stead_sdk::Error::from).unwrap();
    }
    let wanted = site.config(looked_up(), json!({ "keep": 1 }));
    let taken = provider.apply(SNAPSHOT, None, wanted).await;
    let taken = taken.unwrap_or_else(|e| panic!("{}", failed(&e)));
    let path = taken.text("path");
    assert!(
        path.starts_with("https://salab.blob.core.windows.net/etcd/home/etcd-"),
        "{path}"
    );
    let state = attributes(&taken).to_string();
    for (_, value) in site
        .owner()
        .iter()
        .filter(|(n, _)| *n == "ARM_CLIENT_SECRET")
    {
        assert!(!state.contains(value), "{state}");
    }
    let read = provider.read(SNAPSHOT, &taken).await.unwrap().unwrap();
    assert_eq!(read.value, taken.value);

    // What recovery begins with is what etcd gave.
    let dialer = site.lab.dialer_with(&site.owner());
    let newest = Snapshots::of(&attributes(&taken))
        .unwrap()
        .newest(&dialer)
        .await;
    let newest = newest.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((&newest.address, &newest.recorded), (&path, &None));
    let size = std::fs::metadata(newest.path()).unwrap().len();
    assert_eq!(i64::try_from(size).ok(), taken.attribute("size").as_i64());

    // The older one is gone, what is not ours stays.
    let names = site
        .blobs()
        .await
        .list("")
        .await
        .map_err(stead_sdk::Error::from);
    let kept = path.rsplit_once("/etcd/").unwrap().1;
    assert_eq!(names.unwrap(), [kept, "home/other"]);
    site.blobs()
        .await
        .delete(kept, None)
        .await
        .map_err(stead_sdk::Error::from)
        .unwrap();
    let gone = provider.read(SNAPSHOT, &taken).await.unwrap().unwrap();
    assert!(gone.attribute("path").is_null());
    site.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_signs_in_needs_the_right_to_the_data() {
    let site = Site::new().await;
    let provider = site.provider().await;
    let by_login = || site.config(json!({ "use_azuread_auth": true }), json!({}));
    let refused = provider.apply(SNAPSHOT, None, by_login()).await;
    let text = failed(&refused.unwrap_err());
    assert!(
        text.contains("403") && text.contains("Storage Blob Data Contributor"),
        "{text}"
    );
    site.grant().await;
    let taken = provider.apply(SNAPSHOT, None, by_login()).await;
    taken.unwrap_or_else(|e| panic!("{}", failed(&e)));
    site.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_the_way_is_told_without_secrets() {
    let site = Site::new().await;
    let provider = site.provider().await;
    let nowhere = json!({ "resource_group_name": "rg", "container_name": "nowhere" });
    let refused = provider
        .apply(SNAPSHOT, None, site.config(nowhere, json!({})))
        .await;
    let text = failed(&refused.unwrap_err());
    assert!(
        text.contains("ContainerNotFound") && text.contains("az storage container create"),
        "{text}"
    );
    // Told by the plan: nobody is asked.
    let config = site.config(json!({}), json!({}));
    let config = provider.config(SNAPSHOT, config).unwrap();
    let refused = provider.plan(SNAPSHOT, None, &config).await;
    let text = super::said(&refused.unwrap_err());
    assert!(text.contains("ARM_ACCESS_KEY"), "{text}");
    // Another's key.
    let key = ("ARM_ACCESS_KEY", "bm90LXRoZS1rZXk=".to_owned());
    let stranger = site.lab.provider_with(&[key]).await;
    let refused = stranger
        .apply(SNAPSHOT, None, site.config(json!({}), json!({})))
        .await;
    let text = failed(&refused.unwrap_err());
    assert!(
        text.contains("403") && !text.contains("bm90LXRoZS1rZXk"),
        "{text}"
    );
    site.lab.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_azure_that_is_short_of_breath_is_borne() {
    let site = Site::new().await;
    let provider = site.provider().await;
    let status = |code, message: &str| Effect::Status {
        code,
        message: message.to_owned(),
    };
    for effect in [status(503, "ServerBusy"), Effect::Drop] {
        let fault = Fault {
            name: "azure".to_owned(),
            effect: effect.clone(),
            skip: 0,
            times: None,
            percent: 10,
        };
        site.lab.lab.faults.set(fault).expect("a fault");
        let wanted = site.config(looked_up(), json!({}));
        let taken = provider.apply(SNAPSHOT, None, wanted).await;
        taken.unwrap_or_else(|e| panic!("{effect:?}: {}", failed(&e)));
    }
    site.lab.stop().await;
}
