//! The arguments of the backend `s3`, in the reference's names, and what can be said of them before anything is asked.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stead_sdk::s3::{AssumeRole, AssumeRoleWithWebIdentity, LoginSettings, duration};
use stead_sdk::value::{Diagnostic, Diagnostics, Path, Sensitive};
use stead_sdk::{Block, Environment, ProviderConfig};

/// Stores the state as an object of an S3 bucket.
#[derive(Clone, Debug, ProviderConfig)]
pub(super) struct Settings {
    /// The name of the bucket.
    #[attr(required)]
    pub(super) bucket: String,
    /// The path of the state in the bucket.
    #[attr(required)]
    pub(super) key: String,
    /// The region of the bucket.
    #[attr(optional, env = ["AWS_REGION", "AWS_DEFAULT_REGION"])]
    pub(super) region: Option<String>,
    /// The only accounts that may be used.
    #[attr(optional)]
    pub(super) allowed_account_ids: Option<BTreeSet<String>>,
    /// Not used: locks are objects, not items of DynamoDB.
    #[attr(optional, deprecated = "Use `endpoints.dynamodb`.")]
    pub(super) dynamodb_endpoint: Option<String>,
    /// Where the instance metadata service is.
    #[attr(optional, env = ["AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_URL"])]
    pub(super) ec2_metadata_service_endpoint: Option<String>,
    /// `IPv4` or `IPv6`.
    #[attr(optional, env = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")]
    pub(super) ec2_metadata_service_endpoint_mode: Option<String>,
    /// Where the S3 API is, if not at AWS.
    #[attr(optional, deprecated = "Use `endpoints.s3`.")]
    pub(super) endpoint: Option<String>,
    /// Where the APIs are, if not at AWS.
    #[attr(optional, nested(single))]
    pub(super) endpoints: Option<Endpoints>,
    /// Accounts that may not be used.
    #[attr(optional)]
    pub(super) forbidden_account_ids: Option<BTreeSet<String>>,
    /// Not used: nothing is asked of IAM.
    #[attr(optional, deprecated = "Use `endpoints.iam`.")]
    pub(super) iam_endpoint: Option<String>,
    /// Where the STS API is, if not at AWS.
    #[attr(optional, deprecated = "Use `endpoints.sts`.")]
    pub(super) sts_endpoint: Option<String>,
    /// The region of STS; the bucket's when left out.
    #[attr(optional)]
    pub(super) sts_region: Option<String>,
    /// Have the server encrypt what it stores.
    #[attr(optional)]
    pub(super) encrypt: Option<bool>,
    /// A canned ACL for the objects.
    #[attr(optional)]
    pub(super) acl: Option<String>,
    #[attr(optional)]
    pub(super) access_key: Option<String>,
    #[attr(optional)]
    pub(super) secret_key: Option<Sensitive<String>>,
    /// With `encrypt`: the KMS key that the server encrypts with.
    #[attr(optional)]
    pub(super) kms_key_id: Option<String>,
    /// Locks in DynamoDB are not supported: see `use_lockfile`.
    #[attr(optional, deprecated = "Use `use_lockfile`.")]
    pub(super) dynamodb_table: Option<String>,
    /// Lock the state with an object beside it, `KEY.tflock`.
    #[attr(optional)]
    pub(super) use_lockfile: Option<bool>,
    /// The profile of the shared configuration and credentials files.
    #[attr(optional)]
    pub(super) profile: Option<String>,
    /// `standard` or `adaptive`; the few requests here are repeated in the same way for both.
    #[attr(optional, env = "AWS_RETRY_MODE")]
    pub(super) retry_mode: Option<String>,
    #[attr(optional)]
    pub(super) shared_config_files: Option<BTreeSet<String>>,
    #[attr(optional, deprecated = "Use `shared_credentials_files`.")]
    pub(super) shared_credentials_file: Option<String>,
    #[attr(optional)]
    pub(super) shared_credentials_files: Option<BTreeSet<String>>,
    /// The session token that belongs to `access_key`.
    #[attr(optional)]
    pub(super) token: Option<Sensitive<String>>,
    /// Nothing is asked of STS to validate credentials, with or without this.
    #[attr(optional)]
    pub(super) skip_credentials_validation: Option<bool>,
    /// The account is asked for where `allowed_account_ids` or `forbidden_account_ids` need it, with or without this.
    #[attr(optional)]
    pub(super) skip_requesting_account_id: Option<bool>,
    /// Do not ask the instance metadata service for credentials.
    #[attr(optional)]
    pub(super) skip_metadata_api_check: Option<bool>,
    /// Any region is taken, with or without this.
    #[attr(optional)]
    pub(super) skip_region_validation: Option<bool>,
    /// Send no checksums, for servers that do not know them.
    #[attr(optional)]
    pub(super) skip_s3_checksum: Option<bool>,
    /// With `encrypt`: the key that the server encrypts with and forgets, in Base64.
    #[attr(optional, sensitive, env = "AWS_SSE_CUSTOMER_KEY")]
    pub(super) sse_customer_key: Option<Sensitive<String>>,
    /// The folder of the other workspaces; `env:` when left out.
    #[attr(optional)]
    pub(super) workspace_key_prefix: Option<String>,
    #[attr(optional, deprecated = "Use `use_path_style`.")]
    pub(super) force_path_style: Option<bool>,
    /// Name the bucket in the path of the address, not in its host.
    #[attr(optional)]
    pub(super) use_path_style: Option<bool>,
    /// How often a request is tried again; 5 when left out.
    #[attr(optional)]
    pub(super) max_retries: Option<i64>,
    /// A role to take on.
    #[attr(optional, nested(single))]
    pub(super) assume_role: Option<AssumeRole>,
    /// A role to take on with a token of an identity provider.
    #[attr(optional, nested(single))]
    pub(super) assume_role_with_web_identity: Option<AssumeRoleWithWebIdentity>,
    /// A file with the certificate authorities that are trusted, as PEM.
    #[attr(optional, env = "AWS_CA_BUNDLE")]
    pub(super) custom_ca_bundle: Option<String>,
    #[attr(optional)]
    pub(super) http_proxy: Option<String>,
    #[attr(optional)]
    pub(super) https_proxy: Option<String>,
    #[attr(optional)]
    pub(super) no_proxy: Option<String>,
    /// Trust any certificate.
    #[attr(optional)]
    pub(super) insecure: Option<bool>,
    #[attr(optional, env = "AWS_USE_FIPS_ENDPOINT")]
    pub(super) use_fips_endpoint: Option<bool>,
    #[attr(optional, env = "AWS_USE_DUALSTACK_ENDPOINT")]
    pub(super) use_dualstack_endpoint: Option<bool>,
}

#[derive(Clone, Debug, Default, Block)]
pub(super) struct Endpoints {
    #[attr(optional, deprecated = "Locks in DynamoDB are deprecated.")]
    pub(super) dynamodb: Option<String>,
    #[attr(optional)]
    pub(super) iam: Option<String>,
    #[attr(optional)]
    pub(super) s3: Option<String>,
    #[attr(optional)]
    pub(super) sso: Option<String>,
    #[attr(optional)]
    pub(super) sts: Option<String>,
}

impl Settings {
    /// What is wrong with them, as far as it can be said without asking anybody.
    pub(super) fn problems(&self) -> Diagnostics {
        let mut found = Problems(Diagnostics::new());
        self.check_places(&mut found);
        self.check_encryption(&mut found);
        self.check_roles(&mut found);
        if self.region.is_none() {
            found.at(
                "region",
                "Missing region value",
                "The \"region\" attribute or the \"AWS_REGION\" or \"AWS_DEFAULT_REGION\" environment variables must be set.",
            );
        }
        if self.dynamodb_table.is_some() {
            found.at(
                "dynamodb_table",
                "Not supported yet",
                "stead does not lock in DynamoDB. Set `use_lockfile = true` and leave `dynamodb_table` out; Terraform from 1.10 on locks in the same way.",
            );
        }
        if self.access_key.is_some() != self.secret_key.is_some() {
            found.at(
                "access_key",
                "Incomplete credentials",
                "`access_key` and `secret_key` belong together: set both or none.",
            );
        }
        for (one, other, both) in [
            (
                "allowed_account_ids",
                "forbidden_account_ids",
                self.allowed_account_ids.is_some() && self.forbidden_account_ids.is_some(),
            ),
            (
                "force_path_style",
                "use_path_style",
                self.force_path_style.is_some() && self.use_path_style.is_some(),
            ),
            (
                "shared_credentials_file",
                "shared_credentials_files",
                self.shared_credentials_file.is_some() && self.shared_credentials_files.is_some(),
            ),
        ] {
            if both {
                found.conflict(one, other);
            }
        }
        if self
            .retry_mode
            .as_deref()
            .is_some_and(|mode| !matches!(mode, "standard" | "adaptive"))
        {
            found.at(
                "retry_mode",
                "Invalid Value",
                "`retry_mode` must be \"standard\" or \"adaptive\".",
            );
        }
        let mode = self.ec2_metadata_service_endpoint_mode.as_deref();
        if mode.is_some_and(|mode| !matches!(mode, "IPv4" | "IPv6")) {
            found.at(
                "ec2_metadata_service_endpoint_mode",
                "Invalid Value",
                "It must be \"IPv4\" or \"IPv6\".",
            );
        }
        if self.max_retries.is_some_and(|n| u32::try_from(n).is_err()) {
            found.at(
                "max_retries",
                "Invalid Value",
                "`max_retries` is a whole number that is not negative.",
            );
        }
        found.0
    }

    fn check_places(&self, found: &mut Problems) {
        if self.bucket.trim().is_empty() {
            found.at(
                "bucket",
                "Invalid Value",
                "The value cannot be empty or all whitespace",
            );
        }
        if self.bucket.starts_with("arn:") {
            found.at(
                "bucket",
                "Not supported yet",
                "Access points are not supported yet. Name the bucket itself.",
            );
        }
        let key = &self.key;
        if key.trim().is_empty() {
            found.at(
                "key",
                "Invalid Value",
                "The value cannot be empty or all whitespace",
            );
        } else if key.starts_with('/') || key.ends_with('/') {
            found.at(
                "key",
                "Invalid Value",
                "The value must not start or end with \"/\"",
            );
        } else if key.contains("//") {
            found.at("key", "Invalid Value", "Value must not contain \"//\"");
        }
        let prefix = self.workspace_key_prefix.as_deref().unwrap_or_default();
        if prefix.starts_with('/') || prefix.ends_with('/') {
            found.at(
                "workspace_key_prefix",
                "Invalid Value",
                "The value must not start or end with \"/\"",
            );
        }
        for (name, path) in [("key", key.as_str()), ("workspace_key_prefix", prefix)] {
            // Every HTTP client would take them for something else.
            if path.split('/').any(|part| matches!(part, "." | "..")) {
                found.at(
                    name,
                    "Invalid Value",
                    "A part of the path must not be \".\" or \"..\".",
                );
            }
        }
        let given = self.endpoints.clone().unwrap_or_default();
        for (name, old, new) in [
            ("dynamodb", &self.dynamodb_endpoint, &given.dynamodb),
            ("iam", &self.iam_endpoint, &given.iam),
            ("s3", &self.endpoint, &given.s3),
            ("sts", &self.sts_endpoint, &given.sts),
            ("sso", &None, &given.sso),
        ] {
            let old_name = if name == "s3" {
                "endpoint".to_owned()
            } else {
                format!("{name}_endpoint")
            };
            if old.is_some() && new.is_some() {
                found.conflict(&old_name, &format!("endpoints.{name}"));
            }
            for (place, text) in [(old_name.as_str(), old), ("endpoints", new)] {
                let whole = |text: &str| reqwest::Url::parse(text).is_ok_and(|url| url.has_host());
                if text.as_deref().is_some_and(|text| !whole(text)) {
                    found.at(place, "Invalid Value", &format!("The endpoint of {name} must be a valid URL containing at least a scheme and hostname."));
                }
            }
        }
    }

    fn check_encryption(&self, found: &mut Problems) {
        if self.kms_key_id.is_some() && self.sse_customer_key.is_some() {
            found.conflict("kms_key_id", "sse_customer_key");
        }
        if self.sse_customer_key.is_some() && self.customer_key().is_none() {
            // Never with the value.
            found.at(
                "sse_customer_key",
                "Invalid sse_customer_key value",
                "It must be a key of 32 bytes in Base64, 44 characters in length. It comes from the argument or from AWS_SSE_CUSTOMER_KEY.",
            );
        }
    }

    fn check_roles(&self, found: &mut Problems) {
        let durations = [
            (
                "assume_role",
                self.assume_role
                    .as_ref()
                    .and_then(|role| role.duration.as_deref()),
            ),
            (
                "assume_role_with_web_identity",
                self.assume_role_with_web_identity
                    .as_ref()
                    .and_then(|role| role.duration.as_deref()),
            ),
        ];
        for (name, text) in durations {
            if text.is_some_and(|text| duration(text).is_none()) {
                found.at(
                    name,
                    "Invalid Duration",
                    "The duration is from 15 minutes to 12 hours, such as \"45m\" or \"1h30m\".",
                );
            }
        }
        if let Some(role) = &self.assume_role_with_web_identity
            && role.web_identity_token.is_some() == role.web_identity_token_file.is_some()
        {
            found.at(
                "assume_role_with_web_identity",
                "Invalid Attribute Combination",
                "Exactly one of web_identity_token, web_identity_token_file must be set.",
            );
        }
    }

    /// What decides who signs in.
    pub(super) fn login(&self, environment: &Environment) -> LoginSettings {
        LoginSettings {
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            token: self.token.clone(),
            profile: self.profile.clone(),
            shared_config_files: self.shared_config_files.clone(),
            shared_credentials_files: self.shared_credentials_files.clone(),
            shared_credentials_file: self.shared_credentials_file.clone(),
            skip_metadata_api_check: self.skip_metadata_api_check == Some(true),
            ec2_metadata_service_endpoint: self.ec2_metadata_service_endpoint.clone(),
            ec2_metadata_service_endpoint_mode: self.ec2_metadata_service_endpoint_mode.clone(),
            use_fips_endpoint: self.use_fips_endpoint,
            use_dualstack_endpoint: self.use_dualstack_endpoint,
            sts_region: self.sts_region.clone(),
            sts_endpoint: self.sts_endpoint(environment),
            assume_role: self.assume_role.clone(),
            assume_role_with_web_identity: self.assume_role_with_web_identity.clone(),
            allowed_account_ids: self.allowed_account_ids.clone(),
            forbidden_account_ids: self.forbidden_account_ids.clone(),
        }
    }

    /// The key of SSE-C, when it is one.
    pub(super) fn customer_key(&self) -> Option<Sensitive<Vec<u8>>> {
        let text = self.sse_customer_key.as_ref()?.expose_secret();
        let bytes = STANDARD.decode(text).ok()?;
        (bytes.len() == 32).then(|| Sensitive::new(bytes))
    }

    /// Where S3 is, if not at AWS. The generic variable comes last, as with AWS's own tools.
    pub(super) fn s3_endpoint(&self, environment: &Environment) -> Option<String> {
        let given = self
            .endpoints
            .as_ref()
            .and_then(|endpoints| endpoints.s3.clone());
        let variables = ["AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT", "AWS_ENDPOINT_URL"];
        given
            .or_else(|| self.endpoint.clone())
            .or_else(|| environment.first(&variables).map(str::to_owned))
    }

    pub(super) fn sts_endpoint(&self, environment: &Environment) -> Option<String> {
        let given = self
            .endpoints
            .as_ref()
            .and_then(|endpoints| endpoints.sts.clone());
        let variables = [
            "AWS_ENDPOINT_URL_STS",
            "AWS_STS_ENDPOINT",
            "AWS_ENDPOINT_URL",
        ];
        given
            .or_else(|| self.sts_endpoint.clone())
            .or_else(|| environment.first(&variables).map(str::to_owned))
    }
}

struct Problems(Diagnostics);

impl Problems {
    fn at(&mut self, name: &str, summary: &str, detail: &str) {
        self.0
            .push(Diagnostic::error(summary, detail).attribute(Path::root().attr(name)));
    }

    fn conflict(&mut self, one: &str, other: &str) {
        let detail =
            format!("The parameters \"{one}\" and \"{other}\" cannot be configured together.");
        self.0
            .push(Diagnostic::error("Conflicting Parameters", detail));
    }
}
