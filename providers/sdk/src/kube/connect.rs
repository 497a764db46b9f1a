//! The road from a `kube` client to the server: connections of the dialer under hyper's pool.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::kube::settings::Endpoint;
use crate::{Dialer, Error, Stream};

/// A `kube` client whose every connection is the dialer's. Nothing is opened before the first request.
pub(super) fn client(dialer: &Dialer, endpoint: &Arc<Endpoint>) -> kube::Client {
    let connector = Connector {
        dialer: dialer.clone(),
        endpoint: Arc::clone(endpoint),
    };
    let pool = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
        .build::<_, kube::client::Body>(connector);
    kube::Client::new(pool, "default")
}

/// Opens connections to the one server, whatever the request's URI says.
#[derive(Clone)]
struct Connector {
    dialer: Dialer,
    endpoint: Arc<Endpoint>,
}

impl tower::Service<Uri> for Connector {
    type Response = ApiStream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<ApiStream, Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let Connector { dialer, endpoint } = self.clone();
        Box::pin(async move {
            let stream: Box<dyn Stream> = if endpoint.secure {
                Box::new(
                    dialer
                        .tls(&endpoint.host, endpoint.port, &endpoint.tls)
                        .await?,
                )
            } else {
                Box::new(dialer.tcp(&endpoint.host, endpoint.port).await?)
            };
            Ok(ApiStream(TokioIo::new(stream)))
        })
    }
}

/// A connection as hyper wants it.
struct ApiStream(TokioIo<Box<dyn Stream>>);

impl Connection for ApiStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for ApiStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for ApiStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}
