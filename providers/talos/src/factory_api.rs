//! The Image Factory's HTTP API.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use stead_sdk::Error;

use crate::client::Client;
use crate::machinery::Schematic;

/// An extension that images of a Talos version can carry.
#[derive(Debug, Deserialize)]
pub(crate) struct Extension {
    pub(crate) name: String,
    #[serde(rename = "ref", default)]
    pub(crate) reference: String,
    #[serde(default)]
    pub(crate) digest: String,
    #[serde(default)]
    pub(crate) author: String,
    #[serde(default)]
    pub(crate) description: String,
}

/// An overlay for single board computers.
#[derive(Debug, Deserialize)]
pub(crate) struct Overlay {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) image: String,
    #[serde(rename = "ref", default)]
    pub(crate) reference: String,
    #[serde(default)]
    pub(crate) digest: String,
}

#[derive(Deserialize)]
struct Created {
    id: String,
}

impl Client {
    /// Registers a schematic; the same one always gets the same identifier.
    pub(crate) async fn register(&self, schematic: &Schematic) -> Result<String, Error> {
        let url = self.factory.schematics_url();
        let asked = format!("register the schematic with the Image Factory (POST {url})");
        let request = self
            .http
            .post(&url)
            .header("content-type", "application/yaml")
            .body(schematic.canonical());
        let created: Created = answer(&asked, self.dialer.send(request).await?).await?;
        Ok(created.id)
    }

    /// Whether the factory (still) knows a schematic.
    pub(crate) async fn is_registered(&self, id: &str) -> Result<bool, Error> {
        let url = format!("{}/{id}", self.factory.schematics_url());
        let asked = format!("look for the schematic in the Image Factory (GET {url})");
        let response = self.dialer.send(self.http.get(&url)).await?;
        match response.status().as_u16() {
            404 | 410 => Ok(false),
            status if response.status().is_success() || status == 405 => Ok(true),
            status => Err(Error::http(status, asked, text(response).await)),
        }
    }

    /// The Talos versions that images can be made of.
    pub(crate) async fn versions(&self) -> Result<Vec<String>, Error> {
        self.list("versions", "list the Talos versions").await
    }

    pub(crate) async fn extensions(&self, version: &str) -> Result<Vec<Extension>, Error> {
        let path = format!("version/{}/extensions/official", tag(version)?);
        self.list(&path, "list the extensions").await
    }

    pub(crate) async fn overlays(&self, version: &str) -> Result<Vec<Overlay>, Error> {
        let path = format!("version/{}/overlays/official", tag(version)?);
        self.list(&path, "list the overlays").await
    }

    async fn list<T: DeserializeOwned>(&self, path: &str, asked: &str) -> Result<T, Error> {
        let url = self.factory.url(path);
        let asked = format!("{asked} of the Image Factory (GET {url})");
        answer(&asked, self.dialer.send(self.http.get(&url)).await?).await
    }
}

/// A version as it stands in a path.
fn tag(version: &str) -> Result<String, Error> {
    let plain = version.strip_prefix('v').unwrap_or(version);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    if plain.is_empty() || !plain.chars().all(fits) {
        let said = format!("{version:?} is not a version such as v1.13.9");
        return Err(Error::new("ask the Image Factory", said).attribute("talos_version"));
    }
    Ok(format!("v{plain}"))
}

async fn answer<T: DeserializeOwned>(asked: &str, response: reqwest::Response) -> Result<T, Error> {
    let status = response.status();
    let body = response
        .bytes()
        .await
        .map_err(|e| stead_sdk::http_error(asked, e))?;
    if !status.is_success() {
        let said = String::from_utf8_lossy(&body).trim().to_owned();
        return Err(Error::http(
            status.as_u16(),
            asked,
            format!("{status}: {said}"),
        ));
    }
    serde_json::from_slice(&body)
        .map_err(|e| Error::new(asked, format!("the answer has an unexpected form: {e}")))
}

async fn text(response: reqwest::Response) -> String {
    let status = response.status();
    match response.text().await {
        Ok(body) => format!("{status}: {}", body.trim()),
        Err(_) => status.to_string(),
    }
}
