//! Client certificates that have ended, and how an administrator gets in all the same.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use stead_sdk::Error;

use crate::blocks::{ClientConfiguration, decode_pem, encode_pem};
use crate::machinery::{Role, certificate_validity, client_certificate, talos_authority};

/// How long a certificate that is made for one operation is good for: longer than any of them waits.
const TTL: Duration = Duration::from_secs(24 * 3600);

/// The client configuration, or a fresh one in the place of one whose certificate has ended.
///
/// The configuration of a control plane node holds the key of the authority that signs client certificates. When this is the
/// authority of the client configuration, an ended certificate locks nobody out who has that configuration.
///
/// # Errors
/// When a fresh certificate cannot be signed.
pub(crate) fn unexpired<'a>(
    identity: &'a ClientConfiguration,
    machine_configuration: Option<&str>,
    now: SystemTime,
) -> Result<Cow<'a, ClientConfiguration>, Error> {
    if !has_ended(identity, now) {
        return Ok(Cow::Borrowed(identity));
    }
    let authority = machine_configuration.and_then(talos_authority);
    let same = |cert: &str| encode_pem(cert) == identity.ca_certificate;
    let Some(authority) = authority.filter(|a| same(&a.cert)) else {
        return Ok(Cow::Borrowed(identity));
    };
    let client = client_certificate(&authority, &[Role::Admin], TTL, &mut rand::rng(), now)
        .map_err(|e| Error::new("sign a client certificate", e.to_string()))?;
    Ok(Cow::Owned(ClientConfiguration {
        ca_certificate: identity.ca_certificate.clone(),
        client_certificate: encode_pem(&client.cert),
        client_key: encode_pem(client.key.expose()).into(),
    }))
}

/// Whether the certificate cannot be used any more; one that cannot be read is left to the node to judge.
fn has_ended(identity: &ClientConfiguration, now: SystemTime) -> bool {
    decode_pem(
        &identity.client_certificate,
        "client_configuration.client_certificate",
    )
    .ok()
    .and_then(|pem| certificate_validity(&pem).ok())
    .is_some_and(|validity| validity.not_after <= now)
}
