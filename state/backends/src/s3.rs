//! The backend `s3`: a state is an object of a bucket, its lock an object beside it that can be made only once.

mod settings;
mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use stead_sdk::s3::{Bridge, Bucket, Encryption, ListError, Login, Place};
use stead_sdk::sending::Patience;
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Value};
use stead_sdk::{Block as _, Dialer, HttpOptions, Roots, TlsOptions};
use stead_state::{Backend, BackendError, Store};

use crate::Kind;
use crate::sending::{OrFailed as _, failed};
use settings::Settings;
use store::{Object, beside};

pub(crate) const KIND: Kind = Kind {
    name: "s3",
    schema: Settings::block,
    open,
};

/// For one try of one request, body included.
const TIMEOUT: Duration = Duration::from_secs(120);
const DEFAULT_PREFIX: &str = "env:";

fn open(config: &Value, dialer: &Dialer) -> Result<Arc<dyn Backend>, Diagnostics> {
    let given: Settings = stead_sdk::settings("the backend \"s3\"", config, dialer.environment())?;
    given.problems().into_result()?;
    let environment = dialer.environment();
    let dialer = through_proxies(&given, dialer)?;
    let options = HttpOptions {
        tls: tls(&given)?,
        timeout: Some(TIMEOUT),
        ..HttpOptions::default()
    };
    let http = dialer.http(&options)?;
    let region = given.region.clone().unwrap_or_default();
    let encryption = match (
        given.encrypt == Some(true),
        &given.kms_key_id,
        given.customer_key(),
    ) {
        (false, ..) => Encryption::No,
        (true, Some(key), _) => Encryption::Kms(key.clone()),
        (true, None, Some(key)) => Encryption::Customer(key),
        (true, None, None) => Encryption::Server,
    };
    let bucket = Bucket {
        login: Login::new(
            given.login(environment),
            &region,
            environment,
            Bridge::new(&dialer, &http),
        ),
        address: address(&given, &region, given.s3_endpoint(environment).as_deref())?,
        patience: patience(&given, environment),
        dialer,
        http,
        name: given.bucket,
        region,
        encryption,
        acl: given.acl,
        checksums: given.skip_s3_checksum != Some(true),
    };
    let prefix = given
        .workspace_key_prefix
        .unwrap_or_else(|| DEFAULT_PREFIX.to_owned());
    Ok(Arc::new(S3 {
        bucket: Arc::new(bucket),
        key: given.key,
        prefix,
        locks: given.use_lockfile == Some(true),
    }))
}

/// The arguments that name proxies stand in for the variables.
fn through_proxies(given: &Settings, dialer: &Dialer) -> Result<Dialer, Diagnostics> {
    let proxies = [
        ("HTTP_PROXY", given.http_proxy.clone()),
        // As the reference: one for HTTP serves for both.
        (
            "HTTPS_PROXY",
            given
                .https_proxy
                .clone()
                .or_else(|| given.http_proxy.clone()),
        ),
        ("NO_PROXY", given.no_proxy.clone()),
    ];
    if proxies.iter().all(|(_, value)| value.is_none()) {
        return Ok(dialer.clone());
    }
    let set = proxies
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    // The lower case spelling is another variable, which must not win.
    let set: Vec<(String, String)> = set
        .flat_map(|(name, value)| {
            [
                (name.to_owned(), value.clone()),
                (name.to_ascii_lowercase(), value),
            ]
        })
        .collect();
    Ok(Dialer::new(dialer.environment().with(set))?)
}

fn tls(given: &Settings) -> Result<TlsOptions, Diagnostics> {
    let roots = match &given.custom_ca_bundle {
        None => Roots::System,
        Some(file) => Roots::Only(std::fs::read_to_string(file).map_err(|e| {
            let detail = format!("The file {file} of `custom_ca_bundle` cannot be read: {e}.");
            Diagnostic::error("Invalid certificate bundle", detail)
                .attribute(Path::root().attr("custom_ca_bundle"))
        })?),
    };
    Ok(TlsOptions {
        roots,
        insecure: given.insecure == Some(true),
        ..TlsOptions::default()
    })
}

fn patience(given: &Settings, environment: &stead_sdk::Environment) -> Patience {
    let retries = given.max_retries.and_then(|n| u32::try_from(n).ok());
    let attempts = environment
        .get("AWS_MAX_ATTEMPTS")
        .and_then(|text| text.parse().ok());
    Patience {
        tries: retries
            .map(|n| n.saturating_add(1))
            .or(attempts)
            .unwrap_or(6),
        ..Patience::default()
    }
}

fn address(given: &Settings, region: &str, endpoint: Option<&str>) -> Result<Url, Diagnostics> {
    let flag = |value: Option<bool>| value == Some(true);
    let place = Place {
        bucket: &given.bucket,
        region,
        endpoint,
        path_style: flag(given.use_path_style) || flag(given.force_path_style),
        fips: flag(given.use_fips_endpoint),
        dual_stack: flag(given.use_dualstack_endpoint),
    };
    place.address().ok_or_else(|| {
        let detail =
            "The S3 endpoint must be a valid URL containing at least a scheme and hostname.";
        Diagnostic::error("Invalid endpoint", detail)
            .attribute(Path::root().attr("endpoints"))
            .into()
    })
}

#[derive(Debug)]
struct S3 {
    bucket: Arc<Bucket>,
    key: String,
    prefix: String,
    locks: bool,
}

impl S3 {
    /// Where a workspace's state lies.
    fn path(&self, workspace: &str) -> String {
        if workspace == "default" {
            return self.key.clone();
        }
        let parts = [self.prefix.as_str(), workspace, self.key.as_str()];
        let parts = parts
            .iter()
            .flat_map(|part| part.split('/'))
            .filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("/")
    }

    fn object(&self, workspace: &str) -> Object {
        Object {
            bucket: Arc::clone(&self.bucket),
            key: self.path(workspace),
            locks: self.locks,
        }
    }
}

#[async_trait]
impl Backend for S3 {
    async fn workspaces(&self) -> Result<Vec<String>, BackendError> {
        let folder = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let keys = match self.bucket.list(&folder).await {
            Ok(keys) => keys,
            // As the reference: who uses no workspaces need not be allowed to list.
            Err(ListError::Denied(error)) if self.prefix == DEFAULT_PREFIX => {
                tracing::warn!(%error, "the other workspaces cannot be listed");
                Vec::new()
            }
            Err(error) => return Err(failed(error.into())),
        };
        let names = keys.iter().filter_map(|key| {
            let (name, rest) = key.strip_prefix(&folder)?.split_once('/')?;
            (rest == self.key && !name.is_empty()).then(|| name.to_owned())
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names.insert(0, "default".to_owned());
        Ok(names)
    }

    async fn delete(&self, workspace: &str, _force: bool) -> Result<(), BackendError> {
        if matches!(workspace, "default" | "") {
            return Err(BackendError::failed(
                format!("delete the workspace \"{workspace}\""),
                "can't delete default state",
            ));
        }
        let object = self.object(workspace);
        for name in object.list_beside().await? {
            let file = beside(&object.key, &name);
            self.bucket.delete(&file).await.or_failed()?;
        }
        self.bucket.delete(&object.key).await.or_failed()
    }

    fn store(&self, workspace: &str) -> Result<Arc<dyn Store>, BackendError> {
        Ok(Arc::new(self.object(workspace)))
    }
}

#[cfg(test)]
mod tests;
