//! How a node answers: configured, in maintenance mode, as a stranger, or not at all.

use std::future::Future;
use std::time::Duration;

use stead_sdk::{Context, Error, ErrorKind, Fingerprint, TlsOptions};
use tonic::Code;

use super::{Api, CallError, Node, Pins};
use crate::api::specs::MachineStage;

/// For the handshake that finds out.
const PROBE: Duration = Duration::from_secs(5);

/// What a node is found to be.
pub(crate) enum Contact {
    /// Its certificate is of the cluster.
    Configured(Api),
    /// It has no configuration yet. Nothing proves who it is; the certificate it showed is pinned for this API.
    Maintenance(Api, Fingerprint),
    /// It shows a certificate that is not of the cluster, and is not in maintenance mode.
    Stranger(Error),
    /// It does not answer.
    Away(String),
}

impl Node {
    /// Finds out how the node answers. The client certificate goes only to a node that has proved itself.
    pub(crate) async fn contact(&self, cx: &Context) -> Result<Contact, Error> {
        let mutual = self.mutual();
        let probe = self.dialer.tls(&self.host, self.port, &mutual);
        match self.limited(cx, probe).await {
            Ok(_) => Ok(Contact::Configured(self.api()?)),
            Err(error) if error.is_untrusted() => self.unverified(cx, error).await,
            Err(error) if error.is_transient() => Ok(Contact::Away(error.said().to_owned())),
            Err(error) => Err(error),
        }
    }

    /// The node's certificate is not of the cluster: in maintenance mode it makes one for itself.
    async fn unverified(&self, cx: &Context, untrusted: Error) -> Result<Contact, Error> {
        let anyone = TlsOptions {
            insecure: true,
            alpn: vec!["h2".to_owned()],
            ..TlsOptions::default()
        };
        let stranger = |error: Error| {
            let remedy = if is_of_another_time(&error) {
                format!(
                    "Compare the clock of {} with the one here: a machine whose clock is right renews its certificate by itself.",
                    self.label()
                )
            } else {
                format!(
                    "{} is neither configured with these secrets nor in maintenance mode: check the address and the secrets.",
                    self.label()
                )
            };
            Ok(Contact::Stranger(error.remedy(remedy)))
        };
        let probe = self.limited(cx, self.dialer.tls(&self.host, self.port, &anyone));
        let stream = match probe.await {
            Ok(stream) => stream,
            Err(error) if error.is_transient() => {
                return Ok(Contact::Away(error.said().to_owned()));
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(_) => return stranger(untrusted),
        };
        let certificates = stream.get_ref().1.peer_certificates();
        let Some(shown) = certificates.and_then(<[_]>::first).cloned() else {
            return stranger(untrusted);
        };
        drop(stream);
        let certificate = Fingerprint::of(&shown);
        let api = self.maintenance_api(certificate)?;
        match api.machine_status().await {
            Ok(Some(status)) if status.stage() != MachineStage::Maintenance => stranger(untrusted),
            Ok(_) => self.recognised(api, &shown),
            // Only a node in maintenance mode lets anyone come so far.
            Err(CallError {
                code: Code::Unimplemented | Code::PermissionDenied,
                lost: false,
                ..
            }) => self.recognised(api, &shown),
            Err(call) if call.foreign => Ok(Contact::Stranger(call.into())),
            // A configured node of another cluster asks for a certificate.
            Err(call) if call.error.kind() == ErrorKind::Denied => stranger(untrusted),
            Err(call) => Ok(Contact::Away(call.reason())),
        }
    }

    /// A machine in maintenance mode, if it is the one that was meant.
    fn recognised(&self, api: Api, certificate: &[u8]) -> Result<Contact, Error> {
        let pins = Pins::of(self.dialer.environment())?;
        Ok(match pins.check([&self.name, &self.host], certificate) {
            Ok(()) => Contact::Maintenance(api, Fingerprint::of(certificate)),
            Err(error) => Contact::Stranger(error),
        })
    }

    async fn limited<T>(
        &self,
        cx: &Context,
        probe: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let asked = || format!("reach {}", self.label());
        tokio::select! {
            result = tokio::time::timeout(PROBE, probe) => match result {
                Ok(result) => result,
                Err(_) => Err(Error::transient(asked(), format!("{} does not answer", self.address()))),
            },
            () = cx.cancelled().cancelled() => Err(Error::of_kind(ErrorKind::Cancelled, asked(), "interrupted")),
        }
    }
}

/// Whether all that a certificate lacks is that its time is now.
fn is_of_another_time(untrusted: &Error) -> bool {
    let said = untrusted.said();
    ["certificate expired", "certificate not valid yet"]
        .iter()
        .any(|text| said.contains(text))
}
