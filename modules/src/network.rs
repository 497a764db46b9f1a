//! The real world: registries and packages over the network, repositories by the `git` program.

use std::path::Path;

use async_trait::async_trait;
use reqwest::header::HeaderMap;
use stead_lang::config::RegistryModule;
use stead_sdk::{Dialer, HttpOptions};

use crate::{CliConfig, FetchError, fetch, registry};

/// Where modules come from.
#[async_trait]
pub trait Remote: Sync {
    /// The versions of a module that a registry has.
    async fn versions(&self, module: &RegistryModule) -> Result<Vec<String>, FetchError>;

    /// Where a registry says that a version can be fetched.
    async fn location(&self, module: &RegistryModule, version: &str) -> Result<String, FetchError>;

    /// Puts the files of a package into a directory that does not exist yet.
    async fn package(&self, address: &str, into: &Path) -> Result<(), FetchError>;
}

/// See the module.
pub struct Network {
    dialer: Dialer,
    http: reqwest::Client,
    config: CliConfig,
}

/// How often a request is sent that fails for a passing reason.
const ATTEMPTS: u32 = 3;

impl Network {
    pub fn new(dialer: Dialer, config: CliConfig) -> Result<Network, FetchError> {
        let http = dialer.http(&HttpOptions {
            timeout: None,
            redirects: 10,
            ..HttpOptions::default()
        })?;
        Ok(Network {
            dialer,
            http,
            config,
        })
    }

    pub(crate) fn config(&self) -> &CliConfig {
        &self.config
    }

    /// An answer that says yes, whatever its body.
    pub(crate) async fn get(
        &self,
        url: &str,
        headers: HeaderMap,
    ) -> Result<reqwest::Response, FetchError> {
        let mut attempt = 1;
        loop {
            let answer = self.get_once(url, headers.clone()).await;
            match answer {
                Err(error) if error.is_passing() && attempt < ATTEMPTS => {
                    tracing::debug!(attempt, %error, "trying again");
                    tokio::time::sleep(std::time::Duration::from_millis(200 << attempt)).await;
                    attempt += 1;
                }
                answer => return answer,
            }
        }
    }

    async fn get_once(
        &self,
        url: &str,
        headers: HeaderMap,
    ) -> Result<reqwest::Response, FetchError> {
        let request = self.http.get(url).headers(headers);
        let response = self.dialer.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(FetchError::Status {
            asked: format!("GET {}", stead_sdk::redact_url(url)),
            status: response.status().to_string(),
        })
    }

    pub(crate) async fn bytes(&self, url: &str, headers: HeaderMap) -> Result<Vec<u8>, FetchError> {
        let response = self.get(url, headers).await?;
        let bytes = response.bytes().await.map_err(|error| FetchError::Answer {
            asked: format!("GET {}", stead_sdk::redact_url(url)),
            why: error.without_url().to_string(),
        })?;
        Ok(bytes.to_vec())
    }
}

#[async_trait]
impl Remote for Network {
    async fn versions(&self, module: &RegistryModule) -> Result<Vec<String>, FetchError> {
        registry::versions(self, module).await
    }

    async fn location(&self, module: &RegistryModule, version: &str) -> Result<String, FetchError> {
        registry::location(self, module, version).await
    }

    async fn package(&self, address: &str, into: &Path) -> Result<(), FetchError> {
        fetch::package(self, address, into).await
    }
}
