//! Calls to machines by hand, past the provider.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use stead_lab_talos::proto::machine::apply_configuration_request::Mode;
use stead_lab_talos::proto::machine::machine_service_client::MachineServiceClient;
use stead_lab_talos::proto::machine::{ApplyConfigurationRequest, ReadRequest};
use stead_sdk::testing::Stored;
use stead_sdk::{ClientIdentity, Roots, TlsOptions};
use tonic::transport::Channel;

use super::configurations::plain;
use super::{TalosLab, address};

impl TalosLab {
    /// An administrator's connection to a machine.
    ///
    /// # Panics
    /// When the secrets cannot be used.
    pub fn client(&self, number: u8) -> MachineServiceClient<Channel> {
        self.client_with(&self.secrets, &address(number))
    }

    /// As [`TalosLab::client`], at this address.
    ///
    /// # Panics
    /// When the secrets cannot be used.
    pub fn client_at(&self, address: &str) -> MachineServiceClient<Channel> {
        self.client_with(&self.secrets, address)
    }

    /// As [`TalosLab::client`], of the cluster with these secrets, at this address.
    ///
    /// # Panics
    /// When the secrets cannot be used.
    pub fn client_with(&self, secrets: &Stored, address: &str) -> MachineServiceClient<Channel> {
        let client = plain(secrets, "client_configuration");
        let pem = |name: &str| {
            let encoded = client[name].as_str().expect("a text");
            let decoded = STANDARD.decode(encoded).expect("base64");
            String::from_utf8(decoded).expect("a PEM text")
        };
        let options = TlsOptions {
            roots: Roots::Only(pem("ca_certificate")),
            identity: Some(ClientIdentity {
                certificates: pem("client_certificate"),
                key: pem("client_key")
                    .replace("ED25519 PRIVATE", "PRIVATE")
                    .into(),
            }),
            alpn: vec!["h2".to_owned()],
            ..TlsOptions::default()
        };
        let channel = self.dialer.grpc_channel(address, 50000, &options);
        MachineServiceClient::new(channel.expect("a channel"))
    }

    /// What the machine says that it would do with a configuration that nobody has looked at before; an error when it refuses it.
    pub async fn dry_run(&self, number: u8, configuration: &str) -> Result<String, String> {
        would_do(self.client(number), configuration).await
    }

    /// What tells one start of a machine from another; empty when it does not say.
    pub async fn boot_id(&self, number: u8) -> String {
        let request = ReadRequest {
            path: "/proc/sys/kernel/random/boot_id".to_owned(),
        };
        let Ok(stream) = self.client(number).read(request).await else {
            return String::new();
        };
        let data = stream.into_inner().message().await.unwrap_or_default();
        String::from_utf8_lossy(&data.unwrap_or_default().bytes).into_owned()
    }
}

/// As [`TalosLab::dry_run`], over a connection.
pub async fn would_do(
    mut machine: MachineServiceClient<Channel>,
    configuration: &str,
) -> Result<String, String> {
    let request = ApplyConfigurationRequest {
        data: configuration.as_bytes().to_vec(),
        mode: Mode::Auto.into(),
        dry_run: true,
        ..ApplyConfigurationRequest::default()
    };
    match machine.apply_configuration(request).await {
        Ok(answer) => {
            let messages = answer.into_inner().messages.into_iter();
            Ok(messages.map(|m| m.mode_details).collect())
        }
        Err(status) => Err(status.message().to_owned()),
    }
}
