//! Credentials of AWS, found as AWS's own tools find them (by `aws-config`), and roles that are taken on with them.
//!
//! The requests for them go through the dialer, like all others.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_config::BehaviorVersion;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::client::EndpointMode;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_sdk_sts::config::Region;
use aws_sdk_sts::error::DisplayErrorContext;
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use stead_value::Sensitive;
use tokio::sync::Mutex;
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use super::bridge::Bridge;
use super::roles::{AssumeRole, AssumeRoleWithWebIdentity, duration};
use crate::{Environment, Error};

/// Credentials that run out sooner are renewed.
const MARGIN: Duration = Duration::from_secs(300);

/// The reference's settings for signing in; variables of the environment stand in for some of them. `None` means not set.
#[derive(Clone, Debug, Default)]
pub struct LoginSettings {
    pub access_key: Option<String>,
    pub secret_key: Option<Sensitive<String>>,
    /// The session token that belongs to `access_key`.
    pub token: Option<Sensitive<String>>,
    /// The profile of the shared configuration and credentials files.
    pub profile: Option<String>,
    pub shared_config_files: Option<BTreeSet<String>>,
    pub shared_credentials_files: Option<BTreeSet<String>>,
    pub shared_credentials_file: Option<String>,
    /// Do not ask the instance metadata service.
    pub skip_metadata_api_check: bool,
    pub ec2_metadata_service_endpoint: Option<String>,
    /// `IPv4` or `IPv6`.
    pub ec2_metadata_service_endpoint_mode: Option<String>,
    pub use_fips_endpoint: Option<bool>,
    pub use_dualstack_endpoint: Option<bool>,
    /// The bucket's when left out.
    pub sts_region: Option<String>,
    /// Where the STS API is, if not at AWS.
    pub sts_endpoint: Option<String>,
    pub assume_role: Option<AssumeRole>,
    pub assume_role_with_web_identity: Option<AssumeRoleWithWebIdentity>,
    /// The only accounts that may be used.
    pub allowed_account_ids: Option<BTreeSet<String>>,
    /// Accounts that may not be used.
    pub forbidden_account_ids: Option<BTreeSet<String>>,
}

/// Who one is to AWS. Asked for when they are first needed, and again before they run out.
#[derive(Debug)]
pub struct Login {
    settings: LoginSettings,
    environment: Environment,
    bridge: Bridge,
    region: String,
    current: Mutex<Option<Credentials>>,
}

impl Login {
    pub fn new(
        settings: LoginSettings,
        region: &str,
        environment: &Environment,
        bridge: Bridge,
    ) -> Login {
        Login {
            settings,
            environment: environment.clone(),
            bridge,
            region: region.to_owned(),
            current: Mutex::new(None),
        }
    }

    /// # Errors
    /// When there are none, or they are of an account that is not allowed.
    pub async fn credentials(&self) -> Result<Credentials, Error> {
        let mut current = self.current.lock().await;
        let soon = SystemTime::now() + MARGIN;
        if let Some(known) = current
            .as_ref()
            .filter(|known| known.expiry().is_none_or(|end| end > soon))
        {
            return Ok(known.clone());
        }
        // The libraries trace what they send, tokens included.
        let found = self.find().with_subscriber(NoSubscriber::new()).await?;
        tracing::debug!(ends = ?found.expiry(), "found credentials for AWS");
        if current.is_none() {
            let check = self.check_account(&found);
            check.with_subscriber(NoSubscriber::new()).await?;
        }
        *current = Some(found.clone());
        Ok(found)
    }

    /// Forgets what is known: the server said that it has run out.
    pub async fn forget(&self) {
        *self.current.lock().await = None;
    }

    async fn find(&self) -> Result<Credentials, Error> {
        let mut found = match &self.settings.assume_role_with_web_identity {
            Some(role) => self.assume_with_token(role).await?,
            None => self.own().await?,
        };
        if let Some(role) = &self.settings.assume_role {
            found = self.assume(role, found).await?;
        }
        Ok(found)
    }

    /// In the order of the reference: the arguments, a profile that is named, the variables, and then what the machine has.
    async fn own(&self) -> Result<Credentials, Error> {
        let settings = &self.settings;
        let token = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        if let (Some(key), Some(secret)) = (&settings.access_key, &settings.secret_key) {
            let token = settings
                .token
                .as_ref()
                .and_then(|text| token(text.expose_secret()));
            return Ok(Credentials::new(
                key,
                secret.expose_secret(),
                token,
                None,
                "arguments",
            ));
        }
        let variable = |name| self.environment.get(name);
        if settings.profile.is_none()
            && let Some(key) = variable("AWS_ACCESS_KEY_ID")
            && let Some(secret) = variable("AWS_SECRET_ACCESS_KEY")
        {
            let token = variable("AWS_SESSION_TOKEN").and_then(token);
            return Ok(Credentials::new(key, secret, token, None, "environment"));
        }
        let provider = self.provider();
        provider.provide_credentials().await.map_err(|error| {
            let said = DisplayErrorContext(&error).to_string();
            Error::new("find credentials for AWS", format!("No valid credential sources found: {said}")).remedy(
                "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `profile`, or `access_key` and `secret_key` where there are such arguments.",
            )
        })
    }

    /// Profile files, tokens of a workload, a container's and an instance's credentials. The library reads the process's variables itself.
    fn provider(&self) -> SharedCredentialsProvider {
        let settings = &self.settings;
        let config = self.provider_config();
        let mut profile = ProfileFileCredentialsProvider::builder().configure(&config);
        let name = settings
            .profile
            .as_deref()
            .or_else(|| self.environment.get("AWS_PROFILE"));
        if let Some(name) = name {
            profile = profile.profile_name(name);
        }
        if let Some(files) = self.profile_files() {
            profile = profile.profile_files(files);
        }
        let profile = profile.build();
        if settings.profile.is_some() {
            return SharedCredentialsProvider::new(profile);
        }
        let chain = CredentialsProviderChain::first_try("profile", profile)
            .or_else(
                "web identity",
                WebIdentityTokenCredentialsProvider::builder()
                    .configure(&config)
                    .build(),
            )
            .or_else(
                "container",
                EcsCredentialsProvider::builder().configure(&config).build(),
            );
        if settings.skip_metadata_api_check {
            return SharedCredentialsProvider::new(chain);
        }
        let mut metadata = aws_config::imds::Client::builder().configure(&config);
        if settings.ec2_metadata_service_endpoint_mode.as_deref() == Some("IPv6") {
            metadata = metadata.endpoint_mode(EndpointMode::IpV6);
        }
        if let Some(endpoint) = &settings.ec2_metadata_service_endpoint {
            match metadata.endpoint(endpoint) {
                Ok(with_endpoint) => metadata = with_endpoint,
                // Its form was checked with the settings.
                Err(_) => return SharedCredentialsProvider::new(chain),
            }
        }
        let instance = ImdsCredentialsProvider::builder()
            .configure(&config)
            .imds_client(metadata.build())
            .build();
        SharedCredentialsProvider::new(chain.or_else("instance", instance))
    }

    fn provider_config(&self) -> ProviderConfig {
        ProviderConfig::without_region()
            .with_behavior_version(Some(BehaviorVersion::latest()))
            .with_region(Some(Region::new(self.region.clone())))
            .with_http_client(self.bridge.clone())
            .with_use_fips(self.settings.use_fips_endpoint)
            .with_use_dual_stack(self.settings.use_dualstack_endpoint)
    }

    /// The files that are named by arguments or by the reference's own variables; otherwise those of AWS's tools.
    fn profile_files(&self) -> Option<EnvConfigFiles> {
        let settings = &self.settings;
        let named = |files: &Option<BTreeSet<String>>, variable: &str| -> Vec<String> {
            match files {
                Some(files) => files.iter().cloned().collect(),
                None => self
                    .environment
                    .get(variable)
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
            }
        };
        let configs = named(&settings.shared_config_files, "AWS_SHARED_CONFIG_FILE");
        let mut credentials = named(
            &settings.shared_credentials_files,
            "AWS_SHARED_CREDENTIALS_FILE",
        );
        credentials.extend(settings.shared_credentials_file.clone());
        if configs.is_empty() && credentials.is_empty() {
            return None;
        }
        let mut files = EnvConfigFiles::builder()
            .include_default_config_file(configs.is_empty())
            .include_default_credentials_file(credentials.is_empty());
        for file in configs {
            files = files.with_file(EnvConfigFileKind::Config, file);
        }
        for file in credentials {
            files = files.with_file(EnvConfigFileKind::Credentials, file);
        }
        Some(files.build())
    }

    fn sts(&self, credentials: Option<Credentials>) -> aws_sdk_sts::Client {
        let settings = &self.settings;
        let region = settings
            .sts_region
            .clone()
            .unwrap_or_else(|| self.region.clone());
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .http_client(self.bridge.clone())
            .use_fips(settings.use_fips_endpoint == Some(true))
            .use_dual_stack(settings.use_dualstack_endpoint == Some(true));
        config.set_endpoint_url(settings.sts_endpoint.clone());
        config.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
        aws_sdk_sts::Client::from_conf(config.build())
    }

    async fn assume(&self, role: &AssumeRole, with: Credentials) -> Result<Credentials, Error> {
        let tags: Result<Vec<Tag>, _> = role
            .tags
            .iter()
            .flatten()
            .map(|(key, value)| Tag::builder().key(key).value(value).build())
            .collect();
        let asked = format!("assume the role {}", role.role_arn);
        let tags = tags.map_err(|e| Error::new(&asked, e.to_string()))?;
        let answer = self
            .sts(Some(with))
            .assume_role()
            .role_arn(&role.role_arn)
            .role_session_name(session_name(role.session_name.as_deref()))
            .set_duration_seconds(seconds(role.duration.as_deref()))
            .set_external_id(role.external_id.clone())
            .set_policy(
                role.policy
                    .as_deref()
                    .map(|policy| policy.trim().to_owned()),
            )
            .set_policy_arns(policies(role.policy_arns.as_ref()))
            .set_source_identity(role.source_identity.clone())
            .set_tags(Some(tags).filter(|tags| !tags.is_empty()))
            .set_transitive_tag_keys(
                role.transitive_tag_keys
                    .as_ref()
                    .map(|keys| keys.iter().cloned().collect()),
            )
            .send()
            .await
            .map_err(|e| refused(&asked, &DisplayErrorContext(&e).to_string()))?;
        assumed(&asked, answer.credentials)
    }

    async fn assume_with_token(
        &self,
        role: &AssumeRoleWithWebIdentity,
    ) -> Result<Credentials, Error> {
        let asked = format!("assume the role {} with a web identity", role.role_arn);
        let token = match (&role.web_identity_token, &role.web_identity_token_file) {
            (Some(token), _) => token.expose_secret().clone(),
            (None, file) => {
                let file = file.clone().unwrap_or_default();
                let read = tokio::fs::read_to_string(&file).await;
                read.map_err(|e| {
                    Error::new(
                        &asked,
                        format!("The token's file {file} cannot be read: {e}"),
                    )
                })?
            }
        };
        let answer = self
            .sts(None)
            .assume_role_with_web_identity()
            .role_arn(&role.role_arn)
            .role_session_name(session_name(role.session_name.as_deref()))
            .web_identity_token(token.trim())
            .set_duration_seconds(seconds(role.duration.as_deref()))
            .set_policy(
                role.policy
                    .as_deref()
                    .map(|policy| policy.trim().to_owned()),
            )
            .set_policy_arns(policies(role.policy_arns.as_ref()))
            .send()
            .await
            .map_err(|e| refused(&asked, &DisplayErrorContext(&e).to_string()))?;
        assumed(&asked, answer.credentials)
    }

    /// Refuses accounts that are not allowed.
    async fn check_account(&self, credentials: &Credentials) -> Result<(), Error> {
        let LoginSettings {
            allowed_account_ids: allowed,
            forbidden_account_ids: forbidden,
            ..
        } = &self.settings;
        if allowed.is_none() && forbidden.is_none() {
            return Ok(());
        }
        let asked = "ask for the AWS account";
        let identity = self
            .sts(Some(credentials.clone()))
            .get_caller_identity()
            .send()
            .await;
        let identity =
            identity.map_err(|e| refused(asked, &DisplayErrorContext(&e).to_string()))?;
        let account = identity.account.unwrap_or_default();
        let is_forbidden = forbidden.as_ref().is_some_and(|ids| ids.contains(&account));
        if is_forbidden || allowed.as_ref().is_some_and(|ids| !ids.contains(&account)) {
            let said = format!("Invalid account ID: AWS account ID not allowed: {account}");
            return Err(Error::new(asked, said)
                .remedy("See `allowed_account_ids` and `forbidden_account_ids`."));
        }
        Ok(())
    }
}

fn refused(asked: &str, said: &str) -> Error {
    Error::new(asked, said)
        .remedy("Check the credentials, the role's trust policy, and `endpoints.sts`.")
}

fn assumed(
    asked: &str,
    answer: Option<aws_sdk_sts::types::Credentials>,
) -> Result<Credentials, Error> {
    let found = answer.ok_or_else(|| Error::new(asked, "the answer holds no credentials"))?;
    let end = SystemTime::try_from(*found.expiration()).ok();
    let token = Some(found.session_token);
    Ok(Credentials::new(
        found.access_key_id,
        found.secret_access_key,
        token,
        end,
        "role",
    ))
}

/// The session's name in AWS's logs.
fn session_name(given: Option<&str>) -> String {
    given.map_or_else(
        || format!("stead-{:016x}", rand::random::<u64>()),
        str::to_owned,
    )
}

fn seconds(text: Option<&str>) -> Option<i32> {
    i32::try_from(duration(text?)?.as_secs()).ok()
}

fn policies(arns: Option<&BTreeSet<String>>) -> Option<Vec<PolicyDescriptorType>> {
    let arns = arns?.iter();
    Some(
        arns.map(|arn| PolicyDescriptorType::builder().arn(arn).build())
            .collect(),
    )
}
