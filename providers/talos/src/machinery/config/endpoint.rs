//! The cluster endpoint: an https URL with a host.

/// A cluster endpoint that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cluster endpoint must be an https URL with a host, as https://10.0.0.1:6443, got {0:?}"
)]
pub struct EndpointError(String);

/// A checked endpoint.
pub(super) struct Endpoint<'a> {
    url: &'a str,
    host: &'a str,
}

impl<'a> Endpoint<'a> {
    pub(super) fn parse(url: &'a str) -> Result<Self, EndpointError> {
        let bad = || EndpointError(url.to_owned());
        let rest = url.strip_prefix("https://").ok_or_else(bad)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']').ok_or_else(bad)?,
            None => authority
                .find(':')
                .map_or((authority, ""), |at| authority.split_at(at)),
        };
        let port_ok = port.is_empty()
            || port
                .strip_prefix(':')
                .is_some_and(|p| p.parse::<u16>().is_ok());
        let host_ok = !host.is_empty()
            && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
        if port_ok && host_ok {
            Ok(Self { url, host })
        } else {
            Err(bad())
        }
    }

    pub(super) fn url(&self) -> &'a str {
        self.url
    }

    /// The host without port and brackets.
    pub(super) fn host(&self) -> &'a str {
        self.host
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (url, host) in [
            ("https://a.b:6443", "a.b"),
            ("https://[fd00::1]:6443", "fd00::1"),
            ("https://10.0.0.1/", "10.0.0.1"),
        ] {
            assert_eq!(
                Endpoint::parse(url).map(|e| e.host().to_owned()),
                Ok(host.to_owned())
            );
        }
        for bad in [
            "",
            "http://a",
            "https://",
            "https://:6443",
            "https://a:port",
            "a:6443",
            "https://a b",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
