//! Something that is no Talos machine, at an address where one is expected.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Request, StatusCode};
use stead_lab_core::serve::serve;

use super::{TalosLab, address};

/// What somebody got: the path and the content of every request.
#[derive(Clone, Debug, Default)]
pub struct Received(Arc<Mutex<Vec<(String, Vec<u8>)>>>);

impl Received {
    /// How many requests came.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether this was among what came.
    pub fn holds(&self, text: &str) -> bool {
        let is_there = |content: &Vec<u8>| {
            let windows = content.windows(text.len());
            windows.into_iter().any(|part| part == text.as_bytes())
        };
        self.lock().iter().any(|(_, content)| is_there(content))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Vec<u8>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TalosLab {
    /// A web server at the address of this number and the port of the Talos API. It answers everything with 404 and this page, and
    /// keeps what it gets.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn web_server(&self, number: u8, page: &'static str) -> Received {
        let received = Received::default();
        let address = address(number);
        let listener = self.lab.network.listen(&address, 50000).await;
        let listener = listener.expect("a listener");
        let tls = self.lab.authority.server_config(&[address]);
        let router = Router::new()
            .fallback(take)
            .with_state((received.clone(), page));
        serve(&self.lab, "web", listener, Some(tls.expect("TLS")), router);
        received
    }
}

async fn take(
    State((received, page)): State<(Received, &'static str)>,
    request: Request<Body>,
) -> (StatusCode, &'static str) {
    let path = request.uri().path().to_owned();
    let content = to_bytes(request.into_body(), usize::MAX).await;
    received
        .lock()
        .push((path, content.unwrap_or_default().to_vec()));
    (StatusCode::NOT_FOUND, page)
}
