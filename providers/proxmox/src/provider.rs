//! The provider block, and what it refuses before the first byte is sent.

use stead_sdk::value::{Diagnostics, Sensitive};
use stead_sdk::{Block, Context, Dialer, Error, Native, ProviderConfig, ProviderFactory};

use crate::client::{Client, Credentials};
use crate::data::{Nodes, Version};
use crate::download_file::DownloadFile;
use crate::mapping_pci::MappingPci;
use crate::vm::Vm;

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
    #[attr(optional, unsupported, deprecated = "Use an API token.")]
    otp: Option<String>,
    /// Trust any certificate.
    #[attr(optional, env = "PROXMOX_VE_INSECURE")]
    insecure: Option<bool>,
    /// The oldest TLS version to accept; stead speaks 1.2 and 1.3 and nothing older.
    #[attr(optional, env = "PROXMOX_VE_MIN_TLS")]
    min_tls: Option<String>,
    #[attr(optional, unsupported)]
    random_vm_ids: Option<bool>,
    #[attr(optional, unsupported)]
    random_vm_id_start: Option<i64>,
    #[attr(optional, unsupported)]
    random_vm_id_end: Option<i64>,
    /// Nothing is written there: images go from their source to the node.
    #[attr(optional, env = "PROXMOX_VE_TMPDIR")]
    tmp_dir: Option<String>,
    /// Accepted and not used: everything goes through the API.
    #[attr(block(list, max = 1))]
    ssh: Option<Ssh>,
}

#[derive(Clone, Debug, Default, Block)]
pub(crate) struct Ssh {
    #[attr(optional)]
    agent: Option<bool>,
    #[attr(optional)]
    agent_forwarding: Option<bool>,
    #[attr(optional)]
    agent_socket: Option<String>,
    #[attr(optional)]
    node_address_source: Option<String>,
    #[attr(optional, sensitive)]
    password: Option<Sensitive<String>>,
    #[attr(optional, sensitive)]
    private_key: Option<Sensitive<String>>,
    #[attr(optional, sensitive)]
    socks5_password: Option<Sensitive<String>>,
    #[attr(optional)]
    socks5_server: Option<String>,
    #[attr(optional)]
    socks5_username: Option<String>,
    #[attr(optional)]
    username: Option<String>,
    #[attr(block(list))]
    node: Vec<SshNode>,
}

#[derive(Clone, Debug, Default, Block)]
pub(crate) struct SshNode {
    #[attr(required)]
    address: String,
    #[attr(required)]
    name: String,
    #[attr(optional)]
    port: Option<i64>,
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
    Ok(Credentials::Password { username, password })
}

async fn configure(config: Config, dialer: Dialer, cx: Context) -> Result<Client, Diagnostics> {
    if let Some(version) = config.min_tls.as_deref()
        && !matches!(version, "" | "1.0" | "1.1" | "1.2" | "1.3")
    {
        return Err(Error::new(
            "configure the provider",
            format!("min_tls {version:?} is no TLS version"),
        )
        .remedy("Write 1.2 or 1.3.")
        .attribute("min_tls")
        .into());
    }
    if config.min_tls.as_deref() == Some("1.3") {
        cx.warn(
            "min_tls 1.3 is not enforced yet",
            "stead prefers TLS 1.3 and would also accept 1.2 from a server that offers nothing newer.",
        );
    }
    let endpoint = config
        .endpoint
        .clone()
        .ok_or_else(|| Error::missing_setting("endpoint", &["PROXMOX_VE_ENDPOINT"]))?;
    let insecure = config.insecure.unwrap_or(false);
    Ok(Client::new(
        dialer,
        &endpoint,
        credentials(config)?,
        insecure,
    )?)
}

/// The provider `bpg/proxmox`.
pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::<Client>::provider::<Config>("proxmox")
        .configure(configure)
        .resource::<Vm>()
        .resource::<DownloadFile>()
        .resource_as::<DownloadFile>("proxmox_download_file")
        .resource::<MappingPci>()
        .resource_as::<MappingPci>("proxmox_hardware_mapping_pci")
        .data_source::<Nodes>()
        .data_source::<Version>()
        .data_source_as::<Version>("proxmox_version")
        .build(dialer)
}
