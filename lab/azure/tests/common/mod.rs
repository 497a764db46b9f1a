//! A lab with Azure in it, and a client that comes through the lab's gateway as strangers do.
// Every test binary uses its own part of this.
#![allow(dead_code, unreachable_pub)]

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use stead_lab_azure::{Azure, Secret};
use stead_lab_core::{Lab, Settings};

pub struct World {
    pub lab: Lab,
    pub azure: Arc<Azure>,
    pub http: reqwest::Client,
    pub folder: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

impl World {
    pub async fn new() -> World {
        World::at(tempfile::tempdir().unwrap()).await
    }

    pub async fn at(folder: tempfile::TempDir) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let lab = Lab::open(folder.path(), Settings::default()).unwrap();
        let azure = stead_lab_azure::start(&lab).await.unwrap();
        let gateway = stead_lab_core::gateway::start(&lab).await.unwrap();
        let root = reqwest::Certificate::from_pem(lab.authority.pem().as_bytes()).unwrap();
        let http = reqwest::Client::builder()
            .proxy(reqwest::Proxy::all(format!("http://{gateway}")).unwrap())
            .tls_certs_only([root])
            .build()
            .unwrap();
        World {
            lab,
            azure,
            http,
            folder,
        }
    }

    /// Stops the lab and starts another one in the same folder.
    pub async fn restart(self) -> World {
        self.lab.stop().await;
        World::at(self.folder).await
    }

    pub fn sub(&self) -> String {
        format!("/subscriptions/{}", self.azure.options().subscription_id)
    }

    pub async fn token(&self, principal: usize, scope: &str) -> Answer {
        let p = &self.azure.options().principals[principal];
        let Secret(secret) = &p.client_secret;
        self.token_with(&p.client_id, secret, scope).await
    }

    pub async fn token_with(&self, id: &str, secret: &str, scope: &str) -> Answer {
        let tenant = &self.azure.options().tenant_id;
        let form = [
            ("client_id", id),
            ("client_secret", secret),
            ("grant_type", "client_credentials"),
            ("scope", scope),
        ];
        let url = format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token");
        read(self.http.post(url).form(&form).send().await.unwrap()).await
    }

    pub async fn bearer(&self, principal: usize, scope: &str) -> String {
        self.token(principal, scope).await.body["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// One ARM request of the subscription's owner.
    pub async fn arm(
        &self,
        method: &str,
        path: &str,
        version: &str,
        body: Option<Value>,
    ) -> Answer {
        let token = self
            .bearer(0, "https://management.azure.com/.default")
            .await;
        let joint = if path.contains('?') { '&' } else { '?' };
        let url = if path.starts_with("https://") {
            path.to_owned()
        } else {
            format!("https://management.azure.com{path}{joint}api-version={version}")
        };
        self.send(method, &url, Some(&token), body).await
    }

    pub async fn send(
        &self,
        method: &str,
        url: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = self
            .http
            .request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        read(request.send().await.unwrap()).await
    }

    /// Resource group `rg`, vault `kv-lab` with RBAC, account `salab` with container `gitea-db-clean`.
    pub async fn furnished() -> World {
        let world = World::new().await;
        let rg = format!("{}/resourceGroups/rg", world.sub());
        assert_eq!(
            world
                .arm(
                    "PUT",
                    &rg,
                    "2023-07-01",
                    Some(json!({"location": "westeurope"}))
                )
                .await
                .status,
            201
        );
        let tenant = world.azure.options().tenant_id.clone();
        let vault = json!({"location": "westeurope", "properties": {"tenantId": tenant, "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": true, "softDeleteRetentionInDays": 7}});
        assert_eq!(
            world
                .arm("PUT", &world.vault(), "2026-02-01", Some(vault))
                .await
                .status,
            200
        );
        let account =
            json!({"kind": "StorageV2", "location": "westeurope", "sku": {"name": "Standard_LRS"}});
        let accepted = world
            .arm("PUT", &world.account(), "2025-08-01", Some(account))
            .await;
        assert_eq!(accepted.status, 202);
        let poll = accepted.header("location").to_owned();
        assert_eq!(world.arm("GET", &poll, "", None).await.status, 202);
        let done = world.arm("GET", &poll, "", None).await;
        assert_eq!(
            (
                done.status,
                done.body["properties"]["provisioningState"].as_str()
            ),
            (200, Some("Succeeded"))
        );
        let container = format!(
            "{}/blobServices/default/containers/gitea-db-clean",
            world.account()
        );
        let made = world
            .arm(
                "PUT",
                &container,
                "2025-08-01",
                Some(json!({"properties": {"publicAccess": "None"}})),
            )
            .await;
        assert_eq!(made.status, 201);
        world
    }

    pub fn vault(&self) -> String {
        format!(
            "{}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-lab",
            self.sub()
        )
    }

    pub fn account(&self) -> String {
        format!(
            "{}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/salab",
            self.sub()
        )
    }

    /// Gives the owner a role at a scope.
    pub async fn grant(&self, scope: &str, role: &str, name: &str) {
        let id = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        let owner = self.azure.options().principals[0].object_id.clone();
        let body = json!({"properties": {"roleDefinitionId": format!("{}/providers/Microsoft.Authorization/roleDefinitions/{role}", self.sub()), "principalId": owner}});
        assert_eq!(
            self.arm("PUT", &id, "2022-04-01", Some(body)).await.status,
            201
        );
    }
}

async fn read(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Answer {
        status,
        headers,
        body,
    }
}
