//! Requests and errors of the sdk in the terms of backends.

use std::future::Future;

use reqwest::RequestBuilder;
use stead_sdk::Dialer;
pub(crate) use stead_sdk::sending::{Answer, Patience};
use stead_state::BackendError;

/// [`stead_sdk::sending::send`].
pub(crate) async fn send<F, Fut>(
    dialer: &Dialer,
    patience: Patience,
    request: F,
) -> Result<Answer, BackendError>
where
    F: Fn() -> Fut + Sync,
    Fut: Future<Output = Result<RequestBuilder, stead_sdk::Error>> + Send,
{
    stead_sdk::sending::send(dialer, patience, request)
        .await
        .map_err(failed)
}

/// The sdk's failures as the backend's.
pub(crate) trait OrFailed<T> {
    fn or_failed(self) -> Result<T, BackendError>;
}

impl<T, E: Into<stead_sdk::Error>> OrFailed<T> for Result<T, E> {
    fn or_failed(self) -> Result<T, BackendError> {
        self.map_err(|error| failed(error.into()))
    }
}

/// The sdk's error as the backend's.
pub(crate) fn failed(error: stead_sdk::Error) -> BackendError {
    let plain = BackendError::failed(error.asked(), error.said());
    match error.advice() {
        Some(advice) => plain.hint(advice),
        None => plain,
    }
}
