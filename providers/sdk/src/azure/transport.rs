//! The official crates over the dialer: its HTTP client, its log and count, bounded retries.

use std::sync::Arc;
use std::time::Instant;

use crate::{Dialer, Error, HttpOptions, async_trait};
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{
    ClientOptions, Context as CallContext, ExponentialRetryOptions, Request, RetryOptions,
    Transport,
};
use azure_core::time::Duration;

/// Connection errors, 429 and 5xx are tried again this often, `Retry-After` honoured.
const RETRIES: u32 = 4;

/// Options that every client and credential gets.
pub fn client_options(dialer: &Dialer, login: &str) -> Result<ClientOptions, Error> {
    let client = dialer.http(&HttpOptions::default())?;
    let mut cloud = CustomConfiguration::default();
    cloud.authority_host = login.to_owned();
    Ok(ClientOptions {
        transport: Some(Transport::new(Arc::new(client))),
        retry: RetryOptions::exponential(ExponentialRetryOptions {
            initial_delay: Duration::milliseconds(200),
            max_retries: RETRIES,
            max_total_elapsed: Duration::seconds(60),
            max_delay: Duration::seconds(10),
        }),
        per_try_policies: vec![Arc::new(Recorder(dialer.clone()))],
        cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
        ..ClientOptions::default()
    })
}

/// Notes every request that leaves: method, host, path and status, never a query, header or body.
#[derive(Debug)]
struct Recorder(Dialer);

#[async_trait]
impl Policy for Recorder {
    async fn send(
        &self,
        cx: &CallContext,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let started = Instant::now();
        let host = request.url().host_str().unwrap_or_default().to_owned();
        let what = format!("{} {}", request.method(), request.url().path());
        let Some((following, rest)) = next.split_first() else {
            let kind = azure_core::error::ErrorKind::Other;
            return Err(azure_core::Error::with_message(
                kind,
                "the pipeline has no transport",
            ));
        };
        let result = following.send(cx, request, rest).await;
        let outcome = match &result {
            Ok(response) => u16::from(response.status()).to_string(),
            Err(error) => error.to_string(),
        };
        self.0.record("http", &host, &what, &outcome, started);
        result
    }
}
