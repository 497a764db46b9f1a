//! HTTP requests that are tried again where the trouble may pass: throttling, 5xx, dropped connections, answers that broke off.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};
use stead_sdk::Dialer;
use stead_sdk::retry::jitter;
use stead_state::BackendError;

/// How often a request is tried, and how far apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// All tries, the first included.
    pub(crate) tries: u32,
    /// Before the second try; doubles afterwards.
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
    /// No new try begins later than this after the first.
    pub(crate) deadline: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            tries: 6,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(20),
            deadline: Duration::from_secs(300),
        }
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// An earlier try may have been carried out although no answer came, or one that says nothing of it.
    pub(crate) doubtful: bool,
}

/// Sends what `request` makes until it is answered by something that trying again would not change, or until patience ends: then it gives
/// the last answer, or says why there was none. Made anew for each try, since signatures hold the time.
pub(crate) async fn send<F, Fut>(
    dialer: &Dialer,
    patience: Patience,
    request: F,
) -> Result<Answer, BackendError>
where
    F: Fn() -> Fut + Sync,
    Fut: Future<Output = Result<RequestBuilder, BackendError>> + Send,
{
    let began = Instant::now();
    let mut pause = patience.first;
    let mut doubtful = false;
    let mut tries = 1;
    loop {
        let outcome = once(dialer, request().await?, doubtful).await;
        let asked_pause = match &outcome {
            Ok(answer) if !passing(answer.status) => return outcome.map_err(failed),
            Ok(answer) => {
                // A throttled request was not carried out.
                doubtful |= answer.status != StatusCode::TOO_MANY_REQUESTS;
                retry_after(&answer.headers)
            }
            Err(error) if !error.is_transient() => return outcome.map_err(failed),
            Err(_) => {
                doubtful = true;
                None
            }
        };
        let wait = asked_pause.map_or_else(|| jitter(pause), |asked| asked.min(patience.longest));
        if tries >= patience.tries || began.elapsed() + wait >= patience.deadline {
            return outcome.map_err(failed);
        }
        tracing::debug!(tries, ?wait, "trying again");
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(patience.longest);
        tries += 1;
    }
}

/// One try, its body read to the end.
async fn once(
    dialer: &Dialer,
    request: RequestBuilder,
    doubtful: bool,
) -> Result<Answer, stead_sdk::Error> {
    let response = dialer.send(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let asked = stead_sdk::redact_url(response.url().as_str());
    let body = response.bytes().await.map_err(|e| {
        let error = stead_sdk::http_error(&asked, e);
        error.with_kind(stead_sdk::ErrorKind::Transient)
    })?;
    Ok(Answer {
        status,
        headers,
        body: body.to_vec(),
        doubtful,
    })
}

/// As the reference's HTTP client sees it: 501 will be the same next time.
fn passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS
        || status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

/// The sdk's error as the backend's.
pub(crate) fn failed(error: stead_sdk::Error) -> BackendError {
    let plain = BackendError::failed(error.asked(), error.said());
    match error.advice() {
        Some(advice) => plain.hint(advice),
        None => plain,
    }
}
