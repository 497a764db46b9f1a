//! HTTP requests that are tried again where the trouble may pass: throttling, 5xx, dropped connections, answers that broke off.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};

use crate::retry::jitter;
use crate::{Dialer, Error, ErrorKind, http_error, redact_url};

/// How often a request is tried, and how far apart.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// All tries, the first included.
    pub tries: u32,
    /// Before the second try; doubles afterwards.
    pub first: Duration,
    pub longest: Duration,
    /// No new try begins later than this after the first.
    pub deadline: Duration,
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
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// An earlier try may have been carried out although no answer came, or one that says nothing of it.
    pub doubtful: bool,
}

/// Sends what `request` makes until it is answered by something that trying again would not change, or until patience ends: then it gives
/// the last answer, or says why there was none. Made anew for each try, since signatures hold the time.
///
/// # Errors
/// When the request cannot be made, or was never answered.
pub async fn send<F, Fut>(dialer: &Dialer, patience: Patience, request: F) -> Result<Answer, Error>
where
    F: Fn() -> Fut + Sync,
    Fut: Future<Output = Result<RequestBuilder, Error>> + Send,
{
    let began = Instant::now();
    let mut pause = patience.first;
    let mut doubtful = false;
    let mut tries = 1;
    loop {
        let outcome = once(dialer, request().await?, doubtful).await;
        let asked_pause = match &outcome {
            Ok(answer) if !passing(answer.status) => return outcome,
            Ok(answer) => {
                // A throttled request was not carried out.
                doubtful |= answer.status != StatusCode::TOO_MANY_REQUESTS;
                retry_after(&answer.headers)
            }
            Err(error) if !error.is_transient() => return outcome,
            Err(_) => {
                doubtful = true;
                None
            }
        };
        let wait = asked_pause.map_or_else(|| jitter(pause), |asked| asked.min(patience.longest));
        if tries >= patience.tries || began.elapsed() + wait >= patience.deadline {
            return outcome;
        }
        tracing::debug!(tries, ?wait, "trying again");
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(patience.longest);
        tries += 1;
    }
}

/// One try, its body read to the end.
async fn once(dialer: &Dialer, request: RequestBuilder, doubtful: bool) -> Result<Answer, Error> {
    let response = dialer.send(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let asked = redact_url(response.url().as_str());
    let body = response.bytes().await.map_err(|e| {
        let error = http_error(&asked, e);
        error.with_kind(ErrorKind::Transient)
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
