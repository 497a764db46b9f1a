//! The protocol of module registries: where a host has its registry, which versions a module has, where one is fetched.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;
use stead_lang::config::RegistryModule;

use crate::{FetchError, Network};

const SERVICE: &str = "modules.v1";

#[derive(Deserialize)]
struct Versions {
    modules: Vec<Versioned>,
}

#[derive(Deserialize)]
struct Versioned {
    versions: Vec<OneVersion>,
}

#[derive(Deserialize)]
struct OneVersion {
    version: String,
}

#[derive(Deserialize, Default)]
struct Location {
    #[serde(default)]
    location: String,
}

pub(crate) async fn versions(
    network: &Network,
    module: &RegistryModule,
) -> Result<Vec<String>, FetchError> {
    let url = join(
        &base(network, &module.host).await?,
        &path(module, "versions"),
    )?;
    let bytes = match network
        .bytes(url.as_str(), headers(network, &module.host))
        .await
    {
        Err(FetchError::Status { status, .. }) if status.starts_with("404") => {
            return Err(FetchError::NoSuchModule);
        }
        bytes => bytes?,
    };
    let answer: Versions = decode(&url, &bytes)?;
    let first = answer.modules.into_iter().next();
    let versions = first.ok_or_else(|| wrong(&url, "the list of versions is missing"))?;
    Ok(versions.versions.into_iter().map(|v| v.version).collect())
}

pub(crate) async fn location(
    network: &Network,
    module: &RegistryModule,
    version: &str,
) -> Result<String, FetchError> {
    let rest = path(module, &format!("{version}/download"));
    let url = join(&base(network, &module.host).await?, &rest)?;
    let response = network
        .get(url.as_str(), headers(network, &module.host))
        .await?;
    let header = response
        .headers()
        .get("X-Terraform-Get")
        .and_then(|v| v.to_str().ok())
        .map(ToOwned::to_owned);
    let location = match header {
        Some(location) => location,
        None => {
            let bytes = response
                .bytes()
                .await
                .map_err(|e| wrong(&url, &e.without_url().to_string()))?;
            serde_json::from_slice::<Location>(&bytes)
                .unwrap_or_default()
                .location
        }
    };
    if location.is_empty() {
        return Err(wrong(&url, "the answer names no place to fetch from"));
    }
    // A path is one on the registry's own server.
    let relative = ["/", "./", "../"].iter().any(|p| location.starts_with(p));
    if relative {
        return Ok(join(&url, &location)?.to_string());
    }
    Ok(location)
}

/// The root of a host's module registry, from the settings or from the host itself.
async fn base(network: &Network, host: &str) -> Result<Url, FetchError> {
    let own = parse(&format!("https://{host}/.well-known/terraform.json"))?;
    let service = match network.config().services(host) {
        Some(services) => services.get(SERVICE).cloned(),
        None => {
            let bytes = network.bytes(own.as_str(), headers(network, host)).await?;
            let services: BTreeMap<String, serde_json::Value> = decode(&own, &bytes)?;
            services
                .get(SERVICE)
                .and_then(|v| v.as_str())
                .map(ToOwned::to_owned)
        }
    };
    let service = service.ok_or_else(|| {
        FetchError::Address(format!(
            "the host {host} does not provide a module registry"
        ))
    })?;
    let mut base = join(&own, &service)?;
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(base)
}

fn path(module: &RegistryModule, rest: &str) -> String {
    format!(
        "{}/{}/{}/{rest}",
        module.namespace, module.name, module.target
    )
}

fn headers(network: &Network, host: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let token = network
        .config()
        .token(host)
        .and_then(|t| HeaderValue::from_str(&format!("Bearer {t}")).ok());
    if let Some(mut token) = token {
        token.set_sensitive(true);
        headers.insert(AUTHORIZATION, token);
    }
    headers
}

fn parse(url: &str) -> Result<Url, FetchError> {
    Url::parse(url).map_err(|e| FetchError::Address(format!("{url} is no URL: {e}")))
}

fn join(base: &Url, rest: &str) -> Result<Url, FetchError> {
    base.join(rest)
        .map_err(|e| FetchError::Address(format!("{rest} is no URL: {e}")))
}

fn decode<T: serde::de::DeserializeOwned>(url: &Url, bytes: &[u8]) -> Result<T, FetchError> {
    serde_json::from_slice(bytes).map_err(|e| wrong(url, &e.to_string()))
}

fn wrong(url: &Url, why: &str) -> FetchError {
    FetchError::Answer {
        asked: format!("GET {}", stead_sdk::redact_url(url.as_str())),
        why: why.to_owned(),
    }
}
