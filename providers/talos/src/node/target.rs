//! The address of a node and the credentials for it.

use std::time::Duration;

use stead_sdk::value::Sensitive;
use stead_sdk::wait::Polling;
use stead_sdk::{ClientIdentity, Dialer, Error, ErrorKind, Fingerprint, Roots, TlsOptions};

use super::Api;
use crate::blocks::{ClientConfiguration, decode_pem};

/// The port of the Talos API.
const PORT: u16 = 50000;

/// How nodes are polled: they take seconds to restart, and simulated ones milliseconds. An error ends the wait: what may pass
/// is a reason to wait on.
pub(crate) fn polling() -> Polling {
    Polling {
        first: Duration::from_millis(25),
        ..Polling::default()
    }
    .cap(Duration::from_millis(500))
}

/// A wait that was in vain, with what can be done about it.
pub(crate) fn advised(error: Error, advice: impl FnOnce() -> String) -> Error {
    match (error.kind(), error.advice()) {
        (ErrorKind::TimedOut, None) => error.remedy(advice()),
        _ => error,
    }
}

/// A node of the Talos API, reached at an endpoint that may pass requests on to it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(super) dialer: Dialer,
    pub(super) host: String,
    pub(super) port: u16,
    /// Whom requests are for: the header `node`.
    pub(super) name: String,
    authority: String,
    identity: ClientIdentity,
}

impl Node {
    /// `endpoint` is what is contacted, `host` or `host:port`.
    pub(crate) fn new(
        dialer: &Dialer,
        endpoint: &str,
        node: &str,
        client: &ClientConfiguration,
    ) -> Result<Node, Error> {
        let (host, port) = address(endpoint)?;
        let place = |name: &str| format!("client_configuration.{name}");
        let key = decode_pem(client.client_key.expose_secret(), &place("client_key"))?;
        Ok(Node {
            dialer: dialer.clone(),
            host,
            port,
            name: node.to_owned(),
            authority: decode_pem(&client.ca_certificate, &place("ca_certificate"))?,
            identity: ClientIdentity {
                certificates: decode_pem(&client.client_certificate, &place("client_certificate"))?,
                key: Sensitive::new(standard_label(&key)),
            },
        })
    }

    /// The node itself, when the endpoint is another address.
    pub(crate) fn direct(&self) -> Option<Node> {
        let (host, port) = address(&self.name).ok()?;
        (host != self.host || port != self.port).then(|| Node {
            host,
            port,
            ..self.clone()
        })
    }

    /// Whom requests are for.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The address that is contacted, for messages.
    pub(crate) fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// What tells the node's cluster from others: a digest of its authority.
    pub(crate) fn cluster(&self) -> String {
        crate::render::hash(self.authority.trim())
    }

    /// How to name the node to people.
    pub(crate) fn label(&self) -> String {
        if self.name == self.host {
            format!("node {}", self.name)
        } else {
            format!("node {} (at {})", self.name, self.address())
        }
    }

    /// Mutual TLS with the authority of the cluster.
    pub(super) fn mutual(&self) -> TlsOptions {
        TlsOptions {
            roots: Roots::Only(self.authority.clone()),
            identity: Some(self.identity.clone()),
            alpn: vec!["h2".to_owned()],
            ..TlsOptions::default()
        }
    }

    /// The API of a configured node.
    pub(crate) fn api(&self) -> Result<Api, Error> {
        let channel = self
            .dialer
            .grpc_channel(&self.host, self.port, &self.mutual())?;
        Api::new(self, channel, Some(&self.name))
    }

    /// The API of a node in maintenance mode, which is recognised by its certificate alone. Requests are not passed on in this
    /// mode: the node is the one that answers.
    pub(super) fn maintenance_api(&self, certificate: Fingerprint) -> Result<Api, Error> {
        let options = TlsOptions {
            fingerprint: Some(certificate),
            alpn: vec!["h2".to_owned()],
            ..TlsOptions::default()
        };
        let channel = self.dialer.grpc_channel(&self.host, self.port, &options)?;
        Api::new(self, channel, None)
    }
}

/// Talos labels PKCS#8 keys by their algorithm, which nobody else does.
fn standard_label(pem: &str) -> String {
    pem.replace(
        "-----BEGIN ED25519 PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----",
    )
    .replace(
        "-----END ED25519 PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
    )
}

/// Splits `host`, `host:port`, `[v6]:port` or a bare IPv6 address.
fn address(text: &str) -> Result<(String, u16), Error> {
    let invalid = || {
        Error::new(
            "read the address of a node",
            format!("{text:?} is not an address such as 10.0.0.2 or node.lab:50000"),
        )
    };
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(invalid)?;
        let port = match rest {
            "" => None,
            rest => Some(rest.strip_prefix(':').ok_or_else(invalid)?),
        };
        (host, port)
    } else {
        match text.split_once(':') {
            // More than one colon: an IPv6 address without a port.
            Some((_, rest)) if rest.contains(':') => (text, None),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let port = match port {
        None => PORT,
        Some(port) => port.parse().map_err(|_| invalid())?,
    };
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '?' | '#');
    if host.is_empty() || host.contains(odd) {
        return Err(invalid());
    }
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let read = |text| address(text).ok();
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(read("10.0.0.2"), is("10.0.0.2", 50000));
        assert_eq!(read("cp.lab:1234"), is("cp.lab", 1234));
        assert_eq!(read("fd00::1"), is("fd00::1", 50000));
        assert_eq!(read("[fd00::1]"), is("fd00::1", 50000));
        assert_eq!(read("[fd00::1]:1234"), is("fd00::1", 1234));
        for bad in [
            "",
            ":1",
            "a:port",
            "a:70000",
            "[fd00::1",
            "[fd00::1]1",
            "https://a",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
