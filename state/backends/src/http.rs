//! The backend `http`: one state behind an address, with a lock behind another one where the server has locks.

mod settings;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use reqwest::{Method, StatusCode, Url};
use stead_sdk::value::{Diagnostics, Sensitive, Value};
use stead_sdk::{Block as _, Dialer, redact_url};
use stead_state::{Backend, BackendError, LockInfo, Store};

use crate::Kind;
use crate::sending::{Answer, Patience, send};

pub(crate) const KIND: Kind = Kind {
    name: "http",
    schema: settings::Settings::block,
    open,
};

fn open(config: &Value, dialer: &Dialer) -> Result<Arc<dyn Backend>, Diagnostics> {
    let endpoint = settings::endpoint(config, dialer)?;
    Ok(Arc::new(Http(Arc::new(endpoint))))
}

#[derive(Debug)]
struct Http(Arc<Endpoint>);

#[async_trait]
impl Backend for Http {
    async fn workspaces(&self) -> Result<Vec<String>, BackendError> {
        Err(BackendError::OneWorkspace)
    }

    async fn delete(&self, _workspace: &str, _force: bool) -> Result<(), BackendError> {
        Err(BackendError::OneWorkspace)
    }

    fn store(&self, workspace: &str) -> Result<Arc<dyn Store>, BackendError> {
        match workspace {
            "default" => Ok(Arc::clone(&self.0) as Arc<dyn Store>),
            _ => Err(BackendError::OneWorkspace),
        }
    }
}

/// An address and the method that does something there.
#[derive(Clone, Debug)]
struct Place {
    method: Method,
    url: Url,
}

/// Where the state lies, and how the server is spoken to.
struct Endpoint {
    dialer: Dialer,
    client: reqwest::Client,
    patience: Patience,
    address: Url,
    update_method: Method,
    /// Without a place there is no lock, as with the reference.
    lock: Option<Place>,
    unlock: Option<Place>,
    login: Option<(String, Sensitive<String>)>,
    /// What we locked with: writes name it, and the server wants it back.
    held: Mutex<Option<LockInfo>>,
}

/// Without login and queries.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &redact_url(self.address.as_str()))
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// One request, repeated while the trouble may pass.
    async fn request(
        &self,
        method: &Method,
        url: &Url,
        body: Option<&[u8]>,
    ) -> Result<Answer, BackendError> {
        let request = || async {
            let mut request = self.client.request(method.clone(), url.clone());
            if let Some((user, password)) = &self.login {
                request = request.basic_auth(user, Some(password.expose_secret()));
            }
            if let Some(body) = body {
                request = request
                    .header("Content-Type", "application/json")
                    .header("Content-MD5", STANDARD.encode(Md5::digest(body)))
                    .body(body.to_vec());
            }
            Ok(request)
        };
        send(&self.dialer, self.patience, request).await
    }

    fn held(&self) -> Option<LockInfo> {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn hold(&self, info: Option<LockInfo>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = info;
    }

    /// Asks for the lock. `Ok` when it is ours now, or was ours before.
    async fn acquire(&self, place: &Place, info: &LockInfo) -> Result<(), BackendError> {
        let body = json(info)?;
        let answer = self.request(&place.method, &place.url, Some(&body)).await?;
        match answer.status {
            StatusCode::OK => Ok(()),
            StatusCode::CONFLICT | StatusCode::LOCKED => {
                let holder = holder(&answer);
                // The try that took it may have lost its answer.
                if holder.as_ref().is_some_and(|holder| holder.id == info.id) {
                    return Ok(());
                }
                Err(locked(holder))
            }
            status => Err(refused(&place.method, &place.url, status)),
        }
    }

    /// The address of a write: under a lock it names the lock.
    fn update_url(&self) -> Url {
        let mut url = self.address.clone();
        if let Some(held) = self.held() {
            let pairs: Vec<(String, String)> = self
                .address
                .query_pairs()
                .filter(|(name, _)| name != "ID")
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect();
            url.query_pairs_mut()
                .clear()
                .extend_pairs(pairs)
                .append_pair("ID", &held.id);
        }
        url
    }
}

#[async_trait]
impl Store for Endpoint {
    fn location(&self) -> String {
        redact_url(self.address.as_str())
    }

    async fn read(&self) -> Result<Option<Vec<u8>>, BackendError> {
        let answer = self.request(&Method::GET, &self.address, None).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(answer.body).filter(|body| !body.is_empty())),
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(None),
            status => Err(refused(&Method::GET, &self.address, status)),
        }
    }

    async fn write(&self, state: &[u8]) -> Result<(), BackendError> {
        let url = self.update_url();
        let answer = self.request(&self.update_method, &url, Some(state)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            // Some servers take each serial once: the try whose answer was lost has written it.
            _ if answer.doubtful
                && self
                    .read()
                    .await
                    .is_ok_and(|there| there.as_deref() == Some(state)) =>
            {
                Ok(())
            }
            status => Err(refused(&self.update_method, &url, status)),
        }
    }

    async fn lock(&self, info: &LockInfo) -> Result<String, BackendError> {
        if let Some(place) = &self.lock {
            self.acquire(place, info).await?;
            self.hold(Some(info.clone()));
        }
        Ok(info.id.clone())
    }

    async fn unlock(&self, id: &str) -> Result<(), BackendError> {
        let Some(place) = &self.unlock else {
            self.hold(None);
            return Ok(());
        };
        // Forced: of somebody else's lock only the id is known.
        let info = self
            .held()
            .filter(|held| held.id == id)
            .unwrap_or_else(|| LockInfo {
                id: id.to_owned(),
                ..LockInfo::default()
            });
        let body = json(&info)?;
        let answer = self.request(&place.method, &place.url, Some(&body)).await?;
        match answer.status {
            StatusCode::OK => {}
            // The try that gave it back lost its answer.
            StatusCode::NOT_FOUND | StatusCode::GONE if answer.doubtful => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(BackendError::LockLost),
            StatusCode::CONFLICT | StatusCode::LOCKED => return Err(locked(holder(&answer))),
            status => return Err(refused(&place.method, &place.url, status)),
        }
        if self.held().is_some_and(|held| held.id == id) {
            self.hold(None);
        }
        Ok(())
    }

    /// The protocol has no question for this: the lock is asked for once more with the same id. A server that has it refuses
    /// and names us, one that lets the holder in again or has lost it says yes: then it is ours from now on.
    async fn holds(&self, id: &str) -> Result<(), BackendError> {
        let Some(place) = &self.lock else {
            return Ok(());
        };
        match self.held().filter(|held| held.id == id) {
            Some(held) => self.acquire(place, &held).await,
            None => Err(BackendError::LockLost),
        }
    }

    fn has_room_beside(&self) -> bool {
        false
    }

    async fn read_beside(&self, _name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(None)
    }

    async fn write_beside(&self, name: &str, _content: &[u8]) -> Result<(), BackendError> {
        Err(BackendError::failed(
            format!("put the file {name} beside the state"),
            "an HTTP address has room for the state only",
        ))
    }

    async fn remove_beside(&self, _name: &str) -> Result<(), BackendError> {
        Ok(())
    }

    async fn list_beside(&self) -> Result<Vec<String>, BackendError> {
        Ok(Vec::new())
    }
}

fn json(info: &LockInfo) -> Result<Vec<u8>, BackendError> {
    serde_json::to_vec(info)
        .map_err(|e| BackendError::failed("write the lock's note", e.to_string()))
}

/// Who has the lock, if the server says so.
fn holder(answer: &Answer) -> Option<LockInfo> {
    let info: LockInfo = serde_json::from_slice(&answer.body).ok()?;
    Some(info).filter(|info| !info.id.is_empty())
}

fn locked(holder: Option<LockInfo>) -> BackendError {
    let reason = match &holder {
        Some(holder) => format!("HTTP remote state already locked: ID={}", holder.id),
        None => "HTTP remote state already locked, failed to unmarshal body".to_owned(),
    };
    BackendError::Locked {
        holder: holder.map(Box::new),
        reason,
    }
}

/// An answer that is none of those that the protocol knows.
fn refused(method: &Method, url: &Url, status: StatusCode) -> BackendError {
    let asked = format!("{method} {}", redact_url(url.as_str()));
    let error = |said: &str| BackendError::failed(asked.clone(), said);
    match status {
        StatusCode::UNAUTHORIZED => error("HTTP remote state endpoint requires auth.")
            .hint("Set `username` and `password`, or TF_HTTP_USERNAME and TF_HTTP_PASSWORD."),
        StatusCode::FORBIDDEN => error("HTTP remote state endpoint invalid auth.")
            .hint("Check the login, and that it may do this."),
        StatusCode::INTERNAL_SERVER_ERROR => error("HTTP remote state internal server error"),
        status => error(&format!(
            "Unexpected HTTP response code {}",
            status.as_u16()
        )),
    }
}
