//! Where an Azure cloud's services are: built in for the three public ones, asked from a metadata host for the rest.

use crate::{Dialer, Error, HttpOptions, http_error};
use serde_json::Value as Json;

/// The addresses of one cloud; none ends in a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cloud {
    pub login: String,
    pub arm: String,
    /// The scope of a token for Resource Manager.
    pub arm_scope: String,
    /// What storage hosts end in, such as `core.windows.net`.
    pub storage_suffix: String,
}

impl Cloud {
    fn new(login: &str, arm: &str, audience: &str, storage: &str) -> Cloud {
        Cloud {
            login: login.trim_end_matches('/').to_owned(),
            arm: arm.trim_end_matches('/').to_owned(),
            arm_scope: format!("{}/.default", audience.trim_end_matches('/')),
            storage_suffix: storage.to_owned(),
        }
    }

    /// By the name that `environment` takes.
    pub fn named(name: &str) -> Result<Cloud, Error> {
        let (login, arm, storage) = match name.to_ascii_lowercase().as_str() {
            "" | "public" | "azurecloud" | "global" => (
                "https://login.microsoftonline.com",
                "https://management.azure.com",
                "core.windows.net",
            ),
            "usgovernment" | "azureusgovernment" | "azureusgovernmentcloud" => (
                "https://login.microsoftonline.us",
                "https://management.usgovcloudapi.net",
                "core.usgovcloudapi.net",
            ),
            "china" | "azurechina" | "azurechinacloud" => (
                "https://login.chinacloudapi.cn",
                "https://management.chinacloudapi.cn",
                "core.chinacloudapi.cn",
            ),
            _ => {
                let said = format!("`environment` is {name:?}");
                return Err(Error::new("choose a cloud", said)
                    .remedy("Take public, usgovernment or china, or set `metadata_host`.")
                    .attribute("environment"));
            }
        };
        Ok(Cloud::new(login, arm, arm, storage))
    }

    /// From `https://{host}/metadata/endpoints`.
    pub async fn described_by(host: &str, dialer: &Dialer) -> Result<Cloud, Error> {
        let url = format!("https://{host}/metadata/endpoints?api-version=2022-09-01");
        let asked = format!("ask {host} for its endpoints (GET /metadata/endpoints)");
        let client = dialer.http(&HttpOptions::default())?;
        let response = dialer
            .send(client.get(&url))
            .await
            .map_err(|e| e.attribute("metadata_host"))?;
        let status = response.status();
        if !status.is_success() {
            return Err(
                Error::http(status.as_u16(), asked, format!("it answered {status}"))
                    .attribute("metadata_host"),
            );
        }
        let body: Json = response
            .json()
            .await
            .map_err(|e| http_error("GET /metadata/endpoints", e))?;
        Cloud::from_metadata(&body).ok_or_else(|| {
            Error::new(
                asked,
                "the answer names no login endpoint or no Resource Manager",
            )
            .attribute("metadata_host")
        })
    }

    fn from_metadata(body: &Json) -> Option<Cloud> {
        let login = body.pointer("/authentication/loginEndpoint")?.as_str()?;
        let arm = body.get("resourceManager")?.as_str()?;
        let audiences = body
            .pointer("/authentication/audiences")
            .and_then(Json::as_array);
        let own = audiences.and_then(|all| {
            let same = |a: &&str| a.trim_end_matches('/') == arm.trim_end_matches('/');
            all.iter().filter_map(Json::as_str).find(same)
        });
        let storage = body.pointer("/suffixes/storage").and_then(Json::as_str);
        Some(Cloud::new(
            login,
            arm,
            own.unwrap_or(arm),
            storage.unwrap_or("core.windows.net"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_described_cloud_is_taken_as_described() {
        let body = serde_json::json!({
            "authentication": {"loginEndpoint": "https://localhost:9443/", "audiences": ["https://x", "https://localhost:9443"]},
            "resourceManager": "https://localhost:9443/",
            "suffixes": {"storage": "blob.lab"}
        });
        let cloud = Cloud::from_metadata(&body).unwrap();
        assert_eq!(cloud.arm, "https://localhost:9443");
        assert_eq!(cloud.arm_scope, "https://localhost:9443/.default");
        assert_eq!(cloud.storage_suffix, "blob.lab");
        assert!(Cloud::from_metadata(&serde_json::json!({})).is_none());
    }

    #[test]
    fn unknown_clouds_are_refused() {
        assert!(
            Cloud::named("mars")
                .unwrap_err()
                .to_string()
                .contains("metadata_host")
        );
        assert_eq!(
            Cloud::named("public").unwrap().arm_scope,
            "https://management.azure.com/.default"
        );
    }
}
