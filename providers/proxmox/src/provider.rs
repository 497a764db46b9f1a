//! The provider block, and what it refuses before the first byte is sent.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use stead_sdk::value::{Diagnostics, Sensitive};
use stead_sdk::{Context, Dialer, Error, Native, ProviderConfig, ProviderFactory, TlsOptions};

use crate::client::{Client, Credentials};
use crate::container::Container;
use crate::download_file::DownloadFile;
use crate::file::File;
use crate::guest::{ContainerSource, ContainersSource, MachineSource, MachinesSource};
use crate::oci_image::OciImage;
use crate::ssh::{ApiLogin, Settings, Ssh};
use crate::vm::Vm;
use crate::{access, cluster, data, firewall, node, sdn, storage, vm2};

/// Manages a Proxmox VE cluster through its API.
#[derive(Clone, Debug, ProviderConfig)]
pub(crate) struct Config {
    /// Such as `https://pve.lan:8006`.
    #[attr(optional, env = "PROXMOX_VE_ENDPOINT")]
    endpoint: Option<String>,
    /// `USER@REALM!NAME=SECRET`.
    #[attr(optional, sensitive, env = "PROXMOX_VE_API_TOKEN")]
    api_token: Option<Sensitive<String>>,
    #[attr(optional, sensitive, env = "PROXMOX_VE_AUTH_TICKET")]
    auth_ticket: Option<Sensitive<String>>,
    #[attr(optional, sensitive, env = "PROXMOX_VE_CSRF_PREVENTION_TOKEN")]
    csrf_prevention_token: Option<Sensitive<String>>,
    /// With its realm: `root@pam`.
    #[attr(optional, env = "PROXMOX_VE_USERNAME")]
    username: Option<String>,
    #[attr(optional, sensitive, env = "PROXMOX_VE_PASSWORD")]
    password: Option<Sensitive<String>>,
    /// The one-time password of a second factor. It is good for one login: the session is kept up from there.
    #[attr(optional, deprecated = "Use an API token.", env = "PROXMOX_VE_OTP")]
    otp: Option<String>,
    /// Trust any certificate.
    #[attr(optional, env = "PROXMOX_VE_INSECURE")]
    insecure: Option<bool>,
    /// The oldest TLS version to accept: `1.3` when it is not set, or `1.2`; nothing older is spoken.
    #[attr(optional, env = "PROXMOX_VE_MIN_TLS")]
    min_tls: Option<String>,
    /// Give new machines and containers random identifiers, so that several people at work take different ones.
    #[attr(optional)]
    random_vm_ids: Option<bool>,
    /// 10000 when it is not set.
    #[attr(optional)]
    random_vm_id_start: Option<i64>,
    /// 99999 when it is not set.
    #[attr(optional)]
    random_vm_id_end: Option<i64>,
    /// Where files wait that this machine fetches from a URL for a node; the machine's own temporary folder when it is not set.
    #[attr(optional, env = "PROXMOX_VE_TMPDIR")]
    tmp_dir: Option<String>,
    /// For what the API cannot do; the plan says where that is.
    #[attr(block(list, max = 1))]
    ssh: Option<Ssh>,
}

/// A token before a ticket before a password, as the published provider has it.
fn credentials(config: Config) -> Result<Credentials, Error> {
    if let Some(token) = config.api_token {
        let form = token
            .expose_secret()
            .split_once('=')
            .map(|(id, secret)| (id.contains('@') && id.contains('!'), secret));
        if !matches!(form, Some((true, secret)) if !secret.is_empty()) {
            return Err(Error::new(
                "use the API token",
                "it is not of the form USER@REALM!NAME=SECRET",
            )
            .remedy("Make one with `pveum user token add USER@REALM NAME`.")
            .attribute("api_token"));
        }
        return Ok(Credentials::Token(token));
    }
    if let Some(ticket) = config.auth_ticket {
        let csrf = config.csrf_prevention_token.ok_or_else(|| {
            Error::missing_setting(
                "csrf_prevention_token",
                &["PROXMOX_VE_CSRF_PREVENTION_TOKEN"],
            )
        })?;
        return Ok(Credentials::Ticket { ticket, csrf });
    }
    let username = config
        .username
        .ok_or_else(|| Error::missing_setting("api_token", &["PROXMOX_VE_API_TOKEN"]))?;
    if !username.contains('@') {
        return Err(
            Error::new("log in", format!("the user name {username:?} has no realm"))
                .remedy(format!(
                    "Write `{username}@pam`, or the realm it belongs to."
                ))
                .attribute("username"),
        );
    }
    let password = config
        .password
        .ok_or_else(|| Error::missing_setting("password", &["PROXMOX_VE_PASSWORD"]))?;
    let otp = config.otp.filter(|otp| !otp.is_empty()).map(Sensitive::new);
    Ok(Credentials::Password {
        username,
        password,
        otp,
    })
}

/// Where random identifiers come from, if they are wanted.
fn random_ids(config: &Config) -> Result<Option<RangeInclusive<i64>>, Error> {
    if config.random_vm_ids != Some(true) {
        return Ok(None);
    }
    let start = config.random_vm_id_start.unwrap_or(10_000);
    let end = config.random_vm_id_end.unwrap_or(99_999);
    if start < 100 || end < start || end > 999_999_999 {
        let said = format!("{start} to {end} is no range of identifiers");
        let error = Error::new("draw random identifiers", said);
        return Err(error
            .remedy("Identifiers go from 100 to 999999999.")
            .attribute("random_vm_id_start"));
    }
    Ok(Some(start..=end))
}

/// Whether TLS 1.2 is too old: it is, unless the configuration says otherwise, as in the published provider.
fn only_1_3(config: &Config) -> Result<bool, Error> {
    match config.min_tls.as_deref().unwrap_or_default() {
        "" | "1.3" => Ok(true),
        // Nothing older is spoken anyway.
        "1.0" | "1.1" | "1.2" => Ok(false),
        other => {
            let said = format!("min_tls {other:?} is no TLS version");
            Err(Error::new("configure the provider", said)
                .remedy("Write 1.2 or 1.3.")
                .attribute("min_tls"))
        }
    }
}

async fn configure(config: Config, dialer: Dialer, _cx: Context) -> Result<Client, Diagnostics> {
    let endpoint = config
        .endpoint
        .clone()
        .ok_or_else(|| Error::missing_setting("endpoint", &["PROXMOX_VE_ENDPOINT"]))?;
    let tls = TlsOptions {
        insecure: config.insecure.unwrap_or(false),
        only_1_3: only_1_3(&config)?,
        ..TlsOptions::default()
    };
    let random = random_ids(&config)?;
    let login = ApiLogin {
        username: config.username.as_deref(),
        password: config.password.as_ref(),
    };
    let ssh = Settings::read(config.ssh.clone(), &login, dialer.environment())?;
    let temporary = config.tmp_dir.clone().map(PathBuf::from);
    let client = Client::new(dialer, &endpoint, credentials(config)?, tls)?;
    let client = client.with_ssh(ssh).with_temporary_folder(temporary);
    Ok(match random {
        Some(range) => client.with_random_ids(range),
        None => client,
    })
}

/// The provider `bpg/proxmox`.
pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    let provider = Native::<Client>::provider::<Config>("proxmox")
        .configure(configure)
        .resource::<Vm>()
        .resource::<Container>()
        .resource::<vm2::Machine>()
        .resource::<vm2::ClonedVm>()
        .data_source::<vm2::Found>()
        .resource::<DownloadFile>()
        .resource::<File>()
        .resource::<OciImage>()
        .resource::<sdn::SdnApplier>()
        .data_source::<MachineSource>()
        .data_source::<MachinesSource>()
        .data_source::<ContainerSource>()
        .data_source::<ContainersSource>();
    [
        access::register,
        cluster::register,
        data::register,
        firewall::register,
        node::register,
        sdn::register,
        storage::register,
    ]
    .into_iter()
    .fold(provider, |provider, register| register(provider))
    .build(dialer)
}
