//! AWS's client libraries over the dialer.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::Dialer;

#[derive(Clone, Debug)]
pub struct Bridge {
    dialer: Dialer,
    client: reqwest::Client,
    /// What the library allows for one request: little where it asks whether a service is there at all.
    limit: Option<Duration>,
}

impl Bridge {
    pub fn new(dialer: &Dialer, client: &reqwest::Client) -> Bridge {
        Bridge {
            dialer: dialer.clone(),
            client: client.clone(),
            limit: None,
        }
    }

    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request
            .try_into_http1x()
            .map_err(|e| ConnectorError::user(e.into()))?;
        let (parts, body) = request.into_parts();
        let body = match body.bytes() {
            Some(bytes) => bytes.to_vec(),
            None => return Err(ConnectorError::user("a request that is a stream".into())),
        };
        let request = self
            .client
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(body);
        let exchange = async {
            let response = self
                .dialer
                .send(request)
                .await
                .map_err(|e| ConnectorError::io(e.into()))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = response
                .bytes()
                .await
                .map_err(|e| ConnectorError::io(e.without_url().into()))?;
            let status = status
                .as_u16()
                .try_into()
                .map_err(|e| ConnectorError::other(Box::new(e), None))?;
            let mut answer = HttpResponse::new(status, SdkBody::from(body));
            for (name, value) in &headers {
                if let Ok(value) = value.to_str() {
                    answer
                        .headers_mut()
                        .append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(answer)
        };
        match self.limit {
            None => exchange.await,
            Some(limit) => match tokio::time::timeout(limit, exchange).await {
                Ok(answer) => answer,
                Err(late) => Err(ConnectorError::timeout(late.into())),
            },
        }
    }
}

impl HttpConnector for Bridge {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().carry(request))
    }
}

impl HttpClient for Bridge {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let limit = settings
            .connect_timeout()
            .zip(settings.read_timeout())
            .map(|(connect, read)| connect + read);
        SharedHttpConnector::new(Bridge {
            limit,
            ..self.clone()
        })
    }
}
