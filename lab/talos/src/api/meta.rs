//! The META partition's values, and credentials for other clients.

use std::time::Duration;

use base64::Engine;
use tonic::{Response, Status};

use super::Api;
use crate::pki::SigningCa;
use crate::proto::machine::*;
use crate::yaml::{Out, emit};

/// What all values together may take.
const CAPACITY: usize = 256 << 10;

fn key(number: u32) -> Result<u8, Status> {
    u8::try_from(number).map_err(|_| Status::invalid_argument("key must be a uint8"))
}

pub(super) fn write(
    api: &Api,
    request: MetaWriteRequest,
) -> Result<Response<MetaWriteResponse>, Status> {
    let key = key(request.key)?;
    let meta = api.node.disk().meta;
    let others = meta.iter().filter(|(k, _)| **k != key);
    let used: usize = others.map(|(_, value)| value.len() + 8).sum();
    if used + request.value.len() + 8 > CAPACITY {
        return Err(Status::resource_exhausted("meta write failed"));
    }
    api.node
        .update_disk(|d| drop(d.meta.insert(key, request.value)));
    Ok(Response::new(MetaWriteResponse {
        messages: vec![MetaWrite::default()],
    }))
}

pub(super) fn delete(api: &Api, number: u32) -> Result<Response<MetaDeleteResponse>, Status> {
    let key = key(number)?;
    if !api.node.disk().meta.contains_key(&key) {
        return Err(Status::not_found("meta key not found"));
    }
    api.node.update_disk(|d| drop(d.meta.remove(&key)));
    Ok(Response::new(MetaDeleteResponse {
        messages: vec![MetaDelete::default()],
    }))
}

/// A client certificate with the roles that are asked for, and a talosconfig around it.
pub(super) fn client_configuration(
    api: &Api,
    request: GenerateClientConfigurationRequest,
) -> Result<Response<GenerateClientConfigurationResponse>, Status> {
    let config = api.control_plane("generate client configuration")?;
    let lifetime = request.crt_ttl.and_then(|d| Duration::try_from(d).ok());
    let Some(lifetime) = lifetime.filter(|t| !t.is_zero()) else {
        return Err(Status::invalid_argument("crt_ttl should be positive"));
    };
    let ca = config
        .machine_ca()
        .ok_or_else(|| Status::unknown("machine CA is not set"))?;
    let roles = super::roles::Roles::of(&request.roles).names();
    let failed = |e: crate::pki::Error| Status::unknown(e.to_string());
    let signer = SigningCa::open(&ca).map_err(failed)?;
    let (certificate, key) = signer.client("", &roles, lifetime).map_err(failed)?;
    let context = match roles.as_slice() {
        [only] => format!(
            "{}@{}",
            only.trim_start_matches("os:"),
            config.cluster_name()
        ),
        _ => config.cluster_name(),
    };
    let encode = |text: &str| Out::Str(base64::engine::general_purpose::STANDARD.encode(text));
    let map = |entries: Vec<(&str, Out)>| {
        let entries = entries.into_iter().map(|(k, v)| (k.to_owned(), v));
        Out::Mapping(entries.collect())
    };
    let credentials = map(vec![
        ("endpoints", Out::Sequence(Vec::new())),
        ("ca", encode(&ca.certificate)),
        ("crt", encode(&certificate)),
        ("key", encode(&key)),
    ]);
    let talosconfig = emit(&map(vec![
        ("context", Out::Str(context.clone())),
        ("contexts", map(vec![(&context, credentials)])),
    ]));
    Ok(Response::new(GenerateClientConfigurationResponse {
        messages: vec![GenerateClientConfiguration {
            metadata: None,
            ca: ca.certificate.into_bytes(),
            crt: certificate.into_bytes(),
            key: key.into_bytes(),
            talosconfig: talosconfig.into_bytes(),
        }],
    }))
}
