//! The block `s3`: a bucket that snapshots are kept in.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use stead_sdk::s3::{Bridge, Bucket, Encryption, Login, LoginSettings, Place};
use stead_sdk::sending::Patience;
use stead_sdk::{Block, Dialer, Environment, Error, HttpOptions, Roots, TlsOptions};

/// For one try of one request, which carries 16 MiB at most.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A bucket of S3, of AWS or another server. Credentials come from the environment, a profile or what the machine has, as for the backend `s3`: the
/// state would keep them.
#[derive(Clone, Debug, Default, PartialEq, Block, Deserialize)]
#[serde(default)]
pub(crate) struct S3 {
    /// The bucket; it must be there.
    #[attr(required, replace)]
    pub(super) bucket: String,
    /// What stands before the names of the objects, such as `home/`.
    #[attr(optional, replace)]
    pub(super) prefix: Option<String>,
    /// The bucket's region; or AWS_REGION, AWS_DEFAULT_REGION.
    #[attr(optional)]
    pub(super) region: Option<String>,
    /// Where the S3 API is, if not at AWS, such as `https://minio.lan:9000`; or AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL.
    #[attr(optional)]
    pub(super) endpoint: Option<String>,
    /// Name the bucket in the path of the address, not in its host.
    #[attr(optional)]
    pub(super) use_path_style: Option<bool>,
    /// The profile of the shared configuration and credentials files; or AWS_PROFILE.
    #[attr(optional)]
    pub(super) profile: Option<String>,
    /// In place of `~/.aws/config`; or AWS_SHARED_CONFIG_FILE.
    #[attr(optional)]
    pub(super) shared_config_files: Option<BTreeSet<String>>,
    /// In place of `~/.aws/credentials`; or AWS_SHARED_CREDENTIALS_FILE.
    #[attr(optional)]
    pub(super) shared_credentials_files: Option<BTreeSet<String>>,
    /// Do not ask the instance metadata service for credentials.
    #[attr(optional)]
    pub(super) skip_metadata_api_check: Option<bool>,
    /// Have the server encrypt what it stores.
    #[attr(optional)]
    pub(super) encrypt: Option<bool>,
    /// With `encrypt`: the KMS key that the server encrypts with.
    #[attr(optional)]
    pub(super) kms_key_id: Option<String>,
    /// Send no checksums beside the signed one, for servers that do not know them.
    #[attr(optional)]
    pub(super) skip_s3_checksum: Option<bool>,
    /// A file with the certificate authorities that are trusted, as PEM; or AWS_CA_BUNDLE.
    #[attr(optional)]
    pub(super) custom_ca_bundle: Option<String>,
}

impl S3 {
    /// Asks nothing of the network yet.
    ///
    /// # Errors
    /// When the region is missing, the endpoint is no URL, or the bundle of authorities cannot be read.
    pub(super) fn bucket(&self, dialer: &Dialer) -> Result<Bucket, Error> {
        let environment = dialer.environment();
        let asked = format!("reach the bucket {:?}", self.bucket);
        let region = first(&self.region, environment, &["AWS_REGION", "AWS_DEFAULT_REGION"])
            .ok_or_else(|| {
                Error::new(&asked, "`region` is not set")
                    .remedy("Set it in the block `s3`, or AWS_REGION. Servers that have none take `us-east-1`.")
                    .attribute("s3")
            })?;
        let endpoint = first(
            &self.endpoint,
            environment,
            &["AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL"],
        );
        let flag = |value: Option<bool>| value == Some(true);
        let place = Place {
            bucket: &self.bucket,
            region: &region,
            endpoint: endpoint.as_deref(),
            path_style: flag(self.use_path_style),
            ..Place::default()
        };
        let address = place.address().ok_or_else(|| {
            Error::new(&asked, "the endpoint is no URL with a host")
                .remedy("Write it such as `https://minio.lan:9000`.")
                .attribute("s3")
        })?;
        let roots = match first(&self.custom_ca_bundle, environment, &["AWS_CA_BUNDLE"]) {
            None => Roots::System,
            Some(file) => Roots::Only(std::fs::read_to_string(&file).map_err(|e| {
                Error::new(
                    format!("read the certificate authorities {file}"),
                    e.to_string(),
                )
                .attribute("s3")
            })?),
        };
        let http = dialer.http(&HttpOptions {
            tls: TlsOptions {
                roots,
                ..TlsOptions::default()
            },
            timeout: Some(TIMEOUT),
            ..HttpOptions::default()
        })?;
        let encryption = match (flag(self.encrypt), &self.kms_key_id) {
            (false, _) => Encryption::No,
            (true, None) => Encryption::Server,
            (true, Some(key)) => Encryption::Kms(key.clone()),
        };
        Ok(Bucket {
            login: Login::new(
                self.login(environment),
                &region,
                environment,
                Bridge::new(dialer, &http),
            ),
            dialer: dialer.clone(),
            http,
            patience: Patience::default(),
            name: self.bucket.clone(),
            region,
            address,
            encryption,
            acl: None,
            checksums: !flag(self.skip_s3_checksum),
        })
    }

    fn login(&self, environment: &Environment) -> LoginSettings {
        LoginSettings {
            profile: self.profile.clone(),
            shared_config_files: self.shared_config_files.clone(),
            shared_credentials_files: self.shared_credentials_files.clone(),
            skip_metadata_api_check: self.skip_metadata_api_check == Some(true),
            sts_endpoint: first(
                &None,
                environment,
                &["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"],
            ),
            ..LoginSettings::default()
        }
    }
}

/// What is given, else the first of the variables that is set.
fn first(given: &Option<String>, environment: &Environment, names: &[&str]) -> Option<String> {
    let given = given.clone().filter(|text| !text.is_empty());
    given.or_else(|| environment.first(names).map(str::to_owned))
}
