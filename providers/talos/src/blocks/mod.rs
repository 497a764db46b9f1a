//! Attributes that several types share: client configurations, machine secrets, timeouts.

mod client;
pub(crate) mod secrets;
mod timeouts;

pub(crate) use client::{
    ClientConfiguration, ClientConfigurationWriteOnly, GeneratedClientConfiguration,
    KubernetesClientConfiguration, effective_client_configuration,
};
pub(crate) use timeouts::{
    ApplyTimeouts, CreateTimeout, CreateUpdateTimeouts, ReadTimeout, check_timeouts, timeout_of,
    timeout_or,
};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stead_sdk::Error;

/// Base64 of a PEM text, as the published provider keeps certificates and keys.
pub(crate) fn encode_pem(pem: &str) -> String {
    STANDARD.encode(pem)
}

/// The PEM text behind an attribute; `what` names it in the error, which never shows the text.
pub(crate) fn decode_pem(encoded: &str, what: &str) -> Result<String, Error> {
    let decoded = STANDARD
        .decode(encoded.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    decoded
        .filter(|text| text.contains("-----BEGIN "))
        .ok_or_else(|| {
            Error::new(
                format!("read `{what}`"),
                "it is not the base64 form of a PEM text",
            )
            .remedy(
                "Take it from `talos_machine_secrets`, or encode the PEM text with `base64encode`.",
            )
        })
}
