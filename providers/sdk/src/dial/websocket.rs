//! WebSockets over connections that the dialer opens.

use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error as Refusal;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::Error;
use crate::dial::{Dialer, Stream, TlsOptions};

/// An open WebSocket.
pub type WebSocket = WebSocketStream<Box<dyn Stream>>;

impl Dialer {
    /// Opens a WebSocket: a `ws://` or `wss://` URL, or a request with headers of its own.
    pub async fn websocket(
        &self,
        request: impl IntoClientRequest + Unpin,
        tls: &TlsOptions,
    ) -> Result<WebSocket, Error> {
        let request = request.into_client_request().map_err(|e| {
            Error::new("open a WebSocket", format!("the address is not valid: {e}"))
        })?;
        let uri = request.uri();
        let host = uri.host().unwrap_or_default().to_owned();
        let secure = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => {
                return Err(Error::new(
                    "open a WebSocket",
                    "the address must begin with ws:// or wss://",
                ));
            }
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let asked = format!("open the WebSocket {host}:{port}{} (GET)", uri.path());
        let stream: Box<dyn Stream> = if secure {
            Box::new(self.tls(&host, port, tls).await?)
        } else {
            Box::new(self.tcp(&host, port).await?)
        };
        let handshake = tokio_tungstenite::client_async(request, stream);
        match tokio::time::timeout(self.connect_timeout(), handshake).await {
            Ok(Ok((socket, _))) => {
                self.tally().request();
                Ok(socket)
            }
            Ok(Err(Refusal::Http(response))) => {
                let status = response.status();
                Err(Error::http(
                    status.as_u16(),
                    asked,
                    format!("the server answered {status}"),
                ))
            }
            Ok(Err(error)) => Err(Error::transient(asked, error.to_string())),
            Err(_) => Err(Error::transient(asked, "no answer in time")),
        }
    }
}
