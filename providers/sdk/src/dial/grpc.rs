//! gRPC channels whose connections the dialer opens.

use std::time::Duration;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::Error;
use crate::dial::{Dialer, TlsOptions, route};

impl Dialer {
    /// A channel to one server over TLS. It connects at the first call, and again after a connection is lost.
    pub fn grpc_channel(
        &self,
        host: &str,
        port: u16,
        options: &TlsOptions,
    ) -> Result<Channel, Error> {
        let asked = || format!("set up gRPC to {host}:{port}");
        let mut options = options.clone();
        if options.alpn.is_empty() {
            options.alpn = vec!["h2".into()];
        }
        // Checked now, so that a bad certificate is not an error of the first call.
        self.client_config(&options)?;
        let authority = route::authority(host, port);
        let origin: Uri = format!("https://{authority}")
            .parse()
            .map_err(|e| Error::new(asked(), format!("{e}")))?;
        // tonic must not add TLS of its own: the connector has done it. The origin keeps `:scheme` right.
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))
            .map_err(|e| Error::new(asked(), e.to_string()))?
            .origin(origin)
            .user_agent(concat!("stead/", env!("CARGO_PKG_VERSION")))
            .map_err(|e| Error::new(asked(), e.to_string()))?
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(Duration::from_secs(10));
        let (dialer, host) = (self.clone(), host.to_owned());
        let connector = service_fn(move |_: Uri| {
            let (dialer, host, options) = (dialer.clone(), host.clone(), options.clone());
            async move { dialer.tls(&host, port, &options).await.map(TokioIo::new) }
        });
        Ok(endpoint.connect_with_connector_lazy(connector))
    }
}
